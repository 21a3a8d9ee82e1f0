// SPDX-License-Identifier: Apache-2.0
/*
 * shed.c - scaffold shed: instances take no new flows, and those that they have end now. Their
 * peers are told that it is so, and may connect elsewhere at once.
 *
 * By the controller where there is one, else by the agent, for the instances of this host.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/known.h"
#include "cli/left.h"
#include "cli/services.h"
#include "cli/target.h"
#include "core/flow.h"

#define TIMEOUT_MS 15000

struct shed {
	struct sf_cli *cli;
	struct sf_left left;
	char service[SF_ADDR_STRLEN + SF_NAME_MAX]; /* without protocol and port */
	char proto[8];
};

/* "web", "web/tcp/80". Return: 0, or the exit status. */
static int parse_target(struct shed *s, const char *text)
{
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	struct sf_sid sid;
	uint8_t proto;
	int port = 0, end = 0;

	if (n >= sizeof(s->service))
		return sf_cli_fail(s->cli, "'%s': too long for a service", text);
	snprintf(s->service, sizeof(s->service), "%.*s", (int)n, text);
	s->left.service = s->service;
	if (slash && (sscanf(slash, "/%7[a-z]/%d%n", s->proto, &port, &end) != 2 || slash[end] ||
		      sf_proto_parse(s->proto, &proto) || !proto || port < 1 || port > 65535)) {
		sf_cli_fail(s->cli, "'%s': expected a service, or SERVICE/tcp/PORT", text);
		return SF_EXIT_USAGE;
	}
	if (slash) {
		s->left.proto = s->proto;
		s->left.port = port;
	}
	return sf_cli_sid(s->cli, s->service, &sid) ? SF_EXIT_FAILED : 0;
}

static int parse(struct shed *s, int argc, char **argv)
{
	static const struct option options[] = { { "host", required_argument, NULL, 'h' },
						 { "timeout", required_argument, NULL, 't' },
						 { 0 } };
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'h') {
			s->left.host = optarg;
		} else if (opt == 't') {
			s->left.timeout_ms = sf_target_seconds(s->cli, "--timeout", optarg);
			if (s->left.timeout_ms < 0)
				return SF_EXIT_USAGE;
		} else {
			return sf_cli_usage(s->cli);
		}
	}
	if (optind + 1 != argc)
		return sf_cli_usage(s->cli);
	return parse_target(s, argv[optind]);
}

static json_t *endpoint(const struct shed *s)
{
	return s->left.proto ? json_pack("{s:s, s:i}", "proto", s->left.proto, "port", s->left.port)
			     : NULL;
}

/* Takes @path. Return: 0 or the exit status. */
static int call(struct shed *s, enum sf_daemon_kind who, const char *method, char *path,
		json_t *body)
{
	int ret;

	if (!path)
		return sf_cli_fail(s->cli, "out of memory");
	ret = sf_cli_call(s->cli, who, method, path, body, NULL);
	free(path);
	return ret ? SF_EXIT_FAILED : 0;
}

static int shed_host(struct shed *s, const char *host)
{
	json_t *body = endpoint(s);
	int ret = call(s, SF_CONTROLLER, "POST",
		       sf_cli_path("/v1/services/%s/instances/%s/shed", s->service, host), body);

	json_decref(body);
	return ret;
}

/* No host takes new flows from now on; then each ends those that it has. */
static int shed_all(struct shed *s)
{
	json_t *rows = NULL, *row, *body, *done = json_object();
	unsigned int n = 0;
	size_t i;
	int ret;

	if (sf_services_rows(s->cli, SF_CONTROLLER, s->service, true, &rows)) {
		json_decref(done);
		return SF_EXIT_FAILED;
	}
	body = json_pack("{s:b}", "enabled", 0);
	ret = json_array_size(rows) ? call(s, SF_CONTROLLER, "PATCH",
					   sf_cli_path("/v1/services/%s/policy", s->service), body)
				    : 0;
	json_decref(body);
	json_array_foreach (rows, i, row) {
		const char *id = json_string_value(json_object_get(row, "host_id"));
		const char *proto = json_string_value(json_object_get(row, "proto"));

		if (ret || !id || json_object_get(done, id) ||
		    (s->left.proto &&
		     (!proto || strcmp(proto, s->left.proto) != 0 ||
		      json_integer_value(json_object_get(row, "port")) != s->left.port)))
			continue;
		json_object_set_new(done, id, json_true());
		ret = shed_host(s, id);
		n++;
	}
	json_decref(rows);
	json_decref(done);
	return ret || n ? ret
			: sf_cli_fail(s->cli, "service '%s': no instance is there", s->service);
}

static int change(struct shed *s)
{
	char port[8];
	int ret;

	if (s->left.who == SF_AGENT) {
		snprintf(port, sizeof(port), "%d", s->left.port);
		return call(s, SF_AGENT, "POST",
			    sf_cli_path("/v1/services/%s/%s/%s/shed", s->service,
					s->left.proto ? s->left.proto : "any", port),
			    NULL);
	}
	ret = sf_known(s->cli, s->service, s->left.host, false);
	if (ret)
		return ret;
	return s->left.host ? shed_host(s, s->left.host) : shed_all(s);
}

static int tell(const struct shed *s, json_int_t left, unsigned int instances,
		unsigned int waited_ms)
{
	char name[SF_NAME_MAX + 160];
	json_t *out;
	int ret;

	sf_left_whom(&s->left, name, sizeof(name));
	if (s->cli->json) {
		out = json_pack("{s:s, s:s?, s:b, s:i, s:o, s:i}", "service", s->service, "host",
				s->left.host, "draining", true, "instances", (int)instances,
				"flows_left", left < 0 ? json_null() : json_integer(left),
				"waited_ms", (int)waited_ms);
		ret = sf_cli_value(out);
		json_decref(out);
		return ret || left ? SF_EXIT_FAILED : 0;
	}
	if (left > 0)
		return sf_cli_fail(s->cli,
				   "%s: takes no new flows; %" JSON_INTEGER_FORMAT
				   " did not end within %d s",
				   name, left, s->left.timeout_ms / 1000);
	if (left < 0)
		printf("%s: shed; its hosts do not tell how many flows are left\n", name);
	else
		printf("%s: shed; no flows left\n", name);
	return 0;
}

int cmd_shed(struct sf_cli *cli, int argc, char **argv)
{
	struct shed s = { .cli = cli, .left = { .cli = cli, .timeout_ms = TIMEOUT_MS } };
	unsigned int instances, waited_ms = 0;
	json_int_t left;
	int ret = parse(&s, argc, argv);

	if (ret)
		return ret;
	s.left.who = sf_known_by(cli);
	if (s.left.who == SF_AGENT && s.left.host)
		return sf_cli_fail(cli,
				   "--host needs a controller, and none answers in %s; without it "
				   "this host's instances are shed",
				   cli->run);
	ret = change(&s);
	if (ret)
		return ret;
	left = sf_left(&s.left, &instances);
	if (left >= -1)
		left = sf_left_wait(&s.left, left, &instances, &waited_ms);
	return left < -1 ? SF_EXIT_FAILED : tell(&s, left, instances, waited_ms);
}
