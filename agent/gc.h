// SPDX-License-Identifier: Apache-2.0
/*
 * gc.h - which flow entries have lost their socket (docs/protocol.md, "A flow's life").
 *
 * Theory of operation
 *
 * The datapath frees flows whose ends have acknowledged each other's FIN. Any other is freed when
 * the kernel no longer has its socket, TIME_WAIT included; never by idleness. One scan lists the
 * flows *first* and the sockets *after*: a socket is older than its flow's entry (the opener's by
 * connect(), the listener's by its request socket), so a flow whose socket is in no list had none
 * while we looked. What may still deceive is the moment in which a request socket turns into a full
 * one (SYN cookies have no socket until then); so only what two scans in a row miss is free. By
 * then its place in the table may be another incarnation's, which stays (flows_take()).
 *
 * A flow of datagrams that a peer opened may be a socket's that is not connected and serves many:
 * it is brought here when it has been idle for long (core/sal_udp.h), and free unless a connected
 * socket has it.
 *
 * Pure but for memory: the caller brings flows and sockets.
 */
#ifndef SF_AGENT_GC_H
#define SF_AGENT_GC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/flow.h"

/** struct gc_set - a set of 64-bit values, 0 excluded; open addressing. Zeroed: empty. */
struct gc_set {
	uint64_t *slots;
	size_t size; /* a power of two, or 0 */
	size_t count;
};

/** gc_set_add() - Return: 0 or -ENOMEM. */
int gc_set_add(struct gc_set *s, uint64_t value);
/** gc_set_has() - whether it was added. */
bool gc_set_has(const struct gc_set *s, uint64_t value);
/** gc_set_clear() - free all; a zeroed set is fine. */
void gc_set_clear(struct gc_set *s);

/** struct gc_flow - what a scan keeps of a flow. */
struct gc_flow {
	uint64_t id; /* socketID */
	struct sf_tuple tuple;
	bool closing;
};

struct gc {
	struct sf_hashkey key;
	struct gc_flow *flows;
	size_t n_flows, room;
	struct gc_set sockets;	/* hashed tuples */
	struct gc_set suspects; /* socketIDs that the last scan missed */
	size_t closing;		/* flows that close, in the scan under way */
};

/** gc_open() - @key: random, so that nobody makes tuples collide. */
void gc_open(struct gc *gc, const struct sf_hashkey *key);
void gc_close(struct gc *gc);

/** gc_begin() - start a scan; suspects of the last one stay. */
void gc_begin(struct gc *gc);

/** gc_flow() - a flow of the table. Return: 0 or -ENOMEM. */
int gc_flow(struct gc *gc, const struct gc_flow *flow);

/** gc_socket() - a socket that the kernel has, as a tuple. Return: 0 or -ENOMEM. */
int gc_socket(struct gc *gc, const struct sf_tuple *tuple);

/**
 * gc_end() - compare.
 * @gone: receives the flows to free, in an array that lives until gc_begin() (inside @gc)
 * @n_gone: their number
 *
 * Return: 0, or -ENOMEM (nothing is freed then). The scan's misses are the new suspects.
 */
int gc_end(struct gc *gc, const struct gc_flow **gone, size_t *n_gone);

/** gc_abandon() - the socket list was not complete: forget this scan, keep the suspects. */
void gc_abandon(struct gc *gc);

/** gc_busy() - whether the next scan should come soon: flows close, or suspects wait. */
bool gc_busy(const struct gc *gc);

#endif
