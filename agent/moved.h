// SPDX-License-Identifier: Apache-2.0
/*
 * moved.h - flows that have moved, or are over: told to the event log.
 *
 * Where thousands move, those that end alike within a moment of each other are one event.
 */
#ifndef SF_AGENT_MOVED_H
#define SF_AGENT_MOVED_H

#include <stdbool.h>
#include <stdint.h>

#include "core/flow.h"

struct event;
struct host;

#define MOVED_GROUPS 16

/**
 * struct moved - what is told as one.
 * @kind: of the event, a string that stays; NULL: free
 * @from, @to: places; @from is zero where it is not known
 * @tuple: of the first flow
 * @count: flows; 0 in what is added, which is one
 * @began: when the first began, in nanoseconds of CLOCK_MONOTONIC
 * @ended: when the last ended, or was over
 * @since: when the first did
 * @own: our end moved, else the peer's
 * @reason: they are over, enum sf_reason; 0: they have moved
 */
struct moved {
	const char *kind;
	struct sf_addr from, to;
	struct sf_tuple tuple;
	uint64_t count, began, ended, since;
	bool own;
	uint8_t reason;
};

/** struct moved_log - what waits to be told. */
struct moved_log {
	struct moved groups[MOVED_GROUPS];
	struct event *timer;
};

/** moved_open() - Return: 0 or -ENOMEM. */
int moved_open(struct host *h);
void moved_close(struct host *h);

/** moved_add() - a flow of @add has ended its move, or is over. */
void moved_add(struct host *h, const struct moved *add);

#endif
