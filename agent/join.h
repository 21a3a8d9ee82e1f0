// SPDX-License-Identifier: Apache-2.0
/*
 * join.h - joining the network of an access router on a link, and staying joined.
 *
 *	JOINING  JOIN goes out until a router answers, for ever
 *	JOINED   there is a session; heartbeats run
 *	LOST     was joined; the session is silent or the link gone: JOIN goes out again
 *
 * Who joins is an attachment (attachment.h says when, and as what). A join again is harmless: the
 * same host key gets the same locator.
 */
#ifndef SF_AGENT_JOIN_H
#define SF_AGENT_JOIN_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/ctrl.h"
#include "util/crypto.h"

struct attachment;
struct host;
struct event;

enum join_state { JOIN_JOINING, JOIN_JOINED, JOIN_LOST };

/** struct offer - a JOIN under way. @len: 0: none. @standby: another attachment is primary. */
struct offer {
	uint32_t seq;
	struct sf_dh *dh;
	bool standby;
	int len;
	uint8_t buf[SF_CTRL_MAX_UDP] __attribute__((aligned(8)));
};

/** struct search - the JOIN that goes out by all links while no attachment is usable. */
struct search {
	struct event *timer;
	int solicit_fd;
	bool running;
	unsigned int wait_ms;
	struct offer offer;
	/* of all JOINs of the host */
	uint64_t last_time; /* TIME of the last one */
	uint32_t seq;
	uint64_t denied_ms;  /* when a router last denied us, to say so once a minute */
	uint64_t refused_ms; /* when we last refused a router, likewise */
};

struct join {
	enum join_state state;
	struct event *timer;
	unsigned int wait_ms;
	struct offer offer;
	uint64_t hinted_ms; /* last time that an unproven hint made us join */
	bool hinted;	    /* the JOIN under way is owed to such a hint alone */
	bool elsewhere;	    /* the router knows us by another link */
	uint64_t joined_wall_ms;
	uint32_t count; /* joins so far */
	/* what JOINED said */
	struct sf_addr locator; /* socketID unset */
	struct sf_net net;
	struct sockaddr_in6 router;
	uint8_t router_key[SF_SIGN_PUBLIC_LEN];
	struct sf_sid router_id;
	uint32_t heartbeat_ms, move_grace_ms, lease_ms;
};

/** search_open() - prepare; search_begin() begins. Return: 0 or -errno with @err. */
int search_open(struct host *h, char *err, size_t errlen);
void search_close(struct host *h);

/** search_begin() - JOIN by all links, now and with short waits. search_end(): there is a primary.
 */
void search_begin(struct host *h);
void search_end(struct host *h);

/** join_open() - prepare. Return: 0 or -ENOMEM. */
int join_open(struct attachment *a);
void join_close(struct attachment *a);

/** join_begin() - JOIN by this link alone, now and with short waits. */
void join_begin(struct attachment *a);

/** join_hurry() - while not joined: JOIN now, by this link or by all. */
void join_hurry(struct attachment *a);

/** join_again() - join once more, keeping the present session until answered. */
void join_again(struct attachment *a, const char *why);

/** join_lost() - the router cannot be reached: LOST, and JOIN. */
void join_lost(struct attachment *a, const char *why);

/** join_hint() - somebody unproven says that the router has forgotten us: at most one JOIN a
 * second.
 */
void join_hint(struct attachment *a, const char *why);

/** join_stranger() - a message outside of the session: JOINED, or a hint. */
void join_stranger(struct attachment *a, const struct sf_ctrl_in *in,
		   const struct sockaddr_in6 *from);

/** join_state_name() - "joining", "joined", "lost". */
const char *join_state_name(enum join_state state);

#endif
