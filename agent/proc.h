// SPDX-License-Identifier: Apache-2.0
/* proc.h - what /proc and the control group tree say of a program that wants to register. */
#ifndef SF_AGENT_PROC_H
#define SF_AGENT_PROC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/** proc_comm() - short name of a process; unchanged where there is none. */
void proc_comm(uint32_t pid, char comm[16]);

/**
 * proc_groups() - the groups of a process; none where it is gone. The user database is not asked:
 * the policy knows what that says.
 * @gids: room for @max
 * Return: how many.
 */
size_t proc_groups(uint32_t pid, gid_t *gids, size_t max);

/**
 * proc_cgroup() - path of a control group below the mount.
 * @cgroup: its id; 0: unknown
 * @pid: of a process in it, the quick way; 0: unknown
 * Return: 0, or -ENOENT where neither leads to one.
 */
int proc_cgroup(uint64_t cgroup, uint32_t pid, char *buf, size_t len);

#endif
