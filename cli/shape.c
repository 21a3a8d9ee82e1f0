// SPDX-License-Identifier: Apache-2.0
/* shape.c - see shape.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/shape.h"
#include "util/clock.h"
#include "util/json.h"

/* The value itself, or null; a new reference. */
static json_t *copy(const json_t *o, const char *key)
{
	json_t *v = json_object_get(o, key);

	return v ? json_incref(v) : json_null();
}

static const char *text_of(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static json_t *name_or_null(const char *name)
{
	return name && *name ? json_string(name) : json_null();
}

static bool is_identity(const char *sid)
{
	return sid && (strtoul(sid, NULL, 16) & SF_SSID_KEYED) &&
	       strtoul(sid, NULL, 16) == SF_SSID_HOSTS;
}

/* ---- services --------------------------------------------------------------------------- */

/* The identity of an instance: what the daemons agree on. Takes no reference of @row. */
static void row_add(json_t *rows, const struct sf_names *names, const char *sid, const char *name,
		    const json_t *endpoint, json_t *row)
{
	if (!row)
		return;
	json_object_set_new(row, "service",
			    name_or_null(name && *name ? name : sf_names_of(names, sid)));
	json_object_set_new(row, "sid", json_string(sid));
	json_object_set_new(row, "proto", copy(endpoint, "proto"));
	json_object_set_new(row, "port", copy(endpoint, "port"));
	json_array_append_new(rows, row);
}

/* The controller says why an instance takes new flows or not; "live" is all daemons' word. */
static const char *controller_state(const char *state)
{
	return state && !strcmp(state, "serving") ? "live" : state ? state : "?";
}

static void controller_service(const json_t *s, const struct sf_names *names, bool all,
			       json_t *rows)
{
	const char *sid = text_of(s, "id");
	const json_t *ep, *in, *load;
	size_t i, k;

	if (!sid || (!all && is_identity(sid)))
		return;
	json_array_foreach (json_object_get(s, "endpoints"), i, ep) {
		json_array_foreach (json_object_get(ep, "instances"), k, in) {
			load = json_object_get(in, "load");
			row_add(rows, names, sid, text_of(s, "name"), ep,
				json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o, "
					  "s:o, s:o}",
					  "host", copy(in, "host_name"), "host_id",
					  copy(in, "host"), "locator", copy(in, "locator"),
					  "router", copy(in, "router_name"), "weight",
					  copy(in, "weight"), "share", copy(in, "share"), "state",
					  controller_state(text_of(in, "state")), "reason",
					  copy(in, "reason"), "since", copy(in, "since"), "flows",
					  copy(load, "flows"), "open", copy(in, "open"), "packets",
					  copy(load, "packets"), "bytes", copy(load, "bytes")));
		}
	}
}

/* The part of the table that an instance has. */
static json_t *router_share(const json_t *service, const json_t *in)
{
	json_int_t slots = json_integer_value(json_object_get(in, "slots"));
	json_int_t all = json_integer_value(json_object_get(service, "slots"));

	return json_real(all > 0 ? (double)slots / (double)all : 0.0);
}

/* What its datapath has takes flows; of hosts that are not its own a router knows the locator. */
static void router_service(const json_t *s, const struct sf_names *names, bool all, json_t *rows)
{
	const char *sid = text_of(s, "service");
	const json_t *in;
	size_t i;

	if (!sid || (!all && is_identity(sid)))
		return;
	json_array_foreach (json_object_get(s, "instances"), i, in) {
		bool weighs = json_integer_value(json_object_get(in, "weight")) > 0;

		row_add(rows, names, sid, text_of(s, "name"), s,
			json_pack(
				"{s:o, s:o, s:o, s:n, s:o, s:o, s:s, s:n, s:o, s:o, s:o, s:o, s:o}",
				"host", copy(in, "host_name"), "host_id", copy(in, "host"),
				"locator", copy(in, "locator"), "router", "weight",
				copy(in, "weight"), "share", router_share(s, in), "state",
				weighs ? "live" : "weight-0", "reason", "since", copy(in, "since"),
				"flows", copy(in, "flows"), "open", copy(in, "open"), "packets",
				copy(in, "packets"), "bytes", copy(in, "bytes")));
	}
}

