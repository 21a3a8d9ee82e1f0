// SPDX-License-Identifier: Apache-2.0
/* rest_services.c - REST: services, policies, names. */
#include "controller/rest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "controller/events.h"
#include "controller/hostnames.h"
#include "controller/hosts.h"
#include "controller/policies.h"
#include "controller/routers.h"
#include "controller/services.h"
#include "controller/shed.h"
#include "core/flow.h"
#include "core/name.h"
#include "util/crypto.h"
#include "util/json.h"

#define PAGE	 1000
#define PAGE_MAX 100000

/* ---- the {service} of a path --------------------------------------------------------------- */

struct asked {
	struct sf_sid sid;
	char name[SF_NAME_TEXT]; /* canonical, if it was asked for by name; else "" */
};

static int parse_service(struct controller *c, const char *text, struct asked *out,
			 const char **why)
{
	struct sf_name name;

	out->name[0] = '\0';
	if (sf_sid_parse(&c->config->net, text, sf_sha256, &out->sid, why))
		return -EINVAL;
	if (strchr(text, ':') || sf_name_parse(text, &name, why))
		return 0;
	sf_name_print(&name, out->name);
	return 0;
}

static int asked_service(struct sf_http_req *req, json_t **reply, void *ctx, struct asked *out)
{
	const char *text = sf_http_param(req, "service");
	const char *why = "not a service";

	if (!parse_service(rest_controller(ctx), text, out, &why))
		return 0;
	return sf_http_fail(reply, 400, why, text,
			    "a name, a serviceID (ssid:local) or a service address");
}

/* Lists show the name by which people asked. A failure costs only that. */
static void learn(struct controller *c, const struct asked *a)
{
	if (*a->name)
		name_learn(c, &a->sid, a->name);
}

/* ---- JSON ---------------------------------------------------------------------------------- */

static json_t *json_load(const struct load *l)
{
	return json_pack("{s:I, s:I, s:I}", "flows", (json_int_t)l->flows, "packets",
			 (json_int_t)l->packets, "bytes", (json_int_t)l->bytes);
}

/* Why an instance takes new flows or not. */
static const char *state_of(const struct controller *c, const struct instance *in)
{
	const struct policy *p = policy_of(c, &in->key.endpoint->key.sid);
	const struct policy_host *h = policy_find(p, in->key.host->identity->text);

	if (in->denied)
		return "denied";
	if (p && !p->enabled)
		return "disabled";
	if (h && h->draining)
		return "draining";
	return in->weight ? "serving" : "weight-0";
}

/* What the tables of service routers make of the weights. NULL without memory. */
struct shares {
	int size; /* slots in all; 0: nobody takes flows; negative: not known */
	__u32 *slots;
};

static struct shares shares_of(const struct endpoint *ep)
{
	struct sf_instance *list = calloc(ep->n_instances + 1, sizeof(*list));
	struct shares s = { .size = -ENOMEM, .slots = calloc(ep->n_instances + 1, sizeof(__u32)) };
	const struct instance *in;
	__u32 n = 0;

	if (list && s.slots) {
		DL_FOREACH(ep->instances, in)
		{
			list[n].dst = in->key.host->locator;
			list[n++].weight = in->denied ? 0 : in->weight;
		}
		s.size = sf_table_shares(list, n, s.slots);
	}
	free(list);
	return s;
}

static json_t *json_share(const struct shares *s, unsigned int at)
{
	if (s->size < 0)
		return json_null();
	return json_real(s->size ? (double)s->slots[at] / s->size : 0.0);
}

static json_t *json_instance(const struct controller *c, const struct instance *in, json_t *share)
{
	const struct host *h = in->key.host;

	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:b, s:i, s:o, s:i, s:s, s:o, s:o, s:o, s:I}",
			 "host", sf_json_sid(&h->identity->sid), "host_name", sf_json_name(h->name),
			 "locator", sf_json_addr(&h->locator), "router",
			 sf_json_sid(&h->router->id), "router_name", sf_json_name(h->router->name),
			 "router_connected", h->router->session != NULL, "weight",
			 (int)instance_given(c, in), "share", share, "wish", in->wish, "state",
			 state_of(c, in), "reason",
			 in->denied ? json_string(sf_reason_name(in->denied)) : json_null(),
			 "since", sf_json_time(in->since_ms), "load", json_load(&in->load), "open",
			 (json_int_t)in->open);
}

