// SPDX-License-Identifier: Apache-2.0
/*
 * policy.h - what the operator decides for a service: who may register, who takes new flows and
 * with what weight. Pure: no I/O. docs/api.md, "Policy", has the JSON form.
 *
 * Policies know hosts by their identities ("80000000:0123456789abcdef"), which are keys. Names are
 * what hosts call themselves: another may take one at any time. So a name in a request is looked up
 * once, when it comes, and must be of one identity alone; from then on it is a label for people,
 * and nobody is judged by it.
 */
#ifndef SF_CONTROLLER_POLICY_H
#define SF_CONTROLLER_POLICY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "core/addr.h"

#define WEIGHT_DEFAULT 100
#define UNSET	       (-1)
#define HOST_TEXT      64    /* a host's name or identity as text, with NUL */
#define POLICY_HOSTS   65536 /* instances, and allowed hosts, of one policy */
#define MOVE_GRACE_MAX 3600000

/** struct policy_host - what a policy says of one host. */
struct policy_host {
	char host[HOST_TEXT]; /* its identity */
	char name[HOST_TEXT]; /* what it was called when this was set; "" not known */
	int weight;	      /* 0..SF_WEIGHT_MAX, UNSET */
	bool draining;
	UT_hash_handle hh;
};

struct allowed {
	char host[HOST_TEXT]; /* an identity, or "*" */
	UT_hash_handle hh;
};

/** struct policy - of one service, all its protocols and ports. */
struct policy {
	struct sf_sid sid;
	bool enabled;
	bool sticky;
	bool listed;	   /* only @allow may register; "*" in it: anyone */
	bool anyone;	   /* @allow has "*" */
	int weight;	   /* of hosts without one of their own; UNSET: as they wish */
	int move_grace_ms; /* UNSET: the network's */
	struct allowed *allow;
	struct policy_host *hosts;
	UT_hash_handle hh;
};

/** struct policy_error - what is wrong with a JSON text, as sf_http_fail() takes it. */
struct policy_error {
	char what[96];
	char where[192];
	char expected[96];
};

/**
 * struct naming - who is called what now, for reading requests.
 * @net: hosts may be given as service addresses
 * @identity_of: the one host that calls itself @name (lower case). Return: 0; -ENOENT; -ENOTUNIQ
 * where several do. NULL: nobody is called anything.
 * @name_of: what an identity calls itself; "" not known. May be NULL.
 */
struct naming {
	const struct sf_net *net;
	int (*identity_of)(const void *ctx, const char *name, char identity[HOST_TEXT]);
	const char *(*name_of)(const void *ctx, const char *identity);
	const void *ctx;
};

/** policy_new() - the policy that changes nothing, NULL without memory. */
struct policy *policy_new(const struct sf_sid *sid);

/** policy_free() - NULL is fine. Takes it out of no table. */
void policy_free(struct policy *p);

/**
 * policy_parse() - a policy from JSON.
 * @base: what fields that are absent keep; NULL: the policy that changes nothing
 * Within "instances", a host whose value is null loses its entry.
 * Return: 0; -EINVAL malformed, -ENOENT a name that nobody has, -ENOTUNIQ one that several have: @e
 * says which; -ENOMEM.
 */
int policy_parse(const struct sf_sid *sid, const json_t *json, const struct policy *base,
		 const struct naming *naming, struct policy **out, struct policy_error *e);

/**
 * policy_identify() - the host that a request means.
 * @p: the policy that it is about, or NULL: hosts that it names count as much as those that are
 * here
 * @text: identity, service address of one, or name
 * @name: what it is called; "" not known
 * Return: 0; -EINVAL, -ENOENT, -ENOTUNIQ with *@why (static storage).
 */
int policy_identify(const struct policy *p, const struct naming *naming, const char *text,
		    char identity[HOST_TEXT], char name[HOST_TEXT], const char **why);

/** policy_json() - the inverse, a new reference; NULL without memory. */
json_t *policy_json(const struct policy *p);

/** policy_find() - the entry for an identity (as sf_sid_print() has it); NULL if none. */
const struct policy_host *policy_find(const struct policy *p, const char *identity);

/**
 * policy_given() - the weight that an instance is given, whether it takes flows or not.
 * @p: NULL: no policy
 * @wish: of the registration, 0: none
 *
 * The host's in the policy, else the policy's, else the wish, else WEIGHT_DEFAULT.
 * Return: 0..SF_WEIGHT_MAX.
 */
unsigned int policy_given(const struct policy *p, const char *identity, unsigned int wish);

/** policy_weight() - the weight in force: 0 when disabled or draining, else the given one. */
unsigned int policy_weight(const struct policy *p, const char *identity, unsigned int wish);

/**
 * policy_allows() - may the host register?
 * @otherwise: the answer where the policy (or its absence) leaves it open
 */
bool policy_allows(const struct policy *p, const char *identity, bool otherwise);

/**
 * policy_set_host() - set the entry of one host.
 * @identity: as sf_sid_print() has it
 * @name: "": as it was
 * @weight: UNSET: none; @draining with UNSET and false removes the entry
 * Return: 0, -ENOMEM, -ENOSPC above POLICY_HOSTS.
 */
int policy_set_host(struct policy *p, const char *identity, const char *name, int weight,
		    bool draining);

/**
 * host_text() - a host as it is compared: an identity as "ssid:local", a name in lower case.
 * @text: name, identity, or service address of an identity
 * Return: 0, -EINVAL with *@why (static storage).
 */
int host_text(const struct sf_net *net, const char *text, char out[HOST_TEXT], const char **why);

#endif
