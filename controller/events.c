// SPDX-License-Identifier: Apache-2.0
/* events.c - the event log: a ring, and its way into the store. */
#include "controller/events.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/hosts.h"
#include "controller/policies.h"
#include "controller/routers.h"
#include "util/clock.h"
#include "util/event.h"

struct events {
	struct store *store;
	struct event_entry *ring;
	uint32_t size;
	uint32_t keep;	 /* in the store */
	uint64_t first;	 /* oldest id in the ring */
	uint64_t next;	 /* id of the next event */
	uint64_t stored; /* ids below this are in the store, or lost to it */
	uint64_t lost;
};

static const char *const kinds[] = {
#define X(sym, name) [EVENT_##sym] = name,
	EVENTS(X)
#undef X
};

const char *event_kind_name(unsigned int kind)
{
	return kind < EVENT_KINDS ? kinds[kind] : NULL;
}

int events_new(struct store *store, uint32_t memory, uint32_t stored, struct events **out)
{
	struct events *ev = calloc(1, sizeof(*ev));
	uint64_t last = 0;
	int ret = -ENOMEM;

	if (!ev)
		return -ENOMEM;
	ev->ring = calloc(memory, sizeof(*ev->ring));
	if (!ev->ring)
		goto fail;
	ret = store_events_last(store, &last);
	if (ret)
		goto fail;
	ev->store = store;
	ev->size = memory;
	ev->keep = stored;
	/* A crash may have lost events that followers saw: their ids are not given again. */
	ev->first = ev->next = ev->stored = last ? last + memory + 1 : 1;
	*out = ev;
	return 0;
fail:
	free(ev->ring);
	free(ev);
	return ret;
}

void events_free(struct events *ev)
{
	if (!ev)
		return;
	for (uint32_t i = 0; i < ev->size; i++)
		free(ev->ring[i].text);
	free(ev->ring);
	free(ev);
}

static struct event_entry *slot(const struct events *ev, uint64_t id)
{
	return &ev->ring[id % ev->size];
}

uint64_t events_add(struct controller *c, const struct event_entry *e, const char *fmt, ...)
{
	struct events *ev = c->events;
	struct event_entry *at = slot(ev, ev->next);
	va_list ap;

	if (ev->next - ev->first == ev->size) {
		if (ev->stored == ev->first) {
			ev->stored++;
			ev->lost += ev->keep != 0;
		}
		ev->first++;
	}
	free(at->text);
	*at = *e;
	at->text = NULL;
	at->id = ev->next++;
	at->time_ms = sf_wall_ms();
	if (fmt) {
		va_start(ap, fmt);
		if (vasprintf(&at->text, fmt, ap) < 0)
			at->text = NULL;
		va_end(ap);
	}
	if (c->log)
		c->log(c, at);
	controller_wake(c);
	return at->id;
}

struct event_entry event_of_router(enum event_kind kind, const struct router *router)
{
	struct event_entry e = { .kind = (uint8_t)kind, .router = router->id };

	snprintf(e.router_name, sizeof(e.router_name), "%.*s", (int)sizeof(e.router_name) - 1,
		 router->name);
	return e;
}

struct event_entry event_of_host(enum event_kind kind, const struct host *host)
{
	struct event_entry e = event_of_router(kind, host->router);

	e.host = host->identity->sid;
	e.locator = host->locator;
	snprintf(e.host_name, sizeof(e.host_name), "%.*s", (int)sizeof(e.host_name) - 1,
		 host->name);
	return e;
}

uint64_t events_last(const struct events *ev)
{
	return ev->next - 1;
}

uint64_t events_lost(const struct events *ev)
{
	return ev->lost;
}

/* ---- as JSON ------------------------------------------------------------------------------- */

json_t *event_json(struct controller *c, const struct event_entry *e)
{
	struct sf_event view = {
		.id = e->id,
		.time_ms = e->time_ms,
		.kind = kinds[e->kind],
		.router = e->router,
		.host = e->host,
		.service = e->service,
		.router_name = e->router_name,
		.host_name = e->host_name,
		.locator = e->locator,
		.text = e->text,
		.port = e->port,
		.proto = e->proto,
		.reason = e->reason,
		.has_port = e->has_port,
	};

	if (!sf_sid_is_zero(&e->service))
		view.service_name = name_find(c, &e->service);
	return sf_event_json(&view);
}

/* ---- to the store -------------------------------------------------------------------------- */

int events_store(struct controller *c, uint32_t limit)
{
	struct events *ev = c->events;
	int done = 0;
	int ret;

	if (ev->stored < ev->first)
		ev->stored = ev->first;
	if (!ev->keep) {
		ev->stored = ev->next;
		return 0;
	}
	if (ev->stored == ev->next)
		return 0;
	ret = store_batch_begin(ev->store);
	while (!ret && ev->stored < ev->next && (uint32_t)done < limit) {
		const struct event_entry *e = slot(ev, ev->stored);
		json_t *o = event_json(c, e);
		char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

		ret = text ? store_event_put(ev->store, e->id, e->time_ms, text) : -ENOMEM;
		free(text);
		json_decref(o);
		ev->stored++;
		ev->lost += ret != 0;
		done++;
	}
	/* Also after a failed put: what came before it counts, and the transaction must end. */
	if (done) {
		int end = store_events_end(ev->store, ev->keep);

		ret = ret ? ret : end;
	}
	return ret ? ret : done;
}

/* ---- reading ------------------------------------------------------------------------------- */

int events_each_new(struct controller *c, uint64_t since, uint32_t limit, event_fn each, void *ctx)
{
	struct events *ev = c->events;
	uint64_t id = since + 1 > ev->first ? since + 1 : ev->first;
	int ret = 0;

	for (; !ret && id < ev->next && limit; id++, limit--) {
		json_t *o = event_json(c, slot(ev, id));

		ret = o ? each(ctx, id, o) : -ENOMEM;
		json_decref(o);
	}
	return ret;
}

struct stored_ctx {
	event_fn each;
	void *ctx;
};

static int stored_event(void *ctx, uint64_t id, const char *text)
{
	struct stored_ctx *s = ctx;
	json_t *o = json_loads(text, 0, NULL);
	int ret = o ? s->each(s->ctx, id, o) : 0;

	json_decref(o);
	return ret;
}

int events_each(struct controller *c, uint64_t since, uint32_t limit, event_fn each, void *ctx)
{
	struct events *ev = c->events;
	struct stored_ctx s = { each, ctx };
	uint64_t in_ring = ev->next - ev->first;
	uint32_t older;
	int ret = 0;

	if (since + 1 >= ev->first || in_ring >= limit) {
		if (ev->next > limit && since < ev->next - 1 - limit)
			since = ev->next - 1 - limit;
		return events_each_new(c, since, limit, each, ctx);
	}
	older = limit - (uint32_t)in_ring;
	ret = store_events_newest(ev->store, since, ev->first, older, stored_event, &s);
	return ret ? ret : events_each_new(c, since, limit, each, ctx);
}
