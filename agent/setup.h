// SPDX-License-Identifier: Apache-2.0
/*
 * setup.h - what the host's stack needs beside the datapath: addresses, routes, rules, sysctls
 * (ARCHITECTURE.md, "A host's set-up").
 *
 * Everything is ensured, never assumed: applying again is harmless and repairs what others removed.
 * What was there before (sysctl values), and what was made, is written to RUN/setup.json first, so
 * that an agent after a crash still undoes it all on leaving.
 */
#ifndef SF_AGENT_SETUP_H
#define SF_AGENT_SETUP_H

#include <jansson.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/addr.h"
#include "core/datapath.h"
#include "util/ip6.h"

struct host;

#define SETUP_TABLE	    213		/* routing table of inbound service addresses */
#define SETUP_TABLE_PLACES  21300	/* and, from here on, one for what leaves from each place */
#define SETUP_PRIORITY	    213		/* of our policy rules: before main, behind local */
#define SETUP_PRIORITY_FROM 214		/* of those by source */
#define SETUP_METRIC_SPARE  0x7fffffffu /* of the route that never disappears */
#define SETUP_METRIC_UPLINK 1024u

/**
 * struct setup_place - what there is for one uplink. @net: for its locators.
 */
struct setup_place {
	char uplink[IFNAMSIZ]; /* "": nothing */
	struct sf_net net;
	struct sf_addr locator; /* socketID unset */
	struct in6_addr router;
	uint32_t mtu; /* of its routes; not kept in the file */
};

/**
 * struct setup_made - what there is now because of us. An uplink's index in @places is also that of
 * its routing table.
 */
struct setup_made {
	bool base;	     /* what needs no router: lo, table, rule, spare route */
	__be32 service;	     /* prefix of service addresses */
	struct sf_addr self; /* own service address */
	struct setup_place places[SF_UPLINKS_MAX];
};

struct setup {
	char path[512];	 /* RUN/setup.json */
	json_t *sysctls; /* key -> value before us */
	struct setup_made made;
	char *written; /* what the file says; NULL: not known */
};

/**
 * setup_open() - read what an earlier agent made, and make what needs no router: lo, own service
 * address, local delivery, ip_nonlocal_bind, a spare route that never disappears (so that programs
 * wait for the network instead of failing).
 * Return: 0 or -errno with @err.
 */
int setup_open(struct host *h, char *err, size_t errlen);

/** setup_lead() - as much of it as flows need that are to leave by the primary uplink: what follows
 * may wait for them. Return: 0 or -errno with @err. */
int setup_lead(struct host *h, char *err, size_t errlen);

/** setup_apply() - all of it: for each uplink that has a place, and by the primary one. */
int setup_apply(struct host *h, char *err, size_t errlen);

/** setup_remove() - undo all, and put sysctls back. */
void setup_remove(struct host *h);

/** setup_close() - let go without undoing. */
void setup_close(struct host *h);

#endif
