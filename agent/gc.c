// SPDX-License-Identifier: Apache-2.0
/* gc.c - comparing flows with sockets; see gc.h for why two scans. */
#include "agent/gc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SIZE 64u

/* The values are hashes or random socketIDs already; one multiplication spreads what they lack. */
static size_t place(const struct gc_set *s, uint64_t value)
{
	return (size_t)((value * 0x9e3779b97f4a7c15ull) >> 20) & (s->size - 1);
}

static void insert(struct gc_set *s, uint64_t value)
{
	size_t i = place(s, value);

	while (s->slots[i] && s->slots[i] != value)
		i = (i + 1) & (s->size - 1);
	s->count += !s->slots[i];
	s->slots[i] = value;
}

int gc_set_add(struct gc_set *s, uint64_t value)
{
	if (!value)
		value = 1; /* 0 marks a free slot */
	if ((s->count + 1) * 4 > s->size * 3) {
		struct gc_set bigger = { .size = s->size ? s->size * 2 : FIRST_SIZE };

		bigger.slots = calloc(bigger.size, sizeof(*bigger.slots));
		if (!bigger.slots)
			return -ENOMEM;
		for (size_t i = 0; i < s->size; i++)
			if (s->slots[i])
				insert(&bigger, s->slots[i]);
		free(s->slots);
		*s = bigger;
	}
	insert(s, value);
	return 0;
}

bool gc_set_has(const struct gc_set *s, uint64_t value)
{
	if (!s->count)
		return false;
	if (!value)
		value = 1;
	for (size_t i = place(s, value); s->slots[i]; i = (i + 1) & (s->size - 1))
		if (s->slots[i] == value)
			return true;
	return false;
}

void gc_set_clear(struct gc_set *s)
{
	free(s->slots);
	memset(s, 0, sizeof(*s));
}

void gc_open(struct gc *gc, const struct sf_hashkey *key)
{
	memset(gc, 0, sizeof(*gc));
	gc->key = *key;
}

void gc_close(struct gc *gc)
{
	gc_set_clear(&gc->sockets);
	gc_set_clear(&gc->suspects);
	free(gc->flows);
	memset(gc, 0, sizeof(*gc));
}

void gc_abandon(struct gc *gc)
{
	gc_set_clear(&gc->sockets);
	gc->n_flows = 0;
}

void gc_begin(struct gc *gc)
{
	gc_abandon(gc);
	gc->closing = 0;
}

/* Room for one element more. */
static int grow(void **list, size_t n, size_t *room, size_t size)
{
	size_t more = *room ? *room * 2 : FIRST_SIZE;
	void *p;

	if (n < *room)
		return 0;
	p = reallocarray(*list, more, size);
	if (!p)
		return -ENOMEM;
	*list = p;
	*room = more;
	return 0;
}

int gc_flow(struct gc *gc, const struct gc_flow *flow)
{
	int ret = grow((void **)&gc->flows, gc->n_flows, &gc->room, sizeof(*gc->flows));

	if (ret)
		return ret;
	gc->flows[gc->n_flows++] = *flow;
	gc->closing += flow->closing;
	return 0;
}

static uint64_t hash_tuple(const struct gc *gc, const struct sf_tuple *t)
{
	return sf_flow_hash(&gc->key, t);
}

int gc_socket(struct gc *gc, const struct sf_tuple *tuple)
{
	return gc_set_add(&gc->sockets, hash_tuple(gc, tuple));
}

int gc_end(struct gc *gc, const struct gc_flow **gone, size_t *n_gone)
{
	struct gc_set missed = { 0 };
	size_t n = 0;
	int ret = 0;

	/* Compact the gone ones to the front: their order does not matter to anybody. */
	for (size_t i = 0; !ret && i < gc->n_flows; i++) {
		const struct gc_flow f = gc->flows[i];

		if (gc_set_has(&gc->sockets, hash_tuple(gc, &f.tuple)))
			continue;
		if (gc_set_has(&gc->suspects, f.id))
			gc->flows[n++] = f;
		else
			ret = gc_set_add(&missed, f.id);
	}
	if (ret) {
		gc_set_clear(&missed);
		return ret;
	}
	gc_set_clear(&gc->suspects);
	gc->suspects = missed;
	gc_set_clear(&gc->sockets);
	*gone = gc->flows;
	*n_gone = n;
	return 0;
}

bool gc_busy(const struct gc *gc)
{
	return gc->closing || gc->suspects.count;
}
