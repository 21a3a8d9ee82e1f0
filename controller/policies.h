// SPDX-License-Identifier: Apache-2.0
/* policies.h - the policies and names in force: table, store, and their effect on instances. */
#ifndef SF_CONTROLLER_POLICIES_H
#define SF_CONTROLLER_POLICIES_H

#include "controller/controller.h"
#include "controller/policy.h"

/** struct name - what people call a serviceID. @unsaved: not in the store yet. */
struct name {
	struct sf_sid sid;
	bool unsaved;
	struct name *unsaved_prev, *unsaved_next;
	UT_hash_handle hh;
	char text[]; /* "web", "web@2a" */
};

/** policies_load() - policies and names from the store. */
int policies_load(struct controller *c, char *err, size_t errlen);

void policies_free(struct controller *c);

/** policy_of() - the policy of a service, NULL if none. */
struct policy *policy_of(const struct controller *c, const struct sf_sid *sid);

/**
 * policy_put() - store @p, put it in the place of what was, and apply it.
 * Takes @p, also on failure. Return: 0 or the store's error: then nothing changed.
 */
int policy_put(struct controller *c, struct policy *p);

/** policy_delete() - Return: 0, -ENOENT, or the store's error. */
int policy_delete(struct controller *c, const struct sf_sid *sid);

/** name_find() - name of a service, NULL if nobody told. */
const char *name_find(const struct controller *c, const struct sf_sid *sid);

/**
 * name_learn() - remember the name of a service, for lists. A repeat writes nothing.
 * Return: 0, -ENOSPC above names_max, or the store's error.
 */
int name_learn(struct controller *c, const struct sf_sid *sid, const char *text);

/**
 * name_hear() - a name that a host's router passed on (SERVICE-NAME).
 * @data, @len: as they came; checked here
 * @sid: the serviceID that it must name; NULL: any service that is known here
 *
 * Known at once; the store learns it in the next batch (names_store()), so that registrations
 * never wait for a disk.
 */
void name_hear(struct controller *c, const struct host *host, const struct sf_sid *sid,
	       const void *data, size_t len);

/**
 * names_store() - one batch of at most @limit names: what was heard, and what made room for it.
 * Return: number or -errno.
 */
int names_store(struct controller *c, uint32_t limit);

#endif
