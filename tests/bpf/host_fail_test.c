// SPDX-License-Identifier: Apache-2.0
/*
 * host_fail_test.c - refusals: a SYN turned round to the next instance, resets where nothing is
 * left to try, and what does not count as a refusal.
 */
#include "tests/bpf/host.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <bpf/bpf.h>
#include <cmocka.h>

static struct packet p, syn, fail;
/* Who else may send a FAIL: a router, and a host that has no part in it. */
static struct sf_addr router, stranger;
static struct sf_sid other_sid;

static int setup(void **state)
{
	router = sf_locator(&a.cfg.net, 0x10000, 0);
	stranger = sf_locator(&a.cfg.net, 0x10066, 0);
	other_sid = sf_sid_make(SF_SSID_HOSTS, 1);
	return host_clear(state);
}

static struct sf_flow flow_of(struct host *h, const struct sf_addr *locator)
{
	struct sf_flow f;

	assert_true(host_flow(h, sf_locator_sock(locator), false, &f));
	return f;
}

/* A's SYN, resolved to B, and B's FAIL about it. */
static void refused_by_b(struct talk *t)
{
	struct sf_addr at = sf_locator(&b.cfg.net, b.cfg.host, 0);

	host_listener(&b, &service, IPPROTO_TCP, PORT, 0);
	talk_syn(t, &p);
	packet_resolve(&p, &at);
	syn = p;
	assert_int_equal(host_in(&b, &p), REDIRECTED);
	fail = p;
}

/* What A's socket is told: a refusal of its SYN. */
static void is_refusal(const struct talk *t)
{
	struct parsed q;

	packet_parse(&p, &q);
	assert_true(q.csum_ok);
	assert_memory_equal(&q.src, &t->peer, 16);
	assert_memory_equal(&q.dst, &t->local, 16);
	assert_non_null(q.tcp);
	assert_true(q.tcp->rst && q.tcp->ack);
	assert_int_equal(ntohl(q.tcp->ack_seq), t->isn + 1);
	assert_int_equal(ntohs(q.tcp->source), t->dport);
	assert_int_equal(ntohs(q.tcp->dest), t->sport);
}

static void refused_syn_tries_the_next_instance(void **state)
{
	struct parsed q, was;
	struct talk t;

	talk_init(&t);
	refused_by_b(&t);
	assert_int_equal(host_in(&a, &p), REDIRECTED);
	packet_parse(&p, &q);
	packet_parse(&syn, &was);
	assert_int_equal(p.len, syn.len);
	assert_int_equal(sf_hdr_kind(q.hdr), SF_KIND_SYN);
	assert_int_equal(ntohs(q.hdr->aux), 1);
	assert_memory_equal(&q.dst, &service, 16);
	assert_memory_equal(&q.src, &t.client, 16);
	assert_true(q.csum_ok);
	assert_memory_equal(q.tcp, was.tcp, 20);
	assert_int_equal(host_traffic(&a, SF_TRAFFIC_RETRIED), 1);
	assert_int_equal(flow_of(&a, &t.client).attempt, 1);
	/* It leaves through A's egress program untouched. */
	syn = p;
	assert_int_equal(host_out(&a, &p), VERDICT_UP);
	assert_int_equal(p.len, syn.len);
	assert_memory_equal(p.b, syn.b, p.len);
	/* And binds to whoever takes it. */
	host_listener(&b, &service, IPPROTO_TCP, PORT, SF_LISTENER_LIVE);
	talk_syn_in(&t, &p);
	talk_syn_ack(&t, &p);
	talk_bind(&t, &p);
	talk_ack(&t, &p);
	talk_promote(&t, &p);
	/* The FAIL comes again, late: nothing happens to the flow. */
	p = fail;
	assert_int_equal(host_in(&a, &p), DROPPED);
	assert_int_equal(flow_of(&a, &t.client).state, SF_FLOW_OPENING);
}

