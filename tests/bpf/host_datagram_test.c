// SPDX-License-Identifier: Apache-2.0
/* host_datagram_test.c - unbound datagrams, their answers, and their fragments. */
#include "tests/bpf/host.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>
#include <bpf/bpf.h>
#include <cmocka.h>

#define DNS 53

static struct packet p, q, whole;

static int setup(void **state)
{
	host_clear(state);
	host_listener(&b, &service, IPPROTO_UDP, DNS, SF_LISTENER_LIVE);
	return 0;
}

static struct segment request(uint32_t payload)
{
	struct segment s = {
		.src = a.cfg.self, .dst = service, .sport = 5000, .dport = DNS, .payload = payload
	};

	return s;
}

static struct segment answer(uint32_t payload)
{
	struct segment s = {
		.src = service, .dst = a.cfg.self, .sport = DNS, .dport = 5000, .payload = payload
	};

	return s;
}

static struct sf_addr at_b(void)
{
	return sf_locator(&b.cfg.net, b.cfg.host, 0);
}

/* A's datagram as it leaves A, in p. */
static void out_of_a(const struct segment *s, struct parsed *r)
{
	host_sends_udp(&a, &p, s);
	packet_parse(&p, r);
	assert_non_null(r->hdr);
	assert_int_equal(sf_hdr_kind(r->hdr), SF_KIND_DATA);
	assert_int_equal(sf_hdr_check(r->hdr, p.len - ETH - 40), 0);
	assert_true(r->csum_ok);
	assert_true(sf_locator_same_host(&r->src, &a.cfg.own));
}

static void into_b(struct parsed *r)
{
	assert_int_equal(host_in(&b, &p), VERDICT_UP);
	packet_parse(&p, r);
	assert_null(r->hdr);
	assert_true(r->csum_ok);
	assert_memory_equal(&r->dst, &service, 16);
}

/* A's request is resolved to B, and B's answer comes back. */
static void ask_and_answer(const struct segment *s, const struct segment *back)
{
	struct sf_addr to = at_b();
	struct parsed r;

	out_of_a(s, &r);
	packet_resolve(&p, &to);
	into_b(&r);
	host_sends_udp(&b, &p, back);
	assert_int_equal(host_in(&a, &p), VERDICT_UP);
}

static void request_and_answer(void **state)
{
	struct segment s = request(100), back = answer(200);
	struct sf_addr to = at_b(), from;
	struct parsed r;
	uint16_t nonce;

	out_of_a(&s, &r);
	assert_memory_equal(&r.dst, &service, 16);
	assert_memory_equal(&r.hdr->dst, &service_sid, 12);
	assert_memory_equal(&r.hdr->src, &user_sid, 12);
	nonce = r.hdr->aux;
	from = r.src;
	packet_resolve(&p, &to);
	into_b(&r);
	assert_memory_equal(&r.src, &a.cfg.self, 16);
	assert_int_equal(r.payload_len, 100);
	/* The answer goes straight to the source locator. */
	host_sends_udp(&b, &p, &back);
	packet_parse(&p, &r);
	assert_memory_equal(&r.dst, &from, 16);
	assert_true(sf_locator_same_host(&r.src, &b.cfg.own));
	assert_true(r.csum_ok);
	to = r.src;
	assert_int_equal(host_in(&a, &p), VERDICT_UP);
	packet_parse(&p, &r);
	assert_null(r.hdr);
	assert_true(r.csum_ok);
	assert_memory_equal(&r.src, &service, 16);
	assert_memory_equal(&r.dst, &a.cfg.self, 16);
	/* The next request goes to who answered; the asker needs no listener. */
	out_of_a(&s, &r);
	assert_memory_equal(&r.dst, &to, 16);
	assert_memory_equal(&r.src, &from, 16);
	assert_int_not_equal(r.hdr->aux, nonce);
	into_b(&r);
	assert_int_equal(host_drops(&a) + host_drops(&b), 0);
}

