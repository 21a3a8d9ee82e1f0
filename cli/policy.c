// SPDX-License-Identifier: Apache-2.0
/*
 * policy.c - scaffold policy: what has been decided for services, and taking it back.
 *
 * drain, weight and their like make entries in policies; here they are seen, also of services that
 * nobody serves now and of hosts that are away. Policies know hosts by identity (docs/api.md).
 */
#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/names.h"

static const char *text_of(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

/* What an identity is called: now, else when the entry was made. */
static const char *called(const struct sf_names *names, const char *identity, const json_t *entry)
{
	const char *name = sf_names_of(names, identity);

	return name ? name : text_of(entry, "name");
}

static json_t *number_text(const json_t *n, const char *none)
{
	char text[32];

	snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, json_integer_value(n));
	return json_string(json_is_integer(n) ? text : none);
}

/* ---- list ------------------------------------------------------------------------------- */

/* {service, sid, policy} of each, by name. NULL: failed, and said why. */
static json_t *policies(struct sf_cli *cli)
{
	static const char *const order[] = { "service", "sid" };
	json_t *reply = NULL, *rows, *sorted;
	const json_t *p;
	size_t i;

	if (sf_cli_call(cli, SF_CONTROLLER, "GET", "/v1/policies", NULL, &reply))
		return NULL;
	rows = json_array();
	json_array_foreach (json_object_get(reply, "policies"), i, p)
		json_array_append_new(rows, json_pack("{s:O, s:O, s:O}", "service",
						      json_object_get(p, "name"), "sid",
						      json_object_get(p, "id"), "policy",
						      json_object_get(p, "policy")));
	json_decref(reply);
	sorted = sf_cli_sort(rows, order, sizeof(order) / sizeof(order[0]));
	json_decref(rows);
	if (!sorted)
		sf_cli_fail(cli, "out of memory");
	return sorted;
}

static json_t *allowed_text(const json_t *allow)
{
	char text[32];

	if (!json_is_array(allow))
		return json_string("default");
	for (size_t i = 0; i < json_array_size(allow); i++)
		if (!strcmp(json_string_value(json_array_get(allow, i)), "*"))
			return json_string("anyone");
	snprintf(text, sizeof(text), "%zu host%s", json_array_size(allow),
		 json_array_size(allow) == 1 ? "" : "s");
	return json_string(text);
}

static int list(struct sf_cli *cli)
{
	static const struct sf_show_column columns[] = {
		{ "SERVICE", "title", SF_SHOW_TEXT },
		{ "ENABLED", "enabled", SF_SHOW_TEXT },
		{ "STICKY", "sticky", SF_SHOW_TEXT },
		{ "WEIGHT", "weight", SF_SHOW_TEXT },
		{ "MOVE GRACE", "move_grace", SF_SHOW_MS },
		{ "ALLOW", "allow", SF_SHOW_TEXT },
		{ "HOSTS", "hosts", SF_SHOW_TEXT },
		{ "DRAINING", "draining", SF_SHOW_TEXT },
	};
	json_t *rows = policies(cli), *row, *entry;
	const char *host;
	size_t i;
	int ret;

	if (!rows)
		return SF_EXIT_FAILED;
	json_array_foreach (cli->json ? NULL : rows, i, row) {
		const json_t *p = json_object_get(row, "policy");
		json_int_t draining = 0;

		json_object_foreach (json_object_get(p, "instances"), host, entry)
			draining += json_is_true(json_object_get(entry, "draining"));
		json_object_set(row, "title",
				json_object_get(row, text_of(row, "service") ? "service" : "sid"));
		json_object_set(row, "enabled", json_object_get(p, "enabled"));
		json_object_set(row, "sticky", json_object_get(p, "sticky"));
		json_object_set(row, "weight", json_object_get(p, "weight"));
		json_object_set(row, "move_grace", json_object_get(p, "move_grace_ms"));
		json_object_set_new(row, "allow", allowed_text(json_object_get(p, "allow")));
		json_object_set_new(row, "hosts",
				    json_integer((json_int_t)json_object_size(
					    json_object_get(p, "instances"))));
		json_object_set_new(row, "draining", json_integer(draining));
	}
	sf_cli_none(cli, rows, "policies are", SF_CONTROLLER);
	ret = sf_cli_rows(cli, rows, columns, sizeof(columns) / sizeof(columns[0]));
	json_decref(rows);
	return ret;
}

