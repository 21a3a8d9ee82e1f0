// SPDX-License-Identifier: Apache-2.0
/* lookup.c - see lookup.h. */
#include "agent/lookup.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <stdlib.h>

#include "agent/host.h"
#include "util/json.h"
#include "util/text.h"

#define ANSWER_MS   3000
#define LOOKUPS_MAX 64
#define HOST_NAME   64 /* bytes of a host's name, with NUL */

struct lookup {
	struct host *host;
	struct sf_http_req *req;
	struct event *timer;
	uint32_t seq;
	struct sf_sid sid;
	struct lookup *next;
};

static void end(struct lookup *l, int status, json_t *reply)
{
	struct lookup **at = &l->host->lookups.first;

	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	sf_http_reply(l->req, status, reply);
	event_free(l->timer);
	free(l);
}

static void fail(struct lookup *l, int status, const char *what)
{
	json_t *reply = NULL;

	end(l, sf_http_fail(&reply, status, what, NULL, NULL), reply);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	fail(arg, 504, "the router does not answer");
}

static json_t *found_json(struct host *h, const struct sf_sid *sid, const struct sf_ctrl_in *answer)
{
	bool is_host = sid->w[0] == sf_be32(SF_SSID_HOSTS);
	json_t *list = json_array();
	char name[HOST_NAME] = "";

	sf_ctrl_foreach (answer, it) {
		const struct sf_item_registration *r = it.value;

		if (it.type == SF_ITEM_NAME && is_host)
			sf_word_take(name, sizeof(name), it.value, it.len);
		if (it.type == SF_ITEM_SERVICE_NAME)
			names_take(h, it.value, it.len, sid);
		if (it.type == SF_ITEM_REGISTRATION && sf_sid_eq(&r->sid, sid))
			json_array_append_new(list, json_pack("{s:s, s:i, s:i}", "proto",
							      sf_proto_name(r->proto), "port",
							      ntohs(r->port), "serving",
							      ntohs(r->weight)));
	}
	return json_pack("{s:o, s:o, s:o}", "service", sf_json_sid(sid), "name",
			 sf_json_name(is_host ? name : names_of(h, sid)), "endpoints", list);
}

static void on_answer(void *ctx, const struct sf_ctrl_in *request, const struct sf_ctrl_in *answer)
{
	struct host *h = ((struct attachment *)ctx)->host;
	struct lookup *l = h->lookups.first;

	while (l && l->seq != request->seq)
		l = l->next;
	if (!l)
		return; /* too late */
	if (answer->type == SF_CTRL_FOUND)
		end(l, 200, found_json(h, &l->sid, answer));
	else
		fail(l, 501, "the router cannot tell: it is of an earlier version");
}

static struct lookup *lookup_new(struct host *h, struct sf_http_req *req, uint32_t seq,
				 const struct sf_sid *sid)
{
	const struct timeval wait = { .tv_sec = ANSWER_MS / 1000 };
	struct lookup *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	*l = (struct lookup){ .host = h, .req = req, .seq = seq, .sid = *sid };
	l->timer = evtimer_new(h->daemon.base, on_timer, l);
	if (!l->timer || evtimer_add(l->timer, &wait)) {
		if (l->timer)
			event_free(l->timer);
		free(l);
		return NULL;
	}
	l->next = h->lookups.first;
	h->lookups.first = l;
	return l;
}

int lookup_get(struct sf_http_req *req, json_t **reply, void *ctx)
{
	struct host *h = ctx;
	const char *text = sf_http_param(req, "service"), *why = "";
	struct sf_item_registration item = { 0 };
	struct attachment *router = attachment_primary(h);
	struct session_request *q;
	unsigned int n = 0;

	if (sf_sid_parse(&h->net, text, sf_sha256, &item.sid, &why))
		return sf_http_fail(reply, 400, why, "service",
				    "a name, serviceID or service address");
	for (const struct lookup *l = h->lookups.first; l; l = l->next)
		n++;
	if (n >= LOOKUPS_MAX)
		return sf_http_fail(reply, 503, "too many look-ups at a time", NULL, NULL);
	q = router ? session_request(&router->session, SF_CTRL_LOOKUP) : NULL;
	if (!q)
		return sf_http_fail(reply, 503, "no router to ask", NULL, "a host that has joined");
	if (!lookup_new(h, req, q->seq, &item.sid)) {
		session_drop(q);
		return sf_http_fail(reply, 500, "no memory", NULL, NULL);
	}
	sf_ctrl_put(&q->out, SF_ITEM_REGISTRATION, &item, sizeof(item));
	session_send(q, on_answer); /* what fails here is answered by the timer */
	return SF_HTTP_LATER;
}

void lookups_close(struct host *h)
{
	while (h->lookups.first)
		fail(h->lookups.first, 503, "the agent ends");
}
