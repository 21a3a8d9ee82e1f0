// SPDX-License-Identifier: Apache-2.0
/* packet.c - see packet.h. */
#include "tests/bpf/packet.h"

#include <arpa/inet.h>
#include <assert.h>
#include <string.h>

static struct ip6_hdr *ip_begin(struct packet *p, const struct sf_addr *src,
				const struct sf_addr *dst, uint8_t next, uint32_t payload)
{
	static const uint8_t eth[ETH] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd };
	struct ip6_hdr *ip = (void *)&p->b[ETH];

	assert(ETH + 40 + payload <= sizeof(p->b));
	memset(p->b, 0, ETH + 40 + payload);
	memcpy(p->b, eth, ETH);
	ip->ip6_flow = htonl(0x60000000);
	ip->ip6_plen = htons((uint16_t)payload);
	ip->ip6_nxt = next;
	ip->ip6_hlim = 64;
	memcpy(&ip->ip6_src, src, 16);
	memcpy(&ip->ip6_dst, dst, 16);
	p->len = ETH + 40 + payload;
	return ip;
}

/* Checksum of @len bytes of transport under the addresses of @ip; 0xffff is right. */
static uint16_t l4_sum(const struct ip6_hdr *ip, const void *l4, uint32_t len, uint8_t proto)
{
	struct sf_addr src, dst;

	memcpy(&src, &ip->ip6_src, 16);
	memcpy(&dst, &ip->ip6_dst, 16);
	return sf_csum_fold(sf_csum_addr(&src) + sf_csum_addr(&dst) + htonl(len) + htonl(proto) +
			    sf_csum_bytes(l4, len));
}

static void payload_fill(uint8_t *at, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		at[i] = (uint8_t)(i * 7 + 1);
}

void packet_tcp(struct packet *p, const struct segment *s)
{
	uint32_t len = 20 + s->payload;
	struct ip6_hdr *ip = ip_begin(p, &s->src, &s->dst, IPPROTO_TCP, len);
	struct tcphdr *t = (void *)(ip + 1);

	t->source = htons(s->sport);
	t->dest = htons(s->dport);
	t->seq = htonl(s->seq);
	t->ack_seq = htonl(s->ack);
	t->doff = 5;
	t->window = htons(1000);
	((uint8_t *)t)[13] = s->flags;
	payload_fill((uint8_t *)(t + 1), s->payload);
	t->check = (uint16_t)~l4_sum(ip, t, len, IPPROTO_TCP);
}

void packet_udp(struct packet *p, const struct segment *s)
{
	uint32_t len = 8 + s->payload;
	struct ip6_hdr *ip = ip_begin(p, &s->src, &s->dst, IPPROTO_UDP, len);
	struct udphdr *u = (void *)(ip + 1);

	u->source = htons(s->sport);
	u->dest = htons(s->dport);
	u->len = htons((uint16_t)len);
	payload_fill((uint8_t *)(u + 1), s->payload);
	u->check = (uint16_t)~l4_sum(ip, u, len, IPPROTO_UDP);
	if (!u->check)
		u->check = 0xffff;
}

void packet_icmp6_error(struct packet *p, const struct sf_addr *src, const struct sf_addr *dst,
			uint8_t type, uint8_t code, uint32_t data, const struct packet *about)
{
	uint32_t n = about->len - ETH > 1232 ? 1232 : about->len - ETH;
	struct ip6_hdr *ip = ip_begin(p, src, dst, IPPROTO_ICMPV6, 8 + n);
	struct icmp6_hdr *i = (void *)(ip + 1);

	i->icmp6_type = type;
	i->icmp6_code = code;
	i->icmp6_data32[0] = htonl(data);
	memcpy(i + 1, &about->b[ETH], n);
	i->icmp6_cksum = (uint16_t)~l4_sum(ip, i, 8 + n, IPPROTO_ICMPV6);
}

void packet_alone(struct packet *p, const struct sf_addr *src, const struct sf_addr *dst,
		  uint8_t kind, const struct sf_sid *dst_sid, const struct sf_sid *src_sid,
		  const void *tlvs, size_t tlvs_len, const void *contents, size_t len)
{
	int n;

	ip_begin(p, src, dst, 60, 0);
	n = sf_alone_encode(&p->b[ETH], sizeof(p->b) - ETH, src, dst, 64, kind, 0, dst_sid, src_sid,
			    tlvs, tlvs_len, contents, len);
	assert(n > 0);
	p->len = ETH + (uint32_t)n;
}

