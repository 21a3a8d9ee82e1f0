// SPDX-License-Identifier: Apache-2.0
/* hosts.c - hosts: join, leave, move, clash, clone. */
#include "controller/hosts.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "controller/blocks.h"
#include "controller/events.h"
#include "controller/hostnames.h"
#include "controller/routers.h"
#include "controller/services.h"
#include "core/name.h"
#include "util/clock.h"
#include "util/crypto.h"

static struct sf_addr host_part(const struct sf_addr *locator)
{
	struct sf_addr a = *locator;

	sf_locator_set_sock(&a, 0);
	return a;
}

struct host *host_find(const struct controller *c, const struct sf_addr *locator)
{
	struct sf_addr key = host_part(locator);
	struct host *host;

	HASH_FIND(hh, c->hosts, &key, sizeof(key), host);
	return host;
}

/* ---- identities ---------------------------------------------------------------------------- */

static struct identity *identity_find(const struct controller *c, const struct sf_sid *sid)
{
	struct identity *id;

	HASH_FIND(hh, c->identities, sid, sizeof(*sid), id);
	return id;
}

static struct identity *identity_get(struct controller *c, const struct sf_sid *sid)
{
	struct identity *id = identity_find(c, sid);

	if (id)
		return id;
	id = calloc(1, sizeof(*id));
	if (!id)
		return NULL;
	id->sid = *sid;
	sf_sid_print(sid, id->text);
	HASH_ADD(hh, c->identities, sid, sizeof(id->sid), id);
	return id;
}

static void identity_drop(struct controller *c, struct identity *id)
{
	if (id->hosts)
		return;
	HASH_DEL(c->identities, id);
	free(id);
}

/* ---- leaving ------------------------------------------------------------------------------- */

void host_leave(struct controller *c, struct host *host, int kind, uint8_t reason, const char *why)
{
	struct event_entry e = event_of_host((enum event_kind)kind, host);

	e.reason = reason;
	events_add(c, &e, "%s", why);
	while (host->instances)
		instance_remove(c, host->instances, reason);
	hostname_set(c, host, "");
	LL_DELETE2(host->identity->hosts, host, same);
	identity_drop(c, host->identity);
	DL_DELETE(host->router->hosts, host);
	host->router->n_hosts--;
	HASH_DEL(c->hosts, host);
	free(host);
	c->stats.leaves++;
}

/* ---- joining ------------------------------------------------------------------------------- */

static void set_name(struct controller *c, struct host *host, const char *name, size_t len)
{
	char text[HOST_TEXT];
	size_t n = 0;

	if (!name)
		return;
	for (; n < len && n < sizeof(text) - 1 && name[n]; n++) {
		unsigned char ch = (unsigned char)name[n];

		text[n] = isalnum(ch) || strchr("-._", ch) ? (char)tolower(ch) : '?';
	}
	text[n] = '\0';
	hostname_set(c, host, text); /* without memory it has none */
}

/* May the router announce a host at this locator? */
static int check_place(struct controller *c, const struct router *router,
		       const struct sf_item_host *item)
{
	uint32_t host = sf_locator_host(&item->locator);
	const struct sf_sid *owner;

	if (sf_sid_is_zero(&item->identity))
		return -EINVAL;
	if (!sf_addr_in_as(&c->config->net, &item->locator) || (host & 0xffff) == 0)
		return -EADDRNOTAVAIL;
	owner = blocks_owner(c->blocks, (uint16_t)(host >> 16));
	return owner && sf_sid_eq(owner, &router->id) ? 0 : -EADDRNOTAVAIL;
}

/* The identity is elsewhere too: has the host moved, or is its key in two places? */
static void check_elsewhere(struct controller *c, struct host *host)
{
	struct host *other, *tmp;

	LL_FOREACH_SAFE2(host->identity->hosts, other, tmp, same)
	{
		char at[SF_ADDR_STRLEN];

		if (other == host)
			continue;
		if (other->boot != host->boot) {
			struct event_entry e = event_of_host(EVENT_ALARM, host);

			e.reason = SF_CLONED;
			c->stats.alarms[SF_CLONED]++;
			events_add(c, &e, "the same key, with another boot nonce, is at %s",
				   sf_addr_print(&other->locator, at));
		} else if (host->router->up_synced && !host->standby) {
			/* News, not a router's first list, which may be older than the move. */
			sf_addr_print(&host->locator, at);
			host_leave(c, other, EVENT_HOST_MOVED, SF_NONE, at);
		}
	}
}

void host_is_first(struct controller *c, struct host *host)
{
	struct host *other;

	host->standby = false;
	/* A router's first list may be older than what others said. */
	if (!host->router->up_synced)
		return;
	LL_FOREACH2(host->identity->hosts, other, same)
	if (other != host && other->boot == host->boot)
		other->standby = true;
	host_serves_first(c, host);
}

