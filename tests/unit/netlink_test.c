// SPDX-License-Identifier: Apache-2.0
/* util/netlink against the real kernel, in two namespaces of its own:
 *
 *	a: va ---- vb :b
 *
 * The monitor is opened inside a. Needs root.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/netlink.h"
#include "util/netns.h"

static char ns_a[32], ns_b[32];
static int fd_a = -1, fd_b = -1;
static struct sf_nl *a, *b;
static struct sf_nl_link va;

static struct in6_addr ip(const char *text)
{
	struct in6_addr addr;

	assert_int_equal(inet_pton(AF_INET6, text, &addr), 1);
	return addr;
}

/* The same by address, good for two uses. */
static const struct in6_addr *at(const char *text)
{
	static struct in6_addr ring[2];
	static unsigned int next;

	ring[++next % 2] = ip(text);
	return &ring[next % 2];
}

static struct sf_ip6_prefix net(const char *text)
{
	struct sf_ip6_prefix p;

	assert_int_equal(sf_ip6_prefix_parse(text, &p), 0);
	return p;
}

/* A route as one line of text, to compare with. */
static const char *route_text(const struct sf_nl_route *r)
{
	static char text[1024];
	char dst[SF_IP6_PREFIX_LEN], via[64], src[64];
	int n;

	n = snprintf(text, sizeof(text),
		     "%s via %s oif %d src %s metric %u table %u type %u proto %u mtu %u",
		     sf_ip6_prefix_print(&r->dst, dst),
		     inet_ntop(AF_INET6, &r->via, via, sizeof(via)), r->oif,
		     inet_ntop(AF_INET6, &r->src, src, sizeof(src)), r->metric, r->table, r->type,
		     r->protocol, r->mtu);
	for (size_t i = 0; i < r->n_hops; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, " hop %s oif %d weight %u",
			      inet_ntop(AF_INET6, &r->hops[i].via, via, sizeof(via)),
			      r->hops[i].oif, r->hops[i].weight);
	return text;
}

static int collect_route(const struct sf_nl_route *r, void *ctx)
{
	strcat(ctx, route_text(r));
	strcat(ctx, "\n");
	return 0;
}

/* All routes of ours in a's table @table. */
static const char *routes(uint32_t table)
{
	static char text[8192];

	text[0] = '\0';
	assert_int_equal(sf_route_list(a, table, SF_NL_PROTOCOL, collect_route, text), 0);
	return text;
}

static const char *line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static const char *line(const char *fmt, ...)
{
	static char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return text;
}

static int count_links(const struct sf_nl_link *link, void *ctx)
{
	++*(int *)ctx;
	return 0;
}

static int stop_at_first(const struct sf_nl_link *link, void *ctx)
{
	++*(int *)ctx;
	return 42;
}

static int run_shell(void *ctx)
{
	return system(ctx);
}

/* ip(8) in a namespace: what this room has no function for, and a second opinion. Its status. */
static int ip_in(int ns, const char *args)
{
	char command[256];

	snprintf(command, sizeof(command), "ip %s", args);
	return sf_netns_run(ns, run_shell, command);
}

