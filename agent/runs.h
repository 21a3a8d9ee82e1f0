// SPDX-License-Identifier: Apache-2.0
/*
 * runs.h - `scaffold run`: a control group whose programs' wildcard sockets are registered under a
 * service (paper section 5: programs that are not changed). It is removed when it is empty.
 */
#ifndef SF_AGENT_RUNS_H
#define SF_AGENT_RUNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/peer.h"
#include "core/addr.h"

struct host;
struct event;

struct run {
	struct run *next;
	unsigned int id;
	char group[96]; /* path below the mount of cgroup v2 */
	uint64_t cgroup;
	struct sf_addr service;
	uint32_t uid;
	uint64_t since_ms; /* CLOCK_MONOTONIC */
	bool entered;	   /* had a process */
};

struct runs {
	struct run *list;
	unsigned int last_id;
	uint64_t refused; /* asked for by users who have as many as they may */
	struct event *timer;
	int lock_fd; /* of the host's directory of control groups; 0: none */
};

/** runs_open() - take over the groups that an earlier agent made. Return: 0 or -errno. */
int runs_open(struct host *h, char *err, size_t errlen);
/** runs_close() - let go; groups and mapping stay. */
void runs_close(struct host *h);
/** runs_remove() - forget all mappings; groups that are empty go, others are left to their
 * programs.
 */
void runs_remove(struct host *h);

/**
 * runs_add() - a new group for programs of @service.
 * @uid: who asked
 * @mover: process to move into it; NULL: none, the caller does it
 * Return: 0; -EDQUOT where @uid (not root) has runs_max= runs; other -errno with @err.
 */
int runs_add(struct host *h, const struct sf_addr *service, uint32_t uid, const struct peer *mover,
	     struct run **out, char *err, size_t errlen);

/** runs_service() - the service of a control group. */
bool runs_service(const struct host *h, uint64_t cgroup, struct sf_addr *out);

/** runs_hurry() - something ended: look for empty groups soon. */
void runs_hurry(struct host *h);

#endif
