// SPDX-License-Identifier: Apache-2.0
/*
 * bpf_test.c: util/bpf.h against the running kernel.
 *
 * Everything happens in a mount and a network namespace of its own, with a bpffs of its own. The
 * BPF objects are compiled when the test runs, in the variants that a daemon's versions would be.
 * Skipped (77) without root or clang.
 */
#include "util/bpf.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "util/cgroup.h"

#define LAYOUT 7

static char tmp[] = "/tmp/sf-bpf-test-XXXXXX";
static char root[64], dir[256], err[512];

static const char source[] =
	"typedef unsigned char __u8; typedef unsigned short __u16; typedef unsigned int __u32;\n"
	"typedef unsigned long long __u64; typedef int __s32; typedef long long __s64;\n"
	"typedef __u16 __be16; typedef __u32 __be32; typedef __u32 __wsum; typedef __u64 __be64;\n"
	"#include <bpf/bpf_helpers.h>\n"
	"struct value { char bytes[VALUE]; };\n"
	"struct { __uint(type, MAPTYPE); __uint(max_entries, ENTRIES); __type(key, KEY);\n"
	"         __type(value, struct value); } things SEC(\".maps\");\n"
	"struct { __uint(type, 6); __uint(max_entries, 4); __type(key, __u32);\n"
	"         __uint(value_size, 16); } counts SEC(\".maps\");\n"
	"static int count(__u32 slot) {\n"
	"  __u64 *c = bpf_map_lookup_elem(&counts, &slot);\n"
	"  if (c) { c[0]++; c[1] += 2; } return c != 0; }\n"
	"SEC(\"tc\") int cls(void *ctx) { count(SLOT); return -1; }\n"
	"SEC(\"xdp\") int xdp_count(void *ctx) { return count(SLOT) ? 2 : 1; }\n"
	"SEC(\"cgroup/sock_release\") int rel(void *ctx) { count(SLOT); return 1; }\n"
	"#ifdef BROKEN\n"
	"SEC(\"tc\") int broken(void *ctx) { return ((int *)ctx)[9999]; }\n"
	"#endif\n"
	"char _license[] SEC(\"license\") = \"GPL\";\n";

/* Compiles a variant and opens it. */
static struct bpf_object *variant(const char *defines)
{
	static int n;
	char src[96], obj[96], cmd[1024];
	struct bpf_object *object;
	FILE *f;

	snprintf(src, sizeof(src), "%s/v%d.c", tmp, n);
	snprintf(obj, sizeof(obj), "%s/v%d.o", tmp, n++);
	f = fopen(src, "w");
	assert_non_null(f);
	fputs(source, f);
	fclose(f);
	snprintf(cmd, sizeof(cmd), "clang -O2 -g -target bpf %s -Wno-everything -c %s -o %s",
		 defines, src, obj);
	assert_int_equal(system(cmd), 0);
	object = bpf_object__open_file(obj, NULL);
	assert_non_null(object);
	return object;
}

#define V_SLOT(n) "-DMAPTYPE=1 -DENTRIES=100 -DKEY=__u32 -DVALUE=8 -DSLOT=" #n

static struct bpf_map *map_of(struct bpf_object *object, const char *name)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, name);

	assert_non_null(map);
	return map;
}

static int prog_of(struct bpf_object *object, const char *name)
{
	struct bpf_program *prog = bpf_object__find_program_by_name(object, name);

	assert_non_null(prog);
	return bpf_program__fd(prog);
}

/* Opens a variant, adopts both maps, loads it. */
static struct bpf_object *loaded(const char *defines)
{
	struct bpf_object *object = variant(defines);

	assert_int_equal(
		sf_bpf_map_adopt(map_of(object, "things"), dir, "things", LAYOUT, NULL, err, 512),
		0);
	assert_int_equal(
		sf_bpf_map_adopt(map_of(object, "counts"), dir, "counts", LAYOUT, NULL, err, 512),
		0);
	assert_int_equal(sf_bpf_object_load(object, err, sizeof(err)), 0);
	return object;
}

static uint64_t counted(uint32_t slot)
{
	int fd = sf_bpf_map_open(dir, "counts", 4, 16, LAYOUT, err, sizeof(err));
	uint64_t sums[2];

	assert_true(fd >= 0);
	assert_int_equal(sf_bpf_percpu_sum(fd, &slot, sums, 2), 0);
	assert_int_equal(sums[1], 2 * sums[0]);
	close(fd);
	return sums[0];
}

