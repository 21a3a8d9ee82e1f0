// SPDX-License-Identifier: Apache-2.0
/* store_internal.h - what store.c and backup.c share. */
#ifndef SF_CONTROLLER_STORE_INTERNAL_H
#define SF_CONTROLLER_STORE_INTERNAL_H

#include <sqlite3.h>
#include <stddef.h>

#define STORE_PATH_MAX 512

struct store;

/** sqlite_to_errno() - negative errno of a result code, 0 for OK, ROW and DONE. */
int sqlite_to_errno(int rc);

/** store_fail() - write @err, return @error. */
int store_fail(int error, char *err, size_t errlen, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/** pragma_int() - value of a pragma. */
int pragma_int(sqlite3 *db, const char *pragma, int *value);

/** store_check() - is this file a store of ours, whole, and of a schema that we know? */
int store_check(sqlite3 *db, const char *path, int *schema, char *err, size_t errlen);

/** state_lock() - lock a state directory, made where missing. Return: descriptor or error. */
int state_lock(const char *dir, char *err, size_t errlen);

#endif
