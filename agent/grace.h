// SPDX-License-Identifier: Apache-2.0
/*
 * grace.h - how long a flow waits for a peer that has fallen silent: move_grace, by service.
 *
 * What counts, first to last: what this host's configuration says of the service
 * (service_move_grace), what the controller's policy for it says, the host's move_grace, the
 * network's. A policy is asked for when flows of the service have begun to wait, by LOOKUP
 * (docs/protocol.md, "Look-ups"), and asked for again after a while; before that nobody needs it.
 * What was heard counts until something else is: a router that is without its controller may not
 * know.
 */
#ifndef SF_AGENT_GRACE_H
#define SF_AGENT_GRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/flow.h"

struct host;
struct grace_policy;

#define GRACE_POLICIES 1024 /* remembered */

/** struct graces - what this host's configuration says, and policies, by serviceID. */
struct graces {
	struct grace_policy *own, *policies;
};

/** grace_is_text() - for the configuration: "SERVICE=DURATION". */
bool grace_is_text(const char *text);

/** graces_open() - read what the configuration says, in place of what was read for another network.
 * Return: 0 or -ENOMEM. */
int graces_open(struct host *h);

/** grace_of() - Return: milliseconds for which @f waits. */
uint32_t grace_of(const struct host *h, const struct sf_flow *f);

/** grace_ask() - ask for the policy of the service of @f, unless that was done lately. */
void grace_ask(struct host *h, const struct sf_flow *f);

void graces_close(struct host *h);

#endif