static void shell(const char *cmd)
{
	if (system(cmd))
		fail_msg("%s", cmd);
}

/* One datagram to ourselves over lo. */
static void traffic(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(9),
				  .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)), 1);
	close(fd);
}

static int setup(void **state)
{
	assert_non_null(mkdtemp(tmp));
	assert_int_equal(unshare(CLONE_NEWNS | CLONE_NEWNET), 0);
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	shell("ip link set lo up");
	snprintf(root, sizeof(root), "%s/bpf", tmp);
	sf_bpf_quiet();
	return sf_bpf_pindir_make(root, "sf/test", true, dir, sizeof(dir), err, sizeof(err));
}

static int teardown(void **state)
{
	char cmd[128];

	umount(root);
	snprintf(cmd, sizeof(cmd), "rm -r %s", tmp);
	return system(cmd);
}

/* Every test begins with an empty pin directory. */
static int fresh(void **state)
{
	if (sf_bpf_pindir_remove(dir, err, sizeof(err)))
		return -1;
	return sf_bpf_pindir_make(root, "sf/test", false, dir, sizeof(dir), err, sizeof(err));
}

/* ---- pin directory ---------------------------------------------------------------------- */

static void test_pindir(void **state)
{
	char out[256] = "untouched", other[128], tiny[4];
	int lock, fd;

	assert_int_equal(sf_bpf_pindir_make(root, "a.b", false, out, sizeof(out), err, 512),
			 -EINVAL);
	assert_int_equal(sf_bpf_pindir_make(root, "", false, out, sizeof(out), err, 512), -EINVAL);
	assert_int_equal(sf_bpf_pindir_make(root, "sf", false, tiny, sizeof(tiny), err, 512),
			 -ENAMETOOLONG);
	snprintf(other, sizeof(other), "%s/plain", tmp);
	assert_int_equal(sf_bpf_pindir_make(other, "x", false, out, sizeof(out), err, 512),
			 -ENODEV);
	assert_non_null(strstr(err, "bpffs"));
	assert_string_equal(out, "untouched");
	assert_int_equal(sf_bpf_pindir_remove(tmp, err, sizeof(err)), -ENODEV);

	lock = sf_bpf_pindir_lock(dir, false, err, sizeof(err));
	assert_true(lock >= 0);
	assert_int_equal(sf_bpf_pindir_lock(dir, false, err, sizeof(err)), -EWOULDBLOCK);
	close(lock);
	fd = sf_bpf_pindir_lock(dir, false, err, sizeof(err));
	assert_true(fd >= 0);
	close(fd);

	assert_int_equal(sf_bpf_pindir_remove(dir, err, sizeof(err)), 0);
	assert_int_equal(sf_bpf_pindir_remove(dir, err, sizeof(err)), 0);
	assert_int_equal(sf_bpf_pindir_lock(dir, false, err, sizeof(err)), -ENOENT);
}

/* ---- maps ------------------------------------------------------------------------------- */

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
	assert_int_equal(sf_bpf_map_open(dir, "things", 4, 12, LAYOUT, err, 512), -EPROTO);
	assert_int_equal(sf_bpf_map_open(dir, "absent", 0, 0, 0, err, 512), -ENOENT);
	assert_int_equal(sf_bpf_map_open(dir, "a/b", 0, 0, 0, err, 512), -EINVAL);
	assert_int_equal(sf_bpf_map_open(dir, "", 0, 0, 0, err, 512), -EINVAL);

	/* A map that nobody recorded. */
	fd = sf_bpf_map_open_any(dir, "things", &shape, err, sizeof(err));
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

	/* The migration: forget, adopt anew. */
	assert_int_equal(sf_bpf_map_forget(dir, "things"), 0);
	assert_int_equal(sf_bpf_map_forget(dir, "things"), 0);
	assert_int_equal(
		sf_bpf_map_adopt(map_of(object, "things"), dir, "things", 8, NULL, err, 512), 0);
	assert_int_equal(sf_bpf_object_load(object, err, sizeof(err)), 0);
	fd = sf_bpf_map_open(dir, "things", 4, 8, 8, err, sizeof(err));
	assert_true(fd >= 0);
	close(fd);
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

/* ---- loading, running ------------------------------------------------------------------- */

