// SPDX-License-Identifier: Apache-2.0
/*
 * handover.h - RUN/handover.sock: programs give connections away and take them over
 * (core/handover.h; lib/scaffold.h is the other end; transfer.h does it).
 *
 * Everybody on the host may ask: whoever can pass the descriptor of a connection has it, and who
 * imports one is judged by importer.h. One request for each connection to the
 * socket; so many at a time, of each user and in all; who says nothing is not waited for.
 */
#ifndef SF_AGENT_HANDOVER_H
#define SF_AGENT_HANDOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct host;
struct event;
struct sf_listener;
struct sf_tuple;
struct talk;

struct handover {
	struct sf_listener *listener;
	struct talk *talks;
	unsigned int n_talks;
	uint64_t bytes;	     /* of states that are on their way in */
	struct event *timer; /* runs while connections are on their way in */
	struct event *speak; /* a moment after one began to */
	int speak_fd;
};

/** handover_open() - serve RUN/handover.sock. Return: 0 or -errno with @err. */
int handover_open(struct host *h, char *err, size_t errlen);

/** handover_look() - peers have answered: whoever waits for that is served at once. */
void handover_look(struct host *h);

/** handover_brings() - whether this connection is on its way in. */
bool handover_brings(const struct host *h, const struct sf_tuple *tuple);

/** handover_close() - what is on its way in is abandoned. */
void handover_close(struct host *h);

#endif
