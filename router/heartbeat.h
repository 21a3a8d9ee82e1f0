// SPDX-License-Identifier: Apache-2.0
/*
 * heartbeat.h - silent hosts. A host whose agent misses SF_HEARTBEAT_MISSES heartbeats is probed:
 * PROBE goes to its datapath, which answers in eBPF. While it does, the host stays, and its
 * registrations for a lease; when it does not, the host has left.
 */
#ifndef SF_ROUTER_HEARTBEAT_H
#define SF_ROUTER_HEARTBEAT_H

#include <stdbool.h>
#include <stddef.h>

struct host;
struct router;

#define PROBE_TRIES 3
#define PROBE_MS    150 /* between tries */

/** heartbeat_open() - socket and timer. Return: 0 or -errno with @err. */
int heartbeat_open(struct router *r, char *err, size_t errlen);
void heartbeat_close(struct router *r);

/** heartbeat_retime() - the timers changed. */
void heartbeat_retime(struct router *r);

typedef void (*heartbeat_fn)(struct router *r, struct host *h, bool alive, void *ctx);

/**
 * heartbeat_ask() - probe a host; @told is called once, later, whatever becomes of the host
 * meanwhile: with NULL in its place if its entry was freed.
 * Return: 0 or -ENOMEM.
 */
int heartbeat_ask(struct router *r, struct host *h, heartbeat_fn told, void *ctx);

/** heartbeat_orphan() - the host's entry is being freed: likewise, without it. */
void heartbeat_orphan(struct router *r, const struct host *h);

/** heartbeat_forget() - the host leaves: who asked is told, soon, that it is dead. */
void heartbeat_forget(struct router *r, struct host *h);

#endif