/* What this host decided, and whether the router has heard of it yet. */
static const char *agent_state(const json_t *r)
{
	const char *state = text_of(r, "state"), *router = text_of(r, "at_router");

	if (state && router && !strcmp(state, "live") && strcmp(router, "in") != 0)
		return "registering";
	return state ? state : "?";
}

static void agent_service(const json_t *r, const struct sf_names *names, bool all, json_t *rows)
{
	const char *sid = text_of(r, "service");

	if (!sid || (!all && is_identity(sid)))
		return;
	row_add(rows, names, sid, text_of(r, "name"), r,
		json_pack("{s:n, s:n, s:n, s:n, s:n, s:n, s:s, s:o, s:o, s:o, s:o, s:o, s:o}",
			  "host", "host_id", "locator", "router", "weight", "share", "state",
			  agent_state(r), "reason", copy(r, "reason"), "since", copy(r, "since"),
			  "flows", copy(r, "flows"), "open", copy(r, "open"), "packets",
			  copy(r, "packets"), "bytes", copy(r, "bytes")));
}

void sf_shape_services(enum sf_daemon_kind who, const json_t *reply, const struct sf_names *names,
		       bool all, json_t *rows)
{
	const json_t *list = json_object_get(reply, "services"), *s;
	size_t i;

	if (who == SF_CONTROLLER && !list)
		controller_service(reply, names, true, rows);
	json_array_foreach (list, i, s) {
		if (who == SF_CONTROLLER)
			controller_service(s, names, all, rows);
		else if (who == SF_ROUTER)
			router_service(s, names, all, rows);
		else
			agent_service(s, names, all, rows);
	}
}

/* ---- hosts ------------------------------------------------------------------------------ */

/* A host that is there is so in the first place, or only as standby. */
static json_t *controller_host_state(const json_t *h)
{
	const char *state = text_of(h, "state");

	if (state && !strcmp(state, "present") && json_is_true(json_object_get(h, "standby")))
		return json_string("standby");
	return copy(h, "state");
}

static json_t *controller_host(const json_t *h)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "host", copy(h, "name"), "id",
			 copy(h, "id"), "state", controller_host_state(h), "last_seen",
			 copy(h, "last_seen"), "locator", copy(h, "locator"), "router",
			 copy(h, "router_name"), "since", copy(h, "joined"), "services",
			 copy(h, "registrations"));
}

/* A router tells how long it has heard nothing, and of a host that has left, when. */
static json_t *router_last_seen(const json_t *h)
{
	const json_t *silent = json_object_get(h, "silent_ms");

	if (!json_is_integer(silent))
		return copy(h, "released");
	return sf_json_time(sf_wall_ms() - (uint64_t)json_integer_value(silent));
}

static json_t *router_host(const json_t *h)
{
	const char *state = text_of(h, "state");

	if (!state || !strcmp(state, "joined"))
		state = json_is_true(json_object_get(h, "silent")) ? "silent" : "present";
	return json_pack("{s:o, s:o, s:s, s:o, s:o, s:n, s:o, s:o}", "host", copy(h, "name"), "id",
			 copy(h, "id"), "state", state, "last_seen", router_last_seen(h), "locator",
			 copy(h, "locator"), "router", "since", copy(h, "joined"), "services",
			 copy(h, "registrations"));
}

static json_t *agent_host(const json_t *status)
{
	const json_t *router = json_object_get(status, "router");
	const char *state = text_of(status, "state");

	if (!state || !strcmp(state, "joined"))
		state = "present";
	return json_pack("{s:o, s:o, s:s, s:n, s:o, s:o, s:n, s:o}", "host", copy(status, "name"),
			 "id", copy(status, "id"), "state", state, "last_seen", "locator",
			 copy(status, "locator"), "router", copy(router, "id"), "since", "services",
			 copy(json_object_get(status, "registrations"), "at_router"));
}

