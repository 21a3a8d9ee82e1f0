// SPDX-License-Identifier: Apache-2.0
/* core/addr: composing, taking apart, text. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/addr.h"

static struct sf_addr addr(const char *text)
{
	struct sf_addr a;

	assert_int_equal(sf_addr_parse(text, &a), 0);
	return a;
}

static void assert_addr(struct sf_addr a, const char *text)
{
	char buf[SF_ADDR_STRLEN];

	assert_string_equal(sf_addr_print(&a, buf), text);
}

static void locators(void **state)
{
	struct sf_net net = sf_net_default(0x00010002);
	struct sf_addr a = sf_locator(&net, 0x00030004, 0x123456789abcull);
	struct sf_addr b;

	assert_addr(a, "fd5c:1:2:3:4:1234:5678:9abc");
	assert_true(sf_addr_in_as(&net, &a));
	assert_false(sf_addr_is_service(&net, &a));
	assert_int_equal(sf_locator_host(&a), 0x00030004);
	assert_int_equal(sf_locator_sock(&a), 0x123456789abcull);

	b = a;
	sf_locator_set_sock(&b, 0xfedcba987654ull);
	assert_addr(b, "fd5c:1:2:3:4:fedc:ba98:7654");
	assert_true(sf_locator_same_host(&a, &b));
	assert_false(sf_addr_eq(&a, &b));
	/* Every bit of the first 80 tells hosts apart, none of the last 48 does. */
	for (int bit = 0; bit < 128; bit++) {
		b = a;
		b.b[bit / 8] ^= 0x80 >> bit % 8;
		assert_int_equal(sf_locator_same_host(&a, &b), bit >= 80);
		assert_int_equal(sf_addr_in_as(&net, &b), bit >= 48);
		assert_false(sf_addr_eq(&a, &b));
	}
	/* What is above 48 bits does not reach the hostAddr. */
	assert_addr(sf_locator(&net, 0, 0xffff000000000001ull), "fd5c:1:2::1");
}

static void unset_sockets(void **state)
{
	assert_true(sf_sock_is_unset(0));
	assert_true(sf_sock_is_unset(0xffff));
	assert_false(sf_sock_is_unset(0x10000));
	assert_false(sf_sock_is_unset(0x800000000000ull));
}

static void services(void **state)
{
	struct sf_net net = sf_net_default(1);
	struct sf_sid sid = sf_sid_make(1, 0x52ac1db85f5ecb14ull), back;
	struct sf_addr a = sf_service_addr(&net, &sid);
	char buf[SF_ADDR_STRLEN];

	assert_addr(a, "fd5e::1:52ac:1db8:5f5e:cb14");
	assert_true(sf_addr_is_service(&net, &a));
	assert_false(sf_addr_in_as(&net, &a));
	back = sf_addr_sid(&a);
	assert_true(sf_sid_eq(&sid, &back));
	assert_string_equal(sf_sid_print(&sid, buf), "00000001:52ac1db85f5ecb14");
	for (int i = 0; i < 12; i++) {
		back = sid;
		back.b[i] ^= 1;
		assert_false(sf_sid_eq(&sid, &back));
	}
	memset(&sid, 0, sizeof(sid));
	assert_true(sf_sid_is_zero(&sid));
	sid.b[11] = 1;
	assert_false(sf_sid_is_zero(&sid));
	memset(&a, 0, sizeof(a));
	assert_true(sf_addr_is_zero(&a));
	a.b[0] = 1;
	assert_false(sf_addr_is_zero(&a));
}

