// SPDX-License-Identifier: Apache-2.0
/*
 * place.c - our place in the network: where it comes from, and what the kernel has of it:
 * forwarding on, our plain address on lo, the block's /64 to the dummy device that answers for
 * absent hosts.
 */
#include <errno.h>
#include <linux/if_addr.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "core/ctrl.h"
#include "router/datapath.h"
#include "router/events.h"
#include "router/heartbeat.h"
#include "router/hosts.h"
#include "router/links.h"
#include "router/router.h"
#include "router/routes.h"
#include "router/rules.h"
#include "router/store.h"
#include "util/errtext.h"
#include "util/file.h"
#include "util/log.h"

#define ABSENT_MTU 65535 /* Packet Too Big is not what its packets are to hear */

static int keep(struct router *r)
{
	int ret = store_put(r->store, "place", &r->place, sizeof(r->place));

	if (ret)
		sf_error("router.db: place: %s", store_error(r->store));
	return ret;
}

/* Where hosts of another place are meant, their addresses mean nothing any more. */
static bool same_addresses(const struct place *a, const struct place *b)
{
	return !memcmp(&a->net, &b->net, sizeof(a->net)) && a->block == b->block &&
	       a->blocks == b->blocks;
}

/* What must be the same for packets to be treated alike. */
static bool same_network(const struct place *a, const struct place *b)
{
	return !memcmp(&a->net, &b->net, sizeof(a->net)) &&
	       !memcmp(&a->key, &b->key, sizeof(a->key));
}

static bool same_place(const struct place *a, const struct place *b)
{
	return same_network(a, b) && same_addresses(a, b) && a->heartbeat_ms == b->heartbeat_ms &&
	       a->move_grace_ms == b->move_grace_ms && a->lease_ms == b->lease_ms &&
	       a->term == b->term && a->number == b->number;
}

static void own_address(struct router *r)
{
	memset(&r->own, 0, sizeof(r->own));
	if (has_place(r))
		r->own = sf_locator(&r->place.net, (uint32_t)r->place.block << 16, 1);
}

int place_load(struct router *r, char *err, size_t errlen)
{
	const struct config *c = &r->config;
	struct place was = { 0 };
	int ret = store_get(r->store, "place", &was, sizeof(was));
	bool had = !ret;

	if (ret && ret != -ENOENT)
		return sf_errtext(err, errlen, ret, "router.db: place: %s", strerror(-ret));
	r->place = was;
	if (!had && sf_random(&r->place.key, sizeof(r->place.key)))
		return sf_errtext(err, errlen, -EIO, "no random numbers");
	/* The controller's word is kept; without one the file says everything. */
	if (c->has_net && (!had || !c->controller[0]))
		r->place.net = c->net;
	if (c->block && (!had || !c->controller[0])) {
		r->place.block = c->has_net ? c->block : 0;
		r->place.blocks = r->place.block ? 1 : 0;
	}
	if (!had || !c->controller[0]) {
		r->place.heartbeat_ms = c->heartbeat_ms;
		r->place.move_grace_ms = c->move_grace_ms;
		r->place.lease_ms = c->lease_ms;
	}
	own_address(r);
	if (had && !same_addresses(&was, &r->place)) {
		sf_warn("the configuration names another place: hosts get new addresses");
		routes_remove_all(r->nl);
		place_remove(r);
		if (store_hosts_clear(r->store))
			return sf_errtext(err, errlen, -EIO, "router.db: %s",
					  store_error(r->store));
	}
	ret = keep(r);
	return ret ? sf_errtext(err, errlen, ret, "router.db: cannot be written") : 0;
}

/* ---- the kernel ---- */

static int set_sysctls(char *err, size_t errlen)
{
	static const char *const keys[] = { "net/ipv6/conf/all/forwarding",
					    "net/ipv6/conf/default/forwarding" };
	int ret;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		ret = sf_sysctl_set(keys[i], "1", NULL, 0);
		if (ret)
			return sf_errtext(err, errlen, ret, "sysctl %s: %s", keys[i],
					  strerror(-ret));
	}
	return 0;
}

static int set_absent_link(struct router *r, int *ifindex, char *err, size_t errlen)
{
	struct sf_nl_link link;
	int ret = sf_link_get(r->nl, ABSENT_LINK, &link);

	if (ret == -ENODEV) {
		ret = sf_link_add(r->nl, ABSENT_LINK, "dummy", SF_NL_STRICT);
		if (ret == -EOPNOTSUPP) /* a kernel without it; what matters is egress alone */
			ret = sf_link_add(r->nl, ABSENT_LINK, "ifb", SF_NL_STRICT);
		if (!ret)
			ret = sf_link_get(r->nl, ABSENT_LINK, &link);
	}
	if (!ret) {
		/* It needs no address of its own, but IPv6 must be on. */
		sf_sysctl_set_if6(ABSENT_LINK, "addr_gen_mode", "1", NULL, 0);
		sf_sysctl_set_if6(ABSENT_LINK, "disable_ipv6", "0", NULL, 0);
		if (link.mtu != ABSENT_MTU)
			ret = sf_link_set_mtu(r->nl, link.ifindex, ABSENT_MTU);
	}
	if (!ret && !(link.flags & IFF_UP))
		ret = sf_link_set_up(r->nl, link.ifindex, true);
	if (ret)
		return sf_errtext(err, errlen, ret, "link " ABSENT_LINK ": %s", strerror(-ret));
	ret = datapath_attach_absent(r->datapath, link.ifindex, err, errlen);
	if (ret)
		return ret;
	*ifindex = link.ifindex;
	return 0;
}

