// SPDX-License-Identifier: Apache-2.0
/* services.c - scaffold services: who serves what, with which share, and why not. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/services.h"
#include "cli/shape.h"

static int controller_all(struct sf_cli *cli, const struct sf_names *names, bool all, json_t *rows)
{
	json_t *reply = NULL;
	int err = sf_cli_pages(cli,
			       all ? "/v1/services?full=1&hosts=1" : "/v1/services?full=1&hosts=0",
			       "services", &reply);

	if (err)
		return err;
	sf_shape_services(SF_CONTROLLER, reply, names, all, rows);
	json_decref(reply);
	return 0;
}

static int router_all(struct sf_cli *cli, const struct sf_names *names, bool all, json_t *rows)
{
	json_int_t at = 0, total;

	do {
		json_t *reply = NULL;
		char path[64];
		json_int_t n;
		int err;

		snprintf(path, sizeof(path), "/v1/services?limit=1000&offset=%" JSON_INTEGER_FORMAT,
			 at);
		err = sf_cli_call(cli, SF_ROUTER, "GET", path, NULL, &reply);
		if (err)
			return err;
		n = (json_int_t)json_array_size(json_object_get(reply, "services"));
		total = json_integer_value(json_object_get(reply, "total"));
		sf_shape_services(SF_ROUTER, reply, names, all, rows);
		json_decref(reply);
		at += n;
		if (!n)
			break;
	} while (at < total);
	return 0;
}

static int rows_of(struct sf_cli *cli, enum sf_daemon_kind who, const char *service,
		   struct sf_names *names, bool all, json_t *rows)
{
	json_t *reply = NULL, *row;
	size_t i;
	int err;

	if (who == SF_CONTROLLER && !service)
		return controller_all(cli, names, all, rows);
	if (who == SF_ROUTER && !service)
		return router_all(cli, names, all, rows);
	if (who == SF_CONTROLLER)
		err = sf_cli_get(cli, who, &reply, "/v1/services/%s", service);
	else if (who == SF_ROUTER)
		err = sf_cli_get(cli, who, &reply, "/v1/services?service=%s", service);
	else
		err = sf_cli_call(cli, who, "GET", "/v1/services", NULL, &reply);
	json_array_foreach (json_object_get(who == SF_AGENT ? reply : NULL, "services"), i, row)
		if (!json_is_string(json_object_get(row, "name")))
			sf_names_ask(cli, names,
				     json_string_value(json_object_get(row, "service")));
	if (!err)
		sf_shape_services(who, reply, names, all || service, rows);
	json_decref(reply);
	return err;
}

/* The agent's rows are of its own host. */
static int own_host(struct sf_cli *cli, json_t *rows)
{
	json_t *status = NULL, *row;
	size_t i;
	int err = sf_cli_call(cli, SF_AGENT, "GET", "/v1/status", NULL, &status);

	json_array_foreach (rows, i, row) {
		json_object_set(row, "host", json_object_get(status, "name"));
		json_object_set(row, "host_id", json_object_get(status, "id"));
		json_object_set(row, "locator", json_object_get(status, "locator"));
	}
	json_decref(status);
	return err;
}

static void keep_only(json_t *rows, const char *sid)
{
	for (size_t i = json_array_size(rows); i-- > 0;) {
		const json_t *row = json_array_get(rows, i);

		if (strcmp(json_string_value(json_object_get(row, "sid")), sid) != 0)
			json_array_remove(rows, i);
	}
}

int sf_services_rows(struct sf_cli *cli, enum sf_daemon_kind who, const char *service, bool all,
		     json_t **out)
{
	static const char *const order[] = { "service", "sid", "proto", "port", "host", "locator" };
	json_t *rows = json_array();
	struct sf_names names = { 0 };
	char sid[SF_ADDR_STRLEN];
	struct sf_sid wanted;
	int err = service ? sf_cli_sid(cli, service, &wanted) : 0;

	if (err)
		goto out;
	sf_names_load(cli, &names);
	if (service)
		sf_names_learn(&names, &wanted, service);
	err = rows_of(cli, who, service, &names, all, rows);
	if (!err && who == SF_AGENT)
		err = own_host(cli, rows);
	if (err)
		goto out;
	if (service)
		keep_only(rows, sf_sid_print(&wanted, sid));
	*out = sf_cli_sort(rows, order, sizeof(order) / sizeof(order[0]));
	err = *out ? 0 : -ENOMEM;
out:
	sf_names_free(&names);
	json_decref(rows);
	return err;
}

