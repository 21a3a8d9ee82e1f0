// SPDX-License-Identifier: Apache-2.0
/* core/wire: header, TLVs and whole packets, there and back, cut short and bent. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/wire.h"

static const struct sf_sid dst_sid = { .b = { 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8 } };
static const struct sf_sid src_sid = { .b = { 0x80, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9 } };
static struct sf_addr from, to;

static int setup(void **state)
{
	struct sf_net net = sf_net_default(1);

	from = sf_locator(&net, 0x10002, 0x123456789abcull);
	to = sf_service_addr(&net, &dst_sid);
	return 0;
}

/* A FAIL with a reason TLV and a quotation of @len bytes, in a block of just its size. */
static __u8 *fail_make(size_t len, int *whole)
{
	struct sf_tlv_reason tlv = {
		.type = SF_TLV_REASON,
		.len = 6,
		.reason = SF_NO_SUCH_SOCKET,
		.kind = SF_KIND_SYN,
		.quoted = sf_be16(len),
	};
	__u8 quote[SF_QUOTE_MAX], buf[1000], *out;
	int n;

	for (size_t i = 0; i < len; i++)
		quote[i] = (__u8)(i * 7 + 1);
	n = sf_alone_encode(buf, sizeof(buf), &from, &to, 64, SF_KIND_FAIL, SF_FLAG_FAILOVER,
			    &dst_sid, &src_sid, &tlv, sizeof(tlv), quote, len);
	assert_int_equal(n, SF_IPV6_LEN + SF_FAIL_LEN + len);
	out = malloc((size_t)n);
	memcpy(out, buf, (size_t)n);
	*whole = n;
	return out;
}

static void layout(void **state)
{
	struct sf_hdr h;

	sf_hdr_init(&h, SF_NEXTHDR_TCP, SF_HDR_LEN, SF_KIND_SYN, SF_FLAG_UNBOUND, 0x1234, &dst_sid,
		    &src_sid);
	assert_memory_equal(&h,
			    "\x06\x03\x1e\x1c\x11\x02\x12\x34"
			    "\x00\x00\x00\x01\x01\x02\x03\x04\x05\x06\x07\x08"
			    "\x80\x00\x00\x00\x09\x09\x09\x09\x09\x09\x09\x09",
			    32);
	assert_int_equal(sf_hdr_kind(&h), SF_KIND_SYN);
	assert_int_equal(sf_hdr_version(&h), 1);
	assert_int_equal(sf_hdr_bytes(&h), 32);
	assert_true(sf_hdr_is_ours(&h));
	assert_int_equal(sf_hdr_check(&h, 32), 0);
}

static void header_checks(void **state)
{
	struct sf_hdr good, h;

	sf_hdr_init(&good, SF_NEXTHDR_TCP, SF_HDR_LEN, SF_KIND_SYN, 0, 0, &dst_sid, &src_sid);
	assert_int_equal(sf_hdr_check(&good, 31), SF_TRUNCATED);
	h = good, h.vers_kind = 0x21;
	assert_int_equal(sf_hdr_check(&h, 32), SF_BAD_VERSION);
	h = good, h.vers_kind = 0x10;
	assert_int_equal(sf_hdr_check(&h, 32), SF_BAD_KIND);
	h = good, h.vers_kind = 0x1c;
	assert_int_equal(sf_hdr_check(&h, 32), SF_BAD_KIND);
	h = good, h.nexthdr = SF_NEXTHDR_NONE; /* a SYN prefixes something */
	assert_int_equal(sf_hdr_check(&h, 32), SF_BAD_KIND);
	h = good, h.vers_kind = 0x18; /* a FAIL stands alone */
	assert_int_equal(sf_hdr_check(&h, 32), SF_BAD_KIND);
	h = good, h.opt_len--;
	assert_int_equal(sf_hdr_check(&h, 32), SF_BAD_HEADER);
	for (int len8 = 0; len8 < 256; len8++) {
		__u8 expect = len8 < 3 || len8 > 31 ? SF_BAD_HEADER : 0;

		h = good;
		h.len8 = (__u8)len8;
		h.opt_len = (__u8)(8 * len8 + 4);
		assert_int_equal(sf_hdr_check(&h, 4096), expect);
		if (!expect && len8 > 3)
			assert_int_equal(sf_hdr_check(&h, 8 * (__u32)len8 + 7), SF_TRUNCATED);
	}
}

static void kinds(void **state)
{
	for (unsigned int k = 1; k < SF_KIND_MAX; k++) {
		assert_int_equal(sf_kind_stands_alone((__u8)k), k >= 5);
		assert_int_equal(sf_kind_is_resolved((__u8)k),
				 k == 1 || k == 4 || k == 5 || k == 10);
		assert_int_equal(sf_kind_draws_fail((__u8)k),
				 k == 1 || k == 4 || k == 5 || k == 10);
	}
	assert_true(sf_kind_draws_fail(SF_KIND_NONE));
	assert_false(sf_kind_is_resolved(SF_KIND_NONE));
}

