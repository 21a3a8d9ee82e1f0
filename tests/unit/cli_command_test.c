// SPDX-License-Identifier: Apache-2.0
/* cli: subcommands against daemons that answer what each test wants. */
#include "tests/unit/cli_fake.h"

#include "util/cgroup.h"

#define WEB "00000001:52ac1db85f5ecb14" /* sf_sid_of "web" */

static const char *text_at(const json_t *rows, size_t i, const char *key)
{
	return json_string_value(json_object_get(json_array_get(rows, i), key));
}

static json_int_t number_at(const json_t *rows, size_t i, const char *key)
{
	return json_integer_value(json_object_get(json_array_get(rows, i), key));
}

/* ---- whom to ask ------------------------------------------------------------------------ */

#define INSTANCE(host, state, weight, open) SHARED(host, state, weight, "null", open)
#define SHARED(host, state, weight, share, open)                                   \
	"{\"host\":\"80000000:000000000000000" host "\",\"host_name\":\"h" host    \
	"\",\"locator\":\"fd5c:0:1:1:" host                                        \
	"::\",\"router\":\"80000000:2\",\"router_name\":\"r2\",\"weight\":" weight \
	",\"share\":" share ",\"state\":\"" state                                  \
	"\",\"reason\":null,\"since\":\"2026-11-22T04:30:22.398Z\","               \
	"\"load\":{\"flows\":250,\"packets\":3000,\"bytes\":2200000},\"open\":" open "}"
#define SERVICE(a, b)                                                                         \
	"{\"id\":\"" WEB "\",\"name\":\"web\",\"endpoints\":[{\"proto\":\"tcp\",\"port\":80," \
	"\"instances\":[" a "," b "]}]}"

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

/* ---- weight, drain ---------------------------------------------------------------------- */

#define POLICY(instances) "{\"endpoints\":[],\"policy\":{\"instances\":" instances "}}"

static void weight_sets(void **state)
{
	static const struct canned c[] = {
		{ "PUT", "/v1/services/web/instances/h3/weight", 200, "{}" },
		{ "PUT", "/v1/services/web/instances/80000000:9/weight", 200, "{}" },
		{ "GET", "/v1/hosts/h3", 200, "{}" },
		{ "GET", "/v1/services/web", 200, POLICY("null") },
		{ "GET", "/v1/services/web", 200,
		  SERVICE(SHARED("4", "serving", "300", "0.749", "7"),
			  SHARED("3", "serving", "100", "0.251", "2")) },
		{ "GET", "/v1/services/web", 200, POLICY("null") },
		{ "GET", "/v1/services/web", 200,
		  SERVICE(SHARED("4", "serving", "1000", "0.9953", "7"),
			  SHARED("3", "serving", "1", "0.0047", "2")) },
		{ 0 },
	};

	(void)state;
	fake_start("controller", c);
	assert_int_equal(fake_run(cmd_weight, false, "weight", "web", "h3", "100", NULL), 0);
	assert_has(fake_text("asked"),
		   "PUT /v1/services/web/instances/h3/weight {\"weight\":100}\n");
	assert_has(fake_text("out"), "h4    300     75%    live");
	assert_string_equal(fake_text("err"), "");
	assert_int_equal(
		fake_run(cmd_weight, false, "weight", "web", "80000000:9", "5", "--ahead", NULL),
		0);
	assert_has(fake_text("err"), "no instance of web on '80000000:9' now");
	/* Of 1:1000 the table makes 1:210. */
	assert_has(fake_text("err"), "h3 gets 0.47 % of new flows where its weight asks for 0.1 %");
	assert_has_not(fake_text("err"), "h4 gets");
	assert_has(fake_text("out"), "h3    1       0.47%  live");
	for (const char *const *bad = (const char *const[]){ "1001", "-1", "x", "", NULL }; *bad;
	     bad++) {
		assert_int_equal(fake_run(cmd_weight, false, "weight", "web", "h3", *bad, NULL),
				 SF_EXIT_USAGE);
		assert_has(fake_text("err"), "expected a number from 0 to 1000");
	}
}

#define DRAINING(open) \
	SERVICE(INSTANCE("4", "draining", "0", open), INSTANCE("3", "serving", "100", "2"))