static void links(void **state)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 9 };
	struct sf_nl_link link, bridge;
	int n = 0;

	assert_int_equal(sf_link_get(a, "nosuch", &link), -ENODEV);
	assert_int_equal(sf_link_get(a, "a-name-above-fifteen-bytes", &link), -ENODEV);
	assert_int_equal(sf_link_get_index(a, 99999, &link), -ENODEV);
	assert_string_equal(va.kind, "veth");
	assert_int_equal(va.mtu, 1500);
	assert_true(va.has_mac && va.carrier);
	assert_true(va.flags & IFF_UP);
	assert_int_equal(sf_link_get_index(a, va.ifindex, &link), 0);
	assert_string_equal(link.name, "va");

	assert_int_equal(sf_link_add(a, "d0", "ifb", SF_NL_STRICT), 0);
	assert_int_equal(sf_link_add(a, "d0", "ifb", SF_NL_STRICT), -EEXIST);
	assert_int_equal(sf_link_add(a, "d0", "ifb", SF_NL_ENSURE), 0);
	assert_int_equal(sf_link_add(a, "d0", "bridge", SF_NL_ENSURE), -EEXIST);
	assert_int_equal(sf_link_add(a, "br0", "bridge", SF_NL_STRICT), 0);
	assert_int_equal(sf_link_get(a, "d0", &link), 0);
	assert_int_equal(sf_link_get(a, "br0", &bridge), 0);
	assert_string_equal(bridge.kind, "bridge");
	assert_false(link.flags & IFF_UP);
	assert_int_equal(sf_link_set_mtu(a, link.ifindex, 1400), 0);
	assert_int_equal(sf_link_set_mac(a, bridge.ifindex, mac), 0);
	assert_int_equal(ip_in(fd_a, "link set d0 master br0"), 0);
	assert_int_equal(sf_link_get(a, "d0", &link), 0);
	assert_int_equal(link.mtu, 1400);
	assert_int_equal(sf_link_get(a, "br0", &bridge), 0);
	assert_memory_equal(bridge.mac, mac, 6);
	assert_int_equal(link.master, bridge.ifindex);
	assert_int_equal(sf_link_list(a, count_links, &n), 0);
	assert_int_equal(n, 4); /* lo va d0 br0 */
	n = 0;
	assert_int_equal(sf_link_list(a, stop_at_first, &n), 42);
	assert_int_equal(n, 1);
	/* What the ended dump left must not answer this. */
	assert_int_equal(sf_link_get(a, "d0", &link), 0);
	assert_string_equal(link.kind, "ifb");

	assert_int_equal(sf_link_del(a, "d0", SF_NL_STRICT), 0);
	assert_int_equal(sf_link_del(a, "d0", SF_NL_STRICT), -ENODEV);
	assert_int_equal(sf_link_del(a, "d0", SF_NL_ENSURE), 0);
	assert_int_equal(sf_link_del(a, "br0", SF_NL_STRICT), 0);
}

static void vlans(void **state)
{
	struct sf_nl_link link;

	if (ip_in(fd_a, "link add link va name vlan7 type vlan id 7 2>/dev/null")) {
		fprintf(stderr, "SKIPPED vlans: this kernel has no VLAN support\n");
		skip();
	}
	assert_int_equal(sf_link_get(a, "vlan7", &link), 0);
	assert_string_equal(link.kind, "vlan");
	assert_int_equal(link.lower, va.ifindex);
	assert_int_equal(sf_link_del(a, "vlan7", SF_NL_STRICT), 0);
}

static int find_addr(const struct sf_nl_addr *addr, void *ctx)
{
	struct sf_nl_addr *want = ctx;

	if (memcmp(&addr->addr, &want->addr, sizeof(addr->addr)) != 0)
		return 0;
	*want = *addr;
	return 1;
}

static void addresses(void **state)
{
	struct sf_nl_addr addr = {
		.ifindex = va.ifindex, .addr = ip("fd5c:1::1"), .len = 80, .flags = IFA_F_NODAD
	};
	struct sf_nl_addr found = { .addr = addr.addr };

	assert_int_equal(sf_ifaddr_add(a, &addr, SF_NL_STRICT), 0);
	assert_int_equal(sf_ifaddr_add(a, &addr, SF_NL_STRICT), -EEXIST);
	assert_int_equal(sf_ifaddr_add(a, &addr, SF_NL_ENSURE), 0);
	assert_int_equal(sf_ifaddr_list(a, va.ifindex, find_addr, &found), 1);
	assert_int_equal(found.len, 80);
	assert_int_equal(found.ifindex, va.ifindex);
	assert_true(found.flags & IFA_F_NODAD);
	assert_false(found.flags & IFA_F_TENTATIVE);
	assert_int_equal(found.scope, RT_SCOPE_UNIVERSE);
	assert_int_equal(sf_ifaddr_list(a, 1, find_addr, &found), 0);
	assert_int_equal(sf_ifaddr_del(a, &addr, SF_NL_STRICT), 0);
	assert_int_equal(sf_ifaddr_del(a, &addr, SF_NL_STRICT), -EADDRNOTAVAIL);
	assert_int_equal(sf_ifaddr_del(a, &addr, SF_NL_ENSURE), 0);
}