static void repeated_fail_makes_one_attempt(void **state)
{
	struct talk t;

	talk_init(&t);
	refused_by_b(&t);
	assert_int_equal(host_in(&a, &p), REDIRECTED);
	p = fail;
	assert_int_equal(host_in(&a, &p), DROPPED);
	assert_int_equal(host_count(&a, SF_DUPLICATE), 1);
	assert_int_equal(flow_of(&a, &t.client).attempt, 1);
}

static void attempts_end_in_a_refusal(void **state)
{
	struct talk t;

	talk_init(&t);
	refused_by_b(&t);
	for (int i = 1; i <= SF_ATTEMPT_MAX; i++) {
		assert_int_equal(host_in(&a, &p), REDIRECTED);
		packet_resolve(&p, &b.cfg.own);
		assert_int_equal(host_in(&b, &p), REDIRECTED);
	}
	assert_int_equal(host_in(&a, &p), VERDICT_UP);
	is_refusal(&t);
	assert_int_equal(host_traffic(&a, SF_TRAFFIC_RETRIED), SF_ATTEMPT_MAX);
	assert_int_equal(flow_of(&a, &t.client).state, SF_FLOW_CLOSING);
	assert_int_equal(flow_of(&a, &t.client).fail, SF_NO_SUCH_SOCKET);
	/* The program may try again from the same port. */
	t.isn += 77;
	talk_syn(&t, &p);
	assert_int_equal(flow_of(&a, &t.client).state, SF_FLOW_CONNECTING);
}

static void no_such_service_refuses_at_once(void **state)
{
	struct talk t;

	talk_init(&t);
	talk_syn(&t, &syn);
	packet_fail(&p, &router, &other_sid, SF_NO_SUCH_SERVICE, &syn);
	assert_int_equal(host_in(&a, &p), VERDICT_UP);
	is_refusal(&t);
	assert_int_equal(host_traffic(&a, SF_TRAFFIC_FAIL_TAKEN), 1);
	assert_int_equal(host_count(&a, SF_NO_SUCH_SERVICE), 1);
}

/* Nobody frees them but new ones: a program that tries for ever does not fill the table. */
static void refused_flows_make_room(void **state)
{
	struct talk t;

	for (uint16_t i = 0; i < 3 * CLOSED; i++) {
		talk_init(&t);
		t.sport = (uint16_t)(CLIENT + i);
		t.isn += 1000u * i;
		talk_syn(&t, &syn);
		packet_fail(&p, &router, &other_sid, SF_NO_SUCH_SERVICE, &syn);
		assert_int_equal(host_in(&a, &p), VERDICT_UP);
		is_refusal(&t);
		assert_in_range(host_flows(&a, NULL), 1, CLOSED + 1);
	}
	assert_int_equal(host_flows(&a, NULL), CLOSED);
}

static void forged_fails_are_ignored(void **state)
{
	struct parsed q;
	struct packet *about = &syn;
	struct talk t;

	talk_init(&t);
	talk_syn(&t, &syn);
	/* Another sequence number, another port, another socketID than the flow's. */
	struct {
		uint32_t at;
		uint32_t reason;
	} flips[] = {
		{ ETH + 40 + 32 + 4, SF_WRONG_ACK },
		{ ETH + 40 + 32 + 1, SF_WRONG_ACK },
	};
	for (size_t i = 0; i < 2; i++) {
		syn.b[flips[i].at] ^= 1;
		packet_fail(&p, &stranger, &other_sid, SF_NO_SUCH_SERVICE, about);
		syn.b[flips[i].at] ^= 1;
		assert_int_equal(host_in(&a, &p), DROPPED);
	}
	assert_int_equal(host_count(&a, SF_WRONG_ACK), 2);
	/* The quotation is of another flow than the FAIL is addressed to. */
	packet_fail(&p, &stranger, &other_sid, SF_NO_SUCH_SERVICE, about);
	packet_parse(&p, &q);
	q.payload[8 + 15] ^= 1;
	q.hdr->aux = 0;
	q.hdr->aux = (uint16_t)~sf_csum_fold(sf_alone_pseudo(&q.src, &q.dst, p.len - ETH - 40) +
					     sf_csum_bytes(q.hdr, p.len - ETH - 40));
	assert_int_equal(host_in(&a, &p), DROPPED);
	assert_int_equal(host_count(&a, SF_WRONG_ACK), 3);
	/* A flipped bit. */
	packet_fail(&p, &stranger, &other_sid, SF_NO_SUCH_SERVICE, about);
	p.b[ETH + 40 + 34] ^= 4;
	assert_int_equal(host_in(&a, &p), DROPPED);
	assert_int_equal(host_count(&a, SF_BAD_CHECKSUM), 1);
	/* No such reason. */
	packet_fail(&p, &stranger, &other_sid, 30, about);
	assert_int_equal(host_in(&a, &p), DROPPED);
	assert_int_equal(host_count(&a, SF_WRONG_STATE), 1);
	assert_int_equal(flow_of(&a, &t.client).state, SF_FLOW_CONNECTING);
	assert_int_equal(flow_of(&a, &t.client).attempt, 0);
}

