// SPDX-License-Identifier: Apache-2.0
/* host_icmp_test.c - ICMPv6 errors translated both ways. */
#include "tests/bpf/host.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <bpf/bpf.h>
#include <cmocka.h>

static struct packet p, sent;
static struct sf_addr router;

static int setup(void **state)
{
	sf_addr_parse("2001:db8::99", &router);
	return host_clear(state);
}

/* The error in p is about what A's socket sent, from @t.local to @t.peer. */
static void is_about(const struct talk *t, uint8_t type, uint32_t mtu)
{
	struct parsed q;

	packet_parse(&p, &q);
	assert_non_null(q.icmp);
	assert_true(q.csum_ok);
	assert_int_equal(q.icmp->icmp6_type, type);
	assert_int_equal(ntohl(q.icmp->icmp6_data32[0]), mtu);
	assert_memory_equal(&q.src, &router, 16);
	assert_memory_equal(&q.dst, &t->local, 16);
	assert_memory_equal(q.payload + 8, &t->local, 16);
	assert_memory_equal(q.payload + 24, &t->peer, 16);
}

static void error_about(const struct sf_addr *to, uint8_t type, uint8_t code, uint32_t data)
{
	packet_icmp6_error(&p, &router, to, type, code, data, &sent);
}

static void path_mtu_reaches_the_socket(void **state)
{
	struct segment s;
	struct talk t;

	talk_start(&t);
	s = talk_from_a(&t, SF_TCP_ACK, 1400);
	host_sends(&a, &sent, &s);
	error_about(&t.client, 2, 0, 1300);
	assert_int_equal(host_in(&a, &p), VERDICT_UP);
	is_about(&t, 2, 1300);
	error_about(&t.client, 1, 0, 0);
	assert_int_equal(host_in(&a, &p), VERDICT_UP);
	is_about(&t, 1, 0);
	error_about(&t.client, 3, 0, 0);
	assert_int_equal(host_in(&a, &p), VERDICT_UP);
	is_about(&t, 3, 0);
	assert_int_equal(host_drops(&a), 0);
}

static void path_mtu_of_a_syn_leaves_room_for_its_header(void **state)
{
	struct talk t;

	talk_init(&t);
	talk_syn(&t, &sent);
	error_about(&t.client, 2, 0, 1400);
	assert_int_equal(host_in(&a, &p), VERDICT_UP);
	is_about(&t, 2, 1400 - 32);
}

static void path_mtu_of_a_datagram(void **state)
{
	struct segment s = {
		.src = a.cfg.self, .dst = service, .sport = 5000, .dport = 53, .payload = 1000
	};
	struct talk t;
	struct parsed q;

	talk_init(&t);
	host_sends_udp(&a, &sent, &s);
	packet_resolve(&sent, &b.cfg.own);
	packet_parse(&sent, &q);
	error_about(&q.src, 2, 0, 1400);
	assert_int_equal(host_in(&a, &p), VERDICT_UP);
	is_about(&t, 2, 1400 - 40);
	/* Of another socket than it is addressed to. */
	q.src.b[15] ^= 1;
	error_about(&q.src, 2, 0, 1400);
	assert_int_equal(host_in(&a, &p), DROPPED);
	assert_int_equal(host_count(&a, SF_WRONG_ACK), 1);
}

/* RFC 8201 section 4: one that names less than 1280 is thrown away. RFC 8200 section 5: what is
 * less with our header taken off is no less to the socket. */
static void path_mtu_below_the_minimum_is_not_believed(void **state)
{
	struct segment s = {
		.src = a.cfg.self, .dst = service, .sport = 5000, .dport = 53, .payload = 1000
	};
	struct parsed q;
	struct talk t;

	talk_init(&t);
	host_sends_udp(&a, &sent, &s);
	packet_resolve(&sent, &b.cfg.own);
	packet_parse(&sent, &q);
	error_about(&q.src, 2, 0, 1279);
	assert_int_equal(host_in(&a, &p), DROPPED);
	error_about(&q.src, 2, 0, 0);
	assert_int_equal(host_in(&a, &p), DROPPED);
	assert_int_equal(host_count(&a, SF_BAD_MTU), 2);
	for (uint32_t mtu = 1280; mtu <= 1330; mtu += 10) {
		error_about(&q.src, 2, 0, mtu);
		assert_int_equal(host_in(&a, &p), VERDICT_UP);
		is_about(&t, 2, mtu < 1320 ? 1280 : mtu - 40);
	}
}

