// SPDX-License-Identifier: Apache-2.0
/*
 * drain.c - scaffold drain and undrain: instances that take no new flows while old ones finish.
 *
 * A host's instance is drained by itself; a whole service is disabled.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/known.h"
#include "cli/left.h"
#include "cli/target.h"

struct drain {
	struct sf_cli *cli;
	struct sf_left left;
	const char *service, *host;
	bool wait, ahead;
};

static int tell(const struct drain *d, json_int_t left, unsigned int instances,
		unsigned int waited_ms)
{
	char name[SF_NAME_MAX + 80];
	json_t *out;
	int ret;

	sf_left_whom(&d->left, name, sizeof(name));
	if (d->cli->json) {
		out = json_pack("{s:s, s:s?, s:b, s:i, s:o, s:i}", "service", d->service, "host",
				d->host, "draining", true, "instances", (int)instances,
				"flows_left", left < 0 ? json_null() : json_integer(left),
				"waited_ms", (int)waited_ms);
		ret = sf_cli_value(out);
		json_decref(out);
		return ret || (d->wait && left) ? SF_EXIT_FAILED : 0;
	}
	if (!instances)
		printf("%s: draining; no instance is there now\n", name);
	else if (left < 0)
		printf("%s: draining; its hosts do not tell how many flows are left\n", name);
	else
		printf("%s: draining; %" JSON_INTEGER_FORMAT " flow%s left\n", name, left,
		       left == 1 ? "" : "s");
	if (d->wait && left > 0)
		return sf_cli_fail(d->cli, "%s: not all flows ended within %d s", name,
				   d->left.timeout_ms / 1000);
	if (d->wait && left < 0)
		return sf_cli_fail(d->cli, "%s: cannot wait for what is not told", name);
	return 0;
}

/* A host's instance by its own route; the service by its policy. */
static int change(const struct drain *d, bool draining)
{
	char *path = d->host ? sf_cli_path(draining ? "/v1/services/%s/instances/%s/drain"
						    : "/v1/services/%s/instances/%s/undrain",
					   d->service, d->host)
			     : sf_cli_path("/v1/services/%s/policy", d->service);
	json_t *body = d->host ? NULL : json_pack("{s:b}", "enabled", !draining);
	int ret;

	if (!path) {
		json_decref(body);
		sf_cli_fail(d->cli, "out of memory");
		return -ENOMEM;
	}
	ret = sf_cli_call(d->cli, SF_CONTROLLER, d->host ? "POST" : "PATCH", path, body, NULL);
	json_decref(body);
	free(path);
	return ret;
}

static int parse(struct drain *d, int argc, char **argv, bool waits)
{
	static const struct option options[] = { { "host", required_argument, NULL, 'h' },
						 { "ahead", no_argument, NULL, 'a' },
						 { "wait", no_argument, NULL, 'w' },
						 { "timeout", required_argument, NULL, 't' },
						 { 0 } };
	struct sf_sid sid;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'h') {
			d->host = optarg;
		} else if (opt == 'a') {
			d->ahead = true;
		} else if (opt == 'w' && waits) {
			d->wait = true;
		} else if (opt == 't' && waits) {
			d->left.timeout_ms = sf_target_seconds(d->cli, "--timeout", optarg);
			if (d->left.timeout_ms < 0)
				return SF_EXIT_USAGE;
		} else {
			return sf_cli_usage(d->cli);
		}
	}
	if (optind + 1 != argc)
		return sf_cli_usage(d->cli);
	d->service = argv[optind];
	d->left.service = d->service;
	d->left.host = d->host;
	return sf_cli_sid(d->cli, d->service, &sid) ? SF_EXIT_FAILED : 0;
}

int cmd_drain(struct sf_cli *cli, int argc, char **argv)
{
	struct drain d = { .cli = cli, .left = { .cli = cli, .who = SF_CONTROLLER } };
	unsigned int waited_ms = 0, instances;
	json_int_t left;
	int ret = parse(&d, argc, argv, true);

	if (!ret)
		ret = sf_known(cli, d.service, d.host, d.ahead);
	if (ret)
		return ret;
	if (change(&d, true))
		return SF_EXIT_FAILED;
	left = sf_left(&d.left, &instances);
	if (left >= -1 && d.wait)
		left = sf_left_wait(&d.left, left, &instances, &waited_ms);
	return left < -1 ? SF_EXIT_FAILED : tell(&d, left, instances, waited_ms);
}

