// SPDX-License-Identifier: Apache-2.0
/* netlink_route.c - IPv6 routes, policy rules and neighbours over rtnetlink. */
#include "util/netlink.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/neighbour.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "util/netlink_internal.h"

/* ---- routes ---- */

static void put_hops(struct nlmsghdr *nlh, const struct sf_nl_route *route)
{
	struct nlattr *nest = mnl_attr_nest_start(nlh, RTA_MULTIPATH);

	for (size_t i = 0; i < route->n_hops; i++) {
		const struct sf_nl_hop *hop = &route->hops[i];
		struct rtnexthop *nh = mnl_nlmsg_put_extra_header(nlh, sizeof(*nh));

		nh->rtnh_ifindex = hop->oif;
		nh->rtnh_hops = hop->weight ? hop->weight - 1 : 0;
		nh->rtnh_flags = route->flags & RTNH_F_ONLINK;
		if (!sf_ip6_is_any(&hop->via))
			mnl_attr_put(nlh, RTA_GATEWAY, sizeof(hop->via), &hop->via);
		nh->rtnh_len =
			(unsigned short)((char *)mnl_nlmsg_get_payload_tail(nlh) - (char *)nh);
	}
	mnl_attr_nest_end(nlh, nest);
}

static bool is_reject(uint8_t type)
{
	return type == RTN_UNREACHABLE || type == RTN_BLACKHOLE || type == RTN_PROHIBIT;
}

/* A request about @route, or NULL where it has more hops than a request can hold. */
static struct nlmsghdr *route_request(struct sf_nl *nl, uint16_t type, uint16_t flags,
				      const struct sf_nl_route *route)
{
	uint32_t table = route->table ? route->table : RT_TABLE_MAIN;
	struct rtmsg *rtm;
	struct nlmsghdr *nlh = nl_begin(nl, type, flags, sizeof(*rtm), &rtm);
	struct nlattr *nest;

	if (route->n_hops > 128)
		return NULL;
	rtm->rtm_family = AF_INET6;
	rtm->rtm_dst_len = route->dst.len;
	rtm->rtm_table = table < 256 ? (unsigned char)table : RT_TABLE_UNSPEC;
	rtm->rtm_protocol =
		route->protocol || type == RTM_DELROUTE ? route->protocol : SF_NL_PROTOCOL;
	rtm->rtm_type = route->type ? route->type : RTN_UNICAST;
	rtm->rtm_scope = type == RTM_DELROUTE ? RT_SCOPE_NOWHERE : RT_SCOPE_UNIVERSE;
	rtm->rtm_flags = route->flags & RTNH_F_ONLINK;
	mnl_attr_put_u32(nlh, RTA_TABLE, table);
	if (route->dst.len)
		mnl_attr_put(nlh, RTA_DST, sizeof(route->dst.addr), &route->dst.addr);
	if (!sf_ip6_is_any(&route->src))
		mnl_attr_put(nlh, RTA_PREFSRC, sizeof(route->src), &route->src);
	if (route->metric)
		mnl_attr_put_u32(nlh, RTA_PRIORITY, route->metric);
	if (route->mtu) {
		nest = mnl_attr_nest_start(nlh, RTA_METRICS);
		mnl_attr_put_u32(nlh, RTAX_MTU, route->mtu);
		mnl_attr_nest_end(nlh, nest);
	}
	if (route->n_hops) {
		put_hops(nlh, route);
	} else if (!is_reject(rtm->rtm_type)) { /* the kernel itself puts those on lo */
		if (!sf_ip6_is_any(&route->via))
			mnl_attr_put(nlh, RTA_GATEWAY, sizeof(route->via), &route->via);
		if (route->oif)
			mnl_attr_put_u32(nlh, RTA_OIF, (uint32_t)route->oif);
	}
	return nlh;
}

int sf_route_add(struct sf_nl *nl, const struct sf_nl_route *route, enum sf_nl_mode mode)
{
	struct nlmsghdr *nlh = route_request(nl, RTM_NEWROUTE, NL_ADD, route);

	return nlh ? nl_ensure(nl_talk(nl, nlh, NULL, NULL), mode, -EEXIST) : -E2BIG;
}

