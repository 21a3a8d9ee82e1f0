// SPDX-License-Identifier: Apache-2.0
/*
 * registry.h - what a joined host says: REGISTER, UNREGISTER, HEARTBEAT, LEAVE. Each function
 * answers the request; for a repeat it answers without acting.
 */
#ifndef SF_ROUTER_REGISTRY_H
#define SF_ROUTER_REGISTRY_H

#include "core/ctrl.h"

struct host;
struct request;
struct router;

/**
 * registry_register(), registry_unregister(), registry_heartbeat(), registry_leave() - execute a
 * host's authentic message and answer it; a repeated one is answered only.
 */
void registry_register(struct router *r, struct request *q);
void registry_unregister(struct router *r, struct request *q);
void registry_heartbeat(struct router *r, struct request *q);
void registry_leave(struct router *r, struct request *q);

/**
 * registry_verdict() - the controller denies a registration of a host: it goes, and the host is
 * told.
 */
void registry_verdict(struct router *r, struct host *h, const struct sf_item_result *verdict);

#endif
