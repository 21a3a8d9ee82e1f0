// SPDX-License-Identifier: Apache-2.0
/*
 * http.c - the REST server of http.h, on libevent's evhttp (RFC 9112).
 *
 * Theory of operation: a request has two objects, evhttp's and ours. While the handler answers at
 * once they live together. A deferred request lives until it is replied to, whatever becomes of
 * its connection:
 *	client goes	evhttp takes its request off the dying connection and leaves it to us; our
 *			connection callback marks the request gone and tells the handler's owner.
 *			The later reply then only frees both.
 *	server goes	sf_http_free() takes evhttp's request away (evhttp frees it with the
 *			connection) and tells the owner; the later reply frees ours.
 * evhttp stops reading while a request is answered; it is switched on again for deferred ones, or
 * nobody would notice that the client has gone.
 */
#include "util/http.h"

#include <errno.h>
#include <grp.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>

#include "util/crypto.h"
#include "util/errtext.h"
#include "util/http_route.h"
#include "util/listen.h"

#define READ_AHEAD   65536 /* what a client may send before its deferred reply */
#define ERROR_DETAIL 200
#define ACCEPTS	     1024 /* a power of two */

struct sf_http {
	struct event_base *base;
	const struct sf_http_route *routes;
	struct sf_http_limits limits;
	void *ctx;
	struct evhttp *local, *tcp;
	struct sf_listener *local_listener, *tcp_listener;
	SSL_CTX *tls;
	uint8_t token_hash[SF_SHA256_LEN];
	uint16_t port;
	/* The last local connections: libevent has no place for what belongs to one. An address
	 * that is used again is entered again, so the last entry is right. */
	struct {
		const struct bufferevent *bev;
		uint64_t ns;
	} accepts[ACCEPTS];
	unsigned int n_accepts;
	LIST_HEAD(sf_http_waiting, sf_http_req) waiting; /* deferred requests and streams */
};

struct sf_http_req {
	LIST_ENTRY(sf_http_req) link;
	struct sf_http *http;	   /* NULL when the server is gone */
	struct evhttp_request *ev; /* NULL when evhttp has freed it */
	const struct sf_http_route *route;
	struct sf_http_path path;
	struct evkeyvalq query;
	json_t *body;
	const char *method;
	char *raw_path;
	struct sf_http_peer peer;
	void (*on_gone)(struct sf_http_req *req, void *ctx);
	void *gone_ctx;
	bool in_handler; /* on the stack of on_request(), which frees it if it has ended */
	bool ended;
	bool linked;  /* in http->waiting */
	bool gone;    /* no client any more */
	bool dropped; /* stream: the client did not read */
};

/* ---- replies ---------------------------------------------------------------------------- */

