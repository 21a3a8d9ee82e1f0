// SPDX-License-Identifier: Apache-2.0
/* frames.c - see frames.h. */
#include "bench/frames.h"

#include <arpa/inet.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/ctrl.h"
#include "core/datapath.h"
#include "core/line.h"
#include "core/resolve.h"
#include "util/bpf.h"

#define ETH	     14
#define SLOTS_EXTENT 256u /* the router gives room for slots in powers of two from here on */

void bench_die(int err, const char *fmt, ...)
{
	va_list args;

	fflush(stdout);
	fputs("bench: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	if (err)
		fprintf(stderr, ": %s", strerror(-err));
	fputc('\n', stderr);
	exit(1);
}

uint64_t bench_number(const char *what, const char *text, uint64_t min, uint64_t max)
{
	char *end;
	uint64_t n;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno || end == text || *end || n < min || n > max)
		bench_die(0, "%s is '%s', but expected a number from %llu to %llu", what, text,
			  (unsigned long long)min, (unsigned long long)max);
	return n;
}

uint64_t bench_now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

struct sf_net bench_net(void)
{
	return sf_net_default(BENCH_AS);
}

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

uint64_t bench_step(uint64_t n)
{
	uint64_t step = n * 618 / 1000;

	if (n < 2)
		return 0;
	while (!step || common_divisor(step, n) != 1)
		step++;
	return step;
}

uint32_t bench_frame(enum bench_traffic traffic, uint8_t *buf)
{
	struct sf_sid client = sf_sid_make(SF_SSID_HOSTS, BENCH_CLIENT_SID), any = { 0 };
	bool header = traffic == BENCH_UNRESOLVED || traffic == BENCH_RESOLVED;
	uint8_t *ip = buf + ETH, *th = ip + SF_IPV6_LEN + (header ? SF_HDR_LEN : 0);
	uint16_t ports[2] = { bench_lport(0), htons(BENCH_PORT) };
	uint16_t len = htons((uint16_t)(th + 20 - ip - SF_IPV6_LEN));

	memset(buf, 0, BENCH_FRAME);
	memcpy(buf, "\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x86\xdd", ETH);
	ip[0] = 0x60;
	memcpy(ip + 4, &len, 2);
	ip[6] = header ? SF_NEXTHDR_DSTOPTS : SF_NEXTHDR_TCP;
	ip[7] = 64;
	if (header)
		sf_hdr_init((struct sf_hdr *)(void *)(ip + SF_IPV6_LEN), SF_NEXTHDR_TCP, SF_HDR_LEN,
			    SF_KIND_SYN, 0, 0, &any, &client);
	if (traffic == BENCH_INBOUND)
		ports[0] = htons(BENCH_PORT);
	memcpy(th, ports, sizeof(ports));
	th[12] = 5 << 4;
	th[13] = header ? 0x02 : 0x10; /* SYN, or ACK */
	return (uint32_t)(th + 20 - buf);
}

struct packets_bpf *bench_packets(enum bench_traffic traffic, uint64_t count,
				  const uint8_t to_mac[6])
{
	struct packets_bpf *p;
	char err[1024];

	sf_bpf_quiet();
	p = packets_bpf__open();
	if (!p)
		bench_die(-errno, "packets.bpf.o");
	p->rodata->traffic = traffic;
	p->rodata->count = count;
	p->rodata->step = bench_step(count);
	p->rodata->as_number = BENCH_AS;
	if (to_mac)
		memcpy((void *)p->rodata->to_mac, to_mac, 6);
	if (sf_bpf_skeleton_load(p->skeleton, err, sizeof(err)))
		bench_die(0, "packets.bpf.o: %s", err);
	return p;
}

void bench_puts(int map_fd, const char *name, const void *keys, const void *values, uint32_t n)
{
	int err = sf_bpf_map_put_batch(map_fd, keys, values, n, NULL);

	if (err)
		bench_die(err, "filling the map %s", name);
}

/* Locator of instance @k of service @i, as it stands in a rule or slot. */
static struct sf_addr instance(const struct sf_net *net, uint64_t i, uint32_t k)
{
	struct sf_sid sid = bench_service(i);
	struct sf_addr service = sf_service_addr(net, &sid);
	struct sf_addr at = sf_locator(net, BENCH_SERVER + k, 0);

	sf_csum_neutral(&service, &at);
	return at;
}

static uint32_t extent(uint32_t slots)
{
	uint32_t n = SLOTS_EXTENT;

	while (n < slots)
		n *= 2;
	return n;
}