/* A FAIL with a right checksum of its own, right locators, ports and numbers, whose quotation is
 * not the SYN that was sent: nothing of it may go out in our name. */
static void altered_syn_is_not_turned_round(void **state)
{
	struct packet *about = &syn;
	struct segment s;
	struct parsed q;
	struct talk t;

	talk_init(&t);
	talk_syn(&t, &fail);

#define ALTER(what, reason)                                                       \
	do {                                                                      \
		uint64_t n = host_count(&a, reason);                              \
		syn = fail;                                                       \
		packet_parse(&syn, &q);                                           \
		what;                                                             \
		packet_fail(&p, &stranger, &other_sid, SF_NO_SUCH_SOCKET, about); \
		assert_int_equal(host_in(&a, &p), DROPPED);                       \
		assert_int_equal(host_count(&a, reason), n + 1);                  \
		assert_int_equal(flow_of(&a, &t.client).attempt, 0);              \
	} while (0)

	/* Another service, another sender. */
	ALTER(q.hdr->dst.b[11] ^= 1, SF_WRONG_ACK);
	ALTER(q.hdr->src.b[11] ^= 1, SF_WRONG_ACK);
	/* Fields that do not go with the checksum. */
	ALTER(q.tcp->window ^= 1, SF_BAD_CHECKSUM);
	ALTER(q.tcp->urg_ptr ^= 1, SF_BAD_CHECKSUM);
	/* Not what opens a connection; with data; both with a checksum that is right. */
	s = talk_from_a(&t, SF_TCP_SYN | SF_TCP_ACK, 0);
	s.src = t.client;
	ALTER((packet_tcp(&syn, &s), packet_push(&syn, SF_KIND_SYN, 0, &service_sid, &user_sid)),
	      SF_WRONG_ACK);
	s.flags = SF_TCP_SYN;
	s.payload = 20;
	ALTER((packet_tcp(&syn, &s), packet_push(&syn, SF_KIND_SYN, 0, &service_sid, &user_sid)),
	      SF_WRONG_ACK);
	/* The real one is. */
	syn = fail;
	packet_fail(&p, &stranger, &other_sid, SF_NO_SUCH_SOCKET, about);
	assert_int_equal(host_in(&a, &p), REDIRECTED);
	assert_int_equal(flow_of(&a, &t.client).attempt, 1);
}

static void truncated_fails_are_counted(void **state)
{
	struct packet *about = &syn;
	struct talk t;
	uint32_t whole;

	talk_init(&t);
	talk_syn(&t, &syn);
	whole = syn.len;
	for (uint32_t n = ETH + 1; n < whole; n++) {
		syn.len = n;
		packet_fail(&p, &router, &other_sid, SF_NO_SUCH_SOCKET, about);
		assert_int_equal(host_in(&a, &p), DROPPED);
	}
	assert_int_equal(host_drops(&a), whole - ETH - 1);
	assert_int_equal(flow_of(&a, &t.client).attempt, 0);
}

