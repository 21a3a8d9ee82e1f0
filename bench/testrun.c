// SPDX-License-Identifier: Apache-2.0
/*
 * testrun - nanoseconds per packet of one eBPF program, by BPF_PROG_TEST_RUN.
 *
 *   testrun resolve SERVICES INSTANCES ROUNDS   sf_router_ingress: SYN to another service each time
 *   testrun outbound FLOWS ROUNDS               sf_host_egress: segments of bound flows
 *   testrun inbound FLOWS ROUNDS                sf_host_ingress: likewise
 *
 * Prints one number for each round: the time of a repetition that makes the next packet and runs
 * the program on it, less that of one that makes the packet and runs an empty program
 * (packets.bpf.c), the two being measured in turn. The clock is the thread's own, so that other
 * load on the machine disturbs by way of the caches alone.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/frames.h"
#include "bpf/host.skel.h"
#include "core/datapath.h"
#include "core/sal.h"
#include "util/bpf.h"

#define REPEAT	   500000u
#define REPEAT_MIN 2u /* every service or flow at least so often, at 1 million */

static struct packets_bpf *packets;
static int target = -1;

static void aim(int prog_fd)
{
	uint32_t zero = 0;

	if (bpf_map_update_elem(bpf_map__fd(packets->maps.target), &zero, &prog_fd, BPF_ANY))
		bench_die(-errno, "tail call");
}

/* Mean nanoseconds of a repetition whose tail call leads to @prog_fd. */
static double run(enum bench_traffic traffic, int prog_fd, uint32_t repeat)
{
	uint8_t frame[BENCH_FRAME];
	struct __sk_buff ctx = { .ifindex = BENCH_IFINDEX };
	struct sf_bpf_run r = { .data = frame,
				.data_len = bench_frame(traffic, frame),
				.ctx = &ctx,
				.ctx_len = sizeof(ctx),
				.repeat = repeat };
	uint64_t start;
	int err;

	aim(prog_fd);
	start = bench_now(CLOCK_THREAD_CPUTIME_ID);
	err = sf_bpf_prog_run(bpf_program__fd(packets->progs.bench_run), &r);
	if (err)
		bench_die(err, "BPF_PROG_TEST_RUN");
	if ((int)r.retval != TC_ACT_UNSPEC)
		bench_die(0, "the program said %d where it should let the packet pass",
			  (int)r.retval);
	return (double)(bench_now(CLOCK_THREAD_CPUTIME_ID) - start) / repeat;
}

static uint64_t counted(int map_fd, uint32_t index)
{
	uint64_t sums[2];
	int err = sf_bpf_percpu_sum(map_fd, &index, sums, 2);

	if (err)
		bench_die(err, "counter %u", index);
	return sums[0];
}

/* Rounds of measurement; @traffic_fd, @index: the counter that must have counted every packet. */
static void measure(enum bench_traffic traffic, uint64_t count, int traffic_fd, uint32_t index,
		    unsigned int rounds)
{
	uint32_t repeat = count * REPEAT_MIN > REPEAT ? (uint32_t)count * REPEAT_MIN : REPEAT;
	int nothing = bpf_program__fd(packets->progs.bench_nothing);
	uint64_t before;

	run(traffic, target, repeat); /* the tables come into the caches as far as they fit */
	for (unsigned int i = 0; i < rounds; i++) {
		double with, without;

		before = counted(traffic_fd, index);
		with = run(traffic, target, repeat);
		if (counted(traffic_fd, index) - before != repeat)
			bench_die(0, "%llu packets of %u were handled",
				  (unsigned long long)(counted(traffic_fd, index) - before),
				  repeat);
		without = run(traffic, nothing, repeat);
		printf("%.2f\n", with - without);
		fflush(stdout);
	}
}

static void resolve(uint32_t services, uint32_t instances, unsigned int rounds)
{
	struct service_router_bpf *router = bench_router(services, instances);

	packets = bench_packets(BENCH_UNRESOLVED, services, NULL);
	target = bpf_program__fd(router->progs.sf_router_ingress);
	measure(BENCH_UNRESOLVED, services, bpf_map__fd(router->maps.traffic), SF_TRAFFIC_RESOLVED,
		rounds);
	service_router_bpf__destroy(router);
}

/* Flow @i as it is in the client's tables. */
static struct sf_flow flow_of(const struct sf_net *net, uint64_t i)
{
	struct sf_flow f = { .own = bench_own(net, i),
			     .peer = bench_peer(net, i),
			     .tuple = bench_tuple(net, i),
			     .peer_sid = bench_service(i),
			     .state = SF_FLOW_BOUND };

	f.csum_out = sf_csum_delta(&f.tuple.local, &f.tuple.peer, &f.own, &f.peer);
	return f;
}

static struct host_bpf *host(uint32_t flows)
{
	struct sf_flow *values = calloc(flows, sizeof(*values));
	uint64_t *keys = calloc(flows, sizeof(*keys));
	struct sf_sid self = sf_sid_make(SF_SSID_HOSTS, BENCH_CLIENT_SID);
	struct sf_host_config cfg = { .net = bench_net(), .host = BENCH_CLIENT, .mtu = 1500 };
	struct host_bpf *h;
	uint32_t zero = 0;
	char err[1024];

	h = host_bpf__open();
	if (!h || !values || !keys)
		bench_die(-ENOMEM, "host.bpf.o with %u flows", flows);
	if (sf_bpf_skeleton_load(h->skeleton, err, sizeof(err)))
		bench_die(0, "host.bpf.o: %s", err);
	cfg.own = sf_locator(&cfg.net, cfg.host, 1);
	cfg.self = sf_service_addr(&cfg.net, &self);
	bench_puts(bpf_map__fd(h->maps.config), "config", &zero, &cfg, 1);
	for (uint32_t i = 0; i < flows; i++) {
		values[i] = flow_of(&cfg.net, i);
		keys[i] = sf_socket_key(sf_locator_sock(&values[i].own));
	}
	bench_puts(bpf_map__fd(h->maps.flows), "flows", keys, values, flows);
	free(values);
	free(keys);
	return h;
}

static void sal(enum bench_traffic traffic, uint32_t flows, unsigned int rounds)
{
	bool out = traffic == BENCH_OUTBOUND;
	struct host_bpf *h;

	sf_bpf_quiet();
	h = host(flows);
	packets = bench_packets(traffic, flows, NULL);
	target = bpf_program__fd(out ? h->progs.sf_host_egress : h->progs.sf_host_ingress);
	measure(traffic, flows, bpf_map__fd(h->maps.traffic),
		out ? SF_TRAFFIC_OUT_BOUND : SF_TRAFFIC_IN_BOUND, rounds);
	host_bpf__destroy(h);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "resolve") && argc == 5)
		resolve((uint32_t)bench_number("SERVICES", argv[2], 1, 10000000),
			(uint32_t)bench_number("INSTANCES", argv[3], 1, 100),
			(unsigned int)bench_number("ROUNDS", argv[4], 1, 1000));
	else if ((!strcmp(what, "outbound") || !strcmp(what, "inbound")) && argc == 4)
		sal(what[0] == 'o' ? BENCH_OUTBOUND : BENCH_INBOUND,
		    (uint32_t)bench_number("FLOWS", argv[2], 1, 1000000),
		    (unsigned int)bench_number("ROUNDS", argv[3], 1, 1000));
	else {
		fputs("usage: testrun resolve SERVICES INSTANCES ROUNDS | outbound FLOWS ROUNDS |"
		      " inbound FLOWS ROUNDS\n",
		      stderr);
		return 2;
	}
	packets_bpf__destroy(packets);
	return 0;
}
