// SPDX-License-Identifier: Apache-2.0
/* util/daemon: one instance, signals, the service manager's socket, privileges. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/daemon.h"

static char dir[] = "/tmp/scaffold_daemon_test.XXXXXX";
static char run_dir[64];

struct seen {
	struct sf_daemon d;
	int stops, reloads, ticks;
};

static void on_stop(void *ctx)
{
	((struct seen *)ctx)->stops++;
}

static void on_reload(void *ctx)
{
	((struct seen *)ctx)->reloads++;
}

static int open_daemon(struct seen *s, uint32_t grace, char *err)
{
	struct sf_daemon_options options = { .name = "testd",
					     .run_dir = run_dir,
					     .run_dir_mode = 0750,
					     .stop = on_stop,
					     .stop_grace = grace,
					     .reload = on_reload,
					     .ctx = s };

	err[0] = '\0';
	return sf_daemon_open(&s->d, &options, err, 256);
}

/* Sends a signal at each tick: reload first, then stop. */
static void tick(evutil_socket_t fd, short what, void *ctx)
{
	struct seen *s = ctx;

	kill(getpid(), s->ticks++ == 0 ? SIGHUP : SIGTERM);
}

static void run_with_signals(struct seen *s)
{
	struct timeval soon = { 0, 1000 };
	struct event *ev = event_new(s->d.base, -1, EV_PERSIST, tick, s);

	event_add(ev, &soon);
	assert_int_equal(sf_daemon_run(&s->d), 0);
	event_free(ev);
}

