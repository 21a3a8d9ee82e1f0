// SPDX-License-Identifier: Apache-2.0
/*
 * channel.c - see channel.h.
 *
 * Theory of operation. A channel is in one of these states:
 *	DOWN	   no connection; the connecting side has its retry timer running
 *	CONNECTING TCP and TLS are under way
 *	GREETING   our first frame is sent, the peer's is awaited
 *	OPEN	   the user has been told; sending is allowed
 * Every way down goes through channel_down(), which frees the connection, tells the user what it
 * has been promised, and begins the retry or ends the object.
 * User callbacks may close or free the channel that they are called for: channel_enter() and
 * channel_leave() bracket them, and the object is freed by the last leave.
 * One timer per connection does keep-alive and silence: bytes heard and sent only note the time,
 * which costs less than moving a timer for each frame.
 */
#include "util/channel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <event2/util.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/crypto.h"
#include "util/errtext.h"
#include "util/listen.h"

#define HEADER_LEN 4u
#define READ_HIGH  (4ul * (HEADER_LEN + SF_CHANNEL_FRAME_MAX)) /* bytes read ahead of the user */
#define EARLY_MS   2000 /* for a connection from a link-local address to what is further away */

enum state { DOWN, CONNECTING, GREETING, OPEN };

struct sf_channel_server {
	struct event_base *base;
	struct sf_listener *listener;
	struct sf_channel_opts opts;
	const struct sf_channel_ops *ops;
	void *ctx;
	uint16_t port;
	unsigned peers;
	LIST_HEAD(sf_channel_list, sf_channel) channels;
};

struct sf_channel {
	LIST_ENTRY(sf_channel) link;
	struct sf_channel_server *server; /* NULL: connecting side */
	struct event_base *base;
	struct sf_channel_opts opts;
	const struct sf_channel_ops *ops;
	void *ctx;
	enum state state;
	struct bufferevent *bev; /* NULL when DOWN */
	struct event *tick;	 /* keep-alive and silence */
	uint64_t heard_ms, sent_ms, open_ms;
	bool high; /* on_pressure(true) was the last */
	char peer[INET6_ADDRSTRLEN + 10];
	char cn[65];
	unsigned depth; /* callbacks on the stack */
	bool dead;	/* to be freed when depth is 0 */
	/* connecting side */
	char *host;
	uint16_t port;
	struct evdns_base *dns;
	struct event *retry;
	unsigned backoff_ms;
	unsigned connect_ms; /* so long a connection may take to be there */
};

/* ---- life ------------------------------------------------------------------------------- */

static void channel_destroy(struct sf_channel *ch)
{
	if (ch->tick)
		event_free(ch->tick);
	if (ch->retry)
		event_free(ch->retry);
	if (ch->dns)
		evdns_base_free(ch->dns, 0);
	free((void *)(uintptr_t)ch->opts.peer_name);
	free(ch->host);
	free(ch);
}

static void channel_enter(struct sf_channel *ch)
{
	ch->depth++;
}

static void channel_leave(struct sf_channel *ch)
{
	if (!--ch->depth && ch->dead)
		channel_destroy(ch);
}

/* To be freed as soon as no callback of it is on the stack. */
static void channel_doom(struct sf_channel *ch)
{
	if (!ch->dead && ch->server) {
		LIST_REMOVE(ch, link);
		ch->server->peers--;
	}
	ch->dead = true;
}

static void channel_hang_up(struct sf_channel *ch)
{
	if (ch->bev) {
		bufferevent_setcb(ch->bev, NULL, NULL, NULL, NULL);
		bufferevent_free(ch->bev);
	}
	ch->bev = NULL;
	ch->state = DOWN;
	ch->high = false;
	event_del(ch->tick);
}

/* Half to whole of the back-off, which doubles; starts anew after a connection that lasted. */
static unsigned next_delay(struct sf_channel *ch, bool lasted)
{
	unsigned delay;
	uint32_t random;

	if (lasted)
		ch->backoff_ms = ch->opts.backoff_min_ms;
	delay = ch->backoff_ms;
	ch->backoff_ms *= 2;
	if (ch->backoff_ms > ch->opts.backoff_max_ms)
		ch->backoff_ms = ch->opts.backoff_max_ms;
	if (sf_random(&random, sizeof(random)))
		return delay;
	return delay / 2 + (unsigned)((uint64_t)random * (delay - delay / 2) >> 32);
}