static int set_own_address(struct router *r, char *err, size_t errlen)
{
	struct sf_nl_addr addr = { .len = 128, .flags = IFA_F_NODAD | IFA_F_NOPREFIXROUTE };
	struct sf_nl_link lo;
	int ret = sf_link_get(r->nl, "lo", &lo);

	if (!ret && !(lo.flags & IFF_UP))
		ret = sf_link_set_up(r->nl, lo.ifindex, true);
	addr.ifindex = lo.ifindex;
	memcpy(&addr.addr, &r->own, sizeof(addr.addr));
	if (!ret)
		ret = sf_ifaddr_add(r->nl, &addr, SF_NL_ENSURE);
	return ret ? sf_errtext(err, errlen, ret, "own address on lo: %s", strerror(-ret)) : 0;
}

int place_set_up(struct router *r, char *err, size_t errlen)
{
	int ret, ifindex = 0;

	ret = set_sysctls(err, errlen);
	if (!ret)
		ret = set_absent_link(r, &ifindex, err, errlen);
	if (!ret && has_place(r))
		ret = set_own_address(r, err, errlen);
	if (ret)
		return ret;
	ret = datapath_configure(r);
	if (ret)
		return sf_errtext(err, errlen, ret, "datapath: configuration: %s", strerror(-ret));
	for (uint32_t i = 0; i < r->place.blocks; i++) {
		ret = routes_block_add(r, (uint16_t)(r->place.block + i), ifindex);
		if (ret)
			return sf_errtext(err, errlen, ret, "route of block %04x: %s",
					  r->place.block + i, strerror(-ret));
	}
	return 0;
}

/* Our locators on lo, whatever place they are of. */
struct found {
	struct sf_nl_addr addrs[16];
	int n;
	struct sf_net net;
};

static int find_address(const struct sf_nl_addr *addr, void *ctx)
{
	struct found *f = ctx;
	struct sf_addr a;

	memcpy(&a, &addr->addr, sizeof(a));
	if (addr->len == 128 && f->n < 16 &&
	    (sf_addr_in_as(&f->net, &a) || a.h[0] == sf_be16(SF_LOCATOR_PREFIX)))
		f->addrs[f->n++] = *addr;
	return 0;
}

void place_remove(struct router *r)
{
	struct found f = { .net = r->place.net };
	struct sf_nl_link lo;

	if (!sf_link_get(r->nl, "lo", &lo) && !sf_ifaddr_list(r->nl, lo.ifindex, find_address, &f))
		for (int i = 0; i < f.n; i++)
			sf_ifaddr_del(r->nl, &f.addrs[i], SF_NL_ENSURE);
	sf_link_del(r->nl, ABSENT_LINK, SF_NL_ENSURE);
}

int place_change(struct router *r, const struct place *to, char *err, size_t errlen)
{
	struct place was = r->place;
	bool moved = !same_addresses(&was, to);
	int ret;

	if (same_place(&was, to) && has_place(r))
		return 0;
	if (moved && has_place(r)) {
		events_add(r, "place", NULL, NULL, 0,
			   "block %04x was ours; its hosts must join again", was.block);
		hosts_forget(r);
		routes_remove_all(r->nl);
		place_remove(r);
	}
	r->place = *to;
	own_address(r);
	ret = keep(r);
	if (ret)
		return sf_errtext(err, errlen, ret, "router.db: cannot be written");
	if (moved || !same_network(&was, to)) {
		ret = place_set_up(r, err, errlen);
		if (ret)
			return ret;
		if (has_place(r))
			events_add(r, "place", NULL, NULL, 0, "hostAddr block %04x",
				   r->place.block);
	}
	links_refilter(r); /* other addresses are locators now */
	heartbeat_retime(r);
	return 0;
}

void place_timers(struct router *r, uint32_t heartbeat_ms, uint32_t move_grace_ms,
		  uint32_t lease_ms)
{
	r->place.heartbeat_ms = heartbeat_ms;
	r->place.move_grace_ms = move_grace_ms;
	r->place.lease_ms = lease_ms;
	keep(r);
	heartbeat_retime(r);
}
