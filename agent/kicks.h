// SPDX-License-Identifier: Apache-2.0
/*
 * kicks.h - sockets whose segments arrive again after a move are told so (docs/protocol.md,
 * "Moving"; RFC 6069).
 *
 * A TCP end that was cut off has backed off; whoever knows first that packets arrive again kicks
 * its own socket: at once and, where anything waits to be acknowledged, twice more, for the socket
 * may have been locked by its user.
 *
 * Pure: the caller brings clock and kernel.
 */
#ifndef SF_AGENT_KICKS_H
#define SF_AGENT_KICKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/datapath.h"
#include "core/flow.h"

#define KICKS_AGAIN 2 /* after the first */

/** struct kick - of a flow; zeroed at first, but for @tuple. */
struct kick {
	struct sf_tuple tuple;
	struct kick *prev, *next;
	uint64_t at;
	int list; /* that it waits in, from 1 on */
};

/**
 * struct kicks - all that wait; each list has one wait, so that its order is that of time.
 * @tell: struct mover_ops, kick
 */
struct kicks {
	struct kick *lists[KICKS_AGAIN];
	bool (*tell)(void *ctx, const struct sf_tuple *tuple, enum sf_kick_how how);
	void *ctx;
	uint64_t least; /* they wait as long before they are told again, in nanoseconds */
	uint64_t count; /* since the start */
};

/**
 * kicks_begin() - what came for the flow of @k brought about @acts (SF_MOVE_*): tell its socket
 * what that means for it, if anything.
 * @held: it knows how far its peer has received, and sends no more than the next segment
 */
void kicks_begin(struct kicks *ks, struct kick *k, uint32_t acts, bool held, uint64_t now);

/** kicks_drop() - @k waits no more. Harmless where it does not. */
void kicks_drop(struct kicks *ks, struct kick *k);

/** kicks_run() - those that are due, at most @max of each list. */
void kicks_run(struct kicks *ks, uint64_t now, size_t max);

/** kicks_due() - when kicks_run() is to be called next; 0: none waits. */
uint64_t kicks_due(const struct kicks *ks);

#endif
