// SPDX-License-Identifier: Apache-2.0
/*
 * host_life_test.c - where flows are kept and for how long: keys and incarnations, what two tuples
 * do that want one key, and who frees what is over (docs/protocol.md, "A flow's life").
 */
#include "tests/bpf/host.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>
#include <cmocka.h>

static struct packet p;

/* A segment from one end's socket to the other's, with these numbers. */
static void carry(struct talk *t, bool from_a, uint8_t flags, uint32_t seq, uint32_t ack)
{
	struct segment s = from_a ? talk_from_a(t, flags, 0) : talk_from_b(t, flags, 0);

	s.seq = seq;
	s.ack = ack;
	host_sends(from_a ? &a : &b, &p, &s);
	assert_int_equal(host_in(from_a ? &b : &a, &p), VERDICT_UP);
}

/* A closes first; the numbers are those of a connection in which nothing was said. */
static void close_by_a(struct talk *t)
{
	const uint32_t at_a = t->isn + 1, at_b = t->server_isn + 1;

	carry(t, true, SF_TCP_FIN | SF_TCP_ACK, at_a, at_b);
	carry(t, false, SF_TCP_ACK, at_b, at_a + 1);
	carry(t, false, SF_TCP_FIN | SF_TCP_ACK, at_b, at_a + 1);
	carry(t, true, SF_TCP_ACK, at_a + 1, at_b + 1);
}

static struct sf_listener listener(void)
{
	struct sf_listener_key k = {
		.host = b.cfg.cookie, .addr = service, .port = htons(PORT), .proto = IPPROTO_TCP
	};
	struct sf_listener l = { 0 };

	assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(b.skel->maps.listeners), &k, &l), 0);
	return l;
}

static void passive_end_forgets_at_once(void **state)
{
	struct sf_flow f;
	struct talk t;

	talk_start(&t);
	close_by_a(&t);
	assert_int_equal(host_flows(&b, NULL), 0);
	/* What it carried is kept for its service. SYN, SYN-ACK, ACK, data, four to close. */
	assert_true(listener().packets >= 8);
	assert_true(listener().bytes >= 8 * 60);
	/* A's socket is in TIME_WAIT, and speaks when B's FIN is repeated. */
	assert_true(host_flow(&a, sf_locator_sock(&t.client), false, &f));
	assert_int_equal(f.state, SF_FLOW_CLOSING);
	assert_true(f.flags & SF_FLOW_OVER);
}

static void last_acknowledgement_lost(void **state)
{
	struct segment s;
	struct talk t;

	talk_start(&t);
	carry(&t, true, SF_TCP_FIN | SF_TCP_ACK, t.isn + 1, t.server_isn + 1);
	carry(&t, false, SF_TCP_FIN | SF_TCP_ACK, t.server_isn + 1, t.isn + 2);
	s = talk_from_a(&t, SF_TCP_ACK, 0);
	s.seq = t.isn + 2;
	s.ack = t.server_isn + 2;
	host_sends(&a, &p, &s); /* and lost */
	assert_int_equal(host_flows(&b, NULL), 1);
	carry(&t, false, SF_TCP_FIN | SF_TCP_ACK, t.server_isn + 1, t.isn + 2);
	carry(&t, true, SF_TCP_ACK, t.isn + 2, t.server_isn + 2);
	assert_int_equal(host_flows(&b, NULL), 0);
}

/* The @i-th connection from a port of its own, closed. Return: A's socketID. */
static uint64_t open_and_close(uint16_t i)
{
	struct talk t;

	talk_init(&t);
	t.sport = (uint16_t)(CLIENT + i);
	t.isn += 1000u * i;
	talk_open(&t);
	close_by_a(&t);
	assert_int_equal(host_flows(&b, NULL), 0);
	return sf_locator_sock(&t.client);
}

/* Those in TIME_WAIT are bounded in number; nothing but new flows is needed to free them. Who finds
 * no room does not wait, unless others have waited long enough. */
static void closed_flows_make_room(void **state)
{
	uint64_t first = 0, last = 0;
	struct sf_flow f;

	for (uint16_t i = 0; i < 3 * CLOSED; i++) {
		last = open_and_close(i);
		first = i ? first : last;
		assert_in_range(host_flows(&a, NULL), 1, CLOSED);
	}
	assert_int_equal(host_flows(&a, NULL), CLOSED);
	assert_true(host_flow(&a, first, false, &f));
	assert_false(host_flow(&a, last, false, &f));
	sleep(2);
	last = open_and_close(3 * CLOSED);
	assert_int_equal(host_flows(&a, NULL), CLOSED);
	assert_false(host_flow(&a, first, false, &f));
	assert_true(host_flow(&a, last, false, &f));
	assert_int_equal(host_drops(&a) + host_drops(&b), 0);
}

