// SPDX-License-Identifier: Apache-2.0
/*
 * routers.h - routers, their connections, and what they announce.
 *
 * Theory of operation (docs/protocol.md, "Router and controller")
 *
 * A session is a connection; it becomes a router's by HELLO. The router then announces all that it
 * knows (each announcement has the router's current generation) and ends with UP-SYNCED: what is of
 * an older generation then goes. Later messages are deltas.
 *
 * A router whose connection is lost stays known, with its hosts and their instances, for
 * router_lease: its datapath and its hosts go on without us. Then it is gone, and all of it.
 *
 * After the controller's own start nothing is known yet, and an early SYNC would wipe the rules of
 * routers that still forward well. So rules go out once all routers that were present before have
 * announced their state, or after `settle`.
 */
#ifndef SF_CONTROLLER_ROUTERS_H
#define SF_CONTROLLER_ROUTERS_H

#include <stddef.h>
#include <uthash.h>

#include "controller/controller.h"
#include "core/ctrl.h"

#define HELLO_MS    10000 /* a connection without HELLO is closed */
#define PING_MS	    5000
#define LINGER_MS   3000 /* for REJECTED to reach a slow peer */
#define ROUTER_NAME 64
#define ROUTERS_MAX 4096

/** struct session_ops - how a session reaches its peer; its user brings it. */
struct session_ops {
	/* Queue one message. Negative errno: the session is closed soon. */
	int (*send)(void *io, const void *msg, size_t len);
	/* Close: session_closed() must follow, at once. */
	void (*close)(void *io, const char *reason);
	size_t (*queued)(void *io);
};

struct session {
	struct controller *c;
	const struct session_ops *ops;
	void *io;
	struct router *router; /* NULL before HELLO */
	const char *broken;    /* close it, for this reason; nothing more is heard */
	bool linger;	       /* but let what is queued go out first, for a second or two */
	uint64_t opened;       /* ms, monotonic; of @linger: when that began */
	struct session *prev, *next;
	char peer[80];
	char cn[64]; /* of its certificate */
};

struct router {
	struct sf_sid id;
	struct sf_addr addr; /* in the underlay */
	uint8_t roles;
	bool up_synced;		 /* announced its whole state on this connection */
	bool synced;		 /* was told the whole state on this connection */
	bool behind;		 /* reads too slowly: deltas wait, then a whole sync follows */
	bool missed;		 /* and deltas did pass meanwhile */
	bool awaited;		 /* not heard of since our start */
	struct session *session; /* NULL: lost */
	struct host *hosts;	 /* list */
	uint32_t n_hosts;
	uint32_t generation;
	uint64_t lost;			/* ms, monotonic: when the session went */
	uint64_t changed_ms;		/* since 1970: when it was connected or lost */
	uint32_t told;			/* number of the last version sent to it */
	struct sf_item_version applied; /* what its last PING or PONG said */
	uint32_t ping_seq;
	uint64_t pinged; /* ms, monotonic; 0: no PING is out */
	uint32_t rtt_ms;
	UT_hash_handle hh;
	char name[ROUTER_NAME];
	char cn[64];
};

/* ---- sessions, for the transport --------------------------------------------------------- */

/** session_open() - a peer connected. @cn: of its verified certificate; "": plain. */
int session_open(struct controller *c, const struct session_ops *ops, void *io, const char *peer,
		 const char *cn, struct session **out);

/**
 * session_message() - a message came. May close the session (then @s is gone).
 */
void session_message(struct session *s, const void *msg, size_t len);

/** session_pressure() - the peer reads too slowly, or has caught up. */
void session_pressure(struct session *s, bool high);

/** sessions_reap() - close what was rejected, once it has heard so, and what says no HELLO. */
void sessions_reap(struct controller *c);

/** session_closed() - the connection is gone; frees @s. */
void session_closed(struct session *s, const char *reason);

/* ---- routers ----------------------------------------------------------------------------- */

/** routers_load() - routers that were present before the start, from the store. */
int routers_load(struct controller *c, char *err, size_t errlen);
void routers_free(struct controller *c);

/** routers_tick() - leases, pings, settling. */
void routers_tick(struct controller *c);

/** router_lookup() - by name or id; @n: how many match. */
struct router *router_lookup(const struct controller *c, const char *text, unsigned int *n);

/** router_forget() - a lost router's leases of blocks end. Return: 0; -EBUSY connected; ... */
int router_forget(struct controller *c, struct router *r);

/** router_send() - one message to a router; a failure closes its session soon. */
void router_send(struct router *r, const void *msg, size_t len);

/**
 * router_get() - the router of a HELLO, entered where it is new.
 * Return: NULL without memory, or above ROUTERS_MAX.
 */
struct router *router_get(struct controller *c, const struct sf_sid *id);

/** router_find() - by id, NULL if not known. */
struct router *router_find(const struct controller *c, const struct sf_sid *id);

/** router_connected() - HELLO was accepted on session @s: a new generation. */
void router_connected(struct controller *c, struct router *r, struct session *s);

/** router_up_synced() - it announced its whole state: sweep what it did not. */
void router_up_synced(struct controller *c, struct router *r);

/** router_gone() - forget it, its hosts and routes; its leases of blocks stay. */
void router_gone(struct controller *c, struct router *r, const char *why);

/** router_verdict() - tell a host's router what policy decided of a registration. */
void router_verdict(struct controller *c, const struct instance *in);

#endif
