// SPDX-License-Identifier: Apache-2.0
/* weight.c - scaffold weight: an instance's share of new flows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/services.h"
#include "core/resolve.h"

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
	ret = json_array_size(rows) || cli->json ? sf_services_print(cli, rows) : 0;
	json_decref(rows);
	return ret;
}

int cmd_weight(struct sf_cli *cli, int argc, char **argv)
{
	struct sf_sid sid;
	unsigned long weight;
	json_t *body;
	char *end, *path;
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
