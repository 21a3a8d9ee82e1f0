// SPDX-License-Identifier: Apache-2.0
/* agent/prefer: which uplink is the primary one, by what is usable, the order, and time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those before it */
#include <cmocka.h>

#include "agent/prefer.h"

#define NONE  PREFER_NO_RANK
#define NOW   100000
#define AFTER 5000

static int choose(const struct candidate *list, size_t n, uint64_t *again)
{
	return prefer(list, n, NOW, AFTER, again);
}

static void expect(int index, uint64_t when, const struct candidate *list, size_t n)
{
	uint64_t again = 1;

	assert_int_equal(choose(list, n, &again), index);
	assert_int_equal(again, when);
}

#define EXPECT(index, when, ...)                                             \
	do {                                                                 \
		const struct candidate list[] = { __VA_ARGS__ };             \
		expect((index), (when), list, sizeof(list) / sizeof(*list)); \
	} while (0)

static void nobody(void **state)
{
	expect(-1, 0, NULL, 0);
	EXPECT(-1, 0, { false, false, 0, 0 }, { false, true, 1, 50 });
}

static void the_only_one_at_once(void **state)
{
	EXPECT(0, 0, { true, false, NONE, NOW });
	EXPECT(1, 0, { false, true, 0, 0 }, { true, false, 1, NOW });
	EXPECT(2, 0, { false, false, 0, 0 }, { false, true, NONE, 0 }, { true, false, NONE, NOW });
}

static void what_is_usable_stays(void **state)
{
	/* without an order for ever, however long others are there */
	EXPECT(1, 0, { true, false, NONE, 1 }, { true, true, NONE, NOW });
	/* and those that come later in it never take over */
	EXPECT(0, 0, { true, true, 0, NOW }, { true, false, 1, 1 });
	EXPECT(0, 0, { true, true, 3, NOW }, { true, false, NONE, 1 });
}

static void a_better_one_must_have_been_there(void **state)
{
	EXPECT(1, NOW + 1, { true, false, 0, NOW - AFTER + 1 }, { true, true, 1, 1 });
	EXPECT(0, 0, { true, false, 0, NOW - AFTER }, { true, true, 1, 1 });
	/* the best that has; the still better one is asked about later */
	EXPECT(1, NOW + 2000, { true, false, 0, NOW - 3000 }, { true, false, 1, 10 },
	       { true, true, 2, 1 });
	/* of several that have not, the first to be asked about */
	EXPECT(2, NOW + 1000, { true, false, 0, NOW - 3000 }, { true, false, 1, NOW - 4000 },
	       { true, true, 2, 1 });
	/* a named one is better than one that is not */
	EXPECT(1, 0, { true, true, NONE, 1 }, { true, false, 4, 2 });
}

static void when_the_primary_fails_the_order_counts_and_no_time(void **state)
{
	EXPECT(1, 0, { false, true, 0, 0 }, { true, false, 1, NOW }, { true, false, 2, 1 });
	/* of equals the one that has been there longest, then the first */
	EXPECT(2, 0, { false, true, NONE, 0 }, { true, false, NONE, 60 },
	       { true, false, NONE, 50 });
	EXPECT(1, 0, { false, true, NONE, 0 }, { true, false, NONE, 50 },
	       { true, false, NONE, 50 });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody),
		cmocka_unit_test(the_only_one_at_once),
		cmocka_unit_test(what_is_usable_stays),
		cmocka_unit_test(a_better_one_must_have_been_there),
		cmocka_unit_test(when_the_primary_fails_the_order_counts_and_no_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
