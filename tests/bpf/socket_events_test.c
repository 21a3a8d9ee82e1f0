// SPDX-License-Identifier: Apache-2.0
/*
 * socket_events_test.c - the socket hooks on real sockets, in a network namespace and a control
 * group of the test's own.
 */
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

#include "bpf/socket_events.skel.h"
#include "core/datapath.h"
#include "core/hooks.h"
#include "util/bpf.h"
#include "util/cgroup.h"
#include "util/netns.h"

static struct socket_events_bpf *skel;
static struct ring_buffer *ring;
static struct bpf_link *links[5];
static struct sf_socket_event events[64];
static int n_events;
static uint64_t cookie;
static char group[64], inner[96], home[256];
static struct sf_net net;
static struct sf_addr service, other;

static int remember(void *ctx, void *data, size_t len)
{
	if (n_events < 64)
		memcpy(&events[n_events++], data, sizeof(events[0]));
	return 0;
}

static void drain(void)
{
	ring_buffer__consume(ring);
}

static uint64_t group_id(const char *group_name)
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
static int lo_has(const struct sf_addr *addr)
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

static int make_ring(void)
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

static int setup(void **state)
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

static int teardown(void **state)
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

static int begin(void **state)
{
	drain();
	n_events = 0;
	return 0;
}

static struct sf_listener_key key_of(const struct sf_addr *addr, uint8_t proto, uint16_t port)
{
	struct sf_listener_key k = {
		.host = cookie, .addr = *addr, .port = htons(port), .proto = proto
	};

	return k;
}

static bool listed(const struct sf_addr *addr, uint8_t proto, uint16_t port, struct sf_listener *l)
{
	struct sf_listener_key k = key_of(addr, proto, port);

	return !bpf_map_lookup_elem(bpf_map__fd(skel->maps.listeners), &k, l);
}

static int judge(const struct sf_addr *addr, uint8_t proto, uint16_t port, uint8_t verdict)
{
	struct sf_judgement j = { .key = key_of(addr, proto, port), .state = verdict };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &j, .ctx_size_in = sizeof(j));

	assert_int_equal(
		bpf_prog_test_run_opts(bpf_program__fd(skel->progs.sf_listener_judge), &opts), 0);
	return (int)opts.retval;
}

static int bound(int type, const struct sf_addr *addr, uint16_t port)
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