static void drain_waits(void **state)
{
	static const struct canned c[] = {
		{ "POST", "/v1/services/web/instances/h4/drain", 200, "{}" },
		{ "GET", "/v1/hosts/h4", 200, "{}" },
		{ "GET", "/v1/services/web", 200, DRAINING("3") },
		{ "GET", "/v1/services/web", 200, DRAINING("3") },
		{ "GET", "/v1/services/web", 200, DRAINING("1") },
		{ "GET", "/v1/services/web", 200, DRAINING("0") },
		{ 0 },
	};
	json_t *v;

	(void)state;
	fake_start("controller", c);
	assert_int_equal(fake_run(cmd_drain, false, "drain", "web", "--host", "h4", NULL), 0);
	assert_string_equal(fake_text("out"), "web on h4: draining; 3 flows left\n");
	assert_int_equal(fake_run(cmd_drain, true, "drain", "--wait", "--host", "h4", "web", NULL),
			 0);
	v = fake_json();
	assert_int_equal(json_integer_value(json_object_get(v, "flows_left")), 0);
	assert_int_equal(json_integer_value(json_object_get(v, "instances")), 1);
	json_decref(v);
}

static void drain_gives_up(void **state)
{
	static const struct canned c[] = {
		{ "PATCH", "/v1/services/web/policy", 200, "{}" },
		{ "GET", "/v1/services/web", 200, DRAINING("3") },
		{ 0 },
	};

	(void)state;
	fake_start("controller", c);
	assert_int_equal(
		fake_run(cmd_drain, false, "drain", "web", "--wait", "--timeout", "0.5", NULL),
		SF_EXIT_FAILED);
	assert_has(fake_text("asked"), "PATCH /v1/services/web/policy {\"enabled\":false}\n");
	assert_has(fake_text("out"), "web: draining; 5 flows left");
	assert_has(fake_text("err"), "not all flows ended");
	assert_int_equal(fake_run(cmd_undrain, false, "undrain", "web", "--wait", NULL),
			 SF_EXIT_USAGE);
}

static void undrain_takes_all_back(void **state)
{
	static const struct canned c[] = {
		{ "GET", "/v1/services/web", 200, DRAINING("3") },
		{ "GET", "/v1/services/web/policy", 200,
		  "{\"enabled\":false,\"instances\":{\"h3\":{\"weight\":1,\"draining\":false},"
		  "\"h4\":{\"weight\":null,\"draining\":true}}}" },
		{ "PATCH", "/v1/services/web/policy", 200, "{}" },
		{ 0 },
	};

	(void)state;
	fake_start("controller", c);
	assert_int_equal(fake_run(cmd_undrain, false, "undrain", "web", NULL), 0);
	assert_has(fake_text("asked"), "PATCH /v1/services/web/policy "
				       "{\"enabled\":true,\"instances\":{\"h4\":{\"draining\":"
				       "false}}}\n");
	assert_string_equal(fake_text("out"), "web: takes new flows\n");
}

/* A slip of the pen changes nothing, and a script hears of it. */
static void unknown_is_refused(void **state)
{
	static const struct canned c[] = {
		{ "GET", "/v1/services/web", 200,
		  POLICY("{\"80000000:8\":{\"name\":\"h8\",\"draining\":true}}") },
		{ "GET", "/v1/hosts/h3", 409, "several hosts match" },
		{ "GET", "/v1/hosts", 200,
		  "{\"hosts\":[{\"id\":\"80000000:1\",\"name\":\"h3\"},{\"id\":\"80000000:2\","
		  "\"name\":\"h3\"},{\"id\":\"80000000:3\",\"name\":\"h4\"}],\"next\":null}" },
		{ "GET", "/v1/hosts/h5", 503, "not settled" },
		{ "POST", "/v1/services/web/instances/h8/undrain", 200, "{}" },
		{ "POST", "/v1/services/wbe/instances/80000000:9/drain", 200, "{}" },
		{ 0 },
	};

	(void)state;
	fake_start("controller", c);
	assert_int_equal(fake_run(cmd_drain, false, "drain", "wbe", NULL), SF_EXIT_FAILED);
	assert_has(fake_text("err"), "scaffold drain: service 'wbe': the controller knows no");
	assert_int_equal(fake_run(cmd_undrain, false, "undrain", "web", "--host", "h9", NULL),
			 SF_EXIT_FAILED);
	assert_has(fake_text("err"), "host 'h9': none of this name has joined");
	assert_int_equal(fake_run(cmd_weight, false, "weight", "wbe", "h3", "5", NULL),
			 SF_EXIT_FAILED);
	assert_has(fake_text("err"), "service 'wbe'");
	assert_int_equal(fake_run(cmd_weight, false, "weight", "web", "h3", "--ahead", "5", NULL),
			 SF_EXIT_FAILED);
	assert_has(fake_text("err"),
		   "2 hosts are called h3: 80000000:1, 80000000:2; use the identity");
	assert_int_equal(fake_run(cmd_drain, false, "drain", "web", "--host", "h5", NULL),
			 SF_EXIT_FAILED);
	assert_has(fake_text("err"), "not settled");
	for (const char *const *method = (const char *const[]){ "PATCH", "POST", "PUT", NULL };
	     *method; method++)
		assert_has_not(fake_text("asked"), *method);
	/* Whom the policy names may be gone for a while. */
	assert_int_equal(fake_run(cmd_undrain, false, "undrain", "web", "--host", "h8", NULL), 0);
	/* Who is to come has no name that could not be another's. */
	assert_int_equal(
		fake_run(cmd_drain, false, "drain", "--ahead", "wbe", "--host", "h9", NULL),
		SF_EXIT_FAILED);
	assert_has(fake_text("err"), "one that is to come: its identity");
	fake_run(cmd_drain, false, "drain", "--ahead", "wbe", "--host", "80000000:9", NULL);
	assert_has(fake_text("asked"), "POST /v1/services/wbe/instances/80000000:9/drain");
}

