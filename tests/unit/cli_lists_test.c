// SPDX-License-Identifier: Apache-2.0
/* cli: subcommands that list something, against daemons that answer what each test wants. */
#include "tests/unit/cli_fake.h"

/* ---- services, and whom to ask ---------------------------------------------------------- */

static const struct canned controller[] = {
	{ "GET", "/v1/status", 200,
	  "{\"service_prefix\":\"fd5e::/32\",\"as_prefix\":\"fd5c:0:1::/48\"}" },
	{ "GET", "/v1/names", 200, "{\"names\":[{\"name\":\"web\",\"id\":\"" WEB "\"}]}" },
	{ "GET", "/v1/hosts", 200, "{\"hosts\":[],\"next\":null}" },
	{ "GET", "/v1/services", 200,
	  "{\"services\":[" SERVICE(INSTANCE("4", "draining", "0", "7"),
				    INSTANCE("3", "serving", "100", "12")) "],\"next\":\"" WEB
									   "\"}" },
	{ "GET", "/v1/services", 200,
	  "{\"services\":[{\"id\":\"00000001:0000000000000001\",\"name\":null,\"endpoints\":[{"
	  "\"proto\":\"udp\",\"port\":53,\"instances\":[" INSTANCE("5", "denied", "0",
								   "0") "]}]}],\"next\":null}" },
	{ 0 },
};

static void services_of_controller(void **state)
{
	json_t *rows;

	(void)state;
	fake_start("controller", controller);
	assert_int_equal(fake_run(cmd_services, true, "services", NULL), 0);
	rows = fake_json();
	assert_int_equal(json_array_size(rows), 3); /* two pages */
	/* Without a name first, then by name and host. */
	assert_null(text_at(rows, 0, "service"));
	assert_string_equal(text_at(rows, 0, "state"), "denied");
	assert_string_equal(text_at(rows, 1, "service"), "web");
	assert_string_equal(text_at(rows, 1, "sid"), WEB);
	assert_string_equal(text_at(rows, 1, "host"), "h3");
	assert_string_equal(text_at(rows, 1, "state"), "live");
	assert_string_equal(text_at(rows, 1, "proto"), "tcp");
	assert_int_equal(number_at(rows, 1, "port"), 80);
	assert_int_equal(number_at(rows, 1, "weight"), 100);
	assert_int_equal(number_at(rows, 1, "open"), 12);
	assert_int_equal(number_at(rows, 1, "bytes"), 2200000);
	assert_string_equal(text_at(rows, 2, "host"), "h4");
	assert_string_equal(text_at(rows, 2, "state"), "draining");
	json_decref(rows);
	assert_has(fake_text("asked"), "GET /v1/services?full=1&hosts=0\n");
	assert_has(fake_text("asked"), "GET /v1/services?after=" WEB "&full=1&hosts=0\n");
}

/* The row that the next page would begin behind is gone: what was read so far is not shown twice.
 */
static void list_begun_anew(void **state)
{
	static const struct canned flighty[] = {
		{ "GET", "/v1/services", 200,
		  "{\"services\":[" SERVICE(
			  INSTANCE("4", "serving", "100", "7"),
			  INSTANCE("3", "serving", "100", "12")) "],\"next\":\"" WEB "\"}" },
		{ "GET", "/v1/services", 409, "it has left" },
		{ "GET", "/v1/services", 200,
		  "{\"services\":[" SERVICE(
			  INSTANCE("5", "serving", "100", "7"),
			  INSTANCE("6", "serving", "100", "12")) "],\"next\":null}" },
		{ 0 },
	};
	static const struct canned fleeting[] = {
		{ "GET", "/v1/services", 409, "it has left" },
		{ 0 },
	};
	json_t *rows;

	(void)state;
	fake_start("controller", flighty);
	assert_int_equal(fake_run(cmd_services, true, "services", NULL), 0);
	rows = fake_json();
	assert_int_equal(json_array_size(rows), 2);
	json_decref(rows);
	fake_stop(false);
	fake_start("controller", fleeting);
	assert_int_not_equal(fake_run(cmd_services, true, "services", NULL), 0);
	assert_has(fake_text("err"), "it has left");
}

static void services_as_table(void **state)
{
	const char *out;

	(void)state;
	fake_start("controller", controller);
	assert_int_equal(fake_run(cmd_services, false, "services", NULL), 0);
	out = fake_text("out");
	assert_has(out, "SERVICE  ");
	assert_has(out, "web                        tcp    80    h3    100     -      live");
	assert_has(out, "2.1 MiB");
	assert_has_not(out, "known to the"); /* the heading is for terminals */
}

