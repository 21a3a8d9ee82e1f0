// SPDX-License-Identifier: Apache-2.0
/* rest.c - REST: the server, and what is not about services (those are in rest_services.c). */
#include "controller/rest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <utlist.h>

#include "controller/blocks.h"
#include "controller/events.h"
#include "controller/hostnames.h"
#include "controller/hosts.h"
#include "controller/metrics.h"
#include "controller/policies.h"
#include "controller/routers.h"
#include "controller/services.h"
#include "core/flow.h"
#include "util/clock.h"
#include "util/crypto.h"
#include "util/file.h"
#include "util/json.h"
#include "util/metrics.h"

#define PAGE	     1000 /* hosts, services in one reply */
#define PAGE_MAX     100000
#define EVENTS_PAGE  100
#define EVENTS_MAX   10000
#define SHARED_MAX   16	  /* names that several hosts have, in the status */
#define FOLLOW_BATCH 1000 /* events for one follower in one turn */

struct follower {
	struct rest *rest;
	struct sf_http_req *req;
	uint64_t last; /* id of the last event sent */
	bool gone;
	struct follower *prev, *next;
};

struct rest {
	struct controller *c;
	struct sf_http *http;
	SSL_CTX *tls;
	struct follower *followers;
	struct rest_backup *backup;
};

struct controller *rest_controller(void *ctx)
{
	return ((struct rest *)ctx)->c;
}

struct rest_backup *rest_backup_of(void *ctx)
{
	return ((struct rest *)ctx)->backup;
}

/* ---- replies ------------------------------------------------------------------------------- */

int rest_internal(struct controller *c, json_t **reply, int error, const char *what)
{
	char text[256];

	if (error == -ENOMEM)
		return sf_http_fail(reply, 500, "no memory", what, NULL);
	snprintf(text, sizeof(text), "%s: %s (%s)", what, strerror(-error), store_error(c->store));
	return sf_http_fail(reply, 500, text, NULL, NULL);
}

/* ---- status, metrics ----------------------------------------------------------------------- */

/* The first few: whoever sees them looks at the hosts. */
static json_t *json_shared_names(const struct controller *c)
{
	json_t *list = json_array();

	for (const struct hostname *n = c->hostnames; n; n = n->hh.next) {
		uint32_t identities = n->n > 1 ? hostname_identities(n) : 1;

		if (identities > 1)
			json_array_append_new(list, json_pack("{s:s, s:I}", "name", n->text,
							      "hosts", (json_int_t)identities));
		if (json_array_size(list) == SHARED_MAX)
			break;
	}
	return list;
}

static int get_status(struct sf_http_req *req, json_t **reply, void *ctx)
{
	struct controller *c = rest_controller(ctx);
	const struct sf_net *net = &c->config->net;
	struct sf_addr as = sf_locator(net, 0, 0);
	struct sf_addr service = { .w = { net->service } };
	unsigned int connected = 0;

	for (struct router *r = c->routers; r; r = r->hh.next)
		connected += r->session != NULL;
	*reply = json_pack(
		"{s:s, s:I, s:I, s:b, s:I, s:o, s:I, s:o, s:o, s:{s:I, s:I, s:I}, s:I, s:I, s:I, "
		"s:I, s:I, s:I, s:I, s:s, s:o}",
		"version", SF_VERSION, "term", (json_int_t)c->term, "number", (json_int_t)c->number,
		"settled", c->settled, "awaited_routers", (json_int_t)c->awaited, "started",
		sf_json_time(c->started_wall), "uptime_ms", (json_int_t)(c->clock() - c->started),
		"as_prefix", sf_json_prefix(&as, 48), "service_prefix",
		sf_json_prefix(&service, 32), "routers", "known",
		(json_int_t)HASH_COUNT(c->routers), "connected", (json_int_t)connected, "blocks",
		(json_int_t)blocks_used(c->blocks), "hosts", (json_int_t)HASH_COUNT(c->hosts),
		"services", (json_int_t)HASH_COUNT(c->services), "endpoints",
		(json_int_t)HASH_COUNT(c->endpoints), "instances",
		(json_int_t)HASH_COUNT(c->instances), "policies",
		(json_int_t)HASH_COUNT(c->policies), "registrations_total",
		(json_int_t)c->stats.registrations, "last_event",
		(json_int_t)events_last(c->events), "store", store_path(c->store), "shared_names",
		json_shared_names(c));
	return 200;
}

