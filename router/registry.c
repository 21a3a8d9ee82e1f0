// SPDX-License-Identifier: Apache-2.0
/* registry.c - registrations as hosts ask for them; see registry.h. */
#include "router/registry.h"

#include <arpa/inet.h>
#include <string.h>

#include "core/flow.h"
#include "core/name.h"
#include "router/controller_link.h"
#include "router/datapath.h"
#include "router/events.h"
#include "router/hosts.h"
#include "router/router.h"
#include "router/rules.h"
#include "router/session.h"
#include "router/shed.h"
#include "util/crypto.h"
#include "util/log.h"

#define MISMATCHES 2 /* heartbeats in a row: one may cross with a registration under way */

static struct sf_service_key key_of(const struct sf_item_registration *item)
{
	return (struct sf_service_key){ .sid = item->sid,
					.port = item->port,
					.proto = item->proto };
}

static void event_of(struct router *r, const char *kind, struct host *h,
		     const struct sf_service_key *key, uint8_t reason)
{
	events_add(r, kind, h, key, reason, "%s", reason ? sf_reason_text(reason) : "");
}

static void put_result(struct reply *p, const struct sf_item_registration *item, uint8_t reason)
{
	struct sf_item_result result = {
		.sid = item->sid, .proto = item->proto, .reason = reason, .port = item->port
	};

	sf_ctrl_put(&p->out, SF_ITEM_RESULT, &result, sizeof(result));
}

/* ---- REGISTER, UNREGISTER ---- */

static uint8_t register_one(struct router *r, struct request *q,
			    const struct sf_item_registration *item)
{
	struct sf_service_key key = key_of(item);
	uint16_t weight = sf_be16(item->weight);
	struct registration *reg;
	uint8_t reason;
	bool added;

	if (q->repeat) {
		reg = registration_find(q->host, &key);
		return reg ? reg->denied : SF_DENIED_POLICY;
	}
	if (weight > SF_WEIGHT_MAX)
		weight = SF_WEIGHT_MAX;
	reason = rules_register(r, q->host, &key, weight, false, &added);
	if (!reason && q->host->standby && sf_sid_eq(&key.sid, &q->host->identity)) {
		/* It is here in the first place now, kept or not: its flows need it. */
		q->host->standby = false;
		(void)host_store(r, q->host);
	}
	if (reason) {
		r->stats.refused[reason]++;
		event_of(r, "denied", q->host, &key, reason);
	} else {
		controller_link_registered(r, q->host, &key, weight);
		if (added)
			event_of(r, "registered", q->host, &key, 0);
	}
	return reason;
}

/*
 * What a host calls a service. Kept are names of what it has registered, so that the table grows
 * only with registrations.
 * @sid: the serviceID that it must name; NULL: any
 * Return: whether it is a name, with @text.
 */
static bool take_name(struct router *r, const struct host *h, const struct sf_ctrl_item *it,
		      const struct sf_sid *sid, char text[SF_NAME_TEXT])
{
	struct source *known;
	struct sf_sid named;

	if (sf_name_take(it->value, it->len, sf_sha256, &named, text) ||
	    (sid && !sf_sid_eq(sid, &named)))
		return false;
	HASH_FIND(hh, h->sources, &named, sizeof(named), known);
	if (sid || known)
		sf_nametable_add(&r->names, &named, text, NULL);
	return true;
}

/* A registration and, behind it, its name, which is learned first: the event tells it then. */
static uint8_t register_named(struct router *r, struct request *q, struct sf_ctrl_item it)
{
	const struct sf_item_registration *item = it.value;
	char text[SF_NAME_TEXT];
	bool named = !q->repeat && sf_ctrl_next(&q->in, &it) && it.type == SF_ITEM_SERVICE_NAME &&
		     take_name(r, q->host, &it, &item->sid, text);
	uint8_t reason = register_one(r, q, item);

	if (named && !reason)
		controller_link_named(r, q->host, text);
	return reason;
}

void registry_register(struct router *r, struct request *q)
{
	char text[SF_NAME_TEXT];
	uint16_t before = 0;
	struct reply p;

	reply_begin(&p, q->host, SF_CTRL_REGISTERED, q->in.seq);
	sf_ctrl_foreach (&q->in, it) {
		if (it.type == SF_ITEM_REGISTRATION)
			put_result(&p, it.value, register_named(r, q, it));
		else if (it.type == SF_ITEM_SERVICE_NAME && before != SF_ITEM_REGISTRATION &&
			 !q->repeat && take_name(r, q->host, &it, NULL, text))
			controller_link_named(r, q->host, text);
		before = it.type;
	}
	controller_link_flush(r);
	rules_flush(r); /* before the answer: who has it can rely on it */
	reply_send(r, &p);
}

void registry_unregister(struct router *r, struct request *q)
{
	struct registration *reg;
	struct reply p;

	reply_begin(&p, q->host, SF_CTRL_UNREGISTERED, q->in.seq);
	sf_ctrl_foreach (&q->in, it) {
		struct sf_service_key key;

		if (it.type != SF_ITEM_REGISTRATION)
			continue;
		key = key_of(it.value);
		reg = q->repeat ? NULL : registration_find(q->host, &key);
		if (reg) {
			rules_unregister(r, reg);
			event_of(r, "unregistered", q->host, &key, 0);
		}
		put_result(&p, it.value, SF_NONE);
	}
	controller_link_flush(r);
	rules_flush(r);
	reply_send(r, &p);
}

