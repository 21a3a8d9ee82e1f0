// SPDX-License-Identifier: Apache-2.0
/*
 * rules.h - services, who serves them, and what the datapath is told of it.
 *
 * Theory of operation
 *
 * A service here is (serviceID, protocol, port). Two sources say who serves it:
 *
 *	local   registrations of our own hosts
 *	given   the controller's list, with its weights; after a restart, until the controller has
 *		spoken, what is found in the kernel
 *
 * The controller's word counts: a host that it leaves out (drained, disabled) takes no flows. But
 * its word about a registration takes a moment to come, and it may be dead: so a registration has
 * its own word for FRESH_MS, or until a list names it, and as long as we are without a controller.
 * And what we know better counts at once: an instance of ours that is not registered here any more
 * is left out, whatever the list says, unless its host has yet to tell (host->settled).
 *
 * Changes refresh a service: its table is built and written to free slots, which no packet reads.
 * rules_flush() then replaces rules in the kernel, each in one step, all additions before all
 * deletions; the slots of replaced tables rest before they are used again (extents.h).
 */
#ifndef SF_ROUTER_RULES_H
#define SF_ROUTER_RULES_H

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "core/ctrl.h"
#include "core/resolve.h"

#define FRESH_MS       1000
#define WEIGHT_DEFAULT 100

struct host;
struct router;
struct service;

/**
 * struct registration - an instance on one of our hosts.
 * @own_word: it serves without the controller's word
 * @stale: from before the host's last JOIN, and not confirmed since
 * @implicit: the host's identity, registered by its join; not part of its digest
 * @denied: the controller's policy denies it (enum sf_reason): kept, but it serves nobody and is
 *not part of the digest
 */
struct registration {
	struct sf_service_key key;
	uint16_t weight; /* wish; 0: WEIGHT_DEFAULT */
	bool own_word, stale, implicit, listed;
	uint8_t denied;
	struct host *host;
	struct service *service;
	uint64_t since_ms, since_wall_ms;
	uint64_t flows, packets, bytes;		      /* totals, as the host counts */
	struct registration *prev, *next;	      /* of the service */
	struct registration *fresh_prev, *fresh_next; /* in order of since_ms */
	UT_hash_handle hh;			      /* in host->regs */
};

/** struct given - an instance on the controller's list. */
struct given {
	struct sf_addr locator;
	uint16_t weight;
};

struct service {
	struct sf_service_key key;
	struct registration *local;
	struct given *given;
	uint16_t n_given, flags; /* SF_RULE_* */
	uint16_t move_grace;	 /* with @has_policy: as the controller said, for look-ups */
	bool has_given, has_policy, in_kernel, dirty;
	uint32_t generation; /* of the sync that gave @given */
	struct sf_rule rule; /* as it is or will be in the kernel */
	uint64_t signature;  /* of what it was made from */
	struct service *dirty_next;
	UT_hash_handle hh;
};

/** struct rules_share - an instance of a service as the datapath has it, for people. */
struct rules_share {
	struct sf_addr locator;
	uint32_t weight;
	uint32_t slots;
	bool local;
};

int rules_new(struct router *r);
void rules_free(struct router *r);

/** rules_restore() - take over what is in the kernel. Return: 0 or -errno with @err. */
int rules_restore(struct router *r, char *err, size_t errlen);

/* ---- registrations ---- */

/**
 * rules_register() - a host serves @key. Again: confirms it.
 * @added: it is new; may be NULL
 * Return: SF_NONE, or why not (enum sf_reason). rules_flush() makes it effective.
 */
uint8_t rules_register(struct router *r, struct host *h, const struct sf_service_key *key,
		       uint16_t weight, bool implicit, bool *added);

/** rules_unregister() - it does not any more. */
void rules_unregister(struct router *r, struct registration *reg);

/** rules_unregister_all() - of a host; @stale_only: what it has not confirmed. Return: how many. */
uint32_t rules_unregister_all(struct router *r, struct host *h, bool stale_only);

/** rules_mark_stale() - what a host does not register again goes (rules_unregister_all()). */
void rules_mark_stale(struct host *h);
void rules_unmark_stale(struct host *h);

/** rules_judge() - the controller denies a registration, or (SF_NONE) does not any more. */
void rules_judge(struct router *r, struct registration *reg, uint8_t reason);

struct registration *registration_find(const struct host *h, const struct sf_service_key *key);

/* ---- the controller's word ---- */

/**
 * rules_give() - the list of @key, in place of the present one.
 * @move_grace: of the service's policy, tenths of a second; 0: it sets none
 * @generation: of the sync
 */
int rules_give(struct router *r, const struct sf_service_key *key, uint16_t flags,
	       uint16_t move_grace, const struct given *list, uint16_t n, uint32_t generation);
void rules_take(struct router *r, const struct sf_service_key *key);

/** rules_take_older() - a sync is complete: lists of another generation go. */
void rules_take_older(struct router *r, uint32_t generation);

/** rules_age() - registrations that are no longer fresh leave the word to the controller. */
void rules_age(struct router *r, uint64_t now);

/** rules_each_unproven() - services whose list names a host that has not registered (yet). */
void rules_each_unproven(struct router *r, const struct host *h,
			 void (*each)(struct router *r, const struct host *h,
				      const struct sf_service_key *key));

/** rules_settled() - a host's registrations are complete, or it has gone. */
void rules_settled(struct router *r, const struct host *h);

/* ---- effect ---- */

/** rules_flush() - make all changes effective. Return: 0 or -errno (logged). */
int rules_flush(struct router *r);

struct service *rules_first(const struct router *r);
uint32_t rules_count(const struct router *r);
uint32_t rules_slots_used(const struct router *r);

/** rules_shares() - @s's instances. Return: their number, at most @max written. */
uint32_t rules_shares(struct router *r, struct service *s, struct rules_share *out, uint32_t max);

#endif
