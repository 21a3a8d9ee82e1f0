// SPDX-License-Identifier: GPL-2.0-only
/*
 * flows.h - the two tables of flows: how one is found from either side, how it comes, and how it
 * goes (core/flow.h; docs/design/0002-one-flow-table.md).
 *
 * An entry may be removed, and its memory given to another flow, while a program on another CPU
 * still holds a pointer to it: what that writes then are counters, flags and times of somebody
 * else. No decision rests on counters, and what flags decide wrongly the agent's scan puts right.
 */
#ifndef SF_BPF_FLOWS_H
#define SF_BPF_FLOWS_H

#include "bpf/maps_host.h"

/** flow_count() - counters of a flow. Both directions have their own; CPUs may race, so these are
 * for people and load, not for decisions. */
static __always_inline void flow_count(struct sf_flow *f, struct __sk_buff *skb, bool out)
{
	__u32 n = skb->gso_segs ? skb->gso_segs : 1;

	if (out) {
		f->tx_packets += n;
		f->tx_bytes += skb->len;
	} else {
		f->used = sf_used_of(bpf_ktime_get_coarse_ns());
		f->rx_packets += n;
		f->rx_bytes += skb->len;
	}
}

/** flow_here() - the flow with @key in one of the two tables, if it is that of @t. */
static __always_inline struct sf_flow *flow_here(void *table, __u64 key, const struct sf_tuple *t)
{
	struct sf_flow *f = bpf_map_lookup_elem(table, &key);

	return f && sf_tuple_eq(&f->tuple, t) ? f : NULL;
}

/** flow_of() - the flow with socketID @id in one of the two tables. */
static __always_inline struct sf_flow *flow_of(void *table, __u64 id)
{
	__u64 key = sf_socket_key(id);
	struct sf_flow *f = bpf_map_lookup_elem(table, &key);

	return f && sf_locator_sock(&f->own) == id ? f : NULL;
}

/** flow_anywhere() - the flow with socketID @id, half open or not. One that is promoted in this
 * moment has gone to where was looked first. */
static __always_inline struct sf_flow *flow_anywhere(__u64 id)
{
	struct sf_flow *f = flow_of(&flows, id);

	if (!f)
		f = flow_of(&halfopen, id);
	return f ? f : flow_of(&flows, id);
}

/** flow_named() - the flow with socketID @id, be it a former one, half open or not. */
static __always_inline struct sf_flow *flow_named(__u64 id, __u64 now)
{
	__u64 key = sf_socket_key(id);
	struct sf_flow *f = bpf_map_lookup_elem(&flows, &key);

	if (f && sf_flow_is_named(f, id, now))
		return f;
	return flow_anywhere(id);
}

/* Outside of the hot path a call: inline, the hash takes all registers, and the rest goes to the
 * stack that callees need. */
static __noinline __u64 flow_hash(const struct sf_host_config *cfg, const struct sf_tuple *t)
{
	return sf_flow_hash(&cfg->key, t);
}

static __noinline __u64 flow_incarnation(const struct sf_host_config *cfg,
					 const struct sf_addr *peer)
{
	return sf_incarnation_of(&cfg->key, peer);
}

/** flow_of_tuple() - the flow of @t, wherever it is; a half-open one before what it may replace. */
static __always_inline struct sf_flow *flow_of_tuple(const struct sf_host_config *cfg,
						     const struct sf_tuple *t)
{
	__u64 hash = flow_hash(cfg, t), key = sf_flow_key(hash, false);
	struct sf_flow *f = flow_here(&halfopen, key, t);

	if (!f)
		f = flow_here(&flows, key, t);
	key = sf_flow_key(hash, true);
	if (!f)
		f = flow_here(&halfopen, key, t);
	if (!f)
		f = flow_here(&flows, key, t);
	return f;
}

/**
 * key_choose() - a key for a new flow of @t: the first choice, unless a flow of another tuple has
 * it.
 * @old: receives what will be replaced, or NULL
 * Return: 0, or -EEXIST when both choices are taken.
 */
static __always_inline long key_choose(const struct sf_host_config *cfg, const struct sf_tuple *t,
				       __u64 *key, struct sf_flow **old)
{
	__u64 hash = flow_hash(cfg, t);

	*key = sf_flow_key(hash, false);
	*old = bpf_map_lookup_elem(&flows, key);
	if (!*old || sf_tuple_eq(&(*old)->tuple, t))
		return 0;
	*key = sf_flow_key(hash, true);
	*old = bpf_map_lookup_elem(&flows, key);
	return !*old || sf_tuple_eq(&(*old)->tuple, t) ? 0 : -EEXIST;
}

