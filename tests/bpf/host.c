// SPDX-License-Identifier: Apache-2.0
/* host.c - see host.h. */
#include "tests/bpf/host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <cmocka.h>

#include "util/bpf.h"

#define ENTRIES 1024
#define FULL	64 /* flows a test host can hold */

struct host a, b;
struct sf_addr service;
struct sf_sid service_sid, user_sid;

static int listener = -1;

int host_privileged(void)
{
	if (geteuid() == 0)
		return 0;
	fprintf(stderr, "SKIP: loading eBPF programs needs root\n");
	return 77;
}

static int lo_up(void)
{
	struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int err = fd < 0 ? -errno : 0;

	if (!err && ioctl(fd, SIOCSIFFLAGS, &r))
		err = -errno;
	if (fd >= 0)
		close(fd);
	return err;
}

static int listen_on(const struct sf_addr *addr, uint16_t port)
{
	struct sockaddr_in6 sin = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	memcpy(&sin.sin6_addr, addr, 16);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_IPV6, IPV6_FREEBIND, &one, sizeof(one)) ||
	    bind(fd, (void *)&sin, sizeof(sin)) || listen(fd, 8)) {
		close(fd);
		return -errno;
	}
	return fd;
}

int host_load(struct host *h, uint32_t addr, const struct sf_sid *identity, uint64_t key)
{
	struct bpf_map *map;
	uint32_t zero = 0;
	char err[4096];

	h->skel = host_bpf__open();
	if (!h->skel)
		return -errno;
	bpf_object__for_each_map(map, h->skel->obj)
	{
		if (bpf_map__max_entries(map) > ENTRIES &&
		    bpf_map__type(map) != BPF_MAP_TYPE_RINGBUF)
			bpf_map__set_max_entries(map, ENTRIES);
	}
	bpf_map__set_max_entries(h->skel->maps.flows, FULL);
	bpf_map__set_max_entries(h->skel->maps.moves, FULL);
	bpf_map__set_max_entries(h->skel->maps.closed, CLOSED);
	h->skel->rodata->sf_half_open_max = ENTRIES;
	if (sf_bpf_skeleton_load(h->skel->skeleton, err, sizeof(err))) {
		fprintf(stderr, "%s\n", err);
		return -EINVAL;
	}
	h->cfg = (struct sf_host_config){ .net = sf_net_default(1),
					  .host = addr,
					  .key = { key, ~key },
					  .cookie = addr,
					  .mtu = 1500 };
	h->cfg.own = sf_locator(&h->cfg.net, addr, 1);
	h->cfg.self = sf_service_addr(&h->cfg.net, identity);
	h->egress = bpf_program__fd(h->skel->progs.sf_host_egress);
	h->ingress = bpf_program__fd(h->skel->progs.sf_host_ingress);
	return bpf_map_update_elem(bpf_map__fd(h->skel->maps.config), &zero, &h->cfg, BPF_ANY);
}

int host_group_setup(void **state)
{
	struct sf_sid server = sf_sid_make(SF_SSID_HOSTS, 0xbbbb);
	struct sf_net net = sf_net_default(1);

	user_sid = sf_sid_make(SF_SSID_HOSTS, 0xaaaa);
	service_sid = sf_sid_make(SF_SSID_DEFAULT, 0x123456789abcdef0);
	service = sf_service_addr(&net, &service_sid);
	if (unshare(CLONE_NEWNET) || lo_up())
		return -1;
	listener = listen_on(&service, PORT);
	if (listener < 0)
		return -1;
	sf_bpf_quiet();
	return host_load(&a, 0x10001, &user_sid, 0x1111111111111111) ||
	       host_load(&b, 0x10002, &server, 0x2222222222222222);
}

int host_group_teardown(void **state)
{
	host_bpf__destroy(a.skel);
	host_bpf__destroy(b.skel);
	close(listener);
	return 0;
}

static void map_clear(struct bpf_map *map)
{
	int fd = bpf_map__fd(map);
	uint8_t key[64];

	while (!bpf_map_get_next_key(fd, NULL, key))
		bpf_map_delete_elem(fd, key);
}

static void map_zero(struct bpf_map *map)
{
	uint32_t cpus = (uint32_t)libbpf_num_possible_cpus();
	uint32_t size = (bpf_map__value_size(map) + 7) & ~7u;
	uint8_t *zeros = calloc(cpus, size);

	for (uint32_t i = 0; zeros && i < bpf_map__max_entries(map); i++)
		bpf_map_update_elem(bpf_map__fd(map), &i, zeros, BPF_ANY);
	free(zeros);
}

