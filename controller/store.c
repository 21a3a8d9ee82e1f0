// SPDX-License-Identifier: Apache-2.0
/* store.c - the store: opening, migration, rows. Backup and restore are in backup.c. */
#include "controller/store.h"
#include "controller/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/crypto.h"
#include "util/file.h"

#define CHECK_ROWS 1 /* problems of a damaged file to report */

/* What leads from schema N to N + 1. Append only: files of every age are out there. */
static const char *const migrations[STORE_SCHEMA] = {
	/* 0 -> 1 */
	"CREATE TABLE meta(key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE blocks(first INTEGER PRIMARY KEY, count INTEGER NOT NULL,"
	"  router BLOB NOT NULL, since INTEGER NOT NULL DEFAULT (unixepoch()));"
	"CREATE TABLE policies(sid BLOB PRIMARY KEY, json TEXT NOT NULL,"
	"  changed INTEGER NOT NULL DEFAULT (unixepoch())) WITHOUT ROWID;"
	"CREATE TABLE names(sid BLOB PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE events(id INTEGER PRIMARY KEY, time INTEGER NOT NULL, json TEXT NOT NULL);",
	/* 1 -> 2: who was present, so that a restarted controller waits for them */
	"CREATE TABLE routers(id BLOB PRIMARY KEY, name TEXT NOT NULL, addr BLOB NOT NULL,"
	"  roles INTEGER NOT NULL, present INTEGER NOT NULL, cn TEXT NOT NULL,"
	"  seen INTEGER NOT NULL DEFAULT (unixepoch())) WITHOUT ROWID;",
};

enum stmt {
	META_GET,
	META_PUT,
	BLOCK_PUT,
	BLOCKS_DELETE,
	ROUTER_PUT,
	ROUTER_DELETE,
	POLICY_PUT,
	POLICY_DELETE,
	NAME_PUT,
	NAME_DELETE,
	EVENT_PUT,
	EVENTS_TRIM,
	EVENTS_GET,
	STMTS,
};

static const char *const stmt_text[STMTS] = {
	[META_GET] = "SELECT value FROM meta WHERE key = ?1",
	[META_PUT] = "INSERT OR REPLACE INTO meta(key, value) VALUES(?1, ?2)",
	[BLOCK_PUT] = "INSERT OR REPLACE INTO blocks(first, count, router) VALUES(?1, ?2, ?3)",
	[BLOCKS_DELETE] = "DELETE FROM blocks WHERE router = ?1",
	[ROUTER_PUT] = "INSERT OR REPLACE INTO routers(id, name, addr, roles, present, cn)"
		       " VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
	[ROUTER_DELETE] = "DELETE FROM routers WHERE id = ?1",
	[POLICY_PUT] = "INSERT OR REPLACE INTO policies(sid, json) VALUES(?1, ?2)",
	[POLICY_DELETE] = "DELETE FROM policies WHERE sid = ?1",
	[NAME_PUT] = "INSERT OR REPLACE INTO names(sid, name) VALUES(?1, ?2)",
	[NAME_DELETE] = "DELETE FROM names WHERE sid = ?1",
	[EVENT_PUT] = "INSERT OR REPLACE INTO events(id, time, json) VALUES(?1, ?2, ?3)",
	/* By rank, not by id: ids have gaps. */
	[EVENTS_TRIM] = "DELETE FROM events WHERE id <= (SELECT id FROM events ORDER BY id DESC"
			" LIMIT 1 OFFSET ?1)",
	[EVENTS_GET] = "SELECT id, json FROM (SELECT id, json FROM events WHERE id > ?1"
		       " AND id < ?2 ORDER BY id DESC LIMIT ?3) ORDER BY id",
};

struct store {
	sqlite3 *db;
	sqlite3_stmt *stmts[STMTS];
	int lock_fd;
	char path[STORE_PATH_MAX];
};

/* ---- errors ------------------------------------------------------------------------------ */

int sqlite_to_errno(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return -EACCES;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EUCLEAN;
	case SQLITE_CANTOPEN:
		return -ENOENT;
	default:
		return -EIO;
	}
}

int store_fail(int error, char *err, size_t errlen, const char *fmt, ...)
{
	va_list ap;

	if (errlen) {
		va_start(ap, fmt);
		vsnprintf(err, errlen, fmt, ap);
		va_end(ap);
	}
	return error;
}

const char *store_error(const struct store *s)
{
	return sqlite3_errmsg(s->db);
}

