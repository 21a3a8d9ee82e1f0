// SPDX-License-Identifier: Apache-2.0
/*
 * names.h - what services are called: the names that were used on this host, by people and by
 * `scaffold run` and `register`, for lists here and, told to the router, everywhere
 * (docs/protocol.md, "Names").
 *
 * Kept in STATE/names, one a line: what an agent that is killed knew, its successor knows.
 */
#ifndef SF_AGENT_NAMES_H
#define SF_AGENT_NAMES_H

#include "core/ctrl.h"
#include "util/nametable.h"

#define NAMES_MAX 1024

struct host;

/** struct names - @fd: of the file, to append, -1: none; @untold: some are not told to the router.
 */
struct names {
	struct sf_nametable table;
	int fd;
	bool untold;
};

/** names_open() - what the file says. A file that cannot be read or written costs only itself. */
void names_open(struct host *h);
void names_close(struct host *h);

/** names_learn() - somebody used a name. What is no name (a serviceID, an address) is ignored. */
void names_learn(struct host *h, const char *typed);

/** names_take() - a name that the network told of the service @sid; checked. */
void names_take(struct host *h, const void *data, size_t len, const struct sf_sid *sid);

/** names_of() - Return: what a service is called, or NULL. */
const char *names_of(const struct host *h, const struct sf_sid *sid);

/** names_room() - bytes that a service's name takes in a message, 0 without one. */
size_t names_room(const struct host *h, const struct sf_sid *sid);

/** names_put() - its name as an item, behind its registration. */
void names_put(struct host *h, struct sf_ctrl_out *out, const struct sf_sid *sid);

/** names_put_untold() - as many of those that the router has not heard as there is room for. */
void names_put_untold(struct host *h, struct sf_ctrl_out *out);

#endif
