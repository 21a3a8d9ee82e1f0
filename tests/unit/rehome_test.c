// SPDX-License-Identifier: Apache-2.0
/* core/renegotiate: an end that is handed over to another host, whose keys and clock are others;
 * the peer takes it for a move, once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/renegotiate.h"

#define SEC 1000000000ull

enum { CLIENT = 1, OLD = 2, NEW = 3, OTHER = 4 };

static struct sf_net net;

struct end {
	struct sf_move m;
	__u32 host;
	__u64 now; /* of its host */
	struct sf_hashkey key;
	struct sf_move_out out;
};

static struct sf_addr at(__u32 host, __u64 key, __u8 incarnation)
{
	return sf_locator(&net, host, sf_socket_id(key, incarnation));
}

static struct sf_move_env env_of(const struct end *e)
{
	static __u64 drawn = 1000;
	struct sf_move_env env = { .now = e->now, .key = &e->key, .net = &net };

	env.random[0] = ++drawn;
	env.random[1] = ++drawn;
	env.self = sf_sid_make(SF_SSID_HOSTS, e->host);
	return env;
}

static void pair(struct end *client, struct end *old)
{
	struct sf_flow f = { .state = SF_FLOW_BOUND };

	*client = (struct end){ .host = CLIENT, .now = 10 * SEC, .key = { 1, 1 } };
	*old = (struct end){ .host = OLD, .now = 20 * SEC, .key = { 2, 2 } };
	f.own = at(CLIENT, 0x1111111111, 1);
	f.peer = at(OLD, 0x2222222222, 5);
	f.peer_host = sf_sid_make(SF_SSID_HOSTS, OLD);
	sf_move_init(&client->m, &f, client->now);
	f.peer = f.own;
	f.own = at(OLD, 0x2222222222, 5);
	f.peer_host = sf_sid_make(SF_SSID_HOSTS, CLIENT);
	sf_move_init(&old->m, &f, old->now);
}

/* What @from has exported is imported at @host. */
static struct end import(const struct end *from, __u32 host)
{
	struct end e = { .m = from->m, .host = host, .now = host * 1000 * SEC };
	struct sf_addr own = at(host, 0x3333333330 + host, 200), place = sf_locator_place(&own);
	struct sf_move_env env;

	e.key = (struct sf_hashkey){ host, host };
	sf_move_rehome(&e.m, &own, e.now);
	env = env_of(&e);
	sf_move_start(&e.m, &place, false, &env, &e.out);
	return e;
}

/* What @from wants to say reaches @to. */
static void say(struct end *from, struct end *to)
{
	struct sf_move_env env = env_of(to);

	assert_true(from->out.acts & SF_MOVE_SEND);
	sf_move_in(&to->m, &from->out.msg, &env, &to->out);
}

/* Until nobody has anything to say. */
static void talk(struct end *from, struct end *to)
{
	for (int i = 0; i < 10 && (from->out.acts & SF_MOVE_SEND); i++) {
		struct end *next = to;

		say(from, to);
		from->out.acts &= ~SF_MOVE_SEND;
		to = from;
		from = next;
	}
	assert_false(from->out.acts & SF_MOVE_SEND);
}

static void assert_at(const struct sf_addr *a, __u32 host, __u64 key)
{
	assert_int_equal(sf_locator_host(a), host);
	assert_int_equal(sf_socket_key(sf_locator_sock(a)), key);
}

static void the_peer_takes_it_for_a_move(void **state)
{
	struct end client, old, new;
	struct sf_addr peer;

	pair(&client, &old);
	new = import(&old, NEW);
	/* Of its own key, and another incarnation than that of what may be on its way. */
	assert_at(&new.m.at, NEW, 0x3333333333);
	assert_int_equal((__u8)sf_locator_sock(&new.m.at), 201);
	assert_true(sf_move_is_open(&new.m));
	assert_int_equal(new.m.due, new.now + SF_MOVE_FIRST_NS);
	talk(&new, &client);
	assert_true(sf_move_is_settled(&new.m));
	assert_true(sf_move_is_settled(&client.m));
	peer = sf_move_peer(&client.m);
	assert_true(sf_addr_eq(&peer, &new.m.at));
	assert_int_equal(client.m.peer_moves, 1);
	/* It is found at its new host from now on. */
	struct sf_sid host = sf_sid_make(SF_SSID_HOSTS, NEW);
	assert_memory_equal(&client.m.peer_host, &host, sizeof(host));
}

static void and_back(void **state)
{
	struct end client, old, new, again;
	struct sf_addr peer;

	pair(&client, &old);
	new = import(&old, NEW);
	talk(&new, &client);
	again = import(&new, OLD);
	talk(&again, &client);
	assert_true(sf_move_is_settled(&again.m));
	peer = sf_move_peer(&client.m);
	assert_true(sf_addr_eq(&peer, &again.m.at));
	assert_int_equal(client.m.peer_moves, 2);
}

