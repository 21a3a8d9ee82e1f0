// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * wire.h - the SCAFFOLD header on the wire, its limits and timers (docs/protocol.md, "Header").
 *
 * An IPv6 Destination Options header (RFC 8200 section 4.6, next header 60) with one option of type
 * 0x1e, which hosts that do not know it skip:
 *
 *    0                   1                   2                   3
 *   | next header   | hdr ext len   | option 0x1e   | option length |
 *   | ver   | kind  | flags         | aux                           |
 *   | destination serviceID (96 bits)                               |
 *   | source serviceID (96 bits, 0 = anonymous)                     |
 *   | TLVs, padded to a multiple of 8 bytes                         |
 *
 * aux is the attempt in SYN, the nonce in DATA, and the checksum in the kinds that stand alone.
 */
#ifndef SF_CORE_WIRE_H
#define SF_CORE_WIRE_H

#include "core/addr.h"
#include "core/csum.h"
#include "core/reason.h"

#define SF_NEXTHDR_DSTOPTS 60
#define SF_NEXTHDR_NONE	   59
#define SF_NEXTHDR_TCP	   6
#define SF_NEXTHDR_UDP	   17
#define SF_NEXTHDR_ICMPV6  58
#define SF_NEXTHDR_FRAG	   44

#define SF_OPTION    0x1e /* RFC 4727 experiment: skip if unknown, may not change en route */
#define SF_WIRE_VERS 1
#define SF_HDR_LEN   32	 /* base header; also what a SYN grows by */
#define SF_HDR_MAX   256 /* with TLVs */
#define SF_IPV6_LEN  40
#define SF_CTRL_PORT 24158 /* UDP, host <-> access router */

/* Limits and timers. */
#define SF_ATTEMPT_MAX	4    /* instances that a refused SYN tries after the first */
#define SF_QUOTE_MAX	256  /* bytes of the offending packet in a FAIL */
#define SF_FAIL_PER_SEC 4096 /* FAILs a host or router answers to unknown senders, each second */

/** enum sf_kind - kinds of SCAFFOLD packet. Zero is no kind: a packet without the header. */
enum sf_kind {
	SF_KIND_NONE = 0,
	SF_KIND_SYN = 1,     /* first packet of a flow; prefixes a transport packet */
	SF_KIND_SYN_ACK = 2, /* binds the client; prefixes */
	SF_KIND_ACK = 3,     /* of the handshake; prefixes */
	SF_KIND_DATA = 4,    /* unbound datagram; prefixes */
	SF_KIND_RSYN = 5,    /* the rest stand alone (next header 59) */
	SF_KIND_RSYN_ACK = 6,
	SF_KIND_RACK = 7,
	SF_KIND_FAIL = 8, /* followed by the offending packet, from its IPv6 header on */
	SF_KIND_REDIRECT = 9,
	SF_KIND_PROBE = 10,
	SF_KIND_PROBE_ACK = 11,
	SF_KIND_MAX = 12,
};

/* Flags. */
#define SF_FLAG_FAILOVER 0x01 /* the sender wants failover (paper section 4.2.2) */
#define SF_FLAG_UNBOUND	 0x02 /* the sender keeps no state: resolve the answer too */
#define SF_FLAG_AUTH	 0x04 /* reserved: a MAC TLV follows */
#define SF_FLAG_FULL_ID	 0x08 /* reserved: 256-bit identities follow in TLVs */

/**
 * struct sf_hdr - the base header, 32 bytes.
 *
 * It stands on a boundary of 4 bytes: true of a packet as drivers lay it out (NET_IP_ALIGN) on
 * processors that mind, and of every buffer that allocators give. Copy it out of anything else.
 */
struct sf_hdr {
	__u8 nexthdr;
	__u8 len8; /* length in units of 8 bytes, not counting the first 8 */
	__u8 opt_type;
	__u8 opt_len; /* bytes after opt_len */
	__u8 vers_kind;
	__u8 flags;
	__be16 aux;
	struct sf_sid dst;
	struct sf_sid src;
} SF_WIRE;

SF_STATIC_ASSERT(sizeof(struct sf_hdr) == SF_HDR_LEN, "header");