static const char *reason_of(int status)
{
	static const struct {
		int status;
		const char *reason;
	} reasons[] = {
		{ 200, "OK" },
		{ 201, "Created" },
		{ 202, "Accepted" },
		{ 204, "No Content" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 409, "Conflict" },
		{ 413, "Content Too Large" },
		{ 429, "Too Many Requests" },
		{ 500, "Internal Server Error" },
		{ 501, "Not Implemented" },
		{ 502, "Bad Gateway" },
		{ 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return status < 400 ? "OK" : "Error";
}

static void req_destroy(struct sf_http_req *req)
{
	sf_http_path_free(&req->path);
	evhttp_clear_headers(&req->query);
	json_decref(req->body);
	free(req->raw_path);
	free(req);
}

static struct bufferevent *req_bev(const struct sf_http_req *req)
{
	struct evhttp_connection *conn = req->ev ? evhttp_request_get_connection(req->ev) : NULL;

	return conn ? evhttp_connection_get_bufferevent(conn) : NULL;
}

/* The request is over for its owner: what follows is between evhttp and the client. */
static void req_end(struct sf_http_req *req)
{
	if (req->linked)
		LIST_REMOVE(req, link);
	req->linked = false;
	req->ended = true;
	if (!req->in_handler)
		req_destroy(req);
}

/* Undoes req_defer() before the reply, so that the connection serves its next request. */
static void req_undefer(struct sf_http_req *req)
{
	struct bufferevent *bev = req_bev(req);
	struct timeval idle;

	if (!bev || !req->http)
		return;
	idle = (struct timeval){ .tv_sec = req->http->limits.idle_seconds };
	evhttp_connection_set_closecb(evhttp_request_get_connection(req->ev), NULL, NULL);
	bufferevent_set_timeouts(bev, &idle, &idle);
}

static int req_reply(struct sf_http_req *req, int status, const char *type, struct evbuffer *body)
{
	int rc = req->gone ? -EPIPE : 0;

	if (req->ev) {
		req_undefer(req);
		evhttp_add_header(evhttp_request_get_output_headers(req->ev), "Content-Type", type);
		evhttp_add_header(evhttp_request_get_output_headers(req->ev), "Cache-Control",
				  "no-store");
		/* Frees evhttp's request if its connection is gone. */
		evhttp_send_reply(req->ev, status, reason_of(status), body);
		req->ev = NULL;
	}
	req_end(req);
	return rc;
}

/* Adds one line of JSON. */
static int add_json(struct evbuffer *buf, const json_t *json)
{
	char *text = json_dumps(json, JSON_COMPACT);
	int rc = text && !evbuffer_add(buf, text, strlen(text)) && !evbuffer_add(buf, "\n", 1);

	free(text);
	return rc ? 0 : -ENOMEM;
}

int sf_http_reply(struct sf_http_req *req, int status, json_t *body)
{
	struct evbuffer *buf = evbuffer_new();
	int rc;

	if (!buf || (body ? add_json(buf, body) : evbuffer_add(buf, "{}\n", 3))) {
		/* Not to be put into JSON (no memory, or text that is not UTF-8). */
		static const char sorry[] =
			"{\"error\":{\"what\":\"the reply cannot be written as JSON\"}}\n";

		status = 500;
		if (buf) {
			evbuffer_drain(buf, evbuffer_get_length(buf));
			evbuffer_add(buf, sorry, sizeof(sorry) - 1);
		}
	}
	json_decref(body);
	rc = req_reply(req, status, "application/json", buf);
	if (buf)
		evbuffer_free(buf);
	return rc;
}

int sf_http_reply_text(struct sf_http_req *req, int status, const char *type, const char *text,
		       size_t len)
{
	struct evbuffer *buf = evbuffer_new();
	int rc;

	if (!buf || evbuffer_add(buf, text, len))
		status = 500;
	rc = req_reply(req, status, type ? type : "text/plain; charset=utf-8", buf);
	if (buf)
		evbuffer_free(buf);
	return rc;
}

int sf_http_fail(json_t **reply, int status, const char *what, const char *where,
		 const char *expected)
{
	json_decref(*reply);
	*reply = json_pack("{s:{s:s, s:s*, s:s*}}", "error", "what", what, "where", where,
			   "expected", expected);
	if (!*reply) /* text that is not UTF-8, most likely out of the request */
		*reply = json_pack("{s:{s:s}}", "error", "what", "not UTF-8");
	return status;
}

/* ---- streams ---------------------------------------------------------------------------- */

void sf_http_on_gone(struct sf_http_req *req, void (*gone)(struct sf_http_req *req, void *ctx),
		     void *ctx)
{
	req->on_gone = gone;
	req->gone_ctx = ctx;
}

int sf_http_stream_start(struct sf_http_req *req)
{
	struct evkeyvalq *headers;

	if (req->gone || !req->ev)
		return -EPIPE;
	headers = evhttp_request_get_output_headers(req->ev);
	evhttp_add_header(headers, "Content-Type", "application/x-ndjson");
	evhttp_add_header(headers, "Cache-Control", "no-store");
	evhttp_send_reply_start(req->ev, 200, reason_of(200));
	return 0;
}

int sf_http_stream_send(struct sf_http_req *req, const json_t *line)
{
	struct bufferevent *bev = req_bev(req);
	struct evbuffer *buf;
	size_t queued;
	int rc;

	if (req->gone || req->dropped || !bev)
		return -EPIPE;
	buf = evbuffer_new();
	if (!buf)
		return -ENOMEM;
	rc = add_json(buf, line);
	queued = evbuffer_get_length(bufferevent_get_output(bev));
	if (!rc && queued + evbuffer_get_length(buf) > req->http->limits.backlog) {
		/* evhttp notices in the next turn of the loop, as with any broken connection. */
		req->dropped = true;
		shutdown(bufferevent_getfd(bev), SHUT_RDWR);
		rc = -ENOBUFS;
	}
	if (!rc)
		evhttp_send_reply_chunk(req->ev, buf);
	evbuffer_free(buf);
	return rc;
}

void sf_http_stream_end(struct sf_http_req *req)
{
	if (req->ev) {
		req_undefer(req);
		evhttp_send_reply_end(req->ev); /* frees it if its connection is gone */
		req->ev = NULL;
	}
	req_end(req);
}

/* ---- what the request says -------------------------------------------------------------- */

const char *sf_http_param(const struct sf_http_req *req, const char *name)
{
	return req->route ? sf_http_route_param(req->route, &req->path, name) : NULL;
}

const char *sf_http_query(const struct sf_http_req *req, const char *name)
{
	return evhttp_find_header(&req->query, name);
}

int sf_http_query_number(const struct sf_http_req *req, const char *name, uint64_t max,
			 uint64_t def, uint64_t *out, json_t **reply)
{
	const char *text = sf_http_query(req, name);
	unsigned long long n;
	char expected[64];
	char *end;

	*out = def;
	if (!text)
		return 0;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || n > max) {
		snprintf(expected, sizeof(expected), "an integer from 0 to %llu",
			 (unsigned long long)max);
		return sf_http_fail(reply, 400, "bad query parameter", name, expected);
	}
	*out = n;
	return 0;
}

json_t *sf_http_body(const struct sf_http_req *req)
{
	return req->body;
}

const struct sf_http_peer *sf_http_peer(const struct sf_http_req *req)
{
	return &req->peer;
}

/* ---- a request's way -------------------------------------------------------------------- */

static const char *method_name(enum evhttp_cmd_type type)
{
	switch (type) {
	case EVHTTP_REQ_GET:
		return "GET";
	case EVHTTP_REQ_POST:
		return "POST";
	case EVHTTP_REQ_PUT:
		return "PUT";
	case EVHTTP_REQ_PATCH:
		return "PATCH";
	case EVHTTP_REQ_DELETE:
		return "DELETE";
	default:
		return "another";
	}
}

/* When it was accepted; 0 for one that so many came after that we no longer know. */
static uint64_t accepted_ns(const struct sf_http *http, const struct bufferevent *bev)
{
	for (unsigned int i = 1; i <= ACCEPTS; i++) {
		unsigned int at = (http->n_accepts - i) % ACCEPTS;

		if (http->accepts[at].bev == bev)
			return http->accepts[at].ns;
	}
	return 0;
}

static int peer_read(struct sf_http_req *req, bool local)
{
	struct evhttp_connection *conn = evhttp_request_get_connection(req->ev);
	struct bufferevent *bev = evhttp_connection_get_bufferevent(conn);
	struct sf_http_peer *peer = &req->peer;
	struct ucred cred;
	socklen_t len = sizeof(cred);
	char *address;
	uint16_t port;

	peer->local = local;
	if (local) {
		if (getsockopt(bufferevent_getfd(bev), SOL_SOCKET, SO_PEERCRED, &cred, &len))
			return -errno;
		peer->uid = cred.uid;
		peer->gid = cred.gid;
		peer->pid = cred.pid;
		peer->fd = bufferevent_getfd(bev);
		peer->since_ns = accepted_ns(req->http, bev);
		snprintf(peer->address, sizeof(peer->address), "uid %u pid %d", cred.uid, cred.pid);
		return 0;
	}
	peer->uid = (uid_t)-1;
	peer->gid = (gid_t)-1;
	evhttp_connection_get_peer(conn, &address, &port);
	snprintf(peer->address, sizeof(peer->address), "[%s]:%u", address, port);
	return 0;
}

/* By TCP only with TLS and the token. Returns 0 or the HTTP status. */
static int check_token(struct sf_http_req *req, json_t **reply)
{
	struct evkeyvalq *headers = evhttp_request_get_input_headers(req->ev);
	const char *found = evhttp_find_header(headers, "Authorization");
	uint8_t hash[SF_SHA256_LEN];

	/* evhttp falls back to a plain connection where it cannot make the one that it should. */
	if (!bufferevent_openssl_get_ssl(req_bev(req)))
		return sf_http_fail(reply, 500, "no TLS on this connection", NULL, NULL);
	if (found && !strncasecmp(found, "Bearer ", 7) &&
	    !sf_sha256(NULL, found + 7, strlen(found + 7), hash) &&
	    sf_equal(hash, req->http->token_hash, sizeof(hash)))
		return 0;
	evhttp_add_header(evhttp_request_get_output_headers(req->ev), "WWW-Authenticate", "Bearer");
	return sf_http_fail(reply, 401, found ? "wrong token" : "no token", "Authorization",
			    "Bearer TOKEN");
}

static int parse_body(struct sf_http_req *req, json_t **reply)
{
	struct evbuffer *in = evhttp_request_get_input_buffer(req->ev);
	size_t len = evbuffer_get_length(in);
	char where[64];
	json_error_t error;
	const char *text;

	if (!len)
		return 0;
	text = (const char *)evbuffer_pullup(in, -1);
	req->body = text ? json_loadb(text, len, JSON_REJECT_DUPLICATES, &error) : NULL;
	if (req->body)
		return 0;
	snprintf(where, sizeof(where), "body, line %d column %d", text ? error.line : 0,
		 text ? error.column : 0);
	return sf_http_fail(reply, 400, "malformed JSON", where,
			    text ? error.text : "a body that fits the memory");
}

static int answer_routes(struct sf_http_req *req, json_t **reply)
{
	*reply = sf_http_routes_json(req->http->routes);
	return 200;
}

/* Everything before the handler. Returns 0 (go on), or a status with @reply. */
static int req_prepare(struct sf_http_req *req, bool local, json_t **reply)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req->ev);
	const char *raw = evhttp_uri_get_path(uri), *query = evhttp_uri_get_query(uri);
	char known[64];
	int status;

	req->method = method_name(evhttp_request_get_command(req->ev));
	req->raw_path = strdup(raw ? raw : "");
	if (!req->raw_path || peer_read(req, local))
		return sf_http_fail(reply, 500, "no memory", NULL, NULL);
	if (!local) {
		status = check_token(req, reply);
		if (status)
			return status;
	}
	if (sf_http_path_parse(req->raw_path, &req->path))
		return sf_http_fail(reply, 400, "malformed path", NULL,
				    "at most 16 segments without %00");
	if (query && evhttp_parse_query_str(query, &req->query))
		return sf_http_fail(reply, 400, "malformed query", NULL, "name=value&name=value");
	req->route = sf_http_route_find(req->http->routes, req->method, &req->path, known,
					sizeof(known));
	if (!req->route && !strcmp(req->raw_path, "/v1/routes") && !strcmp(req->method, "GET"))
		return answer_routes(req, reply);
	if (!req->route && known[0]) {
		evhttp_add_header(evhttp_request_get_output_headers(req->ev), "Allow", known);
		return sf_http_fail(reply, 405, "method not allowed here", req->raw_path, known);
	}
	if (!req->route)
		return sf_http_fail(reply, 404, "no such path", req->raw_path,
				    "a path of GET /v1/routes");
	return parse_body(req, reply);
}

