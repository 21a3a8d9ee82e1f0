// SPDX-License-Identifier: Apache-2.0
/* control.c - handlers of the local REST socket. */
#include "agent/control.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/host.h"
#include "agent/migrate.h"
#include "agent/peer.h"
#include "agent/trust.h"
#include "core/name.h"
#include "util/cgroup.h"
#include "util/clock.h"
#include "util/http.h"
#include "util/json.h"

#define LIST_LIMIT 1000
#define LIST_MAX   100000
#define GROUPS_MAX 256

/* ---- who may ---------------------------------------------------------------------------- */

/* Nothing here asks the user database, which may take its time. */
bool control_may(const struct host *h, const struct sf_http_req *req)
{
	const struct sf_http_peer *peer = sf_http_peer(req);
	gid_t gids[GROUPS_MAX];
	size_t n;

	if (!peer->local || !peer->uid)
		return peer->local;
	if (policy_in(&h->control.gid, peer->gid) || policy_in(&h->control.members, peer->uid))
		return true;
	n = peer_groups(peer, gids, GROUPS_MAX);
	for (size_t i = 0; i < n; i++)
		if (policy_in(&h->control.gid, gids[i]))
			return true;
	return false;
}

static int forbidden(const struct host *h, json_t **reply)
{
	char expected[128];

	snprintf(expected, sizeof(expected), "root or a member of group %s",
		 h->config.socket_group);
	return sf_http_fail(reply, 403, "not allowed for this user", NULL, expected);
}

int control_allow(const struct host *h, const struct sf_http_req *req, json_t **reply)
{
	return control_may(h, req) ? 0 : forbidden(h, reply);
}

static bool may_run(const struct host *h, const struct sf_http_req *req)
{
	const struct sf_http_peer *peer = sf_http_peer(req);
	struct policy_subject who = { .uid = peer->uid };
	gid_t gids[GROUPS_MAX + 1];
	char group[256];

	if (control_may(h, req))
		return true;
	if (!peer->local)
		return false;
	who.gids = gids;
	gids[0] = peer->gid;
	who.n_gids = 1 + peer_groups(peer, gids + 1, GROUPS_MAX);
	if (!peer_cgroup(peer, group, sizeof(group)))
		who.cgroup = group;
	return !policy_judge(&h->policy, &who);
}

/* ---- arguments -------------------------------------------------------------------------- */

int control_service(const struct host *h, const char *text, struct sf_addr *out, json_t **reply)
{
	struct sf_sid sid;
	const char *why = "";

	if (!text)
		return sf_http_fail(reply, 400, "missing", "service",
				    "a name, serviceID or service address");
	if (sf_sid_parse(&h->net, text, sf_sha256, &sid, &why) || sf_sid_is_zero(&sid))
		return sf_http_fail(reply, 400, *why ? why : "no service", "service",
				    "a name, serviceID or service address");
	*out = sf_service_addr(&h->net, &sid);
	return 0;
}

static int get_key(const struct host *h, const char *service, const char *proto, const char *port,
		   struct registration_key *out, json_t **reply)
{
	struct registration_key key;
	char *end;
	unsigned long number;
	int status;

	memset(&key, 0, sizeof(key));
	status = control_service(h, service, &key.addr, reply);
	if (status)
		return status;
	if (!proto || sf_proto_parse(proto, &key.proto))
		return sf_http_fail(reply, 400, "unknown protocol", "proto", "tcp, udp or any");
	number = port && *port >= '0' && *port <= '9' ? strtoul(port, &end, 10) : 65536;
	if (number > 65535 || *end || (!number) != (!key.proto))
		return sf_http_fail(reply, 400, "bad port", "port",
				    "1 to 65535 (0 with protocol any, and only there)");
	key.port = htons((uint16_t)number);
	*out = key;
	return 0;
}

int control_key(const struct host *h, const struct sf_http_req *req, struct registration_key *out,
		json_t **reply)
{
	return get_key(h, sf_http_param(req, "service"), sf_http_param(req, "proto"),
		       sf_http_param(req, "port"), out, reply);
}

/* ---- status ----------------------------------------------------------------------------- */

static json_t *counts_json(const struct host *h)
{
	const struct registration *r;
	int live = 0, denied = 0, in = 0;

	for (r = h->registry.table; r; r = r->hh.next) {
		live += r->state == SF_LISTENER_LIVE;
		denied += r->state == SF_LISTENER_DENIED;
		in += r->at == AT_IN;
	}
	return json_pack("{s:i, s:i, s:i, s:i}", "total", (int)HASH_COUNT(h->registry.table),
			 "live", live, "denied", denied, "at_router", in);
}

