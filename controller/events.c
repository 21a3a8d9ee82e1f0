// SPDX-License-Identifier: Apache-2.0
/* The event log: a ring, and its way into the store. */
#include "controller/events.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "controller/hosts.h"
#include "controller/policies.h"
#include "controller/routers.h"
#include "core/flow.h"

struct ctl_events {
	struct ctl_store *store;
	struct ctl_event *ring;
	uint32_t size;
	uint32_t keep;	 /* in the store */
	uint64_t first;	 /* oldest id in the ring */
	uint64_t next;	 /* id of the next event */
	uint64_t stored; /* ids below this are in the store, or lost to it */
	uint64_t lost;
};

static const char *const kinds[] = {
#define X(sym, name) [CTL_EVENT_##sym] = name,
	CTL_EVENTS(X)
#undef X
};

const char *ctl_event_kind_name(unsigned int kind)
{
	return kind < CTL_EVENT_KINDS ? kinds[kind] : NULL;
}

int ctl_events_new(struct ctl_store *store, uint32_t memory, uint32_t stored,
		   struct ctl_events **out)
{
	struct ctl_events *ev = calloc(1, sizeof(*ev));
	uint64_t last = 0;
	int ret = -ENOMEM;

	if (!ev)
		return -ENOMEM;
	ev->ring = calloc(memory, sizeof(*ev->ring));
	if (!ev->ring)
		goto fail;
	ret = ctl_store_events_last(store, &last);
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

void ctl_events_free(struct ctl_events *ev)
{
	if (!ev)
		return;
	for (uint32_t i = 0; i < ev->size; i++)
		free(ev->ring[i].text);
	free(ev->ring);
	free(ev);
}

static struct ctl_event *slot(const struct ctl_events *ev, uint64_t id)
{
	return &ev->ring[id % ev->size];
}

uint64_t ctl_event_add(struct ctl *c, const struct ctl_event *e, const char *fmt, ...)
{
	struct ctl_events *ev = c->events;
	struct ctl_event *at = slot(ev, ev->next);
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
	at->time_ms = ctl_wall_ms();
	if (fmt) {
		va_start(ap, fmt);
		if (vasprintf(&at->text, fmt, ap) < 0)
			at->text = NULL;
		va_end(ap);
	}
	if (c->log)
		c->log(c, at);
	ctl_wake(c);
	return at->id;
}

struct ctl_event ctl_event_of_router(enum ctl_event_kind kind, const struct ctl_router *router)
{
	struct ctl_event e = { .kind = (uint8_t)kind, .router = router->id };

	snprintf(e.router_name, sizeof(e.router_name), "%.*s", (int)sizeof(e.router_name) - 1,
		 router->name);
	return e;
}

struct ctl_event ctl_event_of_host(enum ctl_event_kind kind, const struct ctl_host *host)
{
	struct ctl_event e = ctl_event_of_router(kind, host->router);

	e.host = host->identity->sid;
	e.locator = host->locator;
	snprintf(e.host_name, sizeof(e.host_name), "%.*s", (int)sizeof(e.host_name) - 1,
		 host->name);
	return e;
}

uint64_t ctl_events_last(const struct ctl_events *ev)
{
	return ev->next - 1;
}

uint64_t ctl_events_lost(const struct ctl_events *ev)
{
	return ev->lost;
}

char *ctl_time_text(uint64_t ms, char out[CTL_TIME_TEXT])
{
	time_t seconds = (time_t)(ms / 1000);
	char stamp[32] = "";
	struct tm tm;

	if (gmtime_r(&seconds, &tm))
		strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out, CTL_TIME_TEXT, "%.31s.%03uZ", stamp, (unsigned int)(ms % 1000));
	return out;
}

/* ---- as JSON ------------------------------------------------------------------------------- */

static void set_text(json_t *o, const char *key, const char *text)
{
	/* Names come from the network: JSON must be UTF-8. */
	json_t *v = json_string(text);

	json_object_set_new(o, key, v ? v : json_string("?"));
}