/* Tells the owner, once. It may end the request. */
static void req_gone(struct sf_http_req *req)
{
	if (req->gone)
		return;
	req->gone = true;
	if (req->on_gone)
		req->on_gone(req, req->gone_ctx);
}

/* The client went before its deferred reply. evhttp has left its request to us. */
static void on_conn_closed(struct evhttp_connection *conn, void *arg)
{
	(void)conn;
	req_gone(arg);
}

static void req_defer(struct sf_http_req *req)
{
	struct sf_http *http = req->http;
	const struct timeval idle = { .tv_sec = http->limits.idle_seconds };
	struct bufferevent *bev = req_bev(req);
	bufferevent_data_cb write_cb;
	bufferevent_event_cb event_cb;
	void *arg;

	if (!bev)
		return;
	LIST_INSERT_HEAD(&http->waiting, req, link);
	req->linked = true;
	evhttp_connection_set_closecb(evhttp_request_get_connection(req->ev), on_conn_closed, req);
	/* Read for the end of the connection's sake; evhttp must not see data of a next request
	 * yet, and the answer may take longer than an idle connection may last. */
	bufferevent_getcb(bev, NULL, &write_cb, &event_cb, &arg);
	bufferevent_setcb(bev, NULL, write_cb, event_cb, arg);
	bufferevent_setwatermark(bev, EV_READ, 0, READ_AHEAD);
	bufferevent_set_timeouts(bev, NULL, &idle);
	bufferevent_enable(bev, EV_READ);
}

