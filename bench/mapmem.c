// SPDX-License-Identifier: Apache-2.0
/*
 * mapmem - kernel memory of the datapath's tables.
 *
 *   mapmem COUNT   fills each table with COUNT entries; prints "NAME BYTES SHAPE" for each, bytes
 *                  of one entry: what the kernel took for all, and key and value alone
 *
 * Measured is what the memory controller charges to a control group of our own, so overhead and
 * rounding of the allocator are in; the part that does not grow (hash buckets) is not. The front
 * of the rules is that of a table for just COUNT services.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/frames.h"
#include "bpf/host.skel.h"
#include "core/datapath.h"
#include "core/line.h"
#include "util/bpf.h"

#define CHUNK 1000 /* entries of one batch */

static char group[128]; /* control group of our own */
static char usage[192]; /* its file that tells bytes */

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		bench_die(-errno, "%s", path);
	close(fd);
}

static void group_leave(void)
{
	char path[192];

	snprintf(path, sizeof(path), "%s/../cgroup.procs", group);
	write_text(path, "0");
	rmdir(group);
}

/* A group with a memory controller: of version 2 where it is there, else of version 1. */
static void group_enter(void)
{
	static const char *const roots[][2] = {
		{ "/sys/fs/cgroup", "memory.current" },
		{ "/sys/fs/cgroup/unified", "memory.current" },
		{ "/sys/fs/cgroup/memory", "memory.usage_in_bytes" },
	};
	char path[192];

	for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
		snprintf(group, sizeof(group), "%s/scaffold-bench-%d", roots[i][0], (int)getpid());
		if (mkdir(group, 0755))
			continue;
		snprintf(usage, sizeof(usage), "%s/%s", group, roots[i][1]);
		if (!access(usage, R_OK)) {
			snprintf(path, sizeof(path), "%s/cgroup.procs", group);
			write_text(path, "0");
			atexit(group_leave);
			return;
		}
		rmdir(group);
	}
	bench_die(0, "no memory controller of control groups: bytes cannot be told");
}

static uint64_t used(void)
{
	unsigned long long bytes;
	FILE *f = fopen(usage, "re");

	if (!f || fscanf(f, "%llu", &bytes) != 1)
		bench_die(-errno, "%s", usage);
	fclose(f);
	return bytes;
}

/* Fill @map with @count entries: keys that differ, values of any bytes. */
static void fill(const struct bpf_map *map, uint32_t count)
{
	uint32_t key_size = bpf_map__key_size(map), value_size = bpf_map__value_size(map);
	uint8_t *keys = calloc(CHUNK, key_size), *values = calloc(CHUNK, value_size);
	uint64_t before, after;

	if (!keys || !values)
		bench_die(-ENOMEM, "%s", bpf_map__name(map));
	memset(keys, 1, (size_t)CHUNK * key_size);
	memset(values, 1, (size_t)CHUNK * value_size);
	before = used();
	for (uint32_t done = 0; done < count; done += CHUNK) {
		for (uint32_t i = 0; i < CHUNK; i++) {
			uint64_t mixed = bench_mix(done + i);

			memcpy(keys + (size_t)i * key_size, &mixed,
			       key_size < sizeof(mixed) ? key_size : sizeof(mixed));
		}
		bench_puts(bpf_map__fd(map), bpf_map__name(map), keys, values, CHUNK);
	}
	after = used();
	printf("%s %.1f %u\n", bpf_map__name(map), (double)(after - before) / count,
	       key_size + value_size);
	free(keys);
	free(values);
}

/* The front of a table of @count services (core/line.h), which is all there from the start. */
static void front(const struct bpf_map *lines, uint32_t count)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = bpf_map__map_flags(lines));
	uint64_t before = used();
	int fd = bpf_map_create(bpf_map__type(lines), "lines", bpf_map__key_size(lines),
				bpf_map__value_size(lines), sf_line_count(count), &opts);

	if (fd < 0)
		bench_die(-errno, "lines");
	printf("lines %.1f %u\n", (double)(used() - before) / count, bpf_map__value_size(lines));
	close(fd);
}

static void load(struct bpf_object *object, const char *name)
{
	char err[1024];

	if (libbpf_get_error(object))
		bench_die((int)libbpf_get_error(object), "%s", name);
	if (sf_bpf_object_load(object, err, sizeof(err)))
		bench_die(0, "%s: %s", name, err);
}

int main(int argc, char **argv)
{
	struct service_router_bpf *router;
	struct host_bpf *host;
	uint32_t count;

	if (argc != 2) {
		fputs("usage: mapmem COUNT\n", stderr);
		return 2;
	}
	count = (uint32_t)bench_number("COUNT", argv[1], CHUNK, 250000) / CHUNK * CHUNK;
	sf_bpf_quiet();
	group_enter();
	host = host_bpf__open();
	router = service_router_bpf__open();
	if (!host || !router)
		bench_die(-errno, "skeletons");
	load(host->obj, "host.bpf.o");
	load(router->obj, "service_router.bpf.o");
	fill(host->maps.flows, count);
	fill(router->maps.rules, count);
	fill(router->maps.sources, count);
	front(router->maps.lines, count);
	service_router_bpf__destroy(router);
	host_bpf__destroy(host);
	return 0;
}
