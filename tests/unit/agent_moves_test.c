// SPDX-License-Identifier: Apache-2.0
/*
 * Two movers over a network that loses, delays and repeats, under virtual time: in which order
 * things are done, what survives a kill at any step.
 */
#include <errno.h>
#include <string.h>

#include "movers.h"

static void test_move(void **state)
{
	struct host *a = &world.h[0], *b = &world.h[1];

	flows_make(1);
	start(a, 0, 0x10002);
	assert_int_equal(a->flows[0].own.h[4], sf_be16(1)); /* not before the flush */
	mover_flush(&a->mover);
	assert_string_equal(a->log, "KCS");
	assert_int_equal(sf_locator_host(&a->flows[0].own), 0x10002);
	pass(DELAY);
	assert_string_equal(b->log, "KCS");
	assert_true(b->flows[0].flags & SF_FLOW_BUDGET);
	pass(DELAY);
	/* What each sends arrives, and what was under way is lost, acknowledgements as well. */
	assert_string_equal(a->kicked, "AR");
	assert_string_equal(b->kicked, "A");
	pass(2 * DELAY);
	assert_together(0);
	assert_int_equal(world.n, 0);
	assert_string_equal(b->kicked, "AR");
	assert_int_equal(a->told, 1);
	assert_int_equal(a->own_told, 1);
	assert_int_equal(b->told, 1);
	assert_int_equal(b->own_told, 0);
	/* And the other two kicks, 10 and 50 ms after the first. */
	pass(1000 * MS);
	assert_string_equal(a->kicked, "ARTT");
	assert_int_equal(a->kick_at[2] - a->kick_at[1], 10 * MS);
	assert_int_equal(a->kick_at[3] - a->kick_at[1], 50 * MS);
	assert_int_equal(mover_due(&a->mover), 0);
	assert_int_equal(mover_due(&b->mover), 0);
	assert_int_equal(a->mover.counts.repeated + b->mover.counts.repeated, 0);
}

/* What the mover has received is in its RSYN: its peer can send it the next segment a round trip
 * before its place is validated, and nothing else. */
static void test_one_segment_goes_before_the_proof(void **state)
{
	struct host *a = &world.h[0], *b = &world.h[1];

	flows_make(1);
	a->received = 0xfffffff0;
	start(a, 0, 0x10002);
	mover_flush(&a->mover);
	pass(DELAY);
	assert_int_equal(b->held_at, 0xfffffff0);
	assert_true(b->held_before);
	assert_true(b->flows[0].flags & SF_FLOW_BUDGET);
	assert_string_equal(b->kicked, "AR");
	pass(1000 * MS);
	assert_together(0);
	assert_string_equal(b->kicked, "ARRTT");
}

/* Not where nothing waits, nothing was lost, or nothing may be sent that early. */
static void test_nothing_goes_before_the_proof(void **state)
{
	struct host *a = &world.h[0], *b = &world.h[1];

	flows_make(1);
	a->received = 1;
	b->idle = true;
	start(a, 0, 0x10002);
	mover_flush(&a->mover);
	pass(DELAY);
	assert_int_equal(b->held_at, 1);
	assert_string_equal(b->kicked, "A");
	pass(1000 * MS);
	b->idle = false;
	b->held_at = 0;
	a->both = a->up;
	start(a, 0, 0x10003);
	mover_flush(&a->mover);
	pass(1000 * MS);
	assert_together(0);
	assert_int_equal(b->held_at, 0);
}

/* Make before break: nothing is lost, and nothing need be sent twice. */
static void test_gentle_move(void **state)
{
	struct host *a = &world.h[0], *b = &world.h[1];

	flows_make(1);
	a->both = a->up;
	start(a, 0, 0x10002);
	mover_flush(&a->mover);
	pass(1000 * MS);
	assert_together(0);
	assert_string_equal(a->kicked, "TTT");
	assert_string_equal(b->kicked, "TTT");
}

