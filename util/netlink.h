// SPDX-License-Identifier: Apache-2.0
/* netlink.h - rtnetlink: links, addresses, routes, rules, neighbours and their events (libmnl).
 *
 * One struct sf_nl is one socket, bound for life to the network namespace it was opened in. It is
 * for one thread, and each call waits for the kernel's answer (microseconds). "::" and 0 mean "not
 * given" in every struct. All calls return 0 (or a count) or a negative errno; sf_nl_error() then
 * has the kernel's own words if it had any. A list gives -EINTR where the table changed meanwhile,
 * so that entries may be missing or doubled: ask again. Callbacks of lists must not use the same
 * struct sf_nl.
 */
#ifndef SF_UTIL_NETLINK_H
#define SF_UTIL_NETLINK_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/ip6.h"

#define SF_NL_PROTOCOL 213 /* routes and rules of SCAFFOLD carry this protocol number */

struct sf_nl;

/* What an existing (on add) or absent (on delete) object means. */
enum sf_nl_mode {
	SF_NL_STRICT, /* -EEXIST, -ENOENT/-ESRCH/-ENODEV/-EADDRNOTAVAIL as the kernel says */
	SF_NL_ENSURE, /* success: the wanted state is there */
};

/**
 * sf_nl_open - open a socket in the current network namespace.
 * @out: the socket, for sf_nl_close()
 */
int sf_nl_open(struct sf_nl **out);

/**
 * sf_nl_open_in - the same, in the namespace of descriptor @netns_fd; the caller's namespace is
 * unchanged.
 */
int sf_nl_open_in(int netns_fd, struct sf_nl **out);

/** sf_nl_close - close; NULL is fine. */
void sf_nl_close(struct sf_nl *nl);

/** sf_nl_error - the kernel's explanation of the last failure (extended ack), or "" where it gave
 * none. */
const char *sf_nl_error(const struct sf_nl *nl);

/* ---- links ---- */

struct sf_nl_link {
	int ifindex;
	char name[IFNAMSIZ];
	char kind[16]; /* "veth", "vlan", "bond", "bridge", "dummy"; "" for hardware and lo */
	uint8_t mac[6];
	bool has_mac;
	uint32_t mtu;
	uint32_t flags; /* IFF_* */
	bool carrier;
	int master; /* bridge or bond that owns it, 0: none */
	int lower;  /* IFLA_LINK: VLAN's parent, veth's peer (an index of the peer's namespace) */
	uint32_t event; /* monitor only: IFLA_EVENT_*, e.g. IFLA_EVENT_NOTIFY_PEERS after a VM's
			   migration */
};

typedef int (*sf_nl_link_fn)(const struct sf_nl_link *link, void *ctx);

/**
 * sf_link_get - one link by name.
 * Returns 0 or -ENODEV.
 */
int sf_link_get(struct sf_nl *nl, const char *name, struct sf_nl_link *out);

/** sf_link_get_index - one link by index. Returns 0 or -ENODEV. */
int sf_link_get_index(struct sf_nl *nl, int ifindex, struct sf_nl_link *out);

/**
 * sf_link_list - call @fn for each link; a non-zero return of @fn ends the calls and is returned.
 */
int sf_link_list(struct sf_nl *nl, sf_nl_link_fn fn, void *ctx);

/** sf_link_set_up - up or down. */
int sf_link_set_up(struct sf_nl *nl, int ifindex, bool up);
/** sf_link_set_mtu - in bytes. */
int sf_link_set_mtu(struct sf_nl *nl, int ifindex, uint32_t mtu);
/** sf_link_set_mac - change the hardware address (6 bytes). */
int sf_link_set_mac(struct sf_nl *nl, int ifindex, const uint8_t mac[6]);

/**
 * sf_link_add_veth - make a veth pair, both ends down.
 * @name: this end, in the socket's namespace
 * @peer: other end's name
 * @peer_netns_fd: namespace for the other end, -1: the socket's own
 * Returns 0 or negative errno (-EEXIST; a pair is never "ensured": its other end may be anywhere).
 */
