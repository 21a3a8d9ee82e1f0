// SPDX-License-Identifier: Apache-2.0
/*
 * register.c - scaffold register and unregister: registrations by hand, for programs that listen on
 * the wildcard address. What listens on a service address registers by itself.
 */
#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "core/flow.h"
#include "core/reason.h"

#define VERDICT_MS 3000 /* for the router's and, behind it, the controller's word */
#define LOOK_MS	   50

struct registering {
	struct sf_cli *cli;
	const char *service, *proto;
	unsigned int port;
	char sid[SF_ADDR_STRLEN];
};

static int parse(struct sf_cli *cli, int argc, char **argv, struct registering *r)
{
	struct sf_sid sid;
	unsigned long port;
	uint8_t proto;
	char *end;

	if (argc != 4)
		return sf_cli_usage(cli);
	r->cli = cli;
	r->service = argv[1];
	r->proto = argv[2];
	if (sf_proto_parse(r->proto, &proto)) {
		sf_cli_fail(cli, "protocol '%s': expected tcp, udp or any", r->proto);
		return SF_EXIT_USAGE;
	}
	port = strtoul(argv[3], &end, 10);
	if (argv[3][0] < '0' || argv[3][0] > '9' || *end || port > 65535 || !port != !proto) {
		sf_cli_fail(cli, "port '%s': expected 1 to 65535 (0 with protocol any)", argv[3]);
		return SF_EXIT_USAGE;
	}
	r->port = (unsigned int)port;
	if (sf_cli_sid(cli, r->service, &sid))
		return SF_EXIT_FAILED;
	sf_sid_print(&sid, r->sid);
	return 0;
}

/* Our registration in the agent's list; a new reference, NULL when it is not there. */
static json_t *look(const struct registering *r)
{
	json_t *reply = NULL, *found = NULL, *row;
	char err[700];
	size_t i;

	if (sf_cli_try(r->cli, SF_AGENT, "GET", "/v1/services", NULL, &reply, err, sizeof(err)))
		return NULL;
	json_array_foreach (json_object_get(reply, "services"), i, row) {
		const char *sid = json_string_value(json_object_get(row, "service"));
		const char *proto = json_string_value(json_object_get(row, "proto"));

		if (sid && proto && !strcmp(sid, r->sid) && !strcmp(proto, r->proto) &&
		    json_integer_value(json_object_get(row, "port")) == (json_int_t)r->port)
			found = json_incref(row);
	}
	json_decref(reply);
	return found;
}

static bool is(const json_t *row, const char *key, const char *value)
{
	const char *text = json_string_value(json_object_get(row, key));

	return text && !strcmp(text, value);
}

/* Waits until the router has answered, or there is nothing to wait for. */
static json_t *settled(const struct registering *r, json_t *row)
{
	const struct timespec pause = { .tv_nsec = LOOK_MS * 1000000L };

	for (int ms = 0; ms < VERDICT_MS; ms += LOOK_MS) {
		if (!row || !is(row, "state", "live") || is(row, "at_router", "in") ||
		    is(row, "at_router", "refused"))
			break;
		nanosleep(&pause, NULL);
		json_decref(row);
		row = look(r);
	}
	return row;
}

static int tell(const struct registering *r, const json_t *row)
{
	const char *reason = json_string_value(json_object_get(row, "reason"));
	const char *text = json_string_value(json_object_get(row, "reason_text"));
	int ret = r->cli->json ? sf_cli_value(row) : 0;

	if (is(row, "state", "denied") || is(row, "at_router", "refused"))
		return sf_cli_fail(r->cli, "%s %s/%u is denied: %s (%s)", r->service, r->proto,
				   r->port, text ? text : "no reason given", reason ? reason : "-");
	if (r->cli->json)
		return ret;
	if (is(row, "state", "waiting"))
		printf("%s %s/%u: waits for a program that listens on port %u of the wildcard "
		       "address\n",
		       r->service, r->proto, r->port, r->port);
	else if (is(row, "at_router", "in"))
		printf("%s %s/%u: registered\n", r->service, r->proto, r->port);
	else
		printf("%s %s/%u: registered here; the router has not answered yet (scaffold "
		       "status)\n",
		       r->service, r->proto, r->port);
	return ret;
}

int cmd_register(struct sf_cli *cli, int argc, char **argv)
{
	struct registering r = { 0 };
	json_t *body, *row = NULL;
	int ret = parse(cli, argc, argv, &r);

	if (ret)
		return ret;
	/* As it was typed: so the agent learns the name. */
	body = json_pack("{s:s, s:s, s:i}", "service", r.service, "proto", r.proto, "port",
			 (int)r.port);
	ret = sf_cli_call(cli, SF_AGENT, "POST", "/v1/services", body, &row);
	json_decref(body);
	if (ret)
		return SF_EXIT_FAILED;
	row = settled(&r, row);
	ret = row ? tell(&r, row) : sf_cli_fail(cli, "the agent ended meanwhile");
	json_decref(row);
	return ret;
}

int cmd_unregister(struct sf_cli *cli, int argc, char **argv)
{
	struct registering r = { 0 };
	char port[16], err[700], *path;
	json_t *out;
	int ret = parse(cli, argc, argv, &r);

	if (ret)
		return ret;
	snprintf(port, sizeof(port), "%u", r.port);
	path = sf_cli_path("/v1/services/%s/%s/%s", r.sid, r.proto, port);
	if (!path)
		return sf_cli_fail(cli, "out of memory");
	ret = sf_cli_try(cli, SF_AGENT, "DELETE", path, NULL, NULL, err, sizeof(err));
	free(path);
	if (ret == -ENOENT)
		return sf_cli_fail(cli, "%s %s/%u is not registered on this host", r.service,
				   r.proto, r.port);
	if (ret)
		return sf_cli_fail(cli, "%s", err);
	if (!cli->json) {
		printf("%s %s/%u: no longer registered by hand\n", r.service, r.proto, r.port);
		return 0;
	}
	out = json_pack("{s:s, s:s, s:i}", "sid", r.sid, "proto", r.proto, "port", (int)r.port);
	ret = sf_cli_value(out);
	json_decref(out);
	return ret;
}
