// SPDX-License-Identifier: Apache-2.0
/*
 * host_udp_flow_test.c - bound datagrams: opening, binding, refusals, ports that are used again,
 * fragments. Test runs have no sockets: A's flow is entered as its first datagram would enter it
 * (host_wire_test.c has real ones). B's host is a process with a socket at X.
 */
#include "tests/bpf/host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <cmocka.h>

#include "core/sal_udp.h"

#define DNS 53
#define ASK 5000 /* A's port */

static struct packet p, q, whole;
static struct sf_addr client; /* A's locator with its flow's socketID */
static struct sf_addr server; /* B's */

static int socket_of_b(void)
{
	struct sockaddr_in6 sin = { .sin6_family = AF_INET6, .sin6_port = htons(DNS) };
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), one = 1;

	memcpy(&sin.sin6_addr, &service, 16);
	if (fd < 0 || setsockopt(fd, SOL_IPV6, IPV6_FREEBIND, &one, sizeof(one)) ||
	    bind(fd, (void *)&sin, sizeof(sin)))
		return -1;
	return fd;
}

static int b_socket = -1;

static struct sf_tuple tuple_of_a(void)
{
	struct sf_tuple t = { .local = a.cfg.self,
			      .peer = service,
			      .lport = htons(ASK),
			      .pport = htons(DNS),
			      .proto = IPPROTO_UDP };

	return t;
}

/* As out_udp_open() does it. */
static void open_at_a(uint8_t incarnation)
{
	struct sf_tuple t = tuple_of_a();
	uint64_t key = sf_flow_key(sf_flow_hash(&a.cfg.key, &t), false);
	struct timespec ts;
	struct sf_flow f;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	client = sf_locator(&a.cfg.net, a.cfg.host, sf_socket_id(key, incarnation));
	memset(&f, 0, sizeof(f));
	sf_udp_open(&f, &a.cfg.net, &t, &client,
		    (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec);
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(a.skel->maps.flows), &key, &f, BPF_ANY),
			 0);
}

static int setup(void **state)
{
	if (b_socket < 0)
		b_socket = socket_of_b();
	assert_true(b_socket >= 0);
	host_clear(state);
	host_listener(&b, &service, IPPROTO_UDP, DNS, SF_LISTENER_LIVE);
	open_at_a(7);
	return 0;
}

static bool half_of_b(const struct sf_addr *own, struct sf_flow *f)
{
	uint64_t key = sf_socket_key(sf_locator_sock(own));

	return !bpf_map_lookup_elem(bpf_map__fd(b.skel->maps.half_udp), &key, f);
}

static struct sf_flow flow_of_a(void)
{
	struct sf_flow f;

	assert_true(host_flow(&a, sf_locator_sock(&client), false, &f));
	return f;
}

static struct segment from_a(uint32_t payload)
{
	struct segment s = {
		.src = a.cfg.self, .dst = service, .sport = ASK, .dport = DNS, .payload = payload
	};

	return s;
}

static struct segment from_b(uint32_t payload)
{
	struct segment s = {
		.src = service, .dst = a.cfg.self, .sport = DNS, .dport = ASK, .payload = payload
	};

	return s;
}

/* A's SYN as it leaves A, in p. */
static void syn_of_a(uint32_t payload, uint16_t attempt)
{
	struct segment s = from_a(payload);
	struct parsed r;

	host_sends_udp(&a, &p, &s);
	packet_parse(&p, &r);
	assert_non_null(r.hdr);
	assert_int_equal(sf_hdr_kind(r.hdr), SF_KIND_SYN);
	assert_int_equal(sf_hdr_check(r.hdr, p.len - ETH - 40), 0);
	assert_int_equal(sf_hdr_bytes(r.hdr), SF_HDR_LEN);
	assert_int_equal(ntohs(r.hdr->aux), attempt);
	assert_memory_equal(&r.hdr->dst, &service_sid, 12);
	assert_memory_equal(&r.hdr->src, &user_sid, 12);
	assert_memory_equal(&r.src, &client, 16);
	assert_memory_equal(&r.dst, &service, 16);
	assert_int_equal(r.payload_len, payload);
	assert_true(r.csum_ok);
}

