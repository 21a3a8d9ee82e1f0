// SPDX-License-Identifier: GPL-2.0-only
/*
 * ingress_tcp.h - segments for local sockets: SYNs, SYN-ACKs, handshake ACKs, and bound ones that
 * need a second look (docs/protocol.md, "What a host accepts").
 */
#ifndef SF_BPF_INGRESS_TCP_H
#define SF_BPF_INGRESS_TCP_H

#include "bpf/reply.h"

/** in_deliver() - header off, addresses of the local stack's view on, and up. */
static __noinline int in_deliver(struct __sk_buff *skb, struct work *w, struct sf_flow *f)
{
	if (w->hlen && header_pop(skb, w->hlen, SF_NEXTHDR_TCP))
		return drop(skb, SF_INTERNAL);
	w->pair[0] = f->tuple.peer;
	w->pair[1] = f->tuple.local;
	if (readdress(skb, w->pair, L4_AT + TCP_CSUM,
		      sf_csum_delta(&w->src, &w->dst, &w->pair[0], &w->pair[1]), 0))
		return drop(skb, SF_INTERNAL);
	flow_count(f, skb, false);
	sf_flow_track(f, w->seg.flags, false);
	return TC_ACT_UNSPEC;
}

/** in_promote() - the peer showed that it got our SYN-ACK: from the half-open table to the flows.
 * @half: a copy in w->flow is made bound. */
SUBPROG int in_promote(struct __sk_buff *skb)
{
	struct sf_flow *f;
	__u64 id, *old;
	long err;
	WITH_WORK(IN);

	f = &w->flow;
	id = sf_locator_sock(&f->own);
	old = bpf_map_lookup_elem(&tuples, &f->tuple);
	f->state = SF_FLOW_BOUND;
	f->used = bpf_ktime_get_ns();
	if (old && *old != id) {
		__u64 gone = *old;

		bpf_map_delete_elem(&flows, &gone);
	}
	err = bpf_map_update_elem(&flows, &id, f, BPF_NOEXIST);
	if (err && err != -17)
		return drop(skb, SF_FLOWS_FULL);
	if (bpf_map_update_elem(&tuples, &f->tuple, &id, BPF_ANY)) {
		bpf_map_delete_elem(&flows, &id);
		return drop(skb, SF_FLOWS_FULL);
	}
	bpf_map_delete_elem(&halftuples, &f->tuple);
	bpf_map_delete_elem(&halfopen, &id);
	f = bpf_map_lookup_elem(&flows, &id);
	if (!f)
		return drop(skb, SF_INTERNAL);
	return in_deliver(skb, w, f);
}

/**
 * in_bind() - late binding: a SYN-ACK answers our SYN.
 *
 * The entry is replaced, not changed in place, so that no sender sees half an address. Of two
 * instances that answer at once the first wins: it sets the epoch.
 */
static __noinline int in_bind(struct __sk_buff *skb, struct work *w, struct sf_flow *f)
{
	__u64 id = sf_locator_sock(&w->dst);

	if (__sync_val_compare_and_swap(&f->epoch, 0, 1))
		return reply_fail(skb, SF_WRONG_PEER, SF_OTHER_INSTANCE);
	w->flow = *f;
	sf_flow_bind(&w->flow, &w->src, &w->hdr.src, bpf_ktime_get_ns());
	if (bpf_map_update_elem(&flows, &id, &w->flow, BPF_EXIST))
		return drop(skb, SF_INTERNAL);
	f = bpf_map_lookup_elem(&flows, &id);
	if (!f)
		return drop(skb, SF_INTERNAL);
	return in_deliver(skb, w, f);
}

/** in_looks_taken() - whether the tuple w->tuple is in use by another flow, so that the opener at
 * w->src must be shown differently. Flows that yield are removed. */
