// SPDX-License-Identifier: Apache-2.0
/*
 * hosts.h - hosts that have an address of our block, here now or not.
 *
 * States
 *
 *	ABSENT    not here. The address is kept for the host's key until the block runs out.
 *	RESTORED  was here when an earlier daemon ended. Kernel state is in place; there is no
 *		  session until the host joins again, which it is asked to.
 *	JOINED    there is a session.
 *
 * In the kernel, a host that is here has: its /80 route by its link-local address, an entry in
 * "present", its identity and registered serviceIDs in "sources", and its link's filter.
 */
#ifndef SF_ROUTER_HOSTS_H
#define SF_ROUTER_HOSTS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "core/addr.h"
#include "core/ctrl.h"
#include "core/datapath.h"
#include "util/crypto.h"
#include "util/session.h"

#define HOST_NAME_LEN 64

struct router;
struct sheds;
struct registration;
struct source;

enum host_state { HOST_ABSENT, HOST_RESTORED, HOST_JOINED };

/**
 * struct host - a host key's address and, while it is here, all about it.
 * @addr: hostAddr, host order; key of the table
 * @twin: next host with the same key (a cloned machine has an address of its own)
 * @time: TIME of its last JOIN
 * @released_ms: wall clock, when it left
 * @peer: where its agent sends from
 * @from: link address of its last JOIN: on a link with neighbours its packets come from there
 * @joined: the last JOINED, for exact repeats of the JOIN whose digest is @join_digest
 * @seen_ms: last authentic message (monotonic)
 * @digest: of its explicit registrations that are not stale; @stale_digest of the stale ones
 * @mismatches: heartbeats in a row with another digest than ours
 * @proven: it has used its session's key since it came: until then nobody else hears of it
 * @kept: the store has it
 * @unsaved: the store has it as it was before: it is written with the next heartbeat
 * @settled: since our start or its last JOIN its registrations are known to be complete
 * @silent: missed its heartbeats, but its datapath answers
 * @standby: it is somewhere else in the first place: here it has an address and no services, not
 *           even its identity, until it registers that
 */
struct host {
	uint32_t addr;
	uint8_t key[SF_SIGN_PUBLIC_LEN];
	struct sf_sid identity;
	struct sf_addr locator;
	uint64_t boot, time, released_ms;
	char name[HOST_NAME_LEN];
	enum host_state state;

	int ifindex;
	struct sockaddr_in6 peer;
	struct sf_link_address from;
	struct sf_session session;
	uint8_t join_digest[SF_SHA256_LEN];
	uint8_t *joined;
	int joined_len;
	uint64_t joined_ms, seen_ms;

	struct sheds *sheds;	   /* that it has not done yet; NULL: none ever (shed.h) */
	struct registration *regs; /* hash by service key */
	struct source *sources;	   /* hash by serviceID */
	uint32_t n_regs, denied;   /* registrations; those that the controller denies */
	uint64_t digest, stale_digest;
	uint8_t mismatches;
	bool proven, kept, unsaved, settled, silent, leased_out, standby;
	uint64_t refreshed_ms;
	bool dying; /* its link has no carrier */

	struct host *twin;
	struct here *on; /* the link's others; NULL while ABSENT */
	struct host *on_prev, *on_next;
	UT_hash_handle hh;	   /* by addr */
	UT_hash_handle hh_key;	   /* by key: the first of the twins */
	UT_hash_handle hh_session; /* by session.id */
};

/** struct here - the hosts on a link, in the order in which they came. */
struct here {
	int ifindex;
	uint32_t n;
	struct host *first;
	UT_hash_handle hh;
};

struct hosts {
	struct here *by_link;
	struct host *by_addr, *by_key, *by_session;
	uint32_t here; /* not ABSENT */
	/* Of the places of our blocks, in order (blocks.c): */
	uint32_t next;	/* where to look for a free one */
	uint32_t again; /* likewise, when they have all been given once */
	uint32_t given; /* the store says that none from here on was ever given */
};

