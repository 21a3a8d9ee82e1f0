// SPDX-License-Identifier: Apache-2.0
/*
 * channel_test.c: util/channel.h: both ends in one event loop, and raw sockets as broken peers.
 */
#include "util/channel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/pki.h"
#include "util/crypto.h"

static char tmp[] = "/tmp/sf-channel-test-XXXXXX";
static char err[512], address[64];
static struct event_base *base;
static SSL_CTX *server_tls, *client_tls, *mallory_tls, *mallory_server_tls, *anonymous_tls,
	*bare_server_tls, *old_server_tls;

/* What a side has seen. */
struct side {
	struct sf_channel *ch;
	int opened, closed, failed, messages, pressure, relieved;
	unsigned retry_ms;
	size_t bytes;
	char reason[512];
	bool echo, close_on_message, free_on_message, free_on_open, free_on_close;
	uint32_t next; /* expected number of the next message */
};

static struct side server, client;

static void on_open(struct sf_channel *ch, void *ctx)
{
	struct side *side = ctx;

	side->opened++;
	side->ch = ch;
	assert_true(sf_channel_is_open(ch));
	if (side->free_on_open) {
		sf_channel_free(ch);
		side->ch = NULL;
	}
}

static void on_message(struct sf_channel *ch, const void *body, size_t len, void *ctx)
{
	struct side *side = ctx;
	uint32_t number;

	side->messages++;
	side->bytes += len;
	if (len >= 4) {
		memcpy(&number, body, 4);
		assert_int_equal(ntohl(number), side->next);
		side->next++;
	}
	if (side->echo)
		assert_int_equal(sf_channel_send(ch, body, len), 0);
	if (side->close_on_message)
		sf_channel_close(ch, "enough");
	if (side->free_on_message) {
		sf_channel_free(ch);
		side->ch = NULL;
	}
	/* The frame is readable to the end of the callback, whatever was done to the channel. */
	assert_int_equal(len && ((const char *)body)[len - 1] == '#', 0);
}

static void on_close(struct sf_channel *ch, const char *reason, void *ctx)
{
	struct side *side = ctx;

	side->closed++;
	snprintf(side->reason, sizeof(side->reason), "%s", reason);
	assert_int_equal(sf_channel_send(ch, "x", 1), -ENOTCONN);
	if (side->free_on_close)
		sf_channel_free(ch);
	if (side->free_on_close || side == &server)
		side->ch = NULL;
}

static void on_pressure(struct sf_channel *ch, bool high, void *ctx)
{
	struct side *side = ctx;

	if (high)
		side->pressure++;
	else
		side->relieved++;
}

static void on_fail(struct sf_channel *ch, const char *reason, unsigned retry_ms, void *ctx)
{
	struct side *side = ctx;

	side->failed++;
	side->retry_ms = retry_ms;
	snprintf(side->reason, sizeof(side->reason), "%s", reason);
}

static const struct sf_channel_ops ops = { on_open, on_message, on_close, on_pressure, on_fail };

/* Turns of the loop until @until holds. A test that hangs is ended by the alarm. */
#define TURN_UNTIL(until)                                       \
	do {                                                    \
		while (!(until)) {                              \
			event_base_loop(base, EVLOOP_NONBLOCK); \
			poll(NULL, 0, 1);                       \
		}                                               \
	} while (0)

