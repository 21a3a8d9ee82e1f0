// SPDX-License-Identifier: Apache-2.0
/* services.h - rows of services, which several subcommands show. */
#ifndef SF_CLI_SERVICES_H
#define SF_CLI_SERVICES_H

#include "cli/cli.h"

/**
 * sf_services_rows() - instances as sf_shape_services() has them, sorted; failures are printed.
 * @who: whom to ask
 * @service: only this one, in any form; NULL: all
 * @all: hosts' own identities, too
 * @out: the caller's
 * Return: 0 or -errno.
 */
int sf_services_rows(struct sf_cli *cli, enum sf_daemon_kind who, const char *service, bool all,
		     json_t **out);

/** sf_services_print() - as a table, or as they are with --json. Return: exit status. */
int sf_services_print(const struct sf_cli *cli, const json_t *rows);

/** sf_services_is_on() - whether a row is of the host named so, by name, identity or locator. */
bool sf_services_is_on(const json_t *row, const char *host);

#endif