static json_t *router_json(const struct attachment *a)
{
	const struct join *j = &a->join;
	char via[INET6_ADDRSTRLEN], id[64], key[TRUST_KEY_STRLEN];

	if (j->state == JOIN_JOINING)
		return json_null();
	inet_ntop(AF_INET6, &j->router.sin6_addr, via, sizeof(via));
	return json_pack("{s:s, s:s, s:s, s:b, s:i, s:i, s:i, s:I}", "address", via, "id",
			 sf_sid_print(&j->router_id, id), "key",
			 trust_key_print(j->router_key, key), "pinned",
			 a->host->config.router_key.count > 0, "heartbeat_ms", (int)j->heartbeat_ms,
			 "move_grace_ms", (int)j->move_grace_ms, "lease_ms", (int)j->lease_ms,
			 "silent_ms", (json_int_t)(sf_now_ms() - a->session.answered_ms));
}

/* Links on which nobody ever answered and which nobody named are told, too: that is what people
 * look for. */
static json_t *attachments_json(const struct host *h)
{
	json_t *list = json_array();

	attachment_foreach (h, a) {
		bool known = a->join.state != JOIN_JOINING;
		char locator[SF_ADDR_STRLEN];

		json_array_append_new(
			list, json_pack("{s:s, s:s, s:s?, s:s?, s:o, s:b, s:i}", "link",
					a->link.name, "state", attachment_state_name(a), "role",
					a == attachment_primary(h)     ? "primary"
					: a->join.state == JOIN_JOINED ? "standby"
								       : NULL,
					"locator",
					known ? sf_addr_print(&a->join.locator, locator) : NULL,
					"router", router_json(a), "carrier",
					uplink_usable(h, &a->link), "mtu", (int)a->link.mtu));
	}
	return list;
}

static json_t *datapath_json(struct host *h)
{
	char cookie[20];
	json_t *maps = json_object();
	static const char *const names[] = { "flows", "halfopen", "half_udp", "datagrams" };

	snprintf(cookie, sizeof(cookie), "%016llx", (unsigned long long)h->cookie);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		uint64_t bytes = 0;
		int fd = datapath_map(h, names[i]);

		if (fd >= 0 && !sf_bpf_map_memory(fd, &bytes))
			json_object_set_new(maps, names[i],
					    json_pack("{s:I}", "memory", (json_int_t)bytes));
	}
	return json_pack("{s:s, s:s, s:s, s:b, s:i, s:i, s:o}", "namespace", cookie, "dir",
			 h->datapath.dir, "attached",
			 datapath_is_attached(h) ? sf_bpf_how_name(h->datapath.how) : "none",
			 "adopted", h->datapath.adopted, "layout", SF_HOST_LAYOUT, "hooks_layout",
			 SF_HOOKS_LAYOUT, "maps", maps);
}

/* What is said of the host's uplink is said of the primary one. */
static void put_primary(json_t *o, const struct host *h)
{
	const struct attachment *a = attachment_primary(h);
	bool known = a && a->join.state != JOIN_JOINING;
	char locator[SF_ADDR_STRLEN];

	json_object_set_new(o, "state",
			    json_string(join_state_name(a ? a->join.state : JOIN_JOINING)));
	json_object_set_new(o, "joined", json_boolean(a && a->join.state == JOIN_JOINED));
	json_object_set_new(o, "locator",
			    known ? json_string(sf_addr_print(&a->join.locator, locator))
				  : json_null());
	json_object_set_new(o, "uplink", known ? json_string(a->link.name) : json_null());
	json_object_set_new(o, "router", known ? router_json(a) : json_null());
	if (known) {
		json_object_set_new(o, "uplink_mtu", json_integer(a->link.mtu));
		json_object_set_new(o, "uplink_carrier", json_boolean(uplink_usable(h, &a->link)));
	}
	sf_json_set_net(o, &h->net);
	if (!known)
		json_object_set_new(o, "as_prefix", json_null());
	json_object_set_new(o, "uplinks", attachments_json(h));
}

static int get_status(struct sf_http_req *req, json_t **reply, void *ctx)
{
	struct host *h = ctx;
	char identity[64], self[SF_ADDR_STRLEN];

	*reply = json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:I, s:I}", "name", h->name,
			   "version", SF_VERSION, "id", sf_sid_print(&h->identity, identity),
			   "address", sf_addr_print(&h->self, self), "kind", "host", "datapath",
			   datapath_json(h), "registrations", counts_json(h), "features",
			   sf_json_features(h->features, h->n_features), "uptime_ms",
			   (json_int_t)(sf_now_ms() - h->started_ms), "flows_freed",
			   (json_int_t)h->flows.freed);
	if (!*reply)
		return sf_http_fail(reply, 500, "no memory", NULL, NULL);
	put_primary(*reply, h);
	return 200;
}