int sf_link_add_veth(struct sf_nl *nl, const char *name, const char *peer, int peer_netns_fd);

/**
 * sf_link_add - make a link that needs no more than a kind: "dummy", "bridge", "ifb".
 * @mode: SF_NL_ENSURE accepts an existing link of the same kind; of another kind it is -EEXIST
 */
int sf_link_add(struct sf_nl *nl, const char *name, const char *kind, enum sf_nl_mode mode);

/** sf_link_del - delete a link by name. */
int sf_link_del(struct sf_nl *nl, const char *name, enum sf_nl_mode mode);

/* ---- addresses (IPv6) ---- */

struct sf_nl_addr {
	int ifindex;
	struct in6_addr addr;
	uint8_t len;	/* prefix length */
	uint8_t scope;	/* RT_SCOPE_*; read only */
	uint32_t flags; /* IFA_F_NODAD, IFA_F_NOPREFIXROUTE, IFA_F_TENTATIVE ... */
};

typedef int (*sf_nl_addr_fn)(const struct sf_nl_addr *addr, void *ctx);

/** sf_ifaddr_add, sf_ifaddr_del - an address of a link. */
int sf_ifaddr_add(struct sf_nl *nl, const struct sf_nl_addr *addr, enum sf_nl_mode mode);
int sf_ifaddr_del(struct sf_nl *nl, const struct sf_nl_addr *addr, enum sf_nl_mode mode);
/** sf_ifaddr_list - each IPv6 address, of @ifindex or of all links (0); @fn as in sf_link_list().
 */
int sf_ifaddr_list(struct sf_nl *nl, int ifindex, sf_nl_addr_fn fn, void *ctx);

/* ---- routes (IPv6) ---- */

struct sf_nl_hop {
	struct in6_addr via;
	int oif;
	uint8_t weight; /* 1..255; 0 counts as 1 */
};

struct sf_nl_route {
	struct sf_ip6_prefix dst;
	struct in6_addr via; /* gateway, ::: directly on @oif */
	int oif;
	struct in6_addr src; /* preferred source */
	uint32_t metric;     /* 0: the kernel's default, 1024 (on delete: any) */
	uint32_t table;	     /* 0: main */
	uint8_t type;	     /* RTN_UNICAST (also 0), RTN_LOCAL, RTN_UNREACHABLE, RTN_BLACKHOLE,
				RTN_PROHIBIT */
	uint8_t protocol;    /* 0 on add: SF_NL_PROTOCOL; on delete: any */
	uint32_t flags;	     /* RTNH_F_ONLINK; when read also RTNH_F_DEAD, RTNH_F_LINKDOWN */
	uint32_t mtu;	     /* RTAX_MTU, 0: the link's */
	const struct sf_nl_hop
		*hops; /* multipath: used in place of via and oif where @n_hops > 0 */
	size_t n_hops;
};

typedef int (*sf_nl_route_fn)(const struct sf_nl_route *route, void *ctx);

/** sf_route_add - make the route; one with the same table, prefix and metric is -EEXIST. */
int sf_route_add(struct sf_nl *nl, const struct sf_nl_route *route, enum sf_nl_mode mode);

/**
 * sf_route_replace - make the route, in place of the one with the same table, prefix and metric.
 * There is no moment without a route, also where the type changes (unreachable to unicast).
 */
int sf_route_replace(struct sf_nl *nl, const struct sf_nl_route *route);

/** sf_route_del - delete the route that agrees in all given fields. */
int sf_route_del(struct sf_nl *nl, const struct sf_nl_route *route, enum sf_nl_mode mode);

/**
 * sf_route_list - each IPv6 route that fits; @fn as in sf_link_list().
 * @table: 0: all tables
 * @protocol: 0: all
 * @hops of a route live only during its call. Cloned (cache) routes are left out. @fn may change
 * routes through another socket, not through @nl.
 */
int sf_route_list(struct sf_nl *nl, uint32_t table, uint8_t protocol, sf_nl_route_fn fn, void *ctx);

