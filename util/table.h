// SPDX-License-Identifier: Apache-2.0
/* table.h - tables and numbers for people: aligned columns, no wrapping, no colours, UTF-8 counted
 * in characters. */
#ifndef SF_UTIL_TABLE_H
#define SF_UTIL_TABLE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum sf_align { SF_LEFT, SF_RIGHT };

struct sf_column {
	const char *title;
	enum sf_align align;
};

struct sf_table;

/**
 * sf_table_new - an empty table.
 * @columns: kept by pointer
 * Returns NULL without memory.
 */
struct sf_table *sf_table_new(const struct sf_column *columns, size_t n_columns);

/**
 * sf_table_cell - append a cell; after the last column a new row begins.
 * Control characters are shown as '?'; an empty text as "-". Failure (memory) is remembered until
 * sf_table_print().
 */
void sf_table_cell(struct sf_table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/**
 * sf_table_print - header and rows, columns two blanks apart, no blanks at line ends.
 * Returns 0, -ENOMEM where a cell was lost, or -EIO.
 */
int sf_table_print(const struct sf_table *t, FILE *out);

/** sf_table_free - free; NULL is fine. */
void sf_table_free(struct sf_table *t);

#define SF_HUMAN_LEN 16 /* bytes that any of the texts below needs at most */

/* Each writes into @buf (SF_HUMAN_LEN bytes or more) and returns it. */

/** sf_human_count - 999, 1.2k, 34k, 5.6M, 7.8G: powers of 1000. */
char *sf_human_count(uint64_t n, char *buf);
/** sf_human_bytes - 999 B, 1.2 KiB, 3.4 MiB: powers of 1024. */
char *sf_human_bytes(uint64_t n, char *buf);
/** sf_human_duration - @ms as 17 ms, 1.5 s, 3m20s, 4h05m, 12d3h. */
char *sf_human_duration(uint64_t ms, char *buf);

#endif
