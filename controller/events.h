// SPDX-License-Identifier: Apache-2.0
/*
 * events.h - the event log: why things are as they are.
 *
 * Each event enters a ring in memory at once, and the store a little later, in batches: 20,000
 * registrations a second must not wait for a disk. What the ring overwrote before it was stored is
 * counted. Ids rise, with gaps, also across restarts.
 */
#ifndef SF_CONTROLLER_EVENTS_H
#define SF_CONTROLLER_EVENTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "controller/controller.h"

#define EVENTS(X)                                                                           \
	X(STARTED, "started")			/* the controller, with its term */         \
	X(STOPPED, "stopped")			/* it was asked to end */                   \
	X(ROUTER_CONNECTED, "router-connected") /* HELLO accepted */                        \
	X(ROUTER_SYNCED, "router-synced")	/* announced its state and was told ours */ \
	X(ROUTER_LOST, "router-lost")		/* connection closed; its state is kept */  \
	X(ROUTER_GONE, "router-gone")		/* the lease of that state ended */         \
	X(ROUTER_REJECTED, "router-rejected")	/* HELLO refused, or a malformed message */ \
	X(HOST_JOINED, "host-joined")                                                       \
	X(HOST_LEFT, "host-left")                                                           \
	X(HOST_MOVED, "host-moved")   /* joined elsewhere; its old place is forgotten */    \
	X(HOST_SILENT, "host-silent") /* its agent is, its datapath answers */              \
	X(HOST_BACK, "host-back")                                                           \
	X(SAME_NAME, "same-name") /* several hosts call themselves alike */                 \
	X(REGISTERED, "registered")                                                         \
	X(UNREGISTERED, "unregistered")                                                     \
	X(DENIED, "denied")                                                                 \
	X(ALARM, "alarm")	/* reported by a router, or found here */                   \
	X(FAILURES, "failures") /* what a router dropped and refused, counted */            \
	X(SHED, "shed")		/* flows of an instance are to end */                       \
	X(POLICY, "policy")                                                                 \
	X(NAME, "name")                                                                     \
	X(BLOCK, "block") /* hostAddr blocks leased; locator: the first */                  \
	X(BACKUP, "backup")

enum event_kind {
#define X(sym, name) EVENT_##sym,
	EVENTS(X)
#undef X
		EVENT_KINDS,
};

/** struct event_entry - one event (struct event is libevent's); zero fields do not apply. */
struct event_entry {
	uint64_t id;
	uint64_t time_ms; /* since 1970 */
	uint8_t kind;
	uint8_t reason; /* enum sf_reason */
	uint8_t proto;
	bool has_port; /* @proto and @port mean something */
	__be16 port;
	struct sf_sid router;
	struct sf_sid host;
	struct sf_sid service;
	struct sf_addr locator;
	char host_name[24];
	char router_name[24];
	char *text; /* the log's, NULL: none */
};

struct events;

/** events_new() - @memory: events in the ring; @stored: in the store, 0: none. */
int events_new(struct store *store, uint32_t memory, uint32_t stored, struct events **out);
void events_free(struct events *ev);

/**
 * events_add() - log an event; id and time are filled in.
 * @fmt: printf text for people, or NULL
 * Return: its id.
 */
uint64_t events_add(struct controller *c, const struct event_entry *e, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** event_of_host() - an event about a host, its router filled in. */
struct event_entry event_of_host(enum event_kind kind, const struct host *host);

/** event_of_router() - an event about a router. */
struct event_entry event_of_router(enum event_kind kind, const struct router *router);

/** event_json() - as docs/api.md has it, a new reference; NULL without memory. */
json_t *event_json(struct controller *c, const struct event_entry *e);

/** events_last() - the newest id. */
uint64_t events_last(const struct events *ev);

/** events_lost() - events that never reached the store. */
uint64_t events_lost(const struct events *ev);

/**
 * events_store() - move at most @limit events to the store. Return: number moved or -errno.
 */
int events_store(struct controller *c, uint32_t limit);

typedef int (*event_fn)(void *ctx, uint64_t id, json_t *event);

/**
 * events_each() - events after id @since, oldest first, from store and memory.
 * @limit: the newest so many of them
 * @each: borrows @event; its non-zero return ends it
 */
int events_each(struct controller *c, uint64_t since, uint32_t limit, event_fn each, void *ctx);

/** events_each_new() - as above, oldest @limit of them, from memory alone (followers). */
int events_each_new(struct controller *c, uint64_t since, uint32_t limit, event_fn each, void *ctx);

/** event_kind_name() - "host-joined", ...; NULL for unknown ones. */
const char *event_kind_name(unsigned int kind);

#endif
