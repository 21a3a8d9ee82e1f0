// SPDX-License-Identifier: Apache-2.0
/*
 * blocks.c - leases of hostAddr blocks. There are at most 65535 blocks and few leases, so a list of
 * leases and a table from block to lease is all.
 */
#include "controller/blocks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct leased {
	struct lease l;
	struct leased *next, *prev;
};

struct blocks {
	struct store *store;
	uint16_t first, last;
	uint16_t cursor; /* where the last search ended: a released block rests longest */
	unsigned int used;
	struct leased *leases;
	struct leased *by_block[65536];
};

static bool range_free(const struct blocks *b, uint32_t first, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (b->by_block[first + i])
			return false;
	}
	return true;
}

static int add(struct blocks *b, uint16_t first, uint16_t count, const struct sf_sid *router)
{
	struct leased *l;

	if (!range_free(b, first, count))
		return -EUCLEAN;
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->l = (struct lease){ first, count, *router };
	DL_APPEND(b->leases, l);
	for (uint32_t i = 0; i < count; i++)
		b->by_block[first + i] = l;
	b->used += count;
	return 0;
}

static int load(void *ctx, uint16_t first, uint16_t count, const struct sf_sid *router)
{
	struct blocks *b = ctx;

	/* The search goes on behind the highest: what was freed shortly before a restart rests. */
	if (first + count - 1 >= b->first && first + count - 1 < b->last)
		b->cursor = (uint16_t)(first + count);
	return add(b, first, count, router);
}

int blocks_new(struct store *store, uint16_t first, uint16_t last, struct blocks **out)
{
	struct blocks *b = calloc(1, sizeof(*b));
	int ret;

	if (!b)
		return -ENOMEM;
	b->store = store;
	b->first = first;
	b->last = last;
	b->cursor = first;
	ret = store_blocks(store, load, b);
	if (ret)
		blocks_free(b);
	else
		*out = b;
	return ret;
}

void blocks_free(struct blocks *b)
{
	struct leased *l, *tmp;

	if (!b)
		return;
	DL_FOREACH_SAFE(b->leases, l, tmp)
	free(l);
	free(b);
}

/* First free run of @count blocks, from the cursor on and round. Return: its start, 0: none. */
static uint16_t find_free(const struct blocks *b, uint16_t count)
{
	uint32_t span = (uint32_t)b->last - b->first + 1;

	if (count > span)
		return 0;
	for (uint32_t i = 0; i < span; i++) {
		uint32_t at = b->first + (b->cursor - b->first + i) % span;

		if (at + count - 1 <= b->last && range_free(b, at, count))
			return (uint16_t)at;
	}
	return 0;
}

/* A lease that the router has: around @first, or, where that is 0, any of @count or more. */
static const struct leased *held(const struct blocks *b, const struct sf_sid *router,
				 uint16_t first, uint16_t count)
{
	struct leased *l;

	DL_FOREACH(b->leases, l)
	{
		if (!sf_sid_eq(&l->l.router, router) || l->l.count < count)
			continue;
		if (!first ||
		    (first >= l->l.first && first + count <= (uint32_t)l->l.first + l->l.count))
			return l;
	}
	return NULL;
}

static bool too_many(const struct blocks *b, const struct sf_sid *router, uint16_t more)
{
	uint32_t blocks = more;
	uint32_t leases = 1;
	struct leased *l;

	DL_FOREACH(b->leases, l)
	{
		if (sf_sid_eq(&l->l.router, router)) {
			blocks += l->l.count;
			leases++;
		}
	}
	return blocks > BLOCKS_ROUTER_MAX || leases > BLOCKS_LEASES_MAX;
}

int blocks_lease(struct blocks *b, const struct sf_sid *router, uint16_t first, uint16_t count,
		 struct lease *out)
{
	const struct leased *l;
	int ret;

	if (count == 0 || count > BLOCKS_ROUTER_MAX || (uint32_t)first + count > 65536)
		return -EINVAL;
	l = held(b, router, first, count);
	if (l) {
		*out = l->l;
		return 0;
	}
	if (first && !range_free(b, first, count))
		return -EEXIST;
	if (too_many(b, router, count))
		return -ENOSPC;
	if (!first) {
		first = find_free(b, count);
		if (!first)
			return -ENOSPC;
		b->cursor = first + count > b->last ? b->first : (uint16_t)(first + count);
	}
	ret = store_block_put(b->store, first, count, router);
	if (!ret)
		ret = add(b, first, count, router);
	if (!ret)
		*out = (struct lease){ first, count, *router };
	return ret;
}

const struct sf_sid *blocks_owner(const struct blocks *b, uint16_t block)
{
	return b->by_block[block] ? &b->by_block[block]->l.router : NULL;
}

unsigned int blocks_of(const struct blocks *b, const struct sf_sid *router, struct lease *out,
		       unsigned int max)
{
	const struct leased *l;
	unsigned int n = 0;

	DL_FOREACH(b->leases, l)
	{
		if (!sf_sid_eq(&l->l.router, router))
			continue;
		if (n < max)
			out[n] = l->l;
		n++;
	}
	return n;
}

int blocks_release(struct blocks *b, const struct sf_sid *router)
{
	struct leased *l, *tmp;
	int ret = store_blocks_delete(b->store, router);

	if (ret)
		return ret;
	DL_FOREACH_SAFE(b->leases, l, tmp)
	{
		if (!sf_sid_eq(&l->l.router, router))
			continue;
		for (uint32_t i = 0; i < l->l.count; i++)
			b->by_block[l->l.first + i] = NULL;
		b->used -= l->l.count;
		DL_DELETE(b->leases, l);
		free(l);
	}
	return 0;
}

unsigned int blocks_used(const struct blocks *b)
{
	return b->used;
}