/* ---- flows ------------------------------------------------------------------------------ */

static int get_flows(struct sf_http_req *req, json_t **reply, void *ctx)
{
	struct host *h = ctx;
	const char *service = sf_http_query(req, "service"), *state = sf_http_query(req, "state");
	struct flow_filter filter = { .state = 0 };
	struct sf_addr addr;
	uint64_t limit;
	size_t total = 0;
	json_t *list;
	int status;

	if (service) {
		status = control_service(h, service, &addr, reply);
		if (status)
			return status;
		filter.service = &addr;
	}
	for (int i = 1; state && !filter.state && i < SF_FLOW_STATES; i++)
		if (!strcmp(state, sf_flow_state_name((unsigned int)i)))
			filter.state = i;
	if (state && !filter.state)
		return sf_http_fail(reply, 400, "unknown state", "state",
				    "connecting, opening, half-open, bound, closing or datagram");
	status = sf_http_query_number(req, "limit", LIST_MAX, LIST_LIMIT, &limit, reply);
	if (status)
		return status;
	filter.limit = limit;
	list = flows_list(h, &filter, &total);
	if (!list)
		return sf_http_fail(reply, 500, "the flow table cannot be read", NULL, NULL);
	*reply = json_pack("{s:o, s:I}", "flows", list, "total", (json_int_t)total);
	return 200;
}

/* ---- services --------------------------------------------------------------------------- */

static json_t *service_json(struct host *h, const struct registration *r)
{
	struct sf_sid sid = registration_sid(&r->key);
	struct sf_listener_key key = host_key(h, &r->key);
	const struct flow_load *load = flows_load_of(h, &r->key);
	struct sf_listener l = { .sockets = r->sockets };
	char service[64], address[SF_ADDR_STRLEN];

	hooks_get(h, &key, &l);
	return json_pack(
		"{s:s, s:s?, s:s, s:s, s:i, s:s, s:s, s:s, s:s?, s:s?, s:b, s:i, s:I, s:i, "
		"s:s, s:I, s:I, s:I, s:I, s:o}",
		"service", sf_sid_print(&sid, service), "name", names_of(h, &sid), "address",
		sf_addr_print(&r->key.addr, address), "proto", sf_proto_name(r->key.proto), "port",
		ntohs(r->key.port), "state",
		r->drained ? "draining" : listener_state_name(r->state), "at_router",
		registration_at_name(r->at), "origin", registration_origin_name(r->origin),
		"reason", r->reason ? sf_reason_name(r->reason) : NULL, "reason_text",
		r->reason ? sf_reason_text(r->reason) : NULL, "wildcard",
		(r->flags & SF_LISTENER_WILDCARD) != 0, "sockets", (int)l.sockets, "uid",
		(json_int_t)r->uid, "pid", (int)r->pid, "program", r->comm, "flows",
		(json_int_t)l.flows, "open", (json_int_t)(load ? load->open : 0), "packets",
		(json_int_t)(load ? load->packets : 0), "bytes",
		(json_int_t)(load ? load->bytes : 0), "since", sf_json_time(r->since_ms));
}

static int get_services(struct sf_http_req *req, json_t **reply, void *ctx)
{
	struct host *h = ctx;
	json_t *list = json_array();
	const struct registration *r;

	flows_load(h);
	for (r = h->registry.table; r; r = r->hh.next)
		json_array_append_new(list, service_json(h, r));
	*reply = json_pack("{s:o}", "services", list);
	return 200;
}

/* A field of the body as text, numbers included. */
static const char *body_text(const json_t *body, const char *key, char *buf, size_t len)
{
	const json_t *v = json_object_get(body, key);

	if (json_is_integer(v)) {
		snprintf(buf, len, "%lld", (long long)json_integer_value(v));
		return buf;
	}
	return json_string_value(v);
}