static __always_inline bool in_looks_taken(struct work *w, __u64 id)
{
	__u64 *other = bpf_map_lookup_elem(&tuples, &w->tuple);
	struct sf_flow *f;

	if (other && *other != id) {
		f = bpf_map_lookup_elem(&flows, other);
		if (f && !sf_flow_yields(f, &w->src))
			return !sf_locator_same_host(&f->peer, &w->src);
		if (f)
			flow_forget(f);
	}
	other = bpf_map_lookup_elem(&halftuples, &w->tuple);
	if (!other || *other == id)
		return false;
	f = bpf_map_lookup_elem(&halfopen, other);
	return f && !sf_locator_same_host(&f->peer, &w->src);
}

/** in_tuple() - how the opener at w->src of the flow to w->service looks to the local stack. */
static __always_inline void in_tuple(const struct sf_host_config *cfg, struct work *w, __u64 id)
{
	struct sf_tuple *t = &w->tuple;

	__builtin_memset(t, 0, sizeof(*t));
	t->local = w->service;
	t->peer = sf_sid_shown(&cfg->net, &w->hdr.src, &w->src);
	t->lport = w->seg.dport;
	t->pport = w->seg.sport;
	t->proto = SF_NEXTHDR_TCP;
	/* An opener on this very host would be answered over lo, past the flow. */
	if (sf_locator_same_host(&w->src, &cfg->own) || in_looks_taken(w, id))
		t->peer = w->src;
}

/** in_has_socket() - whether the kernel has a socket for a SYN from w->tuple.peer: a listener, or
 * an old connection that it must judge itself. */
