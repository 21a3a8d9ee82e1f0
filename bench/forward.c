// SPDX-License-Identifier: Apache-2.0
/*
 * forward - packets per second through a router on one core, with its program and without.
 *
 *   forward resolve SERVICES ROUNDS   SYNs to another service each time, against the same packets
 *                                     already resolved, in plain IPv6 forwarding
 *   forward bound FLOWS ROUNDS        packets of bound flows: sf_router_ingress against no program
 *   forward access FLOWS ROUNDS       the same: sf_access_ingress against no program
 *
 *      [generator] g0 ---- r0 [router] r1 ---- s0 [sink]
 *        CPU 0                 CPU 1
 *
 * The generator's frames come from BPF_PROG_TEST_RUN with live frames, faster than a router's core
 * forwards; what it cannot take is lost in r0's ring. r0's NAPI runs in a kernel thread pinned to
 * that core; forwarding, the way out and the sink's drop happen within. So packets at the sink per
 * second of that thread's time are what one core does, whoever else wants the core. Prints "with
 * without" for each round, the two being measured in turn. Frames have 106 bytes, or 74 without a
 * SCAFFOLD header.
 *
 * All is in namespaces without a name: whatever happens, they end with the process.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bench/frames.h"
#include "core/datapath.h"
#include "util/bpf.h"
#include "util/netlink.h"
#include "util/netns.h"

#define CPU_GENERATOR 0
#define CPU_ROUTER    1
#define BATCH	      64
#define BURST	      (1u << 16) /* frames in one call of the generator */
#define SETTLE_US     20000
#define SLICE_US      60000
#define WAITS	      50
#define SLICES	      4 /* of either side in a round */
#define BPFFS	      "/sys/fs/bpf"

enum { GENERATOR, ROUTER, SINK, NODES };

static int nodes[NODES];
static struct sf_nl_link g0, r0, r1, s0;
static pid_t napi; /* the router's kernel thread */
static atomic_bool stop;

static void must(int err, const char *what)
{
	if (err < 0)
		bench_die(err, "%s", what);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		bench_die(-errno, "%s", path);
	close(fd);
}

/* A mount namespace of our own: /sys of the router, and a bpffs for what is pinned. */
static void mounts_make(void)
{
	char dir[128], err[256];

	must(sf_netns_enter(nodes[ROUTER]), "the router's namespace");
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("sysfs", "/sys", "sysfs", 0, NULL))
		bench_die(-errno, "mounting sysfs");
	if (sf_bpf_pindir_make(BPFFS, "bench", true, dir, sizeof(dir), err, sizeof(err)))
		bench_die(0, "%s", err);
}

static struct sf_nl *link_up(int node, const char *name, struct sf_nl_link *link)
{
	struct sf_nl *nl;

	must(sf_nl_open_in(nodes[node], &nl), "netlink");
	must(sf_link_get(nl, name, link), name);
	must(sf_link_set_up(nl, link->ifindex, true), name);
	must(sf_link_get(nl, name, link), name);
	return nl;
}

/* r0's NAPI needs GRO, as it has no XDP program. */
static void gro_on(const char *name)
{
	struct ethtool_value value = { .cmd = ETHTOOL_SGRO, .data = 1 };
	struct ifreq r = { .ifr_data = (void *)&value };
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, SIOCETHTOOL, &r))
		bench_die(-errno, "GRO of %s", name);
	close(fd);
}

static void pin(pid_t pid, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(pid, sizeof(set), &set))
		bench_die(-errno, "pinning to CPU %d", cpu);
}

/* The kernel thread of @name's NAPI, pinned. */
static void napi_pin(const char *name, int cpu)
{
	char want[64], path[300], comm[64];
	struct dirent *d;
	size_t len = (size_t)snprintf(want, sizeof(want), "napi/%s-", name);
	DIR *proc = opendir("/proc");

	snprintf(path, sizeof(path), "/sys/class/net/%s/threaded", name);
	write_file(path, "1");
	while (proc && (d = readdir(proc))) {
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%s/comm", d->d_name);
		f = d->d_name[0] >= '0' && d->d_name[0] <= '9' ? fopen(path, "re") : NULL;
		if (!f)
			continue;
		if (fgets(comm, sizeof(comm), f) && !strncmp(comm, want, len)) {
			napi = (pid_t)strtol(d->d_name, NULL, 10);
			pin(napi, cpu);
		}
		fclose(f);
	}
	if (proc)
		closedir(proc);
	if (!napi)
		bench_die(0, "no kernel thread '%s...' took over NAPI", want);
}