static int get_metrics(struct sf_http_req *req, json_t **reply, void *ctx)
{
	size_t len = 0;
	char *text = metrics_text(rest_controller(ctx), &len);

	return sf_metrics_reply(req, reply, text, len);
}

/* ---- routers ------------------------------------------------------------------------------- */

static json_t *json_blocks(const struct controller *c, const struct router *r)
{
	struct lease leases[BLOCKS_LEASES_MAX];
	unsigned int n = blocks_of(c->blocks, &r->id, leases, BLOCKS_LEASES_MAX);
	json_t *list = json_array();

	for (unsigned int i = 0; i < n && i < BLOCKS_LEASES_MAX; i++) {
		struct sf_addr a = sf_locator(&c->config->net, (uint32_t)leases[i].first << 16, 0);

		json_array_append_new(list, json_pack("{s:i, s:i, s:o}", "first", leases[i].first,
						      "count", leases[i].count, "prefix",
						      sf_json_prefix(&a, 64)));
	}
	return list;
}

static json_t *json_router(const struct controller *c, const struct router *r)
{
	json_t *roles = json_array();
	uint64_t left = 0;

	if (r->roles & SF_ROLE_ACCESS)
		json_array_append_new(roles, json_string("access"));
	if (r->roles & SF_ROLE_SERVICE)
		json_array_append_new(roles, json_string("service"));
	if (!r->session) {
		uint64_t gone = r->lost + c->config->router_lease_ms;

		left = gone > c->clock() ? gone - c->clock() : 0;
	}
	return json_pack(
		"{s:o, s:o, s:o, s:o, s:b, s:b, s:b, s:b, s:o, s:o, s:o, s:o, s:I, s:{s:I, s:I}, "
		"s:I, s:I, s:o, s:I}",
		"id", sf_json_sid(&r->id), "name", sf_json_name(r->name), "address",
		sf_json_addr(&r->addr), "roles", roles, "connected", r->session != NULL, "synced",
		r->synced, "behind", r->behind, "awaited", r->awaited, "since",
		sf_json_time(r->changed_ms), "peer",
		r->session ? json_string(r->session->peer) : json_null(), "certificate",
		sf_json_name(r->cn), "blocks", json_blocks(c, r), "hosts", (json_int_t)r->n_hosts,
		"applied", "term", (json_int_t)sf_be32(r->applied.term), "number",
		(json_int_t)sf_be32(r->applied.number), "told", (json_int_t)r->told, "queued_bytes",
		(json_int_t)(r->session ? r->session->ops->queued(r->session->io) : 0), "rtt_ms",
		r->session ? json_integer(r->rtt_ms) : json_null(), "lease_left_ms",
		(json_int_t)left);
}

static int get_routers(struct sf_http_req *req, json_t **reply, void *ctx)
{
	struct controller *c = rest_controller(ctx);
	json_t *list = json_array();

	for (const struct router *r = c->routers; r; r = r->hh.next)
		json_array_append_new(list, json_router(c, r));
	*reply = json_pack("{s:o}", "routers", list);
	return 200;
}

static int delete_router(struct sf_http_req *req, json_t **reply, void *ctx)
{
	struct controller *c = rest_controller(ctx);
	const char *text = sf_http_param(req, "router");
	unsigned int n;
	struct router *r = router_lookup(c, text, &n);
	int ret;

	if (!r)
		return sf_http_fail(reply, 404, "no such router", text,
				    "a name or id of GET "
				    "/v1/routers");
	if (n > 1)
		return sf_http_fail(reply, 409, "several routers have this name", text, "an id");
	ret = router_forget(c, r);
	if (ret == -EBUSY)
		return sf_http_fail(reply, 409, "the router is connected", text,
				    "one that is lost");
	return ret ? rest_internal(c, reply, ret, "store") : 200;
}