/* A place that once answered is known by its socketID; whether it still serves is asked each time.
 */
static void known_socket_must_still_be_registered(void **state)
{
	static const uint8_t gone[] = { 0, SF_LISTENER_DENIED };
	static const uint8_t there[] = { SF_LISTENER_PENDING, SF_LISTENER_DRAINING };
	struct segment s = request(100), back = answer(200);
	struct parsed r;

	for (size_t i = 0; i < sizeof(gone); i++) {
		host_listener(&b, &service, IPPROTO_UDP, DNS, SF_LISTENER_LIVE);
		ask_and_answer(&s, &back);
		out_of_a(&s, &r);
		assert_false(sf_sock_is_unset(sf_locator_sock(&r.dst)));
		whole = p;
		into_b(&r);
		host_listener(&b, &service, IPPROTO_UDP, DNS, gone[i]);
		p = whole;
		assert_int_equal(host_in(&b, &p), REDIRECTED);
		packet_parse(&p, &r);
		assert_int_equal(sf_hdr_kind(r.hdr), SF_KIND_FAIL);
		/* Which the asker's host takes as what it is: ask another. */
		assert_int_equal(host_in(&a, &p), DROPPED);
		out_of_a(&s, &r);
		assert_memory_equal(&r.dst, &service, 16);
	}
	assert_int_equal(host_count(&b, SF_NOT_REGISTERED), sizeof(gone));
	/* One that is not judged yet, or drains, has its answers; nobody new is sent to it. */
	host_listener(&b, &service, IPPROTO_UDP, DNS, SF_LISTENER_LIVE);
	ask_and_answer(&s, &back);
	for (size_t i = 0; i < sizeof(there); i++) {
		host_listener(&b, &service, IPPROTO_UDP, DNS, there[i]);
		out_of_a(&s, &r);
		into_b(&r);
	}
	out_of_a(&s, &r);
	packet_resolve(&p, &b.cfg.own);
	assert_int_equal(host_in(&b, &p), REDIRECTED);
}

static void silent_answerer_is_left_after_a_while(void **state)
{
	struct segment s = request(100), back = answer(10);
	struct sf_peer_key k = { .peer = service, .pport = htons(DNS), .proto = IPPROTO_UDP };
	struct sf_peer peer;
	struct parsed r;
	int fd = bpf_map__fd(a.skel->maps.datagrams);

	ask_and_answer(&s, &back);
	assert_int_equal(bpf_map_lookup_elem(fd, &k, &peer), 0);
	assert_true(peer.flags & SF_PEER_ANSWER);
	peer.used -= 6000000000ull < peer.used ? 6000000000ull : peer.used;
	assert_int_equal(bpf_map_update_elem(fd, &k, &peer, BPF_ANY), 0);
	out_of_a(&s, &r);
	assert_memory_equal(&r.dst, &service, 16);
	/* Who asked us is answered however long that was ago. */
	k.peer = a.cfg.self;
	k.pport = htons(5000);
	fd = bpf_map__fd(b.skel->maps.datagrams);
	assert_int_equal(bpf_map_lookup_elem(fd, &k, &peer), 0);
	peer.used = 0;
	assert_int_equal(bpf_map_update_elem(fd, &k, &peer, BPF_ANY), 0);
	host_sends_udp(&b, &p, &back);
	packet_parse(&p, &r);
	assert_true(sf_locator_same_host(&r.dst, &a.cfg.own));
}

