// SPDX-License-Identifier: Apache-2.0
/* core/name: what is a name, and which serviceID it stands for. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/evp.h>

#include "core/name.h"

static int sha256(const char *domain, const void *data, size_t len, __u8 out[32])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) &&
		  EVP_DigestUpdate(ctx, domain, strlen(domain) + 1) &&
		  EVP_DigestUpdate(ctx, data, len) && EVP_DigestFinal_ex(ctx, out, NULL);

	EVP_MD_CTX_free(ctx);
	return ok ? 0 : -EIO;
}

static int no_sha256(const char *domain, const void *data, size_t len, __u8 out[32])
{
	return -ENOMEM;
}

static void names(void **state)
{
	static const struct {
		const char *text, *canonical;
		__u32 ssid;
	} good[] = {
		{ "web", "web", 1 },
		{ "Web", "web", 1 },
		{ "web.scaffold", "web", 1 },
		{ "WEB.Scaffold", "web", 1 },
		{ "web@2a", "web", 0x2a },
		{ "web.scaffold@2A", "web", 0x2a },
		{ "web@7fffffff", "web", 0x7fffffff },
		{ "web@00000001", "web", 1 },
		{ "a.b-c.d0", "a.b-c.d0", 1 },
		{ "scaffold", "scaffold", 1 },
		{ "scaffold.scaffold", "scaffold", 1 },
		{ "web.scaffold.scaffold", "web.scaffold", 1 },
		{ "xscaffold", "xscaffold", 1 },
		{ "7", "7", 1 },
	};
	struct sf_name name;
	const char *why;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(sf_name_parse(good[i].text, &name, &why), 0);
		assert_string_equal(name.text, good[i].canonical);
		assert_int_equal(name.ssid, good[i].ssid);
		assert_null(why);
	}
}

static void no_names(void **state)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{ "", "empty" },
		{ "@1", "empty" },
		{ ".scaffold", "empty label" },
		{ ".", "empty label" },
		{ "a..b", "empty label" },
		{ "a.", "empty label" },
		{ "a.scaffold.", "empty label" },
		{ "-a", "begin" },
		{ "a.-b", "begin" },
		{ "a-", "end" },
		{ "a-.b", "end" },
		{ "we b", "only" },
		{ "web\n", "only" },
		{ "w_b", "only" },
		{ "b\xc3\xbc"
		  "cher",
		  "only" },
		{ "web/", "only" },
		{ "web@", "hexadecimal" },
		{ "web@0", "hexadecimal" },
		{ "web@xyz", "hexadecimal" },
		{ "web@80000000", "hexadecimal" }, /* the keyed bit */
		{ "web@123456789", "hexadecimal" },
		{ "web@1@2", "hexadecimal" },
		{ "web@-1", "hexadecimal" },
		{ "web@0x2a", "hexadecimal" },
	};
	struct sf_name name;
	const char *why;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memset(&name, 0x5a, sizeof(name));
		assert_int_equal(sf_name_parse(bad[i].text, &name, &why), -EINVAL);
		assert_non_null(strstr(why, bad[i].why));
		assert_int_equal(name.text[0], 0x5a);
	}
}

static void lengths(void **state)
{
	char text[512] = "";
	struct sf_name name;
	const char *why;

	memset(text, 'a', 63);
	assert_int_equal(sf_name_parse(text, &name, &why), 0);
	memset(text, 'a', 64);
	assert_int_equal(sf_name_parse(text, &name, &why), -EINVAL);
	assert_non_null(strstr(why, "63"));

	memset(text, 'a', sizeof(text) - 1);
	for (int i = 50; i < 500; i += 50)
		text[i] = '.';
	strcpy(text + 253, ".scaffold@2a");
	assert_int_equal(sf_name_parse(text, &name, &why), 0);
	assert_int_equal(strlen(name.text), 253);
	text[253] = 'a';
	strcpy(text + 254, ".scaffold");
	assert_int_equal(sf_name_parse(text, &name, &why), -EINVAL);
	assert_non_null(strstr(why, "253"));
	memset(text + 253, 'a', 200);
	assert_int_equal(sf_name_parse(text, &name, &why), -EINVAL);
	assert_non_null(strstr(why, "253"));
}

static void assert_sid(const char *text, const char *expect)
{
	struct sf_net net = sf_net_default(1);
	char buf[SF_ADDR_STRLEN];
	const char *why;
	struct sf_sid sid;

	assert_int_equal(sf_sid_parse(&net, text, sha256, &sid, &why), 0);
	assert_null(why);
	assert_string_equal(sf_sid_print(&sid, buf), expect);
}

