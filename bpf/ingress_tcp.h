// SPDX-License-Identifier: GPL-2.0-only
/*
 * ingress_tcp.h - segments for local sockets: SYNs, SYN-ACKs, handshake ACKs, and bound ones that
 * need a second look (docs/protocol.md, "What a host accepts").
 */
#ifndef SF_BPF_INGRESS_TCP_H
#define SF_BPF_INGRESS_TCP_H

#include "bpf/flows.h"
#include "bpf/reply.h"

/** in_write() - header off, addresses of the local stack's view on. Return: 0 or negative. */
static __noinline int in_write(struct __sk_buff *skb, struct work *w, struct sf_flow *f)
{
	__u32 delta = sf_csum_delta(&w->src, &w->dst, &f->tuple.peer, &f->tuple.local);

	w->front.pair[0] = f->tuple.peer;
	w->front.pair[1] = f->tuple.local;
	if (!w->hlen)
		return readdress(skb, w->front.pair, L4_AT + TCP_CSUM, delta, 0);
	w->front.nexthdr = SF_NEXTHDR_TCP;
	w->front.hops = w->hops;
	return packet_unwrap(skb, &w->front, w->plen, w->hlen, L4_AT + TCP_CSUM, delta, 0);
}

/** in_follow() - count a segment that was written, and follow what it does to its flow. */
static __always_inline void in_follow(struct __sk_buff *skb, struct work *w, struct sf_flow *f)
{
	flow_count(f, skb, false);
	sf_flow_track(f, &w->seg, false);
}

/** in_deliver() - a segment of @f goes up. */
static __always_inline int in_deliver(struct __sk_buff *skb, const struct sf_host_config *cfg,
				      struct work *w, struct sf_flow *f)
{
	if (in_write(skb, w, f))
		return drop(skb, SF_INTERNAL);
	in_follow(skb, w, f);
	if (f->state != SF_FLOW_CLOSING)
		return TC_ACT_UNSPEC;
	/* The peer has all, and so have we: our socket closes with this segment, or waits. */
	if (sf_flow_is_over(f) && !sf_flow_waits(f))
		flow_end(cfg, w, f);
	else if (sf_flow_is_over(f) || (w->seg.flags & SF_TCP_RST))
		closed_add(skb, cfg, w, f);
	return TC_ACT_UNSPEC;
}

/**
 * in_promote() - the peer showed that it got our SYN-ACK: from the half-open table to the flows.
 *
 * w->flow is a copy of the entry, or one that was rebuilt.
 */
SUBPROG int in_promote(struct __sk_buff *skb)
{
	__u64 now = bpf_ktime_get_coarse_ns(), key;
	struct sf_flow *f, *old;
	WITH_WORK(IN);

	f = &w->flow;
	key = sf_socket_key(sf_locator_sock(&f->own));
	closed_reap(skb, cfg, w, now);
	old = bpf_map_lookup_elem(&flows, &key);
	if (old && !sf_tuple_eq(&old->tuple, &f->tuple))
		return drop(skb, SF_ID_CLASH);
	/* The same ACK on another CPU was quicker. */
	if (old && sf_addr_eq(&old->own, &f->own))
		return in_deliver(skb, cfg, w, old);
	if (old)
		flow_account(cfg, w, old);
	if (in_write(skb, w, f))
		return drop(skb, SF_INTERNAL);
	f->state = SF_FLOW_BOUND;
	in_follow(skb, w, f);
	if (bpf_map_update_elem(&flows, &key, f, BPF_ANY))
		return drop(skb, SF_FLOWS_FULL);
	bpf_map_delete_elem(&halfopen, &key);
	return TC_ACT_UNSPEC;
}

/**
 * in_bind() - late binding: a SYN-ACK answers our SYN. Of two instances that answer at once the
 * first wins: it sets the epoch.
 */
