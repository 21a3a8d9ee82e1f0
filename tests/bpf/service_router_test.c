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

#include "bpf/service_router.skel.h"
#include "core/ctrl.h"
#include "core/datapath.h"
#include "core/wire.h"
#include "util/bpf.h"

#define ETH	 14
#define IFINDEX	 1 /* lo: a test run's packet must come from a device that is there */
#define HOST	 0x00010007u
#define OTHER	 0x00010008u
#define VARIANTS 5 /* instances of the service with slots */
#define SLOTS	 101

static struct service_router_bpf *skel;
static struct sf_net net;
static struct sf_router_config cfg;
static const struct sf_sid web = { .w = { 0x01000000, 0x11223344, 0x55667788 } };
static const struct sf_sid many = { .w = { 0x01000000, 0x99aabbcc, 0xddeeff00 } };
static const struct sf_sid drained = { .w = { 0x01000000, 0x01010101, 0x02020202 } };
static const struct sf_sid client = { .w = { 0x00000080, 0xcafecafe, 0xbeefbeef } };
static const struct sf_sid other_sid = { .w = { 0x01000000, 0x77777777, 0x77777777 } };
static struct sf_addr table[SLOTS + VARIANTS];

/* A packet under construction or as it came out. */
struct packet {
	__u8 b[2048];
	__u32 len;
};

/* What a packet is made of; see syn() for the usual one. */
struct wish {
	struct sf_addr src, dst;
	struct sf_sid src_sid, dst_sid;
	__u8 kind, proto;
	__u16 aux;
	__u16 port;
	__u32 payload;
	bool bare; /* no SCAFFOLD header */
};

static int map_fd(struct bpf_map *map)
{
	return bpf_map__fd(map);
}

static __u64 counted(struct bpf_map *map, __u32 index)
{
	uint64_t sums[2];

	assert_int_equal(sf_bpf_percpu_sum(map_fd(map), &index, sums, 2), 0);
	return sums[0];
}

/* An Ethernet frame as a host's uplink would send it; the transport checksum is complete. */
static void build(struct packet *p, const struct wish *w)
{
	static const __u8 eth[ETH] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd };
	__u32 header = w->bare ? 0 : SF_HDR_LEN, transport = w->proto == SF_NEXTHDR_TCP ? 20 : 8;
	__u8 *ip = p->b + ETH, *th = ip + SF_IPV6_LEN + header;
	__u16 len = header + transport + w->payload, sum;
	__u32 room = transport + w->payload;

	memset(p, 0, sizeof(*p));
	memcpy(p->b, eth, ETH);
	ip[0] = 0x60;
	ip[4] = len >> 8;
	ip[5] = len;
	ip[6] = w->bare ? w->proto : SF_NEXTHDR_DSTOPTS;
	ip[7] = 60;
	memcpy(ip + 8, &w->src, 16);
	memcpy(ip + 24, &w->dst, 16);
	if (!w->bare)
		sf_hdr_init((struct sf_hdr *)(ip + SF_IPV6_LEN), w->proto, SF_HDR_LEN, w->kind, 0,
			    w->aux, &w->dst_sid, &w->src_sid);
	th[0] = 0xc0;
	th[1] = 0x01;
	th[2] = w->port >> 8;
	th[3] = w->port;
	if (w->proto == SF_NEXTHDR_TCP) {
		th[12] = 0x50;
		th[13] = 0x02;
	} else {
		th[4] = room >> 8;
		th[5] = room;
	}
	for (__u32 i = 0; i < w->payload; i++)
		th[transport + i] = 'a' + i % 26;
	sum = ~sf_csum_fold(sf_csum_addr(&w->src) + sf_csum_addr(&w->dst) + htonl(room) +
			    htonl(w->proto) + sf_csum_bytes(th, room));
	memcpy(th + (w->proto == SF_NEXTHDR_TCP ? 16 : 6), &sum, 2);
	p->len = ETH + SF_IPV6_LEN + len;
}

/* A SYN of HOST to port 80 of a service. */
static struct wish syn(const struct sf_sid *service)
{
	struct wish w = { .src = sf_locator(&net, HOST, 0x123456789abc),
			  .dst = sf_service_addr(&net, service),
			  .src_sid = client,
			  .dst_sid = *service,
			  .kind = SF_KIND_SYN,
			  .proto = SF_NEXTHDR_TCP,
			  .port = 80 };

	return w;
}