static void turn(int n)
{
	while (n--)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

static struct sf_channel_server *listen_at(const char *where, struct sf_channel_opts opts)
{
	struct sf_channel_server *listener;

	if (sf_channel_listen(base, where, &opts, &ops, &server, &listener, err, sizeof(err)))
		fail_msg("%s", err);
	snprintf(address, sizeof(address), "[::1]:%u", sf_channel_server_port(listener));
	return listener;
}

static struct sf_channel *connect_to(const char *where, struct sf_channel_opts opts)
{
	struct sf_channel *ch;

	if (sf_channel_connect(base, where, &opts, &ops, &client, &ch, err, sizeof(err)))
		fail_msg("%s", err);
	return ch;
}

#define PLAIN  ((struct sf_channel_opts){ .plain = true, .backoff_min_ms = 10 })
#define TLS(t) ((struct sf_channel_opts){ .tls = (t), .backoff_min_ms = 10 })

static int fresh(void **state)
{
	memset(&server, 0, sizeof(server));
	memset(&client, 0, sizeof(client));
	return 0;
}

/* ---- as it should be -------------------------------------------------------------------- */

static void exchange(const char *listen_on, struct sf_channel_opts s, struct sf_channel_opts c)
{
	struct sf_channel_server *listener = listen_at(listen_on, s);
	static char body[SF_CHANNEL_FRAME_MAX + 1];
	static const size_t sizes[] = { 1, 4, 5, 1000, 65535, SF_CHANNEL_FRAME_MAX, 3, 100 };
	struct sf_channel *ch;
	uint32_t number = 0;
	size_t sent = 0;

	server.echo = true;
	if (!strncmp(listen_on, "127", 3))
		snprintf(address, sizeof(address), "127.0.0.1:%u",
			 sf_channel_server_port(listener));
	ch = connect_to(address, c);
	assert_int_equal(client.opened, 0);
	assert_int_equal(sf_channel_send(ch, "x", 1), -ENOTCONN);
	TURN_UNTIL(client.opened && server.opened);
	assert_ptr_equal(client.ch, ch);
	assert_string_equal(sf_channel_peer(ch), address);
	assert_string_equal(sf_channel_peer_cn(ch), s.tls ? "a.test" : "");
	assert_string_equal(sf_channel_peer_cn(server.ch), s.tls ? "b.test" : "");
	assert_int_equal(strncmp(sf_channel_peer(server.ch), address, 5), 0);

	for (int round = 0; round < 20; round++) {
		for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			uint32_t be = htonl(number);

			memcpy(body, &be, 4);
			number += sizes[i] >= 4;
			assert_int_equal(sf_channel_send(ch, body, sizes[i]), 0);
			sent += sizes[i];
		}
	}
	TURN_UNTIL(client.bytes == sent);
	assert_int_equal(client.messages, 160);
	assert_int_equal(server.messages, 160);
	assert_int_equal(sf_channel_send(ch, body, SF_CHANNEL_FRAME_MAX + 1), -EMSGSIZE);
	assert_int_equal(sf_channel_send(ch, body, 0), -EMSGSIZE);
	assert_int_equal(sf_channel_queued(ch), 0);
	assert_int_equal(client.closed + server.closed + client.failed + server.failed, 0);
	sf_channel_free(ch);
	TURN_UNTIL(server.closed);
	assert_string_equal(server.reason, "closed by the peer");
	assert_int_equal(client.closed, 0); /* free tells nothing */
	sf_channel_server_free(listener);
}

static void test_plain(void **state)
{
	exchange("[::1]:0", PLAIN, PLAIN);
}

static void test_plain_ipv4(void **state)
{
	exchange("127.0.0.1:0", PLAIN, PLAIN);
}

static void test_tls(void **state)
{
	exchange("[::]:0", TLS(server_tls), TLS(client_tls));
}

static void test_by_name(void **state)
{
	struct sf_channel_server *listener = listen_at("[::]:0", TLS(server_tls));
	struct sf_channel_opts opts = TLS(client_tls);
	struct sf_channel *ch;

	snprintf(address, sizeof(address), "localhost:%u", sf_channel_server_port(listener));
	opts.peer_name = "a.test";
	ch = connect_to(address, opts);
	TURN_UNTIL(client.opened);
	sf_channel_free(ch);
	TURN_UNTIL(server.closed);
	opts.peer_name = "::1"; /* an address of the certificate */
	ch = connect_to(address, opts);
	TURN_UNTIL(client.opened == 2);
	sf_channel_free(ch);
	sf_channel_server_free(listener);
}

/* ---- keep-alive and reconnecting -------------------------------------------------------- */

