// SPDX-License-Identifier: Apache-2.0
/*
 * controller.h - the controller's state, which all its parts share.
 *
 *   routers.c   who is connected, and what each has been told      soft state + leases
 *   hosts.c     who has joined where                               soft state
 *   hostnames.c what they call themselves                          soft state
 *   services.c  services, their endpoints, who serves them         soft state
 *   policies.c  what the operator decided, names of services       store
 *   blocks.c    which router owns which hostAddr block             store
 *   events.c    what happened                                      memory, store
 *   rules.c     what follows from all that for each router         derived
 *
 * Changes mark endpoints dirty and call @wake; controller_flush() then tells the routers, once per
 * turn of the event loop however many changes there were. One thread.
 */
#ifndef SF_CONTROLLER_CONTROLLER_H
#define SF_CONTROLLER_CONTROLLER_H

#include <stdbool.h>
#include <stdint.h>

#include "controller/config.h"
#include "controller/store.h"
#include "core/addr.h"
#include "core/reason.h"
#include "core/siphash.h"

struct blocks;
struct endpoint;
struct event_entry;
struct events;
struct host;
struct hostname;
struct identity;
struct instance;
struct name;
struct policy;
struct router;
struct rules;
struct service;
struct session;

#define SID_TEXT 40 /* bytes for sf_sid_print() */

/** struct stats - since the start. */
struct stats {
	uint64_t registrations; /* accepted, repeats not counted */
	uint64_t unregistrations;
	uint64_t joins, leaves;
	uint64_t denials[SF_REASON_MAX]; /* registrations, by reason */
	uint64_t alarms[SF_REASON_MAX];	 /* of routers, by reason */
	uint64_t messages, bytes;	 /* from routers */
	uint64_t bad_messages, unknown_messages;
	uint64_t bad_names;	  /* that are none, or of another serviceID */
	uint64_t flushes, frames; /* deltas told */
	uint64_t syncs;
};

struct controller {
	const struct config *config;
	struct store *store;
	struct events *events;
	struct blocks *blocks;
	struct rules *rules;

	struct router *routers;	     /* by id */
	struct session *sessions;    /* list */
	struct host *hosts;	     /* by locator */
	struct identity *identities; /* by identity */
	struct hostname *hostnames;  /* by text */
	struct service *services;    /* by serviceID */
	struct endpoint *endpoints;  /* by serviceID, protocol, port */
	struct instance *instances;  /* by endpoint and host */
	struct policy *policies;     /* by serviceID */
	struct name *names;	     /* by serviceID */
	struct name *names_unsaved;  /* list: heard, not in the store yet */
	struct sf_sid *names_gone;   /* not known any more, to be deleted from the store */
	unsigned int n_names_gone;
	struct endpoint *dirty; /* list: routers must be told */

	struct sf_hashkey hashkey;
	uint32_t term, number; /* version of what routers are told */
	bool settled;	       /* rules may go out (routers.h) */
	bool stopping;
	unsigned int awaited;  /* routers that have not announced their state since the start */
	uint64_t started_wall; /* ms since 1970 */
	uint64_t started;      /* ms, monotonic */
	struct stats stats;
	void *scratch; /* SF_CTRL_MAX bytes: a message that does not lie on 4 bytes is moved here */

	/* Set before controller_open(). */
	uint64_t (*clock)(void);	    /* monotonic, ms */
	void (*wake)(struct controller *c); /* controller_flush() is due; called often */
	void (*log)(struct controller *c,
		    const struct event_entry *e); /* each event, at once; may be NULL */
	void *ctx;				  /* of both */
};

/**
 * controller_open() - open the store, begin a term, load what survived.
 * @c: zeroed but for @config, @clock and @wake, which may be NULL (real clock; nobody)
 * Return: 0, or a negative errno with one line of text; close it in either case.
 */
int controller_open(struct controller *c, const struct config *config, char *err, size_t errlen);

/** controller_close() - free everything. Sessions must be closed before. */
void controller_close(struct controller *c);

/** controller_flush() - tell routers and followers what changed, then free what is gone. */
void controller_flush(struct controller *c);

/** controller_tick() - about once a second: leases, the settling time. */
void controller_tick(struct controller *c);

/** controller_wake() - ask for a controller_flush(). */
static inline void controller_wake(struct controller *c)
{
	if (c->wake)
		c->wake(c);
}

#endif
