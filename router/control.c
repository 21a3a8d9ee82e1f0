// SPDX-License-Identifier: Apache-2.0
/* control.c - REST; see control.h for the resources. */
#include "router/control.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/flow.h"
#include "core/name.h"
#include "router/controller_link.h"
#include "router/datapath.h"
#include "router/events.h"
#include "router/hosts.h"
#include "router/links.h"
#include "router/router.h"
#include "router/routes.h"
#include "router/rules.h"
#include "util/clock.h"
#include "util/errtext.h"
#include "util/http.h"
#include "util/json.h"

#define SHARES_MAX    4096
#define LIMIT_DEFAULT 1000
#define LIMIT_MAX     100000

struct control {
	struct sf_http *http;
};

/* ---- status ---- */

static json_t *roles_json(uint8_t roles)
{
	json_t *list = json_array();

	if (roles & SF_ROLE_ACCESS)
		json_array_append_new(list, json_string("access"));
	if (roles & SF_ROLE_SERVICE)
		json_array_append_new(list, json_string("service"));
	return list;
}

static json_t *links_json(struct router *r)
{
	static const char *const access[] = { "auto", "yes", "no" };
	json_t *list = json_array();

	for (struct link *l = links_first(r); l; l = l->hh.next) {
		json_t *j =
			json_pack("{s:s, s:i, s:b, s:s, s:s, s:b}", "name", l->nl.name, "ifindex",
				  l->ifindex, "carrier", l->nl.carrier, "access", access[l->access],
				  "attached", sf_bpf_how_name(l->how), "xdp", l->xdp);

		json_object_set_new(j, "filtered", json_boolean(link_is_filtered(r, l)));
		json_object_set_new(j, "hosts", sf_json_number(hosts_on(r, l->ifindex, NULL)));
		json_array_append_new(list, j);
	}
	return list;
}

static json_t *controller_json(struct router *r)
{
	struct controller_view v;

	controller_link_view(r, &v);
	if (!v.configured)
		return json_null();
	return json_pack("{s:s, s:b, s:b, s:s, s:o, s:I, s:I}", "address", v.address, "connected",
			 v.open, "synced", v.synced, "failure", v.failure, "since",
			 sf_json_time(v.since_ms), "term", (json_int_t)r->place.term, "number",
			 (json_int_t)r->place.number);
}

static int get_status(struct sf_http_req *req, json_t **reply, void *ctx)
{
	struct router *r = ctx;
	char block[8], key[2 * sizeof(r->public_key) + 1];
	json_t *j = json_object();

	snprintf(block, sizeof(block), "%04x", r->place.block);
	for (size_t i = 0; i < sizeof(r->public_key); i++)
		snprintf(key + 2 * i, 3, "%02x", r->public_key[i]);
	json_object_set_new(j, "name", json_string(r->config.name));
	json_object_set_new(j, "version", json_string(SF_VERSION));
	json_object_set_new(j, "id", sf_json_sid(&r->id));
	json_object_set_new(j, "key", json_string(key));
	json_object_set_new(j, "roles", roles_json(r->config.roles));
	json_object_set_new(j, "joined", json_boolean(has_place(r)));
	if (has_place(r)) {
		json_object_set_new(j, "block", json_string(block));
		json_object_set_new(j, "blocks", json_integer(r->place.blocks));
		json_object_set_new(j, "address", sf_json_addr(&r->own));
	}
	sf_json_set_net(j, &r->place.net);
	if (!sf_addr_is_zero(&r->underlay))
		json_object_set_new(j, "underlay", sf_json_addr(&r->underlay));
	json_object_set_new(j, "heartbeat_ms", sf_json_number(r->place.heartbeat_ms));
	json_object_set_new(j, "move_grace_ms", sf_json_number(r->place.move_grace_ms));
	json_object_set_new(j, "lease_ms", sf_json_number(r->place.lease_ms));
	json_object_set_new(j, "uptime_ms", sf_json_number(sf_now_ms() - r->started_ms));
	json_object_set_new(j, "restarted", json_boolean(r->restarted));
	json_object_set_new(j, "hosts", sf_json_number(r->hosts->here));
	json_object_set_new(j, "services", sf_json_number(rules_count(r)));
	json_object_set_new(j, "services_in_front",
			    sf_json_number(datapath_front_held(r->datapath)));
	json_object_set_new(j, "slots", sf_json_number(datapath_slots_max(r->datapath)));
	json_object_set_new(j, "slots_used", sf_json_number(rules_slots_used(r)));
	json_object_set_new(j, "map_bytes", sf_json_number(datapath_memory(r->datapath)));
	json_object_set_new(j, "controller", controller_json(r));
	json_object_set_new(j, "links", links_json(r));
	*reply = j;
	return 200;
}

