// SPDX-License-Identifier: Apache-2.0
/*
 * relay-server.c - a server that passes its live connections to its successor on another host, and
 * ends; the clients notice nothing (README.md).
 *
 * Each connection has a state of its own beside the socket's: what it serves, how far it is, and
 * bytes that it has read and not written yet. That is what a real server has to think about, too:
 * the socket travels by sf_export() and sf_import(), the program's knowledge beside it.
 *
 * On the channel, for each connection: a struct parcel, then the bytes in hand, then the state. In
 * front of all a parcel of no connection, answered by one byte: so the channel is open, and TCP
 * knows how much it carries, before any connection stands still. Plain TCP, for a lab: the state is
 * a secret, and whoever may write here can give us any. Between machines use TLS or ssh.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "scaffold.h"

#define MAGIC	  0x53465250u /* "SFRP" */
#define CONNS_MAX 1024
#define STATE_MAX ((size_t)64 * 1024 * 1024)
#define RETRIES	  50
#define UNSENT	  16384 /* that a socket may hold: what it holds travels with it */
#define WARM_UP	  ((size_t)512 * 1024)

enum mode { REQUEST, STREAM, ECHO, NONE };

struct conn {
	int fd;
	enum mode mode;
	uint64_t at, total; /* STREAM: bytes of the body */
	char bytes[16384];  /* REQUEST: what was read; else what is to be written */
	size_t from, to;
};

/* As it is on the channel; the numbers in network order. */
struct parcel {
	uint32_t magic;
	uint32_t mode;
	uint64_t at, total;
	uint32_t n_bytes;
	uint32_t n_state;
};

static struct conn *conns[CONNS_MAX];
static size_t n_conns;
static volatile sig_atomic_t stopping;
static int arrivals[2]; /* pipe: struct conn * from the channel's thread */
static int channels[2]; /* pipe: int, the channel to the successor; -1: there is none */
static bool echo;
static unsigned int
	rate; /* bytes per second that a connection sends at most; 0: as fast as it goes */

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "relay-server: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
}

/* ---- serving ---------------------------------------------------------------------------- */

/* A full send buffer would take longer on its way to the successor than all the rest. */
static void conn_trim(const struct conn *c)
{
	int unsent = UNSENT;

	setsockopt(c->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
	if (rate)
		setsockopt(c->fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof(rate));
}

static struct conn *conn_new(int fd)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (!c) {
		close(fd);
		return NULL;
	}
	c->fd = fd;
	c->mode = echo ? ECHO : REQUEST;
	conn_trim(c);
	return c;
}

static void conn_add(struct conn *c)
{
	if (!c)
		return;
	if (n_conns < CONNS_MAX) {
		conns[n_conns++] = c;
		return;
	}
	close(c->fd);
	free(c);
}

static void conn_drop(size_t i)
{
	close(conns[i]->fd);
	free(conns[i]);
	conns[i] = conns[--n_conns];
}

/* The byte at @i of every stream: a client can tell whether one is missing. */
static char stream_byte(uint64_t i)
{
	return (char)('!' + i * 7 % 89);
}

static void stream_more(struct conn *c)
{
	uint64_t left = c->total - c->at;

	c->from = 0;
	c->to = left < sizeof(c->bytes) ? (size_t)left : sizeof(c->bytes);
	for (size_t i = 0; i < c->to; i++)
		c->bytes[i] = stream_byte(c->at + i);
	c->at += c->to;
}

/* "GET /BYTES HTTP/1.x". Return: whether the connection goes on. */
static bool request_take(struct conn *c)
{
	unsigned long long total;

	c->bytes[c->to] = '\0';
	if (!strstr(c->bytes, "\r\n\r\n"))
		return c->to < sizeof(c->bytes) - 1;
	if (sscanf(c->bytes, "GET /%llu ", &total) != 1)
		return false;
	c->mode = STREAM;
	c->total = total;
	c->from = 0;
	c->to = (size_t)snprintf(c->bytes, sizeof(c->bytes),
				 "HTTP/1.0 200 OK\r\nContent-Length: %llu\r\n\r\n", total);
	return true;
}

/* Return: whether the connection goes on. */
static bool conn_read(struct conn *c)
{
	size_t room = sizeof(c->bytes) - 1 - c->to;
	ssize_t n = recv(c->fd, c->bytes + c->to, room, MSG_DONTWAIT);

	if (n <= 0)
		return n < 0 && errno == EAGAIN;
	c->to += (size_t)n;
	return c->mode == ECHO || request_take(c);
}

