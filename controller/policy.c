// SPDX-License-Identifier: Apache-2.0
/* policy.c - policies: JSON in, JSON out, and the merge that makes an instance's weight. */
#include "controller/policy.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/name.h"
#include "core/resolve.h"
#include "util/crypto.h"

/* ---- life ---------------------------------------------------------------------------------- */

struct policy *policy_new(const struct sf_sid *sid)
{
	struct policy *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->sid = *sid;
	p->enabled = true;
	p->weight = UNSET;
	p->move_grace_ms = UNSET;
	return p;
}

static void free_allow(struct policy *p)
{
	struct allowed *a, *tmp;

	HASH_ITER (hh, p->allow, a, tmp) {
		HASH_DEL(p->allow, a);
		free(a);
	}
	p->listed = false;
	p->anyone = false;
}

static void free_hosts(struct policy *p)
{
	struct policy_host *h, *tmp;

	HASH_ITER (hh, p->hosts, h, tmp) {
		HASH_DEL(p->hosts, h);
		free(h);
	}
}

void policy_free(struct policy *p)
{
	if (!p)
		return;
	free_allow(p);
	free_hosts(p);
	free(p);
}

static int add_allowed(struct policy *p, const char *host)
{
	struct allowed *a;

	HASH_FIND_STR(p->allow, host, a);
	if (a)
		return 0;
	a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	snprintf(a->host, sizeof(a->host), "%s", host);
	HASH_ADD_STR(p->allow, host, a);
	if (strcmp(host, "*") == 0)
		p->anyone = true;
	return 0;
}

int policy_set_host(struct policy *p, const char *identity, const char *name, int weight,
		    bool draining)
{
	struct policy_host *h;

	HASH_FIND_STR(p->hosts, identity, h);
	if (weight == UNSET && !draining) {
		if (h) {
			HASH_DEL(p->hosts, h);
			free(h);
		}
		return 0;
	}
	if (!h) {
		if (HASH_COUNT(p->hosts) >= POLICY_HOSTS)
			return -ENOSPC;
		h = calloc(1, sizeof(*h));
		if (!h)
			return -ENOMEM;
		snprintf(h->host, sizeof(h->host), "%s", identity);
		HASH_ADD_STR(p->hosts, host, h);
	}
	if (*name)
		snprintf(h->name, sizeof(h->name), "%s", name);
	h->weight = weight;
	h->draining = draining;
	return 0;
}

static struct policy *policy_copy(const struct sf_sid *sid, const struct policy *from)
{
	struct policy *p = policy_new(sid);
	int ret = 0;

	if (!p || !from)
		return p;
	p->enabled = from->enabled;
	p->sticky = from->sticky;
	p->listed = from->listed;
	p->weight = from->weight;
	p->move_grace_ms = from->move_grace_ms;
	for (const struct allowed *a = from->allow; a && !ret; a = a->hh.next)
		ret = add_allowed(p, a->host);
	for (const struct policy_host *h = from->hosts; h && !ret; h = h->hh.next)
		ret = policy_set_host(p, h->host, h->name, h->weight, h->draining);
	if (ret) {
		policy_free(p);
		return NULL;
	}
	return p;
}

/* ---- hosts as text ------------------------------------------------------------------------- */

int host_text(const struct sf_net *net, const char *text, char out[HOST_TEXT], const char **why)
{
	struct sf_name name;
	struct sf_sid sid;
	char printed[64];

	/* A colon cannot be in a name. */
	if (strchr(text, ':')) {
		if (sf_sid_parse(net, text, sf_sha256, &sid, why))
			return -EINVAL;
		snprintf(out, HOST_TEXT, "%s", sf_sid_print(&sid, printed));
		return 0;
	}
	if (strchr(text, '@') || sf_name_parse(text, &name, why)) {
		if (strchr(text, '@'))
			*why = "a host's name has no '@'";
		return -EINVAL;
	}
	if (strlen(name.text) >= HOST_TEXT) {
		*why = "longer than 63 characters";
		return -EINVAL;
	}
	snprintf(out, HOST_TEXT, "%s", name.text);
	return 0;
}

/* Who has the name: the one that is here, or that the policy knows under it; not two of them. */
static int identity_of(const struct policy *p, const struct naming *naming, const char *name,
		       char identity[HOST_TEXT])
{
	int ret = naming->identity_of ? naming->identity_of(naming->ctx, name, identity) : -ENOENT;

	if (ret && ret != -ENOENT)
		return ret;
	for (const struct policy_host *h = p ? p->hosts : NULL; h; h = h->hh.next) {
		if (strcmp(h->name, name) != 0)
			continue;
		if (!ret && strcmp(identity, h->host) != 0)
			return -ENOTUNIQ;
		snprintf(identity, HOST_TEXT, "%s", h->host);
		ret = 0;
	}
	return ret;
}

