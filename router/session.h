// SPDX-License-Identifier: Apache-2.0
/*
 * session.h - the router's end of its talk with hosts: one UDP socket, who may say what, answers
 * (docs/protocol.md section 5.1, util/session.h).
 *
 * Repeats of a request are not executed again; they are answered from what is held now, by the same
 * functions with struct request's @repeat set.
 */
#ifndef SF_ROUTER_SESSION_H
#define SF_ROUTER_SESSION_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/ctrl.h"

struct host;
struct link;
struct router;

/** struct request - a message from a host. */
struct request {
	struct sf_ctrl_in in;
	const void *data;
	size_t len;
	struct sockaddr_in6 from;
	int ifindex;
	struct host *host; /* NULL for JOIN */
	bool repeat;	   /* was executed already: answer only */
};

/** session_open() - the socket. Return: 0 or -errno with @err. */
int session_open(struct router *r, char *err, size_t errlen);
void session_close(struct router *r);

/** session_listen() - hear the JOINs of a link's hosts; session_unlisten() - no more. */
void session_listen(struct router *r, int ifindex);
void session_unlisten(struct router *r, int ifindex);

/** session_solicit() - the neighbour @to, whose link address is known, is to know ours. */
void session_solicit(struct router *r, const struct sockaddr_in6 *to, const struct link *by);

/** session_send() - a datagram to a host or a would-be one, on link @ifindex. */
void session_send(struct router *r, const struct sockaddr_in6 *to, int ifindex, const void *data,
		  size_t len);

/**
 * session_deny() - answer DENIED.
 * @text: for people, or NULL: the reason's
 * @time: TIME item, 0: none
 */
void session_deny(struct router *r, const struct request *q, uint8_t reason, const char *text,
		  uint64_t time);

/** struct reply - a message within a session in the making. */
struct reply {
	struct sf_ctrl_out out;
	struct host *host;
	uint8_t buf[SF_CTRL_MAX_UDP] __attribute__((aligned(8)));
};

/** reply_begin() - an answer to @seq; 0: something unasked. */
void reply_begin(struct reply *p, struct host *h, uint8_t type, uint32_t seq);
/** reply_send() - seal and send. */
void reply_send(struct router *r, struct reply *p);

/** session_refresh() - ask a host to join and register again. */
void session_refresh(struct router *r, struct host *h, const char *why);

#endif
