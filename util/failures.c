// SPDX-License-Identifier: Apache-2.0
/* failures.c - when which counter is told of; see failures.h. */
#include "util/failures.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool is_routine(unsigned int reason)
{
	return reason == SF_NONE || reason == SF_DUPLICATE || reason == SF_ABANDONED_RST;
}

void sf_failures_start(struct sf_failures *f, uint64_t now_ms, sf_failures_count_fn count,
		       void *ctx)
{
	memset(f, 0, sizeof(*f));
	f->polled_ms = now_ms;
	for (unsigned int i = 0; i < SF_REASON_MAX; i++)
		f->of[i].count = is_routine(i) ? 0 : count(ctx, i);
}

/* Whether @reason is to be told of now, with @out filled in. */
static bool is_due(struct sf_failures *f, unsigned int reason, uint64_t now_ms, uint64_t count,
		   struct sf_failure *out)
{
	uint64_t since = f->of[reason].wait_ms ? f->of[reason].told_ms : f->polled_ms;
	uint32_t wait = f->of[reason].wait_ms;

	if (count < f->of[reason].count) /* made anew */
		f->of[reason].count = 0;
	if (wait && now_ms - since < wait)
		return false;
	if (count == f->of[reason].count) {
		f->of[reason].wait_ms = 0;
		return false;
	}
	out->reason = (uint8_t)reason;
	out->count = count - f->of[reason].count;
	out->interval_ms = now_ms - since;
	wait = wait ? 2 * wait : SF_FAILURES_INTERVAL_MS;
	f->of[reason].wait_ms = wait < SF_FAILURES_WAIT_MAX_MS ? wait : SF_FAILURES_WAIT_MAX_MS;
	f->of[reason].told_ms = now_ms;
	f->of[reason].count = count;
	return true;
}

unsigned int sf_failures_poll(struct sf_failures *f, uint64_t now_ms, sf_failures_count_fn count,
			      sf_failures_tell_fn tell, void *ctx)
{
	struct sf_failure failure;
	unsigned int told = 0;

	for (unsigned int i = 0; i < SF_REASON_MAX; i++) {
		if (is_routine(i) || !is_due(f, i, now_ms, count(ctx, i), &failure))
			continue;
		tell(ctx, &failure);
		told++;
	}
	f->polled_ms = now_ms;
	return told;
}

char *sf_failure_text(const struct sf_failure *failure, const char *where, char *buf)
{
	uint64_t seconds = (failure->interval_ms + 500) / 1000;

	snprintf(buf, SF_FAILURE_STRLEN, "%" PRIu64 " in %" PRIu64 " s%s: %s", failure->count,
		 seconds ? seconds : 1, where, sf_reason_text(failure->reason));
	return buf;
}