/* ---- hosts --------------------------------------------------------------------------------- */

/* Of hosts of a router that is lost nothing is known but that they were there. */
static json_t *json_last_seen(const struct host *h)
{
	if (!h->router->session)
		return sf_json_time(h->silent ? h->heard_ms : h->router->changed_ms);
	return h->silent ? sf_json_time(h->heard_ms) : json_null();
}

static const char *host_state(const struct host *h)
{
	return !h->router->session ? "unknown" : h->silent ? "silent" : "present";
}

static json_t *json_host(const struct controller *c, const struct host *h)
{
	struct sf_addr service = sf_service_addr(&c->config->net, &h->identity->sid);

	return json_pack("{s:o, s:o, s:b, s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:I}", "id",
			 sf_json_sid(&h->identity->sid), "name", sf_json_name(h->name),
			 "name_shared", hostname_is_shared(c, h), "state", host_state(h), "standby",
			 h->standby, "last_seen", json_last_seen(h), "address",
			 sf_json_addr(&service), "locator", sf_json_addr(&h->locator), "router",
			 sf_json_sid(&h->router->id), "router_name", sf_json_name(h->router->name),
			 "router_connected", h->router->session != NULL, "joined",
			 sf_json_time(h->joined_ms), "registrations", (json_int_t)h->n_instances);
}

static int get_hosts(struct sf_http_req *req, json_t **reply, void *ctx)
{
	struct controller *c = rest_controller(ctx);
	const char *after = sf_http_query(req, "after");
	const struct host *h = c->hosts;
	json_t *list, *next = json_null();
	struct sf_addr a;
	uint64_t limit;
	int status = sf_http_query_number(req, "limit", PAGE_MAX, PAGE, &limit, reply);

	if (status)
		return status;
	if (after) {
		h = sf_addr_parse(after, &a) ? NULL : host_find(c, &a);
		if (!h)
			return sf_http_fail(reply, 409, "this host has left: begin the list again",
					    "after", "the next of the previous reply");
		h = h->hh.next;
	}
	list = json_array();
	for (; h && limit; h = h->hh.next, limit--) {
		json_array_append_new(list, json_host(c, h));
		if (limit == 1 && h->hh.next) {
			json_decref(next);
			next = sf_json_addr(&h->locator);
		}
	}
	*reply = json_pack("{s:o, s:o}", "hosts", list, "next", next);
	return 200;
}

static int get_host(struct sf_http_req *req, json_t **reply, void *ctx)
{
	struct controller *c = rest_controller(ctx);
	const char *text = sf_http_param(req, "host");
	unsigned int n;
	struct host *h = host_lookup(c, text, &n);
	json_t *list;
	struct instance *in;

	if (!h)
		return sf_http_fail(reply, 404, "no such host", text,
				    "a name, identity or locator of GET /v1/hosts");
	if (n > 1)
		return sf_http_fail(reply, 409, "several hosts match", text, "a locator");
	list = json_array();
	DL_FOREACH2(h->instances, in, host_next)
	{
		const struct sf_service_key *k = &in->key.endpoint->key;
		const char *name = name_find(c, &k->sid);

		json_array_append_new(
			list,
			json_pack("{s:o, s:o, s:s, s:i, s:i, s:s}", "service", sf_json_sid(&k->sid),
				  "name", sf_json_name(name), "proto", sf_proto_name(k->proto),
				  "port", sf_be16(k->port), "weight", (int)instance_given(c, in),
				  "verdict", in->denied ? sf_reason_name(in->denied) : "accepted"));
	}
	*reply = json_host(c, h);
	json_object_set_new(*reply, "services", list);
	return 200;
}

