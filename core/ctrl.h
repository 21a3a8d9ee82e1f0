// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * ctrl.h - control messages: host <-> access router (UDP) and router <-> controller (framed TCP).
 *
 * One codec for both (docs/protocol.md, "Control protocol"). A message is a header and items:
 *
 *   message: magic 'S' 'F' (16) | version 1 (8) | type (8) | sequence (32) | session (64) | items
 *   item:    type (16) | length of value (16) | value, padded with zeros to a multiple of 4
 *
 * Requests are retransmitted until answered and may be repeated harmlessly; an answer carries the
 * request's sequence number. The last item of an authenticated message is its MAC.
 * Encoders and decoders are bounded by (start, end) and never allocate.
 */
#ifndef SF_CORE_CTRL_H
#define SF_CORE_CTRL_H

#include "core/addr.h"
#include "core/resolve.h"

#define SF_CTRL_VERS	    1
#define SF_CTRL_MAX_UDP	    1232  /* one packet on any IPv6 path, whole */
#define SF_CTRL_MAX	    65536 /* a frame between router and controller */
#define SF_CTRL_RETRY_MS    50	  /* first retransmission; doubles */
#define SF_CTRL_RETRY_CAP   1000
#define SF_HEARTBEAT_MS	    1000 /* default; JOINED says */
#define SF_HEARTBEAT_MISSES 3	 /* then the router probes the host's datapath */
/* A released hostAddr rests this long before it is given again. */
#define SF_ADDRESS_REST_MS 30000

/** struct sf_ctrl_hdr - head of every control message, 16 bytes. */
struct sf_ctrl_hdr {
	__u8 magic[2];
	__u8 version;
	__u8 type;
	__be32 seq;
	__be64 session; /* 0 before JOINED */
} SF_WIRE;

SF_STATIC_ASSERT(sizeof(struct sf_ctrl_hdr) == 16, "control header");

/* type, symbol, name. Odd ones out: answers carry the sequence number of what they answer. */
#define SF_CTRL_TYPES(X)                                                                        \
	/* host -> router and answers */                                                        \
	X(1, JOIN, "JOIN")                                                                      \
	X(2, JOINED, "JOINED")                                                                  \
	X(3, LEAVE, "LEAVE")                                                                    \
	X(4, LEFT, "LEFT")                                                                      \
	X(5, REGISTER, "REGISTER")                                                              \
	X(6, REGISTERED, "REGISTERED") /* one RESULT for each registration */                   \
	X(7, UNREGISTER, "UNREGISTER")                                                          \
	X(8, UNREGISTERED, "UNREGISTERED")                                                      \
	X(9, HEARTBEAT, "HEARTBEAT")                                                            \
	X(10, ALIVE, "ALIVE")	  /* answer to HEARTBEAT */                                     \
	X(11, REFRESH, "REFRESH") /* router lost state: join and register again; unsolicited */ \
	X(12, DENIED, "DENIED")	  /* answer to anything, with REASON */                         \
	X(13, LOOKUP, "LOOKUP")	  /* what is a service registered for? Also up, with HOST */    \
	X(14, FOUND, "FOUND")	  /* answer to LOOKUP */                                        \
	X(15, SHED, "SHED")	  /* SHEDs; from the controller with HOST; unsolicited */       \
	/* router -> controller */                                                              \
	X(32, HELLO, "HELLO")                                                                   \
	X(33, HOST_JOINED, "HOST-JOINED")                                                       \
	X(34, HOST_LEFT, "HOST-LEFT")                                                           \
	X(35, HOST_REGISTERED, "HOST-REGISTERED")                                               \
	X(36, HOST_UNREGISTERED, "HOST-UNREGISTERED")                                           \
	X(37, LOAD, "LOAD")                                                                     \
	X(38, ALARM, "ALARM")	      /* host, REASON, TEXT */                                  \
	X(39, UP_SYNCED, "UP-SYNCED") /* end of the router's whole state after HELLO */         \
	X(40, PING, "PING")                                                                     \
	X(41, PONG, "PONG")                                                                     \
	X(42, FAILURES, "FAILURES") /* NAME of a link, if about one; FAILUREs */                \
	/* controller -> router */                                                              \
	X(64, WELCOME, "WELCOME")                                                               \
	X(65, SYNC_BEGIN, "SYNC-BEGIN") /* what follows until SYNC-END replaces everything */   \
	X(66, SYNC_END, "SYNC-END")                                                             \
	X(67, RULES, "RULES") /* SERVICE then its INSTANCEs, repeated; replaces each service */ \
	X(68, RULES_GONE, "RULES-GONE")                                                         \
	X(69, ROUTES, "ROUTES") /* ROUTE items */                                               \
	X(70, ROUTES_GONE, "ROUTES-GONE")                                                       \
	X(71, REJECTED, "REJECTED") /* HELLO refused: REASON, TEXT */                           \
	X(72, VERDICTS, "VERDICTS") /* HOST, RESULTs: registrations that policy denies */

