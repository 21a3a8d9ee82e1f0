// SPDX-License-Identifier: Apache-2.0
/*
 * service_router_test.c - the router's datapath: packet in, verdict and packet out.
 *
 * The programs run by BPF_PROG_TEST_RUN on maps that the test fills. Skipped (77) where eBPF may
 * not be loaded.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/bpf/router.h"
#include "util/bpf.h"

/* ---- resolution ---- */

static void resolves_one(void **state)
{
	struct wish w = syn(&web);
	struct packet p, before;
	__u64 resolved = counted(skel->maps.traffic, SF_TRAFFIC_RESOLVED);
	struct sf_addr want = instance_of(&web, 0x20001), got;

	build(&before, &w);
	assert_int_equal(send_wish(skel->progs.sf_router_ingress, &w, &p), TC_ACT_UNSPEC);
	got = dst_of(&p);
	assert_memory_equal(&got, &want, 16);
	check_sum(&p);
	assert_int_equal(p.len, before.len);
	assert_memory_equal(p.b, before.b, ETH + 24);
	assert_memory_equal(p.b + ETH + 40, before.b + ETH + 40, p.len - ETH - 40);
	assert_int_equal(counted(skel->maps.traffic, SF_TRAFFIC_RESOLVED), resolved + 1);

	/* the AS is known already, the host is not */
	w.dst = sf_locator(&net, 0, 0);
	got = sf_service_addr(&net, &web);
	sf_csum_neutral(&got, &w.dst);
	assert_int_equal(send_wish(skel->progs.sf_router_ingress, &w, &p), TC_ACT_UNSPEC);
	got = dst_of(&p);
	assert_memory_equal(&got, &want, 16);
	check_sum(&p);
}

/* An exact rule wins over "any"; without either there is none. */
static void key_order(void **state)
{
	struct sf_rule any = { .size = 1, .instances = 1, .only = instance_of(&web, 0x20002) };
	struct sf_service_key key = { .sid = web };
	struct wish w = syn(&web);
	struct packet p;
	struct sf_addr got;

	put_rule(&web, 0, 0, &any);
	assert_int_equal(send_wish(skel->progs.sf_router_ingress, &w, &p), TC_ACT_UNSPEC);
	got = dst_of(&p);
	assert_int_equal(sf_locator_host(&got), 0x20001);
	w.port = 81;
	assert_int_equal(send_wish(skel->progs.sf_router_ingress, &w, &p), TC_ACT_UNSPEC);
	got = dst_of(&p);
	assert_int_equal(sf_locator_host(&got), 0x20002);
	w.port = 80;
	w.proto = SF_NEXTHDR_UDP;
	w.kind = SF_KIND_DATA;
	w.payload = 5;
	assert_int_equal(send_wish(skel->progs.sf_router_ingress, &w, &p), TC_ACT_UNSPEC);
	got = dst_of(&p);
	assert_int_equal(sf_locator_host(&got), 0x20002);
	check_sum(&p);
	delete_rule(&key);
	assert_int_equal(send_wish(skel->progs.sf_router_ingress, &w, &p), TC_ACT_REDIRECT);
}

static __u32 resolved_host(const struct sf_sid *service)
{
	struct wish w = syn(service);
	struct sf_addr got;
	struct packet p;

	assert_int_equal(send_wish(skel->progs.sf_router_ingress, &w, &p), TC_ACT_UNSPEC);
	check_sum(&p);
	got = dst_of(&p);
	return sf_locator_host(&got);
}

static void config_put(void)
{
	__u32 zero = 0;

	assert_int_equal(bpf_map_update_elem(map_fd(skel->maps.config), &zero, &cfg, 0), 0);
}

