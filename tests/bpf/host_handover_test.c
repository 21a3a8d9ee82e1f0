// SPDX-License-Identifier: Apache-2.0
/*
 * host_handover_test.c - a flow that is handed over: from the moment that it is exported nothing of
 * it passes, and nobody is told that it is gone (docs/protocol.md, "Hand-over").
 */
#include "tests/bpf/host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>
#include <cmocka.h>

static struct packet p;

static uint32_t turn(struct host *h, uint64_t id, uint8_t from, uint8_t to)
{
	struct sf_flow_turn t = { .id = id, .from = from, .to = to };
	LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = &t, .ctx_size_in = sizeof(t));

	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(h->skel->progs.sf_flow_turn), &run),
			 0);
	return run.retval;
}

static uint64_t export_b(struct talk *t)
{
	uint64_t id = 0;

	talk_start(t);
	id = sf_locator_sock(&t->server);
	assert_int_equal(turn(&b, id, SF_FLOW_BOUND, SF_FLOW_EXPORTED), 0);
	return id;
}

static void turns(void **state)
{
	struct sf_flow before, after;
	struct talk t;
	uint64_t id = export_b(&t);

	assert_true(host_flow(&b, id, false, &before));
	assert_int_equal(before.state, SF_FLOW_EXPORTED);
	assert_true(before.moved);
	/* Once; and no other incarnation of it. */
	assert_int_equal(turn(&b, id, SF_FLOW_BOUND, SF_FLOW_EXPORTED), 1);
	assert_int_equal(turn(&b, id + 1, SF_FLOW_EXPORTED, SF_FLOW_BOUND), 1);
	assert_int_equal(turn(&b, id, SF_FLOW_EXPORTED, SF_FLOW_BOUND), 0);
	assert_true(host_flow(&b, id, false, &after));
	before.state = SF_FLOW_BOUND;
	before.moved = after.moved;
	assert_memory_equal(&before, &after, sizeof(after));
	/* It goes on. */
	struct segment s = talk_from_a(&t, SF_TCP_ACK, 100);
	host_sends(&a, &p, &s);
	assert_int_equal(host_in(&b, &p), VERDICT_UP);
}

/* Whatever the peer says is dropped without a word. */
static void silent_to_the_peer(void **state)
{
	static const uint8_t kinds[] = { SF_TCP_ACK, SF_TCP_ACK | SF_TCP_PSH,
					 SF_TCP_ACK | SF_TCP_FIN, SF_TCP_RST };
	struct sf_flow f;
	struct talk t;
	uint64_t id = export_b(&t);

	for (size_t i = 0; i < sizeof(kinds); i++) {
		struct segment s = talk_from_a(&t, kinds[i], i == 1 ? 100 : 0);

		host_sends(&a, &p, &s);
		assert_int_equal(host_in(&b, &p), DROPPED);
		assert_int_equal(host_count(&b, SF_HANDED_OVER), i + 1);
	}
	assert_int_equal(host_traffic(&b, SF_TRAFFIC_FAIL_SENT), 0);
	assert_true(host_flow(&b, id, false, &f));
	assert_int_equal(f.state, SF_FLOW_EXPORTED);
	assert_int_equal(f.end_in, 0);
}

/* From where the peer has moved to as well: it would take a FAIL for the end. */
static void silent_to_a_moved_peer(void **state)
{
	struct sf_flow f;
	struct segment s;
	struct talk t;
	uint64_t id = export_b(&t);

	assert_true(host_flow(&b, id, false, &f));
	f.peer.w[1] ^= sf_be32(1);
	host_flow_set(&b, &f);
	s = talk_from_a(&t, SF_TCP_ACK, 10);
	host_sends(&a, &p, &s);
	assert_int_equal(host_in(&b, &p), DROPPED);
	assert_int_equal(host_count(&b, SF_HANDED_OVER), 1);
	assert_int_equal(host_traffic(&b, SF_TRAFFIC_FAIL_SENT), 0);
}

/* What the socket still wants to say does not leave, its reset included. */
static void silent_socket(void **state)
{
	static const uint8_t kinds[] = { SF_TCP_ACK, SF_TCP_ACK | SF_TCP_FIN, SF_TCP_RST };
	struct talk t;

	export_b(&t);
	for (size_t i = 0; i < sizeof(kinds); i++) {
		struct segment s = talk_from_b(&t, kinds[i], i ? 0 : 100);

		packet_tcp(&p, &s);
		assert_int_equal(host_out(&b, &p), DROPPED);
		assert_int_equal(host_count(&b, SF_HANDED_OVER), i + 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(turns, host_clear),
		cmocka_unit_test_setup(silent_to_the_peer, host_clear),
		cmocka_unit_test_setup(silent_to_a_moved_peer, host_clear),
		cmocka_unit_test_setup(silent_socket, host_clear),
	};
	int skip = host_privileged();

	return skip ? skip : cmocka_run_group_tests(tests, host_group_setup, host_group_teardown);
}