/* TLVs: type, length of value, value. Type 0 is a single byte of padding. */
enum sf_tlv {
	SF_TLV_PAD = 0,
	SF_TLV_REASON = 1, /* FAIL: struct sf_tlv_reason */
	SF_TLV_HOST_SID =
		2,	   /* host serviceID, where the header's source is another name; 12 bytes */
	SF_TLV_TARGET = 3, /* PROBE: struct sf_tlv_target */
	SF_TLV_SOCKS = 4,  /* PROBE, PROBE-ACK: socketIDs, 6 bytes each, at most 16 */
	SF_TLV_MOVE = 5,   /* RSYN, RSYN-ACK, RACK: struct sf_tlv_move (core/renegotiate.h) */
	SF_TLV_MAC = 6,	   /* reserved for authenticated flows */
	SF_TLV_FULL_ID = 7, /* reserved for 256-bit identities */
	SF_TLV_PLACE =
		8, /* REDIRECT: a locator, with socketID if it has another key there; 16 bytes */
};

/** struct sf_tlv_reason - the TLV of a FAIL, 8 bytes. */
struct sf_tlv_reason {
	__u8 type; /* SF_TLV_REASON */
	__u8 len;  /* 6 */
	__u8 reason;
	__u8 kind;     /* of the offending packet, SF_KIND_NONE for bound data */
	__be16 quoted; /* bytes quoted */
	__be16 reserved;
} SF_WIRE;

/** struct sf_tlv_target - what a PROBE asks for, 8 bytes. Zero protocol and port: any. */
struct sf_tlv_target {
	__u8 type; /* SF_TLV_TARGET */
	__u8 len;  /* 6 */
	__u8 proto;
	__u8 reserved;
	__be16 port;
	__be16 ident; /* echoed in PROBE-ACK */
} SF_WIRE;

SF_STATIC_ASSERT(sizeof(struct sf_tlv_reason) == 8, "reason TLV");
SF_STATIC_ASSERT(sizeof(struct sf_tlv_target) == 8, "target TLV");

#define SF_FAIL_LEN  (SF_HDR_LEN + sizeof(struct sf_tlv_reason)) /* header of a FAIL */
#define SF_PROBE_LEN (SF_HDR_LEN + sizeof(struct sf_tlv_target))

SF_INLINE __u8 sf_hdr_kind(const struct sf_hdr *h)
{
	return h->vers_kind & 0x0f;
}

SF_INLINE __u8 sf_hdr_version(const struct sf_hdr *h)
{
	return h->vers_kind >> 4;
}

/** sf_hdr_bytes() - whole length in bytes, TLVs included. */
SF_INLINE __u32 sf_hdr_bytes(const struct sf_hdr *h)
{
	return ((__u32)h->len8 + 1) * 8;
}

/** sf_kind_stands_alone() - whether packets of @kind carry no transport packet. */
SF_INLINE bool sf_kind_stands_alone(__u8 kind)
{
	return kind >= SF_KIND_RSYN && kind < SF_KIND_MAX;
}

/** sf_kind_draws_fail() - whether a refused packet of @kind may be answered with FAIL. */
SF_INLINE bool sf_kind_draws_fail(__u8 kind)
{
	return kind == SF_KIND_NONE || kind == SF_KIND_SYN || kind == SF_KIND_DATA ||
	       kind == SF_KIND_RSYN || kind == SF_KIND_PROBE;
}

/** sf_kind_is_resolved() - whether a service router chooses an instance for packets of @kind. */
SF_INLINE bool sf_kind_is_resolved(__u8 kind)
{
	return kind == SF_KIND_SYN || kind == SF_KIND_DATA || kind == SF_KIND_RSYN ||
	       kind == SF_KIND_PROBE;
}

/**
 * sf_hdr_init() - write a base header.
 * @len: whole length in bytes, a multiple of 8, at least 32
 * @aux: host order
 */
SF_INLINE void sf_hdr_init(struct sf_hdr *h, __u8 nexthdr, __u32 len, __u8 kind, __u8 flags,
			   __u16 aux, const struct sf_sid *dst, const struct sf_sid *src)
{
	h->nexthdr = nexthdr;
	h->len8 = (__u8)(len / 8 - 1);
	h->opt_type = SF_OPTION;
	h->opt_len = (__u8)(len - 4);
	h->vers_kind = (__u8)(SF_WIRE_VERS << 4 | kind);
	h->flags = flags;
	h->aux = sf_be16(aux);
	h->dst = *dst;
	h->src = *src;
}

/**
 * sf_hdr_is_ours() - whether a Destination Options header holds the SCAFFOLD option first.
 *
 * Other Destination Options headers are somebody else's and pass untouched.
 */
