// SPDX-License-Identifier: Apache-2.0
/*
 * packet.h - packets for tests: made whole, with right checksums, and taken apart again.
 */
#ifndef SF_TEST_PACKET_H
#define SF_TEST_PACKET_H

#include <stdbool.h>
#include <stdint.h>
#include <netinet/icmp6.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>

#include "core/sal.h"
#include "core/wire.h"

#define ETH 14

/** struct packet - a frame: Ethernet header and all. */
struct packet {
	uint32_t len;
	uint32_t pad;
	uint8_t b[65536];
};

/** struct parsed - where things are in a packet; NULL what is not there. */
struct parsed {
	struct ip6_hdr *ip;
	struct sf_addr src, dst;
	struct sf_hdr *hdr;
	struct ip6_frag *frag;
	struct tcphdr *tcp;
	struct udphdr *udp;
	struct icmp6_hdr *icmp;
	uint8_t *payload; /* behind the transport header, or behind a stand-alone header */
	uint32_t payload_len;
	bool csum_ok; /* of the transport, or of the stand-alone header */
};

struct segment {
	struct sf_addr src, dst;
	uint16_t sport, dport; /* host order */
	uint32_t seq, ack;
	uint8_t flags;
	uint32_t payload;
};

/** packet_tcp() - a TCP segment with a complete checksum; the payload counts up. */
void packet_tcp(struct packet *p, const struct segment *s);

/** packet_udp() - a UDP datagram likewise; flags, seq and ack are not used. */
void packet_udp(struct packet *p, const struct segment *s);

/** packet_icmp6_error() - an ICMPv6 error about @about, quoting at most 1232 bytes of it. */
void packet_icmp6_error(struct packet *p, const struct sf_addr *src, const struct sf_addr *dst,
			uint8_t type, uint8_t code, uint32_t data, const struct packet *about);

/** packet_alone() - a stand-alone SCAFFOLD packet. @tlvs and @contents may be NULL. */
void packet_alone(struct packet *p, const struct sf_addr *src, const struct sf_addr *dst,
		  uint8_t kind, const struct sf_sid *dst_sid, const struct sf_sid *src_sid,
		  const void *tlvs, size_t tlvs_len, const void *contents, size_t len);

/** packet_fail() - a FAIL about @about from @src with @reason. */
void packet_fail(struct packet *p, const struct sf_addr *src, const struct sf_sid *sid,
		 uint8_t reason, const struct packet *about);

/** packet_push() - put a SCAFFOLD header of 32 bytes behind the IPv6 header. */
void packet_push(struct packet *p, uint8_t kind, uint16_t aux, const struct sf_sid *dst,
		 const struct sf_sid *src);

/** packet_parse() - take @p apart from its IPv6 header on. */
void packet_parse(struct packet *p, struct parsed *out);

/** packet_resolve() - what a service router does: a neutral destination in place of the old. */
void packet_resolve(struct packet *p, const struct sf_addr *locator);

/** packet_fragment() - the part [@from, @from + @len) of the IPv6 payload of @p as a fragment. */
void packet_fragment(struct packet *out, const struct packet *p, uint32_t id, uint32_t from,
		     uint32_t len);

#endif
