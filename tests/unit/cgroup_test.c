// SPDX-License-Identifier: Apache-2.0
/* util/cgroup: a group's life with a process in it. Needs root and cgroup v2. */
#include <errno.h>
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

#include "util/cgroup.h"

static pid_t child; /* of the test that is run, to be ended whatever happens */
static char top[64], group[80];

static void finds_the_mount(void **state)
{
	char path[256], tiny[4];
	struct stat st;

	assert_int_equal(sf_cgroup_mount(path, sizeof(path)), 0);
	strcat(path, "/cgroup.procs");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(sf_cgroup_mount(tiny, sizeof(tiny)), -ERANGE);
	assert_int_equal(sf_cgroup_path("relative", path, sizeof(path)), -EINVAL);
	assert_int_equal(sf_cgroup_path("/a/../../etc", path, sizeof(path)), -EINVAL);
}

static void life(void **state)
{
	char where[256], path[256];
	uint64_t id, parent;
	struct stat st;
	int status, fd;

	assert_int_equal(sf_cgroup_make(group), 0);
	assert_int_equal(sf_cgroup_make(group), 0);
	assert_int_equal(sf_cgroup_populated(group), 0);
	assert_int_equal(sf_cgroup_id(group, &id), 0);
	assert_int_equal(sf_cgroup_id(top, &parent), 0);
	assert_true(id != parent);
	assert_int_equal(sf_cgroup_path(group, path, sizeof(path)), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_true(id == st.st_ino); /* as on every 64-bit host */
	fd = sf_cgroup_open(group);
	assert_true(fd >= 0);
	close(fd);

	child = fork();
	if (child == 0) {
		for (;;)
			pause();
	}
	assert_int_equal(sf_cgroup_move(group, child), 0);
	assert_int_equal(sf_cgroup_of(child, where, sizeof(where)), 0);
	assert_string_equal(where, group);
	assert_int_equal(sf_cgroup_populated(top), 1);
	assert_int_equal(sf_cgroup_remove(group), -EBUSY);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(sf_cgroup_populated(group), 0);
	assert_int_equal(sf_cgroup_remove(group), 0);
	assert_int_equal(sf_cgroup_remove(group), 0);
	assert_int_equal(sf_cgroup_populated(group), -ENOENT);
	assert_int_equal(sf_cgroup_id(group, &id), -ENOENT);
	assert_int_equal(sf_cgroup_move(group, 0), -ENOENT);
}

/* What is empty goes; what is not stays, with its parents. */
static void trees(void **state)
{
	char empty[256], deep[320], path[512];
	int status;

	snprintf(empty, sizeof(empty), "%s/empty", top);
	snprintf(deep, sizeof(deep), "%s/below", empty);
	assert_int_equal(sf_cgroup_make(deep), 0);
	assert_int_equal(sf_cgroup_make(group), 0);
	child = fork();
	if (child == 0) {
		for (;;)
			pause();
	}
	assert_int_equal(sf_cgroup_move(group, child), 0);
	assert_int_equal(sf_cgroup_remove_tree(top), -EBUSY);
	assert_int_equal(sf_cgroup_populated(empty), -ENOENT);
	assert_int_equal(sf_cgroup_populated(group), 1);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(sf_cgroup_remove_tree(top), 0);
	assert_int_equal(sf_cgroup_path(top, path, sizeof(path)), 0);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(sf_cgroup_remove_tree(top), 0); /* gone already */
	assert_true(sf_cgroup_host(0x1001, path, sizeof(path)) > 0);
	assert_string_equal(path, SF_CGROUP_TOP "/0000000000001001");
}

static void absent_process(void **state)
{
	char where[256];

	assert_int_equal(sf_cgroup_of(0, where, sizeof(where)), 0);
	assert_int_equal(where[0], '/');
	assert_int_equal(sf_cgroup_of(0x7ffffff0, where, sizeof(where)), -ESRCH);
}

static int cleanup(void **state)
{
	/* After a failed assertion the child is still there. */
	if (child > 0 && sf_cgroup_populated(top) == 1 && kill(child, SIGKILL) == 0)
		waitpid(child, NULL, 0);
	sf_cgroup_remove(group);
	return sf_cgroup_remove(top);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_the_mount),
		cmocka_unit_test(life),
		cmocka_unit_test(trees),
		cmocka_unit_test(absent_process),
	};
	char path[256];

	if (geteuid() != 0) {
		fprintf(stderr, "needs root: makes control groups\n");
		return 77;
	}
	if (sf_cgroup_mount(path, sizeof(path)) == -ENOENT) {
		fprintf(stderr, "needs cgroup v2: none is mounted\n");
		return 77;
	}
	snprintf(top, sizeof(top), "/sfunit-%d", getpid());
	snprintf(group, sizeof(group), "%s/child", top);
	return cmocka_run_group_tests(tests, NULL, cleanup);
}
