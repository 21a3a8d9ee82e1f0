// SPDX-License-Identifier: Apache-2.0
/* agent_silence_test.c - who is asked, when, and what is over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "agent/silence.h"
#include "core/reason.h"

#define S     1000000000ull
#define AFTER 15000
#define GRACE 5000

static struct silence s;
static struct sf_net net;

static int setup(void **state)
{
	net = sf_net_default(1);
	silence_close(&s);
	return 0;
}

/* Flow @n with host @host, last heard at @heard. */
static struct sf_flow flow(uint32_t host, uint64_t n, uint64_t heard)
{
	struct sf_flow f = { .state = SF_FLOW_BOUND, .used = sf_used_of(heard) };

	f.own = sf_locator(&net, 0x10001, 0x100000000 + n);
	f.peer = sf_locator(&net, host, 0x200000000 + n);
	return f;
}

static struct silence_pair *walk(struct sf_flow *list, size_t n, uint64_t now)
{
	silence_begin(&s, now);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(silence_flow(&s, &list[i], GRACE), 0);
	silence_end(&s);
	return n ? silence_find(&s, &list[0].own, &list[0].peer) : NULL;
}

static enum silence_due due(struct sf_flow *f, uint64_t now)
{
	enum silence_due what = silence_due(walk(f, 1, now), AFTER, true, now);

	if (what == SILENCE_ASK)
		silence_asked(walk(f, 1, now), 0x12340000, now);
	return what;
}

static void receivers_ask_after_a_while(void **state)
{
	struct sf_flow f = flow(0x20001, 1, 100 * S);

	f.tx_packets = 3;
	due(&f, 100 * S); /* what was sent until now is seen */
	assert_int_equal(due(&f, 102 * S), SILENCE_NOTHING);
	assert_int_equal(due(&f, 114 * S), SILENCE_NOTHING);
	assert_int_equal(due(&f, 116 * S), SILENCE_ASK);
	assert_int_equal(due(&f, 117 * S), SILENCE_ASK);
	assert_int_equal(due(&f, 119 * S), SILENCE_ASK);
	assert_int_equal(due(&f, 122 * S), SILENCE_OVER);
	/* Anything that comes ends it. */
	f.used = sf_used_of(122 * S);
	assert_int_equal(due(&f, 123 * S), SILENCE_NOTHING);
	assert_int_equal(due(&f, 136 * S), SILENCE_NOTHING);
	assert_int_equal(due(&f, 138 * S), SILENCE_ASK);
}

static void senders_ask_at_once(void **state)
{
	struct sf_flow f = flow(0x20001, 1, 100 * S);

	assert_int_equal(due(&f, 100 * S), SILENCE_NOTHING);
	f.tx_packets++;
	assert_int_equal(due(&f, 101 * S), SILENCE_NOTHING);
	assert_int_equal(due(&f, 102 * S), SILENCE_ASK);
	/* Answered: what was sent before is no question any more. */
	assert_true(silence_answer(silence_find(&s, &f.own, &f.peer), 0x12340000, 102 * S));
	assert_int_equal(due(&f, 104 * S), SILENCE_NOTHING);
}

static void soft_fails_ask_at_once(void **state)
{
	struct sf_flow f = flow(0x20001, 1, 100 * S);

	assert_int_equal(due(&f, 100 * S), SILENCE_NOTHING);
	f.fail = SF_HOST_UNREACHABLE;
	assert_int_equal(due(&f, 102 * S), SILENCE_ASK);
	assert_true(silence_answer(silence_find(&s, &f.own, &f.peer), 0x12340000, 102 * S));
	/* It is of the past. */
	assert_int_equal(due(&f, 105 * S), SILENCE_NOTHING);
}

