// SPDX-License-Identifier: Apache-2.0
/* backup_job.c - see backup_job.h. */
#include "controller/backup_job.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "controller/store_internal.h"
#include "util/clock.h"

struct backup_job {
	struct event *ended;
	int fd; /* eventfd: the thread has ended */
	pthread_t thread;
	bool running;
	struct backup_progress progress;
	char store[STORE_PATH_MAX], file[STORE_PATH_MAX], err[320];
	uint64_t started_ms, ended_ms;
	int error;
	backup_done done;
	void *ctx;
};

static void *work(void *arg)
{
	struct backup_job *j = arg;
	const uint64_t one = 1;

	j->error = store_backup(j->store, j->file, &j->progress, j->err, sizeof(j->err));
	if (write(j->fd, &one, sizeof(one)) != sizeof(one))
		abort(); /* an eventfd always takes a 1 */
	return NULL;
}

static void on_ended(evutil_socket_t fd, short what, void *arg)
{
	struct backup_job *j = arg;
	struct backup_view view;
	uint64_t n;

	if (read(fd, &n, sizeof(n)) != sizeof(n) || !j->running)
		return;
	pthread_join(j->thread, NULL);
	j->running = false;
	j->ended_ms = sf_wall_ms();
	backup_job_view(j, &view);
	j->done(j->ctx, &view);
}

int backup_job_new(struct event_base *base, struct backup_job **out)
{
	struct backup_job *j = calloc(1, sizeof(*j));

	if (!j)
		return -ENOMEM;
	j->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (j->fd >= 0)
		j->ended = event_new(base, j->fd, EV_READ | EV_PERSIST, on_ended, j);
	if (!j->ended || event_add(j->ended, NULL)) {
		int ret = j->fd < 0 ? -errno : -ENOMEM;

		backup_job_free(j);
		return ret;
	}
	*out = j;
	return 0;
}

void backup_job_free(struct backup_job *j)
{
	if (!j)
		return;
	if (j->running) {
		atomic_store(&j->progress.stop, true);
		pthread_join(j->thread, NULL);
	}
	if (j->ended)
		event_free(j->ended);
	if (j->fd >= 0)
		close(j->fd);
	free(j);
}

int backup_job_start(struct backup_job *j, const char *store, const char *file, backup_done done,
		     void *ctx, void (*step)(void *ctx))
{
	sigset_t all, before;
	int ret;

	if (j->running)
		return -EBUSY;
	if (strlen(store) >= sizeof(j->store) || strlen(file) >= sizeof(j->file))
		return -ENAMETOOLONG;
	snprintf(j->store, sizeof(j->store), "%s", store);
	snprintf(j->file, sizeof(j->file), "%s", file);
	j->done = done;
	j->ctx = ctx;
	j->error = 0;
	j->err[0] = '\0';
	j->started_ms = sf_wall_ms();
	j->ended_ms = 0;
	atomic_store(&j->progress.stop, false);
	atomic_store(&j->progress.pages, 0);
	atomic_store(&j->progress.left, 0);
	j->progress.step = step;
	j->progress.ctx = ctx;
	/* Signals are the event loop's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = -pthread_create(&j->thread, NULL, work, j);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	j->running = !ret;
	return ret;
}

void backup_job_view(struct backup_job *j, struct backup_view *out)
{
	*out = (struct backup_view){ .running = j->running,
				     .file = j->file,
				     .pages = atomic_load(&j->progress.pages),
				     .left = atomic_load(&j->progress.left),
				     .started_ms = j->started_ms,
				     .ended_ms = j->ended_ms,
				     .text = "" };
	if (!j->running) { /* what the thread writes is the thread's until then */
		out->error = j->error;
		out->text = j->err;
	}
}
