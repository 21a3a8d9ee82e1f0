// SPDX-License-Identifier: Apache-2.0
/* policies.h - the policies and names in force: table, store, and their effect on instances. */
#ifndef SF_CONTROLLER_POLICIES_H
#define SF_CONTROLLER_POLICIES_H

#include "controller/ctl.h"
#include "controller/policy.h"

/** struct ctl_name - what people call a serviceID. @unsaved: not in the store yet. */
struct ctl_name {
	struct sf_sid sid;
	bool unsaved;
	struct ctl_name *unsaved_prev, *unsaved_next;
	UT_hash_handle hh;
	char text[]; /* "web", "web@2a" */
};

/** ctl_policies_load() - policies and names from the store. */
int ctl_policies_load(struct ctl *c, char *err, size_t errlen);

void ctl_policies_free(struct ctl *c);

/** ctl_policy_of() - the policy of a service, NULL if none. */
struct ctl_policy *ctl_policy_of(const struct ctl *c, const struct sf_sid *sid);

/**
 * ctl_policy_put() - store @p, put it in the place of what was, and apply it.
 * Takes @p, also on failure. Return: 0 or the store's error: then nothing changed.
 */
int ctl_policy_put(struct ctl *c, struct ctl_policy *p);

/** ctl_policy_delete() - Return: 0, -ENOENT, or the store's error. */
int ctl_policy_delete(struct ctl *c, const struct sf_sid *sid);

/** ctl_name_of() - name of a service, NULL if nobody told. */
const char *ctl_name_of(const struct ctl *c, const struct sf_sid *sid);

/**
 * ctl_name_learn() - remember the name of a service, for lists. A repeat writes nothing.
 * Return: 0, -ENOSPC above names_max, or the store's error.
 */
int ctl_name_learn(struct ctl *c, const struct sf_sid *sid, const char *text);

/**
 * ctl_name_hear() - a name that a host's router passed on (SERVICE-NAME).
 * @data, @len: as they came; checked here
 * @sid: the serviceID that it must name; NULL: any service that is known here
 *
 * Known at once; the store learns it in the next batch (ctl_names_store()), so that registrations
 * never wait for a disk.
 */
void ctl_name_hear(struct ctl *c, const struct ctl_host *host, const struct sf_sid *sid,
		   const void *data, size_t len);

/**
 * ctl_names_store() - one batch of at most @limit names: what was heard, and what made room for it.
 * Return: number or -errno.
 */
int ctl_names_store(struct ctl *c, uint32_t limit);

#endif
