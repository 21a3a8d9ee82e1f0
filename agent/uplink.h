// SPDX-License-Identifier: Apache-2.0
/*
 * uplink.h - the links that may lead to an access router: found, watched. Any interface will do
 * that carries IPv6 over a link layer (Ethernet, VLAN, bond, bridge, veth): they are ordinary
 * interfaces. What is done on each is attachment.h's.
 */
#ifndef SF_AGENT_UPLINK_H
#define SF_AGENT_UPLINK_H

#include <stdbool.h>
#include <stdint.h>

#include "util/netlink.h"

struct attachment;
struct host;
struct event;

struct uplink {
	struct sf_nl_monitor *monitor;
	struct event *readable;
	struct event *repair; /* the set-up, when others took of it */
};

/** uplink_open() - watch links. Return: 0 or -errno with @err. */
int uplink_open(struct host *h, char *err, size_t errlen);
void uplink_close(struct host *h);

/** uplink_scan() - make an attachment of each link on which a router may be found. */
void uplink_scan(struct host *h);

/** uplink_wants() - whether a link is one of the configured ones; without such, any that has a link
 * layer, but for ports of bonds and bridges, which are no links of their own. */
bool uplink_wants(const struct host *h, const struct sf_nl_link *link);

/** uplink_usable() - whether it is so, and up with carrier. */
bool uplink_usable(const struct host *h, const struct sf_nl_link *link);

/**
 * uplink_forget_router() - the kernel's neighbour entry of @a's router goes, and what waits in it.
 *
 * A link without carrier has no neighbours. A segment that is sent meanwhile makes an entry, which
 * keeps it for the 3 s in which nobody answers; and what a queue of the host's still has, TCP does
 * not repeat.
 */
void uplink_forget_router(const struct attachment *a);

/** uplink_rank() - its place in the configured order; PREFER_NO_RANK: there is none. */
uint32_t uplink_rank(const struct host *h, const char *name);

#endif