static const struct canned agent[] = {
	{ "GET", "/v1/status", 200,
	  "{\"name\":\"h1\",\"id\":\"80000000:00000000000000aa\",\"locator\":\"fd5c:0:1:1:2::"
	  "\","
	  "\"service_prefix\":\"fd5e::/32\",\"as_prefix\":\"fd5c:0:1::/48\"}" },
	{ "GET", "/v1/services", 200,
	  "{\"services\":[{\"service\":\"80000000:00000000000000aa\",\"proto\":\"any\",\"port\":0,"
	  "\"state\":\"live\",\"at_router\":\"in\"},"
	  "{\"service\":\"" WEB "\",\"proto\":\"tcp\",\"port\":80,\"state\":\"live\",\"at_router\":"
	  "\"entering\",\"reason\":null,\"since\":\"2026-11-22T04:30:22.398Z\",\"flows\":3,"
	  "\"open\":1},"
	  "{\"service\":\"" WEB
	  "\",\"proto\":\"tcp\",\"port\":81,\"state\":\"denied\",\"at_router\":"
	  "\"out\",\"reason\":\"denied-uid\",\"since\":\"2026-11-22T04:30:22.398Z\",\"flows\":0,"
	  "\"open\":0}]}" },
	{ 0 },
};

static void services_of_agent(void **state)
{
	json_t *rows;

	(void)state;
	fake_start("agent", agent);
	assert_int_equal(fake_run(cmd_services, true, "services", NULL), 0);
	rows = fake_json();
	assert_int_equal(json_array_size(rows), 2); /* identities of hosts are left out */
	assert_null(text_at(rows, 0, "service"));
	assert_string_equal(text_at(rows, 0, "sid"), WEB);
	assert_string_equal(text_at(rows, 0, "host"), "h1");
	assert_string_equal(text_at(rows, 0, "state"), "registering");
	assert_string_equal(text_at(rows, 0, "since"), "2026-11-22T04:30:22.398Z");
	assert_string_equal(text_at(rows, 1, "state"), "denied");
	assert_string_equal(text_at(rows, 1, "reason"), "denied-uid");
	json_decref(rows);
	/* What the user calls it is its name; and --all has the host itself. */
	assert_int_equal(fake_run(cmd_services, true, "services", "Web.scaffold", NULL), 0);
	rows = fake_json();
	assert_string_equal(text_at(rows, 0, "service"), "web");
	json_decref(rows);
	assert_int_equal(fake_run(cmd_services, true, "services", "--all", NULL), 0);
	rows = fake_json();
	assert_int_equal(json_array_size(rows), 3);
	json_decref(rows);
	assert_int_equal(fake_run(cmd_services, false, "services", NULL), 0);
	assert_has(fake_text("out"), "denied (denied-uid)");
}

static void services_of_router(void **state)
{
	static const struct canned router[] = {
		{ "GET", "/v1/status", 200, "{\"name\":\"sr\"}" },
		{ "GET", "/v1/hosts", 200,
		  "{\"hosts\":[{\"name\":\"h3\",\"id\":\"80000000:3\",\"locator\":"
		  "\"fd5c:0:1:1:3::\",\"joined\":\"2026-11-22T04:30:22.398Z\",\"registrations\":2}]"
		  "}" },
		{ "GET", "/v1/services", 200,
		  "{\"services\":[{\"service\":\"" WEB "\",\"proto\":\"tcp\",\"port\":80,"
		  "\"instances\":[{\"locator\":\"fd5c:0:1:1:3::\",\"weight\":100,\"host\":"
		  "\"80000000:3\",\"host_name\":\"h3\",\"since\":\"2026-11-22T04:30:22.398Z\","
		  "\"flows\":7}]}],\"total\":2}" },
		{ "GET", "/v1/services", 200,
		  "{\"services\":[{\"service\":\"" WEB "\",\"proto\":\"tcp\",\"port\":81,"
		  "\"instances\":[{\"locator\":\"fd5c:0:1:2:9::\",\"weight\":0}]}],\"total\":2}" },
		{ 0 },
	};
	json_t *rows;

	(void)state;
	fake_start("router", router);
	assert_int_equal(fake_run(cmd_services, true, "services", NULL), 0);
	rows = fake_json();
	assert_int_equal(json_array_size(rows), 2); /* two pages */
	assert_string_equal(text_at(rows, 0, "host"), "h3");
	assert_string_equal(text_at(rows, 0, "state"), "live");
	assert_string_equal(text_at(rows, 0, "since"), "2026-11-22T04:30:22.398Z");
	assert_int_equal(number_at(rows, 0, "flows"), 7);
	assert_null(text_at(rows, 1, "host"));
	assert_string_equal(text_at(rows, 1, "state"), "weight-0");
	json_decref(rows);
	assert_int_equal(fake_run(cmd_hosts, true, "hosts", NULL), 0);
	rows = fake_json();
	assert_string_equal(text_at(rows, 0, "router"), "sr");
	assert_non_null(text_at(rows, 0, "since"));
	json_decref(rows);
}

