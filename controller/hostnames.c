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

struct hostname *hostname_find(const struct controller *c, const char *text)
{
	struct hostname *name;

	HASH_FIND_STR(c->hostnames, text, name);
	return name;
}

/* A host may be at two places (a move, a clone): that is one identity. */
static bool seen_before(const struct hostname *name, const struct host *host)
{
	for (const struct host *h = name->hosts; h != host; h = h->called_next)
		if (h->identity == host->identity)
			return true;
	return false;
}

/* Of those that are at two places, few are: an identity's hosts are looked at, not the name's. */
static bool counts(const struct hostname *name, const struct host *host)
{
	return !host->identity->hosts->same || !seen_before(name, host);
}

uint32_t hostname_identities(const struct hostname *name)
{
	uint32_t n = 0;

	for (const struct host *h = name->hosts; h; h = h->called_next)
		n += counts(name, h);
	return n;
}

static bool is_shared(const struct hostname *name)
{
	for (const struct host *h = name->hosts; h; h = h->called_next)
		if (h->identity != name->hosts->identity)
			return true;
	return false;
}

bool hostname_is_shared(const struct controller *c, const struct host *host)
{
	const struct hostname *name = *host->name ? hostname_find(c, host->name) : NULL;

	return name && is_shared(name);
}

void hostname_tell(struct controller *c, const struct host *newest)
{
	struct hostname *name = *newest->name ? hostname_find(c, newest->name) : NULL;
	struct event_entry e = event_of_host(EVENT_SAME_NAME, newest);
	uint32_t n, listed = 0;
	char list[TELL_MAX * (SID_TEXT + 2) + 8] = "";
	size_t at = 0;

	if (!name || name->n < 2 || name->n < 2 * name->told)
		return;
	n = hostname_identities(name);
	if (n < 2 || n < 2 * name->told)
		return;
	name->told = n;
	for (const struct host *h = name->hosts; h && listed < TELL_MAX; h = h->called_next) {
		if (!counts(name, h))
			continue;
		at += (size_t)snprintf(list + at, sizeof(list) - at, "%s%s", listed ? ", " : "",
				       h->identity->text);
		listed++;
	}
	events_add(c, &e, "%u hosts call themselves %s: %s%s; policies go by identities", n,
		   name->text, list, n > listed ? ", ..." : "");
}

static void leave(struct controller *c, struct host *host)
{
	struct hostname *name = hostname_find(c, host->name);

	DL_DELETE2(name->hosts, host, called_prev, called_next);
	host->name[0] = '\0';
	if (--name->n)
		return;
	HASH_DEL(c->hostnames, name);
	free(name);
}

int hostname_set(struct controller *c, struct host *host, const char *text)
{
	struct hostname *name;

	if (strcmp(host->name, text) == 0)
		return 0;
	if (*host->name)
		leave(c, host);
	if (!*text)
		return 0;
	name = hostname_find(c, text);
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

const char *hostname_of(const struct controller *c, const struct sf_sid *sid)
{
	const struct router *router = router_find(c, sid);
	const struct identity *id;
	const char *name;

	HASH_FIND(hh, c->identities, sid, sizeof(*sid), id);
	if (id)
		name = hostname_is_shared(c, id->hosts) ? "" : id->hosts->name;
	else
		name = router ? router->name : "";
	return *name ? name : NULL;
}

/* ---- for requests -------------------------------------------------------------------------- */

static int identity_of(const void *ctx, const char *text, char identity[HOST_TEXT])
{
	const struct hostname *name = hostname_find(ctx, text);

	if (!name)
		return -ENOENT;
	if (is_shared(name))
		return -ENOTUNIQ;
	snprintf(identity, HOST_TEXT, "%s", name->hosts->identity->text);
	return 0;
}

static const char *name_of(const void *ctx, const char *identity)
{
	const struct controller *c = ctx;
	const struct identity *id = NULL;
	struct sf_sid sid;
	const char *why;

	if (sf_sid_parse(&c->config->net, identity, sf_sha256, &sid, &why) == 0)
		HASH_FIND(hh, c->identities, &sid, sizeof(sid), id);
	return id ? id->hosts->name : "";
}

struct naming naming_of(const struct controller *c)
{
	return (struct naming){
		.net = &c->config->net, .identity_of = identity_of, .name_of = name_of, .ctx = c
	};
}
