// SPDX-License-Identifier: Apache-2.0
/* known.c - see known.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/hosts.h"
#include "cli/known.h"

/* GET with one word in the path. @reply: the caller's. Return: 0 or -errno, with a text in @err. */
static int ask(struct sf_cli *cli, const char *fmt, const char *word, json_t **reply, char *err,
	       size_t len)
{
	char *path = sf_cli_path(fmt, word);
	int ret = -ENOMEM;

	snprintf(err, len, "out of memory");
	if (path)
		ret = sf_cli_try(cli, SF_CONTROLLER, "GET", path, NULL, reply, err, len);
	free(path);
	return ret;
}

/* Several hosts match: refused if the name is of several identities. Return: 0 or exit status. */
static int which(struct sf_cli *cli, const char *host)
{
	json_t *rows = NULL, *row;
	char list[512] = "";
	size_t i, at = 0, n = 0;

	if (sf_hosts_rows(cli, SF_CONTROLLER, false, &rows))
		return SF_EXIT_FAILED;
	json_array_foreach (rows, i, row) {
		const char *name = json_string_value(json_object_get(row, "host"));
		const char *id = json_string_value(json_object_get(row, "id"));

		if (!name || !id || strcmp(name, host) != 0 || strstr(list, id))
			continue;
		n++;
		if (at + strlen(id) + 3 < sizeof(list))
			at += (size_t)snprintf(list + at, sizeof(list) - at, "%s%s", at ? ", " : "",
					       id);
	}
	json_decref(rows);
	return n < 2 ? 0
		     : sf_cli_fail(cli, "%zu hosts are called %s: %s; use the identity", n, host,
				   list);
}

/* Whether a policy has an entry for the host, by its identity or what it was called then. */
static bool names(json_t *policy, const char *host)
{
	const char *identity;
	json_t *entry;

	json_object_foreach (json_object_get(policy, "instances"), identity, entry) {
		const char *name = json_string_value(json_object_get(entry, "name"));

		if (!strcmp(identity, host) || (name && !strcmp(name, host)))
			return true;
	}
	return false;
}

/* What is to come has no flows to shed. */
static bool takes_ahead(const struct sf_cli *cli)
{
	return strcmp(cli->command, "shed") != 0;
}

int sf_known(struct sf_cli *cli, const char *service, const char *host, bool ahead)
{
	json_t *reply = NULL;
	char err[700];
	bool of_policy;
	int ret = ask(cli, "/v1/services/%s", service, &reply, err, sizeof(err));

	of_policy = host && names(json_object_get(reply, "policy"), host);
	json_decref(reply);
	if (ret && ret != -ENOENT)
		return sf_cli_fail(cli, "%s", err);
	if (ret && !ahead)
		return sf_cli_fail(cli,
				   "service '%s': the controller knows no instance and no policy "
				   "of it%s",
				   service,
				   takes_ahead(cli) ? " (--ahead for one that is to come)" : "");
	if (!host)
		return 0;
	ret = ask(cli, "/v1/hosts/%s", host, NULL, err, sizeof(err));
	if (ret == -EEXIST)
		return which(cli, host);
	if (ret && ret != -ENOENT)
		return sf_cli_fail(cli, "%s", err);
	if (ret && !of_policy && (!ahead || !strchr(host, ':')))
		return sf_cli_fail(cli, "host '%s': none of this name has joined%s", host,
				   takes_ahead(cli)
					   ? " (one that is to come: its identity, and --ahead)"
					   : "");
	return 0;
}

enum sf_daemon_kind sf_known_by(const struct sf_cli *cli)
{
	if (cli->controller || sf_cli_has(cli, SF_CONTROLLER) || !sf_cli_has(cli, SF_AGENT))
		return SF_CONTROLLER;
	return SF_AGENT;
}
