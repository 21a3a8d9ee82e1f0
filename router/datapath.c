// SPDX-License-Identifier: Apache-2.0
/* datapath.c - loading, pinning, attaching; see datapath.h. */
#include "router/datapath.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bpf/service_router.skel.h"
#include "core/ctrl.h"
#include "router/router.h"
#include "util/errtext.h"
#include "util/log.h"
#include "util/netns.h"

#define TC_PIN	   "link_%d_in"
#define XDP_PIN	   "link_%d_xdp"
#define ABSENT_PIN "absent_out"
#define BATCH	   1024

#define SESSION_BURST 256 /* messages of one session at once: four windows of sequence numbers */

struct datapath {
	struct service_router_bpf *skel;
	char dir[512];
	int absent_ifindex;
};

static int fd_of(const struct bpf_map *map)
{
	return bpf_map__fd(map);
}

static int pin_dir(const char *bpffs, bool may_mount, char *dir, size_t dirlen, char *err,
		   size_t errlen)
{
	uint64_t cookie;
	char sub[32];
	int ret = sf_netns_cookie(&cookie);

	if (ret)
		return sf_errtext(err, errlen, ret, "network namespace: %s", strerror(-ret));
	snprintf(sub, sizeof(sub), "router-%016llx", (unsigned long long)cookie);
	return sf_bpf_pindir_make(bpffs, sub, may_mount, dir, dirlen, err, errlen);
}

/* Pinned tables keep the size with which they were made. */
static void warn_size(const struct bpf_map *map, uint32_t wanted, const char *key)
{
	if (bpf_map__max_entries(map) != wanted)
		sf_warn("table %s: %u entries since it was made; %s=%u takes effect after --flush",
			bpf_map__name(map), bpf_map__max_entries(map), key, wanted);
}

static int adopt_maps(struct datapath *dp, struct router *r, char *err, size_t errlen)
{
	struct service_router_bpf *s = dp->skel;
	struct bpf_map *maps[] = { s->maps.config,   s->maps.rules,   s->maps.slots,
				   s->maps.links,    s->maps.present, s->maps.sources,
				   s->maps.counters, s->maps.traffic };
	bool reused;
	int ret;

	bpf_map__set_max_entries(s->maps.rules, r->config.services_max);
	bpf_map__set_max_entries(s->maps.sources, r->config.services_max);
	bpf_map__set_max_entries(s->maps.slots, r->config.slots_max);
	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
		ret = sf_bpf_map_adopt(maps[i], dp->dir, bpf_map__name(maps[i]), SF_ROUTER_LAYOUT,
				       &reused, err, errlen);
		if (ret)
			return ret;
		r->restarted |= reused;
	}
	warn_size(s->maps.rules, r->config.services_max, "services_max");
	warn_size(s->maps.slots, r->config.slots_max, "slots_max");
	return 0;
}

int datapath_open(struct router *r, char *err, size_t errlen)
{
	struct datapath *dp = calloc(1, sizeof(*dp));
	int lock = -1, ret = -ENOMEM;

	if (!dp)
		return sf_errtext(err, errlen, ret, "out of memory");
	sf_bpf_quiet();
	ret = pin_dir(r->config.bpffs, true, dp->dir, sizeof(dp->dir), err, errlen);
	if (ret)
		goto fail;
	lock = sf_bpf_pindir_lock(dp->dir, true, err, errlen);
	if (lock < 0) {
		ret = lock;
		goto fail;
	}
	dp->skel = service_router_bpf__open();
	if (!dp->skel) {
		ret = sf_errtext(err, errlen, -errno, "datapath: %s", strerror(errno));
		goto fail;
	}
	ret = adopt_maps(dp, r, err, errlen);
	if (!ret)
		ret = sf_bpf_skeleton_load(dp->skel->skeleton, err, errlen);
	if (ret)
		goto fail;
	close(lock);
	r->datapath = dp;
	return 0;
fail:
	if (lock >= 0)
		close(lock);
	datapath_close(dp);
	return ret;
}

