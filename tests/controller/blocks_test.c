// SPDX-License-Identifier: Apache-2.0
/* Leases of hostAddr blocks. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "controller/blocks.h"
#include "tests/controller/fixture.h"

static char dir[64];
static struct store *store;
static struct blocks *b;

static void reopen(uint16_t first, uint16_t last)
{
	char err[256];

	blocks_free(b);
	store_close(store);
	b = NULL;
	store = NULL;
	assert_int_equal(store_open(dir, &store, err, sizeof(err)), 0);
	assert_int_equal(blocks_new(store, first, last, &b), 0);
}

static int setup(void **state)
{
	strcpy(dir, "/tmp/controller-blocks-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	reopen(1, 10);
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	blocks_free(b);
	store_close(store);
	b = NULL;
	store = NULL;
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static int lease(unsigned int router, uint16_t first, uint16_t count, uint16_t *got)
{
	struct sf_sid id = host_sid(router);
	struct lease l = { 0 };
	int ret = blocks_lease(b, &id, first, count, &l);

	*got = l.first;
	return ret;
}

static void test_any(void **state)
{
	struct sf_sid r1 = host_sid(1);
	uint16_t a, a2, c;

	assert_int_equal(lease(1, 0, 1, &a), 0);
	assert_int_equal(lease(2, 0, 2, &c), 0);
	assert_true(a != 0 && c != 0 && c != a && c + 1 != a);
	/* Asked again: the same. */
	assert_int_equal(lease(1, 0, 1, &a2), 0);
	assert_int_equal(a, a2);
	assert_int_equal(lease(1, a, 1, &a2), 0);
	assert_int_equal(a, a2);
	assert_int_equal(blocks_used(b), 3);
	assert_true(sf_sid_eq(blocks_owner(b, a), &r1));
	assert_null(blocks_owner(b, 9));
}

static void test_held(void **state)
{
	uint16_t got;

	assert_int_equal(lease(1, 7, 2, &got), 0);
	assert_int_equal(got, 7);
	/* Somebody else's, also in part; outside of the range that new ones come from: fine. */
	assert_int_equal(lease(2, 7, 1, &got), -EEXIST);
	assert_int_equal(lease(2, 6, 3, &got), -EEXIST);
	assert_int_equal(lease(2, 8, 1, &got), -EEXIST);
	assert_int_equal(lease(2, 9, 1, &got), 0);
	assert_int_equal(lease(2, 60000, 1, &got), 0);
	assert_int_equal(got, 60000);
	/* Part of what it has. */
	assert_int_equal(lease(1, 8, 1, &got), 0);
	assert_int_equal(got, 7);
}

static void test_bad(void **state)
{
	uint16_t got;

	assert_int_equal(lease(1, 1, 0, &got), -EINVAL);
	assert_int_equal(lease(1, 65535, 2, &got), -EINVAL);
	assert_int_equal(lease(1, 0, BLOCKS_ROUTER_MAX + 1, &got), -EINVAL);
	assert_int_equal(lease(1, 0, 11, &got), -ENOSPC);
	assert_int_equal(blocks_used(b), 0);
}

static void test_full_and_released(void **state)
{
	struct sf_sid r5 = host_sid(5);
	uint16_t got, fifth = 0;

	for (unsigned int r = 1; r <= 10; r++) {
		assert_int_equal(lease(r, 0, 1, &got), 0);
		fifth = r == 5 ? got : fifth;
	}
	assert_int_equal(lease(11, 0, 1, &got), -ENOSPC);
	assert_int_equal(blocks_release(b, &r5), 0);
	assert_int_equal(lease(11, 0, 1, &got), 0);
	assert_int_equal(got, fifth);
}

static void test_too_many_leases(void **state)
{
	uint16_t got;

	for (uint16_t i = 0; i < BLOCKS_LEASES_MAX; i++)
		assert_int_equal(lease(1, (uint16_t)(100 + 2 * i), 1, &got), 0);
	assert_int_equal(lease(1, 2000, 1, &got), -ENOSPC);
	assert_int_equal(lease(1, 100, 1, &got), 0);
}

static void test_persistent(void **state)
{
	uint16_t before, after, other;

	assert_int_equal(lease(1, 0, 2, &before), 0);
	reopen(1, 10);
	assert_int_equal(blocks_used(b), 2);
	assert_int_equal(lease(2, before, 1, &after), -EEXIST);
	assert_int_equal(lease(1, 0, 2, &after), 0);
	assert_int_equal(before, after);
	assert_int_equal(lease(2, 0, 1, &other), 0);
	assert_true(other != before && other != before + 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_any),
		T(test_held),
		T(test_bad),
		T(test_full_and_released),
		T(test_too_many_leases),
		T(test_persistent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
