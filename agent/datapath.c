// SPDX-License-Identifier: Apache-2.0
/* datapath.c - loading, pinning, adopting and attaching the host's programs. */
#include "agent/datapath.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/magic.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "agent/host.h"
#include "bpf/host.skel.h"
#include "util/log.h"

#define EGRESS	   "uplink_egress"
#define INGRESS	   "uplink_ingress"
#define LOCK_TRIES 20
#define PLAIN_SOCK 1

/* One line for each (map, older layout) that can be carried over. Layout 1 was never released. */
static const struct sf_bpf_migration migrations[] = {
	{ NULL, 0, 0, NULL },
};

/* ---- the pin directory ------------------------------------------------------------------ */

static bool on_bpffs(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && (unsigned long)fs.f_type == BPF_FS_MAGIC;
}

int datapath_dir(const struct host *h, const char *sub, char *dir, size_t dirlen, char *err,
		 size_t errlen)
{
	char root[256], below[256];
	char *slash;

	if (snprintf(root, sizeof(root), "%s", h->config.bpffs) >= (int)sizeof(root)) {
		snprintf(err, errlen, "--bpffs: the path is too long");
		return -ENAMETOOLONG;
	}
	/* A directory inside of a bpffs needs no mount; any other path is to become one. */
	snprintf(below, sizeof(below), "%s", sub);
	while (!on_bpffs(root) && (slash = strrchr(root, '/')) && slash != root)
		*slash = '\0';
	if (!on_bpffs(root)) {
		const char *usual = "/sys/fs/bpf";
		size_t n = strlen(usual);

		snprintf(root, sizeof(root), "%s",
			 strncmp(h->config.bpffs, usual, n) ? h->config.bpffs : usual);
	}
	if (strlen(h->config.bpffs) > strlen(root))
		snprintf(below, sizeof(below), "%s/%s", h->config.bpffs + strlen(root) + 1, sub);
	for (int i = 0;; i++) {
		int ret = sf_bpf_pindir_make(root, below, true, dir, dirlen, err, errlen);

		/* Another host's agent, leaving, may remove the empty directory above ours. */
		if (ret != -ENOENT || i == LOCK_TRIES)
			return ret;
	}
}

void datapath_dir_done(const struct host *h)
{
	rmdir(h->config.bpffs); /* not while anything is in it */
}

bool datapath_dir_is(const char *path, int fd)
{
	struct stat named, held;

	return !stat(path, &named) && !fstat(fd, &held) && named.st_ino == held.st_ino &&
	       named.st_dev == held.st_dev;
}

/* Make the directory and take its lock, for the agent's life. */
static int take_lock(struct host *h, char *err, size_t errlen)
{
	char sub[64];

	snprintf(sub, sizeof(sub), "host-%016llx", (unsigned long long)h->cookie);
	for (int i = 0;; i++) {
		int fd =
			datapath_dir(h, sub, h->datapath.dir, sizeof(h->datapath.dir), err, errlen);

		if (!fd)
			fd = sf_bpf_pindir_lock(h->datapath.dir, false, err, errlen);
		if (fd >= 0 && datapath_dir_is(h->datapath.dir, fd)) {
			h->datapath.lock_fd = fd;
			return 0;
		}
		if (fd >= 0)
			close(fd); /* it was removed meanwhile as a leftover: make it anew */
		else if (fd != -EWOULDBLOCK && fd != -ENOENT)
			return fd;
		/* Another host's agent may be looking for leftovers: it holds it for microseconds.
		 */
		if (i == LOCK_TRIES) {
			snprintf(err, errlen,
				 "%s: another scaffoldd serves this host (network namespace)",
				 h->datapath.dir);
			return -EBUSY;
		}
		usleep(50000);
	}
}

/* ---- maps: adopt, migrate, refuse ------------------------------------------------------- */

static void set_size(struct bpf_object *obj, const char *name, uint32_t entries)
{
	struct bpf_map *map = bpf_object__find_map_by_name(obj, name);

	if (map)
		bpf_map__set_max_entries(map, entries);
}

