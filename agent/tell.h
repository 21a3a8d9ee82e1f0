// SPDX-License-Identifier: Apache-2.0
/* tell.h - what happened, told to the event log and to the daemon's log alike (docs/api.md). */
#ifndef SF_AGENT_TELL_H
#define SF_AGENT_TELL_H

#include "util/event.h"
#include "util/log.h"

struct host;

/**
 * host_tell() - keep an event, send it to followers, and log it as `event {...}`.
 * @level: in the log
 * @e: without host and text, which are filled in
 * @fmt: its text; 159 bytes of it are kept, 511 logged
 */
void host_tell(struct host *h, enum sf_log_level level, const struct sf_event *e, const char *fmt,
	       ...) __attribute__((format(printf, 4, 5)));

#endif
