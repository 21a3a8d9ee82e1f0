// SPDX-License-Identifier: Apache-2.0
/* policies.h - the policies and names in force: table, store, and their effect on instances. */
#ifndef SF_CONTROLLER_POLICIES_H
#define SF_CONTROLLER_POLICIES_H

#include "controller/ctl.h"
#include "controller/policy.h"

#define CTL_NAMES_MAX 1000000

/** struct ctl_name - what people call a serviceID. */
struct ctl_name {
	struct sf_sid sid;
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
 * Return: 0, -ENOSPC above CTL_NAMES_MAX, or the store's error.
 */
int ctl_name_learn(struct ctl *c, const struct sf_sid *sid, const char *text);

#endif
