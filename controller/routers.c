// SPDX-License-Identifier: Apache-2.0
/* routers.c - the table of routers: leases of their state, settling, pings. Messages are in
 * sessions.c. */
#include "controller/routers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "controller/blocks.h"
#include "controller/events.h"
#include "controller/hosts.h"
#include "controller/rules.h"
#include "controller/services.h"
#include "core/name.h"
#include "util/clock.h"
#include "util/crypto.h"

struct router *router_find(const struct controller *c, const struct sf_sid *id)
{
	struct router *r;

	HASH_FIND(hh, c->routers, id, sizeof(*id), r);
	return r;
}

struct router *router_get(struct controller *c, const struct sf_sid *id)
{
	struct router *r = router_find(c, id);

	if (r || HASH_COUNT(c->routers) >= ROUTERS_MAX)
		return r;
	r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	r->id = *id;
	r->lost = c->clock();
	HASH_ADD(hh, c->routers, id, sizeof(r->id), r);
	return r;
}

struct router *router_lookup(const struct controller *c, const char *text, unsigned int *n)
{
	struct router *found = NULL;
	struct sf_sid sid;
	const char *why;

	*n = 0;
	if (strchr(text, ':')) {
		if (sf_sid_parse(&c->config->net, text, sf_sha256, &sid, &why) == 0)
			found = router_find(c, &sid);
		*n = found != NULL;
		return found;
	}
	for (struct router *r = c->routers; r; r = r->hh.next) {
		if (strcmp(r->name, text) == 0) {
			found = r;
			(*n)++;
		}
	}
	return found;
}

/* ---- store --------------------------------------------------------------------------------- */

static void remember(struct controller *c, const struct router *r, bool present)
{
	struct store_router row = {
		.id = r->id, .addr = r->addr, .roles = r->roles, .present = present
	};

	snprintf(row.name, sizeof(row.name), "%s", r->name);
	snprintf(row.cn, sizeof(row.cn), "%s", r->cn);
	/* A full disk must not stop routing: what is lost is only whom to await after a start. */
	if (store_router_put(c->store, &row))
		events_add(c, &(struct event_entry){ .kind = EVENT_ALARM, .router = r->id },
			   "store: %s", store_error(c->store));
}

static int load_router(void *ctx, const struct store_router *row)
{
	struct controller *c = ctx;
	struct router *r;

	if (!row->present)
		return 0;
	r = router_get(c, &row->id);
	if (!r)
		return -ENOMEM;
	r->addr = row->addr;
	r->roles = row->roles;
	r->awaited = true;
	r->changed_ms = sf_wall_ms();
	memcpy(r->name, row->name, sizeof(r->name));
	memcpy(r->cn, row->cn, sizeof(r->cn));
	c->awaited++;
	return 0;
}

int routers_load(struct controller *c, char *err, size_t errlen)
{
	int ret = store_routers(c->store, load_router, c);

	if (ret)
		snprintf(err, errlen, "%s: cannot read routers: %s", store_path(c->store),
			 strerror(-ret));
	return ret;
}