static void test_load_error(void **state)
{
	struct bpf_object *object = variant(V_SLOT(0) " -DBROKEN");

	assert_true(sf_bpf_object_load(object, err, sizeof(err)) < 0);
	if (!strstr(err, "dereference of modified ctx"))
		fail_msg("verdict missing in: %s", err);
	assert_non_null(strstr(sf_bpf_verifier_log(), "broken"));
	bpf_object__close(object);
}

static void test_run(void **state)
{
	struct bpf_object *object = loaded(V_SLOT(1));
	uint8_t packet[64] = { [12] = 0x86, [13] = 0xdd }, out[64], tiny[8];
	struct sf_bpf_run run = { .data = packet,
				  .data_len = sizeof(packet),
				  .out = out,
				  .out_len = sizeof(out),
				  .repeat = 10 };

	assert_int_equal(sf_bpf_prog_run(prog_of(object, "cls"), &run), 0);
	assert_int_equal((int32_t)run.retval, -1);
	assert_int_equal(run.out_len, sizeof(packet));
	assert_memory_equal(packet, out, sizeof(out));
	assert_int_equal(counted(1), 10);
	run.out = tiny;
	run.out_len = sizeof(tiny);
	assert_int_equal(sf_bpf_prog_run(prog_of(object, "cls"), &run), -ENOSPC);
	run = (struct sf_bpf_run){ .data = packet, .data_len = 4 };
	assert_int_equal(sf_bpf_prog_run(prog_of(object, "cls"), &run), -EINVAL);
	bpf_object__close(object);
}

/* ---- attachments ------------------------------------------------------------------------ */

/* Attach, kill the loader, attach the next version: the packets go to one or the other. */
static void attach_and_replace(bool no_tcx)
{
	struct sf_bpf_tc at = {
		.dir = dir, .name = "lo_in", .ifindex = 1, .side = SF_BPF_INGRESS, .no_tcx = no_tcx
	};
	enum sf_bpf_how how = SF_BPF_HOW_NONE;
	struct bpf_object *one, *two;
	uint32_t id1, id2;
	char name[16];

	assert_int_equal(sf_bpf_link_prog(dir, "lo_in", &id1, name), -ENOENT);
	one = loaded(V_SLOT(0));
	assert_int_equal(sf_bpf_tc_attach(&at, prog_of(one, "cls"), &how, err, sizeof(err)), 0);
	assert_int_equal(how, no_tcx ? SF_BPF_HOW_CLSACT : SF_BPF_HOW_TCX);
	traffic();
	assert_int_equal(counted(0), 1);
	bpf_object__close(one);
	traffic();
	assert_int_equal(counted(0), 2);
	assert_int_equal(sf_bpf_link_prog(dir, "lo_in", &id1, name), 0);
	assert_string_equal(name, "cls");

	two = loaded(V_SLOT(1));
	assert_int_equal(sf_bpf_tc_attach(&at, prog_of(two, "cls"), &how, err, sizeof(err)), 0);
	bpf_object__close(two);
	assert_int_equal(sf_bpf_link_prog(dir, "lo_in", &id2, NULL), 0);
	assert_int_not_equal(id1, id2);
	traffic();
	assert_int_equal(counted(0), 2);
	assert_int_equal(counted(1), 1);

	assert_int_equal(sf_bpf_tc_detach(&at, err, sizeof(err)), 0);
	assert_int_equal(sf_bpf_tc_detach(&at, err, sizeof(err)), 0);
	traffic();
	assert_int_equal(counted(1), 1);
	assert_int_equal(sf_bpf_link_prog(dir, "lo_in", &id1, NULL), -ENOENT);
}

static void test_tcx(void **state)
{
	if (sf_bpf_has_tcx() != 1) {
		print_message("SKIPPED: this kernel has no tcx\n");
		skip();
	}
	attach_and_replace(false);
}

static void test_clsact(void **state)
{
	attach_and_replace(true);
	shell("! tc qdisc show dev lo | grep -q clsact"); /* we made it, we took it away */
	/* The qdisc of another stays, and so does ours as long as another's filter is on it. */
	assert_int_equal(fresh(NULL), 0);
	shell("tc qdisc add dev lo clsact");
	attach_and_replace(true);
	shell("tc qdisc show dev lo | grep -q clsact");
	shell("tc qdisc del dev lo clsact");
}

