// SPDX-License-Identifier: Apache-2.0
/* log.c - log lines on stderr. The JOURNAL_STREAM check is systemd.exec(5)'s: "device:inode" must
 * be those of our stderr, since the variable is inherited by children whose stderr was redirected.
 */
#include "util/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

const char *const sf_log_names[] = { "error", "warn", "info", "debug", NULL };

/* syslog severities of the levels: err, warning, info, debug */
static const char severity[] = { '3', '4', '6', '7' };

static const char *log_program = "scaffold";
static enum sf_log_level log_level = SF_LOG_INFO;

static bool log_to_journal(void)
{
	const char *text = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	if (!text || sscanf(text, "%llu:%llu", &dev, &ino) != 2)
		return false;
	return fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

void sf_log_open(const char *program, enum sf_log_level level)
{
	log_program = program;
	log_level = level;
}

void sf_log_set_level(enum sf_log_level level)
{
	log_level = level;
}

bool sf_log_enabled(enum sf_log_level level)
{
	return level <= log_level;
}

/* Writes what stands before the message; returns its length, which fits any reasonable program
 * name. */
static size_t log_prefix(char *buf, size_t len, enum sf_log_level level)
{
	struct timespec now;
	struct tm tm;
	char date[32];
	int n;

	if (log_to_journal()) {
		n = snprintf(buf, len, "<%c>", severity[level]);
	} else {
		clock_gettime(CLOCK_REALTIME, &now);
		localtime_r(&now.tv_sec, &tm);
		strftime(date, sizeof(date), "%F %T", &tm);
		n = snprintf(buf, len, "%s.%03ld %s[%d] %s: ", date, now.tv_nsec / 1000000,
			     log_program, getpid(), sf_log_names[level]);
	}
	return n < 0 ? 0 : (size_t)n < len ? (size_t)n : len - 1;
}

void sf_log(enum sf_log_level level, const char *fmt, ...)
{
	char line[2048];
	size_t used, room;
	int saved = errno;
	va_list ap;
	int n;

	if (!sf_log_enabled(level))
		return;
	used = log_prefix(line, sizeof(line) / 2, level);
	room = sizeof(line) - used - 1; /* one for the newline */
	errno = saved;			/* for %m */
	va_start(ap, fmt);
	n = vsnprintf(line + used, room, fmt, ap);
	va_end(ap);
	if (n < 0)
		n = 0;
	if ((size_t)n >= room)
		n = (int)room - 1;
	for (char *c = line + used; c < line + used + n; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	line[used + n] = '\n';
	/* One write, so that lines of several processes do not mix; nobody is left to tell if it
	 * fails. */
	if (write(STDERR_FILENO, line, used + n + 1) < 0) {
	}
	errno = saved;
}