enum sf_ctrl_type {
#define X(n, sym, name) SF_CTRL_##sym = n,
	SF_CTRL_TYPES(X)
#undef X
};

/** struct sf_item - head of an item; the value follows, padded to 4 bytes. */
struct sf_item {
	__be16 type;
	__be16 len; /* of the value, without padding */
} SF_WIRE;

/* Items. Minimum length of each is the size of its struct (sf_item_min). */
#define SF_ITEMS(X)                                                                          \
	X(1, HOST_KEY, 32)	/* Ed25519 public key */                                     \
	X(2, SHARE, 32)		/* X25519 public value of this join */                       \
	X(3, SIGNATURE, 64)	/* Ed25519 over header and all items before this one */      \
	X(4, BOOT, 8)		/* boot nonce: random at each start of the host's kernel */  \
	X(5, IDENTITY, 12)	/* host serviceID */                                         \
	X(6, LOCATOR, 16)	/* the host's locator, socketID unset */                     \
	X(7, NET, 12)		/* struct sf_net */                                          \
	X(8, TIMERS, 12)	/* struct sf_item_timers */                                  \
	X(9, REGISTRATION, 20)	/* struct sf_item_registration */                            \
	X(10, RESULT, 20)	/* struct sf_item_result */                                  \
	X(11, REASON, 4)	/* struct sf_item_reason */                                  \
	X(12, TEXT, 0)		/* UTF-8, for people */                                      \
	X(13, SERVICE_LOAD, 48) /* struct sf_item_load */                                    \
	X(14, MAC, 16)		/* HMAC-SHA256-128 over header and all items before; last */ \
	X(15, NONCE, 16)	/* session nonce, from the router */                         \
	X(16, VERSION, 8)	/* struct sf_item_version: controller term and number */     \
	X(17, ROUTER, 32)	/* struct sf_item_router */                                  \
	X(18, BLOCK, 4)		/* struct sf_item_block */                                   \
	X(19, SERVICE, 20)	/* struct sf_item_service */                                 \
	X(20, INSTANCE, 20)	/* struct sf_item_instance */                                \
	X(21, ROUTE, 36)	/* struct sf_item_route */                                   \
	X(22, HASHKEY, 16)	/* struct sf_hashkey shared by service routers */            \
	X(23, HOST, 36)		/* struct sf_item_host */                                    \
	X(24, NAME, 0)		/* of a host, router or program, for people */               \
	X(25, DIGEST, 8)	/* of a host's set of registrations, in HEARTBEAT */         \
	X(26, TIME, 8)		/* sender's wall clock, milliseconds since 1970 */           \
	X(27, SERVICE_NAME, 1)	/* canonical name; its digest is the serviceID it names */   \
	X(28, FAILURE, 16)	/* struct sf_item_failure */                                 \
	X(29, SHED, 20)		/* struct sf_item_shed */                                    \
	X(30, STANDBY, 0)	/* the host is here as a reserve: its services are elsewhere */

enum sf_item_type {
#define X(n, sym, min) SF_ITEM_##sym = n,
	SF_ITEMS(X)
#undef X
};

