// SPDX-License-Identifier: GPL-2.0-only
/*
 * packet.h - changing packets: addresses, the SCAFFOLD header on and off, whole replacement.
 *
 * Theory of operation
 *
 * Checksums. Packets on virtual devices carry checksums that nobody has completed yet
 * (CHECKSUM_PARTIAL: the field holds the pseudo-header's sum alone), packets from network cards may
 * carry a sum over the whole packet beside them (CHECKSUM_COMPLETE). The checksum helpers keep all
 * of that right, if every change of the IPv6 header is told (BPF_F_RECOMPUTE_CSUM).
 *
 * Replacement. An answer to a packet (FAIL, reset, ICMPv6 error, PROBE-ACK) is written over the
 * packet itself. A partial checksum would then be completed at the old place, inside the new
 * contents. No helper clears that mark, but the kernel does when the start of the packet moves past
 * the place of the checksum: so the packet is first lengthened by SF_CLEAR bytes and then shortened
 * by as many at its front.
 */
#ifndef SF_BPF_PACKET_H
#define SF_BPF_PACKET_H

#include "bpf/parse.h"

/* More than the longest way from the start of a packet to a transport checksum's header. */
#define SF_CLEAR 352

/* Room for what is built: IPv6, header of a FAIL, quotation, and a word to pad with. */
#define SF_BUILD_MAX (SF_IPV6_LEN + SF_FAIL_LEN + SF_QUOTE_MAX)

struct build {
	union {
		__u8 b[512];
		__u32 w[128];
		struct ip6 ip;
	};
};

/** struct front - what is written into a packet as one, from its payload length on. */
struct front {
	__be16 plen;
	__u8 nexthdr;
	__u8 hops;
	struct sf_addr pair[2]; /* source and destination */
	struct sf_hdr hdr;
	struct sf_tlv_target target;
} SF_WIRE;

#define FRONT_LEN __builtin_offsetof(struct front, hdr) /* without a header */

/**
 * csum_fix() - a transport checksum before the addresses in its pseudo-header change by @delta.
 *
 * The helper takes the change out of a complete sum, to which the addresses' own change is added
 * when they are stored (BPF_F_RECOMPUTE_CSUM).
 * @at: offset of the checksum; 0: there is none (a fragment that is not the first)
 */
static __always_inline void csum_fix(struct __sk_buff *skb, __u32 at, __u32 delta, __u64 flags)
{
	if (at)
		bpf_l4_csum_replace(skb, at, 0, delta, flags | BPF_F_PSEUDO_HDR);
}

/**
 * readdress() - write both addresses and mend the transport checksum.
 * @pair: source and destination, 32 bytes
 * @csum_at: as in csum_fix()
 */
static __always_inline int readdress(struct __sk_buff *skb, const void *pair, __u32 csum_at,
				     __u32 delta, __u64 flags)
{
	csum_fix(skb, csum_at, delta, flags);
	return (int)bpf_skb_store_bytes(skb, SRC_AT, pair, IP_ADDRS_LEN, BPF_F_RECOMPUTE_CSUM);
}

/* Datagrams that are to be segmented behind us keep their size: it is the program's. */
#define ADJUST (BPF_F_ADJ_ROOM_NO_CSUM_RESET | BPF_F_ADJ_ROOM_FIXED_GSO)

/**
 * packet_wrap() - put a SCAFFOLD header behind the IPv6 header, and other addresses into that.
 * @f: complete but for plen and nexthdr
 * @plen: payload length as it is
 * @len: of the header, 32 or 40 bytes
 * @csum_at: as in csum_fix(), in the packet as it will be
 */
static __always_inline int packet_wrap(struct __sk_buff *skb, struct front *f, __u32 plen,
				       __u32 len, __u32 csum_at, __u32 delta, __u64 flags)
{
	f->plen = sf_be16((__u16)(plen + len));
	f->nexthdr = SF_NEXTHDR_DSTOPTS;
	if (bpf_skb_adjust_room(skb, (__s32)len, BPF_ADJ_ROOM_NET, ADJUST))
		return -1;
	csum_fix(skb, csum_at, delta, flags);
	return (int)bpf_skb_store_bytes(skb, IP_PLEN_AT, f, FRONT_LEN + len, BPF_F_RECOMPUTE_CSUM);
}

/** packet_unwrap() - take the SCAFFOLD header of @len bytes away; otherwise as packet_wrap(), but
 * @f->nexthdr is given. */
static __always_inline int packet_unwrap(struct __sk_buff *skb, struct front *f, __u32 plen,
					 __u32 len, __u32 csum_at, __u32 delta, __u64 flags)
{
	f->plen = sf_be16((__u16)(plen - len));
	if (bpf_skb_adjust_room(skb, -(__s32)len, BPF_ADJ_ROOM_NET, ADJUST))
		return -1;
	csum_fix(skb, csum_at, delta, flags);
	return (int)bpf_skb_store_bytes(skb, IP_PLEN_AT, f, FRONT_LEN, BPF_F_RECOMPUTE_CSUM);
}

