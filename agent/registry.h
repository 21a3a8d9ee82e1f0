// SPDX-License-Identifier: Apache-2.0
/*
 * registry.h - the services that this host registers: what, why, and what became of it.
 *
 * Theory of operation
 *
 * A registration is (service address, protocol, port). It appears by a socket event, by hand, or
 * (the host's own identity) by itself. Two parties must know of it, and each is told once things
 * change: the kernel, whose listeners table decides what is delivered, and the access router, which
 * sends flows here. The policy's verdict makes it LIVE or DENIED in the kernel at once; the router
 * hears of LIVE ones.
 *
 * Towards the router each entry is a small machine: @want is what should be, @at what the router
 * was last told. Changes are collected and sent in batches, one request for many; while a request
 * with this entry is under way nothing else is sent about it, so that a lost and repeated REGISTER
 * can never overtake a later UNREGISTER. The answer settles the entry and, if @want has changed
 * meanwhile, makes it dirty again.
 *
 *	at:    OUT --REGISTER--> ENTERING --accepted--> IN --UNREGISTER--> LEAVING --answer--> OUT
 *	                             `------denied----> REFUSED, until something changes
 *
 * An entry is freed when nobody wants it and the router does not have it. Pure but for memory: it
 * reaches kernel, clock and log by struct registry_ops, so that it is tested alone.
 */
#ifndef SF_AGENT_REGISTRY_H
#define SF_AGENT_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "core/addr.h"
#include "core/ctrl.h"
#include "core/flow.h"

enum registration_at {
	AT_OUT,	     /* the router does not have it */
	AT_ENTERING, /* REGISTER is under way */
	AT_IN,	     /* the router has accepted it */
	AT_LEAVING,  /* UNREGISTER is under way */
	AT_REFUSED,  /* router or controller denied it */
};

enum registration_origin {
	ORIGIN_SOCKET, /* a socket bound to the service address, or a run's wildcard socket */
	ORIGIN_MANUAL, /* by hand: a program that listens on the wildcard address */
	ORIGIN_HOST,   /* the host's own identity */
};

/** struct registration_key - what is registered; every byte counts, so zero it first. */
struct registration_key {
	struct sf_addr addr;
	__be16 port;
	__u8 proto;
	__u8 pad[5];
};

struct registration {
	struct registration_key key;
	enum registration_origin origin;
	enum registration_at at;
	uint8_t state;	/* enum sf_listener_state as the kernel has it */
	uint8_t reason; /* of DENIED, enum sf_reason */
	bool by_router; /* the denial came from the router */
	bool want;
	bool dirty;
	bool drained; /* by somebody here: no new flows while its sockets live, or until undrain */
	bool missed;  /* the last scan found no socket of it */
	bool mixed;   /* counted and uncounted (older) sockets share the key */
	int32_t sockets;
	uint32_t uid, pid;
	uint64_t cgroup;
	uint8_t flags; /* SF_LISTENER_* */
	char comm[16];
	uint64_t since_ms;	   /* wall clock of its appearance */
	struct registration *next; /* in the dirty list */
	UT_hash_handle hh;
};

struct registry_ops {
	/* Policy: 0 or the reason. */
	uint8_t (*judge)(void *ctx, const struct registration *r);
	/* Tell the kernel: state (SF_LISTENER_*; 0: forget a manual one) and reason. */
	void (*apply)(void *ctx, const struct registration *r, uint8_t state, uint8_t reason);
	/* There is something for the router (called once until the next batch is taken). */
	void (*dirty)(void *ctx);
	/* For the event log: "registered", "denied", ... */
	void (*tell)(void *ctx, const char *kind, const struct registration *r);
	uint64_t (*now_ms)(void *ctx);
	void *ctx;
};

struct registry {
	const struct registry_ops *ops;
	struct registration *table;
	struct registration *dirty_first, **dirty_end;
	bool told;	  /* ops->dirty() was called and no batch taken since */
	uint64_t digest;  /* over all that are AT_IN */
	size_t unsettled; /* entries that are ENTERING or LEAVING */
};

/** registry_open() - an empty one. */
void registry_open(struct registry *g, const struct registry_ops *ops);
void registry_close(struct registry *g);

/** registry_find() - Return: the entry or NULL. */
struct registration *registry_find(struct registry *g, const struct registration_key *key);

/**
 * registry_listen() - a socket listens (event or scan). Judges new and formerly denied ones.
 * @ev: its key and program; @ev->left: how many sockets share the key now, where known (> 0)
 *
 * Return: the entry, or NULL without memory.
 */
struct registration *registry_listen(struct registry *g, const struct sf_socket_event *ev);

/**
 * registry_replaced() - the kernel has a new listener under a key that was judged: its events were
 * lost. Who listens now is judged.
 */
struct registration *registry_replaced(struct registry *g, const struct sf_socket_event *ev);

/** registry_release() - a socket is gone; @left remain. An unknown key is fine. */
void registry_release(struct registry *g, const struct registration_key *key, int32_t left);

/**
 * registry_add() - register by hand or for the host itself; the policy is not asked.
 * @who: comm, pid, uid of whom to name; may be NULL
 * @live: false: wait (nothing listens there yet)
 *
 * Return: the entry; NULL without memory.
 */
struct registration *registry_add(struct registry *g, const struct registration_key *key,
				  enum registration_origin origin,
				  const struct sf_socket_event *who, bool live);

/** registry_set_live() - a manual entry's program came (true) or went (false). */
void registry_set_live(struct registry *g, struct registration *r, bool live);

/**
 * registry_drain() - somebody here wants no new flows for it (or again). That is forgotten with the
 * entry: a program that is started anew takes flows.
 */
void registry_drain(struct registry *g, struct registration *r, bool drained);

/**
 * registry_hold() - the kernel is to refuse new flows for it for a moment, or take them again. It
 * stays registered: to nobody else is it another. One that takes none does not mind.
 */
void registry_hold(struct registry *g, struct registration *r, bool held);

/** registry_remove() - take a manual or host entry back. */
void registry_remove(struct registry *g, struct registration *r);

/**
 * registry_take() - the next batch of entries to send in one request of one type.
 * @type: out: SF_CTRL_REGISTER or SF_CTRL_UNREGISTER
 * @items, @max: the entries' registrations, for the message
 *
 * Return: how many; 0 when nothing is left. The entries are under way from now on.
 */
size_t registry_take(struct registry *g, uint8_t *type, struct sf_item_registration *items,
		     size_t max);

/**
 * registry_answer() - the router's word on one entry.
 * @type: the request's, SF_CTRL_REGISTER or SF_CTRL_UNREGISTER; 0: unasked (a late verdict)
 * @reason: 0 accepted
 */
void registry_answer(struct registry *g, uint8_t type, const struct registration_key *key,
		     uint8_t reason);

/** registry_restart() - a new session: the router has nothing of ours, all requests are void. */
void registry_restart(struct registry *g);

/** registry_settled() - whether the router's digest must equal ours: nothing is under way. */
bool registry_settled(const struct registry *g);

/** registration_sid() - the key's serviceID. */
struct sf_sid registration_sid(const struct registration_key *key);

/** registration_at_name() - "out", "entering", "in", "leaving", "refused". */
const char *registration_at_name(enum registration_at at);

/** registration_origin_name() - "socket", "manual", "host". */
const char *registration_origin_name(enum registration_origin origin);

/** listener_state_name() - "pending", "live", "denied", "waiting". */
const char *listener_state_name(uint8_t state);

#endif