/* A filter on lo that is not ours. */
static void foreign_filter(enum bpf_tc_attach_point side, uint32_t handle, uint32_t priority)
{
	const struct bpf_insn insns[] = { { .code = 0xb7, .imm = -1 }, { .code = 0x95 } };
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = 1, .attach_point = side);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = handle, .priority = priority);

	opts.prog_fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "foreign", "GPL", insns, 2, NULL);
	assert_true(opts.prog_fd >= 0);
	assert_int_equal(bpf_tc_attach(&hook, &opts), 0);
	close(opts.prog_fd);
}

static void test_clsact_foreign(void **state)
{
	struct sf_bpf_tc at = {
		.dir = dir, .name = "lo_in", .ifindex = 1, .side = SF_BPF_INGRESS, .no_tcx = true
	};
	struct bpf_object *object = loaded(V_SLOT(0));

	assert_int_equal(sf_bpf_tc_attach(&at, prog_of(object, "cls"), NULL, err, 512), 0);
	foreign_filter(BPF_TC_EGRESS, 1, 7);
	assert_int_equal(sf_bpf_tc_detach(&at, err, sizeof(err)), 0);
	shell("tc filter show dev lo egress | grep -q foreign");
	shell("tc qdisc del dev lo clsact");

	/* Another's program in our place is neither replaced nor removed. */
	shell("tc qdisc add dev lo clsact");
	foreign_filter(BPF_TC_INGRESS, 0x5caf, 100);
	assert_int_equal(sf_bpf_tc_attach(&at, prog_of(object, "cls"), NULL, err, 512), -EEXIST);
	assert_non_null(strstr(err, "another owner"));
	assert_int_equal(sf_bpf_tc_detach(&at, err, sizeof(err)), 0);
	shell("tc filter show dev lo ingress | grep -q foreign");
	shell("tc qdisc del dev lo clsact");
	bpf_object__close(object);
}

/* The loader died after attaching the filter and before pinning: its successor takes over. */
static void test_clsact_unpinned(void **state)
{
	struct sf_bpf_tc at = {
		.dir = dir, .name = "lo_in", .ifindex = 1, .side = SF_BPF_INGRESS, .no_tcx = true
	};
	struct bpf_object *object = loaded(V_SLOT(0));

	assert_int_equal(sf_bpf_tc_attach(&at, prog_of(object, "cls"), NULL, err, 512), 0);
	assert_int_equal(sf_bpf_unpin(dir, "lo_in"), 0);
	assert_int_equal(sf_bpf_tc_attach(&at, prog_of(object, "cls"), NULL, err, 512), 0);
	assert_int_equal(sf_bpf_tc_detach(&at, err, sizeof(err)), 0);
	shell("! tc qdisc show dev lo | grep -q clsact");
	bpf_object__close(object);
}

static void test_tc_device(void **state)
{
	struct sf_bpf_tc at = { .dir = dir, .name = "dev", .side = SF_BPF_EGRESS };
	struct bpf_object *object = loaded(V_SLOT(0));
	uint32_t id;

	at.ifindex = 4711;
	assert_int_equal(sf_bpf_tc_attach(&at, prog_of(object, "cls"), NULL, err, 512), -ENODEV);
	at.ifindex = 0;
	assert_int_equal(sf_bpf_tc_attach(&at, prog_of(object, "cls"), NULL, err, 512), -ENODEV);

	/* The device goes, another comes: the pinned link is of no use any more. */
	for (int no_tcx = sf_bpf_has_tcx() != 1; no_tcx < 2; no_tcx++) {
		at.no_tcx = no_tcx;
		shell("ip link add va type veth peer name vb");
		at.ifindex = (int)if_nametoindex("va");
		assert_int_equal(sf_bpf_tc_attach(&at, prog_of(object, "cls"), NULL, err, 512), 0);
		shell("ip link del va");
		if (!no_tcx)
			assert_int_equal(sf_bpf_link_prog(dir, "dev", &id, NULL), -ENOLINK);
		shell("ip link add va type veth peer name vb");
		at.ifindex = (int)if_nametoindex("va");
		assert_int_equal(sf_bpf_tc_attach(&at, prog_of(object, "cls"), NULL, err, 512), 0);
		assert_int_equal(sf_bpf_link_prog(dir, "dev", &id, NULL), 0);
		/* tcx to clsact and back in the next round, without detaching */
		shell("ip link del va");
	}
	assert_int_equal(sf_bpf_tc_detach(&at, err, sizeof(err)), 0);
	bpf_object__close(object);
}