static void one_route(void **state)
{
	struct sf_nl_route r = { .dst = net("fd5e::/32"),
				 .via = ip("fd5c::b"),
				 .oif = va.ifindex,
				 .src = ip("fd5c::a"),
				 .metric = 77,
				 .mtu = 1400 };
	struct sf_nl_route got;

	assert_int_equal(sf_route_add(a, &r, SF_NL_STRICT), 0);
	assert_int_equal(sf_route_add(a, &r, SF_NL_STRICT), -EEXIST);
	assert_int_equal(sf_route_add(a, &r, SF_NL_ENSURE), 0);
	assert_string_equal(routes(0), line("fd5e::/32 via fd5c::b oif %d src fd5c::a metric 77 "
					    "table 254 type 1 proto 213 "
					    "mtu 1400\n",
					    va.ifindex));
	assert_int_equal(sf_route_get(a, at("fd5e::1"), NULL, 0, 0, &got), 0);
	assert_string_equal(route_text(&got), line("fd5e::1/128 via fd5c::b oif %d src fd5c::a "
						   "metric 77 table 254 type 1 proto 213 "
						   "mtu 1400",
						   va.ifindex));
	r.via = ip("fd5c::c");
	assert_int_equal(sf_route_replace(a, &r), 0);
	assert_string_equal(routes(RT_TABLE_MAIN), line("fd5e::/32 via fd5c::c oif %d src fd5c::a "
							"metric 77 table 254 type 1 proto 213 "
							"mtu 1400\n",
							va.ifindex));
	r.metric = 78;
	assert_int_equal(sf_route_del(a, &r, SF_NL_STRICT), -ESRCH);
	assert_int_equal(sf_route_del(a, &r, SF_NL_ENSURE), 0);
	r.metric = 0;
	assert_int_equal(sf_route_del(a, &r, SF_NL_STRICT), 0);
	assert_string_equal(routes(0), "");
	assert_int_equal(sf_route_get(a, at("fd5e::1"), NULL, 0, 0, &got), -ENETUNREACH);
}

static void kinds_of_routes(void **state)
{
	struct sf_nl_route r = { .dst = net("fd5e::/32"), .type = RTN_UNREACHABLE, .table = 5000 };
	struct sf_nl_route got;

	assert_int_equal(sf_route_add(a, &r, SF_NL_STRICT), 0);
	assert_string_equal(
		routes(5000),
		"fd5e::/32 via :: oif 1 src :: metric 1024 table 5000 type 7 proto 213 mtu 0\n");
	assert_string_equal(routes(RT_TABLE_MAIN), "");
	/* One type in place of another: there is never none. */
	r.type = RTN_UNICAST;
	r.via = ip("fd5c::b");
	r.oif = va.ifindex;
	assert_int_equal(sf_route_replace(a, &r), 0);
	assert_string_equal(
		routes(5000),
		line("fd5e::/32 via fd5c::b oif %d src :: metric 1024 table 5000 type 1 "
		     "proto 213 mtu 0\n",
		     va.ifindex));
	r.type = RTN_BLACKHOLE;
	assert_int_equal(sf_route_replace(a, &r), 0);
	assert_string_equal(
		routes(5000),
		"fd5e::/32 via :: oif 1 src :: metric 1024 table 5000 type 6 proto 213 mtu 0\n");
	assert_int_equal(sf_route_del(a, &r, SF_NL_STRICT), 0);

	r = (struct sf_nl_route){
		.dst = net("fd5e::/32"), .type = RTN_LOCAL, .oif = 1, .table = 100
	};
	assert_int_equal(sf_route_add(a, &r, SF_NL_STRICT), 0);
	assert_string_equal(
		routes(100),
		"fd5e::/32 via :: oif 1 src :: metric 1024 table 100 type 2 proto 213 mtu 0\n");
	assert_int_equal(sf_route_del(a, &r, SF_NL_STRICT), 0);

	r = (struct sf_nl_route){ .dst = net("fd5e::/32"), .type = RTN_UNREACHABLE };
	assert_int_equal(sf_route_add(a, &r, SF_NL_STRICT), 0);
	assert_int_equal(sf_route_get(a, at("fd5e::1"), NULL, 0, 0, &got), -EHOSTUNREACH);
	assert_int_equal(sf_route_del(a, &r, SF_NL_STRICT), 0);
}

