// SPDX-License-Identifier: Apache-2.0
/* cli: subcommands that change something, against daemons that answer what each test wants. */
#include "tests/unit/cli_fake.h"

#include "util/cgroup.h"

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

static void shed_ends_flows(void **state)
{
	static const struct canned c[] = {
		{ "POST", "/v1/services/web/instances/h4/shed", 200, "{}" },
		{ "GET", "/v1/hosts/h4", 200, "{}" },
		{ "GET", "/v1/services/web", 200, DRAINING("3") },
		{ "GET", "/v1/services/web", 200, DRAINING("3") },
		{ "GET", "/v1/services/web", 200, DRAINING("0") },
		{ 0 },
	};

	(void)state;
	fake_start("controller", c);
	assert_int_equal(fake_run(cmd_shed, false, "shed", "web/tcp/80", "--host", "h4", NULL), 0);
	assert_has(fake_text("asked"),
		   "POST /v1/services/web/instances/h4/shed {\"port\":80,\"proto\":\"tcp\"}\n");
	assert_string_equal(fake_text("out"), "web on h4: shed; no flows left\n");
	for (const char *const *bad = (const char *const[]){ "web/tcp", "web/tcp/0", "web/any/1",
							     "web/tcp/80x", "web/tcp/80/1", NULL };
	     *bad; bad++) {
		assert_int_equal(fake_run(cmd_shed, false, "shed", *bad, NULL), SF_EXIT_USAGE);
		assert_has(fake_text("err"), "expected a service, or SERVICE/tcp/PORT");
	}
}

static void shed_of_a_host_without_a_controller(void **state)
{
	static const struct canned c[] = {
		{ "POST", "/v1/services/web/any/0/shed", 404, "not registered here" },
		{ 0 },
	};

	(void)state;
	fake_start("agent", c);
	assert_int_equal(fake_run(cmd_shed, false, "shed", "web", NULL), SF_EXIT_FAILED);
	assert_has(fake_text("err"), "not registered here");
	assert_int_equal(fake_run(cmd_shed, false, "shed", "web", "--host", "h4", NULL),
			 SF_EXIT_FAILED);
	assert_has(fake_text("err"), "--host needs a controller");
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
	/* Somebody decided more than that. */
	assert_has_not(fake_text("asked"), "DELETE");
}

#define VOID(draining)                                                               \
	"{\"enabled\":true,\"sticky\":false,\"weight\":null,\"move_grace_ms\":null," \
	"\"allow\":null,\"instances\":{\"h4\":{\"weight\":null,\"draining\":" draining "}}}"

/* What says nothing any more goes. */
static void undrain_leaves_no_empty_policy(void **state)
{
	static const struct canned c[] = {
		{ "GET", "/v1/services/web", 200, DRAINING("3") },
		{ "GET", "/v1/services/web/policy", 200, VOID("true") },
		{ "PATCH", "/v1/services/web/policy", 200, "{}" },
		{ "GET", "/v1/services/web/policy", 200, VOID("false") },
		{ "DELETE", "/v1/services/web/policy", 200, "{}" },
		{ 0 },
	};

	(void)state;
	fake_start("controller", c);
	assert_int_equal(fake_run(cmd_undrain, false, "undrain", "web", NULL), 0);
	assert_has(fake_text("asked"), "DELETE /v1/services/web/policy");
}

static void bad_values_are_named(void **state)
{
	(void)state;
	assert_int_equal(fake_run(cmd_shed, false, "shed", "web", "--timeout", "soon", NULL),
			 SF_EXIT_USAGE);
	assert_has(fake_text("err"), "--timeout 'soon': expected seconds, from 0.001 to 3600");
	assert_int_equal(fake_run(cmd_drain, false, "drain", "web", "--timeout", "0", NULL),
			 SF_EXIT_USAGE);
	assert_has(fake_text("err"), "--timeout '0': expected seconds");
	assert_int_equal(fake_run(cmd_events, false, "events", "--limit", "many", NULL),
			 SF_EXIT_USAGE);
	assert_has(fake_text("err"), "--limit 'many': expected a number from 0 to 10000");
	assert_int_equal(fake_run(cmd_migrate, false, "migrate", "--all", "--to", "eth0",
				  "--timeout", "-1", NULL),
			 SF_EXIT_USAGE);
	assert_has(fake_text("err"), "--timeout '-1': expected seconds");
	assert_has_not(fake_text("err"), "usage:");
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
	assert_has(fake_text("err"), "(--ahead");
	assert_int_equal(fake_run(cmd_shed, false, "shed", "wbe", NULL), SF_EXIT_FAILED);
	assert_has(fake_text("err"), "service 'wbe': the controller knows no");
	assert_has_not(fake_text("err"), "--ahead");
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

#define WEB_ADDR "fd5e::1:52ac:1db8:5f5e:cb14"

/* A client has no service registered, but flows of some. */

static void completes_what_moves(void **state)
{
	static const struct canned c[] = {
		{ "GET", "/v1/names", 200, "{\"names\":[{\"name\":\"web\",\"id\":\"" WEB "\"}]}" },
		{ "GET", "/v1/flows", 200,
		  "{\"flows\":[{\"id\":\"00c0ffee\",\"local\":\"fd5e:0:8000::1\",\"peer\":"
		  "\"" WEB_ADDR
		  "\"},{\"id\":\"00c0ffef\",\"local\":\"fd5e:0:8000::1\",\"peer\":\"" WEB_ADDR
		  "\"}]}" },
		{ "GET", "/v1/status", 200, "{\"uplinks\":[{\"link\":\"eth7\"}]}" },
		{ 0 },
	};

	(void)state;
	fake_start("agent", c);
	assert_string_equal(completed((char[]){ "migrate --service " }), "web\n");
	assert_string_equal(completed((char[]){ "migrate --flow " }), "00c0ffee\n00c0ffef\n");
	assert_string_equal(completed((char[]){ "migrate --to " }), "eth7\n");
}

#define T(f) cmocka_unit_test_teardown(f, fake_each_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(weight_sets),
		T(drain_waits),
		T(drain_gives_up),
		T(shed_ends_flows),
		T(shed_of_a_host_without_a_controller),
		T(undrain_takes_all_back),
		T(undrain_leaves_no_empty_policy),
		T(bad_values_are_named),
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
		T(completes_what_moves),
	};

	return cmocka_run_group_tests(tests, fake_setup, fake_teardown);
}
