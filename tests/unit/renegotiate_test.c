// SPDX-License-Identifier: Apache-2.0
/* core/renegotiate: what single messages do to an end; tests/sim has what many do. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/renegotiate.h"

#define SEC  1000000000ull
#define KEY  0x123456789aull
#define HERE 1
#define HOME 2
#define AWAY 3
#define AFAR 4

static const struct sf_hashkey secret = { 1, 2 };
static struct sf_net net;

static struct sf_addr at(__u32 host, __u64 sock)
{
	return sf_locator(&net, host, sock);
}

static struct sf_move_env env_at(__u64 now)
{
	static __u64 drawn = 1000;
	struct sf_move_env env = { .now = now, .key = &secret, .net = &net };

	env.random[0] = ++drawn;
	env.random[1] = ++drawn;
	env.self = sf_sid_make(SF_SSID_HOSTS, 7);
	return env;
}

/* An end at HERE whose peer is at HOME, never renegotiated. */
static struct sf_move end_new(void)
{
	struct sf_flow f = { .state = SF_FLOW_BOUND };
	struct sf_move m;

	f.own = at(HERE, sf_socket_id(KEY, 1));
	f.peer = at(HOME, sf_socket_id(KEY + 1, 1));
	f.peer_host = sf_sid_make(SF_SSID_HOSTS, 8);
	sf_move_init(&m, &f, SEC);
	return m;
}

/* The peer's move number @epoch, to @host, as it says of it to @m. */
static struct sf_move_msg rsyn_from(const struct sf_move *m, __u32 host, __u32 epoch)
{
	struct sf_move_msg in = { .kind = SF_KIND_RSYN, .epoch = epoch, .flags = SF_MOVE_ASK };

	in.src = at(host, sf_socket_id(KEY + 1, (__u8)(1 + epoch)));
	in.dst = m->at;
	in.was = sf_locator_sock(&m->valid);
	in.name = 500 + epoch;
	in.claim = 400;
	in.you = m->own.name;
	in.your_claim = m->own.claim;
	in.len = SF_MOVE_LEN;
	return in;
}

static struct sf_move_out hear(struct sf_move *m, const struct sf_move_msg *in)
{
	struct sf_move_env env = env_at(2 * SEC);
	struct sf_move_out out;

	sf_move_in(m, in, &env, &out);
	return out;
}

/* What is sent to a candidate because of what it sent is not for the next one. */
static void candidates_do_not_inherit(void **state)
{
	struct sf_move m = end_new();
	struct sf_move_msg in = rsyn_from(&m, AWAY, 1);

	hear(&m, &in);
	hear(&m, &in);
	assert_int_equal(m.allow, 2);
	in = rsyn_from(&m, AFAR, 2);
	hear(&m, &in);
	assert_true(sf_locator_same_host(&m.cand, &in.src));
	assert_int_equal(m.allow, 1);
}

static unsigned int sent_to(struct sf_move *m, __u32 host, int times)
{
	struct sf_addr there = at(host, 0);
	unsigned int n = 0;

	for (int i = 0; i < times; i++) {
		struct sf_move_env env = env_at(m->due);
		struct sf_move_out out;

		sf_move_timer(m, &env, &out);
		n += (out.acts & SF_MOVE_SEND) && sf_locator_same_host(&out.msg.dst, &there);
	}
	return n;
}

/* Nor does an end that moves itself send it more than that. */
static void candidates_are_not_bombed(void **state)
{
	struct sf_move m = end_new();
	struct sf_move_env env = env_at(SEC);
	struct sf_move_msg in = rsyn_from(&m, AWAY, 1);
	struct sf_addr there = at(AFAR, 0);
	struct sf_move_out out;

	hear(&m, &in);
	sf_move_start(&m, &there, false, &env, &out);
	assert_int_equal(out.msg.kind, SF_KIND_RSYN);
	assert_true(sf_locator_same_host(&out.msg.dst, &in.src));
	assert_int_equal(m.allow, 0);
	assert_int_equal(sent_to(&m, AWAY, 50), 0);
	assert_int_not_equal(sent_to(&m, HOME, 10), 0);
}

