// SPDX-License-Identifier: Apache-2.0
/*
 * mover.h - the renegotiations of all flows of a host: their states, timers, and in which order
 * what follows from an event is done (core/renegotiate.h decides about one flow).
 *
 * Theory of operation
 *
 * A flow has a state from its first renegotiation until it ends: what the ends know of each other
 * must outlast any pause. What an event brings about waits in a *batch*, and mover_flush() does it
 * for all flows in it: first the states are kept where a crash does not reach them, then the flows'
 * entries are changed, then messages leave. So nothing is ever said that a later agent would not
 * know, and thousands of flows cost few system calls. Killed in between, the next agent finds the
 * states, changes the entries that are behind them (mover_load()) and asks again.
 *
 * Timers: by when they are due (deadlines.h). A flow whose own place is not usable is *parked*: it
 * is nobody's fault but ours that nothing is heard, so it waits, for ever, and begins anew when
 * mover_resume() is called.
 *
 * Pure but for memory: the caller brings clock, randomness, tables and wire.
 */
#ifndef SF_AGENT_MOVER_H
#define SF_AGENT_MOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "agent/deadlines.h"
#include "agent/kicks.h"
#include "agent/rsyn.h"
#include "agent/window.h"
#include "core/datapath.h"
#include "core/flow.h"
#include "core/renegotiate.h"

#define MOVER_BATCH 256 /* events that wait at most for a flush */

struct mover_entry;

/** enum mover_cause - why a flow moves; an earlier agent, or the peer, knows what is UNSAID. */
enum mover_cause {
	MOVER_UNSAID,
	MOVER_ORDERED,	 /* by somebody on this host */
	MOVER_LINK,	 /* its link is down, or was removed */
	MOVER_ROUTER,	 /* its router does not answer */
	MOVER_ADDRESS,	 /* its router has given another locator */
	MOVER_PREFERRED, /* another uplink is primary */
	MOVER_AWAY,	 /* its place went while no agent looked, or nothing could move */
	MOVER_HANDOVER,	 /* it was another host's */
};

/**
 * struct mover_report - a move that is over: of our end (@own) or the peer's.
 * @from: zero where an earlier agent knew; of a HANDOVER the exporter's place
 */
struct mover_report {
	bool own;
	enum mover_cause cause;
	struct sf_addr from, to;
	uint64_t began, ended;
	struct sf_tuple tuple;
};

/**
 * struct mover_ops - what the mover asks for.
 * @flow: the entry of key. Return: 0, -ENOENT, or -errno (then nothing is concluded)
 * @usable: whether packets can leave from our place @place now
 * @keep: store @n states under their keys for a later agent. Return: 0 or -errno: nothing is said
 * @forget: the state's flow is gone
 * @change: bring an entry in line. Return: 0, -ENOENT where it is no more, or -errno
 * @send: @n messages; returns how many left
 * @refuse: answer @in by a FAIL
 * @redirect: answer @in, an RSYN, by a REDIRECT to @place
 * @kick: segments arrive again: the local socket of @tuple should send or acknowledge; false:
 * nothing waits there. May be NULL
 * @received: the sequence number that the local TCP socket of @tuple expects next. Return: 0, or
 * -errno: it is not known. May be NULL
 * @hold: its peer has received all before @received: it sends no more than the segment that follows
 * until the peer says so itself; false: there is none to send. May be NULL
 * @over: the flow ends here, for enum sf_reason @reason: reset its socket, free its entry
 * @moved: tell
 */
struct mover_ops {
	void *ctx;
	uint64_t (*now)(void *ctx);
	int (*random)(void *ctx, uint64_t out[2]);
	int (*flow)(void *ctx, uint64_t key, struct sf_flow *out);
	bool (*usable)(void *ctx, const struct sf_addr *place);
	int (*keep)(void *ctx, const uint64_t *keys, const struct sf_move *moves, size_t n);
	void (*forget)(void *ctx, uint64_t key);
	int (*change)(void *ctx, const struct sf_flow_change *c);
	size_t (*send)(void *ctx, const struct sf_move_msg *messages, size_t n);
	void (*refuse)(void *ctx, const struct rsyn_in *in, uint8_t reason);
	void (*redirect)(void *ctx, const struct rsyn_in *in, const struct sf_addr *place);
	bool (*kick)(void *ctx, const struct sf_tuple *tuple, enum sf_kick_how how);
	int (*received)(void *ctx, const struct sf_tuple *tuple, uint32_t *seq);
	bool (*hold)(void *ctx, const struct sf_tuple *tuple, uint32_t received);
	void (*over)(void *ctx, const struct sf_flow *flow, uint8_t reason);
	void (*moved)(void *ctx, const struct mover_report *report);
};