static void multipath(void **state)
{
	struct sf_nl_hop hops[2] = { { ip("fd5c::b"), va.ifindex, 1 },
				     { ip("fd5c::c"), va.ifindex, 200 } };
	struct sf_nl_route r = {
		.dst = net("fd5c:7::/48"), .metric = 5, .hops = hops, .n_hops = 2
	};

	assert_int_equal(sf_route_replace(a, &r), 0);
	assert_string_equal(routes(0),
			    line("fd5c:7::/48 via :: oif 0 src :: metric 5 table 254 type 1 proto "
				 "213 mtu 0 hop "
				 "fd5c::b oif %d weight 1 hop fd5c::c oif %d weight 200\n",
				 va.ifindex, va.ifindex));
	/* Down to one way, and away. */
	r.n_hops = 0;
	r.via = hops[1].via;
	r.oif = va.ifindex;
	assert_int_equal(sf_route_replace(a, &r), 0);
	assert_string_equal(
		routes(0),
		line("fd5c:7::/48 via fd5c::c oif %d src :: metric 5 table 254 type 1 proto 213 "
		     "mtu 0\n",
		     va.ifindex));
	r.n_hops = 2;
	assert_int_equal(sf_route_replace(a, &r), 0);
	assert_int_equal(sf_route_del(a, &(struct sf_nl_route){ .dst = r.dst }, SF_NL_STRICT), 0);
	assert_string_equal(routes(0), "");
	r.n_hops = 1000;
	assert_int_equal(sf_route_add(a, &r, SF_NL_STRICT), -E2BIG);
}

static void kernel_explains(void **state)
{
	struct sf_nl_route r = { .dst = net("fd5e::/32"), .via = ip("fd5c::a"), .oif = va.ifindex };

	assert_int_equal(sf_route_add(a, &r, SF_NL_STRICT), -EINVAL);
	assert_non_null(strstr(sf_nl_error(a), "local address"));
	r.via = ip("fe80::1");
	assert_int_equal(sf_route_add(a, &r, SF_NL_STRICT), 0);
	assert_string_equal(sf_nl_error(a), "");
	assert_int_equal(sf_route_del(a, &r, SF_NL_STRICT), 0);
}

