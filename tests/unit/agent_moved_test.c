// SPDX-License-Identifier: Apache-2.0
/* agent_moved_test.c - what the events of moves say, and which are one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "agent/moved.h"
#include "core/reason.h"

#define MS 1000000ull

static struct sf_net net;

static struct sf_addr place(uint32_t host)
{
	struct sf_addr a = sf_locator(&net, host, 0);

	return sf_locator_place(&a);
}

static struct moved moved(bool own, enum mover_cause cause)
{
	return (struct moved){ .kind = "flow-moved",
			       .own = own,
			       .cause = cause,
			       .from = place(0x10001),
			       .to = place(0x10002),
			       .link = "eth0",
			       .count = 1,
			       .began = 5 * MS,
			       .ended = 12 * MS };
}

static const char *text(const struct moved *g)
{
	static char buf[240];

	moved_text(g, buf, sizeof(buf));
	return buf;
}

static void test_cause(void **state)
{
	static const struct {
		enum mover_cause cause;
		const char *says;
	} cases[] = {
		{ MOVER_ORDERED, "in 7 ms: ordered by migrate" },
		{ MOVER_LINK, "in 7 ms: link lost: eth0" },
		{ MOVER_ROUTER, "in 7 ms: router lost: eth0" },
		{ MOVER_ADDRESS, "in 7 ms: its router gave another locator" },
		{ MOVER_PREFERRED, "in 7 ms: another uplink is primary" },
		{ MOVER_AWAY, "in 7 ms: the place had gone" },
	};
	struct moved g;
	char tail[80];

	net = sf_net_default(1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		g = moved(true, cases[i].cause);
		assert_non_null(strstr(text(&g), cases[i].says));
		assert_non_null(strstr(text(&g), "a flow moved from fd5c:"));
	}
	/* Its second move came before the first was over. */
	g.to = g.from;
	assert_non_null(strstr(text(&g), "a flow moved away from fd5c:"));
	assert_non_null(strstr(text(&g), " and back: the place had gone"));
	g = moved(true, MOVER_UNSAID);
	snprintf(tail, sizeof(tail), "%s", text(&g) + strlen(text(&g)) - 7);
	assert_string_equal(tail, "in 7 ms");
	g = moved(false, MOVER_UNSAID);
	assert_non_null(strstr(text(&g), "a flow's peer moved from fd5c:"));
	g.count = 3;
	assert_non_null(strstr(text(&g), "3 flows' peers moved from fd5c:"));
}

/* It did not move from a place of ours. */
static void test_taken_over(void **state)
{
	struct moved g = moved(true, MOVER_HANDOVER);

	assert_non_null(strstr(text(&g), "a flow taken over from the host at fd5c:"));
	assert_null(strstr(text(&g), "moved"));
}

static void test_waits(void **state)
{
	struct moved g = moved(false, MOVER_UNSAID), other;

	g.kind = "flow-waits";
	g.grace_ms = 5000;
	other = g;
	other.to = place(0x30003);
	other.count = 4;
	other.grace_ms = 2500;
	assert_non_null(strstr(text(&g), "a flow waits: nothing is heard from fd5c:"));
	assert_non_null(strstr(text(&g), "; move_grace 5.0 s"));
	assert_true(moved_join(&g, &other));
	assert_string_equal(text(&g),
			    "5 flows wait: nothing is heard from several places; move_grace 2.5 s");
	g.own = true;
	assert_string_equal(text(&g), "5 flows wait: no place: eth0 is not usable");
	assert_false(moved_join(&g, &other));
	g.kind = "flow-resumes";
	assert_string_equal(text(&g), "5 flows go on after 7 ms: the place is back");
	g.own = false;
	g.count = 1;
	assert_string_equal(text(&g), "a flow goes on after 7 ms: the peer is heard again");
}

static void test_alike(void **state)
{
	struct moved g = moved(true, MOVER_LINK), add = moved(true, MOVER_LINK);

	add.began = 2 * MS;
	add.ended = 30 * MS;
	assert_true(moved_join(&g, &add));
	assert_int_equal(g.count, 2);
	assert_int_equal(g.began, 2 * MS);
	assert_int_equal(g.ended, 30 * MS);
	add.cause = MOVER_ORDERED;
	assert_false(moved_join(&g, &add));
	add = moved(true, MOVER_LINK);
	add.to = place(0x30003);
	assert_false(moved_join(&g, &add));
	add = moved(true, MOVER_LINK);
	add.kind = "flow-over";
	assert_false(moved_join(&g, &add));
	assert_int_equal(g.count, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cause),
		cmocka_unit_test(test_taken_over),
		cmocka_unit_test(test_waits),
		cmocka_unit_test(test_alike),
	};

	return cmocka_run_group_tests_name("agent_moved", tests, NULL, NULL);
}
