// SPDX-License-Identifier: Apache-2.0
/*
 * host_rsyn_test.c - messages of renegotiations in the datapath (docs/protocol.md, "Moving"): which
 * of them the agent hears of, what is refused or dropped in its place, what of its own leaves.
 *
 * A and B talk; A has a second place, A2.
 */
#include "tests/bpf/host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <cmocka.h>

#include "core/renegotiate.h"

#define A2 0x20001

static struct packet p;

static struct sf_control_event heard;
static int heard_n;

static int hear(void *ctx, void *data, size_t len)
{
	memset(&heard, 0, sizeof(heard));
	assert_in_range(len, 8, sizeof(heard));
	memcpy(&heard, data, len);
	assert_int_equal(len, 8 + heard.len);
	heard_n++;
	return 0;
}

/* How many events there are in @h's ring; the last is @heard. */
static int events(struct host *h)
{
	int fd = bpf_map__fd(h->skel->maps.control);
	struct ring_buffer *r = ring_buffer__new(fd, hear, NULL, NULL);

	assert_non_null(r);
	heard_n = 0;
	assert_true(ring_buffer__consume(r) >= 0);
	ring_buffer__free(r);
	return heard_n;
}

/* A message from A, who has moved to A2, to B. */
static struct sf_move_msg message(const struct talk *t, uint8_t kind)
{
	return (struct sf_move_msg){ .kind = kind,
				     .src = host_at(A2, &t->client, 1),
				     .dst = t->server,
				     .host = user_sid,
				     .epoch = 1,
				     .you_sock = sf_locator_sock(&t->server),
				     .claim = 11,
				     .was = 12,
				     .name = 13,
				     .you = 14,
				     .challenge = 15 };
}

static void encode(struct packet *out, const struct sf_move_msg *m)
{
	int n = sf_move_encode(out->b + ETH, sizeof(out->b) - ETH, m);

	assert_int_equal(n, m->len > SF_MOVE_LEN ? m->len : SF_MOVE_LEN);
	memset(out->b, 0, ETH);
	out->b[12] = 0x86;
	out->b[13] = 0xdd;
	out->len = ETH + (uint32_t)n;
}

static void agent_hears(void **state)
{
	const uint8_t kinds[] = { SF_KIND_RSYN, SF_KIND_RSYN_ACK, SF_KIND_RACK };
	static struct packet sent;
	struct sf_move_msg m, got;
	struct talk t;
	uint8_t why;

	talk_start(&t);
	events(&b);
	for (size_t i = 0; i < sizeof(kinds); i++) {
		m = message(&t, kinds[i]);
		encode(&sent, &m);
		p = sent;
		assert_int_equal(host_in(&b, &p), DROPPED);
		assert_int_equal(events(&b), 1);
		assert_int_equal(heard.len, sent.len - ETH);
		assert_memory_equal(heard.packet, sent.b + ETH, heard.len);
		assert_int_equal(sf_move_decode(heard.packet, heard.len, &got, &why), 0);
		assert_int_equal(got.claim, 11);
	}
	/* Whatever incarnation it names: the agent knows which there were. */
	m = message(&t, SF_KIND_RSYN);
	m.dst = host_at(b.cfg.host, &t.server, 77);
	encode(&p, &m);
	assert_int_equal(host_in(&b, &p), DROPPED);
	assert_int_equal(events(&b), 1);
	assert_int_equal(host_drops(&b), 0);
}

/* The agent gets its beginning, which says how long it was. */
static void padded_rsyn_is_heard(void **state)
{
	struct sf_move_msg m, got;
	struct talk t;
	uint8_t why;

	talk_start(&t);
	events(&b);
	m = message(&t, SF_KIND_RSYN);
	m.len = SF_MOVE_PADDED;
	encode(&p, &m);
	assert_int_equal(host_in(&b, &p), DROPPED);
	assert_int_equal(events(&b), 1);
	assert_in_range(heard.len, SF_MOVE_LEN, SF_MOVE_PADDED - 1);
	assert_int_equal(sf_move_decode(heard.packet, heard.len, &got, &why), 0);
	assert_int_equal(got.len, SF_MOVE_PADDED);
	assert_int_equal(sf_move_decode(heard.packet, SF_MOVE_LEN - 1, &got, &why), -EBADMSG);
	assert_int_equal(host_drops(&b), 0);
}

