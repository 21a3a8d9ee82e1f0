// SPDX-License-Identifier: GPL-2.0-only
/*
 * reply.h - answers to the local stack and to the network that are written over the packet in hand.
 *
 * To the stack: at ingress the rewritten packet simply goes on up. At egress it is redirected to
 * the uplink's ingress, marked as our own, with the MAC addresses swapped (the destination must be
 * ours).
 */
#ifndef SF_BPF_REPLY_H
#define SF_BPF_REPLY_H

#include "bpf/maps_host.h"

/** reply_up() - hand the @len bytes built in w->build to the local stack instead of the packet. */
static __always_inline int reply_up(struct __sk_buff *skb, struct work *w, __u32 dir, __u32 len)
{
	if (packet_replace(skb, &w->build, len))
		return drop(skb, SF_INTERNAL);
	if (dir == IN)
		return TC_ACT_UNSPEC;
	if (macs_swap(skb))
		return drop(skb, SF_INTERNAL);
	skb->mark = SF_MARK_OWN;
	return (int)bpf_redirect(skb->ifindex, BPF_F_INGRESS);
}

/** reply_back() - send the @len bytes built in w->build to the neighbour the packet came from. */
static __always_inline int reply_back(struct __sk_buff *skb, struct work *w, __u32 len)
{
	if (packet_replace(skb, &w->build, len) || macs_swap(skb))
		return drop(skb, SF_INTERNAL);
	return (int)bpf_redirect(skb->ifindex, 0);
}

/**
 * reply_segment() - a TCP segment without data to the local socket of w->tuple.
 * @seq, @ack: as in the segment, host order; with SF_TCP_ACK in @flags where @ack counts
 */
SUBPROG int reply_segment(struct __sk_buff *skb, __u32 dir, __u32 seq, __u32 ack, __u32 flags)
{
	__u32 len = SF_IPV6_LEN + sizeof(struct tcp);
	struct build *b;
	struct tcp *t;
	__u64 sum;
	WITH_WORK(dir);

	b = &w->build;
	t = (void *)&b->b[SF_IPV6_LEN];

	build_ip(b, &w->tuple.peer, &w->tuple.local, len, SF_NEXTHDR_TCP);
	t->sport = w->tuple.pport;
	t->dport = w->tuple.lport;
	t->seq = sf_be32(seq);
	t->ack = sf_be32(ack);
	t->doff = 5 << 4;
	t->flags = (__u8)flags;
	t->window = 0;
	t->csum = 0;
	t->urgent = 0;
	sum = sf_csum_addr(&w->tuple.peer) + sf_csum_addr(&w->tuple.local) + sf_be32(sizeof(*t)) +
	      sf_be32(SF_NEXTHDR_TCP) + build_sum(b, SF_IPV6_LEN, len);
	t->csum = (__u16)~sf_csum_fold(sum);
	return reply_up(skb, w, dir, len);
}

/**
 * reply_icmp6() - an ICMPv6 error to a local socket, whose quotation is in w->build already, at
 * ICMP6_QUOTE_AT, in the addresses that the socket knows.
 * @n: bytes quoted
 * @data: MTU or 0
 */
#define ICMP6_QUOTE_AT (SF_IPV6_LEN + sizeof(struct icmp6))

SUBPROG int reply_icmp6(struct __sk_buff *skb, __u32 dir, __u32 type, __u32 data, __u32 n)
{
	__u32 len = ICMP6_QUOTE_AT + n;
	struct sf_addr src, dst;
	struct build *b;
	struct icmp6 *i;
	struct ip6 *q;
	__u64 sum;
	WITH_WORK(dir);

	b = &w->build;
	i = (void *)&b->b[SF_IPV6_LEN];
	q = (void *)&b->b[ICMP6_QUOTE_AT];
	src = q->dst;
	dst = q->src;
	if (n > SF_QUOTE_MAX)
		return drop(skb, SF_INTERNAL);
	build_pad(b, len);
	build_ip(b, &src, &dst, len, SF_NEXTHDR_ICMPV6);
	i->type = (__u8)type;
	i->code = type == ICMP6_UNREACHABLE ? (__u8)data : 0;
	i->csum = 0;
	i->data = type == ICMP6_UNREACHABLE ? 0 : sf_be32(data);
	sum = sf_csum_addr(&src) + sf_csum_addr(&dst) + sf_be32(sizeof(*i) + n) +
	      sf_be32(SF_NEXTHDR_ICMPV6) + build_sum(b, SF_IPV6_LEN, len);
	i->csum = (__u16)~sf_csum_fold(sum);
	return reply_up(skb, w, dir, len);
}

/** reply_fail() - count @reason and answer the packet in hand with FAIL @fail, as far as its source
 * and the limit allow. */
SUBPROG int reply_fail(struct __sk_buff *skb, __u32 reason, __u32 fail)
{
	const struct sf_sid *self;
	WITH_WORK(IN);

	count(skb, reason);
	if (!fail_allowed(skb, &cfg->net, &w->build))
		return TC_ACT_SHOT;
	/* In place: copies are stack, of which a chain of calls has 512 bytes. */
	self = (const void *)&cfg->self.w[1];
	if (fail_make(skb, &w->build, self, NULL, fail) || macs_swap(skb))
		return drop(skb, SF_INTERNAL);
	count_traffic(skb, SF_TRAFFIC_FAIL_SENT);
	return (int)bpf_redirect(skb->ifindex, 0);
}

#endif
