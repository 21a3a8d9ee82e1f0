// SPDX-License-Identifier: Apache-2.0
/* store_internal.h - what store.c and backup.c share. */
#ifndef SF_CONTROLLER_STORE_INTERNAL_H
#define SF_CONTROLLER_STORE_INTERNAL_H

#include <sqlite3.h>
#include <stddef.h>

#define CTL_PATH_MAX 512

struct ctl_store;

/** ctl_sqlite_errno() - negative errno of a result code, 0 for OK, ROW and DONE. */
int ctl_sqlite_errno(int rc);

/** ctl_fail() - write @err, return @error. */
int ctl_fail(int error, char *err, size_t errlen, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/** ctl_pragma_int() - value of a pragma. */
int ctl_pragma_int(sqlite3 *db, const char *pragma, int *value);

/** ctl_store_check() - is this file a store of ours, whole, and of a schema that we know? */
int ctl_store_check(sqlite3 *db, const char *path, int *schema, char *err, size_t errlen);

/** ctl_state_lock() - lock a state directory, made where missing. Return: descriptor or error. */
int ctl_state_lock(const char *dir, char *err, size_t errlen);

#endif
