// SPDX-License-Identifier: Apache-2.0
/*
 * http.h - the local REST server of every daemon, on libevent's evhttp.
 *
 * A daemon makes one server with a table of routes, and lets it listen on a Unix socket (whose
 * mode and group say who may use it; the handler sees the peer's uid), and if asked to on TCP,
 * then always with TLS and a bearer token. Bodies and replies are JSON; errors are
 *	{"error": {"what": "...", "where": "...", "expected": "..."}}
 * A handler runs in the event loop, so it answers at once, or later (deferred), or as a stream of
 * one JSON object a line. What a client does not read is buffered up to a limit and then dropped
 * with the connection: no client can block the loop or grow it without bound. (What is no HTTP, or
 * too large, is refused before it gets here: by evhttp, as 400 or 413 with a page of HTML.)
 *
 * Use has a side effect: SIGPIPE is ignored from sf_http_new() on.
 *
 * `GET /v1/routes` is answered by the server itself: every route with its help.
 *
 * Every function returns 0 or a negative errno; `err`/`errlen` receive one line of text on
 * failure (err may be NULL with errlen 0).
 */
#ifndef SF_UTIL_HTTP_H
#define SF_UTIL_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <jansson.h>

struct event_base;
struct sf_http;
struct sf_http_req;
typedef struct ssl_ctx_st SSL_CTX;

/* What a handler returns instead of a status when the reply was or will be given by one of the
 * sf_http_reply*() or sf_http_stream*() functions. */
#define SF_HTTP_LATER 0

/**
 * sf_http_handler - Answers one request.
 * @req: valid until the handler returns, or, if that returns SF_HTTP_LATER, until it is replied to.
 * @reply: may be set to the reply's body, whose reference the server takes; NULL: "{}".
 * @ctx: of sf_http_new().
 *
 * Return: HTTP status (200, 404, ...; see sf_http_fail()), or SF_HTTP_LATER.
 */
typedef int (*sf_http_handler)(struct sf_http_req *req, json_t **reply, void *ctx);

struct sf_http_route {
	const char *method; /* "GET", "POST", "PUT", "PATCH" or "DELETE" */
	const char *path;   /* "/v1/things/{name}": {name} matches one segment, not empty */
	sf_http_handler handle;
	const char *help; /* one line for GET /v1/routes */
};

/* Zero means the default. */
struct sf_http_limits {
	size_t body;	       /* bytes of a request's body; 1 MiB */
	size_t headers;	       /* bytes of its headers; 16 KiB */
	size_t backlog;	       /* bytes a stream's client may leave unread; 1 MiB */
	unsigned idle_seconds; /* without progress, also of a slow request; 30 */
};

/**
 * sf_http_new() - Make a server that does not listen yet.
 * @routes: table that ends with a zeroed entry; must live as long as the server. A literal
 *          segment wins over {name} where both match.
 * @limits: NULL: defaults.
 * @ctx: for the handlers.
 *
 * Return: 0, -EINVAL bad route (@err names it), -ENOMEM.
 */
int sf_http_new(struct event_base *base, const struct sf_http_route *routes,
		const struct sf_http_limits *limits, void *ctx, struct sf_http **out, char *err,
		size_t errlen);

/**
 * sf_http_listen_unix() - Listen on a Unix socket.
 * @path: its file; the directory must exist.
 * @mode: permission bits, such as 0660.
 * @group: owner group by name, or NULL to leave it.
 *
 * A socket file that nobody serves any more is replaced. Return: 0; -EADDRINUSE if a live
 * process serves it; -EEXIST if the file is no socket; -ENAMETOOLONG; -EINVAL unknown group; ...
 */
int sf_http_listen_unix(struct sf_http *http, const char *path, mode_t mode, const char *group,
			char *err, size_t errlen);

#define SF_HTTP_TOKEN_MIN 16	     /* characters of a bearer token */
#define SF_SOCKET_GROUP	  "scaffold" /* who may use daemons' sockets besides root, by default */

/**
 * sf_http_group() - what a configured group means for sf_http_listen_unix(): NULL for "", and for
 * SF_SOCKET_GROUP where there is no such group, or we may not give it (neither root nor in it).
 */
const char *sf_http_group(const char *name);

/**
 * sf_http_listen_tcp() - Listen on TCP with TLS; requests need "Authorization: Bearer TOKEN".
 * @address: "[::]:8443", "192.0.2.1:8443"; port 0 picks one.
 * @tls: of sf_tls_server(); stays the caller's and must outlive the server. Required.
 * @token: at least 16 characters. Required.
 *
 * Return: 0; -EINVAL bad address, no TLS, no or short token; -EADDRINUSE; ...
 */
