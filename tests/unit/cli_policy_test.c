// SPDX-License-Identifier: Apache-2.0
/* cli: policies listed, shown, and taken back. */
#include "tests/unit/cli_fake.h"

#define WEB "00000001:52ac1db85f5ecb14"
#define H3  "80000000:0000000000000003"
#define H4  "80000000:0000000000000004"
#define H5  "80000000:0000000000000005"
#define POLICY                                                                            \
	"{\"enabled\":false,\"sticky\":true,\"weight\":null,\"move_grace_ms\":2500,"      \
	"\"allow\":[\"" H3 "\",\"" H5 "\"],\"instances\":{\"" H3 "\":{\"name\":\"old\","  \
	"\"weight\":300,\"draining\":false},\"" H4 "\":{\"name\":\"h4\",\"weight\":null," \
	"\"draining\":true},\"" H5 "\":{\"name\":\"h4\",\"weight\":5,\"draining\":false}}}"
#define PLAIN                                                                               \
	"{\"enabled\":true,\"sticky\":false,\"weight\":7,\"move_grace_ms\":null,\"allow\":" \
	"null,\"instances\":{}}"

static const struct canned controller[] = {
	{ "GET", "/v1/status", 200,
	  "{\"service_prefix\":\"fd5e::/32\",\"as_prefix\":\"fd5c:0:1::/48\"}" },
	{ "GET", "/v1/names", 200, "{\"names\":[{\"name\":\"web\",\"id\":\"" WEB "\"}]}" },
	{ "GET", "/v1/hosts", 200, "{\"hosts\":[{\"id\":\"" H3 "\",\"name\":\"h3\"}]}" },
	{ "GET", "/v1/policies", 200,
	  "{\"policies\":[{\"id\":\"" WEB "\",\"name\":\"web\",\"policy\":" POLICY "},{\"id\":\""
	  "00000001:0000000000000001\",\"name\":null,\"policy\":" PLAIN "}]}" },
	{ "GET", "/v1/services/web/policy", 200, POLICY },
	{ "GET", "/v1/services/plain/policy", 200, PLAIN },
	{ "GET", "/v1/services/none/policy", 404, "the service has no policy" },
	{ "PATCH", "/v1/services/web/policy", 200, "{}" },
	{ "DELETE", "/v1/services/web/policy", 200, "{}" },
	{ "DELETE", "/v1/services/none/policy", 404, "the service has no policy" },
	{ 0 },
};

static void listed(void **state)
{
	json_t *rows;

	(void)state;
	fake_start("controller", controller);
	assert_int_equal(fake_run(cmd_policy, false, "policy", NULL), 0);
	assert_has(fake_text("out"),
		   "00000001:0000000000000001  yes      no      7       -           default  0");
	assert_has(fake_text("out"), "web                        no       yes     -       2.5 s    "
				     "   2 hosts  3      1");
	assert_int_equal(fake_run(cmd_policy, true, "policy", "list", NULL), 0);
	rows = fake_json();
	assert_int_equal(json_array_size(rows), 2);
	assert_string_equal(json_string_value(json_object_get(json_array_get(rows, 1), "service")),
			    "web");
	assert_int_equal(json_object_size(json_array_get(rows, 1)), 3);
	json_decref(rows);
}

