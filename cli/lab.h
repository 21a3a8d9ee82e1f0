// SPDX-License-Identifier: Apache-2.0
/* lab.h - tables of scaffold lab status. */
#ifndef SF_CLI_LAB_H
#define SF_CLI_LAB_H

#include "cli/cli.h"

/** sf_cli_lab_print - the JSON of sf_lab_status() as tables; takes the reference. Exit status. */
int sf_cli_lab_print(const struct sf_cli *cli, json_t *status);

#endif
