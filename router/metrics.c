// SPDX-License-Identifier: Apache-2.0
/* metrics.c - what GET /metrics says; docs/api.md lists it. */
#include "router/control.h"
#include "router/controller_link.h"
#include "router/datapath.h"
#include "router/hosts.h"
#include "router/router.h"
#include "router/rules.h"
#include "util/clock.h"

static int reason_count(void *ctx, unsigned int index, struct sf_count *out)
{
	datapath_counter(ctx, index, out);
	return 0;
}

static int traffic_count(void *ctx, unsigned int index, struct sf_count *out)
{
	datapath_traffic(ctx, index, out);
	return 0;
}

struct sf_datapath_counts control_counts(struct router *r)
{
	return (struct sf_datapath_counts){
		.reason = reason_count,
		.traffic = traffic_count,
		.kinds = 1u << SF_TRAFFIC_RESOLVED | 1u << SF_TRAFFIC_FAIL_SENT |
			 1u << SF_TRAFFIC_FOLLOWED,
		.ctx = r->datapath,
	};
}

char *metrics_text(struct router *r, size_t *len)
{
	struct sf_datapath_counts counts = control_counts(r);
	const struct router_stats *s = &r->stats;
	struct controller_view view;
	struct sf_metrics m;

	if (sf_metrics_open(&m, "scaffold_router_"))
		return NULL;
	controller_link_view(r, &view);
	sf_metrics_one(&m, "uptime_seconds", "gauge", "Since the start.",
		       (sf_now_ms() - r->started_ms) / 1000);
	sf_metrics_one(&m, "hosts", "gauge", "Hosts that are here.", r->hosts->here);
	sf_metrics_one(&m, "services", "gauge", "Services by protocol and port.", rules_count(r));
	sf_metrics_one(&m, "services_in_front", "gauge",
		       "Those that packets find without a search.",
		       datapath_front_held(r->datapath));
	sf_metrics_one(&m, "slots_used", "gauge", "Slots of tables in use.", rules_slots_used(r));
	sf_metrics_one(&m, "slots", "gauge", "Slots there are.", datapath_slots_max(r->datapath));
	sf_metrics_one(&m, "map_bytes", "gauge", "Kernel memory of the datapath's maps.",
		       datapath_memory(r->datapath));
	sf_metrics_one(&m, "controller_synced", "gauge",
		       "1 when the controller is connected and has told the whole state.",
		       view.synced);
	sf_metrics_one(&m, "joins_total", "counter", "JOINs accepted.", s->joins);
	sf_metrics_one(&m, "leaves_total", "counter", "Hosts that left.", s->leaves);
	sf_metrics_one(&m, "registrations_total", "counter", "Registrations accepted.",
		       s->registrations);
	sf_metrics_one(&m, "unregistrations_total", "counter", "Registrations ended.",
		       s->unregistrations);
	sf_metrics_one(&m, "messages_total", "counter", "Control messages from hosts.",
		       s->messages);
	sf_metrics_reasons(&m, "refused_messages_total",
			   "Control messages and registrations refused, by reason.", s->refused);
	sf_metrics_datapath(&m, &counts);
	return sf_metrics_close(&m, len);
}
