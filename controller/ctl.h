// SPDX-License-Identifier: Apache-2.0
/*
 * ctl.h - the controller's state, which all its parts share.
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
 * Changes mark endpoints dirty and call @wake; ctl_flush() then tells the routers, once per turn of
 * the event loop however many changes there were. One thread.
 */
#ifndef SF_CONTROLLER_CTL_H
#define SF_CONTROLLER_CTL_H

#include <stdbool.h>
#include <stdint.h>

#include "controller/config.h"
#include "controller/store.h"
#include "core/addr.h"
#include "core/reason.h"
#include "core/siphash.h"

struct ctl_blocks;
struct ctl_endpoint;
struct ctl_event;
struct ctl_events;
struct ctl_host;
struct ctl_hostname;
struct ctl_identity;
struct ctl_instance;
struct ctl_name;
struct ctl_policy;
struct ctl_router;
struct ctl_rules;
struct ctl_service;
struct ctl_session;

#define CTL_SID_TEXT 40 /* bytes for sf_sid_print() */

/** struct ctl_stats - since the start. */
struct ctl_stats {
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

struct ctl {
	const struct ctl_config *config;
	struct ctl_store *store;
	struct ctl_events *events;
	struct ctl_blocks *blocks;
	struct ctl_rules *rules;

	struct ctl_router *routers;	 /* by id */
	struct ctl_session *sessions;	 /* list */
	struct ctl_host *hosts;		 /* by locator */
	struct ctl_identity *identities; /* by identity */
	struct ctl_hostname *hostnames;	 /* by text */
	struct ctl_service *services;	 /* by serviceID */
	struct ctl_endpoint *endpoints;	 /* by serviceID, protocol, port */
	struct ctl_instance *instances;	 /* by endpoint and host */
	struct ctl_policy *policies;	 /* by serviceID */
	struct ctl_name *names;		 /* by serviceID */
	struct ctl_name *names_unsaved;	 /* list: heard, not in the store yet */
	struct sf_sid *names_gone;	 /* not known any more, to be deleted from the store */
	unsigned int n_names_gone;
	struct ctl_endpoint *dirty; /* list: routers must be told */

	struct sf_hashkey hashkey;
	uint32_t term, number; /* version of what routers are told */
	bool settled;	       /* rules may go out (routers.h) */
	bool stopping;
	unsigned int awaited;  /* routers that have not announced their state since the start */
	uint64_t started_wall; /* ms since 1970 */
	uint64_t started;      /* ms, monotonic */
	struct ctl_stats stats;
	void *scratch; /* SF_CTRL_MAX bytes: a message that does not lie on 4 bytes is moved here */

	/* Set before ctl_open(). */
	uint64_t (*clock)(void);     /* monotonic, ms */
	void (*wake)(struct ctl *c); /* ctl_flush() is due; called often */
	void (*log)(struct ctl *c,
		    const struct ctl_event *e); /* each event, at once; may be NULL */
	void *ctx;				/* of both */
};

/**
 * ctl_open() - open the store, begin a term, load what survived.
 * @c: zeroed but for @config, @clock and @wake, which may be NULL (real clock; nobody)
 * Return: 0, or a negative errno with one line of text; close it in either case.
 */
int ctl_open(struct ctl *c, const struct ctl_config *config, char *err, size_t errlen);

/** ctl_close() - free everything. Sessions must be closed before. */
void ctl_close(struct ctl *c);

/** ctl_flush() - tell routers and followers what changed, then free what is gone. */
void ctl_flush(struct ctl *c);

/** ctl_tick() - about once a second: leases, the settling time. */
void ctl_tick(struct ctl *c);

/** ctl_wake() - ask for a ctl_flush(). */
static inline void ctl_wake(struct ctl *c)
{
	if (c->wake)
		c->wake(c);
}

#endif
