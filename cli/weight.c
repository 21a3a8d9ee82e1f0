// SPDX-License-Identifier: Apache-2.0
/* weight.c - scaffold weight: an instance's share of new flows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/known.h"
#include "cli/services.h"
#include "core/resolve.h"

#define COARSE 1.5 /* times the share that was asked for: worth a word */

/* Others have a weight too, and no share of new flows. */
static bool is_live(const json_t *row)
{
	const char *state = json_string_value(json_object_get(row, "state"));

	return state && !strcmp(state, "live");
}

/* The share that the weights ask for, among rows of the same protocol and port; 0: none. */
static double wanted(const json_t *rows, const json_t *row)
{
	json_int_t sum = 0;
	const json_t *other;
	size_t i;

	if (!is_live(row))
		return 0;
	json_array_foreach (rows, i, other)
		if (is_live(other) &&
		    json_equal(json_object_get(other, "proto"), json_object_get(row, "proto")) &&
		    json_equal(json_object_get(other, "port"), json_object_get(row, "port")))
			sum += json_integer_value(json_object_get(other, "weight"));
	return sum ? (double)json_integer_value(json_object_get(row, "weight")) / (double)sum : 0;
}

/* An instance has a slot of the routers' table at least, however small its weight. */
static void say_coarse(const json_t *rows)
{
	const json_t *row;
	size_t i;

	json_array_foreach (rows, i, row) {
		const char *host = json_string_value(json_object_get(row, "host"));
		double share = json_real_value(json_object_get(row, "share"));
		double ask = wanted(rows, row);

		if (ask <= 0 || share < ask * COARSE)
			continue;
		fprintf(stderr,
			"scaffold weight: %s gets %.2g %% of new flows where its weight asks for "
			"%.2g %%: "
			"the table of a service has about a hundred slots for each instance, and "
			"each gets one at least; weight 0 takes it out\n",
			host ? host : "an instance", share * 100, ask * 100);
	}
}

/* What is now: the service's instances. Without any, the policy waits for them. */
static int show(struct sf_cli *cli, const char *service, const char *host)
{
	json_t *rows = NULL, *row;
	bool there = false;
	size_t i;
	int ret;

	if (sf_services_rows(cli, SF_CONTROLLER, service, true, &rows))
		return SF_EXIT_FAILED;
	json_array_foreach (rows, i, row)
		there |= sf_services_is_on(row, host);
	if (!there)
		fprintf(stderr,
			"scaffold weight: no instance of %s on '%s' now; the weight holds when "
			"there is one\n",
			service, host);
	say_coarse(rows);
	ret = json_array_size(rows) || cli->json ? sf_services_print(cli, rows) : 0;
	json_decref(rows);
	return ret;
}

/* Not getopt's work, for which "-1" is an option. Return: whether it was there. */
static bool take_ahead(int *argc, char **argv)
{
	bool ahead = false;
	char *word;

	for (int i = 1; i < *argc;) {
		if (strcmp(argv[i], "--ahead") != 0) {
			i++;
			continue;
		}
		word = argv[i];
		memmove(&argv[i], &argv[i + 1], (size_t)(*argc - i - 1) * sizeof(*argv));
		argv[--*argc] = word; /* behind the others, as getopt would */
		ahead = true;
	}
	return ahead;
}

int cmd_weight(struct sf_cli *cli, int argc, char **argv)
{
	struct sf_sid sid;
	unsigned long weight;
	json_t *body;
	char *end, *path;
	bool ahead = take_ahead(&argc, argv);
	int ret;

	if (argc != 4)
		return sf_cli_usage(cli);
	weight = strtoul(argv[3], &end, 10);
	if (argv[3][0] < '0' || argv[3][0] > '9' || *end || weight > SF_WEIGHT_MAX) {
		sf_cli_fail(cli, "weight '%s': expected a number from 0 to %d", argv[3],
			    SF_WEIGHT_MAX);
		return SF_EXIT_USAGE;
	}
	if (sf_cli_sid(cli, argv[1], &sid))
		return SF_EXIT_FAILED;
	ret = sf_known(cli, argv[1], argv[2], ahead);
	if (ret)
		return ret;
	/* As it was typed: so the controller learns the name. */
	path = sf_cli_path("/v1/services/%s/instances/%s/weight", argv[1], argv[2]);
	if (!path)
		return sf_cli_fail(cli, "out of memory");
	body = json_pack("{s:i}", "weight", (int)weight);
	ret = sf_cli_call(cli, SF_CONTROLLER, "PUT", path, body, NULL);
	json_decref(body);
	free(path);
	return ret ? SF_EXIT_FAILED : show(cli, argv[1], argv[2]);
}
