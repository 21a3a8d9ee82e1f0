// SPDX-License-Identifier: Apache-2.0
/* store_test.c - what the router keeps is there after it was killed, and broken stores are refused.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <sqlite3.h>

#include "router/store.h"

static char dir[] = "/tmp/sf-router-store-XXXXXX";
static char err[512];

static int count_host(const struct store_host *h, void *ctx)
{
	struct store_host *last = ctx;

	last->addr += h->addr;
	last->boot = h->boot;
	assert_string_equal(h->name, "h");
	assert_string_equal(h->ifname, "eth1");
	assert_int_equal(h->key[0], 0xaa);
	assert_int_equal(h->port, 24158);
	assert_int_equal(h->standby, h->addr == 2);
	return 0;
}

static void survives_kill(void **state)
{
	struct store_host sum = { 0 };
	struct store *s;
	uint32_t value = 0;
	pid_t pid = fork();
	int status;

	if (!pid) {
		struct store_host h = { .addr = 1,
					.boot = UINT64_MAX - 1,
					.name = "h",
					.ifname = "eth1",
					.port = 24158 };

		h.key[0] = 0xaa;
		value = 17;
		if (store_open(dir, &s, err, sizeof(err)) || store_host_put(s, &h))
			_exit(1);
		h.addr = 2;
		h.standby = true;
		if (store_host_put(s, &h) || store_host_put(s, &h) ||
		    store_put(s, "number", &value, sizeof(value)))
			_exit(1);
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(store_open(dir, &s, err, sizeof(err)), 0);
	assert_int_equal(store_hosts_each(s, count_host, &sum), 0);
	assert_int_equal(sum.addr, 3);
	assert_true(sum.boot == UINT64_MAX - 1);
	assert_int_equal(store_get(s, "number", &value, sizeof(value)), 0);
	assert_int_equal(value, 17);
	assert_int_equal(store_get(s, "number", &value, 3), -EPROTO);
	assert_int_equal(store_get(s, "other", &value, sizeof(value)), -ENOENT);
	assert_int_equal(store_hosts_clear(s), 0);
	sum.addr = 0;
	assert_int_equal(store_hosts_each(s, count_host, &sum), 0);
	assert_int_equal(sum.addr, 0);
	store_close(s);
}

/* The library asks the C library, and that is us: how often something is written for certain. */
static unsigned int syncs;

int fsync(int fd)
{
	(void)fd;
	syncs++;
	return 0;
}

int fdatasync(int fd)
{
	return fsync(fd);
}

/* A disk takes milliseconds: not for each host. */
static void hosts_do_not_wait_for_the_disk(void **state)
{
	struct store_host h = { .name = "h", .ifname = "" };
	uint32_t value = 1;
	struct store *s;

	assert_int_equal(store_open(dir, &s, err, sizeof(err)), 0);
	assert_int_equal(store_host_put(s, &h), 0); /* begins the log */
	syncs = 0;
	for (h.addr = 1; h.addr <= 100; h.addr++)
		assert_int_equal(store_host_put(s, &h), 0);
	assert_int_equal(syncs, 0);
	assert_int_equal(store_sync_due(s, STORE_SYNC_MS + 1), 0);
	assert_true(syncs > 0);
	/* nothing is due, then not yet, then it is */
	syncs = 0;
	assert_int_equal(store_sync_due(s, 3 * STORE_SYNC_MS), 0);
	assert_int_equal(syncs, 0);
	assert_int_equal(store_host_put(s, &h), 0);
	syncs = 0;
	assert_int_equal(store_sync_due(s, 2 * STORE_SYNC_MS), 0);
	assert_int_equal(syncs, 0);
	assert_int_equal(store_sync_due(s, 3 * STORE_SYNC_MS), 0);
	assert_true(syncs > 0);
	/* what must be certain is, each time */
	syncs = 0;
	assert_int_equal(store_put(s, STORE_GIVEN, &value, sizeof(value)), 0);
	assert_true(syncs > 0);
	syncs = 0;
	assert_int_equal(store_hosts_clear(s), 0);
	assert_true(syncs > 0);
	assert_int_equal(store_get(s, STORE_GIVEN, &value, sizeof(value)), -ENOENT);
	store_close(s);
}

