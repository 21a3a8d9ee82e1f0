// SPDX-License-Identifier: Apache-2.0
/* agent/repair: a connection's socket ends and another one goes on with it, in a namespace of our
 * own. Needs root. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/repair.h"

#define MUCH (4u * 1024 * 1024)

struct pair {
	int client, server;
};

static uint8_t byte_at(size_t i)
{
	return (uint8_t)(i * 31 + i / 251);
}

static struct pair pair_open(void)
{
	struct sockaddr_in6 at = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
	int listener = socket(AF_INET6, SOCK_STREAM, 0);
	socklen_t len = sizeof(at);
	struct pair p;

	assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
	p.client = socket(AF_INET6, SOCK_STREAM, 0);
	assert_int_equal(connect(p.client, (struct sockaddr *)&at, sizeof(at)), 0);
	p.server = accept(listener, NULL, NULL);
	assert_true(p.server >= 0);
	close(listener);
	return p;
}

static void pair_close(struct pair *p)
{
	close(p->client);
	close(p->server);
}

/* Another socket in the place of @p's server. */
static void replace(struct pair *p, struct repair *r)
{
	struct sf_tuple t;
	size_t said = 0;

	assert_int_equal(repair_tuple(p->server, &t), 0);
	assert_int_equal(repair_dump(p->server, r), 0);
	assert_true(repair_is_frozen(p->server));
	repair_end(p->server);
	assert_false(repair_is_frozen(p->server));
	assert_int_equal(repair_tuple(p->server, &t), -ENOTCONN);
	close(p->server);
	p->server = repair_restore(&t, r);
	assert_true(p->server >= 0);
	assert_int_equal(repair_thaw(p->server, true), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(repair_say(p->server, r, &said), 0);
	assert_true(said <= r->unsent && (said || !r->unsent));
	assert_int_equal(repair_finish(p->server, r, said), 0);
}

static void expect_bytes(int fd, size_t from, size_t n)
{
	uint8_t buf[65536];

	while (n) {
		ssize_t got = recv(fd, buf, n < sizeof(buf) ? n : sizeof(buf), 0);

		assert_true(got > 0);
		for (ssize_t i = 0; i < got; i++)
			assert_int_equal(buf[i], byte_at(from + (size_t)i));
		from += (size_t)got;
		n -= (size_t)got;
	}
}

/* As much as goes without waiting. Return: how much that was. */
static size_t fill(int fd)
{
	uint8_t buf[4096];
	size_t done = 0;

	while (done < MUCH) {
		ssize_t n;

		for (size_t i = 0; i < sizeof(buf); i++)
			buf[i] = byte_at(done + i);
		n = send(fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n < 0)
			break;
		done += (size_t)n;
	}
	return done;
}

static void quiet(void **state)
{
	struct pair p = pair_open();
	struct repair r = { 0 };
	char buf[8];

	replace(&p, &r);
	assert_int_equal(repair_size(&r), 0);
	assert_int_equal(r.options, REPAIR_OPTIONS);
	repair_free(&r);
	assert_int_equal(send(p.client, "to", 2, 0), 2);
	assert_int_equal(send(p.server, "fro", 3, 0), 3);
	assert_int_equal(recv(p.server, buf, sizeof(buf), 0), 2);
	assert_int_equal(recv(p.client, buf, sizeof(buf), 0), 3);
	pair_close(&p);
}

/* Bytes that nobody has read, at both ends, and those that could not be sent. */
static void full(void **state)
{
	struct pair p = pair_open();
	struct repair r = { 0 };
	size_t to, fro;
	char c;

	to = fill(p.client);
	fro = fill(p.server);
	replace(&p, &r);
	assert_true(r.received > 0);
	assert_true(r.unsent > 0);
	repair_free(&r);
	expect_bytes(p.client, 0, fro);
	expect_bytes(p.server, 0, to);
	assert_int_equal(send(p.server, "x", 1, 0), 1);
	assert_int_equal(recv(p.client, &c, 1, 0), 1);
	assert_int_equal(c, 'x');
	pair_close(&p);
}

/* What was not finished goes on, and can be begun again. */
static void thawed(void **state)
{
	struct pair p = pair_open();
	struct repair r = { 0 }, again = { 0 };
	size_t fro = fill(p.server);
	char c;

	assert_int_equal(repair_dump(p.server, &r), 0);
	assert_int_equal(repair_dump(p.server, &again), 0);
	assert_int_equal(again.snd_seq, r.snd_seq);
	assert_int_equal(repair_size(&again), repair_size(&r));
	assert_int_equal(repair_thaw(p.server, false), 0);
	expect_bytes(p.client, 0, fro);
	assert_int_equal(send(p.client, "c", 1, 0), 1);
	assert_int_equal(recv(p.server, &c, 1, 0), 1);
	repair_free(&r);
	repair_free(&again);
	pair_close(&p);
}

static void refused(void **state)
{
	int udp = socket(AF_INET6, SOCK_DGRAM, 0), four = socket(AF_INET, SOCK_STREAM, 0);
	int idle = socket(AF_INET6, SOCK_STREAM, 0), pipes[2];
	struct pair p = pair_open();
	struct repair r = { 0 };
	struct sf_tuple t;

	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(repair_tuple(pipes[0], &t), -ENOTSOCK);
	assert_int_equal(repair_tuple(udp, &t), -EPROTOTYPE);
	assert_int_equal(repair_tuple(four, &t), -EPROTOTYPE);
	assert_int_equal(repair_tuple(idle, &t), -ENOTCONN);
	assert_int_equal(repair_tuple(p.server, &t), 0);
	/* It is here already. */
	assert_int_equal(repair_dump(p.server, &r), 0);
	assert_int_equal(repair_restore(&t, &r), -EADDRINUSE);
	assert_int_equal(repair_thaw(p.server, false), 0);
	repair_free(&r);
	shutdown(p.client, SHUT_WR);
	while (!repair_tuple(p.server, &t))
		usleep(1000);
	assert_int_equal(repair_tuple(p.server, &t), -ESHUTDOWN);
	assert_int_equal(repair_tuple(p.client, &t), -ESHUTDOWN);
	pair_close(&p);
	close(udp);
	close(four);
	close(idle);
	close(pipes[0]);
	close(pipes[1]);
}

static void mtu_set(int mtu)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_mtu = mtu };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	assert_int_equal(ioctl(fd, SIOCSIFMTU, &lo), 0);
	close(fd);
}