/* ---- names ------------------------------------------------------------------------------ */

static void names_are_told(void **state)
{
	static const struct canned of_agent[] = {
		{ "POST", "/v1/names", 200, "{}" },
		{ "GET", "/v1/names", 200, "{\"names\":[{\"name\":\"web\",\"id\":\"" WEB "\"}]}" },
		{ 0 },
	};
	static const struct canned of_controller[] = { { "GET", "/v1/names/web", 200, "{}" },
						       { 0 } };

	(void)state;
	fake_start("agent", of_agent);
	fake_start("controller", of_controller);
	assert_int_equal(fake_run(cmd_id, false, "id", WEB, NULL), 0);
	assert_has(fake_text("out"), "name       web\n");
	assert_has_not(fake_text("asked"), "POST");
	assert_has_not(fake_text("asked"), "GET /v1/names/");
	assert_int_equal(fake_run(cmd_id, false, "id", "--address", "web", NULL), 0);
	assert_has(fake_text("asked"), "POST /v1/names {\"name\":\"web\"}\n");
	assert_has(fake_text("asked"), "GET /v1/names/web\n");
}

/* Who may not tell names may still use them. */
static void names_are_no_condition(void **state)
{
	static const struct canned of_agent[] = { { "POST", "/v1/names", 403, "not allowed" },
						  { 0 } };

	(void)state;
	fake_start("agent", of_agent);
	assert_int_equal(fake_run(cmd_id, false, "id", "web", NULL), 0);
	assert_string_equal(fake_text("err"), "");
}

/* ---- register, run ---------------------------------------------------------------------- */

#define REGISTERED(state, router, reason)                                           \
	"{\"service\":\"" WEB "\",\"proto\":\"tcp\",\"port\":80,\"state\":\"" state \
	"\",\"at_router\":\"" router "\",\"reason\":" reason                        \
	",\"reason_text\":\"the controller's policy does not let this host register\"}"

static void register_waits_for_the_verdict(void **state)
{
	static const struct canned c[] = {
		{ "POST", "/v1/services", 201, REGISTERED("live", "out", "null") },
		{ "GET", "/v1/services", 200,
		  "{\"services\":[" REGISTERED("live", "entering", "null") "]}" },
		{ "GET", "/v1/services", 200,
		  "{\"services\":[" REGISTERED("live", "in", "null") "]}" },
		{ "DELETE", "/v1/services/00000001:52ac1db85f5ecb14/tcp/80", 200, "{}" },
		{ 0 },
	};

	(void)state;
	fake_start("agent", c);
	assert_int_equal(fake_run(cmd_register, false, "register", "web", "tcp", "80", NULL), 0);
	assert_string_equal(fake_text("out"), "web tcp/80: registered\n");
	assert_has(fake_text("asked"), "POST /v1/services {\"port\":80,\"proto\":\"tcp\","
				       "\"service\":\"web\"}\n");
	assert_int_equal(fake_run(cmd_unregister, false, "unregister", "web", "tcp", "80", NULL),
			 0);
	assert_has(fake_text("out"), "no longer registered by hand");
}

static void register_denied(void **state)
{
	static const struct canned c[] = {
		{ "POST", "/v1/services", 201, REGISTERED("live", "entering", "null") },
		{ "GET", "/v1/services", 200,
		  "{\"services\":[" REGISTERED("denied", "refused", "\"denied-policy\"") "]}" },
		{ 0 },
	};

	(void)state;
	fake_start("agent", c);
	assert_int_equal(fake_run(cmd_register, false, "register", "web", "tcp", "80", NULL),
			 SF_EXIT_FAILED);
	assert_has(fake_text("err"), "web tcp/80 is denied: the controller's policy does not let "
				     "this host register (denied-policy)");
}

