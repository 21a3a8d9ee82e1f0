// SPDX-License-Identifier: Apache-2.0
/* util/netns: namespaces by name, made and entered for real. Needs root. */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/file.h"
#include "util/netns.h"

static char name[32];

static int cookie_here(void *ctx)
{
	return sf_netns_cookie(ctx);
}

static int look_for(const char *found, void *ctx)
{
	return strcmp(found, ctx) == 0;
}

static void life(void **state)
{
	uint64_t outside, inside, again;
	int fd;

	assert_int_equal(sf_netns_create(name), 0);
	assert_int_equal(sf_netns_create(name), -EEXIST);
	assert_int_equal(sf_netns_list(look_for, name), 1);
	fd = sf_netns_open(name);
	assert_true(fd >= 0);
	assert_int_equal(sf_netns_cookie(&outside), 0);
	assert_int_equal(sf_netns_run(fd, cookie_here, &inside), 0);
	assert_true(inside != 0 && inside != outside);
	assert_int_equal(sf_netns_cookie(&again), 0);
	assert_true(again == outside);
	close(fd);
	assert_int_equal(sf_netns_delete(name), 0);
	assert_int_equal(sf_netns_delete(name), -ENOENT);
	assert_int_equal(sf_netns_open(name), -ENOENT);
	assert_int_equal(sf_netns_list(look_for, name), 0);
}

static int seven(void *ctx)
{
	return 7;
}

static void bad_names(void **state)
{
	char path[256];
	int null = open("/dev/null", O_RDONLY), fd;

	assert_int_equal(sf_netns_create("a/b"), -EINVAL);
	assert_int_equal(sf_netns_create(""), -EINVAL);
	assert_int_equal(sf_netns_delete(".."), -EINVAL);
	assert_int_equal(sf_netns_run(null, seven, NULL), -EINVAL);
	close(null);
	/* A file of that name that is no namespace: what a crash of ip-netns leaves. */
	snprintf(path, sizeof(path), SF_NETNS_DIR "/%s", name);
	fd = open(path, O_CREAT | O_RDONLY, 0600);
	close(fd);
	assert_int_equal(sf_netns_open(name), -EPERM);
	assert_int_equal(sf_netns_delete(name), 0);
}

struct found {
	pid_t pid;
	char comm[32];
	int count;
};

static int remember(pid_t pid, const char *comm, void *ctx)
{
	struct found *f = ctx;

	f->pid = pid;
	snprintf(f->comm, sizeof(f->comm), "%s", comm);
	f->count++;
	return 0;
}

/* A child that enters as an exec'ing program would, and reports through its exit status. */
static int child(int ready, int end)
{
	struct stat st;
	char c = 0;

	if (sf_netns_enter_named(name))
		return 1;
	/* Only lo is there, in the netlink view and in /sys. */
	if (if_nametoindex("lo") != 1 || stat("/sys/class/net/eth0", &st) == 0 ||
	    stat("/sys/class/net/lo", &st))
		return 2;
	if (write(ready, &c, 1) != 1 || read(end, &c, 1) != 0)
		return 3;
	return 0;
}

static void processes(void **state)
{
	struct found f = { 0 };
	int ready[2], end[2], status, fd;
	pid_t pid;
	char c;

	assert_int_equal(sf_netns_create(name), 0);
	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(end), 0);
	pid = fork();
	if (pid == 0) {
		close(ready[0]);
		close(end[1]);
		_exit(child(ready[1], end[0]));
	}
	close(ready[1]);
	close(end[0]);
	if (read(ready[0], &c, 1) == 1) {
		fd = sf_netns_open(name);
		assert_int_equal(sf_netns_processes(fd, remember, &f), 0);
		close(fd);
		fd = sf_netns_open_pid(pid);
		assert_true(fd >= 0);
		close(fd);
	}
	close(ready[0]);
	close(end[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(sf_netns_delete(name), 0);
	assert_int_equal(status, 0);
	assert_int_equal(f.count, 1);
	assert_int_equal(f.pid, pid);
	assert_string_equal(f.comm, "netns_test");
}

static void cgroup_stays_visible(void **state)
{
	pid_t pid;
	int status;

	assert_int_equal(sf_netns_create(name), 0);
	pid = fork();
	if (pid == 0) {
		struct stat before, after;
		int r;

		if (stat("/sys/fs/cgroup", &before))
			_exit(1);
		r = sf_netns_enter_named(name);
		_exit(r || stat("/sys/fs/cgroup", &after) || before.st_dev != after.st_dev ? 2 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(sf_netns_delete(name), 0);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(life),
		cmocka_unit_test(bad_names),
		cmocka_unit_test(processes),
		cmocka_unit_test(cgroup_stays_visible),
	};

	if (geteuid() != 0) {
		fprintf(stderr, "needs root: makes network namespaces\n");
		return 77;
	}
	snprintf(name, sizeof(name), "sfunit-netns-%d", getpid());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
