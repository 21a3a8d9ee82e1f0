// SPDX-License-Identifier: Apache-2.0
/* process.c - processes of a lab; see process.h. */
#include "lab/process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/errtext.h"
#include "util/file.h"
#include "util/netns.h"

/* ---- starting --------------------------------------------------------------------------- */

/* How far a child came, and what stopped it. */
struct step {
	char name[32];
	int error;
};

static void child_fail(int report, const char *name, int error)
{
	struct step s = { .error = error };

	snprintf(s.name, sizeof(s.name), "%s", name);
	(void)!write(report, &s, sizeof(s));
	_exit(127);
}

static void child_run(const struct sf_process *p, pid_t parent, int report)
{
	sigset_t none;
	int log, null, r;

	/* Until we are in the namespace nobody else could find us: die with the parent. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		child_fail(report, "parent gone", ESRCH);
	setsid();
	r = sf_netns_enter_named(p->ns);
	if (r)
		child_fail(report, "enter namespace", -r);
	prctl(PR_SET_PDEATHSIG, 0);
	log = open(p->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (log < 0 || null < 0)
		child_fail(report, "open log", errno);
	if (dup2(null, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0)
		child_fail(report, "open log", errno);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	unsetenv("NOTIFY_SOCKET"); /* of whoever started us */
	unsetenv("JOURNAL_STREAM");
	execv(p->path, p->argv);
	child_fail(report, "execute", errno);
}

/* Field 22 of /proc/PID/stat, behind the name, which may hold anything. 'Z' and 'X' count as gone.
 */
static int start_time(pid_t pid, uint64_t *start)
{
	char path[64], *text, *p;
	char state;
	int r;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	r = sf_file_read(path, 8192, &text, NULL);
	if (r)
		return r;
	p = strrchr(text, ')');
	if (!p || sscanf(p + 1,
			 " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d "
			 "%*d %*d %*d %" SCNu64,
			 &state, start) != 2)
		r = -EBADMSG;
	else if (state == 'Z' || state == 'X')
		r = -ESRCH;
	free(text);
	return r;
}

static int record_write(const char *path, pid_t pid)
{
	uint64_t start;
	char text[64];
	int r = start_time(pid, &start);

	if (r)
		return r;
	snprintf(text, sizeof(text), "%d %" PRIu64 "\n", pid, start);
	return sf_file_write(path, text, strlen(text), 0644);
}

int sf_process_start(const struct sf_process *p, pid_t *pid, char *err, size_t err_len)
{
	pid_t parent = getpid(), child;
	struct step s;
	int report[2];
	ssize_t n;
	int r;

	if (pipe2(report, O_CLOEXEC) < 0)
		return sf_errtext(err, err_len, -errno, "%s: pipe: %s", p->path, strerror(errno));
	child = fork();
	if (child == 0)
		child_run(p, parent, report[1]);
	r = child < 0 ? -errno : 0;
	close(report[1]);
	n = r ? 0 : read(report[0], &s, sizeof(s));
	close(report[0]);
	if (r)
		return sf_errtext(err, err_len, r, "%s: fork: %s", p->path, strerror(-r));
	if (n == (ssize_t)sizeof(s)) {
		waitpid(child, NULL, 0);
		return sf_errtext(err, err_len, -s.error, "%s in %s: %s: %s", p->path, p->ns,
				  s.name, strerror(s.error));
	}
	*pid = child;
	/* A program that ends at once leaves no record: whoever waits for it will see. */
	r = record_write(p->record, child);
	if (r && r != -ESRCH)
		return sf_errtext(err, err_len, r, "%s: %s", p->record, strerror(-r));
	return 0;
}

/* ---- records ---------------------------------------------------------------------------- */

int sf_record_read(const char *path, struct sf_record *out)
{
	struct sf_record rec;
	char *text;
	int r = sf_file_read(path, 256, &text, NULL);

	if (r)
		return r;
	if (sscanf(text, "%d %" SCNu64, &rec.pid, &rec.start) != 2 || rec.pid <= 1)
		r = -EBADMSG;
	else
		*out = rec;
	free(text);
	return r;
}

bool sf_record_alive(const struct sf_record *r)
{
	uint64_t start;

	return start_time(r->pid, &start) == 0 && start == r->start;
}

/* ---- ending ----------------------------------------------------------------------------- */

/* Waits for the end of the process behind a pidfd, until @end. */
static bool ended(int fd, uint64_t end)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t now = sf_now_ms();
	int n;

	while ((n = poll(&p, 1, now < end ? (int)(end - now) : 0)) < 0 && errno == EINTR)
		now = sf_now_ms();
	return n > 0;
}

