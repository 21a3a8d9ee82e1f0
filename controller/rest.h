// SPDX-License-Identifier: Apache-2.0
/* rest.h - the controller's REST server. docs/api.md is its reference. */
#ifndef SF_CONTROLLER_REST_H
#define SF_CONTROLLER_REST_H

#include "controller/controller.h"
#include "util/http.h"

struct event_base;
struct rest;

/**
 * rest_new() - serve RUN/controller.sock, and TCP where the configuration says so.
 * Return: 0 or a negative errno; @err names what was in the way.
 */
int rest_new(struct event_base *base, struct controller *c, struct rest **out, char *err,
	     size_t errlen);
void rest_free(struct rest *rest);

/** rest_follow() - give followers the events that are new. Call after controller_flush(). */
void rest_follow(struct rest *rest);

/* ---- between the parts of the server ----------------------------------------------------- */

/** rest_controller() - the controller behind a handler's ctx. */
struct controller *rest_controller(void *ctx);

/** rest_internal() - a reply for an error of ours. */
int rest_internal(struct controller *c, json_t **reply, int error, const char *what);

/* Backups: state and handlers of rest_backup.c */
struct rest_backup;
int rest_backup_new(struct event_base *base, struct controller *c, struct rest_backup **out);
void rest_backup_free(struct rest_backup *b);
/** rest_backup_of() - the backups behind a handler's ctx. */
struct rest_backup *rest_backup_of(void *ctx);
int rest_backup_post(struct sf_http_req *req, json_t **reply, void *ctx);
int rest_backup_get(struct sf_http_req *req, json_t **reply, void *ctx);

/* Handlers of rest_services.c */
int rest_services(struct sf_http_req *req, json_t **reply, void *ctx);
int rest_service(struct sf_http_req *req, json_t **reply, void *ctx);
int rest_policies(struct sf_http_req *req, json_t **reply, void *ctx);
int rest_policy_get(struct sf_http_req *req, json_t **reply, void *ctx);
int rest_policy_put(struct sf_http_req *req, json_t **reply, void *ctx);
int rest_policy_patch(struct sf_http_req *req, json_t **reply, void *ctx);
int rest_policy_delete(struct sf_http_req *req, json_t **reply, void *ctx);
int rest_weight(struct sf_http_req *req, json_t **reply, void *ctx);
int rest_drain(struct sf_http_req *req, json_t **reply, void *ctx);
int rest_shed(struct sf_http_req *req, json_t **reply, void *ctx);
int rest_undrain(struct sf_http_req *req, json_t **reply, void *ctx);
int rest_names(struct sf_http_req *req, json_t **reply, void *ctx);
int rest_name(struct sf_http_req *req, json_t **reply, void *ctx);
int rest_name_add(struct sf_http_req *req, json_t **reply, void *ctx);

#endif
