// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * csum.h - Internet checksum arithmetic (RFC 1071, RFC 1624) over addresses.
 *
 * The transport checksum of a packet always covers the addresses that are on the wire. Hosts update
 * it when they translate. Routers never touch it: what they write in place of a destination has the
 * same ones'-complement sum (docs/protocol.md, "Checksum rule"), so that a resolution costs one
 * store and works on checksums that are complete, partial or left to the hardware.
 */
#ifndef SF_CORE_CSUM_H
#define SF_CORE_CSUM_H

#include "core/addr.h"

/** sf_csum_fold() - fold a 64-bit sum of 32-bit or 16-bit words to 16 bits, not complemented. */
SF_INLINE __u16 sf_csum_fold(__u64 sum)
{
	sum = (sum & 0xffffffffu) + (sum >> 32);
	sum = (sum & 0xffffffffu) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)((sum & 0xffff) + (sum >> 16));
}

/** sf_csum_addr() - ones'-complement sum of an address, as words in memory order (not folded). */
SF_INLINE __u64 sf_csum_addr(const struct sf_addr *a)
{
	return (__u64)a->w[0] + a->w[1] + a->w[2] + a->w[3];
}

/**
 * sf_csum_delta() - what to add to a checksum's sum when addresses change.
 * @from1, @from2: the pair before
 * @to1, @to2: the pair after
 *
 * Return: a 32-bit value in memory order, as bpf_l4_csum_replace(skb, offset, 0, delta,
 * BPF_F_PSEUDO_HDR) takes it. The inverse translation's delta is ~delta (sf_csum_undo).
 */
SF_INLINE __u32 sf_csum_delta(const struct sf_addr *from1, const struct sf_addr *from2,
			      const struct sf_addr *to1, const struct sf_addr *to2)
{
	__u16 old = sf_csum_fold(sf_csum_addr(from1) + sf_csum_addr(from2));
	__u64 sum = sf_csum_addr(to1) + sf_csum_addr(to2) + (__u16)~old;

	return sf_csum_fold(sum);
}

/** sf_csum_undo() - the delta of the inverse translation. */
SF_INLINE __u32 sf_csum_undo(__u32 delta)
{
	return (__u16)~delta;
}

/**
 * sf_csum_apply() - a transport checksum field after its pseudo-header changed by @delta
 * (RFC 1624 eqn. 3), for complete checksums. @field: as stored in the packet.
 *
 * The result may be 0 where the field was 0xffff, and the reverse: one value to TCP and ICMPv6. In
 * UDP over IPv6 a field of 0 is forbidden (RFC 8200 section 8.1), so who writes it there makes it
 * 0xffff, as the kernel datapath does by BPF_F_MARK_MANGLED_0.
 */
SF_INLINE __u16 sf_csum_apply(__u16 field, __u32 delta)
{
	return (__u16)~sf_csum_fold((__u64)(__u16)~field + delta);
}

/**
 * sf_csum_neutral() - make resolved destination @loc sum to what @was sums to.
 * @was: the destination that is replaced (or any with the same sum)
 * @loc: locator whose socketID is unset; its low 16 bits are overwritten with the adjustment
 *
 * (sum(was) - sum(loc)) mod 0xffff: of the two representations of zero, 0. Neither address is all
 * zeros, so both sums fold to the same 16 bits thereafter, not only to equivalent ones.
 */
SF_INLINE void sf_csum_neutral(const struct sf_addr *was, struct sf_addr *loc)
{
	__u16 own;

	loc->h[7] = 0;
	own = sf_csum_fold(sf_csum_addr(loc));
	own = sf_csum_fold(sf_csum_addr(was) + (__u16)~own);
	loc->h[7] = own == 0xffff ? 0 : own;
}

#if SF_NATIVE
/** sf_csum_bytes() - not folded sum over @len bytes (an odd last byte is padded with zero). */
__u64 sf_csum_bytes(const void *data, size_t len);
#endif

#endif
