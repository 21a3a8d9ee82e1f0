// SPDX-License-Identifier: Apache-2.0
/* policy.c - lists of users, groups and control groups, and the verdict. */
#include "agent/policy.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/reason.h"

enum kind { USERS, GROUPS };

bool policy_in(const struct policy_ranges *r, uint32_t id)
{
	for (size_t i = 0; i < r->count; i++)
		if (id >= r->items[i].first && id <= r->items[i].last)
			return true;
	return false;
}

/* A number that ends at @stop. */
static bool parse_id(const char *text, char stop, uint32_t *out, const char **end)
{
	char *after;
	unsigned long value;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	value = strtoul(text, &after, 10);
	if (errno || *after != stop || value > UINT32_MAX - 1)
		return false;
	*out = (uint32_t)value;
	*end = after;
	return true;
}

static bool parse_name(enum kind kind, const char *text, struct policy_range *out)
{
	if (kind == USERS) {
		const struct passwd *pw = getpwnam(text);

		if (pw)
			out->first = out->last = pw->pw_uid;
		return pw != NULL;
	}
	const struct group *gr = getgrnam(text);

	if (gr)
		out->first = out->last = gr->gr_gid;
	return gr != NULL;
}

static bool parse_range(enum kind kind, const char *text, struct policy_range *out)
{
	struct policy_range r;
	const char *end;

	if (parse_id(text, '\0', &r.first, &end)) {
		r.last = r.first;
	} else if (parse_id(text, '-', &r.first, &end)) {
		if (!parse_id(end + 1, '\0', &r.last, &end) || r.last < r.first)
			return false;
	} else if (!parse_name(kind, text, &r)) {
		return false;
	}
	*out = r;
	return true;
}

static int parse_ranges(enum kind kind, const struct sf_conf_list *list, struct policy_ranges *out,
			char *err, size_t errlen)
{
	struct policy_ranges r = { 0 };

	if (!list->count)
		return 0;
	r.items = calloc(list->count, sizeof(*r.items));
	if (!r.items)
		return -ENOMEM;
	for (; r.count < list->count; r.count++) {
		if (!parse_range(kind, list->items[r.count], &r.items[r.count])) {
			snprintf(err, errlen,
				 "%s: got '%s', expected a %s name, a number, or a range such as "
				 "100-999",
				 kind == USERS ? "allow_uid" : "allow_gid", list->items[r.count],
				 kind == USERS ? "user" : "group");
			free(r.items);
			return -EINVAL;
		}
	}
	*out = r;
	return 0;
}

/* ---- members of groups ------------------------------------------------------------------ */