int policy_identify(const struct policy *p, const struct naming *naming, const char *text,
		    char identity[HOST_TEXT], char name[HOST_TEXT], const char **why)
{
	char canonical[HOST_TEXT];
	const char *called = "";
	int ret = host_text(naming->net, text, canonical, why);

	if (ret)
		return ret;
	if (strchr(canonical, ':')) {
		if (naming->name_of)
			called = naming->name_of(naming->ctx, canonical);
		memcpy(identity, canonical, sizeof(canonical));
		snprintf(name, HOST_TEXT, "%s", called);
		return 0;
	}
	ret = identity_of(p, naming, canonical, identity);
	if (ret)
		*why = ret == -ENOTUNIQ ? "several hosts have this name"
					: "no host of this name has joined";
	else
		memcpy(name, canonical, sizeof(canonical));
	return ret;
}

/* ---- JSON ---------------------------------------------------------------------------------- */

static int refuse(struct policy_error *e, const char *where, const char *what, const char *expected)
{
	snprintf(e->what, sizeof(e->what), "%s", what);
	snprintf(e->where, sizeof(e->where), "%s", where);
	snprintf(e->expected, sizeof(e->expected), "%s", expected);
	return -EINVAL;
}

static int parse_bool(const json_t *v, bool *out, const char *where, struct policy_error *e)
{
	if (!json_is_boolean(v))
		return refuse(e, where, "wrong type", "true or false");
	*out = json_is_true(v);
	return 0;
}

static int parse_int(const json_t *v, int max, int *out, const char *where, struct policy_error *e)
{
	char expected[64];

	if (json_is_null(v)) {
		*out = UNSET;
		return 0;
	}
	if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > max) {
		snprintf(expected, sizeof(expected), "an integer from 0 to %d, or null", max);
		return refuse(e, where, json_is_integer(v) ? "out of range" : "wrong type",
			      expected);
	}
	*out = (int)json_integer_value(v);
	return 0;
}

/* What parsing a policy needs on its way down. */
struct reader {
	struct policy *p;
	const struct policy *base;
	const struct naming *naming;
	struct policy_error *e;
};

static int parse_host(const struct reader *r, const char *text, char identity[HOST_TEXT],
		      char name[HOST_TEXT], const char *where)
{
	const char *why = "no host";
	char at[sizeof(r->e->where)];
	int ret = policy_identify(r->base, r->naming, text, identity, name, &why);

	if (!ret)
		return 0;
	snprintf(at, sizeof(at), "%s: %.64s", where, text);
	refuse(r->e, at, why,
	       ret == -EINVAL ? "a host's name or identity (ssid:local)"
			      : "the host's identity (ssid:local)");
	return ret;
}

static int parse_allow(const struct reader *r, const json_t *v)
{
	char host[HOST_TEXT], name[HOST_TEXT];
	struct policy_error *e = r->e;
	struct policy *p = r->p;
	const json_t *item;
	size_t i;
	int ret;

	free_allow(p);
	if (json_is_null(v))
		return 0;
	if (!json_is_array(v))
		return refuse(e, "allow", "wrong type",
			      "a list of host names and identities, \"*\", or null");
	if (json_array_size(v) > POLICY_HOSTS)
		return refuse(e, "allow", "too many hosts", "at most 65536");
	p->listed = true;
	json_array_foreach (v, i, item) {
		if (!json_is_string(item))
			return refuse(e, "allow", "wrong type", "host names and identities");
		if (strcmp(json_string_value(item), "*") == 0)
			strcpy(host, "*");
		else if ((ret = parse_host(r, json_string_value(item), host, name, "allow")))
			return ret;
		ret = add_allowed(p, host);
		if (ret)
			return ret;
	}
	return 0;
}

/* The label of an entry, as we print it: a reply can be sent back. It is not looked up. */
static int parse_label(const struct reader *r, const json_t *v, char name[HOST_TEXT],
		       const char *where)
{
	const char *text = json_string_value(v), *why;
	char canonical[HOST_TEXT];

	if (json_is_null(v))
		return 0;
	if (!text || strchr(text, ':') || host_text(r->naming->net, text, canonical, &why))
		return refuse(r->e, where, "not a name", "what the host calls itself, or null");
	memcpy(name, canonical, sizeof(canonical));
	return 0;
}

static int parse_instance(const struct reader *r, const char *host, char name[HOST_TEXT],
			  const json_t *v)
{
	struct policy_error *e = r->e;
	struct policy *p = r->p;
	const struct policy_host *old;
	bool draining = false;
	int weight = UNSET;
	const char *key;
	json_t *field;
	char at[160];
	int ret;

	HASH_FIND_STR(p->hosts, host, old);
	if (old) {
		weight = old->weight;
		draining = old->draining;
	}
	if (json_is_null(v))
		return policy_set_host(p, host, "", UNSET, false);
	if (!json_is_object(v)) {
		snprintf(at, sizeof(at), "instances.%s", host);
		return refuse(e, at, "wrong type", "an object with weight and draining, or null");
	}
	json_object_foreach ((json_t *)(uintptr_t)v, key, field) {
		snprintf(at, sizeof(at), "instances.%s.%.32s", host, key);
		if (strcmp(key, "weight") == 0)
			ret = parse_int(field, SF_WEIGHT_MAX, &weight, at, e);
		else if (strcmp(key, "draining") == 0)
			ret = parse_bool(field, &draining, at, e);
		else if (strcmp(key, "name") == 0)
			ret = parse_label(r, field, name, at);
		else
			ret = refuse(e, at, "unknown field", "weight, draining or name");
		if (ret)
			return ret;
	}
	ret = policy_set_host(p, host, name, weight, draining);
	return ret == -ENOSPC ? refuse(e, "instances", "too many hosts", "at most 65536") : ret;
}