static void shown(void **state)
{
	json_t *one;

	(void)state;
	fake_start("controller", controller);
	assert_int_equal(fake_run(cmd_policy, false, "policy", "show", "web", NULL), 0);
	assert_has(fake_text("out"),
		   "service       web " WEB "\nenabled       no\nsticky        "
		   "yes\nweight        as registered, else 100\nmove grace    "
		   "2500 ms (hosts may use a former one for a minute)\nmay register  h3 " H3
		   "\n              " H5 "\n");
	/* What it is called now, else what it was called then. */
	assert_has(fake_text("out"), "h3    300     no        " H3 "\n");
	assert_has(fake_text("out"), "h4    -       yes       " H4 "\n");
	assert_int_equal(fake_run(cmd_policy, false, "policy", "show", "plain", NULL), 0);
	assert_has(fake_text("out"),
		   "weight        7\nmove grace    the network's\nmay register  as "
		   "the controller's register_default says\n");
	assert_has_not(fake_text("out"), "HOST");
	assert_int_equal(fake_run(cmd_policy, true, "policy", "show", "web", NULL), 0);
	one = fake_json();
	assert_string_equal(json_string_value(json_object_get(one, "sid")), WEB);
	assert_true(json_is_false(json_object_get(json_object_get(one, "policy"), "enabled")));
	json_decref(one);
	assert_int_equal(fake_run(cmd_policy, false, "policy", "show", "none", NULL),
			 SF_EXIT_FAILED);
	assert_has(fake_text("err"), "the service has no policy");
}

static void deleted(void **state)
{
	(void)state;
	fake_start("controller", controller);
	assert_int_equal(
		fake_run(cmd_policy, false, "policy", "delete", "web", "--host", "h3", NULL), 0);
	assert_has(fake_text("asked"),
		   "PATCH /v1/services/web/policy {\"instances\":{\"" H3 "\":null}}\n");
	assert_has(fake_text("out"), "web: h3 has no weight or drain of its own now");
	assert_int_equal(fake_run(cmd_policy, true, "policy", "delete", "--host", H5, "web", NULL),
			 0);
	assert_has(fake_text("asked"),
		   "PATCH /v1/services/web/policy {\"instances\":{\"" H5 "\":null}}\n");
	assert_has(fake_text("out"), "\"host_id\": \"" H5 "\"");
	/* Two were called so. And nobody is. */
	assert_int_equal(
		fake_run(cmd_policy, false, "policy", "delete", "web", "--host", "h4", NULL),
		SF_EXIT_FAILED);
	assert_has(fake_text("err"), H4 ", " H5 "; use the identity");
	assert_int_equal(
		fake_run(cmd_policy, false, "policy", "delete", "web", "--host", "h9", NULL),
		SF_EXIT_FAILED);
	assert_has(fake_text("err"), "host 'h9': the policy of web has no entry for it");
	assert_has_not(fake_text("asked"), "DELETE");
	assert_int_equal(fake_run(cmd_policy, false, "policy", "delete", "web", NULL), 0);
	assert_has(fake_text("asked"), "DELETE /v1/services/web/policy\n");
	assert_int_equal(fake_run(cmd_policy, false, "policy", "delete", "none", NULL),
			 SF_EXIT_FAILED);
	assert_has(fake_text("err"), "the service has no policy");
}

static void usage(void **state)
{
	(void)state;
	assert_int_equal(fake_run(cmd_policy, false, "policy", "delete", NULL), SF_EXIT_USAGE);
	assert_int_equal(fake_run(cmd_policy, false, "policy", "show", NULL), SF_EXIT_USAGE);
	assert_int_equal(fake_run(cmd_policy, false, "policy", "show", "web", "--host", "h3", NULL),
			 SF_EXIT_USAGE);
	assert_int_equal(fake_run(cmd_policy, false, "policy", "list", "web", NULL), SF_EXIT_USAGE);
	assert_int_equal(fake_run(cmd_policy, false, "policy", "web", NULL), SF_EXIT_USAGE);
	assert_int_equal(fake_run(cmd_policy, false, "policy", "delete", "no name", NULL),
			 SF_EXIT_FAILED);
	assert_int_equal(fake_run(cmd_policy, false, "policy", NULL), SF_EXIT_FAILED);
	assert_has(fake_text("err"), "no controller answers in");
}

#define T(f) cmocka_unit_test_teardown(f, fake_each_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { T(listed), T(shown), T(deleted), T(usage) };

	return cmocka_run_group_tests(tests, fake_setup, fake_teardown);
}
