// SPDX-License-Identifier: Apache-2.0
/* hosts.c - the table of hosts, and what the kernel knows of each; see hosts.h for the states. */
#include "router/hosts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "core/name.h"
#include "router/blocks.h"
#include "router/controller_link.h"
#include "router/datapath.h"
#include "router/events.h"
#include "router/heartbeat.h"
#include "router/links.h"
#include "router/routes.h"
#include "router/router.h"
#include "router/rules.h"
#include "router/shed.h"
#include "router/session.h"
#include "router/store.h"
#include "util/clock.h"
#include "util/errtext.h"
#include "util/log.h"

const char *host_state_name(enum host_state state)
{
	static const char *const names[] = { "absent", "restored", "joined" };

	return names[state];
}

struct host *host_find(const struct router *r, uint32_t addr)
{
	struct host *h;

	HASH_FIND(hh, r->hosts->by_addr, &addr, sizeof(addr), h);
	return h;
}

struct host *host_at(const struct router *r, const struct sf_addr *locator)
{
	return is_own(r, locator) ? host_find(r, sf_locator_host(locator)) : NULL;
}

struct host *host_of_session(const struct router *r, uint64_t id)
{
	struct host *h;

	HASH_FIND(hh_session, r->hosts->by_session, &id, sizeof(id), h);
	return h;
}

struct host *host_of_key(const struct router *r, const uint8_t key[SF_SIGN_PUBLIC_LEN])
{
	struct host *h;

	HASH_FIND(hh_key, r->hosts->by_key, key, SF_SIGN_PUBLIC_LEN, h);
	return h;
}

/* ---- who is on which link ---- */

static struct here *here_find(const struct router *r, int ifindex)
{
	struct here *on;

	HASH_FIND_INT(r->hosts->by_link, &ifindex, on);
	return on;
}

uint32_t hosts_on(const struct router *r, int ifindex, struct host **first)
{
	struct here *on = here_find(r, ifindex);

	if (first)
		*first = on ? on->first : NULL;
	return on ? on->n : 0;
}

static void here_leave(struct router *r, struct host *h)
{
	struct here *on = h->on;

	if (!on)
		return;
	DL_DELETE2(on->first, h, on_prev, on_next);
	h->on = NULL;
	if (--on->n)
		return;
	HASH_DEL(r->hosts->by_link, on);
	free(on);
}

/* Return: 0 or -ENOMEM; it is where it was then. */
static int here_enter(struct router *r, struct host *h, int ifindex)
{
	struct here *on = here_find(r, ifindex);

	if (h->on && h->on == on)
		return 0;
	if (!on) {
		on = calloc(1, sizeof(*on));
		if (!on)
			return -ENOMEM;
		on->ifindex = ifindex;
		HASH_ADD_INT(r->hosts->by_link, ifindex, on);
	}
	here_leave(r, h);
	DL_APPEND2(on->first, h, on_prev, on_next);
	h->on = on;
	on->n++;
	return 0;
}

/* ---- entries ---- */

static struct host *host_enter(struct router *r, uint32_t addr,
			       const uint8_t key[SF_SIGN_PUBLIC_LEN])
{
	struct host *h = calloc(1, sizeof(*h)), *first;

	if (!h)
		return NULL;
	h->addr = addr;
	memcpy(h->key, key, sizeof(h->key));
	h->locator = sf_locator(&r->place.net, addr, 0);
	if (sf_sid_of_key(key, SF_SIGN_PUBLIC_LEN, SF_SSID_HOSTS, sf_sha256, &h->identity)) {
		free(h);
		return NULL;
	}
	HASH_ADD(hh, r->hosts->by_addr, addr, sizeof(h->addr), h);
	first = host_of_key(r, key);
	if (first) {
		h->twin = first->twin;
		first->twin = h;
	} else {
		HASH_ADD(hh_key, r->hosts->by_key, key, sizeof(h->key), h);
	}
	return h;
}

