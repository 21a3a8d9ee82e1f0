// SPDX-License-Identifier: Apache-2.0
/* routers.c - scaffold routers: which are connected to the controller, and which it has lost. */
#include <stdlib.h>
#include <string.h>

#include "cli/shape.h"

int cmd_routers(struct sf_cli *cli, int argc, char **argv)
{
	static const struct sf_show_column columns[] = {
		{ "ROUTER", "router", SF_SHOW_TEXT },  { "STATE", "state", SF_SHOW_TEXT },
		{ "LAST SEEN", "seen", SF_SHOW_TEXT }, { "ADDRESS", "address", SF_SHOW_TEXT },
		{ "ROLES", "roles", SF_SHOW_TEXT },    { "BLOCKS", "blocks", SF_SHOW_TEXT },
		{ "HOSTS", "hosts", SF_SHOW_COUNT },   { "RTT", "rtt_ms", SF_SHOW_MS },
		{ "ID", "id", SF_SHOW_TEXT },
	};
	static const char *const order[] = { "router", "id" };
	json_t *reply = NULL, *rows = json_array(), *sorted = NULL, *row;
	int ret = SF_EXIT_FAILED;
	char at[40];
	size_t i;

	(void)argv;
	if (argc != 1) {
		json_decref(rows);
		return sf_cli_usage(cli);
	}
	if (sf_cli_call(cli, SF_CONTROLLER, "GET", "/v1/routers", NULL, &reply))
		goto out;
	sf_shape_routers(reply, rows);
	sorted = sf_cli_sort(rows, order, sizeof(order) / sizeof(order[0]));
	if (!sorted) {
		ret = sf_cli_fail(cli, "out of memory");
		goto out;
	}
	json_array_foreach (cli->json ? NULL : sorted, i, row) {
		const char *seen = json_string_value(json_object_get(row, "last_seen"));
		const char *state = json_string_value(json_object_get(row, "state"));

		sf_cli_time(seen, at, sizeof(at));
		json_object_set_new(row, "seen",
				    json_string(seen || !strcmp(state, "awaited") ? at : "now"));
	}
	sf_cli_none(cli, sorted, "routers are", SF_CONTROLLER);
	ret = sf_cli_rows(cli, sorted, columns, sizeof(columns) / sizeof(columns[0]));
out:
	json_decref(sorted);
	json_decref(rows);
	json_decref(reply);
	return ret;
}
