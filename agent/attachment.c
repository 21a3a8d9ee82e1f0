// SPDX-License-Identifier: Apache-2.0
/* attachment.c - the host's uplinks, and which of them is primary; see attachment.h. */
#include "agent/attachment.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/host.h"
#include "agent/prefer.h"
#include "agent/tell.h"
#include "util/clock.h"
#include "util/daemon.h"
#include "util/log.h"

/* So long a place that an earlier agent had is believed in, until its router has answered us. */
#define ADOPTED_MS 3000

/* ---- finding ---------------------------------------------------------------------------- */

struct attachment *attachment_primary(const struct host *h)
{
	return h->attachments.primary;
}

struct attachment *attachment_by_name(const struct host *h, const char *name)
{
	attachment_foreach (h, a)
		if (!strcmp(a->link.name, name))
			return a;
	return NULL;
}

struct attachment *attachment_of_link(const struct host *h, int ifindex)
{
	attachment_foreach (h, a)
		if (ifindex && a->link.ifindex == ifindex)
			return a;
	return NULL;
}

struct attachment *attachment_of_place(const struct host *h, const struct sf_addr *place)
{
	attachment_foreach (h, a)
		if (attachment_has_place(a) && sf_locator_same_host(&a->join.locator, place))
			return a;
	return NULL;
}

bool attachment_usable(const struct attachment *a)
{
	return (a->join.state == JOIN_JOINED || a->adopted_ms > sf_now_ms()) &&
	       uplink_usable(a->host, &a->link);
}

bool attachment_has_place(const struct attachment *a)
{
	if (sf_addr_is_zero(&a->join.locator) || !a->link.ifindex)
		return false;
	if (a->join.state == JOIN_JOINED || a->adopted_ms || a == a->host->attachments.primary)
		return true;
	/* A router that says nothing may still route. */
	return a->join.state == JOIN_LOST && uplink_usable(a->host, &a->link);
}

const char *attachment_why_not(const struct attachment *a)
{
	if (!a->link.ifindex)
		return "the interface was removed";
	if (!uplink_usable(a->host, &a->link))
		return "the interface is down";
	if (a->join.elsewhere)
		return "its router knows this host by another interface";
	if (a->join.state == JOIN_LOST)
		return "its router does not answer any more";
	return a->join.state == JOIN_JOINED ? NULL : "no router has been joined by this interface";
}

const char *attachment_state_name(const struct attachment *a)
{
	if (a->join.state != JOIN_JOINED && !uplink_usable(a->host, &a->link))
		return "link-down";
	return a->join.elsewhere ? "elsewhere" : join_state_name(a->join.state);
}

/* ---- the session's words ---------------------------------------------------------------- */

static void on_stranger(void *ctx, const struct sf_ctrl_in *in, const struct sockaddr_in6 *from)
{
	join_stranger(ctx, in, from);
}

static void on_unasked(void *ctx, const struct sf_ctrl_in *in)
{
	struct attachment *a = ctx;

	if (in->type == SF_CTRL_REFRESH)
		join_again(a, "the router asks for it");
	else if (a != a->host->attachments.primary)
		return;
	else if (in->type == SF_CTRL_REGISTERED)
		host_take_results(a->host, 0, in);
	else if (in->type == SF_CTRL_SHED)
		shed_take(a->host, in);
}

static void on_lost(void *ctx)
{
	join_lost(ctx, "it does not answer");
}

static void on_room(void *ctx)
{
	struct attachment *a = ctx;

	if (a == a->host->attachments.primary)
		host_has_room(a->host);
}

static const struct session_ops session_ops = {
	.stranger = on_stranger, .unasked = on_unasked, .lost = on_lost, .room = on_room
};

/* ---- making and ending ------------------------------------------------------------------ */

static bool open_session(struct attachment *a)
{
	struct host *h = a->host;
	char err[256];
	int ret = session_open(&a->session, h->daemon.base, &session_ops, a, a->link.ifindex, err,
			       sizeof(err));

	if (ret)
		sf_error("link %s: %s", a->link.name, err);
	return !ret;
}

static void attachment_free(struct attachment *a)
{
	heartbeat_close(a);
	join_close(a);
	session_close(&a->session);
	free(a);
}

static struct attachment *attachment_new(struct host *h, const struct sf_nl_link *link)
{
	struct attachment **end = &h->attachments.first;
	struct attachment *a;

	if (h->attachments.n == ATTACHMENTS_MAX) {
		if (!h->attachments.crowded)
			sf_warn("link %s: there are more than %d links that may lead to a router; "
				"name some as uplink=",
				link->name, ATTACHMENTS_MAX);
		h->attachments.crowded = true;
		return NULL;
	}
	a = calloc(1, sizeof(*a));
	if (!a)
		return NULL;
	a->host = h;
	a->link = *link;
	a->link.event = 0;
	a->rank = uplink_rank(h, link->name);
	if (join_open(a) || heartbeat_open(a) || !open_session(a)) {
		attachment_free(a);
		return NULL;
	}
	while (*end)
		end = &(*end)->next;
	*end = a;
	h->attachments.n++;
	return a;
}

