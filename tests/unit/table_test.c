// SPDX-License-Identifier: Apache-2.0
/* util/table: exact output. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "util/table.h"

static void aligns(void **state)
{
	static const struct sf_column columns[] = { { "NAME", SF_LEFT },
						    { "COUNT", SF_RIGHT },
						    { "NOTE", SF_LEFT } };
	struct sf_table *t = sf_table_new(columns, 3);
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	sf_table_cell(t, "b\xc3\xbc"
			 "cher");
	sf_table_cell(t, "%d", 1234567);
	sf_table_cell(t, "x\ny");
	sf_table_cell(t, "w");
	sf_table_cell(t, "%d", 5);
	sf_table_cell(t, "%s", "");
	sf_table_cell(t, "lost: its row is not complete");
	assert_int_equal(sf_table_print(t, f), 0);
	fclose(f);
	assert_string_equal(text, "NAME      COUNT  NOTE\n"
				  "b\xc3\xbc"
				  "cher  1234567  x?y\n"
				  "w             5  -\n");
	free(text);
	sf_table_free(t);
	sf_table_free(NULL);
}

static void many_rows(void **state)
{
	static const struct sf_column columns[] = { { "N", SF_RIGHT } };
	struct sf_table *t = sf_table_new(columns, 1);

	size_t len, lines = 0;
	char *text;
	FILE *f = open_memstream(&text, &len);

	for (int i = 0; i < 1000; i++)
		sf_table_cell(t, "%d", i);
	assert_int_equal(sf_table_print(t, f), 0);
	fclose(f);
	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	assert_int_equal(lines, 1 + 1000);
	free(text);
	sf_table_free(t);
}

static void numbers(void **state)
{
	char buf[SF_HUMAN_LEN];

	assert_string_equal(sf_human_count(0, buf), "0");
	assert_string_equal(sf_human_count(999, buf), "999");
	assert_string_equal(sf_human_count(1000, buf), "1.0k");
	assert_string_equal(sf_human_count(1234, buf), "1.2k");
	assert_string_equal(sf_human_count(9960, buf), "10k");
	assert_string_equal(sf_human_count(999499, buf), "999k");
	assert_string_equal(sf_human_count(999500, buf), "1.0M");
	assert_string_equal(sf_human_count(UINT64_MAX, buf), "18E");
	assert_string_equal(sf_human_bytes(1023, buf), "1023 B");
	assert_string_equal(sf_human_bytes(1024, buf), "1.0 KiB");
	assert_string_equal(sf_human_bytes(3565158, buf), "3.4 MiB");
	assert_string_equal(sf_human_bytes(1048575, buf), "1.0 MiB");
	assert_string_equal(sf_human_duration(17, buf), "17 ms");
	assert_string_equal(sf_human_duration(1599, buf), "1.5 s");
	assert_string_equal(sf_human_duration(200000, buf), "3m20s");
	assert_string_equal(sf_human_duration(4ull * 3600000 + 300000, buf), "4h05m");
	assert_string_equal(sf_human_duration(291ull * 3600000, buf), "12d3h");
	assert_true(strlen(sf_human_duration(UINT64_MAX, buf)) < SF_HUMAN_LEN - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(aligns),
		cmocka_unit_test(many_rows),
		cmocka_unit_test(numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
