// SPDX-License-Identifier: Apache-2.0
/*
 * watch.h - what this host drops, refuses and is refused, told in the event log: one event for each
 * reason that moved, with a count (util/failures.h).
 */
#ifndef SF_AGENT_WATCH_H
#define SF_AGENT_WATCH_H

#include <stddef.h>
#include <stdint.h>

#include "core/datapath.h"
#include "util/failures.h"

struct host;
struct event;

struct watch {
	struct sf_failures failures;
	struct event *timer;
};

/** watch_open() - what was counted until now is not told of. Return: 0 or -errno with @err. */
int watch_open(struct host *h, char *err, size_t errlen);
void watch_close(struct host *h);

/**
 * watch_count() - the counter of a reason: the datapath's, the socket hooks', our own.
 * Return: 0 or -errno.
 */
int watch_count(struct host *h, unsigned int reason, struct sf_count *out);

#endif
