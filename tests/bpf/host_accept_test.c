// SPDX-License-Identifier: Apache-2.0
/*
 * host_accept_test.c - what a host accepts, refuses and leaves alone: registration, wrong peers,
 * broken headers, other people's packets.
 */
#include "tests/bpf/host.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>
#include <bpf/bpf.h>
#include <cmocka.h>

static struct packet p, before;

/* The FAIL in @p: from where the packet @before went, quoting it. */
static void is_fail(uint8_t reason)
{
	struct sf_tlv_reason *tlv;
	struct parsed q, was;
	uint32_t quoted = before.len - ETH < SF_QUOTE_MAX ? before.len - ETH : SF_QUOTE_MAX;

	packet_parse(&p, &q);
	packet_parse(&before, &was);
	assert_non_null(q.hdr);
	assert_int_equal(sf_hdr_kind(q.hdr), SF_KIND_FAIL);
	assert_int_equal(sf_hdr_check(q.hdr, p.len - ETH - 40), 0);
	assert_true(q.csum_ok);
	assert_memory_equal(&q.src, &was.dst, 16);
	assert_memory_equal(&q.dst, &was.src, 16);
	tlv = (void *)(q.hdr + 1);
	assert_int_equal(tlv->type, SF_TLV_REASON);
	assert_int_equal(tlv->reason, reason);
	assert_int_equal(tlv->kind, was.hdr ? sf_hdr_kind(was.hdr) : 0);
	assert_int_equal(ntohs(tlv->quoted), quoted);
	assert_int_equal(q.payload_len, quoted);
	assert_memory_equal(q.payload, &before.b[ETH], quoted);
	/* Back to the neighbour that brought it. */
	assert_memory_equal(p.b, before.b + 6, 6);
	assert_memory_equal(p.b + 6, before.b, 6);
}

static void syn_to_b(struct talk *t)
{
	struct sf_addr at = sf_locator(&b.cfg.net, b.cfg.host, 0);

	talk_syn(t, &p);
	packet_resolve(&p, &at);
	before = p;
}

static void syn_without_registration_draws_fail(void **state)
{
	static const uint8_t refused[] = { 0, SF_LISTENER_PENDING, SF_LISTENER_DENIED,
					   SF_LISTENER_DRAINING };
	struct talk t;
	uint32_t half;

	talk_init(&t);
	for (size_t i = 0; i < sizeof(refused); i++) {
		host_listener(&b, &service, IPPROTO_TCP, PORT, refused[i]);
		syn_to_b(&t);
		assert_int_equal(host_in(&b, &p), REDIRECTED);
		is_fail(SF_NO_SUCH_SOCKET);
	}
	assert_int_equal(host_count(&b, SF_NOT_REGISTERED), sizeof(refused));
	assert_int_equal(host_traffic(&b, SF_TRAFFIC_FAIL_SENT), sizeof(refused));
	host_flows(&b, &half);
	assert_int_equal(half, 0);
	/* Another host's listener on the same kernel is not ours. */
	b.cfg.cookie++;
	host_listener(&b, &service, IPPROTO_TCP, PORT, SF_LISTENER_LIVE);
	b.cfg.cookie--;
	syn_to_b(&t);
	assert_int_equal(host_in(&b, &p), REDIRECTED);
	/* A listener of any port and protocol will do. */
	host_listener(&b, &service, 0, 0, SF_LISTENER_LIVE);
	talk_syn(&t, &p);
	talk_syn_in(&t, &p);
}

static void syn_without_a_socket_draws_fail(void **state)
{
	struct talk t;

	talk_init(&t);
	t.dport = PORT + 1; /* the entry is there still, its socket is gone */
	host_listener(&b, &service, IPPROTO_TCP, PORT + 1, SF_LISTENER_LIVE);
	syn_to_b(&t);
	assert_int_equal(host_in(&b, &p), REDIRECTED);
	is_fail(SF_NO_SUCH_SOCKET);
}

