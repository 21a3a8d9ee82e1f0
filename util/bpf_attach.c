// SPDX-License-Identifier: Apache-2.0
/*
 * bpf_attach.c - programs on devices and cgroups, so that they survive their loader.
 *
 * Theory of operation: tcx, XDP and cgroup attachments are BPF links; a pinned link holds its
 * program attached with nobody running, and BPF_LINK_UPDATE swaps the program without a gap. A
 * link whose device went is an empty shell (-ENOLINK), and is replaced.
 * Kernels before 6.6 have no tcx. There the program sits in a clsact filter of fixed handle and
 * priority, which the kernel replaces atomically; a filter has no owner, so the program is pinned
 * where the link would be, and a filter counts as ours if it runs the pinned program, or (the
 * loader died between the two steps) one of the same name.
 */
#include "util/bpf.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/bpf_pin.h"
#include "util/errtext.h"

/* In linux/bpf.h since 6.6; the headers of Debian 12 are older than the kernels it may meet. */
#define ATTACH_TCX_INGRESS 46
#define ATTACH_TCX_EGRESS  47
#define LINK_TYPE_CGROUP   3
#define LINK_TYPE_XDP	   6
#define LINK_TYPE_TCX	   11

#define TC_HANDLE   0x5caf
#define TC_PRIORITY 100

/* Head of struct bpf_link_info as kernels know it that are newer than our headers. */
struct link_info {
	uint32_t type;
	uint32_t id;
	uint32_t prog_id;
	uint32_t pad;
	union {
		struct {
			uint32_t ifindex;
			uint32_t attach_type;
		} dev; /* tcx; xdp without the attach type */
		struct {
			uint64_t id;
			uint32_t attach_type;
		} cgroup;
		uint8_t room[112];
	};
};

enum pin_kind { PIN_NONE, PIN_LINK, PIN_PROG, PIN_OTHER };

static enum pin_kind pin_kind(int fd)
{
	char path[64], what[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, what, sizeof(what) - 1);
	if (n < 0)
		return PIN_OTHER;
	what[n] = '\0';
	if (strstr(what, "bpf_link") || strstr(what, "bpf-link"))
		return PIN_LINK;
	return strstr(what, "bpf-prog") ? PIN_PROG : PIN_OTHER;
}

/* Opens a pin: descriptor and kind, or PIN_NONE with descriptor -1. */
static int pin_open(const char *path, enum pin_kind *kind, char *err, size_t errlen)
{
	int fd = bpf_obj_get(path);

	if (fd == -ENOENT) {
		*kind = PIN_NONE;
		return -1;
	}
	*kind = PIN_OTHER;
	if (fd < 0)
		return sf_errtext(err, errlen, fd, "%s: %s", path, strerror(-fd));
	*kind = pin_kind(fd);
	return fd;
}

static int link_info(int fd, struct link_info *info)
{
	uint32_t len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	return bpf_obj_get_info_by_fd(fd, info, &len);
}

static int prog_info(int fd, struct bpf_prog_info *info)
{
	uint32_t len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	return bpf_obj_get_info_by_fd(fd, info, &len);
}

/* ---- pinned links ----------------------------------------------------------------------- */

/* What a link is to be attached to. */
struct target {
	uint32_t type; /* LINK_TYPE_* */
	int fd;	       /* ifindex or cgroup descriptor */
	uint64_t id;   /* ifindex or cgroup id */
	uint32_t attach_type;
	uint32_t flags;
};

static bool link_matches(const struct link_info *info, const struct target *to)
{
	if (info->type != to->type)
		return false;
	if (to->type == LINK_TYPE_CGROUP)
		return info->cgroup.id == to->id && info->cgroup.attach_type == to->attach_type;
	if (to->type == LINK_TYPE_TCX && info->dev.attach_type != to->attach_type)
		return false;
	return info->dev.ifindex == to->id;
}

/*
 * Puts the program into the link pinned at @path. Returns 0 or 1 if it did, where 1 means that
 * the pin is there but is no link to @to, so that a new one is needed.
 */
static int link_swap(const char *path, const struct target *to, int prog_fd, char *err,
		     size_t errlen)
{
	struct link_info info;
	enum pin_kind kind;
	int fd = pin_open(path, &kind, err, errlen), rc;

	if (fd < 0)
		return kind == PIN_NONE ? 1 : fd;
	if (kind != PIN_LINK || link_info(fd, &info) || !link_matches(&info, to)) {
		close(fd);
		return 1;
	}
	rc = bpf_link_update(fd, prog_fd, NULL);
	close(fd);
	if (rc == -ENOLINK)
		return 1;
	if (rc)
		return sf_errtext(err, errlen, rc, "%s: cannot replace the program: %s", path,
				  strerror(-rc));
	return 0;
}

