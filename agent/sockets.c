// SPDX-License-Identifier: Apache-2.0
/* sockets.c - events and lists of sockets, made into registrations. */
#include "agent/sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "agent/host.h"
#include "agent/proc.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/sockdiag.h"

#define SCAN_MS	      10000
#define SCAN_QUICK_MS 1000
#define SCAN_AGAIN_MS 100

/* What one scan knows of a key. */
struct seen {
	struct registration_key key;
	int32_t sockets;   /* listed by sock_diag */
	int32_t connected; /* UDP: connected sockets, which keep a listener but make none */
	struct sf_socket_event who;
	uint8_t state; /* as in the table */
	bool missed;   /* in the table, not listed: the first time */
	UT_hash_handle hh;
};

static struct registration_key event_key(const struct sf_socket_event *ev)
{
	return (struct registration_key){ .addr = ev->key.addr,
					  .port = ev->key.port,
					  .proto = ev->key.proto };
}

static void arm(struct host *h, unsigned int ms)
{
	struct timeval wait = sf_ms_timeval(ms);

	event_add(h->sockets.timer, &wait);
}

/* A socket that was bound before the hooks were there: they do not know whose it is. */
static int match_owner(const struct sf_sock *sock, void *ctx)
{
	struct sf_socket_event *ev = ctx;

	if (memcmp(&sock->local, &ev->key.addr, sizeof(sock->local)) ||
	    htons(sock->local_port) != ev->key.port)
		return 0;
	ev->uid = sock->uid;
	ev->cgroup = sock->cgroup;
	return 1;
}

static void find_owner(struct sf_socket_event *ev)
{
	if (ev->uid == UINT32_MAX)
		sf_sockdiag_dump(ev->key.proto, SF_TCP_ANY, match_owner, ev);
}

void sockets_event(struct host *h, const struct sf_socket_event *ev)
{
	struct registration_key key = event_key(ev);

	if (ev->key.host != h->cookie)
		return;
	if (ev->kind == SF_SOCKET_LISTEN) {
		struct sf_socket_event known = *ev;

		find_owner(&known);
		registry_listen(&h->registry, &known);
	} else if (ev->kind == SF_SOCKET_RELEASE) {
		struct registration *r = registry_find(&h->registry, &key);

		if (r && r->mixed && ev->left <= 0)
			arm(h, 0); /* older sockets may still serve: look */
		registry_release(&h->registry, &key, ev->left);
	}
	if (ev->kind == SF_SOCKET_RELEASE && (ev->flags & SF_LISTENER_WILDCARD))
		runs_hurry(h);
}

/* ---- the kernel's lists ----------------------------------------------------------------- */

static struct seen *seen_get(struct seen **table, const struct registration_key *key, bool make)
{
	struct seen *s;

	HASH_FIND(hh, *table, key, sizeof(*key), s);
	if (s || !make)
		return s;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->key = *key;
	HASH_ADD(hh, *table, key, sizeof(s->key), s);
	return s;
}

static void seen_free(struct seen **table)
{
	struct seen *s, *tmp;

	HASH_ITER (hh, *table, s, tmp) {
		HASH_DEL(*table, s);
		free(s);
	}
}

/* The service address under which a socket is registered. */
static bool service_of(struct host *h, const struct sf_sock *sock, struct sf_addr *out,
		       uint8_t *flags)
{
	struct sf_addr local;

	memcpy(&local, &sock->local, sizeof(local));
	*flags = 0;
	if (sf_addr_is_service(&h->net, &local)) {
		*out = local;
		return true;
	}
	if (!sf_addr_is_zero(&local) || !runs_service(h, sock->cgroup, out))
		return false;
	*flags = SF_LISTENER_WILDCARD;
	return true;
}

static int list_socket(const struct sf_sock *sock, void *ctx)
{
	struct host *h = ctx;
	struct registration_key key = { .port = htons(sock->local_port), .proto = sock->protocol };
	struct seen *s;
	uint8_t flags;

	/* A wildcard socket below a run's group (or any): known by port alone, address ::. */
	if (!sock->local_port ||
	    (!service_of(h, sock, &key.addr, &flags) && !sf_ip6_is_any(&sock->local)))
		return 0;
	s = seen_get(&h->sockets.seen, &key, true);
	if (!s)
		return -ENOMEM;
	if (sock->protocol == IPPROTO_UDP && sock->state == SF_TCP_ESTABLISHED) {
		s->connected++;
		return 0;
	}
	if (sf_addr_is_zero(&key.addr)) {
		s->connected++;
		return 0;
	}
	s->sockets++;
	s->who = (struct sf_socket_event){
		.key = { .host = h->cookie,
			 .addr = key.addr,
			 .port = key.port,
			 .proto = key.proto },
		.cookie = sock->cookie,
		.cgroup = sock->cgroup,
		.uid = sock->uid,
		.kind = SF_SOCKET_LISTEN,
		.flags = flags,
	};
	return 0;
}

