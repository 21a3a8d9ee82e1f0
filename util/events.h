// SPDX-License-Identifier: Apache-2.0
/*
 * events.h - the log that agent and router keep of what happened: a ring of small records, which
 * become JSON only for who asks, and who follows it.
 */
#ifndef SF_UTIL_EVENTS_H
#define SF_UTIL_EVENTS_H

#include <jansson.h>
#include <stddef.h>

#include "util/event.h"

struct sf_http_req;
struct sf_events;

/** sf_events_new() - an empty log that keeps the last @kept. Return: 0 or -ENOMEM. */
int sf_events_new(size_t kept, struct sf_events **out);

/** sf_events_free() - ends the streams of followers, too. NULL is fine. */
void sf_events_free(struct sf_events *ev);

/**
 * sf_events_add() - keep an event, and send it to followers.
 * @e: its id, time and text are filled in here; names are copied (63 bytes of them)
 * @fmt: text for people (159 bytes)
 */
void sf_events_add(struct sf_events *ev, const struct sf_event *e, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** sf_events_get() - the handler of GET /v1/events?since=&limit=&follow=. Return: its status. */
int sf_events_get(struct sf_events *ev, struct sf_http_req *req, json_t **reply);

#endif
