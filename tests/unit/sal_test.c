// SPDX-License-Identifier: Apache-2.0
/* core/sal: every state against every kind of segment, and the life of a flow entry. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/sal.h"

#define ISN 1000
#define NOW 77000000000ull

static struct sf_net net;
static struct sf_addr peer, stranger;

static int setup(void **state)
{
	net = sf_net_default(1);
	peer = sf_locator(&net, 0x10002, 0x123456789abc);
	stranger = sf_locator(&net, 0x10003, 0x12345678abbc);
	return 0;
}

static struct sf_flow flow_in(uint8_t flow_state)
{
	struct sf_flow f;

	memset(&f, 0, sizeof(f));
	f.tuple.lport = sf_be16(40000);
	f.tuple.pport = sf_be16(80);
	f.tuple.proto = SF_NEXTHDR_TCP;
	f.state = flow_state;
	f.isn = ISN;
	f.syn_end = ISN + 1;
	f.peer = peer;
	if (flow_state == SF_FLOW_HALF_OPEN)
		f.flags = SF_FLOW_INBOUND;
	return f;
}

/* Follow a segment of 8 bytes, or none without FIN. */
static void track(struct sf_flow *f, uint8_t flags, uint32_t seq, uint32_t ack, bool out)
{
	struct sf_segment s = {
		.seq = seq, .ack = ack, .len = flags & SF_TCP_FIN ? 8 : 0, .flags = flags
	};

	sf_flow_track(f, &s, out);
}

static uint8_t out(const struct sf_flow *f, uint8_t flags, uint32_t seq, bool empty)
{
	struct sf_segment s = { .sport = f->tuple.lport,
				.dport = f->tuple.pport,
				.seq = seq,
				.len = empty ? 0 : 8,
				.flags = flags };

	return sf_sal_out(f, &s).act;
}

static struct sf_verdict in(const struct sf_flow *f, uint8_t kind, const struct sf_addr *src,
			    uint8_t flags, uint32_t ack)
{
	struct sf_segment s = { f->tuple.pport, f->tuple.lport, 7, ack, 0, flags };

	return sf_sal_in(f, kind, src, &s, NOW);
}

static void outbound_by_state(void **state)
{
	static const struct {
		uint8_t state, syn, syn_ack, ack, data, rst;
	} want[] = {
		{ SF_FLOW_FREE, SF_ACT_OPEN, SF_ACT_DROP, SF_ACT_DROP, SF_ACT_DROP, SF_ACT_DROP },
		{ SF_FLOW_CONNECTING, SF_ACT_SYN, SF_ACT_DROP, SF_ACT_DROP, SF_ACT_DROP,
		  SF_ACT_DROP },
		{ SF_FLOW_OPENING, SF_ACT_SYN, SF_ACT_ACK, SF_ACT_ACK, SF_ACT_PLAIN, SF_ACT_PLAIN },
		{ SF_FLOW_HALF_OPEN, SF_ACT_OPEN, SF_ACT_SYN_ACK, SF_ACT_PLAIN, SF_ACT_PLAIN,
		  SF_ACT_DROP },
		{ SF_FLOW_BOUND, SF_ACT_OPEN, SF_ACT_PLAIN, SF_ACT_PLAIN, SF_ACT_PLAIN,
		  SF_ACT_PLAIN },
		{ SF_FLOW_CLOSING, SF_ACT_OPEN, SF_ACT_PLAIN, SF_ACT_PLAIN, SF_ACT_PLAIN,
		  SF_ACT_PLAIN },
	};

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		struct sf_flow f = flow_in(want[i].state);

		assert_int_equal(out(&f, SF_TCP_SYN, ISN, true), want[i].syn);
		assert_int_equal(out(&f, SF_TCP_SYN, ISN + 1, true), SF_ACT_OPEN);
		assert_int_equal(out(&f, SF_TCP_SYN | SF_TCP_ACK, 5, true), want[i].syn_ack);
		assert_int_equal(out(&f, SF_TCP_ACK, 5, true), want[i].ack);
		assert_int_equal(out(&f, SF_TCP_ACK, 5, false), want[i].data);
		assert_int_equal(out(&f, SF_TCP_RST | SF_TCP_ACK, 5, true), want[i].rst);
	}
}

