// SPDX-License-Identifier: Apache-2.0
/* store.c - two small tables in SQLite; see store.h for what is written when. */
#include "router/store.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/errtext.h"
#include "util/file.h"

#define STORE_VERSION 2 /* 1: without hosts.standby */

struct store {
	sqlite3 *db;
	sqlite3_stmt *put, *get, *host_put;
	bool dirty; /* something is in the kernel alone, as far as we know */
	uint64_t synced_ms;
};

static const char schema[] =
	"PRAGMA journal_mode = WAL;"
	"PRAGMA synchronous = NORMAL;" /* of the write-ahead log: not at each commit */
	"CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) "
	"WITHOUT ROWID;";

/* Without a version nothing was ever kept: a table that is there was left by a version 1 that was
 * killed before it had said so. */
static const char from_nothing[] =
	"DROP TABLE IF EXISTS hosts;"
	"CREATE TABLE hosts (addr INTEGER PRIMARY KEY, key BLOB NOT NULL, "
	"boot INTEGER NOT NULL, time INTEGER NOT NULL, released INTEGER NOT NULL, "
	"name TEXT NOT NULL, ifname TEXT NOT NULL, lladdr BLOB NOT NULL, port INTEGER NOT NULL, "
	"standby INTEGER NOT NULL DEFAULT 0);";

static const char from_version_1[] =
	"ALTER TABLE hosts ADD COLUMN standby INTEGER NOT NULL DEFAULT 0;";

static int prepare(struct store *s, const char *sql, sqlite3_stmt **out)
{
	return sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL) == SQLITE_OK
		       ? 0
		       : -EIO;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	sqlite3_finalize(s->put);
	sqlite3_finalize(s->get);
	sqlite3_finalize(s->host_put);
	sqlite3_close(s->db);
	free(s);
}

/* Run a statement that gives no rows; it is ready for the next time then. */
static int finish(sqlite3_stmt *st)
{
	int ret = sqlite3_step(st) == SQLITE_DONE ? 0 : -EIO;

	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return ret;
}

static int run(struct store *s, const char *sql)
{
	return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : -EIO;
}

/* A commit in full synchrony takes all earlier ones along: they are in the same log. */
static int begin_certain(struct store *s)
{
	return run(s, "PRAGMA synchronous = FULL");
}

static int end_certain(struct store *s, int ret)
{
	int back = run(s, "PRAGMA synchronous = NORMAL");

	if (!ret)
		s->dirty = false;
	return ret ? ret : back;
}

static void bind_meta(struct store *s, const char *name, const void *data, size_t len)
{
	sqlite3_bind_text(s->put, 1, name, -1, SQLITE_STATIC);
	sqlite3_bind_blob(s->put, 2, data, (int)len, SQLITE_STATIC);
}

int store_put(struct store *s, const char *name, const void *data, size_t len)
{
	int ret = begin_certain(s);

	if (ret)
		return ret;
	bind_meta(s, name, data, len);
	return end_certain(s, finish(s->put));
}

int store_get(struct store *s, const char *name, void *data, size_t len)
{
	int ret = -ENOENT;

	sqlite3_bind_text(s->get, 1, name, -1, SQLITE_STATIC);
	if (sqlite3_step(s->get) == SQLITE_ROW) {
		ret = -EPROTO;
		if ((size_t)sqlite3_column_bytes(s->get, 0) == len) {
			memcpy(data, sqlite3_column_blob(s->get, 0), len);
			ret = 0;
		}
	}
	sqlite3_reset(s->get);
	sqlite3_clear_bindings(s->get);
	return ret;
}

/* The tables in the form of this version, and that they are: at once, or not at all. */
static int shape(struct store *s, const char *sql)
{
	const uint32_t version = STORE_VERSION;
	int ret = begin_certain(s);

	if (!ret)
		ret = run(s, "BEGIN IMMEDIATE");
	if (!ret)
		ret = run(s, sql);
	if (!ret) {
		bind_meta(s, "version", &version, sizeof(version));
		ret = finish(s->put);
	}
	if (!ret)
		ret = run(s, "COMMIT");
	if (ret)
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	return end_certain(s, ret);
}

static int check_version(struct store *s, char *err, size_t errlen)
{
	uint32_t version = STORE_VERSION;
	int ret = store_get(s, "version", &version, sizeof(version));

	if (ret == -ENOENT || (!ret && version == 1)) {
		bool fresh = ret == -ENOENT;

		ret = shape(s, fresh ? from_nothing : from_version_1);
		return ret ? sf_errtext(err, errlen, ret, "router.db: %s: %s",
					fresh ? "tables" : "upgrade from version 1", store_error(s))
			   : 0;
	}
	if (ret || version != STORE_VERSION)
		return sf_errtext(err, errlen, -EPROTO,
				  "router.db: version %u, this program knows %u", version,
				  STORE_VERSION);
	return 0;
}

