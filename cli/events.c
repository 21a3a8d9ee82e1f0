// SPDX-License-Identifier: Apache-2.0
/* events.c - scaffold events: what happened here, and why. */
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/shape.h"
#include "util/httpc.h"

struct events {
	struct sf_cli *cli;
	enum sf_daemon_kind who;
	struct sf_names names;
};

/* Text of the network's: no control characters reach the terminal. */
static void put_text(const char *text)
{
	for (; *text; text++)
		putchar((unsigned char)*text < ' ' || *text == 127 ? '?' : *text);
}

/* "web tcp/80", with protocol and port where they are known. */
static void put_service(const json_t *row)
{
	const char *service = json_string_value(json_object_get(row, "service"));
	const char *proto = json_string_value(json_object_get(row, "proto"));
	json_int_t port = json_integer_value(json_object_get(row, "port"));

	if (!service)
		return;
	fputs("  ", stdout);
	put_text(service);
	if (proto && port)
		printf(" %s/%d", proto, (int)port);
}

/* Whether @text has the name of @reason, as a word of its own. */
static bool is_said(const char *text, const char *reason)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz-";
	size_t len = strlen(reason);

	for (const char *at = text ? strstr(text, reason) : NULL; at; at = strstr(at + 1, reason))
		if ((at == text || !strchr(letters, at[-1])) &&
		    (!at[len] || !strchr(letters, at[len])))
			return true;
	return false;
}

static int event_line(const struct events *e, const json_t *row)
{
	const char *kind = json_string_value(json_object_get(row, "kind"));
	const char *host = json_string_value(json_object_get(row, "host"));
	const char *router = json_string_value(json_object_get(row, "router"));
	const char *reason = json_string_value(json_object_get(row, "reason"));
	const char *text = json_string_value(json_object_get(row, "text"));
	char at[40];

	if (e->cli->json) {
		if (json_dumpf(row, stdout, JSON_COMPACT | JSON_SORT_KEYS) || putchar('\n') == EOF)
			return SF_EXIT_FAILED;
		return fflush(stdout) ? SF_EXIT_FAILED : 0;
	}
	sf_cli_time(json_string_value(json_object_get(row, "time")), at, sizeof(at));
	printf("%s  %-16s  ", at, kind ? kind : "?");
	put_text(host ? host : router ? router : "-");
	/* A host's registration of itself needs its name but once. */
	if (!json_equal(json_object_get(row, "host"), json_object_get(row, "service")))
		put_service(row);
	if (reason && (!kind || strcmp(kind, reason) != 0) && !is_said(text, reason))
		printf("  %s", reason);
	if (text && *text) {
		fputs("  ", stdout);
		put_text(text);
	}
	return putchar('\n') == EOF || fflush(stdout) ? SF_EXIT_FAILED : 0;
}

static int on_line(const json_t *line, void *ctx)
{
	struct events *e = ctx;
	json_t *row = sf_shape_event(line, &e->names);
	int ret = event_line(e, row);

	json_decref(row);
	return ret;
}

static int follow(struct events *e, const char *path)
{
	struct sf_httpc *client = sf_cli_client(e->cli, e->who);
	char err[512] = "";
	int ret;

	if (!client)
		return SF_EXIT_FAILED;
	ret = sf_httpc_stream(client, path, on_line, e, err, sizeof(err));
	sf_httpc_free(client);
	if (ret > 0)
		return ret; /* nobody reads us any more */
	return sf_cli_fail(e->cli, "%s: %s", sf_cli_daemon_name(e->who),
			   *err ? err : "ended the stream");
}

static int list(struct events *e, const char *path)
{
	json_t *reply = NULL, *event, *rows = json_array();
	size_t i;
	int ret = 0;

	if (sf_cli_call(e->cli, e->who, "GET", path, NULL, &reply)) {
		json_decref(rows);
		return SF_EXIT_FAILED;
	}
	json_array_foreach (json_object_get(reply, "events"), i, event)
		json_array_append_new(rows, sf_shape_event(event, &e->names));
	if (e->cli->json)
		ret = sf_cli_value(rows);
	for (i = 0; !e->cli->json && !ret && i < json_array_size(rows); i++)
		ret = event_line(e, json_array_get(rows, i));
	json_decref(rows);
	json_decref(reply);
	return ret;
}

static bool number(const struct sf_cli *cli, const char *what, const char *text,
		   unsigned long long max, unsigned long long *out)
{
	char *end;

	*out = strtoull(text, &end, 10);
	if (*text >= '0' && *text <= '9' && !*end && *out <= max)
		return true;
	sf_cli_fail(cli, "%s '%s': expected a number from 0 to %llu", what, text, max);
	return false;
}

int cmd_events(struct sf_cli *cli, int argc, char **argv)
{
	static const struct option options[] = { { "follow", no_argument, NULL, 'f' },
						 { "since", required_argument, NULL, 's' },
						 { "limit", required_argument, NULL, 'n' },
						 { 0 } };
	struct events e = { .cli = cli, .who = sf_cli_who(cli) };
	unsigned long long since = 0, limit = 100;
	bool following = false;
	char path[128];
	int opt, ret;

	while ((opt = getopt_long(argc, argv, "fs:n:", options, NULL)) != -1) {
		if (opt == 'f')
			following = true;
		else if (opt != 's' && opt != 'n')
			return sf_cli_usage(cli);
		else if (!(opt == 's' ? number(cli, "--since", optarg, INT64_MAX - 1, &since)
				      : number(cli, "--limit", optarg, 10000, &limit)))
			return SF_EXIT_USAGE;
	}
	if (optind != argc)
		return sf_cli_usage(cli);
	sf_names_load(cli, &e.names);
	snprintf(path, sizeof(path), "/v1/events?since=%llu&limit=%llu&follow=%d", since, limit,
		 following);
	ret = following ? follow(&e, path) : list(&e, path);
	sf_names_free(&e.names);
	return ret;
}
