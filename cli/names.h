// SPDX-License-Identifier: Apache-2.0
/*
 * names.h - what to call serviceIDs and host identities.
 *
 * Names are hashes, so they cannot be computed back: they come from the controller where one
 * listens here, from router and agent (what was said to them), and from what the user typed.
 */
#ifndef SF_CLI_NAMES_H
#define SF_CLI_NAMES_H

#include "cli/cli.h"

/** struct sf_names - "ssid:local" to name, of services and hosts alike; never NULL once loaded. */
struct sf_names {
	struct sf_net net;
	json_t *table;
	json_t *asked; /* serviceIDs that sf_names_ask() asked for */
};

#define SF_NAMES_ASKED 64 /* at most, in one run of the command */

/** sf_names_load() - ask whoever listens here; nobody is fine. */
void sf_names_load(const struct sf_cli *cli, struct sf_names *out);

/**
 * sf_names_say() - tell the daemons here a name that somebody typed, so that it is shown where its
 * service is. What is no name is ignored, as are failures.
 */
void sf_names_say(const struct sf_cli *cli, const char *typed);

/**
 * sf_names_ask() - where nobody here knows the name of serviceID or identity @sid, the agent asks
 * the network. Each is asked for once, at most SF_NAMES_ASKED of them, and none any more when one
 * is not answered. NULL is ignored.
 */
void sf_names_ask(const struct sf_cli *cli, struct sf_names *n, const char *sid);

/** sf_names_free() - a zeroed one is fine. */
void sf_names_free(struct sf_names *n);

/** sf_names_learn() - @text is what the user called @sid; ignored unless it is a name. */
void sf_names_learn(struct sf_names *n, const struct sf_sid *sid, const char *text);

/** sf_names_put() - @sid ("ssid:local") is called @name; NULLs and known ones are ignored. */
void sf_names_put(struct sf_names *n, const char *sid, const char *name);

/** sf_names_of() - Return: the name of a serviceID or identity as text; NULL: none is known. */
const char *sf_names_of(const struct sf_names *n, const char *sid);

/** sf_names_of_addr() - the same of a service address; @sid (SF_ADDR_STRLEN) gets its serviceID,
 * "" where @addr is none. */
const char *sf_names_of_addr(const struct sf_names *n, const char *addr, char *sid);

#endif
