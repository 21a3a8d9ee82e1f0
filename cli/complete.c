// SPDX-License-Identifier: Apache-2.0
/*
 * complete.c - scaffold complete WORD...: what may stand in place of the last WORD, one a line.
 *
 * Not shown in the help: packaging/completion/scaffold.bash asks it and filters by what is typed.
 * It knows the table of subcommands, the options in their synopses, and a lab's nodes and links.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cli/complete.h"

void sf_cli_complete_options(const char *text)
{
	while ((text = strstr(text, "--"))) {
		size_t len = 2;

		while (isalnum((unsigned char)text[len]) || text[len] == '-')
			len++;
		if (len > 2)
			printf("%.*s\n", (int)len, text);
		text += len;
	}
}

int sf_cli_complete(struct sf_cli *cli, const struct sf_command *commands, size_t n, int argc,
		    char **argv)
{
	const struct sf_command *found = NULL;
	int at;

	/* The command is the first word that is no global option; the last word is being typed. */
	for (at = 0; at < argc - 1 && !found; at++) {
		if (strcmp(argv[at], "--run") == 0 && at + 1 < argc - 1)
			cli->run = argv[++at];
		else if (strcmp(argv[at], "--controller") == 0)
			at++;
		for (size_t i = 0; i < n; i++)
			if (strcmp(argv[at], commands[i].name) == 0)
				found = &commands[i];
	}
	puts("--json\n--help");
	if (!found) {
		puts("--run\n--controller\n--version");
		for (size_t i = 0; i < n; i++)
			puts(commands[i].name);
		return 0;
	}
	sf_cli_complete_options(found->args);
	if (strcmp(found->name, "lab") == 0)
		sf_cli_complete_lab(cli, argc - at, argv + at - 1);
	return 0;
}
