// SPDX-License-Identifier: Apache-2.0
/* util/sockdiag: sockets of every kind are found with their kernel identity, in a namespace of
 * their own. Needs root. */
#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/netlink.h"
#include "util/sockdiag.h"

struct wanted {
	uint16_t port; /* local */
	uint8_t state; /* 0: any */
	int count;
	struct sf_sock sock;
};

static int look(const struct sf_sock *sock, void *ctx)
{
	struct wanted *w = ctx;

	if (sock->local_port == w->port && (!w->state || sock->state == w->state)) {
		w->sock = *sock;
		w->count++;
	}
	return 0;
}

static int stop(const struct sf_sock *sock, void *ctx)
{
	++*(int *)ctx;
	return 42;
}

static uint64_t cookie_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len), 0);
	return cookie;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_in6 addr;
	socklen_t len = sizeof(addr);

	assert_int_equal(getsockname(fd, (void *)&addr, &len), 0);
	return ntohs(addr.sin6_port);
}

static int bound(int type, const char *text, bool v6only)
{
	struct sockaddr_in6 addr = { .sin6_family = AF_INET6 };
	int fd = socket(AF_INET6, type, 0), on = v6only;

	inet_pton(AF_INET6, text, &addr.sin6_addr);
	assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)), 0);
	assert_int_equal(bind(fd, (void *)&addr, sizeof(addr)), 0);
	return fd;
}

static int connected(int type, uint16_t port)
{
	struct sockaddr_in6 addr = { .sin6_family = AF_INET6,
				     .sin6_port = htons(port),
				     .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(AF_INET6, type, 0);

	assert_int_equal(connect(fd, (void *)&addr, sizeof(addr)), 0);
	return fd;
}

static void listeners(void **state)
{
	int one = bound(SOCK_STREAM, "::1", false), wild = bound(SOCK_STREAM, "::", true), client,
	    both, n = 0;
	struct wanted w = { .port = port_of(one) };
	struct stat st;

	assert_int_equal(listen(one, 5), 0);
	assert_int_equal(listen(wild, 5), 0);
	assert_int_equal(sf_sockdiag_dump(IPPROTO_TCP, SF_TCP_LISTENERS, look, &w), 0);
	assert_int_equal(w.count, 1);
	assert_int_equal(w.sock.state, SF_TCP_LISTEN);
	assert_int_equal(w.sock.protocol, IPPROTO_TCP);
	assert_true(IN6_IS_ADDR_LOOPBACK(&w.sock.local));
	assert_true(w.sock.cookie == cookie_of(one));
	assert_int_equal(fstat(one, &st), 0);
	assert_int_equal(w.sock.inode, st.st_ino);
	assert_int_equal(w.sock.uid, getuid());
	assert_true(w.sock.v6only); /* as any that is bound to one address */

	w = (struct wanted){ .port = port_of(wild) };
	assert_int_equal(sf_sockdiag_dump(IPPROTO_TCP, SF_TCP_LISTENERS, look, &w), 0);
	assert_int_equal(w.count, 1);
	assert_true(w.sock.v6only);
	assert_true(IN6_IS_ADDR_UNSPECIFIED(&w.sock.local));
	both = bound(SOCK_STREAM, "::", false);
	assert_int_equal(listen(both, 5), 0);
	w = (struct wanted){ .port = port_of(both) };
	assert_int_equal(sf_sockdiag_dump(IPPROTO_TCP, SF_TCP_LISTENERS, look, &w), 0);
	assert_int_equal(w.count, 1);
	assert_false(w.sock.v6only);
	close(both);

	/* What is no listener is not among them. */
	client = connected(SOCK_STREAM, port_of(one));
	w = (struct wanted){ .port = port_of(client) };
	assert_int_equal(sf_sockdiag_dump(IPPROTO_TCP, SF_TCP_LISTENERS, look, &w), 0);
	assert_int_equal(w.count, 0);
	assert_int_equal(sf_sockdiag_dump(IPPROTO_TCP, SF_TCP_ANY, stop, &n), 42);
	assert_int_equal(n, 1);
	close(client);
	close(wild);
	close(one);
}

static void time_wait_is_seen(void **state)
{
	int l = bound(SOCK_STREAM, "::1", false), c, s;
	struct wanted w;
	char byte;

	assert_int_equal(listen(l, 5), 0);
	c = connected(SOCK_STREAM, port_of(l));
	s = accept(l, NULL, NULL);
	w = (struct wanted){ .port = port_of(c) };
	assert_int_equal(sf_sockdiag_dump(IPPROTO_TCP, SF_TCP_ANY, look, &w), 0);
	assert_int_equal(w.count, 1);
	assert_int_equal(w.sock.state, SF_TCP_ESTABLISHED);
	assert_int_equal(w.sock.remote_port, port_of(l));
	assert_true(w.sock.cookie == cookie_of(c));
	close(c); /* first to close: TIME_WAIT is here */
	assert_int_equal(read(s, &byte, 1), 0);
	close(s);
	w.count = 0;
	assert_int_equal(sf_sockdiag_dump(IPPROTO_TCP, SF_TCP_ANY, look, &w), 0);
	assert_int_equal(w.count, 1);
	assert_int_equal(w.sock.state, SF_TCP_TIME_WAIT);
	assert_int_equal(w.sock.inode, 0);
	close(l);
}

static void datagrams(void **state)
{
	int u = bound(SOCK_DGRAM, "::1", false), c = connected(SOCK_DGRAM, port_of(u));
	struct wanted w = { .port = port_of(u) };

	assert_int_equal(sf_sockdiag_dump(IPPROTO_UDP, SF_TCP_ANY, look, &w), 0);
	assert_int_equal(w.count, 1);
	assert_int_equal(w.sock.state, SF_TCP_CLOSE);
	assert_true(w.sock.cookie == cookie_of(u));
	w = (struct wanted){ .port = port_of(c) };
	assert_int_equal(sf_sockdiag_dump(IPPROTO_UDP, SF_TCP_ANY, look, &w), 0);
	assert_int_equal(w.count, 1);
	assert_int_equal(w.sock.state, SF_TCP_ESTABLISHED);
	assert_int_equal(w.sock.remote_port, port_of(u));
	close(c);
	close(u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(listeners),
		cmocka_unit_test(time_wait_is_seen),
		cmocka_unit_test(datagrams),
	};
	struct sf_nl *nl;

	if (geteuid() != 0) {
		fprintf(stderr, "needs root: makes a network namespace\n");
		return 77;
	}
	if (unshare(CLONE_NEWNET) || sf_nl_open(&nl) || sf_link_set_up(nl, 1, true)) {
		perror("cannot make a network namespace");
		return 1;
	}
	sf_nl_close(nl);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
