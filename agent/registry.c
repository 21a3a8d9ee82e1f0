// SPDX-License-Identifier: Apache-2.0
/* registry.c - what is registered; see registry.h for the machine of an entry. */
#include "agent/registry.h"

#include <stdlib.h>
#include <string.h>

#include "util/session.h"
#include "util/text.h"

void registry_open(struct registry *g, const struct registry_ops *ops)
{
	memset(g, 0, sizeof(*g));
	g->ops = ops;
	g->dirty_end = &g->dirty_first;
}

void registry_close(struct registry *g)
{
	struct registration *r, *tmp;

	HASH_ITER (hh, g->table, r, tmp) {
		HASH_DEL(g->table, r);
		free(r);
	}
	memset(g, 0, sizeof(*g));
}

struct sf_sid registration_sid(const struct registration_key *key)
{
	return sf_addr_sid(&key->addr);
}

struct registration *registry_find(struct registry *g, const struct registration_key *key)
{
	struct registration *r;

	HASH_FIND(hh, g->table, key, sizeof(*key), r);
	return r;
}

static uint64_t part(const struct registration *r)
{
	struct sf_sid sid = registration_sid(&r->key);

	return sf_registration_digest(&sid, r->key.proto, r->key.port);
}

static void move_to(struct registry *g, struct registration *r, enum registration_at at)
{
	bool was_moving = r->at == AT_ENTERING || r->at == AT_LEAVING;
	bool moving = at == AT_ENTERING || at == AT_LEAVING;

	g->unsettled += (size_t)moving - (size_t)was_moving;
	/* The router drops it when it handles UNREGISTER: LEAVING no longer counts as held. */
	if ((r->at == AT_IN) != (at == AT_IN))
		g->digest ^= part(r);
	r->at = at;
}

static void set_dirty(struct registry *g, struct registration *r)
{
	if (!r->dirty) {
		r->dirty = true;
		r->next = NULL;
		*g->dirty_end = r;
		g->dirty_end = &r->next;
	}
	if (!g->told) {
		g->told = true;
		g->ops->dirty(g->ops->ctx);
	}
}

/* Drop an entry that nobody wants and the router does not have. */
static void reap(struct registry *g, struct registration *r)
{
	if (r->want || r->dirty || r->sockets > 0 || (r->at != AT_OUT && r->at != AT_REFUSED) ||
	    r->origin != ORIGIN_SOCKET)
		return;
	move_to(g, r, AT_OUT);
	HASH_DEL(g->table, r);
	free(r);
}

/* Bring the router's side towards @want, unless a request is under way. */
static void steer(struct registry *g, struct registration *r)
{
	bool enter = r->want && r->at == AT_OUT;
	bool leave = !r->want && r->at == AT_IN;

	if (enter || leave)
		set_dirty(g, r);
}

static struct registration *entry_new(struct registry *g, const struct registration_key *key,
				      enum registration_origin origin)
{
	struct registration *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->key = *key;
	r->origin = origin;
	r->since_ms = g->ops->now_ms(g->ops->ctx);
	HASH_ADD(hh, g->table, key, sizeof(r->key), r);
	return r;
}

static void entry_name(struct registration *r, const struct sf_socket_event *who)
{
	r->uid = who->uid;
	r->pid = who->pid;
	r->cgroup = who->cgroup;
	sf_text_take(r->comm, sizeof(r->comm), who->comm, sizeof(who->comm));
}

static void set_state(struct registry *g, struct registration *r, uint8_t state, uint8_t reason)
{
	r->state = state;
	r->reason = reason;
	g->ops->apply(g->ops->ctx, r, state, reason);
}

struct registration *registry_listen(struct registry *g, const struct sf_socket_event *ev)
{
	struct registration_key key = { .addr = ev->key.addr,
					.port = ev->key.port,
					.proto = ev->key.proto };
	struct registration *r = registry_find(g, &key);
	bool appeared = !r || !r->sockets;
	uint8_t reason;

