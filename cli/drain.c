// SPDX-License-Identifier: Apache-2.0
/*
 * drain.c - scaffold drain and undrain: instances that take no new flows while old ones finish.
 *
 * A host's instance is drained by itself; a whole service is disabled. Hosts report how many flows
 * are open with their heartbeats, so a number lags by one or two of these: "none left" counts when
 * it has been so for SETTLE_MS.
 */
#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/known.h"
#include "cli/services.h"
#include "cli/target.h"
#include "util/table.h"

#define SETTLE_MS 3000
#define LOOK_MS	  500

struct drain {
	struct sf_cli *cli;
	const char *service, *host;
	bool wait, ahead;
	int timeout_ms; /* 0: none */
};

/*
 * How many flows are left, over all instances concerned.
 * Return: the number; -1 where no instance tells; -errno (below -1) when asking failed.
 */
static json_int_t flows_left(const struct drain *d, unsigned int *instances)
{
	json_t *rows = NULL, *row;
	json_int_t left = -1;
	size_t i;
	int err = sf_services_rows(d->cli, SF_CONTROLLER, d->service, true, &rows);

	*instances = 0;
	if (err)
		return err < -1 ? err : -EIO;
	json_array_foreach (rows, i, row) {
		const json_t *open = json_object_get(row, "open");

		if (d->host && !sf_services_is_on(row, d->host))
			continue;
		++*instances;
		if (json_is_integer(open))
			left = (left < 0 ? 0 : left) + json_integer_value(open);
	}
	json_decref(rows);
	return *instances ? left : 0;
}

static void progress(const struct drain *d, json_int_t left, unsigned int waited_ms, bool end)
{
	char time[SF_HUMAN_LEN];

	if (d->cli->json || !isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r%" JSON_INTEGER_FORMAT " flow%s left after %s \033[K%s", left,
		left == 1 ? "" : "s", sf_human_duration(waited_ms, time), end ? "\n" : "");
}

static json_int_t wait_none_left(const struct drain *d, json_int_t left, unsigned int *instances,
				 unsigned int *waited_ms)
{
	const struct timespec pause = { .tv_nsec = LOOK_MS * 1000000L };
	unsigned int none_ms = 0;

	for (*waited_ms = 0; left >= 0; *waited_ms += LOOK_MS) {
		progress(d, left, *waited_ms, false);
		none_ms = left ? 0 : none_ms + LOOK_MS;
		if (!*instances || none_ms > SETTLE_MS ||
		    (d->timeout_ms && *waited_ms >= (unsigned int)d->timeout_ms))
			break;
		nanosleep(&pause, NULL);
		left = flows_left(d, instances);
	}
	progress(d, left, *waited_ms, true);
	return left;
}

static const char *whom(const struct drain *d, char *buf, size_t len)
{
	snprintf(buf, len, d->host ? "%s on %s" : "%s", d->service, d->host);
	return buf;
}

static int tell(const struct drain *d, json_int_t left, unsigned int instances,
		unsigned int waited_ms)
{
	char name[SF_NAME_MAX + 80];
	json_t *out;
	int ret;

	whom(d, name, sizeof(name));
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
				   d->timeout_ms / 1000);
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
			d->timeout_ms = sf_target_seconds(optarg);
			if (d->timeout_ms < 0)
				return sf_cli_usage(d->cli);
		} else {
			return sf_cli_usage(d->cli);
		}
	}
	if (optind + 1 != argc)
		return sf_cli_usage(d->cli);
	d->service = argv[optind];
	if (sf_cli_sid(d->cli, d->service, &sid))
		return SF_EXIT_FAILED;
	return sf_known(d->cli, d->service, d->host, d->ahead);
}

int cmd_drain(struct sf_cli *cli, int argc, char **argv)
{
	struct drain d = { .cli = cli };
	unsigned int waited_ms = 0, instances;
	json_int_t left;
	int ret = parse(&d, argc, argv, true);

	if (ret)
		return ret;
	if (change(&d, true))
		return SF_EXIT_FAILED;
	left = flows_left(&d, &instances);
	if (left >= -1 && d.wait)
		left = wait_none_left(&d, left, &instances, &waited_ms);
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

int cmd_undrain(struct sf_cli *cli, int argc, char **argv)
{
	struct drain d = { .cli = cli };
	char name[SF_NAME_MAX + 80];
	json_t *out;
	int ret = parse(&d, argc, argv, false);

	if (ret)
		return ret;
	if (d.host ? change(&d, false) : undrain_all(&d))
		return SF_EXIT_FAILED;
	if (!cli->json) {
		printf("%s: takes new flows\n", whom(&d, name, sizeof(name)));
		return 0;
	}
	out = json_pack("{s:s, s:s?, s:b}", "service", d.service, "host", d.host, "draining",
			false);
	ret = sf_cli_value(out);
	json_decref(out);
	return ret;
}
