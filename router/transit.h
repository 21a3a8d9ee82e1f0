// SPDX-License-Identifier: Apache-2.0
/*
 * transit.h - which links lead to other routers, and therefore carry other routers' hosts' packets.
 *
 * Theory of operation
 *
 * On a link with access=auto hosts may join. Until one has, its packets must be filtered all the
 * same, or whoever plugs in speaks as any host there is. But between routers the packets of all
 * hosts pass, those of our own among them (a service router sends them back to us), and nothing in
 * a packet tells the one link from the other.
 *
 * The FIB does: a link leads to other routers when a route to locators or services goes out by it
 * to a gateway. The routes to other routers' blocks that the controller has us install are such
 * routes, and so are those of an IGP, BGP, or an administrator. Our hosts' own /80 routes are not,
 * nor is a default route: what comes from the Internet with a locator of ours is forged.
 *
 * A link that led to routers does so for TRANSIT_REST_MS more, while routes flap.
 */
#ifndef SF_ROUTER_TRANSIT_H
#define SF_ROUTER_TRANSIT_H

#include <stdbool.h>

#define TRANSIT_REST_MS 30000

struct router;
struct sf_nl_route;
struct transit;

/** transit_new() - nothing is known yet. Return: 0 or -errno. */
int transit_new(struct router *r);
void transit_free(struct router *r);

/** transit_concerns() - whether a change of this route may change the answer. */
bool transit_concerns(const struct router *r, const struct sf_nl_route *route);

/** transit_judge() - read the FIB. Return: whether transit_leads() has changed for a link. */
bool transit_judge(struct router *r);

/** transit_leads() - whether a link leads to other routers. */
bool transit_leads(const struct router *r, int ifindex);

#endif