void routers_free(struct controller *c)
{
	struct router *r, *tmp;

	HASH_ITER (hh, c->routers, r, tmp) {
		while (r->hosts)
			host_leave(c, r->hosts, EVENT_HOST_LEFT, SF_NONE, "stopped");
		/* clang-tidy does not follow uthash's list.
		 * NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
		HASH_DEL(c->routers, r);
		free(r);
	}
}

/* ---- life ---------------------------------------------------------------------------------- */

void router_connected(struct controller *c, struct router *r, struct session *s)
{
	struct event_entry e;

	r->session = s;
	s->router = r;
	memcpy(r->cn, s->cn, sizeof(r->cn));
	r->generation++;
	r->up_synced = r->synced = r->behind = r->missed = false;
	r->pinged = 0;
	r->changed_ms = sf_wall_ms();
	r->applied = (struct sf_item_version){ 0 };
	remember(c, r, true);
	e = event_of_router(EVENT_ROUTER_CONNECTED, r);
	events_add(c, &e, "from %s%s%s", s->peer, *s->cn ? ", certificate " : "", s->cn);
}

/* Routers that may be told everything now are. */
static void routers_settle(struct controller *c)
{
	if (!c->settled) {
		if (c->awaited && c->clock() - c->started < c->config->settle_ms)
			return;
		c->settled = true;
	}
	for (struct router *r = c->routers; r; r = r->hh.next) {
		struct event_entry e;

		if (!r->session || !r->up_synced || r->synced)
			continue;
		rules_sync(c, r);
		r->synced = true;
		e = event_of_router(EVENT_ROUTER_SYNCED, r);
		events_add(c, &e, "%u hosts, version %u.%u", r->n_hosts, c->term, c->number);
	}
}

void router_up_synced(struct controller *c, struct router *r)
{
	struct host *h, *tmp_h;
	struct instance *in, *tmp_in;

	DL_FOREACH_SAFE(r->hosts, h, tmp_h)
	{
		if (h->generation != r->generation) {
			host_leave(c, h, EVENT_HOST_LEFT, SF_NONE, "not announced any more");
			continue;
		}
		DL_FOREACH_SAFE2(h->instances, in, tmp_in, host_next)
		{
			if (in->generation != r->generation)
				instance_remove(c, in, SF_NONE);
		}
	}
	r->up_synced = true;
	if (r->awaited) {
		r->awaited = false;
		c->awaited--;
	}
	routers_settle(c);
}

void router_gone(struct controller *c, struct router *r, const char *why)
{
	struct event_entry e = event_of_router(EVENT_ROUTER_GONE, r);

	events_add(c, &e, "%s", why);
	while (r->hosts)
		host_leave(c, r->hosts, EVENT_HOST_LEFT, SF_NONE, "its router is gone");
	routes_withdraw(c, r);
	remember(c, r, false);
	if (r->awaited)
		c->awaited--;
	HASH_DEL(c->routers, r);
	free(r);
}

int router_forget(struct controller *c, struct router *r)
{
	struct sf_sid id = r->id;
	int ret;

	if (r->session)
		return -EBUSY;
	router_gone(c, r, "forgotten by the operator");
	ret = blocks_release(c->blocks, &id);
	return ret ? ret : store_router_delete(c->store, &id);
}

/* ---- telling ------------------------------------------------------------------------------- */

void router_send(struct router *r, const void *msg, size_t len)
{
	struct session *s = r->session;

	if (!s || s->broken)
		return;
	if (s->ops->send(s->io, msg, len)) {
		s->broken = "cannot send";
		controller_wake(s->c);
	}
}

void router_verdict(struct controller *c, const struct instance *in)
{
	const struct host *host = in->key.host;
	const struct sf_service_key *key = &in->key.endpoint->key;
	struct sf_item_host h = { .locator = host->locator,
				  .identity = host->identity->sid,
				  .boot = sf_be64(host->boot) };
	struct sf_item_result res = {
		.sid = key->sid, .proto = key->proto, .port = key->port, .reason = in->denied
	};
	uint8_t buf[128];
	struct sf_ctrl_out o;
	int len;

	sf_ctrl_begin(&o, buf, sizeof(buf), SF_CTRL_VERDICTS, c->number, 0);
	sf_ctrl_put(&o, SF_ITEM_HOST, &h, sizeof(h));
	sf_ctrl_put(&o, SF_ITEM_RESULT, &res, sizeof(res));
	len = sf_ctrl_end(&o);
	if (len > 0)
		router_send(host->router, buf, (size_t)len);
}

/* ---- time ---------------------------------------------------------------------------------- */

static void ping(struct controller *c, struct router *r, uint64_t now)
{
	struct sf_item_version v = { .term = sf_be32(c->term), .number = sf_be32(r->told) };
	struct sf_ctrl_out o;
	uint8_t buf[64];
	int len;

	if (r->pinged && now - r->pinged < PING_MS)
		return;
	sf_ctrl_begin(&o, buf, sizeof(buf), SF_CTRL_PING, ++r->ping_seq, 0);
	sf_ctrl_put(&o, SF_ITEM_VERSION, &v, sizeof(v));
	len = sf_ctrl_end(&o);
	r->pinged = now;
	if (len > 0)
		router_send(r, buf, (size_t)len);
}

void routers_tick(struct controller *c)
{
	struct router *r, *tmp_r;
	uint64_t now = c->clock();

	HASH_ITER (hh, c->routers, r, tmp_r) {
		if (r->session)
			ping(c, r, now);
		else if (now - r->lost >= c->config->router_lease_ms)
			router_gone(c, r,
				    r->awaited ? "not seen since the start"
					       : "lost for longer than router_lease");
	}
	routers_settle(c);
}