/* What holds the locator now: @host is confirmed, gone (NULL), or in the way (-EADDRINUSE). */
static int check_holder(struct controller *c, struct router *router,
			const struct sf_item_host *item, struct host **host)
{
	uint64_t boot = sf_be64(item->boot);

	if (!*host)
		return 0;
	if (sf_sid_eq(&(*host)->identity->sid, &item->identity)) {
		if ((*host)->boot == boot && (*host)->router == router)
			return 0;
		host_leave(c, *host, EVENT_HOST_LEFT, SF_NONE, "started again");
		*host = NULL;
		return 0;
	}
	/* Left over from before the router reconnected: it has given the address to another. */
	if ((*host)->router != router || (*host)->generation != router->generation) {
		host_leave(c, *host, EVENT_HOST_LEFT, SF_NONE, "its address was reused");
		*host = NULL;
		return 0;
	}
	return -EADDRINUSE;
}

/* By another's clock, which may be ahead of ours: nothing has happened later than now. */
static uint64_t told_time(uint64_t ms)
{
	uint64_t now = sf_wall_ms();

	return ms && ms < now ? ms : now;
}

static void set_silent(struct controller *c, struct host *host, const struct joined *told)
{
	struct event_entry e =
		event_of_host(told->silent ? EVENT_HOST_SILENT : EVENT_HOST_BACK, host);

	if (host->silent == told->silent)
		return;
	host->silent = told->silent;
	host->heard_ms = told_time(told->heard_ms);
	if (told->silent)
		e.reason = SF_SILENT;
	events_add(c, &e, "%s",
		   told->silent ? "its agent is silent, its datapath answers"
				: "its agent speaks again");
}

int host_join(struct controller *c, struct router *router, const struct joined *told)
{
	const struct sf_item_host *item = told->item;
	struct sf_addr key = host_part(&item->locator);
	struct host *host = host_find(c, &key);
	struct event_entry e;
	int ret = check_place(c, router, item);

	if (!ret)
		ret = check_holder(c, router, item, &host);
	if (ret)
		return ret;
	if (host) {
		host->generation = router->generation;
		set_name(c, host, told->name, told->name_len);
		hostname_tell(c, host);
		set_silent(c, host, told);
		host->standby |= told->standby;
		host_register_self(c, host);
		return 0;
	}
	host = calloc(1, sizeof(*host));
	if (!host)
		return -ENOMEM;
	host->identity = identity_get(c, &item->identity);
	if (!host->identity) {
		free(host);
		return -ENOMEM;
	}
	host->locator = key;
	host->router = router;
	host->generation = router->generation;
	host->boot = sf_be64(item->boot);
	host->standby = told->standby;
	host->joined_ms = told_time(told->joined_ms);
	LL_PREPEND2(host->identity->hosts, host, same);
	DL_APPEND(router->hosts, host);
	router->n_hosts++;
	HASH_ADD(hh, c->hosts, locator, sizeof(host->locator), host);
	c->stats.joins++;
	set_name(c, host, told->name, told->name_len);
	e = event_of_host(EVENT_HOST_JOINED, host);
	events_add(c, &e, NULL);
	hostname_tell(c, host);
	set_silent(c, host, told);
	check_elsewhere(c, host);
	host_register_self(c, host);
	return 0;
}

/* ---- looking up ---------------------------------------------------------------------------- */

/* Those that are where they are in the first place; if none is, all. */
static struct host *pick(struct host *list, bool by_name, unsigned int *n)
{
	struct host *first = NULL;
	unsigned int all = 0;

	*n = 0;
	for (struct host *h = list; h; h = by_name ? h->called_next : h->same, all++)
		if (!h->standby) {
			first = h;
			++*n;
		}
	if (*n)
		return first;
	*n = all;
	return list;
}

struct host *host_lookup(const struct controller *c, const char *text, unsigned int *n)
{
	struct host *found = NULL;
	char canonical[HOST_TEXT];
	const struct hostname *name;
	struct identity *id;
	const char *why;
	struct sf_addr a;

	*n = 0;
	if (sf_addr_parse(text, &a) == 0 && sf_addr_in_as(&c->config->net, &a)) {
		found = host_find(c, &a);
		*n = found != NULL;
		return found;
	}
	if (host_text(&c->config->net, text, canonical, &why))
		return NULL;
	if (strchr(canonical, ':')) {
		struct sf_sid sid;

		if (sf_sid_parse(&c->config->net, canonical, sf_sha256, &sid, &why))
			return NULL;
		id = identity_find(c, &sid);
		return pick(id ? id->hosts : NULL, false, n);
	}
	name = hostname_find(c, canonical);
	return pick(name ? name->hosts : NULL, true, n);
}