static void listener_counts_flows_not_repeats(void **state)
{
	struct sf_listener_key k = {
		.host = b.cfg.cookie, .addr = service, .port = htons(PORT), .proto = IPPROTO_TCP
	};
	struct sf_listener l;
	struct talk t;

	talk_init(&t);
	talk_syn(&t, &p);
	before = p;
	talk_syn_in(&t, &p);
	p = before;
	talk_syn_in(&t, &p);
	assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(b.skel->maps.listeners), &k, &l), 0);
	assert_int_equal(l.flows, 1);
}

static uint64_t second_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec;
}

/* All of B's budgets but for one answer each are spent in this second. */
static void spend(uint64_t second)
{
	uint64_t spent[2] = { second, SF_FAIL_PER_SEC - 1 };
	struct bpf_map *map = b.skel->maps.budgets;

	for (uint32_t i = 0; i < bpf_map__max_entries(map); i++)
		assert_int_equal(bpf_map_update_elem(bpf_map__fd(map), &i, spent, BPF_ANY), 0);
}

/* Two of each kind of packet that draws a FAIL: a SYN, a segment for a socket that B does not have,
 * a datagram and a probe for what it does not serve. */
static void offend(uint32_t verdicts[4][2])
{
	struct sf_addr from = sf_locator(&a.cfg.net, a.cfg.host, 0x123456789abc);
	struct segment s = { .src = from, .dst = b.cfg.own, .sport = 1, .dport = 53 };
	struct sf_tlv_target target = { SF_TLV_TARGET, 6, IPPROTO_UDP, 0, htons(53), 1 };
	static struct packet kinds[4];

	packet_udp(&kinds[2], &s);
	packet_push(&kinds[2], SF_KIND_DATA, 0, &service_sid, &user_sid);
	packet_alone(&kinds[3], &from, &s.dst, SF_KIND_PROBE, &service_sid, &user_sid, &target,
		     sizeof(target), NULL, 0);
	s.flags = SF_TCP_SYN;
	packet_tcp(&kinds[0], &s);
	packet_push(&kinds[0], SF_KIND_SYN, 0, &service_sid, &user_sid);
	s.flags = SF_TCP_ACK;
	s.dst = sf_locator(&b.cfg.net, b.cfg.host, 0x123456789abc);
	packet_tcp(&kinds[1], &s);
	for (int i = 0; i < 8; i++) {
		p = kinds[i / 2];
		verdicts[i / 2][i % 2] = host_in(&b, &p);
	}
}

/* A flood of one kind leaves the others their answers: retry needs those to SYNs. */
static void fails_are_limited_by_kind(void **state)
{
	static const uint32_t reasons[] = { SF_RATE_LIMITED_SYN, SF_RATE_LIMITED,
					    SF_RATE_LIMITED_DATA, SF_RATE_LIMITED_PROBE };
	uint32_t verdicts[4][2];
	uint64_t second;

	do { /* within one second */
		host_clear(NULL);
		second = second_now();
		spend(second);
		offend(verdicts);
	} while (second_now() != second);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(verdicts[i][0], REDIRECTED);
		assert_int_equal(verdicts[i][1], DROPPED);
		assert_int_equal(host_count(&b, reasons[i]), 1);
	}
	assert_int_equal(host_traffic(&b, SF_TRAFFIC_FAIL_SENT), 4);
	/* The next second has budgets of its own. */
	spend(second - 1);
	offend(verdicts);
	for (int i = 0; i < 4; i++)
		assert_int_equal(verdicts[i][1], REDIRECTED);
}