const char *store_path(const struct store *s)
{
	return s->path;
}

/* ---- opening ----------------------------------------------------------------------------- */

int pragma_int(sqlite3 *db, const char *pragma, int *value)
{
	sqlite3_stmt *st = NULL;
	char sql[64];
	int rc;

	snprintf(sql, sizeof(sql), "PRAGMA %s", pragma);
	rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		*value = sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	return rc == SQLITE_ROW ? 0 : rc == SQLITE_DONE ? -EIO : sqlite_to_errno(rc);
}

static int collect(void *ctx, int n, char **values, char **names)
{
	char *text = ctx;

	if (n > 0 && values[0] && !*text)
		snprintf(text, 128, "%s", values[0]);
	return 0;
}

int store_check(sqlite3 *db, const char *path, int *schema, char *err, size_t errlen)
{
	char found[128] = "";
	char sql[64];
	int app = 0;
	int version = 0;
	int ret;
	int rc;

	ret = pragma_int(db, "application_id", &app);
	if (!ret)
		ret = pragma_int(db, "user_version", &version);
	if (ret == -EUCLEAN)
		return store_fail(ret, err, errlen, "%s: damaged or not a store: %s", path,
				  sqlite3_errmsg(db));
	if (ret)
		return store_fail(ret, err, errlen, "%s: %s", path, sqlite3_errmsg(db));
	snprintf(sql, sizeof(sql), "PRAGMA quick_check(%d)", CHECK_ROWS);
	rc = sqlite3_exec(db, sql, collect, found, NULL);
	if (rc != SQLITE_OK || strcmp(found, "ok") != 0)
		return store_fail(-EUCLEAN, err, errlen, "%s: damaged: %s", path,
				  rc != SQLITE_OK ? sqlite3_errmsg(db) : found);
	if (version != 0 && app != STORE_APP)
		return store_fail(-EUCLEAN, err, errlen,
				  "%s: a database, but no store of scaffold-controller", path);
	if (version > STORE_SCHEMA)
		return store_fail(-EPROTONOSUPPORT, err, errlen,
				  "%s: schema %d was written by a newer version; this one knows %d",
				  path, version, STORE_SCHEMA);
	*schema = version;
	return 0;
}

static int migrate(sqlite3 *db, int from, int to)
{
	char sql[128];
	int rc = SQLITE_OK;

	if (from == to)
		return 0;
	/* One transaction: a crash in the middle leaves the old schema whole. */
	rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	for (int v = from; rc == SQLITE_OK && v < to; v++)
		rc = sqlite3_exec(db, migrations[v], NULL, NULL, NULL);
	if (rc == SQLITE_OK) {
		snprintf(sql, sizeof(sql), "PRAGMA application_id=%d; PRAGMA user_version=%d;",
			 STORE_APP, to);
		rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
	}
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	return sqlite_to_errno(rc);
}

int store_make_old(const char *file, int schema)
{
	sqlite3 *db = NULL;
	int ret = sqlite_to_errno(sqlite3_open(file, &db));

	if (!ret)
		ret = migrate(db, 0, schema);
	sqlite3_close(db);
	return ret;
}