/* What a line says goes, and the map where no line can be believed. */
static void lines_come_first(void **state)
{
	const struct sf_service_key key = { .sid = web,
					    .port = htons(80),
					    .proto = SF_NEXTHDR_TCP };
	const struct sf_rule one = { .size = 1,
				     .instances = 1,
				     .only = instance_of(&web, 0x20001) };
	const struct sf_rule other = { .size = 1,
				       .instances = 1,
				       .only = instance_of(&web, 0x20009) };
	struct sf_line *line = NULL;

	sf_lines_drop(&front, &key);
	assert_int_equal(resolved_host(&web), 0x20001);
	assert_true(sf_lines_put(&front, &key, &other));
	assert_int_equal(resolved_host(&web), 0x20009);
	for (int i = 0; i < LINES; i++)
		if (sf_line_is(&front.at[i], &key))
			line = &front.at[i];
	assert_non_null(line);
	/* half of a change: no seal fits it */
	line->rule.only.w[1] ^= htonl(1);
	assert_int_equal(resolved_host(&web), 0x20001);
	line->rule.only.w[1] ^= htonl(1);
	assert_int_equal(resolved_host(&web), 0x20009);
	/* another service's line */
	line->key.port ^= htons(1);
	line->seal = sf_line_seal(line);
	assert_int_equal(resolved_host(&web), 0x20001);
	line->key.port ^= htons(1);
	line->seal = sf_line_seal(line);
	assert_int_equal(resolved_host(&web), 0x20009);
	/* no front */
	cfg.lines = 0;
	config_put();
	assert_int_equal(resolved_host(&web), 0x20001);
	cfg.lines = LINES - 1;
	config_put();
	put_rule(&web, SF_NEXTHDR_TCP, 80, &one);
	assert_int_equal(resolved_host(&web), 0x20001);
}

/* Every socketID and attempt: as the native choice of core, which is the specification. */
static void choice_is_cores(void **state)
{
	const struct sf_rule rule = { .at = 7, .size = SLOTS, .instances = VARIANTS };
	__u32 hits[VARIANTS] = { 0 };
	struct wish w = syn(&many);
	struct packet p;

	for (int i = 0; i < 500; i++) {
		__u32 seen = 0;

		w.src = sf_locator(&net, HOST, 0x111100000000ull + i * 7919);
		for (w.aux = 0; w.aux <= SF_ATTEMPT_MAX; w.aux++) {
			struct sf_addr want, got;

			assert_int_equal(
				sf_resolve(&cfg.key, &rule, table, &w.src, w.aux, 0, &want), 0);
			assert_int_equal(send_wish(skel->progs.sf_router_ingress, &w, &p),
					 TC_ACT_UNSPEC);
			got = dst_of(&p);
			assert_memory_equal(&got, &want, 16);
			check_sum(&p);
			seen |= 1u << (sf_locator_host(&got) - 0x30001);
			hits[sf_locator_host(&got) - 0x30001] += !w.aux;
		}
		assert_int_equal(seen, (1u << VARIANTS) - 1); /* five attempts, five instances */
	}
	for (int i = 0; i < VARIANTS; i++)
		assert_in_range(hits[i], 60, 140);
}

/* Datagrams spread by nonce, unless the service is sticky. */
static void nonce_spreads(void **state)
{
	struct sf_rule rule = { .at = 7, .size = SLOTS, .instances = VARIANTS };
	struct wish w = syn(&many);
	struct packet p;

	w.kind = SF_KIND_DATA;
	w.proto = SF_NEXTHDR_UDP;
	for (int sticky = 0; sticky < 2; sticky++) {
		__u32 seen = 0;

		rule.flags = sticky ? SF_RULE_STICKY : 0;
		put_rule(&many, 0, 0, &rule);
		for (w.aux = 0; w.aux < 200; w.aux++) {
			struct sf_addr got;

			assert_int_equal(send_wish(skel->progs.sf_router_ingress, &w, &p),
					 TC_ACT_UNSPEC);
			got = dst_of(&p);
			seen |= 1u << (sf_locator_host(&got) - 0x30001);
		}
		assert_int_equal(__builtin_popcount(seen), sticky ? 1 : VARIANTS);
	}
	rule.flags = 0;
	put_rule(&many, 0, 0, &rule);
}

