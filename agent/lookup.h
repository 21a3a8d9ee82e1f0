// SPDX-License-Identifier: Apache-2.0
/*
 * lookup.h - which protocols and ports a service is registered for: asked at the router for who
 * names a service and no more (docs/protocol.md, "Look-ups").
 */
#ifndef SF_AGENT_LOOKUP_H
#define SF_AGENT_LOOKUP_H

#include "util/http.h"

struct host;
struct lookup;

/** struct lookups - questions under way. */
struct lookups {
	struct lookup *first;
};

/** lookup_get() - the handler of GET /v1/lookup/{service}, which answers later. */
int lookup_get(struct sf_http_req *req, json_t **reply, void *ctx);

/** lookups_close() - all that wait are told that there is no answer. */
void lookups_close(struct host *h);

#endif
