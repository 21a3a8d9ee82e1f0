// SPDX-License-Identifier: Apache-2.0
/*
 * host_tcp_test.c - TCP through both ends of the host datapath: from the SYN to the last FIN, and
 * what a connection must survive on its way.
 */
#include "tests/bpf/host.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <bpf/bpf.h>
#include <cmocka.h>

#include "util/bpf.h"

static struct packet p, copy;

static struct sf_flow flow_at(struct host *h, const struct sf_addr *locator, bool half)
{
	struct sf_flow f;

	assert_true(host_flow(h, sf_locator_sock(locator), half, &f));
	return f;
}

/* Carries a segment of A's socket to B's and asserts that it arrives without a header. */
static void a_to_b(struct talk *t, uint8_t flags, uint32_t payload)
{
	struct segment s = talk_from_a(t, flags, payload);
	struct parsed q;

	host_sends(&a, &p, &s);
	packet_parse(&p, &q);
	assert_null(q.hdr);
	assert_true(q.csum_ok);
	assert_memory_equal(&q.src, &t->client, 16);
	assert_memory_equal(&q.dst, &t->server, 16);
	assert_int_equal(host_in(&b, &p), VERDICT_UP);
	packet_parse(&p, &q);
	assert_true(q.csum_ok);
	assert_memory_equal(&q.src, &t->seen, 16);
	assert_memory_equal(&q.dst, &t->peer, 16);
	assert_int_equal(q.payload_len, payload);
}

static void b_to_a(struct talk *t, uint8_t flags, uint32_t payload)
{
	struct segment s = talk_from_b(t, flags, payload);
	struct parsed q;

	host_sends(&b, &p, &s);
	packet_parse(&p, &q);
	assert_null(q.hdr);
	assert_int_equal(host_in(&a, &p), VERDICT_UP);
	packet_parse(&p, &q);
	assert_true(q.csum_ok);
	assert_memory_equal(&q.src, &t->peer, 16);
	assert_memory_equal(&q.dst, &t->local, 16);
}

static void handshake_binds_late(void **state)
{
	struct sf_sid host = sf_addr_sid(&b.cfg.self);
	struct sf_flow f;
	struct talk t;
	uint32_t half;

	talk_init(&t);
	talk_syn(&t, &p);
	f = flow_at(&a, &t.client, false);
	assert_int_equal(f.state, SF_FLOW_CONNECTING);
	talk_syn_in(&t, &p);
	assert_memory_equal(&t.seen, &a.cfg.self, 16);
	talk_syn_ack(&t, &p);
	f = flow_at(&b, &t.server, true);
	assert_int_equal(f.state, SF_FLOW_HALF_OPEN);
	talk_bind(&t, &p);
	f = flow_at(&a, &t.client, false);
	assert_int_equal(f.state, SF_FLOW_OPENING);
	assert_memory_equal(&f.peer, &t.server, 16);
	assert_memory_equal(&f.peer_host, &host, 12);
	talk_ack(&t, &p);
	talk_promote(&t, &p);
	f = flow_at(&b, &t.server, false);
	assert_int_equal(f.state, SF_FLOW_BOUND);
	host_flows(&b, &half);
	assert_int_equal(half, 0);
	b_to_a(&t, SF_TCP_ACK, 100);
	f = flow_at(&a, &t.client, false);
	assert_int_equal(f.state, SF_FLOW_BOUND);
	a_to_b(&t, SF_TCP_ACK, 500);
	a_to_b(&t, SF_TCP_ACK, 0);
	f = flow_at(&a, &t.client, false);
	assert_int_equal(f.tx_packets, 4);
	assert_int_equal(f.rx_packets, 2);
	assert_int_equal(host_drops(&a) + host_drops(&b), 0);
}