/* ---- hosts ---- */

static json_t *host_json(struct router *r, const struct host *h)
{
	uint64_t now = sf_now_ms();
	char buf[INET6_ADDRSTRLEN];
	json_t *j = json_object();

	json_object_set_new(j, "id", sf_json_sid(&h->identity));
	json_object_set_new(j, "name", sf_json_name(h->name));
	json_object_set_new(j, "state", json_string(host_state_name(h->state)));
	json_object_set_new(j, "locator", sf_json_addr(&h->locator));
	if (h->state == HOST_ABSENT) {
		json_object_set_new(j, "released", sf_json_time(h->released_ms));
		return j;
	}
	json_object_set_new(j, "link", json_string(link_name(r, h->ifindex)));
	json_object_set_new(j, "link_address",
			    json_string(inet_ntop(AF_INET6, &h->peer.sin6_addr, buf, sizeof(buf))));
	json_object_set_new(j, "joined", sf_json_time(sf_wall_ms() - (now - h->joined_ms)));
	json_object_set_new(j, "silent_ms", sf_json_number(now - h->seen_ms));
	json_object_set_new(j, "silent", json_boolean(h->silent));
	json_object_set_new(j, "settled", json_boolean(h->settled));
	json_object_set_new(j, "registrations", sf_json_number(h->n_regs));
	return j;
}

static int get_hosts(struct sf_http_req *req, json_t **reply, void *ctx)
{
	const char *all = sf_http_query(req, "all");
	struct router *r = ctx;
	json_t *list = json_array();

	for (struct host *h = r->hosts->by_addr; h; h = h->hh.next)
		if (h->state != HOST_ABSENT || (all && strcmp(all, "0")))
			json_array_append_new(list, host_json(r, h));
	*reply = json_pack("{s:o}", "hosts", list);
	return 200;
}

/* ---- services ---- */

static json_t *share_json(struct router *r, struct service *s, const struct rules_share *share)
{
	struct registration *reg = NULL;
	struct host *h = host_at(r, &share->locator);
	json_t *j = json_object();

	json_object_set_new(j, "locator", sf_json_addr(&share->locator));
	json_object_set_new(j, "weight", sf_json_number(share->weight));
	json_object_set_new(j, "slots", sf_json_number(share->slots));
	json_object_set_new(j, "local", json_boolean(share->local));
	if (!h)
		return j;
	json_object_set_new(j, "host", sf_json_sid(&h->identity));
	json_object_set_new(j, "host_name", sf_json_name(h->name));
	reg = registration_find(h, &s->key);
	if (reg) {
		json_object_set_new(j, "since", sf_json_time(reg->since_wall_ms));
		json_object_set_new(j, "flows", sf_json_number(reg->flows));
		json_object_set_new(j, "packets", sf_json_number(reg->packets));
		json_object_set_new(j, "bytes", sf_json_number(reg->bytes));
	}
	return j;
}

static json_t *service_json(struct router *r, struct service *s)
{
	struct rules_share *shares = calloc(SHARES_MAX, sizeof(*shares));
	const char *name = sf_nametable_find(&r->names, &s->key.sid);
	json_t *j = json_object(), *list = json_array();
	uint32_t n = shares ? rules_shares(r, s, shares, SHARES_MAX) : 0;

	json_object_set_new(j, "service", sf_json_sid(&s->key.sid));
	json_object_set_new(j, "name", sf_json_name(name));
	json_object_set_new(j, "proto", json_string(sf_proto_name(s->key.proto)));
	json_object_set_new(j, "port", json_integer(ntohs(s->key.port)));
	json_object_set_new(j, "slots", sf_json_number(s->rule.size));
	json_object_set_new(j, "sticky", json_boolean(s->rule.flags & SF_RULE_STICKY));
	json_object_set_new(j, "by_controller", json_boolean(s->has_given));
	for (uint32_t i = 0; i < n && i < SHARES_MAX; i++)
		json_array_append_new(list, share_json(r, s, &shares[i]));
	json_object_set_new(j, "instances", list);
	free(shares);
	return j;
}

