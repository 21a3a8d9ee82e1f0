// SPDX-License-Identifier: Apache-2.0
/* cli: hosts and routers, and how they are, as controller, router and agent tell it. */
#include "tests/unit/cli_fake.h"

#define AT "\"2026-11-22T04:30:22.398Z\""
#define HOST(id, name, rest)                                               \
	"{\"name\":\"" name "\",\"id\":\"80000000:" id "\",\"locator\":\"" \
	"fd5c:0:1:1:" id "::\"," rest "}"
#define LISTED(state, seen)                                                                    \
	"\"state\":\"" state "\",\"last_seen\":" seen ",\"router_name\":\"r2\",\"joined\":" AT \
	",\"registrations\":2"

static void of_controller(void **state)
{
	static const char reply[] =
		"{\"hosts\":[" HOST("3", "h3", LISTED("present", "null")) "," HOST(
			"4", "h4",
			LISTED("silent", AT)) "," HOST("5", "h3",
						       LISTED("unknown", AT)) "],\"next\":null}";
	static const struct canned c[] = { { "GET", "/v1/hosts", 200, reply }, { 0 } };
	json_t *rows;

	(void)state;
	setenv("TZ", "UTC", 1);
	fake_start("controller", c);
	assert_int_equal(fake_run(cmd_hosts, true, "hosts", NULL), 0);
	rows = fake_json();
	assert_int_equal(json_array_size(rows), 3);
	assert_string_equal(text_at(rows, 0, "state"), "present");
	assert_true(json_is_null(json_object_get(json_array_get(rows, 0), "last_seen")));
	assert_string_equal(text_at(rows, 2, "state"), "silent");
	assert_string_equal(text_at(rows, 2, "last_seen"), "2026-11-22T04:30:22.398Z");
	assert_string_equal(text_at(rows, 2, "id"), "80000000:4");
	json_decref(rows);
	assert_has_not(fake_text("err"), "h3"); /* a program sees it */
	assert_int_equal(fake_run(cmd_hosts, false, "hosts", NULL), 0);
	assert_has(fake_text("out"), "h3    present  r2      fd5c:0:1:1:3::  2026-11-22 04:30:22  "
				     "now                         2  80000000:3\n");
	assert_has(fake_text("out"), "h4    silent   r2      fd5c:0:1:1:4::  2026-11-22 04:30:22  "
				     "2026-11-22 04:30:22         2  80000000:4\n");
	assert_string_equal(fake_text("err"), "scaffold hosts: several hosts call themselves h3: "
					      "IDs tell them apart\n");
}

/* What the router counts itself. */
static void of_router(void **state)
{
	static const char reply[] = "{\"hosts\":[" HOST(
		"1", "h1",
		"\"state\":\"joined\",\"silent\":false,\"silent_ms\":"
		"200") "," HOST("2", "h2",
				"\"state\":\"joined\",\"silent\":true,"
				"\"silent_ms\":5000") "," HOST("3", "h3",
							       "\"state"
							       "\":"
							       "\"resto"
							       "red\","
							       "\"silen"
							       "t_ms\":"
							       "9") "," HOST("4", "h4",
									     "\"state\":"
									     "\"absent\","
									     "\"released\""
									     ":" AT) "]}";
	static const struct canned c[] = { { "GET", "/v1/status", 200, "{\"name\":\"r2\"}" },
					   { "GET", "/v1/hosts", 200, reply },
					   { 0 } };
	json_t *rows;

	(void)state;
	fake_start("router", c);
	assert_int_equal(fake_run(cmd_hosts, true, "hosts", "--all", NULL), 0);
	rows = fake_json();
	assert_string_equal(text_at(rows, 0, "state"), "present");
	assert_string_equal(text_at(rows, 1, "state"), "silent");
	assert_string_equal(text_at(rows, 2, "state"), "restored");
	assert_string_equal(text_at(rows, 3, "state"), "absent");
	assert_string_equal(text_at(rows, 3, "last_seen"), "2026-11-22T04:30:22.398Z");
	/* Of ISO times the earlier one is the lesser text. */
	assert_true(strcmp(text_at(rows, 1, "last_seen"), text_at(rows, 0, "last_seen")) < 0);
	assert_string_equal(text_at(rows, 0, "router"), "r2");
	json_decref(rows);
	assert_int_equal(fake_run(cmd_hosts, false, "hosts", "--none", NULL), SF_EXIT_USAGE);
	assert_int_equal(fake_run(cmd_hosts, false, "hosts", "h1", NULL), SF_EXIT_USAGE);
}