static void test_reconnect(void **state)
{
	struct sf_channel_server *listener = listen_at("[::1]:0", PLAIN);
	struct sf_channel *ch = connect_to(address, PLAIN);

	TURN_UNTIL(client.opened == 1 && server.opened == 1);
	sf_channel_server_free(listener);
	assert_int_equal(server.closed, 1);
	TURN_UNTIL(client.closed == 1);
	TURN_UNTIL(client.failed >= 3); /* once told of the loss, then refused */
	assert_non_null(strstr(client.reason, "refused"));
	assert_int_equal(client.closed, 1);
	assert_false(sf_channel_is_open(ch));
	listener = listen_at(address, PLAIN);
	TURN_UNTIL(client.opened == 2 && server.opened == 2);
	/* Closing it ourselves means: connect again. */
	sf_channel_close(ch, "because");
	assert_int_equal(client.closed, 2);
	assert_string_equal(client.reason, "because");
	sf_channel_close(ch, "twice");
	assert_int_equal(client.closed, 2);
	TURN_UNTIL(client.opened == 3);
	sf_channel_free(ch);
	sf_channel_free(NULL);
	sf_channel_server_free(listener);
}

static void test_backoff(void **state)
{
	struct sf_channel_opts opts = { .plain = true, .backoff_min_ms = 8, .backoff_max_ms = 32 };
	struct sf_channel *ch = connect_to("[::1]:1", opts);
	static const unsigned bound[] = { 8, 16, 32, 32, 32 };

	for (int i = 0; i < 5; i++) {
		TURN_UNTIL(client.failed > i);
		assert_in_range(client.retry_ms, bound[i] / 2, bound[i]);
	}
	sf_channel_free(ch);
}

static void test_keep_alive(void **state)
{
	struct sf_channel_opts opts = {
		.plain = true, .ping_ms = 40, .dead_ms = 2000, .backoff_min_ms = 10
	};
	struct sf_channel_server *listener = listen_at("[::1]:0", opts);
	int fd = socket(AF_INET6, SOCK_STREAM, 0), frames = 0;
	struct sockaddr_in6 to = { .sin6_family = AF_INET6,
				   .sin6_addr = IN6ADDR_LOOPBACK_INIT,
				   .sin6_port = htons(sf_channel_server_port(listener)) };
	uint32_t frame;

	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	/* We never say a word: keep-alives come, then the end. */
	TURN_UNTIL(server.failed);
	assert_string_equal(server.reason, "peer silent for 2000 ms");
	assert_int_equal(server.opened, 0);
	while (recv(fd, &frame, 4, MSG_WAITALL) == 4) {
		assert_int_equal(frame, 0);
		frames++;
	}
	assert_true(frames > 3);
	close(fd);
	sf_channel_server_free(listener);
}

static void test_connect_times_out(void **state)
{
	struct sf_channel_opts opts = TLS(client_tls);
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	socklen_t len = sizeof(any);
	struct sf_channel *ch;

	/* Accepted by the kernel, and nobody answers the TLS handshake. */
	assert_int_equal(bind(fd, (struct sockaddr *)&any, len), 0);
	assert_int_equal(listen(fd, 5), 0);
	getsockname(fd, (struct sockaddr *)&any, &len);
	snprintf(address, sizeof(address), "[::1]:%u", ntohs(any.sin6_port));
	opts.ping_ms = 50;
	opts.dead_ms = 100;
	ch = connect_to(address, opts);
	TURN_UNTIL(client.failed >= 2);
	assert_string_equal(client.reason, "no connection within 100 ms");
	sf_channel_free(ch);
	close(fd);
}

/* ---- broken peers ----------------------------------------------------------------------- */

static int raw(const struct sf_channel_server *listener)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6,
				   .sin6_addr = IN6ADDR_LOOPBACK_INIT,
				   .sin6_port = htons(sf_channel_server_port(listener)) };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

/* Sends bytes, ends, and says what the server makes of it. */
static const char *broken(const struct sf_channel_server *listener, const void *bytes, size_t len)
{
	int fd = raw(listener), before = server.closed + server.failed;

	assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
	shutdown(fd, SHUT_WR);
	TURN_UNTIL(server.closed + server.failed > before);
	close(fd);
	return server.reason;
}

