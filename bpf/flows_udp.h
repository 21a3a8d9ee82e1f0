// SPDX-License-Identifier: GPL-2.0-only
/*
 * flows_udp.h - flows of datagrams: as flows.h, with a table of their own for half-open ones
 * (docs/design/0005-bound-datagrams.md).
 */
#ifndef SF_BPF_FLOWS_UDP_H
#define SF_BPF_FLOWS_UDP_H

#include "bpf/datagram.h"
#include "bpf/flows.h"
#include "core/sal_udp.h"

/* No verdicts, but what the caller is to do: a call would need stack. */
#define UDP_LOOK    (-101) /* not plain: look closer */
#define UDP_UNBOUND (-102) /* no flow's: out_datagram() */

/** udp_keyed() - the flow of datagrams whose key is that of socketID @id. */
static __always_inline struct sf_flow *udp_keyed(__u64 id)
{
	__u64 key = sf_socket_key(id);
	struct sf_flow *f = bpf_map_lookup_elem(&flows, &key);

	return f && f->tuple.proto == SF_NEXTHDR_UDP ? f : NULL;
}

/** udp_named() - the flow in one of the tables that socketID @id names. */
static __always_inline struct sf_flow *udp_named(void *table, __u64 id, __u64 now)
{
	__u64 key = sf_socket_key(id);
	struct sf_flow *f = bpf_map_lookup_elem(table, &key);

	return f && f->tuple.proto == SF_NEXTHDR_UDP && sf_flow_is_named(f, id, now) ? f : NULL;
}

/** udp_of() - the flow that socketID @id names, half open or not; as flow_anywhere(). */
static __noinline struct sf_flow *udp_of(__u64 id, __u64 now)
{
	struct sf_flow *f = udp_named(&flows, id, now);

	if (!f)
		f = udp_named(&half_udp, id, now);
	return f ? f : udp_named(&flows, id, now);
}

/** udp_of_tuple() - the flow of @t, wherever it is; as flow_of_tuple(). */
static __noinline struct sf_flow *udp_of_tuple(const struct sf_host_config *cfg,
					       const struct sf_tuple *t)
{
	__u64 hash = flow_hash(cfg, t), key = sf_flow_key(hash, false);
	struct sf_flow *f = flow_here(&half_udp, key, t);

	if (!f)
		f = flow_here(&flows, key, t);
	key = sf_flow_key(hash, true);
	if (!f)
		f = flow_here(&half_udp, key, t);
	if (!f)
		f = flow_here(&flows, key, t);
	return f;
}

/** udp_tuple() - the tuple of a datagram whose ports are in w->seg; @out: of a local socket. */
static __always_inline void udp_tuple(struct work *w, const struct sf_addr *local,
				      const struct sf_addr *peer, bool out)
{
	struct sf_tuple *t = &w->tuple;

	__builtin_memset(t, 0, sizeof(*t));
	t->local = *local;
	t->peer = *peer;
	t->lport = out ? w->seg.sport : w->seg.dport;
	t->pport = out ? w->seg.dport : w->seg.sport;
	t->proto = SF_NEXTHDR_UDP;
}

/** udp_has_socket() - whether the kernel has a socket that takes what comes for @t. */
static __noinline bool udp_has_socket(struct __sk_buff *skb, const struct sf_tuple *t)
{
	struct bpf_sock_tuple s = {};
	struct bpf_sock *sk;

	__builtin_memcpy(s.ipv6.saddr, &t->peer, 16);
	__builtin_memcpy(s.ipv6.daddr, &t->local, 16);
	s.ipv6.sport = t->pport;
	s.ipv6.dport = t->lport;
	sk = bpf_sk_lookup_udp(skb, &s, sizeof(s.ipv6), BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return false;
	bpf_sk_release(sk);
	return true;
}

/** udp_count_out() - count what a local socket sent on @f. */
static __always_inline void udp_count_out(struct sf_flow *f, struct __sk_buff *skb)
{
	__u32 now = sf_used_of(bpf_ktime_get_coarse_ns());

	flow_count(f, skb, true);
	/* The line is both directions': it is written seldom. */
	if (f->sent != now)
		f->sent = now;
}

/** udp_is_served() - whether any socket has the local port of @f, which the peer opened. */
static __always_inline bool udp_is_served(const struct sf_host_config *cfg, struct work *w,
					  const struct sf_flow *f)
{
	struct sf_listener_key *k = &w->listener;
	struct sf_listener *l;

	w->service = f->tuple.local;
	if (listener_find(cfg, w, SF_NEXTHDR_UDP, f->tuple.lport))
		return true;
	k->port = f->tuple.lport; /* after listener_find() */
	k->proto = SF_NEXTHDR_UDP;
	l = bpf_map_lookup_elem(&listeners, k);
	return l && l->state != SF_LISTENER_DENIED;
}

/** udp_forget() - remove a flow from both tables. */
static __noinline int udp_forget(const struct sf_host_config *cfg, struct work *w,
				 struct sf_flow *f)
{
	__u64 key = sf_socket_key(sf_locator_sock(&f->own));

	if (f->state == SF_FLOW_HALF_OPEN) {
		bpf_map_delete_elem(&half_udp, &key);
		return 0;
	}
	flow_end(cfg, w, f);
	return 0;
}

/**
 * udp_promote() - the opener of half-open @f has our SYN-ACK: from half_udp to the flows.
 *
 * Where these are full it stays half open, and works as well. Return: the entry; NULL where it is
 * another's, as what the packet in hand is addressed to shows.
 */
static __noinline struct sf_flow *udp_promote(const struct sf_host_config *cfg, struct work *w,
					      struct sf_flow *f)
{
	__u64 key = sf_socket_key(sf_locator_sock(&w->dst));
	struct sf_flow *old = bpf_map_lookup_elem(&flows, &key);

	w->flow = *f;
	/* It may have been evicted meanwhile. */
	if (!sf_addr_eq(&w->flow.own, &w->dst))
		return NULL;
	if (old && !sf_tuple_eq(&old->tuple, &w->flow.tuple))
		return f;
	if (old)
		flow_account(cfg, w, old);
	w->flow.state = SF_FLOW_BOUND;
	if (bpf_map_update_elem(&flows, &key, &w->flow, BPF_ANY))
		return f;
	bpf_map_delete_elem(&half_udp, &key);
	return bpf_map_lookup_elem(&flows, &key);
}

#endif