static void of_agent(void **state)
{
	static const struct canned c[] = {
		{ "GET", "/v1/status", 200,
		  "{\"name\":\"h1\",\"id\":\"80000000:1\",\"state\":\"lost\"}" },
		{ "GET", "/v1/status", 200,
		  "{\"name\":\"h1\",\"id\":\"80000000:1\",\"state\":\"joined\"}" },
		{ 0 },
	};

	(void)state;
	fake_start("agent", c);
	assert_int_equal(fake_run(cmd_hosts, true, "hosts", NULL), 0);
	assert_has(fake_text("out"), "\"state\": \"lost\"");
	assert_int_equal(fake_run(cmd_hosts, true, "hosts", NULL), 0);
	assert_has(fake_text("out"), "\"state\": \"present\"");
}

#define ROUTER(name, flags)                                                           \
	"{\"name\":\"" name "\",\"id\":\"80000000:" name "\",\"since\":" AT           \
	",\"address\":\"::1\",\"roles\":[\"access\",\"service\"],\"blocks\":[{"       \
	"\"prefix\":\"fd5c:0:1:1::/64\"},{\"prefix\":\"fd5c:0:1:2::/64\"}],\"hosts\"" \
	":2,\"rtt_ms\":1," flags "}"

static void routers(void **state)
{
	static const char reply[] = "{\"routers\":[" ROUTER("r2", "\"connected\":false") "," ROUTER(
		"r1",
		"\"connected"
		"\":true,"
		"\"synced\":"
		"true") "," ROUTER("r3",
				   "\"connected\":true,\"synced\":"
				   "false") "," ROUTER("r4",
						       "\"connected\":"
						       "true,"
						       "\"behind\":"
						       "true") "," ROUTER("r5",
									  "\"connected\":false,"
									  "\"awaited\":true") "]}";
	static const struct canned c[] = { { "GET", "/v1/routers", 200, reply }, { 0 } };
	static const char *const states[] = { "connected", "lost", "syncing", "behind", "awaited" };
	json_t *rows;

	(void)state;
	fake_start("controller", c);
	assert_int_equal(fake_run(cmd_routers, true, "routers", NULL), 0);
	rows = fake_json();
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		assert_string_equal(text_at(rows, i, "state"), states[i]);
	assert_null(text_at(rows, 0, "last_seen"));
	assert_string_equal(text_at(rows, 1, "last_seen"), "2026-11-22T04:30:22.398Z");
	json_decref(rows);
	assert_int_equal(fake_run(cmd_routers, false, "routers", NULL), 0);
	assert_has(fake_text("out"),
		   "r1      connected  now                  ::1      "
		   "access,service  fd5c:0:1:1::/64,fd5c:0:1:2::/64      2  1 ms");
	assert_has(fake_text("out"), "r5      awaited    -  ");
	assert_int_equal(fake_run(cmd_routers, false, "routers", "r1", NULL), SF_EXIT_USAGE);
}

static void routers_need_a_controller(void **state)
{
	(void)state;
	assert_int_equal(fake_run(cmd_routers, false, "routers", NULL), SF_EXIT_FAILED);
	assert_has(fake_text("err"), "no controller answers in");
}

#define T(f) cmocka_unit_test_teardown(f, fake_each_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(of_controller),
		T(of_router),
		T(of_agent),
		T(routers),
		T(routers_need_a_controller),
	};

	return cmocka_run_group_tests(tests, fake_setup, fake_teardown);
}
