// SPDX-License-Identifier: Apache-2.0
/*
 * control.h - the local REST socket RUN/agent.sock (JSON over HTTP).
 *
 *	GET    /v1/status                        who and where we are, what this kernel can do
 *	GET    /v1/flows?service=&state=&limit=  flow table
 *	GET    /v1/services                      what is registered here, or denied and why
 *	POST   /v1/services                      {service, proto, port}: by hand, for a program
 *	                                         that listens on the wildcard address
 *	DELETE /v1/services/{service}/{proto}/{port}
 *	POST   /v1/services/{service}/{proto}/{port}/drain, .../undrain, .../shed
 *	GET    /v1/runs, POST /v1/runs           {service, move}: a control group of `scaffold run`
 *	GET    /v1/moves                         how many flows move just now
 *	POST   /v1/migrate                       {flow | service | all, to}: flows move
 *	GET    /v1/counters                      drops and traffic by name
 *	GET    /v1/events?since=&limit=&follow=  the recent past, or a stream
 *	GET    /metrics                          Prometheus
 *
 * Everybody on the host may read. Changes are for root and the members of [host] socket_group; a
 * run is for any user that the policy lets register, since its program is judged again by itself.
 */
#ifndef SF_AGENT_CONTROL_H
#define SF_AGENT_CONTROL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/policy.h"
#include "agent/registry.h"
#include "util/metrics.h"

struct host;
struct sf_http;
struct sf_http_req;

struct control {
	struct sf_http *http;
	char path[256];
	struct policy_ranges gid, members; /* of socket_group */
};

/** control_open() - serve REST at RUN/agent.sock (docs/api.md). Return: 0 or -errno with @err. */
int control_open(struct host *h, char *err, size_t errlen);
void control_close(struct host *h);

/** control_allow() - whether the asker may change things. Return: 0, or the status with @reply. */
int control_allow(const struct host *h, const struct sf_http_req *req, json_t **reply);

/** control_service() - a service in any form as its address. Return: 0, or the status with @reply.
 */
int control_service(const struct host *h, const char *text, struct sf_addr *out, json_t **reply);

/** control_may() - whether the asking user may change things. */
bool control_may(const struct host *h, const struct sf_http_req *req);

/**
 * control_key() - the {service}, {proto} and {port} of a path; any and 0 stand for all.
 * Return: 0, or the HTTP status with @reply.
 */
int control_key(const struct host *h, const struct sf_http_req *req, struct registration_key *out,
		json_t **reply);

/** struct control_talk - control messages and joins, of all uplinks. */
struct control_talk {
	uint64_t sent, received, repeated, bad, joins;
};

/** control_talk() - summed up. (metrics.c) */
struct control_talk control_talk(const struct host *h);

/** control_counts() - the datapath's counters. (metrics.c) */
struct sf_datapath_counts control_counts(struct host *h);

/** metrics_text() - what GET /metrics says; malloc'ed, NULL without memory. (metrics.c) */
char *metrics_text(struct host *h, size_t *len);

#endif