/* Where an attacker lets us ask is somebody who refuses. */
static void candidates_do_not_refuse(void **state)
{
	struct sf_move m = end_new();
	struct sf_move_env env = env_at(SEC);
	struct sf_addr there = at(AFAR, 0), home = m.valid;
	struct sf_move_msg in = rsyn_from(&m, AWAY, 1);
	struct sf_move_out out, refused;
	struct sf_sid peer = m.peer_host, other = sf_sid_make(SF_SSID_HOSTS, 99);

	sf_move_start(&m, &there, false, &env, &out);
	sf_move_failed(&m, SF_HOST_UNREACHABLE, &out.msg, &home, &peer, &refused);
	assert_int_equal(refused.acts, 0);
	sf_move_failed(&m, SF_NO_SUCH_SOCKET, &out.msg, &in.src, &peer, &refused);
	assert_int_equal(refused.acts, 0);
	sf_move_failed(&m, SF_NO_SUCH_SOCKET, &out.msg, &home, &peer, &refused);
	assert_int_equal(refused.acts, SF_MOVE_OVER);
	assert_int_equal(refused.fail, SF_NO_SUCH_SOCKET);
	/* The peer's address is another host's by now. */
	sf_move_failed(&m, SF_NO_SUCH_SOCKET, &out.msg, &home, &other, &refused);
	assert_int_equal(refused.acts, 0);
	/* Out of date: since then the peer has told us its new name. */
	sf_move_failed(&m, SF_SUPERSEDED, &out.msg, &home, &other, &refused);
	assert_int_equal(refused.acts, SF_MOVE_OVER);
	out.msg.you++;
	sf_move_failed(&m, SF_SUPERSEDED, &out.msg, &home, &peer, &refused);
	assert_int_equal(refused.acts, 0);

	in.you = m.acked;
	hear(&m, &in);
	sf_move_failed(&m, SF_NO_SUCH_SOCKET, &out.msg, &in.src, &peer, &refused);
	assert_int_equal(refused.acts, 0);
	sf_move_failed(&m, SF_NO_SUCH_SOCKET, &out.msg, &home, &peer, &refused);
	assert_int_equal(refused.acts, 0);
}

/* A copy of ours may have told the peer what we do not know: then it is we who are stale. */
static void stale_copies_refuse_nobody(void **state)
{
	struct sf_move m = end_new();
	struct sf_move_env env = env_at(SEC);
	struct sf_addr there = at(AFAR, 0);
	struct sf_move_msg in;
	struct sf_move_out out;

	sf_move_start(&m, &there, false, &env, &out);
	in = rsyn_from(&m, AWAY, 3);
	hear(&m, &in);
	in.name = 78; /* a rival: as often moved as the peer that we know */
	in.was = 77;
	out = hear(&m, &in);
	assert_int_equal(out.acts, SF_MOVE_STALE);
	assert_int_equal(out.fail, SF_SUPERSEDED);
	in.epoch++; /* the peer, perhaps, whom a copy of ours has heard meanwhile */
	in.claim++;
	out = hear(&m, &in);
	assert_int_equal(out.acts, SF_MOVE_STALE);
	assert_int_equal(out.fail, SF_NONE);
}

/* A flow that was handed over has another key there, and each place is told its own. */
static void keys_belong_to_places(void **state)
{
	struct sf_move m = end_new();
	struct sf_move_env env = env_at(SEC);
	struct sf_addr there = at(AFAR, 0), home = m.valid, moved = at(AWAY, 0);
	struct sf_addr taken = at(AWAY, sf_socket_id(KEY + 9, 4));
	struct sf_move_msg in = rsyn_from(&m, AWAY, 1), mine;
	struct sf_move_out out;

	sf_move_start(&m, &there, false, &env, &out);
	mine = out.msg;
	sf_move_redirected(&m, &mine, &moved, &env, &out);
	assert_int_equal(sf_locator_sock(&out.msg.dst), sf_locator_sock(&home));
	sf_move_redirected(&m, &mine, &taken, &env, &out);
	assert_true(sf_addr_eq(&out.msg.dst, &taken));

	in.you = m.own.name;
	in.src = taken;
	hear(&m, &in);
	env = env_at(m.cand_since + SF_MOVE_CANDIDATE_NS);
	sf_move_timer(&m, &env, &out);
	assert_true(m.flags & SF_MOVE_EXPIRED);
	there = sf_move_peer(&m);
	assert_true(sf_addr_eq(&there, &home));
}

/* Each view that is taken is answered with a name that copies of us, made before, do not know. */
static void who_is_taken_learns_a_name(void **state)
{
	struct sf_move m = end_new();
	struct sf_move_msg in = rsyn_from(&m, HOME, 1);
	__u64 name = m.own.name;
	struct sf_move_out out;

	out = hear(&m, &in);
	assert_true(m.own.name != name);
	assert_int_equal(out.msg.kind, SF_KIND_RSYN_ACK);
	assert_true(sf_move_is_open(&m));
	name = m.own.name;
	hear(&m, &in);
	assert_true(m.own.name == name);
	/* While the series is open its claim does that; else two that move would draw for ever. */
	in = rsyn_from(&m, HOME, 2);
	in.you = m.acked;
	hear(&m, &in);
	assert_int_equal(m.peer.epoch, 2);
	assert_true(m.own.name == name);
}