/* A socket that waits for nothing is not asked again. */
static void test_idle_is_kicked_once(void **state)
{
	flows_make(1);
	world.h[0].idle = true;
	start(&world.h[0], 0, 0x10002);
	mover_flush(&world.h[0].mover);
	pass(1000 * MS);
	assert_together(0);
	assert_string_equal(world.h[0].kicked, "AR");
	assert_string_equal(world.h[1].kicked, "ARTT");
}

static void test_no_kick_of_datagrams(void **state)
{
	flows_make(1);
	world.h[0].flows[0].tuple.proto = world.h[1].flows[0].tuple.proto = SF_NEXTHDR_UDP;
	start(&world.h[0], 0, 0x10002);
	mover_flush(&world.h[0].mover);
	pass(1000 * MS);
	assert_together(0);
	assert_int_equal(world.h[0].kicks + world.h[1].kicks, 0);
}

static void test_not_established(void **state)
{
	struct sf_addr to = place(0x10002);

	flows_make(1);
	assert_int_equal(mover_start(&world.h[0].mover, KEY0 + 1, &to, MOVER_ORDERED), -ENOENT);
	world.h[0].flows[0].state = SF_FLOW_CONNECTING;
	assert_int_equal(mover_start(&world.h[0].mover, KEY0, &to, MOVER_ORDERED), -EAGAIN);
	assert_int_equal(mover_size(&world.h[0].mover, NULL), 0);
}

static void test_hostile_network(void **state)
{
	for (unsigned int run = 0; run < 300; run++) {
		world_setup(NULL);
		world.random = run;
		world.loss = run % 60;
		world.copies = 30;
		flows_make(3);
		for (uint32_t move = 0; move < 4; move++) {
			struct host *h = &world.h[dice() % 2];

			h->up = 0x30000 + (uint32_t)(dice() % 0xffff);
			for (size_t i = 0; i < 3; i++)
				start(h, i, h->up);
			mover_flush(&h->mover);
			pass(dice() % (400 * MS));
		}
		world.loss = world.copies = 0;
		pass(10000 * MS);
		for (size_t i = 0; i < 3; i++)
			assert_together(i);
		assert_int_equal(mover_due(&world.h[0].mover), 0);
		world_teardown(NULL);
	}
	world_setup(NULL);
}

/* Both move at once: neither finds the other but by its host's name. */
static void test_both_at_once(void **state)
{
	struct host *a = &world.h[0], *b = &world.h[1];

	flows_make(1);
	start(a, 0, 0x10002);
	start(b, 0, 0x20002);
	mover_flush(&a->mover);
	mover_flush(&b->mover);
	pass(10000 * MS);
	assert_together(0);
	assert_int_equal(a->own_told, 1);
	assert_int_equal(a->told, 2);
}

/* An agent that is killed at any step, and whose successor has what was kept and nothing else. */
static void test_killed(void **state)
{
	for (int who = 0; who < 2; who++) {
		for (int step = 1; step < 14; step++) {
			struct host *h;

			world_setup(NULL);
			h = &world.h[who];
			flows_make(1);
			h->dies_at = step;
			start(&world.h[0], 0, 0x10002);
			mover_flush(&world.h[0].mover);
			pass(20 * MS);
			agent_restart(h);
			pass(10000 * MS);
			if (!h->has[0]) { /* killed before anything was kept: nobody knows of it */
				assert_int_equal(step, 1);
				start(&world.h[0], 0, 0x10002);
				mover_flush(&world.h[0].mover);
				pass(10000 * MS);
			}
			assert_together(0);
			world_teardown(NULL);
		}
	}
	world_setup(NULL);
}

/* Nothing is said, and no entry changed, that was not kept. */
static void test_cannot_keep(void **state)
{
	struct host *a = &world.h[0];

	flows_make(1);
	a->fails_keep = 1;
	start(a, 0, 0x10002);
	mover_flush(&a->mover);
	pass(200 * MS);
	assert_int_equal(world.delivered, 0);
	assert_int_equal(sf_locator_host(&a->flows[0].own), 0x10001);
	a->fails_keep = 0;
	pass(2000 * MS);
	assert_together(0);
}

