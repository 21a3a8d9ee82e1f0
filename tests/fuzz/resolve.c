// SPDX-License-Identifier: Apache-2.0
/* Tables from any instances and weights, and the choice in them. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/resolve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX 64

static void expect(bool truth)
{
	if (!truth)
		abort();
}

/* Input: four bytes an instance, hostAddr and weight, at most MAX. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct sf_hashkey key = { 1, 2 };
	static struct sf_addr slots[12809 + MAX];
	static __u16 index[12809];
	struct sf_net net = sf_net_default(1);
	struct sf_instance inst[MAX];
	struct sf_rule rule = { .at = 77 };
	struct sf_addr src, dst;
	__u32 n = size / 4 < MAX ? (__u32)(size / 4) : MAX;
	int r;

	for (__u32 i = 0; i < n; i++) {
		inst[i].dst = sf_locator(&net, (__u32)data[4 * i] << 8 | data[4 * i + 1], 0);
		inst[i].weight = ((__u32)data[4 * i + 2] << 8 | data[4 * i + 3]) % 1010;
	}
	for (__u32 i = 0; i < n; i++)
		if (inst[i].weight)
			rule.instances++;
	rule.size = sf_table_size(rule.instances);
	r = sf_table_build(inst, n, rule.size, index);
	expect(r == 0 || r == -EINVAL);
	if (r)
		return 0;
	for (__u32 i = 0; i < n; i++) /* a locator that counted twice would break the attempts */
		for (__u32 j = 0; j < i; j++)
			expect(!inst[i].weight || !inst[j].weight ||
			       !sf_addr_eq(&inst[i].dst, &inst[j].dst));
	for (__u32 i = 0; i < rule.size; i++) {
		expect(index[i] < n && inst[index[i]].weight);
		slots[i] = inst[index[i]].dst;
	}
	for (__u32 i = 0, at = rule.size; i < n; i++)
		if (inst[i].weight)
			slots[at++] = inst[i].dst;
	rule.only = slots[0];
	for (__u16 attempt = 0; attempt < 10; attempt++) {
		bool known = false;

		src = sf_locator(&net, attempt, size * 0x12345678ull);
		r = sf_resolve(&key, &rule, slots, &src, attempt, 0, &dst);
		expect(r == (rule.instances ? 0 : -ENOENT));
		for (__u32 i = 0; i < n; i++)
			known |= inst[i].weight && sf_addr_eq(&inst[i].dst, &dst);
		expect(r || known);
	}
	return 0;
}
