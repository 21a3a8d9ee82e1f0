// SPDX-License-Identifier: Apache-2.0
/* Whole SCAFFOLD packets: decoding, and that what decodes is encoded again to the same. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool truth)
{
	if (!truth)
		abort();
}

static void check(const uint8_t *data, size_t size)
{
	struct sf_packet p;
	__u8 again[4096], reason = 0;
	int r = sf_packet_decode(data, size, &p, &reason), n;
	size_t whole;

	expect(r == 0 || r == -ENOENT || r == -EBADMSG);
	expect(r != -EBADMSG || reason);
	if (r)
		return;
	whole = SF_IPV6_LEN + sf_hdr_bytes(&p.hdr) + p.rest_len;
	expect(whole <= size && p.tlvs_len == sf_hdr_bytes(&p.hdr) - SF_HDR_LEN);
	expect(p.rest + p.rest_len <= data + size);
	if (!sf_kind_stands_alone(sf_hdr_kind(&p.hdr)) || whole > sizeof(again))
		return;
	n = sf_alone_encode(again, sizeof(again), &p.src, &p.dst, p.hop_limit, sf_hdr_kind(&p.hdr),
			    p.hdr.flags, &p.hdr.dst, &p.hdr.src, p.tlvs, p.tlvs_len, p.rest,
			    p.rest_len);
	expect(n == (int)whole);
	/* All but traffic class, flow label, and -0 as the checksum. */
	expect(!memcmp(again + 4, data + 4, SF_IPV6_LEN - 4 + 6));
	expect(!memcmp(again + 48, data + 48, whole - 48));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sf_addr src, dst;
	uint8_t *mended;
	size_t payload;
	__be16 sum;

	check(data, size);
	if (size < SF_IPV6_LEN + SF_HDR_LEN)
		return 0;
	/* No fuzzer guesses lengths and a checksum: mend them, so as to come to what lies behind.
	 */
	mended = malloc(size);
	memcpy(mended, data, size);
	payload = size - SF_IPV6_LEN;
	mended[0] = 6 << 4;
	mended[4] = (uint8_t)(payload >> 8);
	mended[5] = (uint8_t)payload;
	mended[6] = SF_NEXTHDR_DSTOPTS;
	mended[42] = SF_OPTION;
	mended[43] = (uint8_t)(8 * mended[41] + 4);
	mended[46] = mended[47] = 0;
	memcpy(&src, mended + 8, 16);
	memcpy(&dst, mended + 24, 16);
	sum = sf_alone_csum(sf_alone_pseudo(&src, &dst, (__u32)payload) +
			    sf_csum_bytes(mended + SF_IPV6_LEN, payload));
	memcpy(mended + 46, &sum, 2);
	check(mended, size);
	free(mended);
	return 0;
}
