// SPDX-License-Identifier: Apache-2.0
/*
 * lookup.h - LOOKUP: a host asks which protocols and ports a service is registered for, which its
 * operator did not say (docs/protocol.md, "Look-ups").
 *
 * The controller knows; the question is passed up and the answer down, and nothing of it is kept
 * here: a host that gets no answer repeats. Without a controller the router's own rules answer, and
 * what came with them of the service's policy.
 */
#ifndef SF_ROUTER_LOOKUP_H
#define SF_ROUTER_LOOKUP_H

#include "core/ctrl.h"

struct request;
struct router;

/** lookup_request() - a host's LOOKUP. */
void lookup_request(struct router *r, struct request *q);

/** lookup_found() - the controller's answer. Return: NULL, or what is wrong with it. */
const char *lookup_found(struct router *r, const struct sf_ctrl_in *in);

#endif
