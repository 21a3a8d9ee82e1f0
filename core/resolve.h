// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * resolve.h - how a service router chooses an instance (paper section 4.1, "Service router").
 *
 * Theory of operation
 *
 * A service's instances fill a table of M slots (M prime), each as often as its weight demands, in
 * the manner of Maglev (Eisenbud et al., NSDI 2016, section 3.4), so that an instance that comes or
 * goes disturbs few others. Each slot holds the whole destination that is written into the packet,
 * checksum adjustment included (core/csum.h).
 *
 * The choice is a keyed hash of the packet's source locator, which holds a random socketID. Behind
 * the M slots stands each instance once more; attempt k takes the k-th of these, counted from a
 * hashed place and leaving out the first choice. So a duplicate of a SYN lands on the same
 * instance, a retried one on another (evenly: a retry cares for life, not for balance), and every
 * replica of the router chooses alike without a word between them: no state, no per-flow memory.
 */
#ifndef SF_CORE_RESOLVE_H
#define SF_CORE_RESOLVE_H

#include "core/addr.h"
#include "core/siphash.h"

#define SF_RETRY_MAX	 8 /* attempts that are told apart; then they wrap */
#define SF_INSTANCES_MAX 4096
#define SF_WEIGHT_MAX	 1000
#define SF_TABLE_MAX	 65521 /* largest M */

/** struct sf_service_key - what is registered. Protocol and port 0 mean any; an exact match wins.
 */
struct sf_service_key {
	struct sf_sid sid;
	__be16 port;
	__u8 proto;
	__u8 pad;
};

/**
 * struct sf_rule - a service as the router's datapath sees it.
 * @at: index of its extent in the slot array (unused when @size is below 2): @size slots, then
 *      @instances distinct destinations
 * @size: M, number of slots; 1: @only is the whole table; 0: known, but no instance takes new flows
 * @instances: number of distinct instances in the table
 * @flags: SF_RULE_*
 * @only: the slot of a service with one instance, inline: no second look-up, no slot memory
 */
struct sf_rule {
	__u32 at;
	__u32 size;
	__u16 instances;
	__u16 flags;
	__u32 pad;
	struct sf_addr only;
};

#define SF_RULE_STICKY 0x1 /* datagrams of one socket go to one instance: the nonce is left out */

SF_STATIC_ASSERT(sizeof(struct sf_service_key) == 16, "service key");
SF_STATIC_ASSERT(sizeof(struct sf_rule) == 32, "rule");

/** struct sf_pick - where a packet's hash points to, in a table of given size. */
struct sf_pick {
	__u32 slot;  /* 0..size-1 */
	__u32 start; /* 0..instances-1, among the distinct ones */
};

/**
 * sf_pick() - hash a packet to its slot.
 * @key: shared by all service routers of the network
 * @src: source locator
 * @nonce: of a datagram (0 for flows and sticky services)
 * @size: number of slots, at least 1
 * @instances: number of distinct instances, at least 1
 */
SF_INLINE struct sf_pick sf_pick(const struct sf_hashkey *key, const struct sf_addr *src,
				 __u16 nonce, __u32 size, __u16 instances)
{
	__u64 words[3];
	struct sf_pick p;
	__u64 h;

	words[0] = (__u64)src->w[0] << 32 | src->w[1];
	words[1] = (__u64)src->w[2] << 32 | src->w[3];
	words[2] = nonce;
	h = sf_siphash13(key, words, 3);
	/* Multiply-shift instead of modulo: a division costs more than the hash's last round. */
	p.slot = (__u32)(((h & 0xffffffffu) * size) >> 32);
	p.start = (__u32)(((h >> 32) * instances) >> 32);
	return p;
}

/**
 * sf_pick_want() - which of the distinct instances attempt @attempt takes; 0 is the hash's choice.
 *
 * Attempts beyond the number of instances wrap, so that a service with one instance is tried again.
 */
