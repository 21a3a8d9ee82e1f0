// SPDX-License-Identifier: Apache-2.0
/* log.h - log lines of a program, on stderr, one line per event.
 *
 * Under the journal (JOURNAL_STREAM names our stderr) a line starts with the kernel-style priority
 * "<3>" and carries no time, since the journal has its own; anywhere else it starts with local time
 * and the program's name. Programs log, libraries do not. Every message names its subject ("link
 * eth0: ..."). Nothing here hides secrets: never pass keys, tokens or whole socketIDs (they are the
 * only protection against off-path attackers).
 */
#ifndef SF_UTIL_LOG_H
#define SF_UTIL_LOG_H

#include <stdbool.h>

enum sf_log_level { SF_LOG_ERROR, SF_LOG_WARN, SF_LOG_INFO, SF_LOG_DEBUG };

/** sf_log_names - names of the levels, NULL-terminated, in their order (for configuration and
 * --help). */
extern const char *const sf_log_names[];

/**
 * sf_log_open - name the program and set what is logged.
 * @program: name shown on each line; the pointer is kept
 * @level: least important level that is still shown
 * Without a call: "scaffold" at level info.
 */
void sf_log_open(const char *program, enum sf_log_level level);

/** sf_log_set_level - change the level at run time (reload). */
void sf_log_set_level(enum sf_log_level level);

/** sf_log_enabled - whether a line of this level would be shown, to save the work of preparing it.
 */
bool sf_log_enabled(enum sf_log_level level);

/**
 * sf_log - write one line.
 * @level: its level
 * @fmt: printf format, without newline; control characters in the result are shown as '?',
 *	so that foreign text cannot forge a line
 * Keeps errno. A line longer than 2047 bytes is cut.
 */
void sf_log(enum sf_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define sf_error(...) sf_log(SF_LOG_ERROR, __VA_ARGS__)
#define sf_warn(...)  sf_log(SF_LOG_WARN, __VA_ARGS__)
#define sf_info(...)  sf_log(SF_LOG_INFO, __VA_ARGS__)
#define sf_debug(...)                                      \
	do {                                               \
		if (sf_log_enabled(SF_LOG_DEBUG))          \
			sf_log(SF_LOG_DEBUG, __VA_ARGS__); \
	} while (0)

#endif