static json_t *json_endpoint(const struct controller *c, const struct endpoint *ep, bool full)
{
	json_t *list = full ? json_array() : NULL;
	struct shares shares = { .size = -ENODATA };
	unsigned int serving = 0;
	unsigned int weight = 0;
	unsigned int at = 0;
	struct instance *in;
	json_t *o;

	if (full)
		shares = shares_of(ep);

	DL_FOREACH(ep->instances, in)
	{
		if (!in->denied && in->weight) {
			serving++;
			weight += in->weight;
		}
		if (full)
			json_array_append_new(list,
					      json_instance(c, in, json_share(&shares, at++)));
	}
	o = json_pack("{s:s, s:i, s:I, s:I, s:I, s:I}", "proto", sf_proto_name(ep->key.proto),
		      "port", sf_be16(ep->key.port), "registered", (json_int_t)ep->n_instances,
		      "serving", (json_int_t)serving, "denied", (json_int_t)ep->n_denied, "weight",
		      (json_int_t)weight);
	if (full)
		json_object_set_new(o, "instances", list);
	free(shares.slots);
	return o;
}

/* @s may be NULL: a service with a policy that nobody has registered. */
static json_t *json_service(const struct controller *c, const struct sf_sid *sid,
			    const struct service *s, bool full)
{
	const struct policy *p = policy_of(c, sid);
	const char *name = name_find(c, sid);
	struct sf_addr a = sf_service_addr(&c->config->net, sid);
	static const struct load none;
	json_t *list = json_array();
	struct endpoint *ep;
	json_t *o;

	if (s) {
		DL_FOREACH2(s->endpoints, ep, service_next)
		{
			if (ep->n_instances)
				json_array_append_new(list, json_endpoint(c, ep, full));
		}
	}
	o = json_pack("{s:o, s:o, s:o, s:b, s:b, s:b, s:o, s:o}", "id", sf_json_sid(sid), "name",
		      name ? sf_json_text(name) : json_null(), "address", sf_json_addr(&a),
		      "enabled", !p || p->enabled, "sticky", p && p->sticky, "has_policy",
		      p != NULL, "endpoints", list, "load", json_load(s ? &s->load : &none));
	if (full)
		json_object_set_new(o, "policy", p ? policy_json(p) : json_null());
	return o;
}

/* ---- services ------------------------------------------------------------------------------ */

int rest_services(struct sf_http_req *req, json_t **reply, void *ctx)
{
	struct controller *c = rest_controller(ctx);
	const char *after = sf_http_query(req, "after");
	const struct service *s = c->services;
	json_t *list, *next = json_null();
	uint64_t limit, hosts, full;
	struct sf_sid sid;
	const char *why;
	int status = sf_http_query_number(req, "limit", PAGE_MAX, PAGE, &limit, reply);

	if (!status)
		status = sf_http_query_number(req, "hosts", 1, 0, &hosts, reply);
	if (!status)
		status = sf_http_query_number(req, "full", 1, 0, &full, reply);
	if (status)
		return status;
	if (after) {
		s = sf_sid_parse(&c->config->net, after, sf_sha256, &sid, &why)
			    ? NULL
			    : service_find(c, &sid);
		if (!s)
			return sf_http_fail(reply, 409,
					    "this service is gone: begin the list again", "after",
					    "the next of the previous reply");
		s = s->hh.next;
	}
	list = json_array();
	for (; s && limit; s = s->hh.next) {
		if (sid_is_host(&s->sid) && !hosts)
			continue;
		json_array_append_new(list, json_service(c, &s->sid, s, full));
		limit--;
		if (!limit && s->hh.next) {
			json_decref(next);
			next = sf_json_sid(&s->sid);
		}
	}
	*reply = json_pack("{s:o, s:o}", "services", list, "next", next);
	return 200;
}

int rest_service(struct sf_http_req *req, json_t **reply, void *ctx)
{
	struct controller *c = rest_controller(ctx);
	const struct service *s;
	struct asked a;
	char text[SID_TEXT];
	int status = asked_service(req, reply, ctx, &a);

	if (status)
		return status;
	s = service_find(c, &a.sid);
	if (!s && !policy_of(c, &a.sid))
		return sf_http_fail(reply, 404, "nobody has registered this service",
				    sf_sid_print(&a.sid, text), NULL);
	learn(c, &a);
	*reply = json_service(c, &a.sid, s, true);
	return 200;
}

