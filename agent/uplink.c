// SPDX-License-Identifier: Apache-2.0
/* uplink.c - finding and watching the link to the access router. */
#include "agent/uplink.h"

#include <errno.h>
#include <event2/event.h>
#include <net/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <string.h>

#include "agent/host.h"
#include "util/clock.h"
#include "util/log.h"

#define REPAIR_MS 100 /* after a removal, so that many at once cost one repair */

static bool link_usable(const struct sf_nl_link *l)
{
	return (l->flags & IFF_UP) && l->carrier && !(l->flags & (IFF_LOOPBACK | IFF_NOARP)) &&
	       l->has_mac;
}

bool uplink_usable(const struct host *h)
{
	return h->uplink.link.ifindex && link_usable(&h->uplink.link);
}

#define CANDIDATES_MAX 64

struct each {
	const char *wanted;
	struct sf_nl_link links[CANDIDATES_MAX];
	int count;
};

static int each_link(const struct sf_nl_link *link, void *ctx)
{
	struct each *e = ctx;

	if (e->wanted[0] ? strcmp(link->name, e->wanted) != 0 : link->master != 0)
		return 0; /* a bond's or bridge's port is not a link of its own */
	if (link_usable(link) && e->count < CANDIDATES_MAX)
		e->links[e->count++] = *link;
	return 0;
}

int uplink_each(struct host *h, void (*fn)(struct host *h, const struct sf_nl_link *link))
{
	struct each e = { .wanted = h->config.uplink };
	int err = sf_link_list(h->nl, each_link, &e);

	/* The list first, so that @fn may use netlink, too. */
	for (int i = 0; !err && i < e.count; i++)
		fn(h, &e.links[i]);
	return err < 0 ? err : e.count;
}

int uplink_choose(struct host *h, int ifindex)
{
	struct sf_nl_link link;
	int err = sf_link_get_index(h->nl, ifindex, &link);

	if (!err)
		h->uplink.link = link;
	return err;
}

/* The chosen link changed. */
static void changed(struct host *h, const struct sf_nl_link *now, bool gone)
{
	struct sf_nl_link was = h->uplink.link;

	if (gone) {
		h->uplink.link.ifindex = 0;
		sf_warn("uplink %s: removed", was.name);
		join_lost(h, "the uplink was removed");
		return;
	}
	h->uplink.link = *now;
	h->uplink.link.event = 0;
	if (link_usable(&was) && !link_usable(now)) {
		sf_warn("uplink %s: down", now->name);
		join_lost(h, "the uplink is down");
	} else if (!link_usable(&was) && link_usable(now)) {
		sf_info("uplink %s: up", now->name);
		join_again(h, "the uplink came up");
	} else if (now->event == IFLA_EVENT_NOTIFY_PEERS) {
		join_again(h,
			   "the machine was moved"); /* a VM's live migration, a bond's failover */
	}
	if (was.mtu != now->mtu || strcmp(was.name, now->name))
		join_reapply(h);
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
		return sf_addr_eq(&addr, &h->self) || sf_locator_same_host(&addr, &h->join.locator);
	default:
		return false;
	}
}

static void on_repair(evutil_socket_t fd, short what, void *arg)
{
	struct host *h = arg;

	if (uplink_usable(h))
		join_reapply(h); /* a link that comes back makes us join, and that repairs */
}

static void on_event(const struct sf_nl_event *e, void *ctx)
{
	struct host *h = ctx;

	if (was_ours(h, e)) {
		struct timeval wait = sf_ms_timeval(REPAIR_MS);

		if (!evtimer_pending(h->uplink.repair, NULL))
			event_add(h->uplink.repair, &wait);
	}
	if (e->topic == SF_NL_ADDR) {
		/* JOIN needs a link-local source that duplicate detection is through with. */
		if (!e->gone && !(e->addr.flags & IFA_F_TENTATIVE) &&
		    IN6_IS_ADDR_LINKLOCAL(&e->addr.addr))
			join_hurry(h);
		return;
	}
	if (e->topic != SF_NL_LINK)
		return;
	if (h->uplink.link.ifindex == e->link.ifindex)
		changed(h, &e->link, e->gone);
	else if (!e->gone && link_usable(&e->link))
		join_hurry(h); /* perhaps the one that we wait for */
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct host *h = arg;
	struct sf_nl_link now;
	int n = sf_nl_monitor_read(h->uplink.monitor);

	if (n != -ENOBUFS || !h->uplink.link.ifindex)
		return;
	/* Events were lost: look for ourselves. */
	if (sf_link_get_index(h->nl, h->uplink.link.ifindex, &now))
		changed(h, NULL, true);
	else
		changed(h, &now, false);
}

int uplink_open(struct host *h, char *err, size_t errlen)
{
	struct sf_nl_link link;
	int ret;

	if (h->config.uplink[0] && sf_link_get(h->nl, h->config.uplink, &link))
		sf_warn("uplink %s: no such link yet; waiting for it", h->config.uplink);
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
