// SPDX-License-Identifier: Apache-2.0
/* bpf_map_test.c - util/bpf.h against the running kernel: pinned maps, batches, counters. */
#include "tests/unit/bpf_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void test_adopt(void **state)
{
	struct bpf_object *one = variant(V_SLOT(0)), *two;
	uint32_t key = 42;
	uint64_t value = 4242, found = 0;
	bool reused = true;

	assert_int_equal(sf_bpf_map_adopt(map_of(one, "things"), dir, "things", LAYOUT, &reused,
					  err, sizeof(err)),
			 0);
	assert_false(reused);
	assert_int_equal(sf_bpf_object_load(one, err, sizeof(err)), 0);
	assert_int_equal(
		bpf_map_update_elem(bpf_map__fd(map_of(one, "things")), &key, &value, BPF_ANY), 0);
	/* Too late. */
	assert_int_equal(
		sf_bpf_map_adopt(map_of(one, "counts"), dir, "counts", LAYOUT, NULL, err, 512),
		-EINVAL);
	bpf_object__close(one);

	/* The next version, with a larger table: the pinned one stays, with what is in it. */
	two = variant("-DMAPTYPE=1 -DENTRIES=999 -DKEY=__u32 -DVALUE=8 -DSLOT=0");
	assert_int_equal(
		sf_bpf_map_adopt(map_of(two, "things"), dir, "things", LAYOUT, &reused, err, 512),
		0);
	assert_true(reused);
	assert_int_equal(sf_bpf_object_load(two, err, sizeof(err)), 0);
	assert_int_equal(bpf_map__max_entries(map_of(two, "things")), 100);
	assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(map_of(two, "things")), &key, &found), 0);
	assert_int_equal(found, value);
	bpf_object__close(two);
}

/* What another version's map must be refused for, and what the refusal must say. */
static void test_adopt_refuses(void **state)
{
	static const struct {
		const char *defines, *says;
		uint32_t layout;
	} cases[] = {
		{ V_SLOT(0), "found layout 7, expected layout 8", LAYOUT + 1 },
		{ "-DMAPTYPE=1 -DENTRIES=100 -DKEY=__u32 -DVALUE=16 -DSLOT=0",
		  "found values of 8 bytes, expected 16", LAYOUT },
		{ "-DMAPTYPE=1 -DENTRIES=100 -DKEY=__u64 -DVALUE=8 -DSLOT=0",
		  "found keys of 4 bytes, expected 8", LAYOUT },
		{ "-DMAPTYPE=2 -DENTRIES=100 -DKEY=__u32 -DVALUE=8 -DSLOT=0",
		  "found type hash, expected array", LAYOUT },
	};
	struct sf_bpf_shape shape;
	struct bpf_object *object = loaded(V_SLOT(0));
	char path[320];
	int fd;

	bpf_object__close(object);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		object = variant(cases[i].defines);
		assert_int_equal(sf_bpf_map_adopt(map_of(object, "things"), dir, "things",
						  cases[i].layout, NULL, err, sizeof(err)),
				 -EPROTO);
		assert_non_null(strstr(err, "pinned map things"));
		if (!strstr(err, cases[i].says))
			fail_msg("\"%s\" does not say \"%s\"", err, cases[i].says);
		bpf_object__close(object);
	}
	assert_int_equal(sf_bpf_map_open(dir, "absent", &shape, err, 512), -ENOENT);
	assert_int_equal(sf_bpf_map_open(dir, "a/b", &shape, err, 512), -EINVAL);
	assert_int_equal(sf_bpf_map_open(dir, "", &shape, err, 512), -EINVAL);

	/* A map that nobody recorded. */
	fd = sf_bpf_map_open(dir, "things", &shape, err, sizeof(err));
	assert_true(fd >= 0);
	assert_int_equal(shape.layout, LAYOUT);
	assert_int_equal(shape.value_size, 8);
	snprintf(path, sizeof(path), "%s/stranger", dir);
	assert_int_equal(bpf_obj_pin(fd, path), 0);
	close(fd);
	object = variant(V_SLOT(0));
	assert_int_equal(
		sf_bpf_map_adopt(map_of(object, "things"), dir, "stranger", 1, NULL, err, 512),
		-EPROTO);
	assert_non_null(strstr(err, "no layout version"));
	assert_int_equal(
		sf_bpf_map_adopt(map_of(object, "things"), dir, "things", 0, NULL, err, 512),
		-EINVAL);
	bpf_object__close(object);
}

/* A file of another kind in the place of the layouts. */
static void test_meta_of_another(void **state)
{
	struct bpf_object *object = variant(V_SLOT(0));
	char path[320];
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "other", 4, 4, 1, NULL);

	snprintf(path, sizeof(path), "%s/" SF_BPF_META, dir);
	assert_int_equal(bpf_obj_pin(fd, path), 0);
	close(fd);
	assert_int_equal(
		sf_bpf_map_adopt(map_of(object, "things"), dir, "things", LAYOUT, NULL, err, 512),
		-EPROTO);
	bpf_object__close(object);
}

static int sum_up(const void *key, const void *value, void *ctx)
{
	uint32_t k;
	uint64_t v;

	memcpy(&k, key, sizeof(k));
	memcpy(&v, value, sizeof(v));
	if (v != 3ull * k)
		return -EBADMSG;
	*(uint64_t *)ctx += v;
	return k == UINT32_MAX;
}

