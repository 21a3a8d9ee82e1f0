// SPDX-License-Identifier: Apache-2.0
/* Policies: what JSON is taken and refused, and the weight that comes out. */
#include <errno.h>
#include <string.h>

#include "controller/policy.h"
#include "tests/controller/fixture.h"

static const char h3[] = "80000000:0000000000000003";
static const char h4[] = "80000000:0000000000000004";
static const char nameless[] = "80000000:0000000000000005";

/* Who is here now: two hosts call themselves twin. */
static int identity_of(const void *ctx, const char *name, char identity[HOST_TEXT])
{
	if (strcmp(name, "twin") == 0)
		return -ENOTUNIQ;
	if (strcmp(name, "h3") != 0 && strcmp(name, "h4") != 0)
		return -ENOENT;
	strcpy(identity, name[1] == '3' ? h3 : h4);
	return 0;
}

static int nobody(const void *ctx, const char *name, char identity[HOST_TEXT])
{
	return -ENOENT;
}

static int (*here)(const void *, const char *, char[HOST_TEXT]) = identity_of;

static struct policy_error why;

static int parse_on(const char *text, const struct policy *base, struct policy **out)
{
	struct sf_net net = sf_net_default(1);
	struct naming naming = { .net = &net, .identity_of = here };
	struct sf_sid sid = service_sid(1);
	json_t *json = json_loads(text, 0, NULL);
	int ret;

	assert_non_null(json);
	memset(&why, 0, sizeof(why));
	ret = policy_parse(&sid, json, base, &naming, out, &why);
	json_decref(json);
	return ret;
}

static struct policy *good(const char *text)
{
	struct policy *p = NULL;

	if (parse_on(text, NULL, &p))
		fail_msg("%s: %s: %s", text, why.where, why.what);
	return p;
}

static void refused(const char *text, const char *where, int error)
{
	struct policy *p = (void *)&why;

	assert_int_equal(parse_on(text, NULL, &p), error);
	assert_ptr_equal(p, (void *)&why); /* outputs untouched */
	assert_string_equal(why.where, where);
	assert_true(*why.what && *why.expected);
}

static void bad(const char *text, const char *where)
{
	refused(text, where, -EINVAL);
}

static void test_weight_order(void **state)
{
	struct policy *p;

	/* Nothing decided: the wish, bounded, or the default. */
	assert_int_equal(policy_weight(NULL, h3, 0), 100);
	assert_int_equal(policy_weight(NULL, h3, 7), 7);
	assert_int_equal(policy_weight(NULL, h3, 65535), 1000);
	p = good("{\"weight\": 50}");
	assert_int_equal(policy_weight(p, h3, 7), 50);
	policy_free(p);
	p = good("{\"weight\": 50, \"instances\": {\"h3\": {\"weight\": 3}, "
		 "\"h4\": {\"draining\": true, \"weight\": 9}}}");
	assert_int_equal(policy_weight(p, h3, 7), 3);
	assert_int_equal(policy_weight(p, h4, 7), 0);
	assert_int_equal(policy_given(p, h4, 7), 9);
	assert_int_equal(policy_weight(p, nameless, 7), 50);
	policy_free(p);
	p = good("{\"enabled\": false, \"instances\": {\"h3\": {\"weight\": 3}}}");
	assert_int_equal(policy_weight(p, h3, 7), 0);
	policy_free(p);
	p = good("{\"weight\": 0}");
	assert_int_equal(policy_weight(p, h3, 7), 0);
	policy_free(p);
}

/* A name is looked up when it comes, and never again. */
static void test_names_become_identities(void **state)
{
	struct policy *p = good("{\"allow\": [\"H3\"], \"instances\": {\"h3\": {\"weight\": 3}, "
				"\"fd5e::8000:0:0:0:0:4\": {\"weight\": 5}}}");
	struct policy *q = NULL;
	json_t *json = policy_json(p);
	const json_t *entry = json_object_get(json_object_get(json, "instances"), h3);

	assert_int_equal(policy_weight(p, h3, 0), 3);
	assert_int_equal(policy_weight(p, h4, 0), 5);
	assert_string_equal(json_string_value(json_object_get(entry, "name")), "h3");
	assert_string_equal(json_string_value(json_array_get(json_object_get(json, "allow"), 0)),
			    h3);
	json_decref(json);
	/* It has left: the policy still knows whom it called so. */
	here = nobody;
	assert_int_equal(parse_on("{\"instances\": {\"h3\": {\"weight\": 7}}}", p, &q), 0);
	assert_int_equal(policy_weight(q, h3, 0), 7);
	policy_free(q);
	here = identity_of;
	/* Another has taken the name: whom does it mean? */
	policy_set_host(p, nameless, "h4", 9, false);
	assert_int_equal(parse_on("{\"instances\": {\"h4\": null}}", p, &q), -ENOTUNIQ);
	assert_string_equal(why.where, "instances: h4");
	policy_free(p);
}