/* Return: whether the connection goes on. */
static bool conn_write(struct conn *c)
{
	ssize_t n = send(c->fd, c->bytes + c->from, c->to - c->from, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN;
	c->from += (size_t)n;
	if (c->from < c->to)
		return true;
	c->from = c->to = 0;
	if (c->mode == STREAM && c->at < c->total)
		stream_more(c);
	return c->mode != STREAM || c->to;
}

static short wants(const struct conn *c)
{
	return c->mode == REQUEST || c->from == c->to ? POLLIN : POLLOUT;
}

/* ---- passing on ------------------------------------------------------------------------- */

static int socket_to(const char *where, bool listening)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
					.ai_flags = listening ? AI_PASSIVE : 0 };
	char host[128];
	struct addrinfo *list = NULL;
	const char *colon = strrchr(where, ':');
	int fd = -1, one = 1, bracket = where[0] == '[';

	if (!colon || (size_t)(colon - where) >= sizeof(host))
		return -1;
	snprintf(host, sizeof(host), "%.*s", (int)(colon - where) - 2 * bracket, where + bracket);
	if (getaddrinfo(host, colon + 1, &hints, &list))
		return -1;
	fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && listening)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd >= 0 && (listening ? bind(fd, list->ai_addr, list->ai_addrlen) || listen(fd, 128)
				  : connect(fd, list->ai_addr, list->ai_addrlen))) {
		close(fd);
		fd = -1;
	}
	freeaddrinfo(list);
	return fd;
}

/* @more: follows at once */
static bool write_all(int fd, const void *from, size_t n, bool more)
{
	const char *at = from;

	while (n) {
		ssize_t done = send(fd, at, n, MSG_NOSIGNAL | (more ? MSG_MORE : 0));

		if (done <= 0)
			return false;
		at += done;
		n -= (size_t)done;
	}
	return true;
}

/* The connection as bytes, the caller's; NULL: it stays. */
static void *export(int fd, size_t *len)
{
	void *state = NULL, *more;

	*len = (size_t)256 * 1024;
	for (int i = 0; i < RETRIES; i++) {
		more = realloc(state, *len);
		if (!more)
			break;
		state = more;
		if (!sf_export(fd, state, len))
			return state;
		/* It stands still, or has grown: the next try may do. */
		if (errno == EAGAIN || errno == ECONNRESET || errno == ECONNREFUSED)
			usleep(100000);
		else if (errno != ENOBUFS || *len > STATE_MAX)
			break;
	}
	say("a connection stays: %s", sf_error());
	free(state);
	return NULL;
}

/* Return: whether the connection is gone from here. */
static bool pass(int channel, const struct conn *c)
{
	struct parcel p = { .magic = htonl(MAGIC), .mode = htonl(c->mode) };
	size_t len;
	void *state = export(c->fd, &len);
	bool ok;

	if (!state)
		return false;
	p.at = htobe64(c->at);
	p.total = htobe64(c->total);
	p.n_bytes = htonl((uint32_t)(c->to - c->from));
	p.n_state = htonl((uint32_t)len);
	ok = write_all(channel, &p, sizeof(p), true) &&
	     write_all(channel, c->bytes + c->from, c->to - c->from, true) &&
	     write_all(channel, state, len, false);
	if (!ok)
		say("the successor is gone: a connection is lost");
	free(state);
	return true;
}

/* Return: the channel, ready for a connection at once; -1. */
static int channel_open(const char *successor)
{
	const struct parcel p = { .magic = htonl(MAGIC),
				  .mode = htonl(NONE),
				  .n_state = htonl((uint32_t)WARM_UP) };
	int channel = socket_to(successor, false), one = 1;
	void *nothing = calloc(1, WARM_UP);
	char ready;

	if (channel >= 0 && nothing &&
	    !setsockopt(channel, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) &&
	    write_all(channel, &p, sizeof(p), true) &&
	    write_all(channel, nothing, WARM_UP, false) && recv(channel, &ready, 1, 0) == 1) {
		free(nothing);
		return channel;
	}
	free(nothing);
	if (channel >= 0)
		close(channel);
	say("%s: no successor there; serving to the end", successor);
	return -1;
}

/* A thread of its own: meanwhile all connections are served. */
static void *channel_prepare(void *arg)
{
	int channel = channel_open(arg);

	if (write(channels[1], &channel, sizeof(channel)) != (ssize_t)sizeof(channel))
		say("channel: %s", strerror(errno));
	return NULL;
}

static void pass_all(int channel)
{
	size_t passed = 0;

	if (channel < 0)
		return;
	for (size_t i = n_conns; i-- > 0;) {
		if (pass(channel, conns[i])) {
			passed++;
			conn_drop(i);
		}
	}
	close(channel);
	say("%zu connections passed on, %zu stay to their end", passed, n_conns);
}

/* ---- taking over ------------------------------------------------------------------------ */

static bool read_all(int fd, void *to, size_t n)
{
	char *at = to;

	while (n) {
		ssize_t got = recv(fd, at, n, 0);

		if (got <= 0)
			return false;
		at += got;
		n -= (size_t)got;
	}
	return true;
}

