// SPDX-License-Identifier: GPL-2.0-only
/*
 * host.bpf.c - the service access layer of a host: tc programs at egress and ingress of its uplink
 * (paper section 4.1; docs/protocol.md, "A flow's life").
 *
 * Theory of operation
 *
 * Local sockets know service addresses only, the network knows locators only. Outbound, a packet
 * from or to a service address is looked up by its tuple, inbound by its socketID; both find the
 * flow, which has the other side's addresses and the checksum's difference. That is the hot path,
 * below. Whatever else can happen to a packet is decided in core/sal.h and done in the headers
 * included here, a subject each.
 *
 * What is not ours leaves with TC_ACT_UNSPEC, so that later filters see it; so does what is ours
 * and delivered.
 */
#include "bpf/flows.h"
#include "bpf/maps_host.h"
#include "bpf/reply.h"
#include "bpf/egress_tcp.h"
#include "bpf/ingress_tcp.h"
#include "bpf/datagram.h"
#include "bpf/egress_udp.h"
#include "bpf/ingress_udp.h"
#include "bpf/moves.h"
#include "bpf/refused.h"
#include "bpf/icmp.h"
#include "bpf/probe.h"

char _license[] SEC("license") = "GPL";

#define IPV6_PROTOCOL sf_be16(ETH_P_IPV6)

/** may_be_locator() - whether an address is, by its prefix, a locator of this or another AS. */
static __always_inline bool may_be_locator(const struct sf_host_config *cfg,
					   const struct sf_addr *a)
{
	return sf_addr_in_as(&cfg->net, a) || a->h[0] == sf_be16(SF_LOCATOR_PREFIX);
}

/** out_other() - a packet of a local socket that is not TCP. */
SUBPROG int out_other(struct __sk_buff *skb)
{
	struct ip6 ip;
	int ret;
	WITH_WORK(OUT);

	if (load(skb, IP_AT, &ip, sizeof(ip)))
		return TC_ACT_UNSPEC;
	ip_take(w, &ip);
	/* A program bound to a service address that speaks to the plain world or the link. */
	if (!sf_addr_is_service(&cfg->net, &w->dst) && !may_be_locator(cfg, &w->dst))
		return TC_ACT_UNSPEC;
	switch (ip.nexthdr) {
	case SF_NEXTHDR_UDP:
	case SF_NEXTHDR_FRAG:
		ret = out_udp(skb);
		return ret == UDP_UNBOUND ? out_datagram(skb) : ret;
	case SF_NEXTHDR_ICMPV6:
		return out_icmp6(skb);
	case SF_NEXTHDR_DSTOPTS:
		/* Already what the network understands: a SYN that we turn round, a probe or a
		 * renegotiation of the agent's. */
		if (place_is_own(cfg, &w->src))
			return TC_ACT_UNSPEC;
	}
	return drop(skb, SF_BAD_PROTOCOL);
}

SEC("tc")
int sf_host_egress(struct __sk_buff *skb)
{
	const struct sf_host_config *cfg;
	struct sf_tuple *t;
	struct sf_flow *f;
	struct work *w;
	struct tcp *tcp;
	struct ip6 *ip;
	__u8 flags;
	int ret;

	if (skb->protocol != IPV6_PROTOCOL || tagged(skb))
		return TC_ACT_UNSPEC;
	cfg = host_config();
	ip = header(skb, L4_AT);
	if (!cfg || !ip)
		return TC_ACT_UNSPEC;
	ip = (void *)ip + IP_AT;
	if (ip->src.w[0] != cfg->net.service && ip->dst.w[0] != cfg->net.service)
		return TC_ACT_UNSPEC;
	if (ip->nexthdr != SF_NEXTHDR_TCP) {
		ret = ip->nexthdr == SF_NEXTHDR_UDP ? out_udp_bound(skb) : UDP_LOOK;
		return ret == UDP_LOOK ? out_other(skb) : ret;
	}
	ip = header(skb, L4_AT + sizeof(*tcp));
	if (!ip)
		return drop(skb, SF_TRUNCATED);
	ip = (void *)ip + IP_AT;
	tcp = (void *)(ip + 1);
	w = work_get(OUT);
	if (!w)
		return TC_ACT_SHOT;
	t = &w->tuple;
	t->local = ip->src;
	t->peer = ip->dst;
	t->lport = tcp->sport;
	t->pport = tcp->dport;
	t->proto = SF_NEXTHDR_TCP;
	flags = tcp->flags;
	f = NULL;
	if (!(flags & SF_TCP_SYN))
		f = flow_here(&flows, sf_flow_key(sf_flow_hash(&cfg->key, t), false), t);
	if (!f || !sf_flow_is_plain(f, flags)) {
		ip_take(w, ip);
		segment_take(w, tcp, skb->len);
		return f ? out_judged(skb, cfg, w, f) : out_first(skb);
	}
	if (readdress(skb, &f->own, L4_AT + TCP_CSUM, f->csum_out, 0))
		return drop(skb, SF_INTERNAL);
	flow_count(f, skb, true);
	count_traffic(skb, SF_TRAFFIC_OUT_BOUND);
	return sf_locator_same_host(&f->own, &cfg->own) ? TC_ACT_UNSPEC : out_leave(skb, &f->own);
}

