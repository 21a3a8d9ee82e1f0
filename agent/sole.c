// SPDX-License-Identifier: Apache-2.0
/* sole.c - no second agent for this host; see sole.h. */
#include "agent/sole.h"

#include <errno.h>
#include <fts.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/host.h"
#include "util/file.h"
#include "util/log.h"

#define LOCK_NAME  "scaffoldd"
#define LOCK_TRIES 5
#define PIN_DEPTH  4 /* directories below a bpffs that are looked at */

/* ---- the lock --------------------------------------------------------------------------- */

static socklen_t lock_address(struct sockaddr_un *a)
{
	memset(a, 0, sizeof(*a));
	a->sun_family = AF_UNIX;
	memcpy(a->sun_path + 1, LOCK_NAME, strlen(LOCK_NAME));
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(LOCK_NAME));
}

/* Who listens on the lock. Return: 0, or -errno (nobody any more). */
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
	return ret;
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
	char line[256];

	command_line(who->pid, line, sizeof(line));
	snprintf(err, errlen,
		 "this host (network namespace) is served by another scaffoldd already: pid %d "
		 "holds the abstract Unix socket @" LOCK_NAME "%s%s; stop it first",
		 (int)who->pid, *line ? ": " : "", line);
	return -EBUSY;
}

static int take_lock(struct host *h, char *err, size_t errlen)
{
	struct sockaddr_un a;
	socklen_t len = lock_address(&a);
	struct ucred who;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int ret = 0;

	if (fd < 0) {
		snprintf(err, errlen, "abstract Unix socket @" LOCK_NAME ": %s", strerror(errno));
		return -errno;
	}
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (!bind(fd, (struct sockaddr *)&a, len) && !listen(fd, 1)) {
			h->sole_fd = fd;
			return 0;
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
	if (h->sole_fd > 0)
		close(h->sole_fd);
	h->sole_fd = 0;
}