#define SF_GRACE_UNSET 0xffffffffu /* in FOUND: no policy sets the service's move_grace */

struct sf_item_timers {
	__be32 heartbeat_ms;
	__be32 move_grace_ms;
	__be32 lease_ms;
} SF_WIRE;

/** struct sf_item_registration - one instance of a service on the sending host. */
struct sf_item_registration {
	struct sf_sid sid;
	__u8 proto;    /* 0: any */
	__u8 flags;    /* 0 */
	__be16 port;   /* 0: any */
	__be16 weight; /* wish; the controller's policy wins. 0: default (100) */
	__be16 reserved;
} SF_WIRE;

/** struct sf_item_result - what became of a registration: reason 0 accepted, else denied. */
struct sf_item_result {
	struct sf_sid sid;
	__u8 proto;
	__u8 reason; /* enum sf_reason */
	__be16 port;
	__be32 reserved;
} SF_WIRE;

struct sf_item_reason {
	__u8 reason; /* enum sf_reason */
	__u8 pad[3];
} SF_WIRE;

/** struct sf_item_load - load of an instance: totals since it is registered, not deltas; @open: its
 * flows now. */
struct sf_item_load {
	struct sf_sid sid;
	__u8 proto;
	__u8 pad;
	__be16 port;
	__be64 flows;
	__be64 packets;
	__be64 bytes;
	__be32 open;
	__be32 reserved;
} SF_WIRE;

struct sf_item_version {
	__be32 term;
	__be32 number;
} SF_WIRE;

#define SF_ROLE_ACCESS	0x1
#define SF_ROLE_SERVICE 0x2

/** struct sf_item_router - a router: underlay address, AS, roles, id. */
struct sf_item_router {
	struct sf_addr addr; /* where other routers send to */
	struct sf_sid id;    /* host serviceID of the router's key */
	__u8 roles;
	__u8 pad[3];
} SF_WIRE;

/** struct sf_item_block - a hostAddr block (upper 16 bits of hostAddr); first 0 asks for any. */
struct sf_item_block {
	__be16 first;
	__be16 count;
} SF_WIRE;

struct sf_item_service {
	struct sf_sid sid;
	__u8 proto;
	__u8 flags; /* SF_RULE_* */
	__be16 port;
	__be16 instances;  /* INSTANCE items that follow */
	__be16 move_grace; /* of this service, tenths of a second; 0: as in TIMERS */
} SF_WIRE;

struct sf_item_instance {
	struct sf_addr locator; /* socketID unset */
	__be16 weight;
	__be16 flags;
} SF_WIRE;

/** struct sf_item_route - a prefix and the router's underlay address that leads there. */
struct sf_item_route {
	struct sf_addr prefix;
	struct sf_addr via;
	__u8 len; /* prefix length */
	__u8 pad[3];
} SF_WIRE;

/** struct sf_item_host - a host at a router: who, where, boot. */
struct sf_item_host {
	struct sf_addr locator;
	struct sf_sid identity;
	__be64 boot;
} SF_WIRE;

/** struct sf_item_failure - packets or messages refused under @reason, counted over a time. */
struct sf_item_failure {
	__u8 reason; /* enum sf_reason */
	__u8 pad[3];
	__be32 interval_ms;
	__be64 count;
} SF_WIRE;

/**
 * struct sf_item_shed - an instance whose flows are to be ended; port and protocol 0: all of the
 * service. @number: the router's, rising; in HEARTBEAT: the last that the host has done.
 */
struct sf_item_shed {
	struct sf_sid sid;
	__u8 proto;
	__u8 pad;
	__be16 port;
	__be32 number;
} SF_WIRE;

