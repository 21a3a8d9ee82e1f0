// SPDX-License-Identifier: GPL-2.0-only
/*
 * police.h - how much each link and each host may say to the router's daemon (docs/protocol.md
 * section 5.1).
 *
 * Theory of operation
 *
 * One socket hears the hosts of all links, and one process answers. A flood from one link would
 * fill the socket's queue, and whatever comes from the others would be lost before the process has
 * seen it: so it is policed here, in a filter of that socket, before anything is queued or read,
 * and as well while the process is busy or stopped.
 *
 *	a message of a live session   from the link address that the session was made from has a
 *	                              budget of its own
 *	anything else: JOINs, junk    shares one budget with all of its link's
 *
 * Neighbours on a shared link hear each other's session ids: with one alone, nobody uses up
 * another's budget.
 *
 * Both are token buckets, kept as the time at which the bucket will be full again (GCRA): one
 * number, no timer. Two CPUs that write it at once lose a token: that costs exactness, not
 * the limit.
 *
 * The filter also remembers from which link address a JOIN came, for the access filter of shared
 * links (learn()): who says it first counts, so that nobody can say the same JOIN again
 * and be taken for its sender. The same of a session's message from an address that is not its own,
 * unless it repeats the heartbeat that came last from there: the daemon looks it up once it has
 * verified the MAC, and only then believes that the host has another address.
 */
#ifndef SF_BPF_POLICE_H
#define SF_BPF_POLICE_H

#include "bpf/count.h"
#include "core/ctrl.h"

#define MESSAGE_AT 8 /* a socket's filter sees the UDP header first */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sf_police_config);
} police_config SEC(".maps");

/* Links: nanoseconds of CLOCK_MONOTONIC at which the bucket is full. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u64);
} strangers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 262144);
	__type(key, __u64);
	__type(value, struct sf_talk);
} talks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct sf_joiner_key);
	__type(value, struct sf_link_address);
} joiners SEC(".maps");

/** bucket_take() - whether a bucket of @limit that is full at @full has a token more at @now. */
static __always_inline bool bucket_take(__u64 *full, __u64 now, const struct sf_police_limit *limit)
{
	__u64 at = *full > now ? *full : now;

	if (at - now > limit->burst_ns)
		return false;
	*full = at + limit->gap_ns;
	return true;
}

/** link_address() - the Ethernet source of the packet in a socket's filter. */
static __always_inline struct sf_link_address link_address(struct __sk_buff *skb)
{
	struct sf_link_address a = { 0 };

	bpf_skb_load_bytes_relative(skb, ETH_ALEN, a.mac, ETH_ALEN, BPF_HDR_START_MAC);
	return a;
}

static __always_inline void learn(struct __sk_buff *skb)
{
	struct sf_joiner_key key = { .ifindex = skb->ifindex };
	struct sf_link_address from = link_address(skb);
	__u32 len = skb->len;

	if (len < MESSAGE_AT + SF_JOIN_TAIL ||
	    bpf_skb_load_bytes(skb, len - SF_JOIN_TAIL, key.tail, SF_JOIN_TAIL))
		return;
	if (!bpf_skb_load_bytes_relative(skb, 8, &key.addr, sizeof(key.addr), BPF_HDR_START_NET))
		bpf_map_update_elem(&joiners, &key, &from, BPF_NOEXIST);
}

/** is_own() - whether a session's message comes from the link address that the host joined from. */
static __always_inline bool is_own(struct __sk_buff *skb, const struct sf_talk *talk)
{
	struct sf_link_address from = link_address(skb);
	__u64 here, known;

	__builtin_memcpy(&here, &from, sizeof(here));
	__builtin_memcpy(&known, &talk->from, sizeof(known));
	return here == known;
}

/** police() - whether the daemon is to hear a message. */
static __always_inline bool police(struct __sk_buff *skb)
{
	__u32 zero = 0, ifindex = skb->ifindex;
	struct sf_police_config *cfg = bpf_map_lookup_elem(&police_config, &zero);
	__u64 now = bpf_ktime_get_ns(), session, *full;
	struct sf_ctrl_hdr h = { 0 };
	struct sf_talk *talk = NULL;

	if (!cfg)
		return true;
	bpf_skb_load_bytes(skb, MESSAGE_AT, &h, sizeof(h));
	session = h.session;
	if (session && h.type != SF_CTRL_JOIN)
		talk = bpf_map_lookup_elem(&talks, &session);
	if (talk && is_own(skb, talk)) {
		if (!bucket_take(&talk->full, now, &cfg->session))
			return false;
		if (h.type == SF_CTRL_HEARTBEAT)
			talk->heartbeat = h.seq;
		return true;
	}
	full = bpf_map_lookup_elem(&strangers, &ifindex);
	if (!full) {
		bpf_map_update_elem(&strangers, &ifindex, &now, BPF_NOEXIST);
		full = bpf_map_lookup_elem(&strangers, &ifindex);
	}
	if (!full || !bucket_take(full, now, &cfg->link))
		return false;
	if (h.type == SF_CTRL_JOIN || (talk && h.seq != talk->heartbeat))
		learn(skb);
	return true;
}

#endif