static uint32_t mss_of(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	return info.tcpi_snd_mss;
}

/* Its segments are as long as before, from the first one on. */
static void segments(void **state)
{
	struct repair r = { 0 };
	uint32_t was;
	struct pair p;

	mtu_set(1500);
	p = pair_open();
	was = mss_of(p.server);
	assert_int_equal(was, 1500 - 40 - 20 - 12);
	replace(&p, &r);
	assert_int_equal(mss_of(p.server), was);
	repair_free(&r);
	pair_close(&p);
	mtu_set(65536);
}

static void expect_listener(const struct sf_tuple *t)
{
	struct sockaddr_in6 at = { .sin6_family = AF_INET6, .sin6_port = t->lport };
	int fd = socket(AF_INET6, SOCK_STREAM, 0), on = 1;

	memcpy(&at.sin6_addr, &t->local, sizeof(t->local));
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 1), 0);
	close(fd);
}

/* A server can begin anew beside a connection that came, and after it. */
static void beside(void **state)
{
	struct pair p = pair_open();
	struct repair r = { 0 };
	struct sf_tuple t;
	char c;

	assert_int_equal(repair_tuple(p.server, &t), 0);
	replace(&p, &r);
	expect_listener(&t);
	shutdown(p.server, SHUT_WR); /* the first to close waits */
	assert_int_equal(recv(p.client, &c, 1, 0), 0);
	pair_close(&p);
	expect_listener(&t);
	repair_free(&r);
	p = pair_open();
	assert_int_equal(repair_tuple(p.server, &t), 0);
	assert_int_equal(repair_dump(p.server, &r), 0);
	assert_int_equal(repair_thaw(p.server, false), 0);
	expect_listener(&t);
	repair_free(&r);
	pair_close(&p);
}

/* What a timer would have sent while the queue was read was not sent. */
static void paced(void **state)
{
	for (int i = 0; i < 10; i++) {
		unsigned int rate = 20000000;
		struct pair p = pair_open();
		struct repair r = { 0 };
		size_t fro;

		assert_int_equal(
			setsockopt(p.server, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof(rate)),
			0);
		fro = fill(p.server);
		assert_true(fro > MUCH / 16);
		assert_int_equal(repair_dump(p.server, &r), 0);
		assert_true(r.unsent > fro / 2);
		repair_end(p.server);
		repair_free(&r);
		pair_close(&p);
	}
}

/* Who did not take it over says nothing, whether it has spoken before or not. */
static void dropped(void **state)
{
	for (int spoken = 0; spoken < 2; spoken++) {
		struct pair p = pair_open();
		struct repair r = { 0 };
		struct sf_tuple t;
		char c;

		replace(&p, &r);
		assert_int_equal(repair_tuple(p.server, &t), 0);
		repair_free(&r);
		if (!spoken) {
			assert_int_equal(repair_dump(p.server, &r), 0);
			repair_free(&r);
		}
		assert_int_equal(send(p.client, "c", 1, 0), 1);
		repair_drop(p.server);
		usleep(20000);
		assert_int_equal(recv(p.client, &c, 1, MSG_DONTWAIT), -1);
		assert_int_equal(errno, EAGAIN);
		close(p.client);
	}
}

int main(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quiet),   cmocka_unit_test(full),     cmocka_unit_test(thawed),
		cmocka_unit_test(refused), cmocka_unit_test(segments), cmocka_unit_test(beside),
		cmocka_unit_test(paced),   cmocka_unit_test(dropped),
	};
	int fd;

	if (geteuid()) {
		print_error("SKIPPED: needs root, for a namespace and TCP_REPAIR\n");
		return 77;
	}
	if (unshare(CLONE_NEWNET))
		return 1;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo))
		return 1;
	close(fd);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
