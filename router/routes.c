// SPDX-License-Identifier: Apache-2.0
/* routes.c - host, block and other routers' routes; see routes.h for whose is which. */
#include "router/routes.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "router/hosts.h"
#include "router/router.h"
#include "util/log.h"

#define VIAS_MAX 8

struct prefix {
	struct sf_addr addr;
	uint8_t len;
	uint8_t pad[3];
};

struct via {
	struct sf_addr router;
	uint32_t generation;
};

struct other {
	struct prefix prefix;
	struct via vias[VIAS_MAX];
	uint8_t n_vias;
	struct sf_nl_hop hops[VIAS_MAX]; /* as installed */
	uint8_t n_hops;
	UT_hash_handle hh;
};

struct routes {
	struct other *others;
	bool swept; /* what an earlier daemon left was compared with a sync */
};

int routes_new(struct router *r)
{
	r->routes = calloc(1, sizeof(*r->routes));
	return r->routes ? 0 : -ENOMEM;
}

void routes_free(struct router *r)
{
	struct other *o, *tmp;

	if (!r->routes)
		return;
	HASH_ITER (hh, r->routes->others, o, tmp) {
		HASH_DEL(r->routes->others, o);
		free(o);
	}
	free(r->routes);
	r->routes = NULL;
}

static struct in6_addr in6(const struct sf_addr *a)
{
	struct in6_addr out;

	memcpy(&out, a, sizeof(out));
	return out;
}

static const char *why(const struct router *r, int err)
{
	const char *text = sf_nl_error(r->nl);

	return text[0] ? text : strerror(-err);
}

/* ---- hosts and blocks ---- */

static struct sf_nl_route host_route(const struct sf_addr *locator, int ifindex,
				     const struct in6_addr *via)
{
	struct in6_addr dst = in6(locator);

	return (struct sf_nl_route){ .dst = sf_ip6_prefix_make(&dst, 80),
				     .via = *via,
				     .oif = ifindex,
				     .metric = ROUTE_METRIC_HOST };
}

int routes_host_add(struct router *r, const struct sf_addr *locator, int ifindex,
		    const struct in6_addr *via)
{
	struct sf_nl_route route = host_route(locator, ifindex, via);
	char buf[SF_ADDR_STRLEN];
	int ret = sf_route_replace(r->nl, &route);

	if (ret)
		sf_error("route %s/80: %s", sf_addr_print(locator, buf), why(r, ret));
	return ret;
}

void routes_host_del(struct router *r, const struct sf_addr *locator, int ifindex,
		     const struct in6_addr *via)
{
	struct sf_nl_route route = host_route(locator, 0, &in6addr_any);

	sf_route_del(r->nl, &route, SF_NL_ENSURE);
	if (IN6_IS_ADDR_LINKLOCAL(via))
		sf_neigh_del(r->nl, ifindex, via, SF_NL_ENSURE);
}

int routes_block_add(struct router *r, uint16_t block, int ifindex)
{
	struct sf_addr prefix = sf_locator(&r->place.net, (uint32_t)block << 16, 0);
	struct in6_addr dst = in6(&prefix);
	struct sf_nl_route route = { .dst = sf_ip6_prefix_make(&dst, 64),
				     .oif = ifindex,
				     .metric = ROUTE_METRIC_BLOCK };

	return sf_route_replace(r->nl, &route);
}

/* Routes of ours with @metric, to be deleted after listing. */
struct collected {
	uint32_t metric;
	struct sf_nl_route *routes;
	size_t n;
	int err;
};

