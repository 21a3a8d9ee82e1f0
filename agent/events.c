// SPDX-License-Identifier: Apache-2.0
/* events.c - ring of events, and streams to those that follow it. */
#include "agent/events.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "util/http.h"

#define FOLLOWERS_MAX 64

struct events_follower {
	struct events *events;
	struct sf_http_req *req;
	struct events_follower *next;
};

void events_open(struct events *e)
{
	memset(e, 0, sizeof(*e));
	e->next = 1;
}

static void unfollow(struct events_follower *f)
{
	struct events *e = f->events;

	for (struct events_follower **at = &e->followers; *at; at = &(*at)->next) {
		if (*at == f) {
			*at = f->next;
			e->n_followers--;
			break;
		}
	}
	sf_http_stream_end(f->req);
	free(f);
}

void events_close(struct events *e)
{
	while (e->followers)
		unfollow(e->followers);
	for (size_t i = 0; i < EVENTS_KEPT; i++)
		json_decref(e->ring[i]);
	memset(e, 0, sizeof(*e));
}

static void send_all(struct events *e, const json_t *event)
{
	struct events_follower *next;

	for (struct events_follower *f = e->followers; f; f = next) {
		next = f->next;
		if (sf_http_stream_send(f->req, event))
			unfollow(f);
	}
}

void events_add(struct events *e, const char *kind, json_t *fields, const char *fmt, ...)
{
	json_t *event = fields ? fields : json_object();
	struct timespec now;
	char text[512];
	va_list ap;
	size_t slot = e->next % EVENTS_KEPT;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	clock_gettime(CLOCK_REALTIME, &now);
	json_object_set_new(event, "number", json_integer((json_int_t)e->next));
	json_object_set_new(event, "time",
			    json_real((double)now.tv_sec + (double)(now.tv_nsec / 1000000) / 1e3));
	json_object_set_new(event, "kind", json_string(kind));
	json_object_set_new(event, "text", json_string(text));
	json_decref(e->ring[slot]);
	e->ring[slot] = event;
	e->next++;
	send_all(e, event);
}

json_t *events_since(const struct events *e, uint64_t after)
{
	json_t *list = json_array();
	uint64_t first = e->next > EVENTS_KEPT ? e->next - EVENTS_KEPT : 1;

	if (after >= first)
		first = after + 1;
	for (uint64_t n = first; n < e->next; n++)
		json_array_append(list, e->ring[n % EVENTS_KEPT]);
	return list;
}

static void gone(struct sf_http_req *req, void *ctx)
{
	unfollow(ctx);
}

int events_follow(struct events *e, struct sf_http_req *req, uint64_t after)
{
	struct events_follower *f;
	json_t *list;
	size_t i;
	json_t *event;
	int err;

	if (e->n_followers >= FOLLOWERS_MAX)
		return -EUSERS;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->events = e;
	f->req = req;
	f->next = e->followers;
	e->followers = f;
	e->n_followers++;
	sf_http_on_gone(req, gone, f);
	err = sf_http_stream_start(req);
	list = events_since(e, after);
	json_array_foreach (list, i, event) {
		if (!err)
			err = sf_http_stream_send(req, event);
	}
	json_decref(list);
	if (err)
		unfollow(f);
	return 0;
}
