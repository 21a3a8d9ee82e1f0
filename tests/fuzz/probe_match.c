// SPDX-License-Identifier: Apache-2.0
/* Packets that may answer a probe of scaffold ping: source, ident, then the packet from its IPv6
 * header on. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/probe.h"
#include "core/csum.h"
#include "core/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool truth)
{
	if (!truth)
		abort();
}

static void check(const uint8_t *packet, size_t len, const struct sf_addr *source, uint16_t ident)
{
	struct sf_probe_result r, before;
	bool matched;

	memset(&r, 0xaa, sizeof(r));
	before = r;
	matched = sf_probe_match(packet, len, source, ident, &r);
	if (!matched) {
		expect(!memcmp(&r, &before, sizeof(r)));
		return;
	}
	/* What answers is addressed to us, comes from somewhere, and says one of three things. */
	expect(len >= SF_IPV6_LEN && !memcmp(packet + 24, source, 16));
	expect(!memcmp(&r.from, packet + 8, 16) && r.hop_limit == packet[7]);
	expect(r.outcome == SF_PROBE_ANSWER || r.outcome == SF_PROBE_FAIL ||
	       r.outcome == SF_PROBE_ICMP);
	expect(r.outcome != SF_PROBE_ICMP || r.icmp_type < 128);
	expect(!sf_probe_match(packet, len, source, (uint16_t)(ident + 1), &r));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sf_addr source, from;
	uint16_t ident;
	uint8_t *mended;
	size_t payload;
	__be16 sum;

	if (size < 18)
		return 0;
	memcpy(&source, data, 16);
	ident = (uint16_t)(data[16] << 8 | data[17]);
	data += 18;
	size -= 18;
	check(data, size, &source, ident);
	if (size < SF_IPV6_LEN + SF_HDR_LEN)
		return 0;
	/* No fuzzer guesses a checksum: mend it and what it is about, so as to come to what lies
	 * behind. */
	mended = malloc(size);
	memcpy(mended, data, size);
	payload = size - SF_IPV6_LEN;
	mended[0] = 6 << 4;
	mended[4] = (uint8_t)(payload >> 8);
	mended[5] = (uint8_t)payload;
	memcpy(mended + 24, &source, 16);
	memcpy(&from, mended + 8, 16);
	if (mended[6] == SF_NEXTHDR_DSTOPTS) {
		mended[42] = SF_OPTION;
		mended[43] = (uint8_t)(8 * mended[41] + 4);
		mended[46] = mended[47] = 0;
		sum = sf_alone_csum(sf_alone_pseudo(&from, &source, (__u32)payload) +
				    sf_csum_bytes(mended + SF_IPV6_LEN, payload));
		memcpy(mended + 46, &sum, 2);
	}
	check(mended, size, &source, ident);
	free(mended);
	return 0;
}
