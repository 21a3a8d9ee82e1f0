// SPDX-License-Identifier: Apache-2.0
/* datapath.c - loading, pinning, adopting and attaching the host's programs. */
#include "agent/datapath.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/magic.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
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
	set_size(obj, "half_udp", h->config.halfopen_max);
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

static int link_address(struct host *h, uint8_t *mac)
{
	int ifindex = (int)h->datapath.config.ifindex, ret;
	struct sf_nl_link link;
	struct timespec ts;
	uint64_t now;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	now = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
	if (h->datapath.link.ifindex != ifindex || now >= h->datapath.link.until) {
		ret = sf_link_get_index(h->nl, ifindex, &link);
		if (ret)
			return ret;
		memcpy(h->datapath.link.mac, link.mac, sizeof(link.mac));
		h->datapath.link.ifindex = ifindex;
		h->datapath.link.until = now + 1000;
	}
	memcpy(mac, h->datapath.link.mac, sizeof(h->datapath.link.mac));
	return 0;
}

/* @received: in or out, as @how has it. */
static int kick(struct host *h, const struct sf_tuple *t, enum sf_kick_how how, uint32_t *received)
{
	uint8_t frame[SF_KICK_LEN] = { [12] = ETH_P_IPV6 >> 8,
				       [13] = ETH_P_IPV6 & 0xff,
				       [ETH_HLEN] = 0x60,
				       [ETH_HLEN + 5] = sizeof(struct tcphdr),
				       [ETH_HLEN + 6] = IPPROTO_TCP,
				       [ETH_HLEN + 7] = 64 };
	struct tcphdr tcp = { .source = t->lport, .dest = t->pport, .doff = 5, .ack = 1 };
	struct __sk_buff skb = {
		.ifindex = h->datapath.config.ifindex,
		.cb = { [SF_KICK_CB_HOW] = how, [SF_KICK_CB_RECEIVED] = *received }
	};
	struct __sk_buff after;
	struct sf_bpf_run run = { .data = frame,
				  .data_len = sizeof(frame),
				  .ctx = &skb,
				  .ctx_len = sizeof(skb),
				  .ctx_out = &after,
				  .ctx_out_len = sizeof(after) };
	int ret;

	if (!h->datapath.skel || t->proto != IPPROTO_TCP)
		return -ENOENT;
	/* What goes up must be for the link's own address. */
	ret = link_address(h, frame + ETH_ALEN);
	if (ret)
		return ret;
	memcpy(frame + ETH_HLEN + 8, &t->local, sizeof(t->local));
	memcpy(frame + ETH_HLEN + 24, &t->peer, sizeof(t->peer));
	memcpy(frame + ETH_HLEN + SF_IPV6_LEN, &tcp, sizeof(tcp));
	ret = sf_bpf_prog_run(bpf_program__fd(h->datapath.skel->progs.sf_flow_kick), &run);
	if (ret)
		return ret;
	*received = after.cb[SF_KICK_CB_RECEIVED];
	if (run.retval == SF_KICK_NONE || run.retval == SF_KICK_IDLE)
		return -ENOENT;
	return run.retval == SF_KICK_LOST ? -EIO : 0;
}

int datapath_kick(struct host *h, const struct sf_tuple *t, enum sf_kick_how how)
{
	uint32_t none = 0;

	return kick(h, t, how, &none);
}

int datapath_received(struct host *h, const struct sf_tuple *t, uint32_t *received)
{
	*received = 0;
	return kick(h, t, SF_KICK_LOOK, received);
}

int datapath_hold(struct host *h, const struct sf_tuple *t, uint32_t received)
{
	return kick(h, t, SF_KICK_HOLD, &received);
}

int datapath_answered(struct host *h, uint64_t id)
{
	LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = &id, .ctx_size_in = sizeof(id));

	if (!h->datapath.skel)
		return -ENOENT;
	if (bpf_prog_test_run_opts(bpf_program__fd(h->datapath.skel->progs.sf_flow_answered), &run))
		return -errno;
	return run.retval ? -ENOENT : 0;
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

