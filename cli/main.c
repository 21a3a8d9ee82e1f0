// SPDX-License-Identifier: Apache-2.0
/* main.c - the scaffold command; all of it is in commands.c, which tests call, too. */
#include "cli/cli.h"

int main(int argc, char **argv)
{
	return sf_cli_main(argc, argv);
}
