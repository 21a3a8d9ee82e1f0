// SPDX-License-Identifier: Apache-2.0
/* watch.c - counters that move become events; see watch.h. */
#include "agent/watch.h"

#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "agent/host.h"
#include "agent/tell.h"
#include "util/clock.h"
#include "util/text.h"

/* What the hooks and we count beside the datapath. */
static uint64_t count_elsewhere(const struct host *h, unsigned int reason)
{
	struct sf_hook_counts counts;

	switch (reason) {
	case SF_EVENTS_LOST:
		hooks_counts(h, &counts);
		return counts.lost;
	case SF_DENIED_UID:
		hooks_counts(h, &counts);
		return counts.denied;
	case SF_DENIED_CGROUP:
		hooks_counts(h, &counts);
		return counts.denied_cgroup;
	case SF_TOO_MANY_RUNS:
		return h->runs.refused;
	default:
		return 0;
	}
}

static uint64_t count_beside(const struct host *h, unsigned int reason)
{
	uint64_t n = count_elsewhere(h, reason);

	return reason < SF_REASON_MAX ? n + h->moves.mover.counts.ignored[reason] : n;
}

int watch_count(struct host *h, unsigned int reason, struct sf_count *out)
{
	int ret = datapath_count(h, "counters", reason, out);

	if (!ret)
		out->packets += count_beside(h, reason);
	return ret;
}

static uint64_t count(void *ctx, unsigned int reason)
{
	struct sf_count c;

	return watch_count(ctx, reason, &c) ? 0 : c.packets;
}

/* Who sent last from an address that is not his, for the text of an event. */
static void add_sender(const struct host *h, struct sf_event *e, char *where, size_t len)
{
	struct sf_hook_counts c;
	char addr[SF_ADDR_STRLEN], comm[sizeof(c.comm) + 1];

	hooks_counts(h, &c);
	if (sf_addr_is_zero(&c.addr))
		return;
	sf_text_take(comm, sizeof(comm), c.comm, sizeof(c.comm));
	e->service = sf_addr_sid(&c.addr);
	snprintf(where, len, " sends from %s, last by %s, pid %u, uid %u",
		 sf_addr_print(&c.addr, addr), comm, c.pid, c.uid);
}

static void tell(void *ctx, const struct sf_failure *f)
{
	struct host *h = ctx;
	char text[SF_FAILURE_STRLEN], where[128] = "";
	struct sf_event e = { .kind = SF_FAILURES_EVENT,
			      .reason = f->reason,
			      .count = f->count,
			      .interval_ms = f->interval_ms };

	if (f->reason == SF_DENIED_UID || f->reason == SF_DENIED_CGROUP)
		add_sender(h, &e, where, sizeof(where));
	sf_failure_text(f, where, text);
	host_tell(h, SF_LOG_WARN, &e, "%s", text);
}

static void arm(struct host *h)
{
	struct timeval wait = sf_ms_timeval(SF_FAILURES_POLL_MS);

	event_add(h->watch.timer, &wait);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct host *h = arg;

	sf_failures_poll(&h->watch.failures, sf_now_ms(), count, tell, h);
	arm(h);
}

int watch_open(struct host *h, char *err, size_t errlen)
{
	h->watch.timer = evtimer_new(h->daemon.base, on_timer, h);
	if (!h->watch.timer) {
		snprintf(err, errlen, "no memory");
		return -ENOMEM;
	}
	sf_failures_start(&h->watch.failures, sf_now_ms(), count, h);
	arm(h);
	return 0;
}

void watch_close(struct host *h)
{
	if (h->watch.timer)
		event_free(h->watch.timer);
	h->watch.timer = NULL;
}
