// SPDX-License-Identifier: Apache-2.0
/* known.h - whether a service and a host that were typed are there: a slip of the pen is none. */
#ifndef SF_CLI_KNOWN_H
#define SF_CLI_KNOWN_H

#include "cli/cli.h"

/**
 * sf_known() - ask the controller before something is changed; failures are printed.
 *
 * A service is known with an instance or a policy; a host that has joined, or that the service's
 * policy has an entry for. A name that several hosts have is refused, whatever @ahead.
 * @host: NULL: none was typed
 * @ahead: they are yet to come; a host then by its identity, as its name could be anybody's
 * Return: 0, or the exit status.
 */
int sf_known(struct sf_cli *cli, const char *service, const char *host, bool ahead);

/**
 * sf_known_by() - who is asked about instances: the controller that was named or runs here, else
 * this host's agent, of its own; SF_CONTROLLER, too, where neither is there, for that is what to
 * say.
 */
enum sf_daemon_kind sf_known_by(const struct sf_cli *cli);

#endif
