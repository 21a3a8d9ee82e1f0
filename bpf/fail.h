// SPDX-License-Identifier: GPL-2.0-only
/*
 * fail.h - turning an offending packet into the FAIL that quotes it (docs/protocol.md, "FAIL").
 *
 *   Ethernet | IPv6 | header {FAIL, reason TLV} | the offender, from its IPv6 header on, <= 256 B
 *
 * The FAIL goes back the way the packet came. Its source is the packet's destination as it arrived
 * (or the router's own locator), so the sender can tell that its peer answers.
 */
#ifndef SF_BPF_FAIL_H
#define SF_BPF_FAIL_H

#include "bpf/count.h"
#include "bpf/packet.h"

#define QUOTE_AT (SF_IPV6_LEN + SF_FAIL_LEN) /* offset of the quotation in what is built */

struct fail_hdr {
	struct sf_hdr hdr;
	struct sf_tlv_reason reason;
} SF_WIRE;

SF_STATIC_ASSERT(sizeof(struct fail_hdr) == SF_FAIL_LEN, "FAIL header");

/**
 * fail_reaches() - whether a FAIL about a packet from @src may be sent there.
 *
 * Only a locator that a SCAFFOLD host can have sent from: others never asked us anything, and
 * whoever wrote their address into a packet wants us to bother them.
 */
static __always_inline bool fail_reaches(const struct sf_net *net, const struct sf_addr *src,
					 __u8 kind)
{
	if (!sf_addr_in_as(net, src) && src->h[0] != sf_be16(SF_LOCATOR_PREFIX))
		return false;
	/* Plain addresses probe; all else comes from sockets. */
	return sf_locator_host(src) &&
	       (kind == SF_KIND_PROBE || !sf_sock_is_unset(sf_locator_sock(src)));
}

/**
 * fail_allowed() - whether the packet in hand may be answered now. Counts what the limit held.
 * @b: where to look at it, overwritten
 */
static __always_inline bool fail_allowed(struct __sk_buff *skb, const struct sf_net *net,
					 struct build *b)
{
	struct sf_hdr *h = (void *)&b->b[SF_IPV6_LEN];
	__u8 kind = SF_KIND_NONE;
	__u32 budget;

	/* Up to and without the serviceIDs. */
	if (load(skb, IP_AT, b, SF_IPV6_LEN + __builtin_offsetof(struct sf_hdr, dst)))
		return false;
	if (b->ip.nexthdr == SF_NEXTHDR_DSTOPTS && sf_hdr_is_ours(h))
		kind = sf_hdr_kind(h);
	if (!fail_reaches(net, &b->ip.src, kind))
		return false;
	/* Datagrams have no windows: who sends at full speed must not use up the answers to TCP. */
	if (b->ip.nexthdr == SF_NEXTHDR_UDP)
		kind = SF_KIND_DATA;
	budget = budget_of(kind);
	if (budget_take(budget))
		return true;
	count(skb, budget_reason(budget));
	return false;
}

/** fail_finish() - headers and checksum of the FAIL in @b around a quotation of @n bytes. */
static __always_inline void fail_finish(struct build *b, const struct sf_addr *src,
					const struct sf_addr *dst, const struct sf_sid *dst_sid,
					const struct sf_sid *own, __u8 kind, __u8 reason, __u32 n)
{
	struct fail_hdr *f = (void *)&b->b[SF_IPV6_LEN];
	__u32 len = SF_FAIL_LEN + n;
	__u64 sum;

	build_ip(b, src, dst, SF_IPV6_LEN + len, SF_NEXTHDR_DSTOPTS);
	sf_hdr_init(&f->hdr, SF_NEXTHDR_NONE, SF_FAIL_LEN, SF_KIND_FAIL, 0, 0, dst_sid, own);
	f->reason.type = SF_TLV_REASON;
	f->reason.len = TLV_LEN(f->reason);
	f->reason.reason = reason;
	f->reason.kind = kind;
	f->reason.quoted = sf_be16((__u16)n);
	f->reason.reserved = 0;
	sum = sf_alone_pseudo(src, dst, len) + build_sum(b, SF_IPV6_LEN, SF_IPV6_LEN + len);
	f->hdr.aux = (__u16)~sf_csum_fold(sum);
}

/** fail_quoted_complete() - complete the checksum of a quoted TCP or UDP packet of @n bytes. */
static __always_inline void fail_quoted_complete(struct build *b, __u32 n)
{
	struct ip6 *ip = (void *)&b->b[QUOTE_AT];
	struct sf_hdr *h = (void *)&b->b[QUOTE_AT + SF_IPV6_LEN];
	__u32 l4 = QUOTE_AT + SF_IPV6_LEN;
	__u8 proto = ip->nexthdr;

	if (proto == SF_NEXTHDR_DSTOPTS && sf_hdr_is_ours(h)) {
		proto = h->nexthdr;
		l4 += sf_hdr_bytes(h);
	}
	if (proto == SF_NEXTHDR_TCP || proto == SF_NEXTHDR_UDP)
		build_complete(b, QUOTE_AT, l4, QUOTE_AT + n, proto);
}

/**
 * fail_make() - replace a packet by the FAIL that quotes it; the Ethernet header stays.
 * @own: the answerer's identity
 * @src: its locator; NULL: the packet's destination
 * Return: 0, or negative when it cannot be done.
 */
SUBPROG int fail_make(struct __sk_buff *skb, struct build *b, const struct sf_sid *own,
		      const struct sf_addr *src, __u32 reason)
{
	static const struct sf_sid anonymous;
	const struct sf_sid *dst_sid = &anonymous;
	__u8 kind = SF_KIND_NONE;
	__u32 n, whole;
	struct sf_hdr *h;
	struct ip6 *ip;

	if (!b || !own)
		return -1;
	ip = (void *)&b->b[QUOTE_AT];
	h = (void *)&b->b[QUOTE_AT + SF_IPV6_LEN];
	if (load(skb, IP_AT, ip, SF_IPV6_LEN))
		return -1;
	whole = SF_IPV6_LEN + sf_be16(ip->plen);
	n = skb->len - ETH_HLEN;
	if (n > whole)
		n = whole;
	if (n > SF_QUOTE_MAX)
		n = SF_QUOTE_MAX;
	if (OUTSIDE(n, SF_IPV6_LEN + L4_MIN, SF_QUOTE_MAX))
		return -1;
	if (load(skb, IP_AT, &b->b[QUOTE_AT], n))
		return -1;
	build_pad(b, QUOTE_AT + n);
	if (ip->nexthdr == SF_NEXTHDR_DSTOPTS && n >= SF_IPV6_LEN + SF_HDR_LEN &&
	    sf_hdr_is_ours(h)) {
		kind = sf_hdr_kind(h);
		dst_sid = &h->src;
	}
	if (n == whole)
		fail_quoted_complete(b, n);
	fail_finish(b, src ? src : &ip->dst, &ip->src, dst_sid, own, kind, (__u8)reason, n);
	return packet_replace(skb, b, QUOTE_AT + n);
}

#endif
