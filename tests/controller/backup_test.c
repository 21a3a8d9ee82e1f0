// SPDX-License-Identifier: Apache-2.0
/* Backups by a thread: the loop goes on, the copy is of one moment, one at a time, no half files.
 */
#include <errno.h>
#include <event2/event.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controller/backup_job.h"
#include "tests/controller/fixture.h"

static char dir[64], copy[96], part[112], err[256];
static struct event_base *base;
static struct store *store;
static struct backup_job *job;
static sem_t reached, go;
static int ended, error;

static int setup(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/sf-backup-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(copy, sizeof(copy), "%s/copy.db", dir);
	snprintf(part, sizeof(part), "%s.part", copy);
	base = event_base_new();
	sem_init(&reached, 0, 0);
	sem_init(&go, 0, 0);
	ended = 0;
	error = 1;
	if (store_open(dir, &store, err, sizeof(err)))
		return -1;
	return backup_job_new(base, &job);
}

static int teardown(void **state)
{
	char command[96];

	backup_job_free(job);
	job = NULL;
	store_close(store);
	event_base_free(base);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static void done(void *ctx, const struct backup_view *view)
{
	assert_false(view->running);
	assert_true(view->ended_ms >= view->started_ms);
	error = view->error;
	ended++;
}

/* Called by the thread. */
static void hold(void *ctx)
{
	sem_post(&reached);
	sem_wait(&go);
}

static void wait_end(void)
{
	while (!ended)
		assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
}

/* A store of some MiB: a backup has several parts. */
static void fill(void)
{
	char text[1001];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(store_batch_begin(store), 0);
	for (uint64_t i = 1; i <= 10000; i++)
		assert_int_equal(store_event_put(store, i, i, text), 0);
	assert_int_equal(store_batch_end(store), 0);
}

static void see(const char *name, int *n)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	*n = !access(path, F_OK);
}

static int count_name(void *ctx, const struct sf_sid *sid, const char *text)
{
	++*(int *)ctx;
	return 0;
}

/* Names in the copy, which becomes a store of its own. */
static int names_in_copy(void)
{
	char other[80], command[512];
	struct store *s;
	int n = 0;

	snprintf(other, sizeof(other), "%s/other", dir);
	snprintf(command, sizeof(command), "mkdir %s && cp %s %s/controller.db", other, copy,
		 other);
	assert_int_equal(system(command), 0);
	if (store_open(other, &s, err, sizeof(err)))
		fail_msg("%s", err);
	assert_int_equal(store_names(s, count_name, &n), 0);
	store_close(s);
	return n;
}

static void put_name(uint64_t number)
{
	struct sf_sid sid = service_sid(number);

	assert_int_equal(store_name_put(store, &sid, "x"), 0);
}

static void test_work_goes_on(void **state)
{
	struct backup_view view;
	int there;

	fill();
	put_name(1);
	assert_int_equal(backup_job_start(job, store_path(store), copy, done, NULL, hold), 0);
	sem_wait(&reached);
	backup_job_view(job, &view);
	assert_true(view.running);
	assert_true(view.pages > 1024);
	assert_true(view.left > 0 && view.left < view.pages);
	/* The store takes writes, of which the copy knows nothing; nothing is there half done. */
	put_name(2);
	put_name(3);
	see("copy.db", &there);
	assert_int_equal(there, 0);
	/* One at a time. */
	assert_int_equal(backup_job_start(job, store_path(store), "/tmp/x", done, NULL, hold),
			 -EBUSY);
	assert_int_equal(event_base_loop(base, EVLOOP_NONBLOCK), 0);
	assert_int_equal(ended, 0);
	for (int i = 0; i < 100; i++)
		sem_post(&go);
	wait_end();
	assert_int_equal(error, 0);
	backup_job_view(job, &view);
	assert_false(view.running);
	assert_int_equal(view.left, 0);
	assert_string_equal(view.file, copy);
	see("copy.db.part", &there);
	assert_int_equal(there, 0);
	assert_int_equal(names_in_copy(), 1);
}

static void test_given_up(void **state)
{
	int there;

	fill();
	assert_int_equal(backup_job_start(job, store_path(store), copy, done, NULL, hold), 0);
	sem_wait(&reached);
	for (int i = 0; i < 100; i++)
		sem_post(&go);
	backup_job_free(job);
	job = NULL;
	assert_int_equal(ended, 0);
	/* It may just have ended by itself; it has not left a part. */
	see("copy.db.part", &there);
	assert_int_equal(there, 0);
	assert_int_equal(backup_job_new(base, &job), 0);
}

static void test_errors(void **state)
{
	struct backup_view view;

	assert_int_equal(backup_job_start(job, store_path(store), copy, done, NULL, NULL), 0);
	wait_end();
	assert_int_equal(error, 0);
	ended = 0;
	assert_int_equal(backup_job_start(job, store_path(store), copy, done, NULL, NULL), 0);
	wait_end();
	assert_int_equal(error, -EEXIST);
	ended = 0;
	assert_int_equal(
		backup_job_start(job, store_path(store), "/nonexistent/x.db", done, NULL, NULL), 0);
	wait_end();
	assert_int_equal(error, -ENOENT);
	backup_job_view(job, &view);
	assert_non_null(strstr(view.text, "/nonexistent/x.db"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { T(test_work_goes_on), T(test_given_up),
					    T(test_errors) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
