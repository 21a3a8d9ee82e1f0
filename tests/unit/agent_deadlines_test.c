// SPDX-License-Identifier: Apache-2.0
/* What is due first is first, whatever was set, set anew and dropped before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/deadlines.h"

#define COUNT 300

static uint64_t least(const struct deadline *list)
{
	uint64_t due = UINT64_MAX;

	for (size_t i = 0; i < COUNT; i++)
		if (list[i].at && list[i].due < due)
			due = list[i].due;
	return due;
}

static void check(const struct deadlines *ds, const struct deadline *list)
{
	const struct deadline *first = deadlines_first(ds);

	assert_int_equal(first ? first->due : UINT64_MAX, least(list));
}

static void test_any_order(void **state)
{
	struct deadline list[COUNT] = { 0 };
	struct deadlines ds = { 0 };
	struct deadline *first;
	uint64_t last = 0;

	assert_null(deadlines_first(&ds));
	assert_int_equal(deadlines_reserve(&ds, COUNT), 0);
	srandom(1);
	for (int i = 0; i < 20000; i++) {
		struct deadline *d = &list[random() % COUNT];

		if (random() % 3)
			deadlines_set(&ds, d, (uint64_t)random() % 1000);
		else
			deadlines_drop(&ds, d);
		check(&ds, list);
	}
	while ((first = deadlines_first(&ds))) {
		assert_true(first->due >= last);
		last = first->due;
		deadlines_drop(&ds, first);
		check(&ds, list);
	}
	deadlines_drop(&ds, &list[0]);
	assert_int_equal(ds.n, 0);
	deadlines_free(&ds);
}

static void test_room_grows_with_what_is_set(void **state)
{
	struct deadline list[COUNT] = { 0 };
	struct deadlines ds = { 0 };

	for (size_t i = 0; i < COUNT; i++) {
		assert_int_equal(deadlines_reserve(&ds, ds.n + 1), 0);
		deadlines_set(&ds, &list[i], COUNT - i);
		assert_ptr_equal(deadlines_first(&ds), &list[i]);
	}
	deadlines_free(&ds);
	assert_null(deadlines_first(&ds));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_order),
		cmocka_unit_test(test_room_grows_with_what_is_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