static void inbound_by_state(void **state)
{
	static const struct {
		uint8_t state, data, rst, syn_ack, wrong_peer;
	} want[] = {
		{ SF_FLOW_FREE, SF_ACT_DROP, SF_ACT_DROP, SF_ACT_DELIVER, SF_ACT_FAIL },
		{ SF_FLOW_CONNECTING, SF_ACT_DROP, SF_ACT_DROP, SF_ACT_BIND, SF_ACT_FAIL },
		{ SF_FLOW_OPENING, SF_ACT_CONFIRM, SF_ACT_CONFIRM, SF_ACT_DELIVER, SF_ACT_FAIL },
		{ SF_FLOW_HALF_OPEN, SF_ACT_PROMOTE, SF_ACT_DELIVER, SF_ACT_DROP, SF_ACT_FAIL },
		{ SF_FLOW_BOUND, SF_ACT_DELIVER, SF_ACT_DELIVER, SF_ACT_DELIVER, SF_ACT_FAIL },
		{ SF_FLOW_CLOSING, SF_ACT_DELIVER, SF_ACT_DELIVER, SF_ACT_DELIVER, SF_ACT_FAIL },
	};

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		struct sf_flow f = flow_in(want[i].state);
		uint8_t both[] = { SF_KIND_NONE, SF_KIND_ACK };

		for (size_t k = 0; k < 2; k++) {
			/* What a connecting flow gets without header is an older flow's. */
			bool older = want[i].state == SF_FLOW_CONNECTING && both[k] == SF_KIND_NONE;

			assert_int_equal(in(&f, both[k], &peer, SF_TCP_ACK, 1).act,
					 older ? SF_ACT_FAIL : want[i].data);
			assert_int_equal(in(&f, both[k], &peer, SF_TCP_RST, 1).act, want[i].rst);
		}
		assert_int_equal(
			in(&f, SF_KIND_SYN_ACK, &peer, SF_TCP_SYN | SF_TCP_ACK, ISN + 1).act,
			want[i].syn_ack);
		assert_int_equal(in(&f, SF_KIND_NONE, &stranger, SF_TCP_ACK, 1).act,
				 want[i].wrong_peer);
		assert_int_equal(in(&f, SF_KIND_ACK, &stranger, SF_TCP_ACK, 1).act, SF_ACT_DROP);
		assert_int_equal(in(&f, SF_KIND_NONE, &stranger, SF_TCP_RST, 1).act, SF_ACT_DROP);
	}
}

static void syn_ack_binds_once_and_for_its_syn(void **state)
{
	struct sf_flow f = flow_in(SF_FLOW_CONNECTING);
	struct sf_verdict v;

	assert_int_equal(in(&f, SF_KIND_SYN_ACK, &stranger, SF_TCP_SYN | SF_TCP_ACK, ISN + 1).act,
			 SF_ACT_BIND);
	v = in(&f, SF_KIND_SYN_ACK, &peer, SF_TCP_SYN | SF_TCP_ACK, ISN + 2);
	assert_int_equal(v.reason, SF_WRONG_ACK);
	v = in(&f, SF_KIND_SYN_ACK, &peer, SF_TCP_ACK, ISN + 1);
	assert_int_equal(v.reason, SF_WRONG_ACK);
	v = in(&f, SF_KIND_SYN_ACK, &peer, SF_TCP_SYN | SF_TCP_ACK | SF_TCP_RST, ISN + 1);
	assert_int_equal(v.reason, SF_WRONG_ACK);
	f.state = SF_FLOW_OPENING;
	v = in(&f, SF_KIND_SYN_ACK, &stranger, SF_TCP_SYN | SF_TCP_ACK, ISN + 1);
	assert_int_equal(v.act, SF_ACT_FAIL);
	assert_int_equal(v.fail, SF_OTHER_INSTANCE);
}