/* Return: whether the channel goes on. */
static bool take(int channel)
{
	struct conn *c = NULL;
	struct parcel p;
	void *state = NULL;
	uint32_t n_bytes, n_state;
	bool ok;

	if (!read_all(channel, &p, sizeof(p)) || p.magic != htonl(MAGIC))
		return false;
	n_bytes = ntohl(p.n_bytes);
	n_state = ntohl(p.n_state);
	if (n_state <= STATE_MAX)
		state = malloc(n_state);
	c = calloc(1, sizeof(*c));
	ok = c && state && n_bytes <= sizeof(c->bytes) && ntohl(p.mode) <= NONE &&
	     read_all(channel, c->bytes, n_bytes) && read_all(channel, state, n_state);
	if (ok && ntohl(p.mode) == NONE) {
		ok = write_all(channel, "", 1, false);
	} else if (ok) {
		c->mode = (enum mode)ntohl(p.mode);
		c->at = be64toh(p.at);
		c->total = be64toh(p.total);
		c->to = n_bytes;
		c->fd = sf_import(state, n_state);
		if (c->fd < 0)
			say("a connection is lost: %s", sf_error());
		else
			conn_trim(c);
		if (c->fd >= 0 && write(arrivals[1], &c, sizeof(c)) == (ssize_t)sizeof(c))
			c = NULL;
	}
	free(state);
	free(c);
	return ok;
}

/* A thread of its own: an import waits for the other end. */
static void *channel_serve(void *arg)
{
	int listener = (int)(intptr_t)arg;

	for (;;) {
		int channel = accept(listener, NULL, NULL);

		if (channel < 0)
			continue;
		while (take(channel))
			;
		close(channel);
	}
	return NULL;
}

/* ---- loop ------------------------------------------------------------------------------- */

static void on_term(int sig)
{
	stopping = 1;
}

static void accept_one(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd >= 0)
		conn_add(conn_new(fd));
}

static void arrive(void)
{
	struct conn *c;

	if (read(arrivals[0], &c, sizeof(c)) == (ssize_t)sizeof(c))
		conn_add(c);
}

static void serve_conns(const struct pollfd *p, size_t n)
{
	for (size_t i = n; i-- > 0;) {
		struct conn *c = conns[i];
		bool on = true;

		if (p[i].revents & POLLOUT)
			on = conn_write(c);
		else if (p[i].revents)
			on = conn_read(c);
		if (!on)
			conn_drop(i);
	}
}

/* New connections go elsewhere from here on. */
static void leave(int listener, char *successor)
{
	pthread_t thread;

	close(listener);
	if (successor && !pthread_create(&thread, NULL, channel_prepare, successor))
		pthread_detach(thread);
}

static void pass_on(void)
{
	int channel;

	if (read(channels[0], &channel, sizeof(channel)) == (ssize_t)sizeof(channel))
		pass_all(channel);
}

static void loop(int listener, char *successor)
{
	static struct pollfd p[CONNS_MAX + 3];

	while (!stopping || n_conns) {
		size_t n = n_conns;

		if (stopping && listener >= 0) {
			leave(listener, successor);
			listener = -1;
		}
		for (size_t i = 0; i < n; i++)
			p[i] = (struct pollfd){ .fd = conns[i]->fd, .events = wants(conns[i]) };
		p[n] = (struct pollfd){ .fd = listener, .events = POLLIN };
		p[n + 1] = (struct pollfd){ .fd = arrivals[0], .events = POLLIN };
		p[n + 2] = (struct pollfd){ .fd = channels[0], .events = POLLIN };
		if (poll(p, n + 3, -1) < 0)
			continue;
		serve_conns(p, n);
		if (p[n].revents)
			accept_one(listener);
		if (p[n + 1].revents)
			arrive();
		if (p[n + 2].revents)
			pass_on();
	}
}

static void usage(int status)
{
	fprintf(status ? stderr : stdout, "relay-server [--echo] [--rate MBIT] [--channel "
					  "[ADDRESS]:PORT] [--successor [ADDRESS]:PORT] "
					  "[SERVICE-ADDRESS]:PORT\n");
	exit(status);
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "echo", no_argument, NULL, 'e' },
						 { "rate", required_argument, NULL, 'r' },
						 { "channel", required_argument, NULL, 'c' },
						 { "successor", required_argument, NULL, 's' },
						 { "help", no_argument, NULL, 'h' },
						 { 0 } };
	const struct sigaction term = { .sa_handler = on_term };
	const char *channel = NULL;
	char *successor = NULL;
	int listener, from = -1, option;
	pthread_t thread;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'e')
			echo = true;
		else if (option == 'c')
			channel = optarg;
		else if (option == 's')
			successor = optarg;
		else if (option == 'r' && atoi(optarg) > 0 && atoi(optarg) <= 10000)
			rate = (unsigned int)atoi(optarg) * 125000;
		else
			usage(option == 'h' ? 0 : 2);
	}
	if (optind != argc - 1)
		usage(2);
	listener = socket_to(argv[optind], true);
	if (channel)
		from = socket_to(channel, true);
	if (listener < 0 || (channel && from < 0) || pipe(arrivals) || pipe(channels)) {
		say("%s: cannot listen: %s", listener < 0 ? argv[optind] : channel,
		    strerror(errno));
		return 1;
	}
	sigaction(SIGTERM, &term, NULL);
	if (channel && pthread_create(&thread, NULL, channel_serve, (void *)(intptr_t)from))
		return 1;
	loop(listener, successor);
	return 0;
}
