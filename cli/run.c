// SPDX-License-Identifier: Apache-2.0
/*
 * run.c - scaffold run: a program whose wildcard sockets serve a service.
 *
 * The agent makes a control group and moves this very process into it; then the program takes its
 * place, so that signals, terminal and exit status are the program's own. What it and its children
 * listen on is registered under the service until the group is empty; that is the agent's work.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "util/cgroup.h"

#define EXIT_NOT_EXECUTABLE 126 /* as shells do */
#define EXIT_NO_PROGRAM	    127

/* Whether the program can be found, before anything is made for it. */
static bool findable(const char *program)
{
	const char *path = getenv("PATH");
	char *dirs, *dir, *rest, file[PATH_MAX];
	bool found = false;

	if (strchr(program, '/'))
		return !access(program, F_OK);
	dirs = strdup(path ? path : "/bin:/usr/bin");
	for (rest = dirs; !found && (dir = strsep(&rest, ":"));) {
		snprintf(file, sizeof(file), "%s/%s", *dir ? dir : ".", program);
		found = !access(file, F_OK);
	}
	free(dirs);
	return found;
}

/* The agent says that we are in the group; sockets of another one would not be registered. */
static int check_group(struct sf_cli *cli, const json_t *run)
{
	const char *group = json_string_value(json_object_get(run, "group"));
	char now[PATH_MAX], *at;
	int err = sf_cgroup_of(getpid(), now, sizeof(now));

	if (!group)
		return sf_cli_fail(cli, "the agent names no control group");
	if (err)
		return sf_cli_fail(cli, "own control group: %s", strerror(-err));
	/* In a cgroup namespace of our own it reads "/../scaffold/...". */
	at = strlen(now) < strlen(group) ? now : now + strlen(now) - strlen(group);
	if (strcmp(at, group) != 0)
		return sf_cli_fail(cli, "control group is %s, expected %s", now, group);
	return 0;
}

static int enter(struct sf_cli *cli, const char *service)
{
	json_t *body = json_pack("{s:s, s:b}", "service", service, "move", true);
	json_t *run = NULL;
	int ret = sf_cli_call(cli, SF_AGENT, "POST", "/v1/runs", body, &run);

	json_decref(body);
	ret = ret ? SF_EXIT_FAILED : check_group(cli, run);
	json_decref(run);
	return ret;
}

int cmd_run(struct sf_cli *cli, int argc, char **argv)
{
	static const struct option options[] = { { "service", required_argument, NULL, 's' },
						 { 0 } };
	const char *service = NULL;
	struct sf_sid sid;
	char **program;
	int opt, err;

	while ((opt = getopt_long(argc, argv, "+s:", options, NULL)) != -1) {
		if (opt != 's')
			return sf_cli_usage(cli);
		service = optarg;
	}
	program = argv + optind;
	if (!service || !*program)
		return sf_cli_usage(cli);
	if (!findable(*program)) {
		sf_cli_fail(cli, "%s: no such program", *program);
		return EXIT_NO_PROGRAM;
	}
	if (sf_cli_sid(cli, service, &sid))
		return SF_EXIT_FAILED;
	if (enter(cli, service))
		return SF_EXIT_FAILED;
	execvp(*program, program);
	err = errno;
	sf_cli_fail(cli, "%s: %s", *program, strerror(err));
	return err == ENOENT ? EXIT_NO_PROGRAM : EXIT_NOT_EXECUTABLE;
}
