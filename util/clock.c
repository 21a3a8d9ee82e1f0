// SPDX-License-Identifier: Apache-2.0
/* clock.c - see clock.h. */
#include "util/clock.h"

#include <stdio.h>
#include <time.h>

static uint64_t clock_ms(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

uint64_t sf_now_ms(void)
{
	return clock_ms(CLOCK_MONOTONIC);
}

uint64_t sf_wall_ms(void)
{
	return clock_ms(CLOCK_REALTIME);
}

struct timeval sf_ms_timeval(uint64_t ms)
{
	return (struct timeval){ .tv_sec = (time_t)(ms / 1000),
				 .tv_usec = (suseconds_t)(ms % 1000 * 1000) };
}

char *sf_time_print(uint64_t ms, char *buf)
{
	time_t seconds = (time_t)(ms / 1000);
	char stamp[32] = "";
	struct tm tm;

	if (gmtime_r(&seconds, &tm))
		strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf, SF_TIME_STRLEN, "%.31s.%03uZ", stamp, (unsigned int)(ms % 1000));
	return buf;
}
