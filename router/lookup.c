// SPDX-License-Identifier: Apache-2.0
/* lookup.c - see lookup.h. */
#include "router/lookup.h"

#include <string.h>

#include "router/controller_link.h"
#include "router/hosts.h"
#include "router/router.h"
#include "router/rules.h"
#include "router/session.h"
#include "util/clock.h"

#define SCAN_EVERY_MS 20   /* between two searches of a large table of rules */
#define SCAN_FREE     1000 /* a table of so many may be searched at any time */

static void put(struct reply *p, const struct sf_item_registration *item)
{
	if (sf_ctrl_room(&p->out) >= sizeof(struct sf_item) + sizeof(*item))
		sf_ctrl_put(&p->out, SF_ITEM_REGISTRATION, item, sizeof(*item));
}

static void put_name(struct router *r, struct reply *p, const struct sf_sid *sid)
{
	const char *name = sf_nametable_find(&r->names, sid);

	if (name && sf_ctrl_room(&p->out) > sizeof(struct sf_item) + strlen(name) + 3)
		sf_ctrl_put(&p->out, SF_ITEM_SERVICE_NAME, name, strlen(name));
}

/* The only one of our hosts with that identity, or ourselves; not a name that several have. */
static const char *name_of(struct router *r, const struct sf_sid *sid)
{
	const struct host *found = NULL;

	if (sf_sid_eq(&r->id, sid))
		return r->config.name;
	for (const struct host *h = r->hosts->by_addr; h && !found; h = h->hh.next)
		if (h->proven && sf_sid_eq(&h->identity, sid))
			found = h;
	for (const struct host *h = r->hosts->by_addr; h && found; h = h->hh.next)
		if (h->proven && !strcmp(h->name, found->name) && !sf_sid_eq(&h->identity, sid))
			return "";
	return found ? found->name : "";
}

static void put_host_name(struct router *r, struct reply *p, const struct sf_sid *sid)
{
	const char *name = sid->w[0] == sf_be32(SF_SSID_HOSTS) ? name_of(r, sid) : "";

	if (*name)
		sf_ctrl_put(&p->out, SF_ITEM_NAME, name, strlen(name));
}

/* What the controller said of the policy with its rules; a router that was started without one does
 * not know, and says nothing. */
static bool put_grace(struct reply *p, const struct service *s)
{
	uint32_t ms = s->move_grace ? s->move_grace * 100u : SF_GRACE_UNSET;
	struct sf_item_timers t = { .move_grace_ms = sf_be32(ms) };

	if (!s->has_policy || sf_ctrl_room(&p->out) < sizeof(struct sf_item) + sizeof(t))
		return false;
	sf_ctrl_put(&p->out, SF_ITEM_TIMERS, &t, sizeof(t));
	return true;
}

/* What our own rules say. They are not ordered by serviceID: a large table is searched seldom, and
 * who asks meanwhile is answered when it repeats. */
static void answer(struct router *r, const struct request *q, const struct sf_sid *sid)
{
	uint64_t now = sf_now_ms();
	bool told = false;
	struct reply p;

	if (rules_count(r) > SCAN_FREE && now < r->searched_ms + SCAN_EVERY_MS)
		return;
	r->searched_ms = now;
	reply_begin(&p, q->host, SF_CTRL_FOUND, q->in.seq);
	put_name(r, &p, sid);
	put_host_name(r, &p, sid);
	for (struct service *s = rules_first(r); s; s = s->hh.next) {
		struct sf_item_registration item = { .sid = *sid,
						     .proto = s->key.proto,
						     .port = s->key.port };
		struct rules_share one;
		uint32_t n;

		if (!sf_sid_eq(&s->key.sid, sid))
			continue;
		told = told || put_grace(&p, s);
		n = rules_shares(r, s, &one, 1);
		item.weight = sf_be16(n < UINT16_MAX ? (uint16_t)n : UINT16_MAX);
		put(&p, &item);
	}
	reply_send(r, &p);
}

void lookup_request(struct router *r, struct request *q)
{
	const struct sf_item_registration *item = sf_ctrl_find(&q->in, SF_ITEM_REGISTRATION, NULL);

	if (!item)
		session_deny(r, q, SF_BAD_MESSAGE, "LOOKUP without REGISTRATION", 0);
	else if (!controller_link_lookup(r, q->host, q->in.seq, item))
		answer(r, q, &item->sid);
}

const char *lookup_found(struct router *r, const struct sf_ctrl_in *in)
{
	const struct sf_item_host *item = sf_ctrl_find(in, SF_ITEM_HOST, NULL);
	struct host *h;
	struct reply p;

	if (!item)
		return "FOUND without HOST";
	h = host_at(r, &item->locator);
	if (!h || !h->session.id || !in->seq || !sf_sid_eq(&h->identity, &item->identity))
		return NULL; /* it has left meanwhile */
	reply_begin(&p, h, SF_CTRL_FOUND, in->seq);
	sf_ctrl_foreach (in, it) {
		if (it.type == SF_ITEM_REGISTRATION)
			put(&p, it.value);
		else if ((it.type == SF_ITEM_SERVICE_NAME || it.type == SF_ITEM_NAME ||
			  it.type == SF_ITEM_TIMERS) &&
			 sf_ctrl_room(&p.out) > sizeof(struct sf_item) + it.len + 3u)
			sf_ctrl_put(&p.out, it.type, it.value, it.len);
	}
	reply_send(r, &p);
	return NULL;
}