static void network_make(const char *r0_name)
{
	struct sf_nl_route route = { .dst = { .len = 80 }, .oif = 0 };
	struct sf_net net = bench_net();
	struct sf_addr server = sf_locator(&net, BENCH_SERVER, 0);
	struct sf_nl_neigh neigh = { .has_mac = true };
	struct sf_nl *nl;

	for (int i = 0; i < NODES; i++) {
		if (unshare(CLONE_NEWNET))
			bench_die(-errno, "a network namespace");
		nodes[i] = sf_netns_open_self();
		must(nodes[i], "a network namespace");
	}
	mounts_make();
	must(sf_nl_open_in(nodes[ROUTER], &nl), "netlink");
	must(sf_link_add_veth(nl, r0_name, "g0", nodes[GENERATOR]), "veth");
	must(sf_link_add_veth(nl, "r1", "s0", nodes[SINK]), "veth");
	sf_nl_close(nl);
	write_file("/proc/sys/net/ipv6/conf/all/forwarding", "1");
	gro_on(r0_name);
	sf_nl_close(link_up(GENERATOR, "g0", &g0));
	sf_nl_close(link_up(SINK, "s0", &s0));
	sf_nl_close(link_up(ROUTER, r0_name, &r0));
	nl = link_up(ROUTER, "r1", &r1);
	/* As a router has it for a host that is here. */
	memcpy(&route.dst.addr, &server, 16);
	inet_pton(AF_INET6, "fe80::2", &route.via);
	route.oif = neigh.ifindex = r1.ifindex;
	neigh.addr = route.via;
	memcpy(neigh.mac, s0.mac, 6);
	must(sf_neigh_replace(nl, &neigh), "neighbour");
	must(sf_route_add(nl, &route, SF_NL_STRICT), "route");
	sf_nl_close(nl);
	napi_pin(r0_name, CPU_ROUTER);
}

static struct sf_bpf_tc tc_at(const char *name, int ifindex)
{
	return (struct sf_bpf_tc){
		.dir = BPFFS "/bench", .name = name, .ifindex = ifindex, .side = SF_BPF_INGRESS
	};
}

static void attach(int node, const char *name, int ifindex, int prog_fd)
{
	struct sf_bpf_tc at = tc_at(name, ifindex);
	char err[256];

	must(sf_netns_enter(nodes[node]), "namespace");
	if (sf_bpf_tc_attach(&at, prog_fd, NULL, err, sizeof(err)))
		bench_die(0, "%s: %s", name, err);
}

static void detach(int node, const char *name, int ifindex)
{
	struct sf_bpf_tc at = tc_at(name, ifindex);
	char err[256];

	must(sf_netns_enter(nodes[node]), "namespace");
	if (sf_bpf_tc_detach(&at, err, sizeof(err)))
		bench_die(0, "%s: %s", name, err);
}

/* One of the two that are compared: its packets, and the router's program, -1: none. */
struct side {
	struct packets_bpf *packets;
	enum bench_traffic traffic;
	int prog_fd;
	uint64_t got, ns; /* of this round: packets at the sink, time of the router's thread */
};

static void *generate(void *arg)
{
	struct side *side = arg;
	uint8_t frame[BENCH_FRAME];
	uint32_t len = bench_frame(side->traffic, frame);
	struct xdp_md md = { .data_end = len, .ingress_ifindex = (__u32)g0.ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = len, .ctx_in = &md,
		    .ctx_size_in = sizeof(md), .repeat = BURST, .batch_size = BATCH,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES);

	pin(0, CPU_GENERATOR);
	must(sf_netns_enter(nodes[GENERATOR]), "the generator's namespace");
	while (!stop)
		if (bpf_prog_test_run_opts(bpf_program__fd(side->packets->progs.bench_send), &opts))
			bench_die(-errno, "live frames");
	return NULL;
}

