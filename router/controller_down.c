// SPDX-License-Identifier: Apache-2.0
/* controller_down.c - WELCOME, syncs, rules, routes, verdicts. */
#include "router/controller_down.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/name.h"
#include "router/controller_link.h"
#include "router/events.h"
#include "router/hosts.h"
#include "router/lookup.h"
#include "router/registry.h"
#include "router/router.h"
#include "router/routes.h"
#include "router/rules.h"
#include "router/shed.h"
#include "util/clock.h"
#include "util/crypto.h"
#include "util/log.h"

/* Take a message's VERSION. Return: NULL, or why not. */
static const char *take_version(struct router *r, const struct sf_ctrl_in *in)
{
	const struct sf_item_version *v = sf_ctrl_find(in, SF_ITEM_VERSION, NULL);

	if (!v)
		return NULL;
	if (sf_be32(v->term) < r->place.term)
		return "an earlier term than the one that is held here";
	r->place.term = sf_be32(v->term);
	r->place.number = sf_be32(v->number);
	return NULL;
}

/* ---- WELCOME ---- */

/* Of the leases, the one that we hold; else the first. */
static void take_block(const struct router *r, const struct sf_ctrl_in *in, struct place *p)
{
	bool found = false;

	sf_ctrl_foreach (in, it) {
		const struct sf_item_block *b = it.value;

		if (it.type != SF_ITEM_BLOCK || !b->first)
			continue;
		if (!found || sf_be16(b->first) == r->place.block) {
			p->block = sf_be16(b->first);
			p->blocks = b->count ? sf_be16(b->count) : 1;
		}
		found = true;
	}
	if (!found)
		p->block = p->blocks = 0;
}

static const char *on_welcome(struct router *r, const struct sf_ctrl_in *in)
{
	const struct sf_item_timers *t = sf_ctrl_find(in, SF_ITEM_TIMERS, NULL);
	const struct sf_hashkey *key = sf_ctrl_find(in, SF_ITEM_HASHKEY, NULL);
	const struct sf_net *net = sf_ctrl_find(in, SF_ITEM_NET, NULL);
	struct place p = r->place;
	char err[256];

	if (!t || !key || !net)
		return "TIMERS, HASHKEY or NET is missing";
	memcpy(&p.net, net, sizeof(p.net));
	memcpy(&p.key, key, sizeof(p.key));
	p.net.reserved = 0;
	p.heartbeat_ms = sf_be32(t->heartbeat_ms);
	p.move_grace_ms = sf_be32(t->move_grace_ms);
	p.lease_ms = sf_be32(t->lease_ms);
	take_block(r, in, &p);
	if ((r->config.roles & SF_ROLE_ACCESS) && !p.block)
		return "no BLOCK for an access router";
	if (place_change(r, &p, err, sizeof(err))) {
		sf_error("place in the network: %s", err);
		return "our place cannot be set up";
	}
	controller_link_welcomed(r);
	return NULL;
}

/* ---- rules and routes ---- */

static void take_name(struct router *r, const struct sf_item_service *s,
		      const struct sf_ctrl_item *it)
{
	char text[SF_NAME_TEXT];
	struct sf_sid sid;

	if (!sf_name_take(it->value, it->len, sf_sha256, &sid, text) && sf_sid_eq(&sid, &s->sid))
		sf_nametable_add(&r->names, &sid, text, NULL);
}

/* SERVICE, where known its name, then its INSTANCEs, repeated. */
static const char *on_rules(struct router *r, const struct sf_ctrl_in *in)
{
	static struct given list[SF_INSTANCES_MAX];
	const struct sf_item_service *s = NULL;
	struct sf_service_key key = { 0 };
	uint16_t n = 0;
	bool more = true;

	for (struct sf_ctrl_item it = { 0 }; more;) {
		more = sf_ctrl_next(in, &it);
		if (more && it.type == SF_ITEM_INSTANCE && s) {
			const struct sf_item_instance *i = it.value;

			if (n == SF_INSTANCES_MAX)
				return "too many INSTANCEs of one SERVICE";
			list[n].locator = i->locator;
			sf_locator_set_sock(&list[n].locator, 0);
			list[n++].weight = sf_be16(i->weight);
		}
		if (more && it.type == SF_ITEM_SERVICE_NAME && s)
			take_name(r, s, &it);
		if (more && it.type != SF_ITEM_SERVICE)
			continue;
		if (s && rules_give(r, &key, s->flags, sf_be16(s->move_grace), list, n,
				    r->uplink->generation))
			return "out of memory";
		s = more ? it.value : NULL;
		n = 0;
		if (s)
			key = (struct sf_service_key){ .sid = s->sid,
						       .proto = s->proto,
						       .port = s->port };
	}
	return NULL;
}

static const char *on_rules_gone(struct router *r, const struct sf_ctrl_in *in)
{
	sf_ctrl_foreach (in, it) {
		const struct sf_item_service *s = it.value;

		if (it.type == SF_ITEM_SERVICE)
			rules_take(r, &(struct sf_service_key){
					      .sid = s->sid, .proto = s->proto, .port = s->port });
	}
	return NULL;
}

