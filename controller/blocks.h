// SPDX-License-Identifier: Apache-2.0
/*
 * blocks.h - leases of hostAddr blocks: which router owns which /64 of the AS.
 *
 * A lease is permanent until the router is forgotten: addresses that hosts hold must not change
 * hands. It is in the store before the router hears of it.
 */
#ifndef SF_CONTROLLER_BLOCKS_H
#define SF_CONTROLLER_BLOCKS_H

#include <stdbool.h>
#include <stdint.h>

#include "controller/store.h"
#include "core/addr.h"

#define BLOCKS_ROUTER_MAX 1024 /* blocks of one router */
#define BLOCKS_LEASES_MAX 16   /* leases of one router */

struct blocks;

struct lease {
	uint16_t first, count;
	struct sf_sid router;
};

/** blocks_new() - load the leases; new ones come from @first..@last. */
int blocks_new(struct store *store, uint16_t first, uint16_t last, struct blocks **out);
void blocks_free(struct blocks *b);

/**
 * blocks_lease() - lease @count blocks to @router.
 * @first: the block that it holds, or 0: any. What it has already is confirmed. A held block may
 *         lie outside of first..last of the configuration (a router with a fixed block).
 * Return: 0 and *@out; -EEXIST another router has (part of) the range; -ENOSPC none left, or
 * too many for one router; -EINVAL; error of the store.
 */
int blocks_lease(struct blocks *b, const struct sf_sid *router, uint16_t first, uint16_t count,
		 struct lease *out);

/** blocks_owner() - whose block it is; NULL: nobody's. */
const struct sf_sid *blocks_owner(const struct blocks *b, uint16_t block);

/**
 * blocks_of() - leases of a router.
 * @out: room for @max. Return: how many it has (maybe above @max).
 */
unsigned int blocks_of(const struct blocks *b, const struct sf_sid *router, struct lease *out,
		       unsigned int max);

/** blocks_release() - end a router's leases. Return: 0 or error of the store. */
int blocks_release(struct blocks *b, const struct sf_sid *router);

/** blocks_used() - number of leased blocks. */
unsigned int blocks_used(const struct blocks *b);

#endif