/* ---- events -------------------------------------------------------------------------------- */

static int collect_event(void *ctx, uint64_t id, json_t *event)
{
	return json_array_append(ctx, event) ? -ENOMEM : 0;
}

static int stream_event(void *ctx, uint64_t id, json_t *event)
{
	struct follower *f = ctx;
	int ret = f->gone ? -EPIPE : sf_http_stream_send(f->req, event);

	if (!ret)
		f->last = id;
	return ret;
}

static void follower_gone(struct sf_http_req *req, void *ctx)
{
	struct follower *f = ctx;

	/* Ended by rest_follow(): this may run from within its sending. */
	f->gone = true;
	controller_wake(f->rest->c);
}

static void follower_free(struct follower *f)
{
	DL_DELETE(f->rest->followers, f);
	sf_http_stream_end(f->req);
	free(f);
}

static int follow(struct rest *rest, struct sf_http_req *req, uint64_t since, uint64_t limit,
		  json_t **reply)
{
	struct follower *f = calloc(1, sizeof(*f));

	if (!f)
		return sf_http_fail(reply, 500, "no memory", NULL, NULL);
	f->rest = rest;
	f->req = req;
	f->last = since;
	DL_APPEND(rest->followers, f);
	sf_http_on_gone(req, follower_gone, f);
	if (sf_http_stream_start(req) ||
	    events_each(rest->c, since, (uint32_t)limit, stream_event, f))
		f->gone = true;
	controller_wake(rest->c);
	return SF_HTTP_LATER;
}

static int get_events(struct sf_http_req *req, json_t **reply, void *ctx)
{
	struct rest *rest = ctx;
	uint64_t since, limit, stream;
	json_t *list;
	int status = sf_http_query_number(req, "since", INT64_MAX - 1, 0, &since, reply);

	if (!status)
		status = sf_http_query_number(req, "limit", EVENTS_MAX, EVENTS_PAGE, &limit, reply);
	if (!status)
		status = sf_http_query_number(req, "follow", 1, 0, &stream, reply);
	if (status)
		return status;
	if (stream)
		return follow(rest, req, since, limit, reply);
	list = json_array();
	if (events_each(rest->c, since, (uint32_t)limit, collect_event, list)) {
		json_decref(list);
		return rest_internal(rest->c, reply, -EIO, "events");
	}
	*reply = json_pack("{s:o, s:I}", "events", list, "last",
			   (json_int_t)events_last(rest->c->events));
	return 200;
}

void rest_follow(struct rest *rest)
{
	struct follower *f, *tmp;

	DL_FOREACH_SAFE(rest->followers, f, tmp)
	{
		if (!f->gone && events_each_new(rest->c, f->last, FOLLOW_BATCH, stream_event, f))
			f->gone = true;
		if (f->gone)
			follower_free(f);
		else if (f->last < events_last(rest->c->events))
			controller_wake(rest->c);
	}
}

/* ---- the server ---------------------------------------------------------------------------- */

