// SPDX-License-Identifier: Apache-2.0
/* heartbeat.h - alive, with load per service and a digest of what is registered. */
#ifndef SF_AGENT_HEARTBEAT_H
#define SF_AGENT_HEARTBEAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/registry.h"

struct host;
struct event;

struct heartbeat {
	struct event *timer;
	bool waiting; /* the last one is not answered yet: it is being repeated */
	size_t turn;  /* where in the registry the next message's loads begin */
	uint64_t answered;
};

/** heartbeat_open() - prepare; heartbeat_start() begins. Return: 0 or -errno with @err. */
int heartbeat_open(struct host *h, char *err, size_t errlen);
void heartbeat_close(struct host *h);

/** heartbeat_start() - a session has begun: the first heartbeat comes after one interval. */
void heartbeat_start(struct host *h);

#endif
