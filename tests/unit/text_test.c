// SPDX-License-Identifier: Apache-2.0
/* text_test.c - util/text.c: what others wrote, made harmless. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "util/text.h"

static void printable(void **state)
{
	static const char bytes[] = "a b\n\x1b[2J~\x7f\xc3\xbc\x80";
	char out[32];

	assert_int_equal(sf_text_take(out, sizeof(out), bytes, sizeof(bytes)), sizeof(bytes) - 1);
	assert_string_equal(out, "a b??[2J~????");
	assert_int_equal(sf_word_take(out, sizeof(out), bytes, sizeof(bytes)), sizeof(bytes) - 1);
	assert_string_equal(out, "a?b??[2J~????");
	assert_int_equal(sf_word_take(out, sizeof(out), "!", 1), 1);
	assert_string_equal(out, "!");
}

static void bounded(void **state)
{
	char out[4], same[] = "one\ttwo";

	memset(out, 'x', sizeof(out));
	assert_int_equal(sf_text_take(out, 3, "abcdef", 6), 2);
	assert_memory_equal(out, "ab\0x", 4);
	assert_int_equal(sf_text_take(out, sizeof(out), "abcdef", 2), 2);
	assert_string_equal(out, "ab");
	assert_int_equal(sf_text_take(out, sizeof(out), "a\0b", 3), 1);
	assert_string_equal(out, "a");
	assert_int_equal(sf_text_take(out, 1, "abc", 3), 0);
	assert_string_equal(out, "");
	assert_int_equal(sf_text_take(same, sizeof(same), same, sizeof(same)), 7);
	assert_string_equal(same, "one?two");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(printable),
		cmocka_unit_test(bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