static int listening(const struct sf_addr *addr, uint16_t port)
{
	int fd = bound(SOCK_STREAM, addr, port);

	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

/* The hooks tell processes by their number in the first PID namespace; from within another one we
 * cannot know it. */
static void pid_shown(uint32_t got, pid_t want)
{
	char at[64];
	ssize_t n = readlink("/proc/self/ns/pid", at, sizeof(at) - 1);

	assert_true(n > 0);
	at[n] = '\0';
	if (!strcmp(at, "pid:[4026531836]"))
		assert_int_equal(got, want);
	else
		assert_int_not_equal(got, 0);
}

static void listener_comes_and_goes(void **state)
{
	struct sf_listener l;
	int fd = bound(SOCK_STREAM, &service, 80);

	assert_false(listed(&service, IPPROTO_TCP, 80, &l));
	assert_int_equal(listen(fd, 8), 0);
	assert_true(listed(&service, IPPROTO_TCP, 80, &l));
	assert_int_equal(l.state, SF_LISTENER_PENDING);
	assert_int_equal(l.sockets, 1);
	assert_int_equal(l.uid, getuid());
	pid_shown(l.pid, getpid());
	assert_int_equal(l.cgroup, group_id(inner));
	drain();
	assert_int_equal(n_events, 1);
	assert_int_equal(events[0].kind, SF_SOCKET_LISTEN);
	assert_int_equal(events[0].left, 1);
	pid_shown(events[0].pid, getpid());
	assert_int_equal(events[0].key.port, htons(80));
	assert_memory_equal(&events[0].key.addr, &service, 16);
	assert_true(strlen(events[0].comm) > 0);
	/* A second listen() is no second socket. */
	assert_int_equal(listen(fd, 16), 0);
	shutdown(fd, SHUT_RDWR);
	assert_int_equal(listen(fd, 16), 0);
	assert_true(listed(&service, IPPROTO_TCP, 80, &l));
	assert_int_equal(l.sockets, 1);
	close(fd);
	assert_false(listed(&service, IPPROTO_TCP, 80, &l));
	drain();
	assert_int_equal(n_events, 2);
	assert_int_equal(events[1].kind, SF_SOCKET_RELEASE);
	assert_int_equal(events[1].left, 0);
	assert_int_equal(events[1].cookie, events[0].cookie);
}

static void second_socket_outlives_the_first(void **state)
{
	struct sf_listener l;
	int first = listening(&service, 81), second = listening(&service, 81);

	assert_int_equal(judge(&service, IPPROTO_TCP, 81, SF_LISTENER_LIVE), 0);
	assert_true(listed(&service, IPPROTO_TCP, 81, &l));
	assert_int_equal(l.sockets, 2);
	assert_int_equal(l.state, SF_LISTENER_LIVE);
	close(first);
	assert_true(listed(&service, IPPROTO_TCP, 81, &l));
	assert_int_equal(l.sockets, 1);
	assert_int_equal(l.state, SF_LISTENER_LIVE);
	drain();
	assert_int_equal(events[n_events - 1].left, 1);
	close(second);
	assert_false(listed(&service, IPPROTO_TCP, 81, &l));
	assert_int_equal(judge(&service, IPPROTO_TCP, 81, SF_LISTENER_LIVE), 1);
}

static void killed_program_is_released(void **state)
{
	struct sf_listener l;
	int pipes[2], status;
	char c;
	pid_t pid;

	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	if (!pid) {
		listening(&service, 82);
		bound(SOCK_DGRAM, &service, 82);
		if (write(pipes[1], "x", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	assert_int_equal(read(pipes[0], &c, 1), 1);
	assert_true(listed(&service, IPPROTO_TCP, 82, &l));
	assert_true(listed(&service, IPPROTO_UDP, 82, &l));
	pid_shown(l.pid, pid);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	assert_false(listed(&service, IPPROTO_TCP, 82, &l));
	assert_false(listed(&service, IPPROTO_UDP, 82, &l));
	close(pipes[0]);
	close(pipes[1]);
}

static void shared_socket_is_one(void **state)
{
	struct sf_listener l;
	int fd = listening(&service, 83), status;
	pid_t pid = fork();

	if (!pid) {
		close(fd);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	assert_true(listed(&service, IPPROTO_TCP, 83, &l));
	assert_int_equal(l.sockets, 1);
	close(fd);
	assert_false(listed(&service, IPPROTO_TCP, 83, &l));
}

static void datagram_socket_serves_when_bound(void **state)
{
	struct sf_listener l;
	int fd = bound(SOCK_DGRAM, &service, 53);

	assert_true(listed(&service, IPPROTO_UDP, 53, &l));
	drain();
	assert_int_equal(n_events, 1);
	assert_int_equal(events[0].key.proto, IPPROTO_UDP);
	close(fd);
	assert_false(listed(&service, IPPROTO_UDP, 53, &l));
}

static void wildcard_serves_what_its_group_runs(void **state)
{
	struct sf_run_key run = { .cgroup = group_id(group) }; /* the parent of ours */
	struct sf_addr any = { 0 };
	struct sf_listener l;
	int fd = listening(&any, 84);

	drain();
	assert_int_equal(n_events, 0);
	close(fd);
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(skel->maps.runs), &run, &other, BPF_ANY),
			 0);
	fd = listening(&any, 84);
	assert_true(listed(&other, IPPROTO_TCP, 84, &l));
	assert_true(l.flags & SF_LISTENER_WILDCARD);
	close(fd);
	assert_false(listed(&other, IPPROTO_TCP, 84, &l));
	/* An address of its own counts more. */
	fd = listening(&service, 84);
	assert_true(listed(&service, IPPROTO_TCP, 84, &l));
	assert_false(l.flags & SF_LISTENER_WILDCARD);
	close(fd);
	bpf_map_delete_elem(bpf_map__fd(skel->maps.runs), &run);
}

static void strangers_are_left_alone(void **state)
{
	struct sf_hook_host host;
	struct sf_listener l;
	struct sf_addr loopback = { .b = { [15] = 1 } };
	int fd = listening(&loopback, 85);

	close(fd);
	memset(&host, 0, sizeof(host));
	host.net = net;
	bpf_map_delete_elem(bpf_map__fd(skel->maps.hosts), &cookie);
	fd = listening(&service, 85);
	assert_false(listed(&service, IPPROTO_TCP, 85, &l));
	close(fd);
	bpf_map_update_elem(bpf_map__fd(skel->maps.hosts), &cookie, &host, BPF_ANY);
	drain();
	assert_int_equal(n_events, 0);
}

static void host_without_ring_is_served(void **state)
{
	struct sf_listener l;
	int fd;

	bpf_map_delete_elem(bpf_map__fd(skel->maps.rings), &cookie);
	fd = listening(&service, 86);
	assert_true(listed(&service, IPPROTO_TCP, 86, &l));
	close(fd);
	assert_false(listed(&service, IPPROTO_TCP, 86, &l));
	ring_buffer__free(ring);
	assert_int_equal(make_ring(), 0);
}

static void manual_entry_outlives_sockets(void **state)
{
	struct sf_judgement j = { .key = key_of(&service, IPPROTO_TCP, 87),
				  .state = SF_LISTENER_LIVE,
				  .flags = SF_LISTENER_MANUAL };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &j, .ctx_size_in = sizeof(j));
	struct sf_listener l;
	int fd = listening(&service, 87);

	assert_int_equal(
		bpf_prog_test_run_opts(bpf_program__fd(skel->progs.sf_listener_judge), &opts), 0);
	close(fd);
	assert_true(listed(&service, IPPROTO_TCP, 87, &l));
	assert_int_equal(l.sockets, 0);
	bpf_map_delete_elem(bpf_map__fd(skel->maps.listeners), &j.key);
}

static int connect_to(int fd, const struct sf_addr *addr, uint16_t port)
{
	struct sockaddr_in6 sin = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

	memcpy(&sin.sin6_addr, addr, 16);
	return connect(fd, (void *)&sin, sizeof(sin)) ? -errno : 0;
}

static void device_is(int fd, const char *want)
{
	char name[IF_NAMESIZE] = "";
	socklen_t len = sizeof(name);

	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &len), 0);
	assert_string_equal(len ? name : "", want);
}

