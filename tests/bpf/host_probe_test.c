// SPDX-License-Identifier: Apache-2.0
/* host_probe_test.c - PROBE answered by the datapath alone. */
#include "tests/bpf/host.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <bpf/bpf.h>
#include <cmocka.h>

static struct packet p;

struct probe {
	struct sf_tlv_target target;
	uint8_t type, len;
	uint8_t socks[16][6];
	uint8_t pad[6];
} SF_WIRE;

static void probe(const struct sf_sid *sid, uint8_t proto, uint16_t port, struct probe *tlvs,
		  size_t socks)
{
	tlvs->target = (struct sf_tlv_target){ SF_TLV_TARGET, 6, proto, 0, htons(port), 0x1234 };
	tlvs->type = SF_TLV_SOCKS;
	tlvs->len = (uint8_t)(socks * 6);
	packet_alone(&p, &a.cfg.own, &b.cfg.own, SF_KIND_PROBE, sid, &user_sid, tlvs,
		     sizeof(tlvs->target) + (socks ? 2 + socks * 6 : 0), NULL, 0);
}

static struct probe *is_ack(struct parsed *q)
{
	struct sf_sid self = sf_addr_sid(&b.cfg.self);

	packet_parse(&p, q);
	assert_int_equal(sf_hdr_kind(q->hdr), SF_KIND_PROBE_ACK);
	assert_int_equal(sf_hdr_check(q->hdr, p.len - ETH - 40), 0);
	assert_true(q->csum_ok);
	assert_memory_equal(&q->src, &b.cfg.own, 16);
	assert_memory_equal(&q->dst, &a.cfg.own, 16);
	assert_memory_equal(&q->hdr->src, &self, 12);
	assert_memory_equal(&q->hdr->dst, &user_sid, 12);
	return (void *)(q->hdr + 1);
}

static void live_instance_answers(void **state)
{
	struct probe tlvs = { 0 };
	struct packet *ack = &p;
	struct parsed q;

	probe(&service_sid, IPPROTO_TCP, PORT, &tlvs, 0);
	assert_int_equal(host_in(&b, &p), REDIRECTED);
	assert_memory_equal(&is_ack(&q)->target, &tlvs.target, sizeof(tlvs.target));
	assert_int_equal(host_traffic(&b, SF_TRAFFIC_PROBED), 1);
	/* The answer goes up to whoever asked. */
	assert_int_equal(host_in(&a, ack), VERDICT_UP);
	assert_int_equal(sf_hdr_kind(q.hdr), SF_KIND_PROBE_ACK);
}

static void host_itself_answers(void **state)
{
	struct sf_sid self = sf_addr_sid(&b.cfg.self);
	struct probe tlvs = { 0 };
	struct parsed q;

	probe(&self, 0, 0, &tlvs, 0);
	assert_int_equal(host_in(&b, &p), REDIRECTED);
	is_ack(&q);
}

static void unknown_instance_draws_fail(void **state)
{
	struct probe tlvs = { 0 };
	struct parsed q;

	probe(&service_sid, IPPROTO_TCP, PORT + 1, &tlvs, 0);
	assert_int_equal(host_in(&b, &p), REDIRECTED);
	packet_parse(&p, &q);
	assert_int_equal(sf_hdr_kind(q.hdr), SF_KIND_FAIL);
	assert_true(q.csum_ok);
	host_listener(&b, &service, IPPROTO_TCP, PORT, SF_LISTENER_PENDING);
	probe(&service_sid, IPPROTO_TCP, PORT, &tlvs, 0);
	assert_int_equal(host_in(&b, &p), REDIRECTED);
	packet_parse(&p, &q);
	assert_int_equal(sf_hdr_kind(q.hdr), SF_KIND_FAIL);
	/* Any port and protocol stands for all. */
	host_listener(&b, &service, 0, 0, SF_LISTENER_LIVE);
	probe(&service_sid, IPPROTO_TCP, PORT + 1, &tlvs, 0);
	assert_int_equal(host_in(&b, &p), REDIRECTED);
	is_ack(&q);
}

static void sock_put(uint8_t at[6], uint64_t id)
{
	for (int i = 0; i < 6; i++)
		at[i] = (uint8_t)(id >> (40 - 8 * i));
}

static void dead_sockets_are_named(void **state)
{
	struct sf_sid self = sf_addr_sid(&b.cfg.self);
	struct probe tlvs = { 0 }, *ack;
	struct parsed q;
	struct talk t;
	struct sf_flow f;
	uint64_t id, key;

	talk_start(&t);
	/* Another host's flow counts as dead: it is not the prober's. */
	assert_true(host_flow(&b, sf_locator_sock(&t.server), false, &f));
	f.peer = sf_locator(&b.cfg.net, 0x10044, 0x121212121212);
	id = 0x343434343434;
	f.own = sf_locator(&b.cfg.net, b.cfg.host, id);
	key = sf_socket_key(id);
	bpf_map_update_elem(bpf_map__fd(b.skel->maps.flows), &key, &f, BPF_ANY);
	for (int i = 0; i < 16; i++)
		sock_put(tlvs.socks[i], i == 5	 ? sf_locator_sock(&t.server)
					: i == 7 ? id
						 : 0xabc000000000u + (unsigned)i);
	probe(&self, 0, 0, &tlvs, 16);
	assert_int_equal(host_in(&b, &p), REDIRECTED);
	ack = is_ack(&q);
	assert_int_equal(ack->type, SF_TLV_SOCKS);
	assert_int_equal(ack->len, 15 * 6);
	for (int i = 0, j = 0; i < 16; i++) {
		if (i != 5)
			assert_memory_equal(ack->socks[j++], tlvs.socks[i], 6);
	}
	assert_int_equal(ack->socks[15][0] | ack->socks[15][5], 0);
	/* None dead. */
	probe(&self, 0, 0, &tlvs, 0);
	sock_put(tlvs.socks[0], sf_locator_sock(&t.server));
	probe(&self, 0, 0, &tlvs, 1);
	assert_int_equal(host_in(&b, &p), REDIRECTED);
	assert_int_equal(is_ack(&q)->len, 0);
}