static void test_broken_frames(void **state)
{
	struct sf_channel_server *listener = listen_at("[::1]:0", PLAIN);
	static char whole[4 + SF_CHANNEL_FRAME_MAX] = { 0, 1, 0, 0 };
	static const unsigned char over[] = { 0, 0, 0, 0, 0, 1, 0, 1, 'x' };

	assert_string_equal(broken(listener, over, sizeof(over)),
			    "frame of 65537 bytes refused, expected at most 65536");
	assert_int_equal(server.opened, 1); /* the empty frame before it was fine */
	assert_int_equal(server.closed, 1);
	assert_non_null(
		strstr(broken(listener, "\xff\xff\xff\xff", 4), "4294967295 bytes refused"));
	assert_non_null(strstr(broken(listener, "GET / HTTP/1.1\r\n\r\n", 18), "refused"));
	/* Half a frame, half a header. */
	assert_string_equal(broken(listener, "\0\0\0\0\0\0\0\5ab", 10),
			    "closed by the peer in the middle of a frame (6 bytes of it)");
	assert_string_equal(broken(listener, "\0\0", 2),
			    "closed by the peer in the middle of a frame (2 bytes of it)");
	assert_string_equal(broken(listener, "", 0), "closed by the peer");
	assert_int_equal(server.messages, 0);
	/* The largest frame as a first one. */
	assert_string_equal(broken(listener, whole, sizeof(whole)), "closed by the peer");
	assert_int_equal(server.messages, 1);
	assert_int_equal(server.bytes, SF_CHANNEL_FRAME_MAX);
	sf_channel_server_free(listener);
}

/* Byte by byte is slow, and not wrong. */
static void test_dribble(void **state)
{
	struct sf_channel_server *listener = listen_at("[::1]:0", PLAIN);
	static const char bytes[] = "\0\0\0\0\0\0\0\3abc\0\0\0\0\0\0\0\2de";
	int fd = raw(listener), one = 1;

	setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof(one));
	for (unsigned i = 0; i < sizeof(bytes) - 1; i++) {
		assert_int_equal(send(fd, bytes + i, 1, MSG_NOSIGNAL), 1);
		turn(3);
	}
	TURN_UNTIL(server.messages == 2);
	assert_int_equal(server.bytes, 5);
	close(fd);
	TURN_UNTIL(server.closed);
	sf_channel_server_free(listener);
}

static void test_pressure(void **state)
{
	struct sf_channel_opts opts = {
		.plain = true, .send_high = 100000, .send_low = 20000, .send_max = 20 << 20
	};
	struct sf_channel_server *listener = listen_at("[::1]:0", opts);
	static char body[60000], sink[65536];
	int fd = raw(listener), rc;
	size_t queued;

	assert_int_equal(send(fd, "\0\0\0\0", 4, 0), 4);
	TURN_UNTIL(server.opened);
	/* The peer does not read. */
	do {
		rc = sf_channel_send(server.ch, body, sizeof(body));
		turn(1);
	} while (!rc);
	assert_int_equal(rc, -ENOBUFS);
	assert_int_equal(server.pressure, 1);
	assert_int_equal(server.relieved, 0);
	queued = sf_channel_queued(server.ch);
	assert_true(queued > 100000 && queued <= 20 << 20);
	assert_true(sf_channel_is_open(server.ch));
	while (!server.relieved) {
		turn(1);
		recv(fd, sink, sizeof(sink), MSG_DONTWAIT);
	}
	assert_true(sf_channel_queued(server.ch) <= 20000);
	assert_int_equal(sf_channel_send(server.ch, body, 100), 0);
	assert_int_equal(server.pressure, 1);
	close(fd);
	TURN_UNTIL(server.closed);
	sf_channel_server_free(listener);
}

static void test_max_peers(void **state)
{
	struct sf_channel_opts opts = { .plain = true, .max_peers = 2 };
	struct sf_channel_server *listener = listen_at("[::1]:0", opts);
	int one = raw(listener), two = raw(listener), three = raw(listener);
	char byte[8];

	turn(20);
	assert_int_equal(recv(three, byte, 1, 0), 0); /* closed, without a greeting */
	assert_int_equal(recv(one, byte, 4, 0), 4);
	assert_int_equal(recv(two, byte, 4, 0), 4);
	close(one);
	TURN_UNTIL(server.failed == 1);
	close(three);
	three = raw(listener);
	turn(20);
	assert_int_equal(recv(three, byte, 4, 0), 4);
	close(two);
	close(three);
	sf_channel_server_free(listener);
	assert_int_equal(server.failed, 3);
}

