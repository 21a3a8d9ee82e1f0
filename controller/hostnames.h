// SPDX-License-Identifier: Apache-2.0
/*
 * hostnames.h - what hosts call themselves, and who shares a name.
 *
 * Theory of operation
 *
 * Names prove nothing: any host may take any. So nothing is decided by them (policy.h), and what a
 * name stands for is asked of this table only when a person uses it, who is refused where it is of
 * several identities. That there are such is told once, when the second appears, and again each
 * time their number has doubled: not with each host of an image that names all of them "localhost".
 */
#ifndef SF_CONTROLLER_HOSTNAMES_H
#define SF_CONTROLLER_HOSTNAMES_H

#include <stdbool.h>
#include <uthash.h>

#include "controller/controller.h"
#include "controller/policy.h"

struct hostname {
	struct host *hosts; /* list by @called_next */
	uint32_t n;	    /* of these */
	uint32_t told;	    /* as many identities were told to share it */
	UT_hash_handle hh;
	char text[HOST_TEXT];
};

/**
 * hostname_set() - @host calls itself @text from now on ("": nothing), or leaves.
 * Return: 0, -ENOMEM: then it has no name.
 */
int hostname_set(struct controller *c, struct host *host, const char *text);

/** hostname_tell() - the event, if the name of @newest is shared by more than was told. */
void hostname_tell(struct controller *c, const struct host *newest);

/** hostname_find() - NULL if nobody is called so. */
struct hostname *hostname_find(const struct controller *c, const char *text);

/** hostname_identities() - how many identities share it. */
uint32_t hostname_identities(const struct hostname *name);

/** hostname_is_shared() - whether two identities or more have the name of @host. */
bool hostname_is_shared(const struct controller *c, const struct host *host);

/**
 * hostname_of() - what people may call the host or router with identity @sid.
 * Return: NULL if it is not known, or several hosts have that name.
 */
const char *hostname_of(const struct controller *c, const struct sf_sid *sid);

/** naming_of() - how requests are to be read now. */
struct naming naming_of(const struct controller *c);

#endif