/*
 * Attaches by a pinned link: swaps the program of the one that is there, or makes one. Returns
 * the kernel's own errno if the link cannot be made, for the caller to put into words.
 */
static int link_place(const char *path, const struct target *to, int prog_fd, char *err,
		      size_t errlen)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = to->flags);
	int fd, rc;

	/* A second time if another process pinned its link between our look and our pinning. */
	for (int attempt = 0; attempt < 3; attempt++) {
		rc = link_swap(path, to, prog_fd, err, errlen);
		if (rc <= 0)
			return rc;
		fd = bpf_link_create(prog_fd, to->fd, to->attach_type, &opts);
		if (fd < 0)
			return sf_errtext(err, errlen, fd, "%s: cannot attach: %s", path,
					  strerror(-fd));
		rc = bpf_obj_pin(fd, path);
		if (rc == -EEXIST) {
			struct link_info info;
			enum pin_kind kind;
			int old = pin_open(path, &kind, NULL, 0);
			bool stale = old >= 0 && (kind != PIN_LINK || link_info(old, &info) ||
						  !link_matches(&info, to));

			if (old >= 0)
				close(old);
			if (stale) {
				sf_bpf_pin_detach(path);
				if (!unlink(path))
					rc = bpf_obj_pin(fd, path);
			}
		}
		close(fd); /* unpinned, this detaches it again */
		if (rc != -EEXIST)
			break;
	}
	if (rc)
		return sf_errtext(err, errlen, rc, "%s: cannot pin the link: %s", path,
				  strerror(-rc));
	return 0;
}

int sf_bpf_pin_detach(const char *path)
{
	enum pin_kind kind;
	int fd = pin_open(path, &kind, NULL, 0), rc = 0;

	if (fd < 0)
		return kind == PIN_NONE ? 0 : fd;
	if (kind == PIN_LINK)
		rc = bpf_link_detach(fd);
	close(fd);
	return rc == -ENOLINK ? 0 : rc;
}

int sf_bpf_link_detach(const char *dir, const char *name, char *err, size_t errlen)
{
	char path[PATH_MAX];
	int rc;

	rc = sf_bpf_pin_path(dir, name, path, err, errlen);
	if (rc)
		return rc;
	rc = sf_bpf_pin_detach(path);
	if (rc)
		return sf_errtext(err, errlen, rc, "%s: cannot detach: %s", path, strerror(-rc));
	if (unlink(path) && errno != ENOENT)
		return sf_errtext(err, errlen, -errno, "%s: %s", path, strerror(errno));
	return 0;
}

int sf_bpf_link_prog(const char *dir, const char *name, uint32_t *prog_id, char prog_name[16])
{
	struct bpf_prog_info prog;
	struct link_info info;
	char path[PATH_MAX];
	enum pin_kind kind;
	int fd, rc;

	rc = sf_bpf_pin_path(dir, name, path, NULL, 0);
	if (rc)
		return rc;
	fd = pin_open(path, &kind, NULL, 0);
	if (fd < 0)
		return kind == PIN_NONE ? -ENOENT : fd;
	if (kind == PIN_LINK) {
		rc = link_info(fd, &info);
		close(fd);
		if (rc)
			return rc;
		if (info.type != LINK_TYPE_CGROUP ? !info.dev.ifindex : !info.cgroup.id)
			return -ENOLINK;
		fd = bpf_prog_get_fd_by_id(info.prog_id);
		if (fd < 0)
			return fd;
	}
	rc = prog_info(fd, &prog);
	close(fd);
	if (rc)
		return rc;
	*prog_id = prog.id;
	if (prog_name)
		memcpy(prog_name, prog.name, sizeof(prog.name));
	return 0;
}

/* ---- clsact ----------------------------------------------------------------------------- */

static void hook_of(const struct sf_bpf_tc *at, struct bpf_tc_hook *hook)
{
	*hook = (struct bpf_tc_hook){
		.sz = sizeof(*hook),
		.ifindex = at->ifindex,
		.attach_point = at->side == SF_BPF_INGRESS ? BPF_TC_INGRESS : BPF_TC_EGRESS,
	};
}