/* ---- certificates ----------------------------------------------------------------------- */

static void test_server_refuses(void **state)
{
	struct sf_channel_server *listener = listen_at("[::1]:0", TLS(server_tls));
	struct sf_channel *ch;

	/* Signed by somebody else: the client trusts us, we do not trust it. */
	ch = connect_to(address, TLS(mallory_tls));
	TURN_UNTIL(client.failed && server.failed);
	assert_non_null(strstr(server.reason, "certificate is refused"));
	assert_non_null(strstr(client.reason, "TLS"));
	sf_channel_free(ch);

	/* None at all. */
	fresh(NULL);
	ch = connect_to(address, TLS(anonymous_tls));
	TURN_UNTIL(client.failed && server.failed);
	assert_non_null(strstr(server.reason, "peer did not return a certificate"));
	sf_channel_free(ch);
	sf_channel_server_free(listener);
}

static void test_other_names(void **state)
{
	struct sf_channel_server *listener = listen_at("[::]:0", TLS(server_tls));
	struct sf_channel_opts opts = TLS(client_tls);
	struct sf_channel *ch;
	char where[64];

	/* A name that the certificate does not have. */
	opts.peer_name = "b.test";
	ch = connect_to(address, opts);
	TURN_UNTIL(client.failed && server.failed);
	assert_non_null(strstr(client.reason, "is for DNS:a.test, IP:::1, IP:127.0.0.1, expected "
					      "b.test"));
	sf_channel_free(ch);
	fresh(NULL);
	opts.peer_name = "::2";
	ch = connect_to(address, opts);
	TURN_UNTIL(client.failed);
	assert_non_null(strstr(client.reason, "IP:127.0.0.1, expected ::2"));
	sf_channel_free(ch);

	/* Without a name to expect, it is that of the address. */
	fresh(NULL);
	snprintf(where, sizeof(where), "localhost:%u", sf_channel_server_port(listener));
	ch = connect_to(where, TLS(client_tls));
	TURN_UNTIL(client.failed);
	assert_non_null(strstr(client.reason, "IP:127.0.0.1, expected localhost"));
	sf_channel_free(ch);
	sf_channel_server_free(listener);

	/* A common name does not count, whatever it is. */
	fresh(NULL);
	listener = listen_at("[::1]:0", TLS(bare_server_tls));
	opts.peer_name = "bare.test";
	ch = connect_to(address, opts);
	TURN_UNTIL(client.failed);
	assert_non_null(strstr(client.reason, "names no host and no address"));
	assert_non_null(strstr(client.reason, "'bare.test' does not count"));
	assert_int_equal(client.opened + server.opened, 0);
	sf_channel_free(ch);
	sf_channel_server_free(listener);
}

static void test_client_refuses(void **state)
{
	struct sf_channel_server *listener = listen_at("[::1]:0", TLS(old_server_tls));
	struct sf_channel *ch;

	/* Too old. */
	ch = connect_to(address, TLS(client_tls));
	TURN_UNTIL(client.failed);
	assert_non_null(strstr(client.reason, "it expired at 2"));
	sf_channel_free(ch);
	sf_channel_server_free(listener);

	/* A server whose certificate our CA has not signed. */
	fresh(NULL);
	listener = listen_at("[::1]:0", TLS(mallory_server_tls));
	ch = connect_to(address, TLS(client_tls));
	TURN_UNTIL(client.failed);
	assert_non_null(strstr(client.reason, "certificate is refused"));
	assert_int_equal(client.opened + server.opened, 0);
	sf_channel_free(ch);
	sf_channel_server_free(listener);
}

static void test_tls_and_plain(void **state)
{
	struct sf_channel_server *listener = listen_at("[::1]:0", TLS(server_tls));
	struct sf_channel *ch = connect_to(address, PLAIN);

	TURN_UNTIL(client.failed && server.failed);
	assert_int_equal(client.opened + server.opened, 0);
	sf_channel_free(ch);
	sf_channel_server_free(listener);
	fresh(NULL);
	listener = listen_at("[::1]:0", PLAIN);
	ch = connect_to(address, TLS(client_tls));
	TURN_UNTIL(client.failed && server.failed);
	assert_int_equal(client.opened + server.opened, 0);
	sf_channel_free(ch);
	sf_channel_server_free(listener);
}

