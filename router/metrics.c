// SPDX-License-Identifier: Apache-2.0
/* metrics.c - GET /metrics: Prometheus text exposition format 0.0.4. */
#include <stdio.h>
#include <stdlib.h>

#include "core/reason.h"
#include "router/control.h"
#include "router/controller_link.h"
#include "router/datapath.h"
#include "router/hosts.h"
#include "router/router.h"
#include "router/rules.h"

const char *traffic_name(unsigned int what)
{
	switch (what) {
	case SF_TRAFFIC_RESOLVED:
		return "resolved";
	case SF_TRAFFIC_FAIL_SENT:
		return "fail_sent";
	default:
		return NULL;
	}
}

static void gauge(FILE *f, const char *name, const char *help, double value)
{
	fprintf(f, "# HELP scaffold_router_%s %s\n# TYPE scaffold_router_%s gauge\n", name, help,
		name);
	fprintf(f, "scaffold_router_%s %.0f\n", name, value);
}

static void counter(FILE *f, const char *name, const char *help, double value)
{
	fprintf(f, "# HELP scaffold_router_%s %s\n# TYPE scaffold_router_%s counter\n", name, help,
		name);
	fprintf(f, "scaffold_router_%s %.0f\n", name, value);
}

static void datapath_counters(FILE *f, struct router *r)
{
	struct sf_count c;

	fputs("# HELP scaffold_router_packets_total packets acted upon, by kind\n"
	      "# TYPE scaffold_router_packets_total counter\n",
	      f);
	for (unsigned int i = 0; i < SF_TRAFFIC_MAX; i++) {
		const char *name = traffic_name(i);

		if (!name)
			continue;
		datapath_traffic(r->datapath, i, &c);
		fprintf(f, "scaffold_router_packets_total{kind=\"%s\"} %llu\n", name,
			(unsigned long long)c.packets);
	}
	fputs("# HELP scaffold_router_refused_packets_total packets dropped or answered, by "
	      "reason\n"
	      "# TYPE scaffold_router_refused_packets_total counter\n",
	      f);
	for (unsigned int i = 1; i < SF_REASON_MAX; i++) {
		datapath_counter(r->datapath, i, &c);
		if (c.packets)
			fprintf(f, "scaffold_router_refused_packets_total{reason=\"%s\"} %llu\n",
				sf_reason_name(i), (unsigned long long)c.packets);
	}
}

static void control_counters(FILE *f, struct router *r)
{
	fputs("# HELP scaffold_router_refused_messages_total control messages and registrations "
	      "refused, by reason\n"
	      "# TYPE scaffold_router_refused_messages_total counter\n",
	      f);
	for (unsigned int i = 1; i < SF_REASON_MAX; i++)
		if (r->stats.refused[i])
			fprintf(f, "scaffold_router_refused_messages_total{reason=\"%s\"} %llu\n",
				sf_reason_name(i), (unsigned long long)r->stats.refused[i]);
	counter(f, "joins_total", "JOINs accepted", (double)r->stats.joins);
	counter(f, "leaves_total", "hosts that left", (double)r->stats.leaves);
	counter(f, "registrations_total", "registrations accepted", (double)r->stats.registrations);
	counter(f, "unregistrations_total", "registrations ended",
		(double)r->stats.unregistrations);
	counter(f, "messages_total", "control messages received from hosts",
		(double)r->stats.messages);
}

char *metrics_text(struct router *r, size_t *len)
{
	struct controller_view view;
	char *text = NULL;
	FILE *f = open_memstream(&text, len);

	if (!f)
		return NULL;
	controller_link_view(r, &view);
	gauge(f, "hosts", "hosts that are here", r->hosts->here);
	gauge(f, "services", "services known", rules_count(r));
	gauge(f, "slots_used", "slots of tables in use", rules_slots_used(r));
	gauge(f, "slots", "slots there are", datapath_slots_max(r->datapath));
	gauge(f, "map_bytes", "kernel memory of the datapath's maps",
	      (double)datapath_memory(r->datapath));
	gauge(f, "controller_up", "whether the controller is connected and has synchronised",
	      view.synced);
	datapath_counters(f, r);
	control_counters(f, r);
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}
