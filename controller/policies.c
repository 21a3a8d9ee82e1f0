// SPDX-License-Identifier: Apache-2.0
/* policies.c - policies and names in force. The store comes first: what it did not take is not
 * done. */
#include "controller/policies.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "controller/events.h"
#include "controller/services.h"
#include "core/name.h"
#include "util/crypto.h"

#define EVICT_TRIES 16
#define GONE_MAX    1024 /* names that wait for their deletion */

struct policy *policy_of(const struct controller *c, const struct sf_sid *sid)
{
	struct policy *p;

	HASH_FIND(hh, c->policies, sid, sizeof(*sid), p);
	return p;
}

const char *name_find(const struct controller *c, const struct sf_sid *sid)
{
	struct name *n;

	HASH_FIND(hh, c->names, sid, sizeof(*sid), n);
	return n ? n->text : NULL;
}

static void name_drop(struct controller *c, struct name *n)
{
	if (n->unsaved)
		DL_DELETE2(c->names_unsaved, n, unsaved_prev, unsaved_next);
	HASH_DEL(c->names, n);
	free(n);
}

/* The store forgets it in the next batch: no message of a host waits for a disk. */
static int name_forget(struct controller *c, struct name *n)
{
	int ret = 0;

	if (!c->names_gone)
		c->names_gone = calloc(GONE_MAX, sizeof(*c->names_gone));
	if (!c->names_gone)
		return -ENOMEM;
	if (c->n_names_gone == GONE_MAX)
		ret = names_store(c, GONE_MAX);
	if (ret < 0)
		return ret;
	if (!n->unsaved)
		c->names_gone[c->n_names_gone++] = n->sid;
	name_drop(c, n);
	return 0;
}

/*
 * Room for one more name. Hosts bring names, and could bring any number of them by and by: in a
 * full table the oldest goes whose service nobody serves and that has no policy.
 */
static bool make_room(struct controller *c)
{
	for (int i = 0; i < EVICT_TRIES && HASH_COUNT(c->names) >= c->config->names_max; i++) {
		struct name *n = c->names;

		if (service_find(c, &n->sid) || policy_of(c, &n->sid)) {
			HASH_DEL(c->names, n);
			HASH_ADD(hh, c->names, sid, sizeof(n->sid), n); /* now the youngest */
			continue;
		}
		if (name_forget(c, n))
			break;
	}
	return HASH_COUNT(c->names) < c->config->names_max;
}

static int name_add(struct controller *c, const struct sf_sid *sid, const char *text,
		    struct name **out)
{
	struct name *n;
	struct name *old;
	size_t len = strlen(text) + 1;

	HASH_FIND(hh, c->names, sid, sizeof(*sid), old);
	n = calloc(1, sizeof(*n) + len);
	if (!n)
		return -ENOMEM;
	n->sid = *sid;
	memcpy(n->text, text, len);
	if (old)
		name_drop(c, old);
	HASH_ADD(hh, c->names, sid, sizeof(n->sid), n);
	if (out)
		*out = n;
	return 0;
}

int name_learn(struct controller *c, const struct sf_sid *sid, const char *text)
{
	const char *old = name_find(c, sid);
	int ret;

	if (old && strcmp(old, text) == 0)
		return 0;
	if (!old && !make_room(c))
		return -ENOSPC;
	ret = store_name_put(c->store, sid, text);
	if (!ret)
		ret = name_add(c, sid, text, NULL);
	if (!ret)
		service_touch(c, sid); /* routers show it, too */
	return ret;
}

void name_hear(struct controller *c, const struct host *host, const struct sf_sid *sid,
	       const void *data, size_t len)
{
	struct event_entry e = event_of_host(EVENT_NAME, host);
	char text[SF_NAME_TEXT];
	struct name *n;

	if (sf_name_take(data, len, sf_sha256, &e.service, text) ||
	    (sid && !sf_sid_eq(sid, &e.service))) {
		c->stats.bad_names++;
		return;
	}
	if (name_find(c, &e.service) || (!sid && !service_find(c, &e.service)))
		return;
	if (!make_room(c) || name_add(c, &e.service, text, &n))
		return;
	n->unsaved = true;
	DL_APPEND2(c->names_unsaved, n, unsaved_prev, unsaved_next);
	service_touch(c, &e.service);
	events_add(c, &e, "told by a host");
}

