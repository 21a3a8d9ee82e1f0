// SPDX-License-Identifier: GPL-2.0-only
/*
 * maps_host.h - the maps of a host's datapath (core/datapath.h) and its per-CPU working memory.
 *
 * Sizes are defaults; the loader sets others before it loads. `halfopen` is sized together with the
 * constant sf_half_open_max.
 */
#ifndef SF_BPF_MAPS_HOST_H
#define SF_BPF_MAPS_HOST_H

#include "bpf/count.h"
#include "bpf/fail.h"
#include "bpf/packet.h"
#include "core/renegotiate.h"

#define SF_FLOWS_MAX	 262144
#define SF_HALF_OPEN_MAX 16384
#define SF_CLOSED_MAX	 1024
#define SF_PEERS_MAX	 65536
#define SF_FRAGMENTS_MAX 4096
#define SF_CONTROL_BYTES 1048576

/* Packets that we hand to our own stack pass our ingress program on their way; this mark tells them
 * from what comes from the wire, which cannot carry one. */
#define SF_MARK_OWN 0x5caf0001

const volatile __u32 sf_half_open_max = SF_HALF_OPEN_MAX;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sf_host_config);
} config SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, SF_FLOWS_MAX);
	__type(key, __u64);
	__type(value, struct sf_flow);
} flows SEC(".maps");

/** struct closed - a flow that is over and waits as long as its socket may: TIME_WAIT. */
struct closed {
	__u64 id;
	__u64 since;
};

/* The longest wait of a socket, Linux' TIME_WAIT; under pressure of new ones it is shorter. */
#define SF_CLOSED_NS 60000000000ull
/* Less is not worth the wait: a segment that is repeated comes later. */
#define SF_CLOSED_LEAST_NS 1000000000ull

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, SF_CLOSED_MAX);
	__type(value, struct closed);
} closed SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SF_HALF_OPEN_MAX);
	__type(key, __u64);
	__type(value, struct sf_flow);
} halfopen SEC(".maps");

/* The agent's: what a renegotiation is about. No program changes it; one removes it with its flow.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, SF_FLOWS_MAX);
	__type(key, __u64);
	__type(value, struct sf_move);
} moves SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SF_UPLINKS_MAX);
	__type(key, struct sf_addr);
	__type(value, struct sf_uplink);
} uplinks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, SF_CONTROL_BYTES);
} control SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SF_HALF_OPEN_MAX);
	__type(key, __u64);
	__type(value, struct sf_flow);
} half_udp SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SF_PEERS_MAX);
	__type(key, struct sf_peer_key);
	__type(value, struct sf_peer);
} datagrams SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SF_FRAGMENTS_MAX);
	__type(key, struct sf_frag_key);
	__type(value, struct sf_frag);
} fragments SEC(".maps");

/* From hooks/: who listens, on all hosts of this kernel. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, SF_LISTENERS_MAX);
	__type(key, struct sf_listener_key);
	__type(value, struct sf_listener);
} listeners SEC(".maps");

/** struct pressure - SYNs taken in this period and the one before: has a half-open flow possibly
 * been evicted while its opener may still send? */
struct pressure {
	__u64 start;
	__u64 now;
	__u64 before;
};

/* Linux gives up a request socket after 63 s. */
#define SF_PRESSURE_NS 64000000000ull

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pressure);
} pressure SEC(".maps");

/**
 * struct quote - a packet of ours that an error quotes; it lies in build at QUOTE_AT.
 * @n: bytes quoted
 * @at: where the quotation is in the packet in hand
 * @l4: offset of the transport header from the quoted IPv6 header
 */
struct quote {
	struct sf_addr src;
	struct sf_addr dst;
	struct sf_hdr hdr; /* if kind is not SF_KIND_NONE */
	struct sf_segment seg;
	__u32 n;
	__u32 at;
	__u32 l4;
	__u32 hlen;
	__u8 proto;
	__u8 kind;
	bool whole;
};

/** struct told - the front of a struct sf_control_event. */
struct told {
	__u32 ifindex;
	__u32 len;
};

SF_STATIC_ASSERT(__builtin_offsetof(struct sf_control_event, packet) == sizeof(struct told),
		 "front of a control event");

/** struct work - what the slow paths know of the packet in hand, and what they build. */
struct work {
	struct sf_addr src; /* as in the packet */
	struct sf_addr dst;
	struct sf_segment seg;
	__u32 l4;   /* offset of the transport header */
	__u32 hlen; /* bytes of SCAFFOLD header */
	__u32 plen; /* of the IPv6 header: payload length */
	__u8 proto; /* of the transport */
	__u8 kind;
	__u8 nexthdr; /* of the IPv6 header */
	__u32 dead;   /* socketIDs in a PROBE-ACK */
	__u8 hops;
	struct front front; /* hdr: as in the packet, or to write; the rest to write */
	struct sf_addr service;
	struct sf_tuple tuple;
	__u64 key; /* of a flow to be */
	struct sf_listener_key listener;
	struct sf_peer_key peer_key;
	struct sf_peer peer;
	struct sf_frag_key frag_key;
	struct sf_frag frag;
	struct sf_flow flow;
	struct quote quote;
	struct told told; /* with @build behind it */
	struct build build;
};

