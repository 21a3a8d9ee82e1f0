// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * csum.c - the Internet checksum's sum over bytes (RFC 1071).
 */
#include "core/csum.h"

__u64 sf_csum_bytes(const void *data, size_t len)
{
	const __u8 *p = data;
	__u64 sum = 0;
	__u32 word;
	__u16 last = 0;

	/* 32-bit words in memory order: a sum of 2^32 of them still fits, and any packet is
	 * shorter. */
	for (; len >= 4; p += 4, len -= 4) {
		memcpy(&word, p, 4);
		sum += word;
	}
	if (len >= 2) {
		memcpy(&last, p, 2);
		sum += last;
		p += 2;
		len -= 2;
	}
	if (len) {
		last = 0;
		memcpy(&last, p, 1);
		sum += last;
	}
	return sum;
}