static struct bpf_tc_opts filter_of(const struct sf_bpf_tc *at)
{
	return (struct bpf_tc_opts){
		.sz = sizeof(struct bpf_tc_opts),
		.handle = at->handle ? at->handle : TC_HANDLE,
		.priority = at->priority ? at->priority : TC_PRIORITY,
	};
}

/* libbpf warns on stderr of what is no failure here: an existing qdisc, an absent filter. */
static int print_nothing(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

/* Id of the program in our filter's place; 0 if there is none. */
static int filter_query(const struct sf_bpf_tc *at, uint32_t *prog_id)
{
	struct bpf_tc_opts opts = filter_of(at);
	libbpf_print_fn_t before;
	struct bpf_tc_hook hook;
	int rc;

	hook_of(at, &hook);
	before = libbpf_set_print(print_nothing);
	rc = bpf_tc_query(&hook, &opts);
	libbpf_set_print(before);
	/* -EINVAL: the device has no clsact qdisc. */
	*prog_id = rc ? 0 : opts.prog_id;
	return rc == -ENOENT || rc == -EINVAL ? 0 : rc;
}

/* Is the filter's program the one pinned at @path, or of the same name as @prog_fd (-1: none)? */
static bool filter_is_ours(uint32_t prog_id, const char *path, int prog_fd)
{
	struct bpf_prog_info pinned, there, mine;
	int fd = bpf_obj_get(path);
	bool ours = false;

	if (fd >= 0) {
		ours = pin_kind(fd) == PIN_PROG && !prog_info(fd, &pinned) && pinned.id == prog_id;
		close(fd);
	}
	if (ours || prog_fd < 0 || prog_info(prog_fd, &mine))
		return ours;
	fd = bpf_prog_get_fd_by_id(prog_id);
	if (fd < 0)
		return false;
	ours = !prog_info(fd, &there) && !strncmp(there.name, mine.name, sizeof(mine.name));
	close(fd);
	return ours;
}

static int qdisc_marker(const struct sf_bpf_tc *at, char path[PATH_MAX])
{
	char name[SF_BPF_NAME_MAX + 1];

	snprintf(name, sizeof(name), "clsact_%d", at->ifindex);
	return sf_bpf_pin_path(at->dir, name, path, NULL, 0);
}

/* Makes the qdisc; that it is ours is remembered by pinning the program once more. */
static int qdisc_make(const struct sf_bpf_tc *at, int prog_fd, char *err, size_t errlen)
{
	libbpf_print_fn_t before;
	struct bpf_tc_hook hook;
	char marker[PATH_MAX];
	int rc;

	hook_of(at, &hook);
	before = libbpf_set_print(print_nothing);
	rc = bpf_tc_hook_create(&hook);
	libbpf_set_print(before);
	if (rc == -EEXIST)
		return 0;
	if (rc)
		return sf_errtext(err, errlen, rc, "device %d: cannot make a clsact qdisc: %s",
				  at->ifindex, strerror(-rc));
	if (!qdisc_marker(at, marker))
		bpf_obj_pin(prog_fd, marker);
	return 0;
}

static int clsact_attach(const struct sf_bpf_tc *at, const char *path, int prog_fd, char *err,
			 size_t errlen)
{
	struct bpf_tc_opts opts = filter_of(at);
	char fresh[PATH_MAX + 8];
	struct bpf_tc_hook hook;
	uint32_t there;
	int rc;

	rc = qdisc_make(at, prog_fd, err, errlen);
	if (rc)
		return rc;
	rc = filter_query(at, &there);
	if (rc)
		return sf_errtext(err, errlen, rc, "device %d: cannot list its filters: %s",
				  at->ifindex, strerror(-rc));
	if (there && !filter_is_ours(there, path, prog_fd))
		return sf_errtext(
			err, errlen, -EEXIST,
			"device %d: clsact handle 0x%x priority %u is held by program %u of"
			" another owner",
			at->ifindex, opts.handle, opts.priority, there);
	hook_of(at, &hook);
	opts.prog_fd = prog_fd;
	opts.flags = BPF_TC_F_REPLACE;
	rc = bpf_tc_attach(&hook, &opts);
	if (rc)
		return sf_errtext(err, errlen, rc, "device %d: cannot attach to clsact: %s",
				  at->ifindex, strerror(-rc));
	snprintf(fresh, sizeof(fresh), "%s-new", path);
	unlink(fresh);
	rc = bpf_obj_pin(prog_fd, fresh);
	if (!rc && rename(fresh, path))
		rc = -errno;
	if (rc)
		return sf_errtext(err, errlen, rc, "%s: cannot pin: %s", path, strerror(-rc));
	return 0;
}

static int count_filter(const struct nlmsghdr *nlh, void *data)
{
	const struct tcmsg *tc = mnl_nlmsg_get_payload(nlh);

	/* Each priority shows once without and once with a handle. */
	if (tc->tcm_handle)
		++*(unsigned *)data;
	return MNL_CB_OK;
}

/* Number of filters on one side of a clsact qdisc, or -errno. */
static int filter_count(int ifindex, uint32_t side)
{
	char buf[32768] __attribute__((aligned(NLMSG_ALIGNTO))); /* a dump's part, at most */
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	unsigned found = 0;
	struct tcmsg *tc;
	ssize_t n;
	int rc;

	if (!nl)
		return -errno;
	nlh->nlmsg_type = RTM_GETTFILTER;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = 1;
	tc = mnl_nlmsg_put_extra_header(nlh, sizeof(*tc));
	tc->tcm_family = AF_UNSPEC;
	tc->tcm_ifindex = ifindex;
	tc->tcm_parent = TC_H_MAKE(TC_H_CLSACT, side);
	rc = mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID);
	if (rc >= 0)
		rc = mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0 ? -1 : MNL_CB_OK;
	while (rc > MNL_CB_STOP) {
		n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		rc = n < 0 ? -1
			   : mnl_cb_run(buf, (size_t)n, 1, mnl_socket_get_portid(nl), count_filter,
					&found);
	}
	rc = rc < 0 ? -errno : (int)found;
	mnl_socket_close(nl);
	return rc;
}

