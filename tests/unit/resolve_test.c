// SPDX-License-Identifier: Apache-2.0
/* core/resolve: tables by weight, the same everywhere, little disturbed; the choice and its
 * attempts. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/csum.h"
#include "core/resolve.h"

#define MAX 1000

static const struct sf_hashkey key = { 0x1122334455667788ull, 0x99aabbccddeeff00ull };
static unsigned int seed = 1;

static __u32 rnd(void)
{
	return (__u32)rand_r(&seed) << 16 ^ (__u32)rand_r(&seed);
}

static struct sf_addr random_source(void)
{
	struct sf_net net = sf_net_default(1);

	return sf_locator(&net, 0x10000 + rnd() % 50, (__u64)rnd() << 32 | rnd());
}

/* Instances on hosts 1, 2, ... of weight 100, with destinations for one service. */
static void instances_make(struct sf_instance *inst, __u32 n)
{
	struct sf_net net = sf_net_default(1);
	struct sf_sid sid = sf_sid_make(1, 0x52ac1db85f5ecb14ull);
	struct sf_addr was = sf_service_addr(&net, &sid);

	for (__u32 i = 0; i < n; i++) {
		inst[i].dst = sf_locator(&net, 0x10001 + i, 0);
		sf_csum_neutral(&was, &inst[i].dst);
		inst[i].weight = 100;
	}
}

static __u32 positive(const struct sf_instance *inst, __u32 n)
{
	__u32 count = 0;

	for (__u32 i = 0; i < n; i++)
		count += inst[i].weight > 0;
	return count;
}

/* An extent as a router fills it, and the rule that points to it. */
struct table {
	struct sf_rule rule;
	struct sf_addr slots[SF_TABLE_MAX + MAX];
};

static struct table *table_make(const struct sf_instance *inst, __u32 n)
{
	static __u16 index[SF_TABLE_MAX];
	struct table *t = calloc(1, sizeof(*t));
	__u32 size = sf_table_size(positive(inst, n));

	assert_int_equal(sf_table_build(inst, n, size, index), 0);
	t->rule.at = 12345; /* wherever the extent lies, it is handed over from its start */
	t->rule.size = size;
	for (__u32 i = 0; i < size; i++)
		t->slots[i] = inst[index[i]].dst;
	for (__u32 i = 0; i < n; i++)
		if (inst[i].weight)
			t->slots[size + t->rule.instances++] = inst[i].dst;
	if (size == 1)
		t->rule.only = t->slots[0];
	return t;
}

static struct sf_addr resolve(const struct table *t, const struct sf_addr *src, __u16 attempt,
			      __u16 nonce)
{
	struct sf_addr dst;

	assert_int_equal(sf_resolve(&key, &t->rule, t->slots, src, attempt, nonce, &dst), 0);
	return dst;
}

static __u32 count(const struct table *t, const struct sf_addr *dst)
{
	__u32 n = 0;

	for (__u32 i = 0; i < t->rule.size; i++)
		n += sf_addr_eq(&t->slots[i], dst);
	return n;
}

static void sizes(void **state)
{
	__u32 last = 1;

	assert_int_equal(sf_table_size(0), 0);
	assert_int_equal(sf_table_size(1), 1);
	for (__u32 n = 2; n <= SF_INSTANCES_MAX; n++) {
		__u32 m = sf_table_size(n);

		assert_true(m >= last && m <= SF_TABLE_MAX);
		assert_true(m >= 100 * n || m == SF_TABLE_MAX);
		assert_true(m <= 201 * n + 11);
		if (m != last)
			for (__u32 d = 2; d * d <= m; d++)
				assert_int_not_equal(m % d, 0);
		last = m;
	}
}

