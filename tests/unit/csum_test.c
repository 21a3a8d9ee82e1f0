// SPDX-License-Identifier: Apache-2.0
/* core/csum: sums by RFC 1071, translation and neutrality against sums made from scratch. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/csum.h"

static unsigned int seed = 1;

static __u32 rnd(void)
{
	return (__u32)rand_r(&seed) << 16 ^ (__u32)rand_r(&seed);
}

/* Random, with words of all zeros and all ones among them: the edges of this arithmetic. */
static struct sf_addr random_addr(void)
{
	struct sf_addr a;

	for (int i = 0; i < 8; i++) {
		switch (rnd() % 4) {
		case 0:
			a.h[i] = 0;
			break;
		case 1:
			a.h[i] = 0xffff;
			break;
		default:
			a.h[i] = (__be16)rnd();
		}
	}
	if (sf_addr_is_zero(&a))
		a.b[0] = 0xfd;
	return a;
}

/* RFC 1071, literally: words of 16 bits in network order, end-around carry at each step. */
static __u16 plain_sum(const __u8 *p, size_t len)
{
	__u32 sum = 0;

	for (size_t i = 0; i < len; i++) {
		sum += i % 2 ? p[i] : (__u32)p[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (__u16)sum;
}

static void rfc1071_example(void **state)
{
	/* Section 3: 0001 f203 f4f5 f6f7 sum to ddf2. */
	static const __u8 data[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };

	assert_int_equal(sf_be16(sf_csum_fold(sf_csum_bytes(data, 8))), 0xddf2);
}

static void bytes_of_any_length_and_place(void **state)
{
	__u8 data[300];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (__u8)rnd();
	for (size_t at = 0; at < 5; at++)
		for (size_t len = 0; len < 260; len++)
			assert_int_equal(sf_be16(sf_csum_fold(sf_csum_bytes(data + at, len))),
					 plain_sum(data + at, len));
	memset(data, 0xff, sizeof(data));
	assert_int_equal(sf_csum_fold(sf_csum_bytes(data, 256)), 0xffff);
	memset(data, 0, sizeof(data));
	assert_int_equal(sf_csum_fold(sf_csum_bytes(data, 256)), 0);
}

static void folds_any_sum(void **state)
{
	static const __u64 edges[] = { 0,
				       1,
				       0xffff,
				       0x10000,
				       0xffffffff,
				       0x100000000ull,
				       0xfffffffffffffffeull,
				       0xffffffffffffffffull };

	for (size_t i = 0; i < 8; i++) {
		__u64 n = edges[i];
		__u16 folded = sf_csum_fold(n);

		assert_int_equal(folded % 0xffff, n % 0xffff);
		assert_int_equal(folded == 0, n == 0); /* -0 stays -0 */
	}
}

/* The checksum field of a packet with these addresses whose rest sums to @rest. */
static __u16 whole(const struct sf_addr *src, const struct sf_addr *dst, __u32 rest)
{
	return (__u16)~sf_csum_fold(sf_csum_addr(src) + sf_csum_addr(dst) + rest);
}

static void translation_and_back(void **state)
{
	for (int i = 0; i < 200000; i++) {
		struct sf_addr u = random_addr(), x = random_addr(), a = random_addr();
		struct sf_addr b = i % 8 ? random_addr() : x;
		__u32 rest = i % 3 ? rnd() : 0;
		__u32 delta, undo;
		__u16 before, after;

		if (i % 16 == 0)
			a = u; /* nothing changes */
		delta = sf_csum_delta(&u, &x, &a, &b);
		undo = sf_csum_undo(delta);
		before = whole(&u, &x, rest);
		after = sf_csum_apply(before, delta);
		/* Equal as a receiver's sum sees it: 0 and 0xffff are one value. */
		assert_int_equal(after % 0xffff, whole(&a, &b, rest) % 0xffff);
		assert_int_equal(sf_csum_apply(after, undo) % 0xffff, before % 0xffff);
		assert_true(delta <= 0xffff && undo <= 0xffff);
		/* A partial checksum holds the pseudo-header's sum itself. */
		assert_int_equal(sf_csum_fold((__u64)sf_csum_fold(sf_csum_addr(&u) +
								  sf_csum_addr(&x) + rest) +
					      delta),
				 sf_csum_fold(sf_csum_addr(&a) + sf_csum_addr(&b) + rest));
	}
}

static void resolution_is_neutral(void **state)
{
	struct sf_net net = sf_net_default(0xffffffff);

	for (int i = 0; i < 200000; i++) {
		struct sf_addr was = random_addr(), loc, again;

		loc = i % 2 ? random_addr() : sf_locator(&net, rnd(), rnd() & 0xffff);
		sf_locator_set_sock(&loc, rnd() & 0xffff);
		if (!(loc.w[0] | loc.w[1] | loc.h[4]))
			loc.b[0] = 0xfd;
		again = loc;
		sf_csum_neutral(&was, &loc);
		/* Not only equivalent: the very same sum, so partial checksums stay right, too. */
		assert_int_equal(sf_csum_fold(sf_csum_addr(&loc)),
				 sf_csum_fold(sf_csum_addr(&was)));
		assert_true(sf_locator_same_host(&loc, &again));
		assert_true(sf_sock_is_unset(sf_locator_sock(&loc)));
		assert_int_not_equal(loc.h[7], 0xffff);
		/* Refining what was refined: service -> AS -> host gives what service -> host
		 * gives. */
		sf_csum_neutral(&loc, &again);
		assert_true(sf_addr_eq(&again, &loc));
	}
}

static void resolution_edges(void **state)
{
	/* Sums that differ by nothing: the adjustment is 0, not 0xffff. */
	struct sf_addr was = { .h = { 0x1234, 0x5678 } }, loc = { .h = { 0x5678, 0x1234 } };

	sf_csum_neutral(&was, &loc);
	assert_int_equal(loc.h[7], 0);
	/* Sums of all ones, which is the other zero. */
	was = (struct sf_addr){ .h = { 0xffff } };
	loc = (struct sf_addr){ .h = { 0xfffe, 0, 0, 0, 0, 0, 0, 0xabcd } };
	sf_csum_neutral(&was, &loc);
	assert_int_equal(loc.h[7], 1);
	assert_int_equal(sf_csum_fold(sf_csum_addr(&loc)), 0xffff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc1071_example),
		cmocka_unit_test(bytes_of_any_length_and_place),
		cmocka_unit_test(folds_any_sum),
		cmocka_unit_test(translation_and_back),
		cmocka_unit_test(resolution_is_neutral),
		cmocka_unit_test(resolution_edges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