/* The SYN in p is resolved to B, whose SYN-ACK is in p then. */
static void syn_into_b(void)
{
	struct sf_addr to = sf_locator(&b.cfg.net, b.cfg.host, 0);
	struct sf_sid host = sf_addr_sid(&b.cfg.self);
	struct parsed r;

	packet_resolve(&p, &to);
	assert_int_equal(host_in(&b, &p), REDIRECTED);
	packet_parse(&p, &r);
	assert_non_null(r.hdr);
	assert_int_equal(sf_hdr_kind(r.hdr), SF_KIND_SYN_ACK);
	assert_int_equal(sf_hdr_check(r.hdr, p.len - ETH - 40), 0);
	assert_memory_equal(&r.hdr->src, &host, 12);
	assert_memory_equal(&r.hdr->dst, &user_sid, 12);
	assert_memory_equal(&r.dst, &client, 16);
	assert_true(sf_locator_same_host(&r.src, &b.cfg.own));
	assert_int_equal(ntohs(r.udp->uh_sport), DNS);
	assert_int_equal(ntohs(r.udp->uh_dport), ASK);
	assert_int_equal(r.payload_len, 0);
	assert_true(r.csum_ok);
	server = r.src;
}

/* A datagram of A or B without header, as it leaves; then into the other. */
static void bare_out(struct host *h, const struct segment *s, const struct sf_addr *src,
		     const struct sf_addr *dst)
{
	struct parsed r;

	host_sends_udp(h, &p, s);
	packet_parse(&p, &r);
	assert_null(r.hdr);
	assert_true(r.csum_ok);
	assert_memory_equal(&r.src, src, 16);
	assert_memory_equal(&r.dst, dst, 16);
}

static void bare_in(struct host *h, const struct segment *s)
{
	struct parsed r;

	assert_int_equal(host_in(h, &p), VERDICT_UP);
	packet_parse(&p, &r);
	assert_null(r.hdr);
	assert_true(r.csum_ok);
	assert_memory_equal(&r.src, &s->src, 16);
	assert_memory_equal(&r.dst, &s->dst, 16);
	assert_int_equal(r.payload_len, s->payload);
}

static void bind_flow(void)
{
	syn_of_a(100, 0);
	syn_into_b();
	assert_int_equal(host_in(&a, &p), DROPPED); /* nobody's datagram */
	assert_int_equal(flow_of_a().state, SF_FLOW_BOUND);
}

static void bound_flow(void)
{
	struct segment s = from_a(10);

	bind_flow();
	bare_out(&a, &s, &client, &server);
	bare_in(&b, &s);
}

static void opened_bound_and_bare(void **state)
{
	struct sf_sid host = sf_addr_sid(&b.cfg.self);
	struct segment s = from_a(1452), back = from_b(1452);
	struct sf_flow f;

	bind_flow();
	f = flow_of_a();
	assert_memory_equal(&f.peer, &server, 16);
	assert_memory_equal(&f.peer_host, &host, 12);
	/* B's flow waits for what shows that A knows it. Its answers go straight already. */
	assert_true(half_of_b(&server, &f));
	assert_int_equal(f.state, SF_FLOW_HALF_OPEN);
	assert_int_equal(host_flows(&b, NULL), 0);
	bare_out(&b, &back, &server, &client);
	bare_in(&a, &back);
	bare_out(&a, &s, &client, &server);
	bare_in(&b, &s);
	assert_false(half_of_b(&server, &f));
	assert_true(host_flow(&b, sf_locator_sock(&server), false, &f));
	assert_int_equal(f.state, SF_FLOW_BOUND);
	for (int i = 0; i < 3; i++) {
		bare_out(&b, &back, &server, &client);
		bare_in(&a, &back);
		bare_out(&a, &s, &client, &server);
		bare_in(&b, &s);
	}
	assert_int_equal(host_traffic(&a, SF_TRAFFIC_OUT_SYN), 1);
	assert_int_equal(host_traffic(&a, SF_TRAFFIC_OUT_BOUND), 4);
	assert_int_equal(host_traffic(&b, SF_TRAFFIC_IN_BOUND), 4);
	assert_int_equal(host_drops(&a) + host_drops(&b), 0);
}

