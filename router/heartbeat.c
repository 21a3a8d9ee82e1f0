// SPDX-License-Identifier: Apache-2.0
/* heartbeat.c - watching over hosts, and asking their datapaths; see heartbeat.h. */
#include "router/heartbeat.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "core/wire.h"
#include "router/controller_link.h"
#include "router/events.h"
#include "router/hosts.h"
#include "router/links.h"
#include "router/router.h"
#include "router/rules.h"
#include "router/session.h"
#include "router/store.h"
#include "util/clock.h"
#include "util/errtext.h"
#include "util/log.h"

/* One host being probed. */
struct probe {
	struct router *router;
	uint32_t host;
	uint16_t ident;
	bool orphan; /* the host is no more; its address may be another's */
	int tries;
	struct event *timer;
	heartbeat_fn told;
	void *ctx;
	struct probe *prev, *next;
};

struct probes {
	int fd;
	struct event *readable, *tick;
	struct probe *list;
	uint16_t ident;
	uint32_t period_ms;
};

/* ---- probes ---- */

static struct host *probe_host(const struct probe *p)
{
	return p->orphan ? NULL : host_find(p->router, p->host);
}

static void probe_end(struct probe *p, bool alive)
{
	struct router *r = p->router;
	struct host *h = probe_host(p);

	DL_DELETE(r->probes->list, p);
	event_free(p->timer);
	p->told(r, h, alive && h, p->ctx);
	free(p);
}

static void probe_send(struct probe *p)
{
	struct sf_tlv_target target = { .type = SF_TLV_TARGET,
					.len = sizeof(target) - 2,
					.ident = sf_be16(p->ident) };
	struct router *r = p->router;
	struct host *h = probe_host(p);
	struct sockaddr_in6 to = { .sin6_family = AF_INET6 };
	uint8_t packet[SF_IPV6_LEN + SF_PROBE_LEN] __attribute__((aligned(8)));
	int len;

	if (!h)
		return;
	len = sf_alone_encode(packet, sizeof(packet), &r->own, &h->locator, 64, SF_KIND_PROBE, 0,
			      &h->identity, &r->id, &target, sizeof(target), NULL, 0);
	if (len < 0)
		return;
	memcpy(&to.sin6_addr, &h->locator, sizeof(to.sin6_addr));
	/* The kernel makes the IPv6 header; ours was for the checksum. */
	if (sendto(r->probes->fd, packet + SF_IPV6_LEN, (size_t)len - SF_IPV6_LEN, MSG_DONTWAIT,
		   (struct sockaddr *)&to, sizeof(to)) < 0)
		sf_debug("host %s: probe: %s", h->name, strerror(errno));
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct timeval wait = sf_ms_timeval(PROBE_MS);
	struct probe *p = arg;

	if (p->tries++ == PROBE_TRIES) {
		probe_end(p, false);
		return;
	}
	probe_send(p);
	evtimer_add(p->timer, &wait);
}

int heartbeat_ask(struct router *r, struct host *h, heartbeat_fn told, void *ctx)
{
	struct timeval now = { 0, 0 };
	struct probe *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->router = r;
	p->host = h->addr;
	p->ident = ++r->probes->ident;
	p->told = told;
	p->ctx = ctx;
	p->timer = evtimer_new(r->base, on_timer, p);
	if (!p->timer) {
		free(p);
		return -ENOMEM;
	}
	DL_APPEND(r->probes->list, p);
	evtimer_add(p->timer, &now);
	return 0;
}

static struct probe *probe_of(struct router *r, uint32_t host)
{
	struct probe *p;

	DL_FOREACH(r->probes->list, p)
	if (p->host == host && !p->orphan)
		return p;
	return NULL;
}

/* Later, not from within a function that takes a host away: who asked may let it join again. */
static void probe_give_up(struct probe *p)
{
	struct timeval now = { 0, 0 };

	p->tries = PROBE_TRIES;
	evtimer_add(p->timer, &now);
}

void heartbeat_forget(struct router *r, struct host *h)
{
	struct probe *p;

	if (!r->probes)
		return;
	DL_FOREACH(r->probes->list, p)
	if (p->host == h->addr && !p->orphan)
		probe_give_up(p);
}

void heartbeat_orphan(struct router *r, const struct host *h)
{
	struct probe *p;

	if (!r->probes)
		return;
	DL_FOREACH(r->probes->list, p)
	if (p->host == h->addr && !p->orphan) {
		p->orphan = true;
		probe_give_up(p);
	}
}

/* The ident of a PROBE's target, or of the answer that echoes it. Return: it, or -1. */
static int ident_of(const struct sf_packet *p)
{
	const __u8 *value;
	__be16 ident;

	if (sf_tlv_find(p->tlvs, p->tlvs_len, SF_TLV_TARGET, &value) !=
	    sizeof(struct sf_tlv_target) - 2)
		return -1;
	memcpy(&ident, value + offsetof(struct sf_tlv_target, ident) - 2, sizeof(ident));
	return sf_be16(ident);
}

/* Which PROBE a packet answers: PROBE-ACK echoes its ident, FAIL (of a host that knows no such
 * target) quotes it whole. Return: the ident, or -1: none of ours. */
static int answered_ident(const struct router *r, const struct sf_packet *p)
{
	struct sf_packet quoted;
	uint8_t reason;

	if (sf_hdr_kind(&p->hdr) == SF_KIND_PROBE_ACK)
		return ident_of(p);
	if (sf_hdr_kind(&p->hdr) != SF_KIND_FAIL ||
	    sf_packet_decode(p->rest, p->rest_len, &quoted, &reason) ||
	    sf_hdr_kind(&quoted.hdr) != SF_KIND_PROBE || !sf_addr_eq(&quoted.src, &r->own))
		return -1;
	return ident_of(&quoted);
}

