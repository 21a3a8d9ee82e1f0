// SPDX-License-Identifier: Apache-2.0
/*
 * router.h - the router's state, which all its parts share. One thread, one event loop.
 *
 *   config.c           settings
 *   store.c            what survives a restart: own place, addresses given to hosts
 *   place.c            our AS, block, keys and timers; where the kernel learns of them
 *   datapath.c         maps and programs in the kernel
 *   links.c            links, as they come, change and go
 *   transit.c          which links lead to other routers
 *   hosts.c            hosts that have or had an address; joining and leaving in the kernel
 *   blocks.c           which hostAddr a host gets
 *   session.c          the socket that hosts talk to; sessions
 *   join.c             JOIN
 *   registry.c         REGISTER, UNREGISTER, HEARTBEAT
 *   rules.c            services: from instances to rules and slots
 *   extents.c          room in the slot array
 *   routes.c           routes in the kernel's FIB
 *   heartbeat.c        silent hosts; probes
 *   controller_link.c  the controller
 *   control.c          REST
 *   events.c           the recent past
 *   failures.c         what is dropped and refused, told as events
 *
 * Everything that a packet needs is in the kernel, pinned: the daemon may be killed and started
 * again at any time. It then adopts what is there.
 */
#ifndef SF_ROUTER_ROUTER_H
#define SF_ROUTER_ROUTER_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/reason.h"
#include "core/siphash.h"
#include "router/config.h"
#include "util/crypto.h"
#include "util/daemon.h"
#include "util/nametable.h"
#include "util/netlink.h"

struct blocks;
struct control;
struct controller_link;
struct datapath;
struct failures;
struct hosts;
struct links;
struct probes;
struct routes;
struct rules;
struct session_server;
struct store;
struct transit;

/** struct place - where in the network this router is. Persistent, so that a router whose
 * controller is dead can restart. */
struct place {
	struct sf_net net;
	uint16_t block, blocks; /* first hostAddr block and their number; 0: none yet */
	struct sf_hashkey key;	/* of the choice */
	uint32_t heartbeat_ms, move_grace_ms, lease_ms;
	uint32_t term, number; /* version of the controller's state that we hold */
};

/** struct router_stats - since the start. */
struct router_stats {
	uint64_t joins, leaves, registrations, unregistrations;
	uint64_t messages, answers;
	uint64_t refused[SF_REASON_MAX]; /* control messages and registrations, by reason */
};

struct router {
	struct config config;
	struct sf_daemon daemon;
	struct event_base *base;
	struct sf_nl *nl;
	struct sf_sign_key *key;
	uint8_t public_key[SF_SIGN_PUBLIC_LEN];
	struct sf_sid id; /* host serviceID of our key */
	struct place place;
	struct sf_addr own; /* our plain address, zero: no block yet */
	struct sf_addr underlay;
	bool restarted; /* a router's state was found in the kernel */

	struct store *store;
	struct datapath *datapath;
	struct links *links;
	struct transit *transit;
	struct hosts *hosts;
	struct session_server *sessions;
	struct rules *rules;
	struct routes *routes;
	struct probes *probes;
	struct controller_link *uplink; /* NULL: none configured */
	struct control *control;
	struct sf_events *events;
	struct failures *failures;
	struct router_stats stats;
	uint64_t started_ms, started_wall_ms;
	uint64_t searched_ms;	   /* when the rules were last searched for a LOOKUP */
	struct sf_nametable names; /* of services, as our hosts call them */
};

/** has_place() - whether hosts can be given addresses. */
static inline bool has_place(const struct router *r)
{
	return r->place.block != 0;
}

/** is_own() - whether @a is a locator of one of our blocks. */
static inline bool is_own(const struct router *r, const struct sf_addr *a)
{
	uint32_t block = sf_locator_host(a) >> 16;

	return has_place(r) && sf_addr_in_as(&r->place.net, a) && block >= r->place.block &&
	       block < (uint32_t)r->place.block + r->place.blocks;
}

/* ---- place.c ---- */

/**
 * place_load() - from the store and the configuration. Return: 0 or -errno with @err.
 */
int place_load(struct router *r, char *err, size_t errlen);

/**
 * place_set_up() - make kernel and datapath agree with the place: sysctls, own address, the
 * block's route to the dummy device, the datapath's configuration. May be repeated.
 */
int place_set_up(struct router *r, char *err, size_t errlen);

/**
 * place_change() - the controller says where we are. What belonged to another place goes.
 * @to: version and timers included
 */
int place_change(struct router *r, const struct place *to, char *err, size_t errlen);

/** place_remove() - undo place_set_up() (for --flush). */
void place_remove(struct router *r);

/** place_timers() - take timers (WELCOME, reload) and keep them. */
void place_timers(struct router *r, uint32_t heartbeat_ms, uint32_t move_grace_ms,
		  uint32_t lease_ms);

#define ABSENT_LINK "sf-absent"
#define NAMES_MAX   65536

#endif
