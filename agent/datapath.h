// SPDX-License-Identifier: Apache-2.0
/*
 * datapath.h - the service access layer of this host in the kernel: loaded, pinned, adopted,
 * swapped in place, attached to the uplinks (core/datapath.h names the maps).
 *
 * Theory of operation
 *
 * Everything is pinned in BPFFS/host-COOKIE. A new agent adopts the maps that it finds there and
 * swaps its programs into the links: no packet passes without a program, no flow notices. Maps of
 * another layout are migrated by a function that knows the pair of layouts, or refused by name. The
 * agent holds the directory's lock for life, so that a second agent of the same host is refused,
 * and leftovers of a host that is gone can be told from a living one's.
 */
#ifndef SF_AGENT_DATAPATH_H
#define SF_AGENT_DATAPATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/datapath.h"
#include "util/bpf.h"

struct host;
struct host_bpf;

struct datapath {
	struct host_bpf *skel;
	char dir[512];
	int lock_fd; /* 0: none */
	bool fresh;  /* nothing was pinned when we came: what a failing start made may go again */
	bool adopted;
	int attached[SF_UPLINKS_MAX]; /* links that have the programs; 0: free */
	enum sf_bpf_how how;
	struct sf_host_config config;
	struct {
		int ifindex;
		uint64_t until; /* ms of CLOCK_MONOTONIC */
		uint8_t mac[6];
	} link; /* the uplink's own address, kept for a moment: thousands of flows move at once */
};

/**
 * datapath_dir() - the directory @sub below the configured bpffs directory, made where missing.
 * Return: 0 or -errno with @err.
 */
int datapath_dir(const struct host *h, const char *sub, char *dir, size_t dirlen, char *err,
		 size_t errlen);

/** datapath_dir_is() - whether @path still names the directory that is open as @fd. */
bool datapath_dir_is(const char *path, int fd);

/** datapath_dir_done() - remove the configured directory if it is empty now. */
void datapath_dir_done(const struct host *h);

/**
 * datapath_prepare() - directory and lock; with --discard, without what was there.
 * Return: 0, -EBUSY where another agent serves this host, other -errno with @err.
 */
int datapath_prepare(struct host *h, char *err, size_t errlen);

/**
 * datapath_open() - (the hooks are open) load or adopt; where an earlier agent had joined, swap the
 * programs of each of its uplinks at once. Return: 0; -EPROTO where pinned maps have another layout
 * (@err says which, and what to do); other -errno with @err.
 */
int datapath_open(struct host *h, char *err, size_t errlen);

/**
 * datapath_apply() - joined, or another uplink is primary: write the configuration and the places
 * that the host has, attach to their links.
 */
int datapath_apply(struct host *h, char *err, size_t errlen);

/** datapath_is_attached() - whether any link has the programs. */
bool datapath_is_attached(const struct host *h);

/** datapath_dir_is_attached() - the same of a host's directory, whoever's it is; true where that
 * cannot be told. */
bool datapath_dir_is_attached(const char *dir);

/** datapath_each_place() - the places in the kernel, map `uplinks`. @fn: 0 to go on. */
int datapath_each_place(struct host *h,
			int (*fn)(const struct sf_addr *place, const struct sf_uplink *up,
				  void *ctx),
			void *ctx);

/** datapath_remove() - detach and unpin everything. */
void datapath_remove(struct host *h);

/** datapath_close() - let go; pins stay. */
void datapath_close(struct host *h);

/** datapath_map() - descriptor of a map of ours by name, or -ENOENT. */
int datapath_map(const struct host *h, const char *name);

/**
 * datapath_change() - change a flow's entry in place (core/flow.h, sf_flow_change()).
 * Return: 0, -ENOENT when no flow with both locators has the socketID @c->id, other -errno.
 */
int datapath_change(struct host *h, const struct sf_flow_change *c);

/**
 * datapath_turn() - flow @id goes from one state to another (struct sf_flow_turn).
 * Return: 0, -ENOENT when it is gone or not in state @from, other -errno.
 */
int datapath_turn(struct host *h, uint64_t id, uint8_t from, uint8_t to);

/**
 * datapath_answered() - the peer's host of flow @id has answered: a soft FAIL about it is over.
 * Return: 0, -ENOENT when it is gone, other -errno.
 */
int datapath_answered(struct host *h, uint64_t id);

/**
 * datapath_kick() - the peer of the TCP socket of @t hears us again: let it repeat at once what it
 * has sent in vain, however far it has backed off, or acknowledge anew.
 * Return: 0; -ENOENT without such a connection, or where it has nothing to repeat; other -errno.
 */
int datapath_kick(struct host *h, const struct sf_tuple *t, enum sf_kick_how how);

/**
 * datapath_received() - the sequence number that the TCP socket of @t expects next.
 * Return: 0; -ENOENT without such a connection; other -errno.
 */
int datapath_received(struct host *h, const struct sf_tuple *t, uint32_t *received);

/**
 * datapath_hold() - the peer of the TCP socket of @t has received all before @received: until it
 * says so itself, no more is sent than the segment that follows.
 * Return: 0; -ENOENT without such a connection, or where no segment that was sent follows; other
 * -errno.
 */
int datapath_hold(struct host *h, const struct sf_tuple *t, uint32_t received);

/** datapath_count() - one counter, summed over CPUs. @map: "counters" or "traffic". */
int datapath_count(const struct host *h, const char *map, uint32_t index, struct sf_count *out);

#endif
