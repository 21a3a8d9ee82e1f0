// SPDX-License-Identifier: Apache-2.0
/* events.c - see events.h. */
#include "router/events.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "router/hosts.h"
#include "router/router.h"
#include "util/failures.h"
#include "util/log.h"

static void log_event(enum sf_log_level level, const struct sf_event *e)
{
	char *line;

	if (!sf_log_enabled(level))
		return;
	line = sf_event_line(e);
	sf_log(level, "event %s", line ? line : e->kind);
	free(line);
}

void events_add(struct router *r, const char *kind, const struct host *host,
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
		e.service_name = sf_nametable_find(&r->names, &service->sid);
		e.has_port = true;
		e.proto = service->proto;
		e.port = service->port;
	}
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	e.text = text;
	/* Registrations come in thousands. */
	log_event(service && !reason ? SF_LOG_DEBUG : SF_LOG_INFO, &e);
	sf_events_add(r->events, &e, "%s", text);
}

void events_add_failure(struct sf_events *ev, const struct sf_failure *f, const char *link)
{
	struct sf_event e = { .kind = SF_FAILURES_EVENT,
			      .reason = f->reason,
			      .link = link,
			      .count = f->count,
			      .interval_ms = f->interval_ms };
	char where[32] = "", text[SF_FAILURE_STRLEN];

	if (link)
		snprintf(where, sizeof(where), " on link %s", link);
	e.text = sf_failure_text(f, where, text);
	log_event(SF_LOG_WARN, &e);
	sf_events_add(ev, &e, "%s", text);
}
