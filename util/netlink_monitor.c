// SPDX-License-Identifier: Apache-2.0
/* netlink_monitor.c - events of links, addresses, routes, rules and neighbours: a subscribed
 * rtnetlink socket. */
#include "util/netlink.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "util/netlink_internal.h"

#define MONITOR_RCVBUF (2 << 20) /* bytes; a bridge flap or a full routing table arrive at once */

struct sf_nl_monitor {
	struct mnl_socket *sock;
	sf_nl_event_fn fn;
	void *ctx;
	int delivered; /* in this sf_nl_monitor_read() */
	char buf[NL_BUF];
};

int sf_nl_monitor_open(unsigned int topics, sf_nl_event_fn fn, void *ctx,
		       struct sf_nl_monitor **out)
{
	static const struct {
		unsigned int topic;
		int group;
	} groups[] = {
		{ SF_NL_LINK, RTNLGRP_LINK },	     { SF_NL_ADDR, RTNLGRP_IPV6_IFADDR },
		{ SF_NL_ROUTE, RTNLGRP_IPV6_ROUTE }, { SF_NL_NEIGH, RTNLGRP_NEIGH },
		{ SF_NL_RULE, RTNLGRP_IPV6_RULE },
	};
	struct sf_nl_monitor *mon = calloc(1, sizeof(*mon));
	int size = MONITOR_RCVBUF, fd, r;

	if (!mon)
		return -ENOMEM;
	mon->fn = fn;
	mon->ctx = ctx;
	mon->sock = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!mon->sock || mnl_socket_bind(mon->sock, 0, MNL_SOCKET_AUTOPID) < 0)
		goto fail;
	for (size_t i = 0; i < sizeof(groups) / sizeof(*groups); i++) {
		int group = groups[i].group;

		if ((topics & groups[i].topic) &&
		    mnl_socket_setsockopt(mon->sock, NETLINK_ADD_MEMBERSHIP, &group,
					  sizeof(group)) < 0)
			goto fail;
	}
	fd = mnl_socket_get_fd(mon->sock);
	/* Unprivileged, a smaller buffer has to do: losses are reported. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	*out = mon;
	return 0;
fail:
	r = -errno;
	sf_nl_monitor_close(mon);
	return r;
}

int sf_nl_monitor_fd(const struct sf_nl_monitor *mon)
{
	return mnl_socket_get_fd(mon->sock);
}

/* Fills the event; false: nothing to tell. */
static bool event_read(const struct nlmsghdr *nlh, struct sf_nl_event *event,
		       struct sf_nl_hop **hops)
{
	switch (nlh->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		event->topic = SF_NL_LINK;
		event->gone = nlh->nlmsg_type == RTM_DELLINK;
		return nl_read_link(nlh, &event->link);
	case RTM_NEWADDR:
	case RTM_DELADDR:
		event->topic = SF_NL_ADDR;
		event->gone = nlh->nlmsg_type == RTM_DELADDR;
		return nl_read_addr(nlh, &event->addr);
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		event->topic = SF_NL_ROUTE;
		event->gone = nlh->nlmsg_type == RTM_DELROUTE;
		return nl_read_route(nlh, &event->route, hops);
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		event->topic = SF_NL_NEIGH;
		event->gone = nlh->nlmsg_type == RTM_DELNEIGH;
		return nl_read_neigh(nlh, &event->neigh);
	case RTM_NEWRULE:
	case RTM_DELRULE:
		event->topic = SF_NL_RULE;
		event->gone = nlh->nlmsg_type == RTM_DELRULE;
		return nl_read_rule(nlh, &event->rule);
	}
	return false;
}

static int on_event(const struct nlmsghdr *nlh, void *data)
{
	struct sf_nl_monitor *mon = data;
	struct sf_nl_event event = { 0 };
	struct sf_nl_hop *hops = NULL;

	if (event_read(nlh, &event, &hops)) {
		mon->delivered++;
		mon->fn(&event, mon->ctx);
	}
	free(hops);
	return MNL_CB_OK;
}

int sf_nl_monitor_read(struct sf_nl_monitor *mon)
{
	mon->delivered = 0;
	for (;;) {
		ssize_t n = mnl_socket_recvfrom(mon->sock, mon->buf, sizeof(mon->buf));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return mon->delivered;
		if (n < 0)
			return -errno;
		/* No sequence or port to check: nobody asked for these. */
		if (mnl_cb_run(mon->buf, (size_t)n, 0, 0, on_event, mon) < 0)
			return -errno;
	}
}

void sf_nl_monitor_close(struct sf_nl_monitor *mon)
{
	if (!mon)
		return;
	if (mon->sock)
		mnl_socket_close(mon->sock);
	free(mon);
}