/* Runs a program; @p becomes what comes out. */
static int run(struct bpf_program *prog, struct packet *p)
{
	struct packet out = { .len = sizeof(out.b) };
	struct __sk_buff ctx = { .ifindex = IFINDEX };
	struct sf_bpf_run r = { .data = p->b,
				.data_len = p->len,
				.out = out.b,
				.out_len = sizeof(out.b),
				.ctx = &ctx,
				.ctx_len = sizeof(ctx) };

	if (bpf_program__type(prog) == BPF_PROG_TYPE_XDP)
		r.ctx = NULL, r.ctx_len = 0;
	assert_int_equal(sf_bpf_prog_run(bpf_program__fd(prog), &r), 0);
	out.len = r.out_len;
	*p = out;
	return (int)r.retval;
}

static int send_wish(struct bpf_program *prog, const struct wish *w, struct packet *p)
{
	build(p, w);
	return run(prog, p);
}

static struct sf_addr dst_of(const struct packet *p)
{
	struct sf_addr a;

	memcpy(&a, p->b + ETH + 24, 16);
	return a;
}

/* The transport checksum of a packet with or without SCAFFOLD header is right. */
static void check_sum(const struct packet *p)
{
	const __u8 *ip = p->b + ETH;
	__u32 header = ip[6] == SF_NEXTHDR_DSTOPTS ? (ip[41] + 1) * 8 : 0;
	__u8 proto = header ? ip[40] : ip[6];
	__u32 room = p->len - ETH - SF_IPV6_LEN - header;
	__u64 sum = sf_csum_bytes(ip + 8, 32) + htonl(room) + htonl(proto) +
		    sf_csum_bytes(ip + SF_IPV6_LEN + header, room);

	assert_int_equal(sf_csum_fold(sum), 0xffff);
}

static void put_rule(const struct sf_sid *sid, __u8 proto, __u16 port, const struct sf_rule *rule)
{
	struct sf_service_key key = { .sid = *sid, .port = htons(port), .proto = proto };

	assert_int_equal(bpf_map_update_elem(map_fd(skel->maps.rules), &key, rule, BPF_ANY), 0);
}

static struct sf_addr instance_of(const struct sf_sid *sid, __u32 host)
{
	struct sf_addr service = sf_service_addr(&net, sid), a = sf_locator(&net, host, 0);

	sf_csum_neutral(&service, &a);
	return a;
}

static void fill_maps(void)
{
	struct sf_rule one = { .size = 1, .instances = 1, .only = instance_of(&web, 0x20001) };
	struct sf_rule table_rule = { .at = 7, .size = SLOTS, .instances = VARIANTS };
	struct sf_rule none = { 0 };
	struct sf_link link = { .host = HOST };
	struct sf_presence here = { .ifindex = IFINDEX, .identity = client };
	struct sf_source_key source = { .host = HOST, .sid = web };
	__u32 zero = 0, ifindex = IFINDEX, host = HOST;
	__u8 yes = 1;

	net = sf_net_default(1);
	cfg = (struct sf_router_config){ .net = net,
					 .roles = SF_ROLE_ACCESS | SF_ROLE_SERVICE,
					 .own = sf_locator(&net, 0x10000, 1),
					 .id = { .w = { 0x00000080, 0x0d0d0d0d, 0x0e0e0e0e } },
					 .key = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 } };
	one.only = instance_of(&web, 0x20001);
	assert_int_equal(bpf_map_update_elem(map_fd(skel->maps.config), &zero, &cfg, 0), 0);
	put_rule(&web, SF_NEXTHDR_TCP, 80, &one);
	put_rule(&many, 0, 0, &table_rule);
	put_rule(&drained, 0, 0, &none);
	for (__u32 i = 0; i < SLOTS + VARIANTS; i++) {
		__u32 at = table_rule.at + i, who = i < SLOTS ? i % VARIANTS : i - SLOTS;

		table[i] = instance_of(&many, 0x30001 + who);
		assert_int_equal(bpf_map_update_elem(map_fd(skel->maps.slots), &at, &table[i], 0),
				 0);
	}
	bpf_map_update_elem(map_fd(skel->maps.links), &ifindex, &link, 0);
	bpf_map_update_elem(map_fd(skel->maps.present), &host, &here, 0);
	bpf_map_update_elem(map_fd(skel->maps.sources), &source, &yes, 0);
}