/* The peer moved before our last word reached it: it is looked for, and may be pointed to. */
static void the_unconfirmed_look_for_the_peer(void **state)
{
	struct sf_move m = end_new();
	struct sf_move_env env = env_at(SEC);
	struct sf_addr there = at(AFAR, 0), moved = at(AWAY, 0), found;
	struct sf_move_msg in = rsyn_from(&m, HOME, 1);
	struct sf_move_out out;

	sf_move_start(&m, &there, false, &env, &out);
	in.kind = SF_KIND_RSYN_ACK;
	in.you = m.own.name;
	hear(&m, &in);
	assert_string_equal(sf_move_state_name(&m), "unconfirmed");
	for (int i = 0; i <= SF_MOVE_UNRESOLVED; i++) {
		env = env_at(m.due);
		sf_move_timer(&m, &env, &out);
		assert_int_equal(out.msg.kind,
				 i < SF_MOVE_UNRESOLVED ? SF_KIND_RACK : SF_KIND_RSYN);
	}
	found = sf_service_addr(&net, &m.peer_host);
	assert_true(sf_addr_eq(&out.msg.dst, &found));
	in = out.msg;
	sf_move_redirected(&m, &in, &moved, &env, &out);
	assert_int_equal(out.acts, SF_MOVE_SEND);
	assert_true(sf_locator_same_host(&out.msg.dst, &moved));
}

/* Who was handed over and is asked at its new place proves it without a new name. */
static void who_is_validated_names_its_host(void **state)
{
	struct sf_move m = end_new();
	struct sf_move_msg in = rsyn_from(&m, AWAY, 0), answered;
	struct sf_sid host = sf_sid_make(SF_SSID_HOSTS, 9);
	struct sf_move_out out;

	in.name = in.was = m.peer.name;
	in.src = at(AWAY, sf_locator_sock(&m.valid));
	in.host = host;
	out = hear(&m, &in);
	answered = out.msg;
	assert_int_equal(answered.kind, SF_KIND_RSYN_ACK);
	assert_int_not_equal(answered.challenge, 0);
	assert_false(sf_sid_eq(&m.peer_host, &host));
	in.echo = answered.challenge;
	hear(&m, &in);
	assert_true(sf_addr_eq(&m.valid, &in.src));
	assert_true(sf_sid_eq(&m.peer_host, &host));
}

/* A candidate that asks nothing is settled, perhaps with a copy of ours: it is looked for. */
static void silent_candidates_are_looked_for(void **state)
{
	struct sf_move m = end_new();
	struct sf_move_msg in = rsyn_from(&m, AWAY, 1);
	struct sf_addr host;
	unsigned int asked = 0;

	m.peer_host = sf_sid_make(SF_SSID_HOSTS, 8);
	host = sf_service_addr(&net, &m.peer_host);
	hear(&m, &in);
	for (int i = 0; i < 8; i++) {
		struct sf_move_env env = env_at(m.due);
		struct sf_move_out out;

		sf_move_timer(&m, &env, &out);
		if ((out.acts & SF_MOVE_SEND) && sf_addr_eq(&out.msg.dst, &host)) {
			assert_int_equal(out.msg.kind, SF_KIND_RSYN);
			asked++;
		}
	}
	assert_int_equal(asked, 3);
}

/* The peer has validated a place of ours, but not the one where we are: somebody made it so. */
static void places_are_confirmed_one_by_one(void **state)
{
	struct sf_move m = end_new();
	struct sf_move_env env = env_at(SEC);
	struct sf_addr there = at(AFAR, 0);
	struct sf_move_msg in = rsyn_from(&m, HOME, 1);
	struct sf_move_out out;

	sf_move_start(&m, &there, false, &env, &out);
	in.kind = SF_KIND_RSYN_ACK;
	in.you = m.own.name;
	in.flags = SF_MOVE_VALID;
	hear(&m, &in);
	assert_false(sf_move_is_settled(&m));
	in.dst = m.at;
	hear(&m, &in);
	assert_true(sf_move_is_settled(&m));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(candidates_do_not_inherit),
		cmocka_unit_test(candidates_are_not_bombed),
		cmocka_unit_test(candidates_do_not_refuse),
		cmocka_unit_test(stale_copies_refuse_nobody),
		cmocka_unit_test(keys_belong_to_places),
		cmocka_unit_test(who_is_taken_learns_a_name),
		cmocka_unit_test(the_unconfirmed_look_for_the_peer),
		cmocka_unit_test(who_is_validated_names_its_host),
		cmocka_unit_test(places_are_confirmed_one_by_one),
		cmocka_unit_test(silent_candidates_are_looked_for),
	};

	net = sf_net_default(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