void datapath_close(struct datapath *dp)
{
	if (!dp)
		return;
	if (dp->skel)
		service_router_bpf__destroy(dp->skel);
	free(dp);
}

int datapath_configure(struct router *r)
{
	struct sf_router_config c = { .net = r->place.net,
				      .roles = has_place(r) ? r->config.roles : 0,
				      .own = r->own,
				      .id = r->id,
				      .key = r->place.key };
	uint32_t zero = 0;

	/* A router without a block resolves, too; its FAILs then come from its underlay address. */
	if (!has_place(r) && r->place.net.service) {
		c.roles = r->config.roles & SF_ROLE_SERVICE;
		c.own = r->underlay;
	}
	if (bpf_map_update_elem(fd_of(r->datapath->skel->maps.config), &zero, &c, BPF_ANY))
		return -errno;
	return 0;
}

/* ---- attachments ---- */

static struct sf_bpf_tc tc_at(const char *dir, const char *name, int ifindex, bool egress)
{
	return (struct sf_bpf_tc){ .dir = dir,
				   .name = name,
				   .ifindex = ifindex,
				   .side = egress ? SF_BPF_EGRESS : SF_BPF_INGRESS };
}

int datapath_attach(struct datapath *dp, int ifindex, bool filter, bool xdp, enum sf_bpf_how *how,
		    int *xdp_err, char *err, size_t errlen)
{
	struct bpf_program *prog =
		filter ? dp->skel->progs.sf_access_ingress : dp->skel->progs.sf_router_ingress;
	char tc_pin[SF_BPF_NAME_MAX + 1], xdp_pin[SF_BPF_NAME_MAX + 1];
	struct sf_bpf_tc at;
	int ret;

	snprintf(tc_pin, sizeof(tc_pin), TC_PIN, ifindex);
	snprintf(xdp_pin, sizeof(xdp_pin), XDP_PIN, ifindex);
	at = tc_at(dp->dir, tc_pin, ifindex, false);
	ret = sf_bpf_tc_attach(&at, bpf_program__fd(prog), how, err, errlen);
	if (ret)
		return ret;
	*xdp_err = 0;
	if (xdp) {
		prog = filter ? dp->skel->progs.sf_access_xdp : dp->skel->progs.sf_router_xdp;
		*xdp_err = sf_bpf_xdp_attach(dp->dir, xdp_pin, ifindex, bpf_program__fd(prog), err,
					     errlen);
	} else {
		sf_bpf_link_detach(dp->dir, xdp_pin, NULL, 0);
	}
	return 0;
}

static void detach(const char *dir, int ifindex)
{
	char pin[SF_BPF_NAME_MAX + 1];
	struct sf_bpf_tc at;

	snprintf(pin, sizeof(pin), XDP_PIN, ifindex);
	sf_bpf_link_detach(dir, pin, NULL, 0);
	snprintf(pin, sizeof(pin), TC_PIN, ifindex);
	at = tc_at(dir, pin, ifindex, false);
	sf_bpf_tc_detach(&at, NULL, 0);
}

void datapath_detach(struct datapath *dp, int ifindex)
{
	detach(dp->dir, ifindex);
}

int datapath_attach_absent(struct datapath *dp, int ifindex, char *err, size_t errlen)
{
	struct sf_bpf_tc at = tc_at(dp->dir, ABSENT_PIN, ifindex, true);
	enum sf_bpf_how how;

	dp->absent_ifindex = ifindex;
	return sf_bpf_tc_attach(&at, bpf_program__fd(dp->skel->progs.sf_absent_egress), &how, err,
				errlen);
}

/* The links that have an attachment of ours; from the names of the pins. */
static int pinned_links(const char *dir, int *out, int max)
{
	struct dirent *entry;
	int n = 0, ifindex;
	DIR *d = opendir(dir);

	if (!d)
		return 0;
	while (n < max && (entry = readdir(d)))
		if (sscanf(entry->d_name, TC_PIN, &ifindex) == 1 && strstr(entry->d_name, "_in"))
			out[n++] = ifindex;
	closedir(d);
	return n;
}