static int share_listeners(struct host *h, struct bpf_map *map, char *err, size_t errlen)
{
	int ret = bpf_map__reuse_fd(map, hooks_map(h, "listeners"));

	if (ret)
		snprintf(err, errlen, "map listeners: %s", strerror(-ret));
	return ret;
}

static int adopt_maps(struct host *h, struct sf_bpf_adoption *a, char *err, size_t errlen)
{
	struct bpf_object *obj = h->datapath.skel->obj;
	struct bpf_map *map;
	int ret = 0;

	set_size(obj, "flows", h->config.flows_max);
	set_size(obj, "moves", h->config.flows_max);
	set_size(obj, "halfopen", h->config.halfopen_max);
	bpf_object__for_each_map(map, obj)
	{
		/* Constants and scratch memory belong to the programs, and go with them. */
		if (bpf_map__is_internal(map) || !strcmp(bpf_map__name(map), "scratch"))
			continue;
		if (!strcmp(bpf_map__name(map), "listeners")) /* one for all hosts of the kernel */
			ret = share_listeners(h, map, err, errlen);
		else
			ret = sf_bpf_adoption_map(a, map, err, errlen);
		if (ret == -EPROTO) {
			char why[256];

			snprintf(why, sizeof(why), "%s", err);
			snprintf(err, errlen,
				 "%s: cannot be taken over by this version: %s. Start the version "
				 "that made it and stop it by SIGTERM, or start with --discard "
				 "(open flows are cut)",
				 a->dir, why);
		}
		if (ret)
			return ret;
	}
	h->datapath.adopted = a->reused;
	return 0;
}

int datapath_map(const struct host *h, const char *name)
{
	const struct bpf_map *map =
		h->datapath.skel ? bpf_object__find_map_by_name(h->datapath.skel->obj, name) : NULL;

	return map ? bpf_map__fd(map) : -ENOENT;
}

int datapath_count(const struct host *h, const char *map, uint32_t index, struct sf_count *out)
{
	uint64_t sums[2];
	int fd = datapath_map(h, map);
	int ret = fd < 0 ? fd : sf_bpf_percpu_sum(fd, &index, sums, 2);

	if (!ret) {
		out->packets = sums[0];
		out->bytes = sums[1];
	}
	return ret;
}

/* ---- flows that move -------------------------------------------------------------------- */

int datapath_change(struct host *h, const struct sf_flow_change *c)
{
	struct sf_flow_change arg = *c;
	LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = &arg, .ctx_size_in = sizeof(arg));

	if (!h->datapath.skel)
		return -ENOENT;
	if (bpf_prog_test_run_opts(bpf_program__fd(h->datapath.skel->progs.sf_flow_alter), &run))
		return -errno;
	return run.retval ? -ENOENT : 0;
}

int datapath_refuse(struct host *h, uint64_t id, uint8_t reason)
{
	uint8_t frame[SF_REFUSAL_LEN] = { [12] = ETH_P_IPV6 >> 8, [13] = ETH_P_IPV6 & 0xff };
	struct __sk_buff skb = { .ifindex = h->datapath.config.ifindex,
				 .cb = { [SF_REFUSAL_ID_HIGH] = (uint32_t)(id >> 32),
					 [SF_REFUSAL_ID_LOW] = (uint32_t)id,
					 [SF_REFUSAL_REASON] = reason } };
	struct sf_bpf_run run = {
		.data = frame, .data_len = sizeof(frame), .ctx = &skb, .ctx_len = sizeof(skb)
	};
	struct sf_nl_link link;
	int ret;

	if (!h->datapath.skel)
		return -ENOENT;
	/* What goes up must be for the link's own address. */
	ret = sf_link_get_index(h->nl, (int)skb.ifindex, &link);
	if (ret)
		return ret;
	memcpy(frame + ETH_ALEN, link.mac, ETH_ALEN);
	ret = sf_bpf_prog_run(bpf_program__fd(h->datapath.skel->progs.sf_flow_refuse), &run);
	if (ret)
		return ret;
	if (run.retval == SF_REFUSAL_NONE)
		return -ENOENT;
	return run.retval == SF_REFUSAL_DONE ? 0 : -EIO;
}

