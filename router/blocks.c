// SPDX-License-Identifier: Apache-2.0
/*
 * blocks.c - giving out the addresses of our blocks.
 *
 * A block's host 0 is the router itself. The table of hosts is the record of what is given: two
 * hosts never get one address, and a key gets its own again for as long as the block does not run
 * out (docs/protocol.md section 5.1).
 *
 * The store may not have heard of the last hosts when the machine dies, and of those that never
 * proved anything it never hears (store.h). So addresses are given in ascending order, and the
 * store has a mark beyond all that were given, which is moved for certain, AHEAD addresses at a
 * time, before the first of them is given. The next daemon begins at the mark: what was given and
 * is not known any more is given again only when the block has been gone through, and not by a
 * daemon younger than the time that addresses rest.
 */
#include "router/blocks.h"

#include <errno.h>
#include <stdlib.h>

#include "core/ctrl.h"
#include "router/hosts.h"
#include "router/router.h"
#include "router/store.h"
#include "util/clock.h"
#include "util/log.h"

#define AHEAD 256

/* The @i-th hostAddr of our blocks: host 0 of each is left out. */
static uint32_t nth(const struct router *r, uint32_t i)
{
	return (r->place.block + i / 0xffff) << 16 | (i % 0xffff + 1);
}

/* Addresses from the mark on. */
static int pick_fresh(struct router *r, uint32_t room, uint32_t *addr)
{
	struct hosts *t = r->hosts;
	uint32_t mark;

	for (; t->next < room; t->next++) {
		if (t->next >= t->given) {
			mark = t->next + AHEAD < room ? t->next + AHEAD : room;
			if (store_put(r->store, STORE_GIVEN, &mark, sizeof(mark))) {
				sf_error("router.db: %s", store_error(r->store));
				return -EIO;
			}
			t->given = mark;
		}
		if (!host_find(r, nth(r, t->next))) {
			*addr = nth(r, t->next++);
			return 0;
		}
	}
	return -ENOSPC;
}

/* Once the block has been gone through: what nobody has. */
static int pick_free(struct router *r, uint32_t room, uint32_t *addr)
{
	if (sf_now_ms() - r->started_ms < SF_ADDRESS_REST_MS)
		return -ENOSPC;
	for (uint32_t tries = 0; tries < room; tries++) {
		uint32_t at = nth(r, r->hosts->again++ % room);

		if (!host_find(r, at)) {
			*addr = at;
			return 0;
		}
	}
	return -ENOSPC;
}

int blocks_pick(struct router *r, uint32_t *addr)
{
	uint64_t now = sf_wall_ms();
	uint32_t room = (uint32_t)r->place.blocks * 0xffff;
	struct host *oldest = NULL;
	int ret = pick_fresh(r, room, addr);

	if (ret == -ENOSPC)
		ret = pick_free(r, room, addr);
	if (ret != -ENOSPC)
		return ret;
	for (struct host *h = r->hosts->by_addr; h; h = h->hh.next) {
		/* A clock that was set back must not end a rest: such a release is in the future.
		 */
		if (h->state != HOST_ABSENT || h->released_ms > now ||
		    now - h->released_ms < SF_ADDRESS_REST_MS)
			continue;
		if (!oldest || h->released_ms < oldest->released_ms)
			oldest = h;
	}
	if (!oldest)
		return -ENOSPC;
	*addr = oldest->addr;
	sf_info("host %s: its address goes to another, the block is full", oldest->name);
	host_free(r, oldest);
	return 0;
}