static void established_flow_is_reset_by_its_peer_alone(void **state)
{
	struct sf_addr rival = sf_locator(&a.cfg.net, 0x10066, 0x123456789);
	struct segment s;
	struct parsed q;
	struct talk t;

	talk_start(&t);
	s = talk_from_a(&t, SF_TCP_ACK, 500);
	host_sends(&a, &p, &s);
	syn = p;
	packet_fail(&p, &rival, &other_sid, SF_NO_SUCH_SOCKET, &syn);
	assert_int_equal(host_in(&a, &p), DROPPED);
	assert_int_equal(host_count(&a, SF_WRONG_PEER), 1);
	/* B forgot: its crash, its agent, whatever. */
	host_clear(NULL);
	talk_start(&t);
	host_sends(&a, &p, &s);
	uint64_t gone = sf_socket_key(sf_locator_sock(&t.server));
	bpf_map_delete_elem(bpf_map__fd(b.skel->maps.flows), &gone);
	assert_int_equal(host_in(&b, &p), REDIRECTED);
	assert_int_equal(host_in(&a, &p), VERDICT_UP);
	packet_parse(&p, &q);
	assert_true(q.csum_ok);
	assert_true(q.tcp->rst);
	assert_memory_equal(&q.src, &t.peer, 16);
	assert_memory_equal(&q.dst, &t.local, 16);
	assert_int_equal(ntohl(q.tcp->seq), s.ack);
	assert_int_equal(flow_of(&a, &t.client).state, SF_FLOW_CLOSING);
	assert_int_equal(flow_of(&a, &t.client).fail, SF_NO_SUCH_SOCKET);
}

static void half_open_server_hears_of_its_rival(void **state)
{
	struct segment s;
	struct parsed q;
	struct talk t;

	talk_answer(&t, &p);
	syn = p;
	packet_fail(&p, &t.client, &user_sid, SF_OTHER_INSTANCE, &syn);
	assert_int_equal(host_in(&b, &p), VERDICT_UP);
	packet_parse(&p, &q);
	s = talk_from_b(&t, SF_TCP_SYN | SF_TCP_ACK, 0);
	assert_true(q.tcp->rst);
	assert_int_equal(ntohl(q.tcp->seq), s.ack);
	assert_memory_equal(&q.dst, &service, 16);
}

static void soft_fail_is_retried_or_told(void **state)
{
	struct segment s;
	struct parsed q;
	struct talk t;

	talk_init(&t);
	talk_syn(&t, &syn);
	packet_fail(&p, &router, &other_sid, SF_HOST_UNREACHABLE, &syn);
	assert_int_equal(host_in(&a, &p), REDIRECTED);
	packet_parse(&p, &q);
	assert_int_equal(ntohs(q.hdr->aux), 1);
	/* Established: the socket is told, and lives on. */
	host_clear(NULL);
	talk_start(&t);
	s = talk_from_a(&t, SF_TCP_ACK, 500);
	host_sends(&a, &syn, &s);
	packet_fail(&p, &router, &other_sid, SF_HOST_UNREACHABLE, &syn);
	assert_int_equal(host_in(&a, &p), VERDICT_UP);
	packet_parse(&p, &q);
	assert_true(q.csum_ok);
	assert_non_null(q.icmp);
	assert_int_equal(q.icmp->icmp6_type, 1);
	assert_memory_equal(&q.dst, &t.local, 16);
	assert_memory_equal(q.payload + 8, &t.local, 16);
	assert_memory_equal(q.payload + 24, &t.peer, 16);
	assert_int_equal(flow_of(&a, &t.client).state, SF_FLOW_BOUND);
	/* And the agent sees that it has to ask. */
	assert_int_equal(flow_of(&a, &t.client).fail, SF_HOST_UNREACHABLE);
}

