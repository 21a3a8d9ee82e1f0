// SPDX-License-Identifier: GPL-2.0-only
/*
 * egress_tcp.h - segments of local sockets: first packets, handshakes, and what has no flow.
 *
 * The hot path (a bound flow) is in host.bpf.c; what is here runs a few times per connection.
 */
#ifndef SF_BPF_EGRESS_TCP_H
#define SF_BPF_EGRESS_TCP_H

#include "bpf/flows.h"
#include "bpf/reply.h"

/** out_write() - a segment of @f as the network is to see it, with the header that @act asks for.
 */
static __noinline int out_write(struct __sk_buff *skb, const struct sf_host_config *cfg,
				struct work *w, struct sf_flow *f, __u32 act)
{
	struct sf_sid own = sf_addr_sid_or_none(&cfg->net, &f->tuple.local);
	__u8 kind = SF_KIND_NONE;

	if (act == SF_ACT_SYN)
		kind = SF_KIND_SYN;
	else if (act == SF_ACT_ACK)
		kind = SF_KIND_ACK;
	else if (act == SF_ACT_SYN_ACK)
		kind = SF_KIND_SYN_ACK;
	count_traffic(skb, kind == SF_KIND_SYN ? SF_TRAFFIC_OUT_SYN : SF_TRAFFIC_OUT_BOUND);
	if (!kind) {
		if (readdress(skb, &f->own, L4_AT + TCP_CSUM, f->csum_out, 0))
			return drop(skb, SF_INTERNAL);
		return TC_ACT_UNSPEC;
	}
	/* What would not fit the link is not a bare handshake packet: the kernel repeats the SYN
	 * without data. */
	if (skb->len - ETH_HLEN + SF_HDR_LEN > cfg->mtu)
		return drop(skb, SF_TOO_BIG);
	if (kind == SF_KIND_SYN_ACK)
		own = sf_addr_sid(&cfg->self);
	w->front.hops = w->hops;
	w->front.pair[0] = f->own;
	w->front.pair[1] = f->peer;
	sf_hdr_init(&w->front.hdr, SF_NEXTHDR_TCP, SF_HDR_LEN, kind, 0,
		    kind == SF_KIND_SYN ? f->attempt : 0, &f->peer_sid, &own);
	if (packet_wrap(skb, &w->front, w->plen, SF_HDR_LEN, L4_AT + SF_HDR_LEN + TCP_CSUM,
			f->csum_out, 0))
		return drop(skb, SF_INTERNAL);
	return TC_ACT_UNSPEC;
}

/**
 * out_leave() - a packet whose source is locator @own of this host leaves by the link of that
 * place, whichever way it was routed. A place that is gone has none: an RSYN from another one is
 * under way.
 */
static __noinline int out_leave(struct __sk_buff *skb, const struct sf_addr *own)
{
	struct bpf_redir_neigh next = { .nh_family = AF_INET6 };
	struct sf_addr place = sf_locator_place(own);
	struct sf_uplink *up = bpf_map_lookup_elem(&uplinks, &place);

	if (!up || up->ifindex == skb->ifindex)
		return TC_ACT_UNSPEC;
	__builtin_memcpy(next.ipv6_nh, &up->router, sizeof(next.ipv6_nh));
	return (int)bpf_redirect_neigh(up->ifindex, &next, sizeof(next), 0);
}

/** out_pay() - whether a segment may go to a place that the peer has not proven to be at; then it
 * has cost its bytes, from the IPv6 header on, those of the headers that segmentation adds among
 * them: links of all kinds count alike, and so does the agent. */
static __always_inline bool out_pay(struct __sk_buff *skb, const struct work *w, struct sf_flow *f)
{
	__s64 cost = (__s64)skb->len - ETH_HLEN;

	if (skb->gso_segs > 1)
		cost += (__s64)(skb->gso_segs - 1) * (cost - w->seg.len);
	if (__sync_fetch_and_add(&f->budget, -cost) >= cost)
		return true;
	__sync_fetch_and_add(&f->budget, cost);
	return false;
}

/**
 * out_swallow() - drop a segment, behind the back of its socket.
 *
 * What is dropped as such is congestion of this host to TCP, which repeats it each half second and
 * does not back off. What is redirected has been sent, whatever becomes of it; there is no device
 * 0.
 */
static __always_inline int out_swallow(struct __sk_buff *skb, __u32 reason)
{
	count(skb, reason);
	return (int)bpf_redirect(0, 0);
}

/** out_send() - send a segment of @f, and follow what it does to it. */
static __always_inline int out_send(struct __sk_buff *skb, const struct sf_host_config *cfg,
				    struct work *w, struct sf_flow *f, __u32 act)
{
	int ret;

