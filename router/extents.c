// SPDX-License-Identifier: Apache-2.0
/*
 * extents.c - a buddy allocator over block numbers; see extents.h.
 *
 * Block b of EXTENT_MIN slots. state[b] tells of the extent that begins there: FREE + order,
 * USED + order, or INSIDE another one. Free extents of one order form a doubly linked list.
 */
#include "router/extents.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#define ORDERS 24
#define NONE   UINT32_MAX
#define INSIDE 0xff
#define FREE   0x00
#define USED   0x80

struct resting {
	uint64_t until;
	uint32_t block;
	uint8_t order;
};

struct extents {
	uint32_t blocks;
	uint32_t used; /* blocks */
	uint8_t *state;
	uint32_t *next, *prev; /* of free extents, by block */
	uint32_t free[ORDERS]; /* list heads */
	struct resting *rest;  /* ring, oldest first */
	uint32_t rest_first, rest_count, rest_room;
};

static void list_add(struct extents *e, uint32_t b, uint8_t order)
{
	e->state[b] = FREE + order;
	e->prev[b] = NONE;
	e->next[b] = e->free[order];
	if (e->next[b] != NONE)
		e->prev[e->next[b]] = b;
	e->free[order] = b;
}

static void list_del(struct extents *e, uint32_t b, uint8_t order)
{
	if (e->next[b] != NONE)
		e->prev[e->next[b]] = e->prev[b];
	if (e->prev[b] != NONE)
		e->next[e->prev[b]] = e->next[b];
	else
		e->free[order] = e->next[b];
	e->state[b] = INSIDE;
}

/* The smallest order that holds @n slots. */
static int order_of(uint32_t n)
{
	uint64_t room = EXTENT_MIN;
	int order = 0;

	while (room < n) {
		room <<= 1;
		order++;
	}
	return order;
}

int extents_new(uint32_t slots, struct extents **out)
{
	struct extents *e = calloc(1, sizeof(*e));
	uint32_t b = 0;

	if (!e)
		return -ENOMEM;
	e->blocks = slots / EXTENT_MIN;
	e->state = malloc(e->blocks + 1);
	e->next = malloc((e->blocks + 1) * sizeof(*e->next));
	e->prev = malloc((e->blocks + 1) * sizeof(*e->prev));
	if (!e->state || !e->next || !e->prev) {
		extents_free(e);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < e->blocks; i++)
		e->state[i] = INSIDE;
	for (int i = 0; i < ORDERS; i++)
		e->free[i] = NONE;
	while (b < e->blocks) {
		int order = ORDERS - 1;

		while (b & ((1u << order) - 1) || (1u << order) > e->blocks - b)
			order--;
		list_add(e, b, order);
		b += 1u << order;
	}
	*out = e;
	return 0;
}

void extents_free(struct extents *e)
{
	if (!e)
		return;
	free(e->state);
	free(e->next);
	free(e->prev);
	free(e->rest);
	free(e);
}

/* Enter a free extent, joined with its buddy as often as that is free. */
static void release(struct extents *e, uint32_t b, uint8_t order)
{
	e->used -= 1u << order;
	while (order + 1 < ORDERS) {
		uint32_t buddy = b ^ (1u << order);

		if (buddy >= e->blocks || e->state[buddy] != FREE + order)
			break;
		list_del(e, buddy, order);
		e->state[b] = INSIDE;
		b &= ~(1u << order);
		order++;
	}
	list_add(e, b, order);
}

static void wake_rested(struct extents *e, uint64_t now)
{
	while (e->rest_count && e->rest[e->rest_first].until <= now) {
		struct resting *r = &e->rest[e->rest_first];

		release(e, r->block, r->order);
		e->rest_first = (e->rest_first + 1) % e->rest_room;
		e->rest_count--;
	}
}

/* Halve a free extent until the part that holds @b has @order; the rest stays free. */
static void split_to(struct extents *e, uint32_t head, uint8_t have, uint32_t b, uint8_t order)
{
	list_del(e, head, have);
	while (have > order) {
		uint32_t half;

		have--;
		half = 1u << have;
		if (b & half) {
			list_add(e, head, have);
			head += half;
		} else {
			list_add(e, head + half, have);
		}
	}
	e->state[head] = USED + order;
	e->used += 1u << order;
}

int extents_take(struct extents *e, uint32_t n, uint64_t now, uint32_t *at)
{
	int order = order_of(n), have;
	uint32_t b;

	if (!n || order >= ORDERS)
		return -EINVAL;
	wake_rested(e, now);
	for (have = order; have < ORDERS && e->free[have] == NONE;)
		have++;
	if (have == ORDERS)
		return -ENOSPC;
	b = e->free[have];
	split_to(e, b, have, b, order);
	*at = b * EXTENT_MIN;
	return 0;
}

int extents_claim(struct extents *e, uint32_t at, uint32_t n)
{
	int order = order_of(n);
	uint32_t b = at / EXTENT_MIN, head;

	if (!n || order >= ORDERS || at % EXTENT_MIN || b & ((1u << order) - 1) ||
	    b + (1u << order) > e->blocks)
		return -EINVAL;
	for (int have = order; have < ORDERS; have++) {
		head = b & ~((1u << have) - 1);
		if (e->state[head] == FREE + have) {
			split_to(e, head, have, b, order);
			return 0;
		}
	}
	return -EBUSY;
}

void extents_give(struct extents *e, uint32_t at, uint32_t n, uint64_t now)
{
	struct resting *r;

	if (e->rest_count == e->rest_room) {
		uint32_t room = e->rest_room ? e->rest_room * 2 : 64;
		struct resting *grown = malloc(room * sizeof(*grown));

		if (!grown) { /* rather leak room than give it too early */
			return;
		}
		for (uint32_t i = 0; i < e->rest_count; i++)
			grown[i] = e->rest[(e->rest_first + i) % e->rest_room];
		free(e->rest);
		e->rest = grown;
		e->rest_room = room;
		e->rest_first = 0;
	}
	r = &e->rest[(e->rest_first + e->rest_count++) % e->rest_room];
	r->until = now + EXTENT_REST_MS;
	r->block = at / EXTENT_MIN;
	r->order = order_of(n);
}

uint32_t extents_used(const struct extents *e)
{
	return e->used * EXTENT_MIN;
}
