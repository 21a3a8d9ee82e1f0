// SPDX-License-Identifier: Apache-2.0
/* clock.h - what time it is, in milliseconds, and how times are written. */
#ifndef SF_UTIL_CLOCK_H
#define SF_UTIL_CLOCK_H

#include <stdint.h>
#include <sys/time.h>

/** sf_now_ms() - CLOCK_MONOTONIC: for differences. */
uint64_t sf_now_ms(void);

/** sf_ms_timeval() - @ms milliseconds as timers of libevent take them. */
struct timeval sf_ms_timeval(uint64_t ms);

/** sf_wall_ms() - CLOCK_REALTIME, since 1970: for people, and for what outlives a reboot. */
uint64_t sf_wall_ms(void);

#define SF_TIME_STRLEN 40

/**
 * sf_time_print() - a time as ISO 8601 in UTC, "2026-01-31T23:59:59.999Z".
 * @ms: since 1970
 * Return: @buf, of SF_TIME_STRLEN bytes.
 */
char *sf_time_print(uint64_t ms, char *buf);

#endif