static __always_inline int in_bind(struct __sk_buff *skb, const struct sf_host_config *cfg,
				   struct work *w, struct sf_flow *f)
{
	if (__sync_val_compare_and_swap(&f->epoch, 0, 1))
		return reply_fail(skb, SF_WRONG_PEER, SF_OTHER_INSTANCE);
	sf_flow_bind(f, &w->src, &w->front.hdr.src, bpf_ktime_get_coarse_ns());
	return in_deliver(skb, cfg, w, f);
}

/** in_tuple() - how the opener at w->src of the flow to w->service looks to the local stack. */
static __always_inline void in_tuple(const struct sf_host_config *cfg, struct work *w)
{
	struct sf_tuple *t = &w->tuple;

	__builtin_memset(t, 0, sizeof(*t));
	t->local = w->service;
	t->peer = sf_sid_shown(&cfg->net, &w->front.hdr.src, &w->src);
	t->lport = w->seg.dport;
	t->pport = w->seg.sport;
	t->proto = SF_NEXTHDR_TCP;
	/* An opener on this very host would be answered over lo, past the flow. */
	if (sf_locator_same_host(&w->src, &cfg->own))
		t->peer = w->src;
}

/** enum meeting - what a SYN meets under the tuple that its flow would have. */
enum meeting {
	MEET_NONE,  /* w->key is free for it */
	MEET_SAME,  /* its own flow: it is a repetition */
	MEET_OTHER, /* a flow of an opener on another host */
};

/** in_meets() - which meeting a SYN has with @f. */
static __always_inline enum meeting in_meets(struct work *w, const struct sf_flow *f)
{
	if (f->isn == w->seg.seq && sf_addr_eq(&f->peer, &w->src))
		return MEET_SAME;
	/* A port that its opener's host uses again: the kernel knows what became of the old one. */
	return sf_locator_same_host(&f->peer, &w->src) ? MEET_NONE : MEET_OTHER;
}

/**
 * in_meet() - look for a flow with w->tuple; old ones that yield are removed.
 * @known: receives the flow where the SYN repeats one
 */
static __noinline enum meeting in_meet(const struct sf_host_config *cfg, struct work *w,
				       struct sf_flow **known)
{
	enum meeting m = MEET_NONE;
	struct sf_flow *f;

	*known = NULL;
	if (key_choose(cfg, &w->tuple, &w->key, &f))
		return MEET_OTHER;
	if (f) {
		m = in_meets(w, f);
		if (m != MEET_SAME && sf_flow_yields(f, &w->src)) {
			flow_end(cfg, w, f);
			m = MEET_NONE;
		}
	}
	if (m == MEET_NONE) {
		f = flow_here(&halfopen, w->key, &w->tuple);
		if (f)
			m = in_meets(w, f);
	}
	if (m == MEET_SAME)
		*known = f;
	return m;
}

/** in_syn_new() - the first SYN of a flow: enter it half-open, and deliver it. */
static __always_inline int in_syn_new(struct __sk_buff *skb, const struct sf_host_config *cfg,
				      struct work *w)
{
	__u64 now = bpf_ktime_get_coarse_ns(), id;
	struct sf_flow *f = &w->flow;
	struct sf_addr own;

	id = sf_socket_id(w->key, (__u8)flow_incarnation(cfg, &w->src));
	own = sf_locator(&cfg->net, cfg->host, id);
	__builtin_memset(f, 0, sizeof(*f));
	sf_flow_accept(f, &w->tuple, &own, &w->src, &w->front.hdr.src, w->seg.seq, now);
	f->attempt = sf_be16(w->front.hdr.aux);
	if (in_write(skb, w, f))
		return drop(skb, SF_INTERNAL);
	in_follow(skb, w, f);
	if (bpf_map_update_elem(&halfopen, &w->key, f, BPF_ANY))
		return drop(skb, SF_INTERNAL);
	pressure_add(now);
	return TC_ACT_UNSPEC;
}

