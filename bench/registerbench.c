// SPDX-License-Identifier: Apache-2.0
/*
 * registerbench - how long the network takes to learn that a program listens, and that it is gone.
 *
 *   registerbench SERVER_NETNS CLIENT_NETNS UPLINK AGENT_SOCKET ROUNDS
 *
 * In each round a child in SERVER_NETNS binds a service address and listens; from another host,
 * probes (PROBE, docs/protocol.md) go out every 100 us until one is answered by the instance. Then
 * the child is killed (SIGKILL), and probes go out until a router says that there is no such
 * service. Prints "UP DOWN": microseconds from listen() to the arrival of the first answer, and
 * from kill() to the arrival of the first "no-such-service". UPLINK and AGENT_SOCKET are the
 * client's.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <jansson.h>

#include "bench/frames.h"
#include "core/wire.h"
#include "util/httpc.h"
#include "util/netns.h"

#define PROBE_NS   100000u
#define GIVE_UP_NS 5000000000ull
#define PAUSE_US   30000
#define SERVICE	   0x62656e6368ull /* local part; no name has it */

/* What parent and child share. */
struct stage {
	atomic_uint_least64_t listening; /* when listen() was called; 0: not yet */
	atomic_bool go;
};

static struct sf_net net;
static struct sf_addr locator;
static struct sf_sid sid;
static int out, in; /* raw IPv6, packets of the uplink */

static uint64_t now(void)
{
	return bench_now(CLOCK_MONOTONIC);
}

static void enter(const char *netns)
{
	int fd = sf_netns_open(netns);
	int err = fd < 0 ? fd : sf_netns_enter(fd);

	if (err)
		bench_die(err, "namespace %s", netns);
	close(fd);
}

/* The client's locator, from its agent. */
static void ask_agent(const char *socket)
{
	struct sf_httpc_opts opts = { 0 };
	char endpoint[512], err[256];
	struct sf_httpc *client;
	const char *text, *what;
	json_t *status;

	snprintf(endpoint, sizeof(endpoint), "unix:%s", socket);
	opts.endpoint = endpoint;
	if (sf_httpc_new(&opts, &client, err, sizeof(err)) ||
	    sf_httpc_call(client, "GET", "/v1/status", NULL, &status, err, sizeof(err)))
		bench_die(0, "%s: %s", socket, err);
	text = json_string_value(json_object_get(status, "locator"));
	if (!text || sf_addr_parse(text, &locator))
		bench_die(0, "%s: the host has no locator", socket);
	if (sf_net_parse(json_string_value(json_object_get(status, "service_prefix")),
			 json_string_value(json_object_get(status, "as_prefix")), &net, &what))
		bench_die(0, "%s: %s", socket, what);
	json_decref(status);
	sf_httpc_free(client);
}

static void sockets_open(const char *uplink)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IPV6) };
	int one = 1;

	at.sll_ifindex = (int)if_nametoindex(uplink);
	out = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	in = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (!at.sll_ifindex || out < 0 || in < 0 ||
	    setsockopt(out, IPPROTO_IPV6, IPV6_HDRINCL, &one, sizeof(one)) ||
	    bind(in, (struct sockaddr *)&at, sizeof(at)))
		bench_die(-errno, "sockets on %s", uplink);
}

static void probe_send(uint16_t ident)
{
	struct sf_tlv_target target = { .type = SF_TLV_TARGET,
					.len = sizeof(target) - 2,
					.proto = SF_NEXTHDR_TCP,
					.port = sf_be16(BENCH_PORT),
					.ident = sf_be16(ident) };
	struct sf_addr src = locator, dst = sf_service_addr(&net, &sid);
	struct sockaddr_in6 to = { .sin6_family = AF_INET6 };
	struct sf_sid nobody = { 0 };
	uint8_t packet[SF_IPV6_LEN + SF_HDR_MAX];
	int len;

	sf_locator_set_sock(&src, ident | 1);
	len = sf_alone_encode(packet, sizeof(packet), &src, &dst, 64, SF_KIND_PROBE, 0, &sid,
			      &nobody, &target, sizeof(target), NULL, 0);
	memcpy(&to.sin6_addr, &dst, sizeof(dst));
	if (len < 0 || sendto(out, packet, (size_t)len, 0, (void *)&to, sizeof(to)) != len)
		bench_die(len < 0 ? len : -errno, "sending a probe");
}

