// SPDX-License-Identifier: Apache-2.0
/*
 * bpf_adopt_test.c - util/bpf.h against the running kernel: what a version does with the pinned
 * maps of another: takes them over, migrates them, or refuses them by name.
 */
#include "tests/unit/bpf_fixture.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define WIDE(slot) "-DMAPTYPE=1 -DENTRIES=100 -DKEY=__u32 -DVALUE=16 -DSLOT=" #slot
#define ELEMENTS   50

/* The next layout has wider values: the old one, and twice it. */
struct wide {
	uint64_t value, twice;
};

static int copies, copy_result;

static int widen(const void *key, const void *value, void *ctx)
{
	struct wide wide;

	memcpy(&wide.value, value, sizeof(wide.value));
	wide.twice = 2 * wide.value;
	return bpf_map_update_elem(*(int *)ctx, key, &wide, BPF_ANY);
}

static int copy_things(int old_fd, int new_fd)
{
	copies++;
	return copy_result ? copy_result : sf_bpf_map_walk(old_fd, 4, 8, widen, &new_fd);
}

static int copy_nothing(int old_fd, int new_fd)
{
	copies++;
	return 0;
}

static const struct sf_bpf_migration migrations[] = {
	{ "things", LAYOUT - 1, LAYOUT + 1, copy_nothing }, /* of other pairs of layouts */
	{ "things", LAYOUT, LAYOUT + 2, copy_nothing },
	{ "things", LAYOUT, LAYOUT + 1, copy_things },
	{ "counts", LAYOUT, LAYOUT + 1, copy_nothing },
	{ NULL, 0, 0, NULL },
};

/* What the version before left: pinned maps of LAYOUT with something in them. */
static void pinned(void)
{
	struct bpf_object *object = loaded(V_SLOT(0));
	int fd = bpf_map__fd(map_of(object, "things"));

	for (uint32_t key = 0; key < ELEMENTS; key++) {
		uint64_t value = 1000 + key;

		assert_int_equal(bpf_map_update_elem(fd, &key, &value, BPF_ANY), 0);
	}
	bpf_object__close(object);
	copies = 0;
	copy_result = 0;
}

/* They are still that. */
static void untouched(void)
{
	int fd = pinned_map("things", 8, LAYOUT);
	uint32_t key = ELEMENTS - 1;
	uint64_t value = 0;

	assert_int_equal(bpf_map_lookup_elem(fd, &key, &value), 0);
	assert_int_equal(value, 1000 + key);
	close(fd);
	fd = pinned_map("counts", 16, LAYOUT);
	close(fd);
}

static struct sf_bpf_adoption adoption(uint32_t layout)
{
	return (struct sf_bpf_adoption){ .dir = dir, .layout = layout, .migrations = migrations };
}

static int adopt_both(struct sf_bpf_adoption *a, struct bpf_object *object)
{
	int ret = sf_bpf_adoption_map(a, map_of(object, "things"), err, sizeof(err));

	return ret ? ret : sf_bpf_adoption_map(a, map_of(object, "counts"), err, sizeof(err));
}

static void test_same_layout(void **state)
{
	struct sf_bpf_adoption a = adoption(LAYOUT);
	struct bpf_object *object = variant(V_SLOT(0));

	assert_int_equal(adopt_both(&a, object), 0);
	assert_false(a.reused);
	assert_int_equal(sf_bpf_object_load(object, err, sizeof(err)), 0);
	assert_int_equal(sf_bpf_adoption_finish(&a, err, sizeof(err)), 0);
	bpf_object__close(object);

	pinned();
	object = variant(V_SLOT(1));
	assert_int_equal(adopt_both(&a, object), 0);
	assert_true(a.reused);
	assert_int_equal(sf_bpf_object_load(object, err, sizeof(err)), 0);
	assert_int_equal(sf_bpf_adoption_finish(&a, err, sizeof(err)), 0);
	assert_int_equal(copies, 0);
	bpf_object__close(object);
	untouched();
}

