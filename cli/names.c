// SPDX-License-Identifier: Apache-2.0
/* names.c - see names.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/names.h"

static const char *text_of(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

void sf_names_put(struct sf_names *n, const char *sid, const char *name)
{
	if (sid && name && *name && !json_object_get(n->table, sid))
		json_object_set_new(n->table, sid, json_string(name));
}

static json_t *ask(const struct sf_cli *cli, enum sf_daemon_kind kind, const char *path)
{
	json_t *reply = NULL;
	char err[700];

	if (sf_cli_try(cli, kind, "GET", path, NULL, &reply, err, sizeof(err)))
		return NULL;
	return reply;
}

/* What a daemon has at @path: each object of its @list has "id" and "name". */
static void take_list(const struct sf_cli *cli, struct sf_names *n, enum sf_daemon_kind kind,
		      const char *path, const char *list)
{
	json_t *reply = ask(cli, kind, path), *row;
	size_t i;

	json_array_foreach (json_object_get(reply, list), i, row)
		sf_names_put(n, text_of(row, "id"), text_of(row, "name"));
	json_decref(reply);
}

void sf_names_load(const struct sf_cli *cli, struct sf_names *out)
{
	json_t *reply;

	out->net = sf_cli_net(cli);
	out->table = json_object();
	if (sf_cli_has(cli, SF_CONTROLLER)) {
		take_list(cli, out, SF_CONTROLLER, "/v1/names", "names");
		take_list(cli, out, SF_CONTROLLER, "/v1/hosts?limit=100000", "hosts");
	}
	if (sf_cli_has(cli, SF_ROUTER)) {
		take_list(cli, out, SF_ROUTER, "/v1/names", "names");
		take_list(cli, out, SF_ROUTER, "/v1/hosts", "hosts");
	}
	if (sf_cli_has(cli, SF_AGENT)) {
		take_list(cli, out, SF_AGENT, "/v1/names", "names");
		reply = ask(cli, SF_AGENT, "/v1/status");
		sf_names_put(out, text_of(reply, "id"), text_of(reply, "name"));
		json_decref(reply);
	}
}

void sf_names_say(const struct sf_cli *cli, const char *typed)
{
	struct sf_name name;
	const char *why;
	json_t *body;
	char err[700], *path;

	if (strchr(typed, ':') || sf_name_parse(typed, &name, &why))
		return;
	/* Quiet: who may not, or cannot hear it, shows serviceIDs, no more. */
	if (sf_cli_has(cli, SF_AGENT)) {
		body = json_pack("{s:s}", "name", typed);
		sf_cli_try(cli, SF_AGENT, "POST", "/v1/names", body, NULL, err, sizeof(err));
		json_decref(body);
	}
	if (sf_cli_has(cli, SF_CONTROLLER)) {
		path = sf_cli_path("/v1/names/%s", typed);
		if (path)
			sf_cli_try(cli, SF_CONTROLLER, "GET", path, NULL, NULL, err, sizeof(err));
		free(path);
	}
}

void sf_names_ask(const struct sf_cli *cli, struct sf_names *n, const char *sid)
{
	json_t *reply = NULL;
	char err[700], *path;
	int ret = -ENOMEM;

	unsigned long ssid = sid ? strtoul(sid, NULL, 16) : 0;

	/* Of keyed ones only hosts and routers are called anything. */
	if (!sid || sf_names_of(n, sid) || ((ssid & SF_SSID_KEYED) && ssid != SF_SSID_HOSTS))
		return;
	if (!n->asked)
		n->asked = json_object();
	if (json_object_size(n->asked) >= SF_NAMES_ASKED || json_object_get(n->asked, sid))
		return;
	json_object_set_new(n->asked, sid, json_true());
	path = sf_cli_path("/v1/lookup/%s", sid);
	if (path)
		ret = sf_cli_try(cli, SF_AGENT, "GET", path, NULL, &reply, err, sizeof(err));
	free(path);
	sf_names_put(n, sid, text_of(reply, "name"));
	json_decref(reply);
	for (int i = 0; ret && i < SF_NAMES_ASKED; i++) {
		snprintf(err, sizeof(err), "-%d", i);
		json_object_set_new(n->asked, err, json_true()); /* full: no more questions */
	}
}

void sf_names_free(struct sf_names *n)
{
	json_decref(n->asked);
	n->asked = NULL;
	json_decref(n->table);
	n->table = NULL;
}

void sf_names_learn(struct sf_names *n, const struct sf_sid *sid, const char *text)
{
	char key[SF_ADDR_STRLEN], called[SF_NAME_TEXT];
	struct sf_name name;
	const char *why;

	if (strchr(text, ':') || sf_name_parse(text, &name, &why))
		return;
	sf_names_put(n, sf_sid_print(sid, key), sf_name_print(&name, called));
}

const char *sf_names_of(const struct sf_names *n, const char *sid)
{
	return sid ? json_string_value(json_object_get(n->table, sid)) : NULL;
}

const char *sf_names_of_addr(const struct sf_names *n, const char *addr, char *sid)
{
	struct sf_addr a;
	struct sf_sid s;

	*sid = '\0';
	if (!addr || sf_addr_parse(addr, &a) || !sf_addr_is_service(&n->net, &a))
		return NULL;
	s = sf_addr_sid(&a);
	return sf_names_of(n, sf_sid_print(&s, sid));
}