SF_STATIC_ASSERT(__builtin_offsetof(struct work, build) ==
			 __builtin_offsetof(struct work, told) + sizeof(struct told),
		 "a told event is one piece");

/* One for each direction, and one for what the agent runs: none of these programs interrupts itself
 * on a CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 3);
	__type(key, __u32);
	__type(value, struct work);
} scratch SEC(".maps");

static __always_inline const struct sf_host_config *host_config(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&config, &zero);
}

static __always_inline struct work *work_get(__u32 out)
{
	return bpf_map_lookup_elem(&scratch, &out);
}

/** place_is_own() - whether a locator is of one of the places by which this host is joined. */
static __noinline bool place_is_own(const struct sf_host_config *cfg, const struct sf_addr *a)
{
	struct sf_addr place;

	if (!cfg->host)
		return false;
	if (sf_locator_same_host(a, &cfg->own))
		return true;
	place = sf_locator_place(a);
	return bpf_map_lookup_elem(&uplinks, &place);
}

/* Opens a SUBPROG: the configuration as cfg, the working memory of direction @dir as w. */
#define IN  0
#define OUT 1
#define RUN 2
#define WITH_WORK(dir)                                    \
	const struct sf_host_config *cfg = host_config(); \
	struct work *w = work_get(dir);                   \
	if (!cfg || !w)                                   \
	return TC_ACT_SHOT

static __always_inline void pressure_add(__u64 now)
{
	__u32 zero = 0;
	struct pressure *p = bpf_map_lookup_elem(&pressure, &zero);

	if (!p)
		return;
	/* Another CPU may have begun a period after @now was taken. */
	if ((__s64)(now - p->start) > (__s64)SF_PRESSURE_NS) {
		p->before = now - p->start > 2 * SF_PRESSURE_NS ? 0 : p->now;
		p->now = 0;
		p->start = now;
	}
	__sync_fetch_and_add(&p->now, 1);
}

/**
 * half_open_may_be_lost() - whether a packet for an unknown socket may belong to an evicted
 * half-open flow: only when more SYNs came lately than half the table holds (an LRU map evicts
 * before it is quite full).
 */
static __always_inline bool half_open_may_be_lost(void)
{
	__u32 zero = 0;
	struct pressure *p = bpf_map_lookup_elem(&pressure, &zero);

	if (!p)
		return true;
	if ((__s64)(bpf_ktime_get_ns() - p->start) > 2 * (__s64)SF_PRESSURE_NS)
		return false;
	return p->now + p->before > sf_half_open_max / 2;
}

/** listener_find() - the live listener of (service, protocol, port), exact before any. */
static __always_inline struct sf_listener *listener_find(const struct sf_host_config *cfg,
							 struct work *w, __u8 proto, __be16 port)
{
	struct sf_listener_key *k = &w->listener;
	struct sf_listener *l;

	__builtin_memset(k, 0, sizeof(*k));
	k->host = cfg->cookie;
	k->addr = w->service;
	k->port = port;
	k->proto = proto;
	l = bpf_map_lookup_elem(&listeners, k);
	if (l && l->state == SF_LISTENER_LIVE)
		return l;
	k->port = 0;
	k->proto = 0;
	l = bpf_map_lookup_elem(&listeners, k);
	return l && l->state == SF_LISTENER_LIVE ? l : NULL;
}

/** segment_take() - the TCP header @t at w->l4 of a packet of @len bytes into w->seg. */
static __always_inline void segment_take(struct work *w, const struct tcp *t, __u32 len)
{
	__u32 end = w->l4 + (t->doff >> 4) * 4;

	/* What follows the IPv6 packet is not of it; a jumbogram has no length there. */
	if (w->plen)
		len = L4_AT + w->plen;
	w->seg.sport = t->sport;
	w->seg.dport = t->dport;
	w->seg.seq = sf_be32(t->seq);
	w->seg.ack = sf_be32(t->ack);
	w->seg.flags = t->flags;
	w->seg.len = len > end ? len - end : 0;
}

/** segment_load() - the same from the packet. Return: 0 or a reason. */
static __always_inline int segment_load(struct __sk_buff *skb, struct work *w)
{
	struct tcp t;

	if (load(skb, w->l4, &t, sizeof(t)))
		return SF_TRUNCATED;
	segment_take(w, &t, skb->len);
	return 0;
}

/** ip_take() - what the slow paths want to know of an IPv6 header. */
static __always_inline void ip_take(struct work *w, const struct ip6 *ip)
{
	w->src = ip->src;
	w->dst = ip->dst;
	w->proto = w->nexthdr = ip->nexthdr;
	w->hops = ip->hops;
	w->plen = sf_be16(ip->plen);
	w->kind = SF_KIND_NONE;
	w->hlen = 0;
	w->l4 = L4_AT;
}

#endif
