// SPDX-License-Identifier: Apache-2.0
/* controller_link.c - what goes up, what comes down; see controller_link.h. */
#include "router/controller_link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "router/controller_down.h"
#include "router/datapath.h"
#include "router/events.h"
#include "router/hosts.h"
#include "router/router.h"
#include "router/rules.h"
#include "util/channel.h"
#include "util/clock.h"
#include "util/errtext.h"
#include "util/failures.h"
#include "util/log.h"

/* ---- sending ---- */

static bool is_open(const struct router *r)
{
	return r->uplink && r->uplink->channel && sf_channel_is_open(r->uplink->channel);
}

void controller_link_flush(struct router *r)
{
	struct controller_link *c = r->uplink;
	int len;

	if (!c || !c->gathering)
		return;
	c->gathering = false;
	len = sf_ctrl_end(&c->out);
	if (len < 0 || !is_open(r))
		return;
	if (sf_channel_send(c->channel, c->buf, (size_t)len))
		sf_channel_close(c->channel, "it does not take what is sent");
}

static void begin(struct router *r, uint8_t type)
{
	struct controller_link *c = r->uplink;

	sf_ctrl_begin(&c->out, c->buf, sizeof(c->buf), type, ++c->seq, 0);
	c->gathering = true;
	c->type = type;
	c->host = 0;
}

static struct sf_item_host host_item(const struct host *h)
{
	return (struct sf_item_host){ .locator = h->locator,
				      .identity = h->identity,
				      .boot = sf_be64(h->boot) };
}

/* A message of @type about @h in which @len bytes more fit. Return: false while there is no link.
 */
static bool gather(struct router *r, uint8_t type, const struct host *h, size_t len)
{
	struct controller_link *c = r->uplink;
	struct sf_item_host item = host_item(h);

	if (!is_open(r) || !c->welcomed)
		return false;
	if (c->gathering && (c->type != type || c->host != h->addr ||
			     sf_ctrl_room(&c->out) < len + sizeof(struct sf_item)))
		controller_link_flush(r);
	if (!c->gathering) {
		begin(r, type);
		sf_ctrl_put(&c->out, SF_ITEM_HOST, &item, sizeof(item));
		c->host = h->addr;
	}
	return true;
}

/* When something was, by the wall clock; @ms by the monotonic one. */
static void put_time(struct router *r, uint64_t ms)
{
	__be64 time = sf_be64(sf_wall_ms() - (sf_now_ms() - ms));

	sf_ctrl_put(&r->uplink->out, SF_ITEM_TIME, &time, sizeof(time));
}

void controller_link_joined(struct router *r, const struct host *h)
{
	struct sf_item_reason silent = { .reason = SF_SILENT };

	if (!gather(r, SF_CTRL_HOST_JOINED, h, sizeof(h->name)))
		return;
	sf_ctrl_put(&r->uplink->out, SF_ITEM_NAME, h->name, strlen(h->name));
	if (h->standby)
		sf_ctrl_put(&r->uplink->out, SF_ITEM_STANDBY, NULL, 0);
	put_time(r, h->joined_ms);
	if (h->silent) {
		sf_ctrl_put(&r->uplink->out, SF_ITEM_REASON, &silent, sizeof(silent));
		put_time(r, h->seen_ms);
	}
	controller_link_flush(r);
}

void controller_link_left(struct router *r, const struct host *h, uint8_t reason)
{
	struct sf_item_reason item = { .reason = reason };

	if (!gather(r, SF_CTRL_HOST_LEFT, h, sizeof(item)))
		return;
	sf_ctrl_put(&r->uplink->out, SF_ITEM_REASON, &item, sizeof(item));
	controller_link_flush(r);
}

static void put_registration(struct router *r, uint8_t type, const struct host *h,
			     const struct sf_service_key *key, uint16_t weight)
{
	struct sf_item_registration item = {
		.sid = key->sid, .proto = key->proto, .port = key->port, .weight = sf_be16(weight)
	};

	if (gather(r, type, h, sizeof(item)))
		sf_ctrl_put(&r->uplink->out, SF_ITEM_REGISTRATION, &item, sizeof(item));
}

