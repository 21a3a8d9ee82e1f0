// SPDX-License-Identifier: GPL-2.0-only
/*
 * count.h - counters by reason and by kind of traffic, and the limits of what we answer.
 *
 * Both datapaths (host and router) have these maps; each object gets its own.
 */
#ifndef SF_BPF_COUNT_H
#define SF_BPF_COUNT_H

#include "bpf/parse.h"
#include "core/datapath.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SF_REASON_MAX);
	__type(key, __u32);
	__type(value, struct sf_count);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SF_TRAFFIC_MAX);
	__type(key, __u32);
	__type(value, struct sf_count);
} traffic SEC(".maps");

/** struct limits - answers to senders without a flow, in the current second. */
struct limits {
	__u64 second;
	__u64 answers;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct limits);
} limits SEC(".maps");

static __always_inline void count(struct __sk_buff *skb, __u32 reason)
{
	struct sf_count *c = bpf_map_lookup_elem(&counters, &reason);

	if (c) {
		c->packets++;
		c->bytes += skb->len;
	}
}

static __always_inline void count_traffic(struct __sk_buff *skb, __u32 what)
{
	struct sf_count *c = bpf_map_lookup_elem(&traffic, &what);

	if (c) {
		c->packets += skb->gso_segs ? skb->gso_segs : 1;
		c->bytes += skb->len;
	}
}

/** drop() - count under @reason and drop. */
static __always_inline int drop(struct __sk_buff *skb, __u32 reason)
{
	count(skb, reason);
	return TC_ACT_SHOT;
}

/**
 * may_answer() - whether one more answer fits SF_FAIL_PER_SEC.
 *
 * Two CPUs that see a new second at once may both open it: that costs exactness, not the limit.
 */
static __always_inline bool may_answer(void)
{
	__u32 zero = 0;
	struct limits *l = bpf_map_lookup_elem(&limits, &zero);
	__u64 second = bpf_ktime_get_ns() / 1000000000ull;

	if (!l)
		return false;
	if (l->second != second) {
		l->second = second;
		l->answers = 0;
	}
	if (l->answers >= SF_FAIL_PER_SEC)
		return false;
	__sync_fetch_and_add(&l->answers, 1);
	return true;
}

#endif
