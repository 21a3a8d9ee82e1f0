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

#include "controller/ctl.h"
#include "core/ctrl.h"

#define CTL_HELLO_MS	10000 /* a connection without HELLO is closed */
#define CTL_PING_MS	5000
#define CTL_LINGER_MS	3000 /* for REJECTED to reach a slow peer */
#define CTL_ROUTER_NAME 64
#define CTL_ROUTERS_MAX 4096

/** struct ctl_session_ops - how a session reaches its peer; its user brings it. */
struct ctl_session_ops {
	/* Queue one message. Negative errno: the session is closed soon. */
	int (*send)(void *io, const void *msg, size_t len);
	/* Close: ctl_session_closed() must follow, at once. */
	void (*close)(void *io, const char *reason);
	size_t (*queued)(void *io);
};

struct ctl_session {
	struct ctl *c;
	const struct ctl_session_ops *ops;
	void *io;
	struct ctl_router *router; /* NULL before HELLO */
	const char *broken;	   /* close it, for this reason; nothing more is heard */
	bool linger;		   /* but let what is queued go out first, for a second or two */
	uint64_t opened;	   /* ms, monotonic; of @linger: when that began */
	struct ctl_session *prev, *next;
	char peer[80];
	char cn[64]; /* of its certificate */
};

struct ctl_router {
	struct sf_sid id;
	struct sf_addr addr; /* in the underlay */
	uint8_t roles;
	bool up_synced;		     /* announced its whole state on this connection */
	bool synced;		     /* was told the whole state on this connection */
	bool behind;		     /* reads too slowly: deltas wait, then a whole sync follows */
	bool missed;		     /* and deltas did pass meanwhile */
	bool awaited;		     /* not heard of since our start */
	struct ctl_session *session; /* NULL: lost */
	struct ctl_host *hosts;	     /* list */
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
	char name[CTL_ROUTER_NAME];
	char cn[64];
};

/* ---- sessions, for the transport --------------------------------------------------------- */

/** ctl_session_open() - a peer connected. @cn: of its verified certificate; "": plain. */
int ctl_session_open(struct ctl *c, const struct ctl_session_ops *ops, void *io, const char *peer,
		     const char *cn, struct ctl_session **out);

/**
 * ctl_session_message() - a message came. May close the session (then @s is gone).
 */
void ctl_session_message(struct ctl_session *s, const void *msg, size_t len);

/** ctl_session_pressure() - the peer reads too slowly, or has caught up. */
void ctl_session_pressure(struct ctl_session *s, bool high);

/** ctl_sessions_reap() - close what was rejected, once it has heard so, and what says no HELLO. */
void ctl_sessions_reap(struct ctl *c);

/** ctl_session_closed() - the connection is gone; frees @s. */
void ctl_session_closed(struct ctl_session *s, const char *reason);

/* ---- routers ----------------------------------------------------------------------------- */

/** ctl_routers_load() - routers that were present before the start, from the store. */
int ctl_routers_load(struct ctl *c, char *err, size_t errlen);
void ctl_routers_free(struct ctl *c);

/** ctl_routers_tick() - leases, pings, settling. */
void ctl_routers_tick(struct ctl *c);

/** ctl_routers_settle() - routers that may be told everything now are. */
void ctl_routers_settle(struct ctl *c);

/** ctl_router_lookup() - by name or id; @n: how many match. */
struct ctl_router *ctl_router_lookup(const struct ctl *c, const char *text, unsigned int *n);

/** ctl_router_forget() - a lost router's leases of blocks end. Return: 0; -EBUSY connected; ... */
int ctl_router_forget(struct ctl *c, struct ctl_router *r);

/** ctl_router_send() - one message to a router; a failure closes its session soon. */
void ctl_router_send(struct ctl_router *r, const void *msg, size_t len);

/**
 * ctl_router_get() - the router of a HELLO, entered where it is new.
 * Return: NULL without memory, or above CTL_ROUTERS_MAX.
 */
struct ctl_router *ctl_router_get(struct ctl *c, const struct sf_sid *id);

/** ctl_router_find() - by id, NULL if not known. */
struct ctl_router *ctl_router_find(const struct ctl *c, const struct sf_sid *id);

/** ctl_router_connected() - HELLO was accepted on session @s: a new generation. */
void ctl_router_connected(struct ctl *c, struct ctl_router *r, struct ctl_session *s);

/** ctl_router_up_synced() - it announced its whole state: sweep what it did not. */
void ctl_router_up_synced(struct ctl *c, struct ctl_router *r);

/** ctl_router_gone() - forget it, its hosts and routes; its leases of blocks stay. */
void ctl_router_gone(struct ctl *c, struct ctl_router *r, const char *why);

/** ctl_router_verdict() - tell a host's router what policy decided of a registration. */
void ctl_router_verdict(struct ctl *c, const struct ctl_instance *in);

#endif
