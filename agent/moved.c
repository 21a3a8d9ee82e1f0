// SPDX-License-Identifier: Apache-2.0
/* moved.c - see moved.h. */
#include "agent/moved.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>

#include "agent/host.h"
#include "agent/tell.h"
#include "util/clock.h"

#define QUIET_NS   200000000ull	 /* nothing more came: tell */
#define PATIENT_NS 2000000000ull /* tell although more comes */
#define TELL_MS	   50
#define NS_PER_MS  1000000ull

static void arm(struct host *h)
{
	struct timeval wait = sf_ms_timeval(TELL_MS);

	event_add(h->moves.told.timer, &wait);
}

static bool is_alike(const struct moved *a, const struct moved *b)
{
	return a->kind == b->kind && a->own == b->own && a->reason == b->reason &&
	       sf_addr_eq(&a->from, &b->from) && sf_addr_eq(&a->to, &b->to);
}

static const char *from_text(const struct moved *g, char *buf, size_t len)
{
	char from[SF_ADDR_STRLEN];

	buf[0] = '\0';
	if (!sf_addr_is_zero(&g->from))
		snprintf(buf, len, " from %s", sf_addr_print(&g->from, from));
	return buf;
}

static void group_text(const struct moved *g, char *text, size_t len)
{
	char to[SF_ADDR_STRLEN], from[SF_ADDR_STRLEN + 8];
	unsigned long long ms = (g->ended - g->began) / NS_PER_MS;
	char flows[48] = "a flow";

	if (g->count > 1)
		snprintf(flows, sizeof(flows), "%llu flows", (unsigned long long)g->count);
	if (g->reason)
		snprintf(text, len, "%s: over here: %s", flows, sf_reason_text(g->reason));
	else
		snprintf(text, len, "%s%s moved%s to %s in %llu ms", flows,
			 g->own ? "" : (g->count > 1 ? "' peers" : "'s peer"),
			 from_text(g, from, sizeof(from)), sf_addr_print(&g->to, to), ms);
}

static void group_tell(struct host *h, struct moved *g)
{
	struct sf_event e = { .kind = g->kind,
			      .reason = g->reason,
			      .locator = g->to,
			      .count = g->count,
			      .interval_ms = (g->ended - g->began) / NS_PER_MS };
	const struct sf_tuple *t = &g->tuple;
	char text[200];

	if (g->count == 1) {
		bool served = registry_find(&h->registry,
					    &(struct registration_key){ .addr = t->local,
									.port = t->lport,
									.proto = t->proto });
		const struct sf_addr *end = served ? &t->local : &t->peer;

		if (sf_addr_is_service(&h->net, end))
			e.service = sf_addr_sid(end);
		e.service_name = names_of(h, &e.service);
		e.has_port = true;
		e.port = served ? t->lport : t->pport;
		e.proto = t->proto;
	}
	group_text(g, text, sizeof(text));
	host_tell(h, g->reason ? SF_LOG_WARN : SF_LOG_INFO, &e, "%s", text);
	g->kind = NULL;
}

void moved_add(struct host *h, const struct moved *add)
{
	struct moved *free_one = NULL, *g;

	for (g = h->moves.told.groups; g < h->moves.told.groups + MOVED_GROUPS; g++) {
		if (g->kind && is_alike(g, add))
			break;
		if (!g->kind && !free_one)
			free_one = g;
	}
	if (g == h->moves.told.groups + MOVED_GROUPS) {
		g = free_one ? free_one : h->moves.told.groups;
		if (g->kind)
			group_tell(h, g);
		*g = *add;
		g->since = add->ended;
	} else if (add->began < g->began) {
		g->began = add->began;
	}
	g->ended = add->ended;
	g->count++;
	if (!evtimer_pending(h->moves.told.timer, NULL))
		arm(h);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct host *h = arg;
	uint64_t now = (sf_now_ms() + 1) * NS_PER_MS; /* not before what was told */
	bool more = false;

	for (int i = 0; i < MOVED_GROUPS; i++) {
		struct moved *g = &h->moves.told.groups[i];

		if (g->kind && (now - g->ended > QUIET_NS || now - g->since > PATIENT_NS))
			group_tell(h, g);
		more |= g->kind != NULL;
	}
	if (more)
		arm(h);
}

int moved_open(struct host *h)
{
	h->moves.told.timer = evtimer_new(h->daemon.base, on_timer, h);
	return h->moves.told.timer ? 0 : -ENOMEM;
}

void moved_close(struct host *h)
{
	if (h->moves.told.timer)
		event_free(h->moves.told.timer);
	h->moves.told.timer = NULL;
}
