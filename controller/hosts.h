// SPDX-License-Identifier: Apache-2.0
/*
 * hosts.h - hosts that have joined, by locator.
 *
 * A host is entered by what its access router announces. One identity may be at several locators:
 * for a while (a move, seen by the new router first; a cloned key), or because it has several
 * uplinks. Then it is at one in the first place, where it has registered its identity last, and at
 * the others as standby: they do not serve its identity. One locator belongs to one identity only,
 * and the second that claims it is refused (address-clash).
 */
#ifndef SF_CONTROLLER_HOSTS_H
#define SF_CONTROLLER_HOSTS_H

#include <uthash.h>

#include "controller/controller.h"
#include "controller/policy.h"
#include "core/ctrl.h"

/** struct identity - a host's key, and the hosts that show it. */
struct identity {
	struct sf_sid sid;
	struct host *hosts; /* list by @same */
	UT_hash_handle hh;
	char text[SID_TEXT];
};

struct host {
	struct sf_addr locator; /* socketID unset */
	struct identity *identity;
	struct router *router;
	struct instance *instances; /* list by @host_next */
	uint32_t n_instances;
	uint32_t generation; /* of the router's announcement that confirmed it */
	uint64_t boot;	     /* host order */
	uint64_t joined_ms;  /* since 1970 */
	uint64_t heard_ms;   /* likewise; of @silent */
	bool silent;	     /* missed its heartbeats; its datapath answers */
	bool standby;	     /* it is at another locator in the first place */
	struct host *same;
	struct host *called_prev, *called_next; /* of its name */
	struct host *prev, *next;		/* of the router */
	UT_hash_handle hh;
	char name[HOST_TEXT]; /* lower case; "" none. hostname_set() sets it. */
};

/** host_find() - by locator (its socketID is not looked at). */
struct host *host_find(const struct controller *c, const struct sf_addr *locator);

/**
 * struct joined - what a router tells of a host; all but @item may be unset.
 * @name: not terminated
 * @joined_ms: since 1970, by the router's clock; 0: now
 * @silent: it has missed its heartbeats; @heard_ms: since when, likewise
 * @standby: it is elsewhere in the first place, as it says itself
 */
struct joined {
	const struct sf_item_host *item;
	const char *name;
	size_t name_len;
	uint64_t joined_ms, heard_ms;
	bool silent, standby;
};

/**
 * host_join() - enter what a router announced, or confirm it.
 * Return: 0; -EADDRINUSE another host has the locator; -EADDRNOTAVAIL it is none of the router's
 * blocks, or of this AS; -EINVAL malformed; -ENOMEM.
 */
int host_join(struct controller *c, struct router *router, const struct joined *told);

/** host_is_first() - it has registered its identity: it is here in the first place, and as standby
 * where it was so until now. */
void host_is_first(struct controller *c, struct host *host);

/** host_leave() - with all its instances. @kind: HOST_LEFT or HOST_MOVED. */
void host_leave(struct controller *c, struct host *host, int kind, uint8_t reason, const char *why);

/**
 * host_lookup() - hosts by what people call them: name, identity, service address, locator. Of one
 * at several places the first is meant.
 * @text: as given
 * @n: how many match
 * Return: one of them, NULL if none.
 */
struct host *host_lookup(const struct controller *c, const char *text, unsigned int *n);

#endif
