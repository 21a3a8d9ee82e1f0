// SPDX-License-Identifier: Apache-2.0
/*
 * session.h - the host's end of its talk with an access router: a UDP socket, the session's keys,
 * requests that are repeated until answered (docs/protocol.md, "Host and access router").
 *
 * What belongs to no session (JOINED, and the hints DENIED no-session and REFRESH of a router that
 * has forgotten us) goes to the owner by struct session_ops.
 */
#ifndef SF_AGENT_SESSION_H
#define SF_AGENT_SESSION_H

#include <event2/event.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/ctrl.h"
#include "util/session.h"

struct session;

/**
 * session_answer_fn - a request was answered.
 * @request: as it was sent
 * @answer: checked, and of the type that belongs to the request's, or DENIED
 */
typedef void (*session_answer_fn)(void *ctx, const struct sf_ctrl_in *request,
				  const struct sf_ctrl_in *answer);

struct session_ops {
	/* A message outside of the session, from @from by link @from->sin6_scope_id. */
	void (*stranger)(void *ctx, const struct sf_ctrl_in *in, const struct sockaddr_in6 *from);
	/* A message of the session that answers nothing (REFRESH, REGISTERED with late verdicts).
	 */
	void (*unasked)(void *ctx, const struct sf_ctrl_in *in);
	/* A request stays unanswered for SESSION_LOST_MS; called once for each such request, but
	 * for LOOKUPs, which are given up then: others than the router answer them. */
	void (*lost)(void *ctx);
	/* After an answer: there may be room for further requests. */
	void (*room)(void *ctx);
};

#define SESSION_LOST_MS 3000

/* A request under way; also the place where a new one is written. */
struct session_request {
	struct session *session;
	struct session_request *next;
	struct event *timer;
	session_answer_fn answered;
	uint32_t seq;
	unsigned int wait_ms;
	unsigned int waited_ms;
	bool lost;
	int len;
	struct sf_ctrl_out out;
	uint8_t buf[SF_CTRL_MAX_UDP] __attribute__((aligned(8)));
};

struct session {
	const struct session_ops *ops;
	void *ctx; /* of @ops, and of answers */
	struct event_base *base;
	struct event *readable;
	int fd;
	bool fixed_port; /* bound to SF_CTRL_PORT */
	struct sf_session keys;
	struct sockaddr_in6 router;
	struct session_request *pending, **pending_end; /* oldest first */
	uint64_t bad; /* messages that were dropped: malformed, wrong MAC, unexpected */
	uint64_t sent, received, repeated;
	uint64_t answered_ms; /* CLOCK_MONOTONIC of the last message that is authentic, and new */
};

/**
 * session_open() - the socket, without a session yet.
 * @ifindex: the link whose messages it sends and gets, and no others; 0: any
 * Return: 0 or -errno with @err.
 */
int session_open(struct session *s, struct event_base *base, const struct session_ops *ops,
		 void *ctx, int ifindex, char *err, size_t errlen);
void session_close(struct session *s);

/**
 * session_start() - new keys; what is under way is void.
 * @router: whom to talk to
 * Return: 0, or what sf_session_open() says; then the session is as it was.
 */
int session_start(struct session *s, const uint8_t shared[SF_DH_LEN],
		  const struct sf_session_terms *terms, const struct sockaddr_in6 *router);

/** session_up() - whether there is a session. */
bool session_up(const struct session *s);

/** session_has_room() - whether a request more stays within the router's window. */
bool session_has_room(const struct session *s);

/**
 * session_request() - begin a request; put items into its @out, then session_send() or
 * session_drop() it.
 * Return: it, or NULL (no session, no room, no memory).
 */
struct session_request *session_request(struct session *s, uint8_t type);

/** session_retype() - another type than it was begun with. */
void session_retype(struct session_request *q, uint8_t type);

/** session_send() - seal, send, repeat until answered. Takes the request. Return: 0 or -errno. */
int session_send(struct session_request *q, session_answer_fn answered);

/** session_drop() - free a request; one that was sent is not repeated any more. */
void session_drop(struct session_request *q);

/**
 * session_say_by() - send a message outside of the session.
 * @by: link and source address; ::: as the kernel chooses
 * Return: 0 or -errno.
 */
int session_say_by(struct session *s, const struct sockaddr_in6 *to, const struct in6_pktinfo *by,
		   const void *data, size_t len);

/**
 * session_leave() - say LEAVE and wait for LEFT, at most @wait_ms; for the end of the program.
 * Return: 0, -ETIMEDOUT, -ENOTCONN without a session.
 */
int session_leave(struct session *s, unsigned int wait_ms);

#endif