static void set_sid(json_t *o, const char *key, const struct sf_sid *sid)
{
	char text[CTL_SID_TEXT];

	if (!sf_sid_is_zero(sid))
		set_text(o, key, sf_sid_print(sid, text));
}

json_t *ctl_event_json(struct ctl *c, const struct ctl_event *e)
{
	json_t *o = json_object();
	char text[SF_ADDR_STRLEN];
	const char *name;
	char stamp[CTL_TIME_TEXT];

	json_object_set_new(o, "id", json_integer((json_int_t)e->id));
	set_text(o, "time", ctl_time_text(e->time_ms, stamp));
	set_text(o, "kind", kinds[e->kind]);
	if (e->reason)
		set_text(o, "reason", sf_reason_name(e->reason));
	set_sid(o, "router", &e->router);
	if (*e->router_name)
		set_text(o, "router_name", e->router_name);
	set_sid(o, "host", &e->host);
	if (*e->host_name)
		set_text(o, "host_name", e->host_name);
	if (!sf_addr_is_zero(&e->locator))
		set_text(o, "locator", sf_addr_print(&e->locator, text));
	set_sid(o, "service", &e->service);
	name = sf_sid_is_zero(&e->service) ? NULL : ctl_name_of(c, &e->service);
	if (name)
		set_text(o, "service_name", name);
	if (e->has_port) {
		set_text(o, "protocol", sf_proto_name(e->proto));
		json_object_set_new(o, "port", json_integer(sf_be16(e->port)));
	}
	if (e->text)
		set_text(o, "text", e->text);
	return o;
}

/* ---- to the store -------------------------------------------------------------------------- */

int ctl_events_store(struct ctl *c, uint32_t limit)
{
	struct ctl_events *ev = c->events;
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
	ret = ctl_store_events_begin(ev->store);
	while (!ret && ev->stored < ev->next && (uint32_t)done < limit) {
		const struct ctl_event *e = slot(ev, ev->stored);
		json_t *o = ctl_event_json(c, e);
		char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

		ret = text ? ctl_store_event_put(ev->store, e->id, e->time_ms, text) : -ENOMEM;
		free(text);
		json_decref(o);
		ev->stored++;
		ev->lost += ret != 0;
		done++;
	}
	/* Also after a failed put: what came before it counts, and the transaction must end. */
	if (done) {
		int end = ctl_store_events_end(ev->store, ev->keep);

		ret = ret ? ret : end;
	}
	return ret ? ret : done;
}

/* ---- reading ------------------------------------------------------------------------------- */

int ctl_events_each_new(struct ctl *c, uint64_t since, uint32_t limit, ctl_event_fn each, void *ctx)
{
	struct ctl_events *ev = c->events;
	uint64_t id = since + 1 > ev->first ? since + 1 : ev->first;
	int ret = 0;

	for (; !ret && id < ev->next && limit; id++, limit--) {
		json_t *o = ctl_event_json(c, slot(ev, id));

		ret = o ? each(ctx, id, o) : -ENOMEM;
		json_decref(o);
	}
	return ret;
}

struct stored_ctx {
	ctl_event_fn each;
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

int ctl_events_each(struct ctl *c, uint64_t since, uint32_t limit, ctl_event_fn each, void *ctx)
{
	struct ctl_events *ev = c->events;
	struct stored_ctx s = { each, ctx };
	uint64_t in_ring = ev->next - ev->first;
	uint32_t older;
	int ret = 0;

	if (since + 1 >= ev->first || in_ring >= limit) {
		if (ev->next > limit && since < ev->next - 1 - limit)
			since = ev->next - 1 - limit;
		return ctl_events_each_new(c, since, limit, each, ctx);
	}
	older = limit - (uint32_t)in_ring;
	ret = ctl_store_events_newest(ev->store, since, ev->first, older, stored_event, &s);
	return ret ? ret : ctl_events_each_new(c, since, limit, each, ctx);
}