/* Several are under way before the first answer. */
static void each_syn_is_delivered_and_answered(void **state)
{
	struct sf_listener_key k = {
		.host = b.cfg.cookie, .addr = service, .port = htons(DNS), .proto = IPPROTO_UDP
	};
	struct sf_listener l;

	for (int i = 0; i < 3; i++) {
		syn_of_a(10, 0);
		syn_into_b();
		if (!i)
			q = p;
	}
	assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(b.skel->maps.listeners), &k, &l), 0);
	assert_int_equal(l.flows, 1);
	assert_int_equal(l.packets, 3);
	assert_int_equal(host_in(&a, &p), DROPPED);
	assert_int_equal(host_drops(&a), 0);
	assert_int_equal(host_in(&a, &q), DROPPED);
	assert_int_equal(host_count(&a, SF_DUPLICATE), 1);
	assert_int_equal(flow_of_a().state, SF_FLOW_BOUND);
}

static void answer_before_its_syn_ack_is_lost(void **state)
{
	struct segment s = from_a(10), back = from_b(10);

	syn_of_a(10, 0);
	syn_into_b();
	q = p;
	bare_out(&b, &back, &server, &client);
	assert_int_equal(host_in(&a, &p), DROPPED);
	assert_int_equal(host_count(&a, SF_WRONG_STATE), 1);
	assert_int_equal(host_traffic(&a, SF_TRAFFIC_FAIL_SENT), 0);
	assert_int_equal(host_in(&a, &q), DROPPED);
	bare_out(&a, &s, &client, &server);
}

static void syn_ack_must_be_the_flows(void **state)
{
	struct sf_sid none = { .w = { 0 } };
	struct parsed r;

	syn_of_a(10, 0);
	syn_into_b();
	whole = p;
	/* A flipped bit of its source. */
	p.b[ETH + 8 + 9] ^= 1;
	assert_int_equal(host_in(&a, &p), DROPPED);
	assert_int_equal(host_count(&a, SF_BAD_CHECKSUM), 1);
	/* Another port, with a checksum that is right. */
	p = whole;
	packet_parse(&p, &r);
	r.udp->uh_dport = htons(ASK + 1);
	r.udp->uh_sport = htons(DNS - 1);
	assert_int_equal(host_in(&a, &p), DROPPED);
	assert_int_equal(host_count(&a, SF_WRONG_STATE), 1);
	/* Another socketID: of an earlier incarnation, say. */
	p = whole;
	packet_parse(&p, &r);
	p.b[ETH + 24 + 15]--;
	r.udp->uh_sum = htons((uint16_t)(ntohs(r.udp->uh_sum) + 1));
	assert_int_equal(host_in(&a, &p), DROPPED);
	assert_int_equal(host_count(&a, SF_UNKNOWN_SOCKET), 1);
	/* With data, which a SYN-ACK has not. */
	p = whole;
	p.len++;
	p.b[ETH + 5]++;
	assert_int_equal(host_in(&a, &p), DROPPED);
	assert_int_equal(host_count(&a, SF_BAD_HEADER), 1);
	assert_int_equal(flow_of_a().state, SF_FLOW_CONNECTING);
	p = whole;
	assert_int_equal(host_in(&a, &p), DROPPED);
	assert_int_equal(flow_of_a().state, SF_FLOW_BOUND);
	/* Of another instance now: that one forgets its half. */
	p = whole;
	p.b[ETH + 8 + 9] ^= 1;
	p.b[ETH + 8 + 11] ^= 1;
	packet_parse(&p, &r);
	packet_udp(&q, &(struct segment){ .src = r.src, .dst = r.dst, .sport = DNS, .dport = ASK });
	packet_push(&q, SF_KIND_SYN_ACK, 0, &user_sid, &none);
	assert_int_equal(host_in(&a, &q), REDIRECTED);
	assert_int_equal(host_count(&a, SF_WRONG_PEER), 1);
}

