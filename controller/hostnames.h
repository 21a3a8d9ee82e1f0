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

#include "controller/ctl.h"
#include "controller/policy.h"

struct ctl_hostname {
	struct ctl_host *hosts; /* list by @called_next */
	uint32_t n;		/* of these */
	uint32_t told;		/* as many identities were told to share it */
	UT_hash_handle hh;
	char text[CTL_HOST_TEXT];
};

/**
 * ctl_hostname_set() - @host calls itself @text from now on ("": nothing), or leaves.
 * Return: 0, -ENOMEM: then it has no name.
 */
int ctl_hostname_set(struct ctl *c, struct ctl_host *host, const char *text);

/** ctl_hostname_tell() - the event, if the name of @newest is shared by more than was told. */
void ctl_hostname_tell(struct ctl *c, const struct ctl_host *newest);

/** ctl_hostname_find() - NULL if nobody is called so. */
struct ctl_hostname *ctl_hostname_find(const struct ctl *c, const char *text);

/** ctl_hostname_identities() - how many identities share it. */
uint32_t ctl_hostname_identities(const struct ctl_hostname *name);

/** ctl_hostname_is_shared() - whether two identities or more have the name of @host. */
bool ctl_hostname_is_shared(const struct ctl *c, const struct ctl_host *host);

/**
 * ctl_hostname_of() - what people may call the host or router with identity @sid.
 * Return: NULL if it is not known, or several hosts have that name.
 */
const char *ctl_hostname_of(const struct ctl *c, const struct sf_sid *sid);

/** ctl_naming_of() - how requests are to be read now. */
struct ctl_naming ctl_naming_of(const struct ctl *c);

#endif
