// SPDX-License-Identifier: Apache-2.0
/*
 * hooks.h - the socket hooks: one set per kernel on the root cgroup, shared by all hosts
 * (namespaces) of it, pinned in BPFFS/hooks.
 *
 * Theory of operation
 *
 * The first agent makes the set, later ones adopt its maps and swap their programs in (same layout,
 * so any version will do). Each enters its namespace's cookie in `hosts` and its own ring buffer in
 * `rings`; the hooks look only at sockets of namespaces that they find there. The last host to
 * leave removes the set. All of that happens under the directory's lock, and since a directory may
 * be removed while another agent waits for its lock, a lock counts only if the path still names the
 * locked directory.
 *
 * A host whose agent was killed and whose links are gone has nothing to come back to: whoever next
 * holds the lock removes what it left.
 */
#ifndef SF_AGENT_HOOKS_H
#define SF_AGENT_HOOKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/datapath.h"
#include "core/hooks.h"

struct host;
struct event;
struct ring_buffer;
struct socket_events_bpf;

struct hooks {
	struct socket_events_bpf *skel;
	char dir[512];
	struct ring_buffer *ring;
	int ring_fd; /* 0: none */
	struct event *readable;
	uint64_t events;
	uint64_t lost;	       /* of which sockets_resync() knows */
	uint32_t sender_flags; /* SF_HOOK_SENDER* */
};

/** hooks_counts() - what went wrong at our sockets (core/hooks.h); zeros where nothing is known. */
void hooks_counts(const struct host *h, struct sf_hook_counts *out);

/** hooks_refresh() - control groups of the policy may be others by now. */
void hooks_refresh(struct host *h);

/** hooks_open() - make or adopt the set, enter ourselves. Return: 0 or -errno with @err. */
int hooks_open(struct host *h, char *err, size_t errlen);

/** hooks_listen() - begin to read events. Call it when everything that handles them is there. */
int hooks_listen(struct host *h, char *err, size_t errlen);

/** hooks_set_net() - the network's prefix changed. Return: 0 or -errno. */
int hooks_set_net(struct host *h);

/** hooks_leave() - take ourselves out; the last one removes the set. */
void hooks_leave(struct host *h);

/** hooks_close() - let go; we stay entered, and events wait in the ring. */
void hooks_close(struct host *h);

/** hooks_get() - a listener. Return: 0 or -ENOENT. */
int hooks_get(const struct host *h, const struct sf_listener_key *key, struct sf_listener *out);

/**
 * hooks_judge() - set state and reason of a listener in place, never touching its counters, which
 * the hooks change at the same time.
 * @flags: SF_LISTENER_* to add
 * Return: 0 or -ENOENT.
 */
int hooks_judge(struct host *h, const struct sf_listener_key *key, uint8_t state, uint8_t reason,
		uint8_t flags);

/** hooks_put() - enter a listener that the hooks have not seen. Return: 0, -EEXIST, -E2BIG... */
int hooks_put(struct host *h, const struct sf_listener_key *key, const struct sf_listener *value);

/** hooks_delete() - remove a listener. */
void hooks_delete(struct host *h, const struct sf_listener_key *key);

/** hooks_walk() - every listener of this host. @fn: may not be NULL. Return: 0 or -errno. */
int hooks_walk(struct host *h,
	       void (*fn)(struct host *h, const struct sf_listener_key *key,
			  const struct sf_listener *value, void *ctx),
	       void *ctx);

/** hooks_map() - descriptor of a map of the set, or -ENOENT. */
int hooks_map(const struct host *h, const char *name);

#endif