int state_lock(const char *dir, char *err, size_t errlen)
{
	char path[STORE_PATH_MAX];
	int fd;
	int ret = sf_mkdir_p(dir, 0700);

	if (ret)
		return store_fail(ret, err, errlen, "%s: cannot make the state directory: %s", dir,
				  strerror(-ret));
	if (snprintf(path, sizeof(path), "%s/controller.lock", dir) >= (int)sizeof(path))
		return store_fail(-ENAMETOOLONG, err, errlen, "%s: the path is too long", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return store_fail(-errno, err, errlen, "%s: %s", path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		ret = errno == EWOULDBLOCK ? -EBUSY : -errno;
		store_fail(ret, err, errlen, "%s: %s", path,
			   ret == -EBUSY ? "another controller uses this state directory"
					 : strerror(-ret));
		close(fd);
		return ret;
	}
	return fd;
}

static int open_db(struct store *s, char *err, size_t errlen)
{
	int schema = 0;
	int fd;
	int rc;
	int ret;

	/* Not SQLite's 0644: the file holds the key of the routers' hash. */
	fd = open(s->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return store_fail(-errno, err, errlen, "%s: %s", s->path, strerror(errno));
	close(fd);
	rc = sqlite3_open_v2(s->path, &s->db, SQLITE_OPEN_READWRITE, NULL);
	if (rc != SQLITE_OK)
		return store_fail(sqlite_to_errno(rc), err, errlen, "%s: %s", s->path,
				  s->db ? sqlite3_errmsg(s->db) : "no memory");
	sqlite3_busy_timeout(s->db, 2000); /* somebody may be reading it with sqlite3(1) */
	ret = store_check(s->db, s->path, &schema, err, errlen);
	if (ret == -EUCLEAN)
		snprintf(err + strlen(err), errlen - strlen(err),
			 "; put a backup in its place with --restore FILE");
	if (ret)
		return ret;
	rc = sqlite3_exec(s->db,
			  "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
			  "PRAGMA trusted_schema=OFF; PRAGMA journal_size_limit=16777216;",
			  NULL, NULL, NULL);
	ret = sqlite_to_errno(rc);
	if (!ret)
		ret = migrate(s->db, schema, STORE_SCHEMA);
	for (int i = 0; !ret && i < STMTS; i++)
		ret = sqlite_to_errno(sqlite3_prepare_v3(
			s->db, stmt_text[i], -1, SQLITE_PREPARE_PERSISTENT, &s->stmts[i], NULL));
	return ret ? store_fail(ret, err, errlen, "%s: %s", s->path, sqlite3_errmsg(s->db)) : 0;
}

int store_open(const char *dir, struct store **out, char *err, size_t errlen)
{
	struct store *s = calloc(1, sizeof(*s));
	int ret;

	if (!s)
		return store_fail(-ENOMEM, err, errlen, "no memory");
	s->lock_fd = -1;
	ret = state_lock(dir, err, errlen);
	if (ret < 0)
		goto fail;
	s->lock_fd = ret;
	if (snprintf(s->path, sizeof(s->path), "%s/controller.db", dir) >= (int)sizeof(s->path)) {
		ret = store_fail(-ENAMETOOLONG, err, errlen, "%s: the path is too long", dir);
		goto fail;
	}
	ret = open_db(s, err, errlen);
	if (ret)
		goto fail;
	*out = s;
	return 0;
fail:
	store_close(s);
	return ret;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	for (int i = 0; i < STMTS; i++)
		sqlite3_finalize(s->stmts[i]);
	sqlite3_close(s->db);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	free(s);
}

/* ---- statements -------------------------------------------------------------------------- */

static sqlite3_stmt *use(struct store *s, enum stmt which)
{
	sqlite3_reset(s->stmts[which]);
	return s->stmts[which];
}

static void bind_sid(sqlite3_stmt *st, int at, const struct sf_sid *sid)
{
	sqlite3_bind_blob(st, at, sid->b, sizeof(sid->b), SQLITE_TRANSIENT);
}

static void bind_text(sqlite3_stmt *st, int at, const char *text)
{
	sqlite3_bind_text(st, at, text, -1, SQLITE_TRANSIENT);
}

static int run(sqlite3_stmt *st)
{
	int rc = sqlite3_step(st);

	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return sqlite_to_errno(rc);
}

static bool column_sid(sqlite3_stmt *st, int at, struct sf_sid *sid)
{
	if (sqlite3_column_bytes(st, at) != sizeof(sid->b))
		return false;
	memcpy(sid->b, sqlite3_column_blob(st, at), sizeof(sid->b));
	return true;
}

static int meta_get(struct store *s, const char *key, void *value, size_t len)
{
	sqlite3_stmt *st = use(s, META_GET);
	int ret;
	int rc;

	bind_text(st, 1, key);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW && sqlite3_column_bytes(st, 0) == (int)len) {
		memcpy(value, sqlite3_column_blob(st, 0), len);
		ret = 0;
	} else {
		ret = rc == SQLITE_ROW	  ? -EUCLEAN
		      : rc == SQLITE_DONE ? -ENOENT
					  : sqlite_to_errno(rc);
	}
	sqlite3_reset(st);
	return ret;
}

static int meta_put(struct store *s, const char *key, const void *value, size_t len)
{
	sqlite3_stmt *st = use(s, META_PUT);

	bind_text(st, 1, key);
	sqlite3_bind_blob(st, 2, value, (int)len, SQLITE_TRANSIENT);
	return run(st);
}

int store_term_next(struct store *s, uint32_t at_least, uint32_t *term)
{
	__be32 stored = 0;
	uint32_t next;
	int ret = meta_get(s, "term", &stored, sizeof(stored));

	if (ret && ret != -ENOENT)
		return ret;
	if (sf_be32(stored) == UINT32_MAX)
		return -EOVERFLOW;
	next = sf_be32(stored) + 1;
	if (next < at_least)
		next = at_least;
	stored = sf_be32(next);
	ret = meta_put(s, "term", &stored, sizeof(stored));
	if (!ret)
		*term = next;
	return ret;
}

int store_hashkey(struct store *s, struct sf_hashkey *key)
{
	struct sf_hashkey k;
	int ret = meta_get(s, "hashkey", &k, sizeof(k));

	if (ret == -ENOENT) {
		ret = sf_random(&k, sizeof(k));
		if (!ret)
			ret = meta_put(s, "hashkey", &k, sizeof(k));
	}
	if (!ret)
		*key = k;
	return ret;
}

/* ---- rows -------------------------------------------------------------------------------- */

/* Run @sql and call @row for each row; its non-zero return ends it. */
static int each_row(struct store *s, const char *sql, int (*row)(sqlite3_stmt *, void *), void *ctx)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL);
	int ret = sqlite_to_errno(rc);

	while (!ret && (rc = sqlite3_step(st)) == SQLITE_ROW)
		ret = row(st, ctx);
	sqlite3_finalize(st);
	return ret ? ret : sqlite_to_errno(rc);
}