void host_free(struct router *r, struct host *h)
{
	struct host *first = host_of_key(r, h->key), *next = h->twin;

	heartbeat_orphan(r, h);
	if (first == h) {
		HASH_DELETE(hh_key, r->hosts->by_key, h);
		if (next)
			HASH_ADD(hh_key, r->hosts->by_key, key, sizeof(next->key), next);
	} else {
		while (first->twin != h)
			first = first->twin;
		first->twin = next;
	}
	HASH_DEL(r->hosts->by_addr, h);
	here_leave(r, h);
	host_end_session(r, h);
	shed_forget(h);
	free(h->joined);
	free(h);
}

static int load_host(const struct store_host *kept, void *ctx)
{
	struct router *r = ctx;
	struct sf_nl_link link;
	struct host *h = host_enter(r, kept->addr, kept->key);

	if (!h)
		return -ENOMEM;
	h->kept = true;
	h->boot = kept->boot;
	h->time = kept->time;
	h->released_ms = kept->released_ms;
	snprintf(h->name, sizeof(h->name), "%s", kept->name);
	if (!kept->ifname[0] || sf_link_get(r->nl, kept->ifname, &link))
		return 0;
	h->state = HOST_RESTORED;
	h->proven = true; /* a link is kept for no others */
	h->standby = kept->standby;
	h->ifindex = link.ifindex;
	h->peer.sin6_family = AF_INET6;
	h->peer.sin6_addr = kept->lladdr;
	h->peer.sin6_port = htons(kept->port);
	h->peer.sin6_scope_id = (uint32_t)link.ifindex;
	h->seen_ms = h->joined_ms = sf_now_ms();
	r->hosts->here++;
	return here_enter(r, h, link.ifindex);
}

int hosts_load(struct router *r, char *err, size_t errlen)
{
	int ret;

	r->hosts = calloc(1, sizeof(*r->hosts));
	if (!r->hosts)
		return sf_errtext(err, errlen, -ENOMEM, "out of memory");
	store_get(r->store, STORE_GIVEN, &r->hosts->given, sizeof(r->hosts->given));
	r->hosts->next = r->hosts->given;
	ret = store_hosts_each(r->store, load_host, r);
	if (ret)
		return sf_errtext(err, errlen, ret, "router.db: hosts: %s", strerror(-ret));
	return 0;
}

void hosts_free(struct router *r)
{
	struct host *h, *tmp;
	struct registration *reg, *rtmp;
	struct source *src, *stmp;

	if (!r->hosts)
		return;
	HASH_ITER (hh, r->hosts->by_addr, h, tmp) {
		HASH_ITER (hh, h->regs, reg, rtmp) {
			HASH_DEL(h->regs, reg);
			free(reg);
		}
		HASH_ITER (hh, h->sources, src, stmp) {
			HASH_DEL(h->sources, src);
			free(src);
		}
		host_free(r, h);
	}
	free(r->hosts);
	r->hosts = NULL;
}

void hosts_forget(struct router *r)
{
	struct host *h, *tmp;

	HASH_ITER (hh, r->hosts->by_addr, h, tmp) {
		if (h->state != HOST_ABSENT)
			host_leave(r, h, SF_NO_SESSION);
		host_free(r, h);
	}
	r->hosts->next = r->hosts->again = r->hosts->given = 0;
	if (store_hosts_clear(r->store))
		sf_error("router.db: %s", store_error(r->store));
}

struct host *host_new(struct router *r, const uint8_t key[SF_SIGN_PUBLIC_LEN], uint8_t *reason)
{
	struct host *h;
	uint32_t addr;

	*reason = SF_NO_ADDRESS;
	if (blocks_pick(r, &addr))
		return NULL;
	*reason = SF_INTERNAL;
	h = host_enter(r, addr, key);
	return h;
}

