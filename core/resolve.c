// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * resolve.c - building the table of a service, and the choice as the kernel datapath makes it.
 *
 * Theory of operation
 *
 * Each instance has a permutation of all slots of its own, made from its locator alone. They take
 * turns, in the order of their locators; at its turn an instance takes the first slot of its
 * permutation that is still free (Eisenbud et al., "Maglev", NSDI 2016, section 3.4). Weights let
 * an instance sit out turns: the heaviest has each, one of half its weight every second. Nothing
 * depends on the order in which instances became known, so replicas build alike.
 *
 * Table sizes go in steps of two: a step reshuffles everything, between steps little moves.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/resolve.h"

/* The smallest primes from 100, 200, 400, ... instances' worth; the last is the largest of 16 bits.
 */
static const __u32 table_sizes[] = { 211,  401,	  809,	 1601,	3203,
				     6421, 12809, 25601, 51203, SF_TABLE_MAX };

#define TABLE_SIZES (sizeof(table_sizes) / sizeof(table_sizes[0]))

__u32 sf_table_size(__u32 instances)
{
	if (instances < 2)
		return instances;
	for (size_t i = 0; i < TABLE_SIZES; i++)
		if (instances * 100ull <= table_sizes[i])
			return table_sizes[i];
	return SF_TABLE_MAX;
}

#define SLOT_FREE 0xffff /* no index: instances are fewer */

/* An instance while the table is built. */
struct filler {
	struct sf_addr dst; /* socketID cut off: the adjustment in it differs between services */
	__u32 weight;
	__u32 skip; /* 1..size-1: as the size is prime, the steps reach every slot */
	__u32 next; /* slot that the permutation offers next */
	__u16 index;
	__u64 due; /* turn * weight at which it takes its next slot */
};

static int filler_compare(const void *a, const void *b)
{
	return memcmp(((const struct filler *)a)->dst.b, ((const struct filler *)b)->dst.b, 16);
}

/* Not secret: replicas and versions must agree for ever. */
static const struct sf_hashkey place_key = { 0x5caff01d00000001ull, 0x6d61676c65760001ull };

static void filler_init(struct filler *f, const struct sf_instance *inst, __u16 index, __u32 size)
{
	__u64 words[3];

	f->dst = inst->dst;
	sf_locator_set_sock(&f->dst, 0);
	f->weight = inst->weight;
	f->index = index;
	f->due = 0;
	words[0] = (__u64)sf_be32(f->dst.w[0]) << 32 | sf_be32(f->dst.w[1]);
	words[1] = (__u64)sf_be32(f->dst.w[2]) << 32 | sf_be32(f->dst.w[3]);
	words[2] = 0;
	f->next = (__u32)(sf_siphash24(&place_key, words, 3) % size);
	words[2] = 1;
	f->skip = size > 1 ? (__u32)(sf_siphash24(&place_key, words, 3) % (size - 1)) + 1 : 0;
}

/*
 * Collect those with positive weight, in order. Return: how many, or -EINVAL for a weight out of
 * range or a locator that appears twice.
 */
static int fillers_collect(const struct sf_instance *inst, __u32 n, __u32 size, struct filler *f)
{
	int count = 0;

	for (__u32 i = 0; i < n; i++) {
		if (inst[i].weight > SF_WEIGHT_MAX)
			return -EINVAL;
		if (inst[i].weight)
			filler_init(&f[count++], &inst[i], (__u16)i, size ? size : 1);
	}
	qsort(f, (size_t)count, sizeof(*f), filler_compare);
	for (int i = 1; i < count; i++)
		if (!filler_compare(&f[i - 1], &f[i]))
			return -EINVAL;
	return count;
}

/* The next free slot of a permutation; there is one. */
static __u32 filler_take(struct filler *f, const __u16 *slots, __u32 size)
{
	__u32 slot;

	do {
		slot = f->next;
		f->next += f->skip;
		if (f->next >= size)
			f->next -= size;
	} while (slots[slot] != SLOT_FREE);
	return slot;
}