/* ---- show ------------------------------------------------------------------------------- */

static void allow_print(const json_t *allow, const struct sf_names *names)
{
	const json_t *item;
	size_t i;

	if (!json_is_array(allow)) {
		puts("may register  as the controller's register_default says");
		return;
	}
	if (!json_array_size(allow))
		puts("may register  nobody");
	json_array_foreach (allow, i, item) {
		const char *id = json_string_value(item);
		const char *name = called(names, id, NULL);

		printf("%-12s  ", i ? "" : "may register");
		if (!strcmp(id, "*"))
			puts("anyone");
		else
			printf("%s%s%s\n", name ? name : "", name ? " " : "", id);
	}
}

static int hosts_print(struct sf_cli *cli, const json_t *instances, const struct sf_names *names)
{
	static const struct sf_show_column columns[] = {
		{ "HOST", "host", SF_SHOW_TEXT },
		{ "WEIGHT", "weight", SF_SHOW_TEXT },
		{ "DRAINING", "draining", SF_SHOW_TEXT },
		{ "ID", "id", SF_SHOW_TEXT },
	};
	static const char *const order[] = { "host", "id" };
	json_t *rows = json_array(), *sorted, *entry;
	const char *id;
	int ret;

	json_object_foreach ((json_t *)(uintptr_t)instances, id, entry)
		json_array_append_new(
			rows,
			json_pack("{s:s?, s:o, s:O, s:s}", "host", called(names, id, entry),
				  "weight", number_text(json_object_get(entry, "weight"), "-"),
				  "draining", json_object_get(entry, "draining"), "id", id));
	sorted = sf_cli_sort(rows, order, sizeof(order) / sizeof(order[0]));
	ret = sorted ? sf_cli_rows(cli, sorted, columns, sizeof(columns) / sizeof(columns[0]))
		     : sf_cli_fail(cli, "out of memory");
	json_decref(sorted);
	json_decref(rows);
	return ret;
}

static const char *yes_no(const json_t *p, const char *key)
{
	return json_is_true(json_object_get(p, key)) ? "yes" : "no";
}

static int show(struct sf_cli *cli, const char *service)
{
	struct sf_names names = { 0 };
	char id[SF_ADDR_STRLEN];
	json_t *p = NULL, *out, *weight, *grace;
	const char *name;
	struct sf_sid sid;
	int ret;

	if (sf_cli_sid(cli, service, &sid) ||
	    sf_cli_get(cli, SF_CONTROLLER, &p, "/v1/services/%s/policy", service))
		return SF_EXIT_FAILED;
	sf_sid_print(&sid, id);
	sf_names_load(cli, &names);
	sf_names_learn(&names, &sid, service);
	name = sf_names_of(&names, id);
	if (cli->json) {
		out = json_pack("{s:s?, s:s, s:O}", "service", name, "sid", id, "policy", p);
		ret = sf_cli_value(out);
		json_decref(out);
	} else {
		weight = number_text(json_object_get(p, "weight"), "as registered, else 100");
		grace = number_text(json_object_get(p, "move_grace_ms"), "the network's");
		printf("service       %s%s%s\nenabled       %s\nsticky        %s\nweight        "
		       "%s\nmove grace    %s%s\n",
		       name ? name : "", name ? " " : "", id, yes_no(p, "enabled"),
		       yes_no(p, "sticky"), json_string_value(weight), json_string_value(grace),
		       json_is_integer(json_object_get(p, "move_grace_ms"))
			       ? " ms (hosts may use a former one for a minute)"
			       : "");
		allow_print(json_object_get(p, "allow"), &names);
		ret = json_object_size(json_object_get(p, "instances"))
			      ? hosts_print(cli, json_object_get(p, "instances"), &names)
			      : 0;
		json_decref(weight);
		json_decref(grace);
	}
	sf_names_free(&names);
	json_decref(p);
	return ret;
}

