// SPDX-License-Identifier: Apache-2.0
/*
 * failures.h - counters of drops, FAILs and refusals, told as events.
 *
 * A daemon may refuse a packet a million times a second and has no event for each. It polls its
 * counters instead, and tells of each reason that has moved: at once when it was quiet before, then
 * after ten seconds for all that came meanwhile, and as long as it goes on ever more seldom, down
 * to once in 160 s. A reason that has not moved for such an interval is quiet again. So the log
 * explains what begins within a poll, and no flood fills it.
 *
 * What is counted, and where the event goes, is the caller's: events of kind SF_FAILURES_EVENT with
 * reason, count and interval_ms (util/event.h), and sf_failure_text() as their text.
 */
#ifndef SF_UTIL_FAILURES_H
#define SF_UTIL_FAILURES_H

#include <stddef.h>
#include <stdint.h>

#include "core/reason.h"

#define SF_FAILURES_EVENT	"failures"
#define SF_FAILURES_POLL_MS	1000 /* how often a daemon polls */
#define SF_FAILURES_INTERVAL_MS 10000
#define SF_FAILURES_WAIT_MAX_MS (16 * SF_FAILURES_INTERVAL_MS)

#define SF_FAILURE_STRLEN 160

/** struct sf_failure - @count packets or messages under @reason within @interval_ms. */
struct sf_failure {
	uint8_t reason; /* enum sf_reason */
	uint64_t count;
	uint64_t interval_ms;
};

/** struct sf_failures - what was told of one set of counters. */
struct sf_failures {
	uint64_t polled_ms;
	struct {
		uint64_t count;	  /* of which was told */
		uint64_t told_ms; /* when */
		uint32_t wait_ms; /* until it may be told again; 0: it is quiet */
	} of[SF_REASON_MAX];
};

/**
 * typedef sf_failures_count_fn - the counter of @reason as it stands, or 0 for one that is not to
 * be told of. It only grows, unless it is made anew.
 */
typedef uint64_t (*sf_failures_count_fn)(void *ctx, unsigned int reason);

typedef void (*sf_failures_tell_fn)(void *ctx, const struct sf_failure *failure);

/**
 * sf_failures_start() - what was counted until now is not told of.
 * @now_ms: monotonic clock
 */
void sf_failures_start(struct sf_failures *f, uint64_t now_ms, sf_failures_count_fn count,
		       void *ctx);

/**
 * sf_failures_poll() - tell of the reasons that have moved, in the order of their numbers.
 *
 * Routine is never told of: what a repetition or a retry leaves behind (duplicate, abandoned-rst).
 * Return: how many were told of.
 */
unsigned int sf_failures_poll(struct sf_failures *f, uint64_t now_ms, sf_failures_count_fn count,
			      sf_failures_tell_fn tell, void *ctx);

/**
 * sf_failure_text() - "12 in 10 s: source locator is not of a host on this link".
 * @where: words behind the time, such as " on link lan0", or ""
 * @buf: of SF_FAILURE_STRLEN bytes
 * Return: @buf.
 */
char *sf_failure_text(const struct sf_failure *failure, const char *where, char *buf);

#endif