static int setup(void **state)
{
	char err[512];

	sf_bpf_quiet();
	skel = service_router_bpf__open();
	assert_non_null(skel);
	if (sf_bpf_skeleton_load(skel->skeleton, err, sizeof(err))) {
		printf("SKIP: eBPF programs cannot be loaded here: %s\n", err);
		exit(77);
	}
	fill_maps();
	return 0;
}

static int teardown(void **state)
{
	service_router_bpf__destroy(skel);
	return 0;
}

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
	bpf_map_delete_elem(map_fd(skel->maps.rules), &key);
	assert_int_equal(send_wish(skel->progs.sf_router_ingress, &w, &p), TC_ACT_REDIRECT);
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

static void build_probe_to(struct packet *p, const struct sf_addr *src, const struct sf_addr *dst,
			   __u8 proto, __u16 port)
{
	struct sf_tlv_target t = { .type = SF_TLV_TARGET,
				   .len = 6,
				   .proto = proto,
				   .port = htons(port),
				   .ident = htons(9) };
	int len;

	memset(p, 0, sizeof(*p));
	p->b[12] = 0x86;
	p->b[13] = 0xdd;
	len = sf_alone_encode(p->b + ETH, sizeof(p->b) - ETH, src, dst, 60, SF_KIND_PROBE, 0, &web,
			      &client, &t, sizeof(t), NULL, 0);
	assert_true(len > 0);
	p->len = ETH + len;
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
	struct sf_tlv_target target = { SF_TLV_TARGET, 6, SF_NEXTHDR_TCP, 0, htons(80), 0 };
	struct wish w = syn(&web);
	struct sf_addr to;
	struct packet p;
	struct sf_hdr *h;
	__u8 *at;

	w.kind = SF_KIND_DATA;
	w.payload = 100;
	build(&p, &w);
	at = p.b + ETH + SF_IPV6_LEN + SF_HDR_LEN;
	memcpy(at, &target, sizeof(target));
	memset(at + sizeof(target), 0xff, 8); /* where ports would be */
	h = (void *)(at - SF_HDR_LEN);
	sf_hdr_init(h, SF_NEXTHDR_FRAG, SF_PROBE_LEN, SF_KIND_DATA, 0, 7, &w.dst_sid, &w.src_sid);
	assert_int_equal(run(skel->progs.sf_router_ingress, &p), TC_ACT_UNSPEC);
	to = dst_of(&p);
	assert_int_equal(sf_locator_host(&to), 0x20001);
}

/* ---- refusals ---- */

/* A FAIL comes out: to the source, its checksum right, the packet quoted as it was. */
static void check_fail(const struct packet *p, const struct packet *was, __u8 reason, __u8 kind)
{
	struct sf_tlv_reason why;
	struct sf_packet got;
	__u32 quoted = was->len - ETH;
	const __u8 *value;
	__u8 bad = 0;

	if (quoted > SF_QUOTE_MAX)
		quoted = SF_QUOTE_MAX;
	assert_int_equal(sf_packet_decode(p->b + ETH, p->len - ETH, &got, &bad), 0);
	assert_int_equal(sf_hdr_kind(&got.hdr), SF_KIND_FAIL);
	assert_memory_equal(&got.src, &cfg.own, 16);
	assert_memory_equal(&got.dst, was->b + ETH + 8, 16);
	assert_memory_equal(&got.hdr.src, &cfg.id, 12);
	if (kind != SF_KIND_NONE)
		assert_memory_equal(&got.hdr.dst, was->b + ETH + 60, 12);
	assert_int_equal(got.hop_limit, 64);
	assert_int_equal(sf_tlv_find(got.tlvs, got.tlvs_len, SF_TLV_REASON, &value), 6);
	memcpy(&why, value - 2, sizeof(why));
	assert_int_equal(why.reason, reason);
	assert_int_equal(why.kind, kind);
	assert_int_equal(ntohs(why.quoted), quoted);
	assert_int_equal(got.rest_len, quoted);
	assert_memory_equal(got.rest, was->b + ETH, quoted);
	assert_memory_equal(p->b, was->b + 6, 6);
	assert_memory_equal(p->b + 6, was->b, 6);
}

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

/* ---- access filter ---- */

static void spoof(const struct wish *w, __u8 reason)
{
	__u64 before = counted(skel->maps.counters, reason);
	struct packet p;
	int verdict = send_wish(skel->progs.sf_access_ingress, w, &p);

	assert_int_equal(verdict, TC_ACT_SHOT);
	assert_int_equal(counted(skel->maps.counters, reason), before + 1);
}

