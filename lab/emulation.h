// SPDX-License-Identifier: Apache-2.0
/*
 * emulation.h - what a link of the lab does to packets: settings as text and back.
 *
 * Shared by the topology file, `scaffold lab link` and the emulator (linkem.c), so that a link is
 * described by the same words everywhere: "rate=100mbit delay=20ms jitter=2ms loss=1% burst=5
 * reorder=1% hold=2ms duplicate=0.1% queue=50ms".
 */
#ifndef SF_LAB_EMULATION_H
#define SF_LAB_EMULATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SF_EMULATION_TEXT 192	   /* bytes that sf_emulation_print() needs at most */
#define SF_PPM		  1000000u /* probabilities are parts per million */

/** struct sf_emulation - of one direction of a link. All zero: a perfect link. */
struct sf_emulation {
	uint64_t rate;	      /* bits per second, Ethernet header included; 0: unlimited */
	uint32_t delay_us;    /* of every packet, one way */
	uint32_t jitter_us;   /* up to as much more or less, evenly spread; keeps the order */
	uint32_t loss_ppm;    /* mean share of packets lost */
	uint32_t burst;	      /* mean packets lost in a row (Gilbert's model); 0, 1: independent */
	uint32_t reorder_ppm; /* share of packets held back, so that later ones overtake them */
	uint32_t hold_us;     /* how much longer a held one takes; 0: SF_HOLD_US */
	uint32_t duplicate_ppm; /* share of packets delivered twice */
	uint32_t
		queue_us; /* with rate: longest wait for the line, then tail drop; 0: SF_QUEUE_US */
};

#define SF_HOLD_US  2000
#define SF_QUEUE_US 50000

/**
 * sf_emulation_set - change one setting.
 * @key: "delay", "loss" ...
 * @value: "20ms", "1%", "100mbit", "5"
 * @expected: on -EINVAL: what would have been right; static storage
 * Returns 0; -ENOENT for an unknown key; -EINVAL, and @e is unchanged.
 */
int sf_emulation_set(struct sf_emulation *e, const char *key, const char *value,
		     const char **expected);

/** sf_emulation_keys - "rate, delay, ...": all keys, for messages. */
const char *sf_emulation_keys(void);

/**
 * sf_emulation_print - as text that sf_emulation_set() reads: words "key=value" between blanks, ""
 * for a perfect link.
 * @buf: SF_EMULATION_TEXT bytes
 * Returns @buf.
 */
char *sf_emulation_print(const struct sf_emulation *e, char *buf);

/** sf_emulation_is_rate_only - whether the kernel's token bucket can do all of it. */
bool sf_emulation_is_rate_only(const struct sf_emulation *e);

#endif