/* The flow was freed at the other end, or here. */
static void test_gone(void **state)
{
	struct host *a = &world.h[0], *b = &world.h[1];

	flows_make(2);
	for (size_t i = 0; i < 2; i++)
		start(a, i, 0x10002);
	mover_flush(&a->mover);
	b->flows[0].state = SF_FLOW_FREE;
	pass(100 * MS);
	assert_int_equal(a->overs, 1);
	assert_int_equal(a->why, SF_NO_SUCH_SOCKET);
	assert_null(mover_find(&a->mover, KEY0));
	assert_false(a->has[0]);
	assert_together(1);
	/* Its ports are used again: another flow with the same key, which never moved. */
	world.now += 1000 * MS;
	half(a, b, 1);
	half(b, a, 1);
	start(b, 1, 0x20002);
	mover_flush(&b->mover);
	assert_int_equal(mover_find(&b->mover, KEY0 + 1)->own.epoch, 1);
	pass(1000 * MS);
	assert_together(1);
	a->flows[1].state = b->flows[1].state = SF_FLOW_FREE;
	assert_int_equal(mover_sweep(&a->mover, 0, 100), 0);
	assert_int_equal(mover_size(&a->mover, NULL), 0);
	assert_false(a->has[1]);
}

/* A copy of the client moves after the client itself did. */
static void test_superseded(void **state)
{
	struct host *a = &world.h[0], *copy = &world.h[2];

	flows_make(1);
	start(a, 0, 0x10002);
	mover_flush(&a->mover);
	pass(1000 * MS);
	assert_together(0);
	copy->flows[0] = a->flows[0];
	copy->kept[0] = a->kept[0];
	copy->has[0] = true;
	copy->up = 0x40001;
	agent_restart(copy);
	start(a, 0, 0x10003);
	mover_flush(&a->mover);
	pass(1000 * MS);
	start(copy, 0, 0x40001);
	mover_flush(&copy->mover);
	pass(1000 * MS);
	assert_int_equal(copy->overs, 1);
	assert_int_equal(copy->why, SF_SUPERSEDED);
	assert_int_equal(world.h[1].mover.counts.refused, 1);
	assert_int_equal(a->overs + world.h[1].overs, 0);
	assert_together(0);
}

/* In a tunnel: nothing is sent, however long, and nothing is lost when it ends. */
static void test_parked(void **state)
{
	struct host *a = &world.h[0];

	flows_make(1);
	start(a, 0, 0x10002);
	a->up = 0;
	mover_flush(&a->mover);
	pass(600000 * MS);
	assert_int_equal(mover_due(&a->mover), 0);
	assert_int_equal(a->mover.counts.sent, 1); /* into the void */
	a->up = 0x10002;
	mover_resume(&a->mover);
	assert_int_equal(mover_due(&a->mover), world.now);
	pass(4 * DELAY);
	assert_together(0);
}

/* A hand-over that comes to nothing holds up no move: the flow is EXPORTED when a timer fires. */
static void test_stays(void **state)
{
	struct host *a = &world.h[0];

	flows_make(1);
	start(a, 0, 0x10002);
	mover_flush(&a->mover);
	world.n = 0; /* the RSYN is lost */
	a->flows[0].state = SF_FLOW_EXPORTED;
	pass(300 * MS);
	assert_int_equal(a->mover.counts.sent, 1);
	assert_true(mover_due(&a->mover) > world.now);
	a->flows[0].state = SF_FLOW_BOUND;
	mover_stay(&a->mover, KEY0);
	assert_int_equal(mover_due(&a->mover), world.now);
	pass(4 * DELAY);
	assert_together(0);
	/* Nothing is under way, or there is no such flow: nothing happens. */
	pass(1000 * MS);
	mover_stay(&a->mover, KEY0);
	mover_stay(&a->mover, KEY0 + 1);
	assert_int_equal(mover_due(&a->mover), 0);
}

