// SPDX-License-Identifier: Apache-2.0
/*
 * status.c - scaffold status: the daemons here, whether they are well, and what to do if not.
 * Exit status 1 when something is wrong. The judging is doctor.c's, and where no daemon is,
 * absent.c's.
 */
#include <stdio.h>
#include <string.h>

#include "cli/absent.h"
#include "core/reason.h"
#include "util/table.h"

static const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "-";
}

static int number_of(const json_t *o, const char *key)
{
	return (int)json_integer_value(json_object_get(o, key));
}

/* {daemon, found, status, drops} of one kind; NULL: no socket, none expected. */
static json_t *examine(struct sf_cli *cli, enum sf_daemon_kind kind, struct sf_findings *f)
{
	static const char *const found_names[] = { "none", "listens", "dead", "forbidden" };
	enum sf_daemon_found found = sf_cli_find(cli, kind);
	json_t *out, *status = NULL, *counters = NULL, *routers = NULL;
	char err[700] = "";

	if (found == SF_DAEMON_NONE)
		return NULL;
	out = json_pack("{s:s, s:s}", "daemon", sf_cli_daemon_name(kind), "found",
			found_names[found]);
	if (found != SF_DAEMON_LISTENS ||
	    sf_cli_try(cli, kind, "GET", "/v1/status", NULL, &status, err, sizeof(err))) {
		sf_doctor_silent(kind, found, cli->run, err, f);
		return out;
	}
	sf_doctor_look(kind, status, f);
	json_object_set_new(out, "status", status);
	if (kind == SF_CONTROLLER) {
		if (!sf_cli_try(cli, kind, "GET", "/v1/routers", NULL, &routers, err, sizeof(err)))
			sf_doctor_routers(routers, f);
		json_decref(routers);
	} else if (!sf_cli_try(cli, kind, "GET", "/v1/counters", NULL, &counters, err,
			       sizeof(err))) {
		json_object_set(out, "drops", json_object_get(counters, "reasons"));
		json_decref(counters);
	}
	return out;
}

/* ---- for people ------------------------------------------------------------------------- */

/* The others, where there are any of interest: those that are joined, or were. */
static void uplinks_print(const json_t *list)
{
	const json_t *u;
	size_t i;

	json_array_foreach (list, i, u) {
		const char *role = text_of(u, "role");

		if (!strcmp(role, "primary") || !json_is_string(json_object_get(u, "locator")))
			continue;
		printf("  %s on %s: %s at %s", role[0] == '-' ? "not usable" : role,
		       text_of(u, "link"), text_of(u, "state"), text_of(u, "locator"));
		if (json_is_object(json_object_get(u, "router")))
			printf(" by %s", text_of(json_object_get(u, "router"), "address"));
		putchar('\n');
	}
}

static void agent_print(const json_t *s)
{
	const json_t *regs = json_object_get(s, "registrations");

	if (json_is_true(json_object_get(s, "joined")))
		printf("  joined as %s by %s on %s\n", text_of(s, "locator"),
		       text_of(json_object_get(s, "router"), "address"), text_of(s, "uplink"));
	else
		printf("  not joined (%s)\n", text_of(s, "state"));
	uplinks_print(json_object_get(s, "uplinks"));
	printf("  host %s, identity %s, address %s\n", text_of(s, "name"), text_of(s, "id"),
	       text_of(s, "address"));
	printf("  registrations: %d live, %d denied, %d at the router\n", number_of(regs, "live"),
	       number_of(regs, "denied"), number_of(regs, "at_router"));
}

static void router_print(const json_t *s)
{
	const json_t *controller = json_object_get(s, "controller"), *role;
	size_t i;

	printf("  router %s", text_of(s, "name"));
	if (json_is_true(json_object_get(s, "joined")))
		printf(" at %s, block %s", text_of(s, "address"), text_of(s, "block"));
	fputs(", roles", stdout);
	json_array_foreach (json_object_get(s, "roles"), i, role)
		printf(" %s", json_string_value(role));
	putchar('\n');
	if (json_is_object(controller))
		printf("  controller %s: %s\n", text_of(controller, "address"),
		       json_is_true(json_object_get(controller, "connected")) ? "connected"
									      : "not connected");
	else
		puts("  without a controller");
	printf("  %d hosts, %d services\n", number_of(s, "hosts"), number_of(s, "services"));
}