/** in_header() - a packet with a SCAFFOLD header: w->front.hdr and what it says. Return: 0 or a
 * reason.
 */
static __always_inline __u8 in_header(struct __sk_buff *skb, const struct sf_host_config *cfg,
				      struct work *w)
{
	__u8 bad;

	bad = sf_hdr_check(&w->front.hdr, w->plen);
	if (bad)
		return bad;
	w->kind = sf_hdr_kind(&w->front.hdr);
	w->hlen = sf_hdr_bytes(&w->front.hdr);
	w->proto = w->front.hdr.nexthdr;
	w->l4 = L4_AT + w->hlen;
	w->service = sf_service_addr(&cfg->net, &w->front.hdr.dst);
	return 0;
}

/** in_kind() - a packet with a SCAFFOLD header, by its kind. */
static __always_inline int in_kind(struct __sk_buff *skb, const struct sf_host_config *cfg,
				   struct work *w)
{
	bool unset = sf_sock_is_unset(sf_locator_sock(&w->dst));
	__u8 bad = in_header(skb, cfg, w);

	if (bad)
		return drop(skb, bad);
	if (w->proto == SF_NEXTHDR_TCP && segment_load(skb, w))
		return drop(skb, SF_TRUNCATED);
	switch (w->kind) {
	case SF_KIND_SYN:
		return w->proto == SF_NEXTHDR_TCP ? in_syn(skb) : in_udp_syn(skb);
	case SF_KIND_SYN_ACK:
	case SF_KIND_ACK:
		if (w->proto == SF_NEXTHDR_UDP && w->kind == SF_KIND_SYN_ACK)
			return unset ? drop(skb, SF_WRONG_STATE) : in_udp_syn_ack(skb);
		if (w->proto != SF_NEXTHDR_TCP)
			return drop(skb, SF_BAD_PROTOCOL);
		if (unset)
			return drop(skb, SF_WRONG_STATE);
		return in_tcp(skb);
	case SF_KIND_DATA:
		return in_datagram(skb);
	case SF_KIND_FAIL:
		/* About a packet of the plain address: a daemon's or a tool's probe. */
		return unset ? TC_ACT_UNSPEC : in_fail(skb);
	case SF_KIND_PROBE:
		return in_probe(skb);
	case SF_KIND_PROBE_ACK:
		return unset ? TC_ACT_UNSPEC : drop(skb, SF_WRONG_STATE);
	case SF_KIND_RSYN:
	case SF_KIND_RSYN_ACK:
	case SF_KIND_RACK:
	case SF_KIND_REDIRECT:
		return in_move(skb);
	}
	return drop(skb, SF_BAD_KIND);
}