/* Whoever is no SCAFFOLD host did not send this: a FAIL would hit a bystander. */
static void fail_goes_to_locators_only(void **state)
{
	static const char *const bystanders[] = {
		"2001:db8::1",	   "::1", "ff02::1", "fe80::1", "fd5e::1:2:3:4",
		"fd5c:0:1::1:2:3", /* its AS alone is resolved */
		"fd5c:0:1:1:1::5", /* a plain address sends no first packets */
	};
	struct parsed q;
	struct talk t;

	talk_init(&t);
	host_listener(&b, &service, IPPROTO_TCP, PORT, 0);
	syn_to_b(&t);
	for (size_t i = 0; i < sizeof(bystanders) / sizeof(bystanders[0]); i++) {
		p = before;
		packet_parse(&p, &q);
		assert_int_equal(sf_addr_parse(bystanders[i], &q.src), 0);
		memcpy(&q.ip->ip6_src, &q.src, 16);
		assert_int_equal(host_in(&b, &p), DROPPED);
	}
	assert_int_equal(host_count(&b, SF_NOT_REGISTERED),
			 sizeof(bystanders) / sizeof(bystanders[0]));
	assert_int_equal(host_traffic(&b, SF_TRAFFIC_FAIL_SENT), 0);
	/* A host of another AS is none. */
	p = before;
	packet_parse(&p, &q);
	q.ip->ip6_src.s6_addr[5] = 9;
	before = p;
	assert_int_equal(host_in(&b, &p), REDIRECTED);
	is_fail(SF_NO_SUCH_SOCKET);
}

static void unknown_and_wrong_peers_look_alike(void **state)
{
	struct segment s;
	struct talk t;

	talk_start(&t);
	s = talk_from_a(&t, SF_TCP_ACK, 300);
	s.src = t.client;
	s.dst = t.server;
	/* A third host that knows everything but A's socketID. */
	s.src.b[14] ^= 1;
	packet_tcp(&p, &s);
	before = p;
	assert_int_equal(host_in(&b, &p), REDIRECTED);
	is_fail(SF_NO_SUCH_SOCKET);
	assert_int_equal(host_count(&b, SF_WRONG_PEER), 1);
	s.src.b[14] ^= 1;
	s.dst.b[14] ^= 1;
	packet_tcp(&p, &s);
	before = p;
	assert_int_equal(host_in(&b, &p), REDIRECTED);
	is_fail(SF_NO_SUCH_SOCKET);
	assert_int_equal(host_count(&b, SF_UNKNOWN_SOCKET), 1);
	/* A reset is not answered. */
	s.flags = SF_TCP_RST;
	packet_tcp(&p, &s);
	assert_int_equal(host_in(&b, &p), DROPPED);
	s.dst.b[14] ^= 1;
	s.src.b[14] ^= 1;
	packet_tcp(&p, &s);
	assert_int_equal(host_in(&b, &p), DROPPED);
	assert_int_equal(host_count(&b, SF_UNKNOWN_SOCKET), 2);
	assert_int_equal(host_count(&b, SF_WRONG_PEER), 2);
}

static void own_flow_reaches_no_other_port(void **state)
{
	struct segment s;
	struct talk t;

	talk_start(&t);
	s = talk_from_a(&t, SF_TCP_ACK, 10);
	s.src = t.client;
	s.dst = t.server;
	s.dport = 22;
	packet_tcp(&p, &s);
	assert_int_equal(host_in(&b, &p), DROPPED);
	s.dport = PORT;
	s.sport++;
	packet_tcp(&p, &s);
	assert_int_equal(host_in(&b, &p), DROPPED);
	assert_int_equal(host_count(&b, SF_WRONG_STATE), 2);
}

static void syn_ack_must_acknowledge(void **state)
{
	struct segment s;
	struct sf_flow f;
	struct talk t;

	talk_ask(&t, &p);
	s = talk_from_b(&t, SF_TCP_SYN | SF_TCP_ACK, 0);
	s.ack++;
	host_sends(&b, &p, &s);
	assert_int_equal(host_in(&a, &p), DROPPED);
	assert_int_equal(host_count(&a, SF_WRONG_ACK), 1);
	/* Nothing but a SYN-ACK or a FAIL reaches a connecting flow. */
	s = talk_from_b(&t, SF_TCP_RST | SF_TCP_ACK, 0);
	s.src = sf_locator(&b.cfg.net, b.cfg.host, 0x123456789);
	s.dst = t.client;
	packet_tcp(&p, &s);
	assert_int_equal(host_in(&a, &p), DROPPED);
	assert_int_equal(host_count(&a, SF_WRONG_STATE), 1);
	assert_true(host_flow(&a, sf_locator_sock(&t.client), false, &f));
	assert_int_equal(f.state, SF_FLOW_CONNECTING);
}