static void anonymous_datagram_is_answered(void **state)
{
	struct segment s = request(10), back = answer(20);
	struct sf_addr to = at_b(), from;
	struct parsed r;

	s.src = a.cfg.own;
	out_of_a(&s, &r);
	assert_true(sf_sid_is_zero(&r.hdr->src));
	from = r.src;
	packet_resolve(&p, &to);
	into_b(&r);
	assert_memory_equal(&r.src, &from, 16);
	back.dst = from;
	host_sends_udp(&b, &p, &back);
	packet_parse(&p, &r);
	assert_memory_equal(&r.dst, &from, 16);
	assert_int_equal(host_in(&a, &p), VERDICT_UP);
	packet_parse(&p, &r);
	assert_true(r.csum_ok);
	assert_memory_equal(&r.src, &service, 16);
	assert_memory_equal(&r.dst, &a.cfg.own, 16);
	/* From an address that could not be checked, nothing leaves. */
	s.src.b[15] = 2;
	packet_udp(&p, &s);
	assert_int_equal(host_out(&a, &p), DROPPED);
	assert_int_equal(host_count(&a, SF_NO_FLOW), 1);
}

static void datagram_without_listener_is_refused(void **state)
{
	struct sf_addr to = at_b();
	struct segment s = request(100);
	struct parsed r;

	host_listener(&b, &service, IPPROTO_UDP, DNS, 0);
	out_of_a(&s, &r);
	packet_resolve(&p, &to);
	assert_int_equal(host_in(&b, &p), REDIRECTED);
	packet_parse(&p, &r);
	assert_int_equal(sf_hdr_kind(r.hdr), SF_KIND_FAIL);
	/* The socket hears that the port is closed, of the packet as it sent it. */
	assert_int_equal(host_in(&a, &p), VERDICT_UP);
	packet_parse(&p, &r);
	assert_true(r.csum_ok);
	assert_int_equal(r.icmp->icmp6_type, 1);
	assert_int_equal(r.icmp->icmp6_code, 4);
	assert_memory_equal(&r.src, &service, 16);
	assert_memory_equal(&r.dst, &a.cfg.self, 16);
	assert_memory_equal(r.payload + 8, &a.cfg.self, 16);
	assert_memory_equal(r.payload + 24, &service, 16);
}

static void refusal_of_a_known_place_forgets_it(void **state)
{
	struct sf_sid id = sf_addr_sid(&b.cfg.self);
	struct segment s = request(100), back = answer(10);
	struct sf_addr src;
	struct parsed r;

	ask_and_answer(&s, &back);
	out_of_a(&s, &r);
	src = r.dst;
	assert_true(sf_locator_same_host(&src, &b.cfg.own));
	packet_fail(&q, &src, &id, SF_NO_SUCH_SOCKET, &p);
	assert_int_equal(host_in(&a, &q), DROPPED);
	assert_int_equal(host_traffic(&a, SF_TRAFFIC_FAIL_TAKEN), 1);
	out_of_a(&s, &r);
	assert_memory_equal(&r.dst, &service, 16);
}

static void answers_need_the_right_socket_id(void **state)
{
	struct segment s = answer(10);
	struct sf_addr dst = sf_locator(&a.cfg.net, a.cfg.host, 0x123456789abc);

	s.src = sf_locator(&b.cfg.net, b.cfg.host, 0xaaaaaaaaaaaa);
	s.dst = dst;
	packet_udp(&p, &s);
	packet_push(&p, SF_KIND_DATA, 0, &user_sid, &service_sid);
	assert_int_equal(host_in(&a, &p), DROPPED);
	assert_int_equal(host_count(&a, SF_WRONG_STATE), 1);
}

static void flag_unbound_is_not_remembered(void **state)
{
	struct segment s = request(10), back = answer(10);
	struct sf_addr to = at_b();
	struct parsed r;

	out_of_a(&s, &r);
	r.hdr->flags = SF_FLAG_UNBOUND;
	packet_resolve(&p, &to);
	into_b(&r);
	host_sends_udp(&b, &p, &back);
	packet_parse(&p, &r);
	assert_memory_equal(&r.dst, &a.cfg.self, 16); /* to be resolved */
}