static void rules(void **state)
{
	struct sf_nl_rule rule = { .iif = "va",
				   .to = net("fd5e::/32"),
				   .from = net("fd5c::/16"),
				   .mark = 0x10,
				   .mask = 0xf0,
				   .table = 5000,
				   .priority = 100 };
	struct sf_nl_rule simple = {
		.iif = "va", .to = net("fd5e::/32"), .table = 100, .priority = 90
	};
	struct sf_nl_route r = { .dst = net("fd5e::/32"),
				 .type = RTN_LOCAL,
				 .oif = 1,
				 .table = 100 },
			   way;

	assert_int_equal(sf_rule_add(a, &rule, SF_NL_STRICT), 0);
	assert_int_equal(sf_rule_add(a, &rule, SF_NL_STRICT), -EEXIST);
	assert_int_equal(sf_rule_add(a, &rule, SF_NL_ENSURE), 0);
	assert_int_equal(
		ip_in(fd_a,
		      "-6 rule | grep -q '^100:.*from fd5c::/16 to fd5e::/32 fwmark 0x10/0xf0 "
		      "iif va lookup 5000 proto 213'"),
		0);
	assert_int_equal(sf_rule_del(a, &rule, SF_NL_STRICT), 0);
	assert_int_equal(sf_rule_del(a, &rule, SF_NL_STRICT), -ENOENT);
	assert_int_equal(sf_rule_del(a, &rule, SF_NL_ENSURE), 0);
	assert_int_equal(ip_in(fd_a, "-6 rule | grep -q 5000"), 256);

	/* What a host does: service addresses that arrive on the uplink are its own. */
	assert_int_equal(sf_rule_add(a, &simple, SF_NL_STRICT), 0);
	assert_int_equal(sf_route_add(a, &r, SF_NL_STRICT), 0);
	assert_int_equal(sf_route_get(a, at("fd5e::1"), at("fd5c::b"), va.ifindex, 0, &way), 0);
	assert_int_equal(way.type, RTN_LOCAL);
	assert_int_equal(way.table, 100);
	assert_int_equal(sf_route_del(a, &r, SF_NL_STRICT), 0);
	assert_int_equal(sf_rule_del(a, &simple, SF_NL_STRICT), 0);
}

static void neighbours(void **state)
{
	struct sf_nl_neigh n = { .ifindex = va.ifindex,
				 .addr = ip("fd5c::b"),
				 .mac = { 2, 0, 0, 0, 0, 1 },
				 .has_mac = true };

	assert_int_equal(sf_neigh_replace(a, &n), 0);
	n.mac[5] = 2;
	assert_int_equal(sf_neigh_replace(a, &n), 0);
	assert_int_equal(ip_in(fd_a, "-6 neigh show fd5c::b dev va | grep -q 'lladdr "
				     "02:00:00:00:00:02 PERMANENT'"),
			 0);
	assert_int_equal(sf_neigh_del(a, va.ifindex, &n.addr, SF_NL_STRICT), 0);
	assert_int_equal(sf_neigh_del(a, va.ifindex, &n.addr, SF_NL_ENSURE), 0);
}

static void note_event(const struct sf_nl_event *e, void *ctx)
{
	char *text = ctx, dst[SF_IP6_PREFIX_LEN];
	size_t used = strlen(text);

	switch (e->topic) {
	case SF_NL_LINK:
		if (strcmp(e->link.name, "m0") == 0)
			sprintf(text + used, "%clink ", e->gone ? '-' : '+');
		break;
	case SF_NL_ADDR:
		if (e->addr.len == 99)
			sprintf(text + used, "%caddr ", e->gone ? '-' : '+');
		break;
	case SF_NL_ROUTE:
		if (e->route.protocol == SF_NL_PROTOCOL)
			sprintf(text + used, "%croute:%s:%zu ", e->gone ? '-' : '+',
				sf_ip6_prefix_print(&e->route.dst, dst), e->route.n_hops);
		break;
	case SF_NL_NEIGH:
		if (e->neigh.state == NUD_PERMANENT || e->gone)
			sprintf(text + used, "%cneigh ", e->gone ? '-' : '+');
		break;
	case SF_NL_RULE:
		sprintf(text + used, "%crule:%u ", e->gone ? '-' : '+', e->rule.table);
		break;
	}
}

struct monitor_args {
	struct sf_nl_monitor *mon;
	unsigned int topics;
	char text[4096];
};

static int open_monitor(void *ctx)
{
	struct monitor_args *args = ctx;

	return sf_nl_monitor_open(args->topics, note_event, args->text, &args->mon);
}

