// SPDX-License-Identifier: Apache-2.0
/* core/reason: every reason has a name of its own; numbers are wire format. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/reason.h"

static const unsigned int all[] = {
#define X(n, sym, name, text) n,
	SF_REASONS(X)
#undef X
};

#define ALL (sizeof(all) / sizeof(all[0]))

static void names_are_distinct_and_well_formed(void **state)
{
	for (size_t i = 0; i < ALL; i++) {
		const char *name = sf_reason_name(all[i]);

		assert_true(all[i] < SF_REASON_MAX);
		assert_true(strspn(name, "abcdefghijklmnopqrstuvwxyz-") == strlen(name));
		assert_true(strlen(sf_reason_text(all[i])) > strlen("reason"));
		for (size_t j = 0; j < i; j++) {
			assert_int_not_equal(all[i], all[j]);
			assert_string_not_equal(name, sf_reason_name(all[j]));
		}
	}
}

static void numbers_on_the_wire(void **state)
{
	assert_string_equal(sf_reason_name(0), "none");
	assert_string_equal(sf_reason_name(1), "no-such-service");
	assert_string_equal(sf_reason_name(2), "no-such-socket");
	assert_string_equal(sf_reason_name(3), "refused");
	assert_string_equal(sf_reason_name(4), "shed");
	assert_string_equal(sf_reason_name(5), "superseded");
	assert_string_equal(sf_reason_name(6), "other-instance");
	assert_string_equal(sf_reason_name(16), "host-unreachable");
	assert_string_equal(sf_reason_name(17), "too-many-attempts");
}

static void unknown_ones(void **state)
{
	assert_string_equal(sf_reason_name(7), "reason-7");
	assert_string_equal(sf_reason_name(127), "reason-127");
	assert_string_equal(sf_reason_name(128), "reason-128");
	assert_string_equal(sf_reason_name(255), "reason-255");
	assert_string_equal(sf_reason_name(100000), "reason-?");
	assert_string_equal(sf_reason_text(7), "unknown reason");
	assert_string_equal(sf_reason_text(100000), "unknown reason");
	/* Names that only sf_reason_name() makes up must not be mistaken for real ones. */
	for (unsigned int r = 0; r < 256; r++) {
		char number[16];
		bool known = false;

		snprintf(number, sizeof(number), "reason-%u", r);
		for (size_t i = 0; i < ALL; i++)
			known |= all[i] == r;
		assert_int_equal(!known, !strcmp(sf_reason_name(r), number));
	}
}

static void hard_and_soft(void **state)
{
	for (unsigned int r = 0; r < 256; r++)
		assert_int_equal(sf_reason_is_hard((__u8)r), r >= 1 && r <= 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_distinct_and_well_formed),
		cmocka_unit_test(numbers_on_the_wire),
		cmocka_unit_test(unknown_ones),
		cmocka_unit_test(hard_and_soft),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
