// SPDX-License-Identifier: Apache-2.0
/* services.c - services, endpoints, instances. */
#include "controller/services.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "controller/events.h"
#include "controller/hosts.h"
#include "controller/policies.h"
#include "controller/routers.h"
#include "util/clock.h"

/* ---- tables -------------------------------------------------------------------------------- */

struct service *service_find(const struct controller *c, const struct sf_sid *sid)
{
	struct service *s;

	HASH_FIND(hh, c->services, sid, sizeof(*sid), s);
	return s;
}

static struct endpoint *endpoint_find(const struct controller *c, const struct sf_service_key *key)
{
	struct endpoint *ep;

	HASH_FIND(hh, c->endpoints, key, sizeof(*key), ep);
	return ep;
}

static struct instance *instance_find(const struct controller *c, struct endpoint *endpoint,
				      struct host *host)
{
	struct instance_key key = { endpoint, host };
	struct instance *in;

	HASH_FIND(hh, c->instances, &key, sizeof(key), in);
	return in;
}

static void touch(struct controller *c, struct endpoint *ep)
{
	if (ep->dirty)
		return;
	ep->dirty = true;
	LL_PREPEND2(c->dirty, ep, dirty_next);
	controller_wake(c);
}

static struct service *service_get(struct controller *c, const struct sf_sid *sid)
{
	struct service *s = service_find(c, sid);

	if (s)
		return s;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->sid = *sid;
	HASH_ADD(hh, c->services, sid, sizeof(s->sid), s);
	return s;
}

static void service_drop(struct controller *c, struct service *s)
{
	if (s->endpoints)
		return;
	HASH_DEL(c->services, s);
	free(s);
}

static struct endpoint *endpoint_get(struct controller *c, const struct sf_service_key *key)
{
	struct endpoint *ep = endpoint_find(c, key);
	struct service *s;

	if (ep)
		return ep;
	s = service_get(c, &key->sid);
	if (!s)
		return NULL;
	ep = calloc(1, sizeof(*ep));
	if (!ep) {
		service_drop(c, s);
		return NULL;
	}
	ep->key = *key;
	ep->service = s;
	DL_APPEND2(s->endpoints, ep, service_prev, service_next);
	HASH_ADD(hh, c->endpoints, key, sizeof(ep->key), ep);
	return ep;
}

static void endpoint_free(struct controller *c, struct endpoint *ep)
{
	struct service *s = ep->service;

	HASH_DEL(c->endpoints, ep);
	DL_DELETE2(s->endpoints, ep, service_prev, service_next);
	free(ep);
	service_drop(c, s);
}

void services_sweep(struct controller *c, struct endpoint *flushed)
{
	while (flushed) {
		struct endpoint *next = flushed->dirty_next;

		flushed->dirty_next = NULL;
		if (!flushed->n_instances)
			endpoint_free(c, flushed);
		flushed = next;
	}
}

/* ---- judging ------------------------------------------------------------------------------- */

/* Policy's word on an instance: SF_NONE or the reason of denial. */
static uint8_t judge(const struct controller *c, const struct policy *p, const struct sf_sid *sid,
		     const struct host *host)
{
	if (sid_is_host(sid))
		return sf_sid_eq(sid, &host->identity->sid) ? SF_NONE : SF_DENIED_KEYED;
	return policy_allows(p, host->identity->text, c->config->register_default == REGISTER_ALLOW)
		       ? SF_NONE
		       : SF_DENIED_POLICY;
}

static bool serves(const struct instance *in)
{
	return !in->denied && in->weight;
}

/* Put policy's word in force. Return: whether anything changed for routers. */
static bool apply(struct controller *c, const struct policy *p, struct instance *in)
{
	struct endpoint *ep = in->key.endpoint;
	uint8_t denied = judge(c, p, &ep->key.sid, in->key.host);
	uint16_t weight = (uint16_t)policy_weight(p, in->key.host->identity->text, in->wish);
	bool changed = denied != in->denied || (!denied && weight != in->weight);

	ep->n_serving -= serves(in);
	ep->n_denied += (denied != SF_NONE) - (in->denied != SF_NONE);
	in->denied = denied;
	in->weight = weight;
	ep->n_serving += serves(in);
	return changed;
}

