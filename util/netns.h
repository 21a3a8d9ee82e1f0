// SPDX-License-Identifier: Apache-2.0
/* netns.h - network namespaces, named as iproute2 names them: a bind mount /run/netns/NAME.
 *
 * All of it acts on the calling thread alone, as setns() does.
 */
#ifndef SF_UTIL_NETNS_H
#define SF_UTIL_NETNS_H

#include <stdint.h>
#include <sys/types.h>

#define SF_NETNS_DIR "/run/netns"

/**
 * sf_netns_open - descriptor (close-on-exec) of a named namespace.
 * @name: as `ip netns list` shows it
 * Returns it, -EINVAL for a name with '/' or too long, -ENOENT, or -EPERM where the file is no
 * namespace.
 */
int sf_netns_open(const char *name);

/** sf_netns_open_pid - of a process's namespace. Returns it or negative errno. */
int sf_netns_open_pid(pid_t pid);

/** sf_netns_open_self - of the calling thread's namespace. Returns it or negative errno. */
int sf_netns_open_self(void);

/**
 * sf_netns_enter - switch the calling thread.
 * /proc/sys/net follows; /sys/class/net does not (sf_netns_enter_named() remounts it).
 */
int sf_netns_enter(int netns_fd);

/**
 * sf_netns_enter_named - what `ip netns exec` does before exec: switch, in a mount namespace of its
 * own with a fresh /sys and the files of /etc/netns/NAME over those of /etc. Only for a process
 * that is about to exec: it cannot be undone. cgroup2 below /sys stays visible where it was.
 */
int sf_netns_enter_named(const char *name);

/**
 * sf_netns_create - make and name a new namespace, its lo down.
 * Returns 0 or -EEXIST, -EINVAL, -EPERM. The caller stays where it is.
 */
int sf_netns_create(const char *name);

/** sf_netns_delete - take the name away; the namespace ends with its last process and descriptor. 0
 * or -ENOENT. */
int sf_netns_delete(const char *name);

/**
 * sf_netns_run - call @fn inside the namespace and come back.
 * Returns what @fn returned, or a negative errno where entering failed. If coming back fails the
 * process aborts: going on in the wrong namespace would act on another host.
 */
int sf_netns_run(int netns_fd, int (*fn)(void *ctx), void *ctx);

/** sf_netns_cookie - the current namespace's cookie (SO_NETNS_COOKIE), as BPF hooks see it. */
int sf_netns_cookie(uint64_t *cookie);

/** sf_netns_list - call @fn with each name; a non-zero return ends and is returned. No directory:
 * 0. */
int sf_netns_list(int (*fn)(const char *name, void *ctx), void *ctx);

/**
 * sf_netns_processes - call @fn for each process in the namespace.
 * @comm: the process's short name
 * A non-zero return of @fn ends the calls and is returned.
 */
int sf_netns_processes(int netns_fd, int (*fn)(pid_t pid, const char *comm, void *ctx), void *ctx);

#endif