/* A prober that has not heard of a move yet asks by the former name; one that has moved itself,
 * from a place that is not known yet. Neither makes a live socket a dead one. */
static void moved_sockets_are_alive(void **state)
{
	struct sf_sid self = sf_addr_sid(&b.cfg.self);
	struct probe tlvs = { 0 };
	struct parsed q;
	struct sf_flow f;
	struct talk t;
	uint64_t id;

	talk_start(&t);
	id = sf_locator_sock(&t.server);
	assert_true(host_flow(&b, id, false, &f));
	f.flags |= SF_FLOW_MOVED | SF_FLOW_OPEN;
	f.formers = 1;
	f.before = f.peer;
	f.peer = sf_locator(&b.cfg.net, 0x10044, sf_locator_sock(&f.peer));
	sf_locator_set_sock(&f.own, sf_socket_id(sf_socket_key(id), (uint8_t)(id + 1)));
	host_flow_set(&b, &f);
	sock_put(tlvs.socks[0], id);
	sock_put(tlvs.socks[1], sf_locator_sock(&f.own));
	sock_put(tlvs.socks[2], sf_socket_id(sf_socket_key(id), (uint8_t)(id - 1)));
	probe(&self, 0, 0, &tlvs, 3);
	assert_int_equal(host_in(&b, &p), REDIRECTED);
	assert_int_equal(is_ack(&q)->len, 6);
	assert_memory_equal(((struct probe *)(q.hdr + 1))->socks[0], tlvs.socks[2], 6);
	/* Once the ends agree and some time has passed, what was is no more. */
	f.flags &= ~SF_FLOW_OPEN;
	f.moved = sf_used_of(1);
	host_flow_set(&b, &f);
	probe(&self, 0, 0, &tlvs, 2);
	assert_int_equal(host_in(&b, &p), REDIRECTED);
	assert_int_equal(is_ack(&q)->len, 12);
}

/* Its entry waits for what is still under way; the socket is gone. */
static void closed_sockets_are_dead(void **state)
{
	struct probe tlvs = { 0 };
	struct sf_sid none = { 0 };
	struct parsed q;
	struct sf_flow f;
	struct talk t;

	talk_start(&t);
	assert_true(host_flow(&b, sf_locator_sock(&t.server), false, &f));
	sock_put(tlvs.socks[0], sf_locator_sock(&t.server));
	/* Who does not know the host's name asks whoever is there. */
	probe(&none, 0, 0, &tlvs, 1);
	assert_int_equal(host_in(&b, &p), REDIRECTED);
	assert_int_equal(is_ack(&q)->len, 0);
	f.state = SF_FLOW_CLOSING;
	host_flow_set(&b, &f);
	probe(&none, 0, 0, &tlvs, 1);
	assert_int_equal(host_in(&b, &p), REDIRECTED);
	assert_int_equal(is_ack(&q)->len, 6);
}

static void bad_probes_are_counted(void **state)
{
	struct sf_sid self = sf_addr_sid(&b.cfg.self);
	struct probe tlvs = { 0 };

	probe(&self, 0, 0, &tlvs, 0);
	p.b[ETH + 40 + 20] ^= 1;
	assert_int_equal(host_in(&b, &p), DROPPED);
	assert_int_equal(host_count(&b, SF_BAD_CHECKSUM), 1);
	tlvs.target.type = 9;
	packet_alone(&p, &a.cfg.own, &b.cfg.own, SF_KIND_PROBE, &self, &user_sid, &tlvs, 8, NULL,
		     0);
	assert_int_equal(host_in(&b, &p), DROPPED);
	packet_alone(&p, &a.cfg.own, &b.cfg.own, SF_KIND_PROBE, &self, &user_sid, NULL, 0, NULL, 0);
	assert_int_equal(host_in(&b, &p), DROPPED);
	/* Seventeen sockets, and a length that is no multiple. */
	probe(&self, 0, 0, &tlvs, 16);
	p.b[ETH + 40 + 41] = 17 * 6;
	assert_int_equal(host_in(&b, &p), DROPPED);
	tlvs.target = (struct sf_tlv_target){ SF_TLV_TARGET, 6, 0, 0, 0, 0 };
	tlvs.type = SF_TLV_SOCKS;
	tlvs.len = 7;
	packet_alone(&p, &a.cfg.own, &b.cfg.own, SF_KIND_PROBE, &self, &user_sid, &tlvs, 17, NULL,
		     0);
	assert_int_equal(host_in(&b, &p), DROPPED);
	assert_int_equal(host_count(&b, SF_BAD_HEADER), 3);
	assert_int_equal(host_drops(&b), 5);
}

#define T(f) cmocka_unit_test_setup(f, host_clear)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(live_instance_answers),	T(host_itself_answers),
		T(unknown_instance_draws_fail), T(dead_sockets_are_named),
		T(moved_sockets_are_alive),	T(closed_sockets_are_dead),
		T(bad_probes_are_counted),
	};

	if (host_privileged())
		return 77;
	return cmocka_run_group_tests(tests, host_group_setup, host_group_teardown);
}