static int get_services(struct sf_http_req *req, json_t **reply, void *ctx)
{
	const char *text = sf_http_query(req, "service"), *why;
	uint64_t limit, offset, at = 0;
	struct router *r = ctx;
	struct sf_sid sid;
	json_t *list;
	int status = sf_http_query_number(req, "limit", LIMIT_MAX, LIMIT_DEFAULT, &limit, reply);

	if (!status)
		status = sf_http_query_number(req, "offset", UINT32_MAX, 0, &offset, reply);
	if (status)
		return status;
	if (text && sf_sid_parse(&r->place.net, text, sf_sha256, &sid, &why))
		return sf_http_fail(reply, 400, why, "service", "a name, serviceID or address");
	list = json_array();
	for (struct service *s = rules_first(r); s; s = s->hh.next) {
		if (text && !sf_sid_eq(&s->key.sid, &sid))
			continue;
		if (at++ < offset || json_array_size(list) >= limit)
			continue;
		json_array_append_new(list, service_json(r, s));
	}
	*reply = json_pack("{s:o, s:I}", "services", list, "total", (json_int_t)at);
	return 200;
}

static int get_names(struct sf_http_req *req, json_t **reply, void *ctx)
{
	*reply = json_pack("{s:o}", "names", sf_nametable_json(&((struct router *)ctx)->names));
	return 200;
}

/* ---- routes, counters, events ---- */

static void add_route(const struct route_view *v, void *ctx)
{
	json_t *j = json_object();

	json_object_set_new(j, "prefix", sf_json_addr(&v->prefix));
	json_object_set_new(j, "len", json_integer(v->len));
	json_object_set_new(j, "via", sf_json_addr(&v->via));
	json_object_set_new(j, "up", json_boolean(v->up));
	json_array_append_new(ctx, j);
}

static int get_routes(struct sf_http_req *req, json_t **reply, void *ctx)
{
	json_t *list = json_array();

	routes_each(ctx, add_route, list);
	*reply = json_pack("{s:o}", "routes", list);
	return 200;
}

static int get_counters(struct sf_http_req *req, json_t **reply, void *ctx)
{
	struct router *r = ctx;
	struct sf_datapath_counts counts = control_counts(r);
	json_t *refused = json_object(), *control;

	for (unsigned int i = 1; i < SF_REASON_MAX; i++)
		if (r->stats.refused[i])
			json_object_set_new(refused, sf_reason_name(i),
					    sf_json_number(r->stats.refused[i]));
	control = json_pack("{s:o, s:I, s:I, s:I, s:I, s:I}", "refused", refused, "joins",
			    (json_int_t)r->stats.joins, "leaves", (json_int_t)r->stats.leaves,
			    "registrations", (json_int_t)r->stats.registrations, "unregistrations",
			    (json_int_t)r->stats.unregistrations, "messages",
			    (json_int_t)r->stats.messages);
	*reply = sf_datapath_json(&counts);
	json_object_set_new(*reply, "control", control);
	return 200;
}

static int get_events(struct sf_http_req *req, json_t **reply, void *ctx)
{
	return sf_events_get(((struct router *)ctx)->events, req, reply);
}

static int get_metrics(struct sf_http_req *req, json_t **reply, void *ctx)
{
	size_t len = 0;
	char *text = metrics_text(ctx, &len);

	return sf_metrics_reply(req, reply, text, len);
}

static const struct sf_http_route http_routes[] = {
	{ "GET", "/v1/status", get_status, "who and where this router is, its links, controller" },
	{ "GET", "/v1/hosts", get_hosts, "hosts that are here (?all=1: all with an address)" },
	{ "GET", "/v1/services", get_services,
	  "services and their instances (?service=, ?limit=, ?offset=)" },
	{ "GET", "/v1/names", get_names, "names of services, as hosts here call them" },
	{ "GET", "/v1/routes-to", get_routes, "routes to other routers" },
	{ "GET", "/v1/counters", get_counters, "packets and messages, by name" },
	{ "GET", "/v1/events", get_events, "recent events (?since=ID, ?limit=, ?follow=1)" },
	{ "GET", "/metrics", get_metrics, "Prometheus metrics" },
	{ 0 },
};

int control_open(struct router *r, char *err, size_t errlen)
{
	struct control *c = calloc(1, sizeof(*c));
	char path[4096];
	int ret;

	if (!c)
		return sf_errtext(err, errlen, -ENOMEM, "out of memory");
	r->control = c;
	snprintf(path, sizeof(path), "%s/router.sock", r->config.run);
	ret = sf_http_new(r->base, http_routes, NULL, r, &c->http, err, errlen);
	if (ret)
		return ret;
	return sf_http_listen_unix(c->http, path, 0660, sf_http_group(r->config.socket_group), err,
				   errlen);
}

void control_close(struct router *r)
{
	if (!r->control)
		return;
	sf_http_free(r->control->http);
	free(r->control);
	r->control = NULL;
}
