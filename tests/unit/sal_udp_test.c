// SPDX-License-Identifier: Apache-2.0
/* core/sal_udp: datagrams of flows in every state, attempts, refusals, idleness. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/sal_udp.h"

#define SECOND 1000000000ull
#define NOW    (1000 * SECOND)

static struct sf_net net;
static struct sf_addr peer, moved, stranger;

static int setup(void **state)
{
	net = sf_net_default(1);
	peer = sf_locator(&net, 0x10002, 0x123456789abc);
	moved = sf_locator(&net, 0x20002, 0x123456789abd);
	stranger = sf_locator(&net, 0x10003, 0xaaaaaaaaaaaa);
	return 0;
}

static struct sf_flow flow_in(uint8_t flow_state, uint8_t flags)
{
	struct sf_flow f;

	memset(&f, 0, sizeof(f));
	f.tuple.lport = sf_be16(5000);
	f.tuple.pport = sf_be16(53);
	f.tuple.proto = SF_NEXTHDR_UDP;
	f.state = flow_state;
	f.flags = flags;
	f.peer = peer;
	f.created = f.used = f.tried = f.sent = sf_used_of(NOW);
	return f;
}

static struct sf_verdict in(const struct sf_flow *f, uint8_t kind, const struct sf_addr *src)
{
	return sf_sal_in_udp(f, kind, src, f->tuple.pport, f->tuple.lport, NOW);
}

static void outbound_by_state(void **state)
{
	static const struct {
		uint8_t state, flags, connected, unconnected;
	} want[] = {
		{ SF_FLOW_CONNECTING, 0, SF_ACT_SYN, SF_ACT_SYN },
		{ SF_FLOW_OPENING, 0, SF_ACT_PLAIN, SF_ACT_PLAIN },
		{ SF_FLOW_BOUND, 0, SF_ACT_PLAIN, SF_ACT_PLAIN },
		{ SF_FLOW_CLOSING, 0, SF_ACT_OPEN, SF_ACT_UNBOUND },
		{ SF_FLOW_HALF_OPEN, SF_FLOW_INBOUND, SF_ACT_PLAIN, SF_ACT_PLAIN },
		{ SF_FLOW_BOUND, SF_FLOW_INBOUND, SF_ACT_PLAIN, SF_ACT_PLAIN },
		{ SF_FLOW_CLOSING, SF_FLOW_INBOUND, SF_ACT_PLAIN, SF_ACT_PLAIN },
		{ SF_FLOW_EXPORTED, 0, SF_ACT_DROP, SF_ACT_DROP },
		{ SF_FLOW_FREE, 0, SF_ACT_DROP, SF_ACT_DROP },
	};

	assert_int_equal(sf_sal_out_udp(NULL, true).act, SF_ACT_OPEN);
	assert_int_equal(sf_sal_out_udp(NULL, false).act, SF_ACT_UNBOUND);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		struct sf_flow f = flow_in(want[i].state, want[i].flags);

		assert_int_equal(sf_sal_out_udp(&f, true).act, want[i].connected);
		assert_int_equal(sf_sal_out_udp(&f, false).act, want[i].unconnected);
		assert_int_equal(sf_udp_is_plain(&f), want[i].state == SF_FLOW_BOUND);
		f.tuple.proto = SF_NEXTHDR_TCP;
		assert_false(sf_udp_is_plain(&f));
	}
}

static void inbound_by_state(void **state)
{
	static const struct {
		uint8_t state, flags, bare, syn_ack, strange_bare, strange_syn_ack;
	} want[] = {
		{ SF_FLOW_CONNECTING, 0, SF_ACT_DROP, SF_ACT_BIND, SF_ACT_DROP, SF_ACT_BIND },
		{ SF_FLOW_BOUND, 0, SF_ACT_DELIVER, SF_ACT_DROP, SF_ACT_FAIL, SF_ACT_FAIL },
		{ SF_FLOW_CLOSING, 0, SF_ACT_DELIVER, SF_ACT_DROP, SF_ACT_FAIL, SF_ACT_DROP },
		{ SF_FLOW_EXPORTED, 0, SF_ACT_DROP, SF_ACT_DROP, SF_ACT_DROP, SF_ACT_DROP },
		{ SF_FLOW_HALF_OPEN, SF_FLOW_INBOUND, SF_ACT_PROMOTE, SF_ACT_DROP, SF_ACT_FAIL,
		  SF_ACT_DROP },
		{ SF_FLOW_BOUND, SF_FLOW_INBOUND, SF_ACT_DELIVER, SF_ACT_DROP, SF_ACT_FAIL,
		  SF_ACT_DROP },
		{ SF_FLOW_CLOSING, SF_FLOW_INBOUND, SF_ACT_CONFIRM, SF_ACT_DROP, SF_ACT_FAIL,
		  SF_ACT_DROP },
		{ SF_FLOW_CLOSING, SF_FLOW_INBOUND | SF_FLOW_RST, SF_ACT_FAIL, SF_ACT_DROP,
		  SF_ACT_FAIL, SF_ACT_DROP },
	};

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		struct sf_flow f = flow_in(want[i].state, want[i].flags);

		assert_int_equal(in(&f, SF_KIND_NONE, &peer).act, want[i].bare);
		assert_int_equal(in(&f, SF_KIND_SYN_ACK, &peer).act, want[i].syn_ack);
		assert_int_equal(in(&f, SF_KIND_NONE, &stranger).act, want[i].strange_bare);
		assert_int_equal(in(&f, SF_KIND_SYN_ACK, &stranger).act, want[i].strange_syn_ack);
		assert_int_equal(in(&f, SF_KIND_ACK, &peer).act, SF_ACT_DROP);
	}
}

static void what_the_flow_is_not_is_dropped(void **state)
{
	struct sf_flow f = flow_in(SF_FLOW_BOUND, 0);

	assert_int_equal(
		sf_sal_in_udp(&f, SF_KIND_NONE, &peer, f.tuple.pport, sf_be16(1), NOW).reason,
		SF_WRONG_STATE);
	assert_int_equal(
		sf_sal_in_udp(&f, SF_KIND_NONE, &peer, sf_be16(1), f.tuple.lport, NOW).reason,
		SF_WRONG_STATE);
	f.tuple.proto = SF_NEXTHDR_TCP;
	assert_int_equal(in(&f, SF_KIND_NONE, &peer).reason, SF_WRONG_STATE);
}

/* Data that overtakes the message of its sender's move is lost, but ends nothing. */
static void peer_at_another_place(void **state)
{
	struct sf_flow f = flow_in(SF_FLOW_BOUND, 0);

	assert_int_equal(in(&f, SF_KIND_NONE, &moved).act, SF_ACT_DROP);
	assert_int_equal(in(&f, SF_KIND_NONE, &moved).reason, SF_WRONG_PEER);
	/* In grace, from where it was. */
	f.peer = moved;
	f.before = peer;
	f.flags |= SF_FLOW_MOVED;
	f.moved = sf_used_of(NOW);
	assert_int_equal(in(&f, SF_KIND_NONE, &peer).act, SF_ACT_DELIVER);
}

