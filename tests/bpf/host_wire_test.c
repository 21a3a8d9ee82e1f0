// SPDX-License-Identifier: Apache-2.0
/*
 * host_wire_test.c - three hosts and a router on virtual links, with real sockets and no daemons:
 *
 *	A (client) ---- R (service router) ---- B (serves X)
 *	                 `--------------------- C (does not)
 *
 * Virtual devices leave checksums and segmentation to whoever comes last, so here the datapath
 * meets what test runs cannot make: CHECKSUM_PARTIAL, 64 KB segments, redirection. The router sends
 * first attempts to C and second ones to B.
 */
#include "tests/bpf/host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <cmocka.h>

#include "bpf/service_router.skel.h"
#include "core/ctrl.h"
#include "util/bpf.h"
#include "util/netns.h"

#define BULK	(24u << 20)
#define SLOTS	7
#define HOSTS	3
#define SECONDS 5

enum { A, B, C, R };
static struct host hosts[HOSTS];
static struct service_router_bpf *router;
static int ns[4] = { -1, -1, -1, -1 };
static char names[4][32];

static int sh(const char *fmt, ...)
{
	char cmd[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	if (system(cmd) == 0)
		return 0;
	fprintf(stderr, "failed: %s\n", cmd);
	return -1;
}

static const char *text(const struct sf_addr *addr)
{
	static char buf[4][SF_ADDR_STRLEN];
	static int n;

	return sf_addr_print(addr, buf[n++ & 3]);
}

/* One host, its link to the router, addresses, routes, and what delivers service addresses. */
static int host_wire(int i)
{
	const char *me = names[i], *r = names[R];
	struct host *h = &hosts[i];

	return sh("ip -n %s link add uplink type veth peer name l%d netns %s", me, i, r) ||
	       sh("ip netns exec %s sysctl -qw net.ipv6.conf.all.accept_dad=0 "
		  "net.ipv6.conf.uplink.accept_dad=0 net.ipv6.ip_nonlocal_bind=1",
		  me) ||
	       sh("ip netns exec %s sysctl -qw net.ipv6.conf.l%d.accept_dad=0", r, i) ||
	       sh("ip -n %s link set lo up && ip -n %s link set uplink up && ip -n %s link set l%d "
		  "up",
		  me, me, r, i) ||
	       sh("ip -n %s addr add fe80::%d/64 dev uplink nodad", me, 0x10 + i) ||
	       sh("ip -n %s addr add fe80::1/64 dev l%d nodad", r, i) ||
	       sh("ip -n %s addr add %s/128 dev lo nodad", me, text(&h->cfg.self)) ||
	       sh("ip -n %s addr add %s/128 dev uplink nodad", me, text(&h->cfg.own)) ||
	       sh("ip -n %s -6 route add fd5e::/32 via fe80::1 dev uplink src %s", me,
		  text(&h->cfg.self)) ||
	       sh("ip -n %s -6 route add fd5c::/16 via fe80::1 dev uplink", me) ||
	       sh("ip -n %s -6 rule add iif uplink to fd5e::/32 lookup 213", me) ||
	       sh("ip -n %s -6 route add local fd5e::/32 dev lo table 213", me) ||
	       sh("ip -n %s -6 route add %s/80 via fe80::%d dev l%d", r, text(&h->cfg.own),
		  0x10 + i, i);
}

static int attach(const char *dev, int prog, enum bpf_tc_attach_point where)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)if_nametoindex(dev), .attach_point = where);
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = prog);
	int err = bpf_tc_hook_create(&hook);

	if (err && err != -EEXIST)
		return err;
	return bpf_tc_attach(&hook, &opts);
}

static int host_attach(void *ctx)
{
	struct host *h = ctx;
	uint32_t zero = 0;
	uint64_t cookie;
	int err;

	err = sf_netns_cookie(&cookie);
	h->cfg.cookie = cookie;
	h->cfg.ifindex = if_nametoindex("uplink");
	if (!err)
		err = bpf_map_update_elem(bpf_map__fd(h->skel->maps.config), &zero, &h->cfg, 0);
	if (!err)
		err = attach("uplink", h->egress, BPF_TC_EGRESS);
	return err ? err : attach("uplink", h->ingress, BPF_TC_INGRESS);
}