void datapath_sweep(struct datapath *dp, bool (*wanted)(int ifindex, void *ctx), void *ctx)
{
	int links[1024];
	int n = pinned_links(dp->dir, links, 1024);

	for (int i = 0; i < n; i++)
		if (!wanted(links[i], ctx))
			detach(dp->dir, links[i]);
}

int datapath_remove(const char *bpffs, char *err, size_t errlen)
{
	struct sf_bpf_tc at;
	struct sf_nl_link link;
	struct sf_nl *nl;
	int links[1024];
	char dir[512];
	int ret, n;

	ret = pin_dir(bpffs, false, dir, sizeof(dir), err, errlen);
	if (ret == -ENODEV) /* no bpffs: nothing can be pinned there */
		return 0;
	if (ret)
		return ret;
	n = pinned_links(dir, links, 1024);
	for (int i = 0; i < n; i++)
		detach(dir, links[i]);
	if (!sf_nl_open(&nl)) {
		if (!sf_link_get(nl, ABSENT_LINK, &link)) {
			at = tc_at(dir, ABSENT_PIN, link.ifindex, true);
			sf_bpf_tc_detach(&at, NULL, 0);
		}
		sf_nl_close(nl);
	}
	return sf_bpf_pindir_remove(dir, err, errlen);
}

/* ---- maps ---- */

static int set_or_delete(const struct bpf_map *map, const void *key, const void *value)
{
	int ret = value ? bpf_map_update_elem(fd_of(map), key, value, BPF_ANY)
			: bpf_map_delete_elem(fd_of(map), key);

	if (!ret || (!value && errno == ENOENT))
		return 0;
	return -errno;
}

int datapath_link(struct datapath *dp, uint32_t ifindex, const struct sf_link *link)
{
	return set_or_delete(dp->skel->maps.links, &ifindex, link);
}

int datapath_present(struct datapath *dp, uint32_t host, const struct sf_presence *here)
{
	return set_or_delete(dp->skel->maps.present, &host, here);
}

int datapath_present_get(struct datapath *dp, uint32_t host, struct sf_presence *out)
{
	return bpf_map_lookup_elem(fd_of(dp->skel->maps.present), &host, out) ? -errno : 0;
}

int datapath_source(struct datapath *dp, uint32_t host, const struct sf_sid *sid, bool allowed)
{
	struct sf_source_key key = { .host = host, .sid = *sid };
	uint8_t yes = 1;

	return set_or_delete(dp->skel->maps.sources, &key, allowed ? &yes : NULL);
}

int datapath_rules_put(struct datapath *dp, const struct sf_service_key *keys,
		       const struct sf_rule *rules, uint32_t n)
{
	return n ? sf_bpf_map_put_batch(fd_of(dp->skel->maps.rules), keys, rules, n, NULL) : 0;
}

int datapath_rules_del(struct datapath *dp, const struct sf_service_key *keys, uint32_t n)
{
	return n ? sf_bpf_map_delete_batch(fd_of(dp->skel->maps.rules), keys, n, NULL) : 0;
}

int datapath_rules_each(struct datapath *dp, sf_bpf_map_each each, void *ctx)
{
	return sf_bpf_map_walk(fd_of(dp->skel->maps.rules), sizeof(struct sf_service_key),
			       sizeof(struct sf_rule), each, ctx);
}

int datapath_present_each(struct datapath *dp, sf_bpf_map_each each, void *ctx)
{
	return sf_bpf_map_walk(fd_of(dp->skel->maps.present), sizeof(uint32_t),
			       sizeof(struct sf_presence), each, ctx);
}

uint32_t datapath_rules_max(const struct datapath *dp)
{
	return bpf_map__max_entries(dp->skel->maps.rules);
}

uint32_t datapath_slots_max(const struct datapath *dp)
{
	return bpf_map__max_entries(dp->skel->maps.slots);
}