static void test_allow(void **state)
{
	struct policy *p = good("{}");

	assert_true(policy_allows(NULL, h3, true));
	assert_false(policy_allows(NULL, h3, false));
	assert_true(policy_allows(p, h3, true));
	assert_false(policy_allows(p, h3, false));
	policy_free(p);
	p = good("{\"allow\": [\"h3\", \"80000000:0000000000000005\"]}");
	assert_true(policy_allows(p, h3, false));
	assert_false(policy_allows(p, h4, true));
	assert_true(policy_allows(p, nameless, false));
	policy_free(p);
	p = good("{\"allow\": []}");
	assert_false(policy_allows(p, h3, true));
	policy_free(p);
	p = good("{\"allow\": [\"*\"]}");
	assert_true(policy_allows(p, h4, false));
	policy_free(p);
}

static void test_merge(void **state)
{
	struct policy *base = good("{\"weight\": 5, \"sticky\": true, \"allow\": [\"h3\"], "
				   "\"instances\": {\"h3\": {\"weight\": 1}, \"h4\": "
				   "{\"weight\": 2, \"draining\": true}}}");
	struct policy *p = NULL;

	assert_int_equal(
		parse_on("{\"instances\": {\"h3\": null, \"h4\": {\"weight\": 8}}}", base, &p), 0);
	assert_true(p->sticky);
	assert_int_equal(p->weight, 5);
	assert_false(policy_allows(p, h4, true));
	assert_null(policy_find(p, h3));
	assert_int_equal(policy_find(p, h4)->weight, 8);
	assert_true(policy_find(p, h4)->draining);
	/* The base is as it was. */
	assert_int_equal(policy_find(base, h3)->weight, 1);
	assert_int_equal(policy_find(base, h4)->weight, 2);
	policy_free(p);
	assert_int_equal(
		parse_on("{\"weight\": null, \"allow\": null, \"instances\": null}", base, &p), 0);
	assert_int_equal(p->weight, UNSET);
	assert_true(policy_allows(p, h4, true));
	assert_null(p->hosts);
	policy_free(p);
	policy_free(base);
}

static void test_round_trip(void **state)
{
	struct policy *p = good("{\"enabled\": false, \"sticky\": true, \"weight\": 0, "
				"\"move_grace_ms\": 2500, \"allow\": [\"h3\", \"*\"], "
				"\"instances\": {\"h4\": {\"weight\": null, "
				"\"draining\": true}}}");
	json_t *a = policy_json(p);
	char *text = json_dumps(a, 0);
	struct policy *q = good(text);
	json_t *b = policy_json(q);

	assert_true(json_equal(a, b));
	assert_int_equal(q->move_grace_ms, 2500);
	assert_int_equal(q->weight, 0);
	json_decref(a);
	json_decref(b);
	free(text);
	policy_free(p);
	policy_free(q);
}

static void test_refused(void **state)
{
	bad("[]", "body");
	bad("{\"wieght\": 1}", "wieght");
	bad("{\"enabled\": 1}", "enabled");
	bad("{\"weight\": 1001}", "weight");
	bad("{\"weight\": -1}", "weight");
	bad("{\"weight\": 1.5}", "weight");
	bad("{\"weight\": \"1\"}", "weight");
	bad("{\"move_grace_ms\": 3600001}", "move_grace_ms");
	bad("{\"allow\": \"h3\"}", "allow");
	bad("{\"allow\": [3]}", "allow");
	bad("{\"allow\": [\"-h3\"]}", "allow: -h3");
	bad("{\"instances\": []}", "instances");
	bad("{\"instances\": {\"h3\": 1}}", "instances.80000000:0000000000000003");
	bad("{\"instances\": {\"80000000:0000000000000003\": {\"weight\": 2000}}}",
	    "instances.80000000:0000000000000003.weight");
	bad("{\"instances\": {\"h3\": {\"drain\": true}}}",
	    "instances.80000000:0000000000000003.drain");
	bad("{\"instances\": {\"h3\": {\"name\": \"80000000:0000000000000004\"}}}",
	    "instances.80000000:0000000000000003.name");
	refused("{\"instances\": {\"h5\": {\"weight\": 1}}}", "instances: h5", -ENOENT);
	refused("{\"allow\": [\"h3\", \"twin\"]}", "allow: twin", -ENOTUNIQ);
	bad("{\"instances\": {\"a b\": {}}}", "instances: a b");
	bad("{\"instances\": {\"80000000:zz\": {}}}", "instances: 80000000:zz");
	bad("{\"instances\": {\"web@2a\": {}}}", "instances: web@2a");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_weight_order), cmocka_unit_test(test_names_become_identities),
		cmocka_unit_test(test_allow),	     cmocka_unit_test(test_merge),
		cmocka_unit_test(test_round_trip),   cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
