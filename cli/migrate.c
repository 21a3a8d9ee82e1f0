// SPDX-License-Identifier: Apache-2.0
/*
 * migrate.c - scaffold migrate: flows of this host move to another of its links, while they run.
 *
 * The agent begins the moves and answers at once; it is asked how many flows still move, and what
 * became of each, until both ends of each are through, or the patience is at its end.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/shape.h"
#include "cli/target.h"
#include "util/clock.h"
#include "util/table.h"

#define PATIENCE_MS 10000
#define LOOK_MS	    100
#define LOOK_EACH   10 /* a look at each flow is dear, where there are thousands: not each time */
#define SHOWN_MAX                                                                       \
	50 /* more flows than that are told as a number, but for those that do not move \
	    */

/**
 * struct migrate - @order: what the agent replied; @rows: {id, result, ...} of each flow.
 */
struct migrate {
	struct sf_cli *cli;
	const char *flow, *service, *to;
	bool all;
	int timeout_ms;
	json_t *order, *rows;
	size_t moved, moving, gone;
	uint64_t began, took;
	struct sf_names names;
};

static const char *text_of(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

/* "moved": both ends know all of it. */
static const char *result_of(const json_t *flow)
{
	const char *state = text_of(json_object_get(flow, "move"), "state");

	if (!flow)
		return "gone";
	return state && !strcmp(state, "settled") ? "moved" : "moving";
}

/* The flow table by id; NULL: failed, and said. */
static json_t *look(const struct migrate *m)
{
	json_t *reply = NULL, *table;
	const json_t *flow;
	size_t i;

	if (sf_cli_call(m->cli, SF_AGENT, "GET", "/v1/flows?limit=100000", NULL, &reply))
		return NULL;
	table = json_object();
	json_array_foreach (json_object_get(reply, "flows"), i, flow) {
		const char *id = text_of(flow, "id");

		if (id)
			json_object_set_new(table, id, sf_shape_flow(flow, &m->names));
	}
	json_decref(reply);
	return table;
}

static int judge(struct migrate *m)
{
	json_t *table = look(m), *row;
	const json_t *id;
	size_t i;

	if (!table)
		return SF_EXIT_FAILED;
	json_decref(m->rows);
	m->rows = json_array();
	m->moved = m->moving = m->gone = 0;
	json_array_foreach (json_object_get(m->order, "flows"), i, id) {
		const json_t *flow = json_object_get(table, json_string_value(id));
		const char *result = result_of(flow);

		row = flow ? json_deep_copy(flow) : json_pack("{s:O}", "id", id);
		json_object_set_new(row, "result", json_string(result));
		json_array_append_new(m->rows, row);
		m->moved += !strcmp(result, "moved");
		m->moving += !strcmp(result, "moving");
		m->gone += !strcmp(result, "gone");
	}
	m->took = sf_now_ms() - m->began;
	json_decref(table);
	return 0;
}

static void progress(const struct migrate *m, json_int_t left)
{
	if (m->cli->json || !isatty(STDERR_FILENO))
		return;
	if (left < 0)
		fputs("\r\033[K", stderr);
	else
		fprintf(stderr, "\r%" JSON_INTEGER_FORMAT " flows are moving\033[K", left);
}

/* Flows of this host that move, whoever asked for it; negative: failed, and said. */
static json_int_t still_moving(const struct migrate *m)
{
	json_t *reply = NULL;
	json_int_t n;

	if (sf_cli_call(m->cli, SF_AGENT, "GET", "/v1/moves", NULL, &reply))
		return -1;
	n = json_integer_value(json_object_get(reply, "pending")) +
	    json_integer_value(json_object_get(reply, "moving"));
	json_decref(reply);
	return n;
}

static int wait_moved(struct migrate *m)
{
	const struct timespec pause = { .tv_nsec = LOOK_MS * 1000000L };
	int ret = 0;

	for (unsigned int i = 1; !ret; i++) {
		json_int_t left = still_moving(m);
		bool late = sf_now_ms() - m->began >= (uint64_t)m->timeout_ms;

		if (left < 0)
			return SF_EXIT_FAILED;
		if (!left || late || i % LOOK_EACH == 0)
			ret = judge(m);
		if (!left || late || (i % LOOK_EACH == 0 && !m->moving))
			break;
		progress(m, left);
		nanosleep(&pause, NULL);
	}
	progress(m, -1);
	return ret;
}

/* ---- telling ---------------------------------------------------------------------------- */

static int tell_json(const struct migrate *m)
{
	json_t *out = json_pack(
		"{s:O, s:O, s:i, s:i, s:i, s:O, s:O, s:I, s:O}", "to",
		json_object_get(m->order, "to"), "place", json_object_get(m->order, "place"),
		"moved", (int)m->moved, "moving", (int)m->moving, "gone", (int)m->gone, "there",
		json_object_get(m->order, "there"), "early", json_object_get(m->order, "early"),
		"took_ms", (json_int_t)m->took, "flows", m->rows);
	int ret = sf_cli_value(out);

	json_decref(out);
	return ret;
}

static json_t *shown_rows(const struct migrate *m)
{
	bool all = json_array_size(m->rows) <= SHOWN_MAX;
	json_t *shown = json_array(), *row;
	size_t i;

	json_array_foreach (m->rows, i, row)
		if (all || strcmp(text_of(row, "result"), "moved") != 0)
			json_array_append(shown, row);
	return shown;
}

static int tell_people(const struct migrate *m)
{
	static const struct sf_show_column columns[] = {
		{ "ID", "id", SF_SHOW_TEXT },
		{ "PROTO", "proto", SF_SHOW_TEXT },
		{ "LOCAL", "local_name", SF_SHOW_TEXT },
		{ "PORT", "local_port", SF_SHOW_TEXT },
		{ "PEER", "peer_name", SF_SHOW_TEXT },
		{ "PORT", "peer_port", SF_SHOW_TEXT },
		{ "OWN LOCATOR", "own_locator", SF_SHOW_TEXT },
		{ "RESULT", "result", SF_SHOW_TEXT },
	};
	json_t *shown = shown_rows(m);
	char took[SF_HUMAN_LEN];
	int ret = 0;

	if (json_array_size(shown))
		ret = sf_cli_rows(m->cli, shown, columns, sizeof(columns) / sizeof(columns[0]));
	json_decref(shown);
	printf("%zu flow%s moved to %s (%s) after %s", m->moved, m->moved == 1 ? "" : "s",
	       text_of(m->order, "to"), text_of(m->order, "place"),
	       sf_human_duration(m->took, took));
	if (m->gone)
		printf("; %zu ended meanwhile", m->gone);
	putchar('\n');
	return ret;
}

/* ---- arguments -------------------------------------------------------------------------- */

static int parse(struct migrate *m, int argc, char **argv)
{
	static const struct option options[] = { { "flow", required_argument, NULL, 'f' },
						 { "service", required_argument, NULL, 's' },
						 { "all", no_argument, NULL, 'a' },
						 { "to", required_argument, NULL, 't' },
						 { "timeout", required_argument, NULL, 'w' },
						 { 0 } };
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'f') {
			m->flow = optarg;
		} else if (opt == 's') {
			m->service = optarg;
		} else if (opt == 'a') {
			m->all = true;
		} else if (opt == 't') {
			m->to = optarg;
		} else if (opt == 'w') {
			m->timeout_ms = sf_target_seconds(m->cli, "--timeout", optarg);
			if (m->timeout_ms < 0)
				return SF_EXIT_USAGE;
		} else {
			return sf_cli_usage(m->cli);
		}
	}
	if (optind != argc || !m->to || !!m->flow + !!m->service + m->all != 1)
		return sf_cli_usage(m->cli);
	return 0;
}