struct attachment *attachment_get(struct host *h, const struct sf_nl_link *link)
{
	struct attachment *a = attachment_of_link(h, link->ifindex);

	if (a)
		return a;
	a = attachment_by_name(h, link->name);
	if (!a || a->link.ifindex)
		return attachment_new(h, link);
	/* A link of that name was removed, and this is its successor. */
	a->link = *link;
	a->link.event = 0;
	return open_session(a) ? a : NULL;
}

/* The kernel as the uplinks want it: @setup says how much of it. */
static void apply(struct host *h, int (*setup)(struct host *h, char *err, size_t errlen))
{
	const struct attachment *p = h->attachments.primary;
	char err[512] = "";

	if (!p || !p->since_ms || !p->link.ifindex)
		return;
	/* The programs first: without them packets would leave untranslated. */
	if (datapath_apply(h, err, sizeof(err)))
		sf_error("datapath: %s", err);
	if (setup(h, err, sizeof(err)))
		sf_error("set-up: %s", err);
}

void attachments_apply(struct host *h)
{
	apply(h, setup_apply);
}

/* ---- the choice ------------------------------------------------------------------------- */

static void tell_place(struct host *h, const struct attachment *a, const struct sf_addr *before,
		       const char *why)
{
	struct sf_event e = { .kind = "place-changed", .locator = a->join.locator };
	char was[SF_ADDR_STRLEN];

	e.router = a->join.router_id;
	host_tell(h, SF_LOG_INFO, &e, "on %s: %s (was %s)", a->link.name, why,
		  sf_addr_print(before, was));
}

/* The kernel is as the primary wants it; its router is to get all registrations. */
static void register_all(struct attachment *a)
{
	if (a->join.state != JOIN_JOINED)
		return;
	a->held = true;
	shed_restart(a->host);
	registry_restart(&a->host->registry);
}

/* No route leads by @from any more, if its link is down. */
static void leave_place(const struct attachment *from, const struct attachment *to)
{
	moves_place(from->host, &from->join.locator, &to->join.locator);
	if (!uplink_usable(from->host, &from->link))
		uplink_forget_router(from);
}

/* Flows that are open come first: they wait, and nobody waits for the rest. */
static void switch_to(struct attachment *a, const char *why)
{
	struct host *h = a->host;
	struct attachment *was = h->attachments.primary;

	h->attachments.primary = a;
	host_set_net(h, &a->join.net);
	if (was && !sf_addr_is_zero(&was->join.locator)) {
		apply(h, setup_lead);
		leave_place(was, a);
		tell_place(h, a, &was->join.locator, why);
	}
	attachments_apply(h);
	register_all(a);
	sf_notify("STATUS=joined");
	attachment_foreach (h, other)
		if (other->join.elsewhere)
			join_begin(other);
}

static void look_again(struct host *h, uint64_t now, uint64_t at)
{
	struct timeval wait;

	attachment_foreach (h, a)
		if (a->adopted_ms > now && (!at || a->adopted_ms < at))
			at = a->adopted_ms;
	if (!at)
		return;
	wait = sf_ms_timeval((unsigned int)(at > now ? at - now : 0) + 1);
	event_add(h->attachments.timer, &wait);
}

static struct attachment *choose(struct host *h)
{
	struct candidate list[ATTACHMENTS_MAX];
	struct attachment *of[ATTACHMENTS_MAX];
	uint64_t now = sf_now_ms(), again;
	size_t n = 0;
	int best;

	attachment_foreach (h, a) {
		of[n] = a;
		list[n++] = (struct candidate){ .usable = a->since_ms != 0,
						.primary = a == h->attachments.primary,
						.rank = a->rank,
						.since_ms = a->since_ms };
	}
	best = prefer(list, n, now, h->config.prefer_after_ms, &again);
	look_again(h, now, again);
	return best < 0 ? NULL : of[best];
}

/* Each that is not joined does so by itself, now that there is a primary. */
static void join_others(struct host *h, const struct attachment *primary)
{
	attachment_foreach (h, a)
		if (a != primary && a->join.state != JOIN_JOINED)
			join_begin(a);
}

static void review(struct host *h, const char *why)
{
	struct attachment *best;

	attachment_foreach (h, a) {
		bool usable = attachment_usable(a);

		if (a->adopted_ms && a->adopted_ms <= sf_now_ms())
			a->adopted_ms = 0;
		if (!usable)
			a->since_ms = 0;
		else if (!a->since_ms)
			a->since_ms = sf_now_ms();
	}
	best = choose(h);
	if (!best) {
		if (!h->search.running) {
			sf_notify("STATUS=no access router, joining");
			search_begin(h);
		}
		return;
	}
	if (h->search.running) {
		search_end(h);
		join_others(h, best);
	}
	if (best != h->attachments.primary)
		switch_to(best, why);
}