static void services_unknown(void **state)
{
	(void)state;
	fake_start("agent", agent);
	assert_int_equal(fake_run(cmd_services, false, "services", "nosuch", NULL), SF_EXIT_FAILED);
	assert_has(fake_text("err"), "service 'nosuch': the agent knows no instance of it");
	assert_int_equal(fake_run(cmd_services, false, "services", "no such", NULL),
			 SF_EXIT_FAILED);
	assert_has(fake_text("err"), "service 'no such': ");
	assert_int_equal(fake_run(cmd_services, false, "services", "a", "b", NULL), SF_EXIT_USAGE);
}

static void prefers_who_lives(void **state)
{
	(void)state;
	fake_start("controller", controller);
	fake_stop(true); /* kill -9 leaves its socket */
	fake_start("agent", agent);
	assert_int_equal(fake_run(cmd_services, true, "services", NULL), 0);
	assert_has(fake_text("out"), "denied-uid");
}

static void nobody_there(void **state)
{
	(void)state;
	assert_int_equal(fake_run(cmd_services, false, "services", NULL), SF_EXIT_FAILED);
	assert_has(fake_text("err"), "no agent, router or controller answers in /tmp/sf-cli-test-");
	assert_int_equal(fake_run(cmd_flows, false, "flows", NULL), SF_EXIT_FAILED);
	assert_has(fake_text("err"), "no agent answers in");
	assert_int_equal(fake_run(cmd_drain, false, "drain", "web", NULL), SF_EXIT_FAILED);
	assert_has(fake_text("err"), "no controller answers in");
}

/* ---- flows, hosts, events --------------------------------------------------------------- */

static const struct canned flows[] = {
	{ "GET", "/v1/status", 200,
	  "{\"name\":\"h1\",\"id\":\"80000000:00000000000000aa\","
	  "\"service_prefix\":\"fd5e::/32\",\"as_prefix\":\"fd5c:0:1::/48\"}" },
	{ "GET", "/v1/flows", 200,
	  "{\"flows\":[{\"proto\":\"tcp\",\"direction\":\"out\",\"local\":\"fd5e:0:8000::aa\","
	  "\"local_port\":41000,\"peer\":\"fd5e::1:52ac:1db8:5f5e:cb14\",\"peer_port\":80,"
	  "\"own_locator\":\"fd5c:0:1:1:2:..:beef\",\"peer_locator\":\"fd5c:0:1:1:3:..:cafe\","
	  "\"state\":\"bound\",\"attempt\":0,\"age_ms\":61000,\"idle_ms\":17,\"tx_packets\":5,"
	  "\"tx_bytes\":2048,\"rx_packets\":9,\"rx_bytes\":1048576,\"fail\":null},"
	  "{\"proto\":\"udp\",\"local\":\"fd5e:0:8000::aa\",\"local_port\":1,\"peer\":"
	  "\"2001:db8::1\",\"peer_port\":2,\"state\":\"bound\"}],\"total\":2001}" },
	{ 0 },
};

static void flows_table(void **state)
{
	const char *out;
	json_t *rows;

	(void)state;
	fake_start("agent", flows);
	assert_int_equal(fake_run(cmd_flows, false, "flows", "web", "--state", "bound", "--proto",
				  "tcp", "--limit", "5", NULL),
			 0);
	out = fake_text("out");
	assert_has(out, "h1:41000");
	assert_has(out, "web:80");
	assert_has(out, "fd5c:0:1:1:2:..:beef");
	assert_has(out, "1m01s");
	assert_has(out, "17 ms");
	assert_has(out, "1.0 MiB");
	assert_has_not(out, "udp");
	assert_has(fake_text("err"), "2 of 2001 are listed");
	assert_has(fake_text("asked"), "GET /v1/flows?service=web&state=bound&limit=5\n");
	assert_int_equal(fake_run(cmd_flows, true, "flows", NULL), 0);
	rows = fake_json();
	assert_int_equal(json_array_size(rows), 2);
	assert_string_equal(text_at(rows, 0, "local_name"), "h1");
	assert_null(text_at(rows, 0, "peer_name"));
	assert_int_equal(number_at(rows, 1, "rx_bytes"), 1048576);
	json_decref(rows);
	assert_int_equal(fake_run(cmd_flows, false, "flows", "--limit", "x", NULL), SF_EXIT_USAGE);
	assert_int_equal(fake_run(cmd_flows, false, "flows", "--watch", "0", NULL), SF_EXIT_USAGE);
}

