// SPDX-License-Identifier: Apache-2.0
/* Who may register: users, groups, control groups, and words that are none. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "agent/policy.h"
#include "core/reason.h"

#define LIST(...)                                                    \
	(&(struct sf_conf_list){ .items = (char *[]){ __VA_ARGS__ }, \
				 .count = sizeof((char *[]){ __VA_ARGS__ }) / sizeof(char *) })
static const struct sf_conf_list none;

static struct policy parse(const struct sf_conf_list *uid, const struct sf_conf_list *gid,
			   const struct sf_conf_list *allow, const struct sf_conf_list *deny)
{
	struct policy p;
	char err[256];

	assert_int_equal(policy_parse(uid, gid, allow, deny, &p, err, sizeof(err)), 0);
	return p;
}

static uint8_t judge(const struct policy *p, uint32_t uid, const char *cgroup)
{
	return policy_judge(p, &(struct policy_subject){ .uid = uid, .cgroup = cgroup });
}

static void users_by_range_number_and_name(void **state)
{
	struct policy p = parse(LIST("root", "100-200", "4242"), &none, &none, &none);

	assert_int_equal(judge(&p, 0, NULL), 0);
	assert_int_equal(judge(&p, 100, NULL), 0);
	assert_int_equal(judge(&p, 200, NULL), 0);
	assert_int_equal(judge(&p, 4242, NULL), 0);
	assert_int_equal(judge(&p, 99, NULL), SF_DENIED_UID);
	assert_int_equal(judge(&p, 201, NULL), SF_DENIED_UID);
	assert_int_equal(judge(&p, UINT32_MAX, NULL), SF_DENIED_UID);
	policy_free(&p);
}

static void groups_help(void **state)
{
	struct policy p = parse(&none, LIST("50-60"), &none, &none);
	const gid_t in[] = { 7, 55 }, out[] = { 7, 61 };
	struct policy_subject who = { .uid = 5000, .gids = in, .n_gids = 2 };

	assert_true(policy_wants_groups(&p));
	assert_int_equal(policy_judge(&p, &who), 0);
	who.gids = out;
	assert_int_equal(policy_judge(&p, &who), SF_DENIED_UID);
	policy_free(&p);
}

/* Without the process's own groups, those of the user database count. */
static void groups_of_the_database(void **state)
{
	struct policy p = parse(&none, LIST("root"), &none, &none);
	struct policy_ranges gid, members;

	assert_true(policy_in(&p.members, 0));
	assert_false(policy_in(&p.members, 54321));
	assert_int_equal(judge(&p, 0, NULL), 0);
	assert_int_equal(judge(&p, 54321, NULL), SF_DENIED_UID);
	policy_free(&p);
	assert_int_equal(policy_group("root", &gid, &members), 0);
	assert_true(policy_in(&gid, 0));
	assert_true(policy_in(&members, 0));
	free(gid.items);
	free(members.items);
	assert_int_equal(policy_group("no-such-group-here", &gid, &members), 0);
	assert_int_equal(gid.count, 0);
	assert_int_equal(policy_group("", &gid, &members), 0);
	assert_int_equal(gid.count, 0);
}

struct spans {
	char text[512];
};

static int write_span(void *ctx, uint32_t first, unsigned int bits)
{
	struct spans *s = ctx;
	size_t n = strlen(s->text);

	snprintf(s->text + n, sizeof(s->text) - n, "%u/%u ", first, bits);
	return 0;
}

static void spans_are(uint32_t first, uint32_t last, const char *want)
{
	struct policy_range r = { first, last };
	struct spans s = { .text = "" };

	assert_int_equal(policy_spans(&r, write_span, &s), 0);
	assert_string_equal(s.text, want);
}

static void ranges_as_prefixes(void **state)
{
	spans_are(0, 0, "0/0 ");
	spans_are(0, 999, "0/9 512/8 768/7 896/6 960/5 992/3 ");
	spans_are(1000, 1001, "1000/1 ");
	spans_are(1, 6, "1/0 2/1 4/1 6/0 ");
	spans_are(0, UINT32_MAX, "0/32 ");
	spans_are(UINT32_MAX - 1, UINT32_MAX - 1, "4294967294/0 ");
}

static void control_groups_and_below(void **state)
{
	struct policy p = parse(&none, &none, LIST("/web", "/a/"), LIST("/web/bad"));

	assert_true(policy_wants_cgroup(&p));
	assert_int_equal(judge(&p, 5000, "/web"), 0);
	assert_int_equal(judge(&p, 5000, "/web/x"), 0);
	assert_int_equal(judge(&p, 5000, "/a/b"), 0);
	assert_int_equal(judge(&p, 5000, "/website"), SF_DENIED_UID);
	assert_int_equal(judge(&p, 0, "/web/bad"), SF_DENIED_CGROUP);
	assert_int_equal(judge(&p, 0, "/web/bad/er"), SF_DENIED_CGROUP);
	/* Who cannot be placed may be of the denied ones. */
	assert_int_equal(judge(&p, 0, NULL), SF_DENIED_CGROUP);
	policy_free(&p);
}

static void refuses(const struct sf_conf_list *uid, const struct sf_conf_list *gid,
		    const struct sf_conf_list *allow, const struct sf_conf_list *deny,
		    const char *named)
{
	struct policy p = { .uids = { .count = 77 } };
	char err[256] = "";

	assert_int_equal(policy_parse(uid, gid, allow, deny, &p, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, named));
	assert_non_null(strstr(err, "expected"));
	assert_int_equal(p.uids.count, 77);
}

static void bad_words_are_named(void **state)
{
	refuses(LIST("no-such-user-here"), &none, &none, &none,
		"allow_uid: got 'no-such-user-here'");
	refuses(LIST("5-"), &none, &none, &none, "'5-'");
	refuses(LIST("9-5"), &none, &none, &none, "'9-5'");
	refuses(LIST("4294967295"), &none, &none, &none, "'4294967295'");
	refuses(LIST("-1"), &none, &none, &none, "'-1'");
	refuses(&none, LIST("1x"), &none, &none, "allow_gid: got '1x'");
	refuses(&none, &none, LIST("web"), &none, "allow_cgroup: got 'web'");
	refuses(&none, &none, &none, LIST("web"), "deny_cgroup: got 'web'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(users_by_range_number_and_name),
		cmocka_unit_test(groups_help),
		cmocka_unit_test(groups_of_the_database),
		cmocka_unit_test(ranges_as_prefixes),
		cmocka_unit_test(control_groups_and_below),
		cmocka_unit_test(bad_words_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