static void there_and_back(void **state)
{
	for (size_t len = 0; len <= SF_QUOTE_MAX; len += 5) {
		struct sf_packet p;
		const __u8 *value;
		__u8 reason = 99;
		int n;
		__u8 *data = fail_make(len, &n);

		assert_int_equal(sf_packet_decode(data, (size_t)n, &p, &reason), 0);
		assert_int_equal(reason, 0);
		assert_true(sf_addr_eq(&p.src, &from) && sf_addr_eq(&p.dst, &to));
		assert_int_equal(p.hop_limit, 64);
		assert_int_equal(sf_hdr_kind(&p.hdr), SF_KIND_FAIL);
		assert_int_equal(p.hdr.flags, SF_FLAG_FAILOVER);
		assert_true(sf_sid_eq(&p.hdr.dst, &dst_sid) && sf_sid_eq(&p.hdr.src, &src_sid));
		assert_int_equal(p.tlvs_len, 8);
		assert_int_equal(sf_tlv_find(p.tlvs, p.tlvs_len, SF_TLV_REASON, &value), 6);
		assert_int_equal(value[0], SF_NO_SUCH_SOCKET);
		assert_int_equal(sf_tlv_find(p.tlvs, p.tlvs_len, SF_TLV_TARGET, &value), -ENOENT);
		assert_int_equal(p.rest_len, len);
		for (size_t i = 0; i < len; i++)
			assert_int_equal(p.rest[i], (__u8)(i * 7 + 1));
		free(data);
	}
}

/* A router that resolves a PROBE leaves its checksum true. */
static void resolution_keeps_the_checksum(void **state)
{
	struct sf_net net = sf_net_default(1);
	struct sf_packet p;
	__u8 reason, buf[200];
	int n = sf_alone_encode(buf, sizeof(buf), &from, &to, 64, SF_KIND_PROBE, 0, &dst_sid,
				&src_sid, NULL, 0, NULL, 0);

	assert_int_equal(n, SF_IPV6_LEN + SF_HDR_LEN);
	for (__u32 host = 1; host < 3000; host++) {
		struct sf_addr loc = sf_locator(&net, host * 77, 0);

		sf_csum_neutral(&to, &loc);
		memcpy(buf + 24, &loc, 16);
		buf[7]--;
		assert_int_equal(sf_packet_decode(buf, (size_t)n, &p, &reason), 0);
	}
}

static void a_flipped_bit_is_seen(void **state)
{
	struct sf_packet p;
	__u8 reason;
	int n;
	__u8 *data = fail_make(61, &n);

	for (int bit = 8 * 8; bit < n * 8; bit++) {
		data[bit / 8] ^= 1 << bit % 8;
		/* In the option's type it becomes another's header, and none of our business. */
		if (bit / 8 == SF_IPV6_LEN + 2)
			assert_int_equal(sf_packet_decode(data, (size_t)n, &p, &reason), -ENOENT);
		else
			assert_int_equal(sf_packet_decode(data, (size_t)n, &p, &reason), -EBADMSG);
		data[bit / 8] ^= 1 << bit % 8;
	}
	assert_int_equal(sf_packet_decode(data, (size_t)n, &p, &reason), 0);
	data[SF_IPV6_LEN + SF_HDR_LEN + 4] ^= 1;
	assert_int_equal(sf_packet_decode(data, (size_t)n, &p, &reason), -EBADMSG);
	assert_int_equal(reason, SF_BAD_CHECKSUM);
	free(data);
}

static void every_truncation_is_refused(void **state)
{
	struct sf_packet p;
	__u8 reason;
	int n;
	__u8 *data = fail_make(33, &n);

	for (int len = 0; len < n; len++) {
		__u8 *cut = malloc(len ? (size_t)len : 1); /* its own block, so ASan sees a stray */

		memcpy(cut, data, (size_t)len);
		reason = 0;
		assert_int_equal(sf_packet_decode(cut, (size_t)len, &p, &reason),
				 len ? -EBADMSG : -ENOENT);
		if (len)
			assert_int_equal(reason, SF_TRUNCATED);
		/* And where the IPv6 header admits to it. */
		if (len >= SF_IPV6_LEN) {
			cut[4] = (__u8)((len - SF_IPV6_LEN) >> 8);
			cut[5] = (__u8)(len - SF_IPV6_LEN);
			assert_int_equal(sf_packet_decode(cut, (size_t)len, &p, &reason), -EBADMSG);
		}
		free(cut);
	}
	free(data);
}

