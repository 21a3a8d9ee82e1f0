// SPDX-License-Identifier: Apache-2.0
/*
 * shape.h - replies of controller, router and agent in one shape.
 *
 * Each daemon tells what it knows in its own terms (docs/api.md); people and programs that use the
 * command get the same rows whomever was asked. scaffold(1) documents these shapes. Pure: JSON in,
 * JSON out. What a daemon does not know is null.
 *
 *	service	{service, sid, proto, port, host, host_id, locator, router, weight, state, reason,
 *		 since, flows, open, packets, bytes}
 *		state: live, draining, disabled, denied, weight-0, registering, waiting, pending
 *	host	{host, id, state, last_seen, locator, router, since, services}
 *		state: present, silent (its agent is, its datapath answers), unknown (its router is
 *		not connected to the controller), restored (a router that was restarted has not
 *		heard from it yet), absent; of the host itself: present, joining, lost
 *		last_seen: null where it is present and nobody counts
 *	router	{router, id, state, last_seen, address, roles, blocks, hosts, rtt_ms}
 *		state: connected, syncing, behind (it reads too slowly), awaited (not here since the
 *		controller's start), lost
 *	flow	{proto, direction, local, local_name, local_port, peer, peer_name, peer_port,
 *		 own_locator, peer_locator, state, attempt, age_ms, idle_ms, tx_packets, tx_bytes,
 *		 rx_packets, rx_bytes, fail, id, move: {state, own, peer, tries, since_ms,
 *		 heard_ms}}; move: null where neither end ever moved
 *	event	{id, time, kind, router, host, locator, service, proto, port, reason, text}
 *
 * Times are ISO 8601, UTC.
 */
#ifndef SF_CLI_SHAPE_H
#define SF_CLI_SHAPE_H

#include "cli/names.h"

/**
 * sf_shape_services() - rows of instances.
 * @who: whose @reply to GET /v1/services (the controller's: with full=1, or one service's object)
 * @all: hosts' own identities, too
 * @rows: appended to
 */
void sf_shape_services(enum sf_daemon_kind who, const json_t *reply, const struct sf_names *names,
		       bool all, json_t *rows);

/** sf_shape_hosts() - rows of hosts from GET /v1/hosts (the agent's: GET /v1/status). */
void sf_shape_hosts(enum sf_daemon_kind who, const json_t *reply, json_t *rows);

/** sf_shape_routers() - rows of routers from the controller's GET /v1/routers. */
void sf_shape_routers(const json_t *reply, json_t *rows);

/** sf_shape_flow() - one flow of the agent's GET /v1/flows. A new reference. */
json_t *sf_shape_flow(const json_t *flow, const struct sf_names *names);

/** sf_shape_event() - one event, of any daemon. A new reference. */
json_t *sf_shape_event(const json_t *event, const struct sf_names *names);

#endif