static void too_big_is_told_to_the_sender(void **state)
{
	struct segment s = request(1500 - 40 - 8 - 32);
	struct parsed r;

	out_of_a(&s, &r); /* just fits */
	s.payload++;
	packet_udp(&p, &s);
	assert_int_equal(host_out(&a, &p), REDIRECTED);
	packet_parse(&p, &r);
	assert_true(r.csum_ok);
	assert_int_equal(r.icmp->icmp6_type, 2);
	assert_int_equal(ntohl(r.icmp->icmp6_mtu), 1500 - 40);
	assert_memory_equal(&r.dst, &a.cfg.self, 16);
	assert_memory_equal(r.payload + 24, &service, 16);
	assert_int_equal(host_count(&a, SF_TOO_BIG), 1);
	/* But nobody is told less than any link of IPv6 carries. */
	host_mtu(&a, 1300);
	packet_udp(&p, &s);
	assert_int_equal(host_out(&a, &p), REDIRECTED);
	packet_parse(&p, &r);
	assert_int_equal(ntohl(r.icmp->icmp6_mtu), 1280);
}

/* Test runs cannot mark a packet as UDP_SEGMENT makes them (host_wire_test.c has those); what they
 * make is of another type, which the kernel could not segment behind our header. */
static void foreign_gso_datagram_is_dropped(void **state)
{
	struct segment s = request(3000);
	struct parsed r;

	/* Segments that just do not fit with their header. */
	packet_udp(&p, &s);
	assert_int_equal(host_out_gso(&a, &p, 3, 1500 - 40 - 8 - 32 + 1), REDIRECTED);
	packet_parse(&p, &r);
	assert_true(r.csum_ok);
	assert_int_equal(r.icmp->icmp6_type, 2);
	s.payload = 1000;
	packet_udp(&p, &s);
	assert_int_equal(host_out_gso(&a, &p, 2, 500), DROPPED);
	assert_int_equal(host_count(&a, SF_GSO_DATAGRAM), 1);
}

static void fragments_follow_their_first(void **state)
{
	struct segment s = request(3000), back = answer(3000);
	struct sf_addr to = at_b(), src = { 0 };
	uint16_t nonce = 0;
	struct parsed r;

	packet_udp(&whole, &s);
	for (uint32_t from = 0; from < 3008; from += 1408) {
		uint32_t len = 3008 - from < 1408 ? 3008 - from : 1408;
		struct sf_tlv_target *t;

		packet_fragment(&p, &whole, 0xabcd1234, from, len);
		q = p;
		assert_int_equal(host_out(&a, &p), VERDICT_UP);
		packet_parse(&p, &r);
		assert_non_null(r.hdr);
		assert_int_equal(sf_hdr_kind(r.hdr), SF_KIND_DATA);
		assert_int_equal(sf_hdr_check(r.hdr, p.len - ETH - 40), 0);
		t = (void *)(r.hdr + 1);
		assert_int_equal(t->type, SF_TLV_TARGET);
		assert_int_equal(t->proto, IPPROTO_UDP);
		assert_int_equal(ntohs(t->port), DNS);
		assert_non_null(r.frag);
		if (from) {
			assert_memory_equal(&r.src, &src, 16);
			assert_int_equal(r.hdr->aux, nonce);
		}
		src = r.src;
		nonce = r.hdr->aux;
		packet_resolve(&p, &to);
		assert_int_equal(host_in(&b, &p), VERDICT_UP);
		packet_parse(&p, &r);
		assert_null(r.hdr);
		assert_memory_equal(&r.src, &s.src, 16);
		assert_memory_equal(&r.dst, &service, 16);
		/* All but the first fragment's checksum is as it was sent: that was the point. */
		assert_int_equal(p.len, q.len);
		assert_memory_equal(&p.b[ETH + 48 + 8], &q.b[ETH + 48 + 8], p.len - ETH - 56);
		if (!from)
			assert_memory_equal(&p.b[ETH + 48], &q.b[ETH + 48], 8);
	}
	/* And back, straight. */
	packet_udp(&whole, &back);
	for (uint32_t from = 0; from < 3008; from += 1408) {
		uint32_t len = 3008 - from < 1408 ? 3008 - from : 1408;

		packet_fragment(&p, &whole, 0x77, from, len);
		assert_int_equal(host_out(&b, &p), VERDICT_UP);
		packet_parse(&p, &r);
		assert_memory_equal(&r.dst, &src, 16);
		assert_int_equal(host_in(&a, &p), VERDICT_UP);
		packet_parse(&p, &r);
		assert_memory_equal(&r.src, &service, 16);
		assert_memory_equal(&r.dst, &a.cfg.self, 16);
	}
	assert_int_equal(host_drops(&a) + host_drops(&b), 0);
}

