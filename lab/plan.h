// SPDX-License-Identifier: Apache-2.0
/*
 * plan.h - numbers, names and routes of a lab, computed from its topology alone.
 *
 * Links are unnumbered, as in many data centres today: an interface has a link-local address, the
 * node has one address on its loopback device, and routes lead to node addresses by way of
 * link-local ones. The address of node number N (from 1, in the order of the topology) is
 *
 *	fd00:5caf::N	its native address, on lo: underlay of routers, baseline of hosts
 *	fe80::N		on each of its links
 *	02:5c:af:LL:LL:0E  hardware address of end E (0, 1) of link LLLL
 *
 * An interface is called after the node at its other end: `ip link` in r1 shows h1, h2, r2.
 * Routes are shortest paths by hops; only routers forward. The lab plays the interior routing
 * protocol: when a link is taken down it computes them anew.
 */
#ifndef SF_LAB_PLAN_H
#define SF_LAB_PLAN_H

#include <netinet/in.h>

#include "lab/topology.h"
#include "util/ip6.h"

/** sf_plan_address - native address of the node with this index. */
struct in6_addr sf_plan_address(unsigned int node);

/** sf_plan_link_local - its address on each of its links. */
struct in6_addr sf_plan_link_local(unsigned int node);

/** sf_plan_prefix - the prefix of all native addresses. */
struct sf_ip6_prefix sf_plan_prefix(void);

/** sf_plan_mac - hardware address of end @end of link @link. */
void sf_plan_mac(unsigned int link, unsigned int end, uint8_t mac[6]);

/** sf_plan_ifname - interface of end @end of link @link, which is the name of the other end's node.
 */
const char *sf_plan_ifname(const struct sf_topology *t, unsigned int link, unsigned int end);

/**
 * sf_plan_ways - first link of a shortest way from @node to each node.
 * @down: for each link whether it is out of use; NULL: none is
 * @ways: one int a node: index of the link to take; -1: the node itself, or no way
 * Returns 0 or -ENOMEM.
 */
int sf_plan_ways(const struct sf_topology *t, unsigned int node, const bool *down, int *ways);

#endif