void attachment_changed(struct attachment *a, const char *why)
{
	struct host *h = a->host;
	const struct attachment *was = h->attachments.primary, *now;
	bool could = a->since_ms != 0;

	review(h, why);
	now = h->attachments.primary;
	if (a == was || !now || !now->since_ms)
		return;
	/* A standby that is lost: what was there goes where the primary is. */
	if (a->join.state == JOIN_LOST && !attachment_has_place(a))
		attachments_apply(h);
	if (could && !a->since_ms)
		leave_place(a, now);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	review(arg, "it is preferred");
}

/* ---- joined ----------------------------------------------------------------------------- */

/* A router that has given one place for two links (an older one) means the newer link. */
static void forget_twin(struct attachment *a)
{
	attachment_foreach (a->host, other) {
		if (other == a || !sf_locator_same_host(&other->join.locator, &a->join.locator))
			continue;
		sf_info("link %s: its router knows this host on %s now", other->link.name,
			a->link.name);
		memset(&other->join.locator, 0, sizeof(other->join.locator));
		other->join.state = JOIN_JOINING;
		other->join.elsewhere = true;
		other->adopted_ms = 0;
	}
}

void attachment_joined(struct attachment *a, const struct sf_addr *before)
{
	struct host *h = a->host;
	bool renumbered =
		!sf_addr_is_zero(before) && !sf_locator_same_host(before, &a->join.locator);
	bool resumed = a->adopted_ms != 0, was_primary = a == h->attachments.primary;

	a->adopted_ms = 0;
	a->held = false; /* the router takes a first heartbeat's word for what is registered */
	forget_twin(a);
	review(h, "it is joined");
	if (was_primary || a != h->attachments.primary) {
		if (was_primary)
			host_set_net(h, &a->join.net);
		attachments_apply(h);
		if (was_primary)
			register_all(a);
	}
	heartbeat_start(a);
	if (renumbered) {
		tell_place(h, a, before, "its router gave another locator");
		moves_place(h, before, &a->join.locator);
	} else if (resumed && was_primary) {
		struct sf_addr any = { 0 };

		moves_place(h, &any, &a->join.locator);
	}
	moves_resume(h);
	if (!renumbered && !sf_addr_is_zero(before))
		rouse_place(h, &a->join.locator);
}

void attachments_settled(struct host *h)
{
	const struct attachment *p = h->attachments.primary;

	if (!p || p->join.state != JOIN_JOINED || !registry_settled(&h->registry))
		return;
	attachment_foreach (h, a)
		if (a != p && a->held && a->join.state == JOIN_JOINED && !a->join.offer.len)
			join_again(a, "another uplink is primary");
}

/* ---- life ------------------------------------------------------------------------------- */

/* An earlier agent was joined there. */
static int adopt(const struct sf_addr *place, const struct sf_uplink *up, void *ctx)
{
	struct host *h = ctx;
	struct sf_nl_link link;
	struct attachment *a;

	if (sf_link_get_index(h->nl, (int)up->ifindex, &link) || !uplink_wants(h, &link))
		return 0;
	a = attachment_get(h, &link);
	if (!a)
		return 0;
	a->join.locator = *place;
	a->join.net = h->datapath.config.net;
	memcpy(a->join.net.as, place->h, sizeof(a->join.net.as));
	memcpy(&a->join.router.sin6_addr, &up->router, sizeof(up->router));
	a->join.router.sin6_family = AF_INET6;
	a->join.router.sin6_scope_id = up->ifindex;
	a->adopted_ms = sf_now_ms() + ADOPTED_MS;
	if (uplink_usable(h, &link))
		a->since_ms = sf_now_ms();
	if (h->datapath.config.ifindex == up->ifindex)
		h->attachments.primary = a;
	return 0;
}

int attachments_open(struct host *h, char *err, size_t errlen)
{
	h->attachments.timer = evtimer_new(h->daemon.base, on_timer, h);
	if (!h->attachments.timer) {
		snprintf(err, errlen, "no memory");
		return -ENOMEM;
	}
	if (h->datapath.adopted && h->datapath.config.host)
		datapath_each_place(h, adopt, h);
	return 0;
}

void attachments_begin(struct host *h)
{
	uplink_scan(h);
	review(h, "it is there");
	if (!h->search.running)
		attachment_foreach (h, a)
			join_begin(a);
}

void attachments_close(struct host *h)
{
	struct attachment *a;

	while ((a = h->attachments.first)) {
		h->attachments.first = a->next;
		attachment_free(a);
	}
	if (h->attachments.timer)
		event_free(h->attachments.timer);
	memset(&h->attachments, 0, sizeof(h->attachments));
}

void attachments_leave(struct host *h, unsigned int wait_ms)
{
	attachment_foreach (h, a) {
		int ret = session_leave(&a->session, wait_ms);

		if (ret == -ENOTCONN)
			continue;
		if (ret)
			sf_warn("LEAVE on %s: not answered; the router will notice", a->link.name);
		else
			sf_info("left the network on %s", a->link.name);
	}
}
