// SPDX-License-Identifier: Apache-2.0
/*
 * rouse.h - TCP connections that were cut off, and go on where they were, are told.
 *
 * Flows that move are kicked by their renegotiation (kicks.h). These have nothing to renegotiate:
 * our place was gone for a while and is the same again, or a peer host that did not answer does.
 * Their sockets have backed off, and would wait about as long again as they were cut off.
 */
#ifndef SF_AGENT_ROUSE_H
#define SF_AGENT_ROUSE_H

#include <stddef.h>

#include "core/addr.h"

struct host;
struct rouse_job;

#define ROUSE_JOBS 16 /* under way at once; the sockets of others wait for their timers */

struct rouse {
	struct rouse_job *jobs;
	size_t n;
};

/** rouse_place() - packets can leave from our place @place again, as before. */
void rouse_place(struct host *h, const struct sf_addr *place);

/** rouse_peers() - peers are heard again, whose pairs say so (struct silence_pair, @back). */
void rouse_peers(struct host *h);

void rouse_close(struct host *h);

#endif
