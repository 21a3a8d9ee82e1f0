// SPDX-License-Identifier: Apache-2.0
/* core/siphash: the vectors of the paper's reference code, and OpenSSL's for the 1-3 variant. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/siphash.h"

/* Key and message as in Aumasson and Bernstein, appendix A: bytes 00, 01, 02, ... */
static const struct sf_hashkey key = { 0x0706050403020100ull, 0x0f0e0d0c0b0a0908ull };
static const __u64 words[5] = { 0x0706050403020100ull, 0x0f0e0d0c0b0a0908ull, 0x1716151413121110ull,
				0x1f1e1d1c1b1a1918ull, 0x2726252423222120ull };

static void siphash24(void **state)
{
	assert_int_equal(sf_siphash24(&key, words, 0), 0x726fdb47dd0e0e31ull);
	assert_int_equal(sf_siphash24(&key, words, 1), 0x93f5f5799a932462ull);
	assert_int_equal(sf_siphash24(&key, words, 2), 0x3f2acc7f57c29bdbull);
	assert_int_equal(sf_siphash24(&key, words, 3), 0xb8ad50c6f649af94ull);
	assert_int_equal(sf_siphash24(&key, words, 5), 0x0e3ea96b5304a7d0ull);
}

static void siphash13(void **state)
{
	assert_int_equal(sf_siphash13(&key, words, 0), 0xabac0158050fc4dcull);
	assert_int_equal(sf_siphash13(&key, words, 1), 0x369095118d299a8eull);
	assert_int_equal(sf_siphash13(&key, words, 2), 0xcc4fdd1a7d908b66ull);
	assert_int_equal(sf_siphash13(&key, words, 3), 0xf464aeb267349c8cull);
	assert_int_equal(sf_siphash13(&key, words, 5), 0xc1d2363299e41531ull);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(siphash24),
		cmocka_unit_test(siphash13),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