static int order(struct migrate *m)
{
	json_t *body = json_pack("{s:s}", "to", m->to);
	int ret;

	if (m->flow)
		json_object_set_new(body, "flow", json_string(m->flow));
	if (m->service)
		json_object_set_new(body, "service", json_string(m->service));
	if (m->all)
		json_object_set_new(body, "all", json_true());
	m->began = sf_now_ms();
	ret = sf_cli_call(m->cli, SF_AGENT, "POST", "/v1/migrate", body, &m->order);
	json_decref(body);
	return ret ? SF_EXIT_FAILED : 0;
}

int cmd_migrate(struct sf_cli *cli, int argc, char **argv)
{
	struct migrate m = { .cli = cli, .timeout_ms = PATIENCE_MS };
	struct sf_sid sid;
	int ret = parse(&m, argc, argv);

	if (ret)
		return ret;
	if (m.service && sf_cli_sid(cli, m.service, &sid))
		return SF_EXIT_FAILED;
	ret = order(&m);
	if (ret)
		return ret;
	sf_names_load(cli, &m.names);
	if (m.service)
		sf_names_learn(&m.names, &sid, m.service);
	ret = wait_moved(&m);
	if (!ret)
		ret = cli->json ? tell_json(&m) : tell_people(&m);
	if (!ret && m.moving)
		ret = sf_cli_fail(cli, "%zu flow%s not yet through: the agent goes on", m.moving,
				  m.moving == 1 ? " is" : "s are");
	sf_names_free(&m.names);
	json_decref(m.order);
	json_decref(m.rows);
	return ret;
}