static void unresolved_rsyn_is_heard(void **state)
{
	struct sf_addr place = sf_locator(&b.cfg.net, b.cfg.host, 0);
	struct sf_move_msg m;
	struct talk t;

	talk_start(&t);
	m = message(&t, SF_KIND_RSYN);
	m.dst = b.cfg.self;
	m.peer = sf_addr_sid(&b.cfg.self);
	encode(&p, &m);
	packet_resolve(&p, &place);
	assert_int_equal(host_in(&b, &p), DROPPED);
	assert_int_equal(events(&b), 1);
	assert_int_equal(host_drops(&b), 0);
	/* The socket is said in the TLV; what says none is of no flow. */
	m.you_sock ^= 0x100;
	encode(&p, &m);
	packet_resolve(&p, &place);
	assert_int_equal(host_in(&b, &p), REDIRECTED);
	assert_int_equal(events(&b), 0);
	/* Only RSYN goes unresolved. */
	m = message(&t, SF_KIND_RSYN_ACK);
	m.dst = place;
	encode(&p, &m);
	assert_int_equal(host_in(&b, &p), DROPPED);
	assert_int_equal(host_count(&b, SF_WRONG_STATE), 1);
	assert_int_equal(events(&b), 0);
}

static void rsyn_of_no_flow_is_refused(void **state)
{
	static struct packet sent;
	struct sf_tlv_reason *r;
	struct sf_move_msg m;
	struct parsed q;
	struct talk t;

	talk_start(&t);
	m = message(&t, SF_KIND_RSYN);
	m.dst = host_at(b.cfg.host, &t.server, 0);
	m.dst.b[11] ^= 0x40;
	encode(&sent, &m);
	p = sent;
	assert_int_equal(host_in(&b, &p), REDIRECTED);
	assert_int_equal(events(&b), 0);
	assert_int_equal(host_count(&b, SF_UNKNOWN_SOCKET), 1);
	packet_parse(&p, &q);
	assert_int_equal(sf_hdr_kind(q.hdr), SF_KIND_FAIL);
	assert_true(q.csum_ok);
	assert_memory_equal(&q.dst, &m.src, 16);
	assert_memory_equal(&q.src, &m.dst, 16);
	r = (void *)(q.hdr + 1);
	assert_int_equal(r->reason, SF_NO_SUCH_SOCKET);
	assert_int_equal(r->kind, SF_KIND_RSYN);
	/* Whole: who gets it knows what it had said. */
	assert_int_equal(q.payload_len, SF_MOVE_LEN);
	assert_memory_equal(q.payload, sent.b + ETH, SF_MOVE_LEN);
	/* Answers are not answered. */
	m.kind = SF_KIND_RSYN_ACK;
	encode(&p, &m);
	assert_int_equal(host_in(&b, &p), DROPPED);
	assert_int_equal(host_count(&b, SF_UNKNOWN_SOCKET), 2);
}

/* An RSYN of the opener that has our SYN-ACK: before the first move a name is a socketID. */
static struct sf_move_msg first_message(const struct talk *t, uint8_t kind)
{
	struct sf_move_msg m = message(t, kind);

	m.was = sf_locator_sock(&t->client);
	m.you = sf_locator_sock(&t->server);
	return m;
}

