// SPDX-License-Identifier: Apache-2.0
/* rules_internal.h - what rules.c and rules_given.c share; not for others. */
#ifndef SF_ROUTER_RULES_INTERNAL_H
#define SF_ROUTER_RULES_INTERNAL_H

#include "router/rules.h"

struct extents;

struct old_extent {
	uint32_t at, n;
};

struct rules {
	struct service *services;
	struct service *dirty;
	struct registration *fresh; /* those with a word of their own, oldest first */
	struct extents *extents;
	struct old_extent *old; /* to be given back by the next flush */
	uint32_t n_old, room_old;
	struct sf_service_key *keys; /* of a flush */
	struct sf_rule *values;
	uint32_t batch_room;
	/* a table in the making */
	struct rules_share gathered[SF_INSTANCES_MAX];
	struct sf_instance instances[SF_INSTANCES_MAX];
	uint16_t indices[SF_TABLE_MAX];
	struct sf_addr slots[SF_TABLE_MAX + SF_INSTANCES_MAX];
};

/** rules_service() - find or make. Return: NULL without memory. */
struct service *rules_service(struct router *r, const struct sf_service_key *key);

/** rules_lists() - whether the given list names a host, with whatever weight. */
bool rules_lists(const struct service *s, const struct host *h);

/** rules_refresh_loudly() - build a service's table anew, to be effective with rules_flush(); a
 * failure becomes an alarm. */
void rules_refresh_loudly(struct router *r, struct service *s);

#endif