unsigned int instance_given(const struct controller *c, const struct instance *in)
{
	return policy_given(policy_of(c, &in->key.endpoint->key.sid), in->key.host->identity->text,
			    in->wish);
}

void service_judge(struct controller *c, const struct sf_sid *sid)
{
	const struct policy *p = policy_of(c, sid);
	struct service *s = service_find(c, sid);
	struct endpoint *ep;
	struct instance *in;

	if (!s)
		return;
	DL_FOREACH2(s->endpoints, ep, service_next)
	{
		DL_FOREACH(ep->instances, in)
		{
			uint8_t before = in->denied;

			apply(c, p, in);
			if (before != in->denied)
				router_verdict(c, in);
		}
		/* Flags of the rule may have changed without any weight. */
		touch(c, ep);
	}
}

void service_touch(struct controller *c, const struct sf_sid *sid)
{
	struct service *s = service_find(c, sid);
	struct endpoint *ep;

	if (!s)
		return;
	DL_FOREACH2(s->endpoints, ep, service_next)
	touch(c, ep);
}

/* ---- registering --------------------------------------------------------------------------- */

static struct sf_service_key key_of(const struct sf_item_registration *reg)
{
	return (struct sf_service_key){ .sid = reg->sid, .port = reg->port, .proto = reg->proto };
}

static struct event_entry event_of(enum event_kind kind, const struct host *host,
				   const struct sf_service_key *key)
{
	struct event_entry e = event_of_host(kind, host);

	e.service = key->sid;
	e.proto = key->proto;
	e.port = key->port;
	e.has_port = true;
	return e;
}

static uint8_t deny(struct controller *c, const struct host *host, const struct sf_service_key *key,
		    uint8_t reason, const char *why)
{
	struct event_entry e = event_of(EVENT_DENIED, host, key);

	e.reason = reason;
	events_add(c, &e, "%s", why);
	c->stats.denials[reason]++;
	return reason;
}

static struct instance *instance_add(struct controller *c, struct endpoint *ep, struct host *host)
{
	struct instance *in = calloc(1, sizeof(*in));

	if (!in)
		return NULL;
	in->key.endpoint = ep;
	in->key.host = host;
	in->since_ms = sf_wall_ms();
	DL_APPEND(ep->instances, in);
	ep->n_instances++;
	DL_APPEND2(host->instances, in, host_prev, host_next);
	host->n_instances++;
	HASH_ADD(hh, c->instances, key, sizeof(in->key), in);
	return in;
}

/* Is there room? Return: NULL, or what is full. */
static const char *full(const struct controller *c, const struct host *host,
			const struct endpoint *ep)
{
	if (HASH_COUNT(c->instances) >= c->config->instances_max)
		return "instances_max of the controller";
	if (host->n_instances >= c->config->instances_host_max)
		return "instances_host_max of the controller";
	if (ep && ep->n_instances >= ENDPOINT_INSTANCES)
		return "instances of one service";
	return NULL;
}

static uint8_t confirm(struct controller *c, struct instance *in, uint16_t wish)
{
	in->generation = in->key.host->router->generation;
	if (in->wish != wish) {
		in->wish = wish;
		if (apply(c, policy_of(c, &in->key.endpoint->key.sid), in))
			touch(c, in->key.endpoint);
	}
	return in->denied;
}

/* A host with several uplinks serves where it is in the first place. What it has registered there
 * goes from its other places, be their routers silent. */
static void end_twins(struct controller *c, struct endpoint *ep, const struct host *host)
{
	struct host *other;

	/* A router's first list may be older than what others said. */
	if (host->standby || !host->router->up_synced || !host->identity->hosts->same)
		return;
	LL_FOREACH2(host->identity->hosts, other, same)
	{
		struct instance *twin = other->standby && other->boot == host->boot
						? instance_find(c, ep, other)
						: NULL;

		if (twin)
			instance_remove(c, twin, SF_NONE);
	}
}

void host_serves_first(struct controller *c, struct host *host)
{
	struct instance *in;

	DL_FOREACH2(host->instances, in, host_next)
	end_twins(c, in->key.endpoint, host);
}