/* A soft FAIL is noted until the peer is heard again, at the place that it is about. */
static void soft_fail_is_over_when_the_peer_is_heard(void **state)
{
	struct sf_addr elsewhere = sf_locator(&a.cfg.net, 0x10044, 0);
	struct segment s;
	struct sf_flow f;
	struct talk t;

	talk_start(&t);
	s = talk_from_a(&t, SF_TCP_ACK, 500);
	host_sends(&a, &syn, &s);
	packet_fail(&p, &router, &other_sid, SF_HOST_UNREACHABLE, &syn);
	assert_int_equal(host_in(&a, &p), VERDICT_UP);
	/* What we send ourselves proves nothing. */
	host_sends(&a, &p, &s);
	assert_int_equal(flow_of(&a, &t.client).fail, SF_HOST_UNREACHABLE);
	/* Nor what comes from where the peer was before. */
	f = flow_of(&a, &t.client);
	f.before = f.peer;
	f.flags |= SF_FLOW_MOVED | SF_FLOW_OPEN;
	f.peer = elsewhere;
	sf_locator_set_sock(&f.peer, sf_locator_sock(&f.before));
	host_flow_set(&a, &f);
	s = talk_from_b(&t, SF_TCP_ACK, 100);
	host_sends(&b, &p, &s);
	syn = p;
	assert_int_equal(host_in(&a, &p), VERDICT_UP);
	assert_int_equal(flow_of(&a, &t.client).fail, SF_HOST_UNREACHABLE);
	f.peer = f.before;
	f.flags &= ~(SF_FLOW_MOVED | SF_FLOW_OPEN);
	host_flow_set(&a, &f);
	p = syn;
	assert_int_equal(host_in(&a, &p), VERDICT_UP);
	assert_int_equal(flow_of(&a, &t.client).fail, 0);
	assert_int_equal(flow_of(&a, &t.client).state, SF_FLOW_BOUND);
	/* What is final stays, whatever comes late. */
	assert_int_equal(host_refuse(&a, NULL, &t.client, SF_HOST_UNREACHABLE), SF_REFUSAL_DONE);
	p = syn;
	host_in(&a, &p);
	assert_int_equal(flow_of(&a, &t.client).fail, SF_HOST_UNREACHABLE);
}

/* Data that left before a move is refused after it. The peer's word counts, from where it is now;
 * not from where it was, nor about names that are long gone. */
static void refusal_crosses_a_move(void **state)
{
	struct sf_addr was, before;
	struct segment s;
	struct sf_flow f;
	struct talk t;

	talk_start(&t);
	was = t.client;
	s = talk_from_a(&t, SF_TCP_ACK, 500);
	host_sends(&a, &syn, &s);
	f = flow_of(&a, &t.client);
	before = f.peer;
	f.flags |= SF_FLOW_MOVED | SF_FLOW_OPEN;
	f.formers = 1;
	f.before = before;
	sf_locator_set_sock(&f.peer, sf_locator_sock(&f.peer) + 1);
	f.peer = sf_locator(&a.cfg.net, 0x10044, sf_locator_sock(&f.peer));
	sf_locator_set_sock(&f.own, sf_socket_id(sf_socket_key(sf_locator_sock(&was)),
						 (uint8_t)(sf_locator_sock(&was) + 1)));
	host_flow_set(&a, &f);
	packet_fail(&p, &before, &other_sid, SF_NO_SUCH_SOCKET, &syn);
	assert_int_equal(host_in(&a, &p), DROPPED);
	assert_int_equal(host_count(&a, SF_WRONG_PEER), 1);
	f.flags &= ~SF_FLOW_OPEN;
	f.moved = sf_used_of(1);
	host_flow_set(&a, &f);
	packet_fail(&p, &f.peer, &other_sid, SF_SHED, &syn);
	assert_int_equal(host_in(&a, &p), DROPPED);
	assert_int_equal(host_count(&a, SF_UNKNOWN_SOCKET), 1);
	f.flags |= SF_FLOW_OPEN;
	host_flow_set(&a, &f);
	/* Another host has the peer's address. */
	packet_fail(&p, &f.peer, &other_sid, SF_SHED, &syn);
	assert_int_equal(host_in(&a, &p), DROPPED);
	assert_int_equal(host_count(&a, SF_WRONG_PEER), 2);
	packet_fail(&p, &f.peer, &f.peer_host, SF_SHED, &syn);
	assert_int_equal(host_in(&a, &p), VERDICT_UP);
	assert_int_equal(flow_of(&a, &f.own).state, SF_FLOW_CLOSING);
	assert_int_equal(flow_of(&a, &f.own).fail, SF_SHED);
}

