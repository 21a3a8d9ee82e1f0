// SPDX-License-Identifier: Apache-2.0
/* clock_test.c - util/clock.c: times as text, and the two clocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <cmocka.h>

#include "util/clock.h"

static void is(uint64_t ms, const char *text)
{
	char buf[SF_TIME_STRLEN];

	assert_string_equal(sf_time_print(ms, buf), text);
}

static void as_text(void **state)
{
	is(0, "1970-01-01T00:00:00.000Z");
	is(1795321822398, "2026-11-22T04:30:22.398Z");
	is(1795321822007, "2026-11-22T04:30:22.007Z");
	is(951782400000, "2000-02-29T00:00:00.000Z");
}

static void clocks(void **state)
{
	uint64_t now = sf_now_ms(), wall = sf_wall_ms();

	assert_true(sf_now_ms() >= now);
	assert_true(wall / 1000 <= (uint64_t)time(NULL));
	assert_true(wall / 1000 + 3600 > (uint64_t)time(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_text),
		cmocka_unit_test(clocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