SF_STATIC_ASSERT(sizeof(struct sf_item_failure) == 16, "failure");
SF_STATIC_ASSERT(sizeof(struct sf_item_shed) == 20, "shed");
SF_STATIC_ASSERT(sizeof(struct sf_item_registration) == 20, "registration");
SF_STATIC_ASSERT(sizeof(struct sf_item_result) == 20, "result");
SF_STATIC_ASSERT(sizeof(struct sf_item_load) == 48, "load");
SF_STATIC_ASSERT(sizeof(struct sf_item_router) == 32, "router");
SF_STATIC_ASSERT(sizeof(struct sf_item_service) == 20, "service");
SF_STATIC_ASSERT(sizeof(struct sf_item_instance) == 20, "instance");
SF_STATIC_ASSERT(sizeof(struct sf_item_route) == 36, "route");
SF_STATIC_ASSERT(sizeof(struct sf_item_host) == 36, "host");

#if SF_NATIVE
/*
 * Values lie on boundaries of 4 bytes where the message does, as the structures above demand: so
 * give and read messages in buffers that are aligned so. A value with stricter needs (struct
 * sf_hashkey) is copied out by sf_ctrl_get().
 */

/** struct sf_ctrl_out - a message being written. Once it overflows it stays so. */
struct sf_ctrl_out {
	__u8 *start;
	__u8 *at;
	__u8 *end;
	bool overflow;
};

/** sf_ctrl_begin() - start a message in @buf of @room bytes. */
void sf_ctrl_begin(struct sf_ctrl_out *o, void *buf, size_t room, __u8 type, __u32 seq,
		   __u64 session);

/**
 * sf_ctrl_put() - append an item.
 * @value: NULL leaves @len zero bytes to be filled in
 * Return: its value in the buffer, or NULL (sticky overflow).
 */
void *sf_ctrl_put(struct sf_ctrl_out *o, __u16 type, const void *value, size_t len);

/** sf_ctrl_room() - bytes left for items, their heads included. */
size_t sf_ctrl_room(const struct sf_ctrl_out *o);

/** sf_ctrl_end() - length of the message, or -EMSGSIZE after an overflow. */
int sf_ctrl_end(const struct sf_ctrl_out *o);

/** struct sf_ctrl_in - a received message, checked as a whole by sf_ctrl_open(). */
struct sf_ctrl_in {
	__u8 type;
	__u32 seq;
	__u64 session;
	const __u8 *start;
	const __u8 *items;
	const __u8 *end;
};

/** struct sf_ctrl_item - an item of a received message; @value points into the message. */
struct sf_ctrl_item {
	__u16 type;
	__u16 len;
	const void *value;
	const __u8 *at; /* where the item's head starts: signatures and MACs cover up to here */
};

/**
 * sf_ctrl_open() - check a message: head, every item's bounds and minimum length, padding.
 * Nothing but a MAC follows a SIGNATURE and nothing follows a MAC: it would not be covered.
 * @why: what was wrong, for people; static storage
 * Return: 0; -EPROTONOSUPPORT for another version; -EBADMSG for anything malformed. Items of
 * unknown type are allowed and skipped by readers; messages of unknown type are the reader's to
 * refuse.
 */
int sf_ctrl_open(const void *data, size_t len, struct sf_ctrl_in *in, const char **why);

/** sf_ctrl_next() - iterate: start with @it zeroed. Return: false at the end. */
bool sf_ctrl_next(const struct sf_ctrl_in *in, struct sf_ctrl_item *it);

/** sf_ctrl_find() - first item of @type. Return: its value (at least the minimum long), or NULL. */
const void *sf_ctrl_find(const struct sf_ctrl_in *in, __u16 type, __u16 *len);

/**
 * sf_ctrl_get() - copy the first @size bytes of the first item of @type.
 * Return: 0, -ENOENT without such an item, or -EBADMSG when it is shorter.
 */
int sf_ctrl_get(const struct sf_ctrl_in *in, __u16 type, void *out, size_t size);

#define sf_ctrl_foreach(in, it) for (struct sf_ctrl_item it = { 0 }; sf_ctrl_next((in), &it);)

/** sf_ctrl_name() - "JOIN", ...; "?" for unknown types. */
const char *sf_ctrl_name(unsigned int type);

/** sf_item_min() - smallest length of an item's value, 0 for unknown types. */
__u16 sf_item_min(__u16 type);

#endif

#endif
