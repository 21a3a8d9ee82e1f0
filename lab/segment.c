// SPDX-License-Identifier: Apache-2.0
/* segment.c - cut large TCP packets; see segment.h and the kernel's Documentation/networking/
 * segmentation-offloads. */
#include "lab/segment.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <string.h>

#define TCP_CHECK 16 /* offset of the checksum in a TCP header */
#define TCP_FLAGS 13
#define TCP_FIN	  0x01
#define TCP_PSH	  0x08
#define TCP_CWR	  0x80

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}

static void put16(uint8_t *p, uint32_t x)
{
	p[0] = (uint8_t)(x >> 8);
	p[1] = (uint8_t)x;
}

static void put32(uint8_t *p, uint32_t x)
{
	put16(p, x >> 16);
	put16(p + 2, x);
}

/* Ones'-complement sum of 16 bits. */
static uint32_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

int sf_segments_begin(struct sf_segments *s, const uint8_t *frame, size_t len,
		      const struct virtio_net_hdr *vh)
{
	uint8_t type = vh->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
	size_t l3 = ETH_HLEN, l4 = vh->csum_start, head;
	uint32_t protocol;

	if ((type != VIRTIO_NET_HDR_GSO_TCPV6 && type != VIRTIO_NET_HDR_GSO_TCPV4) ||
	    !(vh->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return -EOPNOTSUPP;
	if (len < ETH_HLEN + 4 || !vh->gso_size || vh->csum_offset != TCP_CHECK)
		return -EBADMSG;
	protocol = get16(frame + 12);
	if (protocol == ETH_P_8021Q) {
		protocol = get16(frame + 16);
		l3 += 4;
	}
	if (protocol != (type == VIRTIO_NET_HDR_GSO_TCPV6 ? ETH_P_IPV6 : ETH_P_IP))
		return -EBADMSG;
	if (l4 < l3 + (type == VIRTIO_NET_HDR_GSO_TCPV6 ? 40 : 20) || len < l4 + 20)
		return -EBADMSG;
	head = l4 + (size_t)(frame[l4 + 12] >> 4) * 4;
	if (head < l4 + 20 || head >= len)
		return -EBADMSG;
	*s = (struct sf_segments){ .frame = frame,
				   .len = len,
				   .vh = *vh,
				   .l3 = l3,
				   .l4 = l4,
				   .head = head,
				   .mss = vh->gso_size,
				   .count = (len - head + vh->gso_size - 1) / vh->gso_size };
	return 0;
}

size_t sf_segments_size(const struct sf_segments *s, size_t i)
{
	size_t left = s->len - s->head - i * s->mss;

	return s->head + (left < s->mss ? left : s->mss);
}

/* IPv4: total length, one identification each, header checksum. IPv6: payload length. */
static void l3_fix(const struct sf_segments *s, size_t i, uint8_t *out, size_t size)
{
	uint8_t *ip = out + s->l3;
	size_t bytes = s->l4 - s->l3;
	uint32_t sum = 0;

	if (ip[0] >> 4 == 6) {
		put16(ip + 4, (uint32_t)(size - s->l3 - 40));
		return;
	}
	put16(ip + 2, (uint32_t)(size - s->l3));
	put16(ip + 4, get16(ip + 4) + (uint32_t)i);
	put16(ip + 10, 0);
	for (size_t k = 0; k + 1 < bytes; k += 2)
		sum += get16(ip + k);
	put16(ip + 10, ~fold(sum));
}

void sf_segments_make(const struct sf_segments *s, size_t i, uint8_t *out,
		      struct virtio_net_hdr *vh)
{
	size_t size = sf_segments_size(s, i);
	uint32_t old_len = (uint32_t)(s->len - s->l4), new_len = (uint32_t)(size - s->l4);
	uint8_t *tcp = out + s->l4;

	memcpy(out, s->frame, s->head);
	memcpy(out + s->head, s->frame + s->head + i * s->mss, size - s->head);
	l3_fix(s, i, out, size);
	put32(tcp + 4, get32(tcp + 4) + (uint32_t)(i * s->mss));
	if (i + 1 < s->count)
		tcp[TCP_FLAGS] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	if (i)
		tcp[TCP_FLAGS] &= (uint8_t)~TCP_CWR;
	/* A partial checksum is the sum of the pseudo-header, which holds the length. */
	put16(tcp + TCP_CHECK, fold(get16(tcp + TCP_CHECK) + (0xffff - fold(old_len)) + new_len));
	*vh = (struct virtio_net_hdr){ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				       .gso_type = VIRTIO_NET_HDR_GSO_NONE,
				       .hdr_len = (uint16_t)s->head,
				       .csum_start = s->vh.csum_start,
				       .csum_offset = s->vh.csum_offset };
}