int datapath_turn(struct host *h, uint64_t id, uint8_t from, uint8_t to)
{
	struct sf_flow_turn arg = { .id = id, .from = from, .to = to };
	LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = &arg, .ctx_size_in = sizeof(arg));

	if (!h->datapath.skel)
		return -ENOENT;
	if (bpf_prog_test_run_opts(bpf_program__fd(h->datapath.skel->progs.sf_flow_turn), &run))
		return -errno;
	return run.retval ? -ENOENT : 0;
}

/* ---- configuration and attachment ------------------------------------------------------- */

static int write_config(struct host *h)
{
	uint32_t zero = 0;

	if (bpf_map_update_elem(datapath_map(h, "config"), &zero, &h->datapath.config, BPF_ANY))
		return -errno;
	return 0;
}

static int read_config(struct host *h)
{
	struct sf_host_config *c = &h->datapath.config;
	uint32_t zero = 0;

	if (bpf_map_lookup_elem(datapath_map(h, "config"), &zero, c))
		return -errno;
	if (!(c->key.k0 | c->key.k1)) {
		int ret = sf_random(&c->key, sizeof(c->key));

		if (ret)
			return ret;
	}
	if (!c->host)
		c->net = h->net;
	c->self = sf_service_addr(&c->net, &h->identity);
	c->cookie = h->cookie;
	return write_config(h);
}

static struct sf_bpf_tc side(const struct host *h, enum sf_bpf_side where, int ifindex)
{
	return (struct sf_bpf_tc){ .dir = h->datapath.dir,
				   .name = where == SF_BPF_EGRESS ? EGRESS : INGRESS,
				   .ifindex = ifindex,
				   .side = where };
}

static int attach(struct host *h, int ifindex, char *err, size_t errlen)
{
	struct datapath *d = &h->datapath;
	struct sf_bpf_tc in = side(h, SF_BPF_INGRESS, ifindex);
	struct sf_bpf_tc out = side(h, SF_BPF_EGRESS, ifindex);
	int ret;

	/* Ingress first: what it takes off the wire must be understood before we send such. */
	ret = sf_bpf_tc_attach(&in, bpf_program__fd(d->skel->progs.sf_host_ingress), &d->how, err,
			       errlen);
	if (!ret)
		ret = sf_bpf_tc_attach(&out, bpf_program__fd(d->skel->progs.sf_host_egress),
				       &d->how, err, errlen);
	if (!ret)
		d->ifindex = ifindex;
	return ret;
}

static void detach(struct host *h, int ifindex)
{
	struct sf_bpf_tc in = side(h, SF_BPF_INGRESS, ifindex);
	struct sf_bpf_tc out = side(h, SF_BPF_EGRESS, ifindex);
	char err[256];

	if (sf_bpf_tc_detach(&out, err, sizeof(err)))
		sf_warn("egress program: %s", err);
	if (sf_bpf_tc_detach(&in, err, sizeof(err)))
		sf_warn("ingress program: %s", err);
	h->datapath.ifindex = 0;
}

/* A tcx link can be taken off the device by others. */
static bool still_attached(const struct host *h)
{
	uint32_t prog;

	return sf_bpf_link_prog(h->datapath.dir, INGRESS, &prog, NULL) != -ENOLINK &&
	       sf_bpf_link_prog(h->datapath.dir, EGRESS, &prog, NULL) != -ENOLINK;
}

