// SPDX-License-Identifier: GPL-2.0-only
/*
 * icmp.h - ICMPv6 errors, translated both ways (RFC 4443; docs/protocol.md, "What a host accepts").
 *
 * Inbound: a router tells of a packet as it saw it, between locators. The socket gets it told
 * between the addresses that it knows, so path MTU discovery and soft errors work. An unreachable
 * while connecting is a refusal like any other, and is tried elsewhere.
 *
 * Outbound: our kernel tells of a packet that it was handed between service addresses: a port that
 * nobody has (UDP), a firewall's reject. The network knows no such addresses, so a refused first
 * packet becomes a FAIL that quotes it in its form on the wire, and an error about a bound flow is
 * translated.
 */
#ifndef SF_BPF_ICMP_H
#define SF_BPF_ICMP_H

#include "bpf/refused_udp.h"

#define ICMP6_QUOTE	(L4_AT + sizeof(struct icmp6)) /* offset of the quoted packet in an error */
#define ICMP6_ERROR_MAX (IPV6_MTU_MIN - SF_IPV6_LEN)   /* RFC 4443 section 2.4 (c) */
#define ICMP6_CHUNK	256			       /* summed at once */

/** icmp6_pairs() - the delta of writing @to over @from in an error's quotation. */
static __always_inline __u32 icmp6_delta(const struct sf_addr *from, const struct sf_addr *to)
{
	return sf_csum_delta(&from[0], &from[1], &to[0], &to[1]);
}

/**
 * icmp6_translate() - rewrite an error: its own addresses and those in its quotation.
 * @outer: new source and destination, @inner: of the quoted packet
 */
static __always_inline int icmp6_translate(struct __sk_buff *skb, struct work *w,
					   const struct sf_addr *outer, const struct sf_addr *inner)
{
	struct sf_addr was[2];

	was[0] = w->quote.src;
	was[1] = w->quote.dst;
	if (bpf_l4_csum_replace(skb, L4_AT + ICMP6_CSUM, 0, icmp6_delta(was, inner), 0))
		return -1;
	if (bpf_skb_store_bytes(skb, IP_ADDRS_OF(ICMP6_QUOTE), inner, IP_ADDRS_LEN, 0))
		return -1;
	was[0] = w->src;
	was[1] = w->dst;
	return readdress(skb, outer, L4_AT + ICMP6_CSUM, icmp6_delta(was, outer), 0);
}

/**
 * icmp6_shrink() - the MTU of a Packet Too Big, less the header that the socket does not see.
 *
 * But never below IPv6's minimum, which no socket would believe (RFC 8200 section 5).
 */
static __always_inline int icmp6_shrink(struct __sk_buff *skb, __u32 by)
{
	__be32 was, mtu;
	__u32 left;
	__u64 sum;

	if (load(skb, L4_AT + ICMP6_DATA, &was, sizeof(was)))
		return -1;
	left = sf_be32(was) - by;
	mtu = sf_be32(left < IPV6_MTU_MIN ? IPV6_MTU_MIN : left);
	sum = (__u64)mtu + (__u16)~sf_csum_fold(was);
	if (bpf_l4_csum_replace(skb, L4_AT + ICMP6_CSUM, 0, sf_csum_fold(sum), 0))
		return -1;
	return (int)bpf_skb_store_bytes(skb, L4_AT + ICMP6_DATA, &mtu, sizeof(mtu), 0);
}

/** icmp6_verify() - whether an ICMPv6 error's checksum is right: its quotation is acted upon here,
 * before the kernel looks. Return: 0 or a reason. */
static __noinline int icmp6_verify(struct __sk_buff *skb, struct work *w)
{
	struct build *b = &w->build;
	__u32 len = w->plen, at, n, one = 1;
	__u64 sum;

	/* Else the compiler compares with 0, from which Linux 6.1 learns nothing. */
	SF_BARRIER(one);
	if (len > ICMP6_ERROR_MAX)
		return SF_BAD_PROTOCOL;
	sum = sf_csum_addr(&w->src) + sf_csum_addr(&w->dst) + sf_be32(len) +
	      sf_be32(SF_NEXTHDR_ICMPV6);
	for (at = 0; at < ICMP6_ERROR_MAX && at < len; at += ICMP6_CHUNK) {
		n = len - at;
		if (n > ICMP6_CHUNK)
			n = ICMP6_CHUNK;
		if (OUTSIDE(n, one, ICMP6_CHUNK) || load(skb, L4_AT + at, b, n))
			return SF_TRUNCATED;
		build_pad(b, n);
		sum += build_sum(b, 0, n);
	}
	return sf_csum_fold(sum) == 0xffff ? 0 : SF_BAD_CHECKSUM;
}