/* ---- policies ------------------------------------------------------------------------------ */

int rest_policies(struct sf_http_req *req, json_t **reply, void *ctx)
{
	struct controller *c = rest_controller(ctx);
	json_t *list = json_array();

	for (const struct policy *p = c->policies; p; p = p->hh.next) {
		const char *name = name_find(c, &p->sid);

		json_array_append_new(list,
				      json_pack("{s:o, s:o, s:o}", "id", sf_json_sid(&p->sid),
						"name", name ? sf_json_text(name) : json_null(),
						"policy", policy_json(p)));
	}
	*reply = json_pack("{s:o}", "policies", list);
	return 200;
}

int rest_policy_get(struct sf_http_req *req, json_t **reply, void *ctx)
{
	struct controller *c = rest_controller(ctx);
	const struct policy *p;
	struct asked a;
	int status = asked_service(req, reply, ctx, &a);

	if (status)
		return status;
	p = policy_of(c, &a.sid);
	if (!p)
		return sf_http_fail(reply, 404, "the service has no policy",
				    sf_http_param(req, "service"), NULL);
	*reply = policy_json(p);
	return 200;
}

static void log_change(struct controller *c, struct sf_http_req *req, const struct sf_sid *sid,
		       const char *what)
{
	struct event_entry e = { .kind = EVENT_POLICY, .service = *sid };

	events_add(c, &e, "%.400s (by %s)", what, sf_http_peer(req)->address);
}

/* Put @p in force and answer with it. Takes @p. */
static int put_policy(struct controller *c, struct sf_http_req *req, const struct asked *a,
		      struct policy *p, json_t **reply)
{
	json_t *json = policy_json(p);
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	int ret;

	ret = text ? policy_put(c, p) : -ENOMEM;
	if (!text)
		policy_free(p);
	if (ret) {
		free(text);
		json_decref(json);
		return rest_internal(c, reply, ret, "policy not stored");
	}
	learn(c, a);
	log_change(c, req, &a->sid, text);
	free(text);
	*reply = json;
	return 200;
}

static int change_policy(struct sf_http_req *req, json_t **reply, void *ctx, bool whole)
{
	struct controller *c = rest_controller(ctx);
	struct policy_error e = { "", "", "" };
	struct naming naming = naming_of(c);
	struct policy *p = NULL;
	struct asked a;
	int status = asked_service(req, reply, ctx, &a);
	int ret;

	if (status)
		return status;
	ret = policy_parse(&a.sid, sf_http_body(req), whole ? NULL : policy_of(c, &a.sid), &naming,
			   &p, &e);
	if (ret == -EINVAL)
		return sf_http_fail(reply, 400, e.what, e.where, e.expected);
	if (ret == -ENOENT || ret == -ENOTUNIQ)
		return sf_http_fail(reply, 409, e.what, e.where, e.expected);
	if (ret)
		return rest_internal(c, reply, ret, "policy");
	return put_policy(c, req, &a, p, reply);
}

int rest_policy_put(struct sf_http_req *req, json_t **reply, void *ctx)
{
	return change_policy(req, reply, ctx, true);
}

int rest_policy_patch(struct sf_http_req *req, json_t **reply, void *ctx)
{
	return change_policy(req, reply, ctx, false);
}

int rest_policy_delete(struct sf_http_req *req, json_t **reply, void *ctx)
{
	struct controller *c = rest_controller(ctx);
	struct asked a;
	int status = asked_service(req, reply, ctx, &a);
	int ret;

	if (status)
		return status;
	ret = policy_delete(c, &a.sid);
	if (ret == -ENOENT)
		return sf_http_fail(reply, 404, "the service has no policy",
				    sf_http_param(req, "service"), NULL);
	if (ret)
		return rest_internal(c, reply, ret, "policy not stored");
	log_change(c, req, &a.sid, "deleted");
	return 200;
}

/* ---- one instance -------------------------------------------------------------------------- */

enum change { SET_WEIGHT, DRAIN, UNDRAIN };