/* Removes the clsact qdisc if we made it and nobody has a filter on it. */
static void qdisc_drop(const struct sf_bpf_tc *at)
{
	libbpf_print_fn_t before;
	struct bpf_tc_hook hook;
	char marker[PATH_MAX];

	if (qdisc_marker(at, marker) || access(marker, F_OK))
		return;
	if (filter_count(at->ifindex, TC_H_MIN_INGRESS) ||
	    filter_count(at->ifindex, TC_H_MIN_EGRESS))
		return;
	hook_of(at, &hook);
	hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
	before = libbpf_set_print(print_nothing);
	bpf_tc_hook_destroy(&hook);
	libbpf_set_print(before);
	unlink(marker);
}

/* The caller has seen that a program is pinned at @path. */
static int clsact_detach(const struct sf_bpf_tc *at, const char *path, char *err, size_t errlen)
{
	struct bpf_tc_opts opts = filter_of(at);
	struct bpf_tc_hook hook;
	uint32_t there = 0;
	char name[IF_NAMESIZE];
	int rc = 0;

	if (if_indextoname((unsigned)at->ifindex, name))
		rc = filter_query(at, &there);
	if (!rc && there && filter_is_ours(there, path, -1)) {
		hook_of(at, &hook);
		rc = bpf_tc_detach(&hook, &opts);
	}
	if (rc && rc != -ENOENT && rc != -ENODEV)
		return sf_errtext(err, errlen, rc, "device %d: cannot remove the clsact filter: %s",
				  at->ifindex, strerror(-rc));
	if (unlink(path) && errno != ENOENT)
		return sf_errtext(err, errlen, -errno, "%s: %s", path, strerror(errno));
	qdisc_drop(at);
	return 0;
}

/* ---- tc --------------------------------------------------------------------------------- */

const char *sf_bpf_how_name(enum sf_bpf_how how)
{
	switch (how) {
	case SF_BPF_HOW_TCX:
		return "tcx";
	case SF_BPF_HOW_CLSACT:
		return "clsact";
	case SF_BPF_HOW_XDP:
		return "xdp";
	case SF_BPF_HOW_NONE:
		break;
	}
	return "none";
}

static int device_check(int ifindex, char *err, size_t errlen)
{
	char name[IF_NAMESIZE];

	if (ifindex <= 0 || !if_indextoname((unsigned)ifindex, name))
		return sf_errtext(err, errlen, -ENODEV,
				  "device %d: no such device in this network namespace", ifindex);
	return 0;
}