void host_mtu(struct host *h, uint32_t mtu)
{
	struct sf_host_config cfg = h->cfg;
	uint32_t zero = 0;

	cfg.mtu = mtu;
	bpf_map_update_elem(bpf_map__fd(h->skel->maps.config), &zero, &cfg, BPF_ANY);
}

static void host_empty(struct host *h)
{
	uint64_t closed[2];
	uint32_t zero = 0;

	map_clear(h->skel->maps.flows);
	map_clear(h->skel->maps.moves);
	map_clear(h->skel->maps.uplinks);
	while (!bpf_map_lookup_and_delete_elem(bpf_map__fd(h->skel->maps.closed), NULL, closed))
		;
	map_clear(h->skel->maps.halfopen);
	map_clear(h->skel->maps.half_udp);
	map_clear(h->skel->maps.datagrams);
	map_clear(h->skel->maps.fragments);
	map_clear(h->skel->maps.listeners);
	map_zero(h->skel->maps.counters);
	map_zero(h->skel->maps.traffic);
	map_zero(h->skel->maps.budgets);
	map_zero(h->skel->maps.pressure);
	bpf_map_update_elem(bpf_map__fd(h->skel->maps.config), &zero, &h->cfg, BPF_ANY);
}

int host_clear(void **state)
{
	host_empty(&a);
	host_empty(&b);
	host_listener(&b, &service, IPPROTO_TCP, PORT, SF_LISTENER_LIVE);
	return 0;
}

static uint32_t host_run(int fd, struct packet *p, struct __sk_buff *skb)
{
	static uint8_t out[sizeof(p->b)];
	struct sf_bpf_run run = { .data = p->b,
				  .data_len = p->len,
				  .ctx = skb,
				  .ctx_len = skb ? sizeof(*skb) : 0,
				  .out = out,
				  .out_len = sizeof(out) };
	int err = sf_bpf_prog_run(fd, &run);

	if (err)
		fail_msg("test run: %s", strerror(-err));
	memcpy(p->b, out, run.out_len);
	p->len = run.out_len;
	return run.retval;
}

uint32_t host_out(struct host *h, struct packet *p)
{
	return host_run(h->egress, p, NULL);
}

uint32_t host_in(struct host *h, struct packet *p)
{
	return host_run(h->ingress, p, NULL);
}

uint32_t host_out_gso(struct host *h, struct packet *p, uint32_t segs, uint32_t size)
{
	struct __sk_buff skb = { .gso_segs = segs, .gso_size = size };

	return host_run(h->egress, p, &skb);
}

void host_sends(struct host *h, struct packet *p, const struct segment *s)
{
	packet_tcp(p, s);
	assert_int_equal(host_out(h, p), VERDICT_UP);
}

void host_sends_udp(struct host *h, struct packet *p, const struct segment *s)
{
	packet_udp(p, s);
	assert_int_equal(host_out(h, p), VERDICT_UP);
}

static uint64_t packets(struct bpf_map *map, uint32_t at)
{
	uint64_t sums[2] = { 0, 0 };

	assert_int_equal(sf_bpf_percpu_sum(bpf_map__fd(map), &at, sums, 2), 0);
	return sums[0];
}

int host_refuse(struct host *h, struct packet *told, const struct sf_addr *own, uint8_t reason)
{
	uint64_t id = sf_locator_sock(own);
	struct __sk_buff skb = { .ifindex = 1,
				 .cb = { [SF_REFUSAL_ID_HIGH] = (uint32_t)(id >> 32),
					 [SF_REFUSAL_ID_LOW] = (uint32_t)id,
					 [SF_REFUSAL_REASON] = reason } };
	uint8_t frame[SF_REFUSAL_LEN] = { [12] = 0x86, [13] = 0xdd };
	struct sf_bpf_run run = { .data = frame,
				  .data_len = sizeof(frame),
				  .ctx = &skb,
				  .ctx_len = sizeof(skb),
				  .out = told ? told->b : NULL,
				  .out_len = told ? sizeof(told->b) : 0 };

	assert_int_equal(sf_bpf_prog_run(bpf_program__fd(h->skel->progs.sf_flow_refuse), &run), 0);
	if (told)
		told->len = run.out_len;
	return (int)run.retval;
}

