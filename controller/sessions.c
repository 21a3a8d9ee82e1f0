// SPDX-License-Identifier: Apache-2.0
/*
 * sessions.c - connections of routers: every message that can come, in one table. Nothing here
 * trusts lengths: sf_ctrl_open() has checked that each known item is at least as long as its
 * struct.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "controller/blocks.h"
#include "controller/events.h"
#include "controller/hostnames.h"
#include "controller/hosts.h"
#include "controller/policies.h"
#include "controller/routers.h"
#include "controller/rules.h"
#include "controller/services.h"
#include "util/clock.h"
#include "util/failures.h"
#include "util/text.h"

#define TEXT_MAX 200 /* of a router's text that is kept */

/* ---- sending ------------------------------------------------------------------------------- */

static void session_send(struct session *s, const struct sf_ctrl_out *o)
{
	int len = sf_ctrl_end(o);

	if (len > 0 && !s->broken && s->ops->send(s->io, o->start, (size_t)len))
		s->broken = "cannot send";
}

static void put_text(struct sf_ctrl_out *o, const char *text)
{
	sf_ctrl_put(o, SF_ITEM_TEXT, text, strlen(text));
}

static const char text_rejected[] = "rejected";

/* Refuse the peer: REJECTED, an event, and the end of the connection. */
static int reject(struct session *s, uint32_t seq, uint8_t reason, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
static int reject(struct session *s, uint32_t seq, uint8_t reason, const char *fmt, ...)
{
	struct sf_item_reason why = { .reason = reason };
	struct event_entry e = { .kind = EVENT_ROUTER_REJECTED, .reason = reason };
	struct sf_ctrl_out o;
	char text[TEXT_MAX];
	uint8_t buf[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (s->router)
		e = event_of_router(EVENT_ROUTER_REJECTED, s->router);
	e.reason = reason;
	events_add(s->c, &e, "%s: %s", s->peer, text);
	sf_ctrl_begin(&o, buf, sizeof(buf), SF_CTRL_REJECTED, seq, 0);
	sf_ctrl_put(&o, SF_ITEM_REASON, &why, sizeof(why));
	put_text(&o, text);
	session_send(s, &o);
	if (!s->broken) {
		s->broken = text_rejected;
		s->linger = true;
		s->opened = s->c->clock();
	}
	return -EPROTO;
}

/* ---- HELLO --------------------------------------------------------------------------------- */

static int check_hello(struct session *s, const struct sf_ctrl_in *in,
		       const struct sf_item_router *item)
{
	const struct sf_item_version *v = sf_ctrl_find(in, SF_ITEM_VERSION, NULL);
	const struct router *known;

	if (!item || sf_sid_is_zero(&item->id) || sf_addr_is_zero(&item->addr))
		return reject(s, in->seq, SF_BAD_MESSAGE, "HELLO: ROUTER is missing or empty");
	if (!item->roles || (item->roles & ~(SF_ROLE_ACCESS | SF_ROLE_SERVICE)))
		return reject(s, in->seq, SF_BAD_MESSAGE, "HELLO: unknown roles 0x%x", item->roles);
	/* Fencing: a newer controller has been at work, or our store is from before its time. */
	if (v && sf_be32(v->term) > s->c->term)
		return reject(s, in->seq, SF_LOWER_TERM,
			      "the router has seen term %u, this controller is at %u; if it is the "
			      "right one, start it with --term %u",
			      sf_be32(v->term), s->c->term, sf_be32(v->term) + 1);
	known = router_find(s->c, &item->id);
	if (known && *known->cn && strcmp(known->cn, s->cn) != 0)
		return reject(s, in->seq, SF_DENIED_POLICY,
			      "this router id belongs to certificate '%s', not '%s'", known->cn,
			      s->cn);
	return 0;
}

/* Another router at the same underlay address: routes could lead to only one of them. */
static int check_address(struct session *s, const struct sf_ctrl_in *in,
			 const struct sf_item_router *item)
{
	struct router *other, *tmp;

	HASH_ITER (hh, s->c->routers, other, tmp) {
		if (!sf_addr_eq(&other->addr, &item->addr) || sf_sid_eq(&other->id, &item->id))
			continue;
		if (other->session)
			return reject(s, in->seq, SF_ADDRESS_CLASH,
				      "router %.63s is connected with the same underlay address",
				      other->name);
		router_gone(s->c, other, "its underlay address has another router now");
	}
	return 0;
}

/* One connection a router: the newer one counts, the older is most likely half dead. */
static void displace(struct session *s, struct router *r)
{
	struct session *old = r->session;
	size_t host = (size_t)(strrchr(s->peer, ':') ? strrchr(s->peer, ':') - s->peer : 0);

	if (!old)
		return;
	if (strncmp(old->peer, s->peer, host + 1) != 0) {
		struct event_entry e = event_of_router(EVENT_ALARM, r);

		e.reason = SF_CLONED;
		s->c->stats.alarms[SF_CLONED]++;
		events_add(s->c, &e, "the router's id came from %s while connected from %s",
			   s->peer, old->peer);
	}
	old->ops->close(old->io, "replaced by a newer connection");
}

/* Lease what one BLOCK item asks for. Return: 0, or negative after a rejection. */
static int lease(struct session *s, const struct sf_ctrl_in *in, const struct sf_sid *id,
		 const struct sf_item_block *want, struct lease *out)
{
	uint16_t first = sf_be16(want->first);
	uint16_t count = want->count ? sf_be16(want->count) : 1;
	int ret = blocks_lease(s->c->blocks, id, first, count, out);

	if (ret == -EEXIST) {
		struct event_entry e = { .kind = EVENT_ALARM,
					 .reason = SF_ADDRESS_CLASH,
					 .router = *id };

		s->c->stats.alarms[SF_ADDRESS_CLASH]++;
		events_add(s->c, &e, "%s claims hostAddr block %04x, which is another router's",
			   s->peer, first);
		ret = blocks_lease(s->c->blocks, id, 0, count, out);
	}
	if (ret == -EINVAL)
		return reject(s, in->seq, SF_BAD_MESSAGE, "HELLO: bad BLOCK %04x+%u", first, count);
	if (ret == -ENOSPC)
		return reject(s, in->seq, SF_NO_ADDRESS, "no %u free hostAddr blocks", count);
	if (ret)
		return reject(s, in->seq, SF_INTERNAL, "cannot lease a block: %s", strerror(-ret));
	return 0;
}

/* All that the router asks for, then what it has besides. Return: number of leases or negative. */
static int lease_all(struct session *s, const struct sf_ctrl_in *in,
		     const struct sf_item_router *router, struct lease out[BLOCKS_LEASES_MAX])
{
	struct lease have[BLOCKS_LEASES_MAX];
	const struct sf_item_block any = { 0 };
	unsigned int total;
	int n = 0;
	int ret;

	if (!(router->roles & SF_ROLE_ACCESS))
		return 0;
	sf_ctrl_foreach (in, it) {
		if (it.type != SF_ITEM_BLOCK || n == BLOCKS_LEASES_MAX)
			continue;
		ret = lease(s, in, &router->id, it.value, &out[n]);
		if (ret)
			return ret;
		n++;
	}
	if (n == 0) {
		ret = lease(s, in, &router->id, &any, &out[n++]);
		if (ret)
			return ret;
	}
	total = blocks_of(s->c->blocks, &router->id, have, BLOCKS_LEASES_MAX);
	for (unsigned int i = 0; i < total && i < BLOCKS_LEASES_MAX; i++) {
		bool told = false;

		for (int k = 0; k < n; k++)
			told |= out[k].first == have[i].first;
		if (!told && n < BLOCKS_LEASES_MAX)
			out[n++] = have[i];
	}
	return n;
}

static void welcome(struct session *s, uint32_t seq, const struct lease *leases, int n)
{
	const struct config *cfg = s->c->config;
	struct sf_item_version v = { sf_be32(s->c->term), sf_be32(s->c->number) };
	struct sf_item_timers t = { sf_be32(cfg->heartbeat_ms), sf_be32(cfg->move_grace_ms),
				    sf_be32(cfg->lease_ms) };
	struct sf_ctrl_out o;
	uint8_t buf[512];

	sf_ctrl_begin(&o, buf, sizeof(buf), SF_CTRL_WELCOME, seq, 0);
	sf_ctrl_put(&o, SF_ITEM_VERSION, &v, sizeof(v));
	for (int i = 0; i < n; i++) {
		struct sf_item_block b = { sf_be16(leases[i].first), sf_be16(leases[i].count) };

		sf_ctrl_put(&o, SF_ITEM_BLOCK, &b, sizeof(b));
	}
	sf_ctrl_put(&o, SF_ITEM_NET, &cfg->net, sizeof(cfg->net));
	sf_ctrl_put(&o, SF_ITEM_HASHKEY, &s->c->hashkey, sizeof(s->c->hashkey));
	sf_ctrl_put(&o, SF_ITEM_TIMERS, &t, sizeof(t));
	session_send(s, &o);
}

static void copy_name(char *out, size_t size, const char *name, size_t len)
{
	sf_text_take(out, size, name, len);
	for (; *out; out++)
		if (*out == ' ')
			*out = '?';
}

static void say_leased(struct controller *c, const struct router *r, const struct lease *leases,
		       int n)
{
	struct event_entry e = event_of_router(EVENT_BLOCK, r);

	for (int i = 0; i < n; i++) {
		e.locator = sf_locator(&c->config->net, (uint32_t)leases[i].first << 16, 0);
		events_add(c, &e, "%u hostAddr blocks from here on are leased to it",
			   leases[i].count);
	}
}

static int on_hello(struct session *s, const struct sf_ctrl_in *in)
{
	const struct sf_item_router *item = sf_ctrl_find(in, SF_ITEM_ROUTER, NULL);
	struct lease leases[BLOCKS_LEASES_MAX];
	struct router *r;
	const char *name;
	uint16_t len = 0;
	bool routes, leased;
	int before, n;

	if (s->router)
		return reject(s, in->seq, SF_BAD_MESSAGE, "a second HELLO on one connection");
	if (check_hello(s, in, item) || check_address(s, in, item))
		return -EPROTO;
	before = (int)blocks_of(s->c->blocks, &item->id, leases, 0);
	n = lease_all(s, in, item, leases);
	if (n < 0)
		return n;
	r = router_get(s->c, &item->id);
	if (!r)
		return reject(s, in->seq, SF_DENIED_FULL, "more than %u routers", ROUTERS_MAX);
	displace(s, r);
	/* Others need routes anew only where something differs from what they were told. */
	leased = before != (int)blocks_of(s->c->blocks, &item->id, leases, 0);
	routes = !sf_addr_eq(&r->addr, &item->addr) || r->roles != item->roles || leased;
	if (routes && !sf_addr_is_zero(&r->addr))
		routes_withdraw(s->c, r);
	r->addr = item->addr;
	r->roles = item->roles;
	name = sf_ctrl_find(in, SF_ITEM_NAME, &len);
	if (name)
		copy_name(r->name, sizeof(r->name), name, len);
	router_connected(s->c, r, s);
	if (leased)
		say_leased(s->c, r, leases, n);
	welcome(s, in->seq, leases, n);
	if (routes)
		routes_publish(s->c, r);
	return 0;
}

/* ---- hosts --------------------------------------------------------------------------------- */

static void refuse_host(struct session *s, uint32_t seq, const struct sf_item_host *item, int error)
{
	uint8_t reason = error == -EINVAL   ? SF_BAD_MESSAGE
			 : error == -ENOMEM ? SF_DENIED_FULL
					    : SF_ADDRESS_CLASH;
	const char *text = error == -EADDRINUSE	     ? "another host has this locator"
			   : error == -EADDRNOTAVAIL ? "not a locator of this router's blocks"
			   : error == -EINVAL	     ? "the identity is zero"
						     : "no memory";
	struct sf_item_reason why = { .reason = reason };
	struct event_entry e = event_of_router(EVENT_ALARM, s->router);
	struct sf_ctrl_out o;
	uint8_t buf[256];

	e.reason = reason;
	e.host = item->identity;
	e.locator = item->locator;
	s->c->stats.alarms[reason]++;
	events_add(s->c, &e, "host refused: %s", text);
	sf_ctrl_begin(&o, buf, sizeof(buf), SF_CTRL_ALARM, seq, 0);
	sf_ctrl_put(&o, SF_ITEM_HOST, item, sizeof(*item));
	sf_ctrl_put(&o, SF_ITEM_REASON, &why, sizeof(why));
	put_text(&o, text);
	session_send(s, &o);
}

static uint64_t time_of(const struct sf_ctrl_item *it)
{
	__be64 time;

	memcpy(&time, it->value, sizeof(time)); /* it lies on 4 bytes, not on 8 */
	return sf_be64(time);
}

/* What follows a HOST. The second TIME is that of the REASON before it. */
static void take_joined(struct joined *told, const struct sf_ctrl_item *it)
{
	const struct sf_item_reason *why = it->value;

	if (it->type == SF_ITEM_NAME) {
		told->name = it->value;
		told->name_len = it->len;
	} else if (it->type == SF_ITEM_STANDBY) {
		told->standby = true;
	} else if (it->type == SF_ITEM_REASON) {
		told->silent = why->reason == SF_SILENT;
	} else if (it->type == SF_ITEM_TIME) {
		*(told->silent ? &told->heard_ms : &told->joined_ms) = time_of(it);
	}
}

static int on_joined(struct session *s, const struct sf_ctrl_in *in)
{
	struct joined told = { 0 };
	bool end = false;

	/* HOST and what belongs to it, any number of times. */
	for (struct sf_ctrl_item it = { 0 }; !end;) {
		end = !sf_ctrl_next(in, &it);
		if (!end && it.type != SF_ITEM_HOST) {
			take_joined(&told, &it);
			continue;
		}
		if (told.item) {
			int ret = host_join(s->c, s->router, &told);

			if (ret)
				refuse_host(s, in->seq, told.item, ret);
		}
		told = (struct joined){ .item = end ? NULL : it.value };
	}
	return 0;
}

/* The host that an item means, if it is this router's and the same one. */
static struct host *host_of(struct session *s, const struct sf_item_host *item)
{
	struct host *h = host_find(s->c, &item->locator);

	return h && h->router == s->router && sf_sid_eq(&h->identity->sid, &item->identity) ? h
											    : NULL;
}

static int on_left(struct session *s, const struct sf_ctrl_in *in)
{
	const struct sf_item_reason *why = sf_ctrl_find(in, SF_ITEM_REASON, NULL);
	uint8_t reason = why ? why->reason : SF_NONE;

	sf_ctrl_foreach (in, it) {
		struct host *h = it.type == SF_ITEM_HOST ? host_of(s, it.value) : NULL;

		if (h)
			host_leave(s->c, h, EVENT_HOST_LEFT, reason,
				   reason ? sf_reason_text(reason) : "left");
	}
	return 0;
}

/* ---- registrations ------------------------------------------------------------------------- */

/* VERDICTS in the making: only what is denied is told. */
struct verdicts {
	struct session *s;
	uint32_t seq;
	struct sf_ctrl_out out;
	bool open;
	uint8_t buf[8192];
};

static void verdicts_end(struct verdicts *v)
{
	if (v->open)
		session_send(v->s, &v->out);
	v->open = false;
}

static void verdicts_put(struct verdicts *v, const struct sf_item_host *host,
			 const struct sf_item_registration *reg, uint8_t reason)
{
	struct sf_item_result r = {
		.sid = reg->sid, .proto = reg->proto, .port = reg->port, .reason = reason
	};

	if (v->open && sf_ctrl_room(&v->out) < sizeof(struct sf_item) + sizeof(r))
		verdicts_end(v);
	if (!v->open) {
		sf_ctrl_begin(&v->out, v->buf, sizeof(v->buf), SF_CTRL_VERDICTS, v->seq, 0);
		sf_ctrl_put(&v->out, SF_ITEM_HOST, host, sizeof(*host));
		v->open = true;
	}
	sf_ctrl_put(&v->out, SF_ITEM_RESULT, &r, sizeof(r));
}

/* Its name follows a registration, which is learned first, so that the event can tell it; and since
 * when. Return: that, 0: now. */
static uint64_t hear_more_of(struct session *s, const struct sf_ctrl_in *in,
			     const struct host *host, struct sf_ctrl_item it)
{
	const struct sf_item_registration *reg = it.value;
	bool more = sf_ctrl_next(in, &it);

	if (more && it.type == SF_ITEM_SERVICE_NAME) {
		name_hear(s->c, host, &reg->sid, it.value, it.len);
		more = sf_ctrl_next(in, &it);
	}
	return more && it.type == SF_ITEM_TIME ? time_of(&it) : 0;
}

static bool is_self(const struct host *host, const struct sf_item_registration *reg)
{
	return sf_sid_eq(&reg->sid, &host->identity->sid);
}

static int on_registered(struct session *s, const struct sf_ctrl_in *in)
{
	struct verdicts v = { .s = s, .seq = in->seq };
	const struct sf_item_host *item = NULL;
	struct host *host = NULL;
	uint16_t before = 0;

	sf_ctrl_foreach (in, it) {
		uint8_t reason = SF_NO_SESSION;

		if (it.type == SF_ITEM_HOST) {
			verdicts_end(&v);
			item = it.value;
			host = host_of(s, item);
		}
		if (it.type == SF_ITEM_SERVICE_NAME && host && before != SF_ITEM_REGISTRATION)
			name_hear(s->c, host, NULL, it.value, it.len);
		before = it.type;
		if (it.type != SF_ITEM_REGISTRATION)
			continue;
		if (!item)
			return reject(s, in->seq, SF_BAD_MESSAGE,
				      "HOST-REGISTERED: REGISTRATION before any HOST");
		if (host)
			reason = instance_register(s->c, host, it.value,
						   hear_more_of(s, in, host, it));
		if (host && !reason && is_self(host, it.value))
			host_is_first(s->c, host);
		if (reason)
			verdicts_put(&v, item, it.value, reason);
	}
	verdicts_end(&v);
	return 0;
}

static int on_unregistered(struct session *s, const struct sf_ctrl_in *in)
{
	struct host *host = NULL;

	sf_ctrl_foreach (in, it) {
		if (it.type == SF_ITEM_HOST)
			host = host_of(s, it.value);
		else if (it.type == SF_ITEM_REGISTRATION && host)
			instance_unregister(s->c, host, it.value);
	}
	return 0;
}

static int on_load(struct session *s, const struct sf_ctrl_in *in)
{
	struct host *host = NULL;

	sf_ctrl_foreach (in, it) {
		if (it.type == SF_ITEM_HOST)
			host = host_of(s, it.value);
		else if (it.type == SF_ITEM_SERVICE_LOAD && host)
			instance_load(s->c, host, it.value);
	}
	return 0;
}

/* ---- look-ups ------------------------------------------------------------------------------ */

#define FOUND_MAX 32 /* endpoints told: what the router's answer to the host has room for */

static void put_grace(struct sf_ctrl_out *o, const struct policy *p)
{
	bool set = p && p->move_grace_ms != UNSET;
	struct sf_item_timers t = { .move_grace_ms = sf_be32(set ? (uint32_t)p->move_grace_ms
								 : SF_GRACE_UNSET) };

	sf_ctrl_put(o, SF_ITEM_TIMERS, &t, sizeof(t));
}

static int on_lookup(struct session *s, const struct sf_ctrl_in *in)
{
	const struct sf_item_host *host = sf_ctrl_find(in, SF_ITEM_HOST, NULL);
	const struct sf_item_registration *asked = sf_ctrl_find(in, SF_ITEM_REGISTRATION, NULL);
	const struct service *service;
	const char *name;
	struct endpoint *ep;
	struct sf_ctrl_out o;
	uint8_t buf[2048];
	int n = 0;

	if (!host || !asked)
		return reject(s, in->seq, SF_BAD_MESSAGE, "LOOKUP without HOST or REGISTRATION");
	service = service_find(s->c, &asked->sid);
	name = name_find(s->c, &asked->sid);
	sf_ctrl_begin(&o, buf, sizeof(buf), SF_CTRL_FOUND, in->seq, 0);
	sf_ctrl_put(&o, SF_ITEM_HOST, host, sizeof(*host));
	if (service && name)
		sf_ctrl_put(&o, SF_ITEM_SERVICE_NAME, name, strlen(name));
	put_grace(&o, policy_of(s->c, &asked->sid));
	name = sid_is_host(&asked->sid) ? hostname_of(s->c, &asked->sid) : NULL;
	if (name)
		sf_ctrl_put(&o, SF_ITEM_NAME, name, strlen(name));
	for (ep = service ? service->endpoints : NULL; ep && n < FOUND_MAX; ep = ep->service_next) {
		struct sf_item_registration item = { .sid = ep->key.sid,
						     .proto = ep->key.proto,
						     .port = ep->key.port };
		uint32_t serving = ep->n_serving;

		if (ep->n_instances == ep->n_denied)
			continue;
		item.weight = sf_be16(serving < UINT16_MAX ? (uint16_t)serving : UINT16_MAX);
		sf_ctrl_put(&o, SF_ITEM_REGISTRATION, &item, sizeof(item));
		n++;
	}
	session_send(s, &o);
	return 0;
}

/* ---- the rest ------------------------------------------------------------------------------ */

static int on_up_synced(struct session *s, const struct sf_ctrl_in *in)
{
	/* A repeat would sweep nothing: everything has this generation. */
	router_up_synced(s->c, s->router);
	return 0;
}

static int on_alarm(struct session *s, const struct sf_ctrl_in *in)
{
	const struct sf_item_host *host = sf_ctrl_find(in, SF_ITEM_HOST, NULL);
	const struct sf_item_reason *why = sf_ctrl_find(in, SF_ITEM_REASON, NULL);
	struct event_entry e = event_of_router(EVENT_ALARM, s->router);
	char shown[TEXT_MAX] = "";
	uint16_t len = 0;
	const char *text = sf_ctrl_find(in, SF_ITEM_TEXT, &len);
	const struct host *known = host ? host_of(s, host) : NULL;

	if (known)
		e = event_of_host(EVENT_ALARM, known);
	if (host) {
		e.host = host->identity;
		e.locator = host->locator;
	}
	if (why) {
		e.reason = why->reason;
		s->c->stats.alarms[why->reason % SF_REASON_MAX]++;
	}
	if (text)
		sf_text_take(shown, sizeof(shown), text, len);
	events_add(s->c, &e, "%s", shown);
	return 0;
}

static int on_failures(struct session *s, const struct sf_ctrl_in *in)
{
	struct event_entry e = event_of_router(EVENT_FAILURES, s->router);
	char name[16], where[32] = "", text[SF_FAILURE_STRLEN];
	uint16_t len = 0;
	const char *link = sf_ctrl_find(in, SF_ITEM_NAME, &len);

	if (link) {
		copy_name(name, sizeof(name), link, len);
		snprintf(where, sizeof(where), " on link %s", name);
	}
	sf_ctrl_foreach (in, it) {
		const struct sf_item_failure *item = it.value;
		struct sf_failure f;

		if (it.type != SF_ITEM_FAILURE)
			continue;
		f = (struct sf_failure){ .reason = item->reason,
					 .count = sf_be64(item->count),
					 .interval_ms = sf_be32(item->interval_ms) };
		e.reason = item->reason;
		events_add(s->c, &e, "%s", sf_failure_text(&f, where, text));
	}
	return 0;
}

static void take_version(struct router *r, const struct sf_ctrl_in *in)
{
	const struct sf_item_version *v = sf_ctrl_find(in, SF_ITEM_VERSION, NULL);

	if (v)
		r->applied = *v;
}

static int on_ping(struct session *s, const struct sf_ctrl_in *in)
{
	struct sf_item_version v = { sf_be32(s->c->term), sf_be32(s->c->number) };
	struct sf_ctrl_out o;
	uint8_t buf[64];

	take_version(s->router, in);
	sf_ctrl_begin(&o, buf, sizeof(buf), SF_CTRL_PONG, in->seq, 0);
	sf_ctrl_put(&o, SF_ITEM_VERSION, &v, sizeof(v));
	session_send(s, &o);
	return 0;
}

static int on_pong(struct session *s, const struct sf_ctrl_in *in)
{
	take_version(s->router, in);
	if (in->seq == s->router->ping_seq && s->router->pinged)
		s->router->rtt_ms = (uint32_t)(s->c->clock() - s->router->pinged);
	return 0;
}

static const struct handler {
	uint8_t type;
	bool needs_hello;
	int (*handle)(struct session *s, const struct sf_ctrl_in *in);
} handlers[] = {
	{ SF_CTRL_HELLO, false, on_hello },
	{ SF_CTRL_HOST_JOINED, true, on_joined },
	{ SF_CTRL_HOST_LEFT, true, on_left },
	{ SF_CTRL_HOST_REGISTERED, true, on_registered },
	{ SF_CTRL_HOST_UNREGISTERED, true, on_unregistered },
	{ SF_CTRL_LOAD, true, on_load },
	{ SF_CTRL_LOOKUP, true, on_lookup },
	{ SF_CTRL_ALARM, true, on_alarm },
	{ SF_CTRL_FAILURES, true, on_failures },
	{ SF_CTRL_UP_SYNCED, true, on_up_synced },
	{ SF_CTRL_PING, true, on_ping },
	{ SF_CTRL_PONG, true, on_pong },
};

static void dispatch(struct session *s, const void *msg, size_t len)
{
	const struct handler *h = NULL;
	const char *why = "longer than a message may be";
	struct sf_ctrl_in in;
	int ret = -EBADMSG;

	if ((uintptr_t)msg % sizeof(__be32) && len <= SF_CTRL_MAX)
		msg = memcpy(s->c->scratch, msg, len);
	if (len <= SF_CTRL_MAX)
		ret = sf_ctrl_open(msg, len, &in, &why);

	s->c->stats.messages++;
	s->c->stats.bytes += len;
	if (ret) {
		s->c->stats.bad_messages++;
		reject(s, 0, SF_BAD_MESSAGE, "%s", why);
		return;
	}
	for (size_t i = 0; i < sizeof(handlers) / sizeof(*handlers); i++) {
		if (handlers[i].type == in.type)
			h = &handlers[i];
	}
	if (!h) {
		/* Of a newer router: what we do not know we do not need. */
		s->c->stats.unknown_messages++;
		return;
	}
	if (h->needs_hello && !s->router) {
		s->c->stats.bad_messages++;
		reject(s, in.seq, SF_NO_SESSION, "%s before HELLO", sf_ctrl_name(in.type));
		return;
	}
	h->handle(s, &in);
}

/* ---- for the transport --------------------------------------------------------------------- */

int session_open(struct controller *c, const struct session_ops *ops, void *io, const char *peer,
		 const char *cn, struct session **out)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->c = c;
	s->ops = ops;
	s->io = io;
	s->opened = c->clock();
	snprintf(s->peer, sizeof(s->peer), "%s", peer);
	copy_name(s->cn, sizeof(s->cn), cn, strlen(cn));
	DL_APPEND(c->sessions, s);
	*out = s;
	return 0;
}

void session_message(struct session *s, const void *msg, size_t len)
{
	if (!s->broken)
		dispatch(s, msg, len);
	if (s->broken)
		controller_wake(s->c); /* controller_flush() closes it, once what was queued had its
					  chance */
}

void session_pressure(struct session *s, bool high)
{
	struct router *r = s->router;

	if (!r)
		return;
	r->behind = high;
	if (!high && r->missed && r->synced) {
		r->missed = false;
		rules_sync(s->c, r);
	}
}

void sessions_reap(struct controller *c)
{
	struct session *s, *tmp;
	uint64_t now = c->clock();

	DL_FOREACH_SAFE(c->sessions, s, tmp)
	{
		uint64_t age = now - s->opened;

		if (s->broken && (s->ops->queued(s->io) == 0 || age >= LINGER_MS))
			s->ops->close(s->io, s->broken);
		else if (!s->router && age >= HELLO_MS)
			s->ops->close(s->io, "no HELLO");
	}
}

void session_closed(struct session *s, const char *reason)
{
	struct controller *c = s->c;
	struct router *r = s->router;

	if (r && r->session == s) {
		struct event_entry e = event_of_router(EVENT_ROUTER_LOST, r);

		r->session = NULL;
		r->up_synced = r->synced = r->behind = r->missed = false;
		r->lost = c->clock();
		r->changed_ms = sf_wall_ms();
		if (!c->stopping)
			events_add(c, &e, "%s; its hosts stay known for %u s", reason,
				   c->config->router_lease_ms / 1000);
	}
	DL_DELETE(c->sessions, s);
	free(s);
}