/* Who is meant, in a policy's terms. */
struct meant {
	char identity[HOST_TEXT];
	char name[HOST_TEXT]; /* "" not known */
};

/* The {host} of a path: an identity, or what stands for just one of them now. */
static int asked_host(struct controller *c, struct sf_http_req *req, json_t **reply,
		      const struct sf_sid *service, struct meant *out)
{
	const char *text = sf_http_param(req, "host");
	struct naming naming = naming_of(c);
	const char *why = "not a host";
	struct sf_addr a;
	int ret;

	if (sf_addr_parse(text, &a) == 0 && sf_addr_in_as(&c->config->net, &a)) {
		const struct host *h = host_find(c, &a);

		if (!h)
			return sf_http_fail(reply, 404, "no host is there", text, NULL);
		text = h->identity->text;
	}
	ret = policy_identify(policy_of(c, service), &naming, text, out->identity, out->name, &why);
	if (ret == -EINVAL)
		return sf_http_fail(reply, 400, why, text, "a host's name, identity or locator");
	return ret ? sf_http_fail(reply, ret == -ENOENT ? 404 : 409, why, text,
				  "the host's identity (ssid:local)")
		   : 0;
}

static int parse_weight(struct sf_http_req *req, json_t **reply, int *weight)
{
	json_t *body = sf_http_body(req);
	json_t *v = json_object_get(body, "weight");
	json_int_t n = json_integer_value(v);

	if (!v || json_object_size(body) != 1 || !(json_is_integer(v) || json_is_null(v)) ||
	    n < 0 || n > SF_WEIGHT_MAX)
		return sf_http_fail(reply, 400, "bad weight", "body",
				    "{\"weight\": N} with N from 0 to 1000, or null");
	*weight = json_is_null(v) ? UNSET : (int)n;
	return 0;
}

static int change_instance(struct sf_http_req *req, json_t **reply, void *ctx, enum change change)
{
	struct controller *c = rest_controller(ctx);
	struct naming naming = naming_of(c);
	const struct policy_host *old;
	struct policy_error e;
	struct meant host;
	struct policy *p = NULL;
	json_t *nothing;
	struct asked a;
	int weight = UNSET;
	bool draining = false;
	int status = asked_service(req, reply, ctx, &a);
	int ret;

	if (!status)
		status = asked_host(c, req, reply, &a.sid, &host);
	if (!status && change == SET_WEIGHT)
		status = parse_weight(req, reply, &weight);
	if (status)
		return status;
	nothing = json_object();
	ret = policy_parse(&a.sid, nothing, policy_of(c, &a.sid), &naming, &p, &e);
	json_decref(nothing);
	if (ret)
		return rest_internal(c, reply, -ENOMEM, "policy");
	old = policy_find(p, host.identity);
	if (old) {
		draining = old->draining;
		weight = change == SET_WEIGHT ? weight : old->weight;
	}
	draining = change == SET_WEIGHT ? draining : change == DRAIN;
	ret = policy_set_host(p, host.identity, host.name, weight, draining);
	if (ret) {
		policy_free(p);
		return ret == -ENOSPC ? sf_http_fail(reply, 409, "the policy is full",
						     host.identity, "at most 65536 hosts")
				      : rest_internal(c, reply, ret, "policy");
	}
	return put_policy(c, req, &a, p, reply);
}

int rest_weight(struct sf_http_req *req, json_t **reply, void *ctx)
{
	return change_instance(req, reply, ctx, SET_WEIGHT);
}

int rest_drain(struct sf_http_req *req, json_t **reply, void *ctx)
{
	return change_instance(req, reply, ctx, DRAIN);
}

int rest_undrain(struct sf_http_req *req, json_t **reply, void *ctx)
{
	return change_instance(req, reply, ctx, UNDRAIN);
}

/* {"proto", "port"}, or nothing: all of the service. */
static int parse_endpoint(struct sf_http_req *req, json_t **reply, struct sf_service_key *key)
{
	json_t *body = sf_http_body(req), *proto = json_object_get(body, "proto");
	json_t *port = json_object_get(body, "port");
	json_int_t number = json_integer_value(port);

	if (!json_object_size(body))
		return 0;
	if (json_object_size(body) != 2 || !json_is_string(proto) || !json_is_integer(port) ||
	    sf_proto_parse(json_string_value(proto), &key->proto) || !key->proto || number < 1 ||
	    number > 65535)
		return sf_http_fail(reply, 400, "bad protocol and port", "body",
				    "nothing, or {\"proto\": \"tcp\", \"port\": N}");
	key->port = sf_be16((uint16_t)number);
	return 0;
}