/* ---- delete ----------------------------------------------------------------------------- */

/* The entry that @host means, by identity or name. Return: its identity; NULL, and said why. */
static const char *entry_of(struct sf_cli *cli, const char *service, json_t *policy,
			    const struct sf_names *names, const char *host)
{
	const char *id, *found = NULL, *now, *then;
	json_t *entry;

	json_object_foreach (json_object_get(policy, "instances"), id, entry) {
		now = sf_names_of(names, id);
		then = text_of(entry, "name");
		if (strcmp(id, host) != 0 && (!now || strcmp(now, host) != 0) &&
		    (!then || strcmp(then, host) != 0))
			continue;
		if (found) {
			sf_cli_fail(cli,
				    "host '%s': the policy of %s has several of this name: "
				    "%s, %s; use the identity",
				    host, service, found, id);
			return NULL;
		}
		found = id;
	}
	if (!found)
		sf_cli_fail(cli, "host '%s': the policy of %s has no entry for it", host, service);
	return found;
}

/* One entry of a policy. @id: gets whose. */
static int delete_entry(struct sf_cli *cli, const char *service, const char *host, char *id,
			size_t len)
{
	char *path = sf_cli_path("/v1/services/%s/policy", service);
	struct sf_names names = { 0 };
	json_t *policy = NULL, *body;
	const char *found;
	int err = -ENOENT;

	if (!path) {
		sf_cli_fail(cli, "out of memory");
		return -ENOMEM;
	}
	if (sf_cli_call(cli, SF_CONTROLLER, "GET", path, NULL, &policy))
		goto out;
	sf_names_load(cli, &names);
	found = entry_of(cli, service, policy, &names, host);
	if (!found)
		goto out;
	snprintf(id, len, "%s", found);
	body = json_pack("{s:{s:n}}", "instances", found);
	err = sf_cli_call(cli, SF_CONTROLLER, "PATCH", path, body, NULL);
	json_decref(body);
out:
	sf_names_free(&names);
	json_decref(policy);
	free(path);
	return err;
}

static int delete_whole(struct sf_cli *cli, const char *service)
{
	char *path = sf_cli_path("/v1/services/%s/policy", service);
	int err;

	if (!path) {
		sf_cli_fail(cli, "out of memory");
		return -ENOMEM;
	}
	err = sf_cli_call(cli, SF_CONTROLLER, "DELETE", path, NULL, NULL);
	free(path);
	return err;
}

static int delete (struct sf_cli *cli, const char *service, const char *host)
{
	char id[SF_ADDR_STRLEN] = "";
	struct sf_sid sid;
	json_t *out;
	int ret;

	if (sf_cli_sid(cli, service, &sid))
		return SF_EXIT_FAILED;
	if (host ? delete_entry(cli, service, host, id, sizeof(id)) : delete_whole(cli, service))
		return SF_EXIT_FAILED;
	if (!cli->json) {
		if (host)
			printf("%s: %s has no weight or drain of its own now\n", service, host);
		else
			printf("%s: has no policy now\n", service);
		return 0;
	}
	out = json_pack("{s:s, s:s?, s:b}", "service", service, "host_id", *id ? id : NULL,
			"deleted", true);
	ret = sf_cli_value(out);
	json_decref(out);
	return ret;
}

int cmd_policy(struct sf_cli *cli, int argc, char **argv)
{
	static const struct option options[] = { { "host", required_argument, NULL, 'h' }, { 0 } };
	const char *host = NULL, *verb, *service;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt != 'h')
			return sf_cli_usage(cli);
		host = optarg;
	}
	verb = optind < argc ? argv[optind] : "list";
	service = optind + 1 < argc ? argv[optind + 1] : NULL;
	if (optind + 2 < argc || (host && strcmp(verb, "delete") != 0))
		return sf_cli_usage(cli);
	if (!strcmp(verb, "list") && !service)
		return list(cli);
	if (!strcmp(verb, "show") && service)
		return show(cli, service);
	if (!strcmp(verb, "delete") && service)
		return delete (cli, service, host);
	return sf_cli_usage(cli);
}