static void other_instance_forgets_its_half(void **state)
{
	struct sf_flow f;

	syn_of_a(10, 0);
	syn_into_b();
	packet_fail(&q, &client, &user_sid, SF_OTHER_INSTANCE, &p);
	assert_true(half_of_b(&server, &f));
	assert_int_equal(host_in(&b, &q), DROPPED);
	assert_int_equal(host_traffic(&b, SF_TRAFFIC_FAIL_TAKEN), 1);
	assert_false(half_of_b(&server, &f));
}

/* B refuses what is in p, and A gets its FAIL: what comes of that is in p. */
static uint32_t refused_by_b(void)
{
	struct sf_addr to = sf_locator(&b.cfg.net, b.cfg.host, 0);

	packet_resolve(&p, &to);
	assert_int_equal(host_in(&b, &p), REDIRECTED);
	return host_in(&a, &p);
}

static void refused_syn_goes_to_the_next(void **state)
{
	struct parsed r;

	host_listener(&b, &service, IPPROTO_UDP, DNS, 0);
	syn_of_a(50, 0);
	for (uint16_t i = 1; i <= SF_ATTEMPT_MAX; i++) {
		assert_int_equal(refused_by_b(), REDIRECTED);
		packet_parse(&p, &r);
		assert_int_equal(sf_hdr_kind(r.hdr), SF_KIND_SYN);
		assert_int_equal(ntohs(r.hdr->aux), i);
		assert_memory_equal(&r.src, &client, 16);
		assert_memory_equal(&r.dst, &service, 16);
		assert_int_equal(r.payload_len, 50);
		assert_true(r.csum_ok);
		assert_int_equal(flow_of_a().attempt, i);
	}
	/* None is left: the program hears it, of the datagram as it sent it. */
	assert_int_equal(refused_by_b(), VERDICT_UP);
	packet_parse(&p, &r);
	assert_true(r.csum_ok);
	assert_int_equal(r.icmp->icmp6_type, 1);
	assert_int_equal(r.icmp->icmp6_code, 4);
	assert_memory_equal(&r.dst, &a.cfg.self, 16);
	assert_memory_equal(r.payload + 24, &service, 16);
	assert_int_equal(flow_of_a().state, SF_FLOW_CLOSING);
	assert_int_equal(host_traffic(&a, SF_TRAFFIC_RETRIED), SF_ATTEMPT_MAX);
}

static void what_was_under_way_follows(void **state)
{
	struct parsed r;

	host_listener(&b, &service, IPPROTO_UDP, DNS, 0);
	syn_of_a(50, 0);
	whole = p;
	syn_of_a(60, 0);
	assert_int_equal(refused_by_b(), REDIRECTED);
	p = whole;
	assert_int_equal(refused_by_b(), REDIRECTED);
	packet_parse(&p, &r);
	assert_int_equal(ntohs(r.hdr->aux), 1);
	assert_int_equal(r.payload_len, 50);
	assert_int_equal(flow_of_a().attempt, 1);
	/* Too long to be quoted whole: lost, and the next one is attempt 2. */
	syn_of_a(300, 1);
	assert_int_equal(refused_by_b(), DROPPED);
	assert_int_equal(host_count(&a, SF_TRUNCATED), 1);
	syn_of_a(300, 2);
}

/* Nothing leaves that the flow's socket did not send. */
static void altered_quotation_is_not_turned_round(void **state)
{
	struct sf_sid id = sf_addr_sid(&b.cfg.self);
	struct sf_addr src = sf_locator(&b.cfg.net, b.cfg.host, 0);
	struct parsed r;

	syn_of_a(50, 0);
	packet_resolve(&p, &src);
	packet_parse(&p, &r);
	r.payload[3] ^= 0x40;
	packet_fail(&q, &src, &id, SF_NO_SUCH_SOCKET, &p);
	assert_int_equal(host_in(&a, &q), DROPPED);
	assert_int_equal(host_count(&a, SF_BAD_CHECKSUM), 1);
	r.payload[3] ^= 0x40;
	r.hdr->src.w[2] ^= 1;
	packet_fail(&q, &src, &id, SF_NO_SUCH_SOCKET, &p);
	assert_int_equal(host_in(&a, &q), DROPPED);
	assert_int_equal(host_count(&a, SF_WRONG_ACK), 1);
	assert_int_equal(host_traffic(&a, SF_TRAFFIC_RETRIED), 0);
}

