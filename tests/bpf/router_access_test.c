// SPDX-License-Identifier: Apache-2.0
/*
 * router_access_test.c - the router's datapath at its hosts' links: the access filter, and what is
 * for hosts that are absent. As service_router_test.c.
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

static const struct sf_sid gone = { .w = { 0x00000080, 0x60606060, 0x70707070 } };

/* An RSYN of HOST to OTHER, that is of identity @sid. */
static void rsyn(struct packet *p, const struct sf_sid *sid, __u64 dst_sock)
{
	struct sf_addr src = sf_locator(&net, HOST, 0x123456789abc);
	struct sf_addr dst = sf_locator(&net, OTHER, dst_sock);
	__u8 tlv[72] = { SF_TLV_MOVE, 70, 0, 1, 9, 8, 7, 6 };
	int len;

	memset(p, 0, sizeof(*p));
	p->b[12] = 0x86;
	p->b[13] = 0xdd;
	len = sf_alone_encode(p->b + ETH, sizeof(p->b) - ETH, &src, &dst, 60, SF_KIND_RSYN, 0, sid,
			      &client, tlv, sizeof(tlv), NULL, 0);
	assert_true(len > 0);
	p->len = ETH + len;
}

/* What comes out is what went in, its checksum right, but for where it goes. */
static struct sf_addr followed(const struct sf_sid *sid)
{
	struct packet p, before;
	struct sf_packet got;
	__u8 bad = 0;
	__u64 n = counted(skel->maps.traffic, SF_TRAFFIC_FOLLOWED);

	rsyn(&p, sid, 0xabcdef012345);
	before = p;
	assert_int_equal(run(skel->progs.sf_absent_egress, &p), TC_ACT_REDIRECT);
	assert_int_equal(counted(skel->maps.traffic, SF_TRAFFIC_FOLLOWED), n + 1);
	assert_int_equal(p.len, before.len);
	assert_int_equal(sf_packet_decode(p.b + ETH, p.len - ETH, &got, &bad), 0);
	assert_int_equal(sf_hdr_kind(&got.hdr), SF_KIND_RSYN);
	assert_memory_equal(p.b + ETH + 8, before.b + ETH + 8, 16);
	assert_memory_equal(p.b + ETH + 48, before.b + ETH + 48, p.len - ETH - 48);
	return got.dst;
}

static void not_followed(const struct sf_sid *sid, __u64 sock)
{
	struct packet p, before;
	__u64 n = counted(skel->maps.traffic, SF_TRAFFIC_FOLLOWED);

	rsyn(&p, sid, sock);
	before = p;
	assert_int_equal(run(skel->progs.sf_absent_egress, &p), TC_ACT_REDIRECT);
	check_fail(&p, &before, SF_HOST_UNREACHABLE, SF_KIND_RSYN);
	assert_int_equal(counted(skel->maps.traffic, SF_TRAFFIC_FOLLOWED), n);
}

/* An RSYN to a host that has left goes on to where it is. */
static void host_elsewhere(void **state)
{
	struct sf_rule rule = { .size = 1, .instances = 1, .only = instance_of(&gone, 0x20005) };
	struct sf_service_key key = { .sid = gone };
	struct sf_addr to, service = sf_service_addr(&net, &gone);
	__u64 absent, resolved;
	__u32 zero = 0;

	sleep(2);
	not_followed(&gone, 0xabcdef012345); /* nobody knows where it is */
	put_rule(&gone, 0, 0, &rule);
	absent = counted(skel->maps.counters, SF_ABSENT_HOST);
	resolved = counted(skel->maps.traffic, SF_TRAFFIC_RESOLVED);
	to = followed(&gone);
	assert_int_equal(sf_locator_host(&to), 0x20005);
	assert_true(sf_sock_is_unset(sf_locator_sock(&to)));
	assert_int_equal(counted(skel->maps.counters, SF_ABSENT_HOST), absent);
	assert_int_equal(counted(skel->maps.traffic, SF_TRAFFIC_RESOLVED), resolved + 1);
	/* once only; and it is a host that is followed, where one is named */
	not_followed(&gone, 5);
	not_followed(&web, 0xabcdef012345);
	not_followed(&(const struct sf_sid){ 0 }, 0xabcdef012345);
	/* not to where it is missed */
	rule.only = instance_of(&gone, OTHER);
	put_rule(&gone, 0, 0, &rule);
	not_followed(&gone, 0xabcdef012345);
	/* a router that resolves nothing has it resolved, whatever it holds */
	cfg.roles = SF_ROLE_ACCESS;
	bpf_map_update_elem(map_fd(skel->maps.config), &zero, &cfg, 0);
	to = followed(&gone);
	assert_memory_equal(&to, &service, sizeof(to));
	cfg.roles = SF_ROLE_ACCESS | SF_ROLE_SERVICE;
	bpf_map_update_elem(map_fd(skel->maps.config), &zero, &cfg, 0);
	delete_rule(&key);
}

/* ---- XDP ---- */

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
		cmocka_unit_test(access_filter),   cmocka_unit_test(neighbours),
		cmocka_unit_test(xdp_is_filtered), cmocka_unit_test(absent_hosts),
		cmocka_unit_test(host_elsewhere),
	};

	return cmocka_run_group_tests(tests, router_setup, router_teardown);
}