void controller_link_registered(struct router *r, const struct host *h,
				const struct sf_service_key *key, uint16_t weight)
{
	put_registration(r, SF_CTRL_HOST_REGISTERED, h, key, weight);
}

void controller_link_named(struct router *r, const struct host *h, const char *name)
{
	size_t len = strlen(name);

	if (gather(r, SF_CTRL_HOST_REGISTERED, h, len + 4))
		sf_ctrl_put(&r->uplink->out, SF_ITEM_SERVICE_NAME, name, len);
}

void controller_link_unregistered(struct router *r, const struct host *h,
				  const struct sf_service_key *key)
{
	put_registration(r, SF_CTRL_HOST_UNREGISTERED, h, key, 0);
}

bool controller_link_lookup(struct router *r, const struct host *h, uint32_t seq,
			    const struct sf_item_registration *item)
{
	struct sf_item_host host = host_item(h);
	struct controller_link *c = r->uplink;

	if (!is_open(r) || !c->welcomed)
		return false;
	controller_link_flush(r);
	sf_ctrl_begin(&c->out, c->buf, sizeof(c->buf), SF_CTRL_LOOKUP, seq, 0);
	sf_ctrl_put(&c->out, SF_ITEM_HOST, &host, sizeof(host));
	sf_ctrl_put(&c->out, SF_ITEM_REGISTRATION, item, sizeof(*item));
	c->gathering = true;
	controller_link_flush(r);
	return true;
}

void controller_link_load(struct router *r, const struct host *h, const struct sf_item_load *load)
{
	if (gather(r, SF_CTRL_LOAD, h, sizeof(*load)))
		sf_ctrl_put(&r->uplink->out, SF_ITEM_SERVICE_LOAD, load, sizeof(*load));
}

void controller_link_alarm(struct router *r, const struct host *h, uint8_t reason, const char *text)
{
	struct sf_item_reason item = { .reason = reason };

	if (!gather(r, SF_CTRL_ALARM, h, sizeof(item) + strlen(text) + 8))
		return;
	sf_ctrl_put(&r->uplink->out, SF_ITEM_REASON, &item, sizeof(item));
	sf_ctrl_put(&r->uplink->out, SF_ITEM_TEXT, text, strlen(text));
	controller_link_flush(r);
}

void controller_link_failure(struct router *r, const struct sf_failure *f, const char *link)
{
	struct sf_item_failure item = { .reason = f->reason,
					.interval_ms = sf_be32((uint32_t)f->interval_ms),
					.count = sf_be64(f->count) };
	struct controller_link *c = r->uplink;

	if (!is_open(r) || !c->welcomed)
		return;
	controller_link_flush(r);
	begin(r, SF_CTRL_FAILURES);
	if (link)
		sf_ctrl_put(&c->out, SF_ITEM_NAME, link, strlen(link));
	sf_ctrl_put(&c->out, SF_ITEM_FAILURE, &item, sizeof(item));
	controller_link_flush(r);
}

static void announce_unproven(struct router *r, const struct host *h,
			      const struct sf_service_key *key)
{
	controller_link_registered(r, h, key, 0);
}

/* As controller_link_registered() and _named(), and since when, which the controller cannot know.
 */
static void announce(struct router *r, const struct host *h, const struct registration *reg)
{
	struct sf_item_registration item = { .sid = reg->key.sid,
					     .proto = reg->key.proto,
					     .port = reg->key.port,
					     .weight = sf_be16(reg->weight) };
	const char *name = sf_nametable_find(&r->names, &reg->key.sid);
	size_t len = name ? strlen(name) : 0;

	if (!gather(r, SF_CTRL_HOST_REGISTERED, h,
		    sizeof(item) + len + sizeof(__be64) + 3 * sizeof(struct sf_item)))
		return;
	sf_ctrl_put(&r->uplink->out, SF_ITEM_REGISTRATION, &item, sizeof(item));
	if (name)
		sf_ctrl_put(&r->uplink->out, SF_ITEM_SERVICE_NAME, name, len);
	put_time(r, reg->since_ms);
}

