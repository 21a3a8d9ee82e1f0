// SPDX-License-Identifier: Apache-2.0
/*
 * bpf_probe.c - what can this kernel do?
 *
 * Everything is tried rather than concluded from a version number: distributions backport, and
 * configurations leave out. The version itself is one entry of the table, because below it
 * nothing was ever tested.
 */
#include "util/bpf.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "util/cgroup.h"
#include "util/errtext.h"

#define KERNEL_MAJOR 6
#define KERNEL_MINOR 1

#define ATTACH_TCX_INGRESS 46

#define INSN(c, d, s, o, i) \
	((struct bpf_insn){ .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) })
#define MOV_IMM(d, i) INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define CALL(f)	      INSN(BPF_JMP | BPF_CALL, 0, 0, 0, f)
#define EXIT()	      INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

static int trivial_load(const struct bpf_insn *insns, size_t n)
{
	return bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "sf_probe", "GPL", insns, n, NULL);
}

static int trivial_prog(void)
{
	const struct bpf_insn insns[] = { MOV_IMM(BPF_REG_0, 0), EXIT() };

	return trivial_load(insns, 2);
}

int sf_bpf_has_tcx(void)
{
	int prog = trivial_prog(), link;

	if (prog < 0)
		return prog;
	/* A device that cannot exist: only a kernel that knows tcx goes on to look for it. */
	link = bpf_link_create(prog, INT_MAX, ATTACH_TCX_INGRESS, NULL);
	close(prog);
	if (link >= 0) {
		close(link);
		return 1;
	}
	if (link == -ENODEV)
		return 1;
	return link == -EPERM ? link : 0;
}

/* ---- the table -------------------------------------------------------------------------- */

/* A probe returns 1 (there), 0 (missing) or -errno, and may say in @found what it saw. */
struct probe {
	const char *name;
	const char *use;
	enum sf_bpf_need need;
	int (*run)(const struct probe *probe, char *found, size_t len);
	int a, b; /* the probe's parameters */
};

static int probe_kernel(const struct probe *probe, char *found, size_t len)
{
	struct utsname un;
	int major = 0, minor = 0;

	if (uname(&un))
		return -errno;
	snprintf(found, len, "%.40s, expected %d.%d or later", un.release, probe->a, probe->b);
	if (sscanf(un.release, "%d.%d", &major, &minor) != 2)
		return -EINVAL;
	return major > probe->a || (major == probe->a && minor >= probe->b);
}

static int probe_privilege(const struct probe *probe, char *found, size_t len)
{
	int prog = trivial_prog();

	(void)probe;
	if (prog >= 0) {
		close(prog);
		return 1;
	}
	snprintf(found, len, "loading an empty program: %s", strerror(-prog));
	return prog;
}

static int probe_btf(const struct probe *probe, char *found, size_t len)
{
	(void)probe;
	if (!access("/sys/kernel/btf/vmlinux", R_OK))
		return 1;
	snprintf(found, len, "/sys/kernel/btf/vmlinux: %s", strerror(errno));
	return errno == ENOENT ? 0 : -errno;
}

static int probe_cgroup2(const struct probe *probe, char *found, size_t len)
{
	int rc = sf_cgroup_mount(found, len);

	(void)probe;
	return rc == -ENOENT ? 0 : rc < 0 ? rc : 1;
}

static int probe_prog(const struct probe *probe, char *found, size_t len)
{
	(void)found;
	(void)len;
	return libbpf_probe_bpf_prog_type((enum bpf_prog_type)probe->a, NULL);
}

static int probe_map(const struct probe *probe, char *found, size_t len)
{
	(void)found;
	(void)len;
	return libbpf_probe_bpf_map_type((enum bpf_map_type)probe->a, NULL);
}

static int probe_helper(const struct probe *probe, char *found, size_t len)
{
	(void)found;
	(void)len;
	return libbpf_probe_bpf_helper((enum bpf_prog_type)probe->a, (enum bpf_func_id)probe->b,
				       NULL);
}

static int probe_tcx(const struct probe *probe, char *found, size_t len)
{
	int has = sf_bpf_has_tcx();

	(void)probe;
	snprintf(found, len, "%s", has == 1 ? "tcx" : "clsact");
	return has;
}

static int probe_batch(const struct probe *probe, char *found, size_t len)
{
	LIBBPF_OPTS(bpf_map_batch_opts, opts, .elem_flags = 0);
	uint32_t key = 1, value = 1, count = 1;
	int fd = bpf_map_create(BPF_MAP_TYPE_HASH, "sf_probe", 4, 4, 4, NULL), rc;

	(void)probe;
	(void)found;
	(void)len;
	if (fd < 0)
		return fd;
	rc = bpf_map_update_batch(fd, &key, &value, &count, &opts);
	close(fd);
	return rc == 0;
}

#define PROG(n, t, w, u)                                  \
	{                                                 \
		n, u, w, probe_prog, BPF_PROG_TYPE_##t, 0 \
	}
#define MAP(n, t, w, u)                                 \
	{                                               \
		n, u, w, probe_map, BPF_MAP_TYPE_##t, 0 \
	}
#define HELPER(n, t, f, w, u)                                          \
	{                                                              \
		n, u, w, probe_helper, BPF_PROG_TYPE_##t, BPF_FUNC_##f \
	}