/* Nanoseconds that the router's thread has run. */
static uint64_t napi_time(void)
{
	unsigned long long ns;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)napi);
	f = fopen(path, "re");
	if (!f || fscanf(f, "%llu", &ns) != 1)
		bench_die(-errno, "%s", path);
	fclose(f);
	return ns;
}

/* Send for a slice of time; add what the sink got and what the router's thread ran for it. */
static void slice(struct side *side)
{
	volatile __u64 *received = &side->packets->bss->received;
	uint64_t time, n;
	pthread_t thread;

	attach(SINK, "sink", s0.ifindex, bpf_program__fd(side->packets->progs.bench_sink));
	if (side->prog_fd >= 0)
		attach(ROUTER, "router", r0.ifindex, side->prog_fd);
	stop = false;
	if (pthread_create(&thread, NULL, generate, side))
		bench_die(-errno, "pthread_create");
	usleep(SETTLE_US);
	time = napi_time();
	n = *received;
	/* Where others want the core, too, the thread may have to wait for its turn. */
	for (int i = 0; i < WAITS && napi_time() - time < SLICE_US * 1000ull / 2; i++)
		usleep(SLICE_US);
	side->got += *received - n;
	side->ns += napi_time() - time;
	stop = true;
	pthread_join(thread, NULL);
	usleep(SETTLE_US); /* the ring runs empty */
	if (side->prog_fd >= 0)
		detach(ROUTER, "router", r0.ifindex);
	detach(SINK, "sink", s0.ifindex);
}

/* Packets at the sink per second of the router's core. */
static double rate(struct side *side)
{
	double rate;

	if (!side->got || !side->ns)
		bench_die(0, "no packet arrived at the sink");
	rate = side->got * 1e9 / (double)side->ns;
	side->got = side->ns = 0;
	return rate;
}

static void compare(struct side *with, struct side *without, int rounds)
{
	for (int i = 0; i < rounds; i++) {
		double ours;

		for (int k = 0; k < SLICES; k++) {
			slice(k % 2 ? without : with);
			slice(k % 2 ? with : without);
		}
		ours = rate(with);
		printf("%.0f %.0f\n", ours, rate(without));
		fflush(stdout);
	}
}

/* Entries that let bench_own()'s packets pass the access filter. */
static void admit(struct service_router_bpf *router)
{
	struct sf_presence here = { .ifindex = (__u32)r0.ifindex };
	__u32 ifindex = (__u32)r0.ifindex, host = BENCH_CLIENT;
	struct sf_link link = { .host = BENCH_CLIENT };

	bench_puts(bpf_map__fd(router->maps.links), "links", &ifindex, &link, 1);
	bench_puts(bpf_map__fd(router->maps.present), "present", &host, &here, 1);
}

int main(int argc, char **argv)
{
	struct side with = { 0 }, without = { .prog_fd = -1 };
	const char *what = argc == 4 ? argv[1] : "";
	struct service_router_bpf *router;
	uint32_t count;
	bool resolve = !strcmp(what, "resolve");
	char name[16];
	int rounds;

	if (!resolve && strcmp(what, "bound") && strcmp(what, "access")) {
		fputs("usage: forward resolve|bound|access COUNT ROUNDS\n", stderr);
		return 2;
	}
	count = (uint32_t)bench_number("COUNT", argv[2], 1, 10000000);
	rounds = (int)bench_number("ROUNDS", argv[3], 1, 1000);
	snprintf(name, sizeof(name), "r%d", (int)getpid());
	network_make(name);
	router = bench_router(resolve ? count : 1, 1);
	admit(router);
	with.prog_fd = bpf_program__fd(strcmp(what, "access") ? router->progs.sf_router_ingress
							      : router->progs.sf_access_ingress);
	with.traffic = resolve ? BENCH_UNRESOLVED : BENCH_BOUND;
	without.traffic = resolve ? BENCH_RESOLVED : BENCH_BOUND;
	with.packets = bench_packets(with.traffic, count, r0.mac);
	without.packets = bench_packets(without.traffic, count, r0.mac);
	compare(&with, &without, rounds);
	packets_bpf__destroy(with.packets);
	packets_bpf__destroy(without.packets);
	service_router_bpf__destroy(router);
	return 0;
}
