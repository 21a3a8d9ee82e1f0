// SPDX-License-Identifier: Apache-2.0
/*
 * httpc.h - client of the daemons' REST servers (http.h), on libcurl.
 *
 * Blocking; for the CLI and for tests. The server's error text
 * ({"error": {"what", "where", "expected"}}) comes back in `err` as "what: where (expected ...)".
 */
#ifndef SF_UTIL_HTTPC_H
#define SF_UTIL_HTTPC_H

#include <stddef.h>
#include <jansson.h>

struct sf_httpc;

struct sf_httpc_opts {
	const char *endpoint; /* "unix:/run/scaffold/agent.sock", "https://[::1]:8443" */
	const char *token;    /* bearer token; NULL: none */
	const char *ca;	      /* PEM file; https only; NULL: the system's */
	const char *cert;     /* own certificate and key, PEM files; NULL: none */
	const char *key;
	unsigned connect_ms; /* 0: 3000 */
	unsigned timeout_ms; /* of a whole call; streams: of connecting only;
			      * 0: 30000 */
};

/**
 * sf_httpc_new() - Make a client; nothing is sent yet.
 *
 * Return: 0, -EINVAL bad endpoint (plain http:// is refused) or file that cannot be read.
 */
int sf_httpc_new(const struct sf_httpc_opts *opts, struct sf_httpc **out, char *err, size_t errlen);

/** sf_httpc_free() - NULL is fine. */
void sf_httpc_free(struct sf_httpc *client);

/**
 * sf_httpc_call() - One request.
 * @method: "GET", "POST", "PUT", "PATCH" or "DELETE".
 * @path: with its query, such as "/v1/services?name=web"; segments escaped (sf_httpc_escape()).
 * @body: JSON to send, stays the caller's; NULL: none.
 * @reply: out: the reply's JSON, the caller's to json_decref(); may be NULL.
 *
 * Return: 0 for status 2xx. For others: 400 -EINVAL, 401 and 403 -EACCES, 404 -ENOENT, 405
 * -EOPNOTSUPP, 409 -EEXIST, 413 -EMSGSIZE, 429 and 503 -EAGAIN, 504 -ETIMEDOUT, else -EREMOTEIO.
 * Without an answer: -ECONNREFUSED nobody listens (also where the socket file is absent),
 * -EACCES no permission on the socket, -ETIMEDOUT, -EKEYREJECTED the server's certificate is not
 * trusted, -EPROTO the answer is not JSON, -EIO.
 */
int sf_httpc_call(struct sf_httpc *client, const char *method, const char *path, const json_t *body,
		  json_t **reply, char *err, size_t errlen);

/* Called for each line; a non-zero return ends the stream. */
typedef int (*sf_httpc_line)(const json_t *line, void *ctx);

/**
 * sf_httpc_stream() - GET a stream of JSON lines until the server or the callback ends it.
 *
 * Return: 0 when the server ended it, what @each returned, or -errno as for sf_httpc_call()
 * (-EPROTO a line that is no JSON, or longer than 1 MiB).
 */
int sf_httpc_stream(struct sf_httpc *client, const char *path, sf_httpc_line each, void *ctx,
		    char *err, size_t errlen);

/**
 * sf_httpc_escape() - Percent-encode one path segment or query value.
 *
 * Return: string to be freed, NULL without memory.
 */
char *sf_httpc_escape(const char *segment);

#endif
