// SPDX-License-Identifier: GPL-2.0-only
/*
 * parse.h - packets as the eBPF programs see them: header layouts, offsets, one way to reach them.
 *
 * Two ways in, each for its place. The hot path reads headers directly, through header(), which
 * checks bounds once. Everything else copies what it needs with bpf_skb_load_bytes(): offsets may
 * then be any number, and nothing is invalidated by a helper that moves the packet.
 * All offsets count from the Ethernet header.
 */
#ifndef SF_BPF_PARSE_H
#define SF_BPF_PARSE_H

#include <linux/bpf.h>
#include <linux/errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#include "core/sal.h"
#include "core/wire.h"

#define AF_INET6 10

#define IP_AT  ETH_HLEN			/* IPv6 header */
#define SRC_AT (ETH_HLEN + 8)		/* both addresses, IP_ADDRS_LEN */
#define DST_AT (ETH_HLEN + 24)		/* destination */
#define L4_AT  (ETH_HLEN + SF_IPV6_LEN) /* what follows the IPv6 header */

#define IP_PLEN_AT	   (IP_AT + 4) /* payload length, next header, hop limit */
#define IP_NEXTHDR_AT	   (IP_AT + 6)
#define IP_HOPS		   64 /* hop limit of what we send */
#define IP_ADDRS_LEN	   32 /* source and destination */
#define IP_ADDRS_OF(ip_at) ((ip_at) + 8)
#define L4_MIN		   8 /* bytes of a transport header with which we can do something: all of UDP's */
#define FRAG_OFFSET	   sf_be16(0xfff8)   /* in struct frag6's offset */
#define SOCK_LEN	   6		     /* a socketID on the wire */
#define TLV_LEN(tlv)	   (sizeof(tlv) - 2) /* what the length field of a fixed one says */

#define TCP_CSUM   16
#define UDP_CSUM   6
#define ICMP6_CSUM 2
#define ICMP6_DATA 4 /* MTU of Packet Too Big */

/*
 * A function that the verifier checks once and for all, not anew for each way that leads to it:
 * global, with arguments that it must not trust. The slow paths are made of these.
 */
#define SUBPROG __attribute__((noinline))

struct ip6 {
	__be32 vtc; /* version, traffic class, flow label */
	__be16 plen;
	__u8 nexthdr;
	__u8 hops;
	struct sf_addr src;
	struct sf_addr dst;
} SF_WIRE;

struct tcp {
	__be16 sport;
	__be16 dport;
	__be32 seq;
	__be32 ack;
	__u8 doff; /* upper half: length in words */
	__u8 flags;
	__be16 window;
	__u16 csum;
	__be16 urgent;
} SF_WIRE;

struct udp {
	__be16 sport;
	__be16 dport;
	__be16 len;
	__u16 csum;
} SF_WIRE;

struct icmp6 {
	__u8 type;
	__u8 code;
	__u16 csum;
	__be32 data; /* MTU of Packet Too Big */
} SF_WIRE;

struct frag6 {
	__u8 nexthdr;
	__u8 reserved;
	__be16 offset; /* lowest bit: more follow */
	__be32 id;
} SF_WIRE;

#define IPV6_MTU_MIN 1280 /* RFC 8200 section 5 */

#define ICMP6_UNREACHABLE 1
#define ICMP6_TOO_BIG	  2
#define ICMP6_EXCEEDED	  3
#define ICMP6_PARAMETER	  4
#define ICMP6_NO_ROUTE	  0 /* codes of unreachable */
#define ICMP6_NO_ADDRESS  3
#define ICMP6_NO_PORT	  4

SF_STATIC_ASSERT(sizeof(struct ip6) == SF_IPV6_LEN, "IPv6 header");
SF_STATIC_ASSERT(sizeof(struct tcp) == 20, "TCP header");

/* Volatile, so that the compiler does not keep halves of these pointers over a call. */
#define DATA(skb)     ((void *)(long)*(volatile __u32 *)&(skb)->data)
#define DATA_END(skb) ((void *)(long)*(volatile __u32 *)&(skb)->data_end)

/**
 * header() - the first @len bytes of the packet, for direct access.
 *
 * Drivers may leave headers in fragments; they are pulled in then. Return: pointer or NULL when the
 * packet is shorter.
 */
static __always_inline void *header(struct __sk_buff *skb, __u32 len)
{
	void *data = DATA(skb);

	if (data + len <= DATA_END(skb))
		return data;
	if (skb->len < len || bpf_skb_pull_data(skb, len))
		return NULL;
	data = DATA(skb);
	return data + len <= DATA_END(skb) ? data : NULL;
}

/*
 * OUTSIDE() - is @n, a __u32 variable, no length from @min to @max?
 *
 * If not, the verifier knows it then. Written plainly the compiler makes one comparison of both, of
 * @n - @max - 1, and what is known of a difference the verifiers before Linux 6.11 do not carry
 * over to @n ("R3 min value is outside of the allowed memory range").
 */
#define OUTSIDE(n, min, max)           \
	({                             \
		SF_BARRIER(n);         \
		(n) > (max) || ({      \
			SF_BARRIER(n); \
			(n) < (min);   \
		});                    \
	})

/** tagged() - whether the packet is of a VLAN that is stacked upon this device: it comes again, on
 * the VLAN's own device. Tag 0 has a priority alone. */
static __always_inline bool tagged(struct __sk_buff *skb)
{
	return skb->vlan_present && (skb->vlan_tci & 0x0fff);
}

/** load() - copy @len bytes from @at. Return: 0 or a negative errno. */
static __always_inline int load(struct __sk_buff *skb, __u32 at, void *to, __u32 len)
{
	return (int)bpf_skb_load_bytes(skb, at, to, len);
}

/** sum_bytes() - ones'-complement sum of @len bytes (a multiple of 4, at most 512), not folded. */
static __always_inline __u64 sum_bytes(void *from, __u32 len)
{
	return (__u32)bpf_csum_diff(NULL, 0, from, len, 0);
}

#endif