/* Whoever was left tells where the peer went; without it this would wait for the rendezvous. */
static void test_redirect(void **state)
{
	struct host *a = &world.h[0], *b = &world.h[1];
	uint8_t data[RSYN_QUOTING_MAX], ours[SF_MOVE_LEN], reason;
	struct rsyn_in rsyn, in;
	struct sf_addr there = place(0x20002);
	int len;

	flows_make(1);
	start(a, 0, 0x10002);
	mover_flush(&a->mover);
	assert_int_equal(world.n, 1);
	memcpy(ours, world.wire[0].data, sizeof(ours));
	assert_int_equal(rsyn_decode(ours, sizeof(ours), &rsyn, &reason), 0);
	world.n = 0;
	start(b, 0, 0x20002);
	mover_flush(&b->mover);
	world.n = 0; /* b's does not reach a's old place */
	len = rsyn_redirect_encode(data, sizeof(data), &rsyn, &b->id, &there);
	assert_int_equal(len, SF_IPV6_LEN + SF_HDR_LEN + 24 + SF_MOVE_LEN);
	assert_int_equal(rsyn_decode(data, (size_t)len, &in, &reason), 0);
	assert_int_equal(in.kind, SF_KIND_REDIRECT);
	mover_in(&a->mover, &in);
	mover_flush(&a->mover);
	assert_int_equal(world.n, 1);
	pass(8 * DELAY); /* before any timer */
	assert_together(0);
	/* One that quotes what is past suggests nothing. */
	mover_in(&a->mover, &in);
	mover_flush(&a->mover);
	assert_int_equal(world.n, 0);
	data[len - 1] ^= 1;
	assert_int_equal(rsyn_decode(data, (size_t)len, &in, &reason), -EBADMSG);
	assert_int_equal(reason, SF_BAD_CHECKSUM);
}

/* Flow 0 of @from goes to @to, where it is flow 1. */
static void hand_over(struct host *from, struct host *to)
{
	struct sf_flow *was = &from->flows[0], *f = &to->flows[1];
	const struct sf_move *known = mover_find(&from->mover, KEY0);
	struct sf_addr at = place(to->up), exporter = sf_locator_place(&was->own);
	struct sf_move m;

	if (known)
		m = *known;
	else
		sf_move_init(&m, was, world.now);
	was->state = SF_FLOW_EXPORTED;
	assert_int_equal(mover_leave(&from->mover, KEY0), 0);
	mover_flush(&from->mover);
	*f = *was;
	f->own = sf_locator(&world.net, to->up, sf_socket_id(KEY0 + 1, 3));
	f->state = SF_FLOW_BOUND;
	sf_move_rehome(&m, &f->own, world.now);
	assert_int_equal(mover_load(&to->mover, KEY0 + 1, &m), 0);
	assert_int_equal(mover_take_over(&to->mover, KEY0 + 1, &at, &exporter), 0);
	mover_flush(&to->mover);
}

