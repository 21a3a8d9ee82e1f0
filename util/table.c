// SPDX-License-Identifier: Apache-2.0
/* table.c - tables and numbers for people. */
#include "util/table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct sf_table {
	const struct sf_column *columns;
	size_t n_columns;
	char **cells;
	size_t n_cells, size;
	bool lost; /* a cell did not fit into memory */
};

/* Characters of UTF-8 text: all bytes but continuation bytes. Wide and combining ones are not
 * expected here. */
static size_t utf8_width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

struct sf_table *sf_table_new(const struct sf_column *columns, size_t n_columns)
{
	struct sf_table *t = n_columns ? calloc(1, sizeof(*t)) : NULL;

	if (t) {
		t->columns = columns;
		t->n_columns = n_columns;
	}
	return t;
}

void sf_table_cell(struct sf_table *t, const char *fmt, ...)
{
	char *text;
	va_list ap;
	int n;

	if (t->lost)
		return;
	if (t->n_cells == t->size) {
		size_t size = t->size ? t->size * 2 : 8 * t->n_columns;
		char **cells = realloc(t->cells, size * sizeof(*cells));

		if (!cells) {
			t->lost = true;
			return;
		}
		t->cells = cells;
		t->size = size;
	}
	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n == 0) {
		free(text);
		text = strdup("-");
		n = text ? 1 : -1;
	}
	if (n < 0) {
		t->lost = true;
		return;
	}
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	t->cells[t->n_cells++] = text;
}

static void print_row(const struct sf_table *t, const size_t *width, char *const *row, FILE *out)
{
	size_t owed = 0; /* blanks not yet written: a line never ends with them */

	for (size_t i = 0; i < t->n_columns; i++) {
		const char *text = row ? row[i] : t->columns[i].title;
		size_t pad = width[i] - utf8_width(text);

		if (i)
			owed += 2;
		if (t->columns[i].align == SF_RIGHT)
			owed += pad;
		if (*text) {
			fprintf(out, "%*s%s", (int)owed, "", text);
			owed = 0;
		}
		if (t->columns[i].align == SF_LEFT)
			owed += pad;
	}
	fputc('\n', out);
}

int sf_table_print(const struct sf_table *t, FILE *out)
{
	size_t rows = t->n_cells / t->n_columns; /* the complete ones */
	size_t *width;

	width = calloc(t->n_columns, sizeof(*width));
	if (t->lost || !width) {
		free(width);
		return -ENOMEM;
	}
	for (size_t i = 0; i < t->n_columns; i++) {
		width[i] = utf8_width(t->columns[i].title);
		for (size_t r = 0; r < rows; r++) {
			size_t w = utf8_width(t->cells[r * t->n_columns + i]);

			if (w > width[i])
				width[i] = w;
		}
	}
	print_row(t, width, NULL, out);
	for (size_t r = 0; r < rows; r++)
		print_row(t, width, t->cells + r * t->n_columns, out);
	free(width);
	return ferror(out) ? -EIO : 0;
}

void sf_table_free(struct sf_table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n_cells; i++)
		free(t->cells[i]);
	free(t->cells);
	free(t);
}

/* Two significant digits below ten units, else whole units; a value that rounds up to @base moves
 * to the next. */
static char *human(uint64_t n, unsigned int base, const char *const *units, size_t n_units,
		   char *buf)
{
	double value = (double)n;
	size_t unit = 0;

	while (unit + 1 < n_units && value >= (unit ? base - 0.5 : (double)base)) {
		value /= base;
		unit++;
	}
	snprintf(buf, SF_HUMAN_LEN, unit && value < 9.95 ? "%.1f%s" : "%.0f%s", value, units[unit]);
	return buf;
}

char *sf_human_count(uint64_t n, char *buf)
{
	static const char *const units[] = { "", "k", "M", "G", "T", "P", "E" };

	return human(n, 1000, units, 7, buf);
}

char *sf_human_bytes(uint64_t n, char *buf)
{
	static const char *const units[] = { " B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB" };

	return human(n, 1024, units, 7, buf);
}

char *sf_human_duration(uint64_t ms, char *buf)
{
	unsigned long long s = ms / 1000;

	if (ms < 1000)
		snprintf(buf, SF_HUMAN_LEN, "%u ms", (unsigned int)ms);
	else if (s < 60)
		snprintf(buf, SF_HUMAN_LEN, "%llu.%llu s", s, ms % 1000 / 100ull);
	else if (s < 3600)
		snprintf(buf, SF_HUMAN_LEN, "%llum%02llus", s / 60, s % 60);
	else if (s < 86400)
		snprintf(buf, SF_HUMAN_LEN, "%lluh%02llum", s / 3600, s / 60 % 60);
	else if (s / 86400 < 1000000)
		snprintf(buf, SF_HUMAN_LEN, "%llud%lluh", s / 86400, s / 3600 % 24);
	else
		snprintf(buf, SF_HUMAN_LEN, "%llud", s / 86400);
	return buf;
}