int datapath_apply(struct host *h, char *err, size_t errlen)
{
	struct sf_host_config *c = &h->datapath.config;
	const struct sf_nl_link *link = &h->uplink.link;
	int ret;

	c->net = h->net;
	c->host = sf_locator_host(&h->join.locator);
	c->own = h->join.locator;
	sf_locator_set_sock(&c->own, PLAIN_SOCK);
	c->self = h->self;
	c->ifindex = link->ifindex;
	c->mtu = link->mtu;
	ret = write_config(h);
	if (ret) {
		snprintf(err, errlen, "map config: %s", strerror(-ret));
		return ret;
	}
	if (h->datapath.ifindex == link->ifindex && still_attached(h))
		return 0; /* each attachment costs tens of milliseconds */
	if (h->datapath.ifindex)
		detach(h, h->datapath.ifindex);
	return attach(h, link->ifindex, err, errlen);
}

/* ---- life ------------------------------------------------------------------------------- */

static int load(struct host *h, char *err, size_t errlen)
{
	struct sf_bpf_adoption a = { .dir = h->datapath.dir,
				     .layout = SF_HOST_LAYOUT,
				     .migrations = migrations };
	int ret;

	h->datapath.skel = host_bpf__open();
	if (!h->datapath.skel) {
		snprintf(err, errlen, "host programs: %s", strerror(errno));
		return -errno;
	}
	ret = adopt_maps(h, &a, err, errlen);
	h->datapath.skel->rodata->sf_half_open_max =
		bpf_map__max_entries(h->datapath.skel->maps.halfopen);
	if (!ret)
		ret = sf_bpf_skeleton_load(h->datapath.skel->skeleton, err, errlen);
	if (!ret)
		return sf_bpf_adoption_finish(&a, err, errlen);
	sf_bpf_adoption_drop(&a);
	return ret;
}

/* Filters of clsact are no links: they do not go with their pins. */
static int detach_everywhere(const struct sf_nl_link *link, void *ctx)
{
	struct host *h = ctx;

	detach(h, link->ifindex);
	return 0;
}

int datapath_prepare(struct host *h, char *err, size_t errlen)
{
	struct datapath *d = &h->datapath;
	char config[600];
	int ret = take_lock(h, err, errlen);

	if (ret)
		return ret;
	snprintf(config, sizeof(config), "%s/config", d->dir);
	d->fresh = h->config.discard || access(config, F_OK);
	if (!h->config.discard)
		return 0;
	sf_info("datapath %s: discarded", d->dir);
	sf_link_list(h->nl, detach_everywhere, h);
	ret = sf_bpf_pindir_remove(d->dir, err, errlen);
	close(d->lock_fd); /* the directory is another one now */
	d->lock_fd = 0;
	return ret ? ret : take_lock(h, err, errlen);
}

int datapath_open(struct host *h, char *err, size_t errlen)
{
	struct datapath *d = &h->datapath;
	char why[256];
	int ret = load(h, err, errlen);

	if (ret)
		return ret;
	ret = read_config(h);
	if (ret) {
		snprintf(err, errlen, "map config: %s", strerror(-ret));
		return ret;
	}
	if (!d->adopted || !d->config.host || !d->config.ifindex)
		return 0;
	sf_info("datapath %s: taken over from an earlier agent", d->dir);
	if (attach(h, (int)d->config.ifindex, why, sizeof(why)))
		sf_warn("datapath: its uplink is gone (%s); waiting for the next join", why);
	return 0;
}

void datapath_remove(struct host *h)
{
	char err[256];

	if (!h->datapath.dir[0] || !h->datapath.lock_fd)
		return;
	if (h->datapath.config.ifindex)
		detach(h, (int)h->datapath.config.ifindex);
	if (sf_bpf_pindir_remove(h->datapath.dir, err, sizeof(err)))
		sf_warn("datapath: %s", err);
	datapath_close(h);
}

void datapath_close(struct host *h)
{
	host_bpf__destroy(h->datapath.skel);
	h->datapath.skel = NULL;
	if (h->datapath.lock_fd > 0)
		close(h->datapath.lock_fd);
	h->datapath.lock_fd = 0;
}
