// SPDX-License-Identifier: Apache-2.0
/* metrics.c - what GET /metrics says; docs/api.md lists it. */
#include "controller/metrics.h"

#include "controller/blocks.h"
#include "controller/events.h"
#include "controller/hosts.h"
#include "controller/policies.h"
#include "controller/routers.h"
#include "controller/services.h"
#include "util/metrics.h"

static void totals(struct sf_metrics *m, const struct controller *c)
{
	const struct stats *s = &c->stats;

	sf_metrics_one(m, "term", "gauge", "Term of this start.", c->term);
	sf_metrics_one(m, "version_number", "gauge", "Number of the newest rules and routes.",
		       c->number);
	sf_metrics_one(m, "settled", "gauge", "1 when rules go out.", c->settled);
	sf_metrics_one(m, "uptime_seconds", "gauge", "Since the start.",
		       (c->clock() - c->started) / 1000);
	sf_metrics_one(m, "hosts", "gauge", "Hosts that have joined.", HASH_COUNT(c->hosts));
	sf_metrics_one(m, "services", "gauge",
		       "ServiceIDs that somebody registered, hosts' own included.",
		       HASH_COUNT(c->services));
	sf_metrics_one(m, "endpoints", "gauge", "Services by protocol and port.",
		       HASH_COUNT(c->endpoints));
	sf_metrics_one(m, "instances", "gauge", "Registrations in force or denied.",
		       HASH_COUNT(c->instances));
	sf_metrics_one(m, "policies", "gauge", "Services with a policy.", HASH_COUNT(c->policies));
	sf_metrics_one(m, "blocks_leased", "gauge", "hostAddr blocks leased to routers.",
		       blocks_used(c->blocks));
	sf_metrics_one(m, "joins_total", "counter", "Hosts that joined.", s->joins);
	sf_metrics_one(m, "leaves_total", "counter", "Hosts that left.", s->leaves);
	sf_metrics_one(m, "registrations_total", "counter", "Registrations accepted.",
		       s->registrations);
	sf_metrics_one(m, "unregistrations_total", "counter", "Registrations ended.",
		       s->unregistrations);
	sf_metrics_reasons(m, "denials_total", "Registrations denied.", s->denials);
	sf_metrics_reasons(m, "alarms_total", "Alarms of routers, and found here.", s->alarms);
	sf_metrics_one(m, "messages_total", "counter", "Messages from routers.", s->messages);
	sf_metrics_one(m, "message_bytes_total", "counter", "Their bytes.", s->bytes);
	sf_metrics_one(m, "bad_messages_total", "counter", "Malformed or misplaced ones.",
		       s->bad_messages);
	sf_metrics_one(m, "unknown_messages_total", "counter", "Of unknown type, ignored.",
		       s->unknown_messages);
	sf_metrics_one(m, "bad_names_total", "counter",
		       "Names of services that are none, or not of the service.", s->bad_names);
	sf_metrics_one(m, "deltas_total", "counter", "Turns in which rules changed.", s->flushes);
	sf_metrics_one(m, "frames_total", "counter", "Messages with rules or routes made.",
		       s->frames);
	sf_metrics_one(m, "syncs_total", "counter", "Whole states told.", s->syncs);
	sf_metrics_one(m, "events_total", "counter", "Id of the newest event.",
		       events_last(c->events));
	sf_metrics_one(m, "events_lost_total", "counter", "Events that never reached the store.",
		       events_lost(c->events));
}

/* A sample about router @r. */
static void of_router(struct sf_metrics *m, const char *metric, const struct router *r,
		      uint64_t value)
{
	char id[SID_TEXT];

	sf_metrics_sample(m, metric, value, "router", *r->name ? r->name : sf_sid_print(&r->id, id),
			  NULL);
}

static uint64_t lag_of(const struct controller *c, const struct router *r)
{
	/* Deltas that do not concern a router are not told to it, and are no lag. */
	uint32_t due = r->synced && !r->behind ? r->told : c->number;
	uint32_t has = sf_be32(r->applied.term) == c->term ? sf_be32(r->applied.number) : 0;

	return due > has ? due - has : 0;
}

static void routers(struct sf_metrics *m, const struct controller *c)
{
	const struct router *r;

	sf_metrics_one(m, "routers", "gauge", "Routers known, connected or not.",
		       HASH_COUNT(c->routers));
	sf_metrics_head(m, "router_connected", "gauge", "1 when connected.");
	for (r = c->routers; r; r = r->hh.next)
		of_router(m, "router_connected", r, r->session != NULL);
	sf_metrics_head(m, "router_synced", "gauge",
			"1 when it was told the whole state and takes deltas.");
	for (r = c->routers; r; r = r->hh.next)
		of_router(m, "router_synced", r, r->synced && !r->behind);
	sf_metrics_head(m, "router_version_number", "gauge", "Newest version that it was told.");
	for (r = c->routers; r; r = r->hh.next)
		of_router(m, "router_version_number", r, r->told);
	sf_metrics_head(m, "router_lag", "gauge",
			"Versions that it was told or missed, and did not confirm.");
	for (r = c->routers; r; r = r->hh.next)
		of_router(m, "router_lag", r, lag_of(c, r));
	sf_metrics_head(m, "router_queued_bytes", "gauge", "Waiting to be sent to it.");
	for (r = c->routers; r; r = r->hh.next)
		of_router(m, "router_queued_bytes", r,
			  r->session ? r->session->ops->queued(r->session->io) : 0);
	sf_metrics_head(m, "router_hosts", "gauge", "Hosts joined at it.");
	for (r = c->routers; r; r = r->hh.next)
		of_router(m, "router_hosts", r, r->n_hosts);
}

static void service_metric(struct sf_metrics *m, const struct controller *c, const char *metric,
			   const char *help, size_t offset)
{
	uint32_t left = c->config->metrics_services;

	sf_metrics_head(m, metric, "counter", help);
	for (const struct service *s = c->services; s && left; s = s->hh.next) {
		const char *name = name_find(c, &s->sid);
		char id[SID_TEXT];
		uint64_t value;

		if (sid_is_host(&s->sid))
			continue;
		memcpy(&value, (const char *)&s->load + offset, sizeof(value));
		sf_sid_print(&s->sid, id);
		sf_metrics_sample(m, metric, value, "service", id, "name", name ? name : "", NULL);
		left--;
	}
}

char *metrics_text(struct controller *c, size_t *len)
{
	struct sf_metrics m;

	if (sf_metrics_open(&m, "scaffold_controller_"))
		return NULL;
	totals(&m, c);
	routers(&m, c);
	service_metric(&m, c, "service_flows_total", "Flows that its instances took.",
		       offsetof(struct load, flows));
	service_metric(&m, c, "service_packets_total", "Packets of its instances.",
		       offsetof(struct load, packets));
	service_metric(&m, c, "service_bytes_total", "Bytes of its instances.",
		       offsetof(struct load, bytes));
	return sf_metrics_close(&m, len);
}