/**
 * sf_route_get - the way that the kernel would take.
 * @dst: destination
 * @src: source address, or NULL
 * @iif: as if received from this link, 0: locally made
 * @mark: fwmark, 0: none
 * @out: via (:: where on link), oif, src, table, type, mtu, metric
 * Returns 0, or -ENETUNREACH, -EHOSTUNREACH, -EACCES, -EINVAL as unreachable, prohibit and
 * blackhole routes say.
 */
int sf_route_get(struct sf_nl *nl, const struct in6_addr *dst, const struct in6_addr *src, int iif,
		 uint32_t mark, struct sf_nl_route *out);

/* ---- policy rules (IPv6) ---- */

struct sf_nl_rule {
	char iif[IFNAMSIZ];	   /* "": any */
	char oif[IFNAMSIZ];	   /* "": any; matches sockets bound to that link */
	struct sf_ip6_prefix to;   /* len 0: any */
	struct sf_ip6_prefix from; /* len 0: any */
	uint32_t mark, mask;	   /* fwmark; mask 0 with a mark: all bits */
	uint32_t table;
	uint32_t priority; /* 0: the kernel chooses on add; any on delete */
	uint8_t protocol;  /* 0 on add: SF_NL_PROTOCOL; on delete: any */
};

/** sf_rule_add, sf_rule_del - a rule; sf_rule_del() takes the first that agrees in all given
 * fields. */
int sf_rule_add(struct sf_nl *nl, const struct sf_nl_rule *rule, enum sf_nl_mode mode);
int sf_rule_del(struct sf_nl *nl, const struct sf_nl_rule *rule, enum sf_nl_mode mode);

/* ---- neighbours (IPv6) ---- */

struct sf_nl_neigh {
	int ifindex;
	struct in6_addr addr;
	uint8_t mac[6];
	bool has_mac;
	uint16_t state; /* NUD_*; 0 on replace: NUD_PERMANENT */
	uint8_t flags;	/* NTF_ROUTER, NTF_PROXY */
};

/** sf_neigh_replace - make the entry, or put it in the place of the one of its address. */
int sf_neigh_replace(struct sf_nl *nl, const struct sf_nl_neigh *neigh);
/** sf_neigh_del - forget an address. */
int sf_neigh_del(struct sf_nl *nl, int ifindex, const struct in6_addr *addr, enum sf_nl_mode mode);

/* ---- events ---- */

enum sf_nl_topic {
	SF_NL_LINK = 1 << 0,
	SF_NL_ADDR = 1 << 1,
	SF_NL_ROUTE = 1 << 2,
	SF_NL_NEIGH = 1 << 3,
	SF_NL_RULE = 1 << 4,
};

struct sf_nl_event {
	enum sf_nl_topic topic;
	bool gone; /* deleted; else new or changed */
	union {
		struct sf_nl_link link;
		struct sf_nl_addr addr;
		struct sf_nl_route route;
		struct sf_nl_neigh neigh;
		struct sf_nl_rule rule;
	};
};

struct sf_nl_monitor;
typedef void (*sf_nl_event_fn)(const struct sf_nl_event *event, void *ctx);

/**
 * sf_nl_monitor_open - subscribe, in the current network namespace, on a non-blocking socket of its
 * own.
 * @topics: SF_NL_LINK | ...
 * @fn: called by sf_nl_monitor_read() for each event; must not close the monitor
 */
int sf_nl_monitor_open(unsigned int topics, sf_nl_event_fn fn, void *ctx,
		       struct sf_nl_monitor **out);

/** sf_nl_monitor_fd - descriptor to wait on for reading (libevent, EV_READ | EV_PERSIST). */
int sf_nl_monitor_fd(const struct sf_nl_monitor *mon);

/**
 * sf_nl_monitor_read - deliver what is there, without waiting.
 * Returns the number of events, or -ENOBUFS: the kernel dropped some, so list afresh; the monitor
 * stays usable.
 */
int sf_nl_monitor_read(struct sf_nl_monitor *mon);

/** sf_nl_monitor_close - close; NULL is fine. */
void sf_nl_monitor_close(struct sf_nl_monitor *mon);

#endif
