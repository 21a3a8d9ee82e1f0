// SPDX-License-Identifier: Apache-2.0
/* doctor.c - see doctor.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/doctor.h"
#include "util/table.h"

#define BEATS_MISSED 3 /* heartbeats without an answer that make a router silent */

static const char *const program[] = { "scaffoldd", "scaffold-router", "scaffold-controller" };

static const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "?";
}

static json_int_t number_of(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

/* Whether the field is there and false; one that a daemon does not tell is nothing wrong. */
static bool denies(const json_t *o, const char *key)
{
	return json_is_false(json_object_get(o, key));
}

static void findv(json_t *list, const char *who, const char *todo, const char *fmt, va_list args)
{
	char what[512];

	vsnprintf(what, sizeof(what), fmt, args);
	json_array_append_new(
		list, json_pack("{s:s, s:s, s:s}", "daemon", who, "what", what, "do", todo));
}

void sf_doctor_find(json_t *list, const char *who, const char *todo, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	findv(list, who, todo, fmt, args);
	va_end(args);
}

static void find(json_t *list, enum sf_daemon_kind kind, const char *todo, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void find(json_t *list, enum sf_daemon_kind kind, const char *todo, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	findv(list, sf_cli_daemon_name(kind), todo, fmt, args);
	va_end(args);
}

void sf_doctor_features(const json_t *list, const char *who, struct sf_findings *f)
{
	const json_t *feature;
	size_t i;

	json_array_foreach (list, i, feature) {
		bool required = json_is_true(json_object_get(feature, "required"));

		if (!denies(feature, "there"))
			continue;
		sf_doctor_find(required ? f->problems : f->notes, who,
			       required ? "use a kernel that has it" : "nothing: it works without",
			       "kernel lacks %s (%s): %s", text_of(feature, "name"),
			       text_of(feature, "use"), text_of(feature, "found"));
	}
}

/* ---- agent ------------------------------------------------------------------------------ */

static void agent_join(const json_t *s, struct sf_findings *f)
{
	const json_t *router = json_object_get(s, "router");
	json_int_t silent = number_of(router, "silent_ms"),
		   beat = number_of(router, "heartbeat_ms");
	char time[SF_HUMAN_LEN];

	if (denies(s, "uplink_carrier"))
		find(f->problems, SF_AGENT, "check the cable, or the other end of the link",
		     "uplink %s has no carrier", text_of(s, "uplink"));
	else if (denies(s, "joined") && json_is_object(router))
		find(f->problems, SF_AGENT,
		     "check scaffold-router on the access router, and packet filters in between "
		     "(UDP 24158); flows go on meanwhile",
		     "lost its access router %s on %s: no answer for %s",
		     text_of(router, "address"), text_of(s, "uplink"),
		     sf_human_duration((uint64_t)silent, time));
	else if (denies(s, "joined"))
		find(f->problems, SF_AGENT,
		     "is an access router on this link, scaffold-router running there, and UDP "
		     "24158 let through? 'scaffold events' has the denials; [host] uplink= and "
		     "router= say where to ask",
		     "has not joined: no access router has answered");
	else if (beat && silent > BEATS_MISSED * beat)
		find(f->problems, SF_AGENT, "check scaffold-router on the access router",
		     "access router %s has not answered for %s", text_of(router, "address"),
		     sf_human_duration((uint64_t)silent, time));
}

static void look_agent(const json_t *s, struct sf_findings *f)
{
	json_int_t denied = number_of(json_object_get(s, "registrations"), "denied");

	agent_join(s, f);
	if (json_is_true(json_object_get(s, "joined")) &&
	    !strcmp(text_of(json_object_get(s, "datapath"), "attached"), "none"))
		find(f->problems, SF_AGENT, "restart scaffoldd; its log has the reason",
		     "no programs are attached to uplink %s", text_of(s, "uplink"));
	if (denied)
		find(f->notes, SF_AGENT,
		     "'scaffold --run DIR services' on this host has the reasons",
		     "%d registration%s denied", (int)denied, denied == 1 ? " is" : "s are");
}

/* ---- router ----------------------------------------------------------------------------- */

static bool has_role(const json_t *s, const char *role)
{
	const json_t *r;
	size_t i;

	json_array_foreach (json_object_get(s, "roles"), i, r)
		if (json_is_string(r) && !strcmp(json_string_value(r), role))
			return true;
	return false;
}

static void look_router(const json_t *s, struct sf_findings *f)
{
	const json_t *controller = json_object_get(s, "controller");
	const json_t *link;
	size_t i;

	if (denies(controller, "connected"))
		find(f->problems, SF_ROUTER,
		     "check scaffold-controller there, the path to TCP 24159, and the "
		     "certificates; forwarding and resolving go on meanwhile",
		     "is not connected to controller %s: %s", text_of(controller, "address"),
		     text_of(controller, "failure"));
	if (denies(s, "joined") && has_role(s, "access"))
		find(f->problems, SF_ROUTER,
		     "give it block= (and as=), or a controller that leases one",
		     "has no block of hostAddrs: no host can join");
	json_array_foreach (json_object_get(s, "links"), i, link) {
		if (denies(link, "carrier") && number_of(link, "hosts"))
			find(f->problems, SF_ROUTER,
			     "check the cable, or the other end of the link",
			     "link %s with %d joined host%s has no carrier", text_of(link, "name"),
			     (int)number_of(link, "hosts"),
			     number_of(link, "hosts") == 1 ? "" : "s");
	}
}

/* ---- controller ------------------------------------------------------------------------- */

static void look_controller(const json_t *s, struct sf_findings *f)
{
	const json_t *routers = json_object_get(s, "routers"), *shared;
	size_t i;

	if (denies(s, "settled"))
		find(f->notes, SF_CONTROLLER, "wait: routers go on with the rules that they have",
		     "waits for %d router%s of before its start",
		     (int)number_of(s, "awaited_routers"),
		     number_of(s, "awaited_routers") == 1 ? "" : "s");
	if (json_is_object(routers) && !number_of(routers, "known"))
		find(f->problems, SF_CONTROLLER,
		     "set controller= in scaffold-router's configuration; 'scaffold events' has "
		     "those that were rejected",
		     "no router has ever connected");
	json_array_foreach (json_object_get(s, "shared_names"), i, shared)
		find(f->notes, SF_CONTROLLER,
		     "give each a name of its own ([host] name= in scaffoldd.conf); until then use "
		     "their identities ('scaffold hosts': ID), as policies do",
		     "%d hosts call themselves %s", (int)number_of(shared, "hosts"),
		     text_of(shared, "name"));
}

void sf_doctor_routers(const json_t *reply, struct sf_findings *f)
{
	const json_t *r;
	char time[SF_HUMAN_LEN];
	size_t i;

	json_array_foreach (json_object_get(reply, "routers"), i, r) {
		const char *name = json_string_value(json_object_get(r, "name"));

		name = name ? name : text_of(r, "id");
		if (denies(r, "connected"))
			find(f->problems, SF_CONTROLLER,
			     "check scaffold-router there and the path to TCP 24159; if it is gone "
			     "for good, DELETE /v1/routers/NAME frees its blocks",
			     "router %s is lost since %s; its hosts stay known for %s", name,
			     text_of(r, "since"),
			     sf_human_duration((uint64_t)number_of(r, "lease_left_ms"), time));
		else if (json_is_true(json_object_get(r, "behind")))
			find(f->problems, SF_CONTROLLER, "check that machine's load and its link",
			     "router %s reads too slowly; it will be told everything anew", name);
	}
}

/* ---- all -------------------------------------------------------------------------------- */

void sf_doctor_look(enum sf_daemon_kind kind, const json_t *status, struct sf_findings *f)
{
	const char *version = json_string_value(json_object_get(status, "version"));

	sf_doctor_features(json_object_get(status, "features"), sf_cli_daemon_name(kind), f);
	if (kind == SF_AGENT)
		look_agent(status, f);
	else if (kind == SF_ROUTER)
		look_router(status, f);
	else
		look_controller(status, f);
	if (version && strcmp(version, SF_VERSION) != 0)
		find(f->notes, kind, "restart it after an upgrade; no flow notices",
		     "version %s, this command is %s", version, SF_VERSION);
}

void sf_doctor_silent(enum sf_daemon_kind kind, enum sf_daemon_found found, const char *run,
		      const char *err, struct sf_findings *f)
{
	char todo[128];

	if (found == SF_DAEMON_FORBIDDEN) {
		find(f->notes, kind, "ask as root, or as a member of the socket's group",
		     "%s/%s.sock: no permission for this user", run, sf_cli_daemon_name(kind));
		return;
	}
	snprintf(todo, sizeof(todo),
		 "start %s again: it takes over what it left; flows go on meanwhile",
		 program[kind]);
	if (found == SF_DAEMON_DEAD)
		find(f->problems, kind, todo, "%s does not run: nobody listens on %s/%s.sock",
		     program[kind], run, sf_cli_daemon_name(kind));
	else
		find(f->problems, kind, "look at its log", "does not answer: %s", err);
}
