// SPDX-License-Identifier: Apache-2.0
/* hosts.c - scaffold hosts: who has joined, where. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/hosts.h"
#include "cli/shape.h"

static int controller_all(struct sf_cli *cli, json_t *rows)
{
	char *after = NULL;
	int err, again = 0;

	do {
		json_t *reply = NULL;
		char *path = after ? sf_cli_path("/v1/hosts?after=%s", after) : strdup("/v1/hosts");
		char text[700] = "";
		const char *next;

		err = path ? sf_cli_try(cli, SF_CONTROLLER, "GET", path, NULL, &reply, text,
					sizeof(text))
			   : -ENOMEM;
		free(path);
		free(after);
		after = NULL;
		if (err == -EEXIST && again++ < 3) { /* the page's first host has left */
			json_array_clear(rows);
			continue;
		}
		if (err) {
			sf_cli_fail(cli, "%s", *text ? text : strerror(-err));
			return err;
		}
		sf_shape_hosts(SF_CONTROLLER, reply, rows);
		next = json_string_value(json_object_get(reply, "next"));
		after = next ? strdup(next) : NULL;
		json_decref(reply);
	} while (after || err);
	return 0;
}

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

int sf_hosts_rows(struct sf_cli *cli, enum sf_daemon_kind who, json_t **out)
{
	static const char *const order[] = { "host", "locator" };
	json_t *rows = json_array(), *reply = NULL;
	int err;

	if (who == SF_CONTROLLER)
		err = controller_all(cli, rows);
	else
		err = sf_cli_call(cli, who, "GET", who == SF_AGENT ? "/v1/status" : "/v1/hosts",
				  NULL, &reply);
	if (!err && who != SF_CONTROLLER)
		sf_shape_hosts(who, reply, rows);
	if (!err && who == SF_ROUTER)
		err = name_router(cli, rows);
	if (!err) {
		*out = sf_cli_sort(rows, order, sizeof(order) / sizeof(order[0]));
		err = *out ? 0 : -ENOMEM;
	}
	json_decref(reply);
	json_decref(rows);
	return err;
}

int cmd_hosts(struct sf_cli *cli, int argc, char **argv)
{
	static const struct sf_show_column columns[] = {
		{ "HOST", "host", SF_SHOW_TEXT },	   { "LOCATOR", "locator", SF_SHOW_TEXT },
		{ "ROUTER", "router", SF_SHOW_TEXT },	   { "SINCE", "since", SF_SHOW_TIME },
		{ "SERVICES", "services", SF_SHOW_COUNT },
	};
	enum sf_daemon_kind who = sf_cli_who(cli);
	json_t *rows = NULL;
	int ret;

	if (argc != 1)
		return sf_cli_usage(cli);
	if (sf_hosts_rows(cli, who, &rows))
		return SF_EXIT_FAILED;
	sf_cli_heading(cli, "hosts", who);
	sf_cli_none(cli, rows, "hosts are", who);
	ret = sf_cli_rows(cli, rows, columns, sizeof(columns) / sizeof(columns[0]));
	json_decref(rows);
	return ret;
}