static int list_sockets(struct host *h)
{
	int ret = sf_sockdiag_dump(IPPROTO_TCP, SF_TCP_LISTENERS, list_socket, h);

	if (!ret)
		ret = sf_sockdiag_dump(IPPROTO_UDP,
				       SF_TCP_BIT(SF_TCP_CLOSE) | SF_TCP_BIT(SF_TCP_ESTABLISHED),
				       list_socket, h);
	return ret;
}

/* ---- comparing -------------------------------------------------------------------------- */

struct scan {
	bool first;
	struct seen *table; /* listeners table as it was before sock_diag was asked */
};

/* A listener of the table, before sock_diag is asked. */
static void note_listener(struct host *h, const struct sf_listener_key *key,
			  const struct sf_listener *value, void *ctx)
{
	struct scan *scan = ctx;
	struct registration_key k = { .addr = key->addr, .port = key->port, .proto = key->proto };
	struct seen *s = seen_get(&scan->table, &k, true);

	if (!s)
		return;
	s->sockets = value->sockets;
	s->state = value->state;
	s->who = (struct sf_socket_event){
		.key = *key,
		.cgroup = value->cgroup,
		.uid = value->uid,
		.pid = value->pid,
		.left = value->sockets,
		.kind = SF_SOCKET_LISTEN,
		.flags = value->flags,
	};
	if (value->state == SF_LISTENER_PENDING || !registry_find(&h->registry, &k))
		proc_comm(value->pid, s->who.comm); /* the table does not hold it */
}

/* A listener that no socket of the kernel's lists stands for. */
static void handle_missing(struct host *h, struct seen *was, bool first)
{
	struct registration *r = registry_find(&h->registry, &was->key);
	struct sf_listener now;

	if (!first && (!r || !r->missed)) {
		if (r)
			r->missed = true; /* the next scan decides */
		return;
	}
	/* Only if it is still as it was: a socket may have come meanwhile. */
	if (hooks_get(h, &was->who.key, &now) || now.sockets != was->sockets)
		return;
	hooks_delete(h, &was->who.key);
	registry_release(&h->registry, &was->key, 0);
}

static void compare_table(struct host *h, struct scan *scan)
{
	struct seen *was, *tmp;

	HASH_ITER (hh, scan->table, was, tmp) {
		struct seen *is = seen_get(&h->sockets.seen, &was->key, false);
		struct registration *r;

		if (was->who.flags & SF_LISTENER_MANUAL)
			continue;
		if (!is && was->who.flags & SF_LISTENER_WILDCARD) {
			struct registration_key any = { .port = was->key.port,
							.proto = was->key.proto };

			is = seen_get(&h->sockets.seen, &any, false);
		}
		if (!is) {
			handle_missing(h, was, scan->first);
			continue;
		}
		r = registry_find(&h->registry, &was->key);
		/* Its event was lost, or it is of an earlier agent's time. Or the one was released
		 * that we have judged, and this is another one, perhaps somebody else's. */
		if (!r || !r->sockets || r->state == 0)
			r = registry_listen(&h->registry, &was->who);
		else if (was->state == SF_LISTENER_PENDING)
			r = registry_replaced(&h->registry, &was->who);
		if (r)
			r->missed = false;
	}
}

/* Registrations whose listener the kernel has no more: the event of its release was lost. */
static void drop_released(struct host *h, struct scan *scan)
{
	struct registration *r, *tmp;

	HASH_ITER (hh, h->registry.table, r, tmp) {
		struct sf_listener_key key = host_key(h, &r->key);
		struct sf_listener now;

		if (r->origin == ORIGIN_SOCKET && r->sockets &&
		    !seen_get(&scan->table, &r->key, false) && hooks_get(h, &key, &now) == -ENOENT)
			registry_release(&h->registry, &r->key, 0);
	}
}

static void enter_listed(struct host *h, struct scan *scan)
{
	struct seen *is, *tmp;

	HASH_ITER (hh, h->sockets.seen, is, tmp) {
		struct seen *was = seen_get(&scan->table, &is->key, false);
		struct sf_listener value = { .sockets = is->sockets,
					     .state = SF_LISTENER_PENDING,
					     .flags = is->who.flags,
					     .uid = is->who.uid,
					     .cgroup = is->who.cgroup };
		struct registration *r = NULL;

		if (!is->sockets || (was && was->who.flags & SF_LISTENER_MANUAL))
			continue;
		if (!was) {
			int ret = hooks_put(h, &is->who.key, &value);

			if (ret && ret != -EEXIST)
				sf_warn("listeners table: %s", strerror(-ret));
			is->who.left = is->sockets;
			if (!ret)
				r = registry_listen(&h->registry, &is->who);
		} else if (scan->first && was->sockets < is->sockets) {
			/* Sockets of before the hooks' time share the key with counted ones: the
			 * last counted one's release is not the last. */
			r = registry_find(&h->registry, &is->key);
		}
		if (r)
			r->mixed = true;
	}
}

