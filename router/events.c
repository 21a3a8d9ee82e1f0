// SPDX-License-Identifier: Apache-2.0
/* events.c - a ring of small records; they become JSON only for who asks. */
#include "router/events.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>

#include "core/flow.h"
#include "core/reason.h"
#include "router/hosts.h"
#include "router/router.h"
#include "util/http.h"
#include "util/log.h"

#define FOLLOWERS_MAX 64

struct record {
	uint64_t number, wall_ms;
	const char *kind;
	struct sf_addr locator;
	struct sf_sid identity;
	struct sf_service_key service;
	char host[HOST_NAME_LEN];
	char text[120];
	uint8_t reason;
	bool has_host, has_service;
};

struct follower {
	struct events *events;
	struct sf_http_req *req;
};

struct events {
	struct record ring[EVENTS_KEPT];
	uint64_t next; /* number of the next event; the first is 1 */
	struct follower *followers[FOLLOWERS_MAX];
};

int events_new(struct events **out)
{
	struct events *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	e->next = 1;
	*out = e;
	return 0;
}

static void follower_end(struct events *e, int i)
{
	struct follower *f = e->followers[i];

	e->followers[i] = NULL;
	sf_http_stream_end(f->req);
	free(f);
}

void events_free(struct events *e)
{
	if (!e)
		return;
	for (int i = 0; i < FOLLOWERS_MAX; i++)
		if (e->followers[i])
			follower_end(e, i);
	free(e);
}

static json_t *record_json(const struct record *rec)
{
	char buf[SF_ADDR_STRLEN];
	json_t *j = json_pack("{s:I, s:I, s:s}", "number", (json_int_t)rec->number, "time_ms",
			      (json_int_t)rec->wall_ms, "kind", rec->kind);

	if (!j)
		return NULL;
	if (rec->has_host) {
		json_object_set_new(j, "host", json_string(rec->host));
		json_object_set_new(j, "identity", json_string(sf_sid_print(&rec->identity, buf)));
		json_object_set_new(j, "locator", json_string(sf_addr_print(&rec->locator, buf)));
	}
	if (rec->has_service) {
		json_object_set_new(j, "service",
				    json_string(sf_sid_print(&rec->service.sid, buf)));
		json_object_set_new(j, "proto", json_string(sf_proto_name(rec->service.proto)));
		json_object_set_new(j, "port", json_integer(ntohs(rec->service.port)));
	}
	if (rec->reason)
		json_object_set_new(j, "reason", json_string(sf_reason_name(rec->reason)));
	json_object_set_new(j, "text", json_string(rec->text));
	return j;
}

static void tell_followers(struct events *e, const struct record *rec)
{
	json_t *line = NULL;

	for (int i = 0; i < FOLLOWERS_MAX; i++) {
		if (!e->followers[i])
			continue;
		if (!line)
			line = record_json(rec);
		if (!line || sf_http_stream_send(e->followers[i]->req, line))
			follower_end(e, i);
	}
	json_decref(line);
}

void events_add(struct events *e, const char *kind, const struct host *host,
		const struct sf_service_key *service, uint8_t reason, const char *fmt, ...)
{
	struct record *rec = &e->ring[e->next % EVENTS_KEPT];
	va_list args;

	memset(rec, 0, sizeof(*rec));
	rec->number = e->next++;
	rec->wall_ms = wall_ms();
	rec->kind = kind;
	rec->reason = reason;
	if (host) {
		rec->has_host = true;
		rec->locator = host->locator;
		rec->identity = host->identity;
		snprintf(rec->host, sizeof(rec->host), "%s", host->name);
	}
	if (service) {
		rec->has_service = true;
		rec->service = *service;
	}
	va_start(args, fmt);
	vsnprintf(rec->text, sizeof(rec->text), fmt, args);
	va_end(args);
	/* Registrations come in thousands. */
	sf_log(service && !reason ? SF_LOG_DEBUG : SF_LOG_INFO, "%s: %s%s%s", kind,
	       host ? host->name : "", host ? ": " : "", rec->text);
	tell_followers(e, rec);
}

static uint64_t oldest(const struct events *e)
{
	return e->next > EVENTS_KEPT ? e->next - EVENTS_KEPT : 1;
}

json_t *events_since(const struct events *e, uint64_t after)
{
	json_t *list = json_array();
	uint64_t n = after + 1 > oldest(e) ? after + 1 : oldest(e);

	for (; list && n < e->next; n++)
		json_array_append_new(list, record_json(&e->ring[n % EVENTS_KEPT]));
	return list;
}

static void on_gone(struct sf_http_req *req, void *ctx)
{
	struct follower *f = ctx;
	struct events *e = f->events;

	for (int i = 0; i < FOLLOWERS_MAX; i++)
		if (e->followers[i] == f) {
			follower_end(e, i);
			return;
		}
}

int events_follow(struct events *e, struct sf_http_req *req, uint64_t after)
{
	json_t *past, *line;
	struct follower *f;
	size_t i;
	int slot = 0;

	while (slot < FOLLOWERS_MAX && e->followers[slot])
		slot++;
	if (slot == FOLLOWERS_MAX)
		return -EUSERS;
	f = calloc(1, sizeof(*f));
	past = events_since(e, after);
	if (!f || !past) {
		free(f);
		json_decref(past);
		return -ENOMEM;
	}
	f->events = e;
	f->req = req;
	e->followers[slot] = f;
	sf_http_on_gone(req, on_gone, f);
	if (sf_http_stream_start(req)) {
		follower_end(e, slot);
	} else {
		json_array_foreach (past, i, line)
			if (sf_http_stream_send(req, line)) {
				follower_end(e, slot);
				break;
			}
	}
	json_decref(past);
	return 0;
}