/* Whether a packet that came in says what is waited for. */
static bool is_answer(bool up)
{
	uint8_t packet[2048], reason;
	const uint8_t *value;
	struct sf_packet p;
	ssize_t n = recv(in, packet, sizeof(packet), MSG_DONTWAIT);

	if (n < 0 || sf_packet_decode(packet, (size_t)n, &p, &reason) ||
	    !sf_locator_same_host(&p.dst, &locator))
		return false;
	if (up)
		return sf_hdr_kind(&p.hdr) == SF_KIND_PROBE_ACK;
	return sf_hdr_kind(&p.hdr) == SF_KIND_FAIL &&
	       sf_tlv_find(p.tlvs, p.tlvs_len, SF_TLV_REASON, &value) > 0 &&
	       value[0] == SF_NO_SUCH_SERVICE;
}

/* Probe until the service is @up, or gone. Return: when the answer came. */
static uint64_t probe_until(bool up)
{
	static uint16_t ident;
	uint64_t start = now(), next = start;

	while (now() - start < GIVE_UP_NS) {
		struct pollfd p = { .fd = in, .events = POLLIN };
		struct timespec wait = { 0 };

		if (now() >= next) {
			probe_send(++ident);
			next += PROBE_NS;
		}
		wait.tv_nsec = next > now() ? (long)(next - now()) : 0;
		if (ppoll(&p, 1, &wait, NULL) > 0 && is_answer(up))
			return now();
	}
	bench_die(0, "after %llu s the service is still %s", GIVE_UP_NS / 1000000000,
		  up ? "not resolved" : "resolved");
}

static void drain(void)
{
	uint8_t packet[2048];

	while (recv(in, packet, sizeof(packet), MSG_DONTWAIT) > 0)
		;
}

/* The child: binds, and listens when told so, until it is killed. */
static _Noreturn void serve(const char *netns, struct stage *s)
{
	struct sockaddr_in6 at = { .sin6_family = AF_INET6, .sin6_port = htons(BENCH_PORT) };
	struct sf_addr service = sf_service_addr(&net, &sid);
	int fd, one = 1;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	enter(netns);
	memcpy(&at.sin6_addr, &service, sizeof(service));
	fd = socket(AF_INET6, SOCK_STREAM, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)))
		bench_die(-errno, "binding the service address");
	while (!s->go)
		usleep(100);
	s->listening = now();
	if (listen(fd, 16))
		bench_die(-errno, "listen");
	for (;;)
		pause();
}

static void round_run(const char *netns, struct stage *s)
{
	uint64_t up, killed, down;
	pid_t child;

	s->listening = 0;
	s->go = false;
	child = fork();
	if (child < 0)
		bench_die(-errno, "fork");
	if (!child)
		serve(netns, s);
	usleep(PAUSE_US);
	drain();
	s->go = true;
	while (!s->listening)
		usleep(50);
	up = probe_until(true);
	usleep(PAUSE_US);
	drain();
	killed = now();
	kill(child, SIGKILL);
	down = probe_until(false);
	waitpid(child, NULL, 0);
	printf("%.1f %.1f\n", (up - s->listening) / 1e3, (down - killed) / 1e3);
	fflush(stdout);
	usleep(PAUSE_US);
}

int main(int argc, char **argv)
{
	struct stage *s =
		mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int rounds;

	if (argc != 6) {
		fputs("usage: registerbench SERVER_NETNS CLIENT_NETNS UPLINK AGENT_SOCKET ROUNDS\n",
		      stderr);
		return 2;
	}
	if (s == MAP_FAILED)
		bench_die(-errno, "mmap");
	rounds = (int)bench_number("ROUNDS", argv[5], 1, 10000);
	sid = sf_sid_make(SF_SSID_DEFAULT, SERVICE);
	ask_agent(argv[4]);
	enter(argv[2]);
	sockets_open(argv[3]);
	for (int i = 0; i < rounds; i++)
		round_run(argv[1], s);
	return 0;
}