static void local_service_is_reached_over_lo(void **state)
{
	int server = listening(&service, 88), udp = bound(SOCK_DGRAM, &service, 88);
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sf_addr loopback = { .b = { [15] = 1 } };

	/* Not live yet: out it goes, wherever the routes lead. */
	connect_to(fd, &service, 88);
	device_is(fd, "");
	close(fd);
	judge(&service, IPPROTO_TCP, 88, SF_LISTENER_LIVE);
	judge(&service, IPPROTO_UDP, 88, SF_LISTENER_LIVE);
	fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect_to(fd, &service, 88), 0);
	device_is(fd, "lo");
	close(fd);
	/* Another port of it is not here. */
	fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	connect_to(fd, &service, 89);
	device_is(fd, "");
	close(fd);
	/* A datagram socket may be connected again, elsewhere. */
	fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect_to(fd, &service, 88), 0);
	device_is(fd, "lo");
	assert_int_equal(connect_to(fd, &loopback, 88), 0);
	device_is(fd, "");
	close(fd);
	/* The program's own device is left to it. */
	fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3), 0);
	assert_int_equal(connect_to(fd, &service, 88), 0);
	assert_int_equal(connect_to(fd, &loopback, 88), 0);
	device_is(fd, "lo");
	close(fd);
	close(server);
	close(udp);
}