struct block_ctx {
	store_block_fn each;
	void *ctx;
};

static int block_row(sqlite3_stmt *st, void *ctx)
{
	struct block_ctx *b = ctx;
	struct sf_sid router;
	int first = sqlite3_column_int(st, 0);
	int count = sqlite3_column_int(st, 1);

	if (!column_sid(st, 2, &router) || first < 1 || count < 1 || first + count > 65536)
		return -EUCLEAN;
	return b->each(b->ctx, (uint16_t)first, (uint16_t)count, &router);
}

int store_blocks(struct store *s, store_block_fn each, void *ctx)
{
	struct block_ctx b = { each, ctx };

	return each_row(s, "SELECT first, count, router FROM blocks ORDER BY first", block_row, &b);
}

int store_block_put(struct store *s, uint16_t first, uint16_t count, const struct sf_sid *router)
{
	sqlite3_stmt *st = use(s, BLOCK_PUT);

	sqlite3_bind_int(st, 1, first);
	sqlite3_bind_int(st, 2, count);
	bind_sid(st, 3, router);
	return run(st);
}

static int delete_sid(struct store *s, enum stmt which, const struct sf_sid *sid)
{
	sqlite3_stmt *st = use(s, which);

	bind_sid(st, 1, sid);
	return run(st);
}

int store_blocks_delete(struct store *s, const struct sf_sid *router)
{
	return delete_sid(s, BLOCKS_DELETE, router);
}

struct router_ctx {
	store_router_fn each;
	void *ctx;
};

static int router_row(sqlite3_stmt *st, void *ctx)
{
	struct router_ctx *r = ctx;
	struct store_router row = { .roles = (uint8_t)sqlite3_column_int(st, 3),
				    .present = sqlite3_column_int(st, 4) != 0 };

	if (!column_sid(st, 0, &row.id) || sqlite3_column_bytes(st, 2) != sizeof(row.addr))
		return -EUCLEAN;
	memcpy(&row.addr, sqlite3_column_blob(st, 2), sizeof(row.addr));
	snprintf(row.name, sizeof(row.name), "%s", (const char *)sqlite3_column_text(st, 1));
	snprintf(row.cn, sizeof(row.cn), "%s", (const char *)sqlite3_column_text(st, 5));
	return r->each(r->ctx, &row);
}

int store_routers(struct store *s, store_router_fn each, void *ctx)
{
	struct router_ctx r = { each, ctx };

	return each_row(s, "SELECT id, name, addr, roles, present, cn FROM routers", router_row,
			&r);
}

int store_router_put(struct store *s, const struct store_router *r)
{
	sqlite3_stmt *st = use(s, ROUTER_PUT);

	bind_sid(st, 1, &r->id);
	bind_text(st, 2, r->name);
	sqlite3_bind_blob(st, 3, r->addr.b, sizeof(r->addr.b), SQLITE_TRANSIENT);
	sqlite3_bind_int(st, 4, r->roles);
	sqlite3_bind_int(st, 5, r->present);
	bind_text(st, 6, r->cn);
	return run(st);
}