int host_store(struct router *r, struct host *h)
{
	struct store_host kept = { .addr = h->addr,
				   .boot = h->boot,
				   .time = h->time,
				   .released_ms = h->released_ms,
				   .name = h->name,
				   .ifname = "",
				   .lladdr = h->peer.sin6_addr,
				   .port = ntohs(h->peer.sin6_port),
				   .standby = h->standby };
	int ret;

	memcpy(kept.key, h->key, sizeof(kept.key));
	if (h->state != HOST_ABSENT && h->proven)
		kept.ifname = link_name(r, h->ifindex);
	ret = store_host_put(r->store, &kept);
	if (ret && !h->unsaved) {
		sf_error("host %s: router.db: %s", h->name, store_error(r->store));
		events_add(r, "alarm", h, NULL, SF_INTERNAL,
			   "router.db: %s: a restart would not know how the host is now",
			   store_error(r->store));
	}
	h->unsaved = ret;
	h->kept |= !ret;
	return ret;
}

/* ---- sessions ---- */

void host_enter_session(struct router *r, struct host *h)
{
	HASH_ADD(hh_session, r->hosts->by_session, session.id, sizeof(h->session.id), h);
	/* Without a budget of its own it shares its link's: a table that is full costs no more. */
	datapath_talk(r->datapath, h->session.id, &h->from);
}

void host_end_session(struct router *r, struct host *h)
{
	if (h->session.id) {
		HASH_DELETE(hh_session, r->hosts->by_session, h);
		datapath_talk(r->datapath, h->session.id, NULL);
	}
	sf_session_close(&h->session);
}

/* ---- what it may send ---- */

int host_source_add(struct router *r, struct host *h, const struct sf_sid *sid)
{
	struct source *s;
	int ret;

	HASH_FIND(hh, h->sources, sid, sizeof(*sid), s);
	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s)
			return -ENOMEM;
		s->sid = *sid;
		/* The filter allows its identity without an entry. */
		ret = sf_sid_eq(sid, &h->identity)
			      ? 0
			      : datapath_source(r->datapath, h->addr, sid, true);
		if (ret) {
			free(s);
			return ret;
		}
		HASH_ADD(hh, h->sources, sid, sizeof(s->sid), s);
	}
	s->count++;
	return 0;
}

void host_source_del(struct router *r, struct host *h, const struct sf_sid *sid)
{
	struct source *s;

	HASH_FIND(hh, h->sources, sid, sizeof(*sid), s);
	if (!s || --s->count)
		return;
	datapath_source(r->datapath, h->addr, sid, false);
	HASH_DEL(h->sources, s);
	free(s);
}

/* ---- coming and going ---- */

void hosts_relink(struct router *r, int ifindex)
{
	const struct link *l = link_by_index(r, ifindex);
	struct sf_link link = { 0 };
	struct host *first;
	uint32_t n = hosts_on(r, ifindex, &first);
	bool filter = l ? link_is_filtered(r, l) : n > 0;
	int ret;

	link.host = n == 1 ? first->addr : 0;
	ret = datapath_link(r->datapath, (uint32_t)ifindex, filter ? &link : NULL);
	if (ret)
		sf_error("link %s: access filter: %s", link_name(r, ifindex), strerror(-ret));
}

static int set_present(struct router *r, const struct host *h, int ifindex,
		       const struct sf_link_address *from)
{
	struct sf_presence here = { .ifindex = (uint32_t)ifindex, .from = *from };

	if (h->proven)
		here.identity = h->identity;
	return datapath_present(r->datapath, h->addr, &here);
}

int host_arrive(struct router *r, struct host *h, int ifindex, const struct sockaddr_in6 *peer,
		const struct sf_link_address *from)
{
	int before = h->state == HOST_ABSENT ? 0 : h->ifindex;
	bool was_here = h->state != HOST_ABSENT;
	int ret;

	/* The filter before the route: nothing that the host answers may be dropped. */
	ret = set_present(r, h, ifindex, from);
	if (!ret)
		ret = here_enter(r, h, ifindex);
	if (!ret)
		ret = routes_host_add(r, &h->locator, ifindex, &peer->sin6_addr);
	if (ret) {
		if (was_here) {
			set_present(r, h, before, &h->from);
			here_enter(r, h, before);
		} else {
			datapath_present(r->datapath, h->addr, NULL);
			here_leave(r, h);
		}
		return ret;
	}
	h->ifindex = ifindex;
	h->peer = *peer;
	h->from = *from;
	h->dying = h->silent = false;
	if (!was_here) {
		r->hosts->here++;
		h->state = HOST_JOINED;
	}
	hosts_relink(r, ifindex);
	if (before && before != ifindex)
		hosts_relink(r, before);
	return 0;
}