/* ---- HEARTBEAT ---- */

static void take_load(struct router *r, struct host *h, const struct sf_item_load *load)
{
	struct sf_service_key key = { .sid = load->sid, .port = load->port, .proto = load->proto };
	struct registration *reg = registration_find(h, &key);

	if (!reg)
		return;
	reg->flows = sf_be64(load->flows);
	reg->packets = sf_be64(load->packets);
	reg->bytes = sf_be64(load->bytes);
	controller_link_load(r, h, load);
}

static void settle(struct router *r, struct host *h)
{
	uint32_t gone = rules_unregister_all(r, h, true);

	if (gone)
		sf_info("host %s: %u registrations were not confirmed and are gone", h->name, gone);
	h->mismatches = 0;
	if (!h->settled) {
		h->settled = true;
		rules_settled(r, h);
	}
	controller_link_flush(r);
	rules_flush(r);
}

static void compare(struct router *r, struct host *h, uint64_t digest)
{
	if (digest == h->digest) {
		settle(r, h);
	} else if (digest == (h->digest ^ h->stale_digest)) {
		rules_unmark_stale(h);
		settle(r, h);
	} else if (++h->mismatches >= MISMATCHES) {
		h->mismatches = 0;
		session_refresh(r, h, "your registrations are not those that are held here");
	}
}

/* What the controller denied since the host last heard of it; most of the time nothing. */
static void put_denied(struct host *h, struct reply *p)
{
	for (struct registration *reg = h->regs; reg && h->denied; reg = reg->hh.next) {
		struct sf_item_registration item = { .sid = reg->key.sid,
						     .proto = reg->key.proto,
						     .port = reg->key.port };

		if (!reg->denied)
			continue;
		if (sf_ctrl_room(&p->out) < sizeof(struct sf_item) + sizeof(struct sf_item_result))
			break;
		put_result(p, &item, reg->denied);
	}
}

/* A host's link address may change while it is joined. Only a JOIN says the new one for certain. */
static void check_link_address(struct router *r, const struct request *q)
{
	struct sf_link_address from;
	struct host *h = q->host;

	if (!datapath_joiner(r->datapath, q->ifindex, &q->from.sin6_addr, q->in.end, &from) &&
	    memcmp(&from, &h->from, sizeof(from)))
		session_refresh(r, h, "your link address has changed");
}

void registry_heartbeat(struct router *r, struct request *q)
{
	struct host *h = q->host;
	const __be64 *digest;
	struct reply p;

	if (!q->repeat) {
		sf_ctrl_foreach (&q->in, it)
			if (it.type == SF_ITEM_SERVICE_LOAD)
				take_load(r, h, it.value);
		shed_heard(h, &q->in);
		controller_link_flush(r);
		h->leased_out = false;
		if (h->unsaved)
			(void)host_store(r, h); /* it says itself what is wrong */
		if (h->silent) {
			h->silent = false;
			events_add(r, "host-back", h, NULL, 0, "its agent speaks again");
			controller_link_joined(r, h);
		}
	}
	reply_begin(&p, h, SF_CTRL_ALIVE, q->in.seq);
	put_denied(h, &p);
	shed_put(h, &p);
	reply_send(r, &p);
	if (!q->repeat)
		check_link_address(r, q);
	digest = sf_ctrl_find(&q->in, SF_ITEM_DIGEST, NULL);
	if (!q->repeat && digest) {
		uint64_t value;

		memcpy(&value, digest, sizeof(value));
		compare(r, h, sf_be64(value));
	}
}

/* ---- LEAVE, and the controller's verdict ---- */

void registry_leave(struct router *r, struct request *q)
{
	struct reply p;

	reply_begin(&p, q->host, SF_CTRL_LEFT, q->in.seq);
	reply_send(r, &p);
	host_leave(r, q->host, SF_NONE);
}

void registry_verdict(struct router *r, struct host *h, const struct sf_item_result *verdict)
{
	struct sf_service_key key = { .sid = verdict->sid,
				      .port = verdict->port,
				      .proto = verdict->proto };
	struct registration *reg = registration_find(h, &key);
	struct reply p;

	if (!reg || reg->implicit || reg->denied == verdict->reason)
		return;
	h->denied += !!verdict->reason - !!reg->denied;
	rules_judge(r, reg, verdict->reason);
	r->stats.refused[verdict->reason % SF_REASON_MAX] += !!verdict->reason;
	event_of(r, verdict->reason ? "denied" : "registered", h, &key, verdict->reason);
	if (!h->session.id)
		return;
	reply_begin(&p, h, SF_CTRL_REGISTERED, 0);
	sf_ctrl_put(&p.out, SF_ITEM_RESULT, verdict, sizeof(*verdict));
	reply_send(r, &p);
}
