// SPDX-License-Identifier: Apache-2.0
/* print.c - JSON from daemons as tables for people, or as it is for programs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "util/table.h"

int sf_cli_value(const json_t *value)
{
	if (json_dumpf(value, stdout, JSON_INDENT(2) | JSON_SORT_KEYS | JSON_ENCODE_ANY) ||
	    putchar('\n') == EOF)
		return SF_EXIT_FAILED;
	return 0;
}

static const json_t *descend(const json_t *row, const char *key)
{
	char part[64];
	const char *dot;

	while ((dot = strchr(key, '.'))) {
		snprintf(part, sizeof(part), "%.*s", (int)(dot - key), key);
		row = json_object_get(row, part);
		key = dot + 1;
	}
	return json_object_get(row, key);
}

static void cell_scalar(struct sf_table *t, const json_t *v)
{
	if (json_is_string(v))
		sf_table_cell(t, "%s", json_string_value(v));
	else if (json_is_integer(v))
		sf_table_cell(t, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
	else if (json_is_real(v))
		sf_table_cell(t, "%.3g", json_real_value(v));
	else if (json_is_boolean(v))
		sf_table_cell(t, "%s", json_is_true(v) ? "yes" : "no");
	else
		sf_table_cell(t, "-");
}

static void cell_array(struct sf_table *t, const json_t *array)
{
	char text[256] = "";
	size_t at = 0, i;
	const json_t *v;

	json_array_foreach (array, i, v) {
		if (!json_is_string(v))
			continue;
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s", at ? "," : "",
				       json_string_value(v));
		if (at >= sizeof(text))
			break;
	}
	sf_table_cell(t, "%s", text);
}

static void cell(struct sf_table *t, const json_t *v, enum sf_show show)
{
	char buf[SF_ADDR_STRLEN];
	struct sf_addr addr;
	json_int_t n = json_integer_value(v);

	if (json_is_array(v)) {
		cell_array(t, v);
		return;
	}
	if (show == SF_SHOW_ADDR && json_is_string(v) &&
	    !sf_addr_parse(json_string_value(v), &addr)) {
		sf_table_cell(t, "%s", sf_locator_print(&addr, buf));
		return;
	}
	if (show == SF_SHOW_TIME) {
		sf_table_cell(t, "%s", sf_cli_time(json_string_value(v), buf, sizeof(buf)));
		return;
	}
	if (!json_is_integer(v) || n < 0 || show == SF_SHOW_TEXT) {
		cell_scalar(t, v);
		return;
	}
	if (show == SF_SHOW_COUNT)
		sf_human_count((uint64_t)n, buf);
	else if (show == SF_SHOW_BYTES)
		sf_human_bytes((uint64_t)n, buf);
	else
		sf_human_duration((uint64_t)n, buf);
	sf_table_cell(t, "%s", buf);
}

void sf_cli_heading(const struct sf_cli *cli, const char *what, enum sf_daemon_kind who)
{
	if (!cli->json && isatty(STDOUT_FILENO))
		printf("%s known to the %s:\n", what, sf_cli_daemon_name(who));
}

void sf_cli_none(const struct sf_cli *cli, const json_t *rows, const char *what,
		 enum sf_daemon_kind who)
{
	if (!cli->json && !json_array_size(rows))
		fprintf(stderr, "scaffold %s: no %s known to the %s\n", cli->command, what,
			sf_cli_daemon_name(who));
}

char *sf_cli_time(const char *iso, char *buf, size_t len)
{
	struct tm tm = { 0 };
	time_t at;

	snprintf(buf, len, "%s", iso ? iso : "-");
	if (!iso || !strptime(iso, "%Y-%m-%dT%H:%M:%S", &tm))
		return buf;
	at = timegm(&tm);
	if (localtime_r(&at, &tm))
		strftime(buf, len, "%Y-%m-%d %H:%M:%S", &tm);
	return buf;
}

struct sort_row {
	json_t *row;
	const char *const *keys;
	size_t n_keys, at;
};

/* null before numbers before strings; rows that are alike keep their order. */
static int row_compare(const void *a, const void *b)
{
	const struct sort_row *x = a, *y = b;

	for (size_t i = 0; i < x->n_keys; i++) {
		const json_t *v = json_object_get(x->row, x->keys[i]);
		const json_t *w = json_object_get(y->row, x->keys[i]);
		int vs = json_is_string(v) ? 2 : json_is_integer(v);
		int ws = json_is_string(w) ? 2 : json_is_integer(w);
		json_int_t n = json_integer_value(v), m = json_integer_value(w);
		int order = vs - ws;

		if (!order && vs == 2)
			order = strcmp(json_string_value(v), json_string_value(w));
		else if (!order)
			order = (n > m) - (n < m);
		if (order)
			return order;
	}
	return x->at < y->at ? -1 : 1;
}

json_t *sf_cli_sort(const json_t *rows, const char *const *keys, size_t n_keys)
{
	size_t n = json_array_size(rows);
	struct sort_row *list = calloc(n + 1, sizeof(*list));
	json_t *out = json_array();

	for (size_t i = 0; list && i < n; i++)
		list[i] = (struct sort_row){ json_array_get(rows, i), keys, n_keys, i };
	if (list)
		qsort(list, n, sizeof(*list), row_compare);
	for (size_t i = 0; list && i < n; i++)
		json_array_append(out, list[i].row);
	if (!list || json_array_size(out) != n) {
		json_decref(out);
		out = NULL;
	}
	free(list);
	return out;
}

int sf_cli_rows(const struct sf_cli *cli, const json_t *rows, const struct sf_show_column *columns,
		size_t n)
{
	struct sf_column heads[16];
	struct sf_table *t;
	const json_t *row;
	size_t i;
	int err;

	if (cli->json)
		return sf_cli_value(rows);
	for (i = 0; i < n && i < sizeof(heads) / sizeof(heads[0]); i++)
		heads[i] = (struct sf_column){ columns[i].title,
					       columns[i].show == SF_SHOW_COUNT ||
							       columns[i].show == SF_SHOW_BYTES
						       ? SF_RIGHT
						       : SF_LEFT };
	t = sf_table_new(heads, n);
	if (!t)
		return sf_cli_fail(cli, "out of memory");
	json_array_foreach (rows, i, row) {
		for (size_t c = 0; c < n; c++)
			cell(t, descend(row, columns[c].key), columns[c].show);
	}
	err = sf_table_print(t, stdout);
	sf_table_free(t);
	return err ? sf_cli_fail(cli, "cannot print: %s", strerror(-err)) : 0;
}