int store_open(const char *dir, struct store **out, char *err, size_t errlen)
{
	struct store *s;
	char path[4096];
	int ret;

	ret = sf_mkdir_p(dir, 0700);
	if (ret)
		return sf_errtext(err, errlen, ret, "%s: %s", dir, strerror(-ret));
	s = calloc(1, sizeof(*s));
	if (!s)
		return sf_errtext(err, errlen, -ENOMEM, "out of memory");
	snprintf(path, sizeof(path), "%s/router.db", dir);
	ret = -EIO;
	if (sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) !=
		    SQLITE_OK ||
	    sqlite3_busy_timeout(s->db, 2000) != SQLITE_OK ||
	    sqlite3_exec(s->db, schema, NULL, NULL, NULL) != SQLITE_OK)
		goto fail;
	if (prepare(s, "INSERT OR REPLACE INTO meta VALUES (?, ?)", &s->put) ||
	    prepare(s, "SELECT value FROM meta WHERE name = ?", &s->get))
		goto fail;
	ret = check_version(s, err, errlen);
	if (ret) {
		store_close(s);
		return ret;
	}
	ret = prepare(s, "INSERT OR REPLACE INTO hosts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		      &s->host_put);
	if (ret)
		goto fail;
	*out = s;
	return 0;
fail:
	sf_errtext(err, errlen, ret, "%s: %s", path, s->db ? sqlite3_errmsg(s->db) : "no memory");
	store_close(s);
	return ret;
}

int store_host_put(struct store *s, const struct store_host *h)
{
	sqlite3_stmt *st = s->host_put;

	sqlite3_bind_int64(st, 1, h->addr);
	sqlite3_bind_blob(st, 2, h->key, sizeof(h->key), SQLITE_STATIC);
	sqlite3_bind_int64(st, 3, (sqlite3_int64)h->boot);
	sqlite3_bind_int64(st, 4, (sqlite3_int64)h->time);
	sqlite3_bind_int64(st, 5, (sqlite3_int64)h->released_ms);
	sqlite3_bind_text(st, 6, h->name, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 7, h->ifname, -1, SQLITE_STATIC);
	sqlite3_bind_blob(st, 8, &h->lladdr, sizeof(h->lladdr), SQLITE_STATIC);
	sqlite3_bind_int(st, 9, h->port);
	sqlite3_bind_int(st, 10, h->standby);
	s->dirty = true;
	return finish(st);
}

int store_hosts_clear(struct store *s)
{
	int ret = begin_certain(s);

	if (!ret)
		ret = run(s, "BEGIN; DELETE FROM hosts; DELETE FROM meta WHERE name = '" STORE_GIVEN
			     "'; COMMIT");
	if (ret)
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	return end_certain(s, ret);
}

int store_sync_due(struct store *s, uint64_t now_ms)
{
	if (!s->dirty || now_ms - s->synced_ms < STORE_SYNC_MS)
		return 0;
	s->synced_ms = now_ms;
	if (sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL) !=
	    SQLITE_OK)
		return -EIO;
	s->dirty = false;
	return 0;
}

/* Return: 0, or -EPROTO for a row that nobody of us wrote. */
static int read_host(sqlite3_stmt *st, struct store_host *h)
{
	const void *key = sqlite3_column_blob(st, 1), *ll = sqlite3_column_blob(st, 7);

	if (!key || !ll || sqlite3_column_bytes(st, 1) != sizeof(h->key) ||
	    sqlite3_column_bytes(st, 7) != sizeof(h->lladdr))
		return -EPROTO;
	h->addr = (uint32_t)sqlite3_column_int64(st, 0);
	memcpy(h->key, key, sizeof(h->key));
	h->boot = (uint64_t)sqlite3_column_int64(st, 2);
	h->time = (uint64_t)sqlite3_column_int64(st, 3);
	h->released_ms = (uint64_t)sqlite3_column_int64(st, 4);
	h->name = (const char *)sqlite3_column_text(st, 5);
	h->ifname = (const char *)sqlite3_column_text(st, 6);
	memcpy(&h->lladdr, ll, sizeof(h->lladdr));
	h->port = (uint16_t)sqlite3_column_int(st, 8);
	h->standby = sqlite3_column_int(st, 9);
	return h->name && h->ifname ? 0 : -EPROTO;
}

int store_hosts_each(struct store *s, store_host_fn fn, void *ctx)
{
	sqlite3_stmt *st;
	int step, ret = 0;

	if (sqlite3_prepare_v2(
		    s->db,
		    "SELECT addr, key, boot, time, released, name, ifname, lladdr, port, "
		    "standby "
		    "FROM hosts ORDER BY addr",
		    -1, &st, NULL) != SQLITE_OK)
		return -EIO;
	while (!ret && (step = sqlite3_step(st)) == SQLITE_ROW) {
		struct store_host h;

		ret = read_host(st, &h);
		if (!ret)
			ret = fn(&h, ctx);
	}
	if (!ret && step != SQLITE_DONE)
		ret = -EIO;
	sqlite3_finalize(st);
	return ret;
}

const char *store_error(const struct store *s)
{
	return sqlite3_errmsg(s->db);
}
