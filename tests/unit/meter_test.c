// SPDX-License-Identifier: Apache-2.0
/* bench/meter: buckets, pauses, content and sequences of a stream, by given times. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "bench/meter.h"

#define MS 1000000ull
#define T0 (5000 * MS)

static void deliver(struct sf_meter *m, uint64_t ms, size_t bytes)
{
	assert_int_equal(sf_meter_deliver(m, T0 + ms * MS, bytes), 0);
}

static void test_buckets(void **state)
{
	struct sf_meter m;

	(void)state;
	sf_meter_open(&m, 10 * MS, T0);
	assert_int_equal(sf_meter_deliver(&m, T0 - 1, 1), 0); /* before the start */
	deliver(&m, 9, 10);
	deliver(&m, 10, 100);
	deliver(&m, 45, 1000);
	assert_int_equal(m.n, 5);
	assert_int_equal(m.buckets[0].bytes, 11);
	assert_int_equal(m.buckets[0].deliveries, 2);
	assert_int_equal(m.buckets[1].bytes, 100);
	assert_int_equal(m.buckets[2].bytes, 0);
	assert_int_equal(m.buckets[4].bytes, 1000);
	assert_int_equal(m.buckets[4].longest_us, 35000);
	assert_int_equal(m.bytes, 1111);
	/* From 10 to 30 ms: 100 bytes in 20 ms. Parts of buckets do not count. */
	assert_true(sf_meter_rate(&m, T0 + 5 * MS, T0 + 35 * MS) == 100 * 8 * 50.0);
	assert_true(sf_meter_rate(&m, T0 + 11 * MS, T0 + 19 * MS) == 0);
	assert_int_equal(sf_meter_deliver(&m, T0 + 10000000 * MS, 1), -ERANGE);
	sf_meter_free(&m);
}

static void test_many_buckets(void **state)
{
	struct sf_meter m;

	(void)state;
	sf_meter_open(&m, MS, T0);
	deliver(&m, 0, 1);
	deliver(&m, 100000, 2);
	assert_int_equal(m.n, 100001);
	assert_int_equal(m.buckets[0].bytes, 1);
	assert_int_equal(m.buckets[50000].bytes, 0);
	assert_int_equal(m.buckets[100000].bytes, 2);
	sf_meter_free(&m);
}

static void test_pauses(void **state)
{
	struct sf_meter m;
	uint64_t at = 0;

	(void)state;
	sf_meter_open(&m, MS, T0);
	at += 500; /* the first delivery ends no pause */
	deliver(&m, at, 1);
	for (uint64_t gap = 1; gap <= 20; gap++) /* 1 2 3 ... and one of 300 in the midst */
		deliver(&m, at += gap == 10 ? 300 : gap, 1);
	assert_int_equal(m.pauses[0].to_ns - m.pauses[0].from_ns, 300 * MS);
	assert_int_equal(m.pauses[0].from_ns, T0 + (500 + 45) * MS);
	for (uint64_t i = 1; i < SF_METER_PAUSES; i++)
		assert_int_equal(m.pauses[i].to_ns - m.pauses[i].from_ns, (21 - i) * MS);
	sf_meter_free(&m);
}

static json_t *as_json(const struct sf_meter *m, const struct sf_sequence *s)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	json_t *json;

	assert_int_equal(sf_meter_json(m, s, out), 0);
	fclose(out);
	json = json_loads(text, 0, NULL);
	free(text);
	assert_non_null(json);
	return json;
}

static double number(json_t *json, const char *key)
{
	return json_number_value(json_object_get(json, key));
}