static void ack_header_until_the_peer_is_heard(void **state)
{
	struct segment s;
	struct parsed q;
	struct talk t;

	talk_answer(&t, &p);
	copy = p;
	talk_bind(&t, &p);
	talk_ack(&t, &p);
	talk_ack(&t, &p); /* a second one has it too */
	/* A full segment goes without, and makes the flow bound at B all the same. */
	s = talk_from_a(&t, SF_TCP_ACK, 1000);
	host_sends(&a, &p, &s);
	packet_parse(&p, &q);
	assert_null(q.hdr);
	assert_int_equal(host_in(&b, &p), VERDICT_UP);
	assert_int_equal(flow_at(&b, &t.server, false).state, SF_FLOW_BOUND);
	/* A repeated SYN-ACK does not show that the peer has our ACK. */
	talk_bind(&t, &copy);
	talk_ack(&t, &p);
	b_to_a(&t, SF_TCP_ACK, 0);
	a_to_b(&t, SF_TCP_ACK, 0);
	assert_int_equal(host_drops(&a) + host_drops(&b), 0);
}

static void whole_gso_segment_is_translated(void **state)
{
	struct segment s;
	struct parsed q;
	struct talk t;

	talk_start(&t);
	s = talk_from_a(&t, SF_TCP_ACK, 65000 - 20);
	/* Test runs take a page at most as linear data; the rest is in fragments. */
	s.payload = 3000;
	packet_tcp(&p, &s);
	assert_int_equal(host_out_gso(&a, &p, 3, 1400), VERDICT_UP);
	packet_parse(&p, &q);
	assert_null(q.hdr);
	assert_true(q.csum_ok);
	assert_int_equal(flow_at(&a, &t.client, false).tx_packets, 2 + 3);
}

static void syn_repeated_raises_attempt(void **state)
{
	struct parsed q;
	struct talk t;
	struct sf_addr first;

	talk_init(&t);
	talk_syn(&t, &p);
	first = t.client;
	packet_parse(&p, &q);
	assert_int_equal(ntohs(q.hdr->aux), 0);
	talk_syn(&t, &p);
	packet_parse(&p, &q);
	assert_int_equal(ntohs(q.hdr->aux), 1);
	assert_memory_equal(&t.client, &first, 16);
	talk_syn(&t, &p);
	packet_parse(&p, &q);
	assert_int_equal(ntohs(q.hdr->aux), 2);
}

static void syn_of_a_reused_port_is_a_new_flow(void **state)
{
	struct sf_addr first;
	struct sf_flow f;
	struct talk t;

	talk_start(&t);
	first = t.client;
	t.isn += 100000;
	talk_syn(&t, &p);
	assert_memory_not_equal(&t.client, &first, 16);
	assert_false(host_flow(&a, sf_locator_sock(&first), false, &f));
	assert_int_equal(host_flows(&a, NULL), 1);
}

static void syn_after_an_unheard_answer_asks_again(void **state)
{
	struct sf_addr server;
	struct parsed q;
	struct talk t;

	talk_answer(&t, &p);
	talk_bind(&t, &p);
	server = t.server;
	/* The kernel did not take the SYN-ACK, and repeats its SYN. */
	talk_syn(&t, &p);
	packet_parse(&p, &q);
	assert_int_equal(ntohs(q.hdr->aux), 0);
	talk_syn_in(&t, &p);
	talk_syn_ack(&t, &p);
	assert_memory_equal(&t.server, &server, 16);
	talk_bind(&t, &p);
	talk_ack(&t, &p);
	talk_promote(&t, &p);
}