static const struct canned hosts[] = {
	{ "GET", "/v1/hosts", 200,
	  "{\"hosts\":[{\"id\":\"80000000:1\",\"name\":\"h3\",\"locator\":\"fd5c:0:1:1:3::\","
	  "\"router_name\":\"r2\",\"joined\":\"2026-11-22T04:30:22.398Z\",\"registrations\":2},"
	  "{\"id\":\"80000000:2\",\"name\":null,\"locator\":\"fd5c:0:1:1:9::\",\"router_name\":"
	  "null,\"joined\":null,\"registrations\":0}],\"next\":null}" },
	{ 0 },
};

static void hosts_rows(void **state)
{
	json_t *rows;

	(void)state;
	fake_start("controller", hosts);
	assert_int_equal(fake_run(cmd_hosts, true, "hosts", NULL), 0);
	rows = fake_json();
	assert_null(text_at(rows, 0, "host"));
	assert_string_equal(text_at(rows, 1, "host"), "h3");
	assert_string_equal(text_at(rows, 1, "router"), "r2");
	assert_int_equal(number_at(rows, 1, "services"), 2);
	json_decref(rows);
}

#define EVENT(n, text)                                                                        \
	"{\"id\":" n ",\"time\":\"2026-11-22T04:30:22.398Z\",\"kind\":\"denied\",\"reason\":" \
	"\"denied-policy\",\"host\":\"80000000:3\",\"host_name\":\"h3\",\"service\":\"" WEB   \
	"\",\"proto\":\"tcp\",\"port\":80,\"text\":\"" text "\"}"

static void events_list(void **state)
{
	static const struct canned events[] = {
		{ "GET", "/v1/names", 200, "{\"names\":[{\"name\":\"web\",\"id\":\"" WEB "\"}]}" },
		{ "GET", "/v1/events", 200,
		  "{\"events\":[" EVENT("41", "evil\\u001b[2J") "],\"last\":41}" },
		{ 0 },
	};
	json_t *rows;

	(void)state;
	fake_start("controller", events);
	assert_int_equal(
		fake_run(cmd_events, false, "events", "--since", "40", "--limit", "7", NULL), 0);
	assert_has(fake_text("asked"), "GET /v1/events?limit=7&since=40&follow=0\n");
	assert_has(fake_text("out"), "denied            h3  web tcp/80  denied-policy  evil?[2J\n");
	assert_int_equal(fake_run(cmd_events, true, "events", NULL), 0);
	rows = fake_json();
	assert_int_equal(number_at(rows, 0, "id"), 41);
	assert_string_equal(text_at(rows, 0, "service"), "web");
	assert_string_equal(text_at(rows, 0, "proto"), "tcp");
	json_decref(rows);
	assert_int_equal(fake_run(cmd_events, true, "events", "--since", "-1", NULL),
			 SF_EXIT_USAGE);
}

static void events_follow(void **state)
{
	static const struct canned stream[] = {
		{ "STREAM", "/v1/events", 200, "[" EVENT("1", "one") "," EVENT("2", "two") "]" },
		{ 0 },
	};

	(void)state;
	fake_start("controller", stream);
	/* The daemon's end of the stream is a failure: nobody follows any more. */
	assert_int_equal(fake_run(cmd_events, true, "events", "--follow", NULL), SF_EXIT_FAILED);
	assert_has(fake_text("out"), "\"text\":\"one\"");
	assert_has(fake_text("out"), "\n{");
	assert_has(fake_text("err"), "controller: ended the stream");
}

#define T(f) cmocka_unit_test_teardown(f, fake_each_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(services_of_controller),
		T(list_begun_anew),
		T(services_as_table),
		T(services_of_agent),
		T(services_of_router),
		T(services_unknown),
		T(prefers_who_lives),
		T(nobody_there),
		T(flows_table),
		T(hosts_rows),
		T(events_list),
		T(events_follow),
	};

	return cmocka_run_group_tests(tests, fake_setup, fake_teardown);
}
