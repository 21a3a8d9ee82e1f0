// SPDX-License-Identifier: Apache-2.0
/* bpf_attach_test.c - util/bpf.h against the running kernel: attachments to devices and control
 * groups. */
#include "tests/unit/bpf_fixture.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <unistd.h>

#include "util/cgroup.h"

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
	fd = pinned_map("counts", 16, LAYOUT);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_tcx, fresh),
		cmocka_unit_test_setup(test_clsact, fresh),
		cmocka_unit_test_setup(test_clsact_foreign, fresh),
		cmocka_unit_test_setup(test_clsact_unpinned, fresh),
		cmocka_unit_test_setup(test_tc_device, fresh),
		cmocka_unit_test_setup(test_switch_ways, fresh),
		cmocka_unit_test_setup(test_remove_detaches, fresh),
		cmocka_unit_test_setup(test_xdp, fresh),
		cmocka_unit_test_setup(test_cgroup, fresh),
	};

	return BPF_MAIN(tests, "bpf_attach_test");
}