static void register_bad_words(void **state)
{
	(void)state;
	assert_int_equal(fake_run(cmd_register, false, "register", "web", "sctp", "80", NULL),
			 SF_EXIT_USAGE);
	assert_has(fake_text("err"), "protocol 'sctp': expected tcp, udp or any");
	assert_int_equal(fake_run(cmd_register, false, "register", "web", "tcp", "65536", NULL),
			 SF_EXIT_USAGE);
	assert_has(fake_text("err"), "port '65536': expected 1 to 65535");
	assert_int_equal(fake_run(cmd_register, false, "register", "web", "tcp", "0", NULL),
			 SF_EXIT_USAGE);
	assert_int_equal(fake_run(cmd_register, false, "register", "web", NULL), SF_EXIT_USAGE);
}

/* In a child: run() takes its place. */
static int run_status(const char *service, const char *program, const char *arg)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		fake_count = 0;
		_exit(fake_run(cmd_run, false, "run", "--service", service, "--", program, "-c",
			       arg, NULL));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void run_becomes_the_program(void **state)
{
	static char reply[512], group[300];
	static struct canned c[] = { { "POST", "/v1/runs", 201, reply }, { 0 } };

	(void)state;
	if (sf_cgroup_of(getpid(), group, sizeof(group)))
		skip(); /* no cgroup v2 here */
	snprintf(reply, sizeof(reply), "{\"id\":1,\"group\":\"%s\"}", group);
	fake_start("agent", c);
	assert_int_equal(run_status("web@2a", "sh", "echo hello; exit 7"), 7);
	assert_has(fake_text("out"), "hello\n");
	assert_has(fake_text("asked"), "POST /v1/runs {\"move\":true,\"service\":\"web@2a\"}\n");
}

static void run_refuses(void **state)
{
	static const struct canned c[] = {
		{ "POST", "/v1/runs", 201, "{\"id\":1,\"group\":\"/scaffold/elsewhere/run-1\"}" },
		{ "POST", "/v1/runs", 403, "this user may not register services on this host" },
		{ 0 },
	};

	(void)state;
	fake_start("agent", c);
	assert_int_equal(run_status("web", "no-such-program-at-all", "x"), 127);
	assert_has(fake_text("err"), "no-such-program-at-all: no such program");
	assert_has_not(fake_text("asked"), "POST"); /* nothing was made for it */
	assert_int_equal(run_status("web", "sh", "exit 0"), SF_EXIT_FAILED);
	assert_has(fake_text("err"), "expected /scaffold/elsewhere/run-1");
	assert_int_equal(run_status("web", "sh", "exit 0"), SF_EXIT_FAILED);
	assert_has(fake_text("err"), "this user may not register");
	assert_int_equal(fake_run(cmd_run, false, "run", "--service", "web", NULL), SF_EXIT_USAGE);
	assert_int_equal(fake_run(cmd_run, false, "run", "--", "sh", NULL), SF_EXIT_USAGE);
}

/* ---- status ----------------------------------------------------------------------------- */

static void status_of_all(void **state)
{
	static const struct canned well[] = {
		{ "GET", "/v1/status", 200,
		  "{\"version\":\"" SF_VERSION "\",\"name\":\"h1\",\"joined\":true,\"uplink\":"
		  "\"eth0\",\"uptime_ms\":61000,\"locator\":\"fd5c:0:1:1:2::1\",\"router\":{"
		  "\"address\":\"fe80::1\",\"heartbeat_ms\":1000,\"silent_ms\":300},\"datapath\":{"
		  "\"attached\":\"tcx\"},\"registrations\":{\"live\":2,\"denied\":0,\"at_router\":"
		  "2},"
		  "\"features\":[]}" },
		{ "GET", "/v1/counters", 200,
		  "{\"reasons\":{\"wrong-peer\":{\"packets\":1500,\"bytes\":9,\"text\":\"the "
		  "text\"}}}" },
		{ 0 },
	};
	json_t *v;

	(void)state;
	fake_start("agent", well);
	assert_int_equal(fake_run(cmd_status, false, "status", NULL), 0);
	assert_has(fake_text("out"), "agent " SF_VERSION ", up 1m01s");
	assert_has(fake_text("out"), "joined as fd5c:0:1:1:2::1 by fe80::1 on eth0");
	assert_has(fake_text("out"), "dropped 1.5k  wrong-peer: the socketID is known");
	assert_has_not(fake_text("out"), "problem");
	/* One that was killed is a problem, and the exit status says so. */
	fake_start("router", well);
	kill(fake_pids[--fake_count], SIGKILL);
	waitpid(fake_pids[fake_count], NULL, 0);
	assert_int_equal(fake_run(cmd_status, true, "status", NULL), SF_EXIT_FAILED);
	v = fake_json();
	assert_false(json_is_true(json_object_get(v, "ok")));
	assert_int_equal(json_array_size(json_object_get(v, "daemons")), 2);
	assert_string_equal(text_at(json_object_get(v, "problems"), 0, "daemon"), "router");
	json_decref(v);
}