/* Manual registrations follow the program that listens on the wildcard address. */
static int find_wildcard(const struct sf_sock *sock, void *ctx)
{
	struct sf_socket_event *who = ctx;

	if (!sf_ip6_is_any(&sock->local) || htons(sock->local_port) != who->key.port)
		return 0;
	who->uid = sock->uid;
	who->cgroup = sock->cgroup;
	return 1;
}

bool sockets_on_wildcard(struct host *h, uint8_t proto, __be16 port, struct sf_socket_event *who)
{
	struct sf_socket_event found = { .key = { .port = port } };
	uint32_t states = proto == IPPROTO_TCP ? SF_TCP_LISTENERS : SF_TCP_BIT(SF_TCP_CLOSE);
	bool yes = sf_sockdiag_dump(proto, states, find_wildcard, &found) == 1;

	if (yes && who)
		*who = found;
	return yes;
}

/* Return: whether any registration is watched by scans alone. */
static bool follow_manual(struct host *h)
{
	struct registration *r, *tmp;
	bool any = false;

	HASH_ITER (hh, h->registry.table, r, tmp) {
		struct registration_key key = r->key;

		any |= r->mixed && r->sockets; /* its release comes without an event */
		if (r->origin != ORIGIN_MANUAL || !key.port || !key.proto)
			continue;
		any = true;
		registry_set_live(&h->registry, r,
				  seen_get(&h->sockets.seen, &key, false) ||
					  sockets_on_wildcard(h, key.proto, key.port, NULL));
	}
	return any;
}

/* Compares now. @first: at the start: believes the first comparison. */
static void sockets_scan(struct host *h, bool first)
{
	struct scan scan = { .first = first };
	int ret;

	h->sockets.scans++;
	h->sockets.scan_ms = sf_now_ms();
	/* The table first, the sockets after: a listener's socket is older than its entry. */
	ret = hooks_walk(h, note_listener, &scan);
	if (!ret)
		ret = list_sockets(h);
	if (ret) {
		sf_debug("socket scan: %s", strerror(-ret)); /* -EINTR: the next one will do */
	} else {
		compare_table(h, &scan);
		enter_listed(h, &scan);
		drop_released(h, &scan);
	}
	arm(h, follow_manual(h) ? SCAN_QUICK_MS : SCAN_MS);
	if (h->sockets.hurried && h->sockets.hurried--)
		arm(h, SCAN_AGAIN_MS);
	seen_free(&scan.table);
	seen_free(&h->sockets.seen);
	hooks_refresh(h);
}

void sockets_resync(struct host *h)
{
	h->sockets.resyncs++;
	h->sockets.hurried = 2; /* the first may find things as they were when we noticed */
	/* Whoever makes events be lost all the time must not make us scan all the time. */
	if (sf_now_ms() - h->sockets.scan_ms >= SCAN_AGAIN_MS)
		arm(h, 0);
	else
		arm(h, SCAN_AGAIN_MS);
}

void sockets_hurry(struct host *h)
{
	arm(h, SCAN_QUICK_MS);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	sockets_scan(arg, false);
}

/* ---- life ------------------------------------------------------------------------------- */

/* What an earlier agent registered by hand lives on in the table. */
static void adopt_manual(struct host *h, const struct sf_listener_key *key,
			 const struct sf_listener *value, void *ctx)
{
	struct registration_key k = { .addr = key->addr, .port = key->port, .proto = key->proto };
	struct sf_socket_event who = { .uid = value->uid,
				       .pid = value->pid,
				       .cgroup = value->cgroup };

	if (!(value->flags & SF_LISTENER_MANUAL) || sf_addr_eq(&key->addr, &h->self))
		return;
	/* Of all ports nobody else would say that they are there. */
	registry_add(&h->registry, &k, ORIGIN_MANUAL, &who,
		     value->state == SF_LISTENER_LIVE || !k.port);
}

int sockets_open(struct host *h, char *err, size_t errlen)
{
	h->sockets.timer = evtimer_new(h->daemon.base, on_timer, h);
	if (!h->sockets.timer) {
		snprintf(err, errlen, "no memory");
		return -ENOMEM;
	}
	hooks_walk(h, adopt_manual, NULL);
	sockets_scan(h, true);
	return 0;
}

void sockets_close(struct host *h)
{
	if (h->sockets.timer)
		event_free(h->sockets.timer);
	h->sockets.timer = NULL;
}