static void channel_down(struct sf_channel *ch, const char *reason)
{
	bool was_open = ch->state == OPEN, lasted;
	struct timeval tv;
	unsigned delay = 0;

	lasted = was_open && sf_now_ms() - ch->open_ms >= ch->opts.backoff_max_ms;
	channel_enter(ch);
	channel_hang_up(ch);
	if (ch->server)
		channel_doom(ch);
	if (was_open && ch->ops->on_close)
		ch->ops->on_close(ch, reason, ch->ctx);
	if (!ch->server && !ch->dead) {
		delay = next_delay(ch, lasted);
		tv = sf_ms_timeval(delay);
		event_add(ch->retry, &tv);
	}
	if (ch->server ? !was_open : !ch->dead)
		if (ch->ops->on_fail)
			ch->ops->on_fail(ch, reason, delay, ch->ctx);
	channel_leave(ch);
}

__attribute__((format(printf, 2, 3))) static void channel_downf(struct sf_channel *ch,
								const char *format, ...)
{
	char reason[700];
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	channel_down(ch, reason);
}

/* ---- frames ----------------------------------------------------------------------------- */

static int frame_put(struct sf_channel *ch, const void *body, size_t len)
{
	struct evbuffer *output = bufferevent_get_output(ch->bev);
	uint32_t header = htonl((uint32_t)len);

	/* Room for both first: a header without its body would end the stream's sense. */
	if (evbuffer_expand(output, HEADER_LEN + len) ||
	    evbuffer_add(output, &header, HEADER_LEN) || (len && evbuffer_add(output, body, len)))
		return -ENOMEM;
	ch->sent_ms = sf_now_ms();
	return 0;
}

/* A whole frame of @len bytes is at the front of @input. */
static void frame_take(struct sf_channel *ch, struct evbuffer *input, uint32_t len)
{
	const unsigned char *frame;

	if (ch->state == GREETING) {
		ch->state = OPEN;
		ch->open_ms = sf_now_ms();
		if (ch->ops->on_open)
			ch->ops->on_open(ch, ch->ctx);
		if (ch->state != OPEN)
			return;
	}
	frame = len ? evbuffer_pullup(input, HEADER_LEN + (ssize_t)len) : NULL;
	if (frame)
		ch->ops->on_message(ch, frame + HEADER_LEN, len, ch->ctx);
	else if (len)
		channel_down(ch, "no memory for a frame");
}

static void transport_up(struct sf_channel *ch);

static void on_read(struct bufferevent *bev, void *arg)
{
	struct evbuffer *input = bufferevent_get_input(bev);
	struct sf_channel *ch = arg;
	uint32_t len;

	if (ch->state == CONNECTING)
		transport_up(ch);
	ch->heard_ms = sf_now_ms();
	channel_enter(ch);
	bufferevent_incref(bev); /* the frame stays readable for a callback that closes */
	while (ch->bev == bev && evbuffer_copyout(input, &len, HEADER_LEN) == HEADER_LEN) {
		len = ntohl(len);
		if (len > SF_CHANNEL_FRAME_MAX) {
			channel_downf(ch, "frame of %u bytes refused, expected at most %u", len,
				      SF_CHANNEL_FRAME_MAX);
			break;
		}
		if (evbuffer_get_length(input) < HEADER_LEN + len)
			break;
		frame_take(ch, input, len);
		evbuffer_drain(input, HEADER_LEN + len);
	}
	bufferevent_decref(bev);
	channel_leave(ch);
}

static void on_write(struct bufferevent *bev, void *arg)
{
	struct sf_channel *ch = arg;

	if (!ch->high || evbuffer_get_length(bufferevent_get_output(bev)) > ch->opts.send_low)
		return;
	ch->high = false;
	channel_enter(ch);
	if (ch->ops->on_pressure)
		ch->ops->on_pressure(ch, false, ch->ctx);
	channel_leave(ch);
}

