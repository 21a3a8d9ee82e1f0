// SPDX-License-Identifier: Apache-2.0
/* uplink.c - finding and watching links to access routers. */
#include "agent/uplink.h"

#include <errno.h>
#include <event2/event.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "agent/host.h"
#include "agent/prefer.h"
#include "agent/tell.h"
#include "util/clock.h"
#include "util/log.h"

#define REPAIR_MS 100 /* after a removal, so that many at once cost one repair */

/* ---- which links ------------------------------------------------------------------------ */

uint32_t uplink_rank(const struct host *h, const char *name)
{
	const struct sf_conf_list *order = &h->config.uplink;

	for (size_t i = 0; i < order->count; i++)
		if (!strcmp(order->items[i], name))
			return (uint32_t)i;
	return PREFER_NO_RANK;
}

bool uplink_wants(const struct host *h, const struct sf_nl_link *link)
{
	if ((link->flags & (IFF_LOOPBACK | IFF_NOARP)) || !link->has_mac)
		return false;
	if (h->config.uplink.count)
		return uplink_rank(h, link->name) != PREFER_NO_RANK;
	return !link->master;
}

bool uplink_usable(const struct host *h, const struct sf_nl_link *link)
{
	return link->ifindex && uplink_wants(h, link) && (link->flags & IFF_UP) && link->carrier;
}

struct links {
	const struct host *host;
	struct sf_nl_link list[ATTACHMENTS_MAX + 1];
	int count;
};

static int take_link(const struct sf_nl_link *link, void *ctx)
{
	struct links *l = ctx;
	bool told = l->host->config.uplink.count > 0;

	/* One that is named is known while it is down, too. */
	if (l->count <= ATTACHMENTS_MAX &&
	    (told ? uplink_wants(l->host, link) : uplink_usable(l->host, link)))
		l->list[l->count++] = *link;
	return 0;
}

void uplink_scan(struct host *h)
{
	struct links l = { .host = h };
	int err = sf_link_list(h->nl, take_link, &l);

	if (err)
		sf_warn("links: %s", strerror(-err));
	/* The list first, so that netlink can be used for each. */
	for (int i = 0; i < l.count; i++)
		attachment_get(h, &l.list[i]);
}

/* ---- what becomes of them --------------------------------------------------------------- */

/* Those that nobody named and that never led anywhere are not spoken of. */
static void tell(const struct attachment *a, const char *kind, const char *what)
{
	struct sf_event e = { .kind = kind, .locator = a->join.locator };

	if (a->rank == PREFER_NO_RANK && sf_addr_is_zero(&a->join.locator))
		return;
	host_tell(a->host, strcmp(kind, "uplink-up") ? SF_LOG_WARN : SF_LOG_INFO, &e, "%s: %s",
		  a->link.name, what);
}

static void removed(struct attachment *a)
{
	tell(a, "uplink-down", "removed");
	a->link.ifindex = 0;
	session_close(&a->session);
	join_lost(a, "the uplink was removed");
}

void uplink_forget_router(const struct attachment *a)
{
	int err =
		sf_neigh_del(a->host->nl, a->link.ifindex, &a->join.router.sin6_addr, SF_NL_ENSURE);

	if (err)
		sf_debug("link %s: neighbour of the router: %s", a->link.name, strerror(-err));
}

/* A virtual machine's live migration, a bond's failover: whoever is at the other end now, it is
 * not known by the link address that we have of him. */
static void moved(struct attachment *a)
{
	uplink_forget_router(a);
	join_again(a, "the machine was moved");
}

static void went_down(struct attachment *a)
{
	tell(a, "uplink-down", "down");
	join_lost(a, "the uplink is down");
}

/* The kernel tells at once that a link is up, but of links that are down once a second only
 * (linkwatch), whosever they are: whoever changes networks is on the new one by then. */
static void look_at_others(struct host *h, const struct attachment *up)
{
	struct sf_nl_link now;

	attachment_foreach (h, a) {
		if (a == up || !uplink_usable(h, &a->link) ||
		    sf_link_get_index(h->nl, a->link.ifindex, &now) || uplink_usable(h, &now))
			continue;
		a->link = now;
		a->link.event = 0;
		went_down(a);
	}
}

/* An attachment's link changed. */
static void changed(struct attachment *a, const struct sf_nl_link *now)
{
	struct host *h = a->host;
	struct sf_nl_link was = a->link;
	bool could = uplink_usable(h, &was), can;

	a->link = *now;
	a->link.event = 0;
	a->rank = uplink_rank(h, now->name);
	can = uplink_usable(h, now);
	if (could && !can) {
		went_down(a);
	} else if (!could && can) {
		tell(a, "uplink-up", "up");
		uplink_forget_router(a);
		join_again(a, "the uplink came up");
		look_at_others(h, a);
	} else if (can && now->event == IFLA_EVENT_NOTIFY_PEERS) {
		moved(a);
	}
	if (attachment_has_place(a) && (was.mtu != now->mtu || strcmp(was.name, now->name)))
		attachments_apply(h);
}