static void test_migrated(void **state)
{
	struct sf_bpf_adoption a = adoption(LAYOUT + 1);
	struct bpf_object *object;
	uint32_t key = 17;
	struct wide found;
	int fd, old;

	pinned();
	old = pinned_map("things", 8, LAYOUT);
	object = variant(WIDE(1));
	assert_int_equal(adopt_both(&a, object), 0);
	assert_true(a.reused);
	untouched();
	assert_int_equal(sf_bpf_object_load(object, err, sizeof(err)), 0);
	untouched();
	assert_int_equal(copies, 0);
	assert_int_equal(sf_bpf_adoption_finish(&a, err, sizeof(err)), 0);
	assert_int_equal(copies, 2);
	assert_int_equal(a.n, 0);

	/* The pinned map is the program's, of the new layout, with what was in the old one. */
	fd = pinned_map("things", 16, LAYOUT + 1);
	assert_int_equal(bpf_map_lookup_elem(fd, &key, &found), 0);
	assert_int_equal(found.value, 1017);
	assert_int_equal(found.twice, 2034);
	found.value = 5;
	assert_int_equal(
		bpf_map_update_elem(bpf_map__fd(map_of(object, "things")), &key, &found, BPF_ANY),
		0);
	assert_int_equal(bpf_map_lookup_elem(fd, &key, &found), 0);
	assert_int_equal(found.value, 5);
	close(fd);
	/* Who holds the old one keeps it. */
	assert_int_equal(bpf_map_lookup_elem(old, &key, &(uint64_t){ 0 }), 0);
	close(old);
	bpf_object__close(object);

	/* The next start finds what it expects. */
	a = adoption(LAYOUT + 1);
	object = variant(WIDE(1));
	assert_int_equal(adopt_both(&a, object), 0);
	assert_int_equal(a.n, 0);
	assert_int_equal(sf_bpf_object_load(object, err, sizeof(err)), 0);
	assert_int_equal(copies, 2);
	bpf_object__close(object);
	/* And the version before refuses it by name. */
	a = adoption(LAYOUT);
	object = variant(V_SLOT(0));
	assert_int_equal(adopt_both(&a, object), -EPROTO);
	assert_string_equal(err, "pinned map things: found layout 8, expected layout 7");
	bpf_object__close(object);
}

static void test_refused(void **state)
{
	struct sf_bpf_adoption a = adoption(LAYOUT + 3);
	struct bpf_object *object;

	pinned();
	object = variant(WIDE(1));
	assert_int_equal(adopt_both(&a, object), -EPROTO);
	assert_string_equal(err, "pinned map things: found layout 7, expected layout 10");
	assert_int_equal(a.n, 0);
	bpf_object__close(object);

	/* One map that cannot be migrated, and none is. */
	a = adoption(LAYOUT + 2);
	object = variant(WIDE(1));
	assert_int_equal(adopt_both(&a, object), -EPROTO);
	assert_string_equal(err, "pinned map counts: found layout 7, expected layout 9");
	sf_bpf_adoption_drop(&a);
	bpf_object__close(object);

	/* No table at all; and values of another size under the right number. */
	a = adoption(LAYOUT + 1);
	a.migrations = NULL;
	object = variant(WIDE(1));
	assert_int_equal(adopt_both(&a, object), -EPROTO);
	bpf_object__close(object);
	a = adoption(LAYOUT);
	object = variant(WIDE(1));
	assert_int_equal(adopt_both(&a, object), -EPROTO);
	assert_string_equal(err, "pinned map things: found values of 8 bytes, expected 16");
	bpf_object__close(object);
	assert_int_equal(copies, 0);
	untouched();
}

/* A version that cannot be loaded, or whose copy fails, leaves all to the one before. */
static void test_failure(void **state)
{
	struct sf_bpf_adoption a = adoption(LAYOUT + 1);
	struct bpf_object *object;

	pinned();
	object = variant(WIDE(1) " -DBROKEN");
	assert_int_equal(adopt_both(&a, object), 0);
	assert_true(sf_bpf_object_load(object, err, sizeof(err)) < 0);
	sf_bpf_adoption_drop(&a);
	bpf_object__close(object);
	assert_int_equal(copies, 0);
	untouched();

	a = adoption(LAYOUT + 1);
	copy_result = -ENOMEM;
	object = variant(WIDE(1));
	assert_int_equal(adopt_both(&a, object), 0);
	assert_int_equal(sf_bpf_object_load(object, err, sizeof(err)), 0);
	assert_int_equal(sf_bpf_adoption_finish(&a, err, sizeof(err)), -ENOMEM);
	assert_string_equal(err,
			    "map things: migration from layout 7 to 8: Cannot allocate memory");
	bpf_object__close(object);
	untouched();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_same_layout, fresh),
		cmocka_unit_test_setup(test_migrated, fresh),
		cmocka_unit_test_setup(test_refused, fresh),
		cmocka_unit_test_setup(test_failure, fresh),
	};

	return BPF_MAIN(tests, "bpf_adopt_test");
}