/* Imported twice: who comes first has it, whatever the other says, and how often. */
static void one_wins(void **state)
{
	struct end client, old, new, other;
	struct sf_move_out out;
	struct sf_addr peer;

	pair(&client, &old);
	new = import(&old, NEW);
	other = import(&old, OTHER);
	talk(&new, &client);
	for (int i = 0; i < 3; i++) {
		say(&other, &client);
		assert_int_equal(client.out.fail, SF_SUPERSEDED);
		assert_false(client.out.acts & SF_MOVE_SEND);
		peer = sf_move_peer(&client.m);
		assert_true(sf_addr_eq(&peer, &new.m.at));
	}
	sf_move_failed(&other.m, SF_SUPERSEDED, &other.out.msg, &client.m.at, &client.m.peer_host,
		       &out);
	assert_int_equal(out.acts, SF_MOVE_OVER);
	assert_true(sf_move_is_settled(&new.m));
	/* So is the old host, if it thinks that it has it still. */
	other = old;
	struct sf_addr place = at(OLD, 0, 0);
	struct sf_move_env env = env_of(&other);
	sf_move_start(&other.m, &place, false, &env, &other.out);
	say(&other, &client);
	assert_int_equal(client.out.fail, SF_SUPERSEDED);
}

/* The client moved while nobody was there to hear of it. */
static void the_peer_moved_meanwhile(void **state)
{
	struct end client, old, new;
	struct sf_addr away = at(OTHER, 0, 0), peer;
	struct sf_move_env env;

	pair(&client, &old);
	env = env_of(&client);
	sf_move_start(&client.m, &away, false, &env,
		      &client.out); /* the RSYN is dropped: handed-over */
	client.out.acts = 0;
	new = import(&old, NEW);
	assert_int_equal(sf_locator_host(&new.out.msg.dst), CLIENT);
	/* Unresolved, in the end: to wherever the client's host is. */
	for (int i = 0; i < 10 && !sf_addr_is_service(&net, &new.out.msg.dst); i++) {
		new.now = new.m.due;
		env = env_of(&new);
		sf_move_timer(&new.m, &env, &new.out);
	}
	assert_true(sf_addr_is_service(&net, &new.out.msg.dst));
	new.out.msg.dst = client.m.at; /* as the service router and its host make it */
	talk(&new, &client);
	assert_true(sf_move_is_settled(&new.m));
	assert_true(sf_move_is_settled(&client.m));
	peer = sf_move_peer(&new.m);
	assert_true(sf_addr_eq(&peer, &client.m.at));
	peer = sf_move_peer(&client.m);
	assert_true(sf_addr_eq(&peer, &new.m.at));
}

/* What @e says to who has left is believed there. */
static void tell(struct end *e, struct end *left)
{
	struct sf_addr there = left->m.at;
	struct sf_move_env env = env_of(e);

	sf_move_tell(&e->m, &there, &env, &e->out);
	assert_true(sf_move_follow(&left->m, &e->out.msg));
	assert_true(sf_addr_eq(&left->m.valid, &e->m.at));
	assert_true(sf_move_is_settled(&left->m));
}

/* The client, which moves, asks at the place that was left. */
static bool is_asked(struct end *client, struct end *left)
{
	struct sf_addr away = at(OTHER, 0, 0);
	struct sf_move_env env = env_of(client);

	sf_move_start(&client->m, &away, false, &env, &client->out);
	assert_false(sf_move_follow(&left->m, &client->out.msg));
	return sf_move_is_asked(&left->m, &client->out.msg);
}

/* All that was said to the exporter was lost, until the client had answered. */
static void told_late(void **state)
{
	struct end client, old, new;

	pair(&client, &old);
	new = import(&old, NEW);
	sf_move_leave(&old.m);
	talk(&new, &client);
	tell(&new, &old);
	assert_true(is_asked(&client, &old));
}

/* The one that was handed over had a name that the client has not heard of, nor of any since. */
static void asked_by_the_oldest_name(void **state)
{
	struct end client, old, new;
	struct sf_addr place = at(OLD, 0, 0);
	struct sf_move_env env;

	pair(&client, &old);
	env = env_of(&old);
	sf_move_start(&old.m, &place, false, &env, &old.out);
	new = import(&old, NEW);
	sf_move_leave(&old.m);
	tell(&new, &old);
	tell(&new, &old);
	assert_true(is_asked(&client, &old));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_peer_takes_it_for_a_move),
		cmocka_unit_test(and_back),
		cmocka_unit_test(one_wins),
		cmocka_unit_test(the_peer_moved_meanwhile),
		cmocka_unit_test(told_late),
		cmocka_unit_test(asked_by_the_oldest_name),
	};

	net = sf_net_default(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
