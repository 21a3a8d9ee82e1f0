// SPDX-License-Identifier: Apache-2.0
/* events.h - the recent past of this router: what happened to which host, and why. */
#ifndef SF_ROUTER_EVENTS_H
#define SF_ROUTER_EVENTS_H

#include <stdint.h>

#include "core/resolve.h"
#include "util/events.h"

#define EVENTS_KEPT 2048

struct host;
struct router;
struct sf_failure;

/**
 * events_add() - keep an event, send it to followers, and log it.
 * @kind: stable word: "host-joined", "registered", ...; static storage
 * @host: whom it is about, or NULL
 * @service: likewise
 * @reason: enum sf_reason, 0: none
 * @fmt: text for people
 */
void events_add(struct router *r, const char *kind, const struct host *host,
		const struct sf_service_key *service, uint8_t reason, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));

/** events_add_failure() - the event of counters that moved; @link: where, or NULL. */
void events_add_failure(struct sf_events *ev, const struct sf_failure *f, const char *link);

#endif