static void serve(struct sf_http *http, struct evhttp_request *ev, bool local)
{
	struct sf_http_req *req = calloc(1, sizeof(*req));
	json_t *reply = NULL;
	int status;

	if (!req) {
		evhttp_send_error(ev, 500, NULL);
		return;
	}
	req->http = http;
	req->ev = ev;
	TAILQ_INIT(&req->query);
	req->in_handler = true;
	status = req_prepare(req, local, &reply);
	if (!status)
		status = req->route->handle(req, &reply, http->ctx);
	req->in_handler = false;
	if (req->ended) {
		json_decref(reply);
		req_destroy(req);
	} else if (status == SF_HTTP_LATER) {
		json_decref(reply);
		req_defer(req);
	} else {
		sf_http_reply(req, status, reply);
	}
}

static void on_local(struct evhttp_request *ev, void *arg)
{
	serve(arg, ev, true);
}

static void on_tcp(struct evhttp_request *ev, void *arg)
{
	serve(arg, ev, false);
}

/* ---- the server ------------------------------------------------------------------------- */

int sf_http_new(struct event_base *base, const struct sf_http_route *routes,
		const struct sf_http_limits *limits, void *ctx, struct sf_http **out, char *err,
		size_t errlen)
{
	struct sf_http *http;
	int rc = sf_http_routes_check(routes, err, errlen);

	if (rc)
		return rc;
	http = calloc(1, sizeof(*http));
	if (!http)
		return sf_errtext(err, errlen, -ENOMEM, "REST server: no memory");
	http->base = base;
	http->routes = routes;
	http->ctx = ctx;
	if (limits)
		http->limits = *limits;
	if (!http->limits.body)
		http->limits.body = 1 << 20;
	if (!http->limits.headers)
		http->limits.headers = 16384;
	if (!http->limits.backlog)
		http->limits.backlog = 1 << 20;
	if (!http->limits.idle_seconds)
		http->limits.idle_seconds = 30;
	LIST_INIT(&http->waiting);
	signal(SIGPIPE, SIG_IGN); /* a client that goes must not end the daemon */
	*out = http;
	return 0;
}