SF_INLINE bool sf_hdr_is_ours(const struct sf_hdr *h)
{
	return h->opt_type == SF_OPTION;
}

/**
 * sf_hdr_check() - validate what the base header says.
 * @room: bytes from the header's start to the packet's end
 *
 * Return: 0 or the reason (enum sf_reason) for which the packet is dropped.
 */
SF_INLINE __u8 sf_hdr_check(const struct sf_hdr *h, __u32 room)
{
	__u32 len = sf_hdr_bytes(h);
	__u8 kind = sf_hdr_kind(h);

	if (sf_hdr_version(h) != SF_WIRE_VERS)
		return SF_BAD_VERSION;
	if (!kind || kind >= SF_KIND_MAX)
		return SF_BAD_KIND;
	if (len < SF_HDR_LEN || len > SF_HDR_MAX || (__u32)h->opt_len + 4 != len)
		return SF_BAD_HEADER;
	if (room < len)
		return SF_TRUNCATED;
	if (sf_kind_stands_alone(kind) != (h->nexthdr == SF_NEXTHDR_NONE))
		return SF_BAD_KIND;
	return 0;
}

/**
 * sf_alone_pseudo() - the part of a stand-alone packet's checksum that covers addresses and length.
 *
 * The sum covers source, destination, payload length (header and contents, as 32 bits) and next
 * header 60, as RFC 8200 section 8.1 does for upper layers, then the header with aux = 0 and all
 * that follows it. Where a router resolves the packet, the destination's sum does not change.
 */
SF_INLINE __u64 sf_alone_pseudo(const struct sf_addr *src, const struct sf_addr *dst, __u32 len)
{
	return sf_csum_addr(src) + sf_csum_addr(dst) + sf_be32(len) + sf_be32(SF_NEXTHDR_DSTOPTS);
}

/**
 * sf_alone_csum() - what a stand-alone packet's aux holds.
 * @sum: sf_alone_pseudo() plus the sum over header (aux = 0) and contents
 *
 * The complement, as in TCP: a receiver's sum over everything, aux included, folds to 0xffff.
 * 0 means no exemption as it does in UDP; it is sent as it is.
 */
SF_INLINE __be16 sf_alone_csum(__u64 sum)
{
	return (__be16)~sf_csum_fold(sum);
}

#if SF_NATIVE

/**
 * struct sf_packet - a parsed IPv6 packet with a SCAFFOLD header, for tools and tests.
 * @tlvs, @tlvs_len: the TLV area
 * @rest, @rest_len: what follows the header (transport packet, or the contents of a stand-alone)
 */
struct sf_packet {
	struct sf_addr src, dst;
	__u8 hop_limit;
	struct sf_hdr hdr;
	const __u8 *tlvs;
	size_t tlvs_len;
	const __u8 *rest;
	size_t rest_len;
	__u32 plen; /* what the IPv6 header says */
};

/**
 * sf_packet_decode() - parse @len bytes from an IPv6 header on.
 * @len: may pass the packet's own length (a link's padding), and be less for an RSYN that has its
 *       header: what follows is zero, @rest_len what there is of it
 *
 * Return: 0; -ENOENT when it is no SCAFFOLD packet; else -EBADMSG with *@reason set (enum
 * sf_reason). The checksum of stand-alone kinds is verified; TLVs are not (sf_tlv_find()).
 */
int sf_packet_decode(const void *data, size_t len, struct sf_packet *out, __u8 *reason);

/** sf_tlv_find() - value of the first TLV of @type. Return: its length, or -ENOENT, -EBADMSG. */
int sf_tlv_find(const __u8 *tlvs, size_t len, __u8 type, const __u8 **value);

/**
 * sf_alone_encode() - build a stand-alone packet: IPv6 header, SCAFFOLD header, TLVs, contents.
 * @tlvs: already encoded; padded here to a multiple of 8
 * Return: length written, -EINVAL for a kind that does not stand alone, or -EMSGSIZE when @room is
 * too small or the header would pass SF_HDR_MAX.
 */
int sf_alone_encode(void *out, size_t room, const struct sf_addr *src, const struct sf_addr *dst,
		    __u8 hop_limit, __u8 kind, __u8 flags, const struct sf_sid *dst_sid,
		    const struct sf_sid *src_sid, const void *tlvs, size_t tlvs_len,
		    const void *contents, size_t contents_len);
#endif

#endif
