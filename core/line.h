// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * line.h - the front of a service router's table: a rule in one cache line, found without a search.
 *
 * Theory of operation
 *
 * The table of rules is a hash map, and finding a rule there touches three cache lines and calls a
 * function. Before it stands an array of lines, each with room for one service. Two lines suit a
 * service, by its key's hash; it has the one that was free when it came, or none. Whoever has a
 * line is found there; the others, and whatever is not there at all, are looked for in the map,
 * which stays the truth. The front grows with the number of services, so that few of them touch few
 * pages of memory.
 *
 * Lines are written by one daemon, in memory that it shares with the programs, while these read. A
 * line carries a seal over its contents: a reader copies it and believes the copy if its seal is
 * right, so it needs no lock and no order of memory. A line half written, or left so by a daemon
 * that was killed, is one without a service; so is one of zeros.
 *
 * Before a rule is changed in the map its line's seal is broken; afterwards the line is written
 * anew. So no line says what the map does not.
 */
#ifndef SF_CORE_LINE_H
#define SF_CORE_LINE_H

#include "core/resolve.h"

/**
 * struct sf_line - a service and its rule.
 * @seal: sf_line_seal() of the rest
 */
struct sf_line {
	struct sf_service_key key;
	struct sf_rule rule;
	__u64 pad;
	__u64 seal;
};

SF_STATIC_ASSERT(sizeof(struct sf_line) == 64, "a line is a cache line");

/* Odd numbers without a pattern (the golden ratio's and the first primes' square roots' bits). */
#define SF_LINE_MIX                                                                         \
	{                                                                                   \
		0x9e3779b97f4a7c15ull, 0x6a09e667f3bcc909ull, 0xbb67ae8584caa73bull,        \
			0x3c6ef372fe94f82bull, 0xa54ff53a5f1d36f1ull, 0x510e527fade682d1ull \
	}

#define SF_LINE_CHOICES 2

/** sf_line_hash() - of a service's key, for sf_line_index(): both halves depend on all of it. */
SF_INLINE __u64 sf_line_hash(const struct sf_service_key *key)
{
	__u64 a = (__u64)key->sid.w[0] << 32 | key->sid.w[1];
	__u64 b = (__u64)key->sid.w[2] << 32 | (__u32)key->port << 8 | key->proto;
	__u64 h = a * 0x9e3779b97f4a7c15ull + b;

	h = (h ^ h >> 32) * 0xd6e8feb86659fd93ull;
	h = (h ^ h >> 29) * 0xd6e8feb86659fd93ull;
	return h ^ h >> 32;
}

/**
 * sf_line_index() - a line that suits a service.
 * @choice: which, below SF_LINE_CHOICES
 * @mask: number of lines less one, a power of two less one
 */
SF_INLINE __u32 sf_line_index(__u64 hash, int choice, __u32 mask)
{
	return (__u32)(choice ? hash >> 32 : hash) & mask;
}

/**
 * sf_line_seal() - a sum over key and rule in which each word has its own factor, so that words of
 * two states of a line do not add up to the seal of either.
 */
SF_INLINE __u64 sf_line_seal(const struct sf_line *line)
{
	const __u64 mix[6] = SF_LINE_MIX;
	__u64 words[6], seal = 1;

	sf_memcpy(words, line, sizeof(words));
	SF_UNROLL
	for (int i = 0; i < 6; i++)
		seal += words[i] * mix[i];
	return seal ^ seal >> 32;
}

/** sf_line_is() - whether @line, a copy that nobody writes, is @key's. */
SF_INLINE bool sf_line_is(const struct sf_line *line, const struct sf_service_key *key)
{
	__u64 have[2], want[2];

	sf_memcpy(have, &line->key, sizeof(have));
	sf_memcpy(want, key, sizeof(want));
	return have[0] == want[0] && have[1] == want[1] && line->seal == sf_line_seal(line);
}

#if SF_NATIVE
/**
 * struct sf_lines - a front, as its only writer has it.
 * @at: the lines, in memory that the programs read
 * @mask: number of those in use less one, a power of two less one
 * @held: how many have a service
 */
struct sf_lines {
	struct sf_line *at;
	__u32 mask;
	__u32 held;
};

/** sf_line_count() - how many lines are needed for @services, so that nearly all have one. */
SF_INLINE __u32 sf_line_count(__u32 services)
{
	__u32 n = 2;

	while (n / 2 < services && n < 1u << 30)
		n *= 2;
	return n;
}

/** sf_lines_clear() - from now on @count lines, a power of two, are in use, all without a service.
 */
void sf_lines_clear(struct sf_lines *lines, __u32 count);

/**
 * sf_lines_put() - write the rule of a service that has no line (sf_lines_drop()).
 *
 * Where both lines that suit it are taken, one of those who are there moves to its other line if
 * that is free. Return: whether the service has a line now.
 */
bool sf_lines_put(struct sf_lines *lines, const struct sf_service_key *key,
		  const struct sf_rule *rule);

/** sf_lines_drop() - break the seal of a service's line, if it has one. */
void sf_lines_drop(struct sf_lines *lines, const struct sf_service_key *key);

/** sf_lines_are_dense() - whether a front of twice the size would serve better. */
bool sf_lines_are_dense(const struct sf_lines *lines);
#endif

#endif
