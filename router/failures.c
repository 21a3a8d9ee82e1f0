// SPDX-License-Identifier: Apache-2.0
/* failures.c - see failures.h. */
#include "router/failures.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "router/controller_link.h"
#include "router/datapath.h"
#include "router/events.h"
#include "router/links.h"
#include "router/router.h"
#include "util/clock.h"
#include "util/errtext.h"
#include "util/failures.h"

struct failures {
	struct sf_failures all;
	struct event *timer;
};

/* What is being polled: a link's counters, or (NULL) the router's. */
struct polled {
	struct router *router;
	struct link *link;
};

/* Whether drops under @reason are counted and told of by link. */
static bool is_of_link(unsigned int reason)
{
	return reason == SF_SPOOFED_LOCATOR || reason == SF_SPOOFED_SERVICE ||
	       reason == SF_SPOOFED_MAC || reason == SF_POLICED;
}

/* Registrations that are denied have events of their own, which name them. */
static bool is_told(unsigned int reason)
{
	return is_of_link(reason) || (reason >= SF_DENIED_POLICY && reason <= SF_DENIED_FULL);
}

static uint64_t count_of_router(void *ctx, unsigned int reason)
{
	struct router *r = ((struct polled *)ctx)->router;
	struct sf_count c = { 0 };

	if (is_told(reason))
		return 0;
	datapath_counter(r->datapath, reason, &c);
	return c.packets + r->stats.refused[reason];
}

static uint64_t count_of_link(void *ctx, unsigned int reason)
{
	return is_of_link(reason) ? ((struct polled *)ctx)->link->drops[reason] : 0;
}

void failures_watch(struct link *l)
{
	struct polled p = { .link = l };

	sf_failures_start(&l->failures, sf_now_ms(), count_of_link, &p);
}

static void tell(void *ctx, const struct sf_failure *f)
{
	const struct polled *p = ctx;
	const char *link = p->link ? p->link->nl.name : NULL;

	events_add_failure(p->router->events, f, link);
	controller_link_failure(p->router, f, link);
}

static int take_drop(const void *key, const void *value, void *ctx)
{
	const struct sf_link_drop *drop = key;
	const struct sf_count *c = value;
	struct link *l = link_by_index(ctx, (int)drop->ifindex);

	if (l && drop->reason < SF_REASON_MAX)
		l->drops[drop->reason] = c->packets;
	return 0;
}

static void on_poll(evutil_socket_t fd, short what, void *arg)
{
	struct router *r = arg;
	struct polled p = { .router = r };
	uint64_t now = sf_now_ms();

	datapath_drops_each(r->datapath, take_drop, r);
	sf_failures_poll(&r->failures->all, now, count_of_router, tell, &p);
	for (p.link = links_first(r); p.link; p.link = p.link->hh.next)
		sf_failures_poll(&p.link->failures, now, count_of_link, tell, &p);
	controller_link_flush(r);
}

int failures_open(struct router *r, char *err, size_t errlen)
{
	struct timeval period = sf_ms_timeval(SF_FAILURES_POLL_MS);
	struct polled p = { .router = r };
	struct failures *f = calloc(1, sizeof(*f));

	if (!f)
		return sf_errtext(err, errlen, -ENOMEM, "out of memory");
	r->failures = f;
	f->timer = event_new(r->base, -1, EV_PERSIST, on_poll, r);
	if (!f->timer || event_add(f->timer, &period))
		return sf_errtext(err, errlen, -ENOMEM, "failures: out of memory");
	/* What a daemon before us saw, it has told of. */
	sf_failures_start(&f->all, sf_now_ms(), count_of_router, &p);
	return 0;
}

void failures_close(struct router *r)
{
	if (!r->failures)
		return;
	if (r->failures->timer)
		event_free(r->failures->timer);
	free(r->failures);
	r->failures = NULL;
}