static void padding_of_the_link_is_ignored(void **state)
{
	__u8 buf[100] = { 0 }, reason;
	struct sf_packet p;
	int n = sf_alone_encode(buf, sizeof(buf), &from, &to, 64, SF_KIND_PROBE, 0, &dst_sid,
				&src_sid, NULL, 0, "abc", 3);

	memset(buf + n, 0xee, sizeof(buf) - (size_t)n);
	assert_int_equal(sf_packet_decode(buf, sizeof(buf), &p, &reason), 0);
	assert_int_equal(p.rest_len, 3);
}

static void not_ours(void **state)
{
	__u8 buf[120] = { 0x60 }, reason = 77;
	struct sf_packet p;

	buf[5] = 80;
	buf[6] = SF_NEXTHDR_TCP;
	assert_int_equal(sf_packet_decode(buf, sizeof(buf), &p, &reason), -ENOENT);
	buf[6] = SF_NEXTHDR_DSTOPTS;
	buf[42] = 0xc9; /* home address, RFC 6275 */
	assert_int_equal(sf_packet_decode(buf, sizeof(buf), &p, &reason), -ENOENT);
	buf[0] = 0x45; /* IPv4 */
	assert_int_equal(sf_packet_decode(buf, sizeof(buf), &p, &reason), -ENOENT);
	assert_int_equal(reason, 77);
}

static void tlvs(void **state)
{
	static const __u8 good[] = { 0, 2, 3, 'a', 'b', 'c', 0, 0, 9, 0, 2, 1, 'x', 0 };
	const __u8 *value = NULL;

	assert_int_equal(sf_tlv_find(good, sizeof(good), 2, &value), 3);
	assert_ptr_equal(value, good + 3);
	assert_int_equal(sf_tlv_find(good, sizeof(good), 9, &value), 0);
	assert_int_equal(sf_tlv_find(good, sizeof(good), 7, &value), -ENOENT);
	assert_int_equal(sf_tlv_find(good, 0, 2, &value), -ENOENT);
	/* Cut inside a TLV. */
	assert_int_equal(sf_tlv_find(good, 2, 2, &value), -EBADMSG);
	assert_int_equal(sf_tlv_find(good, 5, 2, &value), -EBADMSG);
	assert_int_equal(sf_tlv_find(good, 12, 7, &value), -EBADMSG);
	assert_int_equal(sf_tlv_find((const __u8 *)"\x05\xff", 2, 7, &value), -EBADMSG);
}

static void encoder_bounds(void **state)
{
	__u8 buf[400], tlv[232] = { 0 };
	static __u8 big[70000];

	/* TLVs are padded with zeros, whatever was in the buffer. */
	memset(buf, 0xee, sizeof(buf));
	assert_int_equal(sf_alone_encode(buf, sizeof(buf), &from, &to, 1, SF_KIND_PROBE, 0,
					 &dst_sid, &src_sid, "\x02\x01z", 3, "end", 3),
			 40 + 40 + 3);
	assert_memory_equal(buf + 72, "\x02\x01z\0\0\0\0\0end", 11);
	assert_int_equal(buf[83], 0xee);

	assert_int_equal(sf_alone_encode(buf, sizeof(buf), &from, &to, 1, SF_KIND_PROBE, 0,
					 &dst_sid, &src_sid, tlv, 224, NULL, 0),
			 40 + 256);
	assert_int_equal(sf_alone_encode(buf, sizeof(buf), &from, &to, 1, SF_KIND_PROBE, 0,
					 &dst_sid, &src_sid, tlv, 225, NULL, 0),
			 -EMSGSIZE);
	for (size_t room = 0; room < 40 + 40 + 3; room++)
		assert_int_equal(sf_alone_encode(buf, room, &from, &to, 1, SF_KIND_PROBE, 0,
						 &dst_sid, &src_sid, tlv, 3, "end", 3),
				 -EMSGSIZE);
	assert_int_equal(sf_alone_encode(big, sizeof(big), &from, &to, 1, SF_KIND_FAIL, 0, &dst_sid,
					 &src_sid, NULL, 0, big, 65535 - 32 + 1),
			 -EMSGSIZE);
	assert_int_equal(sf_alone_encode(buf, sizeof(buf), &from, &to, 1, SF_KIND_SYN, 0, &dst_sid,
					 &src_sid, NULL, 0, NULL, 0),
			 -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layout),
		cmocka_unit_test(header_checks),
		cmocka_unit_test(kinds),
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(resolution_keeps_the_checksum),
		cmocka_unit_test(a_flipped_bit_is_seen),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(padding_of_the_link_is_ignored),
		cmocka_unit_test(not_ours),
		cmocka_unit_test(tlvs),
		cmocka_unit_test(encoder_bounds),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
