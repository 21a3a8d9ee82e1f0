// SPDX-License-Identifier: Apache-2.0
/* hosts.c - scaffold hosts: who has joined, where. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/hosts.h"
#include "cli/shape.h"

/* A router's hosts are at that router. */
static int name_router(struct sf_cli *cli, json_t *rows)
{
	json_t *status = NULL, *row;
	size_t i;
	int err = sf_cli_call(cli, SF_ROUTER, "GET", "/v1/status", NULL, &status);

	json_array_foreach (rows, i, row)
		json_object_set(row, "router", json_object_get(status, "name"));
	json_decref(status);
	return err;
}

/* A host knows its router by identity. */
static void ask_router(struct sf_cli *cli, json_t *rows)
{
	struct sf_names names = { 0 };
	const char *id, *name;
	json_t *row;
	size_t i;

	sf_names_load(cli, &names);
	json_array_foreach (rows, i, row) {
		id = json_string_value(json_object_get(row, "router"));
		sf_names_ask(cli, &names, id);
		name = sf_names_of(&names, id);
		if (name)
			json_object_set_new(row, "router", json_string(name));
	}
	sf_names_free(&names);
}

int sf_hosts_rows(struct sf_cli *cli, enum sf_daemon_kind who, bool all, json_t **out)
{
	const char *path = who == SF_AGENT ? "/v1/status" : all ? "/v1/hosts?all=1" : "/v1/hosts";
	static const char *const order[] = { "host", "locator" };
	json_t *rows = json_array(), *reply = NULL;
	int err;

	if (who == SF_CONTROLLER)
		err = sf_cli_pages(cli, "/v1/hosts", "hosts", &reply);
	else
		err = sf_cli_call(cli, who, "GET", path, NULL, &reply);
	if (!err)
		sf_shape_hosts(who, reply, rows);
	if (!err && who == SF_ROUTER)
		err = name_router(cli, rows);
	if (!err && who == SF_AGENT)
		ask_router(cli, rows);
	if (!err) {
		*out = sf_cli_sort(rows, order, sizeof(order) / sizeof(order[0]));
		err = *out ? 0 : -ENOMEM;
	}
	json_decref(reply);
	json_decref(rows);
	return err;
}

/* Who has not been heard for no more than some heartbeats is here now. */
static json_t *shown(const json_t *rows)
{
	json_t *list = json_array(), *row;
	size_t i;

	json_array_foreach (rows, i, row) {
		const char *state = json_string_value(json_object_get(row, "state"));
		json_t *r = json_copy(row);
		char at[40] = "now";

		if (!json_is_null(json_object_get(row, "last_seen")) || !state ||
		    (strcmp(state, "present") != 0 && strcmp(state, "standby") != 0))
			sf_cli_time(json_string_value(json_object_get(row, "last_seen")), at,
				    sizeof(at));
		json_object_set_new(r, "seen_text", json_string(at));
		json_array_append_new(list, r);
	}
	return list;
}

/* Names prove nothing, so two may have one. Sorted rows have them together. */
static void say_shared(const json_t *rows)
{
	const json_t *row, *last = NULL;
	const char *said = "";
	size_t i;

	json_array_foreach (rows, i, row) {
		const json_t *name = json_object_get(row, "host");
		const char *text = json_string_value(name);

		if (text && json_equal(name, json_object_get(last, "host")) &&
		    !json_equal(json_object_get(row, "id"), json_object_get(last, "id")) &&
		    strcmp(text, said) != 0) {
			fprintf(stderr,
				"scaffold hosts: several hosts call themselves %s: IDs tell them "
				"apart\n",
				text);
			said = text;
		}
		last = row;
	}
}

static int hosts_print(const struct sf_cli *cli, const json_t *rows)
{
	static const struct sf_show_column columns[] = {
		{ "HOST", "host", SF_SHOW_TEXT },
		{ "STATE", "state", SF_SHOW_TEXT },
		{ "ROUTER", "router", SF_SHOW_TEXT },
		{ "LOCATOR", "locator", SF_SHOW_TEXT },
		{ "SINCE", "since", SF_SHOW_TIME },
		{ "LAST SEEN", "seen_text", SF_SHOW_TEXT },
		{ "SERVICES", "services", SF_SHOW_COUNT },
		{ "ID", "id", SF_SHOW_TEXT },
	};
	json_t *list;
	int ret;

	if (cli->json)
		return sf_cli_value(rows);
	list = shown(rows);
	ret = sf_cli_rows(cli, list, columns, sizeof(columns) / sizeof(columns[0]));
	json_decref(list);
	say_shared(rows);
	return ret;
}

int cmd_hosts(struct sf_cli *cli, int argc, char **argv)
{
	static const struct option options[] = { { "all", no_argument, NULL, 'a' }, { 0 } };
	enum sf_daemon_kind who = sf_cli_who(cli);
	json_t *rows = NULL;
	bool all = false;
	int opt, ret;

	while ((opt = getopt_long(argc, argv, "a", options, NULL)) != -1) {
		if (opt != 'a')
			return sf_cli_usage(cli);
		all = true;
	}
	if (optind != argc)
		return sf_cli_usage(cli);
	if (sf_hosts_rows(cli, who, all, &rows))
		return SF_EXIT_FAILED;
	sf_cli_heading(cli, "hosts", who);
	sf_cli_none(cli, rows, "hosts are", who);
	ret = hosts_print(cli, rows);
	json_decref(rows);
	return ret;
}