static void agent_ends_a_flow(void **state)
{
	struct sf_addr other;
	struct talk t;

	talk_start(&t);
	other = t.server;
	sf_locator_set_sock(&other, sf_locator_sock(&other) ^ 1);
	assert_int_equal(host_refuse(&b, NULL, &other, SF_SHED), SF_REFUSAL_NONE);
	assert_int_equal(flow_of(&b, &t.server).state, SF_FLOW_BOUND);
	assert_int_equal(host_refuse(&b, NULL, &t.server, SF_SHED), SF_REFUSAL_DONE);
	assert_int_equal(flow_of(&b, &t.server).state, SF_FLOW_CLOSING);
	assert_int_equal(flow_of(&b, &t.server).fail, SF_SHED);
	assert_int_equal(host_count(&b, SF_SHED), 1);
	/* What has no answer yet is left to the next attempt. */
	host_clear(NULL);
	talk_init(&t);
	talk_syn(&t, &p);
	assert_int_equal(host_refuse(&a, NULL, &t.client, SF_SHED), SF_REFUSAL_NONE);
	assert_int_equal(flow_of(&a, &t.client).state, SF_FLOW_CONNECTING);
}

static void fail_for_the_plain_address_goes_up(void **state)
{
	struct sf_tlv_target tlv = { SF_TLV_TARGET, 6, 6, 0, 0, 7 };

	packet_alone(&syn, &a.cfg.own, &service, SF_KIND_PROBE, &service_sid, &user_sid, &tlv,
		     sizeof(tlv), NULL, 0);
	packet_fail(&p, &router, &other_sid, SF_NO_SUCH_SERVICE, &syn);
	fail = p;
	assert_int_equal(host_in(&a, &p), VERDICT_UP);
	assert_int_equal(p.len, fail.len);
	assert_memory_equal(p.b, fail.b, p.len);
}

static void big_packet_is_quoted_in_part(void **state)
{
	struct segment s;
	struct parsed q;
	struct talk t;

	talk_start(&t);
	s = talk_from_a(&t, SF_TCP_ACK, 1400);
	host_sends(&a, &p, &s);
	host_clear(NULL);
	assert_int_equal(host_in(&b, &p), REDIRECTED);
	packet_parse(&p, &q);
	assert_int_equal(q.payload_len, SF_QUOTE_MAX);
	assert_true(q.csum_ok);
}

/* A checksum that a virtual device left for later: the field holds the pseudo-header's sum. */
static void partial_checksum_is_completed_in_the_quotation(void **state)
{
	struct parsed q;
	struct talk t;

	talk_init(&t);
	host_listener(&b, &service, IPPROTO_TCP, PORT, 0);
	talk_syn(&t, &p);
	packet_resolve(&p, &b.cfg.own);
	packet_parse(&p, &q);
	q.tcp->check = sf_csum_fold(sf_csum_addr(&q.src) + sf_csum_addr(&q.dst) + htonl(20) +
				    htonl(IPPROTO_TCP));
	assert_int_equal(host_in(&b, &p), REDIRECTED);
	assert_int_equal(host_in(&a, &p), REDIRECTED);
	packet_parse(&p, &q);
	assert_int_equal(sf_hdr_kind(q.hdr), SF_KIND_SYN);
	assert_true(q.csum_ok);
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(refused_syn_tries_the_next_instance),
		T(repeated_fail_makes_one_attempt),
		T(attempts_end_in_a_refusal),
		T(refused_flows_make_room),
		T(no_such_service_refuses_at_once),
		T(forged_fails_are_ignored),
		T(altered_syn_is_not_turned_round),
		T(truncated_fails_are_counted),
		T(established_flow_is_reset_by_its_peer_alone),
		T(half_open_server_hears_of_its_rival),
		T(soft_fail_is_retried_or_told),
		T(soft_fail_is_over_when_the_peer_is_heard),
		T(refusal_crosses_a_move),
		T(agent_ends_a_flow),
		T(fail_for_the_plain_address_goes_up),
		T(big_packet_is_quoted_in_part),
		T(partial_checksum_is_completed_in_the_quotation),
	};

	if (host_privileged())
		return 77;
	return cmocka_run_group_tests(tests, host_group_setup, host_group_teardown);
}