int sf_route_replace(struct sf_nl *nl, const struct sf_nl_route *route)
{
	struct nlmsghdr *nlh =
		route_request(nl, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK, route);

	return nlh ? nl_talk(nl, nlh, NULL, NULL) : -E2BIG;
}

int sf_route_del(struct sf_nl *nl, const struct sf_nl_route *route, enum sf_nl_mode mode)
{
	struct nlmsghdr *nlh = route_request(nl, RTM_DELROUTE, NLM_F_ACK, route);
	int r = nlh ? nl_talk(nl, nlh, NULL, NULL) : -E2BIG;

	return nl_ensure(nl_ensure(r, mode, -ESRCH), mode, -ENOENT);
}

/* The hops of a multipath attribute, malloc'ed; NULL without memory. */
static struct sf_nl_hop *read_hops(const struct nlattr *attr, size_t *count)
{
	const struct rtnexthop *nh = mnl_attr_get_payload(attr);
	int left = mnl_attr_get_payload_len(attr);
	struct sf_nl_hop *hops = calloc((size_t)left / sizeof(*nh) + 1, sizeof(*hops));

	*count = 0;
	for (; hops && RTNH_OK(nh, left); left -= RTNH_ALIGN(nh->rtnh_len), nh = RTNH_NEXT(nh)) {
		struct sf_nl_hop *hop = &hops[(*count)++];
		const struct nlattr *sub = (const void *)RTNH_DATA(nh);
		int room = nh->rtnh_len - (int)RTNH_LENGTH(0);

		hop->oif = nh->rtnh_ifindex;
		hop->weight = (uint8_t)(nh->rtnh_hops + 1);
		for (; mnl_attr_ok(sub, room);
		     room -= MNL_ALIGN(sub->nla_len), sub = mnl_attr_next(sub))
			if (mnl_attr_get_type(sub) == RTA_GATEWAY)
				hop->via = nl_attr_in6(sub);
	}
	return hops;
}

static uint32_t read_mtu(const struct nlattr *metrics)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, metrics)
	{
		if (mnl_attr_get_type(attr) == RTAX_MTU)
			return mnl_attr_get_u32(attr);
	}
	return 0;
}

bool nl_read_route(const struct nlmsghdr *nlh, struct sf_nl_route *out, struct sf_nl_hop **hops)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;

	*hops = NULL;
	if (nlh->nlmsg_len < mnl_nlmsg_size(sizeof(*rtm)) || rtm->rtm_family != AF_INET6)
		return false;
	*out = (struct sf_nl_route){ .dst.len = rtm->rtm_dst_len,
				     .table = rtm->rtm_table,
				     .type = rtm->rtm_type,
				     .protocol = rtm->rtm_protocol,
				     .flags = rtm->rtm_flags & 0xff };
	mnl_attr_for_each(attr, nlh, sizeof(*rtm))
	{
		switch (mnl_attr_get_type(attr)) {
		case RTA_DST:
			out->dst.addr = nl_attr_in6(attr);
			break;
		case RTA_GATEWAY:
			out->via = nl_attr_in6(attr);
			break;
		case RTA_OIF:
			out->oif = (int)mnl_attr_get_u32(attr);
			break;
		case RTA_PREFSRC:
			out->src = nl_attr_in6(attr);
			break;
		case RTA_PRIORITY:
			out->metric = mnl_attr_get_u32(attr);
			break;
		case RTA_TABLE:
			out->table = mnl_attr_get_u32(attr);
			break;
		case RTA_METRICS:
			out->mtu = read_mtu(attr);
			break;
		case RTA_MULTIPATH:
			free(*hops);
			*hops = read_hops(attr, &out->n_hops);
			out->hops = *hops;
			break;
		}
	}
	return true;
}

struct route_list {
	uint32_t table;
	uint8_t protocol;
	sf_nl_route_fn fn;
	void *ctx;
};

static int list_route(const struct nlmsghdr *nlh, void *ctx)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct route_list *l = ctx;
	struct sf_nl_route route;
	struct sf_nl_hop *hops;
	int r = 0;

	if (!nl_read_route(nlh, &route, &hops))
		return 0;
	if (!(rtm->rtm_flags & RTM_F_CLONED) && (!l->table || route.table == l->table) &&
	    (!l->protocol || route.protocol == l->protocol))
		r = l->fn(&route, l->ctx);
	free(hops);
	return r;
}

