// SPDX-License-Identifier: Apache-2.0
/* rules.c - from registrations and lists to rules and slots; see rules.h. */
#include "router/rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "core/csum.h"
#include "router/controller_link.h"
#include "router/datapath.h"
#include "router/events.h"
#include "router/extents.h"
#include "router/hosts.h"
#include "router/rules_internal.h"
#include "router/router.h"
#include "util/clock.h"
#include "util/log.h"

int rules_new(struct router *r)
{
	struct rules *t = calloc(1, sizeof(*t));
	int ret;

	if (!t)
		return -ENOMEM;
	ret = extents_new(datapath_slots_max(r->datapath), &t->extents);
	if (ret) {
		free(t);
		return ret;
	}
	r->rules = t;
	return 0;
}

static void service_free(struct rules *t, struct service *s)
{
	HASH_DEL(t->services, s);
	free(s->given);
	free(s);
}

void rules_free(struct router *r)
{
	struct service *s, *tmp;

	if (!r->rules)
		return;
	HASH_ITER (hh, r->rules->services, s, tmp)
		service_free(r->rules, s);
	extents_free(r->rules->extents);
	free(r->rules->old);
	free(r->rules->keys);
	free(r->rules->values);
	free(r->rules);
	r->rules = NULL;
}

/* ---- services ---- */

static struct service *service_find(const struct router *r, const struct sf_service_key *key)
{
	struct service *s;

	HASH_FIND(hh, r->rules->services, key, sizeof(*key), s);
	return s;
}

struct service *rules_service(struct router *r, const struct sf_service_key *key)
{
	struct service *s = service_find(r, key);

	if (s)
		return s;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->key = *key;
	HASH_ADD(hh, r->rules->services, key, sizeof(s->key), s);
	return s;
}

static bool is_empty(const struct service *s)
{
	return !s->local && !s->has_given;
}

static bool serves(const struct router *r)
{
	return r->config.roles & SF_ROLE_SERVICE;
}

/* ---- who serves ---- */

/* Whether a listed instance counts; *@reg: our own knowledge of it. */
static bool given_counts(const struct router *r, const struct service *s, const struct given *g,
			 struct registration **reg)
{
	struct host *h;

	*reg = NULL;
	if (!is_own(r, &g->locator))
		return true;
	h = host_find(r, sf_locator_host(&g->locator));
	if (!h || h->state == HOST_ABSENT)
		return false;
	*reg = registration_find(h, &s->key);
	return *reg || !h->settled;
}

static int share_compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct sf_addr));
}

/*
 * All instances that count, weight 0 included, in the order of their locators, as replicas of this
 * router have them. A router that only gives access is told of none: its own are all, and its
 * tables, by which no packet goes, are its memory of them across a restart. Return: their number.
 */
static uint32_t gather(struct router *r, struct service *s)
{
	struct rules_share *out = r->rules->gathered;
	struct registration *reg;
	uint32_t n = 0;

	for (uint16_t i = 0; i < s->n_given && n < SF_INSTANCES_MAX; i++) {
		if (!given_counts(r, s, &s->given[i], &reg))
			continue;
		if (reg && reg->denied)
			continue;
		if (reg)
			reg->listed = true;
		out[n++] = (struct rules_share){ .locator = s->given[i].locator,
						 .weight = s->given[i].weight,
						 .local = reg };
	}
	DL_FOREACH(s->local, reg)
	{
		if (!reg->listed && (reg->own_word || !serves(r)) && !reg->denied &&
		    n < SF_INSTANCES_MAX)
			out[n++] = (struct rules_share){ .locator = reg->host->locator,
							 .weight = reg->weight ? reg->weight
									       : WEIGHT_DEFAULT,
							 .local = true };
		reg->listed = false;
	}
	for (uint32_t i = 0; i < n; i++) {
		sf_locator_set_sock(&out[i].locator, 0);
		if (out[i].weight > SF_WEIGHT_MAX)
			out[i].weight = SF_WEIGHT_MAX;
	}
	qsort(out, n, sizeof(*out), share_compare);
	return n;
}

