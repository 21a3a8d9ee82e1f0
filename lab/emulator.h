// SPDX-License-Identifier: Apache-2.0
/* emulator.h - links of the emulator: packets from one interface to another, as the engine says. */
#ifndef SF_LAB_EMULATOR_H
#define SF_LAB_EMULATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "lab/engine.h"

#define SF_EMULATOR_NAME 32

/** struct sf_direction - packets that come in at one end of a link and leave at the other. */
struct sf_direction {
	struct sf_engine engine;
	int in, out;	 /* packet sockets; @in's is the other direction's @out */
	uint64_t flying; /* packets in the queue */
	uint64_t bytes;	 /* theirs */
	char from[SF_EMULATOR_NAME];
};

/** struct sf_emulated - a link: direction 0 is from the first to the second end of its name. */
struct sf_emulated {
	char name[SF_EMULATOR_NAME]; /* "a-b" */
	struct sf_direction direction[2];
};

/** struct sf_emulator - all links of a process. */
struct sf_emulator {
	struct sf_emulated *links;
	size_t n;
	struct sf_heap queue;
	struct sf_batch *batch; /* buffers to receive into */
};

/** sf_emulator_open - buffers. Returns 0 or -ENOMEM. */
int sf_emulator_open(struct sf_emulator *em);

/**
 * sf_emulator_add - a link between two interfaces of the current namespace.
 * @name: "a-b"
 * Returns 0, -EINVAL for a bad name, -ENODEV, -EPERM ... with @err.
 */
int sf_emulator_add(struct sf_emulator *em, const char *name, const char *ifname[2],
		    const struct sf_emulation *set, uint64_t seed, char *err, size_t err_len);

/**
 * sf_emulator_receive - take what has come in for a direction: send it on, or queue it.
 * Takes one batch at most, so that no link starves the others; poll again.
 */
void sf_emulator_receive(struct sf_emulator *em, struct sf_direction *d);

/** sf_emulator_flush - send what is due. Returns ns (CLOCK_MONOTONIC) of what is next, 0: nothing.
 */
uint64_t sf_emulator_flush(struct sf_emulator *em);

/** sf_emulator_find - link by name, in either order, or NULL. */
struct sf_emulated *sf_emulator_find(struct sf_emulator *em, const char *name);

/** sf_emulator_close - free all. */
void sf_emulator_close(struct sf_emulator *em);

#endif
