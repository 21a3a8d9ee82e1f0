// SPDX-License-Identifier: Apache-2.0
/* cli/doctor: each thing that may be wrong is found, says what to do, and what is well is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/doctor.h"

#define V "\"version\":\"" SF_VERSION "\","

/* @problem, @note: a part of the only one expected; NULL: none. */
static void expect(enum sf_daemon_kind kind, const char *status, const char *problem,
		   const char *note)
{
	struct sf_findings f = { json_array(), json_array() };
	json_t *s = json_loads(status, 0, NULL);
	char *text;

	assert_non_null(s);
	sf_doctor_look(kind, s, &f);
	text = json_dumps(f.problems, 0);
	if (json_array_size(f.problems) != !!problem || (problem && !strstr(text, problem)))
		fail_msg("%s\ngave the problems %s", status, text);
	free(text);
	text = json_dumps(f.notes, 0);
	if (json_array_size(f.notes) != !!note || (note && !strstr(text, note)))
		fail_msg("%s\ngave the notes %s", status, text);
	free(text);
	json_decref(f.problems);
	json_decref(f.notes);
	json_decref(s);
}

#define ROUTER(silent) \
	"\"router\":{\"address\":\"fe80::1\",\"heartbeat_ms\":1000,\"silent_ms\":" silent "},"
#define ATTACHED "\"datapath\":{\"attached\":\"tcx\"}}"

static void agents(void **state)
{
	(void)state;
	expect(SF_AGENT,
	       "{" V "\"joined\":true,\"uplink\":\"u\",\"uplink_carrier\":true," ROUTER("2900")
		       ATTACHED,
	       NULL, NULL);
	expect(SF_AGENT, "{" V "\"joined\":true,\"uplink\":\"u\"," ROUTER("3100") ATTACHED,
	       "fe80::1 has not answered for 3.1 s", NULL);
	expect(SF_AGENT, "{" V "\"joined\":false,\"router\":null}", "no access router has answered",
	       NULL);
	expect(SF_AGENT, "{" V "\"joined\":false,\"uplink\":\"u\"," ROUTER("9000") ATTACHED,
	       "lost its access router fe80::1 on u", NULL);
	expect(SF_AGENT,
	       "{" V "\"joined\":false,\"uplink\":\"u\",\"uplink_carrier\":false," ROUTER("9000")
		       ATTACHED,
	       "uplink u has no carrier", NULL);
	expect(SF_AGENT,
	       "{" V "\"joined\":true,\"uplink\":\"u\",\"datapath\":{\"attached\":"
	       "\"none\"}}",
	       "no programs are attached to uplink u", NULL);
	expect(SF_AGENT, "{" V "\"joined\":true,\"registrations\":{\"denied\":2}," ATTACHED, NULL,
	       "2 registrations are denied");
	expect(SF_AGENT, "{\"version\":\"0.0.1\",\"joined\":true," ATTACHED, NULL,
	       "version 0.0.1, this command is " SF_VERSION);
}

static void features(void **state)
{
	(void)state;
	expect(SF_AGENT,
	       "{" V
	       "\"joined\":true,\"features\":[{\"name\":\"tcx\",\"use\":\"U\",\"there\":false,"
	       "\"required\":false,\"found\":\"F\"}]," ATTACHED,
	       NULL, "kernel lacks tcx (U): F");
	expect(SF_AGENT,
	       "{" V
	       "\"joined\":true,\"features\":[{\"name\":\"btf\",\"use\":\"U\",\"there\":false,"
	       "\"required\":true,\"found\":\"F\"},{\"name\":\"x\",\"there\":true}]," ATTACHED,
	       "kernel lacks btf (U): F", NULL);
}

static void routers(void **state)
{
	(void)state;
	expect(SF_ROUTER, "{" V "\"joined\":true,\"controller\":null}", NULL, NULL);
	expect(SF_ROUTER, "{" V "\"controller\":{\"connected\":true}}", NULL, NULL);
	expect(SF_ROUTER,
	       "{" V "\"controller\":{\"connected\":false,\"address\":\"[::1]:1\",\"failure\":"
	       "\"refused\"}}",
	       "is not connected to controller [::1]:1: refused", NULL);
	expect(SF_ROUTER, "{" V "\"joined\":false,\"roles\":[\"service\",\"access\"]}",
	       "has no block of hostAddrs", NULL);
	expect(SF_ROUTER, "{" V "\"joined\":false,\"roles\":[\"service\"]}", NULL, NULL);
}

static void controllers(void **state)
{
	struct sf_findings f = { json_array(), json_array() };
	json_t *reply = json_loads(
		"{\"routers\":[{\"name\":\"r1\",\"connected\":true,\"behind\":false},{\"name\":"
		"\"r2\",\"connected\":false,\"since\":\"T\",\"lease_left_ms\":9000}]}",
		0, NULL);
	char *text;

	(void)state;
	expect(SF_CONTROLLER, "{" V "\"settled\":true,\"routers\":{\"known\":1}}", NULL, NULL);
	expect(SF_CONTROLLER,
	       "{" V "\"settled\":false,\"awaited_routers\":1,\"routers\":{\"known\":"
	       "1}}",
	       NULL, "waits for 1 router of before");
	expect(SF_CONTROLLER, "{" V "\"settled\":true,\"routers\":{\"known\":0}}",
	       "no router has ever connected", NULL);
	expect(SF_CONTROLLER,
	       "{" V "\"settled\":true,\"routers\":{\"known\":1},\"shared_names\":[{\"name\":"
	       "\"h3\",\"hosts\":2}]}",
	       NULL, "2 hosts call themselves h3");
	sf_doctor_routers(reply, &f);
	assert_int_equal(json_array_size(f.problems), 1);
	text = json_dumps(f.problems, 0);
	assert_non_null(strstr(text, "router r2 is lost since T; its hosts stay known for 9.0 s"));
	free(text);
	json_decref(reply);
	json_decref(f.problems);
	json_decref(f.notes);
}

static void silent(void **state)
{
	struct sf_findings f = { json_array(), json_array() };
	const json_t *p;

	(void)state;
	sf_doctor_silent(SF_AGENT, SF_DAEMON_DEAD, "/run/x", "", &f);
	sf_doctor_silent(SF_ROUTER, SF_DAEMON_LISTENS, "/run/x", "timeout", &f);
	assert_int_equal(json_array_size(f.problems), 2);
	p = json_array_get(f.problems, 0);
	assert_non_null(strstr(json_string_value(json_object_get(p, "what")),
			       "scaffoldd does not run: nobody listens on /run/x/agent.sock"));
	assert_non_null(strstr(json_string_value(json_object_get(p, "do")), "start scaffoldd"));
	p = json_array_get(f.problems, 1);
	assert_non_null(strstr(json_string_value(json_object_get(p, "what")), "timeout"));
	/* Who may not ask cannot say that it is ill. */
	sf_doctor_silent(SF_CONTROLLER, SF_DAEMON_FORBIDDEN, "/run/x", "", &f);
	assert_int_equal(json_array_size(f.problems), 2);
	assert_int_equal(json_array_size(f.notes), 1);
	json_decref(f.problems);
	json_decref(f.notes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agents),  cmocka_unit_test(features),
		cmocka_unit_test(routers), cmocka_unit_test(controllers),
		cmocka_unit_test(silent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
