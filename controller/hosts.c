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

struct ctl_host *ctl_host_find(const struct ctl *c, const struct sf_addr *locator)
{
	struct sf_addr key = host_part(locator);
	struct ctl_host *host;

	HASH_FIND(hh, c->hosts, &key, sizeof(key), host);
	return host;
}

/* ---- identities ---------------------------------------------------------------------------- */

static struct ctl_identity *identity_find(const struct ctl *c, const struct sf_sid *sid)
{
	struct ctl_identity *id;

	HASH_FIND(hh, c->identities, sid, sizeof(*sid), id);
	return id;
}

static struct ctl_identity *identity_get(struct ctl *c, const struct sf_sid *sid)
{
	struct ctl_identity *id = identity_find(c, sid);

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

static void identity_drop(struct ctl *c, struct ctl_identity *id)
{
	if (id->hosts)
		return;
	HASH_DEL(c->identities, id);
	free(id);
}

/* ---- leaving ------------------------------------------------------------------------------- */

void ctl_host_leave(struct ctl *c, struct ctl_host *host, int kind, uint8_t reason, const char *why)
{
	struct ctl_event e = ctl_event_of_host((enum ctl_event_kind)kind, host);

	e.reason = reason;
	ctl_event_add(c, &e, "%s", why);
	while (host->instances)
		ctl_instance_remove(c, host->instances, reason);
	ctl_hostname_set(c, host, "");
	LL_DELETE2(host->identity->hosts, host, same);
	identity_drop(c, host->identity);
	DL_DELETE(host->router->hosts, host);
	host->router->n_hosts--;
	HASH_DEL(c->hosts, host);
	free(host);
	c->stats.leaves++;
}

/* ---- joining ------------------------------------------------------------------------------- */

static void set_name(struct ctl *c, struct ctl_host *host, const char *name, size_t len)
{
	char text[CTL_HOST_TEXT];
	size_t n = 0;

	if (!name)
		return;
	for (; n < len && n < sizeof(text) - 1 && name[n]; n++) {
		unsigned char ch = (unsigned char)name[n];

		text[n] = isalnum(ch) || strchr("-._", ch) ? (char)tolower(ch) : '?';
	}
	text[n] = '\0';
	ctl_hostname_set(c, host, text); /* without memory it has none */
}

/* May the router announce a host at this locator? */
static int check_place(struct ctl *c, const struct ctl_router *router,
		       const struct sf_item_host *item)
{
	uint32_t host = sf_locator_host(&item->locator);
	const struct sf_sid *owner;

	if (sf_sid_is_zero(&item->identity))
		return -EINVAL;
	if (!sf_addr_in_as(&c->config->net, &item->locator) || (host & 0xffff) == 0)
		return -EADDRNOTAVAIL;
	owner = ctl_blocks_owner(c->blocks, (uint16_t)(host >> 16));
	return owner && sf_sid_eq(owner, &router->id) ? 0 : -EADDRNOTAVAIL;
}

/* The identity is elsewhere too: has the host moved, or is its key in two places? */
static void check_elsewhere(struct ctl *c, struct ctl_host *host)
{
	struct ctl_host *other, *tmp;

	LL_FOREACH_SAFE2(host->identity->hosts, other, tmp, same)
	{
		char at[SF_ADDR_STRLEN];

		if (other == host)
			continue;
		if (other->boot != host->boot) {
			struct ctl_event e = ctl_event_of_host(CTL_EVENT_ALARM, host);

			e.reason = SF_CLONED;
			c->stats.alarms[SF_CLONED]++;
			ctl_event_add(c, &e, "the same key, with another boot nonce, is at %s",
				      sf_addr_print(&other->locator, at));
		} else if (host->router->up_synced) {
			/* News, not a router's first list, which may be older than the move. */
			sf_addr_print(&host->locator, at);
			ctl_host_leave(c, other, CTL_EVENT_HOST_MOVED, SF_NONE, at);
		}
	}
}

/* What holds the locator now: @host is confirmed, gone (NULL), or in the way (-EADDRINUSE). */
static int check_holder(struct ctl *c, struct ctl_router *router, const struct sf_item_host *item,
			struct ctl_host **host)
{
	uint64_t boot = sf_be64(item->boot);