void packet_fail(struct packet *p, const struct sf_addr *src, const struct sf_sid *sid,
		 uint8_t reason, const struct packet *about)
{
	uint32_t n = about->len - ETH > SF_QUOTE_MAX ? SF_QUOTE_MAX : about->len - ETH;
	struct sf_tlv_reason tlv = { SF_TLV_REASON, 6, reason, 0, htons((uint16_t)n), 0 };
	static const struct sf_sid none;
	struct sf_addr to;

	memcpy(&to, &about->b[ETH + 8], 16);
	packet_alone(p, src, &to, SF_KIND_FAIL, &none, sid, &tlv, sizeof(tlv), &about->b[ETH], n);
}

void packet_push(struct packet *p, uint8_t kind, uint16_t aux, const struct sf_sid *dst,
		 const struct sf_sid *src)
{
	struct ip6_hdr *ip = (void *)&p->b[ETH];
	uint8_t *at = &p->b[ETH + 40];

	memmove(at + SF_HDR_LEN, at, p->len - ETH - 40);
	sf_hdr_init((void *)at, ip->ip6_nxt, SF_HDR_LEN, kind, 0, aux, dst, src);
	ip->ip6_nxt = 60;
	ip->ip6_plen = htons((uint16_t)(ntohs(ip->ip6_plen) + SF_HDR_LEN));
	p->len += SF_HDR_LEN;
}

void packet_resolve(struct packet *p, const struct sf_addr *locator)
{
	struct sf_addr was, loc = *locator;

	memcpy(&was, &p->b[ETH + 24], 16);
	sf_csum_neutral(&was, &loc);
	memcpy(&p->b[ETH + 24], &loc, 16);
}

void packet_fragment(struct packet *out, const struct packet *p, uint32_t id, uint32_t from,
		     uint32_t len)
{
	const struct ip6_hdr *ip = (const void *)&p->b[ETH];
	uint32_t total = p->len - ETH - 40;
	struct sf_addr src, dst;
	struct ip6_frag *f;

	memcpy(&src, &ip->ip6_src, 16);
	memcpy(&dst, &ip->ip6_dst, 16);
	f = (void *)(ip_begin(out, &src, &dst, 44, 8 + len) + 1);
	f->ip6f_nxt = ip->ip6_nxt;
	f->ip6f_offlg = htons((uint16_t)(from | (from + len < total)));
	f->ip6f_ident = htonl(id);
	memcpy(f + 1, &p->b[ETH + 40 + from], len);
}

void packet_parse(struct packet *p, struct parsed *out)
{
	uint8_t *at = &p->b[ETH + 40], *end = &p->b[p->len];
	uint8_t next;

	memset(out, 0, sizeof(*out));
	out->ip = (void *)&p->b[ETH];
	memcpy(&out->src, &out->ip->ip6_src, 16);
	memcpy(&out->dst, &out->ip->ip6_dst, 16);
	next = out->ip->ip6_nxt;
	assert(ETH + 40u + ntohs(out->ip->ip6_plen) == p->len);
	if (next == 60) {
		out->hdr = (void *)at;
		if (out->hdr->nexthdr == 59) {
			out->csum_ok =
				sf_csum_fold(sf_alone_pseudo(&out->src, &out->dst,
							     (uint32_t)(end - at)) +
					     sf_csum_bytes(at, (size_t)(end - at))) == 0xffff;
		}
		next = out->hdr->nexthdr;
		at += sf_hdr_bytes(out->hdr);
	}
	if (next == 44) {
		out->frag = (void *)at;
		next = out->frag->ip6f_nxt;
		at += 8;
		if (ntohs(out->frag->ip6f_offlg) & 0xfff8)
			next = 59;
	}
	out->payload = at;
	out->payload_len = (uint32_t)(end - at);
	if (next == IPPROTO_TCP || next == IPPROTO_UDP || next == IPPROTO_ICMPV6)
		out->csum_ok = l4_sum(out->ip, at, (uint32_t)(end - at), next) == 0xffff;
	if (next == IPPROTO_TCP) {
		out->tcp = (void *)at;
		out->payload += out->tcp->doff * 4;
	} else if (next == IPPROTO_UDP) {
		out->udp = (void *)at;
		out->payload += 8;
	} else if (next == IPPROTO_ICMPV6) {
		out->icmp = (void *)at;
		out->payload += 8;
	}
	out->payload_len = (uint32_t)(end - out->payload);
}
