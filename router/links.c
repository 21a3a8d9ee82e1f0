// SPDX-License-Identifier: Apache-2.0
/* links.c - following the kernel's links; see links.h. */
#include "router/links.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "router/datapath.h"
#include "router/failures.h"
#include "router/hosts.h"
#include "router/router.h"
#include "router/routes.h"
#include "router/session.h"
#include "router/transit.h"
#include "util/clock.h"
#include "util/errtext.h"
#include "util/log.h"

#define ROUTES_SETTLE_MS 50 /* the FIB changes in bursts */

struct links {
	struct link *by_index;
	struct sf_nl_monitor *monitor;
	struct event *readable;
	struct event *routes_due;
	uint64_t judged_ms;
	bool refilter; /* routes changed that tell which links lead to routers */
};

#define REFILTER_MS 10000 /* also without a change: a link's rest ends by itself */

struct link *link_by_index(const struct router *r, int ifindex)
{
	struct link *l;

	HASH_FIND_INT(r->links->by_index, &ifindex, l);
	return l;
}

struct link *links_first(const struct router *r)
{
	return r->links->by_index;
}

enum link_access link_access(const struct router *r, int ifindex)
{
	struct link *l = link_by_index(r, ifindex);

	return l ? l->access : LINK_ACCESS_NO;
}

const char *link_name(const struct router *r, int ifindex)
{
	struct link *l = link_by_index(r, ifindex);

	return l ? l->nl.name : "";
}

bool link_is_filtered(const struct router *r, const struct link *l)
{
	switch (l->access) {
	case LINK_ACCESS_YES:
		return true;
	case LINK_ACCESS_AUTO:
		return hosts_on(r, l->ifindex, NULL) || !transit_leads(r, l->ifindex);
	default:
		return false;
	}
}

void links_refilter(struct router *r)
{
	if (!r->links)
		return;
	r->links->refilter = false;
	r->links->judged_ms = sf_now_ms();
	if (!transit_judge(r))
		return;
	for (struct link *l = links_first(r); l; l = l->hh.next)
		hosts_relink(r, l->ifindex);
}

void links_tick(struct router *r)
{
	const struct link *l = links_first(r);

	if (sf_now_ms() - r->links->judged_ms < REFILTER_MS)
		return;
	while (l && l->access != LINK_ACCESS_AUTO)
		l = l->hh.next;
	if (l) /* a FIB may be long; nobody else wants to know */
		links_refilter(r);
}

static void hosts_leave(struct router *r, int ifindex)
{
	struct host *h, *tmp;

	HASH_ITER (hh, r->hosts->by_addr, h, tmp)
		if (h->state != HOST_ABSENT && h->ifindex == ifindex)
			host_dismiss(r, h, SF_LINK_DOWN);
}

static void on_confirm(evutil_socket_t fd, short what, void *arg)
{
	struct link *l = arg;

	/* The latest news: nothing came since, or the timer would have been stopped. */
	hosts_leave(l->router, l->ifindex);
}

/* ---- one link ---- */

/* Whether a link can be ours at all: Ethernet, and not part of a bridge or bond. */
static bool eligible(const struct sf_nl_link *nl)
{
	return nl->has_mac && !(nl->flags & IFF_LOOPBACK) && !nl->master &&
	       strcmp(nl->name, ABSENT_LINK);
}

static void attach(struct router *r, struct link *l, const struct config_link *conf)
{
	bool filter = (r->config.roles & SF_ROLE_ACCESS) && conf->access != LINK_ACCESS_NO;
	int ret, xdp_err = 0;
	char err[256] = "";

	if (l->how != SF_BPF_HOW_NONE && filter == l->filter && conf->xdp == l->wants_xdp)
		return;
	l->wants_xdp = conf->xdp;
	ret = datapath_attach(r->datapath, l->ifindex, filter, conf->xdp, &l->how, &xdp_err, err,
			      sizeof(err));
	if (ret) {
		l->how = SF_BPF_HOW_NONE;
		sf_error("link %s: datapath: %s", l->nl.name, err);
		return;
	}
	if (xdp_err)
		sf_warn("link %s: xdp=yes: %s; it resolves at tc", l->nl.name,
			err[0] ? err : strerror(-xdp_err));
	l->filter = filter;
	l->xdp = conf->xdp && !xdp_err;
	sf_info("link %s: attached (%s%s), access %s", l->nl.name, sf_bpf_how_name(l->how),
		l->xdp ? ", xdp" : "",
		!filter				  ? "no"
		: conf->access == LINK_ACCESS_YES ? "yes"
						  : "auto");
}

static void link_drop(struct router *r, struct link *l, bool gone)
{
	sf_info("link %s: %s", l->nl.name, gone ? "gone" : "not ours any more");
	hosts_leave(r, l->ifindex);
	l->access = LINK_ACCESS_NO;
	hosts_relink(r, l->ifindex);
	session_unlisten(r, l->ifindex);
	datapath_detach(r->datapath, l->ifindex);
	HASH_DEL(r->links->by_index, l);
	event_free(l->confirm);
	free(l);
}

static struct link *link_new(struct router *r, const struct sf_nl_link *nl)
{
	struct link *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->router = r;
	l->ifindex = nl->ifindex;
	l->confirm = evtimer_new(r->base, on_confirm, l);
	if (!l->confirm) {
		free(l);
		return NULL;
	}
	failures_watch(l);
	HASH_ADD_INT(r->links->by_index, ifindex, l);
	return l;
}

static void watch_carrier(struct link *l)
{
	struct timeval wait = sf_ms_timeval(CARRIER_CONFIRM_MS);

	if (l->nl.carrier)
		event_del(l->confirm);
	else if (!evtimer_pending(l->confirm, NULL))
		evtimer_add(l->confirm, &wait);
}

