// SPDX-License-Identifier: Apache-2.0
/* core/line: nearly all services have a line, none has two or another's, and no reader believes
 * half of a change. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/line.h"
#include "core/wire.h"

#define LINES	 1024
#define SERVICES (LINES / 2)

static struct sf_line memory[LINES];

static struct sf_service_key key_of(__u32 i)
{
	struct sf_service_key key = { .sid = sf_sid_make(1, i * 0x9e3779b97f4a7c15ull),
				      .port = (__be16)(i % 3),
				      .proto = SF_NEXTHDR_TCP };

	return key;
}

static struct sf_rule rule_of(__u32 i)
{
	struct sf_net net = sf_net_default(1);
	struct sf_rule rule = { .size = 1, .instances = 1, .only = sf_locator(&net, i, 0) };

	return rule;
}

/* Keys that differ in little: the ports of one service. */
static struct sf_service_key port_of(__u32 i)
{
	struct sf_service_key key = { .sid = sf_sid_make(1, 7),
				      .port = sf_be16((__u16)i),
				      .proto = SF_NEXTHDR_TCP };

	return key;
}

/* How many lines have @key. */
static int places(const struct sf_lines *lines, const struct sf_service_key *key)
{
	int n = 0;

	for (__u32 i = 0; i <= lines->mask; i++)
		n += sf_line_is(&lines->at[i], key);
	return n;
}

/* The line in which a program finds @key. */
static const struct sf_line *found(const struct sf_lines *lines, const struct sf_service_key *key)
{
	__u64 hash = sf_line_hash(key);

	for (int i = 0; i < SF_LINE_CHOICES; i++) {
		const struct sf_line *line = &lines->at[sf_line_index(hash, i, lines->mask)];

		if (sf_line_is(line, key))
			return line;
	}
	return NULL;
}

static struct sf_lines filled_with(struct sf_service_key (*nth)(__u32), __u32 services)
{
	struct sf_lines lines = { .at = memory };

	memset(memory, 0, sizeof(memory));
	sf_lines_clear(&lines, LINES);
	for (__u32 i = 0; i < services; i++) {
		struct sf_service_key key = nth(i);
		struct sf_rule rule = rule_of(i);

		sf_lines_put(&lines, &key, &rule);
	}
	return lines;
}

static struct sf_lines filled(__u32 services)
{
	return filled_with(key_of, services);
}

static void nearly_all_have_one(void **state)
{
	struct sf_lines lines = filled(SERVICES);
	__u32 held = 0;

	for (__u32 i = 0; i < SERVICES; i++) {
		struct sf_service_key key = key_of(i);
		struct sf_rule rule = rule_of(i);
		const struct sf_line *line = found(&lines, &key);

		assert_int_equal(places(&lines, &key), !!line);
		if (line)
			assert_memory_equal(&line->rule, &rule, sizeof(rule));
		held += !!line;
	}
	assert_int_equal(held, lines.held);
	assert_in_range(held, SERVICES * 97 / 100, SERVICES);
}

static void ports_of_one_service_spread(void **state)
{
	struct sf_lines lines = filled_with(port_of, SERVICES);

	assert_in_range(lines.held, SERVICES * 97 / 100, SERVICES);
	lines = filled_with(port_of, SERVICES / 2);
	assert_in_range(lines.held, SERVICES / 2 * 99 / 100, SERVICES / 2);
}

static void empty_has_none(void **state)
{
	struct sf_service_key key = key_of(1), zero = { 0 };
	struct sf_lines lines = filled(0);

	assert_int_equal(places(&lines, &key), 0);
	assert_int_equal(places(&lines, &zero), 0);
	assert_false(sf_lines_are_dense(&lines));
}

static void dropped_is_gone(void **state)
{
	struct sf_lines lines = filled(SERVICES);

	for (__u32 i = 0; i < SERVICES; i++) {
		struct sf_service_key key = key_of(i);

		sf_lines_drop(&lines, &key);
		sf_lines_drop(&lines, &key);
		assert_int_equal(places(&lines, &key), 0);
	}
	assert_int_equal(lines.held, 0);
}

static void too_many_are_dense(void **state)
{
	struct sf_lines lines = filled(LINES * 2);
	int homeless = 0;

	assert_true(sf_lines_are_dense(&lines));
	for (__u32 i = 0; i < LINES * 2; i++) {
		struct sf_service_key key = key_of(i);
		int n = places(&lines, &key);

		assert_in_range(n, 0, 1);
		homeless += !n;
	}
	assert_int_equal(homeless, LINES * 2 - lines.held);
	sf_lines_clear(&lines, LINES / 2);
	assert_int_equal(lines.held, 0);
	assert_int_equal(lines.mask, LINES / 2 - 1);
}

static void any_other_bit_breaks_the_seal(void **state)
{
	struct sf_lines lines = filled(1);
	struct sf_service_key key = key_of(0);
	struct sf_line line = *found(&lines, &key);
	__u8 *bytes = (void *)&line;

	for (size_t i = 0; i < offsetof(struct sf_line, pad) * 8; i++) {
		bytes[i / 8] ^= (__u8)(1 << i % 8);
		assert_true(line.seal != sf_line_seal(&line));
		bytes[i / 8] ^= (__u8)(1 << i % 8);
	}
	assert_true(sf_line_is(&line, &key));
}

/* ---- one writes, one reads ---- */

static struct sf_lines shared;
static atomic_bool over;

static void copy(struct sf_line *to, const struct sf_line *from)
{
	const volatile __u64 *f = (const volatile void *)from;
	__u64 words[sizeof(*to) / 8];

	for (size_t i = 0; i < sizeof(*to) / 8; i++)
		words[i] = f[i];
	memcpy(to, words, sizeof(*to));
}

/* Rules of which all words say the same number: whatever mixes two of them shows. */
static struct sf_rule even_rule(__u32 n)
{
	struct sf_rule rule;
	__u32 *words = (void *)&rule;

	for (size_t i = 0; i < sizeof(rule) / 4; i++)
		words[i] = n;
	return rule;
}

static void *write_on(void *arg)
{
	struct sf_service_key key = key_of(7);

	for (__u32 n = 1; !over; n++) {
		struct sf_rule rule = even_rule(n);

		sf_lines_drop(&shared, &key);
		sf_lines_put(&shared, &key, &rule);
	}
	return NULL;
}

static void no_reader_believes_half(void **state)
{
	struct sf_service_key key = key_of(7);
	__u64 believed = 0, hash = sf_line_hash(&key);
	pthread_t writer;

	shared = filled(0);
	over = false;
	assert_int_equal(pthread_create(&writer, NULL, write_on, NULL), 0);
	for (int i = 0; i < 20000000 && believed < 2000000; i++) {
		struct sf_line line;

		copy(&line, &memory[sf_line_index(hash, 0, shared.mask)]);
		if (!sf_line_is(&line, &key))
			continue;
		believed++;
		if (memcmp((__u8 *)&line.rule, (__u8 *)&line.rule + 4, sizeof(line.rule) - 4))
			fail_msg("a mixture was believed");
	}
	over = true;
	pthread_join(writer, NULL);
	assert_true(believed > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nearly_all_have_one),
		cmocka_unit_test(ports_of_one_service_spread),
		cmocka_unit_test(empty_has_none),
		cmocka_unit_test(dropped_is_gone),
		cmocka_unit_test(too_many_are_dense),
		cmocka_unit_test(any_other_bit_breaks_the_seal),
		cmocka_unit_test(no_reader_believes_half),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
