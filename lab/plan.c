// SPDX-License-Identifier: Apache-2.0
/* plan.c - numbers, names and routes of a lab; see plan.h. */
#include "lab/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct in6_addr sf_plan_address(unsigned int node)
{
	struct in6_addr a = { .s6_addr = { 0xfd, 0x00, 0x5c, 0xaf } };

	a.s6_addr[14] = (uint8_t)((node + 1) >> 8);
	a.s6_addr[15] = (uint8_t)(node + 1);
	return a;
}

struct in6_addr sf_plan_link_local(unsigned int node)
{
	struct in6_addr a = { .s6_addr = { 0xfe, 0x80 } };

	a.s6_addr[14] = (uint8_t)((node + 1) >> 8);
	a.s6_addr[15] = (uint8_t)(node + 1);
	return a;
}

struct sf_ip6_prefix sf_plan_prefix(void)
{
	struct in6_addr any = sf_plan_address(0);

	return sf_ip6_prefix_make(&any, 32);
}

void sf_plan_mac(unsigned int link, unsigned int end, uint8_t mac[6])
{
	const uint8_t made[6] = { 0x02,		 0x5c,	      0xaf, (uint8_t)(link >> 8),
				  (uint8_t)link, (uint8_t)end };

	memcpy(mac, made, sizeof(made));
}

const char *sf_plan_ifname(const struct sf_topology *t, unsigned int link, unsigned int end)
{
	return t->nodes[t->links[link].node[!end]].name;
}

/* Breadth first from @node; a node keeps the first link of the way by which it was first reached.
 */
int sf_plan_ways(const struct sf_topology *t, unsigned int node, const bool *down, int *ways)
{
	unsigned int *queue = calloc(t->n_nodes, sizeof(*queue));
	size_t head = 0, tail = 0;

	if (!queue)
		return -ENOMEM;
	for (size_t i = 0; i < t->n_nodes; i++)
		ways[i] = -1;
	queue[tail++] = node;
	while (head < tail) {
		unsigned int at = queue[head++];

		if (at != node && t->nodes[at].kind != SF_NODE_ROUTER)
			continue; /* hosts and controllers do not forward */
		for (size_t l = 0; l < t->n_links; l++) {
			const unsigned int *ends = t->links[l].node;
			unsigned int next;

			if ((down && down[l]) || (ends[0] != at && ends[1] != at))
				continue;
			next = ends[0] == at ? ends[1] : ends[0];
			if (next == node || ways[next] >= 0)
				continue;
			ways[next] = at == node ? (int)l : ways[at];
			queue[tail++] = next;
		}
	}
	free(queue);
	return 0;
}
