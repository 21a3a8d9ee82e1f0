// SPDX-License-Identifier: Apache-2.0
/* lab/engine: fates of packets in virtual time, with fixed seeds; the queue. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lab/engine.h"

#define MS 1000000ull
#define N  100000

static struct sf_engine engine(const char *name, const struct sf_emulation *set)
{
	struct sf_engine e;

	sf_engine_init(&e, 1, name);
	sf_engine_set(&e, set);
	return e;
}

static void test_none(void **state)
{
	struct sf_engine e = engine("a", &(struct sf_emulation){ 0 });

	(void)state;
	for (uint64_t now = 5; now < 1000; now++) {
		struct sf_fate f = sf_engine_packet(&e, now, 100);

		assert_true(f.due == now && f.copies == 1);
	}
	assert_int_equal(e.counts.received, 995);
	assert_int_equal(e.counts.bytes, 99500);
	assert_false(sf_engine_per_packet(&e));
}

static void test_delay(void **state)
{
	struct sf_engine e = engine("a", &(struct sf_emulation){ .delay_us = 20000 });
	struct sf_fate f = sf_engine_packet(&e, 7 * MS, 100);

	(void)state;
	assert_true(f.due == 27 * MS);
	/* A shorter delay since: not past the one before. */
	sf_engine_set(&e, &(struct sf_emulation){ .delay_us = 1000 });
	f = sf_engine_packet(&e, 8 * MS, 100);
	assert_true(f.due == 27 * MS);
	f = sf_engine_packet(&e, 30 * MS, 100);
	assert_true(f.due == 31 * MS);
}

/* Within the spread, both sides of the middle, in order. */
static void test_jitter(void **state)
{
	struct sf_engine e =
		engine("a", &(struct sf_emulation){ .delay_us = 5000, .jitter_us = 2000 });
	uint64_t last = 0;
	int low = 0, high = 0;

	(void)state;
	for (uint64_t i = 0; i < N; i++) {
		uint64_t now = i * 10 * MS; /* far apart: order costs nothing */
		struct sf_fate f = sf_engine_packet(&e, now, 100);

		assert_true(f.due >= now + 3 * MS && f.due <= now + 7 * MS);
		low += f.due < now + 4 * MS;
		high += f.due > now + 6 * MS;
	}
	assert_in_range(low, N / 5, N / 10 * 3);
	assert_in_range(high, N / 5, N / 10 * 3);
	for (uint64_t i = 0; i < 1000; i++) { /* close together */
		struct sf_fate f = sf_engine_packet(&e, N * 10 * MS + i, 100);

		assert_true(f.due >= last);
		last = f.due;
	}
}

static unsigned int losses(struct sf_engine *e, unsigned int *bursts)
{
	unsigned int lost = 0;
	bool before = false;

	*bursts = 0;
	for (uint64_t i = 0; i < N; i++) {
		bool now = !sf_engine_packet(e, i, 100).copies;

		lost += now;
		*bursts += now && !before;
		before = now;
	}
	assert_int_equal(e->counts.lost, lost);
	return lost;
}

/* Bounds are some six standard deviations wide; the seed is fixed, so that it never varies. */
static void test_loss(void **state)
{
	struct sf_engine e = engine("a", &(struct sf_emulation){ .loss_ppm = 10000 });
	unsigned int bursts;

	(void)state;
	assert_in_range(losses(&e, &bursts), 1000 - 190, 1000 + 190);
	assert_true(bursts > 900 - 190);
	e = engine("a", &(struct sf_emulation){ .loss_ppm = SF_PPM });
	assert_int_equal(losses(&e, &bursts), N);
	e = engine("a", &(struct sf_emulation){ .loss_ppm = SF_PPM, .burst = 5 });
	assert_int_equal(losses(&e, &bursts), N);
	e = engine("a", &(struct sf_emulation){ .loss_ppm = 0, .burst = 5 });
	assert_int_equal(losses(&e, &bursts), 0);
	assert_true(sf_engine_per_packet(&(struct sf_engine){ .set.loss_ppm = 1 }));
}

/* The same mean in bursts: five packets a burst. */
static void test_gilbert(void **state)
{
	struct sf_engine e = engine("a", &(struct sf_emulation){ .loss_ppm = 50000, .burst = 5 });
	unsigned int bursts, lost = losses(&e, &bursts);

	(void)state;
	assert_in_range(lost, 4000, 6000);
	assert_in_range(lost * 10 / bursts, 45, 55);
}

