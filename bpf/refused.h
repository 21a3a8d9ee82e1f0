// SPDX-License-Identifier: GPL-2.0-only
/*
 * refused.h - when a packet of ours comes back: in a FAIL or in an ICMPv6 error
 * (docs/protocol.md, "Retry", "What a host accepts").
 *
 * A SYN is turned round to the next instance, without the program or any daemon knowing. What
 * cannot be mended is told to the local socket in the language it speaks: a reset, or an ICMPv6
 * error about the packet as it sent it.
 */
#ifndef SF_BPF_REFUSED_H
#define SF_BPF_REFUSED_H

#include "bpf/flows.h"
#include "bpf/moves.h"
#include "bpf/reply.h"

/** quote_ports() - ports, and for TCP numbers and flags, of the quoted packet. Return: 0, reason.
 */
static __always_inline int quote_ports(struct work *w)
{
	struct quote *q = &w->quote;
	__u32 at = QUOTE_AT + q->l4;
	struct tcp *t;

	if (q->l4 + (q->proto == SF_NEXTHDR_TCP ? sizeof(*t) : L4_MIN) > q->n)
		return SF_TRUNCATED;
	SF_BARRIER(at);
	if (at > sizeof(w->build.b) - sizeof(*t))
		return SF_TRUNCATED;
	t = (void *)&w->build.b[at];
	q->seg.sport = t->sport;
	q->seg.dport = t->dport;
	q->seg.seq = sf_be32(t->seq);
	q->seg.ack = sf_be32(t->ack);
	q->seg.flags = t->flags;
	return 0;
}

/**
 * quote_parse() - what is quoted at QUOTE_AT of w->build; w->quote.n is set.
 * Return: 0 or a reason.
 */
static __noinline int quote_parse(struct work *w)
{
	struct ip6 *ip = (void *)&w->build.b[QUOTE_AT];
	struct sf_hdr *h = (void *)&w->build.b[QUOTE_AT + SF_IPV6_LEN];
	struct quote *q = &w->quote;
	struct frag6 *f;
	__u32 at;

	if (q->n < SF_IPV6_LEN + L4_MIN)
		return SF_TRUNCATED;
	q->src = ip->src;
	q->dst = ip->dst;
	q->proto = ip->nexthdr;
	q->kind = SF_KIND_NONE;
	q->l4 = SF_IPV6_LEN;
	q->hlen = 0;
	q->whole = q->n == SF_IPV6_LEN + (__u32)sf_be16(ip->plen);
	if (q->proto == SF_NEXTHDR_DSTOPTS) {
		if (q->n < SF_IPV6_LEN + SF_HDR_LEN || !sf_hdr_is_ours(h) ||
		    sf_hdr_check(h, q->n - SF_IPV6_LEN))
			return SF_WRONG_ACK;
		q->hdr = *h;
		q->kind = sf_hdr_kind(h);
		q->proto = h->nexthdr;
		q->hlen = sf_hdr_bytes(h);
		q->l4 += q->hlen;
	}
	if (q->proto == SF_NEXTHDR_FRAG) {
		at = QUOTE_AT + q->l4;
		SF_BARRIER(at);
		if (at > sizeof(w->build.b) - sizeof(*f))
			return SF_TRUNCATED;
		f = (void *)&w->build.b[at];
		if (q->l4 + sizeof(*f) > q->n || (f->offset & FRAG_OFFSET))
			return SF_FRAGMENT;
		q->proto = f->nexthdr;
		q->l4 += sizeof(*f);
	}
	if (kind_is_move(q->kind))
		return 0;
	if (q->proto != SF_NEXTHDR_TCP && q->proto != SF_NEXTHDR_UDP)
		return SF_BAD_PROTOCOL;
	return quote_ports(w);
}