static void signals(void **state)
{
	struct seen s = { 0 };
	struct stat st;
	char err[256];

	assert_int_equal(open_daemon(&s, 0, err), 0);
	assert_int_equal(stat(run_dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0750);
	run_with_signals(&s);
	assert_int_equal(s.reloads, 1);
	assert_int_equal(s.stops, 1);
	assert_true(s.d.stopping);
	sf_daemon_close(&s.d);
	assert_int_equal(stat(run_dir, &st), 0);
	sf_daemon_close(&s.d);
}

/* A second signal does not wait for the grace time: with an hour of it, this ends at once. */
static void impatience(void **state)
{
	struct seen s = { 0 };
	char err[256];

	assert_int_equal(open_daemon(&s, 3600000, err), 0);
	run_with_signals(&s);
	assert_int_equal(s.stops, 1);
	assert_int_equal(s.ticks, 3);
	sf_daemon_close(&s.d);
}

static void grace_ends(void **state)
{
	struct seen s = { 0 };
	char err[256];

	assert_int_equal(open_daemon(&s, 1, err), 0);
	sf_daemon_stop(&s.d);
	assert_false(s.d.quit);
	assert_int_equal(sf_daemon_run(&s.d), 0);
	assert_true(s.d.quit);
	sf_daemon_close(&s.d);
	/* A quit from before the loop is not lost. */
	assert_int_equal(open_daemon(&s, 0, err), 0);
	sf_daemon_stop(&s.d);
	assert_int_equal(sf_daemon_run(&s.d), 0);
	sf_daemon_close(&s.d);
}

static void second_instance_is_refused(void **state)
{
	struct seen one = { 0 }, two = { 0 };
	char err[256], want[256];
	struct stat st;

	assert_int_equal(open_daemon(&one, 0, err), 0);
	assert_int_equal(open_daemon(&two, 0, err), -EBUSY);
	snprintf(want, sizeof(want), "%s/testd.pid: already running (pid %d); stop it first",
		 run_dir, getpid());
	assert_string_equal(err, want);
	sf_daemon_close(&two.d); /* must not take the first one's file away */
	assert_int_equal(open_daemon(&two, 0, err), -EBUSY);
	sf_daemon_close(&one.d);
	assert_int_equal(open_daemon(&two, 0, err), 0);
	snprintf(want, sizeof(want), "%s/testd.pid", run_dir);
	assert_int_equal(stat(want, &st), 0);
	sf_daemon_close(&two.d);
	assert_int_equal(stat(want, &st), -1);
	/* What a killed one left does not matter. */
	close(open(want, O_CREAT | O_WRONLY, 0644));
	assert_int_equal(open_daemon(&two, 0, err), 0);
	sf_daemon_close(&two.d);
}

static void bad_run_dir(void **state)
{
	struct sf_daemon_options options = { .name = "testd", .run_dir = "/dev/null/run" };
	struct sf_daemon d;
	char err[256];

	assert_int_equal(sf_daemon_open(&d, &options, err, sizeof(err)), -ENOTDIR);
	assert_string_equal(err, "/dev/null/run: cannot make the run directory: Not a directory");
}

static void notifies(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct seen s = { 0 };
	char err[256], text[64];
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	ssize_t n;

	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(sf_notify("READY=1"), 0);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/notify", dir);
	assert_int_equal(bind(fd, (void *)&addr, sizeof(addr)), 0);
	setenv("NOTIFY_SOCKET", addr.sun_path, 1);
	assert_int_equal(open_daemon(&s, 0, err), 0);
	sf_daemon_stop(&s.d);
	assert_int_equal(sf_daemon_run(&s.d), 0);
	sf_daemon_close(&s.d);
	n = recv(fd, text, sizeof(text), 0);
	assert_int_equal(n, 10);
	assert_memory_equal(text, "STOPPING=1", 10);
	n = recv(fd, text, sizeof(text), 0);
	assert_int_equal(n, 7);
	assert_memory_equal(text, "READY=1", 7);
	unlink(addr.sun_path);
	assert_int_equal(sf_notify("READY=1"), -ENOENT);
	setenv("NOTIFY_SOCKET", "relative", 1);
	assert_int_equal(sf_notify("READY=1"), -EINVAL);
	unsetenv("NOTIFY_SOCKET");
	close(fd);
}

static int stages(void)
{
	static const struct sf_priv_stage serve = { .name = "serve",
						    .caps = SF_CAP(CAP_NET_ADMIN) |
							    SF_CAP(CAP_NET_RAW) |
							    SF_CAP(CAP_SETPCAP) };
	static const struct sf_priv_stage more = {
		.name = "more", .caps = SF_CAP(CAP_NET_ADMIN) | SF_CAP(CAP_SYS_ADMIN)
	};
	static const struct sf_priv_stage idle = { .name = "idle" };

	if (sf_priv_enter(&serve) || !sf_priv_have(serve.caps) ||
	    sf_priv_have(SF_CAP(CAP_SYS_ADMIN)))
		return 1;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 ||
	    prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN) != 0)
		return 2;
	if (chown(dir, 1, (gid_t)-1) == 0) /* what root alone could do */
		return 3;
	/* No way back, and a refused stage changes nothing. */
	if (sf_priv_enter(&more) != -EPERM || !sf_priv_have(serve.caps) ||
	    prctl(PR_CAPBSET_READ, CAP_NET_RAW) != 1)
		return 4;
	if (sf_priv_enter(&idle) || sf_priv_have(SF_CAP(CAP_NET_ADMIN)))
		return 5;
	return sf_priv_enter(&serve) == -EPERM ? 0 : 6;
}

static void privileges_only_shrink(void **state)
{
	int status;
	pid_t pid;

	if (geteuid() != 0) {
		fprintf(stderr, "SKIPPED privileges_only_shrink: needs root\n");
		skip();
	}
	pid = fork();
	if (pid == 0)
		_exit(stages());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void stray_descriptors(void **state)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		int stray = dup(2);

		close(0);
		sf_close_stray();
		_exit(fcntl(stray, F_GETFD) == -1 && fcntl(0, F_GETFD) == 0 &&
				      fcntl(2, F_GETFD) == 0
			      ? 0
			      : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static int setup(void **state)
{
	if (!mkdtemp(dir))
		return -1;
	snprintf(run_dir, sizeof(run_dir), "%s/run", dir);
	return 0;
}

static int teardown(void **state)
{
	rmdir(run_dir);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signals),
		cmocka_unit_test(impatience),
		cmocka_unit_test(grace_ends),
		cmocka_unit_test(second_instance_is_refused),
		cmocka_unit_test(bad_run_dir),
		cmocka_unit_test(notifies),
		cmocka_unit_test(privileges_only_shrink),
		cmocka_unit_test(stray_descriptors),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