static void syn_duplicates_make_one_flow(void **state)
{
	struct talk t;
	uint32_t half;

	talk_init(&t);
	talk_syn(&t, &p);
	copy = p;
	talk_syn_in(&t, &p);
	p = copy;
	talk_syn_in(&t, &p);
	host_flows(&b, &half);
	assert_int_equal(half, 1);
	talk_syn_ack(&t, &p);
	talk_bind(&t, &p);
	talk_ack(&t, &p);
	talk_promote(&t, &p);
	/* And one that was long on its way: the kernel sees it on the same connection. */
	p = copy;
	talk_syn_in(&t, &p);
	host_flows(&b, &half);
	assert_int_equal(half, 0);
	assert_int_equal(host_flows(&b, NULL), 1);
	/* One with another number uses the port again: the kernel judges, the flow stays. */
	p = copy;
	p.b[ETH + 40 + 32 + 4] ^= 1;
	packet_resolve(&p, &b.cfg.own);
	assert_int_equal(host_in(&b, &p), VERDICT_UP);
	assert_int_equal(host_flows(&b, &half), 1);
	assert_int_equal(half, 1);
}

static void fin_both_ways_and_rst_close(void **state)
{
	struct talk t;

	talk_start(&t);
	a_to_b(&t, SF_TCP_FIN | SF_TCP_ACK, 0);
	assert_int_equal(flow_at(&a, &t.client, false).state, SF_FLOW_BOUND);
	b_to_a(&t, SF_TCP_FIN | SF_TCP_ACK, 0);
	assert_int_equal(flow_at(&a, &t.client, false).state, SF_FLOW_CLOSING);
	assert_int_equal(flow_at(&b, &t.server, false).state, SF_FLOW_CLOSING);
	a_to_b(&t, SF_TCP_ACK, 0);
	/* Entries stay: TIME_WAIT still speaks. */
	assert_int_equal(host_flows(&a, NULL), 1);

	host_clear(NULL);
	talk_start(&t);
	b_to_a(&t, SF_TCP_RST | SF_TCP_ACK, 0);
	assert_int_equal(flow_at(&a, &t.client, false).state, SF_FLOW_CLOSING);
	assert_int_equal(flow_at(&b, &t.server, false).state, SF_FLOW_CLOSING);
}

static void simultaneous_close(void **state)
{
	struct segment s, r;
	struct talk t;

	talk_start(&t);
	s = talk_from_a(&t, SF_TCP_FIN | SF_TCP_ACK, 0);
	r = talk_from_b(&t, SF_TCP_FIN | SF_TCP_ACK, 0);
	packet_tcp(&p, &s);
	packet_tcp(&copy, &r);
	assert_int_equal(host_out(&a, &p), VERDICT_UP);
	assert_int_equal(host_out(&b, &copy), VERDICT_UP);
	assert_int_equal(host_in(&a, &copy), VERDICT_UP);
	assert_int_equal(host_in(&b, &p), VERDICT_UP);
	assert_int_equal(flow_at(&a, &t.client, false).state, SF_FLOW_CLOSING);
	assert_int_equal(flow_at(&b, &t.server, false).state, SF_FLOW_CLOSING);
	a_to_b(&t, SF_TCP_ACK, 0);
	b_to_a(&t, SF_TCP_ACK, 0);
}

static void half_open_lost_is_rebuilt_by_the_ack(void **state)
{
	struct sf_flow f;
	struct talk t;
	uint64_t key;

	talk_answer(&t, &p);
	key = sf_socket_key(sf_locator_sock(&t.server));
	talk_bind(&t, &p);
	bpf_map_delete_elem(bpf_map__fd(b.skel->maps.halfopen), &key);
	talk_ack(&t, &p);
	copy = p;
	talk_promote(&t, &p);
	f = flow_at(&b, &t.server, false);
	assert_int_equal(f.state, SF_FLOW_BOUND);
	assert_int_equal(f.isn, t.isn);
	b_to_a(&t, SF_TCP_ACK, 100);
	a_to_b(&t, SF_TCP_ACK, 100);

	/* An ACK whose destination is not the hash of what it says rebuilds nothing. */
	host_clear(NULL);
	p = copy;
	p.b[ETH + 39] ^= 1;
	assert_int_equal(host_in(&b, &p), DROPPED);
	assert_int_equal(host_count(&b, SF_UNKNOWN_SOCKET), 1);
	assert_int_equal(host_flows(&b, NULL), 0);
	/* Nor does one for what nobody serves any more, or not now. */
	host_listener(&b, &service, IPPROTO_TCP, PORT, SF_LISTENER_DENIED);
	p = copy;
	assert_int_equal(host_in(&b, &p), DROPPED);
	host_listener(&b, &service, IPPROTO_TCP, PORT, 0);
	p = copy;
	assert_int_equal(host_in(&b, &p), DROPPED);
	assert_int_equal(host_count(&b, SF_NOT_REGISTERED), 2);
	assert_int_equal(host_flows(&b, NULL), 0);
}

