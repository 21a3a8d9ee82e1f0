// SPDX-License-Identifier: Apache-2.0
/* deadlines.c - a heap of what is due; see deadlines.h. */
#include "agent/deadlines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void put(struct deadlines *ds, size_t at, struct deadline *d)
{
	ds->heap[at - 1] = d;
	d->at = at;
}

static uint64_t due(const struct deadlines *ds, size_t at)
{
	return ds->heap[at - 1]->due;
}

/* Put @d, whose place @at is free, to where it belongs. */
static void sift(struct deadlines *ds, size_t at, struct deadline *d)
{
	while (at > 1 && due(ds, at / 2) > d->due) {
		put(ds, at, ds->heap[at / 2 - 1]);
		at /= 2;
	}
	for (size_t child; (child = 2 * at) <= ds->n; at = child) {
		if (child < ds->n && due(ds, child + 1) < due(ds, child))
			child++;
		if (due(ds, child) >= d->due)
			break;
		put(ds, at, ds->heap[child - 1]);
	}
	put(ds, at, d);
}

int deadlines_reserve(struct deadlines *ds, size_t n)
{
	size_t room = ds->room ? ds->room : 64;
	struct deadline **more;

	if (n <= ds->room)
		return 0;
	while (room < n)
		room *= 2;
	more = reallocarray(ds->heap, room, sizeof(struct deadline *));
	if (!more)
		return -ENOMEM;
	ds->heap = more;
	ds->room = room;
	return 0;
}

void deadlines_set(struct deadlines *ds, struct deadline *d, uint64_t when)
{
	d->due = when;
	sift(ds, d->at ? d->at : ++ds->n, d);
}

void deadlines_drop(struct deadlines *ds, struct deadline *d)
{
	size_t at = d->at;
	struct deadline *last;

	if (!at)
		return;
	d->at = 0;
	last = ds->heap[--ds->n];
	if (last != d)
		sift(ds, at, last);
}

struct deadline *deadlines_first(const struct deadlines *ds)
{
	return ds->n ? ds->heap[0] : NULL;
}

void deadlines_free(struct deadlines *ds)
{
	free(ds->heap);
	memset(ds, 0, sizeof(*ds));
}