static void take_up(struct router *r, const struct sf_nl_link *nl)
{
	const struct config_link *conf = eligible(nl) ? config_link(&r->config, nl->name) : NULL;
	struct link *l = link_by_index(r, nl->ifindex);
	enum link_access access;
	bool came_up;

	if (!conf) {
		if (l)
			link_drop(r, l, false);
		return;
	}
	if (!l) {
		l = link_new(r, nl);
		if (!l) {
			sf_error("link %s: out of memory", nl->name);
			return;
		}
	}
	l->hosts_max = conf->hosts_max;
	came_up = nl->carrier && !l->nl.carrier;
	l->nl = *nl;
	attach(r, l, conf);
	access = l->filter ? (enum link_access)conf->access : LINK_ACCESS_NO;
	if (access != l->access || !r->config.roles) {
		if (access == LINK_ACCESS_NO)
			hosts_leave(r, l->ifindex);
		l->access = access;
	}
	if (access == LINK_ACCESS_NO)
		session_unlisten(r, l->ifindex);
	else
		session_listen(r, l->ifindex);
	hosts_relink(r, l->ifindex);
	if (came_up) /* the kernel dropped their routes if the link was set down */
		hosts_reroute(r, l->ifindex);
	watch_carrier(l);
}

/* ---- all of them ---- */

static void on_event(const struct sf_nl_event *e, void *ctx)
{
	struct router *r = ctx;
	struct timeval wait = sf_ms_timeval(ROUTES_SETTLE_MS);
	struct link *l;

	if (e->topic == SF_NL_ROUTE) {
		if (transit_concerns(r, &e->route) && !r->links->refilter) {
			r->links->refilter = true;
			evtimer_add(r->links->routes_due, &wait);
		}
		if (e->route.protocol != SF_NL_PROTOCOL &&
		    !evtimer_pending(r->links->routes_due, NULL))
			evtimer_add(r->links->routes_due, &wait);
		return;
	}
	if (!e->gone) {
		take_up(r, &e->link);
		if (!evtimer_pending(r->links->routes_due, NULL))
			evtimer_add(r->links->routes_due, &wait);
		return;
	}
	l = link_by_index(r, e->link.ifindex);
	if (l)
		link_drop(r, l, true);
}

static void on_routes(evutil_socket_t fd, short what, void *arg)
{
	struct router *r = arg;

	routes_resolve(r);
	if (r->links->refilter)
		links_refilter(r);
}

static int collect(const struct sf_nl_link *nl, void *ctx)
{
	struct {
		struct sf_nl_link *links;
		size_t n;
	} *all = ctx;
	void *grown = realloc(all->links, (all->n + 1) * sizeof(*nl));

	if (!grown)
		return -ENOMEM;
	all->links = grown;
	all->links[all->n++] = *nl;
	return 0;
}

static int list_links(struct router *r)
{
	struct {
		struct sf_nl_link *links;
		size_t n;
	} all = { 0 };
	struct link *l, *tmp;
	int ret = sf_link_list(r->nl, collect, &all);

	if (!ret) {
		HASH_ITER (hh, r->links->by_index, l, tmp) {
			size_t i = 0;

			while (i < all.n && all.links[i].ifindex != l->ifindex)
				i++;
			if (i == all.n)
				link_drop(r, l, true);
		}
		for (size_t i = 0; i < all.n; i++)
			take_up(r, &all.links[i]);
	}
	free(all.links);
	return ret;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct router *r = arg;

	if (sf_nl_monitor_read(r->links->monitor) == -ENOBUFS) {
		list_links(r);
		routes_resolve(r);
		links_refilter(r);
	}
}

static bool is_ours(int ifindex, void *ctx)
{
	return link_by_index(ctx, ifindex);
}

int links_open(struct router *r, char *err, size_t errlen)
{
	struct links *t = calloc(1, sizeof(*t));
	int ret;

	if (!t)
		return sf_errtext(err, errlen, -ENOMEM, "out of memory");
	r->links = t;
	ret = sf_nl_monitor_open(SF_NL_LINK | SF_NL_ROUTE, on_event, r, &t->monitor);
	if (ret)
		return sf_errtext(err, errlen, ret, "link monitor: %s", strerror(-ret));
	t->readable = event_new(r->base, sf_nl_monitor_fd(t->monitor), EV_READ | EV_PERSIST,
				on_readable, r);
	t->routes_due = evtimer_new(r->base, on_routes, r);
	if (!t->readable || !t->routes_due || event_add(t->readable, NULL))
		return sf_errtext(err, errlen, -ENOMEM, "link monitor: out of memory");
	/* First the routes: no link between routers is filtered for a moment at each restart. */
	transit_judge(r);
	t->judged_ms = sf_now_ms();
	ret = list_links(r);
	if (ret)
		return sf_errtext(err, errlen, ret, "links: %s", strerror(-ret));
	datapath_sweep(r->datapath, is_ours, r);
	return 0;
}

void links_close(struct router *r)
{
	struct links *t = r->links;
	struct link *l, *tmp;

	if (!t)
		return;
	if (t->readable)
		event_free(t->readable);
	if (t->routes_due)
		event_free(t->routes_due);
	sf_nl_monitor_close(t->monitor);
	HASH_ITER (hh, t->by_index, l, tmp) {
		HASH_DEL(t->by_index, l);
		event_free(l->confirm);
		free(l);
	}
	free(t);
	r->links = NULL;
}

void links_reload(struct router *r)
{
	int ret = list_links(r);

	if (ret)
		sf_error("links: %s", strerror(-ret));
}