/* A packet from a host's own locator that answers our PROBE shows that its datapath lives. An
 * ident that was not asked for does not: the answer is an old one, or made up. */
static void on_packet(struct router *r, const uint8_t *packet, size_t len)
{
	struct sf_packet got;
	struct probe *p, *tmp;
	uint8_t reason;
	int ident;

	if (sf_packet_decode(packet, len, &got, &reason))
		return;
	ident = answered_ident(r, &got);
	if (ident < 0)
		return;
	DL_FOREACH_SAFE(r->probes->list, p, tmp)
	{
		struct host *h = probe_host(p);

		if (h && p->ident == ident && sf_locator_same_host(&h->locator, &got.src)) {
			probe_end(p, true);
			break; /* its callback may have ended others */
		}
	}
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	uint8_t packet[SF_IPV6_LEN + SF_HDR_MAX + SF_QUOTE_MAX] __attribute__((aligned(8)));
	struct router *r = arg;

	for (int i = 0; i < 64; i++) {
		struct sockaddr_in6 from;
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(fd, packet + SF_IPV6_LEN, sizeof(packet) - SF_IPV6_LEN,
				     MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);

		if (n < 0)
			return;
		/* Put the IPv6 header back, as far as the checksum needs it. */
		memset(packet, 0, SF_IPV6_LEN);
		packet[0] = 0x60;
		packet[4] = (uint8_t)(n >> 8);
		packet[5] = (uint8_t)n;
		packet[6] = SF_NEXTHDR_DSTOPTS;
		memcpy(packet + 8, &from.sin6_addr, 16);
		memcpy(packet + 24, &r->own, 16);
		on_packet(r, packet, SF_IPV6_LEN + (size_t)n);
	}
}

/* ---- heartbeats ---- */

static void on_silent_told(struct router *r, struct host *h, bool alive, void *ctx)
{
	uint64_t silence = h ? sf_now_ms() - h->seen_ms : 0;

	if (!h || h->state == HOST_ABSENT ||
	    silence < (uint64_t)SF_HEARTBEAT_MISSES * r->place.heartbeat_ms)
		return; /* it left, or spoke meanwhile */
	if (!alive) {
		host_leave(r, h, SF_SILENT);
		return;
	}
	if (!h->silent) {
		h->silent = true;
		events_add(r, "host-silent", h, NULL, SF_SILENT,
			   "its agent is silent, its datapath answers");
		controller_link_joined(r, h);
	}
	session_refresh(r, h, "you are silent");
	if (silence >= r->place.lease_ms && !h->leased_out) {
		uint32_t n = rules_unregister_all(r, h, false);

		h->leased_out = h->settled = true;
		rules_settled(r, h);
		/* It is still here, and found under its own name. */
		host_serve_self(r, h);
		rules_flush(r);
		controller_link_flush(r);
		events_add(r, "lease-ended", h, NULL, SF_SILENT, "%u registrations gone", n);
	}
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct router *r = arg;
	uint64_t now = sf_now_ms();
	struct host *h, *tmp;

	HASH_ITER (hh, r->hosts->by_addr, h, tmp) {
		if (h->state == HOST_ABSENT ||
		    now - h->seen_ms < (uint64_t)SF_HEARTBEAT_MISSES * r->place.heartbeat_ms ||
		    probe_of(r, h->addr))
			continue;
		if (!h->proven) { /* nobody, or not who it said */
			host_dismiss(r, h, SF_SILENT);
			continue;
		}
		heartbeat_ask(r, h, on_silent_told, NULL);
	}
	controller_link_tick(r);
	links_tick(r);
	if (store_sync_due(r->store, now))
		sf_error("router.db: %s", store_error(r->store));
}

void heartbeat_retime(struct router *r)
{
	uint32_t ms = r->place.heartbeat_ms / 2;
	struct timeval period;

	ms = ms < 50 ? 50 : ms > 500 ? 500 : ms;
	period = sf_ms_timeval(ms);
	event_add(r->probes->tick, &period);
}

int heartbeat_open(struct router *r, char *err, size_t errlen)
{
	struct probes *t = calloc(1, sizeof(*t));

	if (!t)
		return sf_errtext(err, errlen, -ENOMEM, "out of memory");
	r->probes = t;
	t->fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, SF_NEXTHDR_DSTOPTS);
	if (t->fd < 0)
		return sf_errtext(err, errlen, -errno, "probe socket: %s", strerror(errno));
	sf_random(&t->ident, sizeof(t->ident));
	t->readable = event_new(r->base, t->fd, EV_READ | EV_PERSIST, on_readable, r);
	t->tick = event_new(r->base, -1, EV_PERSIST, on_tick, r);
	if (!t->readable || !t->tick || event_add(t->readable, NULL))
		return sf_errtext(err, errlen, -ENOMEM, "probe socket: out of memory");
	heartbeat_retime(r);
	return 0;
}

void heartbeat_close(struct router *r)
{
	struct probes *t = r->probes;
	struct probe *p, *tmp;

	if (!t)
		return;
	DL_FOREACH_SAFE(t->list, p, tmp)
	{
		DL_DELETE(t->list, p);
		event_free(p->timer);
		free(p);
	}
	if (t->readable)
		event_free(t->readable);
	if (t->tick)
		event_free(t->tick);
	if (t->fd >= 0)
		close(t->fd);
	free(t);
	r->probes = NULL;
}