uint8_t instance_register(struct controller *c, struct host *host,
			  const struct sf_item_registration *reg, uint64_t since_ms)
{
	struct sf_service_key key = key_of(reg);
	struct endpoint *ep = endpoint_find(c, &key);
	struct instance *in = ep ? instance_find(c, ep, host) : NULL;
	struct event_entry e;
	const char *why;

	if (in)
		return confirm(c, in, sf_be16(reg->weight));
	if (sf_sid_is_zero(&key.sid))
		return deny(c, host, &key, SF_BAD_MESSAGE, "the serviceID is zero");
	why = full(c, host, ep);
	if (why)
		return deny(c, host, &key, SF_DENIED_FULL, why);
	if (!ep)
		ep = endpoint_get(c, &key);
	in = ep ? instance_add(c, ep, host) : NULL;
	if (!in) {
		if (ep && !ep->n_instances)
			touch(c, ep); /* swept away */
		return deny(c, host, &key, SF_DENIED_FULL, "no memory");
	}
	if (since_ms && since_ms < in->since_ms)
		in->since_ms = since_ms;
	in->wish = sf_be16(reg->weight);
	in->generation = host->router->generation;
	apply(c, policy_of(c, &key.sid), in);
	if (in->denied)
		return deny(c, host, &key, in->denied, sf_reason_text(in->denied));
	touch(c, ep);
	end_twins(c, ep, host);
	c->stats.registrations++;
	/* Its own identity is part of the join, whose event is there already. */
	if (!sid_is_host(&key.sid)) {
		e = event_of(EVENT_REGISTERED, host, &key);
		events_add(c, &e, NULL);
	}
	return SF_NONE;
}

void host_register_self(struct controller *c, struct host *host)
{
	struct sf_item_registration reg = { .sid = host->identity->sid };

	/* Identities made by hand in tests and tools need not be keyed. */
	if (sid_is_host(&reg.sid) && !host->standby)
		instance_register(c, host, &reg, host->joined_ms);
}

void instance_remove(struct controller *c, struct instance *in, uint8_t reason)
{
	struct endpoint *ep = in->key.endpoint;
	struct host *host = in->key.host;

	if (!in->denied) {
		c->stats.unregistrations++;
		if (!sid_is_host(&ep->key.sid)) {
			struct event_entry e = event_of(EVENT_UNREGISTERED, host, &ep->key);

			e.reason = reason;
			events_add(c, &e, NULL);
		}
	}
	ep->n_serving -= serves(in);
	ep->n_denied -= in->denied != SF_NONE;
	ep->n_instances--;
	DL_DELETE(ep->instances, in);
	DL_DELETE2(host->instances, in, host_prev, host_next);
	host->n_instances--;
	HASH_DEL(c->instances, in);
	free(in);
	touch(c, ep);
}

void instance_unregister(struct controller *c, struct host *host,
			 const struct sf_item_registration *reg)
{
	struct sf_service_key key = key_of(reg);
	struct endpoint *ep = endpoint_find(c, &key);
	struct instance *in = ep ? instance_find(c, ep, host) : NULL;

	if (in)
		instance_remove(c, in, SF_NONE);
}

/* Totals may begin anew (a host that restarted its datapath): then all of them is new. */
static uint64_t grown(uint64_t before, uint64_t now)
{
	return now >= before ? now - before : now;
}

void instance_load(struct controller *c, struct host *host, const struct sf_item_load *load)
{
	struct sf_service_key key = { .sid = load->sid, .port = load->port, .proto = load->proto };
	struct endpoint *ep = endpoint_find(c, &key);
	struct instance *in = ep ? instance_find(c, ep, host) : NULL;
	struct load now = { sf_be64(load->flows), sf_be64(load->packets), sf_be64(load->bytes) };

	if (!in)
		return;
	ep->service->load.flows += grown(in->load.flows, now.flows);
	ep->service->load.packets += grown(in->load.packets, now.packets);
	ep->service->load.bytes += grown(in->load.bytes, now.bytes);
	in->load = now;
	in->open = sf_be32(load->open);
}