static void events(void **state)
{
	struct sf_nl_hop hops[2] = { { ip("fd5c::b"), va.ifindex, 1 },
				     { ip("fd5c::c"), va.ifindex, 1 } };
	struct monitor_args args = { .topics =
					     SF_NL_ADDR | SF_NL_ROUTE | SF_NL_NEIGH | SF_NL_RULE };
	struct sf_nl_addr addr = {
		.ifindex = va.ifindex, .addr = ip("fd5c:1::1"), .len = 99, .flags = IFA_F_NODAD
	};
	struct sf_nl_route r = { .dst = net("fd5e::/32"), .hops = hops, .n_hops = 2 };
	struct sf_nl_neigh n = {
		.ifindex = va.ifindex, .addr = ip("fd5c::b"), .mac = { 2 }, .has_mac = true
	};
	struct sf_nl_rule rule = { .to = net("fd5e::/32"), .table = 100, .priority = 90 };

	assert_int_equal(sf_netns_run(fd_a, open_monitor, &args), 0);
	assert_true(sf_nl_monitor_fd(args.mon) >= 0);
	assert_int_equal(sf_nl_monitor_read(args.mon), 0);
	/* The kernel tells of a new address from a worker of its own, a little later. */
	assert_int_equal(sf_ifaddr_add(a, &addr, SF_NL_STRICT), 0);
	while (!strstr(args.text, "+addr")) {
		struct pollfd p = { .fd = sf_nl_monitor_fd(args.mon), .events = POLLIN };

		assert_int_equal(poll(&p, 1, 20000), 1);
		assert_true(sf_nl_monitor_read(args.mon) > 0);
	}
	assert_int_equal(sf_ifaddr_del(a, &addr, SF_NL_STRICT), 0);
	assert_int_equal(sf_route_add(a, &r, SF_NL_STRICT), 0);
	assert_int_equal(sf_rule_add(a, &rule, SF_NL_STRICT), 0);
	assert_int_equal(sf_rule_del(a, &rule, SF_NL_STRICT), 0);
	assert_int_equal(sf_neigh_replace(a, &n), 0);
	assert_int_equal(sf_link_add(a, "m0", "ifb", SF_NL_STRICT), 0);
	assert_true(sf_nl_monitor_read(args.mon) > 0);
	assert_string_equal(args.text,
			    "+addr -addr +route:fd5e::/32:2 +rule:100 -rule:100 +neigh ");
	sf_nl_monitor_close(args.mon);
	assert_int_equal(sf_route_del(a, &r, SF_NL_STRICT), 0);
	assert_int_equal(sf_neigh_del(a, va.ifindex, &n.addr, SF_NL_STRICT), 0);

	args.topics = SF_NL_LINK;
	args.text[0] = '\0';
	assert_int_equal(sf_netns_run(fd_a, open_monitor, &args), 0);
	assert_int_equal(sf_link_del(a, "m0", SF_NL_STRICT), 0);
	assert_int_equal(sf_link_add(a, "m0", "ifb", SF_NL_STRICT), 0);
	assert_true(sf_nl_monitor_read(args.mon) > 0);
	assert_string_equal(args.text, "-link +link ");
	/* To leave a bridge is not to be deleted, though the bridge says so. */
	assert_int_equal(sf_link_add(a, "m1", "bridge", SF_NL_STRICT), 0);
	assert_int_equal(ip_in(fd_a, "link set m0 master m1"), 0);
	assert_int_equal(ip_in(fd_a, "link set m0 nomaster"), 0);
	args.text[0] = '\0';
	assert_true(sf_nl_monitor_read(args.mon) > 0);
	assert_null(strstr(args.text, "-link"));
	assert_int_equal(sf_link_del(a, "m1", SF_NL_STRICT), 0);
	sf_nl_monitor_close(args.mon);
	assert_int_equal(sf_link_del(a, "m0", SF_NL_STRICT), 0);
}