int store_router_delete(struct store *s, const struct sf_sid *id)
{
	return delete_sid(s, ROUTER_DELETE, id);
}

struct text_ctx {
	store_text_fn each;
	void *ctx;
};

static int text_row(sqlite3_stmt *st, void *ctx)
{
	struct text_ctx *t = ctx;
	struct sf_sid sid;

	if (!column_sid(st, 0, &sid))
		return -EUCLEAN;
	return t->each(t->ctx, &sid, (const char *)sqlite3_column_text(st, 1));
}

int store_policies(struct store *s, store_text_fn each, void *ctx)
{
	struct text_ctx t = { each, ctx };

	return each_row(s, "SELECT sid, json FROM policies", text_row, &t);
}

int store_names(struct store *s, store_text_fn each, void *ctx)
{
	struct text_ctx t = { each, ctx };

	return each_row(s, "SELECT sid, name FROM names", text_row, &t);
}

static int put_text(struct store *s, enum stmt which, const struct sf_sid *sid, const char *text)
{
	sqlite3_stmt *st = use(s, which);

	bind_sid(st, 1, sid);
	bind_text(st, 2, text);
	return run(st);
}

int store_policy_put(struct store *s, const struct sf_sid *sid, const char *json)
{
	return put_text(s, POLICY_PUT, sid, json);
}

int store_policy_delete(struct store *s, const struct sf_sid *sid)
{
	return delete_sid(s, POLICY_DELETE, sid);
}

int store_name_put(struct store *s, const struct sf_sid *sid, const char *name)
{
	return put_text(s, NAME_PUT, sid, name);
}

int store_name_delete(struct store *s, const struct sf_sid *sid)
{
	return delete_sid(s, NAME_DELETE, sid);
}

/* ---- batches ----------------------------------------------------------------------------- */

int store_batch_begin(struct store *s)
{
	/* No fsync for these: they explain, nothing depends on them. */
	int rc =
		sqlite3_exec(s->db, "PRAGMA synchronous=NORMAL; BEGIN IMMEDIATE", NULL, NULL, NULL);

	return sqlite_to_errno(rc);
}

int store_batch_end(struct store *s)
{
	int rc = sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL);

	if (rc != SQLITE_OK)
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	sqlite3_exec(s->db, "PRAGMA synchronous=FULL", NULL, NULL, NULL);
	return sqlite_to_errno(rc);
}

/* ---- events ------------------------------------------------------------------------------ */

static int last_row(sqlite3_stmt *st, void *ctx)
{
	*(uint64_t *)ctx = (uint64_t)sqlite3_column_int64(st, 0);
	return 0;
}

int store_events_last(struct store *s, uint64_t *id)
{
	*id = 0;
	return each_row(s, "SELECT max(id) FROM events", last_row, id);
}

int store_event_put(struct store *s, uint64_t id, uint64_t time_ms, const char *json)
{
	sqlite3_stmt *st = use(s, EVENT_PUT);

	sqlite3_bind_int64(st, 1, (sqlite3_int64)id);
	sqlite3_bind_int64(st, 2, (sqlite3_int64)time_ms);
	bind_text(st, 3, json);
	return run(st);
}

int store_events_end(struct store *s, uint32_t keep)
{
	sqlite3_stmt *st = use(s, EVENTS_TRIM);
	int ret, end;

	sqlite3_bind_int64(st, 1, keep);
	ret = run(st);
	end = store_batch_end(s);
	return ret ? ret : end;
}

int store_events_newest(struct store *s, uint64_t after, uint64_t before, uint32_t limit,
			store_event_fn each, void *ctx)
{
	sqlite3_stmt *st = use(s, EVENTS_GET);
	int ret = 0;
	int rc = SQLITE_DONE;

	sqlite3_bind_int64(st, 1, after > INT64_MAX ? INT64_MAX : (sqlite3_int64)after);
	sqlite3_bind_int64(st, 2, before > INT64_MAX ? INT64_MAX : (sqlite3_int64)before);
	sqlite3_bind_int64(st, 3, limit);
	while (!ret && (rc = sqlite3_step(st)) == SQLITE_ROW)
		ret = each(ctx, (uint64_t)sqlite3_column_int64(st, 0),
			   (const char *)sqlite3_column_text(st, 1));
	sqlite3_reset(st);
	return ret ? ret : sqlite_to_errno(rc);
}
