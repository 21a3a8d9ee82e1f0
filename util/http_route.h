// SPDX-License-Identifier: Apache-2.0
/* http_route.h - which route a path takes; between http.c and http_route.c only. */
#ifndef SF_UTIL_HTTP_ROUTE_H
#define SF_UTIL_HTTP_ROUTE_H

#include "util/http.h"

#define SF_HTTP_SEGMENTS 16 /* segments of a path, at most */

/* A request's path, taken apart. */
struct sf_http_path {
	unsigned n;
	char *segment[SF_HTTP_SEGMENTS]; /* decoded; to be freed */
};

/**
 * sf_http_routes_check() - Is the table sound? Return: 0 or -EINVAL, and why.
 */
int sf_http_routes_check(const struct sf_http_route *routes, char *err, size_t errlen);

/**
 * sf_http_path_parse() - Split and decode. Return: 0; -EINVAL bad escape, NUL or too many segments.
 */
int sf_http_path_parse(const char *raw, struct sf_http_path *path);

void sf_http_path_free(struct sf_http_path *path);

/**
 * sf_http_route_find() - The route for method and path, the most literal one.
 * @known: set to the methods that the path has ("GET, PUT") if the method is not among them.
 *
 * Return: the route, or NULL with @known "" where no route has the path.
 */
const struct sf_http_route *sf_http_route_find(const struct sf_http_route *routes,
					       const char *method, const struct sf_http_path *path,
					       char *known, size_t len);

/**
 * sf_http_route_param() - The segment that stands where the route has {@name}, or NULL.
 */
const char *sf_http_route_param(const struct sf_http_route *route, const struct sf_http_path *path,
				const char *name);

/** sf_http_routes_json() - The whole table with its help. */
json_t *sf_http_routes_json(const struct sf_http_route *routes);

#endif
