// SPDX-License-Identifier: Apache-2.0
/*
 * control.h - the router's REST server, RUN/router.sock.
 *
 *	GET /v1/status    who and where we are, links, controller
 *	GET /v1/hosts     hosts that are here; ?all=1: all that have an address
 *	GET /v1/services  services with their instances; ?service=SSID:LOCAL, ?limit=N, ?offset=N
 *	GET /v1/routes-to routes to other routers
 *	GET /v1/counters  the datapath's counters and ours, by name
 *	GET /v1/events    ?since=ID, ?limit=N, ?follow=1: a line for each new one
 *	GET /metrics      for Prometheus
 */
#ifndef SF_ROUTER_CONTROL_H
#define SF_ROUTER_CONTROL_H

#include <stddef.h>

#include "util/metrics.h"

struct router;

/** control_open() - serve REST at RUN/router.sock (docs/api.md). Return: 0 or -errno with @err. */
int control_open(struct router *r, char *err, size_t errlen);
void control_close(struct router *r);

/** metrics_text() - what GET /metrics says; malloc'ed, NULL without memory. (metrics.c) */
char *metrics_text(struct router *r, size_t *len);

/** control_counts() - the datapath's counters. (metrics.c) */
struct sf_datapath_counts control_counts(struct router *r);

#endif