/* The slots of service @i from @at on: the table, then each instance once. */
static void slots_put(int map_fd, uint64_t i, uint32_t at, uint32_t size, uint32_t n)
{
	uint32_t total = size + n, *keys = calloc(total, sizeof(*keys));
	struct sf_addr *slots = calloc(total, sizeof(*slots));
	struct sf_instance *list = calloc(n, sizeof(*list));
	uint16_t *table = calloc(size, sizeof(*table));
	struct sf_net net = bench_net();

	if (!keys || !slots || !list || !table)
		bench_die(-ENOMEM, "slots");
	for (uint32_t k = 0; k < n; k++) {
		list[k].dst = sf_locator(&net, BENCH_SERVER + k, 0);
		list[k].weight = 100;
	}
	if (sf_table_build(list, n, size, table))
		bench_die(0, "a table of %u instances", n);
	for (uint32_t k = 0; k < total; k++) {
		keys[k] = at + k;
		slots[k] = instance(&net, i, k < size ? table[k] : k - size);
	}
	bench_puts(map_fd, "slots", keys, slots, total);
	free(keys);
	free(slots);
	free(list);
	free(table);
}

/* As the router does it. */
static void lines_put(struct service_router_bpf *s, const struct sf_service_key *keys,
		      const struct sf_rule *rules, uint32_t n)
{
	uint32_t count = sf_line_count(n);
	size_t len = bpf_map__max_entries(s->maps.lines) * sizeof(struct sf_line);
	struct sf_lines lines = { .at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED,
					     bpf_map__fd(s->maps.lines), 0) };

	if (lines.at == MAP_FAILED)
		bench_die(-errno, "the memory of the map lines");
	sf_lines_clear(&lines, count);
	for (uint32_t i = 0; i < n; i++)
		sf_lines_put(&lines, &keys[i], &rules[i]);
	munmap(lines.at, len);
}

static void rules_put(struct service_router_bpf *s, uint32_t services, uint32_t instances)
{
	uint32_t size = sf_table_size(instances), each = extent(size + instances);
	struct sf_service_key *keys = calloc(services, sizeof(*keys));
	struct sf_rule *rules = calloc(services, sizeof(*rules));
	struct sf_net net = bench_net();

	if (!keys || !rules)
		bench_die(-ENOMEM, "%u rules", services);
	for (uint32_t i = 0; i < services; i++) {
		keys[i] = (struct sf_service_key){ .sid = bench_service(i),
						   .port = htons(BENCH_PORT),
						   .proto = SF_NEXTHDR_TCP };
		rules[i].size = size;
		rules[i].instances = (uint16_t)instances;
		if (instances == 1) {
			rules[i].only = instance(&net, i, 0);
			continue;
		}
		rules[i].at = i * each;
		slots_put(bpf_map__fd(s->maps.slots), i, rules[i].at, size, instances);
	}
	bench_puts(bpf_map__fd(s->maps.rules), "rules", keys, rules, services);
	lines_put(s, keys, rules, services);
	free(keys);
	free(rules);
}

static void raise_size(struct bpf_map *map, uint32_t entries)
{
	if (bpf_map__max_entries(map) < entries && bpf_map__set_max_entries(map, entries))
		bench_die(-errno, "size of the map %s", bpf_map__name(map));
}

struct service_router_bpf *bench_router(uint32_t services, uint32_t instances)
{
	struct sf_net net = bench_net();
	struct sf_router_config cfg = { .net = net,
					.roles = SF_ROLE_ACCESS | SF_ROLE_SERVICE,
					.own = sf_locator(&net, BENCH_ROUTER, 1),
					.key = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 } };
	struct service_router_bpf *s;
	char err[1024];
	uint32_t zero = 0;

	sf_bpf_quiet();
	s = service_router_bpf__open();
	if (!s)
		bench_die(-errno, "service_router.bpf.o");
	raise_size(s->maps.rules, services);
	raise_size(s->maps.lines, sf_line_count(services));
	if (instances > 1)
		raise_size(s->maps.slots, services * extent(sf_table_size(instances) + instances));
	if (sf_bpf_skeleton_load(s->skeleton, err, sizeof(err)))
		bench_die(0, "service_router.bpf.o: %s", err);
	cfg.lines = sf_line_count(services) - 1;
	bench_puts(bpf_map__fd(s->maps.config), "config", &zero, &cfg, 1);
	rules_put(s, services, instances);
	return s;
}
