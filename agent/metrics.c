// SPDX-License-Identifier: Apache-2.0
/* metrics.c - the agent's numbers in Prometheus's text format. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/control.h"
#include "agent/host.h"

const char *traffic_name(unsigned int index)
{
	static const char *const names[] = {
		[SF_TRAFFIC_OUT_BOUND] = "out-bound", [SF_TRAFFIC_OUT_SYN] = "out-syn",
		[SF_TRAFFIC_OUT_DATA] = "out-data",   [SF_TRAFFIC_IN_BOUND] = "in-bound",
		[SF_TRAFFIC_IN_SYN] = "in-syn",	      [SF_TRAFFIC_IN_DATA] = "in-data",
		[SF_TRAFFIC_FAIL_SENT] = "fail-sent", [SF_TRAFFIC_FAIL_TAKEN] = "fail-taken",
		[SF_TRAFFIC_RETRIED] = "retried",     [SF_TRAFFIC_RESOLVED] = "resolved",
		[SF_TRAFFIC_PROBED] = "probed",
	};

	_Static_assert(sizeof(names) / sizeof(names[0]) == SF_TRAFFIC_MAX, "a name for each");
	return index < SF_TRAFFIC_MAX ? names[index] : "?";
}

static void head(FILE *f, const char *name, const char *type, const char *help)
{
	fprintf(f, "# HELP scaffold_host_%s %s\n# TYPE scaffold_host_%s %s\n", name, help, name,
		type);
}

static void one(FILE *f, const char *name, const char *type, const char *help, uint64_t value)
{
	head(f, name, type, help);
	fprintf(f, "scaffold_host_%s %llu\n", name, (unsigned long long)value);
}

static void put_counters(struct host *h, FILE *f)
{
	struct sf_count c;

	head(f, "dropped_packets_total", "counter", "Packets dropped or refused, by reason.");
	for (uint32_t i = 1; i < SF_REASON_MAX; i++)
		if (!datapath_count(h, "counters", i, &c) && c.packets)
			fprintf(f, "scaffold_host_dropped_packets_total{reason=\"%s\"} %llu\n",
				sf_reason_name(i), (unsigned long long)c.packets);
	head(f, "traffic_packets_total", "counter", "Packets handled, by kind.");
	for (uint32_t i = 0; i < SF_TRAFFIC_MAX; i++)
		if (!datapath_count(h, "traffic", i, &c))
			fprintf(f, "scaffold_host_traffic_packets_total{kind=\"%s\"} %llu\n",
				traffic_name(i), (unsigned long long)c.packets);
	head(f, "traffic_bytes_total", "counter", "Bytes handled, by kind.");
	for (uint32_t i = 0; i < SF_TRAFFIC_MAX; i++)
		if (!datapath_count(h, "traffic", i, &c))
			fprintf(f, "scaffold_host_traffic_bytes_total{kind=\"%s\"} %llu\n",
				traffic_name(i), (unsigned long long)c.bytes);
}

static void put_services(struct host *h, FILE *f)
{
	const struct registration *r;
	char service[64];

	flows_load(h);
	head(f, "service_flows_total", "counter", "New flows delivered to a service of this host.");
	for (r = h->registry.table; r; r = r->hh.next) {
		struct sf_listener_key key = host_key(h, &r->key);
		struct sf_sid sid = registration_sid(&r->key);
		struct sf_listener l;

		if (hooks_get(h, &key, &l))
			continue;
		fprintf(f,
			"scaffold_host_service_flows_total{service=\"%s\",proto=\"%s\",port=\"%u\"}"
			" "
			"%llu\n",
			sf_sid_print(&sid, service), sf_proto_name(r->key.proto),
			ntohs(r->key.port), (unsigned long long)l.flows);
	}
	head(f, "service_bytes_total", "counter", "Bytes of flows of a service of this host.");
	for (r = h->registry.table; r; r = r->hh.next) {
		const struct flow_load *l = flows_load_of(h, &r->key);
		struct sf_sid sid = registration_sid(&r->key);

		if (l)
			fprintf(f,
				"scaffold_host_service_bytes_total{service=\"%s\",proto=\"%s\","
				"port=\"%u\"} %llu\n",
				sf_sid_print(&sid, service), sf_proto_name(r->key.proto),
				ntohs(r->key.port), (unsigned long long)l->bytes);
	}
}

char *metrics_text(struct host *h, size_t *len)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, len);

	if (!f)
		return NULL;
	one(f, "joined", "gauge", "Whether the host has joined its access router.",
	    h->join.state == JOIN_JOINED);
	one(f, "joins_total", "counter", "Joins so far.", h->join.count);
	one(f, "registrations", "gauge", "Registrations of this host, in any state.",
	    HASH_COUNT(h->registry.table));
	one(f, "socket_events_total", "counter", "Events of the socket hooks.", h->hooks.events);
	one(f, "flows_freed_total", "counter", "Flow entries freed after their socket was gone.",
	    h->flows.freed);
	one(f, "control_sent_total", "counter", "Control messages sent.", h->session.sent);
	one(f, "control_repeated_total", "counter", "Control messages repeated.",
	    h->session.repeated);
	one(f, "control_bad_total", "counter", "Control messages dropped as malformed or foreign.",
	    h->session.bad);
	put_services(h, f);
	put_counters(h, f);
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}