static int stop(const void *key, const void *value, void *ctx)
{
	++*(int *)ctx;
	return 99;
}

static void batches(enum bpf_map_type type)
{
	enum { N = 5000 };
	int fd = bpf_map_create(type, "batch", 4, 8, N, NULL), calls = 0;
	uint32_t *keys = calloc(N + 1, sizeof(*keys)), done = 0;
	uint64_t *values = calloc(N + 1, sizeof(*values)), sum = 0, bytes = 0;

	assert_true(fd >= 0);
	for (uint32_t i = 0; i <= N; i++) {
		keys[i] = i;
		values[i] = 3ull * i;
	}
	assert_int_equal(sf_bpf_map_put_batch(fd, keys, values, N, &done), 0);
	assert_int_equal(done, N);
	assert_int_equal(sf_bpf_map_walk(fd, 4, 8, sum_up, &sum), 0);
	assert_int_equal(sum, 3ull * N * (N - 1) / 2);
	assert_int_equal(sf_bpf_map_walk(fd, 4, 8, stop, &calls), 99);
	assert_int_equal(calls, 1);
	assert_int_equal(sf_bpf_map_walk(fd, 4, 16, sum_up, &sum), -EPROTO);
	assert_int_equal(sf_bpf_map_walk(fd, 8, 8, sum_up, &sum), -EPROTO);
	assert_int_equal(sf_bpf_map_memory(fd, &bytes), 0);
	assert_true(bytes >= N * 8);
	/* One too many: all before it are in. */
	assert_int_equal(sf_bpf_map_put_batch(fd, keys, values, N + 1, &done), -E2BIG);
	assert_int_equal(done, N);
	if (type == BPF_MAP_TYPE_HASH) {
		/* Twice each, and one that never was there. */
		assert_int_equal(sf_bpf_map_delete_batch(fd, keys + 1000, N - 1000 + 1, &done), 0);
		assert_int_equal(done, N - 1000);
		assert_int_equal(sf_bpf_map_delete_batch(fd, keys, N + 1, &done), 0);
		assert_int_equal(done, 1000);
		assert_int_equal(sf_bpf_map_walk(fd, 4, 8, stop, &calls), 0);
		assert_int_equal(calls, 1);
	}
	close(fd);
	free(keys);
	free(values);
}

static void test_batch_hash(void **state)
{
	batches(BPF_MAP_TYPE_HASH);
}

static void test_batch_array(void **state)
{
	batches(BPF_MAP_TYPE_ARRAY);
}

static int count_each(const void *key, const void *value, void *ctx)
{
	++*(int *)ctx;
	return 0;
}

/* A type of map whose elements the kernel only gives one by one. */
static void test_walk_single(void **state)
{
	uint32_t keys[] = { 1, 2, 3 };
	int fd, outer, calls = 0, inner[3];
	LIBBPF_OPTS(bpf_map_create_opts, opts);

	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "inner", 4, 4, 1, NULL);
	assert_true(fd >= 0);
	opts.inner_map_fd = (uint32_t)fd;
	outer = bpf_map_create(BPF_MAP_TYPE_HASH_OF_MAPS, "outer", 4, 4, 8, &opts);
	assert_true(outer >= 0);
	inner[0] = inner[1] = inner[2] = fd;
	assert_int_equal(sf_bpf_map_put_batch(outer, keys, inner, 3, NULL), 0);
	assert_int_equal(sf_bpf_map_walk(outer, 4, 4, count_each, &calls), 0);
	assert_int_equal(calls, 3);
	close(outer);
	close(fd);
	assert_true(sf_bpf_map_walk(outer, 4, 4, count_each, &calls) < 0);
	assert_int_equal(sf_bpf_map_memory(outer, &(uint64_t){ 0 }), -EBADF);
}

static void test_percpu_errors(void **state)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_PERCPU_HASH, "pc", 4, 16, 8, NULL);
	uint64_t sums[3] = { 5, 5, 5 }, *values = calloc(sf_bpf_cpus(), 16);
	uint32_t key = 1;

	assert_true(fd >= 0);
	assert_int_equal(sf_bpf_percpu_sum(fd, &key, sums, 2), -ENOENT);
	assert_int_equal(sf_bpf_percpu_sum(fd, &key, sums, 3), -EPROTO);
	assert_int_equal(sums[0], 5);
	for (unsigned cpu = 0; cpu < sf_bpf_cpus(); cpu++)
		values[2 * cpu] = cpu + 1;
	assert_int_equal(sf_bpf_map_put_batch(fd, &key, values, 1, NULL), 0);
	assert_int_equal(sf_bpf_percpu_sum(fd, &key, sums, 2), 0);
	assert_int_equal(sums[0], sf_bpf_cpus() * (sf_bpf_cpus() + 1) / 2);
	assert_int_equal(sums[1], 0);
	free(values);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_adopt, fresh),
		cmocka_unit_test_setup(test_adopt_refuses, fresh),
		cmocka_unit_test_setup(test_meta_of_another, fresh),
		cmocka_unit_test(test_batch_hash),
		cmocka_unit_test(test_batch_array),
		cmocka_unit_test(test_walk_single),
		cmocka_unit_test(test_percpu_errors),
	};

	return BPF_MAIN(tests, "bpf_map_test");
}
