// SPDX-License-Identifier: Apache-2.0
/*
 * host_move_test.c - what the datapath does for flows that move (docs/protocol.md, "Moving"): their
 * entries change in place, and packets of before and after are told from strangers'.
 *
 * A and B talk; either has a second place, A2 or B2.
 */
#include "tests/bpf/host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <cmocka.h>

#include "core/renegotiate.h"

#define A2 0x20001
#define B2 0x20002

static struct packet p;

/* @host's place with the socketID of @of, @later incarnations on. */
static struct sf_addr at(uint32_t host, const struct sf_addr *of, uint8_t later)
{
	uint64_t id = sf_locator_sock(of);

	return sf_locator(&a.cfg.net, host, sf_socket_id(sf_socket_key(id), (uint8_t)(id + later)));
}

static uint32_t change(struct host *h, struct sf_flow_change *c)
{
	LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = c, .ctx_size_in = sizeof(*c));

	assert_int_equal(
		bpf_prog_test_run_opts(bpf_program__fd(h->skel->progs.sf_flow_alter), &run), 0);
	return run.retval;
}

static struct sf_flow flow(struct host *h, const struct sf_addr *locator)
{
	struct sf_flow f;

	assert_true(host_flow(h, sf_locator_sock(locator), false, &f));
	return f;
}

static void change_is_in_place(void **state)
{
	struct sf_flow_change c = { .flags = SF_FLOW_OPEN };
	struct sf_flow f, was;
	struct segment s;
	struct parsed q;
	struct talk t;

	talk_start(&t);
	was = flow(&a, &t.client);
	c.id = sf_locator_sock(&t.client);
	c.own = at(A2, &t.client, 1);
	c.peer = at(B2, &t.server, 1);
	assert_int_equal(change(&a, &c), 0);
	assert_int_equal(host_flows(&a, NULL), 1);
	f = flow(&a, &c.own);
	assert_memory_equal(&f.own, &c.own, 16);
	assert_memory_equal(&f.peer, &c.peer, 16);
	assert_memory_equal(&f.before, &t.server, 16);
	assert_int_equal(f.formers, 1);
	assert_int_equal(f.flags & (SF_FLOW_OPEN | SF_FLOW_MOVED), SF_FLOW_OPEN | SF_FLOW_MOVED);
	assert_int_equal(f.tx_packets, was.tx_packets);
	assert_int_equal(f.rx_bytes, was.rx_bytes);
	assert_memory_equal(&f.tuple, &was.tuple, sizeof(f.tuple));
	/* What is sent from now on shows both. */
	s = talk_from_a(&t, SF_TCP_ACK, 100);
	host_sends(&a, &p, &s);
	packet_parse(&p, &q);
	assert_memory_equal(&q.src, &c.own, 16);
	assert_memory_equal(&q.dst, &c.peer, 16);
	assert_true(q.csum_ok);
}

static void change_of_nobody(void **state)
{
	struct sf_flow_change c = { 0 };
	struct sf_flow f, was;
	struct talk t;

	talk_start(&t);
	was = flow(&a, &t.client);
	c.own = at(A2, &t.client, 1);
	c.peer = at(B2, &t.server, 1);
	/* An earlier or later flow of the same ports, and no flow at all. */
	c.id = sf_locator_sock(&t.client) ^ 1;
	assert_int_equal(change(&a, &c), 1);
	c.id = sf_locator_sock(&t.client) ^ 0x100;
	assert_int_equal(change(&a, &c), 1);
	f = flow(&a, &t.client);
	assert_memory_equal(&f, &was, sizeof(f));
	/* One that connects has no peer yet. */
	talk_init(&t);
	t.sport++;
	talk_syn(&t, &p);
	c.id = sf_locator_sock(&t.client);
	assert_int_equal(change(&a, &c), 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, host_clear)
	const struct CMUnitTest tests[] = {
		T(change_is_in_place),
		T(change_of_nobody),
	};
	int skip = host_privileged();

	return skip ? skip : cmocka_run_group_tests(tests, host_group_setup, host_group_teardown);
}