/* The one who has it now says whose it was, although it has moved once more meanwhile. */
static void test_told_whose_it_was(void **state)
{
	struct host *a = &world.h[0], *b = &world.h[1], *c = &world.h[2];
	struct sf_addr next = place(0x30002), first = place(b->up);

	c->id = sf_sid_make(SF_SSID_HOSTS, 3);
	c->up = 0x30001;
	agent_restart(c);
	flows_make(1);
	sf_locator_set_sock(&b->flows[0].own, sf_socket_id(KEY0, 9));
	a->flows[0].peer = b->flows[0].own;
	start(a, 0, 0x10002);
	mover_flush(&a->mover);
	pass(100 * MS);
	assert_int_equal(a->own_report.cause, MOVER_ORDERED);
	assert_true(sf_locator_same_host(&a->own_report.to, &a->flows[0].own));
	hand_over(b, c);
	c->up = 0x30002;
	assert_int_equal(mover_start(&c->mover, KEY0 + 1, &next, MOVER_LINK), 0);
	mover_flush(&c->mover);
	pass(1000 * MS);
	assert_int_equal(c->own_told, 1);
	assert_int_equal(c->own_report.cause, MOVER_HANDOVER);
	assert_true(sf_locator_same_host(&c->own_report.from, &first));
	/* The next is one of its own. */
	next = place(0x30003);
	c->up = 0x30003;
	assert_int_equal(mover_start(&c->mover, KEY0 + 1, &next, MOVER_LINK), 0);
	mover_flush(&c->mover);
	pass(1000 * MS);
	assert_int_equal(c->own_report.cause, MOVER_LINK);
	first = place(0x30002);
	assert_true(sf_locator_same_host(&c->own_report.from, &first));
}

/* The peer of a flow that is handed over moves: who exported it sends it on, as soon as it knows
 * where to, even if its agent has been restarted. */
static void test_sent_on(void **state)
{
	struct host *a = &world.h[0], *b = &world.h[1], *c = &world.h[2];
	struct sf_addr left;
	const struct sf_move *m;

	c->id = sf_sid_make(SF_SSID_HOSTS, 3);
	c->up = 0x30001;
	agent_restart(c);
	flows_make(1);
	sf_locator_set_sock(&b->flows[0].own,
			    sf_socket_id(KEY0, 9)); /* as names must: it differs */
	a->flows[0].peer = b->flows[0].own;
	left = b->flows[0].own;
	start(a, 0, 0x10002);
	mover_flush(&a->mover);
	hand_over(b, c);
	pass(3 * DELAY);
	/* Nobody has told it: it says nothing, least of all that there is no such flow. */
	assert_int_equal(b->mover.counts.unknown, 1);
	assert_int_equal(world.n, 0);
	mover_tell(&c->mover, KEY0 + 1, &left);
	pass(2 * DELAY);
	assert_int_equal(b->mover.counts.taken, 1);
	assert_int_equal(world.n, 0);
	agent_restart(b);
	assert_int_equal(mover_due(&b->mover), 0);
	pass(75 * MS); /* one repetition, before either asks for the other by its host */
	assert_int_equal(b->mover.counts.sent_on, 1);
	assert_int_equal(a->mover.counts.redirected, 1);
	m = mover_find(&a->mover, KEY0);
	assert_true(m && sf_move_is_settled(m));
	assert_int_equal(sf_locator_host(&m->valid), c->up);
	assert_int_equal(sf_socket_key(sf_locator_sock(&m->valid)), KEY0 + 1);
	m = mover_find(&c->mover, KEY0 + 1);
	assert_true(m && sf_move_is_settled(m));
	assert_int_equal(a->overs + b->overs + c->overs, 0);
	/* The state goes with the entry. */
	b->flows[0].state = SF_FLOW_FREE;
	mover_sweep(&b->mover, 0, 1);
	assert_false(b->has[0]);
}