void host_serve_self(struct router *r, struct host *h)
{
	if (!h->standby)
		rules_register(r, h, &(struct sf_service_key){ .sid = h->identity }, 0, true, NULL);
}

int host_prove(struct router *r, struct host *h)
{
	int ret;

	if (h->proven)
		return 0;
	h->proven = true;
	ret = set_present(r, h, h->ifindex, &h->from);
	if (!ret)
		ret = host_store(r, h);
	if (ret) {
		h->proven = false;
		return ret;
	}
	host_serve_self(r, h);
	rules_flush(r);
	events_add(r, "host-joined", h, NULL, 0, "on link %s%s", link_name(r, h->ifindex),
		   h->standby ? ", as standby" : "");
	controller_link_joined(r, h);
	return 0;
}

void hosts_reroute(struct router *r, int ifindex)
{
	for (struct host *h = r->hosts->by_addr; h; h = h->hh.next)
		if (h->state != HOST_ABSENT && h->ifindex == ifindex)
			routes_host_add(r, &h->locator, ifindex, &h->peer.sin6_addr);
}

/* Entries of "present" whose hosts nobody knows: those that a daemon before us had let in, and that
 * had not proven anything when it died. */
static int sweep_present(const void *key, const void *value, void *ctx)
{
	struct router *r = ctx;
	const uint32_t *addr = key;
	struct host *h = host_find(r, *addr);

	if (!h || h->state == HOST_ABSENT)
		datapath_present(r->datapath, *addr, NULL);
	return 0;
}

void hosts_adopt(struct router *r)
{
	struct host *h, *tmp;

	HASH_ITER (hh, r->hosts->by_addr, h, tmp) {
		struct sockaddr_in6 peer = h->peer;
		struct sf_presence here = { 0 };

		if (h->state != HOST_RESTORED)
			continue;
		/* After a reboot it is not known until the host has joined again. */
		datapath_present_get(r->datapath, h->addr, &here);
		if (link_access(r, h->ifindex) == LINK_ACCESS_NO ||
		    host_arrive(r, h, h->ifindex, &peer, &here.from)) {
			sf_warn("host %s: cannot be taken over", h->name);
			host_leave(r, h, SF_INTERNAL);
			continue;
		}
		host_serve_self(r, h);
		session_refresh(r, h, "the router was restarted");
	}
	datapath_present_each(r->datapath, sweep_present, r);
	rules_flush(r);
}

void host_leave(struct router *r, struct host *h, uint8_t reason)
{
	int ifindex = h->ifindex;
	bool was_proven = h->proven;

	if (was_proven) /* else nobody heard of it */
		events_add(r, "host-left", h, NULL, reason, "%s", sf_reason_text(reason));
	h->state = HOST_ABSENT; /* lists that name it do not count any more */
	rules_unregister_all(r, h, false);
	if (!h->settled)
		rules_settled(r, h);
	rules_flush(r);
	routes_host_del(r, &h->locator, ifindex, &h->peer.sin6_addr);
	datapath_present(r->datapath, h->addr, NULL);
	heartbeat_forget(r, h);
	host_end_session(r, h);
	r->hosts->here--;
	here_leave(r, h);
	hosts_relink(r, ifindex);
	h->ifindex = 0;
	h->released_ms = sf_wall_ms();
	h->proven = h->settled = h->silent = h->dying = h->leased_out = h->standby = false;
	h->mismatches = 0;
	shed_forget(h);
	free(h->joined);
	h->joined = NULL;
	r->stats.leaves++;
	if (!was_proven)
		return; /* nobody heard of it; the store has its address, and no link */
	host_store(r, h);
	controller_link_left(r, h, reason);
}

void host_dismiss(struct router *r, struct host *h, uint8_t reason)
{
	host_leave(r, h, reason);
	if (!h->kept)
		host_free(r, h);
}