/**
 * packet_replace() - write @len bytes of @b over everything behind the Ethernet header.
 *
 * The result is a plain packet: no partial checksum, no segmentation, whatever was there. It is the
 * end of all the deepest calls, so it makes none of its own: in Linux 6.1 each takes 32 bytes at
 * least of the 512 that all the stacks of a chain of calls have together.
 * Return: 0 or negative; the packet is spoilt then.
 */
static __always_inline int packet_replace(struct __sk_buff *skb, struct build *b, __u32 len)
{
	if (len < SF_IPV6_LEN || len > SF_BUILD_MAX)
		return -1;
	if (bpf_skb_change_tail(skb, ETH_HLEN + len + SF_CLEAR, 0))
		return -1;
	if (bpf_skb_adjust_room(skb, -SF_CLEAR, BPF_ADJ_ROOM_MAC, 0))
		return -1;
	if (OUTSIDE(len, SF_IPV6_LEN, SF_BUILD_MAX))
		return -1;
	return (int)bpf_skb_store_bytes(skb, IP_AT, b, len, BPF_F_RECOMPUTE_CSUM);
}

/** macs_swap() - send a packet back to the neighbour from which it came. */
static __always_inline int macs_swap(struct __sk_buff *skb)
{
	__u8 macs[2 * ETH_ALEN], swapped[2 * ETH_ALEN];

	if (load(skb, 0, macs, sizeof(macs)))
		return -1;
	__builtin_memcpy(swapped, macs + ETH_ALEN, ETH_ALEN);
	__builtin_memcpy(swapped + ETH_ALEN, macs, ETH_ALEN);
	return (int)bpf_skb_store_bytes(skb, 0, swapped, sizeof(swapped), 0);
}

/** build_ip() - the IPv6 header of a new packet of @len bytes in all. */
static __always_inline void build_ip(struct build *b, const struct sf_addr *src,
				     const struct sf_addr *dst, __u32 len, __u8 nexthdr)
{
	b->ip.vtc = sf_be32(0x60000000);
	b->ip.plen = sf_be16((__u16)(len - SF_IPV6_LEN));
	b->ip.nexthdr = nexthdr;
	b->ip.hops = IP_HOPS;
	b->ip.src = *src;
	b->ip.dst = *dst;
}

/** build_pad() - zeros behind the end of @b, for sums over odd lengths. */
static __always_inline void build_pad(struct build *b, __u32 end)
{
	SF_BARRIER(end);
	if (end <= sizeof(b->b) - 8)
		__builtin_memset(&b->b[end], 0, 4);
}

/** build_sum() - folded sum over bytes [@from, @to) of @b, up to the next multiple of 4. @from: a
 * constant. */
static __always_inline __u16 build_sum(struct build *b, __u32 from, __u32 to)
{
	__u32 len = (to - from + 3) & ~3u;

	SF_BARRIER(len);
	if (len > sizeof(b->b) - 128)
		return 0;
	return sf_csum_fold(sum_bytes(&b->b[from], len));
}

/**
 * build_complete() - complete a partial transport checksum inside @b.
 * @base: a constant: where the quoted IPv6 header starts
 * @l4: where its TCP or UDP header starts
 * @end: where the packet ends; it must be there whole, and padded (build_pad)
 *
 * A packet that met its fate on a virtual device still has its pseudo-header's sum in the field,
 * and is told by that. Return: whether the checksum is right now.
 */
static __always_inline bool build_complete(struct build *b, __u32 base, __u32 l4, __u32 end,
					   __u8 proto)
{
	struct ip6 *ip = (void *)&b->b[base];
	__u32 at = l4 + (proto == SF_NEXTHDR_TCP ? TCP_CSUM : UDP_CSUM);
	__u64 pseudo, sum;
	__u16 *field;

	if (l4 < base + SF_IPV6_LEN || end < l4 + L4_MIN || at + sizeof(*field) > end)
		return false;
	SF_BARRIER(at);
	if (at > sizeof(b->b) - 8)
		return false;
	/* Once more, for the verifier: what it saw of a comparison Linux 6.1 forgets of a value
	 * that the compiler has put on the stack before. The offset is even. */
	at &= sizeof(b->b) - 2;
	SF_BARRIER(at);
	field = (void *)&b->b[at];
	pseudo = sf_csum_addr(&ip->src) + sf_csum_addr(&ip->dst) + sf_be32(end - l4) +
		 sf_be32(proto);
	sum = build_sum(b, base, end);
	sum += (__u16)~build_sum(b, base, l4);
	if (sf_csum_fold(sum + pseudo) == 0xffff)
		return true;
	/* Equal modulo 0xffff: fold the difference, which is then all ones. */
	if (sf_csum_fold(pseudo + (__u16) ~*field) != 0xffff)
		return false;
	*field = (__u16)~sf_csum_fold(sum + (__u16) ~*field + pseudo);
	return true;
}

#endif