static void build_probe(struct packet *p, __u8 proto, __u16 port)
{
	struct sf_addr src = sf_locator(&net, HOST, 0x123456789abc);
	struct sf_addr dst = sf_service_addr(&net, &web);

	build_probe_to(p, &src, &dst, proto, port);
}

/* A PROBE is resolved by its target; its own checksum survives. */
static void probe_by_target(void **state)
{
	struct sf_packet got;
	struct packet p;
	__u8 reason;

	build_probe(&p, SF_NEXTHDR_TCP, 80);
	assert_int_equal(run(skel->progs.sf_router_ingress, &p), TC_ACT_UNSPEC);
	assert_int_equal(sf_packet_decode(p.b + ETH, p.len - ETH, &got, &reason), 0);
	assert_int_equal(sf_locator_host(&got.dst), 0x20001);
	build_probe(&p, SF_NEXTHDR_TCP, 81);
	assert_int_equal(run(skel->progs.sf_router_ingress, &p), TC_ACT_REDIRECT);
}

/* A fragment of a datagram, not the first: its header says whose it is. */
static void fragment_by_target(void **state)
{
	static const __u8 kinds[] = { SF_KIND_DATA, SF_KIND_SYN };
	struct sf_tlv_target target = { SF_TLV_TARGET, 6, SF_NEXTHDR_TCP, 0, htons(80), 0 };
	struct wish w = syn(&web);
	struct sf_addr to;
	struct packet p;
	struct sf_hdr *h;
	__u8 *at;

	for (size_t i = 0; i < sizeof(kinds); i++) {
		w.kind = kinds[i];
		w.payload = 100;
		build(&p, &w);
		at = p.b + ETH + SF_IPV6_LEN + SF_HDR_LEN;
		memcpy(at, &target, sizeof(target));
		memset(at + sizeof(target), 0xff, 8); /* where ports would be */
		h = (void *)(at - SF_HDR_LEN);
		sf_hdr_init(h, SF_NEXTHDR_FRAG, SF_PROBE_LEN, kinds[i], 0, i ? 0 : 7, &w.dst_sid,
			    &w.src_sid);
		assert_int_equal(run(skel->progs.sf_router_ingress, &p), TC_ACT_UNSPEC);
		to = dst_of(&p);
		assert_int_equal(sf_locator_host(&to), 0x20001);
	}
}

/* ---- refusals ---- */

static void unknown_service_fails(void **state)
{
	__u64 none = counted(skel->maps.counters, SF_NO_SUCH_SERVICE);
	__u64 empty = counted(skel->maps.counters, SF_NO_INSTANCE);
	__u64 sent = counted(skel->maps.traffic, SF_TRAFFIC_FAIL_SENT);
	struct wish w = syn(&other_sid);
	struct packet p, before;

	build(&before, &w);
	assert_int_equal(send_wish(skel->progs.sf_router_ingress, &w, &p), TC_ACT_REDIRECT);
	check_fail(&p, &before, SF_NO_SUCH_SERVICE, SF_KIND_SYN);
	assert_int_equal(counted(skel->maps.counters, SF_NO_SUCH_SERVICE), none + 1);

	w = syn(&drained);
	build(&before, &w);
	assert_int_equal(send_wish(skel->progs.sf_router_ingress, &w, &p), TC_ACT_REDIRECT);
	check_fail(&p, &before, SF_NO_SUCH_SERVICE, SF_KIND_SYN);
	assert_int_equal(counted(skel->maps.counters, SF_NO_INSTANCE), empty + 1);
	assert_int_equal(counted(skel->maps.traffic, SF_TRAFFIC_FAIL_SENT), sent + 2);

	/* odd and long ones: quoted up to the limit */
	for (__u32 payload = 1; payload < 1200; payload = payload * 3 + 1) {
		w = syn(&other_sid);
		w.kind = SF_KIND_DATA;
		w.proto = SF_NEXTHDR_UDP;
		w.payload = payload;
		build(&before, &w);
		assert_int_equal(send_wish(skel->progs.sf_router_ingress, &w, &p), TC_ACT_REDIRECT);
		check_fail(&p, &before, SF_NO_SUCH_SERVICE, SF_KIND_DATA);
	}
}

