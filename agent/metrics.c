// SPDX-License-Identifier: Apache-2.0
/* metrics.c - what GET /metrics says; docs/api.md lists it. */
#include <arpa/inet.h>
#include <stdio.h>

#include "agent/control.h"
#include "agent/host.h"
#include "util/clock.h"

static int reason_count(void *ctx, unsigned int index, struct sf_count *out)
{
	return watch_count(ctx, index, out);
}

static int traffic_count(void *ctx, unsigned int index, struct sf_count *out)
{
	return datapath_count(ctx, "traffic", index, out);
}

struct sf_datapath_counts control_counts(struct host *h)
{
	return (struct sf_datapath_counts){
		.reason = reason_count,
		.traffic = traffic_count,
		.kinds = (1u << SF_TRAFFIC_MAX) - 1 - (1u << SF_TRAFFIC_RESOLVED) -
			 (1u << SF_TRAFFIC_FOLLOWED),
		.ctx = h,
	};
}

static void service_sample(const struct host *h, struct sf_metrics *m, const char *name,
			   const struct registration_key *key, uint64_t value)
{
	struct sf_sid sid = registration_sid(key);
	const char *called = names_of(h, &sid);
	char service[64], port[8];

	snprintf(port, sizeof(port), "%u", ntohs(key->port));
	sf_metrics_sample(m, name, value, "service", sf_sid_print(&sid, service), "name",
			  called ? called : "", "proto", sf_proto_name(key->proto), "port", port,
			  NULL);
}

static void put_services(struct host *h, struct sf_metrics *m)
{
	const struct registration *r;

	flows_load(h);
	sf_metrics_head(m, "service_flows_total", "counter",
			"New flows delivered to a service of this host.");
	for (r = h->registry.table; r; r = r->hh.next) {
		struct sf_listener_key key = host_key(h, &r->key);
		struct sf_listener l;

		if (!hooks_get(h, &key, &l))
			service_sample(h, m, "service_flows_total", &r->key, l.flows);
	}
	sf_metrics_head(m, "service_bytes_total", "counter",
			"Bytes of flows of a service of this host.");
	for (r = h->registry.table; r; r = r->hh.next) {
		const struct flow_load *l = flows_load_of(h, &r->key);

		if (l)
			service_sample(h, m, "service_bytes_total", &r->key, l->bytes);
	}
}

static void put_moves(const struct host *h, struct sf_metrics *m)
{
	const struct mover_counts *c = &h->moves.mover.counts;
	const struct {
		const char *name, *help;
		uint64_t value;
	} totals[] = {
		{ "moves_begun_total", "Flows of which this end began to move.", c->begun },
		{ "moves_peer_total", "Flows of which the peer turned up elsewhere.", c->peer },
		{ "moves_settled_total", "Renegotiations that both ends were through with.",
		  c->settled },
		{ "move_messages_sent_total", "RSYN, RSYN-ACK and RACK sent.", c->sent },
		{ "move_messages_unsent_total", "Those that the kernel did not let out.",
		  c->unsent },
		{ "move_messages_repeated_total", "Of these, by a timer.", c->repeated },
		{ "move_messages_taken_total", "RSYN, RSYN-ACK and RACK taken.", c->taken },
		{ "move_messages_stale_total", "Of the past, or a stranger's.", c->stale },
		{ "move_messages_unknown_total", "Of no flow of ours.", c->unknown },
		{ "move_messages_bad_total", "Malformed.", c->bad },
		{ "move_messages_refused_total", "Answered by FAIL.", c->refused },
		{ "moves_over_total", "Flows that ended here by a FAIL of their RSYN.", c->over },
		{ "moves_redirected_total", "Suggestions by REDIRECT that were followed.",
		  c->redirected },
		{ "moves_sent_on_total",
		  "RSYNs for flows that were handed over, answered by REDIRECT.", c->sent_on },
		{ "moves_kicks_total", "Sockets told that their segments arrive again.",
		  h->moves.mover.kicks.count },
	};
	size_t open, all = mover_size(&h->moves.mover, &open);

	for (size_t i = 0; i < sizeof(totals) / sizeof(totals[0]); i++)
		sf_metrics_one(m, totals[i].name, "counter", totals[i].help, totals[i].value);
	sf_metrics_one(m, "moved_flows", "gauge", "Flows that have moved, or whose peers have.",
		       all);
	sf_metrics_one(m, "moving_flows", "gauge", "Of these, those that are not settled.", open);
}

struct control_talk control_talk(const struct host *h)
{
	struct control_talk sum = { 0 };

	attachment_foreach (h, a) {
		sum.sent += a->session.sent;
		sum.received += a->session.received;
		sum.repeated += a->session.repeated;
		sum.bad += a->session.bad;
		sum.joins += a->join.count;
	}
	return sum;
}

char *metrics_text(struct host *h, size_t *len)
{
	struct sf_datapath_counts counts = control_counts(h);
	struct control_talk talk = control_talk(h);
	const struct attachment *a = attachment_primary(h);
	struct sf_metrics m;

	if (sf_metrics_open(&m, "scaffold_host_"))
		return NULL;
	sf_metrics_one(&m, "uptime_seconds", "gauge", "Since the start.",
		       (sf_now_ms() - h->started_ms) / 1000);
	sf_metrics_one(&m, "joined", "gauge", "1 when the host has joined its access router.",
		       a && a->join.state == JOIN_JOINED);
	sf_metrics_one(&m, "joins_total", "counter", "Joins so far.", talk.joins);
	sf_metrics_one(&m, "registrations", "gauge", "Registrations of this host, in any state.",
		       HASH_COUNT(h->registry.table));
	sf_metrics_one(&m, "socket_events_total", "counter", "Events of the socket hooks.",
		       h->hooks.events);
	sf_metrics_one(&m, "flows_freed_total", "counter",
		       "Flow entries freed after their socket was gone.", h->flows.freed);
	sf_metrics_one(&m, "control_sent_total", "counter", "Control messages sent.", talk.sent);
	sf_metrics_one(&m, "control_repeated_total", "counter", "Control messages repeated.",
		       talk.repeated);
	sf_metrics_one(&m, "control_bad_total", "counter",
		       "Control messages dropped as malformed or foreign.", talk.bad);
	put_moves(h, &m);
	put_services(h, &m);
	sf_metrics_datapath(&m, &counts);
	return sf_metrics_close(&m, len);
}