/** flow_forget() - remove a flow. @f may be the entry. */
static __always_inline void flow_forget(struct sf_flow *f)
{
	__u64 key = sf_socket_key(sf_locator_sock(&f->own));

	bpf_map_delete_elem(&flows, &key);
}

/** flow_account() - add what a flow that goes has carried to its listener's totals. */
static __always_inline void flow_account(const struct sf_host_config *cfg, struct work *w,
					 const struct sf_flow *f)
{
	struct sf_listener *l;

	if (!(f->flags & SF_FLOW_INBOUND))
		return;
	w->service = f->tuple.local;
	l = listener_find(cfg, w, f->tuple.proto, f->tuple.lport);
	if (l) {
		__sync_fetch_and_add(&l->packets, f->rx_packets + f->tx_packets);
		__sync_fetch_and_add(&l->bytes, f->rx_bytes + f->tx_bytes);
	}
}

/** flow_end() - remove a flow that is over. */
static __noinline int flow_end(const struct sf_host_config *cfg, struct work *w, struct sf_flow *f)
{
	flow_account(cfg, w, f);
	flow_forget(f);
	return 0;
}

/** socket_of() - the state of the kernel's TCP socket that takes what comes for @t, 0 without one.
 */
static __noinline __u32 socket_of(struct __sk_buff *skb, const struct sf_tuple *t)
{
	struct bpf_sock_tuple s = {};
	struct bpf_sock *sk;
	__u32 state;

	__builtin_memcpy(s.ipv6.saddr, &t->peer, 16);
	__builtin_memcpy(s.ipv6.daddr, &t->local, 16);
	s.ipv6.sport = t->pport;
	s.ipv6.dport = t->lport;
	sk = bpf_skc_lookup_tcp(skb, &s, sizeof(s.ipv6), BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return 0;
	state = sk->state;
	bpf_sk_release(sk);
	return state;
}

/**
 * closed_end() - remove the flow that was closed first, unless its socket thinks otherwise: a reset
 * that we saw need not have been taken.
 * Return: 0, or negative when there is none.
 */
static __noinline int closed_end(struct __sk_buff *skb, const struct sf_host_config *cfg,
				 struct work *w)
{
	struct closed c;
	struct sf_flow *f;
	__u32 state;

	if (bpf_map_pop_elem(&closed, &c))
		return -1;
	f = flow_of(&flows, c.id);
	if (!f || f->state != SF_FLOW_CLOSING)
		return 0;
	state = sf_flow_is_over(f) ? 0 : socket_of(skb, &f->tuple);
	if (!state || state == BPF_TCP_LISTEN)
		flow_end(cfg, w, f);
	else
		f->flags &= ~SF_FLOW_OVER; /* left to the agent */
	return 0;
}

/**
 * closed_add() - @f is over, as far as packets show; its socket is in TIME_WAIT, or gone.
 *
 * Where flows end faster than they can wait a while, those that both ends have closed do not wait:
 * the few that do are of use, and what is at hand is removed, not what the cache has forgotten.
 */
static __always_inline void closed_add(struct __sk_buff *skb, const struct sf_host_config *cfg,
				       struct work *w, struct sf_flow *f)
{
	__u64 id = sf_locator_sock(&f->own), now = bpf_ktime_get_coarse_ns();
	struct closed c = { .id = id, .since = now };

	if (f->flags & SF_FLOW_OVER)
		return;
	f->flags |= SF_FLOW_OVER;
	if (!bpf_map_push_elem(&closed, &c, BPF_ANY))
		return;
	if (sf_flow_is_over(f) && !bpf_map_peek_elem(&closed, &c) &&
	    (__s64)(now - c.since) < (__s64)SF_CLOSED_LEAST_NS) {
		flow_end(cfg, w, f);
		return;
	}
	c.id = id;
	c.since = now;
	if (!closed_end(skb, cfg, w))
		bpf_map_push_elem(&closed, &c, BPF_ANY);
}

/** closed_reap() - remove what has been closed long enough. Each new flow removes up to two old
 * ones, so they are gone in time without anybody's help. */
static __always_inline void closed_reap(struct __sk_buff *skb, const struct sf_host_config *cfg,
					struct work *w, __u64 now)
{
	struct closed c;

	for (int i = 0; i < 2; i++) {
		if (bpf_map_peek_elem(&closed, &c) ||
		    (__s64)(now - c.since) < (__s64)SF_CLOSED_NS || closed_end(skb, cfg, w))
			return;
	}
}

#endif