static void too_big_with_its_header(void **state)
{
	struct segment s = from_a(1421);
	struct parsed r;

	packet_udp(&p, &s);
	assert_int_equal(host_out(&a, &p), REDIRECTED);
	packet_parse(&p, &r);
	assert_int_equal(r.icmp->icmp6_type, 2);
	assert_int_equal(host_count(&a, SF_TOO_BIG), 1);
	bind_flow();
	bare_out(&a, &s, &client, &server);
}

static void refusal_unbinds_the_opener(void **state)
{
	struct sf_sid id = sf_addr_sid(&b.cfg.self);
	struct sf_addr stranger;
	struct segment s = from_a(10);
	struct parsed r;

	bound_flow();
	bare_out(&a, &s, &client, &server);
	whole = p;
	stranger = sf_locator(&b.cfg.net, 0x10003, sf_locator_sock(&server) ^ 0x10000);
	packet_fail(&q, &stranger, &id, SF_NO_SUCH_SOCKET, &whole);
	assert_int_equal(host_in(&a, &q), DROPPED);
	assert_int_equal(host_count(&a, SF_WRONG_PEER), 1);
	assert_int_equal(flow_of_a().state, SF_FLOW_BOUND);
	/* B no longer has it. */
	host_listener(&b, &service, IPPROTO_UDP, DNS, 0);
	usleep(40000); /* it looks once in 17 ms */
	p = whole;
	assert_int_equal(host_in(&b, &p), REDIRECTED);
	assert_int_equal(host_count(&b, SF_NOT_REGISTERED), 1);
	assert_int_equal(host_flows(&b, NULL), 0);
	whole = p;
	assert_int_equal(host_in(&a, &p), DROPPED);
	assert_int_equal(flow_of_a().state, SF_FLOW_CLOSING);
	assert_int_equal(flow_of_a().fail, SF_NO_SUCH_SOCKET);
	assert_int_equal(host_in(&a, &whole), DROPPED);
	assert_int_equal(host_count(&a, SF_DUPLICATE), 1);
	/* A test's datagram has no socket, so it goes unbound. */
	host_sends_udp(&a, &p, &s);
	packet_parse(&p, &r);
	assert_int_equal(sf_hdr_kind(r.hdr), SF_KIND_DATA);
}

/* In @q is what the socket of @t is told: that nobody has the port. */
static void is_closed_port(const struct sf_tuple *t)
{
	struct parsed r;

	packet_parse(&q, &r);
	assert_true(r.csum_ok);
	assert_non_null(r.icmp);
	assert_int_equal(r.icmp->icmp6_type << 8 | r.icmp->icmp6_code, 0x104);
	assert_memory_equal(&r.src, &t->peer, 16);
	assert_memory_equal(&r.dst, &t->local, 16);
	assert_memory_equal(r.payload + 8, t, 36); /* addresses and ports */
}

static void refusal_ends_the_acceptors_flow(void **state)
{
	struct segment back = from_b(10);
	struct sf_flow f;

	bound_flow();
	assert_true(host_flow(&b, sf_locator_sock(&server), false, &f));
	bare_out(&b, &back, &server, &client);
	packet_fail(&q, &client, &user_sid, SF_NO_SUCH_SOCKET, &p);
	/* Its socket hears of it as of any closed port. */
	assert_int_equal(host_in(&b, &q), VERDICT_UP);
	is_closed_port(&f.tuple);
	assert_int_equal(host_flows(&b, NULL), 0);
}