/* ---- callbacks that end what they are called for ---------------------------------------- */

static void test_ended_by_callbacks(void **state)
{
	for (int i = 0; i < 4; i++) {
		struct sf_channel_server *listener;
		struct sf_channel *ch;

		fresh(NULL);
		listener = listen_at("[::1]:0", i % 2 ? TLS(server_tls) : PLAIN);
		server.close_on_message = i == 0;
		server.free_on_message = i == 1;
		server.free_on_open = i == 2;
		server.close_on_message |= server.free_on_close = i == 3;
		ch = connect_to(address, i % 2 ? TLS(client_tls) : PLAIN);
		TURN_UNTIL(client.opened);
		for (int n = 0; n < 10; n++)
			sf_channel_send(ch, "abc", 3);
		TURN_UNTIL(client.closed);
		assert_int_equal(server.opened, 1);
		assert_int_equal(server.messages, i == 2 ? 0 : 1);
		assert_int_equal(server.closed, i == 0 || i == 3);
		sf_channel_free(ch);
		sf_channel_server_free(listener);
	}
	/* The connecting side, likewise. */
	for (int i = 0; i < 3; i++) {
		struct sf_channel_server *listener;

		fresh(NULL);
		listener = listen_at("[::1]:0", PLAIN);
		client.free_on_open = i == 0;
		client.free_on_message = i == 1;
		client.free_on_close = i == 2;
		connect_to(address, PLAIN);
		TURN_UNTIL(client.opened && server.opened);
		if (i == 1)
			assert_int_equal(sf_channel_send(server.ch, "abc", 3), 0);
		if (i == 2)
			sf_channel_close(server.ch, "go");
		TURN_UNTIL(server.closed);
		TURN_UNTIL(client.ch == NULL);
		turn(20);
		assert_int_equal(client.opened, 1);
		sf_channel_server_free(listener);
	}
}

static void test_other_ctx(void **state)
{
	struct sf_channel_server *listener = listen_at("[::1]:0", PLAIN);
	struct sf_channel *ch = connect_to(address, PLAIN);
	struct side other = { 0 };

	TURN_UNTIL(client.opened && server.opened);
	sf_channel_set_ctx(server.ch, &other);
	assert_int_equal(sf_channel_send(ch, "abc", 3), 0);
	TURN_UNTIL(other.messages == 1);
	assert_int_equal(server.messages, 0);
	sf_channel_free(ch);
	sf_channel_server_free(listener);
	assert_int_equal(other.closed, 1);
}

/* ---- bad settings ----------------------------------------------------------------------- */

static void test_bad_settings(void **state)
{
	static const char *const bad[] = {
		"",    "::1",	"::1:80", "[::1]",   "[::1]:0",	    "[::1",	"host",	    "host:",
		":80", "[]:80", "a:b",	  "[::1]:x", "[::1]:99999", "host:80x", "[host]:80"
	};
	struct sf_channel_server *listener = NULL, *other = NULL;
	struct sf_channel *ch = NULL;
	struct sf_channel_opts opts = PLAIN;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (sf_channel_connect(base, bad[i], &opts, &ops, NULL, &ch, err, 512) != -EINVAL)
			fail_msg("address \"%s\" was taken", bad[i]);
		assert_null(ch);
	}
	assert_int_equal(sf_channel_listen(base, "host:80", &opts, &ops, NULL, &listener, err, 512),
			 -EINVAL);
	opts.plain = false;
	assert_int_equal(sf_channel_connect(base, "[::1]:9", &opts, &ops, NULL, &ch, err, 512),
			 -EINVAL);
	assert_non_null(strstr(err, "expected TLS or plain"));
	assert_int_equal(sf_channel_listen(base, "[::1]:0", &opts, &ops, NULL, &listener, err, 512),
			 -EINVAL);
	opts = (struct sf_channel_opts){ .plain = true, .tls = client_tls };
	assert_int_equal(sf_channel_connect(base, "[::1]:9", &opts, &ops, NULL, &ch, err, 512),
			 -EINVAL);
	opts = (struct sf_channel_opts){ .plain = true, .ping_ms = 20000 };
	assert_int_equal(sf_channel_connect(base, "[::1]:9", &opts, &ops, NULL, &ch, err, 512),
			 -EINVAL);
	opts = (struct sf_channel_opts){ .plain = true, .send_low = 5 << 20 };
	assert_int_equal(sf_channel_connect(base, "[::1]:9", &opts, &ops, NULL, &ch, err, 512),
			 -EINVAL);
	assert_null(ch);
	/* A port in use. */
	listener = listen_at("[::1]:0", PLAIN);
	opts = PLAIN;
	assert_int_equal(sf_channel_listen(base, address, &opts, &ops, NULL, &other, err, 512),
			 -EADDRINUSE);
	assert_non_null(strstr(err, address));
	sf_channel_server_free(listener);
	sf_channel_server_free(NULL);
	/* Freed before it ever connected, with a name being looked up. */
	ch = connect_to("localhost:9", PLAIN);
	sf_channel_free(ch);
	ch = connect_to("localhost:9", PLAIN);
	turn(1);
	sf_channel_free(ch);
	turn(10);
}

