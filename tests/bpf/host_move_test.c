// SPDX-License-Identifier: Apache-2.0
/*
 * host_move_test.c - what the datapath does for flows that move (docs/protocol.md, "Moving"): their
 * entries change in place, and packets of before and after are told from strangers'.
 *
 * A and B talk; either has a second place, A2 or B2.
 */
#include "tests/bpf/host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <cmocka.h>

#include "core/renegotiate.h"

#define A2 0x20001
#define B2 0x20002

static struct packet p;

static uint32_t change(struct host *h, struct sf_flow_change *c)
{
	LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = c, .ctx_size_in = sizeof(*c));

	assert_int_equal(
		bpf_prog_test_run_opts(bpf_program__fd(h->skel->progs.sf_flow_alter), &run), 0);
	return run.retval;
}

static void change_is_in_place(void **state)
{
	struct sf_flow_change c = { .flags = SF_FLOW_OPEN };
	struct sf_flow f, was;
	struct segment s;
	struct parsed q;
	struct talk t;

	talk_start(&t);
	was = host_flow_of(&a, &t.client);
	c.id = sf_locator_sock(&t.client);
	c.own = host_at(A2, &t.client, 1);
	c.peer = host_at(B2, &t.server, 1);
	assert_int_equal(change(&a, &c), 0);
	assert_int_equal(host_flows(&a, NULL), 1);
	f = host_flow_of(&a, &c.own);
	assert_memory_equal(&f.own, &c.own, 16);
	assert_memory_equal(&f.peer, &c.peer, 16);
	assert_memory_equal(&f.before, &t.server, 16);
	assert_int_equal(f.formers, 1);
	assert_int_equal(f.flags & (SF_FLOW_OPEN | SF_FLOW_MOVED), SF_FLOW_OPEN | SF_FLOW_MOVED);
	assert_int_equal(f.tx_packets, was.tx_packets);
	assert_int_equal(f.rx_bytes, was.rx_bytes);
	assert_memory_equal(&f.tuple, &was.tuple, sizeof(f.tuple));
	/* What is sent from now on shows both. */
	s = talk_from_a(&t, SF_TCP_ACK, 100);
	host_sends(&a, &p, &s);
	packet_parse(&p, &q);
	assert_memory_equal(&q.src, &c.own, 16);
	assert_memory_equal(&q.dst, &c.peer, 16);
	assert_true(q.csum_ok);
}

static void change_of_nobody(void **state)
{
	struct sf_flow_change c = { 0 };
	struct sf_flow f, was;
	struct talk t;

	talk_start(&t);
	was = host_flow_of(&a, &t.client);
	c.own = host_at(A2, &t.client, 1);
	c.peer = host_at(B2, &t.server, 1);
	/* An earlier or later flow of the same ports, and no flow at all. */
	c.id = sf_locator_sock(&t.client) ^ 1;
	assert_int_equal(change(&a, &c), 1);
	c.id = sf_locator_sock(&t.client) ^ 0x100;
	assert_int_equal(change(&a, &c), 1);
	f = host_flow_of(&a, &t.client);
	assert_memory_equal(&f, &was, sizeof(f));
	/* One that connects has no peer yet. */
	talk_init(&t);
	t.sport++;
	talk_syn(&t, &p);
	c.id = sf_locator_sock(&t.client);
	assert_int_equal(change(&a, &c), 1);
}

/* ---- packets of before and after ---------------------------------------------------------- */

/* A has moved to A2, and says so; B has not heard of it. */
static void a_moves(struct talk *t, struct sf_flow_change *c)
{
	host_place_add(&a, 0x10001, 3);
	host_place_add(&a, A2, 7);
	*c = (struct sf_flow_change){ .id = sf_locator_sock(&t->client),
				      .own = host_at(A2, &t->client, 1),
				      .peer = t->server,
				      .flags = SF_FLOW_OPEN };
	assert_int_equal(change(&a, c), 0);
}

/* B hears of it. @flags: SF_FLOW_BUDGET if it does not believe that A is there */
static void b_hears(struct talk *t, const struct sf_addr *there, uint32_t flags, uint32_t credit)
{
	struct sf_flow_change c = { .id = sf_locator_sock(&t->server),
				    .own = host_at(0x10002, &t->server, 1),
				    .peer = *there,
				    .credit = credit,
				    .flags = flags };

	assert_int_equal(change(&b, &c), 0);
	t->server = c.own;
}