/* The peer moves: what comes from where it was, or from where it has not said to be. */
static void peer_is_told_by_its_key(void **state)
{
	struct sf_addr there = sf_locator(&net, 0x10003, 0x123456789abd), former = peer;
	struct sf_flow f = flow_in(SF_FLOW_BOUND);
	struct sf_verdict v;

	/* Data overtook the RSYN: no FAIL. */
	v = in(&f, SF_KIND_NONE, &there, SF_TCP_ACK, 1);
	assert_int_equal(v.act, SF_ACT_DROP);
	assert_int_equal(v.reason, SF_WRONG_PEER);
	v = in(&f, SF_KIND_SYN_ACK, &there, SF_TCP_SYN | SF_TCP_ACK, ISN + 1);
	assert_int_equal(v.act, SF_ACT_DROP);
	/* It was told of; the former place is taken for a while. */
	f.before = former;
	f.peer = there;
	f.flags = SF_FLOW_MOVED;
	f.moved = sf_used_of(NOW);
	assert_int_equal(in(&f, SF_KIND_NONE, &there, SF_TCP_ACK, 1).act, SF_ACT_DELIVER);
	assert_int_equal(in(&f, SF_KIND_NONE, &former, SF_TCP_ACK, 1).act, SF_ACT_DELIVER);
	assert_int_equal(in(&f, SF_KIND_NONE, &stranger, SF_TCP_ACK, 1).act, SF_ACT_FAIL);
	f.moved = sf_used_of(NOW - SF_GRACE_NS - (2ull << SF_USED_SHIFT));
	v = in(&f, SF_KIND_NONE, &former, SF_TCP_ACK, 1);
	assert_int_equal(v.act, SF_ACT_DROP);
	assert_int_equal(v.reason, SF_WRONG_PEER);
	f.flags |= SF_FLOW_OPEN;
	assert_int_equal(in(&f, SF_KIND_NONE, &former, SF_TCP_ACK, 1).act, SF_ACT_DELIVER);
	/* A budget is for the slow path. */
	assert_true(sf_flow_is_plain(&f, SF_TCP_ACK));
	f.flags |= SF_FLOW_BUDGET;
	assert_false(sf_flow_is_plain(&f, SF_TCP_ACK));
	f.flags &= ~SF_FLOW_BUDGET;
	f.end_out = SF_END_FIN;
	assert_false(sf_flow_is_plain(&f, SF_TCP_ACK));
	f.end_out = 0;
	f.end_in = SF_END_FIN;
	assert_false(sf_flow_is_plain(&f, SF_TCP_ACK));
	f.end_in = 0;
	/* So is who was said not to be there. */
	f.fail = SF_HOST_UNREACHABLE;
	assert_true(sf_flow_is_plain(&f, SF_TCP_ACK));
	assert_false(sf_flow_is_plain_in(&f, SF_TCP_ACK));
}

static void ports_must_be_the_flows(void **state)
{
	struct sf_flow f = flow_in(SF_FLOW_BOUND);
	struct sf_segment s = { f.tuple.pport, sf_be16(22), 1, 1, SF_TCP_ACK, true };

	assert_int_equal(sf_sal_in(&f, SF_KIND_NONE, &peer, &s, NOW).act, SF_ACT_DROP);
	s.dport = f.tuple.lport;
	assert_int_equal(sf_sal_in(&f, SF_KIND_NONE, &peer, &s, NOW).act, SF_ACT_DELIVER);
	s.sport = sf_be16(81);
	assert_int_equal(sf_sal_in(&f, SF_KIND_NONE, &peer, &s, NOW).act, SF_ACT_DROP);
}

static void refusals(void **state)
{
	static const uint8_t tried[] = { SF_NO_SUCH_SOCKET, SF_REFUSED, SF_SHED,
					 SF_HOST_UNREACHABLE, SF_TOO_MANY_ATTEMPTS };
	struct sf_flow f = flow_in(SF_FLOW_CONNECTING);

	for (size_t i = 0; i < sizeof(tried); i++) {
		for (f.attempt = 0; f.attempt < SF_ATTEMPT_MAX; f.attempt++) {
			assert_int_equal(sf_sal_refused(&f, f.attempt, tried[i], true).act,
					 SF_ACT_RETRY);
			assert_int_equal(sf_sal_refused(&f, f.attempt, tried[i], false).act,
					 SF_ACT_DROP);
			assert_int_equal(sf_sal_refused(&f, f.attempt + 1, tried[i], true).reason,
					 SF_DUPLICATE);
		}
		assert_int_equal(sf_sal_refused(&f, f.attempt, tried[i], true).act, SF_ACT_REFUSE);
	}
	f.attempt = 0;
	assert_int_equal(sf_sal_refused(&f, 0, SF_NO_SUCH_SERVICE, true).act, SF_ACT_REFUSE);
	assert_int_equal(sf_sal_refused(&f, 0, SF_SUPERSEDED, true).act, SF_ACT_DROP);
	assert_int_equal(sf_sal_refused(&f, 0, 0, true).act, SF_ACT_DROP);
	f.state = SF_FLOW_BOUND;
	assert_int_equal(sf_sal_refused(&f, 0, SF_NO_SUCH_SERVICE, true).act, SF_ACT_DROP);
}