int sf_channel_send(struct sf_channel *ch, const void *body, size_t len)
{
	struct evbuffer *output;
	int rc;

	if (!len || len > SF_CHANNEL_FRAME_MAX)
		return -EMSGSIZE;
	if (ch->state != OPEN)
		return -ENOTCONN;
	output = bufferevent_get_output(ch->bev);
	if (evbuffer_get_length(output) + HEADER_LEN + len > ch->opts.send_max)
		return -ENOBUFS;
	rc = frame_put(ch, body, len);
	if (rc || ch->high || evbuffer_get_length(output) <= ch->opts.send_high)
		return rc;
	ch->high = true;
	channel_enter(ch);
	if (ch->ops->on_pressure)
		ch->ops->on_pressure(ch, true, ch->ctx);
	channel_leave(ch);
	return 0;
}

/* ---- connections ------------------------------------------------------------------------ */

static void format_address(const struct sockaddr *sa, char *text, size_t size)
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;
	const struct sockaddr_in *in = (const struct sockaddr_in *)sa;
	char host[INET6_ADDRSTRLEN] = "";

	if (sa->sa_family == AF_INET) {
		inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
		snprintf(text, size, "%s:%u", host, ntohs(in->sin_port));
	} else if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		inet_ntop(AF_INET, in6->sin6_addr.s6_addr + 12, host, sizeof(host));
		snprintf(text, size, "%s:%u", host, ntohs(in6->sin6_port));
	} else {
		inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
		snprintf(text, size, "[%s]:%u", host, ntohs(in6->sin6_port));
	}
}

static void note_peer(struct sf_channel *ch)
{
	SSL *ssl = bufferevent_openssl_get_ssl(ch->bev);
	X509 *cert = ssl ? SSL_get0_peer_certificate(ssl) : NULL;
	int fd = bufferevent_getfd(ch->bev), one = 1;
	struct sockaddr_in6 from = { 0 }; /* room for IPv4's, too */
	socklen_t len = sizeof(from);

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (!getpeername(fd, (struct sockaddr *)&from, &len))
		format_address((struct sockaddr *)&from, ch->peer, sizeof(ch->peer));
	ch->cn[0] = '\0';
	if (cert && X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, ch->cn,
					      sizeof(ch->cn)) < 0)
		ch->cn[0] = '\0';
}

/* TCP and TLS are there: greet. */
static void transport_up(struct sf_channel *ch)
{
	ch->state = GREETING;
	note_peer(ch);
	frame_put(ch, NULL, 0);
}

/* What went wrong, from all the places where it may be told. */
static void error_text(struct sf_channel *ch, char *text, size_t size)
{
	unsigned long code = bufferevent_get_openssl_error(ch->bev);
	SSL *ssl = bufferevent_openssl_get_ssl(ch->bev);
	int os = EVUTIL_SOCKET_ERROR(), dns = bufferevent_socket_get_dns_error(ch->bev);
	const char *refusal = ssl ? sf_tls_refusal(ssl) : NULL;
	const char *reason = code ? ERR_reason_error_string(code) : NULL;

	if (dns)
		snprintf(text, size, "cannot resolve %s: %s", ch->host, evutil_gai_strerror(dns));
	else if (refusal)
		snprintf(text, size, "the peer's certificate is refused: %s", refusal);
	else if (reason)
		snprintf(text, size, "TLS: %s", reason);
	else if (code)
		snprintf(text, size, "TLS: error %08lx", code);
	else if (os)
		snprintf(text, size, "%s", strerror(os));
	else
		snprintf(text, size, "closed by the peer");
	ERR_clear_error();
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct evbuffer *input = bufferevent_get_input(bev);
	struct sf_channel *ch = arg;
	size_t have = evbuffer_get_length(input);
	char text[680];

	if (what & BEV_EVENT_CONNECTED) {
		if (ch->state == CONNECTING)
			transport_up(ch);
	} else if (what & BEV_EVENT_ERROR) {
		error_text(ch, text, sizeof(text));
		channel_down(ch, text);
	} else if (what & BEV_EVENT_EOF) {
		if (ch->state == CONNECTING)
			channel_down(ch, "closed by the peer during the TLS handshake");
		else if (have)
			channel_downf(
				ch, "closed by the peer in the middle of a frame (%zu bytes of it)",
				have);
		else
			channel_down(ch, "closed by the peer");
	}
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct sf_channel *ch = arg;
	uint64_t now = sf_now_ms();
	bool connecting = ch->state == CONNECTING;
	unsigned most_ms = connecting ? ch->connect_ms : ch->opts.dead_ms;

	(void)fd;
	(void)what;
	if (now - ch->heard_ms >= most_ms) {
		channel_downf(ch,
			      connecting ? "no connection within %u ms" : "peer silent for %u ms",
			      most_ms);
		return;
	}
	if (ch->state >= GREETING && now - ch->sent_ms >= ch->opts.ping_ms / 2)
		frame_put(ch, NULL, 0);
}