static void reset_frees(void **state)
{
	struct sf_flow f;
	struct talk t;

	talk_start(&t);
	carry(&t, true, SF_TCP_RST | SF_TCP_ACK, t.isn + 1, t.server_isn + 1);
	assert_true(host_flow(&a, sf_locator_sock(&t.client), false, &f));
	assert_true(f.flags & SF_FLOW_OVER);
	/* Whether B's socket took it, its kernel knows, and is asked when room is needed. */
	assert_true(host_flow(&b, sf_locator_sock(&t.server), false, &f));
	assert_true(f.flags & SF_FLOW_OVER);
	for (uint16_t i = 1; i <= CLOSED; i++) {
		talk_init(&t);
		t.sport = (uint16_t)(CLIENT + i);
		talk_open(&t);
		carry(&t, true, SF_TCP_RST | SF_TCP_ACK, t.isn + 1, t.server_isn + 1);
	}
	assert_int_equal(host_flows(&a, NULL), CLOSED);
	assert_int_equal(host_flows(&b, NULL), CLOSED);
}

/* Put a stranger's flow at the @other-th choice of @t's key. */
static uint64_t occupy(struct host *h, const struct sf_tuple *t, bool other)
{
	uint64_t key = sf_flow_key(sf_flow_hash(&h->cfg.key, t), other);
	struct sf_flow f = { .state = SF_FLOW_BOUND };

	f.own = sf_locator(&h->cfg.net, h->cfg.host, sf_socket_id(key, 77));
	f.tuple.proto = IPPROTO_TCP;
	f.tuple.lport = htons(1);
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(h->skel->maps.flows), &key, &f, BPF_ANY),
			 0);
	return key;
}

static struct sf_tuple tuple_of(const struct sf_addr *local, uint16_t lport,
				const struct sf_addr *peer, uint16_t pport)
{
	return (struct sf_tuple){ .local = *local,
				  .peer = *peer,
				  .lport = htons(lport),
				  .pport = htons(pport),
				  .proto = IPPROTO_TCP };
}

static void flows_with_one_key_get_along(void **state)
{
	struct sf_tuple at_a, at_b;
	uint64_t keys[2];
	struct talk t;

	talk_init(&t);
	at_a = tuple_of(&t.local, t.sport, &t.peer, t.dport);
	at_b = tuple_of(&t.peer, t.dport, &t.local, t.sport);
	keys[0] = occupy(&a, &at_a, false);
	keys[1] = occupy(&b, &at_b, false);
	talk_open(&t);
	assert_int_not_equal(sf_socket_key(sf_locator_sock(&t.client)), keys[0]);
	assert_int_not_equal(sf_socket_key(sf_locator_sock(&t.server)), keys[1]);
	carry(&t, true, SF_TCP_ACK, t.isn + 1, t.server_isn + 1);
	carry(&t, false, SF_TCP_ACK, t.server_isn + 1, t.isn + 1);
	/* The strangers leave: the flow stays where it is. */
	bpf_map_delete_elem(bpf_map__fd(a.skel->maps.flows), &keys[0]);
	bpf_map_delete_elem(bpf_map__fd(b.skel->maps.flows), &keys[1]);
	carry(&t, true, SF_TCP_ACK, t.isn + 1, t.server_isn + 1);
	carry(&t, false, SF_TCP_ACK, t.server_isn + 1, t.isn + 1);
	close_by_a(&t);
	assert_int_equal(host_flows(&b, NULL), 0);
}

static void both_choices_taken_is_told(void **state)
{
	struct sf_tuple at_a;
	struct segment s;
	struct talk t;

	talk_init(&t);
	at_a = tuple_of(&t.local, t.sport, &t.peer, t.dport);
	occupy(&a, &at_a, false);
	occupy(&a, &at_a, true);
	s = talk_from_a(&t, SF_TCP_SYN, 0);
	packet_tcp(&p, &s);
	assert_int_equal(host_out(&a, &p), DROPPED);
	assert_int_equal(host_count(&a, SF_ID_CLASH), 1);
}

/* A port is used again: what is still on its way to the earlier flow finds nobody. */
static void earlier_incarnation_is_nobody(void **state)
{
	struct segment s;
	struct sf_addr was;
	struct talk t;

	talk_start(&t);
	was = t.client;
	t.isn += 5000;
	talk_syn(&t, &p);
	assert_int_equal(sf_socket_key(sf_locator_sock(&t.client)),
			 sf_socket_key(sf_locator_sock(&was)));
	assert_int_not_equal(sf_locator_sock(&t.client), sf_locator_sock(&was));
	s = talk_from_b(&t, SF_TCP_ACK, 100);
	s.src = t.server;
	s.dst = was;
	packet_tcp(&p, &s);
	assert_int_equal(host_in(&a, &p), REDIRECTED);
	assert_int_equal(host_count(&a, SF_UNKNOWN_SOCKET), 1);
	/* And what the server's end says to the one that connects makes it learn the truth. */
	s.dst = t.client;
	packet_tcp(&p, &s);
	assert_int_equal(host_in(&a, &p), REDIRECTED);
	assert_int_equal(host_count(&a, SF_WRONG_STATE), 1);
}

