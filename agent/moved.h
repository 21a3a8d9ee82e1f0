// SPDX-License-Identifier: Apache-2.0
/*
 * moved.h - what became of flows, told as few events: those alike, within a moment, are one.
 *
 * Kinds: "flow-moved", "flow-superseded", "flow-over"; "flow-waits" and "flow-resumes" of flows
 * whose own place is gone, or whose peer is silent.
 */
#ifndef SF_AGENT_MOVED_H
#define SF_AGENT_MOVED_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/mover.h"
#include "core/flow.h"

struct event;
struct host;

/**
 * struct moved - what is told as one: @count flows.
 * @kind: NULL: free
 * @cause: why our end moved
 * @own: it is our end that moved, or whose place is gone; else the peer's
 * @reason: enum sf_reason of what is over; 0: of nothing
 * @from, @to: places. Of those that wait or go on @from is ours, and @to the peer's, or zero where
 * they are of several
 * @link: the interface that @from is, or was, on; may be empty
 * @tuple: of the first; zero: not known
 * @grace_ms: of those that wait for a peer: how long
 * @began, @ended: nanoseconds
 * @since, @last: when the group was begun, and last added to; moved_add() sets them
 */
struct moved {
	const char *kind;
	enum mover_cause cause;
	bool own;
	uint8_t reason;
	struct sf_addr from, to;
	char link[IF_NAMESIZE];
	struct sf_tuple tuple;
	uint32_t grace_ms;
	uint64_t count, began, ended, since, last;
};

#define MOVED_GROUPS 16

/** struct moved_log - what waits to be told. */
struct moved_log {
	struct event *timer;
	struct moved groups[MOVED_GROUPS];
};

/** moved_text() - what the event of @g says. @text: @len > 0 bytes, terminated */
void moved_text(const struct moved *g, char *text, size_t len);

/** moved_join() - @add becomes part of @g, if they are alike. Return: whether they are. */
bool moved_join(struct moved *g, const struct moved *add);

/** moved_add() - tell of @add, soon. */
void moved_add(struct host *h, const struct moved *add);

/** moved_open() - Return: 0 or -ENOMEM. */
int moved_open(struct host *h);
void moved_close(struct host *h);

#endif