static void logs_hide_sockets(void **state)
{
	struct sf_addr a = addr("fd5c:0:1:2:3:abcd:1234:5678");
	char buf[SF_ADDR_STRLEN];

	assert_string_equal(sf_locator_print(&a, buf), "fd5c:0:1:2:3:abcd…");
	a = addr("fd5c:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	assert_string_equal(sf_locator_print(&a, buf), "fd5c:ffff:ffff:ffff:ffff:ffff…");
	a = addr("fd5c:0:1:2:3::1");
	assert_string_equal(sf_locator_print(&a, buf), "fd5c:0:1:2:3::1");
}

static void refuses_addresses(void **state)
{
	static const char *const bad[] = {
		"",	      ":",	 "fd5e",    "fd5e:::1", "fd5e::1 ",	    " fd5e::1",
		"fd5e::1/32", "12345::", "1.2.3.4", "web",	"1:2:3:4:5:6:7:8:9"
	};
	struct sf_addr a;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memset(&a, 0x5a, sizeof(a));
		assert_int_equal(sf_addr_parse(bad[i], &a), -EINVAL);
		assert_int_equal(a.b[0], 0x5a);
	}
}

static void prefixes(void **state)
{
	static const char *const bad[] = { "",
					   "fd5e::",
					   "fd5e::/",
					   "fd5e::/129",
					   "fd5e::/+1",
					   "fd5e::/-1",
					   "fd5e::/1 ",
					   "fd5e::/0x20",
					   "/32",
					   "web/32",
					   "fd5e::/99999999999999999999",
					   "fd5e:0000:0000:0000:0000:0000:0000:0000:0000:0000/32" };
	struct sf_addr a;
	int len;

	assert_int_equal(sf_prefix_parse("fd5c:0:1::/48", &a, &len), 0);
	assert_addr(a, "fd5c:0:1::");
	assert_int_equal(len, 48);
	assert_int_equal(sf_prefix_parse("fd5c::1/128", &a, &len), 0);
	assert_int_equal(sf_prefix_parse("::/0", &a, &len), 0);
	assert_int_equal(len, 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(sf_prefix_parse(bad[i], &a, &len), -EINVAL);
}

static void networks(void **state)
{
	static const struct {
		const char *service, *as, *what;
	} bad[] = {
		{ "fd5e::/32", "0", "as" },
		{ "fd5e::/32", "4294967296", "as" },
		{ "fd5e::/32", "-1", "as" },
		{ "fd5e::/32", "", "as" },
		{ "fd5e::/32", "fd5c:0:1::/64", "as" },
		{ "fd5e::/32", "fd5c:0:1:2::/48", "as" },
		{ "fd5e::/32", "fd5c::/48", "as" }, /* ASAddr 0: unset */
		{ "fd5e::/32", "::/48", "as" },
		{ "fd5e::/33", "1", "service" },
		{ "fd5e:0:1::/32", "1", "service" },
		{ "fd5e::", "1", "service" },
		{ "::/32", "1", "service" },
		{ "fd5c:0::/32", "1", "service" }, /* would hold the locators */
		{ "2001:db8::/32", "2001:db8:5::/48", "service" },
	};
	struct sf_net net, byname;
	const char *what;

	assert_int_equal(sf_net_parse("fd5e::/32", "1", &net, &what), 0);
	assert_null(what);
	byname = sf_net_default(1);
	assert_memory_equal(&net, &byname, sizeof(net));
	assert_int_equal(sf_net_parse("fd5e::/32", "fd5c:0:1::/48", &net, &what), 0);
	assert_memory_equal(&net, &byname, sizeof(net));
	assert_int_equal(sf_net_parse("fd5e::/32", "4294967295", &net, &what), 0);
	assert_addr(sf_locator(&net, 1, 1), "fd5c:ffff:ffff:0:1::1");
	assert_int_equal(sf_net_parse("2001:db8::/32", "2001:db9:5::/48", &net, &what), 0);
	assert_addr(sf_locator(&net, 1, 1), "2001:db9:5:0:1::1");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		what = NULL;
		assert_int_equal(sf_net_parse(bad[i].service, bad[i].as, &net, &what), -EINVAL);
		assert_string_equal(what, bad[i].what);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(locators),	     cmocka_unit_test(unset_sockets),
		cmocka_unit_test(services),	     cmocka_unit_test(logs_hide_sockets),
		cmocka_unit_test(refuses_addresses), cmocka_unit_test(prefixes),
		cmocka_unit_test(networks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