/* Its FAIL is not about a datagram of the opener's, which may be one that only listens. */
static void shed_flow_tells_both_ends(void **state)
{
	struct sf_sid id = sf_addr_sid(&b.cfg.self);
	struct segment s = from_a(10);
	struct sf_flow f;

	bound_flow();
	bare_out(&a, &s, &client, &server);
	assert_true(host_flow(&b, sf_locator_sock(&server), false, &f));
	assert_int_equal(host_refuse(&b, &q, &server, SF_SHED), SF_REFUSAL_DONE);
	is_closed_port(&f.tuple);
	packet_fail(&q, &server, &id, SF_SHED, &p);
	assert_int_equal(host_in(&a, &q), VERDICT_UP);
	f = flow_of_a();
	is_closed_port(&f.tuple);
	assert_int_equal(f.state, SF_FLOW_CLOSING);
	assert_int_equal(f.fail, SF_SHED);
}

static void unknown_socket_is_refused(void **state)
{
	struct segment s = from_a(10);
	struct sf_flow f;
	uint64_t key;

	bound_flow();
	bare_out(&a, &s, &client, &server);
	whole = p;
	/* A copy of the keys in other times, or at another place, is no stranger. */
	assert_true(host_flow(&b, sf_locator_sock(&server), false, &f));
	f.own.b[15] ^= 0x55;
	host_flow_set(&b, &f);
	assert_int_equal(host_in(&b, &p), DROPPED);
	assert_int_equal(host_count(&b, SF_WRONG_PEER), 1);
	p = whole;
	key = sf_socket_key(sf_locator_sock(&server));
	assert_int_equal(bpf_map_delete_elem(bpf_map__fd(b.skel->maps.flows), &key), 0);
	assert_int_equal(host_in(&b, &p), REDIRECTED);
	assert_int_equal(host_count(&b, SF_UNKNOWN_SOCKET), 1);
	assert_int_equal(host_in(&a, &p), DROPPED);
	assert_int_equal(flow_of_a().state, SF_FLOW_CLOSING);
}

static void closed_port_of_the_peer_unbinds(void **state)
{
	struct segment s = from_a(10);
	struct parsed r;

	bound_flow();
	bare_out(&a, &s, &client, &server);
	bare_in(&b, &s);
	/* B's kernel has no socket for what it was handed. */
	packet_icmp6_error(&q, &service, &a.cfg.self, 1, 4, 0, &p);
	assert_int_equal(host_out(&b, &q), VERDICT_UP);
	packet_parse(&q, &r);
	assert_true(r.csum_ok);
	assert_memory_equal(&r.src, &server, 16);
	assert_memory_equal(&r.dst, &client, 16);
	assert_int_equal(host_in(&a, &q), DROPPED);
	assert_int_equal(flow_of_a().state, SF_FLOW_CLOSING);
}

static void host_unreachable_is_waited_for(void **state)
{
	struct sf_addr router = sf_locator(&a.cfg.net, 0x10000, 1);
	struct segment s = from_a(10), back;
	struct sf_flow f;

	bound_flow();
	bare_out(&a, &s, &client, &server);
	packet_icmp6_error(&q, &router, &client, 1, 3, 0, &p);
	assert_int_equal(host_in(&a, &q), VERDICT_UP); /* which UDP takes as a hint */
	f = flow_of_a();
	assert_int_equal(f.state, SF_FLOW_BOUND);
	assert_int_equal(f.fail, SF_HOST_UNREACHABLE);
	/* Its peer is heard: that is over. */
	back = from_b(10);
	bare_out(&b, &back, &server, &client);
	bare_in(&a, &back);
	assert_int_equal(flow_of_a().fail, 0);
	bare_out(&a, &s, &client, &server);
	/* So it has been for half a minute. */
	f.unreached -= sf_used_of(SF_UDP_UNREACHED_NS) + 2;
	f.used = f.unreached - 1;
	host_flow_set(&a, &f);
	packet_icmp6_error(&q, &router, &client, 1, 3, 0, &p);
	host_in(&a, &q);
	assert_int_equal(flow_of_a().state, SF_FLOW_CLOSING);
	/* While connecting it is a refusal like any other. */
	open_at_a(9);
	syn_of_a(20, 0);
	packet_icmp6_error(&q, &router, &client, 1, 3, 0, &p);
	assert_int_equal(host_in(&a, &q), REDIRECTED);
	assert_int_equal(flow_of_a().attempt, 1);
}