static void test_switch_ways(void **state)
{
	struct sf_bpf_tc at = {
		.dir = dir, .name = "lo_in", .ifindex = 1, .side = SF_BPF_INGRESS, .no_tcx = true
	};
	struct bpf_object *object = loaded(V_SLOT(0));
	uint64_t before;

	for (int i = 0; i < 3; i++) {
		assert_int_equal(sf_bpf_tc_attach(&at, prog_of(object, "cls"), NULL, err, 512), 0);
		before = counted(0);
		traffic();
		assert_int_equal(counted(0), before + 1);
		at.no_tcx = !at.no_tcx;
	}
	assert_int_equal(sf_bpf_tc_detach(&at, err, sizeof(err)), 0);
	bpf_object__close(object);
}

/* Removing the pin directory detaches, at once. */
static void test_remove_detaches(void **state)
{
	struct sf_bpf_tc at = { .dir = dir, .name = "lo_in", .ifindex = 1 };
	struct bpf_object *object;
	int fd;

	if (sf_bpf_has_tcx() != 1) {
		print_message("SKIPPED: this kernel has no tcx\n");
		skip();
	}
	object = loaded(V_SLOT(0));
	assert_int_equal(sf_bpf_tc_attach(&at, prog_of(object, "cls"), NULL, err, 512), 0);
	traffic();
	assert_int_equal(counted(0), 1);
	fd = sf_bpf_map_open(dir, "counts", 4, 16, LAYOUT, err, sizeof(err));
	assert_int_equal(sf_bpf_pindir_remove(dir, err, sizeof(err)), 0);
	for (int i = 0; i < 100; i++) {
		uint64_t sums[2];

		traffic();
		assert_int_equal(sf_bpf_percpu_sum(fd, &(uint32_t){ 0 }, sums, 2), 0);
		assert_int_equal(sums[0], 1);
	}
	close(fd);
	bpf_object__close(object);
}

static void test_xdp(void **state)
{
	struct bpf_object *one = loaded(V_SLOT(0)), *two = loaded(V_SLOT(1));
	uint32_t id1, id2;
	int ifindex;

	shell("ip link add va type veth peer name vb");
	ifindex = (int)if_nametoindex("va");
	assert_int_equal(sf_bpf_xdp_attach(dir, "x", ifindex, prog_of(one, "xdp_count"), err, 512),
			 0);
	assert_int_equal(sf_bpf_link_prog(dir, "x", &id1, NULL), 0);
	assert_int_equal(sf_bpf_xdp_attach(dir, "x", ifindex, prog_of(two, "xdp_count"), err, 512),
			 0);
	assert_int_equal(sf_bpf_link_prog(dir, "x", &id2, NULL), 0);
	assert_int_not_equal(id1, id2);
	/* Somebody else's. */
	assert_int_equal(sf_bpf_xdp_attach(dir, "y", ifindex, prog_of(two, "xdp_count"), err, 512),
			 -EBUSY);
	assert_non_null(strstr(err, "another XDP program"));
	assert_int_equal(sf_bpf_link_detach(dir, "x", err, sizeof(err)), 0);
	assert_int_equal(sf_bpf_link_detach(dir, "x", err, sizeof(err)), 0);
	assert_int_equal(sf_bpf_xdp_attach(dir, "y", ifindex, prog_of(two, "xdp_count"), err, 512),
			 0);
	assert_int_equal(sf_bpf_xdp_attach(dir, "l", 1, prog_of(one, "xdp_count"), err, 512),
			 -EOPNOTSUPP);
	assert_non_null(strstr(err, "no native XDP"));
	assert_int_equal(sf_bpf_xdp_attach(dir, "l", 999, prog_of(one, "xdp_count"), err, 512),
			 -ENODEV);
	shell("ip link del va");
	bpf_object__close(one);
	bpf_object__close(two);
}

