// SPDX-License-Identifier: Apache-2.0
/* join.h - JOIN: one round trip from a host key to a locator and a session. */
#ifndef SF_ROUTER_JOIN_H
#define SF_ROUTER_JOIN_H

struct request;
struct router;

/** join_handle() - a JOIN came; @q->in is checked as a message, no more. */
void join_handle(struct router *r, struct request *q);

/** join_forget() - JOINs that wait for a probe are dropped (the daemon ends). */
void join_forget(struct router *r);

#endif