static void meetings(void **state)
{
	struct sf_flow f = flow_in(SF_FLOW_BOUND, SF_FLOW_INBOUND);
	struct sf_addr again = sf_locator(&net, 0x10002, 0x123456789abd);

	assert_int_equal(sf_sal_meets_udp(&f, &peer), SF_MEET_SAME);
	assert_int_equal(sf_sal_meets_udp(&f, &again), SF_MEET_OLDER);
	assert_int_equal(sf_sal_meets_udp(&f, &stranger), SF_MEET_OTHER);
	f.flags = 0; /* one that we opened */
	assert_int_equal(sf_sal_meets_udp(&f, &peer), SF_MEET_OTHER);
}

static void silence_makes_the_next_attempt(void **state)
{
	struct sf_flow f = flow_in(SF_FLOW_CONNECTING, 0);

	assert_int_equal(sf_udp_attempt(&f, NOW), 0);
	assert_int_equal(sf_udp_attempt(&f, NOW + SECOND / 2), 0);
	assert_int_equal(sf_udp_attempt(&f, NOW + SECOND * 11 / 10), 1);
	assert_int_equal(sf_udp_attempt(&f, NOW + SECOND * 12 / 10), 1);
	assert_int_equal(sf_udp_attempt(&f, NOW + SECOND * 23 / 10), 2);
}

static void refusals(void **state)
{
	struct sf_flow f = flow_in(SF_FLOW_CONNECTING, 0);
	struct sf_verdict v;

	/* Not yet sent. */
	v = sf_sal_refused_udp(&f, 1, SF_NO_SUCH_SOCKET, true, NOW);
	assert_int_equal(v.reason, SF_WRONG_ACK);
	/* The first refusal makes the next attempt, those of the same one follow it. */
	for (int i = 0; i < 3; i++) {
		v = sf_sal_refused_udp(&f, 0, SF_NO_SUCH_SOCKET, true, NOW);
		assert_int_equal(v.act, SF_ACT_RETRY);
		assert_int_equal(f.attempt, 1);
	}
	/* What is not quoted whole is lost; the flow goes on. */
	v = sf_sal_refused_udp(&f, 1, SF_HOST_UNREACHABLE, false, NOW);
	assert_int_equal(v.reason, SF_TRUNCATED);
	assert_int_equal(f.attempt, 2);
	v = sf_sal_refused_udp(&f, 2, SF_SUPERSEDED, true, NOW);
	assert_int_equal(v.reason, SF_WRONG_STATE);
	for (uint16_t i = 2; i < SF_ATTEMPT_MAX; i++)
		assert_int_equal(sf_sal_refused_udp(&f, i, SF_REFUSED, true, NOW).act,
				 SF_ACT_RETRY);
	v = sf_sal_refused_udp(&f, SF_ATTEMPT_MAX, SF_REFUSED, true, NOW);
	assert_int_equal(v.act, SF_ACT_REFUSE);
	assert_int_equal(f.state, SF_FLOW_CLOSING);
	assert_int_equal(f.fail, SF_REFUSED);
	assert_int_equal(sf_sal_refused_udp(&f, 4, SF_REFUSED, true, NOW).reason, SF_DUPLICATE);
	f = flow_in(SF_FLOW_CONNECTING, 0);
	assert_int_equal(sf_sal_refused_udp(&f, 0, SF_NO_SUCH_SERVICE, true, NOW).act,
			 SF_ACT_REFUSE);
	f = flow_in(SF_FLOW_BOUND, 0);
	assert_int_equal(sf_sal_refused_udp(&f, 0, SF_REFUSED, true, NOW).reason, SF_DUPLICATE);
}