static int parse_instances(const struct reader *r, const json_t *v)
{
	char host[HOST_TEXT], name[HOST_TEXT];
	const char *key;
	json_t *value;
	int ret;

	if (json_is_null(v)) {
		free_hosts(r->p);
		return 0;
	}
	if (!json_is_object(v))
		return refuse(r->e, "instances", "wrong type",
			      "an object of hosts, each with weight and draining");
	json_object_foreach ((json_t *)(uintptr_t)v, key, value) {
		ret = parse_host(r, key, host, name, "instances");
		if (!ret)
			ret = parse_instance(r, host, name, value);
		if (ret)
			return ret;
	}
	return 0;
}

static int parse_field(const struct reader *r, const char *key, const json_t *v)
{
	struct policy_error *e = r->e;
	struct policy *p = r->p;

	if (strcmp(key, "enabled") == 0)
		return parse_bool(v, &p->enabled, key, e);
	if (strcmp(key, "sticky") == 0)
		return parse_bool(v, &p->sticky, key, e);
	if (strcmp(key, "weight") == 0)
		return parse_int(v, SF_WEIGHT_MAX, &p->weight, key, e);
	if (strcmp(key, "move_grace_ms") == 0)
		return parse_int(v, MOVE_GRACE_MAX, &p->move_grace_ms, key, e);
	if (strcmp(key, "allow") == 0)
		return parse_allow(r, v);
	if (strcmp(key, "instances") == 0)
		return parse_instances(r, v);
	return refuse(e, key, "unknown field",
		      "enabled, sticky, weight, move_grace_ms, allow or instances");
}

int policy_parse(const struct sf_sid *sid, const json_t *json, const struct policy *base,
		 const struct naming *naming, struct policy **out, struct policy_error *e)
{
	struct reader r = { .base = base, .naming = naming, .e = e };
	struct policy *p;
	const char *key;
	json_t *value;
	int ret = 0;

	if (!json_is_object(json))
		return refuse(e, "body", "wrong type", "a JSON object");
	p = r.p = policy_copy(sid, base);
	if (!p)
		return -ENOMEM;
	json_object_foreach ((json_t *)(uintptr_t)json, key, value) {
		ret = parse_field(&r, key, value);
		if (ret)
			break;
	}
	if (ret) {
		policy_free(p);
		return ret;
	}
	*out = p;
	return 0;
}

static json_t *int_or_null(int n)
{
	return n == UNSET ? json_null() : json_integer(n);
}

json_t *policy_json(const struct policy *p)
{
	json_t *instances = json_object();
	json_t *allow = p->listed ? json_array() : json_null();

	for (const struct allowed *a = p->allow; a; a = a->hh.next)
		json_array_append_new(allow, json_string(a->host));
	for (const struct policy_host *h = p->hosts; h; h = h->hh.next)
		json_object_set_new(instances, h->host,
				    json_pack("{s:o, s:o, s:b}", "name",
					      *h->name ? json_string(h->name) : json_null(),
					      "weight", int_or_null(h->weight), "draining",
					      h->draining));
	return json_pack("{s:b, s:b, s:o, s:o, s:o, s:o}", "enabled", p->enabled, "sticky",
			 p->sticky, "weight", int_or_null(p->weight), "move_grace_ms",
			 int_or_null(p->move_grace_ms), "allow", allow, "instances", instances);
}

/* ---- merge --------------------------------------------------------------------------------- */

const struct policy_host *policy_find(const struct policy *p, const char *identity)
{
	struct policy_host *h = NULL;

	if (p)
		HASH_FIND_STR(p->hosts, identity, h);
	return h;
}

unsigned int policy_given(const struct policy *p, const char *identity, unsigned int wish)
{
	const struct policy_host *h = policy_find(p, identity);

	if (h && h->weight != UNSET)
		return (unsigned int)h->weight;
	if (p && p->weight != UNSET)
		return (unsigned int)p->weight;
	if (wish == 0)
		return WEIGHT_DEFAULT;
	return wish < SF_WEIGHT_MAX ? wish : SF_WEIGHT_MAX;
}

unsigned int policy_weight(const struct policy *p, const char *identity, unsigned int wish)
{
	const struct policy_host *h = policy_find(p, identity);

	if ((p && !p->enabled) || (h && h->draining))
		return 0;
	return policy_given(p, identity, wish);
}

bool policy_allows(const struct policy *p, const char *identity, bool otherwise)
{
	struct allowed *a = NULL;

	if (!p || !p->listed)
		return otherwise;
	if (p->anyone)
		return true;
	HASH_FIND_STR(p->allow, identity, a);
	return a != NULL;
}