int sf_bpf_tc_attach(const struct sf_bpf_tc *at, int prog_fd, enum sf_bpf_how *how, char *err,
		     size_t errlen)
{
	struct target to = {
		.type = LINK_TYPE_TCX,
		.fd = at->ifindex,
		.id = (uint64_t)at->ifindex,
		.attach_type = at->side == SF_BPF_INGRESS ? ATTACH_TCX_INGRESS : ATTACH_TCX_EGRESS,
	};
	char path[PATH_MAX];
	enum pin_kind kind;
	int rc, tcx = 0, fd;

	rc = sf_bpf_pin_path(at->dir, at->name, path, err, errlen);
	if (!rc)
		rc = device_check(at->ifindex, err, errlen);
	if (rc)
		return rc;
	if (!at->no_tcx)
		tcx = sf_bpf_has_tcx();
	if (tcx < 0)
		return sf_errtext(err, errlen, tcx,
				  "cannot find out whether the kernel has tcx: %s", strerror(-tcx));
	fd = pin_open(path, &kind, err, errlen);
	if (fd < 0 && kind != PIN_NONE)
		return fd;
	if (fd >= 0)
		close(fd);
	/* The other way was used before: there is a gap, but only when the setting changed. */
	if (kind == (tcx ? PIN_PROG : PIN_LINK))
		rc = sf_bpf_tc_detach(at, err, errlen);
	if (!rc)
		rc = tcx ? link_place(path, &to, prog_fd, err, errlen)
			 : clsact_attach(at, path, prog_fd, err, errlen);
	if (!rc && how)
		*how = tcx ? SF_BPF_HOW_TCX : SF_BPF_HOW_CLSACT;
	return rc;
}

int sf_bpf_tc_detach(const struct sf_bpf_tc *at, char *err, size_t errlen)
{
	char path[PATH_MAX];
	enum pin_kind kind;
	int fd, rc;

	rc = sf_bpf_pin_path(at->dir, at->name, path, err, errlen);
	if (rc)
		return rc;
	fd = pin_open(path, &kind, err, errlen);
	if (fd < 0)
		return kind == PIN_NONE ? 0 : fd;
	close(fd);
	return kind == PIN_PROG ? clsact_detach(at, path, err, errlen)
				: sf_bpf_link_detach(at->dir, at->name, err, errlen);
}

/* ---- XDP, cgroups ----------------------------------------------------------------------- */

int sf_bpf_xdp_attach(const char *dir, const char *name, int ifindex, int prog_fd, char *err,
		      size_t errlen)
{
	struct target to = {
		.type = LINK_TYPE_XDP,
		.fd = ifindex,
		.id = (uint64_t)ifindex,
		.attach_type = BPF_XDP,
		.flags = XDP_FLAGS_DRV_MODE,
	};
	char path[PATH_MAX];
	int rc;

	rc = sf_bpf_pin_path(dir, name, path, err, errlen);
	if (!rc)
		rc = device_check(ifindex, err, errlen);
	if (rc)
		return rc;
	rc = link_place(path, &to, prog_fd, err, errlen);
	if (rc == -EOPNOTSUPP)
		sf_errtext(err, errlen, rc, "device %d: its driver has no native XDP", ifindex);
	else if (rc == -EBUSY || rc == -EEXIST)
		rc = sf_errtext(err, errlen, -EBUSY,
				"device %d: another XDP program holds it (see: bpftool net)",
				ifindex);
	return rc;
}

int sf_bpf_cgroup_attach(const char *dir, const char *name, int cgroup_fd, int attach_type,
			 int prog_fd, char *err, size_t errlen)
{
	struct target to = {
		.type = LINK_TYPE_CGROUP,
		.fd = cgroup_fd,
		.attach_type = (uint32_t)attach_type,
	};
	char path[PATH_MAX];
	struct stat st;
	int rc;

	rc = sf_bpf_pin_path(dir, name, path, err, errlen);
	if (rc)
		return rc;
	if (fstat(cgroup_fd, &st))
		return sf_errtext(err, errlen, -errno, "%s: bad cgroup descriptor", name);
	to.id = st.st_ino; /* on cgroup v2 the inode number is the id */
	rc = link_place(path, &to, prog_fd, err, errlen);
	if (rc == -EPERM && geteuid() == 0)
		sf_errtext(err, errlen, rc,
			   "%s: not permitted; an exclusive program on this cgroup or above?",
			   path);
	else if (rc == -E2BIG)
		sf_errtext(err, errlen, rc, "%s: the cgroup has as many programs as it can hold",
			   path);
	return rc;
}
