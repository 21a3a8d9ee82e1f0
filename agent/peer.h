// SPDX-License-Identifier: Apache-2.0
/*
 * peer.h - which process asks by the control socket, and what it is a member of.
 *
 * SO_PEERCRED tells the number of the process that connected. It may have ended since, its end of
 * the connection be in other hands, and its number another's. So its groups are asked of the
 * connection; and before its number is used, and again after, it is made sure that the process
 * behind it is the one that connected: by SO_PEERPIDFD, and where the kernel does not have that
 * (before 6.5) by its user and by its start, which cannot be later than the connection's.
 */
#ifndef SF_AGENT_PEER_H
#define SF_AGENT_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/http.h"

/** struct peer - a process that connected: peer_open() to peer_close(). */
struct peer {
	pid_t pid;
	int pidfd; /* -1: none, told by the next two */
	uid_t uid;
	uint64_t start; /* of the process, in clock ticks since boot */
};

/**
 * peer_open() - the process that connected.
 * @who: by the Unix socket
 * Return: 0 (then peer_close()), -ESRCH where it is gone, or -errno.
 */
int peer_open(const struct sf_http_peer *who, struct peer *out);

/** peer_open_by_age() - the same without SO_PEERPIDFD, as before Linux 6.5. */
int peer_open_by_age(const struct sf_http_peer *who, struct peer *out);

/** peer_close() - twice is fine. */
void peer_close(struct peer *p);

/** peer_lives() - whether its number is still its own: what was asked by it before was of it. */
bool peer_lives(const struct peer *p);

/**
 * peer_groups() - supplementary groups, as they were when it connected.
 * @gids: room for @max
 * Return: how many.
 */
size_t peer_groups(const struct sf_http_peer *who, gid_t *gids, size_t max);

/** peer_cgroup() - path of its control group below the mount. Return: 0, -ESRCH or -errno. */
int peer_cgroup(const struct sf_http_peer *who, char *buf, size_t len);

/**
 * peer_can() - whether it has a capability of this host's user namespace.
 * @cap: CAP_*
 *
 * As it is now, and only if it is the user still that it was when it connected: else it may have
 * become another program, that is more than it was, by execve(2).
 * Return: 0, -EPERM, -ESRCH or -errno.
 */
int peer_can(const struct sf_http_peer *who, unsigned int cap);

#endif
