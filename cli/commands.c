// SPDX-License-Identifier: Apache-2.0
/* commands.c - the scaffold command: global options and the table of subcommands. */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/complete.h"

static const struct sf_command commands[] = {
	{ "status", "", "daemons here, and whether they are well", cmd_status },
	{ "hosts", "[--all]", "hosts of the network, or of this router", cmd_hosts },
	{ "routers", "", "routers of the network", cmd_routers },
	{ "services", "[SERVICE] [--all]", "services and their instances", cmd_services },
	{ "flows",
	  "[SERVICE] [--state STATE] [--proto PROTO] [--limit N] [--watch SECONDS] [--ids]",
	  "flows of this host", cmd_flows },
	{ "migrate", "--flow ID|--service SERVICE|--all --to LINK [--timeout SECONDS]",
	  "flows of this host move to another link, while they run", cmd_migrate },
	{ "events", "[--follow] [--since N] [--limit N]", "what happened, and why", cmd_events },
	{ "register", "SERVICE PROTO PORT", "register a program that listens on a wildcard",
	  cmd_register },
	{ "unregister", "SERVICE PROTO PORT", "take such a registration away", cmd_unregister },
	{ "weight", "SERVICE HOST WEIGHT [--ahead]", "share of new flows of an instance (0..1000)",
	  cmd_weight },
	{ "drain", "SERVICE [--host HOST] [--ahead] [--wait] [--timeout SECONDS]",
	  "no new flows; old ones finish", cmd_drain },
	{ "shed", "SERVICE[/PROTO/PORT] [--host HOST] [--timeout SECONDS]",
	  "no new flows; old ones end now", cmd_shed },
	{ "undrain", "SERVICE [--host HOST] [--ahead]", "take new flows again", cmd_undrain },
	{ "policy", "list|show|delete [SERVICE] [--host HOST]",
	  "what was decided for services and hosts; taking it back", cmd_policy },
	{ "id", "[--address] NAME", "serviceID and service address of a name", cmd_id },
	{ "run", "--service NAME [--timeout SECONDS] -- PROGRAM...",
	  "run a program; what it listens on serves the service", cmd_run },
	{ "ping", "SERVICE[/PROTO/PORT] [-c N] [-i SECONDS] [-W SECONDS] [--ids]",
	  "which instance answers, and how fast", cmd_ping },
	{ "trace", "SERVICE[/PROTO/PORT] [-m HOPS] [-W SECONDS] [--ids]",
	  "the way of a first packet, hop by hop", cmd_trace },
	{ "lab", "up|down|exec|status|link|move|kill ...", "networks of namespaces on this machine",
	  cmd_lab },
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

/* What a command takes and does. */
static int command_help(const struct sf_command *command)
{
	printf("usage: scaffold %s%s%s\n%s\n", command->name, *command->args ? " " : "",
	       command->args, command->help);
	return 0;
}

static const struct sf_command *command_find(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

/* Levenshtein distance of short words, to suggest what was meant. */
static size_t distance(const char *a, const char *b)
{
	size_t row[32], la = strlen(a), lb = strlen(b);

	if (la >= 32 || lb >= 32)
		return 32;
	for (size_t j = 0; j <= lb; j++)
		row[j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t change = diagonal + (a[i - 1] != b[j - 1]);
			size_t least = row[j] < row[j - 1] ? row[j] : row[j - 1];

			diagonal = row[j];
			row[j] = change < least + 1 ? change : least + 1;
		}
	}
	return row[lb];
}

static int command_unknown(const char *name)
{
	const struct sf_command *nearest = NULL;
	size_t best = 3;

	for (size_t i = 0; i < COMMANDS; i++) {
		size_t d = distance(name, commands[i].name);

		if (d < best) {
			best = d;
			nearest = &commands[i];
		}
	}
	fprintf(stderr, "scaffold: unknown command '%s'", name);
	if (nearest)
		fprintf(stderr, "; did you mean '%s'?", nearest->name);
	fputs(" (scaffold --help lists them)\n", stderr);
	return SF_EXIT_USAGE;
}

static int help(FILE *to)
{
	fputs("usage: scaffold [--run DIR] [--controller URL] [--json] COMMAND ...\n\n", to);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(to, "  %-11s %s\n", commands[i].name, commands[i].help);
	fputs("\n  --run DIR         where the daemons' sockets are (default $SCAFFOLD_RUN or "
	      "/run/scaffold)\n"
	      "  --controller URL  unix:PATH or https://HOST:PORT ($SCAFFOLD_TOKEN, $SCAFFOLD_CA)\n"
	      "  --json            for programs\n"
	      "  --version, --help\n\n"
	      "scaffold COMMAND --help shows its arguments; see scaffold(1).\n",
	      to);
	return to == stdout ? 0 : SF_EXIT_USAGE;
}

int sf_cli_usage(const struct sf_cli *cli)
{
	const struct sf_command *c = command_find(cli->command);

	fprintf(stderr, "usage: scaffold %s%s%s\n", c->name, *c->args ? " " : "", c->args);
	return SF_EXIT_USAGE;
}

int sf_cli_fail(const struct sf_cli *cli, const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "scaffold %s: ", cli->command);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	return SF_EXIT_FAILED;
}

