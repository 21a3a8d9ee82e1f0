// SPDX-License-Identifier: Apache-2.0
/* event.c - see event.h. */
#include "util/event.h"

#include "core/flow.h"
#include "core/reason.h"
#include "util/json.h"

static void set_sid(json_t *o, const char *key, const struct sf_sid *sid)
{
	if (!sf_sid_is_zero(sid))
		json_object_set_new(o, key, sf_json_sid(sid));
}

static void set_text(json_t *o, const char *key, const char *text)
{
	if (text && *text)
		json_object_set_new(o, key, sf_json_text(text));
}

json_t *sf_event_json(const struct sf_event *e)
{
	json_t *o = json_object();

	if (!o)
		return NULL;
	json_object_set_new(o, "id", sf_json_number(e->id));
	json_object_set_new(o, "time", sf_json_time(e->time_ms));
	set_text(o, "kind", e->kind);
	if (e->reason)
		set_text(o, "reason", sf_reason_name(e->reason));
	set_sid(o, "router", &e->router);
	set_text(o, "router_name", e->router_name);
	set_sid(o, "host", &e->host);
	set_text(o, "host_name", e->host_name);
	if (!sf_addr_is_zero(&e->locator))
		json_object_set_new(o, "locator", sf_json_addr(&e->locator));
	set_sid(o, "service", &e->service);
	set_text(o, "service_name", e->service_name);
	if (e->has_port) {
		set_text(o, "proto", sf_proto_name(e->proto));
		json_object_set_new(o, "port", json_integer(sf_be16(e->port)));
	}
	set_text(o, "link", e->link);
	if (e->count) {
		json_object_set_new(o, "count", sf_json_number(e->count));
		json_object_set_new(o, "interval_ms", sf_json_number(e->interval_ms));
	}
	set_text(o, "text", e->text);
	return o;
}

char *sf_event_line(const struct sf_event *e)
{
	json_t *o = sf_event_json(e);
	char *text;

	json_object_del(o, "id");
	json_object_del(o, "time");
	text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	return text;
}
