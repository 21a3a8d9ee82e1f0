// SPDX-License-Identifier: Apache-2.0
/* flows.c - scaffold flows: the flow table of this host. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/shape.h"
#include "cli/target.h"
#include "core/flow.h"

#define LEAST_WATCH_MS 50
#define LIMIT_MAX      100000 /* as the agent has it */

struct flows {
	struct sf_cli *cli;
	const char *service, *state, *proto;
	char *path;
	unsigned int watch_ms;
	bool ids; /* no names in the table */
	struct sf_names names;
};

/* "web:80", "h3:41000"; a serviceID where no name is known or wanted, an address where it is none.
 */
static json_t *end_text(const struct flows *f, const json_t *row, const char *end)
{
	char key[32], sid[SF_ADDR_STRLEN], text[SF_NAME_MAX + 32];
	const char *addr = json_string_value(json_object_get(row, end)), *name;
	json_int_t port;

	snprintf(key, sizeof(key), "%s_port", end);
	port = json_integer_value(json_object_get(row, key));
	name = sf_names_of_addr(&f->names, addr, sid);
	if (name && !f->ids)
		snprintf(text, sizeof(text), "%s:%d", name, (int)port);
	else
		snprintf(text, sizeof(text), "[%s]:%d", *sid ? sid : addr ? addr : "?", (int)port);
	return json_string(text);
}

/* "2+1": moves of our end and of the peer's; "2+1 moving" while they are not through. */
static json_t *moves_text(const json_t *row)
{
	const json_t *move = json_object_get(row, "move");
	const char *state = json_string_value(json_object_get(move, "state"));
	char text[64];

	if (!json_is_object(move))
		return json_null();
	snprintf(text, sizeof(text), "%d+%d%s%s",
		 (int)json_integer_value(json_object_get(move, "own")),
		 (int)json_integer_value(json_object_get(move, "peer")),
		 state && !strcmp(state, "settled") ? "" : " ",
		 state && !strcmp(state, "settled") ? ""
		 : state			    ? state
						    : "?");
	return json_string(text);
}

/* "bound", "closing (shed)": the last that a FAIL, or silence, said of it. */
static json_t *state_text(const json_t *row)
{
	const char *state = json_string_value(json_object_get(row, "state"));
	const char *fail = json_string_value(json_object_get(row, "fail"));

	return fail ? json_sprintf("%s (%s)", state ? state : "?", fail)
		    : json_string(state ? state : "?");
}

static int flows_table(const struct flows *f, const json_t *rows)
{
	static const struct sf_show_column columns[] = {
		{ "ID", "id", SF_SHOW_TEXT },
		{ "PROTO", "proto", SF_SHOW_TEXT },
		{ "LOCAL", "local_text", SF_SHOW_TEXT },
		{ "PEER", "peer_text", SF_SHOW_TEXT },
		{ "OWN LOCATOR", "own_locator", SF_SHOW_TEXT },
		{ "PEER LOCATOR", "peer_locator", SF_SHOW_TEXT },
		{ "STATE", "state_text", SF_SHOW_TEXT },
		{ "MOVES", "moves_text", SF_SHOW_TEXT },
		{ "AGE", "age_ms", SF_SHOW_MS },
		{ "IDLE", "idle_ms", SF_SHOW_MS },
		{ "TX", "tx_bytes", SF_SHOW_BYTES },
		{ "RX", "rx_bytes", SF_SHOW_BYTES },
	};
	json_t *shown = json_array(), *row;
	size_t i;
	int ret;

	json_array_foreach (rows, i, row) {
		json_t *r = json_copy(row);

		json_object_set_new(r, "local_text", end_text(f, row, "local"));
		json_object_set_new(r, "peer_text", end_text(f, row, "peer"));
		json_object_set_new(r, "moves_text", moves_text(row));
		json_object_set_new(r, "state_text", state_text(row));
		json_array_append_new(shown, r);
	}
	ret = sf_cli_rows(f->cli, shown, columns, sizeof(columns) / sizeof(columns[0]));
	json_decref(shown);
	return ret;
}

static void ask_name(struct flows *f, const json_t *flow, const char *end)
{
	char sid[SF_ADDR_STRLEN];

	if (!sf_names_of_addr(&f->names, json_string_value(json_object_get(flow, end)), sid) &&
	    *sid)
		sf_names_ask(f->cli, &f->names, sid);
}

static json_t *flows_rows(struct flows *f, const json_t *reply)
{
	static const char *const order[] = { "local_name", "local", "local_port",
					     "peer_name",  "peer",  "peer_port" };
	json_t *rows = json_array(), *sorted;
	const json_t *flow;
	size_t i;

	json_array_foreach (json_object_get(reply, "flows"), i, flow) {
		const char *proto = json_string_value(json_object_get(flow, "proto"));

		ask_name(f, flow, "local");
		ask_name(f, flow, "peer");
		if (!f->proto || (proto && !strcmp(proto, f->proto)))
			json_array_append_new(rows, sf_shape_flow(flow, &f->names));
	}
	sorted = sf_cli_sort(rows, order, sizeof(order) / sizeof(order[0]));
	json_decref(rows);
	return sorted;
}