/* What is acted upon before the kernel has seen it is verified by us. */
static void damaged_error_does_nothing(void **state)
{
	struct sf_flow f;
	struct talk t;

	talk_init(&t);
	talk_syn(&t, &sent);
	packet_resolve(&sent, &b.cfg.own);
	for (uint32_t at = ETH + 42; at < ETH + 40 + 8 + sent.len - ETH; at += 5) {
		error_about(&t.client, 1, 3, 0);
		p.b[at] ^= 0x10;
		assert_int_equal(host_in(&a, &p), DROPPED);
	}
	assert_int_equal(host_count(&a, SF_BAD_CHECKSUM), host_drops(&a));
	assert_true(host_flow(&a, sf_locator_sock(&t.client), false, &f));
	assert_int_equal(f.attempt, 0);
	/* As long as they come, and odd. */
	for (uint32_t n = 240; n <= 1232; n += 31) {
		struct segment s;

		host_clear(NULL);
		talk_start(&t);
		s = talk_from_a(&t, SF_TCP_ACK, 1300);
		host_sends(&a, &sent, &s);
		sent.len = ETH + n;
		error_about(&t.client, 1, 0, 0);
		assert_int_equal(host_in(&a, &p), VERDICT_UP);
		error_about(&t.client, 1, 0, 0);
		p.b[p.len - 1] ^= 1;
		assert_int_equal(host_in(&a, &p), DROPPED);
		assert_int_equal(host_count(&a, SF_BAD_CHECKSUM), 1);
	}
}

static void unreachable_while_connecting_is_retried(void **state)
{
	struct parsed q;
	struct talk t;

	talk_init(&t);
	talk_syn(&t, &sent);
	packet_resolve(&sent, &b.cfg.own);
	for (int i = 1; i <= SF_ATTEMPT_MAX; i++) {
		error_about(&t.client, 1, 3, 0);
		assert_int_equal(host_in(&a, &p), REDIRECTED);
		packet_parse(&p, &q);
		assert_int_equal(sf_hdr_kind(q.hdr), SF_KIND_SYN);
		assert_int_equal(ntohs(q.hdr->aux), i);
		assert_memory_equal(&q.dst, &service, 16);
		assert_true(q.csum_ok);
		sent = p;
	}
	error_about(&t.client, 1, 3, 0);
	assert_int_equal(host_in(&a, &p), VERDICT_UP);
	packet_parse(&p, &q);
	assert_true(q.tcp->rst && q.tcp->ack);
}

static void errors_about_nothing_of_ours_are_counted(void **state)
{
	struct segment s;
	struct talk t;

	talk_start(&t);
	s = talk_from_a(&t, SF_TCP_ACK, 100);
	host_sends(&a, &sent, &s);
	/* Quotes another peer, another port. */
	sent.b[ETH + 39] ^= 1;
	error_about(&t.client, 1, 0, 0);
	assert_int_equal(host_in(&a, &p), DROPPED);
	sent.b[ETH + 39] ^= 1;
	sent.b[ETH + 41] ^= 1;
	error_about(&t.client, 1, 0, 0);
	assert_int_equal(host_in(&a, &p), DROPPED);
	assert_int_equal(host_count(&a, SF_WRONG_ACK), 2);
	sent.b[ETH + 41] ^= 1;
	/* An echo to a socketID; a quotation that is too short. */
	error_about(&t.client, 128, 0, 0);
	assert_int_equal(host_in(&a, &p), DROPPED);
	assert_int_equal(host_count(&a, SF_BAD_PROTOCOL), 1);
	sent.len = ETH + 40 + 12;
	error_about(&t.client, 1, 0, 0);
	assert_int_equal(host_in(&a, &p), DROPPED);
	assert_int_equal(host_count(&a, SF_TRUNCATED), 1);
	/* Those about the plain address are the kernel's own. */
	error_about(&a.cfg.own, 1, 0, 0);
	assert_int_equal(host_in(&a, &p), VERDICT_UP);
}