/** quote_load() - fetch what is quoted at @at, @len bytes or as many as fit. Return: 0, reason. */
static __always_inline int quote_load(struct __sk_buff *skb, struct work *w, __u32 at, __u32 len)
{
	struct quote *q = &w->quote;
	__u32 n = len;

	if (at + n > skb->len)
		n = skb->len - at;
	if (n > SF_QUOTE_MAX)
		n = SF_QUOTE_MAX;
	if (OUTSIDE(n, SF_IPV6_LEN + L4_MIN, SF_QUOTE_MAX))
		return SF_TRUNCATED;
	q->n = n;
	q->at = at;
	if (load(skb, at, &w->build.b[QUOTE_AT], n))
		return SF_TRUNCATED;
	return quote_parse(w);
}

/**
 * refused_retry() - the quoted SYN goes out again, as the next attempt.
 *
 * The contents come from whoever refused, so nothing leaves that is not a SYN without data as this
 * flow's socket makes it (quote_flow() has seen to its header), with a checksum that is right
 * between our locator and the service asked for.
 */
static __always_inline int refused_retry(struct __sk_buff *skb, struct work *w, struct sf_flow *f)
{
	struct build *b = &w->build;
	struct sf_hdr *h = (void *)&b->b[SF_IPV6_LEN];
	struct tcp *t = (void *)(h + 1);
	__u32 n = w->quote.n;

	if (OUTSIDE(n, SF_IPV6_LEN + L4_MIN, SF_QUOTE_MAX) || load(skb, w->quote.at, b, n))
		return drop(skb, SF_INTERNAL);
	if (w->quote.hlen != SF_HDR_LEN || !sf_segment_opens(&w->quote.seg) ||
	    SF_IPV6_LEN + SF_HDR_LEN + (t->doff >> 4) * 4 != n)
		return drop(skb, SF_WRONG_ACK);
	build_pad(b, n);
	/* The sum of the destination stays: whoever resolved it saw to that. */
	b->ip.dst = f->tuple.peer;
	if (!build_complete(b, 0, w->quote.l4, n, SF_NEXTHDR_TCP))
		return drop(skb, SF_BAD_CHECKSUM);
	f->attempt++;
	h->flags = 0;
	h->aux = sf_be16(f->attempt);
	b->ip.hops = IP_HOPS;
	count_traffic(skb, SF_TRAFFIC_RETRIED);
	return reply_back(skb, w, n);
}

/** refused_over() - a flow whose socket is about to take a reset: nobody's help is needed to free
 * it. A function of its own for the stack's sake, of which Linux 6.1 counts that of all callers. */
static __noinline int refused_over(struct __sk_buff *skb, const struct sf_host_config *cfg,
				   struct work *w, struct sf_flow *f)
{
	closed_add(skb, cfg, w, f);
	return 0;
}

/**
 * refused_expects() - which sequence number the socket of w->tuple expects next: no other resets it
 * (RFC 5961). What a quotation acknowledges is that only if nothing has come since.
 * @otherwise: where the socket does not tell
 */
