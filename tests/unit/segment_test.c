// SPDX-License-Identifier: Apache-2.0
/* lab/segment: a large packet and its segments, each with a checksum that a receiver accepts. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lab/segment.h"

#define FIN 0x01
#define PSH 0x08
#define ACK 0x10
#define CWR 0x80

static uint32_t sum(const uint8_t *p, size_t len, uint32_t s)
{
	for (size_t i = 0; i < len; i++)
		s += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

static void put16(uint8_t *p, size_t x)
{
	p[0] = (uint8_t)(x >> 8);
	p[1] = (uint8_t)x;
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Sum over the pseudo-header: both addresses, protocol, length. */
static uint32_t pseudo(const uint8_t *ip, size_t tcp_len)
{
	uint32_t s = 6 + (uint32_t)tcp_len;

	return ip[0] >> 4 == 6 ? sum(ip + 8, 32, s) : sum(ip + 12, 8, s);
}

/*
 * Ethernet [VLAN] IPv6 [32 bytes of destination options] or IPv4, TCP with 12 bytes of options,
 * payload counting up. Returns its length.
 */
static size_t packet(uint8_t *p, struct virtio_net_hdr *vh, int version, bool vlan, bool options,
		     size_t payload, size_t mss)
{
	size_t l3 = vlan ? 18 : 14, l4 = l3 + (version == 6 ? 40 : 20) + (options ? 32 : 0);
	size_t head = l4 + 32, len = head + payload;

	memset(p, 0, head);
	put16(p + 12, vlan ? 0x8100 : version == 6 ? 0x86dd : 0x0800);
	if (vlan)
		put16(p + 16, version == 6 ? 0x86dd : 0x0800);
	p[l3] = (uint8_t)(version << 4 | (version == 4 ? 5 : 0));
	if (version == 6) {
		put16(p + l3 + 4, len - l3 - 40);
		memset(p + l3 + 8, 0xfd, 32);
	} else {
		put16(p + l3 + 2, len - l3);
		put16(p + l3 + 4, 0xffff); /* identification wraps */
		p[l3 + 9] = 6;
		memset(p + l3 + 12, 10, 8);
	}
	put16(p + l4 + 4, 0xffff); /* sequence number wraps, too */
	put16(p + l4 + 6, 0xff00);
	p[l4 + 12] = 8 << 4;
	p[l4 + 13] = FIN | PSH | ACK | CWR;
	put16(p + l4 + 16, pseudo(p + l3, len - l4));
	for (size_t i = 0; i < payload; i++)
		p[head + i] = (uint8_t)(i * 7);
	*vh = (struct virtio_net_hdr){ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				       .gso_type = version == 6 ? VIRTIO_NET_HDR_GSO_TCPV6
								: VIRTIO_NET_HDR_GSO_TCPV4,
				       .hdr_len = (uint16_t)head,
				       .gso_size = (uint16_t)mss,
				       .csum_start = (uint16_t)l4,
				       .csum_offset = 16 };
	return len;
}

static void check_all(int version, bool vlan, bool options, size_t payload, size_t mss)
{
	static uint8_t p[70000], out[70000];
	struct virtio_net_hdr vh, vh2;
	size_t len = packet(p, &vh, version, vlan, options, payload, mss), seen = 0;
	struct sf_segments s;

	assert_int_equal(sf_segments_begin(&s, p, len, &vh), 0);
	assert_int_equal(s.count, (payload + mss - 1) / mss);
	for (size_t i = 0; i < s.count; i++) {
		size_t size = sf_segments_size(&s, i), part = size - s.head;
		bool last = i + 1 == s.count;

		assert_int_equal(part, last ? payload - seen : mss);
		memset(out, 0xaa, sizeof(out));
		sf_segments_make(&s, i, out, &vh2);
		assert_int_equal(out[size], 0xaa);
		assert_int_equal(vh2.gso_type, VIRTIO_NET_HDR_GSO_NONE);
		assert_int_equal(vh2.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
		assert_memory_equal(out + s.head, p + s.head + seen, part);
		assert_int_equal(get32(out + s.l4 + 4), (uint32_t)(0xffffff00u + seen));
		assert_int_equal(out[s.l4 + 13], ACK | (last ? FIN | PSH : 0) | (i ? 0 : CWR));
		/* Complete the checksum as a network card would; the receiver's sum is then right.
		 */
		put16(out + s.l4 + 16, 0xffff ^ sum(out + s.l4, size - s.l4, 0));
		assert_int_equal(sum(out + s.l4, size - s.l4, pseudo(out + s.l3, size - s.l4)),
				 0xffff);
		if (version == 4) {
			assert_int_equal(sum(out + s.l3, 20, 0), 0xffff);
			assert_int_equal(get32(out + s.l3 + 4) >> 16, (0xffff + i) & 0xffff);
		} else {
			assert_int_equal(get32(out + s.l3 + 4) >> 16, size - s.l3 - 40);
		}
		seen += part;
	}
	assert_int_equal(seen, payload);
}

static void test_segments(void **state)
{
	(void)state;
	check_all(6, false, false, 64000, 1428);
	check_all(6, true, false, 5000, 1428);
	check_all(6, false, true, 1429, 1428);
	check_all(6, false, false, 1428 * 3, 1428);
	check_all(4, false, false, 30001, 1448);
	check_all(4, true, false, 10, 1448);
	check_all(6, false, false, 7, 1);
}

static void test_not_ours(void **state)
{
	static uint8_t p[70000];
	struct virtio_net_hdr vh, bad;
	size_t len = packet(p, &vh, 6, false, false, 5000, 1428);
	struct sf_segments s;

	(void)state;
	bad = vh;
	bad.gso_type = VIRTIO_NET_HDR_GSO_NONE;
	assert_int_equal(sf_segments_begin(&s, p, len, &bad), -EOPNOTSUPP);
	bad.gso_type = VIRTIO_NET_HDR_GSO_UDP;
	assert_int_equal(sf_segments_begin(&s, p, len, &bad), -EOPNOTSUPP);
	bad = vh;
	bad.gso_type = VIRTIO_NET_HDR_GSO_TCPV4; /* but the packet is IPv6 */
	assert_int_equal(sf_segments_begin(&s, p, len, &bad), -EBADMSG);
	bad = vh;
	bad.gso_size = 0;
	assert_int_equal(sf_segments_begin(&s, p, len, &bad), -EBADMSG);
	bad = vh;
	bad.csum_start = 30; /* inside the IP header */
	assert_int_equal(sf_segments_begin(&s, p, len, &bad), -EBADMSG);
	bad.csum_start = 65000; /* behind the packet */
	assert_int_equal(sf_segments_begin(&s, p, len, &bad), -EBADMSG);
	for (size_t n = 0; n <= 14u + 40 + 32; n++) /* headers alone */
		assert_int_equal(sf_segments_begin(&s, p, n, &vh), -EBADMSG);
	p[14 + 40 + 12] = 4 << 4; /* TCP header shorter than it can be */
	assert_int_equal(sf_segments_begin(&s, p, len, &vh), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_segments),
		cmocka_unit_test(test_not_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