static void strangers_answers_are_none(void **state)
{
	struct sf_flow f = flow(0x20001, 1, 100 * S);
	struct silence_pair *p;

	assert_false(silence_answer(walk(&f, 1, 100 * S), 0, 100 * S));
	assert_int_equal(due(&f, 116 * S), SILENCE_ASK);
	p = silence_find(&s, &f.own, &f.peer);
	assert_false(silence_answer(p, 0x12350000, 116 * S));
	assert_false(silence_answer(p, 0x1234ffff, 116 * S));
	assert_int_not_equal(p->asked, 0);
	/* Who answers rightly names what it was asked for, or nothing. */
	assert_true(silence_answer(p, 0x12340000, 116 * S));
	assert_true(silence_dead(p, 0x200000002) == 0);
	assert_true(silence_dead(p, 0x200000001) == 0x100000001);
}

/* A link of ours that is down says nothing of the peer: the time begins when it is back. */
static void no_time_counts_without_a_link(void **state)
{
	struct sf_flow f = flow(0x20001, 1, 100 * S);

	assert_int_equal(due(&f, 116 * S), SILENCE_ASK);
	assert_int_equal(due(&f, 117 * S), SILENCE_ASK);
	assert_int_equal(due(&f, 118 * S), SILENCE_ASK);
	assert_int_equal(silence_due(walk(&f, 1, 200 * S), AFTER, false, 200 * S), SILENCE_NOTHING);
	assert_int_equal(due(&f, 201 * S), SILENCE_ASK);
	assert_int_equal(due(&f, 205 * S), SILENCE_ASK);
	assert_int_equal(due(&f, 205 * S + S / 2), SILENCE_ASK);
	assert_int_equal(due(&f, 206 * S), SILENCE_OVER);
	/* Nor for who does not want it. */
	assert_int_equal(silence_due(walk(&f, 1, 300 * S), 0, true, 300 * S), SILENCE_NOTHING);
}

static void moved_peer_is_another(void **state)
{
	struct sf_flow f = flow(0x20001, 1, 100 * S);

	for (uint64_t t = 116; t < 120; t++)
		assert_int_equal(due(&f, t * S), SILENCE_ASK);
	f.peer = sf_locator(&net, 0x30001, 0x200000001);
	assert_int_equal(due(&f, 122 * S), SILENCE_ASK);
	assert_int_equal(HASH_COUNT(s.pairs), 1);
	walk(NULL, 0, 123 * S);
	assert_int_equal(HASH_COUNT(s.pairs), 0);
}

/* Sixteen are named at a time, in turn; once one is dead, all of them. */
static void all_are_asked_for_in_turn(void **state)
{
	struct sf_flow list[100];
	bool named[100] = { false };
	struct silence_pair *p;

	for (uint32_t i = 0; i < 100; i++)
		list[i] = flow(0x20001, i, 100 * S);
	list[50].flags = SF_FLOW_OPEN; /* the ends do not agree on its names */
	for (uint64_t t = 0; t < 7; t++) {
		p = walk(list, 100, (116 + t) * S);
		assert_in_range(p->n_socks, 3, SILENCE_SOCKS);
		for (size_t i = 0; i < p->n_socks; i++)
			named[p->socks[i].own & 0xff] = true;
		silence_asked(p, 0, (116 + t) * S);
	}
	for (int i = 0; i < 100; i++)
		assert_int_equal(named[i], i != 50);
	p = walk(list, 100, 123 * S);
	silence_asked(p, 0, 123 * S);
	assert_true(silence_answer(p, 0, 123 * S));
	assert_true(silence_dead(p, 0x200000003) != 0);
	p = walk(list, 100, 124 * S);
	assert_int_equal(silence_due(p, AFTER, true, 124 * S), SILENCE_ASK);
	assert_int_equal(p->n_socks, 99 - SILENCE_SOCKS);
	silence_asked(p, 0, 124 * S);
	assert_true(silence_answer(p, 5, 124 * S));
	/* None was: enough. */
	p = walk(list, 100, 125 * S);
	assert_int_equal(silence_due(p, AFTER, true, 125 * S), SILENCE_NOTHING);
}

