// SPDX-License-Identifier: Apache-2.0
/* Metrics. docs/api.md lists them. */
#include "controller/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "controller/blocks.h"
#include "controller/events.h"
#include "controller/hosts.h"
#include "controller/policies.h"
#include "controller/routers.h"
#include "controller/services.h"

#define PREFIX "scaffold_controller_"

static void head(FILE *f, const char *name, const char *type, const char *help)
{
	fprintf(f, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n", name, help, name, type);
}

static void one(FILE *f, const char *name, const char *type, const char *help, uint64_t value)
{
	head(f, name, type, help);
	fprintf(f, PREFIX "%s %" PRIu64 "\n", name, value);
}

/* A label's value: backslash, quote and newline are escaped; names hold neither. */
static void label(FILE *f, const char *name, const char *value)
{
	fprintf(f, "%s=\"", name);
	for (; *value; value++) {
		if (*value == '\\' || *value == '"')
			fputc('\\', f);
		fputc(*value == '\n' ? ' ' : *value, f);
	}
	fputc('"', f);
}

static void by_reason(FILE *f, const char *name, const char *help, const uint64_t *counts)
{
	head(f, name, "counter", help);
	for (unsigned int i = 0; i < SF_REASON_MAX; i++) {
		if (counts[i])
			fprintf(f, PREFIX "%s{reason=\"%s\"} %" PRIu64 "\n", name,
				sf_reason_name(i), counts[i]);
	}
}

static void totals(FILE *f, const struct ctl *c)
{
	const struct ctl_stats *s = &c->stats;

	one(f, "term", "gauge", "Term of this start.", c->term);
	one(f, "version_number", "gauge", "Number of the newest rules and routes.", c->number);
	one(f, "settled", "gauge", "1 when rules go out.", c->settled);
	one(f, "uptime_seconds", "gauge", "Since the start.", (c->clock() - c->started) / 1000);
	one(f, "hosts", "gauge", "Hosts that have joined.", HASH_COUNT(c->hosts));
	one(f, "services", "gauge", "ServiceIDs that somebody registered, hosts' own included.",
	    HASH_COUNT(c->services));
	one(f, "endpoints", "gauge", "Services by protocol and port.", HASH_COUNT(c->endpoints));
	one(f, "instances", "gauge", "Registrations in force or denied.", HASH_COUNT(c->instances));
	one(f, "policies", "gauge", "Services with a policy.", HASH_COUNT(c->policies));
	one(f, "blocks_leased", "gauge", "hostAddr blocks leased to routers.",
	    ctl_blocks_used(c->blocks));
	one(f, "joins_total", "counter", "Hosts that joined.", s->joins);
	one(f, "leaves_total", "counter", "Hosts that left.", s->leaves);
	one(f, "registrations_total", "counter", "Registrations accepted.", s->registrations);
	one(f, "unregistrations_total", "counter", "Registrations ended.", s->unregistrations);
	by_reason(f, "denials_total", "Registrations denied.", s->denials);
	by_reason(f, "alarms_total", "Alarms of routers, and found here.", s->alarms);
	one(f, "messages_total", "counter", "Messages from routers.", s->messages);
	one(f, "message_bytes_total", "counter", "Their bytes.", s->bytes);
	one(f, "bad_messages_total", "counter", "Malformed or misplaced ones.", s->bad_messages);
	one(f, "unknown_messages_total", "counter", "Of unknown type, ignored.",
	    s->unknown_messages);
	one(f, "deltas_total", "counter", "Turns in which rules changed.", s->flushes);
	one(f, "frames_total", "counter", "Messages with rules or routes made.", s->frames);
	one(f, "syncs_total", "counter", "Whole states told.", s->syncs);
	one(f, "events_total", "counter", "Id of the newest event.", ctl_events_last(c->events));
	one(f, "events_lost_total", "counter", "Events that never reached the store.",
	    ctl_events_lost(c->events));
}

static void router_labels(FILE *f, const char *metric, const struct ctl_router *r)
{
	char id[CTL_SID_TEXT];

	fprintf(f, PREFIX "%s{", metric);
	label(f, "router", *r->name ? r->name : sf_sid_print(&r->id, id));
	fputs("} ", f);
}

static uint64_t lag_of(const struct ctl *c, const struct ctl_router *r)
{
	/* Deltas that do not concern a router are not told to it, and are no lag. */
	uint32_t due = r->synced && !r->behind ? r->told : c->number;
	uint32_t has = sf_be32(r->applied.term) == c->term ? sf_be32(r->applied.number) : 0;

	return due > has ? due - has : 0;
}

static void routers(FILE *f, const struct ctl *c)
{
	const struct ctl_router *r;

	one(f, "routers", "gauge", "Routers known, connected or not.", HASH_COUNT(c->routers));
	head(f, "router_connected", "gauge", "1 when connected.");
	for (r = c->routers; r; r = r->hh.next) {
		router_labels(f, "router_connected", r);
		fprintf(f, "%d\n", r->session != NULL);
	}
	head(f, "router_synced", "gauge", "1 when it was told the whole state and takes deltas.");
	for (r = c->routers; r; r = r->hh.next) {
		router_labels(f, "router_synced", r);
		fprintf(f, "%d\n", r->synced && !r->behind);
	}
	head(f, "router_version_number", "gauge", "Newest version that it was told.");
	for (r = c->routers; r; r = r->hh.next) {
		router_labels(f, "router_version_number", r);
		fprintf(f, "%u\n", r->told);
	}
	head(f, "router_lag", "gauge", "Versions that it was told or missed, and did not confirm.");
	for (r = c->routers; r; r = r->hh.next) {
		router_labels(f, "router_lag", r);
		fprintf(f, "%" PRIu64 "\n", lag_of(c, r));
	}
	head(f, "router_queued_bytes", "gauge", "Waiting to be sent to it.");
	for (r = c->routers; r; r = r->hh.next) {
		router_labels(f, "router_queued_bytes", r);
		fprintf(f, "%zu\n", r->session ? r->session->ops->queued(r->session->io) : 0);
	}
	head(f, "router_hosts", "gauge", "Hosts joined at it.");
	for (r = c->routers; r; r = r->hh.next) {
		router_labels(f, "router_hosts", r);
		fprintf(f, "%u\n", r->n_hosts);
	}
}

static void service_metric(FILE *f, const struct ctl *c, const char *metric, const char *help,
			   size_t offset)
{
	uint32_t left = c->config->metrics_services;

	head(f, metric, "counter", help);
	for (const struct ctl_service *s = c->services; s && left; s = s->hh.next) {
		const char *name = ctl_name_of(c, &s->sid);
		char id[CTL_SID_TEXT];
		uint64_t value;

		if (ctl_sid_is_host(&s->sid))
			continue;
		memcpy(&value, (const char *)&s->load + offset, sizeof(value));
		sf_sid_print(&s->sid, id);
		fprintf(f, PREFIX "%s{", metric);
		label(f, "service", id);
		fputc(',', f);
		label(f, "name", name ? name : "");
		fprintf(f, "} %" PRIu64 "\n", value);
		left--;
	}
}

char *ctl_metrics(struct ctl *c, size_t *len)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, len);

	if (!f)
		return NULL;
	totals(f, c);
	routers(f, c);
	service_metric(f, c, "service_flows_total", "Flows that its instances took.",
		       offsetof(struct ctl_load, flows));
	service_metric(f, c, "service_packets_total", "Packets of its instances.",
		       offsetof(struct ctl_load, packets));
	service_metric(f, c, "service_bytes_total", "Bytes of its instances.",
		       offsetof(struct ctl_load, bytes));
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}
