// SPDX-License-Identifier: Apache-2.0
/* event.h - something that happened, for operators: one shape for all daemons (docs/api.md). */
#ifndef SF_UTIL_EVENT_H
#define SF_UTIL_EVENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"

/**
 * struct sf_event - an event; what is zero or NULL does not apply and is left out.
 * @id: rises with time
 * @time_ms: since 1970
 * @kind: stable word: "host-joined", "registered", "denied", ...; static storage
 * @reason: enum sf_reason
 * @has_port: @proto and @port (network order) mean something
 * @router, @host, @service: identities and serviceID, each with a name where one is known
 * @link: name of the link that it is about
 * @count, @interval_ms: how many times, within which time (util/failures.h)
 */
struct sf_event {
	uint64_t id, time_ms;
	const char *kind;
	struct sf_sid router, host, service;
	const char *router_name, *host_name, *service_name;
	struct sf_addr locator;
	const char *link;
	const char *text;
	uint64_t count, interval_ms;
	__be16 port;
	uint8_t proto;
	uint8_t reason;
	bool has_port;
};

/** sf_event_json() - as docs/api.md has it; a new reference, NULL without memory. */
json_t *sf_event_json(const struct sf_event *e);

/**
 * sf_event_line() - the same as one line of text for a daemon's log, without what means nothing
 * there: the log has times of its own, and a restart makes ids void.
 * Return: malloc'ed, NULL without memory.
 */
char *sf_event_line(const struct sf_event *e);

#endif
