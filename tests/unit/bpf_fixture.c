// SPDX-License-Identifier: Apache-2.0
/* bpf_fixture.c - see bpf_fixture.h. */
#include "tests/unit/bpf_fixture.h"

#include <arpa/inet.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

char tmp[] = "/tmp/sf-bpf-test-XXXXXX";
char root[64], dir[256], err[512];

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

struct bpf_object *variant(const char *defines)
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

struct bpf_map *map_of(struct bpf_object *object, const char *name)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, name);

	assert_non_null(map);
	return map;
}

int prog_of(struct bpf_object *object, const char *name)
{
	struct bpf_program *prog = bpf_object__find_program_by_name(object, name);

	assert_non_null(prog);
	return bpf_program__fd(prog);
}

struct bpf_object *loaded(const char *defines)
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

int pinned_map(const char *name, uint32_t value_size, uint32_t layout)
{
	struct sf_bpf_shape shape;
	int fd = sf_bpf_map_open(dir, name, &shape, err, sizeof(err));

	assert_true(fd >= 0);
	assert_int_equal(shape.value_size, value_size);
	assert_int_equal(shape.layout, layout);
	return fd;
}

uint64_t counted(uint32_t slot)
{
	int fd = pinned_map("counts", 16, LAYOUT);
	uint64_t sums[2];

	assert_int_equal(sf_bpf_percpu_sum(fd, &slot, sums, 2), 0);
	assert_int_equal(sums[1], 2 * sums[0]);
	close(fd);
	return sums[0];
}

void shell(const char *cmd)
{
	if (system(cmd))
		fail_msg("%s", cmd);
}

void traffic(void)
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

int fresh(void **state)
{
	if (sf_bpf_pindir_remove(dir, err, sizeof(err)))
		return -1;
	return sf_bpf_pindir_make(root, "sf/test", false, dir, sizeof(dir), err, sizeof(err));
}

int bpf_main(const struct CMUnitTest *tests, size_t n, const char *name)
{
	if (geteuid() || system("clang --version > /dev/null 2>&1")) {
		fprintf(stderr, "SKIPPED: %s needs root and clang\n", name);
		return 77;
	}
	return _cmocka_run_group_tests(name, tests, n, setup, teardown);
}
