// SPDX-License-Identifier: GPL-2.0-only
/*
 * refused_udp.h - when a datagram of a flow comes back, in a FAIL or in an ICMPv6 error
 * (docs/design/0005-bound-datagrams.md, "Attempts", "Ends").
 *
 * A SYN is turned round to the next instance. A bound flow's opener binds anew with its next
 * datagram, and its program is told nothing, unless the instance sheds it: it may be one that only
 * listens. An acceptor's program hears that the port is closed.
 */
#ifndef SF_BPF_REFUSED_UDP_H
#define SF_BPF_REFUSED_UDP_H

#include "bpf/flows_udp.h"
#include "bpf/refused.h"

/** refused_udp_retry() - the quoted datagram goes out again, as what attempt its flow is at; as
 * refused_retry(). */
static __noinline int refused_udp_retry(struct __sk_buff *skb, struct work *w, struct sf_flow *f)
{
	struct build *b = &w->build;
	struct sf_hdr *h = (void *)&b->b[SF_IPV6_LEN];
	struct udp *u = (void *)(h + 1);
	__u32 n = w->quote.n;

	if (OUTSIDE(n, SF_IPV6_LEN + SF_HDR_LEN + L4_MIN, SF_QUOTE_MAX) ||
	    load(skb, w->quote.at, b, n))
		return drop(skb, SF_INTERNAL);
	if (SF_IPV6_LEN + SF_HDR_LEN + (__u32)sf_be16(u->len) != n)
		return drop(skb, SF_WRONG_ACK);
	build_pad(b, n);
	/* The sum of the destination stays: whoever resolved it saw to that. */
	b->ip.dst = f->tuple.peer;
	if (!build_complete(b, 0, w->quote.l4, n, SF_NEXTHDR_UDP))
		return drop(skb, SF_BAD_CHECKSUM);
	h->flags = 0;
	h->aux = sf_be16(f->attempt);
	b->ip.hops = IP_HOPS;
	count_traffic(skb, SF_TRAFFIC_RETRIED);
	return reply_back(skb, w, n);
}

/** quote_udp_flow() - the flow that a quoted datagram belongs to. Return: NULL with *@reason set.
 */
static __noinline struct sf_flow *quote_udp_flow(const struct sf_host_config *cfg, struct work *w,
						 int *reason)
{
	struct quote *q = &w->quote;
	__u64 now = bpf_ktime_get_coarse_ns();
	struct sf_flow *f = udp_of(sf_locator_sock(&q->src), now);
	struct sf_sid own;

	*reason = SF_UNKNOWN_SOCKET;
	if (!f)
		return NULL;
	*reason = SF_HANDED_OVER;
	if (f->state == SF_FLOW_EXPORTED)
		return NULL;
	*reason = SF_WRONG_ACK;
	if (!quote_is_named(f, &q->src, now) || q->seg.sport != f->tuple.lport ||
	    q->seg.dport != f->tuple.pport)
		return NULL;
	if (q->kind == SF_KIND_SYN) {
		own = sf_addr_sid_or_none(&cfg->net, &f->tuple.local);
		return !(f->flags & SF_FLOW_INBOUND) && sf_sid_eq(&q->hdr.src, &own) &&
				       sf_sid_eq(&q->hdr.dst, &f->peer_sid)
			       ? f
			       : NULL;
	}
	if (q->kind != SF_KIND_NONE && q->kind != SF_KIND_SYN_ACK)
		return NULL;
	return f->state != SF_FLOW_CONNECTING && sf_flow_is_peer(f, &q->dst, now) ? f : NULL;
}

/** refused_udp_syn() - a SYN of @f was refused. */
static __noinline int refused_udp_syn(struct __sk_buff *skb, struct work *w, struct sf_flow *f,
				      __u32 reason)
{
	/* Only a whole datagram with a header as we make it is turned round. */
	bool whole = w->quote.whole && w->quote.hlen == SF_HDR_LEN &&
		     w->quote.hdr.nexthdr == SF_NEXTHDR_UDP;
	struct sf_verdict v = sf_sal_refused_udp(f, sf_be16(w->quote.hdr.aux), (__u8)reason, whole,
						 bpf_ktime_get_coarse_ns());

	if (v.act == SF_ACT_RETRY)
		return refused_udp_retry(skb, w, f);
	if (v.act != SF_ACT_REFUSE)
		return drop(skb, v.reason);
	count(skb, reason); /* why, for the event log */
	w->tuple = f->tuple;
	return refused_unreachable(skb, w, ICMP6_NO_PORT);
}

/** refused_udp_hard() - the peer of @f refuses what is bound. */
static __noinline int refused_udp_hard(struct __sk_buff *skb, const struct sf_host_config *cfg,
				       struct work *w, struct sf_flow *f, __u32 reason)
{
	if (f->state == SF_FLOW_CLOSING && !(f->flags & SF_FLOW_INBOUND))
		return drop(skb, SF_DUPLICATE);
	count(skb, reason);
	if (!(f->flags & SF_FLOW_INBOUND)) {
		sf_udp_unbind(f, (__u8)reason);
		w->tuple = f->tuple;
		if (reason == SF_SHED && w->quote.kind == SF_KIND_NONE)
			return refused_unreachable(skb, w, ICMP6_NO_PORT);
		count_traffic(skb, SF_TRAFFIC_FAIL_TAKEN);
		return TC_ACT_SHOT;
	}
	w->tuple = f->tuple;
	udp_forget(cfg, w, f);
	if (w->quote.kind == SF_KIND_NONE)
		return refused_unreachable(skb, w, ICMP6_NO_PORT);
	count_traffic(skb, SF_TRAFFIC_FAIL_TAKEN);
	return TC_ACT_SHOT;
}

/** refused_udp() - a datagram of a flow of ours, which w->quote has, was refused by @reason. */
SUBPROG int refused_udp(struct __sk_buff *skb, __u32 reason)
{
	__u64 now = bpf_ktime_get_coarse_ns();
	struct sf_flow *f;
	int bad;
	WITH_WORK(IN);

	f = quote_udp_flow(cfg, w, &bad);
	if (!f)
		return drop(skb, bad);
	/* Whoever answered a SYN may find afterwards that its socket is gone. */
	if (w->quote.kind == SF_KIND_SYN &&
	    !(f->state == SF_FLOW_BOUND && sf_locator_same_host(&w->src, &f->peer)))
		return refused_udp_syn(skb, w, f, reason);
	if (sf_reason_is_hard((__u8)reason)) {
		if (w->quote.kind != SF_KIND_SYN &&
		    !sf_flow_may_refuse(f, &w->src, &w->front.hdr.src, &w->quote.src, &w->quote.dst,
					reason == SF_NO_SUCH_SOCKET))
			return drop(skb, SF_WRONG_PEER);
		return refused_udp_hard(skb, cfg, w, f, reason);
	}
	f->fail = SF_HOST_UNREACHABLE; /* the agent will ask */
	if (sf_udp_unreached(f, now)) {
		count(skb, reason);
		count_traffic(skb, SF_TRAFFIC_FAIL_TAKEN);
		return TC_ACT_SHOT;
	}
	w->tuple = f->tuple;
	return refused_unreachable(skb, w, ICMP6_NO_ADDRESS);
}

#endif
