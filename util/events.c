// SPDX-License-Identifier: Apache-2.0
/* events.c - see events.h. */
#include "util/events.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/clock.h"
#include "util/http.h"

#define FOLLOWERS_MAX 64
#define LIMIT_DEFAULT 100
#define LIMIT_MAX     10000

struct record {
	struct sf_event e; /* its pointers to text are set when it is read */
	char router_name[64], host_name[64], service_name[64], link[16];
	char text[160];
};

struct follower {
	struct sf_events *events;
	struct sf_http_req *req;
	bool busy; /* being sent to: it is ended when that returns */
	bool gone;
	struct follower *next;
};

struct sf_events {
	size_t kept;
	uint64_t next; /* id of the next event; the first is 1 */
	struct follower *followers;
	size_t n_followers;
	struct record ring[];
};

/* ---- the log ---------------------------------------------------------------------------- */

int sf_events_new(size_t kept, struct sf_events **out)
{
	struct sf_events *ev = calloc(1, sizeof(*ev) + kept * sizeof(ev->ring[0]));

	if (!ev)
		return -ENOMEM;
	ev->kept = kept;
	ev->next = 1;
	*out = ev;
	return 0;
}

static void follower_end(struct follower *f)
{
	struct follower **at = &f->events->followers;

	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	f->events->n_followers--;
	sf_http_stream_end(f->req);
	free(f);
}

void sf_events_free(struct sf_events *ev)
{
	if (!ev)
		return;
	while (ev->followers)
		follower_end(ev->followers);
	free(ev);
}

static json_t *record_json(struct record *r)
{
	r->e.router_name = r->router_name;
	r->e.host_name = r->host_name;
	r->e.service_name = r->service_name;
	r->e.link = r->link;
	r->e.text = r->text;
	return sf_event_json(&r->e);
}

/* Return: false when the follower is no more. */
static bool follower_send(struct follower *f, const json_t *event)
{
	int ret;

	f->busy = true;
	ret = event ? sf_http_stream_send(f->req, event) : -ENOMEM;
	f->busy = false;
	if (!ret && !f->gone)
		return true;
	follower_end(f);
	return false;
}

static void tell_followers(struct sf_events *ev, struct record *r)
{
	struct follower *f = ev->followers, *next;
	json_t *event = f ? record_json(r) : NULL;

	for (; f; f = next) {
		next = f->next;
		follower_send(f, event);
	}
	json_decref(event);
}

void sf_events_add(struct sf_events *ev, const struct sf_event *e, const char *fmt, ...)
{
	struct record *r = &ev->ring[ev->next % ev->kept];
	va_list ap;

	r->e = *e;
	r->e.id = ev->next++;
	r->e.time_ms = sf_wall_ms();
	snprintf(r->router_name, sizeof(r->router_name), "%s",
		 e->router_name ? e->router_name : "");
	snprintf(r->host_name, sizeof(r->host_name), "%s", e->host_name ? e->host_name : "");
	snprintf(r->service_name, sizeof(r->service_name), "%s",
		 e->service_name ? e->service_name : "");
	snprintf(r->link, sizeof(r->link), "%s", e->link ? e->link : "");
	va_start(ap, fmt);
	vsnprintf(r->text, sizeof(r->text), fmt, ap);
	va_end(ap);
	tell_followers(ev, r);
}

/* ---- for who asks ----------------------------------------------------------------------- */

/* The newest @limit kept events above @since, oldest first. */
static json_t *list_since(struct sf_events *ev, uint64_t since, uint64_t limit)
{
	json_t *list = json_array();
	uint64_t id = ev->next > ev->kept ? ev->next - ev->kept : 1;

	if (since >= id)
		id = since + 1;
	if (id < ev->next && ev->next - id > limit)
		id = ev->next - limit;
	for (; list && id < ev->next; id++)
		json_array_append_new(list, record_json(&ev->ring[id % ev->kept]));
	return list;
}

static void on_gone(struct sf_http_req *req, void *ctx)
{
	struct follower *f = ctx;

	f->gone = true;
	if (!f->busy)
		follower_end(f);
}

static int follow(struct sf_events *ev, struct sf_http_req *req, json_t *past, json_t **reply)
{
	struct follower *f;
	json_t *event;
	size_t i;

	if (ev->n_followers >= FOLLOWERS_MAX)
		return sf_http_fail(reply, 503, "too many followers of events", NULL, NULL);
	f = calloc(1, sizeof(*f));
	if (!f)
		return sf_http_fail(reply, 500, "no memory", NULL, NULL);
	f->events = ev;
	f->req = req;
	f->next = ev->followers;
	ev->followers = f;
	ev->n_followers++;
	sf_http_on_gone(req, on_gone, f);
	f->busy = true;
	f->gone = sf_http_stream_start(req) != 0;
	f->busy = false;
	if (f->gone) {
		follower_end(f);
		return SF_HTTP_LATER;
	}
	json_array_foreach (past, i, event)
		if (!follower_send(f, event))
			break;
	return SF_HTTP_LATER;
}

int sf_events_get(struct sf_events *ev, struct sf_http_req *req, json_t **reply)
{
	uint64_t since, limit, stream;
	json_t *past;
	int status = sf_http_query_number(req, "since", INT64_MAX - 1, 0, &since, reply);

	if (!status)
		status =
			sf_http_query_number(req, "limit", LIMIT_MAX, LIMIT_DEFAULT, &limit, reply);
	if (!status)
		status = sf_http_query_number(req, "follow", 1, 0, &stream, reply);
	if (status)
		return status;
	past = list_since(ev, since, limit);
	if (!past)
		return sf_http_fail(reply, 500, "no memory", NULL, NULL);
	if (stream) {
		status = follow(ev, req, past, reply);
		json_decref(past);
		return status;
	}
	*reply = json_pack("{s:o, s:I}", "events", past, "last", (json_int_t)(ev->next - 1));
	return 200;
}
