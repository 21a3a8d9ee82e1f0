// SPDX-License-Identifier: Apache-2.0
/* rules.c - rules and routes: from tables to messages. */
#include "controller/rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controller/blocks.h"
#include "controller/hosts.h"
#include "controller/policies.h"
#include "controller/services.h"
#include "core/name.h"

/* One message in the making. */
struct rules {
	struct sf_ctrl_out out;
	uint8_t type;
	bool open;
	bool delta;	     /* each message has a version of its own */
	struct router *only; /* NULL: all service routers that are up to date */
	uint8_t buf[SF_CTRL_MAX];
};

int rules_new(struct rules **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void rules_free(struct rules *r)
{
	free(r);
}

/* ---- messages ------------------------------------------------------------------------------ */

static void frame_begin(struct controller *c, uint8_t type)
{
	struct rules *f = c->rules;
	struct sf_item_version v;

	if (f->delta)
		c->number++;
	v = (struct sf_item_version){ .term = sf_be32(c->term), .number = sf_be32(c->number) };
	sf_ctrl_begin(&f->out, f->buf, sizeof(f->buf), type, c->number, 0);
	sf_ctrl_put(&f->out, SF_ITEM_VERSION, &v, sizeof(v));
	f->type = type;
	f->open = true;
}

/* Does the router take a delta now? If it is only too slow, it will need a whole sync. */
static bool takes_delta(struct router *r)
{
	if (!r->session || !r->synced)
		return false;
	r->missed |= r->behind;
	return !r->behind;
}

static void frame_end(struct controller *c)
{
	struct rules *f = c->rules;
	int len;

	if (!f->open)
		return;
	f->open = false;
	len = sf_ctrl_end(&f->out);
	if (len < 0)
		return; /* cannot be: frame_room() asked before each put */
	c->stats.frames++;
	if (f->only) {
		f->only->told = c->number;
		router_send(f->only, f->buf, (size_t)len);
		return;
	}
	for (struct router *r = c->routers; r; r = r->hh.next) {
		if (!(r->roles & SF_ROLE_SERVICE) || !takes_delta(r))
			continue;
		r->told = c->number;
		router_send(r, f->buf, (size_t)len);
	}
}

/* Make room for @need bytes of items in a message of @type. */
static void frame_room(struct controller *c, uint8_t type, size_t need)
{
	struct rules *f = c->rules;

	if (f->open && (f->type != type || sf_ctrl_room(&f->out) < need))
		frame_end(c);
	if (!f->open)
		frame_begin(c, type);
}

#define ITEM_BYTES(type) (sizeof(struct sf_item) + sizeof(type))

/* ---- rules --------------------------------------------------------------------------------- */

SF_STATIC_ASSERT(sizeof(struct sf_ctrl_hdr) + ITEM_BYTES(struct sf_item_version) +
				 ITEM_BYTES(struct sf_item_service) + sizeof(struct sf_item) +
				 SF_NAME_TEXT + 3 +
				 ENDPOINT_INSTANCES * ITEM_BYTES(struct sf_item_instance) <=
			 SF_CTRL_MAX,
		 "an endpoint fits one message");

static struct sf_item_service service_item(const struct endpoint *ep, const struct policy *p,
					   uint16_t instances)
{
	struct sf_item_service s = { .sid = ep->key.sid,
				     .proto = ep->key.proto,
				     .port = ep->key.port,
				     .instances = sf_be16(instances) };

	if (p && p->sticky)
		s.flags |= SF_RULE_STICKY;
	if (p && p->move_grace_ms != UNSET) {
		/* 0 means "as in TIMERS": the shortest of its own is a tenth of a second. */
		uint32_t tenths = ((uint32_t)p->move_grace_ms + 99) / 100;

		s.move_grace = sf_be16(tenths ? tenths : 1);
	}
	return s;
}

static bool takes_flows(const struct instance *in)
{
	return !in->denied && in->weight > 0;
}

static void put_rule(struct controller *c, const struct endpoint *ep)
{
	const struct policy *p = policy_of(c, &ep->key.sid);
	const char *name = name_find(c, &ep->key.sid);
	size_t len = name ? strlen(name) : 0;
	struct sf_item_service s;
	struct instance *in;
	uint16_t n = 0;

	for (in = ep->instances; in; in = in->next)
		n += takes_flows(in);
	frame_room(c, SF_CTRL_RULES,
		   ITEM_BYTES(s) + (name ? sizeof(struct sf_item) + len + 3 : 0) +
			   n * ITEM_BYTES(struct sf_item_instance));
	s = service_item(ep, p, n);
	sf_ctrl_put(&c->rules->out, SF_ITEM_SERVICE, &s, sizeof(s));
	if (name)
		sf_ctrl_put(&c->rules->out, SF_ITEM_SERVICE_NAME, name, len);
	for (in = ep->instances; in; in = in->next) {
		struct sf_item_instance item = { .locator = in->key.host->locator,
						 .weight = sf_be16(in->weight) };

		if (takes_flows(in))
			sf_ctrl_put(&c->rules->out, SF_ITEM_INSTANCE, &item, sizeof(item));
	}
}

/* Does the endpoint exist for routers? All drained still does: "known, but takes no flows". */
static bool has_rule(const struct endpoint *ep)
{
	return ep->n_instances > ep->n_denied;
}

void rules_flush(struct controller *c)
{
	struct endpoint *list = c->dirty;
	struct endpoint *ep;

	if (!list)
		return;
	c->dirty = NULL;
	c->stats.flushes++;
	c->rules->only = NULL;
	c->rules->delta = true;
	for (ep = list; ep; ep = ep->dirty_next) {
		ep->dirty = false;
		if (has_rule(ep)) {
			put_rule(c, ep);
			ep->published = true;
		}
	}
	for (ep = list; ep; ep = ep->dirty_next) {
		struct sf_item_service s = service_item(ep, NULL, 0);

		if (has_rule(ep) || !ep->published)
			continue;
		frame_room(c, SF_CTRL_RULES_GONE, ITEM_BYTES(s));
		sf_ctrl_put(&c->rules->out, SF_ITEM_SERVICE, &s, sizeof(s));
		ep->published = false;
	}
	frame_end(c);
	services_sweep(c, list);
}

/* ---- routes -------------------------------------------------------------------------------- */

static struct sf_item_route route(const struct sf_addr *prefix, uint8_t len,
				  const struct router *via)
{
	return (struct sf_item_route){ .prefix = *prefix, .via = via->addr, .len = len };
}

/* Routes that @router gives @to; @out has room for ROUTES_MAX. Return: how many. */
static unsigned int routes_of(const struct controller *c, const struct router *router,
			      const struct router *to, struct sf_item_route *out)
{
	struct lease leases[BLOCKS_LEASES_MAX];
	unsigned int have = blocks_of(c->blocks, &router->id, leases, BLOCKS_LEASES_MAX);
	const struct sf_net *net = &c->config->net;
	struct sf_addr prefix;
	unsigned int n = 0;

	if (router == to)
		return 0;
	for (unsigned int i = 0; i < have && i < BLOCKS_LEASES_MAX; i++) {
		for (uint32_t b = 0; b < leases[i].count && n < ROUTES_MAX - 2; b++) {
			prefix = sf_locator(net, (leases[i].first + b) << 16, 0);
			out[n++] = route(&prefix, 64, router);
		}
	}
	if ((router->roles & SF_ROLE_SERVICE) && !(to->roles & SF_ROLE_SERVICE)) {
		memset(&prefix, 0, sizeof(prefix));
		prefix.w[0] = net->service;
		out[n++] = route(&prefix, 32, router);
		prefix = sf_locator(net, 0, 0);
		out[n++] = route(&prefix, 64, router);
	}
	return n;
}

static void put_routes(struct controller *c, uint8_t type, const struct router *router,
		       const struct router *to)
{
	struct sf_item_route routes[ROUTES_MAX];
	unsigned int n = routes_of(c, router, to, routes);

	for (unsigned int i = 0; i < n; i++) {
		frame_room(c, type, ITEM_BYTES(routes[i]));
		sf_ctrl_put(&c->rules->out, SF_ITEM_ROUTE, &routes[i], sizeof(routes[i]));
	}
}

static void tell_others(struct controller *c, uint8_t type, const struct router *router)
{
	for (struct router *to = c->routers; to; to = to->hh.next) {
		if (to == router || !takes_delta(to))
			continue;
		c->rules->only = to;
		c->rules->delta = true;
		put_routes(c, type, router, to);
		frame_end(c);
	}
}

void routes_publish(struct controller *c, const struct router *router)
{
	tell_others(c, SF_CTRL_ROUTES, router);
}

void routes_withdraw(struct controller *c, const struct router *router)
{
	tell_others(c, SF_CTRL_ROUTES_GONE, router);
}

/* ---- everything ---------------------------------------------------------------------------- */

void rules_sync(struct controller *c, struct router *router)
{
	/* What is dirty goes out first, so that a sync is exactly the version that it names. */
	rules_flush(c);
	c->rules->only = router;
	c->rules->delta = false;
	frame_begin(c, SF_CTRL_SYNC_BEGIN);
	frame_end(c);
	if (router->roles & SF_ROLE_SERVICE) {
		for (struct endpoint *ep = c->endpoints; ep; ep = ep->hh.next) {
			if (has_rule(ep))
				put_rule(c, ep);
		}
	}
	/* Also of those that are lost, or awaited since our start: their datapaths may go on. */
	for (struct router *r = c->routers; r; r = r->hh.next)
		put_routes(c, SF_CTRL_ROUTES, r, router);
	frame_room(c, SF_CTRL_SYNC_END, 0);
	frame_end(c);
	c->stats.syncs++;
}
