// SPDX-License-Identifier: Apache-2.0
/* failures_test.c - util/failures.c: what begins is told at once, a flood ever more seldom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "util/failures.h"

static uint64_t counts[SF_REASON_MAX];
static struct sf_failure told[SF_REASON_MAX];
static unsigned int n_told;
static struct sf_failures f;

static uint64_t count(void *ctx, unsigned int reason)
{
	assert_true(ctx == counts && reason < SF_REASON_MAX);
	return counts[reason];
}

static void tell(void *ctx, const struct sf_failure *failure)
{
	assert_ptr_equal(ctx, counts);
	told[n_told++] = *failure;
}

static unsigned int poll_at(uint64_t ms)
{
	unsigned int n;

	n_told = 0;
	n = sf_failures_poll(&f, ms, count, tell, counts);
	assert_int_equal(n, n_told);
	return n;
}

static int setup(void **state)
{
	memset(counts, 0, sizeof(counts));
	counts[SF_WRONG_PEER] = 7;
	sf_failures_start(&f, 50000, count, counts);
	return 0;
}

static void old_is_not_told(void **state)
{
	assert_int_equal(poll_at(51000), 0);
	counts[SF_WRONG_PEER]++;
	assert_int_equal(poll_at(52000), 1);
	assert_int_equal(told[0].reason, SF_WRONG_PEER);
	assert_int_equal(told[0].count, 1);
	assert_int_equal(told[0].interval_ms, 1000);
	assert_int_equal(poll_at(53000), 0);
}

static void each_reason_on_its_own(void **state)
{
	counts[SF_BAD_MAC] = 3;
	assert_int_equal(poll_at(51000), 1);
	counts[SF_BAD_MAC] += 2;
	counts[SF_NO_SUCH_SERVICE] = 9;
	assert_int_equal(poll_at(52000), 1);
	assert_int_equal(told[0].reason, SF_NO_SUCH_SERVICE);
	assert_int_equal(told[0].count, 9);
	/* what came meanwhile is not lost */
	assert_int_equal(poll_at(60999), 0);
	assert_int_equal(poll_at(61000), 1);
	assert_int_equal(told[0].reason, SF_BAD_MAC);
	assert_int_equal(told[0].count, 2);
	assert_int_equal(told[0].interval_ms, 10000);
}

static void flood(void **state)
{
	uint64_t sum = 0, at = 50000, last = 0, gap = 0;
	unsigned int events = 0;

	/* an hour of it */
	for (int i = 0; i < 3600; i++) {
		counts[SF_RATE_LIMITED] += 1000;
		at += 1000;
		if (!poll_at(at))
			continue;
		assert_int_equal(told[0].reason, SF_RATE_LIMITED);
		sum += told[0].count;
		gap = last ? at - last : 0;
		assert_true(!last || told[0].interval_ms == gap);
		last = at;
		events++;
	}
	assert_int_equal(gap, SF_FAILURES_WAIT_MAX_MS);
	assert_true(events > 20 && events < 30);
	/* nothing twice, nothing lost but what is still to be told */
	assert_int_equal(sum + (at - last), counts[SF_RATE_LIMITED]);
	/* it ends; the rest is told, then it is quiet, and news at once again */
	assert_int_equal(poll_at(last + SF_FAILURES_WAIT_MAX_MS), at > last);
	last += SF_FAILURES_WAIT_MAX_MS;
	assert_int_equal(poll_at(last + SF_FAILURES_WAIT_MAX_MS), 0);
	counts[SF_RATE_LIMITED]++;
	assert_int_equal(poll_at(last + SF_FAILURES_WAIT_MAX_MS + 1000), 1);
	assert_int_equal(told[0].count, 1);
	assert_int_equal(told[0].interval_ms, 1000);
	counts[SF_RATE_LIMITED]++;
	assert_int_equal(poll_at(last + SF_FAILURES_WAIT_MAX_MS + 1000 + SF_FAILURES_INTERVAL_MS),
			 1);
}

static void counters_made_anew(void **state)
{
	counts[SF_WRONG_PEER] = 2;
	assert_int_equal(poll_at(51000), 1);
	assert_int_equal(told[0].count, 2);
}

static void routine(void **state)
{
	counts[SF_DUPLICATE] = counts[SF_ABANDONED_RST] = counts[SF_NONE] = 5;
	assert_int_equal(poll_at(51000), 0);
}

static void text(void **state)
{
	struct sf_failure failure = { SF_SPOOFED_LOCATOR, 12, 10000 };
	char buf[SF_FAILURE_STRLEN];

	assert_string_equal(sf_failure_text(&failure, " on link lan0", buf),
			    "12 in 10 s on link lan0: source locator is not of a host on this "
			    "link");
	failure = (struct sf_failure){ SF_REPLAYED, 1, 0 };
	assert_string_equal(sf_failure_text(&failure, "", buf),
			    "1 in 1 s: the message's sequence number was already used");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(old_is_not_told, setup),
		cmocka_unit_test_setup(each_reason_on_its_own, setup),
		cmocka_unit_test_setup(flood, setup),
		cmocka_unit_test_setup(counters_made_anew, setup),
		cmocka_unit_test_setup(routine, setup),
		cmocka_unit_test(text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
