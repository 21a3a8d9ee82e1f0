// SPDX-License-Identifier: Apache-2.0
/*
 * moves.h - flows of this host that move, or whose peers do: mover.h with the kernel's tables, the
 * datapath's ring, a raw socket and the event loop.
 *
 * Theory of operation
 *
 * attachment.h decides which places the host has and which is primary, and calls here when flows
 * are to leave one. Where there are thousands they are begun in slices, a turn of the loop each, so
 * that nothing else waits. What comes from the network is in the ring `control`; what a
 * renegotiation knows is in the pinned map `moves`, from which a new agent goes on.
 */
#ifndef SF_AGENT_MOVES_H
#define SF_AGENT_MOVES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/moved.h"
#include "agent/mover.h"

struct host;
struct event;
struct ring_buffer;
struct moves_job;

struct moves {
	struct mover mover;
	struct mover_ops ops;
	int fd; /* raw socket; 0: none */
	struct ring_buffer *ring;
	struct event *readable, *timer, *work, *look;
	struct moves_job *jobs; /* in order */
	struct moved_log told;
	uint64_t next_run; /* not before: the last turn of timers was just now */
	uint64_t swept;	   /* where the last sweep ended */
	uint64_t fails_at;
	uint64_t unsent_at; /* second in which the log last told of messages that did not leave */
	unsigned int fails; /* FAILs that may be sent */
};

/** moves_open() - (privileged, the datapath is open) take over what an earlier agent kept, begin to
 * listen. Return: 0 or -errno with @err. */
int moves_open(struct host *h, char *err, size_t errlen);
void moves_close(struct host *h);

/**
 * moves_place() - flows leave a place of ours.
 * @from: the place; zero: all that are not usable
 * @to: where they go on
 * The first flows begin to move at once, the others in the next turns of the loop. Connections that
 * are not answered yet are asked for anew from where new ones leave.
 */
void moves_place(struct host *h, const struct sf_addr *from, const struct sf_addr *to);

/**
 * moves_list() - these flows move to @to, as with moves_place().
 * @keys: @n of them, malloc'ed; the callee's, also on failure
 * Return: 0 or -ENOMEM.
 */
int moves_list(struct host *h, uint64_t *keys, size_t n, const struct sf_addr *to);

/**
 * moves_place_on() - where flows that move to an interface go.
 * @err: why they cannot: "no such interface", "the interface is down", ...
 * Return: 0, -ENODEV or -ENETDOWN.
 */
int moves_place_on(const struct host *h, const char *name, struct sf_addr *place, char *err,
		   size_t errlen);

/** moves_resume() - a place of ours is usable again: flows there that wait go on at once. */
void moves_resume(struct host *h);

/**
 * moves_import() - a flow was handed over to this host: tell its peer.
 * @f: its entry, which is in the table
 * @m: sf_move_rehome()d
 * @exporter: where it was
 * Return: 0, or -errno: then nothing is kept.
 */
int moves_import(struct host *h, const struct sf_flow *f, const struct sf_move *m,
		 const struct sf_addr *exporter);

/** moves_leave() - flow @key, EXPORTED, has gone from this host: as mover_leave(). */
void moves_leave(struct host *h, uint64_t key);

/** moves_stay() - flow @key, EXPORTED for a while, is not handed over after all: as mover_stay(),
 * and it moves if its place has gone meanwhile. */
void moves_stay(struct host *h, uint64_t key);

/** moves_tell() - flow @key has come from @where: as mover_tell(). */
void moves_tell(struct host *h, uint64_t key, const struct sf_addr *where);

/** moves_find() - the state of flow @key, NULL where it never moved, or is over. */
const struct sf_move *moves_find(const struct host *h, uint64_t key);

/** moves_forget() - flow @key was freed. */
void moves_forget(struct host *h, uint64_t key);

/** moves_usable() - whether packets can leave from our place @place. */
bool moves_usable(const struct host *h, const struct sf_addr *place);

/** moves_json() - what is known of a flow's moves, as docs/api.md has it; null: it never did. */
json_t *moves_json(const struct host *h, uint64_t key);

/** moves_pending() - flows that have yet to begin a move that was ordered. */
size_t moves_pending(const struct host *h);

#endif
