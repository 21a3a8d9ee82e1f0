// SPDX-License-Identifier: Apache-2.0
/*
 * links.h - the links that are ours by configuration: programs attached, hosts' multicast group
 * joined. Links come and go; a carrier that is lost for CARRIER_CONFIRM_MS takes the link's hosts
 * with it.
 */
#ifndef SF_ROUTER_LINKS_H
#define SF_ROUTER_LINKS_H

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "router/config.h"
#include "util/bpf.h"
#include "util/failures.h"
#include "util/netlink.h"

#define CARRIER_CONFIRM_MS 100

struct router;

struct link {
	int ifindex;
	struct sf_nl_link nl;
	enum link_access access;
	bool filter; /* which program is attached */
	bool wants_xdp, xdp;
	uint32_t hosts_max;
	enum sf_bpf_how how;	       /* HOW_NONE: nothing could be attached */
	struct event *confirm;	       /* pending: carrier is lost */
	uint64_t drops[SF_REASON_MAX]; /* what came from here and was dropped, as last polled */
	struct sf_failures failures;
	struct router *router;
	UT_hash_handle hh;
};

/** links_open() - monitor and take up the links that are there. Return: 0 or -errno with @err. */
int links_open(struct router *r, char *err, size_t errlen);
void links_close(struct router *r);

/** links_reload() - the configuration changed. */
void links_reload(struct router *r);

/** links_refilter() - which links lead to other routers is to be seen anew. */
void links_refilter(struct router *r);

/** links_tick() - a few times a second. */
void links_tick(struct router *r);

/** link_is_filtered() - whether what comes from it must come from its hosts. */
bool link_is_filtered(const struct router *r, const struct link *l);

/** link_access() - LINK_ACCESS_NO for what is not ours. */
enum link_access link_access(const struct router *r, int ifindex);

/** link_name() - "" for an unknown one. */
const char *link_name(const struct router *r, int ifindex);

/** link_by_index(), links_first() - for control.c. */
struct link *link_by_index(const struct router *r, int ifindex);
struct link *links_first(const struct router *r);

#endif
