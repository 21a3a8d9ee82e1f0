// SPDX-License-Identifier: Apache-2.0
/* daemons.c - whom a subcommand asks, and how it is told that nobody answers. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "util/crypto.h"
#include "util/httpc.h"

static const char *const names[] = { "agent", "router", "controller" };

const char *sf_cli_daemon_name(enum sf_daemon_kind kind)
{
	return kind < SF_ANYBODY ? names[kind] : "daemon";
}

static void endpoint_of(const struct sf_cli *cli, enum sf_daemon_kind kind, char *buf, size_t len)
{
	if (kind == SF_CONTROLLER && cli->controller)
		snprintf(buf, len, "%s", cli->controller);
	else
		snprintf(buf, len, "unix:%s/%s.sock", cli->run, names[kind]);
}

bool sf_cli_has(const struct sf_cli *cli, enum sf_daemon_kind kind)
{
	char endpoint[PATH_MAX];

	if (kind == SF_CONTROLLER && cli->controller)
		return true;
	endpoint_of(cli, kind, endpoint, sizeof(endpoint));
	return !access(endpoint + strlen("unix:"), F_OK);
}

enum sf_daemon_kind sf_cli_who(const struct sf_cli *cli)
{
	if (sf_cli_has(cli, SF_CONTROLLER))
		return SF_CONTROLLER;
	return sf_cli_has(cli, SF_ROUTER) ? SF_ROUTER : SF_AGENT;
}

struct sf_httpc *sf_cli_client(const struct sf_cli *cli, enum sf_daemon_kind kind)
{
	struct sf_httpc_opts opts = { .token = cli->token, .ca = cli->ca };
	struct sf_httpc *client = NULL;
	char endpoint[PATH_MAX], err[256];

	if (kind == SF_ANYBODY)
		kind = sf_cli_who(cli);
	endpoint_of(cli, kind, endpoint, sizeof(endpoint));
	opts.endpoint = endpoint;
	if (sf_httpc_new(&opts, &client, err, sizeof(err)))
		sf_cli_fail(cli, "%s: %s", endpoint, err);
	return client;
}

int sf_cli_call(const struct sf_cli *cli, enum sf_daemon_kind kind, const char *method,
		const char *path, const json_t *body, json_t **reply)
{
	struct sf_httpc *client;
	char err[512] = "";
	int ret;

	if (kind == SF_ANYBODY)
		kind = sf_cli_who(cli);
	client = sf_cli_client(cli, kind);
	if (!client)
		return -EINVAL;
	ret = sf_httpc_call(client, method, path, body, reply, err, sizeof(err));
	sf_httpc_free(client);
	if (ret == -ECONNREFUSED)
		sf_cli_fail(cli,
			    "no %s answers in %s (is it running? --run DIR or $SCAFFOLD_RUN says "
			    "where)",
			    names[kind], cli->run);
	else if (ret)
		sf_cli_fail(cli, "%s: %s", names[kind], *err ? err : strerror(-ret));
	return ret;
}

struct sf_net sf_cli_net(const struct sf_cli *cli)
{
	struct sf_net net = sf_net_default(1);
	struct sf_httpc *client = NULL;
	const char *service, *as, *what;
	json_t *status = NULL;
	char endpoint[PATH_MAX], err[256];
	struct sf_httpc_opts opts = { .endpoint = endpoint, .token = cli->token, .ca = cli->ca };
	enum sf_daemon_kind kind = sf_cli_has(cli, SF_AGENT) ? SF_AGENT : sf_cli_who(cli);

	/* Quiet: without a daemon the defaults will do. */
	endpoint_of(cli, kind, endpoint, sizeof(endpoint));
	if (!sf_httpc_new(&opts, &client, err, sizeof(err)) &&
	    !sf_httpc_call(client, "GET", "/v1/status", NULL, &status, err, sizeof(err))) {
		service = json_string_value(json_object_get(status, "service_prefix"));
		as = json_string_value(json_object_get(status, "as_prefix"));
		if (service && as)
			(void)sf_net_parse(service, as, &net, &what);
	}
	json_decref(status);
	sf_httpc_free(client);
	return net;
}

int sf_cli_sid(const struct sf_cli *cli, const char *text, struct sf_sid *out)
{
	struct sf_net net = sf_cli_net(cli);
	const char *why = NULL;
	int err = sf_sid_parse(&net, text, sf_sha256, out, &why);

	if (err)
		sf_cli_fail(cli, "service '%s': %s", text, why ? why : strerror(-err));
	return err;
}