static void half_open_lost_is_not_failed(void **state)
{
	struct {
		uint64_t start, now, before;
	} pressure;
	struct segment s;
	struct talk t;
	uint32_t zero = 0;
	uint64_t key;

	talk_answer(&t, &p);
	talk_bind(&t, &p);
	key = sf_socket_key(sf_locator_sock(&t.server));
	/* As after a flood of SYNs within the last minutes. */
	bpf_map_delete_elem(bpf_map__fd(b.skel->maps.halfopen), &key);
	assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(b.skel->maps.pressure), &zero, &pressure),
			 0);
	assert_int_equal(pressure.now, 1);
	pressure.now = 2000;
	bpf_map_update_elem(bpf_map__fd(b.skel->maps.pressure), &zero, &pressure, BPF_ANY);
	s = talk_from_a(&t, SF_TCP_ACK, 1000);
	host_sends(&a, &p, &s);
	assert_int_equal(host_in(&b, &p), DROPPED);
	assert_int_equal(host_count(&b, SF_HALF_OPEN_LOST), 1);
	assert_int_equal(host_traffic(&b, SF_TRAFFIC_FAIL_SENT), 0);
	/* The kernel's SYN-ACK, repeated, has nowhere to go. */
	s = talk_from_b(&t, SF_TCP_SYN | SF_TCP_ACK, 0);
	packet_tcp(&p, &s);
	assert_int_equal(host_out(&b, &p), DROPPED);
	assert_int_equal(host_count(&b, SF_HALF_OPEN_LOST), 2);
}

static void listener_gone_before_its_syn_ack(void **state)
{
	struct segment s;
	struct talk t;

	talk_ask(&t, &p);
	s = talk_from_b(&t, SF_TCP_RST | SF_TCP_ACK, 0);
	packet_tcp(&p, &s);
	assert_int_equal(host_out(&b, &p), DROPPED);
	assert_int_equal(host_count(&b, SF_ABANDONED_RST), 1);
	/* Once it answered, its reset counts. */
	talk_syn_ack(&t, &p);
	host_sends(&b, &p, &s);
}

static void anonymous_program_is_shown_by_its_locator(void **state)
{
	struct parsed q;
	struct talk t;

	talk_init(&t);
	t.local = sf_locator(&a.cfg.net, a.cfg.host, 1); /* bound to the plain address */
	talk_syn(&t, &p);
	packet_parse(&p, &q);
	assert_true(sf_sid_is_zero(&q.hdr->src));
	talk_syn_in(&t, &p);
	assert_memory_equal(&t.seen, &t.client, 16);
	talk_syn_ack(&t, &p);
	talk_bind(&t, &p);
	talk_ack(&t, &p);
	talk_promote(&t, &p);
	b_to_a(&t, SF_TCP_ACK, 100);
	a_to_b(&t, SF_TCP_ACK, 100);
}

/* A SYN from another host that claims what t's client claims. */
static void other_claims(struct talk *t, uint32_t host, struct sf_addr *seen)
{
	struct segment s = talk_from_a(t, SF_TCP_SYN, 0);
	struct parsed q;

	s.src = sf_locator(&a.cfg.net, host, 0xabcdef012345);
	packet_tcp(&p, &s);
	packet_push(&p, SF_KIND_SYN, 0, &service_sid, &user_sid);
	packet_resolve(&p, &b.cfg.own);
	assert_int_equal(host_in(&b, &p), VERDICT_UP);
	packet_parse(&p, &q);
	assert_true(q.csum_ok);
	*seen = q.src;
}