/* The opener's program starts anew on its old port. */
static void ports_are_used_again(void **state)
{
	struct sf_addr first_client, first_server;
	struct segment s = from_a(10), back = from_b(10);
	struct sf_flow f;

	bound_flow();
	first_client = client;
	first_server = server;
	bare_out(&a, &s, &client, &server);
	whole = p;
	open_at_a(8);
	syn_of_a(10, 0);
	syn_into_b();
	assert_memory_not_equal(&server, &first_server, 16);
	/* The answer is for who asked last. */
	bare_out(&b, &back, &server, &client);
	/* That was nobody's SYN, for the first one is still there. */
	p = whole;
	bare_in(&b, &s);
	bare_out(&b, &back, &first_server, &first_client);
	/* It was. */
	syn_of_a(10, 0);
	syn_into_b();
	assert_int_equal(host_in(&a, &p), DROPPED);
	bare_out(&a, &s, &client, &server);
	bare_in(&b, &s);
	bare_out(&b, &back, &server, &client);
	assert_false(host_flow(&b, sf_locator_sock(&first_server), false, &f));
	assert_int_equal(host_flows(&b, NULL), 1);
}

static void two_that_look_alike(void **state)
{
	struct sf_addr to = sf_locator(&b.cfg.net, b.cfg.host, 0), other;
	struct segment s = from_a(10);
	struct parsed r;

	syn_of_a(10, 0);
	syn_into_b();
	/* The same name and port at another host. */
	other = sf_locator(&a.cfg.net, 0x10003, sf_locator_sock(&client));
	s.src = other;
	packet_udp(&p, &s);
	packet_push(&p, SF_KIND_SYN, 0, &service_sid, &user_sid);
	packet_resolve(&p, &to);
	assert_int_equal(host_in(&b, &p), REDIRECTED);
	s = from_b(10);
	s.dst = other; /* it is shown as its locator */
	host_sends_udp(&b, &p, &s);
	packet_parse(&p, &r);
	assert_null(r.hdr);
	assert_memory_equal(&r.dst, &other, 16);
	s = from_b(10);
	bare_out(&b, &s, &server, &client);
}

static void no_room_is_no_loss(void **state)
{
	struct segment s = from_a(10), back = from_b(10);
	int fd = bpf_map__fd(b.skel->maps.flows);
	struct sf_flow f = { .state = SF_FLOW_BOUND };

	bind_flow();
	for (uint64_t key = 1; !bpf_map_update_elem(fd, &key, &f, BPF_ANY); key++)
		;
	for (int i = 0; i < 2; i++) {
		bare_out(&a, &s, &client, &server);
		bare_in(&b, &s);
		bare_out(&b, &back, &server, &client);
		bare_in(&a, &back);
	}
	assert_true(half_of_b(&server, &f));
	assert_int_equal(host_drops(&b), 0);
}

static void fragments(struct host *from, struct host *to, const struct segment *s, uint32_t id,
		      bool syn)
{
	struct sf_addr at = sf_locator(&b.cfg.net, b.cfg.host, 0), src = { 0 };
	struct sf_tlv_target *t;
	struct parsed r;

	packet_udp(&whole, s);
	for (uint32_t at_byte = 0; at_byte < 3008; at_byte += 1408) {
		uint32_t len = 3008 - at_byte < 1408 ? 3008 - at_byte : 1408;

		packet_fragment(&p, &whole, id, at_byte, len);
		q = p;
		assert_int_equal(host_out(from, &p), VERDICT_UP);
		packet_parse(&p, &r);
		assert_non_null(r.frag);
		assert_true(syn ? r.hdr != NULL : r.hdr == NULL);
		if (syn) {
			t = (void *)(r.hdr + 1);
			assert_int_equal(sf_hdr_kind(r.hdr), SF_KIND_SYN);
			assert_int_equal(ntohs(r.hdr->aux), 0);
			assert_int_equal(t->type, SF_TLV_TARGET);
			assert_int_equal(ntohs(t->port), DNS);
			packet_resolve(&p, &at);
		}
		if (at_byte)
			assert_memory_equal(&r.src, &src, 16);
		src = r.src;
		/* The first one of a SYN is delivered beside, and answered. */
		assert_int_equal(host_in(to, &p), syn && !at_byte ? REDIRECTED : VERDICT_UP);
		if (syn && !at_byte)
			continue;
		packet_parse(&p, &r);
		assert_null(r.hdr);
		assert_memory_equal(&r.src, &s->src, 16);
		assert_memory_equal(&r.dst, &s->dst, 16);
		assert_int_equal(p.len, q.len);
		assert_memory_equal(&p.b[ETH + 48 + 8], &q.b[ETH + 48 + 8], p.len - ETH - 56);
		if (!at_byte)
			assert_memory_equal(&p.b[ETH + 48], &q.b[ETH + 48], 8);
	}
}