/* A segment on the wire between these locators. */
static void wire(const struct segment *of, const struct sf_addr *src, const struct sf_addr *dst)
{
	struct segment s = *of;

	s.src = *src;
	s.dst = *dst;
	packet_tcp(&p, &s);
}

static void delivered(struct host *h, const struct sf_addr *src, const struct sf_addr *dst)
{
	struct parsed q;

	assert_int_equal(host_in(h, &p), VERDICT_UP);
	packet_parse(&p, &q);
	assert_memory_equal(&q.src, src, 16);
	assert_memory_equal(&q.dst, dst, 16);
	assert_true(q.csum_ok);
}

static void grace_passes(struct host *h, const struct sf_addr *own)
{
	struct sf_flow f = host_flow_of(h, own);

	f.flags &= (uint8_t)~SF_FLOW_OPEN;
	f.moved -= 4 + (uint32_t)(SF_GRACE_NS >> SF_USED_SHIFT); /* clocks differ by a tick */
	host_flow_set(h, &f);
}

static void leaves_by_the_link_of_its_place(void **state)
{
	struct sf_addr place = sf_locator(&a.cfg.net, A2, 0);
	struct sf_flow_change c;
	struct segment s;
	struct parsed q;
	struct talk t;

	talk_start(&t);
	a_moves(&t, &c);
	for (int fin = 0; fin < 2; fin++) { /* on either way through the program */
		s = talk_from_a(&t, SF_TCP_ACK | (fin ? SF_TCP_FIN : 0), 100);
		packet_tcp(&p, &s);
		assert_int_equal(host_out(&a, &p), REDIRECTED);
		packet_parse(&p, &q);
		assert_memory_equal(&q.src, &c.own, 16);
		assert_memory_equal(&q.dst, &t.server, 16);
		assert_true(q.csum_ok);
	}
	/* Where the link is the one that it leaves by anyhow, and where there is none. */
	host_place_add(&a, A2, 1);
	host_sends(&a, &p, &s);
	bpf_map_delete_elem(bpf_map__fd(a.skel->maps.uplinks), &place);
	host_sends(&a, &p, &s);
	packet_parse(&p, &q);
	assert_memory_equal(&q.src, &c.own, 16);
	assert_true(q.csum_ok);
	assert_int_equal(host_drops(&a), 0);
}

static void data_overtakes_the_rsyn(void **state)
{
	struct sf_flow_change c;
	struct segment s;
	struct talk t;

	talk_start(&t);
	a_moves(&t, &c);
	s = talk_from_a(&t, SF_TCP_ACK, 100);
	packet_tcp(&p, &s);
	assert_int_equal(host_out(&a, &p), REDIRECTED);
	assert_int_equal(host_in(&b, &p), DROPPED);
	assert_int_equal(host_count(&b, SF_WRONG_PEER), 1);
	assert_int_equal(host_traffic(&b, SF_TRAFFIC_FAIL_SENT), 0);
	/* Now it is told. What it answers goes to A2, and B is known there by its new name, before
	 * A has heard of that: A's flow is open. */
	b_hears(&t, &c.own, SF_FLOW_OPEN, 0);
	packet_tcp(&p, &s);
	assert_int_equal(host_out(&a, &p), REDIRECTED);
	delivered(&b, &t.seen, &t.peer);
	s = talk_from_b(&t, SF_TCP_ACK, 200);
	host_sends(&b, &p, &s);
	delivered(&a, &t.peer, &t.local);
	assert_int_equal(host_drops(&a), 0);
}