static void judge_manual(const struct sf_addr *addr, uint8_t proto, uint16_t port)
{
	struct sf_listener_key k = key_of(addr, proto, port);
	struct sf_listener l = { .state = SF_LISTENER_LIVE, .flags = SF_LISTENER_MANUAL };

	assert_int_equal(bpf_map_update_elem(bpf_map__fd(skel->maps.listeners), &k, &l, BPF_ANY),
			 0);
}

static struct sf_hook_counts counted(void)
{
	struct sf_hook_counts c;

	assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(skel->maps.counts), &cookie, &c), 0);
	return c;
}

static void counts_enter(void)
{
	struct sf_hook_counts c;

	memset(&c, 0, sizeof(c));
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(skel->maps.counts), &cookie, &c, BPF_ANY),
			 0);
}

/* ---- sockets that come and go at once ---------------------------------------------------- */

#define RACES 4000

static int reusing(const struct sf_addr *addr, uint16_t port)
{
	return listening(addr, port); /* bound() sets SO_REUSEPORT */
}

/* Two processes in turn: in each round one closes its listener while the other one opens one. */
static void racer(volatile int *round, int me)
{
	int fd = me ? -1 : reusing(&service, 90);

	for (int i = 1; i <= RACES; i++) {
		__sync_fetch_and_add(&round[0], 1);
		while (round[0] < 2 * i)
			; /* both begin at once */
		if (fd >= 0) {
			close(fd);
			fd = -1;
		} else {
			fd = reusing(&service, 90);
		}
		__sync_fetch_and_add(&round[1], 1);
		while (round[1] < 2 * i)
			;
		if (!me) {
			struct sf_listener l;

			drain(); /* else the ring fills, and that is counted, too */

			if (!listed(&service, IPPROTO_TCP, 90, &l))
				round[2]++;
			else if (l.sockets != 1)
				round[3]++;
		}
		__sync_fetch_and_add(&round[4], 1);
		while (round[4] < 2 * i)
			;
	}
	if (fd >= 0)
		close(fd);
}

/* The last word of the ring on the key, as an agent would read it. */
static int last_left = -1, was_wrong;

static int follow(void *ctx, void *data, size_t len)
{
	const struct sf_socket_event *e = data;

	last_left = e->kind == SF_SOCKET_LISTEN && e->left <= 0 ? 1 : e->left;
	return 0;
}

static void no_key_is_lost_between_two(void **state)
{
	volatile int *round =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	uint64_t lost;
	pid_t pid;

	assert_ptr_not_equal(round, MAP_FAILED);
	counts_enter();
	lost = counted().lost;
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
		munmap((void *)round, 4096);
		skip();
	}
	pid = fork();
	if (!pid) {
		racer(round, 1);
		_exit(0);
	}
	racer(round, 0);
	waitpid(pid, &status, 0);
	/* Who was stopped in the middle of removing one may have made the other give up; then it
	 * is counted, and the agent looks for itself at once. */
	assert_int_equal(round[2], counted().lost - lost);
	assert_true(round[2] < RACES / 100);
	assert_int_equal(round[3], 0); /* miscounted */
	munmap((void *)round, 4096);
}

/* What is read last must be what is. */
static void events_end_with_what_is(void **state)
{
	int fd, ends[2], status;
	char c;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		skip();
	ring_buffer__free(ring);
	fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "ring", 0, 0, 65536, NULL);
	assert_true(fd >= 0);
	ring = ring_buffer__new(fd, follow, NULL, NULL);
	assert_non_null(ring);
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(skel->maps.rings), &cookie, &fd, BPF_ANY),
			 0);
	close(fd);
	was_wrong = 0;
	for (int i = 0; i < 500; i++) {
		int mine = reusing(&service, 91);
		pid_t pid;

		assert_int_equal(pipe(ends), 0);
		pid = fork();
		if (!pid) {
			int other_one;

			close(mine);
			close(ends[0]);
			if (write(ends[1], "x", 1) != 1)
				_exit(1);
			other_one = reusing(&service, 91);
			if (write(ends[1], "y", 1) != 1)
				_exit(1);
			pause();
			close(other_one);
			_exit(0);
		}
		close(ends[1]);
		assert_int_equal(read(ends[0], &c, 1), 1);
		for (volatile int spin = 0; spin < (i % 100) * 50; spin++)
			;
		close(mine);
		assert_int_equal(read(ends[0], &c, 1), 1);
		drain();
		was_wrong += last_left <= 0;
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		close(ends[0]);
	}
	ring_buffer__free(ring);
	assert_int_equal(make_ring(), 0);
	assert_int_equal(was_wrong, 0);
}