/** in_icmp6_pass() - hand an error up, about the packet as its socket sent it: w->tuple. */
static __noinline int in_icmp6_pass(struct __sk_buff *skb, struct work *w, __u32 type)
{
	struct sf_addr inner[2];

	inner[0] = w->tuple.local;
	inner[1] = w->tuple.peer;
	w->front.pair[0] = w->src; /* the router that tells, unchanged */
	w->front.pair[1] = w->tuple.local;
	/* Fragments of datagrams have the longer header. */
	if (type == ICMP6_TOO_BIG &&
	    icmp6_shrink(skb, w->quote.hlen && w->quote.proto == SF_NEXTHDR_UDP
				      ? SF_HDR_LEN + sizeof(struct sf_tlv_target)
				      : w->quote.hlen))
		return drop(skb, SF_TRUNCATED);
	if (icmp6_translate(skb, w, w->front.pair, inner))
		return drop(skb, SF_INTERNAL);
	return TC_ACT_UNSPEC;
}

/**
 * in_icmp6_udp() - an error about a datagram of a flow. @what: type << 8 | code
 *
 * That nobody has the port is what the peer's kernel says: its word is as good as its datapath's.
 */
static __noinline int in_icmp6_udp(struct __sk_buff *skb, const struct sf_host_config *cfg,
				   struct work *w, __u32 what)
{
	__u8 type = (__u8)(what >> 8), code = (__u8)what;
	struct sf_flow *f;
	int bad;

	f = quote_udp_flow(cfg, w, &bad);
	if (!f)
		return drop(skb, bad);
	w->tuple = f->tuple;
	if (type != ICMP6_UNREACHABLE && type != ICMP6_EXCEEDED)
		return in_icmp6_pass(skb, w, type);
	if (type == ICMP6_UNREACHABLE && code == ICMP6_NO_PORT && w->quote.kind == SF_KIND_NONE &&
	    sf_flow_is_peer(f, &w->src, bpf_ktime_get_coarse_ns())) {
		w->front.hdr.src = f->peer_host; /* an error has no header that names a host */
		return refused_udp(skb, SF_NO_SUCH_SOCKET);
	}
	if (w->quote.kind == SF_KIND_SYN && f->state == SF_FLOW_CONNECTING)
		return refused_udp(skb, SF_HOST_UNREACHABLE);
	f->fail = SF_HOST_UNREACHABLE; /* the agent will ask */
	if (sf_udp_unreached(f, bpf_ktime_get_coarse_ns()))
		count(skb, SF_HOST_UNREACHABLE);
	return in_icmp6_pass(skb, w, type);
}

/** in_icmp6() - an ICMPv6 packet to one of our socketIDs. */
SUBPROG int in_icmp6(struct __sk_buff *skb)
{
	struct sf_flow *f;
	struct icmp6 i;
	int bad;
	WITH_WORK(IN);

	if (load(skb, L4_AT, &i, sizeof(i)))
		return drop(skb, SF_TRUNCATED);
	if (!i.type || i.type > ICMP6_PARAMETER)
		return drop(skb, SF_BAD_PROTOCOL);
	bad = icmp6_verify(skb, w);
	if (!bad && i.type == ICMP6_TOO_BIG && sf_be32(i.data) < IPV6_MTU_MIN)
		bad = SF_BAD_MTU; /* RFC 8201 section 4 */
	if (!bad)
		bad = quote_load(skb, w, ICMP6_QUOTE, w->plen - sizeof(struct icmp6));
	if (bad)
		return drop(skb, bad);
	if (!sf_addr_eq(&w->quote.src, &w->dst))
		return drop(skb, SF_WRONG_ACK);
	if (kind_is_move(w->quote.kind))
		return in_control(skb);
	if (w->quote.proto == SF_NEXTHDR_UDP && w->quote.kind != SF_KIND_DATA)
		return in_icmp6_udp(skb, cfg, w, (__u32)i.type << 8 | i.code);
	if (w->quote.proto == SF_NEXTHDR_UDP) {
		bad = quote_datagram(cfg, w);
		return bad ? drop(skb, bad) : in_icmp6_pass(skb, w, i.type);
	}
	f = quote_flow(cfg, w, &bad);
	if (!f)
		return drop(skb, bad);
	if (f->state == SF_FLOW_CONNECTING &&
	    (i.type == ICMP6_UNREACHABLE || i.type == ICMP6_EXCEEDED))
		return refused_stream(skb, cfg, w, SF_HOST_UNREACHABLE);
	if (i.type == ICMP6_UNREACHABLE)
		f->fail = SF_HOST_UNREACHABLE; /* the agent will ask */
	w->tuple = f->tuple;
	return in_icmp6_pass(skb, w, i.type);
}

