// SPDX-License-Identifier: Apache-2.0
/* Taking flows out of the kernel's table: only the one that is meant. */
#include <bpf/bpf.h>
#include <dlfcn.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/flows.h"
#include "core/flow.h"

#define KEY 0x12345678abull

static int deletions;

/* In place of libbpf's, so that what takes an element away even for a moment is seen. */
int bpf_map_lookup_and_delete_elem(int fd, const void *key, void *value)
{
	static int (*next)(int, const void *, void *);

	if (!next)
		*(void **)&next = dlsym(RTLD_NEXT, "bpf_map_lookup_and_delete_elem");
	deletions++;
	return next(fd, key, value);
}

static void put(int map, uint8_t incarnation, uint64_t packets)
{
	struct sf_flow f = { .rx_packets = packets };
	uint64_t key = KEY;

	sf_locator_set_sock(&f.own, sf_socket_id(KEY, incarnation));
	assert_int_equal(bpf_map_update_elem(map, &key, &f, BPF_ANY), 0);
}

static void test_take(void **state)
{
	int map = bpf_map_create(BPF_MAP_TYPE_HASH, "flows", sizeof(uint64_t),
				 sizeof(struct sf_flow), 16, NULL);
	uint64_t key = KEY;
	struct sf_flow f;

	assert_true(map >= 0);
	assert_int_equal(flows_take(map, sf_socket_id(KEY, 1), &f), -ENOENT);
	put(map, 2, 77);
	deletions = 0;
	assert_int_equal(flows_take(map, sf_socket_id(KEY, 1), &f), -ENOENT);
	assert_int_equal(deletions, 0);
	assert_int_equal(bpf_map_lookup_elem(map, &key, &f), 0);
	assert_int_equal(f.rx_packets, 77);

	assert_int_equal(flows_take(map, sf_socket_id(KEY, 2), &f), 0);
	assert_int_equal(deletions, 1);
	assert_int_equal(f.rx_packets, 77);
	assert_int_equal(bpf_map_lookup_elem(map, &key, &f), -ENOENT);
	close(map);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_take) };

	if (geteuid()) {
		fprintf(stderr, "needs root: makes a BPF map\n");
		return 77;
	}
	return cmocka_run_group_tests_name("agent_flows", tests, NULL, NULL);
}
