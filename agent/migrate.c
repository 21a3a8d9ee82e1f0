// SPDX-License-Identifier: Apache-2.0
/* migrate.c - see migrate.h. */
#include "agent/migrate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/host.h"

#define LISTED 100000

/**
 * struct order - what is asked for: one of @flow, @service, @all.
 * @there: flows that are at @to already; @early: those that are not established
 */
struct order {
	struct host *host;
	const char *named; /* as the order has it: an id, or a service; NULL: all */
	bool one, all;
	uint32_t flow;
	struct sf_addr service; /* zero: not by service */
	struct sf_addr to;
	uint64_t *keys;
	size_t n, room, there, early, found;
};

static bool is_meant(const struct order *o, uint64_t key, const struct sf_flow *f)
{
	struct sf_addr peer = sf_service_addr(&o->host->net, &f->peer_sid);

	if (o->all)
		return true;
	if (o->one)
		return flows_id(o->host, key) == o->flow;
	return sf_addr_eq(&o->service, &f->tuple.local) ||
	       sf_addr_eq(&o->service, &f->tuple.peer) || sf_addr_eq(&o->service, &peer);
}

static int choose(const void *key, const void *value, void *ctx)
{
	struct order *o = ctx;
	struct sf_flow f;
	uint64_t k;

	memcpy(&k, key, sizeof(k));
	memcpy(&f, value, sizeof(f));
	if (!is_meant(o, k, &f))
		return 0;
	o->found++;
	if (!mover_takes(&f)) {
		o->early++;
		return 0;
	}
	if (sf_locator_same_host(&f.own, &o->to)) {
		o->there++;
		return 0;
	}
	if (o->n == o->room) {
		size_t room = o->room ? 2 * o->room : 64;
		uint64_t *more = reallocarray(o->keys, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		o->keys = more;
		o->room = room;
	}
	o->keys[o->n++] = k;
	return 0;
}

/* ---- what is asked for ------------------------------------------------------------------ */

static int read_flow(const char *text, struct order *o, json_t **reply)
{
	char *end;

	o->one = true;
	o->flow = (uint32_t)strtoul(text, &end, 16);
	if (strlen(text) != FLOWS_ID_STRLEN - 1 || *end)
		return sf_http_fail(reply, 400, "no id of a flow", text,
				    "8 hexadecimal digits, as `scaffold flows` shows them");
	return 0;
}

static int read_order(const json_t *body, struct order *o, json_t **reply)
{
	const char *flow = json_string_value(json_object_get(body, "flow"));
	const char *service = json_string_value(json_object_get(body, "service"));

	o->all = json_is_true(json_object_get(body, "all"));
	if (!!flow + !!service + o->all != 1)
		return sf_http_fail(reply, 400, "which flows?", NULL,
				    "one of flow, service and \"all\": true");
	o->named = flow ? flow : service;
	if (flow)
		return read_flow(flow, o, reply);
	return service ? control_service(o->host, service, &o->service, reply) : 0;
}

static int read_place(const json_t *body, struct order *o, json_t **reply)
{
	const char *to = json_string_value(json_object_get(body, "to"));
	char why[160];

	if (!to)
		return sf_http_fail(reply, 400, "missing", "to", "the name of an interface");
	if (!moves_place_on(o->host, to, &o->to, why, sizeof(why)))
		return 0;
	return sf_http_fail(reply, 409, why, to,
			    "an interface that is up, by which the host has joined a router");
}

/* There is something, but nothing of it moves. */
static int nothing(const struct order *o, const char *to, json_t **reply)
{
	char what[200];

	if (!o->found && o->one)
		return sf_http_fail(reply, 404, "no such flow on this host", o->named,
				    "an id that `scaffold flows` shows");
	if (!o->found && !o->all)
		return sf_http_fail(reply, 404, "no flow of this service is on this host", o->named,
				    NULL);
	if (!o->found)
		return sf_http_fail(reply, 409, "nothing to move: this host has no flows", NULL,
				    NULL);
	if (o->one && o->early)
		return sf_http_fail(reply, 409, "the flow is not established yet", o->named, NULL);
	snprintf(what, sizeof(what), "nothing to move: %zu flow%s there already", o->there,
		 o->there == 1 ? " is" : "s are");
	return sf_http_fail(reply, 409, what, to, NULL);
}

static json_t *ids_of(const struct order *o)
{
	json_t *list = json_array();
	char id[FLOWS_ID_STRLEN];

	for (size_t i = 0; i < o->n && i < LISTED; i++)
		json_array_append_new(
			list, json_string(flows_id_print(flows_id(o->host, o->keys[i]), id)));
	return list;
}

int migrate_post(struct sf_http_req *req, json_t **reply, void *ctx)
{
	const json_t *body = sf_http_body(req);
	struct order o = { .host = ctx };
	const char *to;
	char place[SF_ADDR_STRLEN];
	int status = control_allow(o.host, req, reply);

	if (!status)
		status = read_order(body, &o, reply);
	if (!status)
		status = read_place(body, &o, reply);
	if (status)
		return status;
	to = json_string_value(json_object_get(body, "to"));
	if (sf_bpf_map_walk(datapath_map(o.host, "flows"), sizeof(uint64_t), sizeof(struct sf_flow),
			    choose, &o)) {
		free(o.keys);
		return sf_http_fail(reply, 500, "the flow table cannot be read", NULL, NULL);
	}
	if (!o.n) {
		free(o.keys);
		return nothing(&o, to, reply);
	}
	*reply = json_pack("{s:s, s:s, s:o, s:I, s:I, s:I}", "to", to, "place",
			   sf_addr_print(&o.to, place), "flows", ids_of(&o), "moving",
			   (json_int_t)o.n, "there", (json_int_t)o.there, "early",
			   (json_int_t)o.early);
	if (moves_list(o.host, o.keys, o.n, &o.to)) /* it has the keys now */
		return sf_http_fail(reply, 500, "no memory", NULL, NULL);
	return 202;
}

int migrate_get(struct sf_http_req *req, json_t **reply, void *ctx)
{
	const struct host *h = ctx;
	size_t open, all = mover_size(&h->moves.mover, &open);

	*reply = json_pack("{s:I, s:I, s:I, s:I}", "pending", (json_int_t)moves_pending(h),
			   "moving", (json_int_t)open, "parked", (json_int_t)h->moves.mover.parked,
			   "moved", (json_int_t)all);
	return 200;
}
