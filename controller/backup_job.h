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
struct backup_job;

/** struct backup_view - how it stands: of the one that runs, or else of the last. */
struct backup_view {
	bool running;
	const char *file; /* "": there was none yet */
	unsigned int pages, left;
	uint64_t started_ms, ended_ms; /* since 1970; 0: has not */
	int error;
	const char *text; /* of @error */
};

typedef void (*backup_done)(void *ctx, const struct backup_view *view);

int backup_job_new(struct event_base *base, struct backup_job **out);

/** backup_job_free() - one that runs is given up, and leaves nothing. NULL is fine. */
void backup_job_free(struct backup_job *j);

/**
 * backup_job_start() - copy @store into the new file @file.
 * @done: called from the event loop at the end; not when freed before
 * @step: for tests: called by the thread between two parts, or NULL
 * Return: 0, -EBUSY while one runs, or another negative errno.
 */
int backup_job_start(struct backup_job *j, const char *store, const char *file, backup_done done,
		     void *ctx, void (*step)(void *ctx));

void backup_job_view(struct backup_job *j, struct backup_view *out);

#endif
