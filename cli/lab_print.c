// SPDX-License-Identifier: Apache-2.0
/* lab_print.c - tables of scaffold lab status. */
#include <string.h>

#include "cli/lab.h"
#include "util/table.h"

static const char *text(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value ? value : "";
}

/* What a node's daemon does, in a few words. */
static const char *node_state(const json_t *node, const char **where)
{
	const json_t *process = json_object_get(node, "process");
	const json_t *status = json_object_get(node, "status");

	*where = text(status, "locator");
	if (!json_is_true(json_object_get(node, "exists")))
		return "no namespace";
	if (!process)
		return "network only";
	if (!json_is_true(json_object_get(process, "running")))
		return json_is_integer(json_object_get(process, "pid")) ? "dead" : "not started";
	if (json_is_true(json_object_get(node, "ready")))
		return strcmp(text(node, "kind"), "host") == 0 ? "joined" : "ready";
	return status ? "not ready" : "no answer";
}

static int nodes_print(const json_t *status)
{
	static const struct sf_column columns[] = {
		{ "NODE", SF_LEFT },	{ "KIND", SF_LEFT },  { "NAMESPACE", SF_LEFT },
		{ "PID", SF_RIGHT },	{ "STATE", SF_LEFT }, { "NATIVE", SF_LEFT },
		{ "LOCATOR", SF_LEFT },
	};
	struct sf_table *t = sf_table_new(columns, sizeof(columns) / sizeof(columns[0]));
	const json_t *node;
	size_t i;
	int r;

	if (!t)
		return -1;
	json_array_foreach (json_object_get(status, "nodes"), i, node) {
		const json_t *pid = json_object_get(json_object_get(node, "process"), "pid");
		const char *where, *state = node_state(node, &where);

		sf_table_cell(t, "%s", text(node, "name"));
		sf_table_cell(t, "%s", text(node, "kind"));
		sf_table_cell(t, "%s", text(node, "namespace"));
		if (json_is_integer(pid))
			sf_table_cell(t, "%lld", (long long)json_integer_value(pid));
		else
			sf_table_cell(t, "%s", "");
		sf_table_cell(t, "%s", state);
		sf_table_cell(t, "%s", text(node, "address"));
		sf_table_cell(t, "%s", where);
	}
	r = sf_table_print(t, stdout);
	sf_table_free(t);
	return r;
}

static void count_cell(struct sf_table *t, const json_t *direction, const char *const *keys)
{
	const json_t *counters = json_object_get(direction, "counters");
	char human[SF_HUMAN_LEN];
	uint64_t sum = 0;

	if (!counters) {
		sf_table_cell(t, "%s", "");
		return;
	}
	for (; *keys; keys++)
		sum += (uint64_t)json_integer_value(json_object_get(counters, *keys));
	sf_table_cell(t, "%s", sf_human_count(sum, human));
}

/* One row for a plain link, one for each direction of an emulated one. */
static void link_rows(struct sf_table *t, const json_t *link)
{
	static const char *const sent[] = { "sent", NULL }, *const lost[] = { "lost", NULL };
	static const char *const full[] = { "queue_full", "no_memory",	"send_failed",
					    "overrun",	  "unreadable", NULL };
	const json_t *directions = json_object_get(link, "directions");
	size_t rows = json_array_size(directions);

	for (size_t i = 0; i < (rows ? rows : 1); i++) {
		const json_t *d = json_array_get(directions, i);

		sf_table_cell(t, "%s", text(link, "name"));
		sf_table_cell(t, "%s", text(d, "from"));
		sf_table_cell(t, "%s", json_is_true(json_object_get(link, "up")) ? "up" : "down");
		sf_table_cell(t, "%lld",
			      (long long)json_integer_value(json_object_get(link, "mtu")));
		count_cell(t, d, sent);
		count_cell(t, d, lost);
		count_cell(t, d, full);
		sf_table_cell(t, "%s", d ? text(d, "settings") : text(link, "settings"));
	}
}

static int links_print(const json_t *status)
{
	static const struct sf_column columns[] = {
		{ "LINK", SF_LEFT },	 { "FROM", SF_LEFT },	   { "STATE", SF_LEFT },
		{ "MTU", SF_RIGHT },	 { "SENT", SF_RIGHT },	   { "LOST", SF_RIGHT },
		{ "DROPPED", SF_RIGHT }, { "EMULATION", SF_LEFT },
	};
	struct sf_table *t = sf_table_new(columns, sizeof(columns) / sizeof(columns[0]));
	const json_t *link;
	size_t i;
	int r;

	if (!t)
		return -1;
	json_array_foreach (json_object_get(status, "links"), i, link)
		link_rows(t, link);
	r = sf_table_print(t, stdout);
	sf_table_free(t);
	return r;
}

/* Nodes, where they were asked for, and links. */
int sf_cli_lab_print(const struct sf_cli *cli, json_t *status)
{
	const json_t *emulator = json_object_get(status, "emulator");
	int r = 0;

	if (json_object_get(status, "nodes"))
		r = nodes_print(status) || putchar('\n') == EOF;
	if (!r)
		r = links_print(status);
	if (!r && emulator && json_object_get(emulator, "problem"))
		printf("\n%s\n", text(emulator, "problem"));
	json_decref(status);
	return r ? sf_cli_fail(cli, "output failed") : 0;
}