void sf_shape_hosts(enum sf_daemon_kind who, const json_t *reply, json_t *rows)
{
	const json_t *h;
	size_t i;

	if (who == SF_AGENT)
		json_array_append_new(rows, agent_host(reply));
	json_array_foreach (json_object_get(reply, "hosts"), i, h) {
		if (who == SF_CONTROLLER)
			json_array_append_new(rows, controller_host(h));
		else if (who == SF_ROUTER)
			json_array_append_new(rows, router_host(h));
	}
}

/* ---- routers ---------------------------------------------------------------------------- */

static const char *router_state(const json_t *r)
{
	if (!json_is_true(json_object_get(r, "connected")))
		return json_is_true(json_object_get(r, "awaited")) ? "awaited" : "lost";
	if (json_is_true(json_object_get(r, "behind")))
		return "behind";
	return json_is_true(json_object_get(r, "synced")) ? "connected" : "syncing";
}

static json_t *router_blocks(const json_t *r)
{
	json_t *list = json_array();
	const json_t *block;
	size_t i;

	json_array_foreach (json_object_get(r, "blocks"), i, block)
		json_array_append_new(list, copy(block, "prefix"));
	return list;
}

void sf_shape_routers(const json_t *reply, json_t *rows)
{
	const json_t *r;
	size_t i;

	json_array_foreach (json_object_get(reply, "routers"), i, r) {
		const char *state = router_state(r);

		json_array_append_new(
			rows,
			json_pack("{s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "router",
				  copy(r, "name"), "id", copy(r, "id"), "state", state, "last_seen",
				  strcmp(state, "lost") != 0 ? json_null() : copy(r, "since"),
				  "address", copy(r, "address"), "roles", copy(r, "roles"),
				  "blocks", router_blocks(r), "hosts", copy(r, "hosts"), "rtt_ms",
				  copy(r, "rtt_ms")));
	}
}

/* ---- flows ------------------------------------------------------------------------------ */

json_t *sf_shape_flow(const json_t *f, const struct sf_names *names)
{
	static const char *const same[] = {
		"proto",     "direction",   "local",	    "local_port", "peer",
		"peer_port", "own_locator", "peer_locator", "state",	  "attempt",
		"age_ms",    "idle_ms",	    "tx_packets",   "tx_bytes",	  "rx_packets",
		"rx_bytes",  "fail",	    "id",	    "move"
	};
	json_t *row = json_object();
	char sid[SF_ADDR_STRLEN];

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		json_object_set_new(row, same[i], copy(f, same[i]));
	json_object_set_new(row, "local_name",
			    name_or_null(sf_names_of_addr(names, text_of(f, "local"), sid)));
	json_object_set_new(row, "peer_name",
			    name_or_null(sf_names_of_addr(names, text_of(f, "peer"), sid)));
	return row;
}

/* ---- events ----------------------------------------------------------------------------- */

json_t *sf_shape_event(const json_t *e, const struct sf_names *names)
{
	static const char *const same[] = { "id",    "time",  "kind",	    "locator",
					    "proto", "port",  "reason",	    "text",
					    "link",  "count", "interval_ms" };
	static const char *const named[][2] = { { "router", "router_name" },
						{ "host", "host_name" },
						{ "service", "service_name" } };
	json_t *row = json_object();

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		json_object_set_new(row, same[i], copy(e, same[i]));
	/* Names where they are known, identities else. */
	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
		const char *id = text_of(e, named[i][0]), *name = text_of(e, named[i][1]);

		name = name ? name : sf_names_of(names, id);
		json_object_set_new(row, named[i][0], name_or_null(name ? name : id));
	}
	return row;
}
