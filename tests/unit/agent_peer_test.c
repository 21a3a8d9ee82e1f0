// SPDX-License-Identifier: Apache-2.0
/* Who asks by a Unix socket: not who has his number now. Needs root: it chooses process numbers. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/peer.h"
#include "util/cgroup.h"

static struct sf_http_peer who;
static int client = -1; /* the other end, which outlives the process that connected */
static pid_t child;

/* A child connects, in two groups, and then leaves them; it goes on living. */
static int setup(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(sa_family_t) + 1;
	const gid_t gids[] = { 4242, 4343 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), go[2];
	struct timespec now;
	struct ucred cred;
	char c;

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(sa_family_t)), 0);
	len = sizeof(a);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(pipe(go), 0);
	client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		if (setgroups(2, gids) || setresuid(0, 4000, 0) ||
		    connect(client, (struct sockaddr *)&a, len) || setresuid(0, 0, 0) ||
		    setgroups(0, NULL) || setresuid(0, 4000, 0) || write(go[1], "x", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	assert_int_equal(read(go[0], &c, 1), 1);
	memset(&who, 0, sizeof(who));
	who.fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	assert_true(who.fd >= 0);
	len = sizeof(cred);
	assert_int_equal(getsockopt(who.fd, SOL_SOCKET, SO_PEERCRED, &cred, &len), 0);
	assert_int_equal(cred.pid, child);
	assert_int_equal(cred.uid, 4000);
	clock_gettime(CLOCK_BOOTTIME, &now);
	who.local = true;
	who.pid = cred.pid;
	who.uid = cred.uid;
	who.since_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	close(go[0]);
	close(go[1]);
	close(fd);
	return 0;
}

static void end_child(void)
{
	if (child <= 0)
		return;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	child = 0;
}

static int teardown(void **state)
{
	end_child();
	close(who.fd);
	close(client);
	return 0;
}

/* The child ends, and another process of the same user gets its number. */
static void replace_child(void)
{
	struct timespec tick = { .tv_nsec = 2000000000 / sysconf(_SC_CLK_TCK) };
	struct clone_args args = { .exit_signal = SIGCHLD };
	pid_t pid = child;

	end_child();
	nanosleep(&tick, NULL); /* its start shall be later, as the kernel counts */
	args.set_tid = (uintptr_t)&pid;
	args.set_tid_size = 1;
	child = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (!child) {
		if (setresuid(0, 4000, 0))
			_exit(1);
		pause();
		_exit(0);
	}
	assert_int_equal(child, pid);
}

static void test_lives(void **state)
{
	char ours[512], its[512];
	struct peer p;

	assert_int_equal(peer_open(&who, &p), 0);
	assert_true(peer_lives(&p));
	assert_int_equal(p.pid, child);
	peer_close(&p);
	assert_int_equal(sf_cgroup_of(getpid(), ours, sizeof(ours)),
			 peer_cgroup(&who, its, sizeof(its)));
	assert_string_equal(ours, its);
	assert_int_equal(peer_open(&who, &p), 0);
	end_child();
	assert_false(peer_lives(&p));
	peer_close(&p);
	assert_int_equal(peer_open(&who, &p), -ESRCH);
	assert_int_equal(peer_cgroup(&who, its, sizeof(its)), -ESRCH);
}

static void test_replaced(void **state)
{
	char group[512];
	struct peer p;

	assert_int_equal(peer_open(&who, &p), 0);
	replace_child();
	assert_false(peer_lives(&p));
	peer_close(&p);
	assert_int_equal(sf_cgroup_of(who.pid, group, sizeof(group)), 0);
	assert_int_equal(peer_cgroup(&who, group, sizeof(group)), -ESRCH);
	assert_int_equal(peer_open(&who, &p), -ESRCH);
}

static void test_replaced_by_age(void **state)
{
	struct peer p, late;

	assert_int_equal(peer_open_by_age(&who, &p), 0);
	assert_true(peer_lives(&p));
	who.uid = 4001;
	assert_int_equal(peer_open_by_age(&who, &late), -ESRCH);
	who.uid = 4000;
	replace_child();
	assert_false(peer_lives(&p));
	assert_int_equal(peer_open_by_age(&who, &late), -ESRCH);
	end_child();
	assert_int_equal(peer_open_by_age(&who, &late), -ESRCH);
}

static void test_groups(void **state)
{
	gid_t gids[8] = { 0 };

	assert_int_equal(peer_groups(&who, gids, 8), 2);
	assert_int_equal(gids[0], 4242);
	assert_int_equal(gids[1], 4343);
	gids[0] = gids[1] = 0;
	assert_int_equal(peer_groups(&who, gids, 1), 1);
	assert_int_equal(gids[0], 4242);
	assert_int_equal(gids[1], 0);
	replace_child();
	assert_int_equal(peer_groups(&who, gids, 8), 2);
}

static void test_can(void **state)
{
	struct sf_http_peer self = { .local = true, .uid = 0, .pid = getpid() };
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	self.fd = pair[0];
	self.since_ns = UINT64_MAX;
	assert_int_equal(peer_can(&self, CAP_NET_BIND_SERVICE), 0);
	assert_int_equal(peer_can(&self, 63), -EPERM); /* there is none of this number */
	/* It is another user now than the one that connected. */
	self.uid = 4000;
	assert_int_equal(peer_can(&self, CAP_NET_BIND_SERVICE), -EPERM);
	close(pair[0]);
	close(pair[1]);
	assert_int_equal(peer_can(&who, CAP_NET_BIND_SERVICE), -EPERM);
	replace_child();
	assert_int_equal(peer_can(&who, CAP_NET_BIND_SERVICE), -ESRCH);
}

/* Root of a user namespace of its own has all capabilities there, and none here. */
static void test_can_elsewhere(void **state)
{
	struct sf_http_peer its = { .local = true, .since_ns = UINT64_MAX };
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(a);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char made = 0;
	pid_t pid;

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(sa_family_t)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	assert_int_equal(listen(fd, 1), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		int to = socket(AF_UNIX, SOCK_STREAM, 0);
		int map = unshare(CLONE_NEWUSER) ? -1 : open("/proc/self/uid_map", O_WRONLY);

		made = map >= 0 && write(map, "0 0 1", 5) == 5;
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* also where an assertion ends the test */
		if (!connect(to, (struct sockaddr *)&a, len) && write(to, &made, 1) == 1)
			pause();
		_exit(1);
	}
	its.pid = pid;
	its.fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	assert_true(its.fd >= 0);
	assert_int_equal(read(its.fd, &made, 1), 1);
	if (made)
		assert_int_equal(peer_can(&its, CAP_NET_BIND_SERVICE), -EPERM);
	else
		printf("SKIPPED root of a user namespace: none can be made here (a chroot?)\n");
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(its.fd);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_lives, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replaced_by_age, setup, teardown),
		cmocka_unit_test_setup_teardown(test_groups, setup, teardown),
		cmocka_unit_test_setup_teardown(test_can, setup, teardown),
		cmocka_unit_test(test_can_elsewhere),
	};

	if (geteuid()) {
		fprintf(stderr, "needs root: chooses process numbers\n");
		return 77;
	}
	return cmocka_run_group_tests_name("agent_peer", tests, NULL, NULL);
}
