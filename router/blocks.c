// SPDX-License-Identifier: Apache-2.0
/*
 * blocks.c - giving out the addresses of our blocks.
 *
 * A block's host 0 is the router itself. The table of hosts is the record of what is given: two
 * hosts never get one address, and a key gets its own again for as long as the block does not run
 * out (docs/protocol.md section 5.1).
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

/* The @i-th hostAddr of our blocks: host 0 of each is left out. */
static uint32_t nth(const struct router *r, uint32_t i)
{
	return (r->place.block + i / 0xffff) << 16 | (i % 0xffff + 1);
}

static int pick_fresh(struct router *r, uint32_t *addr)
{
	uint32_t room = (uint32_t)r->place.blocks * 0xffff;

	for (; r->hosts->next < room; r->hosts->next++)
		if (!host_find(r, nth(r, r->hosts->next))) {
			*addr = nth(r, r->hosts->next++);
			return 0;
		}
	return -ENOSPC;
}

int blocks_pick(struct router *r, uint32_t *addr)
{
	uint64_t now = sf_wall_ms();
	struct host *oldest = NULL;

	if (!pick_fresh(r, addr))
		return 0;
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