static void slot_put(uint32_t at, int host)
{
	struct sf_addr to = sf_locator(&hosts[host].cfg.net, hosts[host].cfg.host, 0);

	sf_csum_neutral(&service, &to);
	bpf_map_update_elem(bpf_map__fd(router->maps.slots), &at, &to, BPF_ANY);
}

/* The service's table: every slot leads to C, and B is the other instance. */
static int router_fill(void)
{
	struct sf_service_key key = { .sid = service_sid };
	struct sf_rule rule = { .at = 0, .size = SLOTS, .instances = 2 };
	struct sf_router_config cfg = { .net = hosts[A].cfg.net,
					.roles = SF_ROLE_SERVICE,
					.own = sf_locator(&hosts[A].cfg.net, 0x10000, 0),
					.key = { 1, 2 } };
	uint32_t zero = 0;

	for (uint32_t i = 0; i < SLOTS; i++)
		slot_put(i, C);
	slot_put(SLOTS, C);
	slot_put(SLOTS + 1, B);
	return bpf_map_update_elem(bpf_map__fd(router->maps.rules), &key, &rule, BPF_ANY) ||
	       bpf_map_update_elem(bpf_map__fd(router->maps.config), &zero, &cfg, BPF_ANY);
}

static int router_attach(void *ctx)
{
	int fd = bpf_program__fd(router->progs.sf_router_ingress);

	return attach("l0", fd, BPF_TC_INGRESS) || attach("l1", fd, BPF_TC_INGRESS) ||
	       attach("l2", fd, BPF_TC_INGRESS);
}

static int group_setup(void **state)
{
	static const char *const who[] = { "a", "b", "c", "r" };
	char err[4096];

	service_sid = sf_sid_make(SF_SSID_DEFAULT, 0x5eed);
	for (int i = 0; i < 4; i++) {
		snprintf(names[i], sizeof(names[i]), "sfwire%d-%s", getpid(), who[i]);
		if (sf_netns_create(names[i]))
			return -1;
		ns[i] = sf_netns_open(names[i]);
	}
	if (sh("ip netns exec %s sysctl -qw net.ipv6.conf.all.forwarding=1", names[R]))
		return -1;
	for (int i = 0; i < HOSTS; i++) {
		struct sf_sid id = sf_sid_make(SF_SSID_HOSTS, 0xa0 + (unsigned)i);

		if (host_load(&hosts[i], 0x10001 + (unsigned)i, &id, 77 + (unsigned)i) ||
		    host_wire(i) || sf_netns_run(ns[i], host_attach, &hosts[i]))
			return -1;
	}
	service = sf_service_addr(&hosts[A].cfg.net, &service_sid);
	router = service_router_bpf__open();
	if (!router || sf_bpf_skeleton_load(router->skeleton, err, sizeof(err)))
		return -1;
	return router_fill() || sf_netns_run(ns[R], router_attach, NULL);
}

static int group_teardown(void **state)
{
	for (int i = 0; i < 4; i++) {
		if (ns[i] >= 0)
			close(ns[i]);
		if (names[i][0])
			sf_netns_delete(names[i]);
	}
	for (int i = 0; i < HOSTS; i++)
		host_bpf__destroy(hosts[i].skel);
	service_router_bpf__destroy(router);
	return 0;
}

/* ---- sockets in their namespaces ---- */

struct want {
	int type;
	struct sf_addr addr;
	uint16_t port;
	bool serve;
	int fd;
};