static void syn_ack_of_another_instance_draws_fail(void **state)
{
	struct sf_sid other = sf_sid_make(SF_SSID_HOSTS, 0xcccc);
	struct sf_addr locator = sf_locator(&b.cfg.net, 0x10009, 0x987654321abc);
	struct segment s;
	struct sf_flow f;
	struct talk t;

	talk_answer(&t, &p);
	talk_bind(&t, &p);
	s = talk_from_b(&t, SF_TCP_SYN | SF_TCP_ACK, 0);
	s.src = locator;
	s.dst = t.client;
	packet_tcp(&p, &s);
	packet_push(&p, SF_KIND_SYN_ACK, 0, &user_sid, &other);
	before = p;
	assert_int_equal(host_in(&a, &p), REDIRECTED);
	is_fail(SF_OTHER_INSTANCE);
	assert_true(host_flow(&a, sf_locator_sock(&t.client), false, &f));
	assert_memory_equal(&f.peer, &t.server, 16);
	talk_ack(&t, &p);
	talk_promote(&t, &p);
}

static void broken_headers_are_counted(void **state)
{
	struct parsed q;
	struct talk t;

	talk_init(&t);
	syn_to_b(&t);

#define BREAK(what, reason)                                  \
	do {                                                 \
		p = before;                                  \
		packet_parse(&p, &q);                        \
		what;                                        \
		assert_int_equal(host_in(&b, &p), DROPPED);  \
		assert_int_equal(host_count(&b, reason), 1); \
		host_clear(NULL);                            \
	} while (0)

	BREAK(q.hdr->vers_kind = 0x21, SF_BAD_VERSION);
	BREAK(q.hdr->vers_kind = 0x10, SF_BAD_KIND);
	BREAK(q.hdr->vers_kind = 0x1f, SF_BAD_KIND);
	BREAK(q.hdr->opt_len = 27, SF_BAD_HEADER);
	BREAK(q.hdr->len8 = 1, SF_BAD_HEADER);
	BREAK(q.hdr->len8 = 200, SF_BAD_HEADER);
	BREAK((q.hdr->len8 = 31, q.hdr->opt_len = 252), SF_TRUNCATED);
	BREAK(q.hdr->nexthdr = 59, SF_BAD_KIND);
	BREAK(q.hdr->nexthdr = 132, SF_BAD_PROTOCOL);
	BREAK(q.hdr->vers_kind = 0x10 | SF_KIND_RSYN, SF_BAD_KIND);
	BREAK((q.hdr->vers_kind = 0x10 | SF_KIND_RSYN, q.hdr->nexthdr = 59), SF_BAD_CHECKSUM);
	BREAK((q.hdr->vers_kind = 0x10 | SF_KIND_REDIRECT, q.hdr->nexthdr = 59), SF_BAD_CHECKSUM);
	BREAK(q.hdr->vers_kind = 0x10 | SF_KIND_SYN_ACK, SF_WRONG_STATE);
	BREAK(q.hdr->vers_kind = 0x10 | SF_KIND_DATA, SF_BAD_PROTOCOL);
	BREAK(q.tcp->ack = 1, SF_WRONG_STATE);
	BREAK((p.len = ETH + 40 + 20, q.ip->ip6_plen = htons(20)), SF_TRUNCATED);
	BREAK((p.len = ETH + 40 + 40, q.ip->ip6_plen = htons(40)), SF_TRUNCATED);
	BREAK(q.ip->ip6_dst.s6_addr[10] = 1, SF_WRONG_STATE); /* SYN to a socketID */
}

static void passes(uint32_t (*run)(struct host *h, struct packet *p), struct host *h)
{
	before = p;
	assert_int_equal(run(h, &p), VERDICT_UP);
	assert_int_equal(p.len, before.len);
	assert_memory_equal(p.b, before.b, p.len);
}

