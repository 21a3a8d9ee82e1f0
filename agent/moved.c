// SPDX-License-Identifier: Apache-2.0
/* moved.c - see moved.h. */
#include "agent/moved.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "agent/host.h"
#include "agent/tell.h"
#include "util/clock.h"
#include "util/log.h"

#define QUIET_NS   200000000ull	 /* nothing more came: tell */
#define PATIENT_NS 2000000000ull /* tell although more comes */
#define TELL_MS	   50
#define NS_PER_MS  1000000ull

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

/* ---- text ------------------------------------------------------------------------------- */

static bool is_wait(const struct moved *g)
{
	return !strcmp(g->kind, "flow-waits");
}

static bool is_resumption(const struct moved *g)
{
	return !strcmp(g->kind, "flow-resumes");
}

/* "link lost: eth0"; "" where nothing is known. */
static const char *cause_text(const struct moved *g, char *buf, size_t len)
{
	const char *colon = *g->link ? ": " : "";

	switch (g->own ? g->cause : MOVER_UNSAID) {
	case MOVER_ORDERED:
		return "ordered by migrate";
	case MOVER_LINK:
		snprintf(buf, len, "link lost%s%s", colon, g->link);
		return buf;
	case MOVER_ROUTER:
		snprintf(buf, len, "router lost%s%s", colon, g->link);
		return buf;
	case MOVER_ADDRESS:
		return "its router gave another locator";
	case MOVER_PREFERRED:
		return "another uplink is primary";
	case MOVER_AWAY:
		return "the place had gone";
	default:
		return g->own ? "" : "the peer's doing";
	}
}

static void moved_line(const struct moved *g, const char *flows, char *text, size_t len)
{
	char from[SF_ADDR_STRLEN + 8] = "", addr[SF_ADDR_STRLEN], to[SF_ADDR_STRLEN], why[48];
	unsigned long long ms = (g->ended - g->began) / NS_PER_MS;
	bool many = g->count > 1;
	const char *cause;

	sf_addr_print(&g->to, to);
	if (g->own && g->cause == MOVER_HANDOVER) {
		snprintf(text, len,
			 "%s taken over from the host at %s, to %s in %llu ms: hand-over", flows,
			 sf_addr_print(&g->from, addr), to, ms);
		return;
	}
	if (!sf_addr_is_zero(&g->from))
		snprintf(from, sizeof(from), " from %s", sf_addr_print(&g->from, addr));
	cause = cause_text(g, why, sizeof(why));
	if (g->own && sf_addr_eq(&g->from, &g->to)) {
		snprintf(text, len, "%s moved away from %s and back%s%s", flows, to,
			 *cause ? ": " : "", cause);
		return;
	}
	snprintf(text, len, "%s%s moved%s to %s in %llu ms%s%s", flows,
		 g->own ? "" : (many ? "' peers" : "'s peer"), from, to, ms, *cause ? ": " : "",
		 cause);
}

static void wait_line(const struct moved *g, const char *flows, char *text, size_t len)
{
	char peer[SF_ADDR_STRLEN] = "several places";
	bool many = g->count > 1;

	if (!sf_addr_is_zero(&g->to))
		sf_addr_print(&g->to, peer);
	if (g->own)
		snprintf(text, len, "%s wait%s: no place%s%s%s", flows, many ? "" : "s",
			 *g->link ? ": " : "", g->link, *g->link ? " is not usable" : "");
	else
		snprintf(text, len, "%s wait%s: nothing is heard from %s; move_grace %u.%u s",
			 flows, many ? "" : "s", peer, g->grace_ms / 1000, g->grace_ms / 100 % 10);
}

void moved_text(const struct moved *g, char *text, size_t len)
{
	unsigned long long ms = (g->ended - g->began) / NS_PER_MS;
	char flows[48] = "a flow";

	if (g->count > 1)
		snprintf(flows, sizeof(flows), "%llu flows", (unsigned long long)g->count);
	if (is_wait(g))
		wait_line(g, flows, text, len);
	else if (is_resumption(g))
		snprintf(text, len, "%s go%s on after %llu ms: %s", flows, g->count > 1 ? "" : "es",
			 ms, g->own ? "the place is back" : "the peer is heard again");
	else if (g->reason)
		snprintf(text, len, "%s: over here: %s", flows, sf_reason_text(g->reason));
	else
		moved_line(g, flows, text, len);
}

/* ---- groups ----------------------------------------------------------------------------- */

bool moved_join(struct moved *g, const struct moved *add)
{
	bool waiting = is_wait(add) || is_resumption(add);

	if (strcmp(g->kind, add->kind) != 0 || g->own != add->own || g->reason != add->reason ||
	    g->cause != add->cause || !sf_addr_eq(&g->from, &add->from))
		return false;
	if (!sf_addr_eq(&g->to, &add->to)) {
		if (!waiting)
			return false;
		memset(&g->to, 0, sizeof(g->to)); /* of several */
	}
	if (add->began < g->began)
		g->began = add->began;
	if (add->grace_ms < g->grace_ms)
		g->grace_ms = add->grace_ms;
	g->ended = add->ended;
	g->count += add->count;
	return true;
}

static void tell(struct host *h, struct moved *g)
{
	struct sf_event e = { .kind = g->kind,
			      .reason = g->reason,
			      .locator = is_wait(g) && g->own ? g->from : g->to,
			      .count = g->count,
			      .interval_ms = (g->ended - g->began) / NS_PER_MS };
	const struct sf_tuple *t = &g->tuple;
	char text[240];

	if (g->count == 1 && t->proto) {
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
	moved_text(g, text, sizeof(text));
	host_tell(h, g->reason || is_wait(g) ? SF_LOG_WARN : SF_LOG_INFO, &e, "%s", text);
	g->kind = NULL;
}

static void arm(struct host *h)
{
	struct timeval wait = sf_ms_timeval(TELL_MS);

	if (!evtimer_pending(h->moves.told.timer, NULL))
		event_add(h->moves.told.timer, &wait);
}

void moved_add(struct host *h, const struct moved *add)
{
	struct moved *free_one = NULL, *g, *groups = h->moves.told.groups;
	uint64_t now = now_ns();

	for (g = groups; g < groups + MOVED_GROUPS; g++) {
		if (g->kind && moved_join(g, add))
			break;
		if (!g->kind && !free_one)
			free_one = g;
	}
	if (g == groups + MOVED_GROUPS) {
		g = free_one ? free_one : groups;
		if (g->kind)
			tell(h, g);
		*g = *add;
		g->since = now;
	}
	g->last = now;
	arm(h);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct host *h = arg;
	uint64_t now = now_ns();
	bool more = false;

	for (int i = 0; i < MOVED_GROUPS; i++) {
		struct moved *g = &h->moves.told.groups[i];

		if (g->kind && (now - g->last > QUIET_NS || now - g->since > PATIENT_NS))
			tell(h, g);
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
	struct moved_log *m = &h->moves.told;

	if (m->timer)
		event_free(m->timer);
	memset(m, 0, sizeof(*m));
}
