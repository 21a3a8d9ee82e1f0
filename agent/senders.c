// SPDX-License-Identifier: Apache-2.0
/* senders.c - the policy as entries of the hooks' trie; see senders.h. */
#include "agent/senders.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/host.h"
#include "core/hooks.h"
#include "util/cgroup.h"

struct entry {
	struct sf_sender_key key;
	uint8_t verdict;
};

struct entries {
	uint64_t host;
	struct entry *list;
	size_t n, room;
	uint32_t kind; /* of the ids being entered */
	uint8_t verdict;
};

static int entry_add(struct entries *e, uint64_t id, unsigned int bits)
{
	struct sf_sender_key key = { .prefixlen = SF_SENDER_BITS - bits,
				     .kind = e->kind,
				     .host = e->host,
				     .id = sf_be64(id) };

	if (e->n == e->room) {
		size_t room = e->room ? 2 * e->room : 64;
		struct entry *more = reallocarray(e->list, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		e->list = more;
		e->room = room;
	}
	e->list[e->n++] = (struct entry){ key, e->verdict };
	return 0;
}

static int add_span(void *ctx, uint32_t first, unsigned int bits)
{
	return entry_add(ctx, first, bits);
}

static int add_ranges(struct entries *e, uint32_t kind, const struct policy_ranges *r)
{
	int ret = 0;

	e->kind = kind;
	e->verdict = SF_SENDER_ALLOWED;
	for (size_t i = 0; !ret && i < r->count; i++)
		ret = policy_spans(&r->items[i], add_span, e);
	return ret;
}

/* Those that exist now. */
static int add_cgroups(struct entries *e, const struct sf_conf_list *paths, uint8_t verdict)
{
	int ret = 0;

	e->kind = SF_SENDER_CGROUP;
	e->verdict = verdict;
	for (size_t i = 0; !ret && i < paths->count; i++) {
		uint64_t id;

		if (!sf_cgroup_id(paths->items[i], &id))
			ret = entry_add(e, id, 0);
	}
	return ret;
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct sf_sender_key));
}

/* Keys of the host in the trie which are not in @wanted (sorted). */
struct stale {
	const struct entries *wanted;
	struct entries found;
};

static int collect_stale(const void *key, const void *value, void *ctx)
{
	const struct stale *s = ctx;
	struct entry e = { .verdict = 0 };

	memcpy(&e.key, key, sizeof(e.key));
	if (e.key.host != s->wanted->host ||
	    (s->wanted->n && bsearch(&e, s->wanted->list, s->wanted->n, sizeof(e), compare)))
		return 0;
	((struct stale *)ctx)->found.kind = e.key.kind;
	return entry_add(&((struct stale *)ctx)->found, sf_be64(e.key.id),
			 SF_SENDER_BITS - e.key.prefixlen);
}

static void remove_stale(struct host *h, const struct entries *wanted)
{
	struct stale s = { .wanted = wanted, .found = { .host = wanted->host } };
	int fd = hooks_map(h, "senders");

	sf_bpf_map_walk(fd, sizeof(struct sf_sender_key), sizeof(uint8_t), collect_stale, &s);
	for (size_t i = 0; i < s.found.n; i++)
		bpf_map_delete_elem(fd, &s.found.list[i].key);
	free(s.found.list);
}

int senders_apply(struct host *h, uint32_t *flags)
{
	const struct policy *p = &h->policy;
	struct entries e = { .host = h->cookie };
	int fd = hooks_map(h, "senders");
	int ret = add_ranges(&e, SF_SENDER_UID, &p->uids);

	if (!ret)
		ret = add_ranges(&e, SF_SENDER_UID, &p->members);
	if (!ret)
		ret = add_ranges(&e, SF_SENDER_GID, &p->gids);
	if (!ret)
		ret = add_cgroups(&e, &p->allow_cgroup, SF_SENDER_ALLOWED);
	if (!ret)
		ret = add_cgroups(&e, &p->deny_cgroup, SF_SENDER_DENIED); /* the last one counts */
	for (size_t i = 0; !ret && i < e.n; i++)
		if (bpf_map_update_elem(fd, &e.list[i].key, &e.list[i].verdict, BPF_ANY))
			ret = -errno;
	if (!ret) {
		if (e.n)
			qsort(e.list, e.n, sizeof(*e.list), compare);
		remove_stale(h, &e);
	}
	free(e.list);
	*flags = SF_HOOK_SENDERS | (p->gids.count ? SF_HOOK_SENDER_GIDS : 0) |
		 (policy_wants_cgroup(p) ? SF_HOOK_SENDER_CGROUPS : 0);
	return ret;
}

void senders_forget(struct host *h, uint64_t cookie)
{
	struct entries none = { .host = cookie };

	remove_stale(h, &none);
}