static const struct sf_http_route routes[] = {
	{ "GET", "/v1/status", get_status, "What runs, its version and counts." },
	{ "GET", "/v1/routers", get_routers, "Routers: connection, sync, blocks." },
	{ "DELETE", "/v1/routers/{router}", delete_router, "Forget a lost router and its blocks." },
	{ "GET", "/v1/hosts", get_hosts, "Hosts that have joined." },
	{ "GET", "/v1/hosts/{host}", get_host, "A host and what it registered." },
	{ "GET", "/v1/services", rest_services, "Services that somebody registered." },
	{ "GET", "/v1/services/{service}", rest_service, "A service and its instances." },
	{ "GET", "/v1/services/{service}/policy", rest_policy_get, "Its policy." },
	{ "PUT", "/v1/services/{service}/policy", rest_policy_put, "Replace its policy." },
	{ "PATCH", "/v1/services/{service}/policy", rest_policy_patch,
	  "Change parts of its policy." },
	{ "DELETE", "/v1/services/{service}/policy", rest_policy_delete, "Drop its policy." },
	{ "PUT", "/v1/services/{service}/instances/{host}/weight", rest_weight,
	  "Weight of one instance." },
	{ "POST", "/v1/services/{service}/instances/{host}/drain", rest_drain,
	  "No new flows to this instance." },
	{ "POST", "/v1/services/{service}/instances/{host}/shed", rest_shed,
	  "No new flows to this instance, and those that are open end." },
	{ "POST", "/v1/services/{service}/instances/{host}/undrain", rest_undrain,
	  "New flows again." },
	{ "GET", "/v1/policies", rest_policies, "All policies." },
	{ "GET", "/v1/names", rest_names, "Names of services." },
	{ "GET", "/v1/names/{name}", rest_name, "What a name stands for." },
	{ "POST", "/v1/names", rest_name_add, "Remember the name of a service." },
	{ "GET", "/v1/events", get_events, "The event log; follow=1 streams." },
	{ "GET", "/v1/backup", rest_backup_get, "The backup that runs, or the last one." },
	{ "POST", "/v1/backup", rest_backup_post, "Write a backup of the store." },
	{ "GET", "/metrics", get_metrics, "For Prometheus." },
	{ 0 },
};

/* The token file's first line. */
static int read_token(const char *path, char *out, size_t len, char *err, size_t errlen)
{
	struct stat st = { 0 };
	char *text = NULL;
	int ret = sf_file_read(path, 4096, &text, NULL);

	if (!ret && stat(path, &st))
		ret = -errno;
	if (ret) {
		free(text);
		snprintf(err, errlen, "rest_token_file: %s: %s", path, strerror(-ret));
		return ret;
	}
	if (st.st_mode & 077) {
		snprintf(err, errlen,
			 "rest_token_file: %s: others may read it (mode %03o), expected 0600", path,
			 st.st_mode & 0777);
		ret = -EACCES;
	}
	text[strcspn(text, "\r\n")] = '\0';
	snprintf(out, len, "%s", text);
	sf_cleanse(text, strlen(text));
	free(text);
	return ret;
}

static int listen_tcp(struct rest *rest, char *err, size_t errlen)
{
	const struct config *cfg = rest->c->config;
	struct sf_tls_files files = { .cert = cfg->tls_cert, .key = cfg->tls_key };
	char token[512];
	int ret = read_token(cfg->rest_token_file, token, sizeof(token), err, errlen);

	if (!ret)
		ret = sf_tls_server(&files, &rest->tls, err, errlen);
	if (!ret)
		ret = sf_http_listen_tcp(rest->http, cfg->rest_listen, rest->tls, token, err,
					 errlen);
	sf_cleanse(token, sizeof(token));
	return ret;
}

int rest_new(struct event_base *base, struct controller *c, struct rest **out, char *err,
	     size_t errlen)
{
	struct rest *rest = calloc(1, sizeof(*rest));
	char path[512];
	int ret;

	if (!rest)
		return -ENOMEM;
	rest->c = c;
	snprintf(path, sizeof(path), "%s/controller.sock", c->config->run);
	ret = rest_backup_new(base, c, &rest->backup);
	if (!ret)
		ret = sf_http_new(base, routes, NULL, rest, &rest->http, err, errlen);
	if (!ret)
		ret = sf_http_listen_unix(rest->http, path, 0660,
					  sf_http_group(c->config->socket_group), err, errlen);
	if (!ret && *c->config->rest_listen)
		ret = listen_tcp(rest, err, errlen);
	if (ret)
		rest_free(rest);
	else
		*out = rest;
	return ret;
}

void rest_free(struct rest *rest)
{
	struct follower *f, *tmp;

	if (!rest)
		return;
	DL_FOREACH_SAFE(rest->followers, f, tmp)
	follower_free(f);
	rest_backup_free(rest->backup);
	sf_http_free(rest->http);
	sf_tls_free(rest->tls);
	free(rest);
}
