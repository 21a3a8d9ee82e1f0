// SPDX-License-Identifier: Apache-2.0
/*
 * backup_job.h - a backup of the store that keeps nobody waiting: a thread of its own with a
 * connection of its own to the database. It reads one state of it while the controller goes on
 * writing (SQLite's write-ahead log lets it). One at a time.
 */
#ifndef SF_CONTROLLER_BACKUP_JOB_H
#define SF_CONTROLLER_BACKUP_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "controller/store.h"

struct event_base;
struct ctl_backup_job;

/** struct ctl_backup_view - how it stands: of the one that runs, or else of the last. */
struct ctl_backup_view {
	bool running;
	const char *file; /* "": there was none yet */
	unsigned int pages, left;
	uint64_t started_ms, ended_ms; /* since 1970; 0: has not */
	int error;
	const char *text; /* of @error */
};

typedef void (*ctl_backup_done)(void *ctx, const struct ctl_backup_view *view);

int ctl_backup_job_new(struct event_base *base, struct ctl_backup_job **out);

/** ctl_backup_job_free() - one that runs is given up, and leaves nothing. NULL is fine. */
void ctl_backup_job_free(struct ctl_backup_job *j);

/**
 * ctl_backup_job_start() - copy @store into the new file @file.
 * @done: called from the event loop at the end; not when freed before
 * @step: for tests: called by the thread between two parts, or NULL
 * Return: 0, -EBUSY while one runs, or another negative errno.
 */
int ctl_backup_job_start(struct ctl_backup_job *j, const char *store, const char *file,
			 ctl_backup_done done, void *ctx, void (*step)(void *ctx));

void ctl_backup_job_view(struct ctl_backup_job *j, struct ctl_backup_view *out);

#endif