uint64_t host_count(struct host *h, uint32_t reason)
{
	return packets(h->skel->maps.counters, reason);
}

uint64_t host_traffic(struct host *h, uint32_t what)
{
	return packets(h->skel->maps.traffic, what);
}

uint64_t host_drops(struct host *h)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < SF_REASON_MAX; i++)
		sum += host_count(h, i);
	return sum;
}

void host_listener(struct host *h, const struct sf_addr *addr, uint8_t proto, uint16_t port,
		   uint8_t state)
{
	struct sf_listener_key k = {
		.host = h->cfg.cookie, .addr = *addr, .port = htons(port), .proto = proto
	};
	struct sf_listener l = { .sockets = 1, .state = state };
	int fd = bpf_map__fd(h->skel->maps.listeners);

	if (state)
		assert_int_equal(bpf_map_update_elem(fd, &k, &l, BPF_ANY), 0);
	else
		bpf_map_delete_elem(fd, &k);
}

bool host_flow(struct host *h, uint64_t id, bool half, struct sf_flow *out)
{
	uint64_t key = sf_socket_key(id);
	int fd = bpf_map__fd(half ? h->skel->maps.halfopen : h->skel->maps.flows);

	return !bpf_map_lookup_elem(fd, &key, out) && sf_locator_sock(&out->own) == id;
}

static uint32_t map_size(struct bpf_map *map)
{
	uint8_t key[64], next[64];
	uint32_t n = 0;

	for (void *k = NULL; !bpf_map_get_next_key(bpf_map__fd(map), k, next); n++) {
		memcpy(key, next, sizeof(key));
		k = key;
	}
	return n;
}

void host_flow_set(struct host *h, const struct sf_flow *f)
{
	uint64_t key = sf_socket_key(sf_locator_sock(&f->own));

	assert_int_equal(bpf_map_update_elem(bpf_map__fd(h->skel->maps.flows), &key, f, BPF_EXIST),
			 0);
}

struct sf_flow host_flow_of(struct host *h, const struct sf_addr *own)
{
	struct sf_flow f;

	assert_true(host_flow(h, sf_locator_sock(own), false, &f));
	return f;
}

struct sf_addr host_at(uint32_t host, const struct sf_addr *of, uint8_t later)
{
	uint64_t id = sf_locator_sock(of);

	return sf_locator(&a.cfg.net, host, sf_socket_id(sf_socket_key(id), (uint8_t)(id + later)));
}

void host_place_add(struct host *h, uint32_t host, uint32_t ifindex)
{
	struct sf_addr place = sf_locator(&h->cfg.net, host, 0);
	struct sf_uplink up = { .router.b = { 0xfe, 0x80, [15] = 1 },
				.ifindex = ifindex,
				.mtu = 1500 };

	assert_int_equal(
		bpf_map_update_elem(bpf_map__fd(h->skel->maps.uplinks), &place, &up, BPF_ANY), 0);
}

uint32_t host_flows(struct host *h, uint32_t *half)
{
	if (half)
		*half = map_size(h->skel->maps.halfopen);
	return map_size(h->skel->maps.flows);
}

void talk_init(struct talk *t)
{
	*t = (struct talk){ .local = a.cfg.self,
			    .peer = service,
			    .seen = a.cfg.self,
			    .sport = CLIENT,
			    .dport = PORT,
			    .isn = 1000,
			    .server_isn = 9000 };
}

struct segment talk_from_a(const struct talk *t, uint8_t flags, uint32_t payload)
{
	struct segment s = { .src = t->local,
			     .dst = t->peer,
			     .sport = t->sport,
			     .dport = t->dport,
			     .seq = t->isn + !(flags & SF_TCP_SYN),
			     .ack = flags & SF_TCP_ACK ? t->server_isn + 1 : 0,
			     .flags = flags,
			     .payload = payload };

	return s;
}

struct segment talk_from_b(const struct talk *t, uint8_t flags, uint32_t payload)
{
	struct segment s = { .src = t->peer,
			     .dst = t->seen,
			     .sport = t->dport,
			     .dport = t->sport,
			     .seq = t->server_isn + !(flags & SF_TCP_SYN),
			     .ack = t->isn + 1,
			     .flags = flags,
			     .payload = payload };

	return s;
}