static void access_filter(void **state)
{
	struct sf_net foreign = sf_net_default(2);
	struct sf_link shared = { 0 };
	__u32 ifindex = IFINDEX;
	struct wish w;
	struct packet p;

	for (int many_hosts = 0; many_hosts < 2; many_hosts++) {
		w = syn(&web);
		assert_int_equal(send_wish(skel->progs.sf_access_ingress, &w, &p), TC_ACT_UNSPEC);
		w.src_sid = web; /* registered by this host */
		assert_int_equal(send_wish(skel->progs.sf_access_ingress, &w, &p), TC_ACT_UNSPEC);
		memset(&w.src_sid, 0, sizeof(w.src_sid));
		assert_int_equal(send_wish(skel->progs.sf_access_ingress, &w, &p), TC_ACT_UNSPEC);
		w.src_sid = other_sid;
		spoof(&w, SF_SPOOFED_SERVICE);
		w.dst = sf_locator(&net, 0x20001, 5); /* also when it was resolved elsewhere */
		w.kind = SF_KIND_DATA;
		spoof(&w, SF_SPOOFED_SERVICE);
		w = syn(&web);
		w.src = sf_locator(&net, OTHER, 0x123456789abc);
		spoof(&w, SF_SPOOFED_LOCATOR);
		w.bare = true;
		w.dst = sf_locator(&net, 0x20001, 0xabcdef012345);
		spoof(&w, SF_SPOOFED_LOCATOR);
		w.src = sf_locator(&net, 0x10000, 1); /* the router itself */
		spoof(&w, SF_SPOOFED_LOCATOR);
		w.src = sf_locator(&foreign, HOST, 0x123456789abc);
		spoof(&w, SF_SPOOFED_LOCATOR);
		w.src = sf_service_addr(&net, &web);
		spoof(&w, SF_SPOOFED_LOCATOR);
		w = syn(&web);
		memset(&w.src, 0x20, 16); /* no locator may ask for resolution */
		spoof(&w, SF_SPOOFED_LOCATOR);
		/* then with a link that many hosts share */
		bpf_map_update_elem(map_fd(skel->maps.links), &ifindex, &shared, 0);
	}
	/* no hosts there: a link between routers */
	bpf_map_delete_elem(map_fd(skel->maps.links), &ifindex);
	w = syn(&web);
	w.src = sf_locator(&net, OTHER, 0x123456789abc);
	assert_int_equal(send_wish(skel->progs.sf_access_ingress, &w, &p), TC_ACT_UNSPEC);
	shared.host = HOST;
	bpf_map_update_elem(map_fd(skel->maps.links), &ifindex, &shared, 0);
}

/* Where hosts share a link, each speaks from its own link address. */
static void neighbours(void **state)
{
	struct sf_presence here = { .ifindex = IFINDEX, .identity = client };
	const struct sf_link alone = { .host = HOST }, shared = { 0 };
	static const __u8 eth[6] = { 2, 0, 0, 0, 0, 2 }; /* build()'s */
	struct bpf_program *access = skel->progs.sf_access_ingress;
	__u32 ifindex = IFINDEX, host = HOST;
	struct wish w = syn(&web), bound = syn(&web);
	struct packet p;

	bound.bare = true;
	bound.dst = sf_locator(&net, 0x20001, 0xabcdef012345);
	bpf_map_update_elem(map_fd(skel->maps.links), &ifindex, &shared, 0);
	assert_int_equal(send_wish(access, &w, &p), TC_ACT_UNSPEC); /* not known yet */
	memcpy(here.from.mac, eth, 6);
	bpf_map_update_elem(map_fd(skel->maps.present), &host, &here, 0);
	assert_int_equal(send_wish(access, &w, &p), TC_ACT_UNSPEC);
	assert_int_equal(send_wish(access, &bound, &p), TC_ACT_UNSPEC);
	for (int i = 0; i < 6; i++) {
		memcpy(here.from.mac, eth, 6);
		here.from.mac[i] ^= 0x40;
		bpf_map_update_elem(map_fd(skel->maps.present), &host, &here, 0);
		spoof(&w, SF_SPOOFED_MAC);
		spoof(&bound, SF_SPOOFED_MAC);
	}
	/* alone on its link it may change it, and pays nothing for the question */
	bpf_map_update_elem(map_fd(skel->maps.links), &ifindex, &alone, 0);
	assert_int_equal(send_wish(access, &w, &p), TC_ACT_UNSPEC);
	memset(&here.from, 0, sizeof(here.from));
	bpf_map_update_elem(map_fd(skel->maps.present), &host, &here, 0);
}