/**
 * in_syn() - a SYN that a service router (or its sender) resolved to this host.
 *
 * It is delivered only to a registered live listener, and only while the kernel has a socket that
 * takes it: between a crash and its release there may be an entry without one.
 */
SUBPROG int in_syn(struct __sk_buff *skb)
{
	struct sf_listener *l;
	struct sf_flow *f;
	WITH_WORK(IN);

	if (w->proto != SF_NEXTHDR_TCP)
		return drop(skb, SF_BAD_PROTOCOL);
	if (!sf_sock_is_unset(sf_locator_sock(&w->dst)) || !sf_segment_opens(&w->seg))
		return drop(skb, SF_WRONG_STATE);
	l = listener_find(cfg, w, SF_NEXTHDR_TCP, w->seg.dport);
	if (!l)
		return reply_fail(skb, SF_NOT_REGISTERED, SF_NO_SUCH_SOCKET);
	in_tuple(cfg, w);
	if (in_meet(cfg, w, &f) == MEET_OTHER) {
		w->tuple.peer = w->src;
		if (in_meet(cfg, w, &f) == MEET_OTHER)
			return drop(skb, SF_ID_CLASH);
	}
	if (!socket_of(skb, &w->tuple))
		return reply_fail(skb, SF_NOT_REGISTERED, SF_NO_SUCH_SOCKET);
	count_traffic(skb, SF_TRAFFIC_IN_SYN);
	if (f) {
		/* A refusal by the local stack is to quote the attempt that the opener waits for.
		 */
		f->attempt = sf_be16(w->front.hdr.aux);
		return in_deliver(skb, cfg, w, f);
	}
	__sync_fetch_and_add(&l->flows, 1);
	return in_syn_new(skb, cfg, w);
}

/* What in_unknown() answers when the segment is to be answered with FAIL: its caller does that. A
 * call from in_unknown() itself would find too little stack left (packet_replace()). */
#define IN_UNKNOWN_FAIL (-100)

/** in_proves() - whether @id is what we gave to the opener at w->src, shown as w->tuple says. */
static __noinline bool in_proves(const struct sf_host_config *cfg, struct work *w, __u64 id)
{
	__u64 hash = flow_hash(cfg, &w->tuple);

	return (sf_socket_key(id) == sf_flow_key(hash, false) ||
		sf_socket_key(id) == sf_flow_key(hash, true)) &&
	       (__u8)id == flow_incarnation(cfg, &w->src);
}

/** in_lives() - whether a flow of w->tuple has @key and a connection in the kernel. */
static __noinline bool in_lives(struct __sk_buff *skb, struct work *w, __u64 key)
{
	struct sf_flow *f = flow_here(&flows, key, &w->tuple);
	__u32 state;

	if (!f || sf_flow_yields(f, &w->src))
		return false;
	state = socket_of(skb, &w->tuple);
	return state && state != BPF_TCP_LISTEN && state != BPF_TCP_NEW_SYN_RECV;
}

/**
 * in_unknown() - a segment whose socketID no flow has.
 *
 * A handshake ACK proves by its destination that we answered its SYN: an evicted half-open flow is
 * rebuilt, as long as somebody still listens. The kernel's SYN cookie does the same one floor up.
 */