static struct bufferevent *bev_new(struct sf_channel *ch, int fd)
{
	struct bufferevent *bev;
	SSL *ssl;

	if (!ch->opts.tls)
		return bufferevent_socket_new(ch->base, fd, BEV_OPT_CLOSE_ON_FREE);
	ssl = SSL_new(ch->opts.tls);
	/* An end without TLS's good-bye is an end: frames tell whether something is missing. */
	if (ssl)
		SSL_set_options(ssl, SSL_OP_IGNORE_UNEXPECTED_EOF);
	if (ssl && ch->opts.peer_name && sf_tls_expect(ssl, ch->opts.peer_name))
		goto fail;
	bev = ssl ? bufferevent_openssl_socket_new(ch->base, fd, ssl,
						   ch->server ? BUFFEREVENT_SSL_ACCEPTING
							      : BUFFEREVENT_SSL_CONNECTING,
						   BEV_OPT_CLOSE_ON_FREE)
		  : NULL;
	if (!bev)
		goto fail;
	bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
	return bev;
fail:
	SSL_free(ssl);
	return NULL;
}

/* Begins with a connection (@fd) or without one yet (-1). On failure @fd is the caller's. */
static int channel_start(struct sf_channel *ch, int fd)
{
	unsigned tick_ms = ch->opts.ping_ms / 2;
	struct timeval tv;

	ch->bev = bev_new(ch, fd);
	if (!ch->bev)
		return -ENOMEM;
	ch->state = CONNECTING;
	ch->connect_ms = ch->opts.dead_ms;
	ch->heard_ms = ch->sent_ms = sf_now_ms();
	bufferevent_setcb(ch->bev, on_read, on_write, on_event, ch);
	bufferevent_setwatermark(ch->bev, EV_READ, 0, READ_HIGH);
	bufferevent_setwatermark(ch->bev, EV_WRITE, ch->opts.send_low, 0);
	bufferevent_enable(ch->bev, EV_READ | EV_WRITE);
	if (ch->opts.dead_ms / 4 < tick_ms)
		tick_ms = ch->opts.dead_ms / 4;
	tv = sf_ms_timeval(tick_ms ? tick_ms : 1);
	return event_add(ch->tick, &tv) ? -ENOMEM : 0;
}

/* ---- options ---------------------------------------------------------------------------- */

static int opts_take(struct sf_channel_opts *to, const struct sf_channel_opts *from,
		     const char *address, char *err, size_t errlen)
{
	*to = *from;
	if (!to->tls == !to->plain)
		return sf_errtext(err, errlen, -EINVAL, "channel %s: expected TLS or plain%s",
				  address, to->tls ? ", not both" : "");
	to->ping_ms = to->ping_ms ? to->ping_ms : 2000;
	to->dead_ms = to->dead_ms ? to->dead_ms : 10000;
	to->backoff_min_ms = to->backoff_min_ms ? to->backoff_min_ms : 100;
	to->backoff_max_ms = to->backoff_max_ms ? to->backoff_max_ms : 5000;
	to->send_high = to->send_high ? to->send_high : 4u << 20;
	to->send_low = to->send_low ? to->send_low : 1u << 20;
	to->send_max = to->send_max ? to->send_max : 64u << 20;
	to->max_peers = to->max_peers ? to->max_peers : 1024;
	if (to->ping_ms >= to->dead_ms)
		return sf_errtext(err, errlen, -EINVAL,
				  "channel %s: expected dead_ms (%u) above ping_ms (%u)", address,
				  to->dead_ms, to->ping_ms);
	if (to->send_low > to->send_high || to->send_high > to->send_max)
		return sf_errtext(err, errlen, -EINVAL,
				  "channel %s: expected send_low <= send_high <= send_max",
				  address);
	signal(SIGPIPE, SIG_IGN); /* a peer that goes must not end the daemon */
	return 0;
}