/* The greatest weight of those collected, of which each is 1 at least. */
static __u32 heaviest_of(const struct filler *f, int count)
{
	__u32 heaviest = 1;

	for (int i = 0; i < count; i++)
		if (f[i].weight > heaviest)
			heaviest = f[i].weight;
	return heaviest;
}

static void slots_fill(struct filler *f, int count, __u32 size, __u16 *slots)
{
	__u32 heaviest = heaviest_of(f, count), filled = 0;

	for (__u32 i = 0; i < size; i++)
		slots[i] = SLOT_FREE;
	for (__u64 turn = 1; filled < size; turn++) {
		for (int i = 0; i < count && filled < size; i++) {
			if (turn * f[i].weight < f[i].due)
				continue;
			f[i].due += heaviest;
			slots[filler_take(&f[i], slots, size)] = f[i].index;
			filled++;
		}
	}
}

int sf_table_build(const struct sf_instance *inst, __u32 n, __u32 size, __u16 *slots)
{
	struct filler *f;
	int count;

	if (n > SF_INSTANCES_MAX)
		return -EINVAL;
	f = calloc(n ? n : 1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	count = fillers_collect(inst, n, size, f);
	if (count >= 0 && size != sf_table_size((__u32)count))
		count = -EINVAL;
	if (count > 0)
		slots_fill(f, count, size, slots);
	free(f);
	return count < 0 ? count : 0;
}

/* Slots that an instance has after @turns turns of slots_fill(), were there no end of them. */
static __u64 slots_after(const struct filler *f, __u64 turns, __u32 heaviest)
{
	__u64 n = turns * f->weight / heaviest + 1;

	return n < turns ? n : turns;
}

static __u64 filled_after(const struct filler *f, int count, __u64 turns, __u32 heaviest)
{
	__u64 sum = 0;

	for (int i = 0; i < count; i++)
		sum += slots_after(&f[i], turns, heaviest);
	return sum;
}

/* The last turn that all have in full, by bisection; in the next one some come too late. */
static void shares_count(const struct filler *f, int count, __u32 size, __u32 *slots)
{
	__u64 full = 0, beyond = (__u64)size + 1, left;
	__u32 heaviest = heaviest_of(f, count);

	while (beyond - full > 1) {
		__u64 middle = (full + beyond) / 2;

		if (filled_after(f, count, middle, heaviest) <= size)
			full = middle;
		else
			beyond = middle;
	}
	left = size - filled_after(f, count, full, heaviest);
	for (int i = 0; i < count; i++) {
		__u64 n = slots_after(&f[i], full, heaviest);

		if (left && slots_after(&f[i], full + 1, heaviest) > n) {
			n++;
			left--;
		}
		slots[f[i].index] = (__u32)n;
	}
}

int sf_table_shares(const struct sf_instance *inst, __u32 n, __u32 *slots)
{
	struct filler *f;
	int count, size;

	if (n > SF_INSTANCES_MAX)
		return -EINVAL;
	f = calloc(n ? n : 1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	count = fillers_collect(inst, n, 1, f);
	size = count < 0 ? count : (int)sf_table_size((__u32)count);
	if (size >= 0)
		memset(slots, 0, n * sizeof(*slots));
	if (size > 0)
		shares_count(f, count, (__u32)size, slots);
	free(f);
	return size;
}

int sf_resolve(const struct sf_hashkey *key, const struct sf_rule *rule,
	       const struct sf_addr *slots, const struct sf_addr *src, __u16 attempt, __u16 nonce,
	       struct sf_addr *dst)
{
	__u32 want = sf_pick_want(attempt, rule->instances);
	const struct sf_addr *first, *slot;
	struct sf_pick pick;

	if (!rule->size)
		return -ENOENT;
	if (rule->size == 1) {
		*dst = rule->only;
		return 0;
	}
	pick = sf_rule_pick(key, rule, src, nonce);
	first = &slots[pick.slot];
	for (__u32 i = 0; want && i < SF_RETRY_MAX; i++) {
		slot = &slots[sf_pick_other(rule, &pick, i) - rule->at];
		if (sf_pick_takes(slot, first, &want))
			first = slot;
	}
	*dst = *first;
	return 0;
}
