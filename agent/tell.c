// SPDX-License-Identifier: Apache-2.0
/* tell.c - see tell.h. */
#include "agent/tell.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/host.h"

static void log_event(enum sf_log_level level, const struct sf_event *e)
{
	char *line;

	if (!sf_log_enabled(level))
		return;
	line = sf_event_line(e);
	sf_log(level, "event %s", line ? line : e->kind);
	free(line);
}

void host_tell(struct host *h, enum sf_log_level level, const struct sf_event *e, const char *fmt,
	       ...)
{
	struct sf_event told = *e;
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	told.host = h->identity;
	told.host_name = h->name;
	told.text = text;
	log_event(level, &told);
	sf_events_add(h->events, &told, "%s", text);
}
