// SPDX-License-Identifier: Apache-2.0
/* frames.h - the native side of bench/packets.h: frames to begin with, map contents, samples. */
#ifndef SF_BENCH_FRAMES_H
#define SF_BENCH_FRAMES_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "bench/packets.h"
#include "bench/packets.skel.h"
#include "bpf/service_router.skel.h"

#define BENCH_AS    1
#define BENCH_FRAME 128 /* room for one */

/** bench_die() - say what failed and why, and exit 1. @err: negative errno, 0: none. */
_Noreturn void bench_die(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** bench_number() - @text as a number in @min..@max, or exit with what was expected. */
uint64_t bench_number(const char *what, const char *text, uint64_t min, uint64_t max);

/** bench_now() - @clock in nanoseconds. */
uint64_t bench_now(clockid_t clock);

/** bench_net() - the network that the packets are of. */
struct sf_net bench_net(void);

/** bench_step() - a stride that visits all of @n numbers, near n times the golden section. */
uint64_t bench_step(uint64_t n);

/**
 * bench_frame() - a frame of @traffic with all that does not change.
 * @buf: BENCH_FRAME bytes, zeroed here
 * Return: its length.
 */
uint32_t bench_frame(enum bench_traffic traffic, uint8_t *buf);

/** bench_packets() - the programs of packets.bpf.c, loaded for @count services or flows. */
struct packets_bpf *bench_packets(enum bench_traffic traffic, uint64_t count,
				  const uint8_t to_mac[6]);

/**
 * bench_router() - the service router's object, loaded and filled as the router does it.
 * @services: how many; each as (service, TCP, port), with @instances instances
 */
struct service_router_bpf *bench_router(uint32_t services, uint32_t instances);

/** bench_puts() - bench_die() unless sf_bpf_map_put_batch() succeeds. */
void bench_puts(int map_fd, const char *name, const void *keys, const void *values, uint32_t n);

#endif