static void former_names_and_places_are_taken_in_grace(void **state)
{
	struct sf_addr was_a, was_b, at_a;
	struct sf_flow_change c;
	struct segment from_a, from_b;
	struct talk t;

	talk_start(&t);
	was_a = t.client;
	was_b = t.server;
	from_a = talk_from_a(&t, SF_TCP_ACK, 100);
	from_b = talk_from_b(&t, SF_TCP_ACK, 1000);
	a_moves(&t, &c);
	/* On their way when A left: to the former name at the former place. */
	wire(&from_b, &was_b, &was_a);
	delivered(&a, &t.peer, &t.local);
	b_hears(&t, &c.own, SF_FLOW_OPEN, 0);
	/* From the former place, to the former name, both. */
	wire(&from_a, &was_a, &was_b);
	delivered(&b, &t.seen, &t.peer);
	wire(&from_a, &was_a, &t.server);
	delivered(&b, &t.seen, &t.peer);
	wire(&from_a, &c.own, &was_b);
	delivered(&b, &t.seen, &t.peer);
	/* The newest name at the former place: who left a candidate goes on there. */
	at_a = host_at(0x10001, &c.own, 0);
	wire(&from_b, &t.server, &at_a);
	delivered(&a, &t.peer, &t.local);
	assert_int_equal(host_drops(&a) + host_drops(&b), 0);
}

static void grace_ends(void **state)
{
	struct segment from_a, from_b;
	struct sf_addr was_a, was_b;
	struct sf_flow_change c;
	struct talk t;

	talk_start(&t);
	was_a = t.client;
	was_b = t.server;
	from_a = talk_from_a(&t, SF_TCP_ACK, 100);
	from_b = talk_from_b(&t, SF_TCP_ACK, 1000);
	a_moves(&t, &c);
	b_hears(&t, &c.own, 0, 0);
	grace_passes(&a, &c.own);
	grace_passes(&b, &t.server);
	wire(&from_a, &was_a, &t.server);
	assert_int_equal(host_in(&b, &p), DROPPED);
	wire(&from_a, &c.own, &was_b);
	assert_int_equal(host_in(&b, &p), DROPPED);
	assert_int_equal(host_count(&b, SF_WRONG_PEER), 2);
	wire(&from_b, &was_b, &was_a);
	assert_int_equal(host_in(&a, &p), DROPPED);
	assert_int_equal(host_count(&a, SF_WRONG_PEER), 1);
	/* No FAIL: the peer's flow is as alive as ours. What is up to date passes. */
	assert_int_equal(host_traffic(&a, SF_TRAFFIC_FAIL_SENT), 0);
	assert_int_equal(host_traffic(&b, SF_TRAFFIC_FAIL_SENT), 0);
	wire(&from_a, &c.own, &t.server);
	delivered(&b, &t.seen, &t.peer);
}

static void strangers_stay_strangers(void **state)
{
	struct sf_addr third = sf_locator(&a.cfg.net, 0x30003, 0), src, dst;
	struct sf_flow_change c;
	struct segment s;
	struct talk t;

	talk_start(&t);
	s = talk_from_a(&t, SF_TCP_ACK, 100);
	a_moves(&t, &c);
	b_hears(&t, &c.own, SF_FLOW_OPEN, 0);
	/* The right key at a place that was never A's. */
	src = host_at(0x30003, &c.own, 0);
	wire(&s, &src, &t.server);
	assert_int_equal(host_in(&b, &p), DROPPED);
	assert_int_equal(host_count(&b, SF_WRONG_PEER), 1);
	assert_int_equal(host_traffic(&b, SF_TRAFFIC_FAIL_SENT), 0);
	/* A wrong key at the right place, and elsewhere. */
	src = c.own;
	src.b[14] ^= 1;
	wire(&s, &src, &t.server);
	assert_int_equal(host_in(&b, &p), REDIRECTED);
	sf_locator_set_sock(&third, 0x123456789abc);
	wire(&s, &third, &t.server);
	assert_int_equal(host_in(&b, &p), REDIRECTED);
	assert_int_equal(host_count(&b, SF_WRONG_PEER), 3);
	/* To a name that this end never had: one ahead, and more behind than it has left. */
	dst = host_at(0x10002, &t.server, 1);
	wire(&s, &c.own, &dst);
	assert_int_equal(host_in(&b, &p), DROPPED);
	dst = host_at(0x10002, &t.server, (uint8_t)-2);
	wire(&s, &c.own, &dst);
	assert_int_equal(host_in(&b, &p), DROPPED);
	assert_int_equal(host_count(&b, SF_WRONG_PEER), 5);
	/* The same from a stranger: as if there was no flow. */
	wire(&s, &third, &dst);
	assert_int_equal(host_in(&b, &p), REDIRECTED);
	assert_int_equal(host_count(&b, SF_UNKNOWN_SOCKET), 1);
	/* A reset needs as much as data. */
	s.flags = SF_TCP_RST | SF_TCP_ACK;
	wire(&s, &src, &t.server);
	assert_int_equal(host_in(&b, &p), DROPPED);
	assert_int_equal(host_flow_of(&b, &t.server).state, SF_FLOW_BOUND);
}

