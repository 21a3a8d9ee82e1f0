// SPDX-License-Identifier: Apache-2.0
/* sole.c - no second agent for this host; see sole.h. */
#include "agent/sole.h"

#include <errno.h>
#include <event2/event.h>
#include <fts.h>
#include <libmnl/libmnl.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/host.h"
#include "util/clock.h"
#include "util/errtext.h"
#include "util/file.h"
#include "util/log.h"
#include "util/sockdiag.h"

#define LOCK_NAME  "scaffoldd"
#define LOCK_TRIES 5
#define LOCK_QUEUE                                                                              \
	16	     /* who may wait for an answer while we are busy; so many get it at a time, \
		      */
#define PAUSE_MS  20 /* then none for so long: asking must not cost us more than that */
#define PIN_DEPTH 4  /* directories below a bpffs that are looked at */

/* ---- the lock --------------------------------------------------------------------------- */

static socklen_t lock_address(struct sockaddr_un *a)
{
	memset(a, 0, sizeof(*a));
	a->sun_family = AF_UNIX;
	memcpy(a->sun_path + 1, LOCK_NAME, strlen(LOCK_NAME));
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(LOCK_NAME));
}

/* One socket of a list: whose it is, if it is the lock. */
static int take_socket(const struct nlmsghdr *msg, void *ctx)
{
	const struct nlattr *attr, *name = NULL, *uid = NULL;
	const size_t len = 1 + strlen(LOCK_NAME);

	if (msg->nlmsg_len < mnl_nlmsg_size(sizeof(struct unix_diag_msg)))
		return MNL_CB_OK;
	mnl_attr_for_each(attr, msg, sizeof(struct unix_diag_msg))
	{
		if (mnl_attr_get_type(attr) == UNIX_DIAG_NAME)
			name = attr;
		else if (mnl_attr_get_type(attr) == UNIX_DIAG_UID)
			uid = attr;
	}
	if (name && mnl_attr_get_payload_len(name) == len &&
	    !memcmp(mnl_attr_get_payload(name), "\0" LOCK_NAME, len) && uid &&
	    mnl_attr_get_payload_len(uid) == sizeof(uint32_t))
		*(uid_t *)ctx = mnl_attr_get_u32(uid);
	return MNL_CB_OK;
}

/* Whose socket the lock is, without asking himself; root's where the kernel does not tell. */
static uid_t lock_owner(void)
{
	struct mnl_socket *sock = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	char buf[32768] __attribute__((aligned(8)));
	struct nlmsghdr *msg = mnl_nlmsg_put_header(buf);
	struct unix_diag_req *req = mnl_nlmsg_put_extra_header(msg, sizeof(*req));
	uid_t uid = 0;
	ssize_t n;

	msg->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	msg->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	req->sdiag_family = AF_UNIX;
	req->udiag_states = SF_TCP_LISTENERS;
	req->udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_UID;
	if (!sock)
		return uid;
	if (!mnl_socket_bind(sock, 0, MNL_SOCKET_AUTOPID) &&
	    mnl_socket_sendto(sock, msg, msg->nlmsg_len) >= 0) {
		do
			n = mnl_socket_recvfrom(sock, buf, sizeof(buf));
		while (n > 0 && mnl_cb_run(buf, n, 0, 0, take_socket, &uid) > MNL_CB_STOP);
	}
	mnl_socket_close(sock);
	return uid;
}

/* Who listens on the lock; pid 0 where so many ask that we cannot. Return: 0, or -errno (nobody
 * any more). */
static int lock_holder(struct ucred *who)
{
	struct sockaddr_un a;
	socklen_t len = lock_address(&a), room = sizeof(*who);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&a, len) ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, who, &room))
		ret = -errno;
	close(fd);
	if (ret != -EAGAIN)
		return ret;
	*who = (struct ucred){ .uid = lock_owner() };
	return 0;
}

/* A process's command line; "" where it cannot be seen. */
static void command_line(pid_t pid, char *buf, size_t len)
{
	char path[64], *text;
	size_t n;

	buf[0] = '\0';
	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	if (pid <= 0 || sf_file_read(path, 65536, &text, &n))
		return;
	for (size_t i = 0; i + 1 < n; i++)
		if (!text[i])
			text[i] = ' ';
	snprintf(buf, len, "%.*s", (int)n, text);
	free(text);
}

static int refuse(const struct ucred *who, char *err, size_t errlen)
{
	char line[256], pid[16] = "";

	command_line(who->pid, line, sizeof(line));
	if (who->pid)
		snprintf(pid, sizeof(pid), "pid %d", (int)who->pid);
	snprintf(err, errlen,
		 "this host (network namespace) is served by another scaffoldd already: %s "
		 "holds the abstract Unix socket @" LOCK_NAME "%s%s; stop it first",
		 *pid ? pid : "root", *line ? ": " : "", line);
	return -EBUSY;
}