/** struct mover_counts - since the start; docs/api.md. @ignored: what came and brought nothing
 * about, by reason, as far as the datapath had not counted it. */
struct mover_counts {
	uint64_t begun, settled, peer;
	uint64_t sent, unsent, taken, repeated;
	uint64_t stale, unknown, bad, refused;
	uint64_t over, redirected, sent_on;
	uint64_t ignored[SF_REASON_MAX];
};

struct mover_item;

struct mover {
	const struct mover_ops *ops;
	const struct sf_hashkey *key; /* of challenges */
	const struct sf_net *net;
	struct sf_sid self;
	struct mover_entry *table;
	struct deadlines timers;
	struct mover_item *batch;
	size_t n_batch;
	struct window window;
	struct kicks kicks;
	size_t parked;
	struct mover_counts counts;
};

/**
 * mover_open() - an empty table.
 * @m: written whole
 * @ops, @key, @net: kept by pointer
 * @self: serviceID of this host
 * Return: 0 or -ENOMEM.
 */
int mover_open(struct mover *m, const struct mover_ops *ops, const struct sf_hashkey *key,
	       const struct sf_net *net, const struct sf_sid *self);

/** mover_close() - free all, telling nobody; a zeroed one is fine. */
void mover_close(struct mover *m);

/**
 * mover_load() - a state that an earlier agent kept. One whose flow is gone is forgotten; an entry
 * that is behind its state is changed with the next flush; what is under way begins anew.
 * Return: 0, -ENOENT where it was forgotten, or -errno.
 */
int mover_load(struct mover *m, uint64_t key, const struct sf_move *state);

/**
 * mover_start() - flow @key has moved, or is to move, to our place @to.
 * @cause: for the report
 * Return: 0 (with the next flush); -ENOENT no such flow; -EAGAIN it is not established; -errno.
 */
int mover_start(struct mover *m, uint64_t key, const struct sf_addr *to, enum mover_cause cause);

/** mover_take_over() - the same for a flow that was @exporter's. */
int mover_take_over(struct mover *m, uint64_t key, const struct sf_addr *to,
		    const struct sf_addr *exporter);

/**
 * mover_room() - how many more flows may begin to move now, so that what they bring about fits the
 * queues on the way: more are answered, more may.
 */
size_t mover_room(struct mover *m);

/**
 * mover_leave() - flow @key was handed over to another host; its entry, EXPORTED, stays for a
 * while. As long, who asks for it here is sent on to where it has gone, once that has been told.
 * Return: 0 (with the next flush), or -errno: then nothing is known of it any more.
 */
int mover_leave(struct mover *m, uint64_t key);

/** mover_stay() - flow @key, EXPORTED for a while, is not handed over after all: what was under way
 * begins anew at once. */
void mover_stay(struct mover *m, uint64_t key);

/**
 * mover_tell() - flow @key was handed over to this host from @where (a locator with its socketID
 * there): tell that host where it is. It may be lost: say it again.
 */
void mover_tell(struct mover *m, uint64_t key, const struct sf_addr *where);

/** mover_in() - a packet has come, as rsyn_decode() reads it. */
void mover_in(struct mover *m, const struct rsyn_in *in);

/**
 * mover_run() - timers that are due, at most @max of them.
 * Return: when the next is due in nanoseconds of the clock (it may have passed), 0: none runs.
 */
uint64_t mover_run(struct mover *m, size_t max);

/** mover_due() - when mover_run() is to be called next; 0: it need not be. */
uint64_t mover_due(const struct mover *m);

/** mover_resume() - some place of ours is usable again: what is parked begins anew. */
void mover_resume(struct mover *m);

/** mover_flush() - do what waits: keep, change, send, in this order. */
void mover_flush(struct mover *m);

/** mover_find() - the state of a flow, NULL where it was never renegotiated. */
const struct sf_move *mover_find(const struct mover *m, uint64_t key);

/**
 * mover_is_of() - whether state @s can be of flow @f: an earlier one may have had its key.
 */
bool mover_is_of(const struct sf_move *s, const struct sf_flow *f);

/** mover_takes() - whether flow @f can move: it is established, and not over. */
bool mover_takes(const struct sf_flow *f);

/** mover_forget() - the flow is gone: drop its state. Harmless without one. */
void mover_forget(struct mover *m, uint64_t key);

/**
 * mover_sweep() - forget states whose flows are gone, looking at @max of them.
 * @after: where the last call ended, 0 at first
 * Return: where this one ended; 0: at the end of the table.
 */
uint64_t mover_sweep(struct mover *m, uint64_t after, size_t max);

/** mover_size() - how many states there are. @open: how many of them are not settled; may be NULL.
 */
size_t mover_size(const struct mover *m, size_t *open);

#endif