/**
 * out_icmp6_fail() - turn an outbound unreachable into the FAIL that it means.
 * @kind: header that the refused packet carried, @aux: its attempt
 * @peer: its source locator
 *
 * The quotation is what was delivered to us, put back into its form on the wire, with the header in
 * its place.
 */
static __noinline int out_icmp6_fail(struct __sk_buff *skb, const struct sf_host_config *cfg,
				     struct work *w, const struct sf_addr *peer, __u32 kind_aux)
{
	struct build *b = &w->build;
	struct ip6 *ip = (void *)&b->b[QUOTE_AT];
	struct sf_hdr *h = (void *)&b->b[QUOTE_AT + SF_IPV6_LEN];
	__u32 l4 = QUOTE_AT + SF_IPV6_LEN + SF_HDR_LEN, n = w->quote.n - SF_IPV6_LEN, at;
	__u8 kind = (__u8)(kind_aux >> 16), reason = (__u8)(kind_aux >> 24);
	/* Kept in memory, not on the stack, of which a chain of calls has 512 bytes. */
	const struct sf_sid *self = (const void *)&cfg->self.w[1];
	struct sf_sid *src = &w->front.hdr.src, *dst = &w->front.hdr.dst;
	const struct sf_addr *was = &w->quote.src; /* and dst */
	struct sf_addr *own = &w->service;
	struct udp *u;

	*own = sf_locator(&cfg->net, cfg->host, 0);
	*src = sf_addr_sid_or_none(&cfg->net, &was[0]);
	*dst = sf_addr_sid_or_none(&cfg->net, &was[1]);
	if (n > SF_QUOTE_MAX - SF_IPV6_LEN - SF_HDR_LEN)
		n = SF_QUOTE_MAX - SF_IPV6_LEN - SF_HDR_LEN;
	if (OUTSIDE(n, L4_MIN, SF_QUOTE_MAX - SF_IPV6_LEN - SF_HDR_LEN))
		return drop(skb, SF_TRUNCATED);
	if (load(skb, ICMP6_QUOTE, ip, SF_IPV6_LEN) ||
	    load(skb, ICMP6_QUOTE + SF_IPV6_LEN, &b->b[l4], n))
		return drop(skb, SF_TRUNCATED);
	sf_hdr_init(h, w->quote.proto, SF_HDR_LEN, kind, 0, (__u16)kind_aux, dst, src);
	build_pad(b, l4 + n);
	ip->plen = sf_be16(sf_be16(ip->plen) + SF_HDR_LEN);
	ip->nexthdr = SF_NEXTHDR_DSTOPTS;
	if (n + SF_HDR_LEN == sf_be16(ip->plen))
		build_complete(b, QUOTE_AT, l4, l4 + n, w->quote.proto);
	ip->src = *peer;
	ip->dst = *own;
	sf_csum_neutral(&was[1], &ip->dst);
	at = l4 + (w->quote.proto == SF_NEXTHDR_TCP ? TCP_CSUM : UDP_CSUM);
	if (at + sizeof(u->csum) <= l4 + n) {
		u = (void *)&b->b[at - UDP_CSUM];
		u->csum = sf_csum_apply(u->csum, icmp6_delta(was, &ip->src));
	}
	n += SF_IPV6_LEN + SF_HDR_LEN;
	fail_finish(b, own, peer, src, self, kind, reason, n);
	if (packet_replace(skb, b, QUOTE_AT + n))
		return drop(skb, SF_INTERNAL);
	count_traffic(skb, SF_TRAFFIC_FAIL_SENT);
	return TC_ACT_UNSPEC;
}