/* 1000-byte packets at 8 Mbit/s: one a millisecond. */
static void test_rate(void **state)
{
	struct sf_engine e =
		engine("a", &(struct sf_emulation){ .rate = 8000000, .queue_us = 10000 });
	struct sf_fate f;

	(void)state;
	for (uint64_t i = 1; i <= 11; i++) {
		f = sf_engine_packet(&e, 0, 1000);
		assert_true(f.copies == 1 && f.due == i * MS);
	}
	f = sf_engine_packet(&e, 0, 1000); /* 11 ms of queue */
	assert_int_equal(f.copies, 0);
	assert_int_equal(e.counts.queue_full, 1);
	f = sf_engine_packet(&e, 5 * MS, 1000);
	assert_true(f.copies == 1 && f.due == 12 * MS);
	f = sf_engine_packet(&e, 50 * MS, 1000); /* the line is idle again */
	assert_true(f.due == 51 * MS);
}

static void test_reorder(void **state)
{
	struct sf_engine e =
		engine("a", &(struct sf_emulation){ .reorder_ppm = 100000, .hold_us = 3000 });
	unsigned int late = 0;

	(void)state;
	for (uint64_t i = 1; i <= N; i++) {
		struct sf_fate f = sf_engine_packet(&e, i, 100);

		assert_true(f.due == i || f.due == i + 3 * MS); /* those behind do not wait */
		late += f.due != i;
	}
	assert_int_equal(e.counts.reordered, late);
	assert_in_range(late, N / 10 - 600, N / 10 + 600);
}

static void test_duplicate(void **state)
{
	struct sf_engine e = engine("a", &(struct sf_emulation){ .duplicate_ppm = 100000 });
	unsigned int twice = 0;

	(void)state;
	for (uint64_t i = 1; i <= N; i++)
		twice += sf_engine_packet(&e, i, 100).copies == 2;
	assert_int_equal(e.counts.duplicated, twice);
	assert_in_range(twice, N / 10 - 600, N / 10 + 600);
}

/* The same seed and name meet the same fates; another of either does not. */
static void test_reproducible(void **state)
{
	const struct sf_emulation set = { .loss_ppm = 500000 };
	struct sf_engine a = engine("h1-r1>0", &set), b = engine("h1-r1>0", &set),
			 c = engine("h1-r1>1", &set), d;
	unsigned int other_name = 0, other_seed = 0;

	(void)state;
	sf_engine_init(&d, 2, "h1-r1>0");
	sf_engine_set(&d, &set);
	for (uint64_t i = 0; i < 1000; i++) {
		unsigned int fate = sf_engine_packet(&a, i, 100).copies;

		assert_int_equal(sf_engine_packet(&b, i, 100).copies, fate);
		other_name += sf_engine_packet(&c, i, 100).copies != fate;
		other_seed += sf_engine_packet(&d, i, 100).copies != fate;
	}
	assert_in_range(other_name, 400, 600);
	assert_in_range(other_seed, 400, 600);
}

static void test_heap(void **state)
{
	static struct sf_flight flights[5000];
	struct sf_heap h = { 0 };
	uint64_t x = 1, last_due = 0, last_order = 0;
	struct sf_flight *f;
	size_t n = 0;

	(void)state;
	assert_null(sf_heap_first(&h));
	assert_null(sf_heap_take(&h));
	for (size_t i = 0; i < 5000; i++) {
		x = x * 6364136223846793005ull + 1442695040888963407ull;
		flights[i].due = (x >> 33) % 700; /* many equal ones */
		assert_int_equal(sf_heap_put(&h, &flights[i]), 0);
	}
	while ((f = sf_heap_take(&h))) {
		assert_true(f->due > last_due || (f->due == last_due && f->order >= last_order));
		last_due = f->due;
		last_order = f->order;
		n++;
	}
	assert_int_equal(n, 5000);
	sf_heap_free(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none),	     cmocka_unit_test(test_delay),
		cmocka_unit_test(test_jitter),	     cmocka_unit_test(test_loss),
		cmocka_unit_test(test_gilbert),	     cmocka_unit_test(test_rate),
		cmocka_unit_test(test_reorder),	     cmocka_unit_test(test_duplicate),
		cmocka_unit_test(test_reproducible), cmocka_unit_test(test_heap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