static struct evhttp *evhttp_make(struct sf_http *http,
				  void (*serve_cb)(struct evhttp_request *, void *))
{
	struct evhttp *ev = evhttp_new(http->base);

	if (!ev)
		return NULL;
	/* Methods that no route can have come through too, to be told so in JSON. */
	evhttp_set_allowed_methods(ev, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_PUT |
					       EVHTTP_REQ_DELETE | EVHTTP_REQ_PATCH |
					       EVHTTP_REQ_HEAD | EVHTTP_REQ_OPTIONS);
	evhttp_set_max_body_size(ev, (ev_ssize_t)http->limits.body);
	evhttp_set_max_headers_size(ev, (ev_ssize_t)http->limits.headers);
	evhttp_set_timeout(ev, (int)http->limits.idle_seconds);
	evhttp_set_default_content_type(ev, NULL);
	/* A body that is too large is read away, or its sender would not see the 413. */
	evhttp_set_flags(ev, EVHTTP_SERVER_LINGERING_CLOSE);
	evhttp_set_gencb(ev, serve_cb, http);
	return ev;
}

static struct bufferevent *local_connection(struct event_base *base, void *arg)
{
	struct sf_http *http = arg;
	struct bufferevent *bev = bufferevent_socket_new(base, -1, 0);
	unsigned int at = http->n_accepts++ % ACCEPTS;
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	http->accepts[at].bev = bev;
	http->accepts[at].ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	return bev;
}

const char *sf_http_group(const char *name)
{
	const struct group *gr = *name && !strcmp(name, SF_SOCKET_GROUP) ? getgrnam(name) : NULL;

	if (!*name)
		return NULL;
	if (strcmp(name, SF_SOCKET_GROUP) != 0)
		return name;
	return gr && (!geteuid() || group_member(gr->gr_gid)) ? name : NULL;
}