int rest_shed(struct sf_http_req *req, json_t **reply, void *ctx)
{
	struct controller *c = rest_controller(ctx);
	struct shed what = { .identity = "" };
	struct shed_found found;
	struct meant host;
	struct asked a;
	int status = asked_service(req, reply, ctx, &a);

	if (!status)
		status = asked_host(c, req, reply, &a.sid, &host);
	if (!status)
		status = parse_endpoint(req, reply, &what.key);
	if (status)
		return status;
	what.key.sid = a.sid;
	what.identity = host.identity;
	found = shed_look(c, &what);
	if (!found.instances)
		return sf_http_fail(
			reply, 404, "no instance of it is on this host",
			*host.name ? host.name : host.identity,
			"a host that `scaffold services` shows for this service (and port)");
	if (found.away == found.instances)
		return sf_http_fail(reply, 503, "the host's access router is not connected",
				    *host.name ? host.name : host.identity, NULL);
	status = change_instance(req, reply, ctx, DRAIN);
	if (status != 200)
		return status;
	shed_tell(c, &what, sf_http_peer(req)->address);
	json_decref(*reply);
	*reply = json_pack("{s:s, s:s, s:b, s:i, s:I}", "host", host.identity, "host_name",
			   host.name, "draining", true, "instances", (int)found.instances, "open",
			   (json_int_t)found.open);
	return 200;
}

/* ---- names --------------------------------------------------------------------------------- */

static json_t *json_named(const struct controller *c, const struct sf_sid *sid, const char *name)
{
	struct sf_addr a = sf_service_addr(&c->config->net, sid);

	return json_pack("{s:o, s:o, s:o}", "name", sf_json_text(name), "id", sf_json_sid(sid),
			 "address", sf_json_addr(&a));
}

int rest_names(struct sf_http_req *req, json_t **reply, void *ctx)
{
	struct controller *c = rest_controller(ctx);
	json_t *list = json_array();

	for (const struct name *n = c->names; n; n = n->hh.next)
		json_array_append_new(list, json_named(c, &n->sid, n->text));
	*reply = json_pack("{s:o}", "names", list);
	return 200;
}

/* Names of services that are there are remembered: so what operators type is shown to others. */
int rest_name(struct sf_http_req *req, json_t **reply, void *ctx)
{
	struct controller *c = rest_controller(ctx);
	const char *text = sf_http_param(req, "name"), *why = "not a name";
	struct asked a;
	bool there;

	if (parse_service(c, text, &a, &why) || !*a.name)
		return sf_http_fail(reply, 400, why, text, "a name such as web or web@2a");
	there = service_find(c, &a.sid) || policy_of(c, &a.sid);
	if (there)
		learn(c, &a);
	*reply = json_named(c, &a.sid, a.name);
	json_object_set_new(*reply, "there", json_boolean(there));
	return 200;
}

int rest_name_add(struct sf_http_req *req, json_t **reply, void *ctx)
{
	struct controller *c = rest_controller(ctx);
	json_t *body = sf_http_body(req);
	const char *text = json_string_value(json_object_get(body, "name"));
	struct event_entry e = { .kind = EVENT_NAME };
	const char *why = "not a name";
	struct asked a;
	bool known;
	int ret;

	if (!text || json_object_size(body) != 1)
		return sf_http_fail(reply, 400, "bad body", "body", "{\"name\": NAME}");
	if (parse_service(c, text, &a, &why) || !*a.name)
		return sf_http_fail(reply, 400, why, text, "a name such as web or web@2a");
	known = name_find(c, &a.sid) != NULL;
	ret = name_learn(c, &a.sid, a.name);
	if (ret == -ENOSPC)
		return sf_http_fail(reply, 409, "the table of names is full", text, NULL);
	if (ret)
		return rest_internal(c, reply, ret, "name not stored");
	if (!known) {
		e.service = a.sid;
		events_add(c, &e, "by %s", sf_http_peer(req)->address);
	}
	*reply = json_named(c, &a.sid, a.name);
	return known ? 200 : 201;
}