/* 25 %, 0.47 % */
static void share_text(const json_t *share, char *buf, size_t len)
{
	double percent = json_real_value(share) * 100;

	if (!json_is_real(share))
		snprintf(buf, len, "-");
	else
		snprintf(buf, len, percent > 0 && percent < 9.95 ? "%.2g%%" : "%.0f%%", percent);
}

int sf_services_print(const struct sf_cli *cli, const json_t *rows)
{
	static const struct sf_show_column columns[] = {
		{ "SERVICE", "title", SF_SHOW_TEXT },	 { "PROTO", "proto", SF_SHOW_TEXT },
		{ "PORT", "port_text", SF_SHOW_TEXT },	 { "HOST", "host_text", SF_SHOW_TEXT },
		{ "WEIGHT", "weight", SF_SHOW_TEXT },	 { "SHARE", "share_text", SF_SHOW_TEXT },
		{ "STATE", "state_text", SF_SHOW_TEXT }, { "FLOWS", "flows", SF_SHOW_COUNT },
		{ "OPEN", "open", SF_SHOW_COUNT },	 { "PACKETS", "packets", SF_SHOW_COUNT },
		{ "BYTES", "bytes", SF_SHOW_BYTES },
	};
	json_t *shown;
	json_t *row;
	size_t i;
	int ret;

	if (cli->json)
		return sf_cli_value(rows);
	shown = json_array();
	json_array_foreach (rows, i, row) {
		json_t *r = json_copy(row);
		const char *service = json_string_value(json_object_get(row, "service"));
		const char *host = json_string_value(json_object_get(row, "host"));
		const char *state = json_string_value(json_object_get(row, "state"));
		const char *why = json_string_value(json_object_get(row, "reason"));
		json_int_t port = json_integer_value(json_object_get(row, "port"));
		char text[128];

		json_object_set(r, "title", json_object_get(row, service ? "service" : "sid"));
		snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, port);
		json_object_set_new(r, "port_text", json_string(port ? text : "any"));
		share_text(json_object_get(row, "share"), text, sizeof(text));
		json_object_set_new(r, "share_text", json_string(text));
		json_object_set(r, "host_text", json_object_get(row, host ? "host" : "locator"));
		snprintf(text, sizeof(text), why ? "%s (%s)" : "%s", state ? state : "?", why);
		json_object_set_new(r, "state_text", json_string(text));
		json_array_append_new(shown, r);
	}
	ret = sf_cli_rows(cli, shown, columns, sizeof(columns) / sizeof(columns[0]));
	json_decref(shown);
	return ret;
}

bool sf_services_is_on(const json_t *row, const char *host)
{
	static const char *const keys[] = { "host", "host_id", "locator" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const char *text = json_string_value(json_object_get(row, keys[i]));

		if (text && !strcmp(text, host))
			return true;
	}
	return false;
}

int cmd_services(struct sf_cli *cli, int argc, char **argv)
{
	static const struct option options[] = { { "all", no_argument, NULL, 'a' }, { 0 } };
	enum sf_daemon_kind who = sf_cli_who(cli);
	const char *service = NULL;
	json_t *rows = NULL;
	bool all = false;
	int opt, ret;

	while ((opt = getopt_long(argc, argv, "a", options, NULL)) != -1) {
		if (opt != 'a')
			return sf_cli_usage(cli);
		all = true;
	}
	if (argc - optind > 1)
		return sf_cli_usage(cli);
	if (optind < argc)
		service = argv[optind];
	if (sf_services_rows(cli, who, service, all, &rows))
		return SF_EXIT_FAILED;
	if (service && !json_array_size(rows)) {
		json_decref(rows);
		return sf_cli_fail(cli, "service '%s': the %s knows no instance of it", service,
				   sf_cli_daemon_name(who));
	}
	sf_cli_heading(cli, "services", who);
	if (who == SF_AGENT && !all && !cli->json && !json_array_size(rows))
		fprintf(stderr, "scaffold services: no services on this host; the network's are "
				"shown on a router or the controller\n");
	else
		sf_cli_none(cli, rows, "services but the hosts themselves are", who);
	ret = sf_services_print(cli, rows);
	json_decref(rows);
	return ret;
}
