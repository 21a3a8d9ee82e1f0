// SPDX-License-Identifier: Apache-2.0
/* http_route.c - the REST server's route table. See http.h. */
#include "util/http_route.h"

#include <errno.h>
#include <event2/http.h>
#include <stdlib.h>
#include <string.h>

#include "util/errtext.h"

/* One segment of a pattern: from *@at to the next slash, or false at the end. */
static bool next_segment(const char **at, const char **begin, size_t *len)
{
	if (**at != '/')
		return false;
	*begin = *at + 1;
	*len = strcspn(*begin, "/");
	*at = *begin + *len;
	return true;
}

static bool is_param(const char *segment, size_t len)
{
	return len > 2 && segment[0] == '{' && segment[len - 1] == '}';
}

/* How literal a match is: bit by bit from the first segment on; -1: no match. */
static int match(const char *pattern, const struct sf_http_path *path)
{
	const char *segment;
	unsigned n = 0;
	int rank = 0;
	size_t len;

	for (; next_segment(&pattern, &segment, &len); n++) {
		if (n == path->n)
			return -1;
		if (is_param(segment, len)) {
			if (!path->segment[n][0])
				return -1;
		} else if (strlen(path->segment[n]) == len &&
			   !memcmp(path->segment[n], segment, len)) {
			rank |= 1 << (SF_HTTP_SEGMENTS - n);
		} else {
			return -1;
		}
	}
	return n == path->n ? rank : -1;
}

/* Would the two patterns match the same paths with the same rank? */
static bool same_shape(const char *a, const char *b)
{
	const char *sa, *sb;
	size_t la, lb;

	for (;;) {
		bool more = next_segment(&a, &sa, &la);

		if (more != next_segment(&b, &sb, &lb))
			return false;
		if (!more)
			return true;
		if (is_param(sa, la) != is_param(sb, lb))
			return false;
		if (!is_param(sa, la) && (la != lb || memcmp(sa, sb, la) != 0))
			return false;
	}
}

static const char *route_fault(const struct sf_http_route *route)
{
	static const char *const methods[] = { "GET", "POST", "PUT", "PATCH", "DELETE" };
	const char *at = route->path, *segment;
	unsigned n = 0, known = 0;
	size_t len;

	for (unsigned i = 0; i < sizeof(methods) / sizeof(*methods); i++)
		known += !strcmp(route->method, methods[i]);
	if (!known)
		return "expected method GET, POST, PUT, PATCH or DELETE";
	if (!at || *at != '/')
		return "expected a path that begins with a slash";
	for (; next_segment(&at, &segment, &len); n++)
		if (!is_param(segment, len) &&
		    (!len || memchr(segment, '{', len) || memchr(segment, '}', len)))
			return "expected segments that are text or {name}";
	if (n > SF_HTTP_SEGMENTS)
		return "too many segments";
	return route->handle ? NULL : "no handler";
}

int sf_http_routes_check(const struct sf_http_route *routes, char *err, size_t errlen)
{
	for (const struct sf_http_route *route = routes; route->method; route++) {
		const char *fault = route_fault(route);

		for (const struct sf_http_route *other = routes; !fault && other < route; other++)
			if (!strcmp(other->method, route->method) &&
			    same_shape(other->path, route->path))
				fault = "twice in the table";
		if (fault)
			return sf_errtext(err, errlen, -EINVAL, "route %s %s: %s", route->method,
					  route->path ? route->path : "(null)", fault);
	}
	return 0;
}

int sf_http_path_parse(const char *raw, struct sf_http_path *path)
{
	const char *segment;
	size_t len, size;

	*path = (struct sf_http_path){ 0 };
	while (next_segment(&raw, &segment, &len)) {
		char *copy, *decoded;

		if (path->n == SF_HTTP_SEGMENTS)
			goto bad;
		copy = strndup(segment, len);
		decoded = copy ? evhttp_uridecode(copy, 0, &size) : NULL;
		free(copy);
		if (!decoded)
			goto bad;
		path->segment[path->n++] = decoded;
		if (strlen(decoded) != size) /* %00 */
			goto bad;
	}
	if (path->n)
		return 0;
bad:
	sf_http_path_free(path);
	return -EINVAL;
}

void sf_http_path_free(struct sf_http_path *path)
{
	while (path->n)
		free(path->segment[--path->n]);
}

const struct sf_http_route *sf_http_route_find(const struct sf_http_route *routes,
					       const char *method, const struct sf_http_path *path,
					       char *known, size_t len)
{
	const struct sf_http_route *best = NULL;
	int best_rank = -1;
	size_t used = 0;

	known[0] = '\0';
	for (const struct sf_http_route *route = routes; route->method; route++) {
		int rank = match(route->path, path);

		if (rank < 0)
			continue;
		if (!strcmp(route->method, method)) {
			if (rank > best_rank) {
				best_rank = rank;
				best = route;
			}
		} else if (!strstr(known, route->method) && used < len) {
			used += (size_t)snprintf(known + used, len - used, "%s%s", used ? ", " : "",
						 route->method);
		}
	}
	return best;
}

const char *sf_http_route_param(const struct sf_http_route *route, const struct sf_http_path *path,
				const char *name)
{
	const char *at = route->path, *segment;
	size_t len;

	for (unsigned n = 0; n < path->n && next_segment(&at, &segment, &len); n++)
		if (is_param(segment, len) && strlen(name) == len - 2 &&
		    !memcmp(segment + 1, name, len - 2))
			return path->segment[n];
	return NULL;
}

json_t *sf_http_routes_json(const struct sf_http_route *routes)
{
	json_t *list = json_array();

	for (; list && routes->method; routes++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "method", routes->method,
						      "path", routes->path, "help",
						      routes->help ? routes->help : ""));
	return json_pack("{s:o}", "routes", list);
}