static void shares_follow_weights(void **state)
{
	static struct sf_instance inst[200];

	for (int round = 0; round < 60; round++) {
		__u32 n = 2 + rnd() % (round % 3 ? 12 : 198), heavy = 0;
		struct table *t;

		instances_make(inst, n);
		for (__u32 i = 0; i < n; i++) {
			inst[i].weight = rnd() % (SF_WEIGHT_MAX + 1);
			if (rnd() % 8 == 0)
				inst[i].weight = 0;
			heavy += inst[i].weight;
		}
		if (positive(inst, n) < 2) {
			heavy += 2000 - inst[0].weight - inst[1].weight;
			inst[0].weight = inst[1].weight = 1000;
		}
		t = table_make(inst, n);
		for (__u32 i = 0; i < n; i++) {
			double fair = (double)t->rule.size * inst[i].weight / heavy;
			double slack = 2 + (double)n * inst[i].weight / heavy;
			__u32 got = count(t, &inst[i].dst);

			assert_true(got >= fair - slack && got <= fair + slack);
			assert_int_equal(got > 0, inst[i].weight > 0);
		}
		free(t);
	}
}

/* The weights of the main demonstration, over many sources. */
/* Counted without the table, and as the table has it: any weights, also extreme ones. */
static void shares_without_a_table(void **state)
{
	static struct sf_instance inst[MAX];
	static __u16 index[SF_TABLE_MAX];
	static __u32 told[MAX], built[MAX];

	for (int round = 0; round < 60; round++) {
		__u32 n = round < 20 ? 1 + (__u32)round : 1 + rnd() % (round < 50 ? 60 : MAX);
		__u32 size;

		instances_make(inst, n);
		for (__u32 i = 0; i < n; i++)
			inst[i].weight = round % 3 == 0	  ? rnd() % (SF_WEIGHT_MAX + 1)
					 : round % 3 == 1 ? (rnd() % 4 ? 1 : SF_WEIGHT_MAX)
							  : rnd() % 3;
		size = sf_table_size(positive(inst, n));
		memset(built, 0, sizeof(built));
		assert_int_equal(sf_table_build(inst, n, size, index), 0);
		for (__u32 i = 0; i < size; i++)
			built[index[i]]++;
		assert_int_equal(sf_table_shares(inst, n, told), size);
		assert_memory_equal(told, built, n * sizeof(*told));
	}
	/* What an operator of weights 1 and 1000 gets. */
	instances_make(inst, 2);
	inst[0].weight = 1;
	inst[1].weight = 1000;
	assert_int_equal(sf_table_shares(inst, 2, told), 211);
	assert_int_equal(told[0], 1);
	assert_int_equal(told[1], 210);
	inst[0].weight = SF_WEIGHT_MAX + 1;
	assert_int_equal(sf_table_shares(inst, 2, told), -EINVAL);
	assert_int_equal(sf_table_shares(inst, SF_INSTANCES_MAX + 1, told), -EINVAL);
	assert_int_equal(sf_table_shares(inst, 0, told), 0);
}

static void flows_split_one_to_three(void **state)
{
	enum { N = 40000 };
	struct sf_instance inst[2];
	struct table *t;
	int first = 0;

	instances_make(inst, 2);
	inst[0].weight = 100;
	inst[1].weight = 300;
	t = table_make(inst, 2);
	for (int i = 0; i < N; i++) {
		struct sf_addr src = random_source(), dst = resolve(t, &src, 0, 0);

		first += sf_addr_eq(&dst, &inst[0].dst);
	}
	/* Five standard deviations (87), and one slot of 211 for what a table can express. */
	assert_in_range(first, N / 4 - 435 - N / 211, N / 4 + 435 + N / 211);
	free(t);
}

static void order_does_not_matter(void **state)
{
	static struct sf_instance inst[50], mixed[50];

	for (__u32 n = 1; n <= 50; n += 7) {
		struct table *a, *b;

		instances_make(inst, n);
		for (__u32 i = 0; i < n; i++)
			inst[i].weight = i ? rnd() % 500 : 5;
		memcpy(mixed, inst, sizeof(inst));
		for (__u32 i = n - 1; i > 0; i--) {
			__u32 j = rnd() % (i + 1);
			struct sf_instance swap = mixed[i];

			mixed[i] = mixed[j];
			mixed[j] = swap;
		}
		a = table_make(inst, n);
		b = table_make(mixed, n);
		assert_int_equal(a->rule.size, b->rule.size);
		assert_memory_equal(a->slots, b->slots, a->rule.size * sizeof(struct sf_addr));
		free(a);
		free(b);
	}
}