/* Those with positive weight, as destinations of the service. Return: their number. */
static uint32_t pick_weighty(struct router *r, const struct service *s, uint32_t n)
{
	struct sf_addr service = sf_service_addr(&r->place.net, &s->key.sid);
	struct rules *t = r->rules;
	uint32_t m = 0;

	for (uint32_t i = 0; i < n; i++) {
		const struct rules_share *in = &t->gathered[i];

		/* A list that names an instance twice counts it once. */
		if (!in->weight || (i && sf_addr_eq(&in->locator, &t->gathered[i - 1].locator)))
			continue;
		t->instances[m].weight = in->weight;
		t->instances[m].dst = in->locator;
		sf_csum_neutral(&service, &t->instances[m].dst);
		m++;
	}
	return m;
}

/* ---- tables ---- */

/* The old table's slots, to be given back when the kernel has the new rule. */
static int remember_extent(struct rules *t, const struct sf_rule *rule)
{
	if (rule->size < 2)
		return 0;
	if (t->n_old == t->room_old) {
		uint32_t room = t->room_old ? t->room_old * 2 : 64;
		struct old_extent *grown = realloc(t->old, room * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		t->old = grown;
		t->room_old = room;
	}
	t->old[t->n_old++] = (struct old_extent){ rule->at, rule->size + rule->instances };
	return 0;
}

/* Fill and write a table for the @m instances picked. Return: 0 or -errno, nothing taken then. */
static int write_table(struct router *r, uint32_t m, uint32_t size, struct sf_rule *rule)
{
	struct rules *t = r->rules;
	int ret;

	ret = sf_table_build(t->instances, m, size, t->indices);
	if (ret)
		return ret;
	for (uint32_t i = 0; i < size; i++)
		t->slots[i] = t->instances[t->indices[i]].dst;
	for (uint32_t i = 0; i < m; i++)
		t->slots[size + i] = t->instances[i].dst;
	ret = extents_take(t->extents, size + m, sf_now_ms(), &rule->at);
	if (ret)
		return ret;
	ret = datapath_slots_put(r->datapath, rule->at, t->slots, size + m);
	if (ret)
		extents_give(t->extents, rule->at, size + m, sf_now_ms());
	return ret;
}

static void enlist(struct rules *t, struct service *s)
{
	if (s->dirty)
		return;
	s->dirty = true;
	s->dirty_next = t->dirty;
	t->dirty = s;
}

/* What a table depends on, in one number (FNV-1a): equal means that nothing is to be done. */
static uint64_t signature_of(const struct router *r, const struct service *s, uint32_t m)
{
	const struct rules *t = r->rules;
	uint64_t h = 0xcbf29ce484222325ull ^ s->flags;

	for (uint32_t i = 0; i < m; i++) {
		const struct sf_instance *in = &t->instances[i];

		for (int b = 0; b < 16; b++)
			h = (h ^ in->dst.b[b]) * 0x100000001b3ull;
		h = (h ^ in->weight) * 0x100000001b3ull;
	}
	return h;
}

/* Build a service's table anew, to be effective with rules_flush(). Return: 0; -ENOSPC no slots,
 * -ENOMEM: the old table stays. */
static int rules_refresh(struct router *r, struct service *s)
{
	struct rules *t = r->rules;
	struct sf_rule rule = { .flags = s->flags };
	uint64_t signature;
	uint32_t n, m;
	int ret = 0;

	n = gather(r, s);
	m = pick_weighty(r, s, n);
	signature = signature_of(r, s, m);
	if (signature == s->signature && s->in_kernel && !is_empty(s))
		return 0;
	enlist(t, s);
	rule.size = sf_table_size(m);
	rule.instances = (uint16_t)m;
	if (m == 1)
		rule.only = t->instances[0].dst;
	else if (m > 1)
		ret = write_table(r, m, rule.size, &rule);
	if (!ret)
		ret = remember_extent(t, &s->rule);
	if (ret)
		return ret;
	s->rule = rule;
	s->signature = signature;
	return 0;
}

void rules_refresh_loudly(struct router *r, struct service *s)
{
	int ret = rules_refresh(r, s);

	if (ret)
		events_add(r, "alarm", NULL, &s->key, SF_DENIED_FULL,
			   "service keeps its old table: %s", strerror(-ret));
}

/* ---- registrations ---- */

struct registration *registration_find(const struct host *h, const struct sf_service_key *key)
{
	struct registration *reg;

	HASH_FIND(hh, h->regs, key, sizeof(*key), reg);
	return reg;
}

static uint64_t digest_of(const struct registration *reg)
{
	if (reg->implicit || reg->denied)
		return 0;
	return sf_registration_digest(&reg->key.sid, reg->key.proto, reg->key.port);
}

static void set_stale(struct registration *reg, bool stale)
{
	uint64_t part = digest_of(reg);

	if (reg->stale == stale)
		return;
	reg->stale = stale;
	reg->host->digest ^= part;
	reg->host->stale_digest ^= part;
}

static uint8_t may_register(const struct router *r, const struct host *h,
			    const struct sf_service_key *key)
{
	bool own = sf_sid_eq(&key->sid, &h->identity);

	/* A rule is found by its exact key or by "any of both". */
	if (sf_sid_is_zero(&key->sid) || !key->proto != !key->port || key->pad)
		return SF_BAD_MESSAGE;
	if ((key->sid.w[0] & sf_be32(SF_SSID_KEYED)) && !own)
		return SF_DENIED_KEYED;
	if (!service_find(r, key) &&
	    HASH_COUNT(r->rules->services) >= datapath_rules_max(r->datapath))
		return SF_DENIED_FULL;
	return SF_NONE;
}

static void confirm(struct router *r, struct registration *reg, uint16_t weight, bool implicit)
{
	set_stale(reg, false);
	if (reg->implicit && !implicit) {
		reg->implicit = false;
		reg->host->digest ^= digest_of(reg);
	}
	if (reg->weight != weight && !implicit) {
		reg->weight = weight;
		rules_refresh_loudly(r, reg->service);
	}
}

uint8_t rules_register(struct router *r, struct host *h, const struct sf_service_key *key,
		       uint16_t weight, bool implicit, bool *added)
{
	struct registration *reg = registration_find(h, key);
	uint8_t reason;
	bool dummy;

	added = added ? added : &dummy;
	*added = false;
	if (reg) {
		confirm(r, reg, weight, implicit);
		return reg->denied;
	}
	reason = may_register(r, h, key);
	if (reason)
		return reason;
	reg = calloc(1, sizeof(*reg));
	if (!reg)
		return SF_INTERNAL;
	reg->service = rules_service(r, key);
	if (!reg->service || host_source_add(r, h, &key->sid)) {
		if (reg->service)
			enlist(r->rules, reg->service); /* freed when empty */
		free(reg);
		return SF_DENIED_FULL;
	}
	reg->key = *key;
	reg->host = h;
	reg->weight = weight;
	reg->implicit = implicit;
	reg->own_word = true;
	reg->since_ms = sf_now_ms();
	reg->since_wall_ms = sf_wall_ms();
	HASH_ADD(hh, h->regs, key, sizeof(reg->key), reg);
	h->n_regs++;
	h->digest ^= digest_of(reg);
	DL_APPEND(reg->service->local, reg);
	DL_APPEND2(r->rules->fresh, reg, fresh_prev, fresh_next);
	if (rules_refresh(r, reg->service)) {
		rules_unregister(r, reg);
		return SF_DENIED_FULL;
	}
	r->stats.registrations++;
	*added = true;
	return SF_NONE;
}

void rules_judge(struct router *r, struct registration *reg, uint8_t reason)
{
	bool was = reg->denied;

	if (was == !!reason) {
		reg->denied = reason;
		return;
	}
	set_stale(reg, false);
	reg->host->digest ^= digest_of(reg); /* one of the two is 0 */
	reg->denied = reason;
	reg->host->digest ^= digest_of(reg);
	rules_refresh_loudly(r, reg->service);
}

void rules_unregister(struct router *r, struct registration *reg)
{
	struct service *s = reg->service;
	struct host *h = reg->host;

	/* Of a host that has left all is gone anyway. */
	if (!reg->implicit && h->state != HOST_ABSENT)
		controller_link_unregistered(r, h, &reg->key);
	set_stale(reg, false);
	h->digest ^= digest_of(reg);
	h->denied -= !!reg->denied;
	HASH_DEL(h->regs, reg);
	h->n_regs--;
	DL_DELETE(s->local, reg);
	if (reg->own_word)
		DL_DELETE2(r->rules->fresh, reg, fresh_prev, fresh_next);
	host_source_del(r, h, &reg->key.sid);
	free(reg);
	r->stats.unregistrations++;
	rules_refresh_loudly(r, s);
}

uint32_t rules_unregister_all(struct router *r, struct host *h, bool stale_only)
{
	struct registration *reg, *tmp;
	uint32_t n = 0;

	HASH_ITER (hh, h->regs, reg, tmp) {
		if (stale_only && !reg->stale)
			continue;
		rules_unregister(r, reg);
		n++;
	}
	return n;
}

void rules_mark_stale(struct host *h)
{
	for (struct registration *reg = h->regs; reg; reg = reg->hh.next)
		if (!reg->implicit)
			set_stale(reg, true);
}

void rules_unmark_stale(struct host *h)
{
	for (struct registration *reg = h->regs; reg; reg = reg->hh.next)
		set_stale(reg, false);
}

void rules_age(struct router *r, uint64_t now)
{
	struct registration *reg, *tmp;

	DL_FOREACH_SAFE2(r->rules->fresh, reg, tmp, fresh_next)
	{
		if (reg->since_ms + FRESH_MS > now)
			break;
		DL_DELETE2(r->rules->fresh, reg, fresh_prev, fresh_next);
		reg->own_word = false;
		if (!rules_lists(reg->service, reg->host))
			rules_refresh_loudly(r, reg->service);
	}
}

/* ---- effect ---- */

static int batch_room(struct rules *t, uint32_t n)
{
	void *keys, *values;

	if (n <= t->batch_room)
		return 0;
	keys = realloc(t->keys, n * sizeof(*t->keys));
	if (!keys)
		return -ENOMEM;
	t->keys = keys;
	values = realloc(t->values, n * sizeof(*t->values));
	if (!values)
		return -ENOMEM;
	t->values = values;
	t->batch_room = n;
	return 0;
}

/* Put what is wanted (@gone false) or delete what is not. */
static int flush_part(struct router *r, bool gone)
{
	struct rules *t = r->rules;
	uint32_t n = 0;
	int ret;

	for (struct service *s = t->dirty; s; s = s->dirty_next) {
		if (is_empty(s) != gone || (gone && !s->in_kernel))
			continue;
		t->keys[n] = s->key;
		t->values[n++] = s->rule;
		s->in_kernel = !gone;
	}
	ret = gone ? datapath_rules_del(r->datapath, t->keys, n)
		   : datapath_rules_put(r->datapath, t->keys, t->values, n);
	if (ret)
		sf_error("table of services: %u %s: %s", n, gone ? "deletions" : "changes",
			 strerror(-ret));
	return ret;
}

int rules_flush(struct router *r)
{
	struct rules *t = r->rules;
	struct service *s, *next;
	uint32_t n = 0;
	int ret = 0;

	for (s = t->dirty; s; s = s->dirty_next)
		n++;
	if (!n)
		return 0;
	ret = batch_room(t, n);
	if (ret) {
		sf_error("table of services: %s", strerror(-ret));
		return ret; /* all stays dirty: the next flush tries again */
	}
	ret = flush_part(r, false);
	if (!ret)
		ret = flush_part(r, true);
	for (uint32_t i = 0; i < t->n_old; i++)
		extents_give(t->extents, t->old[i].at, t->old[i].n, sf_now_ms());
	t->n_old = 0;
	for (s = t->dirty; s; s = next) {
		next = s->dirty_next;
		s->dirty = false;
		if (is_empty(s)) {
			if (s->rule.size > 1)
				extents_give(t->extents, s->rule.at,
					     s->rule.size + s->rule.instances, sf_now_ms());
			service_free(t, s);
		}
	}
	t->dirty = NULL;
	return ret;
}

/* ---- for people ---- */

struct service *rules_first(const struct router *r)
{
	return r->rules->services;
}

uint32_t rules_count(const struct router *r)
{
	return HASH_COUNT(r->rules->services);
}

uint32_t rules_slots_used(const struct router *r)
{
	return extents_used(r->rules->extents);
}

uint32_t rules_shares(struct router *r, struct service *s, struct rules_share *out, uint32_t max)
{
	struct rules *t = r->rules;
	uint32_t n = gather(r, s), m;

	if (s->rule.size > 1 &&
	    !datapath_slots_get(r->datapath, s->rule.at, t->slots, s->rule.size)) {
		for (uint32_t i = 0; i < s->rule.size; i++) {
			struct sf_addr key = t->slots[i];
			struct rules_share *hit;

			sf_locator_set_sock(&key, 0);
			hit = bsearch(&key, t->gathered, n, sizeof(*hit), share_compare);
			if (hit)
				hit->slots++;
		}
	} else if (s->rule.size == 1) {
		for (uint32_t i = 0; i < n; i++)
			t->gathered[i].slots = t->gathered[i].weight > 0;
	}
	m = n < max ? n : max;
	memcpy(out, t->gathered, m * sizeof(*out));
	return n;
}