/* What leaves the half-open table does so by the word of who has got our SYN-ACK, for this SYN. */
static void rsyn_of_another_opening_binds_nothing(void **state)
{
	struct sf_move_msg m;
	struct talk t;

	talk_answer(&t, &p);
	/* Of the flow before, on the same ports: the opener was another incarnation then. */
	m = first_message(&t, SF_KIND_RSYN);
	m.was--;
	encode(&p, &m);
	assert_int_equal(host_in(&b, &p), DROPPED);
	/* And so were we. */
	m = first_message(&t, SF_KIND_RSYN);
	m.you++;
	encode(&p, &m);
	assert_int_equal(host_in(&b, &p), DROPPED);
	/* Somebody who has moved often, of whom we know nothing. */
	m = message(&t, SF_KIND_RSYN);
	encode(&p, &m);
	assert_int_equal(host_in(&b, &p), DROPPED);
	assert_int_equal(events(&b), 0);
	assert_int_equal(host_flows(&b, NULL), 0);
	assert_int_equal(host_count(&b, SF_WRONG_STATE), 3);
	/* Having moved twice without an answer does not matter. */
	m = first_message(&t, SF_KIND_RSYN);
	m.src = host_at(A2, &t.client, 2);
	m.epoch = 2;
	encode(&p, &m);
	assert_int_equal(host_in(&b, &p), DROPPED);
	assert_int_equal(events(&b), 1);
	assert_int_equal(host_flows(&b, NULL), 1);
}

/* The opener moves before its ACK has come: that it knows our socketID shows that it has bound. */
static void rsyn_of_half_open_binds(void **state)
{
	struct sf_move_msg m;
	struct segment g;
	struct sf_flow f;
	struct parsed q;
	struct talk t;

	talk_answer(&t, &p);
	/* Not by an answer. */
	m = first_message(&t, SF_KIND_RSYN_ACK);
	encode(&p, &m);
	assert_int_equal(host_in(&b, &p), DROPPED);
	assert_int_equal(events(&b), 0);
	assert_int_equal(host_flows(&b, NULL), 0);
	m = first_message(&t, SF_KIND_RSYN);
	encode(&p, &m);
	assert_int_equal(host_in(&b, &p), DROPPED);
	assert_int_equal(events(&b), 1);
	f = host_flow_of(&b, &t.server);
	assert_int_equal(f.state, SF_FLOW_BOUND);
	assert_memory_equal(&f.peer, &t.client, 16); /* the agent says when it is elsewhere */
	assert_false(host_flow(&b, sf_locator_sock(&t.server), true, &f));
	/* The kernel has not got the ACK: it asks again, at the place that holds. */
	g = talk_from_b(&t, SF_TCP_SYN | SF_TCP_ACK, 0);
	host_sends(&b, &p, &g);
	packet_parse(&p, &q);
	assert_memory_equal(&q.dst, &t.client, 16);
	assert_true(q.csum_ok);
}

#define TLV_AT (ETH + SF_IPV6_LEN + SF_HDR_LEN)