static void addr_equal(const struct sf_addr *got, const struct sf_addr *want)
{
	assert_memory_equal(got, want, sizeof(*want));
}

void talk_syn(struct talk *t, struct packet *p)
{
	struct segment s = talk_from_a(t, SF_TCP_SYN, 0);
	struct parsed q;

	host_sends(&a, p, &s);
	packet_parse(p, &q);
	assert_non_null(q.hdr);
	assert_int_equal(sf_hdr_kind(q.hdr), SF_KIND_SYN);
	assert_int_equal(sf_hdr_check(q.hdr, p->len - ETH - 40), 0);
	assert_int_equal(q.hdr->nexthdr, IPPROTO_TCP);
	assert_memory_equal(&q.hdr->dst, &service_sid, 12);
	assert_true(sf_locator_same_host(&q.src, &a.cfg.own));
	assert_false(sf_sock_is_unset(sf_locator_sock(&q.src)));
	addr_equal(&q.dst, &service);
	assert_true(q.csum_ok);
	t->client = q.src;
}

void talk_syn_in(struct talk *t, struct packet *p)
{
	struct sf_addr at = sf_locator(&b.cfg.net, b.cfg.host, 0);
	struct parsed q;

	packet_resolve(p, &at);
	assert_int_equal(host_in(&b, p), VERDICT_UP);
	packet_parse(p, &q);
	assert_null(q.hdr);
	assert_non_null(q.tcp);
	addr_equal(&q.dst, &service);
	assert_true(q.csum_ok);
	t->seen = q.src;
}

void talk_syn_ack(struct talk *t, struct packet *p)
{
	struct segment s = talk_from_b(t, SF_TCP_SYN | SF_TCP_ACK, 0);
	struct sf_sid host = sf_addr_sid(&b.cfg.self);
	struct parsed q;

	host_sends(&b, p, &s);
	packet_parse(p, &q);
	assert_non_null(q.hdr);
	assert_int_equal(sf_hdr_kind(q.hdr), SF_KIND_SYN_ACK);
	assert_memory_equal(&q.hdr->src, &host, 12);
	assert_true(sf_locator_same_host(&q.src, &b.cfg.own));
	addr_equal(&q.dst, &t->client);
	assert_true(q.csum_ok);
	t->server = q.src;
}

void talk_bind(struct talk *t, struct packet *p)
{
	struct parsed q;

	assert_int_equal(host_in(&a, p), VERDICT_UP);
	packet_parse(p, &q);
	assert_null(q.hdr);
	addr_equal(&q.src, &t->peer);
	addr_equal(&q.dst, &t->local);
	assert_true(q.csum_ok);
}

void talk_ack(struct talk *t, struct packet *p)
{
	struct segment s = talk_from_a(t, SF_TCP_ACK, 0);
	struct parsed q;

	host_sends(&a, p, &s);
	packet_parse(p, &q);
	assert_non_null(q.hdr);
	assert_int_equal(sf_hdr_kind(q.hdr), SF_KIND_ACK);
	addr_equal(&q.src, &t->client);
	addr_equal(&q.dst, &t->server);
	assert_true(q.csum_ok);
}

void talk_promote(struct talk *t, struct packet *p)
{
	struct parsed q;

	assert_int_equal(host_in(&b, p), VERDICT_UP);
	packet_parse(p, &q);
	assert_null(q.hdr);
	addr_equal(&q.src, &t->seen);
	addr_equal(&q.dst, &t->peer);
	assert_true(q.csum_ok);
}

void talk_open(struct talk *t)
{
	static struct packet p;
	struct segment s;
	struct parsed q;

	talk_syn(t, &p);
	talk_syn_in(t, &p);
	talk_syn_ack(t, &p);
	talk_bind(t, &p);
	talk_ack(t, &p);
	talk_promote(t, &p);
	s = talk_from_b(t, SF_TCP_ACK, 100);
	host_sends(&b, &p, &s);
	packet_parse(&p, &q);
	assert_null(q.hdr);
	assert_int_equal(host_in(&a, &p), VERDICT_UP);
}

void talk_ask(struct talk *t, struct packet *p)
{
	talk_init(t);
	talk_syn(t, p);
	talk_syn_in(t, p);
}

void talk_answer(struct talk *t, struct packet *p)
{
	talk_ask(t, p);
	talk_syn_ack(t, p);
}

void talk_start(struct talk *t)
{
	talk_init(t);
	talk_open(t);
}