int names_store(struct controller *c, uint32_t limit)
{
	struct name *n = c->names_unsaved;
	unsigned int gone = 0, done = 0;
	int ret, end;

	if (!n && !c->n_names_gone)
		return 0;
	ret = store_batch_begin(c->store);
	if (ret)
		return ret;
	for (; gone < c->n_names_gone && !ret && gone < limit; gone++)
		if (!name_find(c, &c->names_gone[gone])) /* or it was told again */
			ret = store_name_delete(c->store, &c->names_gone[gone]);
	for (; n && !ret && gone + done < limit; n = n->unsaved_next, done++)
		ret = store_name_put(c->store, &n->sid, n->text);
	end = store_batch_end(c->store);
	if (ret || end)
		return ret ? ret : end; /* all of them again */
	if (gone) {
		c->n_names_gone -= gone;
		memmove(c->names_gone, c->names_gone + gone,
			c->n_names_gone * sizeof(*c->names_gone));
	}
	for (unsigned int i = 0; i < done; i++) {
		n = c->names_unsaved;
		DL_DELETE2(c->names_unsaved, n, unsaved_prev, unsaved_next);
		n->unsaved = false;
	}
	return (int)(gone + done);
}

static int load_name(void *ctx, const struct sf_sid *sid, const char *text)
{
	return name_add(ctx, sid, text, NULL);
}

static void say_dropped(struct controller *c, const struct sf_sid *sid, const char *host)
{
	struct event_entry e = { .kind = EVENT_ALARM, .service = *sid };

	events_add(c, &e,
		   "the stored policy knows host %s by name alone: that part is void, as names "
		   "prove nothing; set it anew",
		   host);
}

/* Before policies went by identities they could have names. Whose these were nobody knows now. */
static void drop_names(struct controller *c, const struct sf_sid *sid, json_t *policy)
{
	json_t *allow = json_object_get(policy, "allow");
	json_t *instances = json_object_get(policy, "instances");
	const char *host;
	json_t *value;
	void *tmp;

	for (size_t i = json_array_size(allow); i-- > 0;) {
		host = json_string_value(json_array_get(allow, i));
		if (!host || strchr(host, ':') || strcmp(host, "*") == 0)
			continue;
		say_dropped(c, sid, host);
		json_array_remove(allow, i);
	}
	json_object_foreach_safe(instances, tmp, host, value)
	{
		if (strchr(host, ':'))
			continue;
		say_dropped(c, sid, host);
		json_object_del(instances, host);
	}
}

static int load_policy(void *ctx, const struct sf_sid *sid, const char *text)
{
	struct controller *c = ctx;
	struct naming naming = { .net = &c->config->net };
	struct policy_error e;
	struct policy *p;
	json_t *json = json_loads(text, 0, NULL);
	int ret;

	drop_names(c, sid, json);
	ret = json ? policy_parse(sid, json, NULL, &naming, &p, &e) : -EUCLEAN;

	json_decref(json);
	if (!ret)
		HASH_ADD(hh, c->policies, sid, sizeof(p->sid), p);
	return ret == -EINVAL ? -EUCLEAN : ret;
}

int policies_load(struct controller *c, char *err, size_t errlen)
{
	int ret = store_names(c->store, load_name, c);

	if (!ret)
		ret = store_policies(c->store, load_policy, c);
	if (ret)
		snprintf(err, errlen, "%s: cannot read policies: %s", store_path(c->store),
			 ret == -EUCLEAN ? "a policy is malformed" : strerror(-ret));
	return ret;
}

void policies_free(struct controller *c)
{
	struct policy *p, *tmp_p;
	struct name *n, *tmp_n;

	HASH_ITER (hh, c->policies, p, tmp_p) {
		HASH_DEL(c->policies, p);
		policy_free(p);
	}
	HASH_ITER (hh, c->names, n, tmp_n)
		name_drop(c, n);
	free(c->names_gone);
	c->names_gone = NULL;
	c->n_names_gone = 0;
}

int policy_put(struct controller *c, struct policy *p)
{
	struct policy *old = policy_of(c, &p->sid);
	json_t *json = policy_json(p);
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	int ret = text ? store_policy_put(c->store, &p->sid, text) : -ENOMEM;

	free(text);
	json_decref(json);
	if (ret) {
		policy_free(p);
		return ret;
	}
	if (old) {
		HASH_DEL(c->policies, old);
		policy_free(old);
	}
	HASH_ADD(hh, c->policies, sid, sizeof(p->sid), p);
	service_judge(c, &p->sid);
	return 0;
}

int policy_delete(struct controller *c, const struct sf_sid *sid)
{
	struct policy *p = policy_of(c, sid);
	struct sf_sid key = *sid;
	int ret;

	if (!p)
		return -ENOENT;
	ret = store_policy_delete(c->store, &key);
	if (ret)
		return ret;
	HASH_DEL(c->policies, p);
	policy_free(p);
	service_judge(c, &key);
	return 0;
}
