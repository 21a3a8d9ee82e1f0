// SPDX-License-Identifier: Apache-2.0
/* peer.c - see peer.h. */
#include "agent/peer.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/cgroup.h"
#include "util/file.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
#define START_FIELD 20 /* in /proc/PID/stat, behind the name: starttime is the 22nd (proc(5)) */

static int proc_read(pid_t pid, const char *file, char **text)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	return pid > 0 && !sf_file_read(path, 65536, text, NULL) ? 0 : -ESRCH;
}

static int start_of(pid_t pid, uint64_t *start)
{
	char *text, *at;
	int ret = proc_read(pid, "stat", &text);

	if (ret)
		return ret;
	at = strrchr(text, ')'); /* the name may have blanks and parentheses */
	for (int i = 0; at && i < START_FIELD; i++)
		at = strchr(at + 1, ' ');
	if (at)
		*start = strtoull(at + 1, NULL, 10);
	free(text);
	return at ? 0 : -EBADMSG;
}

/* Of the namespace that the host's own capabilities are of; a child has its own numbers. */
static bool is_same_namespace(pid_t pid)
{
	char *ours = NULL, *its = NULL;
	bool same = !proc_read(pid, "uid_map", &its) &&
		    !sf_file_read("/proc/self/uid_map", 65536, &ours, NULL) && !strcmp(ours, its);

	free(ours);
	free(its);
	return same;
}

static int has_cap(pid_t pid, uid_t user, unsigned int cap)
{
	unsigned int real, effective, saved;
	unsigned long long caps;
	char *text, *uid, *eff;
	int ret = proc_read(pid, "status", &text);

	if (ret)
		return ret;
	uid = strstr(text, "\nUid:");
	eff = strstr(text, "\nCapEff:");
	if (!uid || sscanf(uid + 5, "%u %u %u", &real, &effective, &saved) != 3 || !eff ||
	    sscanf(eff + 8, "%llx", &caps) != 1)
		ret = -EBADMSG;
	else if (real != user || effective != user || saved != user || !(caps >> cap & 1))
		ret = -EPERM;
	free(text);
	return ret;
}

/* Its effective user, which is what SO_PEERCRED tells. */
static int user_of(pid_t pid, uid_t *uid)
{
	char *text, *at;
	unsigned int effective;
	int ret = proc_read(pid, "status", &text);

	if (ret)
		return ret;
	at = strstr(text, "\nUid:");
	ret = at && sscanf(at + 5, "%*u %u", &effective) == 1 ? 0 : -EBADMSG;
	if (!ret)
		*uid = effective;
	free(text);
	return ret;
}

int peer_open_by_age(const struct sf_http_peer *who, struct peer *out)
{
	uint64_t ticks = (uint64_t)sysconf(_SC_CLK_TCK);
	uint64_t since = who->since_ns / (1000000000 / ticks);
	int ret;

	*out = (struct peer){ .pid = who->pid, .pidfd = -1, .uid = who->uid };
	ret = start_of(out->pid, &out->start);
	if (ret)
		return ret;
	return out->start <= since && peer_lives(out) ? 0 : -ESRCH;
}

int peer_open(const struct sf_http_peer *who, struct peer *out)
{
	socklen_t len = sizeof(out->pidfd);

	*out = (struct peer){ .pid = who->pid, .uid = who->uid };
	if (getsockopt(who->fd, SOL_SOCKET, SO_PEERPIDFD, &out->pidfd, &len)) {
		out->pidfd = -1;
		if (errno == ENOPROTOOPT)
			return peer_open_by_age(who, out);
		/* Of a process that was reaped one or the other comes, by the kernel's version. */
		return errno == ENODATA || errno == EINVAL ? -ESRCH : -errno;
	}
	if (peer_lives(out))
		return 0;
	peer_close(out);
	return -ESRCH;
}

void peer_close(struct peer *p)
{
	if (p->pidfd >= 0)
		close(p->pidfd);
	p->pidfd = -1;
}

bool peer_lives(const struct peer *p)
{
	struct pollfd dead = { .fd = p->pidfd, .events = POLLIN };
	uint64_t start = 0;
	uid_t uid = 0;

	if (p->pidfd >= 0)
		return !poll(&dead, 1, 0);
	return !user_of(p->pid, &uid) && uid == p->uid && !start_of(p->pid, &start) &&
	       start == p->start;
}

size_t peer_groups(const struct sf_http_peer *who, gid_t *gids, size_t max)
{
	socklen_t len = (socklen_t)(max * sizeof(*gids));
	gid_t *all;

	if (!getsockopt(who->fd, SOL_SOCKET, SO_PEERGROUPS, gids, &len))
		return len / sizeof(*gids);
	/* More than there is room for: the kernel tells how many. */
	all = errno == ERANGE ? malloc(len) : NULL;
	if (!all || getsockopt(who->fd, SOL_SOCKET, SO_PEERGROUPS, all, &len)) {
		free(all);
		return 0;
	}
	memcpy(gids, all, max * sizeof(*gids));
	free(all);
	return max;
}

int peer_cgroup(const struct sf_http_peer *who, char *buf, size_t len)
{
	struct peer p;
	int ret = peer_open(who, &p);

	if (ret)
		return ret;
	ret = sf_cgroup_of(p.pid, buf, len);
	if (!ret && !peer_lives(&p))
		ret = -ESRCH;
	peer_close(&p);
	return ret;
}

int peer_can(const struct sf_http_peer *who, unsigned int cap)
{
	struct peer p;
	int ret = peer_open(who, &p);

	if (ret)
		return ret;
	ret = has_cap(p.pid, who->uid, cap);
	if (!ret && !is_same_namespace(p.pid))
		ret = -EPERM;
	if (!peer_lives(&p))
		ret = -ESRCH;
	peer_close(&p);
	return ret;
}
