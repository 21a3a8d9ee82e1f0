// SPDX-License-Identifier: Apache-2.0
/* tell.c - see tell.h. */
#include "agent/tell.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/host.h"

/* The log has times of its own, and a restart makes ids void. */
static void log_event(enum sf_log_level level, const struct sf_event *e)
{
	json_t *o;
	char *text;

	if (!sf_log_enabled(level))
		return;
	o = sf_event_json(e);
	json_object_del(o, "id");
	json_object_del(o, "time");
	text = json_dumps(o, JSON_COMPACT);
	sf_log(level, "event %s", text ? text : e->kind);
	free(text);
	json_decref(o);
}

void host_tell(struct host *h, enum sf_log_level level, struct sf_event *e, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	e->host = h->identity;
	e->host_name = h->name;
	e->text = text;
	log_event(level, e);
	sf_events_add(h->events, e, "%s", text);
}