static SSL_CTX *tls_of(int make(const struct sf_tls_files *, SSL_CTX **, char *, size_t),
		       const char *name, const char *ca)
{
	char cert[128], key[128], ca_file[128];
	struct sf_tls_files files = { cert, key, ca_file };
	SSL_CTX *tls;

	snprintf(cert, sizeof(cert), "%s/%s.crt", tmp, name ? name : "");
	snprintf(key, sizeof(key), "%s/%s.key", tmp, name ? name : "");
	snprintf(ca_file, sizeof(ca_file), "%s/%s.crt", tmp, ca);
	if (!name)
		files.cert = files.key = NULL;
	if (make(&files, &tls, err, sizeof(err)))
		fail_msg("%s", err);
	return tls;
}

static int setup(void **state)
{
	if (!mkdtemp(tmp))
		return -1;
	pki_make(tmp);
	base = event_base_new();
	server_tls = tls_of(sf_tls_server, "a", "ca");
	client_tls = tls_of(sf_tls_client, "b", "ca");
	return 0;
}

static int mallory_setup(void **state)
{
	if (mallory_tls)
		return fresh(state);
	mallory_tls = tls_of(sf_tls_client, "mallory", "ca");
	mallory_server_tls = tls_of(sf_tls_server, "mallory", "ca");
	bare_server_tls = tls_of(sf_tls_server, "bare", "ca");
	old_server_tls = tls_of(sf_tls_server, "old", "ca");
	anonymous_tls = tls_of(sf_tls_client, NULL, "ca");
	return fresh(state);
}

static int teardown(void **state)
{
	char cmd[64];

	event_base_free(base);
	sf_tls_free(server_tls);
	sf_tls_free(client_tls);
	sf_tls_free(mallory_tls);
	sf_tls_free(mallory_server_tls);
	sf_tls_free(anonymous_tls);
	sf_tls_free(bare_server_tls);
	sf_tls_free(old_server_tls);
	snprintf(cmd, sizeof(cmd), "rm -r %s", tmp);
	return system(cmd);
}

#define TEST(f) cmocka_unit_test_setup(f, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_plain),
		TEST(test_plain_ipv4),
		TEST(test_tls),
		TEST(test_by_name),
		TEST(test_reconnect),
		TEST(test_backoff),
		TEST(test_keep_alive),
		TEST(test_connect_times_out),
		TEST(test_broken_frames),
		TEST(test_dribble),
		TEST(test_pressure),
		TEST(test_max_peers),
		cmocka_unit_test_setup(test_server_refuses, mallory_setup),
		cmocka_unit_test_setup(test_other_names, mallory_setup),
		cmocka_unit_test_setup(test_client_refuses, mallory_setup),
		TEST(test_tls_and_plain),
		TEST(test_ended_by_callbacks),
		TEST(test_other_ctx),
		TEST(test_bad_settings),
	};

	alarm(50);
	return cmocka_run_group_tests(tests, setup, teardown);
}