static void peers_that_look_alike_are_told_apart(void **state)
{
	struct sf_addr seen, other = sf_locator(&a.cfg.net, 0x10003, 0xabcdef012345);
	struct talk t;

	/* Another host while the first is half open, then bound. */
	talk_ask(&t, &p);
	other_claims(&t, 0x10003, &seen);
	assert_memory_equal(&seen, &other, 16);
	talk_syn_ack(&t, &p);
	talk_bind(&t, &p);
	talk_ack(&t, &p);
	talk_promote(&t, &p);
	other_claims(&t, 0x10003, &seen);
	assert_memory_equal(&seen, &other, 16);
	b_to_a(&t, SF_TCP_ACK, 10);
	/* The same host may have reused its port: the kernel decides. */
	other_claims(&t, a.cfg.host, &seen);
	assert_memory_equal(&seen, &t.seen, 16);
}

static void reset_flow_gives_way_to_anybody(void **state)
{
	struct sf_addr seen;
	struct talk t;

	talk_start(&t);
	b_to_a(&t, SF_TCP_RST, 0);
	other_claims(&t, 0x10003, &seen);
	assert_memory_equal(&seen, &t.seen, 16);
	assert_int_equal(host_flows(&b, NULL), 0);
}

/* Two instances answer at once, on two CPUs: the second finds the flow taken before it is written.
 */
static void second_of_two_answers_does_not_bind(void **state)
{
	struct sf_flow f;
	struct talk t;

	talk_init(&t);
	talk_syn(&t, &p);
	f = flow_at(&a, &t.client, false);
	f.epoch = 1;
	host_flow_set(&a, &f);
	talk_syn_in(&t, &p);
	talk_syn_ack(&t, &p);
	assert_int_equal(host_in(&a, &p), REDIRECTED);
	assert_int_equal(host_count(&a, SF_WRONG_PEER), 1);
	assert_int_equal(flow_at(&a, &t.client, false).state, SF_FLOW_CONNECTING);
}

/* An answer to our own identity would never leave this host: lo has the address. */
static void opener_on_the_same_host_is_shown_by_its_locator(void **state)
{
	struct sf_addr locator = sf_locator(&b.cfg.net, b.cfg.host, 0xabcdef012345);
	struct sf_sid self = sf_addr_sid(&b.cfg.self);
	struct segment s;
	struct parsed q;
	struct talk t;

	talk_init(&t);
	s = talk_from_a(&t, SF_TCP_SYN, 0);
	s.src = locator;
	packet_tcp(&p, &s);
	packet_push(&p, SF_KIND_SYN, 0, &service_sid, &self);
	packet_resolve(&p, &b.cfg.own);
	assert_int_equal(host_in(&b, &p), VERDICT_UP);
	packet_parse(&p, &q);
	assert_memory_equal(&q.src, &locator, 16);
	assert_true(q.csum_ok);
}

static void port_reused_by_the_same_host(void **state)
{
	struct talk t;

	talk_start(&t);
	a_to_b(&t, SF_TCP_FIN | SF_TCP_ACK, 0);
	b_to_a(&t, SF_TCP_FIN | SF_TCP_ACK, 0);
	t.isn += 1000000;
	t.server_isn += 1000000;
	talk_open(&t);
	assert_memory_equal(&t.seen, &a.cfg.self, 16);
	a_to_b(&t, SF_TCP_ACK, 10);
	b_to_a(&t, SF_TCP_ACK, 10);
	assert_int_equal(host_flows(&b, NULL), 1);
}