static void fragment_without_its_first_is_dropped(void **state)
{
	struct segment s = request(3000);
	struct sf_addr to = at_b();

	packet_udp(&whole, &s);
	packet_fragment(&p, &whole, 5, 1408, 1408);
	assert_int_equal(host_out(&a, &p), DROPPED);
	assert_int_equal(host_count(&a, SF_FRAGMENT), 1);
	packet_fragment(&p, &whole, 5, 0, 1408);
	assert_int_equal(host_out(&a, &p), VERDICT_UP);
	packet_fragment(&p, &whole, 5, 1408, 1408);
	assert_int_equal(host_out(&a, &p), VERDICT_UP);
	packet_resolve(&p, &to);
	assert_int_equal(host_in(&b, &p), DROPPED);
	assert_int_equal(host_count(&b, SF_FRAGMENT), 1);
	/* A fragment for a socketID without header is nobody's. */
	s.src = sf_locator(&a.cfg.net, a.cfg.host, 0x123456789);
	s.dst = sf_locator(&b.cfg.net, b.cfg.host, 0x123456789);
	packet_udp(&whole, &s);
	packet_fragment(&p, &whole, 5, 1408, 1408);
	assert_int_equal(host_in(&b, &p), DROPPED);
	assert_int_equal(host_count(&b, SF_FRAGMENT), 2);
	packet_fragment(&p, &whole, 5, 0, 1408);
	assert_int_equal(host_in(&b, &p), REDIRECTED);
	assert_int_equal(host_count(&b, SF_UNKNOWN_SOCKET), 1);
	/* One for the plain address is the kernel's. */
	s.dst = b.cfg.own;
	packet_udp(&whole, &s);
	packet_fragment(&p, &whole, 5, 0, 1408);
	assert_int_equal(host_in(&b, &p), VERDICT_UP);
}

static void truncated_datagrams_are_counted(void **state)
{
	struct sf_addr to = at_b();
	struct segment s = request(10);
	struct parsed r;
	uint64_t before;

	out_of_a(&s, &r);
	packet_resolve(&p, &to);
	whole = p;
	for (uint32_t n = 1; n < 32 + 8; n++) {
		p = whole;
		p.len = ETH + 40 + n;
		packet_parse(&whole, &r);
		((struct ip6_hdr *)&p.b[ETH])->ip6_plen = htons((uint16_t)n);
		before = host_drops(&b);
		assert_int_equal(host_in(&b, &p), DROPPED);
		assert_int_equal(host_drops(&b), before + 1);
	}
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(request_and_answer),
		T(known_socket_must_still_be_registered),
		T(silent_answerer_is_left_after_a_while),
		T(anonymous_datagram_is_answered),
		T(datagram_without_listener_is_refused),
		T(refusal_of_a_known_place_forgets_it),
		T(answers_need_the_right_socket_id),
		T(flag_unbound_is_not_remembered),
		T(too_big_is_told_to_the_sender),
		T(foreign_gso_datagram_is_dropped),
		T(fragments_follow_their_first),
		T(fragment_without_its_first_is_dropped),
		T(truncated_datagrams_are_counted),
	};

	if (host_privileged())
		return 77;
	return cmocka_run_group_tests(tests, host_group_setup, host_group_teardown);
}