int sf_route_list(struct sf_nl *nl, uint32_t table, uint8_t protocol, sf_nl_route_fn fn, void *ctx)
{
	struct route_list l = { table, protocol, fn, ctx };
	struct rtmsg *rtm;
	struct nlmsghdr *nlh = nl_begin(nl, RTM_GETROUTE, NLM_F_DUMP, sizeof(*rtm), &rtm);

	rtm->rtm_family = AF_INET6;
	return nl_talk(nl, nlh, list_route, &l);
}

static int copy_route(const struct nlmsghdr *nlh, void *ctx)
{
	struct sf_nl_route *out = ctx;
	struct sf_nl_hop *hops;

	if (!nl_read_route(nlh, out, &hops))
		return -EBADMSG;
	free(hops); /* the answer is one way */
	out->hops = NULL;
	out->n_hops = 0;
	return 0;
}

int sf_route_get(struct sf_nl *nl, const struct in6_addr *dst, const struct in6_addr *src, int iif,
		 uint32_t mark, struct sf_nl_route *out)
{
	struct rtmsg *rtm;
	struct nlmsghdr *nlh = nl_begin(nl, RTM_GETROUTE, 0, sizeof(*rtm), &rtm);

	rtm->rtm_family = AF_INET6;
	rtm->rtm_dst_len = 128;
	mnl_attr_put(nlh, RTA_DST, sizeof(*dst), dst);
	if (src) {
		rtm->rtm_src_len = 128;
		mnl_attr_put(nlh, RTA_SRC, sizeof(*src), src);
	}
	if (iif)
		mnl_attr_put_u32(nlh, RTA_IIF, (uint32_t)iif);
	if (mark)
		mnl_attr_put_u32(nlh, RTA_MARK, mark);
	return nl_talk(nl, nlh, copy_route, out);
}

/* ---- rules ---- */

bool nl_read_rule(const struct nlmsghdr *nlh, struct sf_nl_rule *out)
{
	const struct fib_rule_hdr *frh = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;

	if (nlh->nlmsg_len < mnl_nlmsg_size(sizeof(*frh)) || frh->family != AF_INET6)
		return false;
	*out = (struct sf_nl_rule){ .to.len = frh->dst_len,
				    .from.len = frh->src_len,
				    .table = frh->table };
	mnl_attr_for_each(attr, nlh, sizeof(*frh))
	{
		switch (mnl_attr_get_type(attr)) {
		case FRA_IIFNAME:
			strncpy(out->iif, mnl_attr_get_str(attr), sizeof(out->iif) - 1);
			break;
		case FRA_OIFNAME:
			strncpy(out->oif, mnl_attr_get_str(attr), sizeof(out->oif) - 1);
			break;
		case FRA_DST:
			out->to.addr = nl_attr_in6(attr);
			break;
		case FRA_SRC:
			out->from.addr = nl_attr_in6(attr);
			break;
		case FRA_PRIORITY:
			out->priority = mnl_attr_get_u32(attr);
			break;
		case FRA_FWMARK:
			out->mark = mnl_attr_get_u32(attr);
			break;
		case FRA_FWMASK:
			out->mask = mnl_attr_get_u32(attr);
			break;
		case FRA_TABLE:
			out->table = mnl_attr_get_u32(attr);
			break;
		case FRA_PROTOCOL:
			out->protocol = mnl_attr_get_u8(attr);
			break;
		}
	}
	return true;
}