/* Whoever connects asks whether we live: that connect() succeeds is the answer, so hang up. A queue
 * that stayed full would keep all others from asking. */
static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct host *h = arg;
	struct timeval wait = sf_ms_timeval(PAUSE_MS);

	for (int i = 0; i < LOCK_QUEUE; i++) {
		int one = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

		if (one < 0)
			break;
		close(one);
	}
	event_add(h->sole.pause, &wait);
}

static void on_pause_end(evutil_socket_t fd, short what, void *arg)
{
	event_add(((struct host *)arg)->sole.readable, NULL);
}

static int watch_lock(struct host *h, char *err, size_t errlen)
{
	h->sole.readable = event_new(h->daemon.base, h->sole.fd, EV_READ, on_readable, h);
	h->sole.pause = evtimer_new(h->daemon.base, on_pause_end, h);
	if (!h->sole.readable || !h->sole.pause || event_add(h->sole.readable, NULL)) {
		snprintf(err, errlen, "no memory");
		return -ENOMEM;
	}
	return 0;
}

static int take_lock(struct host *h, char *err, size_t errlen)
{
	struct sockaddr_un a;
	socklen_t len = lock_address(&a);
	struct ucred who = { 0 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int ret = 0;

	if (fd < 0)
		return sf_errtext(err, errlen, -errno, "abstract Unix socket @" LOCK_NAME ": %s",
				  strerror(errno));
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (!bind(fd, (struct sockaddr *)&a, len) && !listen(fd, LOCK_QUEUE)) {
			h->sole.fd = fd;
			return watch_lock(h, err, errlen);
		}
		ret = -errno;
		if (ret != -EADDRINUSE)
			break;
		/* An earlier agent's end may be under way; and it listens just after it binds. */
		if (!lock_holder(&who) && (!who.uid || i == LOCK_TRIES - 1))
			break;
		usleep(50000);
	}
	close(fd);
	if (ret == -EADDRINUSE && !lock_holder(&who) && !who.uid)
		return refuse(&who, err, errlen);
	/* Any user may bind such a name. That must not keep the agent from serving. */
	sf_warn("abstract Unix socket @" LOCK_NAME
		": %s, held by no agent; a second one with other "
		"directories would not be noticed",
		strerror(-ret));
	return 0;
}

/* ---- pins of one that is gone ----------------------------------------------------------- */

static bool is_same(const char *a, const char *b)
{
	struct stat x, y;

	return !stat(a, &x) && !stat(b, &y) && x.st_ino == y.st_ino && x.st_dev == y.st_dev;
}

/* A directory called @name below @root which is not @ours. */
static bool find_dir(const char *root, const char *name, const char *ours, char *out, size_t len)
{
	char *roots[] = { (char *)root, NULL };
	FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	bool found = false;
	FTSENT *e;

	while (tree && !found && (e = fts_read(tree))) {
		if (e->fts_info != FTS_D)
			continue;
		if (e->fts_level >= PIN_DEPTH)
			fts_set(tree, e, FTS_SKIP);
		found = !strcmp(e->fts_name, name) && !is_same(e->fts_path, ours);
		if (found)
			snprintf(out, len, "%s", e->fts_path);
	}
	if (tree)
		fts_close(tree);
	return found;
}

static int look_for_pins(struct host *h, char *err, size_t errlen)
{
	char name[32], ours[600], other[512];
	struct mntent *m;
	FILE *mounts;
	bool found = false;

	snprintf(name, sizeof(name), "host-%016llx", (unsigned long long)h->cookie);
	snprintf(ours, sizeof(ours), "%s/%s", h->config.bpffs, name);
	mounts = setmntent("/proc/self/mounts", "re");
	while (mounts && !found && (m = getmntent(mounts)))
		found = !strcmp(m->mnt_type, "bpf") &&
			find_dir(m->mnt_dir, name, ours, other, sizeof(other));
	if (mounts)
		endmntent(mounts);
	if (!found)
		return 0;
	snprintf(
		err, errlen,
		"%s: an agent of this host (network namespace) left its datapath pinned there, and "
		"its flows; take it over with --bpffs %.*s, and with its --run directory",
		other, (int)(strrchr(other, '/') - other), other);
	return -EBUSY;
}

/* ---- life ------------------------------------------------------------------------------- */

int sole_open(struct host *h, char *err, size_t errlen)
{
	int ret = take_lock(h, err, errlen);

	return ret ? ret : look_for_pins(h, err, errlen);
}

void sole_close(struct host *h)
{
	if (h->sole.readable)
		event_free(h->sole.readable);
	if (h->sole.pause)
		event_free(h->sole.pause);
	if (h->sole.fd > 0)
		close(h->sole.fd);
	memset(&h->sole, 0, sizeof(h->sole));
}
