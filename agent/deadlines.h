// SPDX-License-Identifier: Apache-2.0
/*
 * deadlines.h - what is due when, the first of them found at once: a binary heap of what its owner
 * keeps inside of something else (thousands of flows have one each, which is set with each
 * message).
 */
#ifndef SF_AGENT_DEADLINES_H
#define SF_AGENT_DEADLINES_H

#include <stddef.h>
#include <stdint.h>

/** struct deadline - zeroed at first. @due: as it was set */
struct deadline {
	uint64_t due;
	size_t at; /* in the heap, from 1 on; 0: not set */
};

/** struct deadlines - those that are set; zeroed at first. */
struct deadlines {
	struct deadline **heap;
	size_t n, room;
};

/** deadlines_reserve() - @n of them may be set. Return: 0 or -ENOMEM. */
int deadlines_reserve(struct deadlines *ds, size_t n);

/** deadlines_set() - @d is at @when from now on, whether it was set or not. There is room for it.
 */
void deadlines_set(struct deadlines *ds, struct deadline *d, uint64_t when);

/** deadlines_drop() - @d is set no more. Harmless where it is not. */
void deadlines_drop(struct deadlines *ds, struct deadline *d);

/** deadlines_first() - the one that is due before all others; NULL: none is set. */
struct deadline *deadlines_first(const struct deadlines *ds);

/** deadlines_free() - none is set, and there is no room. */
void deadlines_free(struct deadlines *ds);

#endif