static int ranges_add(struct policy_ranges *r, uint32_t id)
{
	struct policy_range *more;

	if (policy_in(r, id))
		return 0;
	more = reallocarray(r->items, r->count + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	r->items = more;
	r->items[r->count++] = (struct policy_range){ id, id };
	return 0;
}

static int members_of(const struct group *gr, struct policy_ranges *out)
{
	int ret = 0;

	for (char **name = gr->gr_mem; !ret && *name; name++) {
		const struct passwd *pw = getpwnam(*name);

		if (pw)
			ret = ranges_add(out, pw->pw_uid);
	}
	return ret;
}

/* Whom the database has in one of @gids: by the groups' lists, and by their primary group. */
static int find_members(const struct policy_ranges *gids, struct policy_ranges *out)
{
	const struct passwd *pw;
	const struct group *gr;
	int ret = 0;

	if (!gids->count)
		return 0;
	setgrent();
	while (!ret && (gr = getgrent()))
		if (policy_in(gids, gr->gr_gid))
			ret = members_of(gr, out);
	endgrent();
	/* A database that does not list all may still know one that is asked for. */
	for (size_t i = 0; !ret && i < gids->count; i++)
		if (gids->items[i].first == gids->items[i].last &&
		    (gr = getgrgid(gids->items[i].first)))
			ret = members_of(gr, out);
	setpwent();
	while (!ret && (pw = getpwent()))
		if (policy_in(gids, pw->pw_gid))
			ret = ranges_add(out, pw->pw_uid);
	endpwent();
	return ret;
}

int policy_group(const char *name, struct policy_ranges *gid, struct policy_ranges *members)
{
	struct policy_range found;
	int ret;

	memset(gid, 0, sizeof(*gid));
	memset(members, 0, sizeof(*members));
	if (!name[0] || !parse_name(GROUPS, name, &found))
		return 0;
	ret = ranges_add(gid, found.first);
	if (!ret)
		ret = find_members(gid, members);
	if (ret) {
		free(gid->items);
		free(members->items);
		memset(gid, 0, sizeof(*gid));
		memset(members, 0, sizeof(*members));
	}
	return ret;
}

int policy_spans(const struct policy_range *r, policy_span_fn fn, void *ctx)
{
	uint64_t at = r->first, end = (uint64_t)r->last + 1;
	int ret = 0;

	while (!ret && at < end) {
		unsigned int bits = 0;

		while (bits < 32 && !(at & ((1ull << (bits + 1)) - 1)) &&
		       at + (1ull << (bits + 1)) <= end)
			bits++;
		ret = fn(ctx, (uint32_t)at, bits);
		at += 1ull << bits;
	}
	return ret;
}

static int check_cgroups(const char *key, const struct sf_conf_list *list, char *err, size_t errlen)
{
	for (size_t i = 0; i < list->count; i++) {
		if (list->items[i][0] != '/') {
			snprintf(err, errlen,
				 "%s: got '%s', expected a path that begins with '/', below the "
				 "mount of cgroup v2",
				 key, list->items[i]);
			return -EINVAL;
		}
	}
	return 0;
}

int policy_parse(const struct sf_conf_list *allow_uid, const struct sf_conf_list *allow_gid,
		 const struct sf_conf_list *allow_cgroup, const struct sf_conf_list *deny_cgroup,
		 struct policy *out, char *err, size_t errlen)
{
	struct policy p = { .allow_cgroup = *allow_cgroup, .deny_cgroup = *deny_cgroup };
	int ret = parse_ranges(USERS, allow_uid, &p.uids, err, errlen);

	if (!ret)
		ret = parse_ranges(GROUPS, allow_gid, &p.gids, err, errlen);
	if (!ret)
		ret = check_cgroups("allow_cgroup", allow_cgroup, err, errlen);
	if (!ret)
		ret = check_cgroups("deny_cgroup", deny_cgroup, err, errlen);
	if (!ret)
		ret = find_members(&p.gids, &p.members);
	if (ret) {
		policy_free(&p);
		return ret;
	}
	*out = p;
	return 0;
}

void policy_free(struct policy *p)
{
	free(p->uids.items);
	free(p->gids.items);
	free(p->members.items);
	memset(p, 0, sizeof(*p));
}

/* Whether @group is one of the list, or below one. */
static bool in_cgroups(const struct sf_conf_list *list, const char *group)
{
	for (size_t i = 0; group && i < list->count; i++) {
		const char *top = list->items[i];
		size_t len = strlen(top);

		while (len && top[len - 1] == '/')
			len--;
		if (!strncmp(group, top, len) && (group[len] == '\0' || group[len] == '/'))
			return true;
	}
	return false;
}

uint8_t policy_judge(const struct policy *p, const struct policy_subject *who)
{
	/* A denied group must hold even where nobody can say which group it was. */
	if (p->deny_cgroup.count && (!who->cgroup || in_cgroups(&p->deny_cgroup, who->cgroup)))
		return SF_DENIED_CGROUP;
	if (policy_in(&p->uids, who->uid) || policy_in(&p->members, who->uid) ||
	    in_cgroups(&p->allow_cgroup, who->cgroup))
		return 0;
	for (size_t i = 0; i < who->n_gids; i++)
		if (policy_in(&p->gids, who->gids[i]))
			return 0;
	return SF_DENIED_UID;
}

bool policy_wants_groups(const struct policy *p)
{
	return p->gids.count > 0;
}

bool policy_wants_cgroup(const struct policy *p)
{
	return p->allow_cgroup.count || p->deny_cgroup.count;
}