static void test_tells(void **state)
{
	struct sf_sequence s = { 0 };
	struct sf_meter m;
	json_t *json;
	char *text = NULL;
	size_t len;
	FILE *out;

	(void)state;
	sf_meter_open(&m, 100 * MS, T0);
	deliver(&m, 0, 1000);
	deliver(&m, 250, 500000);
	sf_meter_close(&m, T0 + 1000 * MS);
	json = as_json(&m, NULL);
	assert_int_equal(number(json, "bytes"), 501000);
	assert_true(number(json, "seconds") == 1.0);
	assert_true(number(json, "mbit_s") == 4.008);
	assert_true(number(json, "pause_ms") == 250.0);
	assert_true(number(json, "pause_from_ns") == (double)T0);
	assert_true(number(json, "silent_ms") == 750.0);
	assert_true(number(json, "ended_ns") == (double)(T0 + 1000 * MS));
	assert_int_equal(json_array_size(json_object_get(json, "pauses_ms")), 1);
	assert_null(json_object_get(json, "lost"));
	json_decref(json);
	sf_sequence_take(&s, 3);
	json = as_json(&m, &s);
	assert_int_equal(number(json, "lost"), 3);
	json_decref(json);
	out = open_memstream(&text, &len);
	assert_int_equal(sf_meter_csv(&m, out), 0);
	fclose(out);
	assert_string_equal(text, "ns,bytes,deliveries,longest_pause_ms\n"
				  "5000000000,1000,1,0.000\n"
				  "5100000000,0,0,0.000\n"
				  "5200000000,500000,1,250.000\n");
	free(text);
	sf_meter_free(&m);
}

static void test_nothing(void **state)
{
	struct sf_meter m;
	json_t *json;

	(void)state;
	sf_meter_open(&m, MS, T0);
	sf_meter_close(&m, T0 + 2000 * MS);
	json = as_json(&m, NULL);
	assert_true(number(json, "silent_ms") == 2000.0);
	assert_true(number(json, "pause_ms") == 0.0);
	assert_int_equal(json_array_size(json_object_get(json, "pauses_ms")), 0);
	json_decref(json);
	sf_meter_free(&m);
}

static void test_pattern(void **state)
{
	uint8_t whole[1000], part[1000];

	(void)state;
	sf_pattern_fill(1 << 20, whole, sizeof(whole));
	for (size_t at = 0; at < 20; at++)
		for (size_t len = 0; len < 20; len++) {
			sf_pattern_fill((1 << 20) + at, part, len);
			assert_memory_equal(part, whole + at, len);
			assert_int_equal(sf_pattern_check((1 << 20) + at, whole + at, len), len);
		}
	assert_int_equal(sf_pattern_check(1 << 20, whole, sizeof(whole)), sizeof(whole));
	for (size_t i = 0; i < sizeof(whole); i += 37) { /* any byte that is wrong is found */
		whole[i] ^= 1;
		assert_int_equal(sf_pattern_check(1 << 20, whole, sizeof(whole)), i);
		whole[i] ^= 1;
	}
	/* A part that is missing, doubled or swapped is found, too. */
	assert_true(sf_pattern_check((1 << 20) + 8, whole, 100) < 8);
	assert_true(sf_pattern_check((1 << 20) - 1, whole, 100) < 8);
}

static void test_sequence(void **state)
{
	struct sf_sequence s = { 0 };

	(void)state;
	assert_true(sf_sequence_take(&s, 0));
	assert_true(sf_sequence_take(&s, 1));
	assert_int_equal(sf_sequence_lost(&s), 0);
	assert_true(sf_sequence_take(&s, 5));
	assert_int_equal(sf_sequence_lost(&s), 3);
	assert_true(sf_sequence_take(&s, 3)); /* late, not lost */
	assert_int_equal(sf_sequence_lost(&s), 2);
	assert_int_equal(s.late, 1);
	assert_false(sf_sequence_take(&s, 3));
	assert_false(sf_sequence_take(&s, 5));
	assert_int_equal(s.twice, 2);
	assert_int_equal(sf_sequence_lost(&s), 2);
	assert_true(sf_sequence_take(&s, 68)); /* of 64 back to 5 it is known what came */
	assert_true(sf_sequence_take(&s, 6));
	assert_false(sf_sequence_take(&s, 5));
	assert_false(sf_sequence_take(&s, 4));
	assert_true(sf_sequence_take(&s, 1000));
	assert_false(sf_sequence_take(&s, 900));
	assert_int_equal(sf_sequence_lost(&s), 1001 - s.came);
	assert_int_equal(s.came, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buckets),	 cmocka_unit_test(test_many_buckets),
		cmocka_unit_test(test_pauses),	 cmocka_unit_test(test_tells),
		cmocka_unit_test(test_nothing),	 cmocka_unit_test(test_pattern),
		cmocka_unit_test(test_sequence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