/** in_other() - a packet for this host that is not a plain segment of a bound flow. */
SUBPROG int in_other(struct __sk_buff *skb)
{
	struct ip6 ip;
	WITH_WORK(IN);

	if (load(skb, IP_AT, &ip, sizeof(ip)))
		return TC_ACT_UNSPEC;
	ip_take(w, &ip);
	if (ip.nexthdr == SF_NEXTHDR_DSTOPTS) {
		if (load(skb, L4_AT, &w->front.hdr, sizeof(w->front.hdr)))
			return drop(skb, SF_TRUNCATED);
		if (sf_hdr_is_ours(&w->front.hdr))
			return in_kind(skb, cfg, w);
	}
	if (sf_sock_is_unset(sf_locator_sock(&w->dst)))
		return TC_ACT_UNSPEC;
	switch (ip.nexthdr) {
	case SF_NEXTHDR_TCP:
		if (segment_load(skb, w))
			return drop(skb, SF_TRUNCATED);
		return in_tcp(skb);
	case SF_NEXTHDR_ICMPV6:
		return in_icmp6(skb);
	case SF_NEXTHDR_UDP:
	case SF_NEXTHDR_FRAG:
		return in_udp(skb);
	}
	return drop(skb, SF_BAD_PROTOCOL);
}

SEC("tc")
int sf_host_ingress(struct __sk_buff *skb)
{
	const struct sf_host_config *cfg;
	struct sf_addr pair[2];
	struct sf_flow *f;
	struct work *w;
	struct tcp *tcp;
	struct ip6 *ip;
	__u64 key;
	int ret;

	if (skb->protocol != IPV6_PROTOCOL || tagged(skb))
		return TC_ACT_UNSPEC;
	cfg = host_config();
	ip = header(skb, L4_AT);
	if (!cfg || !ip)
		return TC_ACT_UNSPEC;
	ip = (void *)ip + IP_AT;
	if (!cfg->host || !sf_locator_same_host(&ip->dst, &cfg->own)) {
		if (ip->dst.w[0] == cfg->net.service) {
			if (skb->mark != SF_MARK_OWN)
				return drop(skb, SF_NO_HEADER);
			skb->mark = 0;
			return TC_ACT_UNSPEC;
		}
		if (!may_be_locator(cfg, &ip->dst) || !place_is_own(cfg, &ip->dst))
			return TC_ACT_UNSPEC;
	}
	if (ip->nexthdr != SF_NEXTHDR_TCP) {
		ret = ip->nexthdr == SF_NEXTHDR_UDP ? in_udp_bound(skb) : UDP_LOOK;
		return ret == UDP_LOOK ? in_other(skb) : ret;
	}
	ip = header(skb, L4_AT + sizeof(*tcp));
	if (!ip)
		return TC_ACT_UNSPEC;
	ip = (void *)ip + IP_AT;
	tcp = (void *)(ip + 1);
	key = sf_socket_key(sf_locator_sock(&ip->dst));
	f = bpf_map_lookup_elem(&flows, &key);
	if (!f)
		return in_other(skb);
	if (!sf_flow_is_plain_in(f, tcp->flags) || !sf_addr_eq(&f->own, &ip->dst) ||
	    !sf_addr_eq(&f->peer, &ip->src) || tcp->sport != f->tuple.pport ||
	    tcp->dport != f->tuple.lport || f->tuple.proto != SF_NEXTHDR_TCP) {
		if (sf_locator_sock(&f->own) != sf_locator_sock(&ip->dst))
			return in_other(skb);
		w = work_get(IN);
		if (!w)
			return TC_ACT_SHOT;
		ip_take(w, ip);
		segment_take(w, tcp, skb->len);
		return in_flow(skb, cfg, w, f);
	}
	pair[0] = f->tuple.peer;
	pair[1] = f->tuple.local;
	if (readdress(skb, pair, L4_AT + TCP_CSUM, sf_csum_undo(f->csum_out), 0))
		return drop(skb, SF_INTERNAL);
	flow_count(f, skb, false);
	count_traffic(skb, SF_TRAFFIC_IN_BOUND);
	return TC_ACT_UNSPEC;
}

/** sf_flow_turn - export a flow, or take that back (struct sf_flow_turn). Return: 0, or 1 where it
 * is gone or in another state. */
SEC("syscall")
int sf_flow_turn(struct sf_flow_turn *turn)
{
	struct sf_flow *f = flow_of(&flows, turn->id);

	if (!f || f->state != turn->from)
		return 1;
	f->moved = sf_used_of(bpf_ktime_get_ns());
	f->state = turn->to;
	return 0;
}
