// SPDX-License-Identifier: Apache-2.0
/* util/ip6: what is a prefix, what is not. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "util/ip6.h"

static void reads_and_prints(void **state)
{
	static const char *const same[] = { "fd5c::/16", "::/0", "::1/128", "fd5e:0:12::/48",
					    "8000::/1" };
	char buf[SF_IP6_PREFIX_LEN];
	struct sf_ip6_prefix p;

	for (size_t i = 0; i < sizeof(same) / sizeof(*same); i++) {
		assert_int_equal(sf_ip6_prefix_parse(same[i], &p), 0);
		assert_string_equal(sf_ip6_prefix_print(&p, buf), same[i]);
	}
	assert_int_equal(sf_ip6_prefix_parse("fd5c::1", &p), 0);
	assert_int_equal(p.len, 128);
}

static void refuses(void **state)
{
	static const char *const bad[] = { "",
					   "/16",
					   "fd5c::/129",
					   "fd5c::/",
					   "fd5c::/-1",
					   "fd5c::/ 8",
					   "fd5c::/16x",
					   "10.0.0.0/8",
					   "fd5c::1/16",
					   "fd5c::/8/8",
					   "1:2:3:4:5:6:7:8:9/128",
					   "fd5c::/99999999999999999999" };
	struct sf_ip6_prefix p = { .len = 7 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(sf_ip6_prefix_parse(bad[i], &p), -EINVAL);
	assert_int_equal(p.len, 7);
}

static void contains(void **state)
{
	struct in6_addr in, out;
	struct sf_ip6_prefix p;

	inet_pton(AF_INET6, "fd5c:7fff::1", &in);
	inet_pton(AF_INET6, "fd5c:8000::1", &out);
	assert_int_equal(sf_ip6_prefix_parse("fd5c::/17", &p), 0);
	assert_true(sf_ip6_prefix_contains(&p, &in));
	assert_false(sf_ip6_prefix_contains(&p, &out));
	p = sf_ip6_prefix_make(&out, 0);
	assert_true(sf_ip6_is_any(&p.addr));
	assert_true(sf_ip6_prefix_contains(&p, &in));
	p = sf_ip6_prefix_make(&out, 128);
	assert_true(sf_ip6_prefix_contains(&p, &out));
	assert_false(sf_ip6_prefix_contains(&p, &in));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_and_prints),
		cmocka_unit_test(refuses),
		cmocka_unit_test(contains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