static void flows_full_loses_nothing_established(void **state)
{
	struct sf_flow f;
	struct segment s;
	struct talk t, u;

	talk_start(&t);
	for (uint64_t i = 0; i < 64; i++) {
		memset(&f, 0, sizeof(f));
		bpf_map_update_elem(bpf_map__fd(a.skel->maps.flows), &i, &f, BPF_NOEXIST);
		bpf_map_update_elem(bpf_map__fd(b.skel->maps.flows), &i, &f, BPF_NOEXIST);
	}
	talk_init(&u);
	u.sport++;
	s = talk_from_a(&u, SF_TCP_SYN, 0);
	packet_tcp(&p, &s);
	assert_int_equal(host_out(&a, &p), DROPPED);
	assert_int_equal(host_count(&a, SF_FLOWS_FULL), 1);
	a_to_b(&t, SF_TCP_ACK, 10);
	b_to_a(&t, SF_TCP_ACK, 10);
	/* An opener with room meets a server without. */
	for (uint64_t i = 0; i < 64; i++)
		bpf_map_delete_elem(bpf_map__fd(a.skel->maps.flows), &i);
	talk_syn(&u, &p);
	talk_syn_in(&u, &p);
	talk_syn_ack(&u, &p);
	talk_bind(&u, &p);
	talk_ack(&u, &p);
	assert_int_equal(host_in(&b, &p), DROPPED);
	assert_int_equal(host_count(&b, SF_FLOWS_FULL), 1);
	b_to_a(&t, SF_TCP_ACK, 10);
}

static void stray_segment_resets_its_socket(void **state)
{
	struct segment s;
	struct parsed q;
	struct talk t;

	talk_init(&t);
	s = talk_from_a(&t, SF_TCP_ACK | SF_TCP_PSH, 100);
	packet_tcp(&p, &s);
	assert_int_equal(host_out(&a, &p), REDIRECTED);
	packet_parse(&p, &q);
	assert_true(q.csum_ok);
	assert_true(q.tcp->rst);
	assert_memory_equal(&q.src, &t.peer, 16);
	assert_memory_equal(&q.dst, &t.local, 16);
	assert_int_equal(ntohs(q.tcp->dest), t.sport);
	assert_int_equal(ntohl(q.tcp->seq), s.ack);
	assert_int_equal(host_count(&a, SF_NO_FLOW), 1);
	/* TIME_WAIT's ACK does not. */
	s = talk_from_a(&t, SF_TCP_ACK, 0);
	packet_tcp(&p, &s);
	assert_int_equal(host_out(&a, &p), DROPPED);
	assert_int_equal(host_count(&a, SF_NO_FLOW), 2);
}

static void syn_to_no_service_is_refused(void **state)
{
	struct segment s;
	struct parsed q;
	struct talk t;

	talk_init(&t);
	s = talk_from_a(&t, SF_TCP_SYN, 0);
	memset(&s.dst, 0, sizeof(s.dst));
	s.dst.b[0] = 0x20;
	packet_tcp(&p, &s);
	assert_int_equal(host_out(&a, &p), REDIRECTED);
	packet_parse(&p, &q);
	assert_true(q.csum_ok);
	assert_true(q.tcp->rst && q.tcp->ack);
	assert_memory_equal(&q.src, &s.dst, 16);
	assert_memory_equal(&q.dst, &t.local, 16);
	assert_int_equal(ntohl(q.tcp->ack_seq), s.seq + 1);
	assert_int_equal(host_count(&a, SF_NO_FLOW), 1);
}

static void not_joined_drops_syn(void **state)
{
	struct sf_host_config none = a.cfg;
	struct segment s;
	struct talk t;
	uint32_t zero = 0;

	none.host = 0;
	bpf_map_update_elem(bpf_map__fd(a.skel->maps.config), &zero, &none, BPF_ANY);
	talk_init(&t);
	s = talk_from_a(&t, SF_TCP_SYN, 0);
	packet_tcp(&p, &s);
	assert_int_equal(host_out(&a, &p), DROPPED);
	assert_int_equal(host_count(&a, SF_NOT_JOINED), 1);
}