/** hosts_load() - from the store. Those that were here are RESTORED. Return: 0 or -errno. */
int hosts_load(struct router *r, char *err, size_t errlen);

/** hosts_adopt() - after a restart: kernel state of restored hosts is put in place (again). */
void hosts_adopt(struct router *r);

/** hosts_free() - memory only. */
void hosts_free(struct router *r);

/** hosts_forget() - all hosts leave and their addresses are void: the block changed. */
void hosts_forget(struct router *r);

/** host_find() - the host with hostAddr @addr, absent ones too, or NULL. */
struct host *host_find(const struct router *r, uint32_t addr);

/** host_at() - the same by locator; NULL also where that is of another router. */
struct host *host_at(const struct router *r, const struct sf_addr *locator);

/** host_of_session() - the host with that session, or NULL. */
struct host *host_of_session(const struct router *r, uint64_t id);
/** host_of_key() - the first with that key; others by @twin. */
struct host *host_of_key(const struct router *r, const uint8_t key[SF_SIGN_PUBLIC_LEN]);

/**
 * host_new() - give an address to a key: a new entry, ABSENT, not yet stored.
 * Return: it, or NULL with *@reason (SF_NO_ADDRESS, SF_INTERNAL).
 */
struct host *host_new(struct router *r, const uint8_t key[SF_SIGN_PUBLIC_LEN], uint8_t *reason);

/** host_free() - forget an absent host: its address is free. */
void host_free(struct router *r, struct host *h);

/** host_enter_session() - index the host by its session's id. */
void host_enter_session(struct router *r, struct host *h);
/** host_serve_self() - every host that is here in the first place serves its own identity, by which
 * it is found. */
void host_serve_self(struct router *r, struct host *h);

/** host_end_session() - close it. The host stays. */
void host_end_session(struct router *r, struct host *h);

/**
 * host_arrive() - it is on @ifindex, its agent at @peer: route, filter, presence. Again after a
 * move. Return: 0 or -errno; nothing is left half done.
 */
int host_arrive(struct router *r, struct host *h, int ifindex, const struct sockaddr_in6 *peer,
		const struct sf_link_address *from);

/**
 * host_prove() - it has used its session's key: what it is called counts from now on.
 *
 * A JOIN can be repeated by anybody who heard it, at a router that has not: that is worth an
 * address and no more. Return: 0 or -errno.
 */
int host_prove(struct router *r, struct host *h);

/** host_leave() - it is gone: registrations, route, presence, session. Its address stays its own.
 */
void host_leave(struct router *r, struct host *h, uint8_t reason);

/**
 * host_dismiss() - host_leave(); who never proved anything is forgotten, so that addresses do not
 * run out on account of those who only ask for them.
 */
void host_dismiss(struct router *r, struct host *h, uint8_t reason);

/** host_store() - keep it. Return: 0 or -errno (said in log and events; what can do without goes
 * on, and each heartbeat of the host tries again). */
int host_store(struct router *r, struct host *h);

/** hosts_relink() - bring a link's filter in line with who is there. */
void hosts_relink(struct router *r, int ifindex);

/** hosts_reroute() - put the routes of a link's hosts in place again. */
void hosts_reroute(struct router *r, int ifindex);

/** hosts_on() - how many are on a link; *@first (or NULL): who came first. */
uint32_t hosts_on(const struct router *r, int ifindex, struct host **first);

/** host_state_name() - "absent", "restored", "joined". */
const char *host_state_name(enum host_state state);

/** struct source - a serviceID that a host may send from, and how many registrations say so. */
struct source {
	struct sf_sid sid;
	uint32_t count;
	UT_hash_handle hh;
};

/** host_source_add(), host_source_del() - count a registration of @sid. Return: 0 or -errno. */
int host_source_add(struct router *r, struct host *h, const struct sf_sid *sid);
void host_source_del(struct router *r, struct host *h, const struct sf_sid *sid);

#endif
