// SPDX-License-Identifier: Apache-2.0
/*
 * policy.h - who may register services on this host.
 *
 * A program may register if its control group is not denied and its user, one of its groups, or its
 * control group is allowed. By default system users (uid below 1000) may. Pure: the caller brings
 * what it knows of the program.
 */
#ifndef SF_AGENT_POLICY_H
#define SF_AGENT_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/conf.h"

struct policy_range {
	uint32_t first, last;
};

struct policy_ranges {
	struct policy_range *items;
	size_t count;
};

/**
 * struct policy - compiled lists.
 * @members: users whom the user database has in one of @gids. Names are looked up once, when the
 *	     configuration is read: a look-up may take seconds, and the agent's loop must not wait.
 */
struct policy {
	struct policy_ranges uids, gids, members;
	struct sf_conf_list allow_cgroup, deny_cgroup; /* borrowed from the configuration */
};

/** struct policy_subject - a program that wants to register. */
struct policy_subject {
	uint32_t uid;
	const gid_t *gids; /* beside those of the user database */
	size_t n_gids;
	const char *cgroup; /* path below the mount, "/system.slice/nginx.service"; NULL: unknown */
};

/**
 * policy_parse() - compile the lists of the configuration.
 * @out: written on success; the lists of control groups stay the caller's
 *
 * Return: 0, -ENOMEM, or -EINVAL with @err naming key, word and what was expected.
 */
int policy_parse(const struct sf_conf_list *allow_uid, const struct sf_conf_list *allow_gid,
		 const struct sf_conf_list *allow_cgroup, const struct sf_conf_list *deny_cgroup,
		 struct policy *out, char *err, size_t errlen);

/** policy_free() - a zeroed one is fine. */
void policy_free(struct policy *p);

/** policy_judge() - Return: 0 allowed, else the reason (SF_DENIED_UID, SF_DENIED_CGROUP). */
uint8_t policy_judge(const struct policy *p, const struct policy_subject *who);

/**
 * policy_group() - a group by name, and its members, for a list that holds this one alone.
 * @gid, @members: out; nothing where there is no such group. The caller frees @members->items.
 *
 * Return: 0 or -ENOMEM.
 */
int policy_group(const char *name, struct policy_ranges *gid, struct policy_ranges *members);

/** policy_in() - whether an id is in one of the ranges. */
bool policy_in(const struct policy_ranges *r, uint32_t id);

/* Called for each block of 2^@bits ids from @first on; a non-zero return ends it. */
typedef int (*policy_span_fn)(void *ctx, uint32_t first, unsigned int bits);

/** policy_spans() - a range in aligned blocks, the fewest. Return: 0, or what @fn returned. */
int policy_spans(const struct policy_range *r, policy_span_fn fn, void *ctx);

/** policy_wants_groups() - whether judging needs the program's groups (they cost a look-up). */
bool policy_wants_groups(const struct policy *p);

/** policy_wants_cgroup() - whether judging needs the program's control group. */
bool policy_wants_cgroup(const struct policy *p);

#endif