int datapath_slots_put(struct datapath *dp, uint32_t at, const struct sf_addr *slots, uint32_t n)
{
	uint32_t keys[BATCH], part;
	int ret = 0;

	for (; n && !ret; n -= part, at += part, slots += part) {
		part = n < BATCH ? n : BATCH;
		for (uint32_t i = 0; i < part; i++)
			keys[i] = at + i;
		ret = sf_bpf_map_put_batch(fd_of(dp->skel->maps.slots), keys, slots, part, NULL);
	}
	return ret;
}

int datapath_slots_get(struct datapath *dp, uint32_t at, struct sf_addr *slots, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t key = at + i;

		if (bpf_map_lookup_elem(fd_of(dp->skel->maps.slots), &key, &slots[i]))
			return -errno;
	}
	return 0;
}

static void sum_of(const struct bpf_map *map, uint32_t index, struct sf_count *out)
{
	uint64_t sums[2] = { 0, 0 };

	sf_bpf_percpu_sum(fd_of(map), &index, sums, 2);
	out->packets = sums[0];
	out->bytes = sums[1];
}

void datapath_counter(struct datapath *dp, uint32_t reason, struct sf_count *out)
{
	sum_of(dp->skel->maps.counters, reason, out);
}

void datapath_traffic(struct datapath *dp, uint32_t what, struct sf_count *out)
{
	sum_of(dp->skel->maps.traffic, what, out);
}

/* A bucket holds what comes in a second at most; the socket's queue has room for several. */
static struct sf_police_limit limit_of(uint32_t rate, uint32_t burst)
{
	uint64_t gap = 1000000000ull / rate;

	return (struct sf_police_limit){ .gap_ns = gap, .burst_ns = gap * (burst - 1) };
}

int datapath_police(struct datapath *dp, uint32_t link_rate, uint32_t session_rate)
{
	struct sf_police_config c = {
		.link = limit_of(link_rate, link_rate),
		.session = limit_of(session_rate,
				    session_rate < SESSION_BURST ? session_rate : SESSION_BURST),
	};
	uint32_t zero = 0;

	return bpf_map_update_elem(fd_of(dp->skel->maps.police_config), &zero, &c, BPF_ANY) ? -errno
											    : 0;
}

int datapath_police_attach(struct datapath *dp, int fd)
{
	int prog = bpf_program__fd(dp->skel->progs.sf_control_filter);

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_BPF, &prog, sizeof(prog)) ? -errno : 0;
}

int datapath_talk(struct datapath *dp, uint64_t session, const struct sf_link_address *from)
{
	struct sf_talk talk = { 0 };
	__be64 key = sf_be64(session);

	if (from)
		talk.from = *from;
	return set_or_delete(dp->skel->maps.talks, &key, from ? &talk : NULL);
}

int datapath_joiner(struct datapath *dp, int ifindex, const struct in6_addr *addr,
		    const uint8_t *end, struct sf_link_address *out)
{
	struct sf_joiner_key key = { .ifindex = (uint32_t)ifindex };

	memcpy(key.tail, end - SF_JOIN_TAIL, SF_JOIN_TAIL);
	memcpy(&key.addr, addr, sizeof(key.addr));
	return bpf_map_lookup_elem(fd_of(dp->skel->maps.joiners), &key, out) ? -errno : 0;
}

int datapath_drops_each(struct datapath *dp, sf_bpf_map_each each, void *ctx)
{
	return sf_bpf_map_walk(fd_of(dp->skel->maps.drops), sizeof(struct sf_link_drop),
			       sizeof(struct sf_count), each, ctx);
}

uint64_t datapath_memory(struct datapath *dp)
{
	uint64_t total = 0, bytes;
	struct bpf_map *map;

	bpf_object__for_each_map(map, dp->skel->obj) if (!sf_bpf_map_memory(bpf_map__fd(map),
									    &bytes)) total += bytes;
	return total;
}
