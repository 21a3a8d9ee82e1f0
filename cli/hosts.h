// SPDX-License-Identifier: Apache-2.0
/* hosts.h - rows of hosts. */
#ifndef SF_CLI_HOSTS_H
#define SF_CLI_HOSTS_H

#include "cli/cli.h"

/**
 * sf_hosts_rows() - hosts as sf_shape_hosts() has them, sorted by name; failures are printed.
 * @out: the caller's
 * Return: 0 or -errno.
 */
int sf_hosts_rows(struct sf_cli *cli, enum sf_daemon_kind who, bool all, json_t **out);

#endif
