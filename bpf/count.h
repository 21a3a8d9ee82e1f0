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
#include "core/wire.h"

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

#define SF_CONTROL_PER_SEC 65536 /* packets of renegotiations that the agent is shown */

/**
 * enum budget - what we answer without being asked by a flow, each with a limit of its own, so that
 * a flood of one kind leaves the others theirs: retry depends on the FAILs of SYNs.
 */
enum budget {
	BUDGET_BOUND, /* to segments without a flow, and to SYN-ACKs of another instance */
	BUDGET_SYN,
	BUDGET_DATA,
	BUDGET_PROBE,	/* and RSYN */
	BUDGET_LOCAL,	/* resets to our own sockets */
	BUDGET_CONTROL, /* packets of renegotiations for the agent */
	BUDGETS,
};

/** struct spent - answers of one budget in the current second. */
struct spent {
	__u64 second;
	__u64 answers;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BUDGETS);
	__type(key, __u32);
	__type(value, struct spent);
} budgets SEC(".maps");

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

/** budget_of() - the budget from which a packet with a header of @kind is answered. */
static __always_inline __u32 budget_of(__u8 kind)
{
	switch (kind) {
	case SF_KIND_SYN:
		return BUDGET_SYN;
	case SF_KIND_DATA:
		return BUDGET_DATA;
	case SF_KIND_RSYN:
	case SF_KIND_PROBE:
		return BUDGET_PROBE;
	}
	return BUDGET_BOUND;
}

/** budget_reason() - under what an answer that did not fit @budget is counted. */
static __always_inline __u32 budget_reason(__u32 budget)
{
	switch (budget) {
	case BUDGET_SYN:
		return SF_RATE_LIMITED_SYN;
	case BUDGET_DATA:
		return SF_RATE_LIMITED_DATA;
	case BUDGET_PROBE:
		return SF_RATE_LIMITED_PROBE;
	}
	return SF_RATE_LIMITED;
}

/**
 * budget_take() - whether one more answer fits @budget: SF_FAIL_PER_SEC a second,
 * SF_CONTROL_PER_SEC of what the agent is to hear.
 *
 * Two CPUs that see a new second at once may both open it: that costs exactness, not the limit.
 */
static __always_inline bool budget_take(__u32 budget)
{
	struct spent *s = bpf_map_lookup_elem(&budgets, &budget);
	__u64 second = bpf_ktime_get_ns() / 1000000000ull;

	if (!s)
		return false;
	if (s->second != second) {
		s->second = second;
		s->answers = 0;
	}
	if (s->answers >= (budget == BUDGET_CONTROL ? SF_CONTROL_PER_SEC : SF_FAIL_PER_SEC))
		return false;
	__sync_fetch_and_add(&s->answers, 1);
	return true;
}

/** may_answer() - whether a local socket may be told one thing more. */
static __always_inline bool may_answer(void)
{
	return budget_take(BUDGET_LOCAL);
}

#endif
