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
#include "controller/controller.h"
#include "controller/routers.h"

#define ROUTES_MAX (BLOCKS_ROUTER_MAX + 2) /* that one router gives another */

int rules_new(struct rules **out);
void rules_free(struct rules *r);

/** rules_flush() - tell service routers what became of the dirty endpoints. */
void rules_flush(struct controller *c);

/** rules_sync() - tell one router everything. */
void rules_sync(struct controller *c, struct router *router);

/** routes_publish() - tell the others that @router leads somewhere. */
void routes_publish(struct controller *c, const struct router *router);

/** routes_withdraw() - tell the others that it does not any more. */
void routes_withdraw(struct controller *c, const struct router *router);

#endif
