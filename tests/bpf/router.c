// SPDX-License-Identifier: Apache-2.0
/* router.c - see router.h. */
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
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/bpf/router.h"
#include "util/bpf.h"

struct service_router_bpf *skel;
struct sf_net net;
struct sf_router_config cfg;
const struct sf_sid web = { .w = { 0x01000000, 0x11223344, 0x55667788 } };
const struct sf_sid many = { .w = { 0x01000000, 0x99aabbcc, 0xddeeff00 } };
const struct sf_sid drained = { .w = { 0x01000000, 0x01010101, 0x02020202 } };
const struct sf_sid client = { .w = { 0x00000080, 0xcafecafe, 0xbeefbeef } };
const struct sf_sid other_sid = { .w = { 0x01000000, 0x77777777, 0x77777777 } };
struct sf_addr table[SLOTS + VARIANTS];
struct sf_lines front;

int map_fd(struct bpf_map *map)
{
	return bpf_map__fd(map);
}

__u64 counted(struct bpf_map *map, __u32 index)
{
	uint64_t sums[2];

	assert_int_equal(sf_bpf_percpu_sum(map_fd(map), &index, sums, 2), 0);
	return sums[0];
}

/* An Ethernet frame as a host's uplink would send it; the transport checksum is complete. */
void build(struct packet *p, const struct wish *w)
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
struct wish syn(const struct sf_sid *service)
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
int run(struct bpf_program *prog, struct packet *p)
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

int send_wish(struct bpf_program *prog, const struct wish *w, struct packet *p)
{
	build(p, w);
	return run(prog, p);
}

struct sf_addr dst_of(const struct packet *p)
{
	struct sf_addr a;

	memcpy(&a, p->b + ETH + 24, 16);
	return a;
}

/* The transport checksum of a packet with or without SCAFFOLD header is right. */
void check_sum(const struct packet *p)
{
	const __u8 *ip = p->b + ETH;
	__u32 header = ip[6] == SF_NEXTHDR_DSTOPTS ? (ip[41] + 1) * 8 : 0;
	__u8 proto = header ? ip[40] : ip[6];
	__u32 room = p->len - ETH - SF_IPV6_LEN - header;
	__u64 sum = sf_csum_bytes(ip + 8, 32) + htonl(room) + htonl(proto) +
		    sf_csum_bytes(ip + SF_IPV6_LEN + header, room);

	assert_int_equal(sf_csum_fold(sum), 0xffff);
}

void put_rule(const struct sf_sid *sid, __u8 proto, __u16 port, const struct sf_rule *rule)
{
	struct sf_service_key key = { .sid = *sid, .port = htons(port), .proto = proto };

	sf_lines_drop(&front, &key);
	assert_int_equal(bpf_map_update_elem(map_fd(skel->maps.rules), &key, rule, BPF_ANY), 0);
	sf_lines_put(&front, &key, rule);
}

void delete_rule(const struct sf_service_key *key)
{
	sf_lines_drop(&front, key);
	assert_int_equal(bpf_map_delete_elem(map_fd(skel->maps.rules), key), 0);
}

struct sf_addr instance_of(const struct sf_sid *sid, __u32 host)
{
	struct sf_addr service = sf_service_addr(&net, sid), a = sf_locator(&net, host, 0);

	sf_csum_neutral(&service, &a);
	return a;
}

void fill_maps(void)
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
					 .lines = LINES - 1,
					 .key = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 } };
	front.at = mmap(NULL, LINES * sizeof(struct sf_line), PROT_READ | PROT_WRITE, MAP_SHARED,
			map_fd(skel->maps.lines), 0);
	assert_true(front.at != MAP_FAILED);
	sf_lines_clear(&front, LINES);
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

int router_setup(void **state)
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

int router_teardown(void **state)
{
	munmap(front.at, LINES * sizeof(struct sf_line));
	service_router_bpf__destroy(skel);
	return 0;
}

void build_probe_to(struct packet *p, const struct sf_addr *src, const struct sf_addr *dst,
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

/* A FAIL comes out: to the source, its checksum right, the packet quoted as it was. */
void check_fail(const struct packet *p, const struct packet *was, __u8 reason, __u8 kind)
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