static void services_in_all_forms(void **state)
{
	/* SHA-256("scaffold service name v1" 00 "web") = 52ac1db85f5ecb14... (by another program)
	 */
	assert_sid("web", "00000001:52ac1db85f5ecb14");
	assert_sid("WEB.scaffold", "00000001:52ac1db85f5ecb14");
	assert_sid("web@2a", "0000002a:52ac1db85f5ecb14");
	assert_sid("00000001:52ac1db85f5ecb14", "00000001:52ac1db85f5ecb14");
	assert_sid("0000000A:52AC1DB85F5ECB14", "0000000a:52ac1db85f5ecb14");
	assert_sid("fd5e:0:0:1:52ac:1db8:5f5e:cb14", "00000001:52ac1db85f5ecb14");
	assert_sid("fd5e::1", "00000000:0000000000000001");
}

static void no_services(void **state)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{ "", "empty" },
		{ "web!", "only" },
		{ "fd5c:0:1:2:3::1", "prefix" },
		{ "fd5e::", "anonymous" },
		{ "00000000:0000000000000000", "anonymous" },
		{ "1:52ac1db85f5ecb14", "neither" },
		{ "00000001:52ac1db85f5ecb1", "neither" },
		{ "00000001:52ac1db85f5ecb1g", "neither" },
		{ "00000001:52ac1db85f5ecb144", "neither" },
		{ "fd5e::1%eth0", "neither" },
		{ ":", "neither" },
	};
	struct sf_net net = sf_net_default(1);
	struct sf_sid sid = sf_sid_make(7, 7);
	const char *why;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(sf_sid_parse(&net, bad[i].text, sha256, &sid, &why), -EINVAL);
		assert_non_null(strstr(why, bad[i].why));
	}
	assert_int_equal(sf_sid_parse(&net, "web", no_sha256, &sid, &why), -ENOMEM);
	assert_non_null(strstr(why, "digest"));
	assert_int_equal(sf_be32(sid.w[0]), 7);
}

static void keys(void **state)
{
	char buf[SF_ADDR_STRLEN];
	struct sf_sid sid;
	__u8 key[32];

	for (int i = 0; i < 32; i++)
		key[i] = (__u8)i;
	assert_int_equal(sf_sid_of_key(key, 32, SF_SSID_HOSTS, sha256, &sid), 0);
	assert_string_equal(sf_sid_print(&sid, buf), "80000000:0259f6641378a79b");
	assert_int_equal(sf_sid_of_key(key, 32, 5, sha256, &sid), 0);
	assert_string_equal(sf_sid_print(&sid, buf), "80000005:0259f6641378a79b");
	assert_int_equal(sf_sid_of_key(key, 32, 5, no_sha256, &sid), -ENOMEM);
}

/* Names in messages: only the canonical text, and every canonical text is read back. */
static void names_in_messages(void **state)
{
	static const char *const good[] = { "web", "web@2a", "a.b-c.d0", "web.scaffold.scaffold",
					    "web.scaffold.scaffold@7fffffff" };
	static const char *const bad[] = { "",	     "Web",	  "web.scaffold", "web@1",
					   "web@2A", "two words", "web\n",	  "-web",
					   "web@",   "fd5e::1",	  "\xc3\xa4",	  "web@80000000" };
	char text[SF_NAME_TEXT], longest[SF_NAME_TEXT + 8];
	struct sf_sid sid, want;
	struct sf_net net = sf_net_default(1);
	const char *why;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(sf_name_take(good[i], strlen(good[i]), sha256, &sid, text), 0);
		assert_string_equal(text, good[i]);
		assert_int_equal(sf_sid_parse(&net, good[i], sha256, &want, &why), 0);
		assert_true(sf_sid_eq(&sid, &want));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(sf_name_take(bad[i], strlen(bad[i]), sha256, &sid, text), -EINVAL);
	assert_int_equal(sf_name_take("web\0", 4, sha256, &sid, text), -EINVAL);
	memset(longest, 'a', sizeof(longest));
	assert_int_equal(sf_name_take(longest, sizeof(longest), sha256, &sid, text), -EINVAL);
	for (size_t i = 50; i < SF_NAME_MAX; i += 50)
		longest[i] = '.';
	assert_int_equal(sf_name_take(longest, SF_NAME_MAX, sha256, &sid, text), 0);
	assert_int_equal(sf_name_take(longest, SF_NAME_MAX + 1, sha256, &sid, text), -EINVAL);
	assert_int_equal(sf_name_take("web", 3, no_sha256, &sid, text), -ENOMEM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(no_names),
		cmocka_unit_test(lengths),
		cmocka_unit_test(services_in_all_forms),
		cmocka_unit_test(no_services),
		cmocka_unit_test(keys),
		cmocka_unit_test(names_in_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