int sf_http_listen_unix(struct sf_http *http, const char *path, mode_t mode, const char *group,
			char *err, size_t errlen)
{
	struct sf_listener *listener;
	struct evhttp *ev;
	int rc;

	if (http->local)
		return sf_errtext(err, errlen, -EALREADY, "%s: listens on a Unix socket already",
				  path);
	ev = evhttp_make(http, on_local);
	if (!ev)
		return sf_errtext(err, errlen, -ENOMEM, "%s: no memory", path);
	evhttp_set_bevcb(ev, local_connection, http);
	rc = sf_listener_unix(http->base, path, mode, group, &listener, err, errlen);
	if (rc) {
		evhttp_free(ev);
		return rc;
	}
	if (!evhttp_bind_listener(ev, sf_listener_ev(listener))) {
		sf_listener_free(listener);
		evhttp_free(ev);
		return sf_errtext(err, errlen, -ENOMEM, "%s: no memory", path);
	}
	http->local = ev;
	http->local_listener = listener;
	return 0;
}

static struct bufferevent *tls_connection(struct event_base *base, void *arg)
{
	struct sf_http *http = arg;
	SSL *ssl = SSL_new(http->tls);
	struct bufferevent *bev;

	if (!ssl)
		return NULL;
	bev = bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING,
					     BEV_OPT_CLOSE_ON_FREE);
	if (bev)
		bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
	else
		SSL_free(ssl);
	return bev;
}

int sf_http_listen_tcp(struct sf_http *http, const char *address, SSL_CTX *tls, const char *token,
		       char *err, size_t errlen)
{
	struct sf_listener *listener;
	struct evhttp *ev;
	int rc;

	if (http->tcp)
		return sf_errtext(err, errlen, -EALREADY, "%s: listens on TCP already", address);
	if (!tls)
		return sf_errtext(err, errlen, -EINVAL,
				  "%s: REST over TCP needs a TLS certificate and key", address);
	if (!token || strlen(token) < SF_HTTP_TOKEN_MIN)
		return sf_errtext(err, errlen, -EINVAL,
				  "%s: REST over TCP needs a token of at least %d characters",
				  address, SF_HTTP_TOKEN_MIN);
	if (sf_sha256(NULL, token, strlen(token), http->token_hash))
		return sf_errtext(err, errlen, -EIO, "%s: SHA-256 failed", address);
	ev = evhttp_make(http, on_tcp);
	if (!ev)
		return sf_errtext(err, errlen, -ENOMEM, "%s: no memory", address);
	rc = sf_listener_tcp(http->base, address, &listener, &http->port, err, errlen);
	if (rc) {
		evhttp_free(ev);
		return rc;
	}
	http->tls = tls;
	evhttp_set_bevcb(ev, tls_connection, http);
	if (!evhttp_bind_listener(ev, sf_listener_ev(listener))) {
		sf_listener_free(listener);
		evhttp_free(ev);
		return sf_errtext(err, errlen, -ENOMEM, "%s: no memory", address);
	}
	http->tcp = ev;
	http->tcp_listener = listener;
	return 0;
}

uint16_t sf_http_port(const struct sf_http *http)
{
	return http->port;
}

void sf_http_free(struct sf_http *http)
{
	struct sf_http_req *req;

	if (!http)
		return;
	LIST_FOREACH(req, &http->waiting, link)
	{
		if (req->gone) /* evhttp has left it to us */
			evhttp_send_reply_end(req->ev);
		else
			evhttp_connection_set_closecb(evhttp_request_get_connection(req->ev), NULL,
						      NULL);
		req->ev = NULL;
	}
	sf_listener_release(http->local_listener);
	sf_listener_release(http->tcp_listener);
	if (http->local)
		evhttp_free(http->local);
	if (http->tcp)
		evhttp_free(http->tcp);
	/* An owner that is told may end any of its requests. */
	while ((req = LIST_FIRST(&http->waiting))) {
		LIST_REMOVE(req, link);
		req->linked = false;
		req->http = NULL;
		req_gone(req);
	}
	free(http);
}