static void flipped_bit_is_counted(void **state)
{
	static struct packet good;
	struct sf_move_msg m;
	uint32_t n = 0;
	struct talk t;

	talk_start(&t);
	m = message(&t, SF_KIND_RSYN);
	encode(&good, &m);
	for (uint32_t bit = 0; bit < 72 * 8; bit += 7, n++) {
		p = good;
		p.b[TLV_AT + bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(host_in(&b, &p), DROPPED);
	}
	/* Nor is it another's: the addresses are covered. */
	for (uint32_t byte = 8; byte < 24; byte++, n++) {
		p = good;
		p.b[ETH + byte] ^= 1;
		assert_int_equal(host_in(&b, &p), DROPPED);
	}
	assert_int_equal(host_count(&b, SF_BAD_CHECKSUM), n);
	assert_int_equal(events(&b), 0);
}

static void malformed_is_counted(void **state)
{
	struct sf_tlv_move tlv = { .type = SF_TLV_SOCKS, .len = sizeof(tlv) - 2 };
	uint8_t much[SF_QUOTE_MAX + 64] = { 0 };
	struct sf_move_msg m;
	struct talk t;

	talk_start(&t);
	m = message(&t, SF_KIND_RSYN);
	encode(&p, &m);
	p.len -= 8; /* than it says */
	assert_int_equal(host_in(&b, &p), DROPPED);
	assert_int_equal(host_count(&b, SF_TRUNCATED), 1);
	packet_alone(&p, &m.src, &m.dst, SF_KIND_REDIRECT, &service_sid, &user_sid, NULL, 0, much,
		     sizeof(much));
	assert_int_equal(host_in(&b, &p), DROPPED);
	/* Without the TLV, with another, with one of another length, with more than it. */
	packet_alone(&p, &m.src, &m.dst, SF_KIND_RSYN, &service_sid, &user_sid, NULL, 0, NULL, 0);
	assert_int_equal(host_in(&b, &p), DROPPED);
	packet_alone(&p, &m.src, &m.dst, SF_KIND_RACK, &service_sid, &user_sid, &tlv, sizeof(tlv),
		     NULL, 0);
	assert_int_equal(host_in(&b, &p), DROPPED);
	tlv.type = SF_TLV_MOVE;
	tlv.len -= 8;
	packet_alone(&p, &m.src, &m.dst, SF_KIND_RSYN, &service_sid, &user_sid, &tlv, sizeof(tlv),
		     NULL, 0);
	assert_int_equal(host_in(&b, &p), DROPPED);
	tlv.len += 8;
	packet_alone(&p, &m.src, &m.dst, SF_KIND_RSYN_ACK, &service_sid, &user_sid, &tlv,
		     sizeof(tlv), much, 8);
	assert_int_equal(host_in(&b, &p), DROPPED);
	assert_int_equal(host_count(&b, SF_BAD_HEADER), 5);
	assert_int_equal(events(&b), 0);
}

/* What comes back of a message of ours: from its peer, from a router, from who knows better. */
static void refusals_are_heard(void **state)
{
	struct sf_addr router = sf_locator(&a.cfg.net, 0x30000, 1);
	static struct packet ours;
	struct sf_move_msg m, quoted;
	struct talk t;
	uint8_t why;

	talk_start(&t);
	m = message(&t, SF_KIND_RSYN);
	m.src = t.client;
	encode(&ours, &m);
	packet_fail(&p, &t.server, &service_sid, SF_SUPERSEDED, &ours);
	assert_int_equal(host_in(&a, &p), DROPPED);
	assert_int_equal(events(&a), 1);
	assert_int_equal(sf_hdr_kind((void *)(heard.packet + SF_IPV6_LEN)), SF_KIND_FAIL);
	assert_int_equal(heard.len, SF_IPV6_LEN + SF_FAIL_LEN + SF_MOVE_LEN);
	assert_int_equal(sf_move_decode(heard.packet + SF_IPV6_LEN + SF_FAIL_LEN, SF_MOVE_LEN,
					&quoted, &why),
			 0);
	assert_int_equal(quoted.name, m.name);

	packet_icmp6_error(&p, &router, &t.client, 1, 3, 0, &ours);
	assert_int_equal(host_in(&a, &p), DROPPED);
	assert_int_equal(events(&a), 1);
	assert_int_equal(heard.packet[6], IPPROTO_ICMPV6);
	assert_memory_equal(heard.packet + SF_IPV6_LEN + 8, ours.b + ETH, SF_MOVE_LEN);

	packet_alone(&p, &router, &t.client, SF_KIND_REDIRECT, &user_sid, &service_sid, NULL, 0,
		     ours.b + ETH, SF_MOVE_LEN);
	assert_int_equal(host_in(&a, &p), DROPPED);
	assert_int_equal(events(&a), 1);
	assert_int_equal(host_drops(&a), 0);
}

/* What quotes another's message, or is about no flow of ours. */
static void others_refusals_are_not_heard(void **state)
{
	struct sf_addr router = sf_locator(&a.cfg.net, 0x30000, 1);
	static struct packet quote;
	struct sf_move_msg m;
	struct talk t;

	talk_start(&t);
	m = message(&t, SF_KIND_RSYN);
	encode(&quote, &m);
	packet_icmp6_error(&p, &router, &t.client, 1, 3, 0, &quote);
	assert_int_equal(host_in(&a, &p), DROPPED);
	assert_int_equal(host_count(&a, SF_WRONG_ACK), 1);
	m.src = t.client;
	m.src.b[12] ^= 1;
	encode(&quote, &m);
	packet_fail(&p, &t.server, &service_sid, SF_SUPERSEDED, &quote);
	assert_int_equal(host_in(&a, &p), DROPPED);
	packet_icmp6_error(&p, &router, &m.src, 1, 3, 0, &quote);
	assert_int_equal(host_in(&a, &p), DROPPED);
	assert_int_equal(host_count(&a, SF_UNKNOWN_SOCKET), 2);
	assert_int_equal(events(&a), 0);
}

/* With a dead agent the ring fills, and nothing else is hindered. */
static void full_ring_is_counted(void **state)
{
	static struct packet sent;
	struct sf_move_msg m;
	struct segment s;
	struct talk t;
	uint32_t n = 0;

	talk_start(&t);
	m = message(&t, SF_KIND_RSYN);
	encode(&sent, &m);
	events(&b);
	while (!host_count(&b, SF_CONTROL_LOST) && n++ < 20000) {
		p = sent;
		assert_int_equal(host_in(&b, &p), DROPPED);
	}
	/* 160 bytes and the kernel's 8 each. */
	assert_in_range(n, 1048576 / 168, 1048576 / 168 + 1);
	s = talk_from_a(&t, SF_TCP_ACK, 100);
	host_sends(&a, &p, &s);
	assert_int_equal(host_in(&b, &p), VERDICT_UP);
	assert_int_equal(events(&b), (int)n - 1);
}

static void flood_is_limited(void **state)
{
	int budgets = bpf_map__fd(b.skel->maps.budgets);
	uint32_t which = 5; /* BUDGET_CONTROL */
	struct sf_move_msg m;
	uint64_t spent[2];
	struct talk t;

	talk_start(&t);
	m = message(&t, SF_KIND_RSYN);
	encode(&p, &m);
	assert_int_equal(host_in(&b, &p), DROPPED);
	assert_int_equal(events(&b), 1);
	/* As many as there may be, in this second. */
	for (int i = 0; i < 2 && !host_count(&b, SF_RATE_LIMITED); i++) {
		assert_int_equal(bpf_map_lookup_elem(budgets, &which, spent), 0);
		spent[1] = 65536;
		assert_int_equal(bpf_map_update_elem(budgets, &which, spent, BPF_ANY), 0);
		encode(&p, &m);
		assert_int_equal(host_in(&b, &p), DROPPED);
	}
	assert_int_equal(host_count(&b, SF_RATE_LIMITED), 1);
	sleep(1);
	events(&b);
	encode(&p, &m);
	assert_int_equal(host_in(&b, &p), DROPPED);
	assert_int_equal(events(&b), 1);
}

/* The agent's own messages leave from each of the host's places, and from no other. */
static void agent_speaks_from_each_place(void **state)
{
	struct sf_move_msg m;
	struct talk t;

	talk_start(&t);
	m = message(&t, SF_KIND_RSYN);
	m.dst = b.cfg.self;
	encode(&p, &m);
	assert_int_equal(host_out(&a, &p), DROPPED);
	assert_int_equal(host_count(&a, SF_BAD_PROTOCOL), 1);
	host_place_add(&a, A2, 7);
	encode(&p, &m);
	assert_int_equal(host_out(&a, &p), VERDICT_UP);
	m.src = t.client;
	encode(&p, &m);
	assert_int_equal(host_out(&a, &p), VERDICT_UP);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, host_clear)
	const struct CMUnitTest tests[] = {
		T(agent_hears),
		T(padded_rsyn_is_heard),
		T(unresolved_rsyn_is_heard),
		T(rsyn_of_no_flow_is_refused),
		T(rsyn_of_another_opening_binds_nothing),
		T(rsyn_of_half_open_binds),
		T(flipped_bit_is_counted),
		T(malformed_is_counted),
		T(refusals_are_heard),
		T(others_refusals_are_not_heard),
		T(full_ring_is_counted),
		T(flood_is_limited),
		T(agent_speaks_from_each_place),
	};
	int skip = host_privileged();

	return skip ? skip : cmocka_run_group_tests(tests, host_group_setup, host_group_teardown);
}
