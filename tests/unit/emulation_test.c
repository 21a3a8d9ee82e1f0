// SPDX-License-Identifier: Apache-2.0
/* lab/emulation: settings of links as text and back, and what is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lab/emulation.h"

static int set(struct sf_emulation *e, const char *key, const char *value)
{
	const char *expected = NULL;
	int r = sf_emulation_set(e, key, value, &expected);

	if (r == -EINVAL)
		assert_non_null(expected);
	return r;
}

static void test_values(void **state)
{
	struct sf_emulation e = { 0 };

	(void)state;
	assert_int_equal(set(&e, "delay", "20ms"), 0);
	assert_int_equal(e.delay_us, 20000);
	assert_int_equal(set(&e, "delay", "1.5s"), 0);
	assert_int_equal(e.delay_us, 1500000);
	assert_int_equal(set(&e, "jitter", "250us"), 0);
	assert_int_equal(e.jitter_us, 250);
	assert_int_equal(set(&e, "loss", "0.5%"), 0);
	assert_int_equal(e.loss_ppm, 5000);
	assert_int_equal(set(&e, "loss", "100%"), 0);
	assert_int_equal(e.loss_ppm, SF_PPM);
	assert_int_equal(set(&e, "loss", "0.0001%"), 0);
	assert_int_equal(e.loss_ppm, 1);
	assert_int_equal(set(&e, "rate", "100mbit"), 0);
	assert_true(e.rate == 100000000);
	assert_int_equal(set(&e, "rate", "2.5Gbit"), 0);
	assert_true(e.rate == 2500000000);
	assert_int_equal(set(&e, "burst", "5"), 0);
	assert_int_equal(e.burst, 5);
	assert_int_equal(set(&e, "delay", "0"), 0);
	assert_int_equal(e.delay_us, 0);
}

static void test_refused(void **state)
{
	static const struct {
		const char *key, *value;
		int r;
	} wrong[] = {
		{ "delay", "20", -EINVAL },	    { "delay", "20mss", -EINVAL },
		{ "delay", "-20ms", -EINVAL },	    { "delay", "", -EINVAL },
		{ "delay", "61s", -EINVAL },	    { "delay", "ms", -EINVAL },
		{ "delay", "1.ms", -EINVAL },	    { "delay", "0.5us", -EINVAL },
		{ "delay", "1.0000001s", -EINVAL }, { "loss", "101%", -EINVAL },
		{ "loss", "1", -EINVAL },	    { "loss", "0.00001%", -EINVAL },
		{ "rate", "100", -EINVAL },	    { "rate", "99999999999999999999gbit", -EINVAL },
		{ "rate", "1001gbit", -EINVAL },    { "burst", "5x", -EINVAL },
		{ "burst", "1001", -EINVAL },	    { "burst", "1.5", -EINVAL },
		{ "latency", "5ms", -ENOENT },	    { "", "5ms", -ENOENT },
	};
	const struct sf_emulation before = { .delay_us = 7, .loss_ppm = 8, .rate = 9, .burst = 2 };

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct sf_emulation e = before;

		if (set(&e, wrong[i].key, wrong[i].value) != wrong[i].r)
			fail_msg("%s=%s was not refused", wrong[i].key, wrong[i].value);
		assert_memory_equal(&e, &before, sizeof(e));
	}
}

/* What is printed reads back as it was. */
static void test_print(void **state)
{
	const struct sf_emulation all = { .rate = 2500000000,
					  .delay_us = 20500,
					  .jitter_us = 1,
					  .loss_ppm = 123456,
					  .burst = 1000,
					  .reorder_ppm = 1,
					  .hold_us = 60000000,
					  .duplicate_ppm = SF_PPM,
					  .queue_us = 50000 };
	struct sf_emulation back = { 0 }, none = { 0 };
	char text[SF_EMULATION_TEXT], *save = NULL;

	(void)state;
	assert_string_equal(sf_emulation_print(&none, text), "");
	sf_emulation_print(&all, text);
	assert_string_equal(text, "rate=2500mbit delay=20500us jitter=1us loss=12.3456% burst=1000 "
				  "reorder=0.0001% hold=60s duplicate=100% queue=50ms");
	for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		char *value = strchr(word, '=');

		*value++ = 0;
		assert_int_equal(set(&back, word, value), 0);
	}
	assert_memory_equal(&back, &all, sizeof(all));
}

static void test_kinds(void **state)
{
	struct sf_emulation e = { 0 };

	(void)state;
	assert_true(sf_emulation_is_rate_only(&e));
	e.rate = 1000;
	assert_true(sf_emulation_is_rate_only(&e));
	e.delay_us = 1;
	assert_false(sf_emulation_is_rate_only(&e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_print),
		cmocka_unit_test(test_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
