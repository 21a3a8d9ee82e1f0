// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * siphash.h - SipHash-2-4 and SipHash-1-3 over a few 64-bit words.
 *
 * Aumasson and Bernstein, "SipHash: a fast short-input PRF" (INDOCRYPT 2012). The 2-4 variant makes
 * socketIDs, which an attacker must not predict; the 1-3 variant spreads flows over instances.
 * Inputs are whole words of a fixed number, so no length-dependent tail is needed beyond the
 * standard's last block.
 */
#ifndef SF_CORE_SIPHASH_H
#define SF_CORE_SIPHASH_H

#include "core/compat.h"

/** struct sf_hashkey - a 128-bit key, from the kernel's random generator. */
struct sf_hashkey {
	__u64 k0, k1;
};

#define SF_ROTL(x, b) (((x) << (b)) | ((x) >> (64 - (b))))

#define SF_SIPROUND(v)                        \
	do {                                  \
		(v)[0] += (v)[1];             \
		(v)[1] = SF_ROTL((v)[1], 13); \
		(v)[1] ^= (v)[0];             \
		(v)[0] = SF_ROTL((v)[0], 32); \
		(v)[2] += (v)[3];             \
		(v)[3] = SF_ROTL((v)[3], 16); \
		(v)[3] ^= (v)[2];             \
		(v)[0] += (v)[3];             \
		(v)[3] = SF_ROTL((v)[3], 21); \
		(v)[3] ^= (v)[0];             \
		(v)[2] += (v)[1];             \
		(v)[1] = SF_ROTL((v)[1], 17); \
		(v)[1] ^= (v)[2];             \
		(v)[2] = SF_ROTL((v)[2], 32); \
	} while (0)

SF_INLINE void sf_sip_start(__u64 v[4], const struct sf_hashkey *key)
{
	v[0] = key->k0 ^ 0x736f6d6570736575ull;
	v[1] = key->k1 ^ 0x646f72616e646f6dull;
	v[2] = key->k0 ^ 0x6c7967656e657261ull;
	v[3] = key->k1 ^ 0x7465646279746573ull;
}

SF_INLINE void sf_sip_block(__u64 v[4], __u64 m, int rounds)
{
	v[3] ^= m;
	SF_SIPROUND(v);
	if (rounds > 1)
		SF_SIPROUND(v);
	v[0] ^= m;
}

SF_INLINE __u64 sf_sip_end(__u64 v[4], int words, int rounds, int final_rounds)
{
	sf_sip_block(v, (__u64)(words * 8) << 56, rounds);
	v[2] ^= 0xff;
	SF_SIPROUND(v);
	SF_SIPROUND(v);
	SF_SIPROUND(v);
	if (final_rounds > 3)
		SF_SIPROUND(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/** sf_siphash24() - SipHash-2-4 of @n (a constant) little-endian 64-bit words. */
SF_INLINE __u64 sf_siphash24(const struct sf_hashkey *key, const __u64 *words, int n)
{
	__u64 v[4];

	sf_sip_start(v, key);
	SF_UNROLL
	for (int i = 0; i < n; i++)
		sf_sip_block(v, words[i], 2);
	return sf_sip_end(v, n, 2, 4);
}

/** sf_siphash13() - SipHash-1-3 of @n (a constant) little-endian 64-bit words. */
SF_INLINE __u64 sf_siphash13(const struct sf_hashkey *key, const __u64 *words, int n)
{
	__u64 v[4];

	sf_sip_start(v, key);
	SF_UNROLL
	for (int i = 0; i < n; i++)
		sf_sip_block(v, words[i], 1);
	return sf_sip_end(v, n, 1, 3);
}

#endif
