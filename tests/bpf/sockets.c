// SPDX-License-Identifier: Apache-2.0
/* sockets.c - see sockets.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>

#include "tests/bpf/sockets.h"
#include "util/bpf.h"
#include "util/cgroup.h"
#include "util/netns.h"

struct socket_events_bpf *skel;
struct ring_buffer *ring;
static struct bpf_link *links[5];
struct sf_socket_event events[64];
int n_events;
uint64_t cookie;
char group[64], inner[96], home[256];
struct sf_net net;
struct sf_addr service, other;

static int remember(void *ctx, void *data, size_t len)
{
	if (n_events < 64)
		memcpy(&events[n_events++], data, sizeof(events[0]));
	return 0;
}

void drain(void)
{
	ring_buffer__consume(ring);
}

uint64_t group_id(const char *group_name)
{
	uint64_t id;

	assert_int_equal(sf_cgroup_id(group_name, &id), 0);
	return id;
}

static int lo_up(void)
{
	struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int err = ioctl(fd, SIOCSIFFLAGS, &r) ? -errno : 0;

	close(fd);
	return err;
}

/* The service's address on lo, so that connects over it arrive. */
int lo_has(const struct sf_addr *addr)
{
	struct {
		struct in6_addr addr;
		uint32_t len;
		int ifindex;
	} req = { .len = 128, .ifindex = (int)if_nametoindex("lo") };
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), err;

	memcpy(&req.addr, addr, 16);
	err = ioctl(fd, SIOCSIFADDR, &req) ? -errno : 0;
	close(fd);
	return err;
}

int make_ring(void)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "ring", 0, 0, 65536, NULL);

	if (fd < 0)
		return fd;
	ring = ring_buffer__new(fd, remember, NULL, NULL);
	if (!ring || bpf_map_update_elem(bpf_map__fd(skel->maps.rings), &cookie, &fd, BPF_ANY))
		return -1;
	close(fd);
	return 0;
}

static int hooks_attach(void)
{
	int fd = sf_cgroup_open(group);

	if (fd < 0)
		return fd;
	links[0] = bpf_program__attach_cgroup(skel->progs.sf_post_bind, fd);
	links[1] = bpf_program__attach_cgroup(skel->progs.sf_listen, fd);
	links[2] = bpf_program__attach_cgroup(skel->progs.sf_release, fd);
	links[3] = bpf_program__attach_cgroup(skel->progs.sf_connect, fd);
	links[4] = bpf_program__attach_cgroup(skel->progs.sf_sendmsg, fd);
	close(fd);
	for (int i = 0; i < 5; i++)
		if (!links[i])
			return -errno;
	return 0;
}

int sockets_setup(void **state)
{
	struct sf_hook_host host;
	struct sf_sid sid = sf_sid_make(1, 0x77), sid2 = sf_sid_make(1, 0x88);
	char err[512];

	net = sf_net_default(1);
	service = sf_service_addr(&net, &sid);
	other = sf_service_addr(&net, &sid2);
	if (unshare(CLONE_NEWNET) || lo_up() || lo_has(&service))
		return -1;
	if (sf_netns_cookie(&cookie) || sf_cgroup_of(0, home, sizeof(home)))
		return -1;
	snprintf(group, sizeof(group), "/sf-socket-events-%d", getpid());
	snprintf(inner, sizeof(inner), "%s/inner", group);
	if (sf_cgroup_make(inner) || sf_cgroup_move(inner, 0))
		return -1;
	sf_bpf_quiet();
	skel = socket_events_bpf__open();
	if (!skel)
		return -1;
	if (sf_bpf_skeleton_load(skel->skeleton, err, sizeof(err))) {
		fprintf(stderr, "%s\n", err);
		return -1;
	}
	memset(&host, 0, sizeof(host));
	host.net = net;
	if (bpf_map_update_elem(bpf_map__fd(skel->maps.hosts), &cookie, &host, BPF_ANY))
		return -1;
	return make_ring() || hooks_attach();
}

int sockets_teardown(void **state)
{
	for (int i = 0; i < 5; i++)
		bpf_link__destroy(links[i]);
	ring_buffer__free(ring);
	socket_events_bpf__destroy(skel);
	sf_cgroup_move(home, 0);
	sf_cgroup_remove(inner);
	sf_cgroup_remove(group);
	return 0;
}

int sockets_begin(void **state)
{
	drain();
	n_events = 0;
	return 0;
}

struct sf_listener_key key_of(const struct sf_addr *addr, uint8_t proto, uint16_t port)
{
	struct sf_listener_key k = {
		.host = cookie, .addr = *addr, .port = htons(port), .proto = proto
	};

	return k;
}

bool listed(const struct sf_addr *addr, uint8_t proto, uint16_t port, struct sf_listener *l)
{
	struct sf_listener_key k = key_of(addr, proto, port);

	return !bpf_map_lookup_elem(bpf_map__fd(skel->maps.listeners), &k, l);
}

int judge(const struct sf_addr *addr, uint8_t proto, uint16_t port, uint8_t verdict)
{
	struct sf_judgement j = { .key = key_of(addr, proto, port), .state = verdict };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &j, .ctx_size_in = sizeof(j));

	assert_int_equal(
		bpf_prog_test_run_opts(bpf_program__fd(skel->progs.sf_listener_judge), &opts), 0);
	return (int)opts.retval;
}

int bound(int type, const struct sf_addr *addr, uint16_t port)
{
	struct sockaddr_in6 sin = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int fd = socket(AF_INET6, type | SOCK_CLOEXEC, 0), one = 1;

	memcpy(&sin.sin6_addr, addr, 16);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_IPV6, IPV6_FREEBIND, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	assert_int_equal(bind(fd, (void *)&sin, sizeof(sin)), 0);
	return fd;
}

int listening(const struct sf_addr *addr, uint16_t port)
{
	int fd = bound(SOCK_STREAM, addr, port);

	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

int connect_to(int fd, const struct sf_addr *addr, uint16_t port)
{
	struct sockaddr_in6 sin = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

	memcpy(&sin.sin6_addr, addr, 16);
	return connect(fd, (void *)&sin, sizeof(sin)) ? -errno : 0;
}

void judge_manual(const struct sf_addr *addr, uint8_t proto, uint16_t port)
{
	struct sf_listener_key k = key_of(addr, proto, port);
	struct sf_listener l = { .state = SF_LISTENER_LIVE, .flags = SF_LISTENER_MANUAL };

	assert_int_equal(bpf_map_update_elem(bpf_map__fd(skel->maps.listeners), &k, &l, BPF_ANY),
			 0);
}

struct sf_hook_counts counted(void)
{
	struct sf_hook_counts c;

	assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(skel->maps.counts), &cookie, &c), 0);
	return c;
}

void counts_enter(void)
{
	struct sf_hook_counts c;

	memset(&c, 0, sizeof(c));
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(skel->maps.counts), &cookie, &c, BPF_ANY),
			 0);
}