static void what_is_not_watched(void **state)
{
	static const uint8_t states[] = { SF_FLOW_FREE, SF_FLOW_CONNECTING, SF_FLOW_HALF_OPEN,
					  SF_FLOW_DATAGRAM, SF_FLOW_EXPORTED };
	struct sf_flow f = flow(0x20001, 1, 100 * S);

	assert_true(silence_watches(&f));
	f.flags = SF_FLOW_RST;
	assert_false(silence_watches(&f));
	f.flags = 0;
	for (size_t i = 0; i < sizeof(states); i++) {
		f.state = states[i];
		assert_false(silence_watches(&f));
	}
}

/* Whoever answers is there: what was said of its flows is over, and the next time it counts anew.
 */
static void answers_end_soft_fails(void **state)
{
	struct sf_flow f[2] = { flow(0x20001, 1, 100 * S), flow(0x20002, 2, 100 * S) };
	struct silence_pair *p;

	f[0].fail = f[1].fail = SF_HOST_UNREACHABLE;
	p = walk(f, 2, 102 * S);
	assert_int_equal(silence_due(p, AFTER, true, 102 * S), SILENCE_ASK);
	silence_asked(p, 0x12340000, 102 * S);
	assert_false(silence_is_answered(&s, &f[0]));
	assert_true(silence_answer(p, 0x12340000, 102 * S));
	assert_true(silence_is_answered(&s, &f[0]));
	assert_false(silence_is_answered(&s, &f[1]));
	f[0].fail = SF_SHED;
	assert_false(silence_is_answered(&s, &f[0]));
	f[0].fail = 0;
	p = walk(f, 2, 103 * S);
	assert_int_equal(p->soft, 0);
	assert_int_equal(silence_due(p, AFTER, true, 104 * S), SILENCE_NOTHING);
	f[0].fail = SF_HOST_UNREACHABLE;
	assert_false(silence_is_answered(&s, &f[0]));
	p = walk(f, 2, 104 * S);
	assert_int_equal(silence_due(p, AFTER, true, 104 * S), SILENCE_ASK);
}

static void who_waits_is_told_once(void **state)
{
	struct sf_flow f = flow(0x20001, 1, 100 * S);
	enum silence_wait was;
	struct silence_pair *p;
	uint64_t since, now;

	f.fail = SF_HOST_UNREACHABLE;
	/* One PROBE may be lost, and says nothing yet. */
	for (now = 102 * S; now < 104 * S; now += S) {
		assert_int_equal(due(&f, now), SILENCE_ASK);
		p = walk(&f, 1, now);
		assert_false(silence_waits(p, true, now, &was, &since));
	}
	assert_int_equal(due(&f, now), SILENCE_ASK);
	p = walk(&f, 1, now);
	assert_true(silence_waits(p, true, now, &was, &since));
	assert_int_equal(was, SILENCE_GOES);
	assert_int_equal(p->waits, SILENCE_NO_PEER);
	assert_int_equal(since, 102 * S);
	assert_false(silence_waits(p, true, now, &was, &since));
	/* Our own place goes, then all is well. */
	silence_due(p, AFTER, false, 105 * S);
	assert_true(silence_waits(p, false, 105 * S, &was, &since));
	assert_int_equal(was, SILENCE_NO_PEER);
	assert_int_equal(p->waits, SILENCE_NO_PLACE);
	f.fail = 0;
	f.used = sf_used_of(106 * S);
	assert_int_equal(due(&f, 107 * S), SILENCE_NOTHING);
	p = walk(&f, 1, 107 * S);
	assert_true(silence_waits(p, true, 107 * S, &was, &since));
	assert_int_equal(was, SILENCE_NO_PLACE);
	assert_int_equal(since, 105 * S);
	assert_int_equal(p->waits, SILENCE_GOES);
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(receivers_ask_after_a_while),	  T(senders_ask_at_once),
		T(soft_fails_ask_at_once),	  T(strangers_answers_are_none),
		T(no_time_counts_without_a_link), T(moved_peer_is_another),
		T(all_are_asked_for_in_turn),	  T(what_is_not_watched),
		T(answers_end_soft_fails),	  T(who_waits_is_told_once),
	};

	return cmocka_run_group_tests(tests, NULL, setup);
}