/* Our whole state. What a host served before our restart counts until it has spoken. */
static void announce_all(struct router *r)
{
	struct host *h;

	for (h = r->hosts->by_addr; h; h = h->hh.next) {
		if (h->state == HOST_ABSENT || !h->proven)
			continue;
		controller_link_joined(r, h);
		for (struct registration *reg = h->regs; reg; reg = reg->hh.next)
			if (!reg->implicit)
				announce(r, h, reg);
		if (!h->settled)
			rules_each_unproven(r, h, announce_unproven);
	}
	controller_link_flush(r);
	begin(r, SF_CTRL_UP_SYNCED);
	controller_link_flush(r);
}

static void say_hello(struct router *r)
{
	struct sf_item_router me = { .addr = r->underlay, .id = r->id, .roles = r->config.roles };
	struct sf_item_block block = { .first = sf_be16(r->place.block ? r->place.block
								       : r->config.block),
				       .count = sf_be16(r->place.blocks ? r->place.blocks : 1) };
	struct sf_item_version v = { sf_be32(r->place.term), sf_be32(r->place.number) };
	struct controller_link *c = r->uplink;

	begin(r, SF_CTRL_HELLO);
	sf_ctrl_put(&c->out, SF_ITEM_ROUTER, &me, sizeof(me));
	if (r->config.roles & SF_ROLE_ACCESS)
		sf_ctrl_put(&c->out, SF_ITEM_BLOCK, &block, sizeof(block));
	sf_ctrl_put(&c->out, SF_ITEM_NAME, r->config.name, strlen(r->config.name));
	sf_ctrl_put(&c->out, SF_ITEM_VERSION, &v, sizeof(v));
	controller_link_flush(r);
}

void controller_link_welcomed(struct router *r)
{
	r->uplink->welcomed = true;
	announce_all(r);
}

void controller_link_pong(struct router *r, uint32_t seq)
{
	struct sf_item_version v = { sf_be32(r->place.term), sf_be32(r->place.number) };
	struct controller_link *c = r->uplink;

	controller_link_flush(r);
	sf_ctrl_begin(&c->out, c->buf, sizeof(c->buf), SF_CTRL_PONG, seq, 0);
	sf_ctrl_put(&c->out, SF_ITEM_VERSION, &v, sizeof(v));
	c->gathering = true;
	controller_link_flush(r);
}

/* ---- the channel ---- */

static void set_failure(struct controller_link *c, const char *reason)
{
	snprintf(c->failure, sizeof(c->failure), "%s", reason);
	c->since_ms = sf_wall_ms();
}

/*
 * The address from which the kernel reaches the controller, for others to send to. While the link's
 * own is new (duplicate address detection) or not there yet, that is a link-local one or our
 * locator: neither will do.
 */
static int guess_underlay(struct router *r)
{
	struct sockaddr_storage to;
	struct sockaddr_in6 from = { 0 };
	socklen_t len = sizeof(from);
	int fd, ret = 0;

	if (sf_endpoint_parse(r->config.controller, &to) || to.ss_family != AF_INET6)
		return -EINVAL;
	fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(struct sockaddr_in6)) ||
	    getsockname(fd, (struct sockaddr *)&from, &len))
		ret = -errno;
	if (fd >= 0)
		close(fd);
	if (!ret && (IN6_IS_ADDR_LINKLOCAL(&from.sin6_addr) ||
		     !memcmp(&from.sin6_addr, &r->own, sizeof(r->own))))
		ret = -EADDRNOTAVAIL;
	if (!ret && IN6_IS_ADDR_LOOPBACK(&from.sin6_addr) &&
	    memcmp(&from.sin6_addr, &r->underlay, sizeof(r->underlay)))
		sf_warn("controller %s: no other router can reach this one at ::1: where there are "
			"any, set underlay=",
			r->config.controller);
	if (!ret)
		memcpy(&r->underlay, &from.sin6_addr, sizeof(r->underlay));
	return ret;
}

/* Once the controller is reached: the address may be another one than before. */
static int underlay_take(struct router *r)
{
	struct sf_addr was = r->underlay;
	int ret = IN6_IS_ADDR_UNSPECIFIED(&r->config.underlay) ? guess_underlay(r) : 0;

	/* A router without a block sends its FAILs from there. */
	return ret || !memcmp(&was, &r->underlay, sizeof(was)) ? ret : datapath_configure(r);
}