static void status_of_nobody(void **state)
{
	json_t *v;

	(void)state;
	assert_int_equal(fake_run(cmd_status, true, "status", NULL), SF_EXIT_FAILED);
	v = fake_json();
	assert_false(json_is_true(json_object_get(v, "ok")));
	/* It has looked at the machine itself: at least at its kernel. */
	assert_true(json_array_size(json_object_get(v, "problems")) +
			    json_array_size(json_object_get(v, "notes")) >
		    0);
	json_decref(v);
	assert_has(fake_text("err"), "no daemon has a socket in");
}

/* ---- completion ------------------------------------------------------------------------- */

/* What may stand in place of the last word of the line. */
static const char *completed(char *words)
{
	char *argv[16] = { (char *)(uintptr_t) "scaffold", (char *)(uintptr_t) "complete" }, *word;
	int argc = 2, out, err;

	setenv("SCAFFOLD_RUN", fake_dir, 1);
	while ((word = strsep(&words, " ")))
		argv[argc++] = word;
	fflush(NULL);
	out = fake_redirect(STDOUT_FILENO, "out");
	err = fake_redirect(STDERR_FILENO, "err");
	optind = 0;
	assert_int_equal(sf_cli_main(argc, argv), 0);
	fflush(NULL);
	fake_restore(STDOUT_FILENO, out);
	fake_restore(STDERR_FILENO, err);
	return fake_text("out");
}

static void completes(void **state)
{
	static const struct canned c[] = {
		{ "GET", "/v1/services", 200,
		  "{\"services\":[" SERVICE(
			  INSTANCE("4", "serving", "1", "7"),
			  INSTANCE("3", "serving", "1", "2")) "],\"next\":null}" },
		{ "GET", "/v1/hosts", 200,
		  "{\"hosts\":[{\"id\":\"80000000:1\",\"name\":\"h3\"}],\"next\":null}" },
		{ 0 },
	};

	(void)state;
	fake_start("controller", c);
	assert_has(completed((char[]){ "dra" }), "\ndrain\n");
	assert_has(completed((char[]){ "policy " }), "list\nshow\ndelete\n--json");
	assert_has(completed((char[]){ "policy show " }), "web\n");
	assert_has(completed((char[]){ "policy delete web --host " }), "h3\n");
	assert_has(completed((char[]){ "drain " }),
		   "web\n--json\n--help\n--host\n--ahead\n--wait\n");
	assert_string_equal(completed((char[]){ "drain --host " }), "h3\n");
	assert_has(completed((char[]){ "drain --host h3 w" }), "web\n");
	assert_has(completed((char[]){ "drain --wait w" }), "web\n");
	assert_has(completed((char[]){ "--run /nowhere --json weight web h" }), "--json");
	assert_has_not(fake_text("out"), "h3");
	assert_has(completed((char[]){ "weight web h" }), "h3\n");
	assert_has_not(completed((char[]){ "weight web h3 " }), "h3\n");
	assert_string_equal(completed((char[]){ "flows --limit " }), "");
	assert_has(completed((char[]){ "flows --state b" }), "bound\n");
	assert_has(completed((char[]){ "register web " }), "udp\n");
	assert_has(completed((char[]){ "ping w" }), "web\n");
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
		T(weight_sets),
		T(drain_waits),
		T(drain_gives_up),
		T(undrain_takes_all_back),
		T(unknown_is_refused),
		T(names_are_told),
		T(names_are_no_condition),
		T(register_waits_for_the_verdict),
		T(register_denied),
		T(register_bad_words),
		T(run_becomes_the_program),
		T(run_refuses),
		T(status_of_all),
		T(status_of_nobody),
		T(completes),
	};

	return cmocka_run_group_tests(tests, fake_setup, fake_teardown);
}