/* "instances" of a policy, each without its draining mark; NULL where none is marked. */
static json_t *unmarked(json_t *policy)
{
	json_t *out = json_object(), *entry;
	const char *host;

	json_object_foreach (json_object_get(policy, "instances"), host, entry)
		if (json_is_true(json_object_get(entry, "draining")))
			json_object_set_new(out, host, json_pack("{s:b}", "draining", false));
	if (json_object_size(out))
		return out;
	json_decref(out);
	return NULL;
}

/* Whoever drained hosts one by one wants them back, too. */
static int undrain_all(struct drain *d)
{
	json_t *policy = NULL, *body, *instances;
	char *path = sf_cli_path("/v1/services/%s/policy", d->service);
	char err[700];
	int ret = -ENOMEM;

	if (!path)
		return ret;
	ret = sf_cli_try(d->cli, SF_CONTROLLER, "GET", path, NULL, &policy, err, sizeof(err));
	if (!ret) {
		body = json_pack("{s:b}", "enabled", true);
		instances = unmarked(policy);
		if (instances)
			json_object_set_new(body, "instances", instances);
		ret = sf_cli_call(d->cli, SF_CONTROLLER, "PATCH", path, body, NULL);
		json_decref(body);
	} else if (ret == -ENOENT) {
		ret = 0; /* no policy: nothing drains */
	} else {
		sf_cli_fail(d->cli, "%s", err);
	}
	json_decref(policy);
	free(path);
	return ret;
}

/* What `scaffold shed` did on this host, without a controller. */
static int undrain_here(const struct drain *d)
{
	char *path = sf_cli_path("/v1/services/%s/any/0/undrain", d->service);
	int ret;

	if (!path)
		return sf_cli_fail(d->cli, "out of memory");
	ret = d->host || d->ahead
		      ? sf_cli_fail(d->cli,
				    "--host and --ahead need a controller, and none answers in %s; "
				    "without it this host's instances take new flows again",
				    d->cli->run)
		      : sf_cli_call(d->cli, SF_AGENT, "POST", path, NULL, NULL);
	free(path);
	return ret;
}

/* Whether a policy says nothing but what holds without one. */
static bool is_void(json_t *policy)
{
	json_t *entry;
	const char *host;

	json_object_foreach (json_object_get(policy, "instances"), host, entry)
		if (json_is_true(json_object_get(entry, "draining")) ||
		    json_is_integer(json_object_get(entry, "weight")))
			return false;
	return json_is_true(json_object_get(policy, "enabled")) &&
	       !json_is_true(json_object_get(policy, "sticky")) &&
	       json_is_null(json_object_get(policy, "weight")) &&
	       json_is_null(json_object_get(policy, "move_grace_ms")) &&
	       json_is_null(json_object_get(policy, "allow"));
}

/* A drain that is taken back leaves nothing that `scaffold policy list` would show. */
static void tidy(const struct drain *d)
{
	char *path = sf_cli_path("/v1/services/%s/policy", d->service), err[700];
	json_t *policy = NULL;

	if (path &&
	    !sf_cli_try(d->cli, SF_CONTROLLER, "GET", path, NULL, &policy, err, sizeof(err)) &&
	    is_void(policy))
		sf_cli_try(d->cli, SF_CONTROLLER, "DELETE", path, NULL, NULL, err, sizeof(err));
	json_decref(policy);
	free(path);
}

static int undrain(struct drain *d)
{
	int ret;

	if (d->left.who == SF_AGENT)
		return undrain_here(d);
	ret = sf_known(d->cli, d->service, d->host, d->ahead);
	if (ret)
		return ret;
	ret = d->host ? change(d, false) : undrain_all(d);
	if (!ret)
		tidy(d);
	return ret;
}

int cmd_undrain(struct sf_cli *cli, int argc, char **argv)
{
	struct drain d = { .cli = cli, .left = { .cli = cli, .who = sf_known_by(cli) } };
	char name[SF_NAME_MAX + 80];
	json_t *out;
	int ret = parse(&d, argc, argv, false);

	if (ret)
		return ret;
	if (undrain(&d))
		return SF_EXIT_FAILED;
	if (!cli->json) {
		printf("%s: takes new flows\n", sf_left_whom(&d.left, name, sizeof(name)));
		return 0;
	}
	out = json_pack("{s:s, s:s?, s:b}", "service", d.service, "host", d.host, "draining",
			false);
	ret = sf_cli_value(out);
	json_decref(out);
	return ret;
}