/* ---- connecting side -------------------------------------------------------------------- */

/* A link-local source reaches neighbours alone, and a connection keeps the one that it was begun
 * with: while addresses are tentative (as a machine starts) there is no other, a moment later there
 * is. */
static bool is_begun_too_early(const struct sf_channel *ch, const struct sockaddr_storage *to)
{
	const struct sockaddr_in6 *to6 = (const struct sockaddr_in6 *)to;
	struct sockaddr_in6 from = { 0 };
	socklen_t len = sizeof(from);

	return to->ss_family == AF_INET6 && !IN6_IS_ADDR_LINKLOCAL(&to6->sin6_addr) &&
	       !getsockname(bufferevent_getfd(ch->bev), (struct sockaddr *)&from, &len) &&
	       from.sin6_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&from.sin6_addr);
}

static void channel_connect(struct sf_channel *ch)
{
	struct sockaddr_storage ss;
	socklen_t len;
	int rc;

	if (channel_start(ch, -1)) {
		channel_down(ch, "no memory");
		return;
	}
	/* A failure may be told from within the call: the object must outlast it. */
	channel_enter(ch);
	if (!sf_sockaddr_parse(ch->host, ch->port, &ss, &len)) {
		format_address((struct sockaddr *)&ss, ch->peer, sizeof(ch->peer));
		rc = bufferevent_socket_connect(ch->bev, (struct sockaddr *)&ss, (int)len);
		if (!rc && ch->bev && is_begun_too_early(ch, &ss) && ch->connect_ms > EARLY_MS)
			ch->connect_ms = EARLY_MS;
	} else {
		if (!ch->dns)
			ch->dns =
				evdns_base_new(ch->base, EVDNS_BASE_INITIALIZE_NAMESERVERS |
								 EVDNS_BASE_DISABLE_WHEN_INACTIVE);
		rc = ch->dns ? bufferevent_socket_connect_hostname(ch->bev, ch->dns, AF_UNSPEC,
								   ch->host, ch->port)
			     : -1;
	}
	if (rc && ch->bev)
		channel_downf(ch, "cannot connect: %s", strerror(EVUTIL_SOCKET_ERROR()));
	channel_leave(ch);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	channel_connect(arg);
}

int sf_channel_connect(struct event_base *base, const char *address,
		       const struct sf_channel_opts *opts, const struct sf_channel_ops *ops,
		       void *ctx, struct sf_channel **out, char *err, size_t errlen)
{
	static const struct timeval at_once = { 0 };
	struct sf_channel *ch;
	char host[256];
	uint16_t port;
	int rc;

	if (sf_hostport_split(address, host, sizeof(host), &port) || !port)
		return sf_errtext(err, errlen, -EINVAL,
				  "channel address \"%s\": expected [IPv6]:port, IPv4:port or"
				  " name:port",
				  address);
	ch = calloc(1, sizeof(*ch));
	if (!ch)
		return sf_errtext(err, errlen, -ENOMEM, "channel %s: no memory", address);
	rc = opts_take(&ch->opts, opts, address, err, errlen);
	if (rc) {
		ch->opts.peer_name = NULL;
		channel_destroy(ch);
		return rc;
	}
	ch->base = base;
	ch->ops = ops;
	ch->ctx = ctx;
	ch->host = strdup(host);
	ch->port = port;
	ch->backoff_ms = ch->opts.backoff_min_ms;
	if (!opts->peer_name)
		host[strcspn(host, "%")] = '\0'; /* the zone is this machine's affair */
	ch->opts.peer_name = strdup(opts->peer_name ? opts->peer_name : host);
	ch->tick = event_new(base, -1, EV_PERSIST, on_tick, ch);
	ch->retry = event_new(base, -1, 0, on_retry, ch);
	if (!ch->host || !ch->tick || !ch->retry || !ch->opts.peer_name ||
	    event_add(ch->retry, &at_once)) {
		channel_destroy(ch);
		return sf_errtext(err, errlen, -ENOMEM, "channel %s: no memory", address);
	}
	*out = ch;
	return 0;
}