/* Replicas of different versions serve side by side: the tables are part of the protocol. */
#define GOLDEN_TABLE 0x4066ca69u /* FNV-1a over the slots */

static void tables_stay_as_they_are(void **state)
{
	static __u16 slots[211];
	struct sf_instance inst[2];
	__u32 h = 2166136261u;

	instances_make(inst, 2);
	inst[1].weight = 300;
	assert_int_equal(sf_table_build(inst, 2, 211, slots), 0);
	for (int i = 0; i < 211; i++)
		h = (h ^ slots[i]) * 16777619u;
	assert_int_equal(h, GOLDEN_TABLE);
	/* Nor does the adjustment of another service change them. */
	sf_locator_set_sock(&inst[0].dst, 0x1234);
	sf_locator_set_sock(&inst[1].dst, 0);
	assert_int_equal(sf_table_build(inst, 2, 211, slots), 0);
	h = 2166136261u;
	for (int i = 0; i < 211; i++)
		h = (h ^ slots[i]) * 16777619u;
	assert_int_equal(h, GOLDEN_TABLE);
}

/* Slots that changed hands between two tables, but for those from or to @gone. */
static __u32 disturbed(const struct table *a, const struct table *b, const struct sf_addr *gone)
{
	__u32 n = 0;

	assert_int_equal(a->rule.size, b->rule.size);
	for (__u32 i = 0; i < a->rule.size; i++)
		n += !sf_addr_eq(&a->slots[i], &b->slots[i]) && !sf_addr_eq(&a->slots[i], gone) &&
		     !sf_addr_eq(&b->slots[i], gone);
	return n;
}

static void others_keep_their_slots(void **state)
{
	static struct sf_instance inst[60], fewer[60];
	static const __u32 ns[] = { 4, 7, 12, 16, 30, 60 };

	for (size_t k = 0; k < sizeof(ns) / sizeof(ns[0]); k++) {
		__u32 n = ns[k];

		instances_make(inst, n);
		for (__u32 gone = 0; gone < n; gone += 3) {
			struct table *a, *b, *c;

			memcpy(fewer, inst, sizeof(inst));
			fewer[gone] = fewer[n - 1];
			a = table_make(inst, n);
			b = table_make(fewer, n - 1);
			/* Gone and come again are one; a plain modulo would move nearly all. */
			assert_true(disturbed(a, b, &inst[gone].dst) < a->rule.size / 20);
			/* Drained and gone are one, too. */
			memcpy(fewer, inst, sizeof(inst));
			fewer[gone].weight = 0;
			c = table_make(fewer, n);
			assert_memory_equal(b->slots, c->slots,
					    b->rule.size * sizeof(struct sf_addr));
			free(a);
			free(b);
			free(c);
		}
	}
}

/* The definition in docs/protocol.md section 4, in other words than the code's. */
static struct sf_addr choice(const struct table *t, const struct sf_addr *src, __u16 attempt)
{
	__u32 n = t->rule.instances, k = attempt % (n < 8 ? n : 8);
	struct sf_pick p = sf_pick(&key, src, 0, t->rule.size, (__u16)n);
	struct sf_addr others[MAX];
	__u32 count_others = 0;

	for (__u32 i = 0; i < n; i++) {
		const struct sf_addr *d = &t->slots[t->rule.size + (p.start + i) % n];

		if (!sf_addr_eq(d, &t->slots[p.slot]))
			others[count_others++] = *d;
	}
	assert_int_equal(count_others, n - 1);
	return k ? others[k - 1] : t->slots[p.slot];
}