int sf_http_listen_tcp(struct sf_http *http, const char *address, SSL_CTX *tls, const char *token,
		       char *err, size_t errlen);

/** sf_http_port() - The TCP port listened on, 0 if none. */
uint16_t sf_http_port(const struct sf_http *http);

/**
 * sf_http_free() - Close all, tell requests that still wait (on_gone), remove the socket file if
 * it is still ours. NULL is fine. A request not replied to stays valid until it is. Not from within
 * a handler.
 */
void sf_http_free(struct sf_http *http);

/* ---- what the request says -------------------------------------------------------------- */

/** sf_http_param() - Path parameter, decoded; NULL if the route has no such {name}. */
const char *sf_http_param(const struct sf_http_req *req, const char *name);

/** sf_http_query() - Query parameter (?name=value), decoded; NULL if absent. */
const char *sf_http_query(const struct sf_http_req *req, const char *name);

/**
 * sf_http_query_number() - Query parameter that is a number from 0 to @max.
 * @out: @def if it is absent.
 *
 * Return: 0, or a status with @reply that names the parameter.
 */
int sf_http_query_number(const struct sf_http_req *req, const char *name, uint64_t max,
			 uint64_t def, uint64_t *out, json_t **reply);

/** sf_http_body() - The body as JSON, the server's; NULL if there was none. */
json_t *sf_http_body(const struct sf_http_req *req);

struct sf_http_peer {
	bool local; /* by the Unix socket: the next three are its process's, by the kernel's word */
	uid_t uid;
	gid_t gid;
	pid_t pid; /* may be another's by now: of who connected */
	int fd;	   /* local: the connection, to ask the kernel for more; stays the server's */
	uint64_t since_ns; /* local: CLOCK_BOOTTIME when it was accepted; 0: unknown */
	char address[64];  /* TCP: "[2001:db8::1]:40000"; local: "uid N pid N" */
};

/** sf_http_peer() - Who asks. */
const struct sf_http_peer *sf_http_peer(const struct sf_http_req *req);

/* ---- replies ---------------------------------------------------------------------------- */

/**
 * sf_http_fail() - Build an error reply; use as `return sf_http_fail(reply, 404, ...)`.
 * @what: what is wrong: "no such service".
 * @where: with which thing or field: "weight"; NULL: left out.
 * @expected: what would have been right: "an integer from 0 to 65535"; NULL: left out.
 *
 * Return: @status.
 */
int sf_http_fail(json_t **reply, int status, const char *what, const char *where,
		 const char *expected);

/**
 * sf_http_reply() - Reply to a deferred request. Ends @req.
 * @body: the server takes the reference; NULL: "{}".
 *
 * Return: 0, or -EPIPE if the client has gone meanwhile (@req is ended and @body freed anyway).
 */
int sf_http_reply(struct sf_http_req *req, int status, json_t *body);

/**
 * sf_http_reply_text() - Reply with text, such as metrics. Ends @req. Also from within a handler,
 * which then returns SF_HTTP_LATER.
 * @type: "text/plain; version=0.0.4"; NULL: "text/plain; charset=utf-8".
 */
int sf_http_reply_text(struct sf_http_req *req, int status, const char *type, const char *text,
		       size_t len);

/**
 * sf_http_on_gone() - Be told when the client goes away before its deferred reply or its stream
 * ended. @gone may end @req by a reply; it is not ended otherwise: the caller still has to.
 */
void sf_http_on_gone(struct sf_http_req *req, void (*gone)(struct sf_http_req *req, void *ctx),
		     void *ctx);

/**
 * sf_http_stream_start() - Begin a reply of many lines, type application/x-ndjson.
 *
 * Return: 0, or -EPIPE if the client is gone. End it with sf_http_stream_end() in either case.
 */
int sf_http_stream_start(struct sf_http_req *req);

/**
 * sf_http_stream_send() - Send one object as a line; @line stays the caller's.
 *
 * Return: 0; -EPIPE if the client is gone; -ENOBUFS if it left more than the limit unread: its
 * connection is closed then, and later calls give -EPIPE.
 */
int sf_http_stream_send(struct sf_http_req *req, const json_t *line);

/** sf_http_stream_end() - End the stream and @req. */
void sf_http_stream_end(struct sf_http_req *req);

#endif
