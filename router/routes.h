// SPDX-License-Identifier: Apache-2.0
/*
 * routes.h - our routes in the kernel's FIB, all of protocol 213. The metric tells whose they are:
 *
 *	ROUTE_METRIC_HOST   a joined host's /80, by its link-local address
 *	ROUTE_METRIC_BLOCK  our block's /64, to the dummy device that answers for absent hosts
 *	ROUTE_METRIC_OTHER  what the controller says leads to other routers. Their next hops are
 *	                    looked up in the FIB, whoever fills it, and again when it changes.
 */
#ifndef SF_ROUTER_ROUTES_H
#define SF_ROUTER_ROUTES_H

#include <netinet/in.h>
#include <stdint.h>

#include "core/ctrl.h"

#define ROUTE_METRIC_HOST  256
#define ROUTE_METRIC_BLOCK 1024
#define ROUTE_METRIC_OTHER 512

struct router;
struct sf_nl;

/** routes_new() - empty tables. Return: 0 or -errno. */
int routes_new(struct router *r);
void routes_free(struct router *r);

/** routes_host_add() - @locator's /80 by @via on @ifindex; in place of an earlier one. Return: 0 or
 * -errno. */
int routes_host_add(struct router *r, const struct sf_addr *locator, int ifindex,
		    const struct in6_addr *via);
/** routes_host_del() - that route, and what the kernel knows of @via. */
void routes_host_del(struct router *r, const struct sf_addr *locator, int ifindex,
		     const struct in6_addr *via);

/** routes_block_add() - block @block's /64 to @ifindex. Return: 0 or -errno. */
int routes_block_add(struct router *r, uint16_t block, int ifindex);

/** routes_give() - a prefix by another router; @generation of the sync. Return: 0 or -errno. */
int routes_give(struct router *r, const struct sf_item_route *item, uint32_t generation);
/** routes_take() - that prefix is no more. */
void routes_take(struct router *r, const struct sf_item_route *item);

/** routes_take_older() - a sync is complete: what it did not name goes, adopted ones too. */
void routes_take_older(struct router *r, uint32_t generation);

/** routes_resolve() - the FIB changed: look up next hops anew. */
void routes_resolve(struct router *r);

/** routes_sweep_hosts() - take away host routes in the kernel that are nobody's (after a restart).
 */
void routes_sweep_hosts(struct router *r);

/** routes_remove_all() - all of our metrics (--flush). Return: their number or -errno. */
int routes_remove_all(struct sf_nl *nl);

/** struct route_view - a route for people. @up: it is in the FIB. */
struct route_view {
	struct sf_addr prefix, via;
	uint8_t len;
	bool up;
};

/** routes_each() - the controller's routes. */
void routes_each(struct router *r, void (*each)(const struct route_view *v, void *ctx), void *ctx);

#endif
