// SPDX-License-Identifier: Apache-2.0
/*
 * backup.c - backup and restore of the store, by SQLite's backup interface: a consistent copy while
 * the controller works.
 *
 * Both write a temporary file beside the target, make it durable, then give it its name in one
 * step, so that neither a crash nor a full disk leaves half a file under a name that counts.
 */
#include "controller/store.h"
#include "controller/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP_PAGES 1024 /* 4 MiB between two looks at whether to go on */

static int fsync_path(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (fsync(fd))
		ret = -errno;
	close(fd);
	return ret;
}

static int fsync_dir_of(const char *file)
{
	char copy[STORE_PATH_MAX];

	snprintf(copy, sizeof(copy), "%s", file);
	return fsync_path(dirname(copy), O_RDONLY | O_DIRECTORY);
}

/* Part by part. @from holds a read transaction, so that writers in between do not start it anew. */
static int copy_pages(sqlite3 *from, sqlite3 *to, struct backup_progress *p)
{
	sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
	int rc;

	if (!backup)
		return sqlite3_errcode(to);
	do {
		rc = sqlite3_backup_step(backup, p ? STEP_PAGES : -1);
		if (!p)
			continue;
		atomic_store(&p->pages, (unsigned int)sqlite3_backup_pagecount(backup));
		atomic_store(&p->left, (unsigned int)sqlite3_backup_remaining(backup));
		if (p->step)
			p->step(p->ctx);
		if (rc == SQLITE_OK && atomic_load(&p->stop))
			rc = SQLITE_INTERRUPT;
	} while (rc == SQLITE_OK);
	sqlite3_backup_finish(backup);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* Copy @from into a new file @to, without write-ahead log, mode 0600. */
static int copy_db(sqlite3 *from, const char *to, struct backup_progress *p, char *err,
		   size_t errlen)
{
	sqlite3 *db = NULL;
	int fd = open(to, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int ret;
	int rc;

	if (fd < 0)
		return store_fail(-errno, err, errlen, "%s: %s", to, strerror(errno));
	close(fd);
	rc = sqlite3_open_v2(to, &db, SQLITE_OPEN_READWRITE, NULL);
	if (rc == SQLITE_OK)
		rc = copy_pages(from, db, p);
	/* The copy is one file that can be carried away. */
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, "PRAGMA journal_mode=DELETE", NULL, NULL, NULL);
	ret = rc == SQLITE_INTERRUPT ? -ECANCELED : sqlite_to_errno(rc);
	if (ret == -ECANCELED)
		store_fail(ret, err, errlen, "%s: given up", to);
	else if (ret)
		store_fail(ret, err, errlen, "%s: %s", to, db ? sqlite3_errmsg(db) : "no memory");
	sqlite3_close(db);
	if (!ret) {
		ret = fsync_path(to, O_RDONLY);
		if (ret)
			store_fail(ret, err, errlen, "%s: %s", to, strerror(-ret));
	}
	if (ret)
		unlink(to);
	return ret;
}

/* A connection that sees one state of the database until it is closed. */
static int open_snapshot(const char *store, sqlite3 **db, char *err, size_t errlen)
{
	int rc = sqlite3_open_v2(store, db, SQLITE_OPEN_READWRITE, NULL);

	if (rc == SQLITE_OK) {
		sqlite3_busy_timeout(*db, 2000);
		rc = sqlite3_exec(*db, "BEGIN; SELECT count(*) FROM meta", NULL, NULL, NULL);
	}
	if (rc == SQLITE_OK)
		return 0;
	return store_fail(sqlite_to_errno(rc), err, errlen, "%s: %s", store,
			  *db ? sqlite3_errmsg(*db) : "no memory");
}

int store_backup(const char *store, const char *file, struct backup_progress *p, char *err,
		 size_t errlen)
{
	char tmp[STORE_PATH_MAX];
	sqlite3 *from = NULL;
	int ret;

	if (snprintf(tmp, sizeof(tmp), "%s.part", file) >= (int)sizeof(tmp))
		return store_fail(-ENAMETOOLONG, err, errlen, "%s: the path is too long", file);
	unlink(tmp); /* left by a crash */
	ret = open_snapshot(store, &from, err, errlen);
	if (!ret)
		ret = copy_db(from, tmp, p, err, errlen);
	sqlite3_close(from);
	if (ret)
		return ret;
	/* link() instead of rename(): it never replaces what is there. */
	if (link(tmp, file))
		ret = store_fail(-errno, err, errlen, "%s: %s", file, strerror(errno));
	unlink(tmp);
	return ret ? ret : fsync_dir_of(file);
}

static int open_checked(const char *file, sqlite3 **db, char *err, size_t errlen)
{
	int schema = 0;
	int rc = sqlite3_open_v2(file, db, SQLITE_OPEN_READONLY, NULL);
	int ret;

	if (rc != SQLITE_OK)
		return store_fail(sqlite_to_errno(rc), err, errlen, "%s: %s", file,
				  *db ? sqlite3_errmsg(*db) : "no memory");
	ret = store_check(*db, file, &schema, err, errlen);
	if (!ret && schema == 0)
		ret = store_fail(-EUCLEAN, err, errlen, "%s: empty, not a backup", file);
	return ret;
}

static uint32_t read_term(sqlite3 *db)
{
	sqlite3_stmt *st = NULL;
	__be32 term = 0;

	if (sqlite3_prepare_v2(db, "SELECT value FROM meta WHERE key = 'term'", -1, &st, NULL) ==
		    SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW && sqlite3_column_bytes(st, 0) == sizeof(term))
		memcpy(&term, sqlite3_column_blob(st, 0), sizeof(term));
	sqlite3_finalize(st);
	return sf_be32(term);
}

static int write_term(const char *file, uint32_t term)
{
	sqlite3_stmt *st = NULL;
	sqlite3 *db = NULL;
	__be32 value = sf_be32(term);
	int rc = sqlite3_open_v2(file, &db, SQLITE_OPEN_READWRITE, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(db, "INSERT OR REPLACE INTO meta VALUES('term', ?1)", -1,
					&st, NULL);
	if (rc == SQLITE_OK) {
		sqlite3_bind_blob(st, 1, &value, sizeof(value), SQLITE_TRANSIENT);
		rc = sqlite3_step(st);
	}
	sqlite3_finalize(st);
	sqlite3_close(db);
	return sqlite_to_errno(rc);
}

/* The term of the store that is replaced, 0 where it cannot be read; its log is folded into it. */
static uint32_t old_term(const char *path)
{
	sqlite3 *db = NULL;
	uint32_t term = 0;
	int app = 0;

	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
	    pragma_int(db, "application_id", &app) == 0 && app == STORE_APP)
		term = read_term(db);
	sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	sqlite3_close(db);
	return term;
}

/* Give the new file the store's name. The old one keeps a second name, so that at no moment there
 * is none: a controller that finds no store makes an empty one. */
static int put_in_place(const char *path, const char *tmp, char *err, size_t errlen)
{
	char old[STORE_PATH_MAX + 16], side[STORE_PATH_MAX + 16];

	snprintf(old, sizeof(old), "%s.replaced", path);
	unlink(old);
	if (link(path, old) && errno != ENOENT)
		return store_fail(-errno, err, errlen, "%s: %s", old, strerror(errno));
	snprintf(side, sizeof(side), "%s-wal", path);
	unlink(side);
	snprintf(side, sizeof(side), "%s-shm", path);
	unlink(side);
	if (rename(tmp, path))
		return store_fail(-errno, err, errlen, "%s: %s", path, strerror(errno));
	return fsync_dir_of(path);
}

int store_restore(const char *dir, const char *file, char *err, size_t errlen)
{
	char path[STORE_PATH_MAX], tmp[STORE_PATH_MAX];
	sqlite3 *from = NULL;
	uint32_t term, old;
	int lock;
	int ret;

	lock = state_lock(dir, err, errlen);
	if (lock < 0)
		return lock;
	if (snprintf(path, sizeof(path), "%s/controller.db", dir) >= (int)sizeof(path) ||
	    snprintf(tmp, sizeof(tmp), "%s/controller.db.part", dir) >= (int)sizeof(tmp)) {
		ret = store_fail(-ENAMETOOLONG, err, errlen, "%s: the path is too long", dir);
		goto out;
	}
	ret = open_checked(file, &from, err, errlen);
	if (ret)
		goto out;
	term = read_term(from);
	unlink(tmp);
	ret = copy_db(from, tmp, NULL, err, errlen);
	if (ret)
		goto out;
	old = old_term(path);
	term = term > old ? term : old;
	term = term < UINT32_MAX - RESTORE_TERMS ? term + RESTORE_TERMS : term;
	ret = write_term(tmp, term);
	if (ret)
		store_fail(ret, err, errlen, "%s: cannot set the term", tmp);
	else
		ret = put_in_place(path, tmp, err, errlen);
	if (ret)
		unlink(tmp);
out:
	sqlite3_close(from);
	close(lock);
	return ret;
}