static void refused(struct packet *p, __u8 reason)
{
	__u64 before = counted(skel->maps.counters, reason);

	assert_int_equal(run(skel->progs.sf_router_ingress, p), TC_ACT_SHOT);
	assert_int_equal(counted(skel->maps.counters, reason), before + 1);
}

/* Malformed packets to a service are dropped, each under its name. */
static void malformed_is_named(void **state)
{
	struct wish w = syn(&web);
	struct packet p;
	struct sf_hdr *h = (struct sf_hdr *)(p.b + ETH + 40);

	w.bare = true;
	build(&p, &w);
	refused(&p, SF_NO_HEADER);
	w.bare = false;
	build(&p, &w);
	h->opt_type = 0x05; /* router alert: not ours */
	refused(&p, SF_NO_HEADER);
	build(&p, &w);
	h->vers_kind = 2 << 4 | SF_KIND_SYN;
	refused(&p, SF_BAD_VERSION);
	build(&p, &w);
	h->vers_kind = 1 << 4 | 15;
	refused(&p, SF_BAD_KIND);
	build(&p, &w);
	h->vers_kind = 1 << 4 | SF_KIND_SYN_ACK;
	refused(&p, SF_BAD_KIND);
	build(&p, &w);
	h->vers_kind = 1 << 4 | SF_KIND_PROBE; /* with a transport packet behind it */
	refused(&p, SF_BAD_KIND);
	build(&p, &w);
	h->opt_len = 20;
	refused(&p, SF_BAD_HEADER);
	build(&p, &w);
	h->len8 = 255;
	h->opt_len = 252;
	refused(&p, SF_BAD_HEADER);
	build(&p, &w);
	h->len8 = 31;
	h->opt_len = 252;
	refused(&p, SF_TRUNCATED);
	build(&p, &w);
	p.len = ETH + 40 + 32 + 3; /* ends inside the ports */
	refused(&p, SF_TRUNCATED);
	build(&p, &w);
	p.len = ETH + 40 + 31;
	refused(&p, SF_TRUNCATED);
	build(&p, &w);
	h->nexthdr = SF_NEXTHDR_ICMPV6;
	refused(&p, SF_BAD_PROTOCOL);
	build(&p, &w);
	h->dst = many; /* another service than the address says */
	refused(&p, SF_BAD_HEADER);
}

/* Who is no SCAFFOLD host did not ask: a FAIL would hit a bystander. */
static void fails_go_to_locators_only(void **state)
{
	struct wish w = syn(&other_sid);
	struct packet p;

	assert_int_equal(send_wish(skel->progs.sf_router_ingress, &w, &p), TC_ACT_REDIRECT);
	w.src = sf_locator(&net, HOST, 1); /* a plain address sends no SYN */
	assert_int_equal(send_wish(skel->progs.sf_router_ingress, &w, &p), TC_ACT_SHOT);
	memset(&w.src, 0x20, 16);
	assert_int_equal(send_wish(skel->progs.sf_router_ingress, &w, &p), TC_ACT_SHOT);
}

static uint64_t second_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec;
}

/* FAILs have a budget; beyond it packets are dropped and counted. */
static void fails_are_limited(void **state)
{
	uint64_t spent[2] = { 0, SF_FAIL_PER_SEC - 1 };
	struct wish w = syn(&other_sid);
	int first, second;
	struct packet p;
	__u64 limited;

	do { /* within one second, of which one answer is left */
		limited = counted(skel->maps.counters, SF_RATE_LIMITED_SYN);
		spent[0] = second_now();
		for (uint32_t i = 0; i < bpf_map__max_entries(skel->maps.budgets); i++)
			bpf_map_update_elem(map_fd(skel->maps.budgets), &i, spent, BPF_ANY);
		first = send_wish(skel->progs.sf_router_ingress, &w, &p);
		second = send_wish(skel->progs.sf_router_ingress, &w, &p);
	} while (second_now() != spent[0]);
	assert_int_equal(first, TC_ACT_REDIRECT);
	assert_int_equal(second, TC_ACT_SHOT);
	assert_int_equal(counted(skel->maps.counters, SF_RATE_LIMITED_SYN), limited + 1);
}

