// SPDX-License-Identifier: Apache-2.0
/* Which routers a host believes, and what they may give it. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "agent/trust.h"

#define KEY_A "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"
#define KEY_B "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static char *pins[] = { KEY_B, KEY_A };
static char *prefixes[] = { "fd5c::/16", "fd5e::/32" };
static char *narrow[] = { "fd5c:0:7::/48", "fd5e::/32" };
static char *too_narrow[] = { "fd5c:0:7:1::/64", "fd5e::/48" };

static const uint8_t key_a[SF_SIGN_PUBLIC_LEN] = {
	0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa,
	0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x00, 0x11, 0x22, 0x33, 0x44, 0x55,
	0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff,
};

static void keys_as_text(void **state)
{
	char text[TRUST_KEY_STRLEN];

	assert_true(trust_is_key(KEY_A));
	assert_false(trust_is_key(""));
	assert_false(trust_is_key(KEY_A "0"));
	assert_false(trust_is_key(&KEY_A[1]));
	assert_false(
		trust_is_key("g0112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"));
	assert_true(trust_is_prefix("fd5c:0:1::/48"));
	assert_false(trust_is_prefix("fd5c::1/48"));
	assert_false(trust_is_prefix("everything"));
	assert_int_equal(strlen(trust_key_print(key_a, text)), 64);
	assert_true(trust_is_key(text));
}

static void another_key_is_refused_with_both(void **state)
{
	struct config c = { .router_key = { .items = pins, .count = 1 } };
	char why[256] = "";

	assert_int_equal(trust_key(&c, key_a, why, sizeof(why)), -EKEYREJECTED);
	assert_non_null(strstr(why, "00112233445566778899aabbccddeeff0"));
	assert_non_null(strstr(why, KEY_B));
	assert_non_null(strstr(why, "router_key="));
	c.router_key.count = 2;
	assert_int_equal(trust_key(&c, key_a, why, sizeof(why)), 0);
	c.router_key.count = 0; /* any */
	assert_int_equal(trust_key(&c, key_a, why, sizeof(why)), 0);
}

static struct sf_net net_of(const char *service, const char *as)
{
	struct in6_addr s, a;
	struct sf_net net = { .reserved = 0 };

	assert_int_equal(inet_pton(AF_INET6, service, &s), 1);
	assert_int_equal(inet_pton(AF_INET6, as, &a), 1);
	memcpy(&net.service, &s, 4);
	memcpy(net.as, &a, 6);
	return net;
}

static int judged(char **allowed, const char *service, const char *as, char *why)
{
	struct config c = { .prefixes = { .items = allowed, .count = 2 } };
	struct sf_net net = net_of(service, as);

	why[0] = '\0';
	return trust_net(&c, &net, why, 256);
}

static void networks_stay_in_their_prefixes(void **state)
{
	char why[256];

	assert_int_equal(judged(prefixes, "fd5e::", "fd5c:0:1::", why), 0);
	assert_int_equal(judged(prefixes, "fd5e::", "fd5c:ffff:1::", why), 0);
	assert_int_equal(judged(prefixes, "2001:db8::", "fd5c:0:1::", why), -EPERM);
	assert_non_null(strstr(why, "service addresses 2001:db8::/32"));
	assert_int_equal(judged(prefixes, "fd5e::", "2001:db8:1::", why), -EPERM);
	assert_non_null(strstr(why, "locators 2001:db8:1::/48"));
	assert_non_null(strstr(why, "prefixes="));
	assert_int_equal(judged(prefixes, "fd5e:1::", "fd5c:0:1::", why), -EPERM);
	assert_int_equal(judged(narrow, "fd5e::", "fd5c:0:7::", why), 0);
	assert_int_equal(judged(narrow, "fd5e::", "fd5c:0:8::", why), -EPERM);
	/* A prefix that is smaller than what is given does not hold it. */
	assert_int_equal(judged(too_narrow, "fd5e::", "fd5c:0:7::", why), -EPERM);
}

static void blind_without_link_and_key(void **state)
{
	char eth0[] = "eth0", *links[] = { eth0 };
	struct config c = { .uplink = { .count = 0 } };

	assert_true(trust_is_blind(&c));
	c.router_key = (struct sf_conf_list){ .items = pins, .count = 1 };
	assert_false(trust_is_blind(&c));
	c.router_key.count = 0;
	c.uplink = (struct sf_conf_list){ .items = links, .count = 1 };
	assert_false(trust_is_blind(&c));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_as_text),
		cmocka_unit_test(another_key_is_refused_with_both),
		cmocka_unit_test(networks_stay_in_their_prefixes),
		cmocka_unit_test(blind_without_link_and_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