	if ((f->flags & SF_FLOW_BUDGET) && !out_pay(skb, w, f))
		return out_swallow(skb, SF_UNPROVEN_PLACE);
	ret = out_write(skb, cfg, w, f, act);
	if (ret == TC_ACT_SHOT)
		return ret;
	if (!sf_locator_same_host(&f->own, &cfg->own))
		ret = out_leave(skb, &f->own);
	flow_count(f, skb, true);
	sf_flow_track(f, &w->seg, true);
	/* After our reset, or our acknowledgement of the last FIN, no socket but one in TIME_WAIT
	 * is left. */
	if (f->state == SF_FLOW_CLOSING && (sf_flow_is_over(f) || (w->seg.flags & SF_TCP_RST)))
		closed_add(skb, cfg, w, f);
	return ret;
}

/** out_repeat() - a repeated SYN: the next attempt, so that a silent instance is left behind. */
static __always_inline void out_repeat(struct sf_flow *f)
{
	/* An instance that answered is asked again: its answer was lost further up. */
	if (f->state == SF_FLOW_OPENING)
		sf_flow_unbind(f);
	else
		f->attempt++;
}

/** out_open() - a SYN: a repetition of a flow's, or a new flow, perhaps in place of an older one.
 * w->tuple and w->seg are filled in. */
static __always_inline int out_open(struct __sk_buff *skb, const struct sf_host_config *cfg,
				    struct work *w)
{
	__u64 now = bpf_ktime_get_coarse_ns(), key;
	struct sf_flow *f = &w->flow, *old;
	struct sf_addr own;
	__u8 incarnation;

	if (!cfg->host)
		return drop(skb, SF_NOT_JOINED);
	if (key_choose(cfg, &w->tuple, &key, &old))
		return drop(skb, SF_ID_CLASH);
	if (old && sf_sal_out(old, &w->seg).act == SF_ACT_SYN) {
		out_repeat(old);
		return out_send(skb, cfg, w, old, SF_ACT_SYN);
	}
	incarnation = (__u8)(old ? sf_locator_sock(&old->own) + 1 : bpf_get_prandom_u32());
	own = sf_locator(&cfg->net, cfg->host, sf_socket_id(key, incarnation));
	__builtin_memset(f, 0, sizeof(*f));
	sf_flow_open(f, &cfg->net, &w->tuple, &own, &w->seg, now);
	flow_count(f, skb, true);
	closed_reap(skb, cfg, w, now);
	if (bpf_map_update_elem(&flows, &key, f, BPF_ANY))
		return drop(skb, SF_FLOWS_FULL);
	return out_write(skb, cfg, w, f, SF_ACT_SYN);
}

/**
 * out_stray() - a segment that belongs to no flow.
 *
 * A socket that wants to say something would repeat it for minutes: it gets a reset. Bare ACKs come
 * from TIME_WAIT and from request sockets, which must not be told; SYN-ACKs from request sockets
 * whose half-open flow was evicted.
 */
SUBPROG int out_stray(struct __sk_buff *skb)
{
	WITH_WORK(OUT);

	if (w->seg.flags & SF_TCP_SYN)
		return drop(skb, SF_HALF_OPEN_LOST);
	count(skb, SF_NO_FLOW);
	if ((w->seg.flags & SF_TCP_RST) || !(w->seg.flags & SF_TCP_ACK) ||
	    (!w->seg.len && !(w->seg.flags & SF_TCP_FIN)))
		return TC_ACT_SHOT;
	if (!may_answer())
		return drop(skb, SF_RATE_LIMITED);
	return reply_segment(skb, OUT, w->seg.ack, 0, SF_TCP_RST);
}

/**
 * out_nowhere() - a SYN from a service address to what is no service.
 *
 * Nobody out there could answer: a service address is no place. The program hears it at once, as
 * ECONNREFUSED.
 */
SUBPROG int out_nowhere(struct __sk_buff *skb)
{
	WITH_WORK(OUT);

	count(skb, SF_NO_FLOW);
	if (!may_answer())
		return drop(skb, SF_RATE_LIMITED);
	return reply_segment(skb, OUT, 0, w->seg.seq + w->seg.len + 1, SF_TCP_RST | SF_TCP_ACK);
}

/** out_judged() - do what the rules say about a segment of @f that is no SYN. w->seg is filled in.
 */
static __noinline int out_judged(struct __sk_buff *skb, const struct sf_host_config *cfg,
				 struct work *w, struct sf_flow *f)
{
	struct sf_verdict v = sf_sal_out(f, &w->seg);

	if (v.act == SF_ACT_DROP)
		return drop(skb, v.reason);
	return out_send(skb, cfg, w, f, v.act);
}

/** out_first() - SYN, SYN-ACK, and segments whose flow is not where most are. All of the packet and
 * w->tuple are taken. */
SUBPROG int out_first(struct __sk_buff *skb)
{
	struct sf_flow *f;
	WITH_WORK(OUT);

	if (sf_segment_opens(&w->seg))
		return sf_addr_is_service(&cfg->net, &w->tuple.peer) ? out_open(skb, cfg, w)
								     : out_nowhere(skb);
	f = flow_of_tuple(cfg, &w->tuple);
	return f ? out_judged(skb, cfg, w, f) : out_stray(skb);
}

#endif