static __noinline __u32 refused_expects(struct __sk_buff *skb, struct work *w, __u32 otherwise)
{
	struct bpf_sock_tuple s = {};
	struct bpf_tcp_sock *tcp;
	struct bpf_sock *sk;

	__builtin_memcpy(s.ipv6.saddr, &w->tuple.peer, 16);
	__builtin_memcpy(s.ipv6.daddr, &w->tuple.local, 16);
	s.ipv6.sport = w->tuple.pport;
	s.ipv6.dport = w->tuple.lport;
	sk = bpf_sk_lookup_tcp(skb, &s, sizeof(s.ipv6), BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return otherwise;
	tcp = sk->state == BPF_TCP_LISTEN ? NULL : bpf_tcp_sock(sk);
	if (tcp)
		otherwise = tcp->rcv_nxt;
	bpf_sk_release(sk);
	return otherwise;
}

/** refused_reset() - the local socket of @f gets a reset; its flow is closing. */
static __always_inline int refused_reset(struct __sk_buff *skb, struct work *w, struct sf_flow *f,
					 __u8 reason)
{
	const struct sf_host_config *cfg = host_config();
	bool connecting = f->state == SF_FLOW_CONNECTING;
	__u32 ack = f->isn + 1;

	w->tuple = f->tuple;
	f->fail = reason;
	sf_flow_reset(f);
	count(skb, reason); /* why, for the event log */
	count_traffic(skb, SF_TRAFFIC_FAIL_TAKEN);
	if (cfg)
		refused_over(skb, cfg, w, f);
	if (connecting)
		return reply_segment(skb, IN, 0, ack, SF_TCP_RST | SF_TCP_ACK);
	return reply_segment(skb, IN, refused_expects(skb, w, w->quote.seg.ack), 0, SF_TCP_RST);
}

/** refused_unreachable() - an ICMPv6 error about the quoted packet, as its socket sent it. */
static __always_inline int refused_unreachable(struct __sk_buff *skb, struct work *w, __u8 code)
{
	struct build *b = &w->build;
	struct ip6 *ip = (void *)&b->b[ICMP6_QUOTE_AT];
	__u32 n = w->quote.n;

	if (OUTSIDE(n, SF_IPV6_LEN + L4_MIN, SF_QUOTE_MAX) || load(skb, w->quote.at, ip, n))
		return drop(skb, SF_INTERNAL);
	ip->src = w->tuple.local;
	ip->dst = w->tuple.peer;
	count_traffic(skb, SF_TRAFFIC_FAIL_TAKEN);
	return reply_icmp6(skb, IN, ICMP6_UNREACHABLE, code, n);
}

/** quote_is_syn() - whether the quoted packet is the SYN of @f, as far as its header says. */
static __always_inline bool quote_is_syn(const struct sf_host_config *cfg, const struct quote *q,
					 const struct sf_flow *f)
{
	struct sf_sid own = sf_addr_sid_or_none(&cfg->net, &f->tuple.local);

	return q->kind == SF_KIND_SYN && q->seg.seq == f->isn && sf_sid_eq(&q->hdr.src, &own) &&
	       sf_sid_eq(&q->hdr.dst, &f->peer_sid);
}

/** quote_is_named() - whether @f is the flow that has this locator, or had it before a move. */
static __always_inline bool quote_is_named(const struct sf_flow *f, const struct sf_addr *own,
					   __u64 now)
{
	__u64 id = sf_locator_sock(own);

	/* A former socketID says which former place was meant: they change together. */
	return sf_addr_eq(own, &f->own) ||
	       (id != sf_locator_sock(&f->own) && sf_flow_is_named(f, id, now));
}

/** quote_flow() - the flow that a quoted TCP segment belongs to. Return: NULL with *@reason set. */
static __always_inline struct sf_flow *quote_flow(const struct sf_host_config *cfg, struct work *w,
						  int *reason)
{
	__u64 now = bpf_ktime_get_coarse_ns();
	struct quote *q = &w->quote;
	struct sf_flow *f = flow_named(sf_locator_sock(&q->src), now);

	*reason = SF_UNKNOWN_SOCKET;
	if (!f)
		return NULL;
	/* About what was sent before: the socket is gone, and the peer will hear from elsewhere. */
	*reason = SF_HANDED_OVER;
	if (f->state == SF_FLOW_EXPORTED)
		return NULL;
	*reason = SF_WRONG_ACK;
	if (!quote_is_named(f, &q->src, now) || q->seg.sport != f->tuple.lport ||
	    q->seg.dport != f->tuple.pport || f->tuple.proto != SF_NEXTHDR_TCP)
		return NULL;
	if (f->state == SF_FLOW_CONNECTING)
		return quote_is_syn(cfg, q, f) ? f : NULL;
	return sf_flow_is_peer(f, &q->dst, now) ? f : NULL;
}

/** refused_stream() - a TCP segment of ours was refused, by @reason. */
static __noinline int refused_stream(struct __sk_buff *skb, const struct sf_host_config *cfg,
				     struct work *w, __u32 reason)
{
	struct sf_verdict v;
	struct sf_flow *f;
	int bad;

	f = quote_flow(cfg, w, &bad);
	if (!f)
		return drop(skb, bad);
	if (f->state == SF_FLOW_CONNECTING) {
		v = sf_sal_refused(f, sf_be16(w->quote.hdr.aux), (__u8)reason, w->quote.whole);
		if (v.act == SF_ACT_RETRY)
			return refused_retry(skb, w, f);
		if (v.act == SF_ACT_REFUSE)
			return refused_reset(skb, w, f, (__u8)reason);
		return drop(skb, v.reason);
	}
	if (!sf_reason_is_hard((__u8)reason)) {
		f->fail = SF_HOST_UNREACHABLE; /* the agent will ask */
		w->tuple = f->tuple;
		return refused_unreachable(skb, w, ICMP6_NO_ADDRESS);
	}
	if (!sf_flow_may_refuse(f, &w->src, &w->front.hdr.src, &w->quote.src, &w->quote.dst,
				reason == SF_NO_SUCH_SOCKET))
		return drop(skb, SF_WRONG_PEER);
	return refused_reset(skb, w, f, (__u8)reason);
}

/** refused_port() - in place of the packet in hand: an ICMPv6 error to the datagram socket of
 * w->tuple, as of a closed port. Anything less final a connected socket is not told. */
static __noinline int refused_port(struct __sk_buff *skb, struct work *w)
{
	struct build *b = &w->build;
	struct udp *u = (void *)&b->b[ICMP6_QUOTE_AT + SF_IPV6_LEN];
	struct ip6 *ip = (void *)&b->b[ICMP6_QUOTE_AT];

	build_ip(b, &w->tuple.local, &w->tuple.peer, SF_IPV6_LEN + sizeof(*u), SF_NEXTHDR_UDP);
	*ip = b->ip;
	u->sport = w->tuple.lport;
	u->dport = w->tuple.pport;
	u->len = sf_be16(sizeof(*u));
	u->csum = 0;
	return reply_icmp6(skb, RUN, ICMP6_UNREACHABLE, ICMP6_NO_PORT, SF_IPV6_LEN + sizeof(*u));
}

/**
 * sf_flow_refuse - the agent ends a flow whose peer is gone, or that it sheds: as a FAIL of the
 * peer would (BPF_PROG_TEST_RUN; struct sf_refusal of core/datapath.h says what it is given).
 *
 * The packet in hand is the agent's; what it becomes is handed to the local stack.
 */
SEC("tc")
int sf_flow_refuse(struct __sk_buff *skb)
{
	__u64 id = (__u64)skb->cb[SF_REFUSAL_ID_HIGH] << 32 | skb->cb[SF_REFUSAL_ID_LOW];
	const struct sf_host_config *cfg = host_config();
	struct work *w = work_get(RUN);
	struct sf_flow *f = flow_of(&flows, id);

	if (!f)
		f = flow_of(&half_udp, id);
	if (!cfg || !w || !f || f->state == SF_FLOW_CONNECTING || f->state == SF_FLOW_EXPORTED)
		return SF_REFUSAL_NONE;
	w->tuple = f->tuple;
	f->fail = (__u8)skb->cb[SF_REFUSAL_REASON];
	sf_flow_reset(f);
	count(skb, f->fail);
	/* Redirected to our own ingress, which this kind of run does not do by itself. */
	if (f->tuple.proto != SF_NEXTHDR_TCP) {
		refused_port(skb, w);
	} else {
		refused_over(skb, cfg, w, f);
		reply_segment(skb, RUN, refused_expects(skb, w, 0), 0, SF_TCP_RST);
	}
	return bpf_clone_redirect(skb, skb->ifindex, BPF_F_INGRESS) ? SF_REFUSAL_LOST : 0;
}

/** quote_datagram() - whose datagram is quoted: w->tuple's addresses. Return: 0 or a reason. */
static __always_inline int quote_datagram(const struct sf_host_config *cfg, struct work *w)
{
	struct quote *q = &w->quote;
	struct sf_tuple *t = &w->tuple;

	if (q->kind != SF_KIND_DATA)
		return SF_WRONG_ACK;
	t->local = sf_sid_shown(&cfg->net, &q->hdr.src, &cfg->own);
	t->peer = sf_sid_shown(&cfg->net, &q->hdr.dst, &q->dst);
	if (sf_locator_sock(&q->src) !=
	    sf_socket_id_datagram(&cfg->key, &t->local, q->seg.sport, SF_NEXTHDR_UDP))
		return SF_UNKNOWN_SOCKET;
	return 0;
}

/**
 * refused_datagram() - a datagram of ours was refused.
 *
 * When it went straight to where the peer was last heard, that place is forgotten and the program
 * is told nothing: its next datagram is resolved.
 */
static __noinline int refused_datagram(struct __sk_buff *skb, const struct sf_host_config *cfg,
				       struct work *w, __u32 reason)
{
	int bad = quote_datagram(cfg, w);

	if (bad)
		return drop(skb, bad);
	if (reason < SF_TRUNCATED) /* what travels; the rest is ours to count */
		count(skb, reason);
	__builtin_memset(&w->peer_key, 0, sizeof(w->peer_key));
	w->peer_key.peer = w->tuple.peer;
	w->peer_key.pport = w->quote.seg.dport;
	w->peer_key.proto = SF_NEXTHDR_UDP;
	bpf_map_delete_elem(&datagrams, &w->peer_key);
	if (!sf_sock_is_unset(sf_locator_sock(&w->quote.dst)) &&
	    !sf_addr_is_service(&cfg->net, &w->quote.dst)) {
		count_traffic(skb, SF_TRAFFIC_FAIL_TAKEN);
		return TC_ACT_SHOT;
	}
	return refused_unreachable(
		skb, w, sf_reason_is_hard((__u8)reason) ? ICMP6_NO_PORT : ICMP6_NO_ADDRESS);
}

SUBPROG int refused_udp(struct __sk_buff *skb, __u32 reason); /* refused_udp.h */

/** in_fail() - a packet with header FAIL. */
SUBPROG int in_fail(struct __sk_buff *skb)
{
	struct fail_hdr *f;
	__u32 n, reason;
	int bad;
	WITH_WORK(IN);

	f = (void *)&w->build.b[SF_IPV6_LEN];
	n = SF_IPV6_LEN + w->plen;
	if (w->hlen != SF_FAIL_LEN || n > SF_BUILD_MAX)
		return drop(skb, SF_BAD_HEADER);
	if (OUTSIDE(n, QUOTE_AT, SF_BUILD_MAX) || load(skb, IP_AT, &w->build, n))
		return drop(skb, SF_TRUNCATED);
	build_pad(&w->build, n);
	if (sf_csum_fold(sf_alone_pseudo(&w->src, &w->dst, w->plen) +
			 build_sum(&w->build, SF_IPV6_LEN, n)) != 0xffff)
		return drop(skb, SF_BAD_CHECKSUM);
	if (f->reason.type != SF_TLV_REASON || f->reason.len != TLV_LEN(f->reason))
		return drop(skb, SF_BAD_HEADER);
	reason = f->reason.reason;
	bad = quote_load(skb, w, IP_AT + QUOTE_AT, w->plen - SF_FAIL_LEN);
	if (bad)
		return drop(skb, bad);
	if (!sf_addr_eq(&w->quote.src, &w->dst))
		return drop(skb, SF_WRONG_ACK);
	if (kind_is_move(w->quote.kind))
		return in_control(skb);
	if (w->quote.proto == SF_NEXTHDR_TCP)
		return refused_stream(skb, cfg, w, reason);
	if (w->quote.kind != SF_KIND_DATA)
		return refused_udp(skb, reason);
	return refused_datagram(skb, cfg, w, reason);
}

#endif
