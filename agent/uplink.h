// SPDX-License-Identifier: Apache-2.0
/*
 * uplink.h - the link to the access router: found, watched. Any interface will do that carries
 * IPv6 over a link layer (Ethernet, VLAN, bond, bridge, veth): they are ordinary interfaces.
 */
#ifndef SF_AGENT_UPLINK_H
#define SF_AGENT_UPLINK_H

#include <stdbool.h>
#include <stdint.h>

#include "util/netlink.h"

struct host;
struct event;

struct uplink {
	struct sf_nl_monitor *monitor;
	struct event *readable;
	struct event *repair;	/* the set-up, when others took of it */
	struct sf_nl_link link; /* the chosen one; ifindex 0: none yet */
};

/** uplink_open() - watch links. Return: 0 or -errno with @err. */
int uplink_open(struct host *h, char *err, size_t errlen);
void uplink_close(struct host *h);

/**
 * uplink_each() - call @fn for every link on which a router may be found: the configured one, or
 * all that are up with carrier. Return: their number.
 */
int uplink_each(struct host *h, void (*fn)(struct host *h, const struct sf_nl_link *link));

/** uplink_choose() - a router has answered on this link. Return: 0 or -ENODEV. */
int uplink_choose(struct host *h, int ifindex);

/** uplink_usable() - whether the chosen link is up with carrier. */
bool uplink_usable(const struct host *h);

#endif