static const char *on_routes(struct router *r, const struct sf_ctrl_in *in)
{
	sf_ctrl_foreach (in, it)
		if (it.type == SF_ITEM_ROUTE && routes_give(r, it.value, r->uplink->generation))
			sf_warn("controller: a bad ROUTE was left out");
	return NULL;
}

static const char *on_routes_gone(struct router *r, const struct sf_ctrl_in *in)
{
	sf_ctrl_foreach (in, it)
		if (it.type == SF_ITEM_ROUTE)
			routes_take(r, it.value);
	return NULL;
}

/* ---- verdicts, alarms ---- */

static const char *on_verdicts(struct router *r, const struct sf_ctrl_in *in)
{
	struct host *h = NULL;

	sf_ctrl_foreach (in, it) {
		if (it.type == SF_ITEM_HOST) {
			const struct sf_item_host *item = it.value;

			h = host_at(r, &item->locator);
			if (h &&
			    (h->state == HOST_ABSENT || !sf_sid_eq(&h->identity, &item->identity)))
				h = NULL;
		} else if (it.type == SF_ITEM_RESULT && h) {
			registry_verdict(r, h, it.value);
		}
	}
	return NULL;
}

static const char *on_alarm(struct router *r, const struct sf_ctrl_in *in)
{
	const struct sf_item_reason *why = sf_ctrl_find(in, SF_ITEM_REASON, NULL);
	uint16_t len = 0;
	const char *text = sf_ctrl_find(in, SF_ITEM_TEXT, &len);

	events_add(r, "alarm", NULL, NULL, why ? why->reason : 0, "controller: %.*s",
		   text ? (int)len : 0, text ? text : "");
	return NULL;
}

static const char *on_rejected(struct router *r, const struct sf_ctrl_in *in)
{
	on_alarm(r, in);
	return "it rejects us";
}

/* ---- syncs ---- */

void controller_down_drop(struct router *r)
{
	struct controller_link *c = r->uplink;

	while (c->kept) {
		struct kept *k = c->kept;

		c->kept = k->next;
		free(k);
	}
	c->kept_end = &c->kept;
	c->syncing = false;
}

static const char *keep(struct controller_link *c, const void *body, size_t len)
{
	struct kept *k = malloc(sizeof(*k) + len);

	if (!k)
		return "out of memory";
	k->next = NULL;
	k->len = len;
	memcpy(k->data, body, len);
	*c->kept_end = k;
	c->kept_end = &k->next;
	return NULL;
}

static const char *execute(struct router *r, const struct sf_ctrl_in *in)
{
	switch (in->type) {
	case SF_CTRL_RULES:
		return on_rules(r, in);
	case SF_CTRL_RULES_GONE:
		return on_rules_gone(r, in);
	case SF_CTRL_ROUTES:
		return on_routes(r, in);
	case SF_CTRL_ROUTES_GONE:
		return on_routes_gone(r, in);
	case SF_CTRL_VERDICTS:
		return on_verdicts(r, in);
	default:
		return NULL;
	}
}

static const char *on_sync_end(struct router *r)
{
	struct controller_link *c = r->uplink;
	const char *why = NULL;
	struct sf_ctrl_in in;

	if (!c->syncing)
		return "no SYNC-BEGIN before it";
	c->generation++;
	for (struct kept *k = c->kept; k && !why; k = k->next)
		if (!sf_ctrl_open(k->data, k->len, &in, &why))
			why = execute(r, &in);
	controller_down_drop(r);
	if (why)
		return why;
	rules_take_older(r, c->generation);
	routes_take_older(r, c->generation);
	c->synced = true;
	c->synced_ms = sf_now_ms();
	events_add(r, "controller-synced", NULL, NULL, 0, "term %u, number %u, %u services",
		   r->place.term, r->place.number, rules_count(r));
	return NULL;
}

const char *controller_down_handle(struct router *r, const struct sf_ctrl_in *in, const void *body,
				   size_t len)
{
	struct controller_link *c = r->uplink;
	const char *why = take_version(r, in);

	if (why)
		return why;
	if (!c->welcomed && in->type != SF_CTRL_WELCOME && in->type != SF_CTRL_REJECTED &&
	    in->type != SF_CTRL_PING)
		return "it comes before WELCOME";
	switch (in->type) {
	case SF_CTRL_WELCOME:
		why = on_welcome(r, in);
		break;
	case SF_CTRL_REJECTED:
		why = on_rejected(r, in);
		break;
	case SF_CTRL_PING:
		controller_link_pong(r, in->seq);
		break;
	case SF_CTRL_PONG:
		break;
	case SF_CTRL_ALARM:
		why = on_alarm(r, in);
		break;
	case SF_CTRL_FOUND:
		why = lookup_found(r, in);
		break;
	case SF_CTRL_SHED:
		why = shed_down(r, in);
		break;
	case SF_CTRL_SYNC_BEGIN:
		controller_down_drop(r);
		c->syncing = true;
		break;
	case SF_CTRL_SYNC_END:
		why = on_sync_end(r);
		break;
	default:
		why = c->syncing ? keep(c, body, len) : execute(r, in);
	}
	/* One flush a message: its changes take effect together. */
	rules_flush(r);
	controller_link_flush(r);
	return why;
}
