// SPDX-License-Identifier: Apache-2.0
/*
 * agent_flood_test.c - ten million packets of strangers against one flow, whatever its
 * renegotiation is at: not a bit of what the agent keeps changes, nothing is sent about it, and it
 * then goes on as if nothing had been.
 *
 * A stranger may be anywhere, also at the peer's very place, and knows all that the wire has but
 * what is drawn at random for each flow: it has the socketIDs or not, and the names of one end at
 * most. Besides it repeats messages of times that have passed, cuts packets, and flips bits.
 *
 * Usage: agent_flood_test [PACKETS [SEED]].
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "agent/mover.h"
#include "core/sal_udp.h"

#define MS    1000000ull
#define KEY_A 0x1234567890ull
#define KEY_B 0x2345678901ull
#define PAST  64 /* messages that strangers have heard */

struct packet {
	uint8_t b[SF_MOVE_PADDED];
	int len;
};

struct end {
	struct mover mover;
	struct mover_ops ops;
	struct sf_hashkey key;
	struct sf_sid id;
	struct sf_flow flow;
	unsigned int overs, changes, sent, refused;
};

static struct {
	struct sf_net net;
	struct end a, b; /* A is the victim */
	uint64_t now, random, packets;
	struct packet wire[64], past[PAST];
	size_t n_wire, n_past;
	bool cut_off; /* what A and B say is lost */
	bool unheard; /* strangers hear it no more */
} world;