static void on_open(struct sf_channel *ch, void *ctx)
{
	struct router *r = ctx;
	struct controller_link *c = r->uplink;

	c->welcomed = c->synced = c->gathering = false;
	if (underlay_take(r)) {
		sf_channel_close(ch, "no address of ours but link-local ones leads there yet (or "
				     "set underlay=)");
		return;
	}
	set_failure(c, "");
	events_add(r, "controller-connected", NULL, NULL, 0, "%s", sf_channel_peer(ch));
	say_hello(r);
}

static void on_message(struct sf_channel *ch, const void *body, size_t len, void *ctx)
{
	struct router *r = ctx;
	struct sf_ctrl_in in;
	const char *why;

	if (sf_ctrl_open(body, len, &in, &why)) {
		sf_error("controller: bad message: %s", why);
		sf_channel_close(ch, "bad message");
		return;
	}
	why = controller_down_handle(r, &in, body, len);
	if (why) {
		sf_error("controller: %s: %s", sf_ctrl_name(in.type), why);
		sf_channel_close(ch, why);
	}
}

static void on_close(struct sf_channel *ch, const char *reason, void *ctx)
{
	struct router *r = ctx;
	struct controller_link *c = r->uplink;

	c->welcomed = c->synced = c->gathering = false;
	controller_down_drop(r);
	set_failure(c, reason);
	events_add(r, "controller-lost", NULL, NULL, 0, "%s", reason);
}

static void on_fail(struct sf_channel *ch, const char *reason, unsigned retry_ms, void *ctx)
{
	struct router *r = ctx;
	struct controller_link *c = r->uplink;

	if (strcmp(c->failure, reason))
		sf_warn("controller %s: %s", r->config.controller, reason);
	set_failure(c, reason);
}

static const struct sf_channel_ops ops = {
	.on_open = on_open, .on_message = on_message, .on_close = on_close, .on_fail = on_fail
};

int controller_link_open(struct router *r, char *err, size_t errlen)
{
	struct sf_tls_files files = { r->config.tls_cert, r->config.tls_key, r->config.tls_ca };
	struct sf_channel_opts opts = { .plain = r->config.plain };
	const char *name = r->config.controller_name;
	struct controller_link *c;
	int ret;

	if (!r->config.controller[0])
		return 0;
	if (sf_addr_is_zero(&r->underlay)) {
		ret = guess_underlay(r);
		if (ret == -EINVAL) /* all else may change; it is asked again when connected */
			return sf_errtext(err, errlen, ret,
					  "underlay: cannot be found out from controller=%s, which "
					  "is no IPv6 address: set it",
					  r->config.controller);
	}
	c = calloc(1, sizeof(*c));
	if (!c)
		return sf_errtext(err, errlen, -ENOMEM, "out of memory");
	r->uplink = c;
	c->kept_end = &c->kept;
	c->since_ms = sf_wall_ms();
	if (!r->config.plain) {
		ret = sf_tls_client(&files, &c->tls, err, errlen);
		if (ret)
			return ret;
		opts.tls = c->tls;
		opts.peer_name = *name ? name : NULL;
	}
	return sf_channel_connect(r->base, r->config.controller, &opts, &ops, r, &c->channel, err,
				  errlen);
}

void controller_link_close(struct router *r)
{
	struct controller_link *c = r->uplink;

	if (!c)
		return;
	sf_channel_free(c->channel);
	sf_tls_free(c->tls);
	controller_down_drop(r);
	free(c);
	r->uplink = NULL;
}

void controller_link_view(const struct router *r, struct controller_view *out)
{
	const struct controller_link *c = r->uplink;

	*out = (struct controller_view){ .address = "", .failure = "" };
	if (!c)
		return;
	out->configured = true;
	out->open = is_open(r);
	out->synced = c->synced;
	out->address = r->config.controller;
	out->failure = c->failure;
	out->since_ms = c->since_ms;
}

void controller_link_tick(struct router *r)
{
	uint64_t now = sf_now_ms();

	/* Only who holds the controller's list may leave the word to it, and not before it had the
	 * time to hear of everything. */
	if (!r->uplink || !r->uplink->synced || now < r->uplink->synced_ms + FRESH_MS)
		return;
	rules_age(r, now);
	rules_flush(r);
}
