// SPDX-License-Identifier: Apache-2.0
/* extents_test.c - room in the slot array: never twice, never too early, whole again in the end. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "router/extents.h"

#define SLOTS (64 * EXTENT_MIN + 100) /* the odd rest is unused */

static void sizes(void **state)
{
	struct extents *e;
	uint32_t at;

	assert_int_equal(extents_new(SLOTS, &e), 0);
	assert_int_equal(extents_take(e, 0, 0, &at), -EINVAL);
	assert_int_equal(extents_take(e, 65 * EXTENT_MIN, 0, &at), -ENOSPC);
	assert_int_equal(extents_take(e, UINT32_MAX, 0, &at), -EINVAL);
	assert_int_equal(extents_take(e, 64 * EXTENT_MIN, 0, &at), 0);
	assert_int_equal(at, 0);
	assert_int_equal(extents_used(e), 64 * EXTENT_MIN);
	assert_int_equal(extents_take(e, 1, 0, &at), -ENOSPC);
	extents_free(e);
}

/* What is given back rests first. */
static void rest(void **state)
{
	struct extents *e;
	uint32_t at;

	assert_int_equal(extents_new(SLOTS, &e), 0);
	assert_int_equal(extents_take(e, 64 * EXTENT_MIN, 0, &at), 0);
	extents_give(e, at, 64 * EXTENT_MIN, 5000);
	assert_int_equal(extents_take(e, 1, 5000 + EXTENT_REST_MS - 1, &at), -ENOSPC);
	assert_int_equal(extents_take(e, 1, 5000 + EXTENT_REST_MS, &at), 0);
	extents_free(e);
}

/* An extent that rules found in the kernel use is nobody else's. */
static void claim(void **state)
{
	struct extents *e;
	uint32_t at, n = 0;

	assert_int_equal(extents_new(SLOTS, &e), 0);
	assert_int_equal(extents_claim(e, 12 * EXTENT_MIN, 3 * EXTENT_MIN), 0);
	assert_int_equal(extents_claim(e, 12 * EXTENT_MIN, 3 * EXTENT_MIN), -EBUSY);
	assert_int_equal(extents_claim(e, 14 * EXTENT_MIN, 1), -EBUSY);
	assert_int_equal(extents_claim(e, 8 * EXTENT_MIN, 5 * EXTENT_MIN), -EBUSY);
	assert_int_equal(extents_claim(e, 1, 1), -EINVAL);
	assert_int_equal(extents_claim(e, 2 * EXTENT_MIN, 4 * EXTENT_MIN), -EINVAL);
	assert_int_equal(extents_claim(e, 64 * EXTENT_MIN, 1), -EINVAL);
	while (!extents_take(e, 1, 0, &at)) {
		assert_true(at < 12 * EXTENT_MIN || at >= 16 * EXTENT_MIN);
		n++;
	}
	assert_int_equal(n, 60);
	extents_free(e);
}

/* Random taking and giving: no overlap, and all joins again. */
static void random_walk(void **state)
{
	struct {
		uint32_t at, n;
	} held[64];
	uint8_t owner[64] = { 0 };
	struct extents *e;
	uint64_t now = 0;
	uint32_t at;
	int count = 0;

	srand(1);
	assert_int_equal(extents_new(SLOTS, &e), 0);
	for (int step = 0; step < 20000; step++) {
		now += EXTENT_REST_MS;
		if (count < 64 && rand() % 2) {
			uint32_t n = (uint32_t)rand() % (6 * EXTENT_MIN) + 1;

			if (extents_take(e, n, now, &at))
				continue;
			for (uint32_t b = at / EXTENT_MIN; b * EXTENT_MIN < at + n; b++) {
				assert_in_range(b, 0, 63);
				assert_int_equal(owner[b]++, 0);
			}
			held[count].at = at;
			held[count++].n = n;
		} else if (count) {
			int i = rand() % count;

			for (uint32_t b = held[i].at / EXTENT_MIN;
			     b * EXTENT_MIN < held[i].at + held[i].n; b++)
				owner[b]--;
			extents_give(e, held[i].at, held[i].n, now);
			held[i] = held[--count];
		}
	}
	while (count--)
		extents_give(e, held[count].at, held[count].n, now);
	assert_int_equal(extents_take(e, 64 * EXTENT_MIN, now + EXTENT_REST_MS, &at), 0);
	extents_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),
		cmocka_unit_test(rest),
		cmocka_unit_test(claim),
		cmocka_unit_test(random_walk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