static int post_service(struct sf_http_req *req, json_t **reply, void *ctx)
{
	struct host *h = ctx;
	const json_t *body = sf_http_body(req);
	const struct sf_http_peer *peer = sf_http_peer(req);
	struct registration_key key = { 0 };
	struct sf_socket_event who = { .uid = 0 };
	struct registration *r;
	char buf[32];
	bool live;
	int status;

	if (!control_may(h, req))
		return forbidden(h, reply);
	status = get_key(h, json_string_value(json_object_get(body, "service")),
			 json_string_value(json_object_get(body, "proto")),
			 body_text(body, "port", buf, sizeof(buf)), &key, reply);
	if (status)
		return status;
	r = registry_find(&h->registry, &key);
	if (r && r->origin != ORIGIN_MANUAL)
		return sf_http_fail(reply, 409, "already registered by a socket of its own",
				    "service", NULL);
	names_learn(h, json_string_value(json_object_get(body, "service")));
	live = !key.port || sockets_on_wildcard(h, key.proto, key.port, &who);
	if (!live)
		who.uid = peer->uid;
	r = registry_add(&h->registry, &key, ORIGIN_MANUAL, &who, live);
	if (!r)
		return sf_http_fail(reply, 500, "no memory", NULL, NULL);
	sockets_hurry(h);
	*reply = service_json(h, r);
	return 201;
}

static int delete_service(struct sf_http_req *req, json_t **reply, void *ctx)
{
	struct host *h = ctx;
	struct registration_key key = { 0 };
	struct registration *r;
	int status;

	if (!control_may(h, req))
		return forbidden(h, reply);
	status = control_key(h, req, &key, reply);
	if (status)
		return status;
	r = registry_find(&h->registry, &key);
	if (!r || !r->state)
		return sf_http_fail(reply, 404, "not registered here", "service", NULL);
	if (r->origin != ORIGIN_MANUAL)
		return sf_http_fail(reply, 409, "registered by a socket, as long as that lives",
				    "service", "one that was registered by hand");
	registry_remove(&h->registry, r);
	return 200;
}

/* ---- runs ------------------------------------------------------------------------------- */

static json_t *run_json(const struct host *h, const struct run *r)
{
	struct sf_sid sid = sf_addr_sid(&r->service);
	char service[64], path[512];

	return json_pack("{s:i, s:s, s:s?, s:s, s:s?, s:I}", "id", (int)r->id, "service",
			 sf_sid_print(&sid, service), "name", names_of(h, &sid), "group", r->group,
			 "path", sf_cgroup_path(r->group, path, sizeof(path)) ? NULL : path, "uid",
			 (json_int_t)r->uid);
}

static int get_runs(struct sf_http_req *req, json_t **reply, void *ctx)
{
	struct host *h = ctx;
	json_t *list = json_array();

	for (const struct run *r = h->runs.list; r; r = r->next)
		json_array_append_new(list, run_json(h, r));
	*reply = json_pack("{s:o}", "runs", list);
	return 200;
}

static int post_run(struct sf_http_req *req, json_t **reply, void *ctx)
{
	struct host *h = ctx;
	const json_t *body = sf_http_body(req);
	const struct sf_http_peer *peer = sf_http_peer(req);
	bool move = json_is_true(json_object_get(body, "move"));
	struct sf_addr service;
	struct peer mover;
	struct run *run;
	char err[512];
	int status, ret;

	if (!may_run(h, req))
		return sf_http_fail(reply, 403, sf_reason_text(SF_DENIED_UID), NULL,
				    "a user that [host] allow_uid, allow_gid or allow_cgroup lets "
				    "register");
	status = control_service(h, json_string_value(json_object_get(body, "service")), &service,
				 reply);
	if (status)
		return status;
	if (move && peer_open(peer, &mover))
		return sf_http_fail(reply, 409, "the process that connected is gone", "move",
				    "a process that asks for itself, and lives");
	ret = runs_add(h, &service, peer->uid, move ? &mover : NULL, &run, err, sizeof(err));
	if (move)
		peer_close(&mover);
	if (ret == -EDQUOT)
		return sf_http_fail(reply, 429, err, NULL, "that one of them ends");
	if (ret)
		return sf_http_fail(reply, 500, err, NULL, NULL);
	names_learn(h, json_string_value(json_object_get(body, "service")));
	*reply = run_json(h, run);
	return 201;
}

/* ---- names ------------------------------------------------------------------------------ */

static int get_names(struct sf_http_req *req, json_t **reply, void *ctx)
{
	*reply = json_pack("{s:o}", "names", sf_nametable_json(&((struct host *)ctx)->names.table));
	return 200;
}