static void attempts_visit_distinct_instances(void **state)
{
	static const __u32 ns[] = { 2, 3, 4, 7, 8, 9, 20, 600 };
	static struct sf_instance inst[MAX];

	for (size_t k = 0; k < sizeof(ns) / sizeof(ns[0]); k++) {
		__u32 n = ns[k], differ = n < SF_RETRY_MAX ? n : SF_RETRY_MAX;
		struct table *t;

		instances_make(inst, n);
		t = table_make(inst, n);
		for (int round = 0; round < 300; round++) {
			struct sf_addr src = random_source(), seen[SF_RETRY_MAX], dst;

			for (__u16 a = 0; a < differ; a++) {
				seen[a] = resolve(t, &src, a, 0);
				for (__u16 b = 0; b < a; b++)
					assert_false(sf_addr_eq(&seen[a], &seen[b]));
				dst = choice(t, &src, a);
				assert_true(sf_addr_eq(&seen[a], &dst));
			}
			/* Then they wrap. */
			dst = resolve(t, &src, (__u16)differ, 0);
			assert_true(sf_addr_eq(&dst, &seen[0]));
			dst = resolve(t, &src, (__u16)(differ + 1), 0);
			assert_true(sf_addr_eq(&dst, &seen[1]));
			dst = resolve(t, &src, 65535, 0);
			assert_true(sf_addr_eq(&dst, &seen[65535 % differ]));
		}
		free(t);
	}
}

static void retries_spread(void **state)
{
	enum { N = 20000 };
	struct sf_instance inst[5];
	int got[5] = { 0 };
	struct table *t;

	instances_make(inst, 5);
	inst[0].weight = SF_WEIGHT_MAX; /* takes most first choices */
	t = table_make(inst, 5);
	for (int i = 0; i < N; i++) {
		struct sf_addr src = random_source(), dst = resolve(t, &src, 0, 0);

		if (!sf_addr_eq(&dst, &inst[0].dst))
			continue;
		dst = resolve(t, &src, 1, 0);
		for (int j = 0; j < 5; j++)
			got[j] += sf_addr_eq(&dst, &inst[j].dst);
	}
	/*
	 * About 14,300 retries, each to one of four others. The one that stands behind the first
	 * choice in the list gets two shares of five, the rest one each.
	 */
	assert_int_equal(got[0], 0);
	for (int j = 1; j < 5; j++)
		assert_in_range(got[j], N / 10, N * 2 / 5);
	free(t);
}

static void duplicates_land_alike(void **state)
{
	static struct sf_instance inst[9];
	struct table *t;

	instances_make(inst, 9);
	t = table_make(inst, 9);
	for (int i = 0; i < 1000; i++) {
		struct sf_addr src = random_source();
		__u16 attempt = (__u16)(rnd() % 5), nonce = (__u16)rnd();
		struct sf_addr a = resolve(t, &src, attempt, nonce);
		struct sf_addr b = resolve(t, &src, attempt, nonce);

		assert_true(sf_addr_eq(&a, &b));
	}
	free(t);
}

static void nonces_spread_datagrams(void **state)
{
	struct sf_addr src = random_source(), first, dst;
	static struct sf_instance inst[4];
	int got[4] = { 0 };
	struct table *t;

	instances_make(inst, 4);
	t = table_make(inst, 4);
	for (int nonce = 0; nonce < 4000; nonce++) {
		dst = resolve(t, &src, 0, (__u16)nonce);
		for (int j = 0; j < 4; j++)
			got[j] += sf_addr_eq(&dst, &inst[j].dst);
	}
	for (int j = 0; j < 4; j++)
		assert_in_range(got[j], 800, 1200); /* a thousand each; seven deviations */

	t->rule.flags = SF_RULE_STICKY;
	first = resolve(t, &src, 0, 0);
	for (int nonce = 1; nonce < 1000; nonce++) {
		dst = resolve(t, &src, 0, (__u16)nonce);
		assert_true(sf_addr_eq(&dst, &first));
	}
	free(t);
}

