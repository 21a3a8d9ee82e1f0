// SPDX-License-Identifier: Apache-2.0
/*
 * engine.h - what happens to a packet on an emulated link: decided here, with time and randomness
 * as arguments, so that tests can run it in virtual time. linkem.c moves the packets.
 *
 * A packet meets, in this order: loss; the wait for the line, where there is a rate (a lost packet
 * does not use the line); delay with jitter. One that is held back takes longer still, a duplicate
 * follows its original at once. All others keep their order.
 */
#ifndef SF_LAB_ENGINE_H
#define SF_LAB_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lab/emulation.h"

/* What became of packets; names are those of `scaffold lab status --json`. */
#define SF_ENGINE_COUNTS(X)                                                   \
	X(received, "packets that entered")                                   \
	X(bytes, "their bytes")                                               \
	X(sent, "packets delivered, duplicates included")                     \
	X(lost, "dropped by loss=")                                           \
	X(queue_full, "dropped: longer than queue= before the line was free") \
	X(reordered, "held back by reorder=")                                 \
	X(duplicated, "delivered twice by duplicate=")                        \
	X(cut, "large packets cut into segments, for per-packet loss")        \
	X(no_memory, "dropped: too much in flight")                           \
	X(send_failed, "dropped: the far interface did not take it")          \
	X(unreadable, "dropped: no whole Ethernet frame")                     \
	X(overrun, "dropped by the kernel: the emulator came too late")

struct sf_engine_counts {
#define X(name, text) uint64_t name;
	SF_ENGINE_COUNTS(X)
#undef X
};

/** struct sf_engine - one direction of one link. */
struct sf_engine {
	struct sf_emulation set;
	struct sf_engine_counts counts;
	uint64_t random[4]; /* xoshiro256** */
	bool losing;	    /* Gilbert: in the bad state */
	uint64_t line_free; /* ns: when the line has sent what it was given */
	uint64_t last_due;  /* ns: of the packet before, if that was not held back */
};

/** struct sf_fate - what becomes of one packet. */
struct sf_fate {
	uint64_t due;	     /* ns: when it leaves */
	unsigned int copies; /* 0: dropped (and counted), 1, 2 */
};

/**
 * sf_engine_init - start a direction.
 * @seed: of the lab
 * @name: of link and direction: each has its own random numbers, whatever happens on others
 */
void sf_engine_init(struct sf_engine *e, uint64_t seed, const char *name);

/** sf_engine_set - change the settings; packets in flight keep their times. */
void sf_engine_set(struct sf_engine *e, const struct sf_emulation *set);

/**
 * sf_engine_packet - decide about a packet that has come.
 * @now: ns, never less than before
 * @len: bytes on the wire
 */
struct sf_fate sf_engine_packet(struct sf_engine *e, uint64_t now, size_t len);

/** sf_engine_per_packet - whether large packets must be cut, since each part has a fate of its own.
 */
bool sf_engine_per_packet(const struct sf_engine *e);

/* ---- queue of packets in flight, by due time ---- */

/** struct sf_flight - a packet in flight; the emulator's follow. */
struct sf_flight {
	uint64_t due;
	uint64_t order; /* among equals: as they came */
};

/** struct sf_heap - binary heap of pointers. All zero: empty. */
struct sf_heap {
	struct sf_flight **items;
	size_t n;
	size_t room;
	uint64_t next_order;
};

/** sf_heap_put - add; sets @f's order. Returns 0 or -ENOMEM. */
int sf_heap_put(struct sf_heap *h, struct sf_flight *f);

/** sf_heap_first - the one due first, or NULL. */
struct sf_flight *sf_heap_first(const struct sf_heap *h);

/** sf_heap_take - take it out. */
struct sf_flight *sf_heap_take(struct sf_heap *h);

/** sf_heap_free - free the heap, not what is in it. */
void sf_heap_free(struct sf_heap *h);

#endif