static void test_cgroup(void **state)
{
	static const char group[] = "/sf-bpf-test", other[] = "/sf-bpf-test2";
	struct bpf_object *one = loaded(V_SLOT(0)), *two = loaded(V_SLOT(1));
	int cg, cg2, rel = BPF_CGROUP_INET_SOCK_RELEASE;
	char home[256];

	assert_int_equal(sf_cgroup_of(0, home, sizeof(home)), 0);
	assert_int_equal(sf_cgroup_make(group), 0);
	assert_int_equal(sf_cgroup_make(other), 0);
	cg = sf_cgroup_open(group);
	cg2 = sf_cgroup_open(other);
	assert_true(cg >= 0 && cg2 >= 0);
	assert_int_equal(sf_cgroup_move(group, 0), 0);
	assert_int_equal(sf_bpf_cgroup_attach(dir, "r", cg, rel, prog_of(one, "rel"), err, 512), 0);
	traffic();
	assert_int_equal(counted(0), 1);
	bpf_object__close(one);
	assert_int_equal(sf_bpf_cgroup_attach(dir, "r", cg, rel, prog_of(two, "rel"), err, 512), 0);
	traffic();
	assert_int_equal(counted(0), 1);
	assert_int_equal(counted(1), 1);
	/* A second owner lives beside the first. */
	assert_int_equal(sf_bpf_cgroup_attach(dir, "s", cg, rel, prog_of(two, "rel"), err, 512), 0);
	traffic();
	assert_int_equal(counted(1), 3);
	/* The group is another now. */
	assert_int_equal(sf_bpf_cgroup_attach(dir, "r", cg2, rel, prog_of(two, "rel"), err, 512),
			 0);
	traffic();
	assert_int_equal(counted(1), 4);
	assert_int_equal(sf_bpf_link_detach(dir, "s", err, sizeof(err)), 0);
	traffic();
	assert_int_equal(counted(1), 4);
	assert_int_equal(sf_bpf_link_detach(dir, "r", err, sizeof(err)), 0);
	assert_true(sf_bpf_cgroup_attach(dir, "r", -1, rel, prog_of(two, "rel"), err, 512) < 0);
	assert_int_equal(sf_cgroup_move(home, 0), 0);
	close(cg);
	close(cg2);
	assert_int_equal(sf_cgroup_remove(group), 0);
	assert_int_equal(sf_cgroup_remove(other), 0);
	bpf_object__close(two);
}

/* ---- probes ----------------------------------------------------------------------------- */

static void test_probe(void **state)
{
	struct sf_bpf_feature table[SF_BPF_FEATURES];
	size_t n = sf_bpf_probe(table, SF_BPF_FEATURES);

	assert_true(n > 20);
	for (size_t i = 0; i < n; i++) {
		assert_true(strlen(table[i].found) > 0);
		print_message("%-20s %3d %s\n", table[i].name, table[i].status, table[i].found);
	}
	assert_int_equal(sf_bpf_probe_missing(table, n, err, sizeof(err)), 0);
	table[3].status = -EOPNOTSUPP;
	assert_int_equal(sf_bpf_probe_missing(table, n, err, sizeof(err)), -EOPNOTSUPP);
	assert_non_null(strstr(err, table[3].name));
	assert_int_equal(sf_bpf_probe(table, 3), 3);
}

static void test_probe_unprivileged(void **state)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		struct sf_bpf_feature table[SF_BPF_FEATURES];
		size_t n;

		if (setgid(65534) || setuid(65534))
			_exit(1);
		n = sf_bpf_probe(table, SF_BPF_FEATURES);
		if (sf_bpf_probe_missing(table, n, err, sizeof(err)) != -EPERM)
			_exit(2);
		_exit(strstr(err, "kernel lacks bpf") ? 0 : 3);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_pindir, fresh),
		cmocka_unit_test_setup(test_adopt, fresh),
		cmocka_unit_test_setup(test_adopt_refuses, fresh),
		cmocka_unit_test_setup(test_meta_of_another, fresh),
		cmocka_unit_test(test_batch_hash),
		cmocka_unit_test(test_batch_array),
		cmocka_unit_test(test_walk_single),
		cmocka_unit_test(test_percpu_errors),
		cmocka_unit_test_setup(test_load_error, fresh),
		cmocka_unit_test_setup(test_run, fresh),
		cmocka_unit_test_setup(test_tcx, fresh),
		cmocka_unit_test_setup(test_clsact, fresh),
		cmocka_unit_test_setup(test_clsact_foreign, fresh),
		cmocka_unit_test_setup(test_clsact_unpinned, fresh),
		cmocka_unit_test_setup(test_tc_device, fresh),
		cmocka_unit_test_setup(test_switch_ways, fresh),
		cmocka_unit_test_setup(test_remove_detaches, fresh),
		cmocka_unit_test_setup(test_xdp, fresh),
		cmocka_unit_test_setup(test_cgroup, fresh),
		cmocka_unit_test(test_probe),
		cmocka_unit_test(test_probe_unprivileged),
	};

	if (geteuid() || system("clang --version > /dev/null 2>&1")) {
		fprintf(stderr, "SKIPPED: bpf_test needs root and clang\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, setup, teardown);
}
