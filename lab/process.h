// SPDX-License-Identifier: Apache-2.0
/*
 * process.h - processes of a lab: started in a namespace, recorded, ended.
 *
 * A record is a file "PROGRAM.proc" with the process id and its start time, so that an id that was
 * given to another process since is never taken for ours. What must be ended on the way down is
 * found by namespace: that also finds what was started by hand, and what a crash left unrecorded.
 */
#ifndef SF_LAB_PROCESS_H
#define SF_LAB_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/** struct sf_process - what to start. */
struct sf_process {
	const char *ns;	  /* namespace */
	const char *path; /* program, absolute */
	char *const *argv;
	const char *log;    /* file that stdout and stderr are appended to */
	const char *record; /* file for the record */
};

/**
 * sf_process_start - start a process in a namespace, with its own /sys, session and log.
 * It lives on when the caller ends, but not if the caller dies before it is in the namespace.
 * @pid: the child's
 * Returns 0, or negative errno with the step that failed in @err.
 */
int sf_process_start(const struct sf_process *p, pid_t *pid, char *err, size_t err_len);

/** struct sf_record - a recorded process. */
struct sf_record {
	pid_t pid;
	uint64_t start; /* clock ticks since boot */
};

/** sf_record_read - read a record. Returns 0, -ENOENT, -EBADMSG. */
int sf_record_read(const char *path, struct sf_record *out);

/** sf_record_alive - whether that process lives (a zombie does not). */
bool sf_record_alive(const struct sf_record *r);

/**
 * sf_record_end - signal a recorded process, and wait until it has ended.
 * Returns 0; -ESRCH where it does not live; -ETIMEDOUT where it still does after @wait_ms.
 */
int sf_record_end(const struct sf_record *r, int sig, unsigned int wait_ms);

/**
 * sf_process_sweep - end every process in the namespaces: SIGTERM to all, SIGKILL to what is left
 * after @grace_ms.
 * @ns: names; those that do not exist are skipped
 * @spared: name (comm) of programs that are left alone, or NULL
 * Returns the number that had to be killed, or negative errno with @err: -EDEADLK where the caller
 * itself is in one of them.
 */
int sf_process_sweep(const char *const *ns, size_t n, const char *spared, unsigned int grace_ms,
		     char *err, size_t err_len);

/**
 * sf_log_tail - the last lines of a file.
 * @buf: filled with at most @lines whole lines, each behind @indent
 * Returns @buf; "" where there is nothing.
 */
char *sf_log_tail(const char *path, unsigned int lines, const char *indent, char *buf, size_t len);

#endif