/* The scaffold command tells each name that it is given. */
static int post_name(struct sf_http_req *req, json_t **reply, void *ctx)
{
	struct host *h = ctx;
	const char *text = json_string_value(json_object_get(sf_http_body(req), "name"));
	char called[SF_NAME_TEXT], sid_text[64];
	struct sf_name name;
	struct sf_sid sid;
	const char *why = "missing";

	if (!may_run(h, req))
		return forbidden(h, reply);
	if (!text || strchr(text, ':') || sf_name_parse(text, &name, &why))
		return sf_http_fail(reply, 400, why, "name", "a name such as web or web@2a");
	if (sf_name_sid(&name, sf_sha256, &sid))
		return sf_http_fail(reply, 500, "the name's digest could not be made", NULL, NULL);
	names_learn(h, text);
	*reply = json_pack("{s:s, s:s}", "name", sf_name_print(&name, called), "id",
			   sf_sid_print(&sid, sid_text));
	return 200;
}

/* ---- counters, events, metrics ---------------------------------------------------------- */

static int get_counters(struct sf_http_req *req, json_t **reply, void *ctx)
{
	struct host *h = ctx;
	struct sf_datapath_counts counts = control_counts(h);
	struct control_talk talk = control_talk(h);
	json_t *control = json_pack("{s:I, s:I, s:I, s:I}", "sent", (json_int_t)talk.sent,
				    "received", (json_int_t)talk.received, "repeated",
				    (json_int_t)talk.repeated, "bad", (json_int_t)talk.bad);

	*reply = sf_datapath_json(&counts);
	json_object_set_new(*reply, "control", control);
	return 200;
}

static int get_events(struct sf_http_req *req, json_t **reply, void *ctx)
{
	return sf_events_get(((struct host *)ctx)->events, req, reply);
}

static int get_metrics(struct sf_http_req *req, json_t **reply, void *ctx)
{
	size_t len = 0;
	char *text = metrics_text(ctx, &len);

	return sf_metrics_reply(req, reply, text, len);
}

static const struct sf_http_route routes[] = {
	{ "GET", "/v1/status", get_status, "the host: identity, locator, router, datapath" },
	{ "GET", "/v1/flows", get_flows, "flows: ?service=&state=&limit=" },
	{ "GET", "/v1/services", get_services, "what is registered here, or denied" },
	{ "POST", "/v1/services", post_service, "register by hand: {service, proto, port}" },
	{ "DELETE", "/v1/services/{service}/{proto}/{port}", delete_service,
	  "take a registration by hand back" },
	{ "POST", "/v1/services/{service}/{proto}/{port}/drain", shed_post_drain,
	  "no new flows here; any and 0: on all ports" },
	{ "POST", "/v1/services/{service}/{proto}/{port}/undrain", shed_post_undrain,
	  "new flows again" },
	{ "POST", "/v1/services/{service}/{proto}/{port}/shed", shed_post,
	  "no new flows here, and those that are open end now" },
	{ "GET", "/v1/runs", get_runs, "control groups of scaffold run" },
	{ "POST", "/v1/runs", post_run,
	  "a control group for a service: {service, move: the asking process into it}" },
	{ "GET", "/v1/moves", migrate_get, "how many flows move just now" },
	{ "POST", "/v1/migrate", migrate_post,
	  "flows move: {flow: ID | service | all: true, to: interface}" },
	{ "GET", "/v1/lookup/{service}", lookup_get, "what a service is registered for" },
	{ "GET", "/v1/names", get_names, "names of services that were used here" },
	{ "POST", "/v1/names", post_name, "remember one: {name}" },
	{ "GET", "/v1/counters", get_counters, "drops by reason, traffic by kind" },
	{ "GET", "/v1/events", get_events, "recent events (?since=ID, ?limit=, ?follow=1)" },
	{ "GET", "/metrics", get_metrics, "Prometheus" },
	{ NULL, NULL, NULL, NULL },
};

int control_open(struct host *h, char *err, size_t errlen)
{
	int ret = policy_group(h->config.socket_group, &h->control.gid, &h->control.members);

	if (ret) {
		snprintf(err, errlen, "no memory");
		return ret;
	}
	ret = sf_http_new(h->daemon.base, routes, NULL, h, &h->control.http, err, errlen);
	if (ret)
		return ret;
	snprintf(h->control.path, sizeof(h->control.path), "%s/agent.sock", h->config.run);
	/* Readable for all; control_may() says who may do more. */
	return sf_http_listen_unix(h->control.http, h->control.path, 0666, NULL, err, errlen);
}

void control_close(struct host *h)
{
	sf_http_free(h->control.http);
	free(h->control.gid.items);
	free(h->control.members.items);
	memset(&h->control, 0, sizeof(h->control));
}