static void unreached_for_long_is_unbound(void **state)
{
	struct sf_flow f = flow_in(SF_FLOW_BOUND, 0);
	uint64_t t = NOW + SECOND;

	assert_false(sf_udp_unreached(&f, t));
	assert_false(sf_udp_unreached(&f, t + SF_UDP_UNREACHED_NS - SECOND));
	/* Heard meanwhile: it was a moment. */
	f.used = sf_used_of(t + SF_UDP_UNREACHED_NS);
	t += SF_UDP_UNREACHED_NS + SECOND;
	assert_false(sf_udp_unreached(&f, t));
	/* Another outage. */
	t += SF_UDP_OUTAGE_NS;
	assert_false(sf_udp_unreached(&f, t));
	assert_true(sf_udp_unreached(&f, t + SF_UDP_UNREACHED_NS + SECOND));
	assert_int_equal(f.state, SF_FLOW_CLOSING);
	assert_int_equal(f.fail, SF_HOST_UNREACHABLE);
	f = flow_in(SF_FLOW_BOUND, SF_FLOW_INBOUND);
	for (t = NOW; t < NOW + 2 * SF_UDP_UNREACHED_NS; t += SECOND)
		assert_false(sf_udp_unreached(&f, t));
}

static void idle_in_both_directions(void **state)
{
	struct sf_flow f = flow_in(SF_FLOW_BOUND, SF_FLOW_INBOUND);
	uint64_t limit = SF_UDP_IDLE_NS, later = NOW + limit + SECOND;

	assert_false(sf_udp_is_idle(&f, limit, NOW + limit - SECOND));
	assert_true(sf_udp_is_idle(&f, limit, later));
	f.sent = sf_used_of(later);
	assert_false(sf_udp_is_idle(&f, limit, later));
	f.sent = 0;
	f.used = sf_used_of(later);
	assert_false(sf_udp_is_idle(&f, limit, later));
}

static void lives(void **state)
{
	struct sf_sid x = sf_sid_make(SF_SSID_DEFAULT, 7), host = sf_sid_make(SF_SSID_HOSTS, 8);
	struct sf_addr own = sf_locator(&net, 0x10001, 0xabcdef012345);
	struct sf_tuple t = { .local = sf_service_addr(&net, &host),
			      .peer = sf_service_addr(&net, &x),
			      .proto = SF_NEXTHDR_UDP };
	struct sf_flow f;

	memset(&f, 0, sizeof(f));
	sf_udp_open(&f, &net, &t, &own, NOW);
	assert_int_equal(f.state, SF_FLOW_CONNECTING);
	assert_int_equal(f.tried, sf_used_of(NOW));
	assert_int_equal(f.unreached, 0);
	assert_memory_equal(&f.peer_sid, &x, sizeof(x));
	sf_udp_bind(&f, &peer, &host, NOW + 1);
	assert_int_equal(f.state, SF_FLOW_BOUND);
	assert_memory_equal(&f.peer, &peer, 16);
	assert_memory_equal(&f.peer_host, &host, sizeof(host));
	assert_int_equal(f.csum_out, sf_csum_delta(&t.local, &t.peer, &own, &peer));
	sf_udp_unbind(&f, SF_SHED);
	assert_int_equal(f.state, SF_FLOW_CLOSING);
	memset(&f, 0, sizeof(f));
	sf_udp_accept(&f, &t, &own, &peer, &host, NOW);
	assert_int_equal(f.state, SF_FLOW_HALF_OPEN);
	assert_int_equal(f.flags, SF_FLOW_INBOUND);
	assert_int_equal(f.sent, sf_used_of(NOW));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(outbound_by_state),
		cmocka_unit_test(inbound_by_state),
		cmocka_unit_test(what_the_flow_is_not_is_dropped),
		cmocka_unit_test(peer_at_another_place),
		cmocka_unit_test(meetings),
		cmocka_unit_test(silence_makes_the_next_attempt),
		cmocka_unit_test(refusals),
		cmocka_unit_test(unreached_for_long_is_unbound),
		cmocka_unit_test(idle_in_both_directions),
		cmocka_unit_test(lives),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
