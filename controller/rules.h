// SPDX-License-Identifier: Apache-2.0
/*
 * rules.h - what each router must know, as messages.
 *
 * Rules (all services) go to routers with the service role. Routes go to all: each other router's
 * blocks as /64 via its underlay address, and, to routers without the service role, fd5e::/32 and
 * AS:0/64 via each service router. A route is named by prefix and via: several vias for one prefix
 * are equally good.
 *
 * A rule message replaces each endpoint that it names; version numbers grow by one with each delta
 * message. A sync has one version, that of the last delta that it includes.
 */
#ifndef SF_CONTROLLER_RULES_H
#define SF_CONTROLLER_RULES_H

#include "controller/blocks.h"
#include "controller/ctl.h"
#include "controller/routers.h"

#define CTL_ROUTES_MAX (CTL_BLOCKS_ROUTER_MAX + 2) /* that one router gives another */

int ctl_rules_new(struct ctl_rules **out);
void ctl_rules_free(struct ctl_rules *r);

/** ctl_rules_flush() - tell service routers what became of the dirty endpoints. */
void ctl_rules_flush(struct ctl *c);

/** ctl_rules_sync() - tell one router everything. */
void ctl_rules_sync(struct ctl *c, struct ctl_router *router);

/** ctl_routes_publish() - tell the others that @router leads somewhere. */
void ctl_routes_publish(struct ctl *c, const struct ctl_router *router);

/** ctl_routes_withdraw() - tell the others that it does not any more. */
void ctl_routes_withdraw(struct ctl *c, const struct ctl_router *router);

/**
 * ctl_routes_of() - routes that @router gives @to.
 * @out: room for CTL_ROUTES_MAX. Return: how many.
 */
unsigned int ctl_routes_of(const struct ctl *c, const struct ctl_router *router,
			   const struct ctl_router *to, struct sf_item_route *out);

#endif
