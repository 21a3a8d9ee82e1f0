// SPDX-License-Identifier: Apache-2.0
/* rules_given.c - lists of instances from the controller, or found in the kernel after a restart.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "router/controller_link.h"
#include "router/datapath.h"
#include "router/extents.h"
#include "router/hosts.h"
#include "router/router.h"
#include "router/rules_internal.h"
#include "util/errtext.h"
#include "util/log.h"

static bool names(const struct given *list, uint16_t n, const struct host *h)
{
	for (uint16_t i = 0; i < n; i++)
		if (sf_locator_same_host(&list[i].locator, &h->locator))
			return true;
	return false;
}

/* A list that names a host which the one before did not: the controller has heard that it
 * registered. What it says from now on counts at once. */
static void take_word(struct router *r, struct service *s, const struct given *list, uint16_t n)
{
	struct registration *reg;

	DL_FOREACH(s->local, reg)
	{
		if (!reg->own_word || rules_lists(s, reg->host) || !names(list, n, reg->host))
			continue;
		reg->own_word = false;
		DL_DELETE2(r->rules->fresh, reg, fresh_prev, fresh_next);
	}
}

int rules_give(struct router *r, const struct sf_service_key *key, uint16_t flags,
	       uint16_t move_grace, const struct given *list, uint16_t n, uint32_t generation)
{
	struct service *s = rules_service(r, key);
	struct given *copy = NULL;

	if (n) {
		copy = malloc(n * sizeof(*copy));
		if (copy)
			memcpy(copy, list, n * sizeof(*copy));
	}
	if (!s || (n && !copy)) {
		free(copy);
		return -ENOMEM;
	}
	take_word(r, s, copy, n);
	free(s->given);
	s->given = copy;
	s->n_given = n;
	s->flags = flags;
	s->move_grace = move_grace;
	s->has_given = s->has_policy = true;
	s->generation = generation;
	rules_refresh_loudly(r, s);
	return 0;
}

static void take(struct router *r, struct service *s)
{
	free(s->given);
	s->given = NULL;
	s->n_given = 0;
	s->has_given = s->has_policy = false;
	rules_refresh_loudly(r, s);
}

void rules_take(struct router *r, const struct sf_service_key *key)
{
	struct service *s;

	HASH_FIND(hh, r->rules->services, key, sizeof(*key), s);
	if (s && s->has_given)
		take(r, s);
}

static void forget_older(struct router *r, uint32_t generation)
{
	for (struct service *s = r->rules->services; s; s = s->hh.next)
		if (s->has_given && s->generation != generation)
			take(r, s);
}

/* Whether lists come from a controller: it tells service routers alone. */
static bool is_told(const struct router *r)
{
	return r->uplink && (r->config.roles & SF_ROLE_SERVICE);
}

void rules_take_older(struct router *r, uint32_t generation)
{
	if (is_told(r))
		forget_older(r, generation);
}

bool rules_lists(const struct service *s, const struct host *h)
{
	return names(s->given, s->n_given, h);
}

void rules_each_unproven(struct router *r, const struct host *h,
			 void (*each)(struct router *r, const struct host *h,
				      const struct sf_service_key *key))
{
	for (struct service *s = r->rules->services; s; s = s->hh.next)
		if (rules_lists(s, h) && !registration_find(h, &s->key))
			each(r, h, &s->key);
}

static bool all_settled(const struct router *r)
{
	for (struct host *h = r->hosts->by_addr; h; h = h->hh.next)
		if (h->state != HOST_ABSENT && !h->settled)
			return false;
	return true;
}

/* Whether a host on the list has yet to say what it serves. */
static bool awaited(const struct router *r, const struct service *s)
{
	for (uint16_t i = 0; i < s->n_given; i++) {
		struct host *h = is_own(r, &s->given[i].locator)
					 ? host_find(r, sf_locator_host(&s->given[i].locator))
					 : NULL;

		if (h && h->state != HOST_ABSENT && !h->settled)
			return true;
	}
	return false;
}

