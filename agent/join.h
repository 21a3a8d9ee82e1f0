// SPDX-License-Identifier: Apache-2.0
/*
 * join.h - joining the network of an access router, and staying joined.
 *
 *	JOINING  JOIN goes out on every candidate link until a router answers, for ever
 *	JOINED   there is a session; heartbeats run
 *	LOST     was joined; the session is silent or the uplink gone: JOIN goes out again, while
 *all that was set up stays (the datapath needs no agent, flows go on)
 *
 * A join again is harmless: the same host key gets the same locator.
 */
#ifndef SF_AGENT_JOIN_H
#define SF_AGENT_JOIN_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/ctrl.h"
#include "util/crypto.h"

struct host;
struct event;

enum join_state { JOIN_JOINING, JOIN_JOINED, JOIN_LOST };

struct join {
	enum join_state state;
	struct event *timer;
	unsigned int wait_ms;
	uint64_t last_time; /* TIME of the last JOIN */
	uint32_t seq;
	struct sf_dh *dh; /* of the JOIN under way */
	uint8_t buf[SF_CTRL_MAX_UDP] __attribute__((aligned(8)));
	int len;
	uint64_t hinted_ms; /* last time that an unproven hint made us join */
	bool hinted;	    /* the JOIN under way is owed to such a hint alone */
	uint64_t joined_wall_ms;
	uint32_t count; /* joins so far */
	/* what JOINED said */
	struct sf_addr locator; /* socketID unset */
	struct sockaddr_in6 router;
	uint8_t router_key[SF_SIGN_PUBLIC_LEN];
	struct sf_sid router_id;
	uint32_t heartbeat_ms, move_grace_ms, lease_ms;
	uint64_t denied_ms;  /* when a router last denied us, to say so once a minute */
	uint64_t refused_ms; /* when we last refused a router, likewise */
};

/** join_open() - prepare; join_hurry() begins. Return: 0 or -errno. */
int join_open(struct host *h, char *err, size_t errlen);
void join_close(struct host *h);

/** join_hurry() - while not joined: send JOIN now, and begin anew with short waits. */
void join_hurry(struct host *h);

/** join_again() - join once more, keeping the present session until answered. */
void join_again(struct host *h, const char *why);

/** join_lost() - the router cannot be reached: LOST, and JOIN. */
void join_lost(struct host *h, const char *why);

/** join_hint() - somebody unproven says that the router has forgotten us: at most one JOIN a
 * second.
 */
void join_hint(struct host *h, const char *why);

/** join_reapply() - the uplink's name or MTU changed: bring set-up and datapath in line. */
void join_reapply(struct host *h);

/** join_stranger() - a message outside of the session: JOINED, or a hint. */
void join_stranger(struct host *h, const struct sf_ctrl_in *in, const struct sockaddr_in6 *from);

/** join_state_name() - "joining", "joined", "lost". */
const char *join_state_name(enum join_state state);

#endif