static void another_key_chooses_otherwise(void **state)
{
	static const struct sf_hashkey other = { 1, 2 };
	static struct sf_instance inst[8];
	struct table *t;
	int alike = 0;

	instances_make(inst, 8);
	t = table_make(inst, 8);
	for (int i = 0; i < 8000; i++) {
		struct sf_addr src = random_source(), a = resolve(t, &src, 0, 0), b;

		assert_int_equal(sf_resolve(&other, &t->rule, t->slots, &src, 0, 0, &b), 0);
		alike += sf_addr_eq(&a, &b);
	}
	assert_in_range(alike, 800, 1200);
	free(t);
}

static void one_or_none(void **state)
{
	struct sf_addr src = random_source(), dst = src;
	struct sf_instance inst[3];
	struct sf_rule none = { 0 };
	struct table *t;

	assert_int_equal(sf_resolve(&key, &none, NULL, &src, 0, 0, &dst), -ENOENT);
	assert_true(sf_addr_eq(&dst, &src));
	instances_make(inst, 3);
	inst[0].weight = inst[2].weight = 0;
	t = table_make(inst, 3);
	assert_int_equal(t->rule.size, 1);
	for (__u16 attempt = 0; attempt < 10; attempt++) {
		assert_int_equal(sf_resolve(&key, &t->rule, NULL, &src, attempt, 0, &dst), 0);
		assert_true(sf_addr_eq(&dst, &inst[1].dst));
	}
	free(t);
}

/* A table may change between the reads of one packet: what is read stays inside the extent. */
static void candidates_stay_inside(void **state)
{
	for (__u32 n = 0; n < 20; n++) {
		struct sf_rule rule = { .at = 1000, .size = 211, .instances = (__u16)n };

		for (__u32 start = 0; start < 25; start++) {
			struct sf_pick pick = { .start = start };

			for (__u32 i = 0; i < SF_RETRY_MAX; i++) {
				__u32 at = sf_pick_other(&rule, &pick, i);

				assert_in_range(at, 1211, 1211 + (n ? n - 1 : 0));
			}
		}
	}
}

static void refuses(void **state)
{
	static struct sf_instance inst[SF_INSTANCES_MAX + 1];
	static __u16 slots[SF_TABLE_MAX];

	instances_make(inst, 3);
	assert_int_equal(sf_table_build(inst, 3, 211, slots), -EINVAL);
	assert_int_equal(sf_table_build(inst, 3, 0, slots), -EINVAL);
	assert_int_equal(sf_table_build(inst, 3, 1, slots), -EINVAL);
	assert_int_equal(sf_table_build(inst, 3, 401, slots), 0);
	inst[1].weight = SF_WEIGHT_MAX + 1;
	assert_int_equal(sf_table_build(inst, 3, 401, slots), -EINVAL);
	inst[1].weight = 1;
	inst[2].dst = inst[1].dst;
	assert_int_equal(sf_table_build(inst, 3, 401, slots), -EINVAL);
	inst[2].weight = 0;
	assert_int_equal(sf_table_build(inst, 3, 211, slots), 0);
	assert_int_equal(sf_table_build(inst, 0, 0, slots), 0);
	instances_make(inst, SF_INSTANCES_MAX + 1);
	assert_int_equal(sf_table_build(inst, SF_INSTANCES_MAX + 1, SF_TABLE_MAX, slots), -EINVAL);
	assert_int_equal(sf_table_build(inst, SF_INSTANCES_MAX, SF_TABLE_MAX, slots), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),
		cmocka_unit_test(shares_follow_weights),
		cmocka_unit_test(shares_without_a_table),
		cmocka_unit_test(flows_split_one_to_three),
		cmocka_unit_test(order_does_not_matter),
		cmocka_unit_test(tables_stay_as_they_are),
		cmocka_unit_test(others_keep_their_slots),
		cmocka_unit_test(attempts_visit_distinct_instances),
		cmocka_unit_test(retries_spread),
		cmocka_unit_test(duplicates_land_alike),
		cmocka_unit_test(nonces_spread_datagrams),
		cmocka_unit_test(another_key_chooses_otherwise),
		cmocka_unit_test(one_or_none),
		cmocka_unit_test(candidates_stay_inside),
		cmocka_unit_test(refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
