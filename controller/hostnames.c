// SPDX-License-Identifier: Apache-2.0
/* hostnames.c - see hostnames.h. */
#include "controller/hostnames.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "controller/events.h"
#include "controller/hosts.h"
#include "controller/routers.h"
#include "core/name.h"
#include "util/crypto.h"

#define TELL_MAX 4 /* identities in an event */

struct ctl_hostname *ctl_hostname_find(const struct ctl *c, const char *text)
{
	struct ctl_hostname *name;

	HASH_FIND_STR(c->hostnames, text, name);
	return name;
}

/* A host may be at two places (a move, a clone): that is one identity. */
static bool seen_before(const struct ctl_hostname *name, const struct ctl_host *host)
{
	for (const struct ctl_host *h = name->hosts; h != host; h = h->called_next)
		if (h->identity == host->identity)
			return true;
	return false;
}

/* Of those that are at two places, few are: an identity's hosts are looked at, not the name's. */
static bool counts(const struct ctl_hostname *name, const struct ctl_host *host)
{
	return !host->identity->hosts->same || !seen_before(name, host);
}

uint32_t ctl_hostname_identities(const struct ctl_hostname *name)
{
	uint32_t n = 0;

	for (const struct ctl_host *h = name->hosts; h; h = h->called_next)
		n += counts(name, h);
	return n;
}

static bool is_shared(const struct ctl_hostname *name)
{
	for (const struct ctl_host *h = name->hosts; h; h = h->called_next)
		if (h->identity != name->hosts->identity)
			return true;
	return false;
}

bool ctl_hostname_is_shared(const struct ctl *c, const struct ctl_host *host)
{
	const struct ctl_hostname *name = *host->name ? ctl_hostname_find(c, host->name) : NULL;

	return name && is_shared(name);
}

void ctl_hostname_tell(struct ctl *c, const struct ctl_host *newest)
{
	struct ctl_hostname *name = *newest->name ? ctl_hostname_find(c, newest->name) : NULL;
	struct ctl_event e = ctl_event_of_host(CTL_EVENT_SAME_NAME, newest);
	uint32_t n, listed = 0;
	char list[TELL_MAX * (CTL_SID_TEXT + 2) + 8] = "";
	size_t at = 0;

	if (!name || name->n < 2 || name->n < 2 * name->told)
		return;
	n = ctl_hostname_identities(name);
	if (n < 2 || n < 2 * name->told)
		return;
	name->told = n;
	for (const struct ctl_host *h = name->hosts; h && listed < TELL_MAX; h = h->called_next) {
		if (!counts(name, h))
			continue;
		at += (size_t)snprintf(list + at, sizeof(list) - at, "%s%s", listed ? ", " : "",
				       h->identity->text);
		listed++;
	}
	ctl_event_add(c, &e, "%u hosts call themselves %s: %s%s; policies go by identities", n,
		      name->text, list, n > listed ? ", ..." : "");
}

static void leave(struct ctl *c, struct ctl_host *host)
{
	struct ctl_hostname *name = ctl_hostname_find(c, host->name);

	DL_DELETE2(name->hosts, host, called_prev, called_next);
	host->name[0] = '\0';
	if (--name->n)
		return;
	HASH_DEL(c->hostnames, name);
	free(name);
}

int ctl_hostname_set(struct ctl *c, struct ctl_host *host, const char *text)
{
	struct ctl_hostname *name;

	if (strcmp(host->name, text) == 0)
		return 0;
	if (*host->name)
		leave(c, host);
	if (!*text)
		return 0;
	name = ctl_hostname_find(c, text);
	if (!name) {
		name = calloc(1, sizeof(*name));
		if (!name)
			return -ENOMEM;
		snprintf(name->text, sizeof(name->text), "%s", text);
		HASH_ADD_STR(c->hostnames, text, name);
	}
	memcpy(host->name, name->text, sizeof(host->name));
	DL_APPEND2(name->hosts, host, called_prev, called_next);
	name->n++;
	return 0;
}

const char *ctl_hostname_of(const struct ctl *c, const struct sf_sid *sid)
{
	const struct ctl_router *router = ctl_router_find(c, sid);
	const struct ctl_identity *id;
	const char *name;

	HASH_FIND(hh, c->identities, sid, sizeof(*sid), id);
	if (id)
		name = ctl_hostname_is_shared(c, id->hosts) ? "" : id->hosts->name;
	else
		name = router ? router->name : "";
	return *name ? name : NULL;
}

/* ---- for requests -------------------------------------------------------------------------- */

static int identity_of(const void *ctx, const char *text, char identity[CTL_HOST_TEXT])
{
	const struct ctl_hostname *name = ctl_hostname_find(ctx, text);

	if (!name)
		return -ENOENT;
	if (is_shared(name))
		return -ENOTUNIQ;
	snprintf(identity, CTL_HOST_TEXT, "%s", name->hosts->identity->text);
	return 0;
}

static const char *name_of(const void *ctx, const char *identity)
{
	const struct ctl *c = ctx;
	const struct ctl_identity *id = NULL;
	struct sf_sid sid;
	const char *why;

	if (sf_sid_parse(&c->config->net, identity, sf_sha256, &sid, &why) == 0)
		HASH_FIND(hh, c->identities, &sid, sizeof(sid), id);
	return id ? id->hosts->name : "";
}

struct ctl_naming ctl_naming_of(const struct ctl *c)
{
	return (struct ctl_naming){
		.net = &c->config->net, .identity_of = identity_of, .name_of = name_of, .ctx = c
	};
}
