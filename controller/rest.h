// SPDX-License-Identifier: Apache-2.0
/* rest.h - the controller's REST server. docs/api.md is its reference. */
#ifndef SF_CONTROLLER_REST_H
#define SF_CONTROLLER_REST_H

#include "controller/ctl.h"
#include "util/http.h"

struct event_base;
struct ctl_rest;

/**
 * ctl_rest_new() - serve RUN/controller.sock, and TCP where the configuration says so.
 * Return: 0 or a negative errno; @err names what was in the way.
 */
int ctl_rest_new(struct event_base *base, struct ctl *c, struct ctl_rest **out, char *err,
		 size_t errlen);
void ctl_rest_free(struct ctl_rest *rest);

/** ctl_rest_follow() - give followers the events that are new. Call after ctl_flush(). */
void ctl_rest_follow(struct ctl_rest *rest);

/* ---- between the parts of the server ----------------------------------------------------- */

/** ctl_rest_ctl() - the controller behind a handler's ctx. */
struct ctl *ctl_rest_ctl(void *ctx);

/** ctl_rest_internal() - a reply for an error of ours. */
int ctl_rest_internal(struct ctl *c, json_t **reply, int error, const char *what);

/* Backups: state and handlers of rest_backup.c */
struct ctl_rest_backup;
int ctl_rest_backup_new(struct event_base *base, struct ctl *c, struct ctl_rest_backup **out);
void ctl_rest_backup_free(struct ctl_rest_backup *b);
/** ctl_rest_backup_of() - the backups behind a handler's ctx. */
struct ctl_rest_backup *ctl_rest_backup_of(void *ctx);
int ctl_rest_backup_post(struct sf_http_req *req, json_t **reply, void *ctx);
int ctl_rest_backup_get(struct sf_http_req *req, json_t **reply, void *ctx);

/* Handlers of rest_services.c */
int ctl_rest_services(struct sf_http_req *req, json_t **reply, void *ctx);
int ctl_rest_service(struct sf_http_req *req, json_t **reply, void *ctx);
int ctl_rest_policies(struct sf_http_req *req, json_t **reply, void *ctx);
int ctl_rest_policy_get(struct sf_http_req *req, json_t **reply, void *ctx);
int ctl_rest_policy_put(struct sf_http_req *req, json_t **reply, void *ctx);
int ctl_rest_policy_patch(struct sf_http_req *req, json_t **reply, void *ctx);
int ctl_rest_policy_delete(struct sf_http_req *req, json_t **reply, void *ctx);
int ctl_rest_weight(struct sf_http_req *req, json_t **reply, void *ctx);
int ctl_rest_drain(struct sf_http_req *req, json_t **reply, void *ctx);
int ctl_rest_undrain(struct sf_http_req *req, json_t **reply, void *ctx);
int ctl_rest_names(struct sf_http_req *req, json_t **reply, void *ctx);
int ctl_rest_name(struct sf_http_req *req, json_t **reply, void *ctx);
int ctl_rest_name_add(struct sf_http_req *req, json_t **reply, void *ctx);

#endif