/* More events than the socket holds: told, and the monitor goes on. */
static void lost_events_are_told(void **state)
{
	struct sf_nl_rule rule = { .to = net("fd5e::/32"), .table = 100, .priority = 90 };
	struct monitor_args args = { .topics = SF_NL_RULE };
	int size = 1, r;

	assert_int_equal(sf_netns_run(fd_a, open_monitor, &args), 0);
	assert_int_equal(
		setsockopt(sf_nl_monitor_fd(args.mon), SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)),
		0);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(sf_rule_add(a, &rule, SF_NL_STRICT), 0);
		assert_int_equal(sf_rule_del(a, &rule, SF_NL_STRICT), 0);
	}
	assert_int_equal(sf_nl_monitor_read(args.mon), -ENOBUFS);
	do
		r = sf_nl_monitor_read(args.mon);
	while (r == -ENOBUFS);
	args.text[0] = '\0';
	assert_int_equal(sf_rule_add(a, &rule, SF_NL_STRICT), 0);
	assert_int_equal(sf_nl_monitor_read(args.mon), 1);
	assert_string_equal(args.text, "+rule:100 ");
	sf_nl_monitor_close(args.mon);
	assert_int_equal(sf_rule_del(a, &rule, SF_NL_STRICT), 0);
}

static int count_routes(const struct sf_nl_route *r, void *ctx)
{
	++*(int *)ctx;
	return 0;
}

/* A list that needs many messages. */
static void many_routes(void **state)
{
	struct sf_nl_route r = { .dst = net("fd5c:8::/48"), .oif = va.ifindex, .table = 6000 };
	int n = 0;

	for (int i = 0; i < 2000; i++) {
		r.dst.addr.s6_addr[4] = (uint8_t)(i >> 8);
		r.dst.addr.s6_addr[5] = (uint8_t)i;
		assert_int_equal(sf_route_add(a, &r, SF_NL_STRICT), 0);
	}
	assert_int_equal(sf_route_list(a, 6000, 0, count_routes, &n), 0);
	assert_int_equal(n, 2000);
}

static int setup(void **state)
{
	struct sf_nl_link vb;
	struct sf_nl_addr addr = { .addr = ip("fd5c::a"), .len = 64, .flags = IFA_F_NODAD };

	if (sf_netns_create(ns_a) || sf_netns_create(ns_b))
		return -1;
	fd_a = sf_netns_open(ns_a);
	fd_b = sf_netns_open(ns_b);
	if (sf_nl_open_in(fd_a, &a) || sf_nl_open_in(fd_b, &b) ||
	    sf_link_add_veth(a, "va", "vb", fd_b))
		return -1;
	if (sf_link_get(a, "va", &va) || sf_link_get(b, "vb", &vb) || sf_link_set_up(a, 1, true) ||
	    sf_link_set_up(a, va.ifindex, true) || sf_link_set_up(b, vb.ifindex, true))
		return -1;
	addr.ifindex = va.ifindex;
	return sf_ifaddr_add(a, &addr, SF_NL_STRICT) || sf_link_get(a, "va", &va) ? -1 : 0;
}

static int teardown(void **state)
{
	sf_nl_close(a);
	sf_nl_close(b);
	close(fd_a);
	close(fd_b);
	sf_netns_delete(ns_a);
	sf_netns_delete(ns_b);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(links),
		cmocka_unit_test(vlans),
		cmocka_unit_test(addresses),
		cmocka_unit_test(one_route),
		cmocka_unit_test(kinds_of_routes),
		cmocka_unit_test(multipath),
		cmocka_unit_test(kernel_explains),
		cmocka_unit_test(rules),
		cmocka_unit_test(neighbours),
		cmocka_unit_test(events),
		cmocka_unit_test(lost_events_are_told),
		cmocka_unit_test(many_routes),
	};

	if (geteuid() != 0) {
		fprintf(stderr, "needs root: makes network namespaces\n");
		return 77;
	}
	snprintf(ns_a, sizeof(ns_a), "sfunit-a-%d", getpid());
	snprintf(ns_b, sizeof(ns_b), "sfunit-b-%d", getpid());
	return cmocka_run_group_tests(tests, setup, teardown);
}