int sf_record_end(const struct sf_record *r, int sig, unsigned int wait_ms)
{
	int fd = pidfd_open(r->pid, 0), ret = 0;

	if (fd < 0)
		return errno == EINVAL ? -ESRCH : -errno;
	/* Asked behind the open: what the id means now, the descriptor means, too. */
	if (!sf_record_alive(r))
		ret = -ESRCH;
	else if (pidfd_send_signal(fd, sig, NULL, 0) < 0)
		ret = -errno;
	else if (!ended(fd, sf_now_ms() + wait_ms))
		ret = -ETIMEDOUT;
	close(fd);
	return ret;
}

#define COMM_MAX 15 /* characters of a program's name that the kernel keeps */

struct sweep {
	int fds[256]; /* one round's processes */
	size_t n;
	struct stat ns; /* the namespace that is looked at */
	const char *spared;
	bool self;
};

static bool is_in(pid_t pid, const struct stat *ns)
{
	int fd = sf_netns_open_pid(pid);
	struct stat st;
	bool in;

	if (fd < 0)
		return false;
	in = fstat(fd, &st) == 0 && st.st_ino == ns->st_ino && st.st_dev == ns->st_dev;
	close(fd);
	return in;
}

/*
 * Between the finding and pidfd_open() the process may have ended and its id been given away. So
 * ask again: what the id means now, the descriptor means, too.
 */
static int sweep_found(pid_t pid, const char *comm, void *ctx)
{
	struct sweep *s = ctx;
	uint64_t start;
	int fd;

	if (pid == getpid()) {
		s->self = true;
		return 0;
	}
	if (s->spared && strncmp(comm, s->spared, COMM_MAX) == 0)
		return 0;
	if (s->n == sizeof(s->fds) / sizeof(s->fds[0]))
		return 0; /* the next round takes it */
	fd = pidfd_open(pid, 0);
	if (fd < 0)
		return 0;
	if (is_in(pid, &s->ns) && start_time(pid, &start) == 0)
		s->fds[s->n++] = fd;
	else
		close(fd);
	return 0;
}

/* Descriptors of the processes that are in the namespaces now. */
static int sweep_scan(struct sweep *s, const char *const *ns, size_t n)
{
	s->n = 0;
	for (size_t i = 0; i < n; i++) {
		int fd = sf_netns_open(ns[i]), r;

		if (fd == -ENOENT || fd == -EPERM) /* not made yet, or a name without namespace */
			continue;
		if (fd < 0)
			return fd;
		r = fstat(fd, &s->ns) < 0 ? -errno : sf_netns_processes(fd, sweep_found, s);
		close(fd);
		if (r)
			return r;
	}
	return 0;
}

/* Signals all that were found and waits until all have ended, or for @wait_ms. */
static void sweep_signal(struct sweep *s, int sig, unsigned int wait_ms)
{
	uint64_t end = sf_now_ms() + wait_ms;

	for (size_t i = 0; i < s->n; i++)
		(void)pidfd_send_signal(s->fds[i], sig, NULL, 0); /* gone is fine */
	for (size_t i = 0; i < s->n; i++) {
		(void)ended(s->fds[i], end); /* the next round looks again */
		close(s->fds[i]);
	}
	s->n = 0;
}

int sf_process_sweep(const char *const *ns, size_t n, const char *spared, unsigned int grace_ms,
		     char *err, size_t err_len)
{
	struct sweep s = { .n = 0, .spared = spared };
	int killed = 0;

	for (int round = 0; round < 20; round++) {
		int r = sweep_scan(&s, ns, n);

		if (!r && s.self)
			r = -EDEADLK;
		if (r) {
			for (size_t i = 0; i < s.n; i++)
				close(s.fds[i]);
			return sf_errtext(err, err_len, r, "%s",
					  r == -EDEADLK ? "this process is in the lab itself: run "
							  "it outside"
							: strerror(-r));
		}
		if (!s.n)
			break;
		if (round)
			killed += (int)s.n;
		sweep_signal(&s, round ? SIGKILL : SIGTERM, round ? 1000 : grace_ms);
	}
	/* Our own children are zombies until they are waited for; others' are their parents'
	 * concern. */
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	return killed;
}

/* ---- logs ------------------------------------------------------------------------------- */

char *sf_log_tail(const char *path, unsigned int lines, const char *indent, char *buf, size_t len)
{
	char *text, *line;
	size_t size, at = 0;

	buf[0] = 0;
	if (sf_file_read(path, 64u << 20, &text, &size) || !size) {
		snprintf(buf, len, "%s(nothing in %s)\n", indent, path);
		return buf;
	}
	while (size && text[size - 1] == '\n')
		text[--size] = 0;
	line = text + size;
	while (line > text && (line[-1] != '\n' || --lines))
		line--;
	for (char *save = NULL, *l = strtok_r(line, "\n", &save); l && at < len;
	     l = strtok_r(NULL, "\n", &save))
		at += (size_t)snprintf(buf + at, len - at, "%s%s\n", indent, l);
	free(text);
	return buf;
}