/* What is written for the way out, taken back on the way in, is as it was. */
static void deltas_are_inverse(const struct sf_flow *f)
{
	uint16_t field = 0x1234;

	assert_int_equal(
		sf_csum_apply(sf_csum_apply(field, f->csum_out), sf_csum_undo(f->csum_out)), field);
	assert_int_equal(f->csum_out,
			 sf_csum_delta(&f->tuple.local, &f->tuple.peer, &f->own, &f->peer));
}

static void life_of_an_opener(void **state)
{
	const struct sf_segment syn = { .seq = ISN, .len = 5, .flags = SF_TCP_SYN };
	struct sf_sid web = sf_sid_make(1, 42), me = sf_sid_make(SF_SSID_HOSTS, 7),
		      host = sf_sid_make(SF_SSID_HOSTS, 8);
	struct sf_tuple t = { .local = sf_service_addr(&net, &me),
			      .peer = sf_service_addr(&net, &web),
			      .lport = sf_be16(40000),
			      .pport = sf_be16(80),
			      .proto = 6 };
	struct sf_addr own = sf_locator(&net, 0x10001, 0xaabbccddeeff);
	struct sf_flow f;

	memset(&f, 0, sizeof(f));
	sf_flow_open(&f, &net, &t, &own, &syn, 5);
	assert_int_equal(f.state, SF_FLOW_CONNECTING);
	assert_memory_equal(&f.peer_sid, &web, 12);
	assert_memory_equal(&f.peer, &t.peer, 16);
	deltas_are_inverse(&f);
	sf_flow_bind(&f, &peer, &host, 6);
	assert_int_equal(f.state, SF_FLOW_OPENING);
	assert_memory_equal(&f.peer, &peer, 16);
	assert_memory_equal(&f.peer_host, &host, 12);
	assert_int_equal(f.epoch, 1);
	deltas_are_inverse(&f);
	sf_flow_unbind(&f);
	assert_int_equal(f.state, SF_FLOW_CONNECTING);
	assert_int_equal(f.epoch, 0);
	deltas_are_inverse(&f);
	sf_flow_bind(&f, &peer, &host, 6);
	f.state = SF_FLOW_BOUND;
	track(&f, SF_TCP_FIN | SF_TCP_ACK, 100, 200, true);
	track(&f, SF_TCP_FIN | SF_TCP_ACK, 100, 200, true);
	assert_int_equal(f.state, SF_FLOW_BOUND);
	track(&f, SF_TCP_FIN | SF_TCP_ACK, 200, 101, false);
	assert_int_equal(f.state, SF_FLOW_CLOSING);
	assert_true(sf_flow_yields(&f, &peer));
	assert_false(sf_flow_yields(&f, &stranger));
	track(&f, SF_TCP_RST, 0, 0, false);
	assert_true(sf_flow_yields(&f, &stranger));
	/* An opener without a name is anonymous. */
	memset(&f, 0, sizeof(f));
	t.local = own;
	sf_flow_open(&f, &net, &t, &own, &syn, 5);
	f.peer_sid = sf_addr_sid_or_none(&net, &f.tuple.local);
	assert_true(sf_sid_is_zero(&f.peer_sid));
}

/* RFC 7413: a SYN with data may be acknowledged with it or without, and no further. */
static void syn_ack_for_a_syn_with_data(void **state)
{
	struct sf_flow f = flow_in(SF_FLOW_CONNECTING);

	f.isn = 0xfffffffc;
	f.syn_end = f.isn + 1 + 100;
	for (uint32_t more = 0; more < 200; more++)
		assert_int_equal(
			in(&f, SF_KIND_SYN_ACK, &peer, SF_TCP_SYN | SF_TCP_ACK, f.isn + 1 + more)
				.act,
			more <= 100 ? SF_ACT_BIND : SF_ACT_DROP);
	assert_int_equal(in(&f, SF_KIND_SYN_ACK, &peer, SF_TCP_SYN | SF_TCP_ACK, f.isn).act,
			 SF_ACT_DROP);
}

