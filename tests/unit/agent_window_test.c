// SPDX-License-Identifier: Apache-2.0
/* How many flows may begin to move: peers that were away for long, or never come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/window.h"

#define MS    1000000ull
#define SEATS 4096

static struct window_seat seats[SEATS];
static struct window window;

/* As many as there is room for begin at @now, and nobody answers. */
static size_t fill(uint64_t now)
{
	size_t n = 0;

	for (; n < SEATS && window_room(&window, now); n++) {
		seats[n] = (struct window_seat){ 0 };
		window_enter(&window, &seats[n], now);
		window_asked(&seats[n], now);
	}
	assert_true(n > 0 && n < SEATS);
	assert_int_equal(window_room(&window, now), 0);
	return n;
}

/* A network that was parted for a minute: who answers now was asked then. */
static void test_away(void **state)
{
	struct window_seat s = { 0 };
	uint64_t now = 1000 * MS;

	window_init(&window);
	window_enter(&window, &s, now);
	window_asked(&s, now);
	now += 60000 * MS;
	window_answered(&window, &s, now);
	fill(now);
	assert_true(window_room(&window, now + 3000 * MS) > 0);
}

/* A place of ours that was: nobody was asked meanwhile. */
static void test_parked(void **state)
{
	struct window_seat s = { 0 };
	uint64_t now = 1000 * MS;

	window_init(&window);
	window_enter(&window, &s, now);
	window_asked(&s, now);
	window_leave(&window, &s);
	now += 900 * MS;
	window_asked(&s, now);
	window_answered(&window, &s, now + 10 * MS);
	assert_int_equal(window.rtt, 10 * MS);
}

/* What is measured counts: a slow way is waited for as long as it takes. */
static void test_slow(void **state)
{
	struct window_seat s = { 0 };
	uint64_t now = 1000 * MS;

	window_init(&window);
	window_enter(&window, &s, now);
	window_asked(&s, now);
	now += 400 * MS;
	window_answered(&window, &s, now);
	assert_int_equal(window.rtt, 400 * MS);
	fill(now);
	assert_int_equal(window_room(&window, now + 800 * MS), 0);
	assert_true(window_room(&window, now + 900 * MS) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_away),
		cmocka_unit_test(test_parked),
		cmocka_unit_test(test_slow),
	};

	return cmocka_run_group_tests_name("agent_window", tests, NULL, NULL);
}