/* Each link has a pin of its own, called by its index. */
struct side {
	struct sf_bpf_tc at;
	char name[SF_BPF_NAME_MAX + 1];
};

static const struct sf_bpf_tc *side(const struct host *h, enum sf_bpf_side where, int ifindex,
				    struct side *s)
{
	snprintf(s->name, sizeof(s->name), "%s_%d", where == SF_BPF_EGRESS ? EGRESS : INGRESS,
		 ifindex);
	s->at = (struct sf_bpf_tc){
		.dir = h->datapath.dir, .name = s->name, .ifindex = ifindex, .side = where
	};
	return &s->at;
}

/* Where a link is among those that are attached, or (0) a free place. */
static int *attached(struct host *h, int ifindex)
{
	for (int i = 0; i < SF_UPLINKS_MAX; i++)
		if (h->datapath.attached[i] == ifindex)
			return &h->datapath.attached[i];
	return NULL;
}

bool datapath_is_attached(const struct host *h)
{
	for (int i = 0; i < SF_UPLINKS_MAX; i++)
		if (h->datapath.attached[i])
			return true;
	return false;
}

static int attach(struct host *h, int ifindex, char *err, size_t errlen)
{
	struct datapath *d = &h->datapath;
	int *slot = attached(h, ifindex);
	struct side s;
	int ret;

	slot = slot ? slot : attached(h, 0);
	if (!slot) {
		snprintf(err, errlen, "link %d: %d uplinks have the programs already", ifindex,
			 SF_UPLINKS_MAX);
		return -ENOSPC;
	}
	/* Ingress first: what it takes off the wire must be understood before we send such. */
	ret = sf_bpf_tc_attach(side(h, SF_BPF_INGRESS, ifindex, &s),
			       bpf_program__fd(d->skel->progs.sf_host_ingress), &d->how, err,
			       errlen);
	if (!ret)
		ret = sf_bpf_tc_attach(side(h, SF_BPF_EGRESS, ifindex, &s),
				       bpf_program__fd(d->skel->progs.sf_host_egress), &d->how, err,
				       errlen);
	if (!ret)
		*slot = ifindex;
	return ret;
}

static void detach(struct host *h, int ifindex)
{
	int *slot = attached(h, ifindex);
	struct side s;
	char err[256];

	if (sf_bpf_tc_detach(side(h, SF_BPF_EGRESS, ifindex, &s), err, sizeof(err)))
		sf_warn("egress program: %s", err);
	if (sf_bpf_tc_detach(side(h, SF_BPF_INGRESS, ifindex, &s), err, sizeof(err)))
		sf_warn("ingress program: %s", err);
	if (slot)
		*slot = 0;
}

/* A tcx link can be taken off the device by others. */
static bool still_attached(const struct host *h, int ifindex)
{
	struct side in, out;
	uint32_t prog;

	return sf_bpf_link_prog(h->datapath.dir, side(h, SF_BPF_INGRESS, ifindex, &in)->name, &prog,
				NULL) != -ENOLINK &&
	       sf_bpf_link_prog(h->datapath.dir, side(h, SF_BPF_EGRESS, ifindex, &out)->name, &prog,
				NULL) != -ENOLINK;
}

bool datapath_dir_is_attached(const char *dir)
{
	DIR *d = opendir(dir);
	bool found = false;

	if (!d)
		return errno != ENOENT;
	for (struct dirent *e = readdir(d); e && !found; e = readdir(d)) {
		uint32_t prog;
		int ret;

		if (strncmp(e->d_name, INGRESS, strlen(INGRESS)))
			continue;
		ret = sf_bpf_link_prog(dir, e->d_name, &prog, NULL);
		found = ret != -ENOLINK && ret != -ENOENT;
	}
	closedir(d);
	return found;
}

/* The programs of links that are gone, or lead nowhere any more. A link that is only down keeps
 * them: it may be back at any time, and each attachment costs tens of milliseconds. */
static void detach_others(struct host *h)
{
	for (int i = 0; i < SF_UPLINKS_MAX; i++)
		if (h->datapath.attached[i] && !attachment_of_link(h, h->datapath.attached[i]))
			detach(h, h->datapath.attached[i]);
}