/* A flow is over when each end acknowledged the other's FIN, and what lay before it. */
static void a_flow_is_over_when_both_fins_are_acknowledged(void **state)
{
	const uint8_t ack = SF_TCP_ACK, fin = SF_TCP_FIN | SF_TCP_ACK;
	struct sf_flow f = { .state = SF_FLOW_BOUND };

	track(&f, fin, 1000, 500, true); /* + 8 bytes */
	track(&f, ack, 500, 1000, false);
	track(&f, fin, 500, 1009, false);
	assert_int_equal(f.state, SF_FLOW_CLOSING);
	assert_false(sf_flow_is_over(&f)); /* something before the peer's FIN may be missing */
	track(&f, ack, 1009, 508, true);
	assert_false(sf_flow_is_over(&f));
	track(&f, ack, 1009, 509, true);
	assert_true(sf_flow_is_over(&f));
	assert_true(sf_flow_waits(&f)); /* ours went first */
	/* The other order, and over the end of the number space. */
	memset(&f, 0, sizeof(f));
	f.state = SF_FLOW_BOUND;
	track(&f, fin, 0xfffffffc, 7, false);
	track(&f, ack, 7, 5, true);
	assert_false(sf_flow_is_over(&f));
	track(&f, fin, 7, 5, true);
	track(&f, ack, 5, 15, false);
	assert_false(sf_flow_is_over(&f));
	track(&f, ack, 5, 16, false);
	assert_true(sf_flow_is_over(&f));
	assert_false(sf_flow_waits(&f));
	/* A reset closes, but whether it was taken only the kernel knows. */
	memset(&f, 0, sizeof(f));
	f.state = SF_FLOW_BOUND;
	track(&f, SF_TCP_RST, 0, 0, false);
	assert_int_equal(f.state, SF_FLOW_CLOSING);
	assert_false(sf_flow_is_over(&f));
}

static void life_of_an_acceptor(void **state)
{
	struct sf_sid web = sf_sid_make(1, 42), me = sf_sid_make(SF_SSID_HOSTS, 7), none = { 0 };
	struct sf_tuple t = { .local = sf_service_addr(&net, &web),
			      .peer = sf_sid_shown(&net, &me, &peer) };
	struct sf_addr own = sf_locator(&net, 0x10001, 0xaabbccddeeff);
	struct sf_flow f;

	memset(&f, 0, sizeof(f));
	sf_flow_accept(&f, &t, &own, &peer, &me, ISN, 5);
	assert_int_equal(f.state, SF_FLOW_HALF_OPEN);
	assert_int_equal(f.flags, SF_FLOW_INBOUND);
	deltas_are_inverse(&f);
	/* A flag is remembered, but what is half open is not closing: it is evicted. */
	track(&f, SF_TCP_RST, 0, 0, false);
	assert_int_equal(f.state, SF_FLOW_HALF_OPEN);
	memset(&f, 0, sizeof(f));
	t.peer = sf_sid_shown(&net, &none, &peer);
	assert_memory_equal(&t.peer, &peer, 16);
	sf_flow_accept(&f, &t, &own, &peer, &none, ISN, 5);
	assert_int_equal(f.flags, SF_FLOW_INBOUND);
	deltas_are_inverse(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(outbound_by_state),
		cmocka_unit_test(syn_ack_for_a_syn_with_data),
		cmocka_unit_test(a_flow_is_over_when_both_fins_are_acknowledged),
		cmocka_unit_test(inbound_by_state),
		cmocka_unit_test(syn_ack_binds_once_and_for_its_syn),
		cmocka_unit_test(peer_is_told_by_its_key),
		cmocka_unit_test(ports_must_be_the_flows),
		cmocka_unit_test(refusals),
		cmocka_unit_test(life_of_an_opener),
		cmocka_unit_test(life_of_an_acceptor),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