static void lost_events_are_counted(void **state)
{
	int n = 65536 / 88 + 20, *fds = calloc((size_t)n, sizeof(int));
	uint64_t lost;

	assert_non_null(fds);
	counts_enter();
	for (int i = 0; i < n; i++)
		fds[i] = listening(&service, (uint16_t)(20000 + i));
	lost = counted().lost;
	assert_true(lost >= 20);
	assert_true(lost < 100);
	drain();
	close(fds[0]);
	assert_int_equal(counted().lost, lost); /* there is room again */
	for (int i = 1; i < n; i++)
		close(fds[i]);
	free(fds);
}

/* ---- who may speak in a service's name ---------------------------------------------------- */

static void policy_set(uint32_t kind, uint64_t id, unsigned int bits, uint8_t verdict)
{
	struct sf_sender_key k = {
		.prefixlen = SF_SENDER_BITS - bits, .kind = kind, .host = cookie, .id = sf_be64(id)
	};
	int fd = bpf_map__fd(skel->maps.senders);

	if (verdict)
		assert_int_equal(bpf_map_update_elem(fd, &k, &verdict, BPF_ANY), 0);
	else
		assert_int_equal(bpf_map_delete_elem(fd, &k), 0);
}

static void flags_set(uint32_t flags)
{
	struct sf_hook_host host;

	memset(&host, 0, sizeof(host));
	host.net = net;
	host.flags = flags;
	assert_int_equal(
		bpf_map_update_elem(bpf_map__fd(skel->maps.hosts), &cookie, &host, BPF_ANY), 0);
}

static int sends_from(int fd, const struct sf_addr *src)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = htons(9) };
	struct in6_pktinfo info = { .ipi6_ifindex = 0 };
	union {
		char room[CMSG_SPACE(sizeof(info))];
		struct cmsghdr align;
	} control = { .room = { 0 } };
	struct iovec iov = { "x", 1 };
	struct msghdr msg = {
		.msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &iov, .msg_iovlen = 1
	};
	struct cmsghdr *c;

	memcpy(&to.sin6_addr, &service, 16);
	if (src) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		memcpy(&info.ipi6_addr, src, 16);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = IPPROTO_IPV6;
		c->cmsg_type = IPV6_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(c), &info, sizeof(info));
	}
	return sendmsg(fd, &msg, 0) < 0 ? -errno : 0;
}

static int connects_from(const struct sf_addr *src)
{
	int fd = bound(SOCK_STREAM, src, 0), ret = connect_to(fd, &service, 9);

	close(fd);
	return ret;
}