/* A store of version 1 is taken over with what it has. */
static void older_is_upgraded(void **state)
{
	static const char make[] =
		"CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
		"CREATE TABLE hosts (addr INTEGER PRIMARY KEY, key BLOB NOT NULL, "
		"boot INTEGER NOT NULL, time INTEGER NOT NULL, released INTEGER NOT NULL, "
		"name TEXT NOT NULL, ifname TEXT NOT NULL, lladdr BLOB NOT NULL, "
		"port INTEGER NOT NULL);"
		"INSERT INTO meta VALUES ('version', x'01000000');"
		"INSERT INTO hosts VALUES (1, x'aa' || zeroblob(31), 5, 6, 7, 'h', 'eth1', "
		"zeroblob(16), 24158);";
	struct store_host sum = { 0 };
	char path[128];
	struct store *s;
	sqlite3 *db;

	snprintf(path, sizeof(path), "rm -rf %s/*", dir);
	assert_int_equal(system(path), 0);
	snprintf(path, sizeof(path), "%s/router.db", dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, make, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	for (int i = 0; i < 2; i++) { /* and again, as one of this version */
		assert_int_equal(store_open(dir, &s, err, sizeof(err)), 0);
		sum.addr = 0;
		assert_int_equal(store_hosts_each(s, count_host, &sum), 0);
		assert_int_equal(sum.addr, 1);
		assert_int_equal(sum.boot, 5);
		store_close(s);
	}
}

/* One that was killed before it had written its version: with each table that it may have had. */
static void unfinished_is_made_anew(void **state)
{
	static const char *const make[] = {
		"PRAGMA journal_mode = WAL;",
		"CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;",
		/* as version 1 had it */
		"CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
		"CREATE TABLE hosts (addr INTEGER PRIMARY KEY, key BLOB NOT NULL, "
		"boot INTEGER NOT NULL, time INTEGER NOT NULL, released INTEGER NOT NULL, "
		"name TEXT NOT NULL, ifname TEXT NOT NULL, lladdr BLOB NOT NULL, "
		"port INTEGER NOT NULL);",
		/* as an earlier version 2 had */
		"CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
		"CREATE TABLE hosts (addr INTEGER PRIMARY KEY, key BLOB NOT NULL, "
		"boot INTEGER NOT NULL, time INTEGER NOT NULL, released INTEGER NOT NULL, "
		"name TEXT NOT NULL, ifname TEXT NOT NULL, lladdr BLOB NOT NULL, "
		"port INTEGER NOT NULL, standby INTEGER NOT NULL DEFAULT 0);",
	};
	struct store_host h = { .addr = 2,
				.key = { 0xaa },
				.name = "h",
				.ifname = "eth1",
				.port = 24158,
				.standby = true };
	struct store_host sum = { 0 };
	uint32_t version = 0;
	char path[128];
	struct store *s;
	sqlite3 *db;

	for (size_t i = 0; i < sizeof(make) / sizeof(make[0]); i++) {
		snprintf(path, sizeof(path), "rm -rf %s/*", dir);
		assert_int_equal(system(path), 0);
		snprintf(path, sizeof(path), "%s/router.db", dir);
		assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
		assert_int_equal(sqlite3_exec(db, make[i], NULL, NULL, NULL), SQLITE_OK);
		sqlite3_close(db);
		if (store_open(dir, &s, err, sizeof(err)))
			fail_msg("%zu: %s", i, err);
		assert_int_equal(store_host_put(s, &h), 0);
		store_close(s);
		assert_int_equal(store_open(dir, &s, err, sizeof(err)), 0);
		assert_int_equal(store_get(s, "version", &version, sizeof(version)), 0);
		assert_int_equal(version, 2);
		sum.addr = 0;
		assert_int_equal(store_hosts_each(s, count_host, &sum), 0);
		assert_int_equal(sum.addr, 2);
		store_close(s);
	}
}

static void newer_or_broken_is_refused(void **state)
{
	uint32_t version = 3;
	char path[128];
	struct store *s;
	FILE *f;

	assert_int_equal(store_open(dir, &s, err, sizeof(err)), 0);
	assert_int_equal(store_put(s, "version", &version, sizeof(version)), 0);
	store_close(s);
	assert_int_equal(store_open(dir, &s, err, sizeof(err)), -EPROTO);
	assert_non_null(strstr(err, "version 3"));

	snprintf(path, sizeof(path), "rm -rf %s/*", dir);
	assert_int_equal(system(path), 0);
	snprintf(path, sizeof(path), "%s/router.db", dir);
	f = fopen(path, "w");
	for (int i = 0; i < 1000; i++)
		fputs("this is no database ", f);
	fclose(f);
	assert_true(store_open(dir, &s, err, sizeof(err)) < 0);
	assert_non_null(strstr(err, "router.db"));
}

static int setup(void **state)
{
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(survives_kill),
		cmocka_unit_test(hosts_do_not_wait_for_the_disk),
		cmocka_unit_test(older_is_upgraded),
		cmocka_unit_test(unfinished_is_made_anew),
		cmocka_unit_test(newer_or_broken_is_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