	if (!*host)
		return 0;
	if (sf_sid_eq(&(*host)->identity->sid, &item->identity)) {
		if ((*host)->boot == boot && (*host)->router == router)
			return 0;
		ctl_host_leave(c, *host, CTL_EVENT_HOST_LEFT, SF_NONE, "started again");
		*host = NULL;
		return 0;
	}
	/* Left over from before the router reconnected: it has given the address to another. */
	if ((*host)->router != router || (*host)->generation != router->generation) {
		ctl_host_leave(c, *host, CTL_EVENT_HOST_LEFT, SF_NONE, "its address was reused");
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

static void set_silent(struct ctl *c, struct ctl_host *host, const struct ctl_joined *told)
{
	struct ctl_event e =
		ctl_event_of_host(told->silent ? CTL_EVENT_HOST_SILENT : CTL_EVENT_HOST_BACK, host);

	if (host->silent == told->silent)
		return;
	host->silent = told->silent;
	host->heard_ms = told_time(told->heard_ms);
	if (told->silent)
		e.reason = SF_SILENT;
	ctl_event_add(c, &e, "%s",
		      told->silent ? "its agent is silent, its datapath answers"
				   : "its agent speaks again");
}

int ctl_host_join(struct ctl *c, struct ctl_router *router, const struct ctl_joined *told)
{
	const struct sf_item_host *item = told->item;
	struct sf_addr key = host_part(&item->locator);
	struct ctl_host *host = ctl_host_find(c, &key);
	struct ctl_event e;
	int ret = check_place(c, router, item);

	if (!ret)
		ret = check_holder(c, router, item, &host);
	if (ret)
		return ret;
	if (host) {
		host->generation = router->generation;
		set_name(c, host, told->name, told->name_len);
		ctl_hostname_tell(c, host);
		set_silent(c, host, told);
		ctl_host_register_self(c, host);
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
	host->joined_ms = told_time(told->joined_ms);
	LL_PREPEND2(host->identity->hosts, host, same);
	DL_APPEND(router->hosts, host);
	router->n_hosts++;
	HASH_ADD(hh, c->hosts, locator, sizeof(host->locator), host);
	c->stats.joins++;
	set_name(c, host, told->name, told->name_len);
	e = ctl_event_of_host(CTL_EVENT_HOST_JOINED, host);
	ctl_event_add(c, &e, NULL);
	ctl_hostname_tell(c, host);
	set_silent(c, host, told);
	check_elsewhere(c, host);
	ctl_host_register_self(c, host);
	return 0;
}

/* ---- looking up ---------------------------------------------------------------------------- */

struct ctl_host *ctl_host_lookup(const struct ctl *c, const char *text, unsigned int *n)
{
	struct ctl_host *found = NULL;
	char canonical[CTL_HOST_TEXT];
	const struct ctl_hostname *name;
	struct ctl_identity *id;
	const char *why;
	struct sf_addr a;

	*n = 0;
	if (sf_addr_parse(text, &a) == 0 && sf_addr_in_as(&c->config->net, &a)) {
		found = ctl_host_find(c, &a);
		*n = found != NULL;
		return found;
	}
	if (ctl_host_text(&c->config->net, text, canonical, &why))
		return NULL;
	if (strchr(canonical, ':')) {
		struct sf_sid sid;

		if (sf_sid_parse(&c->config->net, canonical, sf_sha256, &sid, &why))
			return NULL;
		id = identity_find(c, &sid);
		for (struct ctl_host *h = id ? id->hosts : NULL; h; h = h->same, (*n)++)
			found = h;
		return found;
	}
	name = ctl_hostname_find(c, canonical);
	*n = name ? name->n : 0;
	return name ? name->hosts : NULL;
}