#define KIND_AUX(reason, kind, aux) ((__u32)(reason) << 24 | (__u32)(kind) << 16 | (aux))

/** out_icmp6_flow() - an error about a segment, or a datagram of a flow, that we delivered.
 * Return: a verdict; UDP_UNBOUND for a datagram without flow. */
static __always_inline int out_icmp6_flow(struct __sk_buff *skb, const struct sf_host_config *cfg,
					  struct work *w, __u8 type)
{
	struct sf_tuple *t = &w->tuple;
	struct sf_addr inner[2];
	struct sf_flow *f;

	__builtin_memset(t, 0, sizeof(*t));
	t->local = w->quote.dst;
	t->peer = w->quote.src;
	t->lport = w->quote.seg.dport;
	t->pport = w->quote.seg.sport;
	t->proto = w->quote.proto;
	if (t->proto == SF_NEXTHDR_UDP) {
		f = udp_of_tuple(cfg, t);
		if (!f)
			return UDP_UNBOUND;
	} else {
		f = flow_of_tuple(cfg, t);
	}
	if (!f)
		return drop(skb, SF_NO_FLOW);
	if (f->state != SF_FLOW_CONNECTING && f->state != SF_FLOW_HALF_OPEN) {
		inner[0] = f->peer;
		inner[1] = f->own;
		w->front.pair[0] = f->own;
		w->front.pair[1] = f->peer;
		if (icmp6_translate(skb, w, w->front.pair, inner))
			return drop(skb, SF_INTERNAL);
		return sf_locator_same_host(&f->own, &cfg->own) ? TC_ACT_UNSPEC
								: out_leave(skb, &f->own);
	}
	if (f->state == SF_FLOW_CONNECTING)
		return drop(skb, SF_NO_FLOW);
	if (type != ICMP6_UNREACHABLE)
		return drop(skb, SF_WRONG_STATE);
	w->front.pair[0] = f->peer;
	return out_icmp6_fail(skb, cfg, w, &w->front.pair[0],
			      KIND_AUX(SF_REFUSED, SF_KIND_SYN, f->attempt));
}

/** out_icmp6() - an ICMPv6 packet of ours from or to a service address. */
SUBPROG int out_icmp6(struct __sk_buff *skb)
{
	struct sf_peer *p;
	struct icmp6 i;
	int bad;
	WITH_WORK(OUT);

	if (load(skb, L4_AT, &i, sizeof(i)))
		return drop(skb, SF_TRUNCATED);
	/* An echo has no socket: services are asked with PROBE. */
	if (!i.type || i.type > ICMP6_PARAMETER)
		return drop(skb, SF_NO_HEADER);
	bad = quote_load(skb, w, ICMP6_QUOTE, w->plen - sizeof(struct icmp6));
	if (bad)
		return drop(skb, bad);
	if (w->quote.kind != SF_KIND_NONE)
		return drop(skb, SF_BAD_KIND);
	bad = out_icmp6_flow(skb, cfg, w, i.type);
	if (bad != UDP_UNBOUND)
		return bad;
	if (i.type != ICMP6_UNREACHABLE)
		return drop(skb, SF_BAD_PROTOCOL);
	__builtin_memset(&w->peer_key, 0, sizeof(w->peer_key));
	w->peer_key.peer = w->quote.src;
	w->peer_key.pport = w->quote.seg.sport;
	w->peer_key.proto = SF_NEXTHDR_UDP;
	p = bpf_map_lookup_elem(&datagrams, &w->peer_key);
	if (!p)
		return drop(skb, SF_NO_FLOW);
	w->front.pair[0] = p->locator;
	return out_icmp6_fail(skb, cfg, w, &w->front.pair[0],
			      KIND_AUX(i.code == ICMP6_NO_PORT ? SF_NO_SUCH_SOCKET : SF_REFUSED,
				       SF_KIND_DATA, 0));
}

#endif