#define OTHER(n, fn, a_, b_, w, u)  \
	{                           \
		n, u, w, fn, a_, b_ \
	}

/* clang-format off */
static const struct probe probes[] = {
	OTHER("kernel", probe_kernel, KERNEL_MAJOR, KERNEL_MINOR, SF_BPF_REQUIRED, "the oldest kernel that is tested"),
	OTHER("bpf", probe_privilege, 0, 0, SF_BPF_REQUIRED, "CAP_BPF, CAP_NET_ADMIN: loading programs"),
	OTHER("btf", probe_btf, 0, 0, SF_BPF_REQUIRED, "programs fit themselves to the kernel's structures"),
	OTHER("cgroup2", probe_cgroup2, 0, 0, SF_BPF_REQUIRED, "socket events"),
	PROG("prog:sched_cls", SCHED_CLS, SF_BPF_REQUIRED, "the datapath of hosts and routers"),
	PROG("prog:cgroup_sock", CGROUP_SOCK, SF_BPF_REQUIRED, "socket events: bind and close"),
	PROG("prog:sock_ops", SOCK_OPS, SF_BPF_REQUIRED, "socket events: listen"),
	PROG("prog:xdp", XDP, SF_BPF_WANTED, "service router in the driver; else at tc"),
	MAP("map:hash", HASH, SF_BPF_REQUIRED, "flows, services"),
	MAP("map:lru_hash", LRU_HASH, SF_BPF_REQUIRED, "half-open flows, fragments"),
	MAP("map:array", ARRAY, SF_BPF_REQUIRED, "settings, service slots"),
	MAP("map:percpu_array", PERCPU_ARRAY, SF_BPF_REQUIRED, "counters"),
	MAP("map:lpm_trie", LPM_TRIE, SF_BPF_WANTED, "filters by prefix"),
	MAP("map:ringbuf", RINGBUF, SF_BPF_REQUIRED, "events to the daemons"),
	MAP("map:hash_of_maps", HASH_OF_MAPS, SF_BPF_REQUIRED, "an event ring for each host"),
	MAP("map:sk_storage", SK_STORAGE, SF_BPF_REQUIRED, "what a socket has registered"),
	HELPER("skb_adjust_room", SCHED_CLS, skb_adjust_room, SF_BPF_REQUIRED, "pushing and popping the SCAFFOLD header"),
	HELPER("csum_diff", SCHED_CLS, csum_diff, SF_BPF_REQUIRED, "checksums of rewritten addresses"),
	HELPER("l4_csum_replace", SCHED_CLS, l4_csum_replace, SF_BPF_REQUIRED, "checksums of rewritten addresses"),
	HELPER("redirect_neigh", SCHED_CLS, redirect_neigh, SF_BPF_REQUIRED, "answers (FAIL, PROBE-ACK) without a daemon"),
	HELPER("skc_lookup_tcp", SCHED_CLS, skc_lookup_tcp, SF_BPF_REQUIRED, "is there a live listener?"),
	HELPER("fib_lookup", SCHED_CLS, fib_lookup, SF_BPF_WANTED, "next hop of a rewritten packet"),
	HELPER("storage:cgroup_sock", CGROUP_SOCK, sk_storage_get, SF_BPF_REQUIRED, "socket events: what a closing socket was"),
	HELPER("netns:cgroup_sock", CGROUP_SOCK, get_netns_cookie, SF_BPF_REQUIRED, "socket events: of which host"),
	HELPER("storage:sock_ops", SOCK_OPS, sk_storage_get, SF_BPF_REQUIRED, "socket events: listen"),
	HELPER("netns:sock_ops", SOCK_OPS, get_netns_cookie, SF_BPF_REQUIRED, "socket events: of which host"),
	OTHER("tcx", probe_tcx, 0, 0, SF_BPF_WANTED, "attaching without a gap; else clsact"),
	OTHER("batch", probe_batch, 0, 0, SF_BPF_WANTED, "fast changes of large tables; else one by one"),
};
/* clang-format on */

_Static_assert(sizeof(probes) / sizeof(probes[0]) <= SF_BPF_FEATURES, "SF_BPF_FEATURES too small");

size_t sf_bpf_probe(struct sf_bpf_feature *table, size_t max)
{
	size_t n = sizeof(probes) / sizeof(probes[0]);

	if (n > max)
		n = max;
	for (size_t i = 0; i < n; i++) {
		struct sf_bpf_feature *feature = &table[i];
		int rc;

		*feature = (struct sf_bpf_feature){
			.name = probes[i].name,
			.use = probes[i].use,
			.need = probes[i].need,
		};
		rc = probes[i].run(&probes[i], feature->found, sizeof(feature->found));
		feature->status = rc > 0 ? 0 : rc == 0 ? -EOPNOTSUPP : rc;
		if (!feature->found[0])
			snprintf(feature->found, sizeof(feature->found), "%s",
				 rc > 0	   ? "yes"
				 : rc == 0 ? "no"
					   : strerror(-rc));
	}
	return n;
}

int sf_bpf_probe_missing(const struct sf_bpf_feature *table, size_t n, char *err, size_t errlen)
{
	for (size_t i = 0; i < n; i++)
		if (table[i].need == SF_BPF_REQUIRED && table[i].status)
			return sf_errtext(err, errlen, table[i].status,
					  "kernel lacks %s (%s): found %s", table[i].name,
					  table[i].use, table[i].found);
	return 0;
}