static void only_the_allowed_send_from_services(void **state)
{
	struct sf_sid own_sid = sf_sid_make(SF_SSID_HOSTS, 5);
	struct sf_addr own = sf_service_addr(&net, &own_sid), loopback = { .b = { [15] = 1 } };
	int udp, plain = bound(SOCK_DGRAM, &(struct sf_addr){ .w = { 0 } }, 0), tcp;
	struct sf_hook_counts c;

	assert_int_equal(lo_has(&other), 0);
	assert_int_equal(lo_has(&own), 0);
	counts_enter();
	assert_int_equal(connects_from(&other), -ECONNREFUSED); /* no policy yet */
	flags_set(SF_HOOK_SENDERS);
	policy_set(SF_SENDER_UID, 8, 3, SF_SENDER_ALLOWED); /* 8 to 15: not us */
	assert_int_equal(connects_from(&other), -EPERM);
	c = counted();
	assert_int_equal(c.denied, 1);
	assert_memory_equal(&c.addr, &other, 16);
	assert_int_equal(c.uid, 0);
	assert_true(c.comm[0] != 0);
	udp = bound(SOCK_DGRAM, &other, 0);
	assert_int_equal(sends_from(udp, NULL), -EPERM);
	assert_int_equal(connect_to(udp, &service, 9), -EPERM);
	close(udp);
	assert_int_equal(sends_from(plain, &other), -EPERM); /* IPV6_PKTINFO */
	assert_int_equal(counted().denied, 4);
	/* What is nobody's: the kernel's choice, the host's identity, other addresses. */
	assert_int_equal(sends_from(plain, NULL), 0);
	assert_int_equal(sends_from(plain, &own), 0);
	assert_int_equal(connects_from(&own), -ECONNREFUSED);
	assert_int_equal(connects_from(&loopback), -ECONNREFUSED);
	tcp = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect_to(tcp, &service, 9), -ECONNREFUSED);
	close(tcp);
	assert_int_equal(counted().denied, 4);
	/* Allowed by range, by group, by control group; denied by one. */
	policy_set(SF_SENDER_UID, 0, 3, SF_SENDER_ALLOWED);
	assert_int_equal(connects_from(&other), -ECONNREFUSED);
	policy_set(SF_SENDER_UID, 0, 3, 0);
	assert_int_equal(connects_from(&other), -EPERM);
	policy_set(SF_SENDER_GID, 0, 0, SF_SENDER_ALLOWED);
	flags_set(SF_HOOK_SENDERS | SF_HOOK_SENDER_GIDS);
	assert_int_equal(connects_from(&other), -ECONNREFUSED);
	policy_set(SF_SENDER_CGROUP, group_id(group), 0, SF_SENDER_DENIED);
	flags_set(SF_HOOK_SENDERS | SF_HOOK_SENDER_GIDS | SF_HOOK_SENDER_CGROUPS);
	assert_int_equal(connects_from(&other), -EPERM);
	assert_int_equal(counted().denied_cgroup, 1);
	policy_set(SF_SENDER_GID, 0, 0, 0);
	policy_set(SF_SENDER_CGROUP, group_id(group), 0, SF_SENDER_ALLOWED);
	assert_int_equal(connects_from(&other), -ECONNREFUSED);
	/* One that denied programs listen on is theirs as little as before, and they see it. */
	policy_set(SF_SENDER_CGROUP, group_id(group), 0, 0);
	tcp = listening(&other, 92);
	close(tcp);
	/* Registered by hand for a wildcard socket: it answers from the service's address. */
	judge_manual(&other, IPPROTO_UDP, 93);
	udp = bound(SOCK_DGRAM, &(struct sf_addr){ .w = { 0 } }, 93);
	assert_int_equal(sends_from(udp, &other), 0);
	assert_int_equal(sends_from(udp, &service), -EPERM);
	close(udp);
	close(plain);
	policy_set(SF_SENDER_UID, 8, 3, 0);
	flags_set(0);
}

#define T(f) cmocka_unit_test_setup(f, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(listener_comes_and_goes),	      T(second_socket_outlives_the_first),
		T(killed_program_is_released),	      T(shared_socket_is_one),
		T(datagram_socket_serves_when_bound), T(wildcard_serves_what_its_group_runs),
		T(strangers_are_left_alone),	      T(host_without_ring_is_served),
		T(manual_entry_outlives_sockets),     T(local_service_is_reached_over_lo),
		T(no_key_is_lost_between_two),	      T(events_end_with_what_is),
		T(lost_events_are_counted),	      T(only_the_allowed_send_from_services),
	};

	if (geteuid()) {
		fprintf(stderr, "SKIP: loading eBPF programs needs root\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, setup, teardown);
}
