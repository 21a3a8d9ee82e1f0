// SPDX-License-Identifier: Apache-2.0
/* complete.h - words for the shell's completion. */
#ifndef SF_CLI_COMPLETE_H
#define SF_CLI_COMPLETE_H

#include "cli/cli.h"

/**
 * sf_cli_complete() - print what may stand in place of the last word, one a line.
 * @commands: the table
 * @argv: the words behind "scaffold", the last one being typed
 * Return: exit status.
 */
int sf_cli_complete(struct sf_cli *cli, const struct sf_command *commands, size_t n, int argc,
		    char **argv);

/** sf_cli_complete_options() - print each word of a synopsis that begins with "--". */
void sf_cli_complete_options(const char *synopsis);

/**
 * sf_cli_complete_lab() - what may stand behind the words of scaffold lab.
 * @argv: "lab", and the words before the one that is being typed
 */
void sf_cli_complete_lab(const struct sf_cli *cli, int argc, char **argv);

#endif