/* A flow that gives way to a new one on its ports has carried what it has carried. */
static void totals_never_fall(void **state)
{
	uint64_t before;
	struct talk t;

	talk_start(&t);
	carry(&t, true, SF_TCP_FIN | SF_TCP_ACK, t.isn + 1, t.server_isn + 1);
	carry(&t, false, SF_TCP_FIN | SF_TCP_ACK, t.server_isn + 1, t.isn + 2);
	assert_int_equal(listener().packets, 0);
	t.isn += 5000;
	talk_syn(&t, &p);
	talk_syn_in(&t, &p);
	before = listener().packets;
	assert_true(before >= 5);
	talk_syn_ack(&t, &p);
	talk_bind(&t, &p);
	talk_ack(&t, &p);
	talk_promote(&t, &p);
	assert_int_equal(listener().packets, before);
}

/* A connection of the kernel's, as B's local stack sees @t's, made without a packet. */
static int connection(const struct talk *t)
{
	struct sockaddr_in6 local = { .sin6_family = AF_INET6, .sin6_port = htons(t->dport) };
	struct sockaddr_in6 peer = { .sin6_family = AF_INET6, .sin6_port = htons(t->sport) };
	int fd = socket(AF_INET6, SOCK_STREAM, 0), one = 1;

	memcpy(&local.sin6_addr, &t->peer, 16);
	memcpy(&peer.sin6_addr, &t->seen, 16);
	/* It wants a route, in this namespace of the test's own. */
	assert_int_equal(system("ip link set lo up && ip -6 route replace local fd5e::/16 dev lo"),
			 0);
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_IPV6, IPV6_FREEBIND, &one, sizeof(one)), 0);
	assert_int_equal(setsockopt(fd, SOL_TCP, TCP_REPAIR, &one, sizeof(one)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&local, sizeof(local)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&peer, sizeof(peer)), 0);
	return fd;
}

/* A handshake ACK that was long on its way, of an earlier flow on the same ports. */
static void old_ack_takes_no_living_connection(void **state)
{
	static struct packet old;
	struct sf_flow f, g;
	struct talk t;
	int fd;

	talk_ask(&t, &p);
	talk_syn_ack(&t, &p);
	talk_bind(&t, &p);
	talk_ack(&t, &p);
	old = p;
	talk_promote(&t, &p);
	close_by_a(&t);
	t.isn += 5000;
	talk_open(&t);
	assert_true(host_flow(&b, sf_locator_sock(&t.server), false, &f));
	fd = connection(&t);
	assert_int_equal(host_in(&b, &old), DROPPED);
	assert_int_equal(host_count(&b, SF_UNKNOWN_SOCKET), 1);
	assert_true(host_flow(&b, sf_locator_sock(&t.server), false, &g));
	assert_memory_equal(&f.peer, &g.peer, 16);
	close(fd);
}

static void syn_with_data_is_answered_as_a_whole(void **state)
{
	struct segment s;
	struct parsed q;
	struct sf_flow f;
	struct talk t;

	talk_init(&t);
	s = talk_from_a(&t, SF_TCP_SYN, 100); /* TCP Fast Open */
	packet_tcp(&p, &s);
	assert_int_equal(host_out(&a, &p), VERDICT_UP);
	packet_parse(&p, &q);
	t.client = q.src;
	talk_syn_in(&t, &p);
	s = talk_from_b(&t, SF_TCP_SYN | SF_TCP_ACK, 0);
	s.ack += 100;
	host_sends(&b, &p, &s);
	assert_int_equal(host_in(&a, &p), VERDICT_UP);
	assert_true(host_flow(&a, sf_locator_sock(&t.client), false, &f));
	assert_int_equal(f.state, SF_FLOW_OPENING);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, host_clear)
	const struct CMUnitTest tests[] = {
		T(passive_end_forgets_at_once),
		T(last_acknowledgement_lost),
		T(closed_flows_make_room),
		T(reset_frees),
		T(flows_with_one_key_get_along),
		T(both_choices_taken_is_told),
		T(earlier_incarnation_is_nobody),
		T(totals_never_fall),
		T(old_ack_takes_no_living_connection),
		T(syn_with_data_is_answered_as_a_whole),
	};
	int skip = host_privileged();

	return skip ? skip : cmocka_run_group_tests(tests, host_group_setup, host_group_teardown);
}
