// SPDX-License-Identifier: Apache-2.0
/* cgroup.h - cgroup v2 groups: where `scaffold run` puts programs, and where socket hooks attach.
 *
 * A group is named by its path below the mount point, "/scaffold/web". The mount is /sys/fs/cgroup
 * on most hosts and /sys/fs/cgroup/unified on hybrid ones; it is found, not assumed.
 */
#ifndef SF_UTIL_CGROUP_H
#define SF_UTIL_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SF_CGROUP_TOP "/scaffold" /* above the groups of all hosts of the kernel */

/**
 * sf_cgroup_mount - mount point of cgroup v2.
 * Returns 0, -ENOENT where none is mounted, -ERANGE where @buf is too small.
 */
int sf_cgroup_mount(char *buf, size_t len);

/** sf_cgroup_path - absolute path of group @group ("/" is the root) in @buf. Returns 0 or as
 * sf_cgroup_mount(). */
int sf_cgroup_path(const char *group, char *buf, size_t len);

/** sf_cgroup_open - descriptor of the group's directory, for attaching BPF programs. Returns it or
 * negative errno. */
int sf_cgroup_open(const char *group);

/** sf_cgroup_make - make a group, with missing parents; an existing one is fine. */
int sf_cgroup_make(const char *group);

/** sf_cgroup_remove - remove an empty group; an absent one is fine. -EBUSY while it has processes
 * or children. */
int sf_cgroup_remove(const char *group);

/**
 * sf_cgroup_remove_tree - remove a group and those below it, as far as they are empty.
 * Returns 0 if it is gone, -EBUSY while there are processes in it or below, or another negative
 * errno.
 */
int sf_cgroup_remove_tree(const char *group);

/** sf_cgroup_host - the group of a host, the network namespace @cookie; its runs are below. Returns
 * the name's length. */
int sf_cgroup_host(uint64_t cookie, char *buf, size_t len);

/** sf_cgroup_move - move a process (0: the caller) into a group. */
int sf_cgroup_move(const char *group, pid_t pid);

/** sf_cgroup_id - 64-bit id of a group, as bpf_get_current_cgroup_id() gives it. */
int sf_cgroup_id(const char *group, uint64_t *id);

/** sf_cgroup_of - group of a process, "/scaffold/web". Returns 0, -ESRCH, -ENOENT, -ERANGE. */
int sf_cgroup_of(pid_t pid, char *buf, size_t len);

/** sf_cgroup_populated - whether a living process is in it or below. Returns 1, 0 or negative
 * errno. */
int sf_cgroup_populated(const char *group);

#endif