static void controller_print(const json_t *s)
{
	const json_t *routers = json_object_get(s, "routers");

	printf("  term %d, version %d%s\n", number_of(s, "term"), number_of(s, "number"),
	       json_is_false(json_object_get(s, "settled")) ? ", not settled yet" : "");
	printf("  %d of %d routers connected, %d hosts, %d services, %d instances\n",
	       number_of(routers, "connected"), number_of(routers, "known"), number_of(s, "hosts"),
	       number_of(s, "services"), number_of(s, "instances"));
}

static const char *reason_text(const char *name)
{
	for (unsigned int i = 0; i < SF_REASON_MAX; i++)
		if (!strcmp(sf_reason_name(i), name))
			return sf_reason_text(i);
	return "unknown reason";
}

static void drops_print(json_t *drops)
{
	const char *reason;
	json_t *count;
	char packets[SF_HUMAN_LEN];

	json_object_foreach (drops, reason, count)
		printf("  dropped %s  %s: %s\n",
		       sf_human_count(
			       (uint64_t)json_integer_value(json_object_get(count, "packets")),
			       packets),
		       reason, reason_text(reason));
}

static void daemon_print(const json_t *daemon)
{
	const char *name = text_of(daemon, "daemon");
	const json_t *status = json_object_get(daemon, "status");
	char time[SF_HUMAN_LEN];

	if (!status) {
		printf("%s: %s\n", name, text_of(daemon, "found"));
		return;
	}
	printf("%s %s, up %s\n", name, text_of(status, "version"),
	       sf_human_duration((uint64_t)json_integer_value(json_object_get(status, "uptime_ms")),
				 time));
	if (!strcmp(name, "agent"))
		agent_print(status);
	else if (!strcmp(name, "router"))
		router_print(status);
	else
		controller_print(status);
	drops_print(json_object_get(daemon, "drops"));
}

static void findings_print(const json_t *list, const char *title)
{
	const json_t *f;
	size_t i;

	json_array_foreach (list, i, f)
		printf("%s%s: %s: %s\n    -> %s\n", i ? "" : "\n", title, text_of(f, "daemon"),
		       text_of(f, "what"), text_of(f, "do"));
}

int cmd_status(struct sf_cli *cli, int argc, char **argv)
{
	struct sf_findings f = { json_array(), json_array() };
	json_t *daemons = json_array(), *daemon, *out;
	size_t i;
	int ret = 0;

	(void)argv;
	if (argc != 1) {
		ret = sf_cli_usage(cli);
		goto out;
	}
	for (int kind = SF_AGENT; kind < SF_ANYBODY; kind++) {
		daemon = examine(cli, (enum sf_daemon_kind)kind, &f);
		if (daemon)
			json_array_append_new(daemons, daemon);
	}
	if (!json_array_size(daemons))
		sf_absent_look("", &f);
	if (cli->json) {
		out = json_pack("{s:b, s:O, s:O, s:O}", "ok",
				json_array_size(daemons) && !json_array_size(f.problems), "daemons",
				daemons, "problems", f.problems, "notes", f.notes);
		ret = sf_cli_value(out);
		json_decref(out);
	} else {
		json_array_foreach (daemons, i, daemon)
			daemon_print(daemon);
		findings_print(f.problems, "problem");
		findings_print(f.notes, "note");
	}
	if (!json_array_size(daemons))
		ret = sf_cli_fail(
			cli,
			"no daemon has a socket in %s: start scaffoldd, scaffold-router or "
			"scaffold-controller, or say where with --run DIR or $SCAFFOLD_RUN",
			cli->run);
	else if (json_array_size(f.problems))
		ret = SF_EXIT_FAILED;
out:
	json_decref(daemons);
	json_decref(f.problems);
	json_decref(f.notes);
	return ret;
}
