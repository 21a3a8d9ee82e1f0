// SPDX-License-Identifier: Apache-2.0
/* Which flows are freed: those that two scans in a row find without their socket, and no others. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "agent/gc.h"

static struct sf_tuple tuple(uint32_t n)
{
	struct sf_tuple t = { .proto = 6, .lport = 80, .pport = (uint16_t)n };

	t.local.w[3] = 1;
	t.peer.w[2] = n;
	return t;
}

static int setup(void **state)
{
	static struct gc gc;
	const struct sf_hashkey key = { 1, 2 };

	gc_open(&gc, &key);
	*state = &gc;
	return 0;
}

static int teardown(void **state)
{
	gc_close(*state);
	return 0;
}

static void flow(struct gc *gc, uint64_t id, uint32_t n)
{
	struct gc_flow f = { .id = id, .tuple = tuple(n) };

	assert_int_equal(gc_flow(gc, &f), 0);
}

static void sock(struct gc *gc, uint32_t n)
{
	struct sf_tuple t = tuple(n);

	assert_int_equal(gc_socket(gc, &t), 0);
}

static size_t end(struct gc *gc, const struct gc_flow **gone)
{
	size_t n = 99;

	assert_int_equal(gc_end(gc, gone, &n), 0);
	return n;
}

static void freed_after_two_scans(void **state)
{
	struct gc *gc = *state;
	const struct gc_flow *gone;

	for (int scan = 0; scan < 2; scan++) {
		gc_begin(gc);
		flow(gc, 10, 1);
		flow(gc, 20, 2);
		sock(gc, 2);
		assert_int_equal(end(gc, &gone), scan);
		if (!scan)
			assert_true(gc_busy(gc));
	}
	assert_int_equal(gone[0].id, 10);
	assert_false(gc_busy(gc));
}

static void socket_that_comes_back_saves_its_flow(void **state)
{
	struct gc *gc = *state;
	const struct gc_flow *gone;

	for (int scan = 0; scan < 4; scan++) {
		gc_begin(gc);
		flow(gc, 10, 1);
		if (scan % 2)
			sock(gc, 1);
		assert_int_equal(end(gc, &gone), 0);
	}
}

static void abandoned_scan_keeps_suspects(void **state)
{
	struct gc *gc = *state;
	const struct gc_flow *gone;

	gc_begin(gc);
	flow(gc, 10, 1);
	assert_int_equal(end(gc, &gone), 0);
	gc_begin(gc);
	flow(gc, 10, 1);
	gc_abandon(gc);
	assert_true(gc_busy(gc));
	gc_begin(gc);
	flow(gc, 10, 1);
	assert_int_equal(end(gc, &gone), 1);
}

static void closing_flows_hurry(void **state)
{
	struct gc *gc = *state;
	struct gc_flow f = { .id = 10, .tuple = tuple(1), .closing = true };
	const struct gc_flow *gone;

	gc_begin(gc);
	assert_int_equal(gc_flow(gc, &f), 0);
	sock(gc, 1);
	assert_int_equal(end(gc, &gone), 0);
	assert_true(gc_busy(gc));
	gc_begin(gc);
	assert_int_equal(end(gc, &gone), 0);
	assert_false(gc_busy(gc));
}

static void many(void **state)
{
	struct gc *gc = *state;
	const struct gc_flow *gone;
	enum { N = 20000 };

	for (int scan = 0; scan < 2; scan++) {
		gc_begin(gc);
		for (uint32_t i = 1; i <= N; i++)
			flow(gc, 1000000 + i, i);
		for (uint32_t i = 1; i <= N; i++)
			if (i % 3)
				sock(gc, i);
		assert_int_equal(end(gc, &gone), scan ? N / 3 : 0);
	}
	for (int i = 0; i < N / 3; i++)
		assert_int_equal((gone[i].id - 1000000) % 3, 0);
}

static void set_holds_what_was_added(void **state)
{
	struct gc_set s = { 0 };

	assert_false(gc_set_has(&s, 5));
	for (uint64_t i = 1; i < 1000; i += 2)
		assert_int_equal(gc_set_add(&s, i << 20), 0);
	assert_int_equal(gc_set_add(&s, 1 << 20), 0);
	assert_int_equal(s.count, 500);
	for (uint64_t i = 1; i < 1000; i++)
		assert_int_equal(gc_set_has(&s, i << 20), i % 2);
	gc_set_clear(&s);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(freed_after_two_scans),
		T(socket_that_comes_back_saves_its_flow),
		T(abandoned_scan_keeps_suspects),
		T(closing_flows_hurry),
		T(many),
		cmocka_unit_test(set_holds_what_was_added),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
