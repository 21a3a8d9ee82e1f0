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
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bpf/service_router.skel.h"
#include "core/ctrl.h"
#include "core/line.h"
#include "router/router.h"
#include "util/errtext.h"
#include "util/log.h"
#include "util/netns.h"

#define TC_PIN	   "link_%d_in"
#define XDP_PIN	   "link_%d_xdp"
#define ABSENT_PIN "absent_out"
#define BATCH	   1024

#define LINES_MIN 512u /* of the front: eight pages */

#define SESSION_BURST 256 /* messages of one session at once: four windows of sequence numbers */

struct datapath {
	struct service_router_bpf *skel;
	struct sf_router_config config; /* as the programs have it */
	struct sf_lines front;		/* of the rules (core/line.h) */
	uint32_t front_room;		/* how many lines there is memory for */
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

static uint32_t lines_for(uint32_t services)
{
	uint32_t n = sf_line_count(services);

	return n < LINES_MIN ? LINES_MIN : n;
}

static int adopt_maps(struct datapath *dp, struct router *r, char *err, size_t errlen)
{
	struct service_router_bpf *s = dp->skel;
	struct bpf_map *maps[] = { s->maps.config,  s->maps.rules,    s->maps.lines,
				   s->maps.slots,   s->maps.links,    s->maps.present,
				   s->maps.sources, s->maps.counters, s->maps.traffic };
	bool reused;
	int ret;

	bpf_map__set_max_entries(s->maps.rules, r->config.services_max);
	bpf_map__set_max_entries(s->maps.lines, lines_for(r->config.services_max));
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

/* ---- the front of the rules ---- */

static int config_put(struct datapath *dp)
{
	uint32_t zero = 0;

	return bpf_map_update_elem(fd_of(dp->skel->maps.config), &zero, &dp->config, BPF_ANY)
		       ? -errno
		       : 0;
}

static int rule_count(const void *key, const void *value, void *ctx)
{
	++*(uint32_t *)ctx;
	return 0;
}

static int rule_put(const void *key, const void *value, void *ctx)
{
	sf_lines_put(ctx, key, value);
	return 0;
}

/* Make the front anew, of @count lines or as many as there is room for. The programs go by the map
 * alone meanwhile, and for good if that fails. */
static int front_fill(struct datapath *dp, uint32_t count)
{
	int ret;

	dp->config.lines = 0;
	ret = config_put(dp);
	if (ret)
		return ret;
	sf_lines_clear(&dp->front, count < dp->front_room ? count : dp->front_room);
	ret = datapath_rules_each(dp, rule_put, &dp->front);
	if (ret)
		return ret;
	dp->config.lines = dp->front.mask;
	return config_put(dp);
}

static void front_grow(struct datapath *dp)
{
	int ret;

	if (!sf_lines_are_dense(&dp->front) || dp->front.mask + 1 >= dp->front_room)
		return;
	ret = front_fill(dp, 2 * (dp->front.mask + 1));
	if (ret)
		sf_warn("table of services: no front, it is searched for each packet: %s",
			strerror(-ret));
}

/* What an earlier daemon left is told by the map: another version may have changed that since. */
static int front_open(struct datapath *dp)
{
	const struct bpf_map *map = dp->skel->maps.lines;
	uint32_t zero = 0, services = 0;
	int ret;

	dp->front_room = bpf_map__max_entries(map);
	dp->front.at = mmap(NULL, dp->front_room * sizeof(struct sf_line), PROT_READ | PROT_WRITE,
			    MAP_SHARED, fd_of(map), 0);
	if (dp->front.at == MAP_FAILED) {
		dp->front.at = NULL;
		return -errno;
	}
	if (bpf_map_lookup_elem(fd_of(dp->skel->maps.config), &zero, &dp->config))
		return -errno;
	ret = datapath_rules_each(dp, rule_count, &services);
	return ret ? ret : front_fill(dp, lines_for(services));
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
	ret = front_open(dp);
	if (ret) {
		sf_errtext(err, errlen, ret, "map lines: %s", strerror(-ret));
		goto fail;
	}
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
	if (dp->front.at)
		munmap(dp->front.at, dp->front_room * sizeof(struct sf_line));
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
				      .lines = r->datapath->config.lines,
				      .key = r->place.key };

	/* A router without a block resolves, too; its FAILs then come from its underlay address. */
	if (!has_place(r) && r->place.net.service) {
		c.roles = r->config.roles & SF_ROLE_SERVICE;
		c.own = r->underlay;
	}
	r->datapath->config = c;
	return config_put(r->datapath);
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

static void front_drop(struct datapath *dp, const struct sf_service_key *keys, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		sf_lines_drop(&dp->front, &keys[i]);
}

int datapath_rules_put(struct datapath *dp, const struct sf_service_key *keys,
		       const struct sf_rule *rules, uint32_t n)
{
	int ret;

	if (!n)
		return 0;
	front_drop(dp, keys, n);
	ret = sf_bpf_map_put_batch(fd_of(dp->skel->maps.rules), keys, rules, n, NULL);
	if (ret) /* some of them, nobody says which: the map tells for all */
		return ret;
	for (uint32_t i = 0; i < n; i++)
		sf_lines_put(&dp->front, &keys[i], &rules[i]);
	front_grow(dp);
	return 0;
}

int datapath_rules_del(struct datapath *dp, const struct sf_service_key *keys, uint32_t n)
{
	if (!n)
		return 0;
	front_drop(dp, keys, n);
	return sf_bpf_map_delete_batch(fd_of(dp->skel->maps.rules), keys, n, NULL);
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

uint32_t datapath_front_held(const struct datapath *dp)
{
	return dp->config.lines ? dp->front.held : 0;
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
