// SPDX-License-Identifier: Apache-2.0
/* heartbeat.c - HEARTBEAT with DIGEST and SERVICE-LOAD items. */
#include "agent/heartbeat.h"

#include <errno.h>
#include <event2/event.h>

#include "agent/host.h"
#include "util/clock.h"
#include "util/log.h"

static void arm(struct attachment *a)
{
	const struct config *c = &a->host->config;
	struct timeval wait =
		sf_ms_timeval(c->heartbeat_ms ? c->heartbeat_ms : a->join.heartbeat_ms);

	event_add(a->heartbeat.timer, &wait);
}

static bool put_load(struct host *h, struct sf_ctrl_out *out, const struct registration *r)
{
	const struct flow_load *l = flows_load_of(h, &r->key);
	struct sf_listener_key key = host_key(h, &r->key);
	struct sf_item_load item = { .sid = registration_sid(&r->key),
				     .proto = r->key.proto,
				     .port = r->key.port };
	struct sf_listener listener;

	if (sf_ctrl_room(out) < sizeof(item) + sizeof(struct sf_item))
		return false;
	if (!hooks_get(h, &key, &listener))
		item.flows = sf_be64(listener.flows);
	if (l) {
		item.packets = sf_be64(l->packets);
		item.bytes = sf_be64(l->bytes);
		item.open = sf_be32(l->open < UINT32_MAX ? (uint32_t)l->open : UINT32_MAX);
	}
	return sf_ctrl_put(out, SF_ITEM_SERVICE_LOAD, &item, sizeof(item)) != NULL;
}

/* As many loads as fit; where that is not all, the next heartbeat goes on from there. */
static void put_loads(struct attachment *a, struct sf_ctrl_out *out)
{
	struct host *h = a->host;
	size_t at = 0, total = HASH_COUNT(h->registry.table);
	size_t turn = a->heartbeat.turn < total ? a->heartbeat.turn : 0;
	const struct registration *r;

	flows_load(h);
	for (r = h->registry.table; r; r = r->hh.next, at++) {
		if (at < turn || r->at != AT_IN || !r->key.port)
			continue;
		if (!put_load(h, out, r)) {
			a->heartbeat.turn = at;
			return;
		}
	}
	a->heartbeat.turn = 0;
}

static void on_answer(void *ctx, const struct sf_ctrl_in *request, const struct sf_ctrl_in *answer)
{
	struct attachment *a = ctx;

	a->heartbeat.waiting = false;
	a->heartbeat.answered++;
	if (answer->type == SF_CTRL_DENIED || answer->type == SF_CTRL_REFRESH)
		join_hint(a, "the router has lost our state");
	if (answer->type != SF_CTRL_ALIVE || a != attachment_primary(a->host))
		return;
	host_take_results(a->host, 0, answer); /* late verdicts, if any */
	shed_take(a->host, answer);
}

/* What the router must have of ours, if that is known: nothing is under way. */
static bool digest_of(const struct attachment *a, __be64 *digest)
{
	const struct host *h = a->host;
	bool primary = a == attachment_primary(h);

	*digest = primary ? sf_be64(h->registry.digest) : 0;
	return primary ? registry_settled(&h->registry) : !a->held;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct attachment *a = arg;
	struct session_request *q;
	__be64 digest;

	arm(a);
	if (a->heartbeat.waiting)
		return;
	q = session_request(&a->session, SF_CTRL_HEARTBEAT);
	if (!q)
		return; /* no session: JOIN is under way; no room: requests are, which tell as much
			 */
	if (digest_of(a, &digest))
		sf_ctrl_put(&q->out, SF_ITEM_DIGEST, &digest, sizeof(digest));
	if (a == attachment_primary(a->host)) {
		shed_put(a->host, &q->out);
		put_loads(a, &q->out);
	}
	a->heartbeat.waiting = !session_send(q, on_answer);
}

void heartbeat_start(struct attachment *a)
{
	a->heartbeat.waiting = false; /* requests of the old session are void */
	if (a == attachment_primary(a->host))
		arm(a);
	else
		on_timer(-1, 0, a);
}

int heartbeat_open(struct attachment *a)
{
	a->heartbeat.timer = evtimer_new(a->host->daemon.base, on_timer, a);
	return a->heartbeat.timer ? 0 : -ENOMEM;
}

void heartbeat_close(struct attachment *a)
{
	if (a->heartbeat.timer)
		event_free(a->heartbeat.timer);
	a->heartbeat.timer = NULL;
}