static __always_inline bool in_has_socket(struct __sk_buff *skb, struct work *w)
{
	struct bpf_sock_tuple t = {};
	struct bpf_sock *sk;

	__builtin_memcpy(t.ipv6.saddr, &w->tuple.peer, 16);
	__builtin_memcpy(t.ipv6.daddr, &w->tuple.local, 16);
	t.ipv6.sport = w->tuple.pport;
	t.ipv6.dport = w->tuple.lport;
	sk = bpf_skc_lookup_tcp(skb, &t, sizeof(t.ipv6), BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return false;
	bpf_sk_release(sk);
	return true;
}

/** in_syn_new() - the first SYN of a flow: enter it half-open. Return: the entry or NULL. */
static __always_inline struct sf_flow *in_syn_new(const struct sf_host_config *cfg, struct work *w,
						  __u64 id)
{
	__u64 now = bpf_ktime_get_ns();
	struct sf_addr own = sf_locator(&cfg->net, cfg->host, id);
	struct sf_flow *f = &w->flow;

	__builtin_memset(f, 0, sizeof(*f));
	sf_flow_accept(f, &w->tuple, &own, &w->src, &w->hdr.src, w->seg.seq, now);
	if (bpf_map_update_elem(&halfopen, &id, f, BPF_ANY) ||
	    bpf_map_update_elem(&halftuples, &f->tuple, &id, BPF_ANY))
		return NULL;
	pressure_add(now);
	return bpf_map_lookup_elem(&halfopen, &id);
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
	__u64 id;
	WITH_WORK(IN);

	if (w->proto != SF_NEXTHDR_TCP)
		return drop(skb, SF_BAD_PROTOCOL);
	if (!sf_sock_is_unset(sf_locator_sock(&w->dst)) || !sf_segment_opens(&w->seg))
		return drop(skb, SF_WRONG_STATE);
	l = listener_find(cfg, w, SF_NEXTHDR_TCP, w->seg.dport);
	if (!l)
		return reply_fail(skb, SF_NOT_REGISTERED, SF_NO_SUCH_SOCKET);
	id = sf_socket_id(&cfg->key, &w->src, &w->service, w->seg.dport, w->seg.sport,
			  SF_NEXTHDR_TCP);
	f = bpf_map_lookup_elem(&flows, &id);
	if (!f)
		f = bpf_map_lookup_elem(&halfopen, &id);
	if (f) {
		/* A repetition goes to where the first went. */
		if (f->isn != w->seg.seq || !sf_addr_eq(&f->peer, &w->src))
			return drop(skb, SF_DUPLICATE);
		w->tuple = f->tuple;
		/* A refusal by the local stack is to quote the attempt that the opener waits for.
		 */
		f->attempt = sf_be16(w->hdr.aux);
	} else {
		in_tuple(cfg, w, id);
	}
	if (!in_has_socket(skb, w))
		return reply_fail(skb, SF_NOT_REGISTERED, SF_NO_SUCH_SOCKET);
	if (!f) {
		f = in_syn_new(cfg, w, id);
		if (!f)
			return drop(skb, SF_INTERNAL);
		f->attempt = sf_be16(w->hdr.aux);
		__sync_fetch_and_add(&l->flows, 1);
	}
	count_traffic(skb, SF_TRAFFIC_IN_SYN);
	return in_deliver(skb, w, f);
}

/* What in_unknown() answers when the segment is to be answered with FAIL: its caller does that. A
 * call from in_unknown() itself would find too little stack left (packet_replace()). */
#define IN_UNKNOWN_FAIL (-100)

/**
 * in_unknown() - a segment whose socketID no flow has.
 *
 * A handshake ACK proves by its destination that we answered its SYN: an evicted half-open flow is
 * rebuilt, as long as somebody still listens. The kernel's SYN cookie does the same one floor up.
 */
SUBPROG int in_unknown(struct __sk_buff *skb)
{
	struct sf_addr own;
	__u64 id;
	WITH_WORK(IN);

	id = sf_locator_sock(&w->dst);
	own = sf_locator(&cfg->net, cfg->host, id);
	if (w->kind == SF_KIND_ACK &&
	    id == sf_socket_id(&cfg->key, &w->src, &w->service, w->seg.dport, w->seg.sport,
			       SF_NEXTHDR_TCP)) {
		if ((w->seg.flags & (SF_TCP_SYN | SF_TCP_RST | SF_TCP_ACK)) != SF_TCP_ACK)
			return drop(skb, SF_HALF_OPEN_LOST);
		if (!listener_find(cfg, w, SF_NEXTHDR_TCP, w->seg.dport))
			return drop(skb, SF_NOT_REGISTERED);
		in_tuple(cfg, w, id);
		__builtin_memset(&w->flow, 0, sizeof(w->flow));
		sf_flow_accept(&w->flow, &w->tuple, &own, &w->src, &w->hdr.src, w->seg.seq - 1,
			       bpf_ktime_get_ns());
		return in_promote(skb);
	}
	if (w->kind != SF_KIND_NONE || (w->seg.flags & SF_TCP_RST))
		return drop(skb, SF_UNKNOWN_SOCKET);
	if (half_open_may_be_lost())
		return drop(skb, SF_HALF_OPEN_LOST);
	return IN_UNKNOWN_FAIL;
}

/** in_tcp() - a segment for a socketID, with or without header. */
SUBPROG int in_tcp(struct __sk_buff *skb)
{
	struct sf_verdict v;
	struct sf_flow *f;
	__u64 id;
	int ret;
	WITH_WORK(IN);

	id = sf_locator_sock(&w->dst);
	f = bpf_map_lookup_elem(&flows, &id);
	if (!f)
		f = bpf_map_lookup_elem(&halfopen, &id);
	if (!f) {
		ret = in_unknown(skb);
		if (ret != IN_UNKNOWN_FAIL)
			return ret;
		return reply_fail(skb, SF_UNKNOWN_SOCKET, SF_NO_SUCH_SOCKET);
	}
	v = sf_sal_in(f, w->kind, &w->src, &w->seg);
	switch (v.act) {
	case SF_ACT_DROP:
		return drop(skb, v.reason);
	case SF_ACT_FAIL:
		return reply_fail(skb, v.reason, v.fail);
	case SF_ACT_BIND:
		return in_bind(skb, w, f);
	case SF_ACT_PROMOTE:
		w->flow = *f;
		return in_promote(skb);
	case SF_ACT_CONFIRM:
		f->state = SF_FLOW_BOUND;
		break;
	}
	count_traffic(skb, SF_TRAFFIC_IN_BOUND);
	return in_deliver(skb, w, f);
}

#endif