	if (!r)
		r = entry_new(g, &key, ORIGIN_SOCKET);
	if (!r)
		return NULL;
	r->sockets = ev->left > 0 ? ev->left : r->sockets + 1;
	if (r->origin != ORIGIN_SOCKET)
		return r; /* made by hand: a socket more changes nothing */
	if (!appeared && r->state == SF_LISTENER_LIVE)
		return r; /* one more socket of an accepted service */
	entry_name(r, ev);
	r->flags = ev->flags;
	reason = g->ops->judge(g->ops->ctx, r);
	if (reason) {
		bool again = r->state == SF_LISTENER_DENIED && r->reason == reason && !appeared;

		r->want = false;
		r->by_router = false;
		set_state(g, r, SF_LISTENER_DENIED, reason);
		if (!again)
			g->ops->tell(g->ops->ctx, "denied", r);
	} else {
		if (r->at == AT_REFUSED)
			move_to(g, r, AT_OUT); /* a new program: ask anew */
		r->want = !r->drained;
		r->by_router = false;
		set_state(g, r, r->drained ? SF_LISTENER_DRAINING : SF_LISTENER_LIVE, 0);
		g->ops->tell(g->ops->ctx, "listening", r);
	}
	steer(g, r);
	return r;
}

struct registration *registry_replaced(struct registry *g, const struct sf_socket_event *ev)
{
	struct registration_key key = { .addr = ev->key.addr,
					.port = ev->key.port,
					.proto = ev->key.proto };
	struct registration *r = registry_find(g, &key);

	if (r && r->origin == ORIGIN_SOCKET)
		r->sockets = 0;
	return registry_listen(g, ev);
}

void registry_release(struct registry *g, const struct registration_key *key, int32_t left)
{
	struct registration *r = registry_find(g, key);

	if (!r)
		return;
	r->sockets = left > 0 ? left : 0;
	if (r->sockets || r->origin != ORIGIN_SOCKET)
		return;
	g->ops->tell(g->ops->ctx, "released", r);
	r->want = false;
	r->drained = false;
	r->state = 0; /* the kernel has taken the listener away already */
	steer(g, r);
	reap(g, r);
}

struct registration *registry_add(struct registry *g, const struct registration_key *key,
				  enum registration_origin origin,
				  const struct sf_socket_event *who, bool live)
{
	struct registration *r = registry_find(g, key);

	if (!r)
		r = entry_new(g, key, origin);
	if (!r)
		return NULL;
	r->origin = origin;
	r->flags |= SF_LISTENER_MANUAL;
	if (who)
		entry_name(r, who);
	if (r->at == AT_REFUSED)
		move_to(g, r, AT_OUT);
	registry_set_live(g, r, live);
	return r;
}

void registry_drain(struct registry *g, struct registration *r, bool drained)
{
	/* Where a port was registered by hand, a scan says whether anybody listens there. */
	bool there = r->state == SF_LISTENER_LIVE || r->origin == ORIGIN_SOCKET || !r->key.port;

	if (r->drained == drained || r->state == SF_LISTENER_DENIED)
		return;
	r->drained = drained;
	if (drained || there)
		registry_set_live(g, r, !drained);
}

void registry_hold(struct registry *g, struct registration *r, bool held)
{
	if (r->state == SF_LISTENER_LIVE)
		g->ops->apply(g->ops->ctx, r, held ? SF_LISTENER_DRAINING : SF_LISTENER_LIVE, 0);
}

void registry_set_live(struct registry *g, struct registration *r, bool live)
{
	uint8_t state;

	live = live && !r->drained;
	state = live ? SF_LISTENER_LIVE : SF_LISTENER_DRAINING;
	if (r->state == state && r->want == live)
		return;
	if (live && r->at == AT_REFUSED)
		move_to(g, r, AT_OUT); /* a new program: ask anew */
	r->want = live;
	r->by_router = false;
	set_state(g, r, state, 0);
	g->ops->tell(g->ops->ctx, live ? "listening" : r->drained ? "draining" : "waiting", r);
	steer(g, r);
}

void registry_remove(struct registry *g, struct registration *r)
{
	r->want = false;
	r->origin = ORIGIN_SOCKET;
	r->drained = false;
	r->sockets = 0;
	r->flags &= ~SF_LISTENER_MANUAL;
	set_state(g, r, 0, 0);
	g->ops->tell(g->ops->ctx, "released", r);
	steer(g, r);
	reap(g, r);
}