/* Options before the command. Return: -1 to go on, else the exit status. */
static int options_parse(struct sf_cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{ "run", required_argument, NULL, 'r' },
		{ "controller", required_argument, NULL, 'c' },
		{ "json", no_argument, NULL, 'j' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "+jh", options, NULL)) != -1) {
		switch (opt) {
		case 'r':
			cli->run = optarg;
			break;
		case 'c':
			cli->controller = optarg;
			break;
		case 'j':
			cli->json = true;
			break;
		case 'v':
			puts("scaffold " SF_VERSION);
			return 0;
		case 'h':
			return help(stdout);
		default:
			return help(stderr);
		}
	}
	return optind < argc ? -1 : help(stderr);
}

/* --json may also follow the command, where people look for it; never past "--". Return: argc. */
static int json_take(struct sf_cli *cli, int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--json") != 0)
			continue;
		cli->json = true;
		memmove(&argv[i], &argv[i + 1], (size_t)(argc - i) * sizeof(*argv));
		argc--;
		i--;
	}
	return argc;
}

int sf_cli_main(int argc, char **argv)
{
	struct sf_cli cli = { .run = getenv("SCAFFOLD_RUN"),
			      .controller = getenv("SCAFFOLD_CONTROLLER"),
			      .token = getenv("SCAFFOLD_TOKEN"),
			      .ca = getenv("SCAFFOLD_CA") };
	const struct sf_command *command;
	int status = options_parse(&cli, argc, argv);
	bool asked;
	char called[48];

	if (status >= 0)
		return status;
	if (!cli.run || !*cli.run)
		cli.run = "/run/scaffold";
	argc -= optind;
	argv += optind;
	if (!strcmp(argv[0], "complete")) /* for the shell; not in the help */
		return sf_cli_complete(&cli, commands, COMMANDS, argc - 1, argv + 1);
	if (!strcmp(argv[0], "help") && argc == 1)
		return help(stdout);
	asked = !strcmp(argv[0], "help");
	command = command_find(argv[asked]);
	if (!command)
		return command_unknown(argv[asked]);
	cli.command = command->name;
	if (asked && command->call == cmd_lab) { /* "lab help move": help is a verb there */
		argv[1] = argv[0];
		return cmd_lab(&cli, argc, argv);
	}
	if (command->call != cmd_lab &&
	    (asked || (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")))))
		return command_help(command);
	argc = json_take(&cli, argc, argv);
	snprintf(called, sizeof(called), "scaffold %s", command->name);
	argv[0] = called; /* what getopt's errors begin with */
	optind = 0;	  /* the subcommand parses afresh */
	return command->call(&cli, argc, argv);
}