void rules_settled(struct router *r, const struct host *h)
{
	for (struct service *s = r->rules->services; s; s = s->hh.next) {
		if (!rules_lists(s, h))
			continue;
		/* It was announced on the strength of the list alone. */
		if (h->state != HOST_ABSENT && !registration_find(h, &s->key))
			controller_link_unregistered(r, h, &s->key);
		if (is_told(r) || awaited(r, s))
			rules_refresh_loudly(r, s);
		else
			take(r, s);
	}
	controller_link_flush(r);
	/* Where nobody tells, lists are only what the kernel still had. */
	if (!is_told(r) && all_settled(r))
		forget_older(r, UINT32_MAX);
}

/* ---- restart ---- */

/* The instances of a table in the kernel, weighted by their slots. Return: their number or -errno.
 */
static int read_table(struct router *r, const struct sf_rule *rule, struct given *out)
{
	struct rules *t = r->rules;
	uint32_t n = rule->instances;
	int ret;

	if (rule->size < 2) {
		out[0] = (struct given){ .locator = rule->only, .weight = WEIGHT_DEFAULT };
		return (int)rule->size;
	}
	if (n > SF_INSTANCES_MAX || rule->size > SF_TABLE_MAX || !n)
		return -EPROTO;
	ret = extents_claim(t->extents, rule->at, rule->size + n);
	if (!ret)
		ret = datapath_slots_get(r->datapath, rule->at, t->slots, rule->size + n);
	if (ret)
		return ret;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t weight = 0;

		for (uint32_t k = 0; k < rule->size; k++)
			weight += sf_addr_eq(&t->slots[k], &t->slots[rule->size + i]);
		weight = (weight * n * WEIGHT_DEFAULT + rule->size / 2) / rule->size;
		out[i].locator = t->slots[rule->size + i];
		out[i].weight = weight > SF_WEIGHT_MAX ? SF_WEIGHT_MAX : weight ? weight : 1;
	}
	return (int)n;
}

struct restore {
	struct router *r;
	struct given list[SF_INSTANCES_MAX];
	struct sf_service_key *bad;
	uint32_t n_bad;
	int err;
};

static int restore_rule(const void *k, const void *v, void *ctx)
{
	const struct sf_service_key *key = k;
	const struct sf_rule *rule = v;
	struct restore *st = ctx;
	struct service *s;
	int n = read_table(st->r, rule, st->list);

	if (n < 0) { /* not as we write them: away with it */
		void *grown = realloc(st->bad, (st->n_bad + 1) * sizeof(*st->bad));

		if (!grown)
			return -ENOMEM;
		st->bad = grown;
		st->bad[st->n_bad++] = *key;
		return 0;
	}
	s = rules_service(st->r, key);
	if (!s || s->has_given)
		return s ? 0 : -ENOMEM;
	s->given = calloc(n ? (size_t)n : 1, sizeof(*s->given));
	if (!s->given)
		return -ENOMEM;
	for (int i = 0; i < n; i++) {
		s->given[i] = st->list[i];
		sf_locator_set_sock(&s->given[i].locator, 0);
	}
	s->n_given = (uint16_t)n;
	s->has_given = true;
	s->flags = rule->flags;
	s->rule = *rule;
	s->in_kernel = true;
	return 0;
}

int rules_restore(struct router *r, char *err, size_t errlen)
{
	struct restore *st = calloc(1, sizeof(*st));
	int ret;

	if (!st)
		return sf_errtext(err, errlen, -ENOMEM, "out of memory");
	st->r = r;
	ret = datapath_rules_each(r->datapath, restore_rule, st);
	if (!ret && st->n_bad) {
		sf_warn("table of services: %u rules of unknown shape removed", st->n_bad);
		ret = datapath_rules_del(r->datapath, st->bad, st->n_bad);
	}
	if (ret)
		sf_errtext(err, errlen, ret, "table of services: %s", strerror(-ret));
	else if (rules_count(r))
		sf_info("table of services: %u taken over", rules_count(r));
	free(st->bad);
	free(st);
	return ret;
}
