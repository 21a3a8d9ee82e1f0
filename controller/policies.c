// SPDX-License-Identifier: Apache-2.0
/* policies.c - policies and names in force. The store comes first: what it did not take is not
 * done. */
#include "controller/policies.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/services.h"

struct ctl_policy *ctl_policy_of(const struct ctl *c, const struct sf_sid *sid)
{
	struct ctl_policy *p;

	HASH_FIND(hh, c->policies, sid, sizeof(*sid), p);
	return p;
}

const char *ctl_name_of(const struct ctl *c, const struct sf_sid *sid)
{
	struct ctl_name *n;

	HASH_FIND(hh, c->names, sid, sizeof(*sid), n);
	return n ? n->text : NULL;
}

static int name_add(struct ctl *c, const struct sf_sid *sid, const char *text)
{
	struct ctl_name *n;
	struct ctl_name *old;
	size_t len = strlen(text) + 1;

	HASH_FIND(hh, c->names, sid, sizeof(*sid), old);
	if (!old && HASH_COUNT(c->names) >= CTL_NAMES_MAX)
		return -ENOSPC;
	n = calloc(1, sizeof(*n) + len);
	if (!n)
		return -ENOMEM;
	n->sid = *sid;
	memcpy(n->text, text, len);
	if (old) {
		HASH_DEL(c->names, old);
		free(old);
	}
	HASH_ADD(hh, c->names, sid, sizeof(n->sid), n);
	return 0;
}

int ctl_name_learn(struct ctl *c, const struct sf_sid *sid, const char *text)
{
	const char *old = ctl_name_of(c, sid);
	int ret;

	if (old && strcmp(old, text) == 0)
		return 0;
	if (!old && HASH_COUNT(c->names) >= CTL_NAMES_MAX)
		return -ENOSPC;
	ret = ctl_store_name_put(c->store, sid, text);
	return ret ? ret : name_add(c, sid, text);
}

static int load_name(void *ctx, const struct sf_sid *sid, const char *text)
{
	return name_add(ctx, sid, text);
}

static int load_policy(void *ctx, const struct sf_sid *sid, const char *text)
{
	struct ctl_policy_error e;
	struct ctl *c = ctx;
	struct ctl_policy *p;
	json_t *json = json_loads(text, 0, NULL);
	int ret = json ? ctl_policy_parse(sid, json, NULL, &c->config->net, &p, &e) : -EUCLEAN;

	json_decref(json);
	if (!ret)
		HASH_ADD(hh, c->policies, sid, sizeof(p->sid), p);
	return ret == -EINVAL ? -EUCLEAN : ret;
}

int ctl_policies_load(struct ctl *c, char *err, size_t errlen)
{
	int ret = ctl_store_names(c->store, load_name, c);

	if (!ret)
		ret = ctl_store_policies(c->store, load_policy, c);
	if (ret)
		snprintf(err, errlen, "%s: cannot read policies: %s", ctl_store_path(c->store),
			 ret == -EUCLEAN ? "a policy is malformed" : strerror(-ret));
	return ret;
}

void ctl_policies_free(struct ctl *c)
{
	struct ctl_policy *p, *tmp_p;
	struct ctl_name *n, *tmp_n;

	HASH_ITER (hh, c->policies, p, tmp_p) {
		HASH_DEL(c->policies, p);
		ctl_policy_free(p);
	}
	HASH_ITER (hh, c->names, n, tmp_n) {
		HASH_DEL(c->names, n);
		free(n);
	}
}

int ctl_policy_put(struct ctl *c, struct ctl_policy *p)
{
	struct ctl_policy *old = ctl_policy_of(c, &p->sid);
	json_t *json = ctl_policy_json(p);
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	int ret = text ? ctl_store_policy_put(c->store, &p->sid, text) : -ENOMEM;

	free(text);
	json_decref(json);
	if (ret) {
		ctl_policy_free(p);
		return ret;
	}
	if (old) {
		HASH_DEL(c->policies, old);
		ctl_policy_free(old);
	}
	HASH_ADD(hh, c->policies, sid, sizeof(p->sid), p);
	ctl_service_judge(c, &p->sid);
	return 0;
}

int ctl_policy_delete(struct ctl *c, const struct sf_sid *sid)
{
	struct ctl_policy *p = ctl_policy_of(c, sid);
	struct sf_sid key = *sid;
	int ret;

	if (!p)
		return -ENOENT;
	ret = ctl_store_policy_delete(c->store, &key);
	if (ret)
		return ret;
	HASH_DEL(c->policies, p);
	ctl_policy_free(p);
	ctl_service_judge(c, &key);
	return 0;
}
