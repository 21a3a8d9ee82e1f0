// SPDX-License-Identifier: Apache-2.0
/*
 * nametable.h - what people call serviceIDs: a bounded table of names, for daemons to show.
 *
 * A serviceID is the digest of its name, so a name is known to be right by itself, but cannot be
 * found from the serviceID: somebody must have said it. Where the table is full the oldest goes:
 * nothing depends on names but what people read.
 */
#ifndef SF_UTIL_NAMETABLE_H
#define SF_UTIL_NAMETABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <uthash.h>

#include "core/name.h"

/** struct sf_named - a name and its serviceID; @told: for the table's user, false at first. */
struct sf_named {
	struct sf_sid sid;
	bool told;
	UT_hash_handle hh;
	char text[]; /* canonical (sf_name_print()) */
};

/** struct sf_nametable - @first: oldest, others by hh.next; @max: at most so many. */
struct sf_nametable {
	struct sf_named *first;
	unsigned int max;
};

/** sf_nametable_free() - a zeroed one is fine. */
void sf_nametable_free(struct sf_nametable *t);

/**
 * sf_nametable_add() - enter a name as sf_name_take() checked it.
 * @out: its entry, new or old; may be NULL
 * Return: 1 new, 0 known, -ENOMEM.
 */
int sf_nametable_add(struct sf_nametable *t, const struct sf_sid *sid, const char *text,
		     struct sf_named **out);

/**
 * sf_nametable_learn() - enter what somebody typed, where it is a name.
 * Return: as sf_nametable_add(); -EINVAL where it is none: a serviceID, an address.
 */
int sf_nametable_learn(struct sf_nametable *t, const char *typed, struct sf_named **out);

/** sf_nametable_find() - Return: the name of a serviceID, NULL where nobody said it. */
const char *sf_nametable_find(const struct sf_nametable *t, const struct sf_sid *sid);

/** sf_nametable_json() - [{"name", "id"}], a new reference; NULL without memory. */
json_t *sf_nametable_json(const struct sf_nametable *t);

#endif