static void other_traffic_is_untouched(void **state)
{
	struct segment s = { .sport = 1000, .dport = 22, .flags = SF_TCP_SYN, .payload = 100 };

	/* Plain addresses of SCAFFOLD hosts. */
	s.src = a.cfg.own;
	s.dst = b.cfg.own;
	packet_tcp(&p, &s);
	passes(host_out, &a);
	passes(host_in, &b);
	packet_udp(&p, &s);
	passes(host_out, &a);
	passes(host_in, &b);
	/* Hosts that are none of ours. */
	sf_addr_parse("2001:db8::1", &s.src);
	sf_addr_parse("2001:db8::2", &s.dst);
	packet_tcp(&p, &s);
	passes(host_out, &a);
	passes(host_in, &b);
	/* Somebody else's destination option. */
	packet_push(&p, 1, 0, &service_sid, &user_sid);
	p.b[ETH + 42] = 0x3e;
	passes(host_out, &a);
	passes(host_in, &b);
	memcpy(&p.b[ETH + 24], &b.cfg.own, 16);
	passes(host_in, &b);
	/* Another host's flow, as a router would see it. */
	s.src = sf_locator(&a.cfg.net, 7, 0x123456789abc);
	s.dst = sf_locator(&a.cfg.net, 8, 0x123456789abc);
	packet_tcp(&p, &s);
	passes(host_out, &a);
	passes(host_in, &b);
	/* IPv4. */
	p.b[12] = 8;
	p.b[13] = 0;
	p.b[14] = 0x45;
	passes(host_out, &a);
	passes(host_in, &b);
	/* Neighbour discovery, whatever its source. */
	s.src = a.cfg.self;
	sf_addr_parse("ff02::1", &s.dst);
	packet_icmp6_error(&p, &s.src, &s.dst, 135, 0, 0, &before);
	passes(host_out, &a);
	assert_int_equal(host_drops(&a) + host_drops(&b), 0);
}

static void service_addresses_without_header_stay_out(void **state)
{
	struct segment s = {
		.src = a.cfg.self, .dst = service, .sport = 1, .dport = PORT, .flags = SF_TCP_SYN
	};

	/* Straight from the wire to a service address: past registration and resolution. */
	packet_tcp(&p, &s);
	assert_int_equal(host_in(&b, &p), DROPPED);
	packet_push(&p, SF_KIND_SYN, 0, &service_sid, &user_sid);
	assert_int_equal(host_in(&b, &p), DROPPED);
	assert_int_equal(host_count(&b, SF_NO_HEADER), 2);
	/* UDP without header to a socketID. */
	s.dst = sf_locator(&b.cfg.net, b.cfg.host, 0x123456789abc);
	packet_udp(&p, &s);
	assert_int_equal(host_in(&b, &p), DROPPED);
	assert_int_equal(host_count(&b, SF_UNKNOWN_SOCKET), 1);
	/* Echo of a service address has no header that could carry it. */
	s.dst = service;
	packet_icmp6_error(&p, &a.cfg.self, &service, 128, 0, 1, &p);
	assert_int_equal(host_out(&a, &p), DROPPED);
	assert_int_equal(host_count(&a, SF_NO_HEADER), 1);
	/* SCTP. */
	s.dst = service;
	packet_udp(&p, &s);
	p.b[ETH + 6] = 132;
	assert_int_equal(host_out(&a, &p), DROPPED);
	assert_int_equal(host_count(&a, SF_BAD_PROTOCOL), 1);
}

#define T(f) cmocka_unit_test_setup(f, host_clear)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(syn_without_registration_draws_fail),
		T(syn_without_a_socket_draws_fail),
		T(listener_counts_flows_not_repeats),
		T(fails_are_limited_by_kind),
		T(fail_goes_to_locators_only),
		T(unknown_and_wrong_peers_look_alike),
		T(own_flow_reaches_no_other_port),
		T(syn_ack_must_acknowledge),
		T(syn_ack_of_another_instance_draws_fail),
		T(broken_headers_are_counted),
		T(other_traffic_is_untouched),
		T(service_addresses_without_header_stay_out),
	};

	if (host_privileged())
		return 77;
	return cmocka_run_group_tests(tests, host_group_setup, host_group_teardown);
}
