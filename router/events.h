// SPDX-License-Identifier: Apache-2.0
/* events.h - the recent past of this router for operators: a ring of events, and who follows it. */
#ifndef SF_ROUTER_EVENTS_H
#define SF_ROUTER_EVENTS_H

#include <jansson.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/resolve.h"

struct events;
struct host;
struct sf_http_req;

#define EVENTS_KEPT 2048

/** events_new() - an empty ring. Return: 0 or -ENOMEM. */
int events_new(struct events **out);

/** events_free() - ends the streams of followers, too. NULL is fine. */
void events_free(struct events *e);

/**
 * events_add() - keep an event, send it to followers, and log it at level info.
 * @kind: stable word: "host-joined", "registered", ...; static storage
 * @host: whom it is about, or NULL
 * @service: likewise
 * @reason: enum sf_reason, 0: none
 * @fmt: text for people
 */
void events_add(struct events *e, const char *kind, const struct host *host,
		const struct sf_service_key *service, uint8_t reason, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));

/** events_since() - array of the kept events with a number above @after. A new reference. */
json_t *events_since(const struct events *e, uint64_t after);

/** events_follow() - stream the kept events above @after, then new ones, to @req (deferred).
 * Return: 0, or -EUSERS above 64 followers or -ENOMEM: @req is untouched then. */
int events_follow(struct events *e, struct sf_http_req *req, uint64_t after);

#endif