/* ---- what is not ours ---- */

static void passes_untouched(struct bpf_program *prog, struct packet *p)
{
	struct packet before = *p;

	assert_int_equal(run(prog, p), TC_ACT_UNSPEC);
	assert_int_equal(p->len, before.len);
	assert_memory_equal(p->b, before.b, p->len);
}

static void others_pass(void **state)
{
	struct bpf_program *progs[] = { skel->progs.sf_router_ingress,
					skel->progs.sf_access_ingress };
	struct wish w = syn(&web);
	struct sf_net foreign = sf_net_default(2);
	struct packet p;

	for (int i = 0; i < 2; i++) {
		w = syn(&web);
		w.bare = true;
		w.dst = sf_locator(&net, 0x20001, 0xabcdef012345); /* bound */
		build(&p, &w);
		passes_untouched(progs[i], &p);
		w.dst = sf_locator(&foreign, 0, 0); /* another AS resolves it */
		w.bare = false;
		build(&p, &w);
		passes_untouched(progs[i], &p);
		memset(&w.src, 0x20, 16); /* ordinary IPv6 */
		memset(&w.dst, 0x20, 16);
		w.bare = true;
		build(&p, &w);
		passes_untouched(progs[i], &p);
		w.src.w[0] = htonl(0xfe800000); /* link-local */
		build(&p, &w);
		passes_untouched(progs[i], &p);
		build(&p, &w);
		p.b[12] = 0x08; /* IPv4 */
		p.b[13] = 0x00;
		passes_untouched(progs[i], &p);
	}
}

static void role_off_passes(void **state)
{
	struct sf_router_config access_only = cfg;
	struct wish w = syn(&web);
	struct packet p;
	__u32 zero = 0;

	access_only.roles = SF_ROLE_ACCESS;
	bpf_map_update_elem(map_fd(skel->maps.config), &zero, &access_only, 0);
	build(&p, &w);
	passes_untouched(skel->progs.sf_router_ingress, &p);
	bpf_map_update_elem(map_fd(skel->maps.config), &zero, &cfg, 0);
}

/* ---- XDP ---- */

static void xdp_agrees(void **state)
{
	struct sf_addr want, got;
	struct packet p, before;
	struct wish w;

	for (int i = 0; i < 100; i++) {
		w = syn(&many);
		w.src = sf_locator(&net, HOST, 0x222200000000ull + i * 104729);
		w.aux = i % 5;
		assert_int_equal(send_wish(skel->progs.sf_router_ingress, &w, &p), TC_ACT_UNSPEC);
		want = dst_of(&p);
		assert_int_equal(send_wish(skel->progs.sf_router_xdp, &w, &p), XDP_PASS);
		got = dst_of(&p);
		assert_memory_equal(&got, &want, 16);
		check_sum(&p);
	}
	/* what it cannot resolve is left to tc, untouched */
	w = syn(&other_sid);
	build(&before, &w);
	p = before;
	assert_int_equal(run(skel->progs.sf_router_xdp, &p), XDP_PASS);
	assert_memory_equal(p.b, before.b, before.len);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(resolves_one),
		cmocka_unit_test(key_order),
		cmocka_unit_test(lines_come_first),
		cmocka_unit_test(choice_is_cores),
		cmocka_unit_test(nonce_spreads),
		cmocka_unit_test(probe_by_target),
		cmocka_unit_test(unknown_service_fails),
		cmocka_unit_test(malformed_is_named),
		cmocka_unit_test(others_pass),
		cmocka_unit_test(role_off_passes),
		cmocka_unit_test(xdp_agrees),
		cmocka_unit_test(fails_go_to_locators_only),
		cmocka_unit_test(fails_are_limited),
		cmocka_unit_test(fragment_by_target),
	};

	return cmocka_run_group_tests(tests, router_setup, router_teardown);
}