/* ---- absent hosts ---- */

static void absent_hosts(void **state)
{
	struct wish w = syn(&web);
	struct packet p, before;
	__u64 absent;

	sleep(2); /* past the budget that another test used up */
	absent = counted(skel->maps.counters, SF_ABSENT_HOST);
	w.dst = sf_locator(&net, OTHER, 0x123456789abc);
	w.bare = true;
	w.payload = 900;
	build(&before, &w);
	assert_int_equal(send_wish(skel->progs.sf_absent_egress, &w, &p), TC_ACT_REDIRECT);
	check_fail(&p, &before, SF_HOST_UNREACHABLE, SF_KIND_NONE);
	w = syn(&web);
	w.dst = sf_locator(&net, OTHER, 5);
	build(&before, &w);
	assert_int_equal(send_wish(skel->progs.sf_absent_egress, &w, &p), TC_ACT_REDIRECT);
	check_fail(&p, &before, SF_HOST_UNREACHABLE, SF_KIND_SYN);
	assert_int_equal(counted(skel->maps.counters, SF_ABSENT_HOST), absent + 2);

	/* a FAIL, and whoever has no socket, draw none */
	assert_int_equal(run(skel->progs.sf_absent_egress, &p), TC_ACT_SHOT);
	w.kind = SF_KIND_SYN_ACK;
	assert_int_equal(send_wish(skel->progs.sf_absent_egress, &w, &p), TC_ACT_SHOT);
	w = syn(&web);
	w.bare = true;
	w.dst = sf_locator(&net, OTHER, 1); /* its plain address */
	assert_int_equal(send_wish(skel->progs.sf_absent_egress, &w, &p), TC_ACT_SHOT);
	w.dst = sf_locator(&net, OTHER, 0x123456789abc);
	w.src = sf_locator(&net, HOST, 1);
	assert_int_equal(send_wish(skel->progs.sf_absent_egress, &w, &p), TC_ACT_SHOT);
	w = syn(&web);
	w.dst = sf_locator(&net, OTHER, 5);
	w.src = sf_locator(&net, HOST, 1);
	assert_int_equal(send_wish(skel->progs.sf_absent_egress, &w, &p), TC_ACT_SHOT);
	assert_int_equal(counted(skel->maps.counters, SF_ABSENT_HOST), absent + 7);

	/* but a PROBE does: it comes from a plain address */
	build_probe_to(&p, &w.src, &w.dst, SF_NEXTHDR_TCP, 80);
	before = p;
	assert_int_equal(run(skel->progs.sf_absent_egress, &p), TC_ACT_REDIRECT);
	check_fail(&p, &before, SF_HOST_UNREACHABLE, SF_KIND_PROBE);
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

/* On an access link the filter comes first: what it will drop at tc goes there as it came. */
static void xdp_is_filtered(void **state)
{
	struct bpf_program *access = skel->progs.sf_access_xdp;
	struct packet p, before;
	struct wish w = syn(&web);
	struct sf_addr want = instance_of(&web, 0x20001), got;

	assert_int_equal(send_wish(access, &w, &p), XDP_PASS);
	got = dst_of(&p);
	assert_memory_equal(&got, &want, 16);
	for (int i = 0; i < 3; i++) {
		w = syn(&web);
		if (i == 0)
			w.src = sf_locator(&net, OTHER, 0x123456789abc);
		else if (i == 1)
			w.src_sid = other_sid;
		else
			memset(&w.src, 0x20, 16);
		build(&before, &w);
		p = before;
		assert_int_equal(run(access, &p), XDP_PASS);
		assert_memory_equal(p.b, before.b, before.len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(resolves_one),	      cmocka_unit_test(key_order),
		cmocka_unit_test(choice_is_cores),    cmocka_unit_test(nonce_spreads),
		cmocka_unit_test(probe_by_target),    cmocka_unit_test(unknown_service_fails),
		cmocka_unit_test(malformed_is_named), cmocka_unit_test(others_pass),
		cmocka_unit_test(role_off_passes),    cmocka_unit_test(access_filter),
		cmocka_unit_test(neighbours),	      cmocka_unit_test(xdp_is_filtered),
		cmocka_unit_test(xdp_agrees),	      cmocka_unit_test(fails_go_to_locators_only),
		cmocka_unit_test(fails_are_limited),  cmocka_unit_test(absent_hosts),
		cmocka_unit_test(fragment_by_target),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