static void pop_dirty(struct registry *g)
{
	struct registration *r = g->dirty_first;

	g->dirty_first = r->next;
	if (!g->dirty_first)
		g->dirty_end = &g->dirty_first;
	r->next = NULL;
	r->dirty = false;
}

size_t registry_take(struct registry *g, uint8_t *type, struct sf_item_registration *items,
		     size_t max)
{
	size_t n = 0;
	uint8_t kind = 0;

	g->told = false;
	while (g->dirty_first && n < max) {
		struct registration *r = g->dirty_first;
		uint8_t need = r->want && r->at == AT_OUT   ? SF_CTRL_REGISTER
			       : !r->want && r->at == AT_IN ? SF_CTRL_UNREGISTER
							    : 0;

		if (need && kind && need != kind)
			break;
		pop_dirty(g);
		if (!need) {
			reap(g, r);
			continue;
		}
		kind = need;
		move_to(g, r, need == SF_CTRL_REGISTER ? AT_ENTERING : AT_LEAVING);
		memset(&items[n], 0, sizeof(items[n]));
		items[n].sid = registration_sid(&r->key);
		items[n].proto = r->key.proto;
		items[n].port = r->key.port;
		n++;
	}
	*type = kind;
	return n;
}

/* Router or controller deny it: no flow will come, and the program's user should see why. */
static void refuse(struct registry *g, struct registration *r, uint8_t reason)
{
	bool again = r->at == AT_REFUSED && r->reason == reason;

	move_to(g, r, AT_REFUSED);
	if (!r->want) {
		reap(g, r);
		return;
	}
	r->by_router = true;
	set_state(g, r, SF_LISTENER_DENIED, reason);
	if (!again)
		g->ops->tell(g->ops->ctx, "denied", r);
}

void registry_answer(struct registry *g, uint8_t type, const struct registration_key *key,
		     uint8_t reason)
{
	struct registration *r = registry_find(g, key);

	if (!r)
		return;
	if (type == SF_CTRL_UNREGISTER) {
		if (r->at != AT_LEAVING)
			return;
		move_to(g, r, AT_OUT);
		g->ops->tell(g->ops->ctx, "unregistered", r);
		steer(g, r);
		reap(g, r);
		return;
	}
	if (type == SF_CTRL_REGISTER && r->at != AT_ENTERING)
		return;
	if (!type && r->at != AT_IN && r->at != AT_REFUSED)
		return; /* a verdict on what we have not, or are just changing */
	if (reason) {
		refuse(g, r, reason);
		return;
	}
	if (r->at == AT_IN)
		return;
	move_to(g, r, AT_IN);
	if (r->want && r->by_router) {
		r->by_router = false;
		set_state(g, r, SF_LISTENER_LIVE, 0);
	}
	g->ops->tell(g->ops->ctx, "registered", r);
	steer(g, r);
}

void registry_restart(struct registry *g)
{
	struct registration *r, *tmp;

	HASH_ITER (hh, g->table, r, tmp) {
		move_to(g, r, AT_OUT);
		steer(g, r);
		reap(g, r);
	}
}

bool registry_settled(const struct registry *g)
{
	return !g->unsettled && !g->dirty_first;
}

const char *registration_at_name(enum registration_at at)
{
	static const char *const names[] = { "out", "entering", "in", "leaving", "refused" };

	return at < sizeof(names) / sizeof(names[0]) ? names[at] : "?";
}

const char *registration_origin_name(enum registration_origin origin)
{
	static const char *const names[] = { "socket", "manual", "host" };

	return origin < sizeof(names) / sizeof(names[0]) ? names[origin] : "?";
}

const char *listener_state_name(uint8_t state)
{
	switch (state) {
	case SF_LISTENER_PENDING:
		return "pending";
	case SF_LISTENER_LIVE:
		return "live";
	case SF_LISTENER_DENIED:
		return "denied";
	case SF_LISTENER_DRAINING:
		return "waiting";
	default:
		return "gone";
	}
}
