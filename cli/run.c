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
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "util/cgroup.h"
#include "util/clock.h"

#define EXIT_NOT_EXECUTABLE 126 /* as shells do */
#define EXIT_NO_PROGRAM	    127
#define WAIT_S		    10 /* for an agent that is restarted; its unit does so after 200 ms */
#define WAIT_MAX_S	    3600
#define RETRY_MS	    50

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

/* Whether there is no agent only for the moment: one was killed, or left its set-up to the next. An
 * agent that was stopped leaves neither. */
static bool agent_returns(const struct sf_cli *cli)
{
	char setup[PATH_MAX];

	snprintf(setup, sizeof(setup), "%s/setup.json", cli->run);
	return sf_cli_find(cli, SF_AGENT) == SF_DAEMON_DEAD || !access(setup, F_OK);
}

static int enter(struct sf_cli *cli, const char *service, unsigned int wait_s)
{
	const struct timespec pause = { .tv_nsec = RETRY_MS * 1000000L };
	json_t *body = json_pack("{s:s, s:b}", "service", service, "move", true);
	uint64_t end = sf_now_ms() + wait_s * 1000ull;
	json_t *run = NULL;
	char err[700] = "";
	bool said = false;
	int ret;

	while ((ret = sf_cli_try(cli, SF_AGENT, "POST", "/v1/runs", body, &run, err,
				 sizeof(err))) == -ECONNREFUSED &&
	       sf_now_ms() < end && agent_returns(cli)) {
		if (!said)
			fprintf(stderr, "scaffold run: the agent is down: waiting up to %u s\n",
				wait_s);
		said = true;
		nanosleep(&pause, NULL);
	}
	json_decref(body);
	ret = ret ? sf_cli_fail(cli, "%s", err) : check_group(cli, run);
	json_decref(run);
	return ret;
}

static int seconds_parse(struct sf_cli *cli, const char *text, unsigned int *out)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || *text < '0' || *text > '9' || *end || n > WAIT_MAX_S) {
		sf_cli_fail(cli, "--timeout: got '%s', expected seconds, 0 to %d", text,
			    WAIT_MAX_S);
		return SF_EXIT_USAGE;
	}
	*out = (unsigned int)n;
	return 0;
}

int cmd_run(struct sf_cli *cli, int argc, char **argv)
{
	static const struct option options[] = { { "service", required_argument, NULL, 's' },
						 { "timeout", required_argument, NULL, 't' },
						 { 0 } };
	const char *service = NULL;
	unsigned int wait_s = WAIT_S;
	struct sf_sid sid;
	char **program;
	int opt, err;

	while ((opt = getopt_long(argc, argv, "+s:", options, NULL)) != -1) {
		if (opt == 's')
			service = optarg;
		else if (opt != 't')
			return sf_cli_usage(cli);
		else if (seconds_parse(cli, optarg, &wait_s))
			return SF_EXIT_USAGE;
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
	if (enter(cli, service, wait_s))
		return SF_EXIT_FAILED;
	execvp(*program, program);
	err = errno;
	sf_cli_fail(cli, "%s: %s", *program, strerror(err));
	return err == ENOENT ? EXIT_NO_PROGRAM : EXIT_NOT_EXECUTABLE;
}