/* Somebody else took away what the set-up made? */
static bool was_ours(const struct host *h, const struct sf_nl_event *e)
{
	struct sf_addr addr;

	if (!e->gone)
		return false;
	switch (e->topic) {
	case SF_NL_ROUTE:
		return e->route.protocol == SF_NL_PROTOCOL;
	case SF_NL_RULE:
		return e->rule.protocol == SF_NL_PROTOCOL;
	case SF_NL_ADDR:
		memcpy(&addr, &e->addr.addr, sizeof(addr));
		return sf_addr_eq(&addr, &h->self) || attachment_of_place(h, &addr);
	default:
		return false;
	}
}

static void on_repair(evutil_socket_t fd, short what, void *arg)
{
	struct host *h = arg;
	const struct attachment *p = attachment_primary(h);

	/* A link that comes back makes us join, and that repairs. */
	if (p && p->join.state == JOIN_JOINED)
		attachments_apply(h);
}

static void on_link(struct host *h, const struct sf_nl_event *e)
{
	struct attachment *a = attachment_of_link(h, e->link.ifindex);

	if (a && e->gone) {
		removed(a);
	} else if (a) {
		changed(a, &e->link);
	} else if (!e->gone && uplink_usable(h, &e->link)) {
		a = attachment_get(h, &e->link); /* perhaps the one that we wait for */
		if (!a)
			return;
		join_hurry(a);
		look_at_others(h, a);
	}
}

static void on_event(const struct sf_nl_event *e, void *ctx)
{
	struct host *h = ctx;
	struct attachment *a;

	if (was_ours(h, e)) {
		struct timeval wait = sf_ms_timeval(REPAIR_MS);

		if (!evtimer_pending(h->uplink.repair, NULL))
			event_add(h->uplink.repair, &wait);
	}
	if (e->topic == SF_NL_LINK)
		on_link(h, e);
	if (e->topic != SF_NL_ADDR || e->gone || (e->addr.flags & IFA_F_TENTATIVE) ||
	    !IN6_IS_ADDR_LINKLOCAL(&e->addr.addr))
		return;
	/* JOIN needs a link-local source that duplicate detection is through with. */
	a = attachment_of_link(h, e->addr.ifindex);
	if (a)
		join_hurry(a);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct host *h = arg;
	struct sf_nl_link now;

	if (sf_nl_monitor_read(h->uplink.monitor) != -ENOBUFS)
		return;
	/* Events were lost: look for ourselves. */
	attachment_foreach (h, a) {
		if (!a->link.ifindex)
			continue;
		if (sf_link_get_index(h->nl, a->link.ifindex, &now))
			removed(a);
		else
			changed(a, &now);
	}
	uplink_scan(h);
	attachment_foreach (h, a)
		join_hurry(a);
}

int uplink_open(struct host *h, char *err, size_t errlen)
{
	struct sf_nl_link link;
	int ret;

	for (size_t i = 0; i < h->config.uplink.count; i++)
		if (sf_link_get(h->nl, h->config.uplink.items[i], &link))
			sf_warn("uplink %s: no such link yet; waiting for it",
				h->config.uplink.items[i]);
	ret = sf_nl_monitor_open(SF_NL_LINK | SF_NL_ADDR | SF_NL_ROUTE | SF_NL_RULE, on_event, h,
				 &h->uplink.monitor);
	if (ret) {
		snprintf(err, errlen, "watching links: %s", strerror(-ret));
		return ret;
	}
	h->uplink.readable = event_new(h->daemon.base, sf_nl_monitor_fd(h->uplink.monitor),
				       EV_READ | EV_PERSIST, on_readable, h);
	h->uplink.repair = evtimer_new(h->daemon.base, on_repair, h);
	if (!h->uplink.repair || !h->uplink.readable || event_add(h->uplink.readable, NULL)) {
		snprintf(err, errlen, "watching links: no memory");
		return -ENOMEM;
	}
	return 0;
}

void uplink_close(struct host *h)
{
	if (h->uplink.readable)
		event_free(h->uplink.readable);
	if (h->uplink.repair)
		event_free(h->uplink.repair);
	sf_nl_monitor_close(h->uplink.monitor);
	h->uplink.readable = h->uplink.repair = NULL;
	h->uplink.monitor = NULL;
}