static struct nlmsghdr *rule_request(struct sf_nl *nl, uint16_t type, uint16_t flags,
				     const struct sf_nl_rule *rule)
{
	uint8_t protocol = rule->protocol || type == RTM_DELRULE ? rule->protocol : SF_NL_PROTOCOL;
	struct fib_rule_hdr *frh;
	struct nlmsghdr *nlh = nl_begin(nl, type, flags, sizeof(*frh), &frh);

	frh->family = AF_INET6;
	frh->action = FR_ACT_TO_TBL;
	frh->table = rule->table < 256 ? (uint8_t)rule->table : RT_TABLE_UNSPEC;
	frh->dst_len = rule->to.len;
	frh->src_len = rule->from.len;
	if (rule->table)
		mnl_attr_put_u32(nlh, FRA_TABLE, rule->table);
	if (rule->iif[0])
		mnl_attr_put_strz(nlh, FRA_IIFNAME, rule->iif);
	if (rule->oif[0])
		mnl_attr_put_strz(nlh, FRA_OIFNAME, rule->oif);
	if (rule->to.len)
		mnl_attr_put(nlh, FRA_DST, sizeof(rule->to.addr), &rule->to.addr);
	if (rule->from.len)
		mnl_attr_put(nlh, FRA_SRC, sizeof(rule->from.addr), &rule->from.addr);
	if (rule->mark || rule->mask) {
		mnl_attr_put_u32(nlh, FRA_FWMARK, rule->mark);
		mnl_attr_put_u32(nlh, FRA_FWMASK, rule->mask ? rule->mask : UINT32_MAX);
	}
	if (rule->priority)
		mnl_attr_put_u32(nlh, FRA_PRIORITY, rule->priority);
	if (protocol)
		mnl_attr_put_u8(nlh, FRA_PROTOCOL, protocol);
	return nlh;
}

int sf_rule_add(struct sf_nl *nl, const struct sf_nl_rule *rule, enum sf_nl_mode mode)
{
	struct nlmsghdr *nlh = rule_request(nl, RTM_NEWRULE, NL_ADD, rule);

	return nl_ensure(nl_talk(nl, nlh, NULL, NULL), mode, -EEXIST);
}

int sf_rule_del(struct sf_nl *nl, const struct sf_nl_rule *rule, enum sf_nl_mode mode)
{
	struct nlmsghdr *nlh = rule_request(nl, RTM_DELRULE, NLM_F_ACK, rule);

	return nl_ensure(nl_talk(nl, nlh, NULL, NULL), mode, -ENOENT);
}

/* ---- neighbours ---- */

bool nl_read_neigh(const struct nlmsghdr *nlh, struct sf_nl_neigh *out)
{
	const struct ndmsg *ndm = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;

	if (nlh->nlmsg_len < mnl_nlmsg_size(sizeof(*ndm)) || ndm->ndm_family != AF_INET6)
		return false;
	*out = (struct sf_nl_neigh){ .ifindex = ndm->ndm_ifindex,
				     .state = ndm->ndm_state,
				     .flags = ndm->ndm_flags };
	mnl_attr_for_each(attr, nlh, sizeof(*ndm))
	{
		switch (mnl_attr_get_type(attr)) {
		case NDA_DST:
			out->addr = nl_attr_in6(attr);
			break;
		case NDA_LLADDR:
			out->has_mac = nl_attr_mac(attr, out->mac);
			break;
		}
	}
	return true;
}

static struct nlmsghdr *neigh_request(struct sf_nl *nl, uint16_t type, uint16_t flags, int ifindex,
				      const struct in6_addr *addr, struct ndmsg **ndm)
{
	struct nlmsghdr *nlh = nl_begin(nl, type, flags, sizeof(**ndm), ndm);

	(*ndm)->ndm_family = AF_INET6;
	(*ndm)->ndm_ifindex = ifindex;
	mnl_attr_put(nlh, NDA_DST, sizeof(*addr), addr);
	return nlh;
}

int sf_neigh_replace(struct sf_nl *nl, const struct sf_nl_neigh *neigh)
{
	struct ndmsg *ndm;
	struct nlmsghdr *nlh =
		neigh_request(nl, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK,
			      neigh->ifindex, &neigh->addr, &ndm);

	ndm->ndm_state = neigh->state ? neigh->state : NUD_PERMANENT;
	ndm->ndm_flags = neigh->flags;
	if (neigh->has_mac)
		mnl_attr_put(nlh, NDA_LLADDR, 6, neigh->mac);
	return nl_talk(nl, nlh, NULL, NULL);
}

int sf_neigh_del(struct sf_nl *nl, int ifindex, const struct in6_addr *addr, enum sf_nl_mode mode)
{
	struct ndmsg *ndm;
	struct nlmsghdr *nlh = neigh_request(nl, RTM_DELNEIGH, NLM_F_ACK, ifindex, addr, &ndm);

	return nl_ensure(nl_talk(nl, nlh, NULL, NULL), mode, -ENOENT);
}
