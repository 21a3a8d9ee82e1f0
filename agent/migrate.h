// SPDX-License-Identifier: Apache-2.0
/*
 * migrate.h - flows that move because somebody says so: POST /v1/migrate, `scaffold migrate`.
 */
#ifndef SF_AGENT_MIGRATE_H
#define SF_AGENT_MIGRATE_H

#include "util/http.h"

/** migrate_post() - the handler of POST /v1/migrate: {flow | service | all, to: interface}. */
int migrate_post(struct sf_http_req *req, json_t **reply, void *ctx);

/** migrate_get() - the handler of GET /v1/moves: how many flows move just now. */
int migrate_get(struct sf_http_req *req, json_t **reply, void *ctx);

#endif
