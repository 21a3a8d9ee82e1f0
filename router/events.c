// SPDX-License-Identifier: Apache-2.0
/* events.c - see events.h. */
#include "router/events.h"

#include <stdarg.h>
#include <stdio.h>

#include "router/hosts.h"
#include "util/log.h"

void events_add(struct sf_events *ev, const char *kind, const struct host *host,
		const struct sf_service_key *service, uint8_t reason, const char *fmt, ...)
{
	struct sf_event e = { .kind = kind, .reason = reason };
	char text[160];
	va_list args;

	if (host) {
		e.host = host->identity;
		e.host_name = host->name;
		e.locator = host->locator;
	}
	if (service) {
		e.service = service->sid;
		e.has_port = true;
		e.proto = service->proto;
		e.port = service->port;
	}
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	/* Registrations come in thousands. */
	sf_log(service && !reason ? SF_LOG_DEBUG : SF_LOG_INFO, "%s: %s%s%s", kind,
	       host ? host->name : "", host ? ": " : "", text);
	sf_events_add(ev, &e, "%s", text);
}