static int make_socket(void *ctx)
{
	struct timeval patience = { .tv_sec = SECONDS };
	struct want *w = ctx;
	struct sockaddr_in6 sin = { .sin6_family = AF_INET6, .sin6_port = htons(w->port) };
	int err = 0;

	memcpy(&sin.sin6_addr, &w->addr, 16);
	w->fd = socket(AF_INET6, w->type | SOCK_CLOEXEC, 0);
	if (w->fd < 0)
		return -errno;
	setsockopt(w->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(w->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (w->serve)
		err = bind(w->fd, (void *)&sin, sizeof(sin)) ||
		      (w->type == SOCK_STREAM && listen(w->fd, 8));
	else
		err = connect(w->fd, (void *)&sin, sizeof(sin));
	if (!err)
		return 0;
	err = -errno;
	close(w->fd);
	return err;
}

static int socket_at(int host, int type, uint16_t port, bool serve)
{
	struct want w = { .type = type, .addr = service, .port = port, .serve = serve };
	int err = sf_netns_run(ns[host], make_socket, &w);

	return err ? err : w.fd;
}

static void register_at(int host, uint8_t proto, uint16_t port, uint8_t listener_state)
{
	host_listener(&hosts[host], &service, proto, port, listener_state);
}

static uint8_t pattern(uint32_t i)
{
	return (uint8_t)(i * 31 + (i >> 11));
}

static void *send_bulk(void *arg)
{
	static uint8_t data[BULK];
	int fd = *(int *)arg;
	size_t done = 0;

	for (uint32_t i = 0; i < BULK; i++)
		data[i] = pattern(i);
	while (done < BULK) {
		ssize_t n = send(fd, data + done, BULK - done, MSG_NOSIGNAL);

		if (n <= 0)
			break;
		done += (size_t)n;
	}
	shutdown(fd, SHUT_WR);
	return NULL;
}

static void receive_bulk(int fd)
{
	static uint8_t buf[1 << 16];
	uint32_t got = 0;
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0) {
		for (ssize_t i = 0; i < n; i++, got++) {
			if (buf[i] != pattern(got))
				fail_msg("byte %u differs", got);
		}
	}
	assert_int_equal(got, BULK);
}

/* Carries BULK bytes each way over an accepted connection. */
static void exchange(int client, int server)
{
	pthread_t t;

	assert_int_equal(pthread_create(&t, NULL, send_bulk, &client), 0);
	receive_bulk(server);
	pthread_join(t, NULL);
	assert_int_equal(pthread_create(&t, NULL, send_bulk, &server), 0);
	receive_bulk(client);
	pthread_join(t, NULL);
}

static void report(void)
{
	for (int i = 0; i < HOSTS; i++) {
		for (uint32_t r = 0; r < SF_REASON_MAX; r++) {
			uint64_t n = host_count(&hosts[i], r);

			if (n)
				printf("host %c: %s %llu\n", 'a' + i, sf_reason_name(r),
				       (unsigned long long)n);
		}
	}
}

static void stream_finds_the_instance_that_serves(void **state)
{
	int listener = socket_at(B, SOCK_STREAM, PORT, true), client, server;
	struct sockaddr_in6 sin;
	socklen_t len = sizeof(sin);
	uint64_t segments;

	assert_true(listener >= 0);
	register_at(B, IPPROTO_TCP, PORT, SF_LISTENER_LIVE);
	client = socket_at(A, SOCK_STREAM, PORT, false);
	assert_true(client >= 0);
	server = accept(listener, (void *)&sin, &len);
	assert_true(server >= 0);
	/* Each end sees who the other is, not where. */
	assert_memory_equal(&sin.sin6_addr, &hosts[A].cfg.self, 16);
	assert_int_equal(getpeername(client, (void *)&sin, &len), 0);
	assert_memory_equal(&sin.sin6_addr, &service, 16);
	exchange(client, server);
	/* C refused the first attempt, in its datapath. */
	assert_int_equal(host_traffic(&hosts[C], SF_TRAFFIC_FAIL_SENT), 1);
	assert_int_equal(host_traffic(&hosts[A], SF_TRAFFIC_RETRIED), 1);
	segments = host_traffic(&hosts[A], SF_TRAFFIC_OUT_BOUND);
	assert_true(segments >= BULK / 1460);
	assert_int_equal(host_drops(&hosts[A]) + host_drops(&hosts[B]), 0);
	assert_int_equal(host_drops(&hosts[C]), 1);
	close(client);
	close(server);
	close(listener);
	register_at(B, IPPROTO_TCP, PORT, 0);
	report();
}

static void stream_that_nobody_serves_is_refused(void **state)
{
	uint64_t retried = host_traffic(&hosts[A], SF_TRAFFIC_RETRIED);

	assert_int_equal(socket_at(A, SOCK_STREAM, PORT, false), -ECONNREFUSED);
	assert_int_equal(host_traffic(&hosts[A], SF_TRAFFIC_RETRIED), retried + SF_ATTEMPT_MAX);
}

static void stream_to_an_unknown_service_is_refused(void **state)
{
	struct want w = { .type = SOCK_STREAM, .addr = service, .port = PORT };

	w.addr.b[15] ^= 1;
	assert_int_equal(sf_netns_run(ns[A], make_socket, &w), -ECONNREFUSED);
}

static void lost_server_resets_its_client(void **state)
{
	int listener = socket_at(B, SOCK_STREAM, PORT + 1, true), client, server;
	char c;

	register_at(B, IPPROTO_TCP, PORT + 1, SF_LISTENER_LIVE);
	client = socket_at(A, SOCK_STREAM, PORT + 1, false);
	server = accept(listener, NULL, NULL);
	assert_true(client >= 0 && server >= 0);
	assert_int_equal(send(server, "x", 1, 0), 1);
	assert_int_equal(recv(client, &c, 1, 0), 1);
	/* As when B's host lost its state. */
	uint64_t key;
	int fd = bpf_map__fd(hosts[B].skel->maps.flows);

	while (!bpf_map_get_next_key(fd, NULL, &key))
		bpf_map_delete_elem(fd, &key);
	assert_int_equal(send(client, "y", 1, MSG_NOSIGNAL), 1);
	assert_int_equal(recv(client, &c, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	/* And B's own socket, when it speaks. */
	assert_int_equal(send(server, "z", 1, MSG_NOSIGNAL), 1);
	assert_int_equal(recv(server, &c, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	close(client);
	close(server);
	close(listener);
	register_at(B, IPPROTO_TCP, PORT + 1, 0);
}

static void datagrams(void **state)
{
	static const size_t sizes[] = { 1, 512, 1420, 1421, 1452, 3000, 9000 };
	int server = socket_at(B, SOCK_DGRAM, 53, true), client;
	uint8_t out[9000], in[9000];
	struct sockaddr_in6 sin;
	socklen_t len = sizeof(sin);
	uint64_t unbound = host_traffic(&hosts[A], SF_TRAFFIC_OUT_DATA);
	uint64_t syns = host_traffic(&hosts[A], SF_TRAFFIC_OUT_SYN);
	uint64_t bound = host_traffic(&hosts[A], SF_TRAFFIC_OUT_BOUND);

	/* The first choice is to be who serves. */
	for (uint32_t i = 0; i < SLOTS; i++)
		slot_put(i, B);
	register_at(B, IPPROTO_UDP, 53, SF_LISTENER_LIVE);
	client = socket_at(A, SOCK_DGRAM, 53, false);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		ssize_t n = -1;

		for (uint32_t j = 0; j < sizes[i]; j++)
			out[j] = pattern(j + (uint32_t)i);
		/* The first that is too big is lost: its sender learns the path's MTU. */
		for (int tries = 0; tries < 3 && n < 0; tries++) {
			struct pollfd p = { .fd = server, .events = POLLIN };

			send(client, out, sizes[i], 0);
			if (poll(&p, 1, 200) == 1)
				n = recvfrom(server, in, sizeof(in), 0, (void *)&sin, &len);
		}
		assert_int_equal(n, sizes[i]);
		assert_memory_equal(in, out, sizes[i]);
		assert_memory_equal(&sin.sin6_addr, &hosts[A].cfg.self, 16);
		for (int tries = 0, k = 0; tries < 3 && !k; tries++) {
			struct pollfd p = { .fd = client, .events = POLLIN };

			sendto(server, out, sizes[i], 0, (void *)&sin, len);
			k = poll(&p, 1, 200);
		}
		assert_int_equal(recv(client, in, sizeof(in), 0), sizes[i]);
		assert_memory_equal(in, out, sizes[i]);
	}
	/* The first one opens a flow, and all others follow it, whole or in fragments. */
	assert_int_equal(host_traffic(&hosts[A], SF_TRAFFIC_OUT_SYN), syns + 1);
	assert_int_equal(host_traffic(&hosts[A], SF_TRAFFIC_OUT_DATA), unbound);
	assert_true(host_traffic(&hosts[A], SF_TRAFFIC_OUT_BOUND) >= bound + 6 + 2 + 6);
	assert_int_equal(host_traffic(&hosts[B], SF_TRAFFIC_OUT_DATA), 0);
	close(client);
	close(server);
	register_at(B, IPPROTO_UDP, 53, 0);
	report();
}

/* An instance once sent something unbound to a port of A's: @asked. */
static void was_asked_at(uint16_t asked)
{
	struct sf_peer_key k = { .peer = service, .pport = htons(56), .proto = IPPROTO_UDP };
	struct sf_peer peer = { .locator = sf_locator(&hosts[B].cfg.net, hosts[B].cfg.host, 0),
				.flags = (uint32_t)asked << SF_PEER_PORT_AT };

	assert_int_equal(
		bpf_map_update_elem(bpf_map__fd(hosts[A].skel->maps.datagrams), &k, &peer, BPF_ANY),
		0);
}

/* It is answered unbound, at that port; what other programs ask the service has a flow. */
static void only_who_was_asked_answers_unbound(void **state)
{
	int server = socket_at(B, SOCK_DGRAM, 56, true), client;
	uint64_t unbound = host_traffic(&hosts[A], SF_TRAFFIC_OUT_DATA);
	uint64_t syns = host_traffic(&hosts[A], SF_TRAFFIC_OUT_SYN);
	struct sockaddr_in6 sin;
	socklen_t len = sizeof(sin);
	char c;

	register_at(B, IPPROTO_UDP, 56, SF_LISTENER_LIVE);
	client = socket_at(A, SOCK_DGRAM, 56, false);
	assert_int_equal(getsockname(client, (void *)&sin, &len), 0);
	was_asked_at(ntohs(sin.sin6_port));
	assert_int_equal(send(client, "x", 1, 0), 1);
	assert_int_equal(recv(server, &c, 1, 0), 1);
	assert_int_equal(host_traffic(&hosts[A], SF_TRAFFIC_OUT_SYN), syns);
	assert_int_equal(host_traffic(&hosts[A], SF_TRAFFIC_OUT_DATA), unbound + 1);
	was_asked_at((uint16_t)(ntohs(sin.sin6_port) + 1));
	assert_int_equal(send(client, "x", 1, 0), 1);
	assert_int_equal(recv(server, &c, 1, 0), 1);
	assert_int_equal(host_traffic(&hosts[A], SF_TRAFFIC_OUT_SYN), syns + 1);
	assert_int_equal(host_traffic(&hosts[A], SF_TRAFFIC_OUT_DATA), unbound + 1);
	close(client);
	close(server);
	register_at(B, IPPROTO_UDP, 56, 0);
}

static void datagram_that_nobody_serves_is_refused(void **state)
{
	int client = socket_at(A, SOCK_DGRAM, 54, false);
	char c;

	assert_int_equal(send(client, "x", 1, 0), 1);
	assert_int_equal(recv(client, &c, 1, 0), -1);
	assert_int_equal(errno, ECONNREFUSED);
	/* Registered, but the socket is gone: B's kernel says so. */
	register_at(B, IPPROTO_UDP, 54, SF_LISTENER_LIVE);
	assert_int_equal(send(client, "x", 1, 0), 1);
	assert_int_equal(recv(client, &c, 1, 0), -1);
	assert_int_equal(errno, ECONNREFUSED);
	register_at(B, IPPROTO_UDP, 54, 0);
	close(client);
}

/* Puts @p onto the router's link to B, with a VLAN's tag where @vid is not negative. */
struct frame {
	const struct packet *p;
	int vid;
};

static int frame_send(void *ctx)
{
	const struct frame *f = ctx;
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL),
				  .sll_ifindex = (int)if_nametoindex("l1") };
	uint32_t tag = f->vid < 0 ? 0 : 4;
	uint8_t raw[ETH + 4 + 512];
	int fd, err = 0;

	memcpy(raw, f->p->b, 12);
	raw[12] = ETH_P_8021Q >> 8;
	raw[13] = ETH_P_8021Q & 0xff;
	raw[14] = 0;
	raw[15] = (uint8_t)f->vid;
	memcpy(raw + 12 + tag, f->p->b + 12, f->p->len - 12);
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (sendto(fd, raw, f->p->len + tag, 0, (void *)&at, sizeof(at)) < 0)
		err = -errno;
	close(fd);
	return err;
}

static void put_on_the_wire(const struct packet *p, int vid)
{
	struct frame f = { .p = p, .vid = vid };

	assert_int_equal(sf_netns_run(ns[R], frame_send, &f), 0);
}

/* What belongs to a VLAN that is stacked upon the uplink is not ours; a mere priority tag is. */
static void tagged_packets_are_left_alone(void **state)
{
	uint64_t before = host_count(&hosts[B], SF_NOT_REGISTERED);
	struct sf_sid id = sf_addr_sid(&hosts[A].cfg.self);
	struct segment s = { .src = sf_locator(&hosts[A].cfg.net, hosts[A].cfg.host, 1ull << 40),
			     .dst = hosts[B].cfg.own,
			     .dport = 999,
			     .flags = SF_TCP_SYN };
	static struct packet p;

	packet_tcp(&p, &s);
	packet_push(&p, SF_KIND_SYN, 0, &service_sid, &id);
	put_on_the_wire(&p, 5);
	put_on_the_wire(&p, -1);
	put_on_the_wire(&p, 0);
	for (int i = 0; i < 100 && host_count(&hosts[B], SF_NOT_REGISTERED) < before + 2; i++)
		usleep(10000);
	assert_int_equal(host_count(&hosts[B], SF_NOT_REGISTERED), before + 2);
}

/* One send() of many datagrams, which the kernel segments behind our egress program: each must have
 * the header. */
static void segmented_datagrams(void)
{
	static const int sizes[] = { 1200, 1412, 100 };
	int server = socket_at(B, SOCK_DGRAM, 55, true), client;
	uint8_t out[60000], in[2000];

	for (uint32_t i = 0; i < SLOTS; i++)
		slot_put(i, B);
	register_at(B, IPPROTO_UDP, 55, SF_LISTENER_LIVE);
	client = socket_at(A, SOCK_DGRAM, 55, false);
	assert_true(server >= 0 && client >= 0);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		int size = sizes[i], all = size * 30 + size / 2;

		for (int j = 0; j < all; j++)
			out[j] = pattern((uint32_t)j + (uint32_t)i);
		assert_int_equal(setsockopt(client, SOL_UDP, UDP_SEGMENT, &size, sizeof(size)), 0);
		assert_int_equal(send(client, out, (size_t)all, 0), all);
		for (int at = 0; at < all; at += size) {
			int n = all - at < size ? all - at : size;

			assert_int_equal(recv(server, in, sizeof(in), 0), n);
			assert_memory_equal(in, out + at, n);
		}
	}
	report();
	assert_int_equal(host_count(&hosts[A], SF_GSO_DATAGRAM), 0);
	close(client);
	close(server);
	register_at(B, IPPROTO_UDP, 55, 0);
}

static void datagrams_segmented_by_the_receiver(void **state)
{
	segmented_datagrams();
}

/* A device that cannot (for packets of that size). */
static void datagrams_segmented_by_the_kernel(void **state)
{
	assert_int_equal(sh("ip -n %s link set uplink gso_max_size 2000", names[A]), 0);
	segmented_datagrams();
	assert_int_equal(sh("ip -n %s link set uplink gso_max_size 65536", names[A]), 0);
}

/* The path narrows behind the router: TCP must learn it through translated Packet Too Big. */
static void path_mtu_is_discovered(void **state)
{
	int listener = socket_at(B, SOCK_STREAM, PORT, true), client, server;

	for (uint32_t i = 0; i < SLOTS; i++)
		slot_put(i, B);
	register_at(B, IPPROTO_TCP, PORT, SF_LISTENER_LIVE);
	client = socket_at(A, SOCK_STREAM, PORT, false);
	server = accept(listener, NULL, NULL);
	assert_true(client >= 0 && server >= 0);
	/* At both ends: a veth silently drops what is longer than its own MTU, unless it is GSO. */
	assert_int_equal(sh("ip -n %s link set l1 mtu 1400", names[R]), 0);
	assert_int_equal(sh("ip -n %s link set uplink mtu 1400", names[B]), 0);
	exchange(client, server);
	assert_int_equal(sh("ip -n %s link set uplink mtu 1500", names[B]), 0);
	assert_int_equal(sh("ip -n %s link set l1 mtu 1500", names[R]), 0);
	close(client);
	close(server);
	close(listener);
	register_at(B, IPPROTO_TCP, PORT, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stream_finds_the_instance_that_serves),
		cmocka_unit_test(stream_that_nobody_serves_is_refused),
		cmocka_unit_test(stream_to_an_unknown_service_is_refused),
		cmocka_unit_test(lost_server_resets_its_client),
		cmocka_unit_test(datagrams),
		cmocka_unit_test(only_who_was_asked_answers_unbound),
		cmocka_unit_test(datagram_that_nobody_serves_is_refused),
		cmocka_unit_test(tagged_packets_are_left_alone),
		cmocka_unit_test(datagrams_segmented_by_the_receiver),
		cmocka_unit_test(datagrams_segmented_by_the_kernel),
		cmocka_unit_test(path_mtu_is_discovered),
	};

	if (host_privileged())
		return 77;
	sf_bpf_quiet();
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