static void fragments_of_flows(void **state)
{
	struct segment s = from_a(3000), back = from_b(3000);

	fragments(&a, &b, &s, 0x1234, true);
	bound_flow();
	fragments(&a, &b, &s, 0x1235, false);
	fragments(&b, &a, &back, 0x77, false);
	assert_int_equal(host_drops(&a) + host_drops(&b), 0);
	/* Without its first one: nobody's. */
	packet_fragment(&p, &whole, 0x99, 1408, 1408);
	assert_int_equal(host_out(&b, &p), DROPPED);
	assert_int_equal(host_count(&b, SF_FRAGMENT), 1);
}

static void protocols_do_not_mix(void **state)
{
	struct segment s = {
		.src = client, .dst = server, .sport = ASK, .dport = DNS, .flags = SF_TCP_ACK
	};

	bound_flow();
	s.src = client;
	s.dst = server;
	packet_tcp(&p, &s);
	assert_int_equal(host_in(&b, &p), DROPPED);
	assert_int_equal(host_count(&b, SF_WRONG_STATE), 1);
}

static void syn_needs_a_listener_with_a_socket(void **state)
{
	struct sf_addr to = sf_locator(&b.cfg.net, b.cfg.host, 0);
	struct segment s = from_a(10);
	struct parsed r;

	s.dport = DNS + 1;
	s.src = client;
	host_listener(&b, &service, IPPROTO_UDP, DNS + 1, SF_LISTENER_LIVE);
	packet_udp(&p, &s);
	packet_push(&p, SF_KIND_SYN, 0, &service_sid, &user_sid);
	packet_resolve(&p, &to);
	assert_int_equal(host_in(&b, &p), REDIRECTED);
	packet_parse(&p, &r);
	assert_int_equal(sf_hdr_kind(r.hdr), SF_KIND_FAIL);
	assert_int_equal(host_count(&b, SF_NOT_REGISTERED), 1);
	/* Addressed to a socket it opens nothing. */
	syn_of_a(10, 0);
	to = sf_locator(&b.cfg.net, b.cfg.host, 0x123456789abc);
	packet_resolve(&p, &to);
	packet_parse(&p, &r);
	memcpy(&r.ip->ip6_dst, &to, 16);
	assert_int_equal(host_in(&b, &p), DROPPED);
	assert_int_equal(host_count(&b, SF_WRONG_STATE), 1);
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(opened_bound_and_bare),
		T(each_syn_is_delivered_and_answered),
		T(answer_before_its_syn_ack_is_lost),
		T(syn_ack_must_be_the_flows),
		T(other_instance_forgets_its_half),
		T(refused_syn_goes_to_the_next),
		T(what_was_under_way_follows),
		T(altered_quotation_is_not_turned_round),
		T(too_big_with_its_header),
		T(refusal_unbinds_the_opener),
		T(refusal_ends_the_acceptors_flow),
		T(shed_flow_tells_both_ends),
		T(unknown_socket_is_refused),
		T(closed_port_of_the_peer_unbinds),
		T(host_unreachable_is_waited_for),
		T(ports_are_used_again),
		T(two_that_look_alike),
		T(no_room_is_no_loss),
		T(fragments_of_flows),
		T(protocols_do_not_mix),
		T(syn_needs_a_listener_with_a_socket),
	};

	if (host_privileged())
		return 77;
	return cmocka_run_group_tests(tests, host_group_setup, host_group_teardown);
}