static void socket_ids_differ_and_are_not_in_order(void **state)
{
	uint64_t ids[32];
	struct talk t;
	int grows = 0;

	talk_init(&t);
	for (int i = 0; i < 32; i++) {
		talk_syn(&t, &p);
		ids[i] = sf_locator_sock(&t.client);
		for (int j = 0; j < i; j++)
			assert_true(ids[j] != ids[i]);
		grows += i && ids[i] > ids[i - 1];
		t.sport++;
	}
	assert_in_range(grows, 1, 30);
}

static void cost(const char *what, int fd)
{
	struct sf_bpf_run run = { .data = p.b, .data_len = p.len, .repeat = 100000 };
	int err = sf_bpf_prog_run(fd, &run);

	assert_int_equal(err, 0);
	printf("%s: %u ns a packet\n", what, run.duration_ns);
}

/* No assertion: a figure for the log. A test run repeats the program on what it left, so each
 * program runs here on a packet that is not its own after the first time, and is put right below
 * by a flow that maps addresses to themselves. */
static void costs(void **state)
{
	struct segment s;
	struct sf_flow f;
	struct talk t;
	uint64_t key;

	talk_start(&t);
	f = flow_at(&a, &t.client, false);
	key = sf_socket_key(sf_locator_sock(&t.client));
	f.own = t.local;
	f.peer = t.peer;
	bpf_map_update_elem(bpf_map__fd(a.skel->maps.flows), &key, &f, BPF_EXIST);
	s = talk_from_a(&t, SF_TCP_ACK, 1000);
	packet_tcp(&p, &s);
	cost("egress, bound", a.egress);
	f = flow_at(&b, &t.server, false);
	key = sf_socket_key(sf_locator_sock(&t.server));
	f.tuple.local = t.server;
	f.tuple.peer = t.client;
	bpf_map_update_elem(bpf_map__fd(b.skel->maps.flows), &key, &f, BPF_EXIST);
	s.src = t.client;
	s.dst = t.server;
	packet_tcp(&p, &s);
	cost("ingress, bound", b.ingress);
	s.src = sf_locator(&a.cfg.net, 5, 1);
	s.dst = sf_locator(&a.cfg.net, 6, 1);
	packet_tcp(&p, &s);
	cost("egress, not ours", a.egress);
	cost("ingress, not ours", a.ingress);
}

#define T(f) cmocka_unit_test_setup(f, host_clear)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(handshake_binds_late),
		T(ack_header_until_the_peer_is_heard),
		T(whole_gso_segment_is_translated),
		T(syn_repeated_raises_attempt),
		T(syn_of_a_reused_port_is_a_new_flow),
		T(syn_after_an_unheard_answer_asks_again),
		T(syn_duplicates_make_one_flow),
		T(fin_both_ways_and_rst_close),
		T(simultaneous_close),
		T(half_open_lost_is_rebuilt_by_the_ack),
		T(half_open_lost_is_not_failed),
		T(listener_gone_before_its_syn_ack),
		T(anonymous_program_is_shown_by_its_locator),
		T(peers_that_look_alike_are_told_apart),
		T(reset_flow_gives_way_to_anybody),
		T(port_reused_by_the_same_host),
		T(second_of_two_answers_does_not_bind),
		T(opener_on_the_same_host_is_shown_by_its_locator),
		T(flows_full_loses_nothing_established),
		T(stray_segment_resets_its_socket),
		T(syn_to_no_service_is_refused),
		T(not_joined_drops_syn),
		T(socket_ids_differ_and_are_not_in_order),
		T(costs),
	};

	if (host_privileged())
		return 77;
	return cmocka_run_group_tests(tests, host_group_setup, host_group_teardown);
}