static void closed_udp_port_becomes_a_fail(void **state)
{
	struct segment s = {
		.src = a.cfg.self, .dst = service, .sport = 5000, .dport = 53, .payload = 100
	};
	struct parsed q;
	struct sf_addr client;

	host_listener(&b, &service, IPPROTO_UDP, 53, SF_LISTENER_LIVE);
	host_sends_udp(&a, &p, &s);
	packet_resolve(&p, &b.cfg.own);
	packet_parse(&p, &q);
	client = q.src;
	assert_int_equal(host_in(&b, &p), VERDICT_UP);
	/* B's kernel has no such socket after all. */
	sent = p;
	packet_icmp6_error(&p, &service, &a.cfg.self, 1, 4, 0, &sent);
	assert_int_equal(host_out(&b, &p), VERDICT_UP);
	packet_parse(&p, &q);
	assert_non_null(q.hdr);
	assert_int_equal(sf_hdr_kind(q.hdr), SF_KIND_FAIL);
	assert_true(q.csum_ok);
	assert_memory_equal(&q.dst, &client, 16);
	assert_true(sf_locator_same_host(&q.src, &b.cfg.own));
	/* Which A's socket gets as what it was. */
	assert_int_equal(host_in(&a, &p), VERDICT_UP);
	packet_parse(&p, &q);
	assert_true(q.csum_ok);
	assert_int_equal(q.icmp->icmp6_type, 1);
	assert_int_equal(q.icmp->icmp6_code, 4);
	assert_memory_equal(&q.src, &service, 16);
	assert_memory_equal(&q.dst, &a.cfg.self, 16);
}

static void rejected_syn_becomes_a_fail(void **state)
{
	struct parsed q;
	struct talk t;

	talk_ask(&t, &p);
	sent = p;
	/* A firewall's reject, at B. */
	packet_icmp6_error(&p, &service, &t.seen, 1, 1, 0, &sent);
	assert_int_equal(host_out(&b, &p), VERDICT_UP);
	packet_parse(&p, &q);
	assert_int_equal(sf_hdr_kind(q.hdr), SF_KIND_FAIL);
	assert_true(q.csum_ok);
	assert_int_equal(((struct sf_tlv_reason *)(q.hdr + 1))->reason, SF_REFUSED);
	assert_int_equal(host_in(&a, &p), REDIRECTED);
	packet_parse(&p, &q);
	assert_int_equal(sf_hdr_kind(q.hdr), SF_KIND_SYN);
	assert_int_equal(ntohs(q.hdr->aux), 1);
	assert_memory_equal(&q.dst, &service, 16);
	assert_true(q.csum_ok);
	talk_syn_in(&t, &p);
}

static void error_of_our_kernel_about_a_bound_flow(void **state)
{
	struct segment s;
	struct parsed q;
	struct talk t;

	talk_start(&t);
	s = talk_from_a(&t, SF_TCP_ACK, 100);
	packet_tcp(&sent, &s); /* as B's kernel was handed it */
	packet_icmp6_error(&p, &service, &t.seen, 1, 1, 0, &sent);
	assert_int_equal(host_out(&b, &p), VERDICT_UP);
	packet_parse(&p, &q);
	assert_true(q.csum_ok);
	assert_int_equal(q.icmp->icmp6_type, 1);
	assert_memory_equal(&q.src, &t.server, 16);
	assert_memory_equal(&q.dst, &t.client, 16);
	assert_memory_equal(q.payload + 8, &t.client, 16);
	assert_memory_equal(q.payload + 24, &t.server, 16);
	router = t.peer;
	assert_int_equal(host_in(&a, &p), VERDICT_UP);
	packet_parse(&p, &q);
	assert_true(q.csum_ok);
	assert_memory_equal(q.payload + 8, &t.local, 16);
	assert_memory_equal(q.payload + 24, &t.peer, 16);
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(path_mtu_reaches_the_socket),
		T(path_mtu_of_a_syn_leaves_room_for_its_header),
		T(path_mtu_of_a_datagram),
		T(path_mtu_below_the_minimum_is_not_believed),
		T(damaged_error_does_nothing),
		T(unreachable_while_connecting_is_retried),
		T(errors_about_nothing_of_ours_are_counted),
		T(closed_udp_port_becomes_a_fail),
		T(rejected_syn_becomes_a_fail),
		T(error_of_our_kernel_about_a_bound_flow),
	};

	if (host_privileged())
		return 77;
	return cmocka_run_group_tests(tests, host_group_setup, host_group_teardown);
}