static int collect(const struct sf_nl_route *route, void *ctx)
{
	struct collected *c = ctx;
	struct sf_nl_route *grown;

	if (c->metric && route->metric != c->metric)
		return 0;
	if (!c->metric && route->metric != ROUTE_METRIC_HOST &&
	    route->metric != ROUTE_METRIC_BLOCK && route->metric != ROUTE_METRIC_OTHER)
		return 0;
	grown = realloc(c->routes, (c->n + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	c->routes = grown;
	/* Enough to name it: prefix and metric. */
	c->routes[c->n++] = (struct sf_nl_route){ .dst = route->dst,
						  .metric = route->metric,
						  .protocol = SF_NL_PROTOCOL };
	return 0;
}

static int collect_all(struct sf_nl *nl, uint32_t metric, struct collected *c)
{
	int ret = 0;

	*c = (struct collected){ .metric = metric };
	for (int tries = 0; tries < 3; tries++) {
		ret = sf_route_list(nl, RT_TABLE_MAIN, SF_NL_PROTOCOL, collect, c);
		if (ret != -EINTR)
			break;
		free(c->routes);
		*c = (struct collected){ .metric = metric };
	}
	return ret;
}

void routes_sweep_hosts(struct router *r)
{
	struct collected c;

	if (!collect_all(r->nl, ROUTE_METRIC_HOST, &c))
		for (size_t i = 0; i < c.n; i++) {
			struct sf_addr locator;
			struct host *h;

			memcpy(&locator, &c.routes[i].dst.addr, sizeof(locator));
			h = host_at(r, &locator);
			if (!h || h->state == HOST_ABSENT)
				sf_route_del(r->nl, &c.routes[i], SF_NL_ENSURE);
		}
	free(c.routes);
}

int routes_remove_all(struct sf_nl *nl)
{
	struct collected c;
	int ret = collect_all(nl, 0, &c), n = (int)c.n;

	for (size_t i = 0; !ret && i < c.n; i++)
		sf_route_del(nl, &c.routes[i], SF_NL_ENSURE);
	free(c.routes);
	return ret ? ret : n;
}

/* ---- other routers ---- */

static struct prefix prefix_of(const struct sf_item_route *item)
{
	return (struct prefix){ .addr = item->prefix, .len = item->len };
}

static struct other *other_find(const struct router *r, const struct prefix *p)
{
	struct other *o;

	HASH_FIND(hh, r->routes->others, p, sizeof(*p), o);
	return o;
}

static struct sf_nl_route other_route(const struct other *o)
{
	struct in6_addr dst = in6(&o->prefix.addr);

	return (struct sf_nl_route){ .dst = sf_ip6_prefix_make(&dst, o->prefix.len),
				     .metric = ROUTE_METRIC_OTHER };
}

static void other_remove(struct router *r, struct other *o)
{
	struct sf_nl_route route = other_route(o);

	if (o->n_hops)
		sf_route_del(r->nl, &route, SF_NL_ENSURE);
	HASH_DEL(r->routes->others, o);
	free(o);
}

/* The next hops to a prefix, as the FIB has the way to its routers. Return: their number. */
static uint8_t look_up(struct router *r, const struct other *o, struct sf_nl_hop *hops)
{
	uint8_t n = 0;

	for (int i = 0; i < o->n_vias; i++) {
		struct in6_addr via = in6(&o->vias[i].router);
		struct sf_nl_route way;

		if (sf_route_get(r->nl, &via, NULL, 0, 0, &way) ||
		    (way.type != RTN_UNICAST && way.type))
			continue;
		hops[n].via = sf_ip6_is_any(&way.via) ? via : way.via;
		hops[n].oif = way.oif;
		hops[n].weight = 1;
		n++;
	}
	return n;
}

/* By members: the bytes between them are nobody's. Weights are all 1. */
static bool same_hops(const struct sf_nl_hop *a, const struct sf_nl_hop *b, uint8_t n)
{
	for (uint8_t i = 0; i < n; i++)
		if (memcmp(&a[i].via, &b[i].via, sizeof(a[i].via)) || a[i].oif != b[i].oif)
			return false;
	return true;
}

static void other_resolve(struct router *r, struct other *o)
{
	struct sf_nl_hop hops[VIAS_MAX] = { 0 };
	struct sf_nl_route route = other_route(o);
	uint8_t n = look_up(r, o, hops);
	char buf[SF_ADDR_STRLEN];
	int ret = 0;

	if (n == o->n_hops && same_hops(hops, o->hops, n))
		return;
	if (!n) {
		ret = sf_route_del(r->nl, &route, SF_NL_ENSURE);
	} else {
		if (n == 1) {
			route.via = hops[0].via;
			route.oif = hops[0].oif;
		} else {
			route.hops = hops;
			route.n_hops = n;
		}
		ret = sf_route_replace(r->nl, &route);
	}
	if (ret) {
		sf_warn("route %s/%u: %s", sf_addr_print(&o->prefix.addr, buf), o->prefix.len,
			why(r, ret));
		return;
	}
	memcpy(o->hops, hops, sizeof(hops));
	o->n_hops = n;
	sf_debug("route %s/%u: %u next hops", sf_addr_print(&o->prefix.addr, buf), o->prefix.len,
		 n);
}

int routes_give(struct router *r, const struct sf_item_route *item, uint32_t generation)
{
	struct prefix p = prefix_of(item);
	struct other *o = other_find(r, &p);
	int i = 0;

	if (item->len > 128 || sf_addr_is_zero(&item->via))
		return -EINVAL;
	if (!o) {
		o = calloc(1, sizeof(*o));
		if (!o)
			return -ENOMEM;
		o->prefix = p;
		HASH_ADD(hh, r->routes->others, prefix, sizeof(o->prefix), o);
	}
	while (i < o->n_vias && !sf_addr_eq(&o->vias[i].router, &item->via))
		i++;
	if (i == VIAS_MAX)
		return 0; /* enough ways */
	if (i == o->n_vias)
		o->n_vias++;
	o->vias[i] = (struct via){ .router = item->via, .generation = generation };
	other_resolve(r, o);
	return 0;
}

static void via_remove(struct other *o, int i)
{
	o->n_vias--;
	memmove(&o->vias[i], &o->vias[i + 1], (o->n_vias - i) * sizeof(o->vias[0]));
}

void routes_take(struct router *r, const struct sf_item_route *item)
{
	struct prefix p = prefix_of(item);
	struct other *o = other_find(r, &p);

	if (!o)
		return;
	for (int i = o->n_vias - 1; i >= 0; i--)
		if (sf_addr_eq(&o->vias[i].router, &item->via))
			via_remove(o, i);
	if (o->n_vias)
		other_resolve(r, o);
	else
		other_remove(r, o);
}

/* What an earlier daemon put into the FIB, and no sync named since. */
static void sweep_others(struct router *r)
{
	struct collected c;

	if (!collect_all(r->nl, ROUTE_METRIC_OTHER, &c))
		for (size_t i = 0; i < c.n; i++) {
			struct prefix p = { .len = c.routes[i].dst.len };

			memcpy(&p.addr, &c.routes[i].dst.addr, sizeof(p.addr));
			if (!other_find(r, &p))
				sf_route_del(r->nl, &c.routes[i], SF_NL_ENSURE);
		}
	free(c.routes);
	r->routes->swept = true;
}

void routes_take_older(struct router *r, uint32_t generation)
{
	struct other *o, *tmp;

	HASH_ITER (hh, r->routes->others, o, tmp) {
		for (int i = o->n_vias - 1; i >= 0; i--)
			if (o->vias[i].generation != generation)
				via_remove(o, i);
		if (o->n_vias)
			other_resolve(r, o);
		else
			other_remove(r, o);
	}
	if (!r->routes->swept)
		sweep_others(r);
}

void routes_resolve(struct router *r)
{
	for (struct other *o = r->routes->others; o; o = o->hh.next)
		other_resolve(r, o);
}

void routes_each(struct router *r, void (*each)(const struct route_view *v, void *ctx), void *ctx)
{
	for (struct other *o = r->routes->others; o; o = o->hh.next)
		for (int i = 0; i < o->n_vias; i++) {
			struct route_view v = { .prefix = o->prefix.addr,
						.via = o->vias[i].router,
						.len = o->prefix.len,
						.up = o->n_hops > 0 };

			each(&v, ctx);
		}
}
