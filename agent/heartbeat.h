// SPDX-License-Identifier: Apache-2.0
/* heartbeat.h - alive, with load per service and a digest of what is registered; at each router
 * that the host has joined, of which only the primary's has registrations. */
#ifndef SF_AGENT_HEARTBEAT_H
#define SF_AGENT_HEARTBEAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/registry.h"

struct attachment;
struct event;

struct heartbeat {
	struct event *timer;
	bool waiting; /* the last one is not answered yet: it is being repeated */
	size_t turn;  /* where in the registry the next message's loads begin */
	uint64_t answered;
};

/** heartbeat_open() - prepare; heartbeat_start() begins. Return: 0 or -ENOMEM. */
int heartbeat_open(struct attachment *a);
void heartbeat_close(struct attachment *a);

/**
 * heartbeat_start() - a session has begun: the first heartbeat comes after one interval; at once
 * where nothing else would be said, so that the session is used and the router knows that nothing
 * is registered there.
 */
void heartbeat_start(struct attachment *a);

#endif