/* Who does not know what was exported moves nobody, nor who repeats another's words. */
static void test_sent_on_forged(void **state)
{
	struct host *a = &world.h[0], *b = &world.h[1], *c = &world.h[2];
	uint8_t said[SF_MOVE_LEN], reason;
	struct sf_move_msg msg;
	struct rsyn_in in;
	struct sf_addr left;

	c->id = sf_sid_make(SF_SSID_HOSTS, 3);
	c->up = 0x30001;
	agent_restart(c);
	flows_make(1);
	sf_locator_set_sock(&b->flows[0].own,
			    sf_socket_id(KEY0, 9)); /* as names must: it differs */
	a->flows[0].peer = b->flows[0].own;
	left = b->flows[0].own;
	hand_over(b, c);
	world.n = 0;
	mover_tell(&c->mover, KEY0 + 1, &left);
	assert_int_equal(world.n, 1);
	memcpy(said, world.wire[0].data, sizeof(said));
	world.n = 0;
	assert_int_equal(rsyn_decode(said, sizeof(said), &in, &reason), 0);
	msg = in.msg;
	in.msg.was ^= 1; /* a stranger's */
	in.msg.claim ^= 1;
	mover_in(&b->mover, &in);
	assert_true(sf_addr_is_zero(&mover_find(&b->mover, KEY0)->valid));
	in.msg = msg;
	mover_in(&b->mover, &in);
	assert_int_equal(sf_locator_host(&mover_find(&b->mover, KEY0)->valid), c->up);
	in.msg.src = place(0x40001); /* the same again, from elsewhere */
	mover_in(&b->mover, &in);
	assert_int_equal(sf_locator_host(&mover_find(&b->mover, KEY0)->valid), c->up);
	in.msg.epoch--; /* of the past */
	in.msg.name ^= 1;
	mover_in(&b->mover, &in);
	assert_int_equal(sf_locator_host(&mover_find(&b->mover, KEY0)->valid), c->up);
	/* Only what asks is answered. */
	start(a, 0, 0x10002);
	mover_flush(&a->mover);
	assert_int_equal(rsyn_decode(world.wire[0].data, SF_MOVE_LEN, &in, &reason), 0);
	world.n = 0;
	in.kind = in.msg.kind = SF_KIND_RACK;
	mover_in(&b->mover, &in);
	mover_flush(&b->mover);
	assert_int_equal(world.n, 0);
	assert_int_equal(b->mover.counts.sent_on, 0);
}

/* Strangers make us keep nothing. */
static void test_stranger(void **state)
{
	struct host *b = &world.h[1];
	struct sf_move_msg msg = { .kind = SF_KIND_RSYN, .epoch = 9, .name = 3, .you = 4 };
	uint8_t data[SF_MOVE_LEN], reason;
	struct rsyn_in in;

	flows_make(1);
	msg.src = sf_locator(&world.net, 0x50001, sf_socket_id(KEY0, 9));
	msg.dst = b->flows[0].own;
	assert_int_equal(sf_move_encode(data, sizeof(data), &msg), SF_MOVE_LEN);
	assert_int_equal(rsyn_decode(data, sizeof(data), &in, &reason), 0);
	mover_in(&b->mover, &in);
	mover_flush(&b->mover);
	assert_int_equal(mover_size(&b->mover, NULL), 0);
	assert_int_equal(b->mover.counts.stale, 1);
	assert_int_equal(
		b->mover.counts.ignored[SF_DUPLICATE] + b->mover.counts.ignored[SF_SUPERSEDED], 1);
	assert_int_equal(world.n, 0);
	assert_false(b->has[0]);
	for (size_t len = 0; len < sizeof(data); len++)
		assert_int_equal(rsyn_decode(data, len, &in, &reason), -EBADMSG);
	data[6] = SF_NEXTHDR_ICMPV6;
	assert_int_equal(rsyn_decode(data, sizeof(data), &in, &reason), -ENOMSG);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_move),
		TEST(test_gentle_move),
		TEST(test_one_segment_goes_before_the_proof),
		TEST(test_nothing_goes_before_the_proof),
		TEST(test_idle_is_kicked_once),
		TEST(test_no_kick_of_datagrams),
		TEST(test_not_established),
		TEST(test_hostile_network),
		TEST(test_both_at_once),
		TEST(test_killed),
		TEST(test_cannot_keep),
		TEST(test_gone),
		TEST(test_superseded),
		TEST(test_parked),
		TEST(test_stays),
		TEST(test_redirect),
		TEST(test_sent_on),
		TEST(test_told_whose_it_was),
		TEST(test_sent_on_forged),
		TEST(test_stranger),
	};
#undef TEST

	return cmocka_run_group_tests_name("agent_moves", tests, NULL, NULL);
}
