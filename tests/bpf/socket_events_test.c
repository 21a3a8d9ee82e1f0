// SPDX-License-Identifier: Apache-2.0
/*
 * socket_events_test.c - the socket hooks on real sockets, in a network namespace and a control
 * group of the test's own.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/tcp.h>
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

/* What TCP waits at least before it repeats, in microseconds, once it has measured a round trip. */
static uint32_t patience(int fd)
{
	struct tcp_info i = { 0 };
	socklen_t len = sizeof(i);

	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &i, &len), 0);
	assert_true(i.tcpi_rtt > 0);
	return i.tcpi_rto - i.tcpi_rtt;
}

static void connections_of_services_are_impatient(void **state)
{
	struct sf_addr loopback = { .b = { [15] = 1 } };
	int server, plain, fd, peer;

	server = listening(&service, 88);
	plain = listening(&loopback, 88);
	judge(&service, IPPROTO_TCP, 88, SF_LISTENER_LIVE);
	fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect_to(fd, &service, 88), 0);
	peer = accept(server, NULL, NULL);
	assert_true(peer >= 0);
	assert_true(patience(fd) < 150000);
	assert_true(patience(peer) < 150000);
	close(peer);
	close(fd);
	/* The rest of the world's are as they were. */
	fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect_to(fd, &loopback, 88), 0);
	assert_true(patience(fd) >= 190000);
	close(fd);
	close(plain);
	close(server);
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
	assert_true(round[2] < RACES / 2); /* the rule is that nobody is stopped */
	assert_int_equal(round[3], 0);	   /* miscounted */
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

#define T(f) cmocka_unit_test_setup(f, sockets_begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(listener_comes_and_goes),	      T(second_socket_outlives_the_first),
		T(killed_program_is_released),	      T(shared_socket_is_one),
		T(datagram_socket_serves_when_bound), T(wildcard_serves_what_its_group_runs),
		T(strangers_are_left_alone),	      T(host_without_ring_is_served),
		T(manual_entry_outlives_sockets),     T(local_service_is_reached_over_lo),
		T(no_key_is_lost_between_two),	      T(events_end_with_what_is),
		T(lost_events_are_counted),	      T(connections_of_services_are_impatient),
	};

	if (geteuid()) {
		fprintf(stderr, "SKIP: loading eBPF programs needs root\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, sockets_setup, sockets_teardown);
}