/* A packet for a place that is not ours is not ours. */
static void places_of_others_are_passed(void **state)
{
	static struct packet was;
	struct sf_flow_change c;
	struct segment s;
	struct talk t;

	talk_start(&t);
	s = talk_from_b(&t, SF_TCP_ACK, 100);
	c.own = host_at(A2, &t.client, 0);
	wire(&s, &t.server, &c.own);
	was = p;
	assert_int_equal(host_in(&a, &p), VERDICT_UP);
	assert_int_equal(p.len, was.len);
	assert_memory_equal(p.b, was.b, p.len);
	host_place_add(&a, A2, 7);
	p = was;
	delivered(&a, &t.peer, &t.local);
}

static void budget_is_exact(void **state)
{
	const uint32_t len = 40 + 20 + 100;
	struct sf_flow_change c;
	struct segment s, back;
	struct talk t;

	talk_start(&t);
	a_moves(&t, &c);
	b_hears(&t, &c.own, SF_FLOW_OPEN | SF_FLOW_BUDGET, 3 * len - 1);
	s = talk_from_b(&t, SF_TCP_ACK, 100);
	host_sends(&b, &p, &s);
	host_sends(&b, &p, &s);
	packet_tcp(&p, &s);
	assert_int_equal(host_out(&b, &p), REDIRECTED); /* to nowhere */
	assert_int_equal(host_count(&b, SF_UNPROVEN_PLACE), 1);
	assert_int_equal(host_flow_of(&b, &t.server).budget, len - 1);
	/* What comes from there counts thrice; what comes from where A was, not. */
	back = talk_from_a(&t, SF_TCP_ACK, 0);
	wire(&back, &c.own, &t.server);
	delivered(&b, &t.seen, &t.peer);
	assert_int_equal(host_flow_of(&b, &t.server).budget, len - 1 + 3 * (40 + 20));
	wire(&back, &t.client, &t.server);
	delivered(&b, &t.seen, &t.peer);
	assert_int_equal(host_flow_of(&b, &t.server).budget, len - 1 + 3 * (40 + 20));
	host_sends(&b, &p, &s);
	assert_int_equal(host_flow_of(&b, &t.server).budget, 3 * (40 + 20) - 1);
	/* Nothing is dropped when it is validated. */
	b_hears(&t, &c.own, SF_FLOW_OPEN, 0);
	for (int i = 0; i < 10; i++)
		host_sends(&b, &p, &s);
	assert_int_equal(host_drops(&b), 1);
}

static void segmentation_costs_its_headers(void **state)
{
	const uint32_t whole = 40 + 20 + 3000, header = 40 + 20;
	struct sf_flow_change c;
	struct segment s;
	struct talk t;

	talk_start(&t);
	a_moves(&t, &c);
	b_hears(&t, &c.own, SF_FLOW_OPEN | SF_FLOW_BUDGET, whole + 2 * header);
	s = talk_from_b(&t, SF_TCP_ACK, 3000);
	packet_tcp(&p, &s);
	assert_int_equal(host_out_gso(&b, &p, 3, 1000), VERDICT_UP);
	assert_int_equal(host_flow_of(&b, &t.server).budget, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, host_clear)
	const struct CMUnitTest tests[] = {
		T(change_is_in_place),
		T(change_of_nobody),
		T(leaves_by_the_link_of_its_place),
		T(data_overtakes_the_rsyn),
		T(former_names_and_places_are_taken_in_grace),
		T(grace_ends),
		T(strangers_stay_strangers),
		T(places_of_others_are_passed),
		T(budget_is_exact),
		T(segmentation_costs_its_headers),
	};
	int skip = host_privileged();

	return skip ? skip : cmocka_run_group_tests(tests, host_group_setup, host_group_teardown);
}
