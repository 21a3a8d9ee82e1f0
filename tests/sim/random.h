// SPDX-License-Identifier: Apache-2.0
/*
 * random.h - the simulation's only source of chance: xoshiro256** (Blackman and Vigna), seeded by
 * splitmix64. One stream per world, so a seed is the whole of it.
 */
#ifndef SIM_RANDOM_H
#define SIM_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct sim_random {
	uint64_t s[4];
};

static inline uint64_t sim_splitmix(uint64_t *x)
{
	uint64_t z = (*x += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static inline void sim_random_seed(struct sim_random *r, uint64_t seed)
{
	for (int i = 0; i < 4; i++)
		r->s[i] = sim_splitmix(&seed);
}

static inline uint64_t sim_rotl(uint64_t x, int k)
{
	return x << k | x >> (64 - k);
}

/** sim_random() - 64 bits. */
static inline uint64_t sim_random(struct sim_random *r)
{
	uint64_t *s = r->s, out = sim_rotl(s[1] * 5, 7) * 9, t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = sim_rotl(s[3], 45);
	return out;
}

/** sim_below() - a number in [0, @n), @n > 0. */
static inline uint32_t sim_below(struct sim_random *r, uint32_t n)
{
	return (uint32_t)(((sim_random(r) >> 32) * n) >> 32);
}

/** sim_between() - a number in [@low, @high], for times. */
static inline uint64_t sim_between(struct sim_random *r, uint64_t low, uint64_t high)
{
	return low + sim_random(r) % (high - low + 1);
}

/** sim_chance() - true in @permille of 1000 cases. */
static inline bool sim_chance(struct sim_random *r, uint32_t permille)
{
	return sim_below(r, 1000) < permille;
}

#endif