SF_INLINE __u32 sf_pick_want(__u16 attempt, __u16 instances)
{
	__u32 n = instances < SF_RETRY_MAX ? instances : SF_RETRY_MAX;

	return n ? attempt % n : 0;
}

/**
 * sf_rule_pick() - sf_pick() for a rule's table: its sizes, and no nonce where it is sticky.
 * @rule: of @size 2 or more
 * @nonce: of a datagram, 0 for all else
 */
SF_INLINE struct sf_pick sf_rule_pick(const struct sf_hashkey *key, const struct sf_rule *rule,
				      const struct sf_addr *src, __u16 nonce)
{
	if (rule->flags & SF_RULE_STICKY)
		nonce = 0;
	return sf_pick(key, src, nonce, rule->size, rule->instances);
}

/*
 * The walk to the instance of attempt k > 0 looks alike in both worlds, but each reads its slots in
 * its own way (a map look-up, an array), so the loop is the caller's and these are its parts:
 *
 *	first = slot rule->at + pick.slot
 *	want = sf_pick_want(attempt, rule->instances)
 *	for (i = 0; want && i < SF_RETRY_MAX; i++) {
 *		slot = look up sf_pick_other(rule, &pick, i)
 *		if (sf_pick_takes(slot, first, &want))
 *			first = slot, and done
 *	}
 *
 * SF_RETRY_MAX steps always suffice, and min(instances, SF_RETRY_MAX) are made at most: want is
 * less than that, and one is left out.
 */

/** sf_pick_other() - index in the slot array of the @i-th candidate, @i below SF_RETRY_MAX. */
SF_INLINE __u32 sf_pick_other(const struct sf_rule *rule, const struct sf_pick *pick, __u32 i)
{
	__u32 n = rule->instances ? rule->instances : 1;

	return rule->at + rule->size + (pick->start + i) % n;
}

/**
 * sf_pick_takes() - whether the walk ends at @candidate.
 * @first: the hash's choice, which is left out
 * @want: in: the how-many-eth other instance is wanted, at least 1; counted down
 */
SF_INLINE bool sf_pick_takes(const struct sf_addr *candidate, const struct sf_addr *first,
			     __u32 *want)
{
	return !sf_addr_eq(candidate, first) && --*want == 0;
}

#if SF_NATIVE
/**
 * struct sf_instance - an instance for table building.
 * @dst: its locator, socketID unset
 * @weight: 0..SF_WEIGHT_MAX; 0 takes no new flows
 */
struct sf_instance {
	struct sf_addr dst;
	__u32 weight;
};

/** sf_table_size() - M for @instances with positive weight: 0, 1, or a prime about 100 times as
 * big. */
__u32 sf_table_size(__u32 instances);

/**
 * sf_table_build() - fill slots with instance indices.
 * @inst, @n: instances in any order (the result does not depend on it)
 * @size: from sf_table_size() of those with positive weight
 * @slots: @size entries out, each an index into @inst
 * Return: 0, -EINVAL for bad sizes or weights, -ENOMEM.
 */
int sf_table_build(const struct sf_instance *inst, __u32 n, __u32 size, __u16 *slots);

/**
 * sf_table_shares() - how many slots each instance has in the table of sf_table_build(), without
 * building it: an instance of any weight has at least one, so that extreme weights are not kept.
 * @slots: @n counts out, 0 for those of weight 0
 * Return: the table's size, -EINVAL for bad weights or too many, -ENOMEM.
 */
int sf_table_shares(const struct sf_instance *inst, __u32 n, __u32 *slots);

/**
 * sf_resolve() - the router's choice, natively: what the kernel datapath is tested against.
 * @rule: its @size and @instances; @slots: the extent (ignored when size is 1)
 * Return: 0 and *@dst, or -ENOENT when no instance takes new flows.
 */
int sf_resolve(const struct sf_hashkey *key, const struct sf_rule *rule,
	       const struct sf_addr *slots, const struct sf_addr *src, __u16 attempt, __u16 nonce,
	       struct sf_addr *dst);
#endif

#endif