/* ---- accepting side --------------------------------------------------------------------- */

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *sa,
		      int len, void *arg)
{
	struct sf_channel_server *server = arg;
	struct sf_channel *ch = NULL;

	(void)listener;
	(void)len;
	if (server->peers < server->opts.max_peers)
		ch = calloc(1, sizeof(*ch));
	if (!ch) {
		close(fd);
		return;
	}
	ch->server = server;
	ch->base = server->base;
	ch->opts = server->opts;
	ch->ops = server->ops;
	ch->ctx = server->ctx;
	ch->tick = event_new(ch->base, -1, EV_PERSIST, on_tick, ch);
	if (!ch->tick || channel_start(ch, fd)) {
		if (ch->bev)
			bufferevent_free(ch->bev); /* closes fd */
		else
			close(fd);
		channel_destroy(ch);
		return;
	}
	LIST_INSERT_HEAD(&server->channels, ch, link);
	server->peers++;
	format_address(sa, ch->peer, sizeof(ch->peer));
	if (!ch->opts.tls)
		transport_up(ch);
}

int sf_channel_listen(struct event_base *base, const char *address,
		      const struct sf_channel_opts *opts, const struct sf_channel_ops *ops,
		      void *ctx, struct sf_channel_server **out, char *err, size_t errlen)
{
	struct sf_channel_server *server = calloc(1, sizeof(*server));
	int rc;

	if (!server)
		return sf_errtext(err, errlen, -ENOMEM, "channel %s: no memory", address);
	rc = opts_take(&server->opts, opts, address, err, errlen);
	if (!rc)
		rc = sf_listener_tcp(base, address, &server->listener, &server->port, err, errlen);
	if (rc) {
		free(server);
		return rc;
	}
	server->base = base;
	server->ops = ops;
	server->ctx = ctx;
	server->opts.peer_name = NULL; /* of the connecting side */
	LIST_INIT(&server->channels);
	evconnlistener_set_cb(sf_listener_ev(server->listener), on_accept, server);
	*out = server;
	return 0;
}

uint16_t sf_channel_server_port(const struct sf_channel_server *server)
{
	return server->port;
}

void sf_channel_server_free(struct sf_channel_server *server)
{
	if (!server)
		return;
	sf_listener_free(server->listener);
	while (!LIST_EMPTY(&server->channels))
		channel_down(LIST_FIRST(&server->channels), "this side stops");
	free(server);
}

/* ---- both ------------------------------------------------------------------------------- */

void sf_channel_close(struct sf_channel *ch, const char *reason)
{
	if (ch->bev)
		channel_down(ch, reason);
}

void sf_channel_free(struct sf_channel *ch)
{
	if (!ch)
		return;
	channel_enter(ch);
	channel_hang_up(ch);
	if (ch->retry)
		event_del(ch->retry);
	channel_doom(ch);
	channel_leave(ch);
}

bool sf_channel_is_open(const struct sf_channel *ch)
{
	return ch->state == OPEN;
}

size_t sf_channel_queued(const struct sf_channel *ch)
{
	return ch->bev ? evbuffer_get_length(bufferevent_get_output(ch->bev)) : 0;
}

const char *sf_channel_peer(const struct sf_channel *ch)
{
	return ch->peer;
}

const char *sf_channel_peer_cn(const struct sf_channel *ch)
{
	return ch->state == OPEN ? ch->cn : "";
}

void sf_channel_set_ctx(struct sf_channel *ch, void *ctx)
{
	ch->ctx = ctx;
}