static int attach_all(struct host *h, char *err, size_t errlen)
{
	int ret = 0;

	attachment_foreach (h, a) {
		int now = 0;

		if (!attachment_has_place(a))
			continue;
		if (!attached(h, a->link.ifindex) || !still_attached(h, a->link.ifindex))
			now = attach(h, a->link.ifindex, err, errlen);
		ret = ret ? ret : now;
	}
	return ret;
}

/* ---- places ----------------------------------------------------------------------------- */

static struct sf_addr place_of(const struct attachment *a)
{
	struct sf_addr place = a->join.locator;

	sf_locator_set_sock(&place, 0);
	return place;
}

struct each_place {
	int (*fn)(const struct sf_addr *place, const struct sf_uplink *up, void *ctx);
	void *ctx;
};

static int each_place(const void *key, const void *value, void *ctx)
{
	struct each_place *e = ctx;

	return e->fn(key, value, e->ctx);
}

int datapath_each_place(struct host *h,
			int (*fn)(const struct sf_addr *place, const struct sf_uplink *up,
				  void *ctx),
			void *ctx)
{
	struct each_place e = { fn, ctx };

	return sf_bpf_map_walk(datapath_map(h, "uplinks"), sizeof(struct sf_addr),
			       sizeof(struct sf_uplink), each_place, &e);
}

struct gone {
	const struct host *host;
	struct sf_addr places[SF_UPLINKS_MAX];
	int n;
};

static int find_gone(const struct sf_addr *place, const struct sf_uplink *up, void *ctx)
{
	struct gone *g = ctx;

	if (!attachment_of_place(g->host, place) && g->n < SF_UPLINKS_MAX)
		g->places[g->n++] = *place;
	return 0;
}

static int write_places(struct host *h)
{
	struct gone gone = { .host = h };
	int fd = datapath_map(h, "uplinks"), ret = 0;

	attachment_foreach (h, a) {
		struct sf_uplink up = { .ifindex = (uint32_t)a->link.ifindex, .mtu = a->link.mtu };
		struct sf_addr place = place_of(a);

		if (!attachment_has_place(a))
			continue;
		memcpy(&up.router, &a->join.router.sin6_addr, sizeof(up.router));
		if (bpf_map_update_elem(fd, &place, &up, BPF_ANY))
			ret = -errno;
	}
	datapath_each_place(h, find_gone, &gone);
	for (int i = 0; i < gone.n; i++)
		bpf_map_delete_elem(fd, &gone.places[i]);
	return ret;
}

int datapath_apply(struct host *h, char *err, size_t errlen)
{
	struct sf_host_config *c = &h->datapath.config;
	const struct attachment *p = attachment_primary(h);
	int ret;

	c->net = h->net;
	c->host = sf_locator_host(&p->join.locator);
	c->own = p->join.locator;
	sf_locator_set_sock(&c->own, PLAIN_SOCK);
	c->self = h->self;
	c->ifindex = p->link.ifindex;
	c->mtu = p->link.mtu;
	ret = write_config(h);
	if (!ret)
		ret = write_places(h);
	if (ret) {
		snprintf(err, errlen, "maps config and uplinks: %s", strerror(-ret));
		return ret;
	}
	detach_others(h);
	return attach_all(h, err, errlen);
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

static int attach_adopted(const struct sf_addr *place, const struct sf_uplink *up, void *ctx)
{
	char why[256];

	if (attach(ctx, (int)up->ifindex, why, sizeof(why)))
		sf_warn("datapath: an uplink of it is gone (%s); waiting for the next join", why);
	return 0;
}

int datapath_open(struct host *h, char *err, size_t errlen)
{
	struct datapath *d = &h->datapath;
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
	datapath_each_place(h, attach_adopted, h);
	return 0;
}

void datapath_remove(struct host *h)
{
	char err[256];

	if (!h->datapath.dir[0] || !h->datapath.lock_fd)
		return;
	for (int i = 0; i < SF_UPLINKS_MAX; i++)
		if (h->datapath.attached[i])
			detach(h, h->datapath.attached[i]);
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