static int flows_once(struct flows *f)
{
	json_t *reply = NULL, *rows;
	json_int_t total, shown;
	int ret;

	if (sf_cli_call(f->cli, SF_AGENT, "GET", f->path, NULL, &reply))
		return SF_EXIT_FAILED;
	rows = flows_rows(f, reply);
	if (!rows) {
		json_decref(reply);
		return sf_cli_fail(f->cli, "out of memory");
	}
	if (!f->watch_ms)
		sf_cli_none(f->cli, rows,
			    f->service || f->state || f->proto ? "such flows are" : "flows are",
			    SF_AGENT);
	total = json_integer_value(json_object_get(reply, "total"));
	shown = (json_int_t)json_array_size(json_object_get(reply, "flows"));
	if (f->watch_ms && f->cli->json) {
		ret = json_dumpf(rows, stdout, JSON_COMPACT) || putchar('\n') == EOF;
	} else {
		if (f->watch_ms && isatty(STDOUT_FILENO))
			fputs("\033[H\033[J", stdout);
		ret = f->cli->json ? sf_cli_value(rows) : flows_table(f, rows);
	}
	if (total > shown)
		fprintf(stderr,
			"scaffold flows: %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT
			" are listed (--limit N, or filters)\n",
			shown, total);
	json_decref(rows);
	json_decref(reply);
	return ret;
}

static int flows_path(struct flows *f, const char *limit)
{
	char *service = f->service ? sf_cli_path("&service=%s", f->service) : strdup("");
	char *state = f->state ? sf_cli_path("&state=%s", f->state) : strdup("");
	int n = -1;

	if (service && state)
		n = asprintf(&f->path, "/v1/flows?limit=%s%s%s", limit, service, state);
	free(service);
	free(state);
	if (n < 0)
		f->path = NULL;
	return n < 0 ? -ENOMEM : 0;
}

static int flows_parse(struct flows *f, int argc, char **argv, const char **limit)
{
	static const struct option options[] = { { "state", required_argument, NULL, 's' },
						 { "proto", required_argument, NULL, 'p' },
						 { "limit", required_argument, NULL, 'n' },
						 { "watch", required_argument, NULL, 'w' },
						 { "ids", no_argument, NULL, 'i' },
						 { 0 } };
	int opt, ms;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 's') {
			f->state = optarg;
		} else if (opt == 'i') {
			f->ids = true;
		} else if (opt == 'p') {
			f->proto = optarg;
		} else if (opt == 'n') {
			if (sf_target_number(f->cli, "--limit", optarg, 1, LIMIT_MAX) < 0)
				return SF_EXIT_USAGE;
			*limit = optarg;
		} else if (opt == 'w') {
			ms = sf_target_seconds(f->cli, "--watch", optarg);
			if (ms < 0)
				return SF_EXIT_USAGE;
			f->watch_ms = ms < LEAST_WATCH_MS ? LEAST_WATCH_MS : (unsigned int)ms;
		} else {
			return sf_cli_usage(f->cli);
		}
	}
	if (argc - optind > 1)
		return sf_cli_usage(f->cli);
	if (optind < argc)
		f->service = argv[optind];
	return 0;
}

int cmd_flows(struct sf_cli *cli, int argc, char **argv)
{
	struct flows f = { .cli = cli };
	const char *limit = "1000";
	struct sf_sid sid;
	uint8_t proto;
	int ret = flows_parse(&f, argc, argv, &limit);

	if (ret)
		return ret;
	if (f.proto && (sf_proto_parse(f.proto, &proto) || !proto)) {
		sf_cli_fail(cli, "--proto '%s': expected tcp or udp", f.proto);
		return SF_EXIT_USAGE;
	}
	if (!sf_cli_has(cli, SF_AGENT) && sf_cli_who(cli) != SF_ANYBODY &&
	    sf_cli_who(cli) != SF_AGENT)
		return sf_cli_fail(cli,
				   "flows are known to the agents of hosts, and in %s only a %s "
				   "answers; ask on a host",
				   cli->run, sf_cli_daemon_name(sf_cli_who(cli)));
	if (f.service && sf_cli_sid(cli, f.service, &sid))
		return SF_EXIT_FAILED;
	if (flows_path(&f, limit))
		return sf_cli_fail(cli, "out of memory");
	sf_names_load(cli, &f.names);
	if (f.service)
		sf_names_learn(&f.names, &sid, f.service);
	for (;;) {
		struct timespec pause = { f.watch_ms / 1000, f.watch_ms % 1000 * 1000000L };

		ret = flows_once(&f);
		if (ret || !f.watch_ms || fflush(stdout))
			break;
		nanosleep(&pause, NULL);
	}
	sf_names_free(&f.names);
	free(f.path);
	return ret;
}
