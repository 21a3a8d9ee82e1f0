// SPDX-License-Identifier: Apache-2.0
/* transit.c - see transit.h. */
#include "router/transit.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "router/router.h"
#include "router/routes.h"
#include "util/clock.h"
#include "util/log.h"

struct way {
	int ifindex;
	uint64_t seen_ms;
	bool leads;
	UT_hash_handle hh;
};

struct transit {
	struct way *by_link;
};

int transit_new(struct router *r)
{
	r->transit = calloc(1, sizeof(*r->transit));
	return r->transit ? 0 : -ENOMEM;
}

void transit_free(struct router *r)
{
	struct way *w, *tmp;

	if (!r->transit)
		return;
	HASH_ITER (hh, r->transit->by_link, w, tmp) {
		HASH_DEL(r->transit->by_link, w);
		free(w);
	}
	free(r->transit);
	r->transit = NULL;
}

static struct way *way_find(const struct router *r, int ifindex)
{
	struct way *w;

	HASH_FIND_INT(r->transit->by_link, &ifindex, w);
	return w;
}

/* Whether some address is in both. */
static bool overlap(const struct sf_ip6_prefix *a, const struct sf_ip6_prefix *b)
{
	return a->len < b->len ? sf_ip6_prefix_contains(a, &b->addr)
			       : sf_ip6_prefix_contains(b, &a->addr);
}

static struct sf_ip6_prefix prefix(const struct sf_addr *a, uint8_t len)
{
	struct in6_addr addr;

	memcpy(&addr, a, sizeof(addr));
	return sf_ip6_prefix_make(&addr, len);
}

/* Locators of any AS, and services. */
static bool is_scaffold(const struct router *r, const struct sf_ip6_prefix *dst)
{
	struct sf_addr any = { .h = { sf_be16(SF_LOCATOR_PREFIX) } };
	struct sf_addr own = sf_locator(&r->place.net, 0, 0);
	struct sf_addr services = { .w = { r->place.net.service } };
	struct sf_ip6_prefix all = prefix(&any, 16), as = prefix(&own, 48),
			     s = prefix(&services, 32);

	return dst->len && (overlap(dst, &all) || overlap(dst, &as) || overlap(dst, &s));
}

bool transit_concerns(const struct router *r, const struct sf_nl_route *route)
{
	struct sf_addr dst;

	memcpy(&dst, &route->dst.addr, sizeof(dst));
	if ((route->type && route->type != RTN_UNICAST) || !is_scaffold(r, &route->dst))
		return false;
	return !(route->dst.len >= 64 && is_own(r, &dst)); /* our hosts, and where they are not */
}

static void way_seen(struct router *r, int ifindex, uint64_t now)
{
	struct way *w = way_find(r, ifindex);

	if (!w) {
		w = calloc(1, sizeof(*w));
		if (!w) {
			sf_error("links to other routers: out of memory");
			return;
		}
		w->ifindex = ifindex;
		HASH_ADD_INT(r->transit->by_link, ifindex, w);
	}
	w->seen_ms = now;
}

struct look {
	struct router *router;
	uint64_t now;
};

static int take_route(const struct sf_nl_route *route, void *ctx)
{
	const struct look *l = ctx;

	if (!transit_concerns(l->router, route))
		return 0;
	if (!sf_ip6_is_any(&route->via))
		way_seen(l->router, route->oif, l->now);
	for (size_t i = 0; i < route->n_hops; i++)
		if (!sf_ip6_is_any(&route->hops[i].via))
			way_seen(l->router, route->hops[i].oif, l->now);
	return 0;
}

bool transit_judge(struct router *r)
{
	struct look l = { r, sf_now_ms() };
	struct way *w, *tmp;
	bool changed = false;
	int ret = -EINTR;

	for (int tries = 0; tries < 3 && ret == -EINTR; tries++)
		ret = sf_route_list(r->nl, 0, 0, take_route, &l);
	if (ret)
		sf_warn("links to other routers: routes: %s", strerror(-ret));
	HASH_ITER (hh, r->transit->by_link, w, tmp) {
		bool leads = l.now - w->seen_ms < TRANSIT_REST_MS;

		changed |= leads != w->leads;
		w->leads = leads;
		if (leads)
			continue;
		HASH_DEL(r->transit->by_link, w);
		free(w);
	}
	return changed;
}

bool transit_leads(const struct router *r, int ifindex)
{
	const struct way *w = way_find(r, ifindex);

	return w && w->leads;
}