SUBPROG int in_unknown(struct __sk_buff *skb)
{
	__u64 id;
	WITH_WORK(IN);

	id = sf_locator_sock(&w->dst);
	if (w->kind == SF_KIND_ACK) {
		in_tuple(cfg, w);
		if (!in_proves(cfg, w, id)) {
			w->tuple.peer = w->src;
			if (!in_proves(cfg, w, id))
				return drop(skb, SF_UNKNOWN_SOCKET);
		}
		if ((w->seg.flags & (SF_TCP_SYN | SF_TCP_RST | SF_TCP_ACK)) != SF_TCP_ACK)
			return drop(skb, SF_HALF_OPEN_LOST);
		if (!listener_find(cfg, w, SF_NEXTHDR_TCP, w->seg.dport))
			return drop(skb, SF_NOT_REGISTERED);
		/* A connection that lives is not given away for a copy of an old ACK. */
		if (in_lives(skb, w, sf_socket_key(id)))
			return drop(skb, SF_UNKNOWN_SOCKET);
		__builtin_memset(&w->flow, 0, sizeof(w->flow));
		sf_flow_accept(&w->flow, &w->tuple, &w->dst, &w->src, &w->front.hdr.src,
			       w->seg.seq - 1, bpf_ktime_get_coarse_ns());
		return in_promote(skb);
	}
	if (w->kind != SF_KIND_NONE || (w->seg.flags & SF_TCP_RST))
		return drop(skb, SF_UNKNOWN_SOCKET);
	if (half_open_may_be_lost())
		return drop(skb, SF_HALF_OPEN_LOST);
	return IN_UNKNOWN_FAIL;
}

/** in_flow() - a segment for the socketID of @f. What it says is filled in. */
static __noinline int in_flow(struct __sk_buff *skb, const struct sf_host_config *cfg,
			      struct work *w, struct sf_flow *f)
{
	__u64 now = bpf_ktime_get_coarse_ns();
	struct sf_verdict v = sf_sal_in(f, w->kind, &w->src, &w->seg, now);

	switch (v.act) {
	case SF_ACT_DROP:
		return drop(skb, v.reason);
	case SF_ACT_FAIL:
		return reply_fail(skb, v.reason, v.fail);
	case SF_ACT_BIND:
		return in_bind(skb, cfg, w, f);
	case SF_ACT_PROMOTE:
		w->flow = *f;
		/* An entry that is evicted meanwhile may be another's already. */
		if (!sf_addr_eq(&w->flow.own, &w->dst) || !sf_addr_eq(&w->flow.peer, &w->src))
			return drop(skb, SF_HALF_OPEN_LOST);
		sf_flow_heard(&w->flow);
		return in_promote(skb);
	case SF_ACT_CONFIRM:
		f->state = SF_FLOW_BOUND;
		break;
	}
	count_traffic(skb, SF_TRAFFIC_IN_BOUND);
	if (sf_locator_same_host(&f->peer, &w->src)) {
		sf_flow_heard(f);
		if (f->flags & SF_FLOW_BUDGET)
			__sync_fetch_and_add(&f->budget,
					     ((__s64)skb->len - ETH_HLEN) * SF_MOVE_AMPLIFY);
	}
	return in_deliver(skb, cfg, w, f);
}

/** in_overtakes() - whether a segment whose socketID names no flow is of one, before or after a
 * move. Its peer is told nothing: all is well. */
static __always_inline bool in_overtakes(const struct work *w)
{
	__u64 id = sf_locator_sock(&w->dst), key = sf_socket_key(id);
	struct sf_flow *f;

	/* The end of a handshake is one of a flow to be. */
	if (w->kind != SF_KIND_NONE)
		return false;
	f = bpf_map_lookup_elem(&flows, &key);
	return f && sf_flow_has_keys(f, id, &w->src);
}

/** in_tcp() - a segment for a socketID, with or without header. */
SUBPROG int in_tcp(struct __sk_buff *skb)
{
	struct sf_flow *f;
	int ret;
	WITH_WORK(IN);

	f = flow_named(sf_locator_sock(&w->dst), bpf_ktime_get_coarse_ns());
	if (f)
		return in_flow(skb, cfg, w, f);
	if (in_overtakes(w))
		return drop(skb, SF_WRONG_PEER);
	ret = in_unknown(skb);
	if (ret != IN_UNKNOWN_FAIL)
		return ret;
	return reply_fail(skb, SF_UNKNOWN_SOCKET, SF_NO_SUCH_SOCKET);
}

#endif