static uint64_t dice(void)
{
	uint64_t x = world.random += 0x9e3779b97f4a7c15ull;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

/* ---- what movers ask for ---------------------------------------------------------------- */

static uint64_t op_now(void *ctx)
{
	return world.now;
}

static int op_random(void *ctx, uint64_t out[2])
{
	out[0] = dice();
	out[1] = dice();
	return 0;
}

static int op_flow(void *ctx, uint64_t key, struct sf_flow *out)
{
	struct end *e = ctx;

	if (key != sf_socket_key(sf_locator_sock(&e->flow.own)))
		return -ENOENT;
	*out = e->flow;
	return 0;
}

static bool op_usable(void *ctx, const struct sf_addr *place)
{
	return true;
}

static int op_keep(void *ctx, const uint64_t *keys, const struct sf_move *moves, size_t n)
{
	return 0;
}

static void op_forget(void *ctx, uint64_t key)
{
	fail_msg("a state is forgotten");
}

static int op_change(void *ctx, const struct sf_flow_change *c)
{
	struct end *e = ctx;

	e->changes++;
	sf_flow_change(&e->flow, c, world.now);
	return 0;
}

static size_t op_send(void *ctx, const struct sf_move_msg *messages, size_t n)
{
	struct end *e = ctx;

	e->sent += n;
	for (size_t i = 0; i < n && !world.cut_off; i++) {
		struct packet *p = &world.wire[world.n_wire++];

		assert_true(world.n_wire < 64);
		p->len = sf_move_encode(p->b, sizeof(p->b), &messages[i]);
		assert_int_equal(p->len, messages[i].len);
		if (!world.unheard && world.n_past < PAST)
			world.past[world.n_past++] = *p;
	}
	return n;
}

static void op_refuse(void *ctx, const struct rsyn_in *in, uint8_t reason)
{
	((struct end *)ctx)->refused++;
}

static void op_redirect(void *ctx, const struct rsyn_in *in, const struct sf_addr *place)
{
	fail_msg("somebody is sent on from where the flow is");
}

static void op_over(void *ctx, const struct sf_flow *f, uint8_t reason)
{
	((struct end *)ctx)->overs++;
}

static void op_moved(void *ctx, const struct mover_report *r)
{
}

static void end_make(struct end *e, const struct end *peer, uint32_t number, uint64_t key,
		     uint64_t peer_key)
{
	memset(e, 0, sizeof(*e));
	e->id = sf_sid_make(SF_SSID_HOSTS, number);
	e->key = (struct sf_hashkey){ dice(), dice() };
	e->ops = (struct mover_ops){ .ctx = e,
				     .now = op_now,
				     .random = op_random,
				     .flow = op_flow,
				     .usable = op_usable,
				     .keep = op_keep,
				     .forget = op_forget,
				     .change = op_change,
				     .send = op_send,
				     .refuse = op_refuse,
				     .redirect = op_redirect,
				     .over = op_over,
				     .moved = op_moved };
	e->flow = (struct sf_flow){ .own = sf_locator(&world.net, number, sf_socket_id(key, 7)),
				    .state = SF_FLOW_BOUND,
				    .peer_host = sf_sid_make(SF_SSID_HOSTS, 3 - number) };
	e->flow.peer = sf_locator(&world.net, 3 - number, sf_socket_id(peer_key, 7));
	e->flow.tuple.proto = SF_NEXTHDR_TCP;
	assert_int_equal(mover_open(&e->mover, &e->ops, &e->key, &world.net, &e->id), 0);
}

/* ---- what A and B say to each other ----------------------------------------------------- */

static void deliver(const struct packet *p)
{
	const struct sf_addr *dst = (const void *)(p->b + 24);
	uint64_t id = sf_locator_sock(dst);
	struct rsyn_in in;
	struct end *e;
	uint8_t reason;

	assert_int_equal(rsyn_decode(p->b, (size_t)p->len, &in, &reason), 0);
	e = sf_socket_key(sf_sock_is_unset(id) ? in.msg.you_sock : id) == KEY_A ? &world.a
										: &world.b;
	mover_in(&e->mover, &in);
	mover_flush(&e->mover);
}

static bool settled(struct end *e)
{
	const struct sf_move *m =
		mover_find(&e->mover, sf_socket_key(sf_locator_sock(&e->flow.own)));

	return m && sf_move_is_settled(m);
}

/* Until both know all, in a network without loss. */
static void talk_it_out(void)
{
	for (int i = 0; i < 1000 && !(settled(&world.a) && settled(&world.b)); i++) {
		mover_flush(&world.a.mover);
		mover_flush(&world.b.mover);
		for (size_t k = 0; k < world.n_wire; k++) {
			struct packet p = world.wire[k];

			deliver(&p);
		}
		world.n_wire = 0;
		world.now += 20 * MS;
		mover_run(&world.a.mover, 10);
		mover_run(&world.b.mover, 10);
	}
	assert_true(settled(&world.a) && settled(&world.b));
	assert_memory_equal(&world.a.flow.own, &world.b.flow.peer, 16);
	assert_memory_equal(&world.b.flow.own, &world.a.flow.peer, 16);
	assert_int_equal(world.a.overs + world.b.overs, 0);
}

static void move(struct end *e, uint32_t to)
{
	struct sf_addr place = sf_locator(&world.net, to, 0);

	assert_int_equal(mover_start(&e->mover, sf_socket_key(sf_locator_sock(&e->flow.own)),
				     &place, MOVER_ORDERED),
			 0);
	mover_flush(&e->mover);
}

/* ---- strangers -------------------------------------------------------------------------- */

static uint64_t guess(void)
{
	static const uint64_t usual[] = { 0, 1, ~0ull, 1ull << 63 };
	uint64_t r = dice();

	return r % 4 ? r : usual[r >> 8 & 3];
}

static struct sf_addr any_place(void)
{
	uint64_t id = dice() & SF_SOCK_MASK;

	switch (dice() % 5) {
	case 0: /* the peer's place, and its socketID or another */
		return world.a.flow.peer;
	case 1:
		return sf_locator(&world.net, sf_locator_host(&world.a.flow.peer), id);
	case 2: /* where the peer was */
		return world.a.flow.before;
	case 3:
		return world.a.flow.own;
	}
	return sf_locator(&world.net, (uint32_t)dice(), id);
}

/* A message of somebody who has the socketIDs, perhaps, and not the names of both ends. */
static void forge_message(struct packet *p, const struct sf_addr *src, const struct sf_addr *dst)
{
	static const uint8_t kinds[] = { SF_KIND_RSYN, SF_KIND_RSYN_ACK, SF_KIND_RACK };
	struct sf_move_msg msg = { .src = *src,
				   .dst = *dst,
				   .host = dice() % 2 ? world.b.id : world.a.id,
				   .peer = dice() % 4 ? world.a.id : world.b.id,
				   .kind = kinds[dice() % 3],
				   .flags = (uint16_t)(dice() & 3),
				   .epoch = (uint32_t)(dice() % 2 ? dice() : dice() % 16),
				   .len = SF_MOVE_LEN,
				   .you_sock = sf_locator_sock(&world.a.flow.own) + dice() % 3,
				   .claim = guess(),
				   .was = guess(),
				   .name = guess(),
				   .you = guess(),
				   .your_claim = guess(),
				   .challenge = guess(),
				   .echo = guess() };

	const struct sf_move *m = mover_find(&world.a.mover, KEY_A);

	/* Or what one end has told of itself, but not what the other has. */
	switch (dice() % 4) {
	case 0:
		msg.you = dice() % 2 ? m->own.name : m->acked;
		msg.your_claim = m->own.claim;
		break;
	case 1:
		msg.was = m->peer.name;
		msg.claim = m->peer.claim;
		break;
	}
	p->len = sf_move_encode(p->b, sizeof(p->b), &msg);
}

static struct sf_addr to_victim(void)
{
	struct sf_addr dst = world.a.flow.own;

	if (dice() % 3 == 0)
		sf_locator_set_sock(&dst, dice() & SF_SOCK_MASK);
	else if (dice() % 3 == 0)
		sf_locator_set_sock(&dst, sf_locator_sock(&dst) - dice() % 6);
	return dst;
}

/* A FAIL or REDIRECT about a message that A has not sent. */
static void forge_answer(struct packet *p)
{
	struct sf_addr src = to_victim(), dst = any_place(), place = any_place();
	struct sf_sid who = dice() % 2 ? world.b.id : world.a.id;
	struct packet about;
	struct rsyn_in in;
	uint8_t reason;

	forge_message(&about, &src, &dst);
	about.b[SF_IPV6_LEN + 4] = (uint8_t)(about.b[SF_IPV6_LEN + 4] & 0xf0) | SF_KIND_RSYN;
	p->len = 0;
	if (sf_move_decode(about.b, (size_t)about.len, &in.msg, &reason)) {
		forge_message(&about, &src,
			      &dst); /* with a right checksum: only RSYN is answered */
		if (sf_move_decode(about.b, (size_t)about.len, &in.msg, &reason))
			return;
	}
	in.kind = SF_KIND_RSYN;
	in.src = in.msg.src;
	in.packet = about.b;
	in.len = (size_t)about.len;
	if (dice() % 3)
		p->len = rsyn_fail_encode(p->b, sizeof(p->b), &in, &who, (uint8_t)(dice() % 32));
	else
		p->len = rsyn_redirect_encode(p->b, sizeof(p->b), &in, &who, &place);
}

/* What was said to A, or about what it said, before the last move that is over. */
static void repeat_past(struct packet *p)
{
	*p = world.past[dice() % world.n_past];
}

static void spoil(struct packet *p)
{
	int bits = 1 + (int)(dice() % 8);

	if (dice() % 4 == 0)
		p->len = (int)(dice() % (uint64_t)(p->len + 1));
	for (int i = 0; i < bits && p->len; i++)
		p->b[dice() % (uint64_t)p->len] ^= (uint8_t)(1 << dice() % 8);
}

static void forge(struct packet *p)
{
	struct sf_addr src = any_place(), dst = to_victim();

	switch (dice() % 8) {
	case 0:
		p->len = (int)(dice() % sizeof(p->b));
		for (int i = 0; i < p->len; i += 8) {
			uint64_t r = dice();

			memcpy(p->b + i, &r, p->len - i < 8 ? (size_t)(p->len - i) : 8);
		}
		if (p->len > 6)
			p->b[6] = dice() % 2 ? SF_NEXTHDR_ICMPV6 : SF_NEXTHDR_DSTOPTS;
		return;
	case 1:
		repeat_past(p);
		return;
	case 2:
		repeat_past(p);
		spoil(p);
		return;
	case 3:
		forge_answer(p);
		return;
	case 4:
		forge_message(p, &src, &dst);
		spoil(p);
		return;
	}
	forge_message(p, &src, &dst);
}

/* ---- the flood -------------------------------------------------------------------------- */

static void flood(const char *what, uint64_t n)
{
	const struct sf_move *m = mover_find(&world.a.mover, KEY_A);
	struct mover_counts counts = world.a.mover.counts;
	struct sf_flow flow = world.a.flow;
	struct sf_move state = *m;
	uint64_t read = 0;
	struct rsyn_in in;
	struct packet p;
	uint8_t reason;

	world.a.changes = 0;
	world.cut_off = true; /* what it answers to whoever it is */
	for (uint64_t i = 0; i < n; i++) {
		forge(&p);
		if (p.len <= 0 || rsyn_decode(p.b, (size_t)p.len, &in, &reason))
			continue;
		read++;
		mover_in(&world.a.mover, &in);
		if (memcmp(m, &state, sizeof(state)) || world.a.overs) {
			printf("%s: packet %llu, of kind %u\n", what, (unsigned long long)i,
			       in.kind);
			fail_msg("the flow's state has changed");
		}
	}
	mover_flush(&world.a.mover);
	world.cut_off = false;
	world.n_wire = 0;
	assert_int_equal(world.a.changes, 0);
	assert_memory_equal(&world.a.flow, &flow, sizeof(flow));
	/* Most of them came as far as they can. */
	assert_true(read > n / 3);
	assert_true(world.a.mover.counts.stale - counts.stale > n / 10);
	print_message("%s: %llu packets, %llu read, %llu stale, %llu refused\n", what,
		      (unsigned long long)n, (unsigned long long)read,
		      (unsigned long long)(world.a.mover.counts.stale - counts.stale),
		      (unsigned long long)(world.a.mover.counts.refused - counts.refused));
}

static int setup(void **state)
{
	uint64_t packets = world.packets, random = world.random;

	memset(&world, 0, sizeof(world));
	world.packets = packets;
	world.random = random;
	world.net = sf_net_default(1);
	world.now = 1000000 * MS;
	end_make(&world.a, &world.b, 1, KEY_A, KEY_B);
	end_make(&world.b, &world.a, 2, KEY_B, KEY_A);
	for (uint32_t i = 0; i < 3; i++) {
		move(&world.a, 11 + i);
		talk_it_out();
		move(&world.b, 21 + i);
		talk_it_out();
	}
	/* Those of the present series are no past: who repeats them is the peer, as it were. */
	assert_true(world.n_past > 20);
	world.n_past -= 8;
	world.unheard = true;
	return 0;
}

static int teardown(void **state)
{
	mover_close(&world.a.mover);
	mover_close(&world.b.mover);
	return 0;
}

static void goes_on(void)
{
	talk_it_out();
	move(&world.a, 31);
	talk_it_out();
	move(&world.b, 41);
	talk_it_out();
}

static void nothing_is_under_way(void **state)
{
	flood("settled", world.packets / 4);
	goes_on();
}

static void we_are_moving(void **state)
{
	world.cut_off = true;
	move(&world.a, 15);
	flood("moving", world.packets / 4);
	goes_on();
}

static void the_peer_is_moving(void **state)
{
	move(&world.b, 25);
	deliver(&world.wire[0]); /* its RSYN; the answer is lost */
	world.n_wire = 0;
	assert_true(world.a.flow.flags & SF_FLOW_BUDGET);
	flood("the peer is moving", world.packets / 4);
	goes_on();
}

static void both_are_moving(void **state)
{
	world.cut_off = true;
	move(&world.a, 16);
	world.cut_off = false;
	move(&world.b, 26);
	deliver(&world.wire[0]);
	world.n_wire = 0;
	flood("both are moving", world.packets / 4);
	goes_on();
}

/* What carries data is judged in the datapath: no segment of a stranger is delivered, ends the
 * flow, or passes for the peer's. */
static void data_of_strangers(void **state)
{
	struct sf_flow *f = &world.a.flow;

	f->flags |= SF_FLOW_OPEN; /* in grace: most is taken */
	for (uint64_t i = 0; i < world.packets / 4; i++) {
		struct sf_addr src = any_place(), own = to_victim();
		struct sf_segment s = { .flags = (uint8_t)dice(), .ack = (uint32_t)dice() };
		bool knows = sf_flow_has_keys(f, sf_locator_sock(&own), &src);
		struct sf_verdict v = sf_sal_in(f, (uint8_t)(dice() % 5), &src, &s, world.now);

		if (knows)
			continue; /* 80 bits: it is the peer, or was told */
		assert_false(sf_flow_is_named(f, sf_locator_sock(&own), world.now) &&
			     v.act != SF_ACT_DROP && v.act != SF_ACT_FAIL);
		assert_false(sf_flow_is_named(f, sf_locator_sock(&own), world.now) &&
			     sf_flow_may_refuse(f, &src, &world.b.id, &own, &src, dice() % 2));
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_is_under_way, setup, teardown),
		cmocka_unit_test_setup_teardown(we_are_moving, setup, teardown),
		cmocka_unit_test_setup_teardown(the_peer_is_moving, setup, teardown),
		cmocka_unit_test_setup_teardown(both_are_moving, setup, teardown),
		cmocka_unit_test_setup_teardown(data_of_strangers, setup, teardown),
	};

	world.packets = argc > 1 ? strtoull(argv[1], NULL, 0) : 10000000;
	world.random = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
