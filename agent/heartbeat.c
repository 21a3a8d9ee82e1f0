// SPDX-License-Identifier: Apache-2.0
/* heartbeat.c - HEARTBEAT with DIGEST and SERVICE-LOAD items. */
#include "agent/heartbeat.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>

#include "agent/host.h"
#include "util/clock.h"
#include "util/log.h"

static void arm(struct host *h)
{
	unsigned int ms = h->config.heartbeat_ms ? h->config.heartbeat_ms : h->join.heartbeat_ms;
	struct timeval wait = sf_ms_timeval(ms);

	event_add(h->heartbeat.timer, &wait);
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
static void put_loads(struct host *h, struct sf_ctrl_out *out)
{
	size_t at = 0, total = HASH_COUNT(h->registry.table);
	size_t turn = h->heartbeat.turn < total ? h->heartbeat.turn : 0;
	const struct registration *r;

	flows_load(h);
	for (r = h->registry.table; r; r = r->hh.next, at++) {
		if (at < turn || r->at != AT_IN || !r->key.port)
			continue;
		if (!put_load(h, out, r)) {
			h->heartbeat.turn = at;
			return;
		}
	}
	h->heartbeat.turn = 0;
}

static void on_answer(void *ctx, const struct sf_ctrl_in *request, const struct sf_ctrl_in *answer)
{
	struct host *h = ctx;

	h->heartbeat.waiting = false;
	h->heartbeat.answered++;
	if (answer->type == SF_CTRL_DENIED || answer->type == SF_CTRL_REFRESH)
		join_hint(h, "the router has lost our state");
	else {
		host_take_results(h, 0, answer); /* late verdicts, if any */
		shed_take(h, answer);
	}
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct host *h = arg;
	struct session_request *q;

	arm(h);
	if (h->heartbeat.waiting)
		return;
	q = session_request(&h->session, SF_CTRL_HEARTBEAT);
	if (!q)
		return; /* no session: JOIN is under way; no room: requests are, which tell as much
			 */
	if (registry_settled(&h->registry)) {
		__be64 digest = sf_be64(h->registry.digest);

		sf_ctrl_put(&q->out, SF_ITEM_DIGEST, &digest, sizeof(digest));
	}
	shed_put(h, &q->out);
	put_loads(h, &q->out);
	h->heartbeat.waiting = !session_send(q, on_answer);
}

void heartbeat_start(struct host *h)
{
	h->heartbeat.waiting = false; /* requests of the old session are void */
	shed_restart(h);
	arm(h);
}

int heartbeat_open(struct host *h, char *err, size_t errlen)
{
	h->heartbeat.timer = evtimer_new(h->daemon.base, on_timer, h);
	if (h->heartbeat.timer)
		return 0;
	snprintf(err, errlen, "no memory");
	return -ENOMEM;
}

void heartbeat_close(struct host *h)
{
	if (h->heartbeat.timer)
		event_free(h->heartbeat.timer);
	h->heartbeat.timer = NULL;
}
