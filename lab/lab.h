// SPDX-License-Identifier: Apache-2.0
/*
 * lab.h - networks of network namespaces, with the daemons in them (paper section 7.2, Figure 6).
 *
 * A lab is called NAME and lives in RUN/lab/NAME; the namespace of its node h1 is NAME-h1. What is
 * to be built is written there first (lab.json, topology.lab), before anything is built, so that
 * `down` finds everything again whatever became of `up`:
 *
 *	lab.json topology.lab   what the lab is; the lock is taken on lab.json's directory
 *	bpf/                    a bpffs of the lab's own: what its daemons pin goes when it goes
 *	tls/                    certificates of routers and controller
 *	linkem.sock linkem.log  link emulator, in namespace NAME-linkem
 *	h1/                     run directory of a node: sockets, configuration, logs, state/
 *
 * Processes are never found by name: those of a lab are the ones that live in its namespaces.
 *
 * Every function returns 0 or a negative errno with a text in @err, which may have several lines.
 * Nothing here prints; progress goes to the caller's function.
 */
#ifndef SF_LAB_LAB_H
#define SF_LAB_LAB_H

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include <jansson.h>

#include "lab/topology.h"

#define SF_LAB_NAME	    16 /* bytes of a lab's name with its NUL */
#define SF_LAB_ERR	    8192
#define SF_LAB_DEFAULT	    "sf"
#define SF_LAB_CONTROL_PORT 24159 /* routers reach the controller here */

/** struct sf_lab_options - how a lab is brought up. */
struct sf_lab_options {
	bool daemons;		 /* else the bare network */
	bool tls;		 /* between routers and controller */
	bool emulator;		 /* every link through it */
	bool keep;		 /* after a failure, for a look at it */
	uint64_t seed;		 /* of the emulator's randomness */
	unsigned int timeout_ms; /* for all daemons to be ready */
};

/** struct sf_lab - a lab that is recorded; see sf_lab_open(). */
struct sf_lab {
	char name[SF_LAB_NAME];
	char dir[PATH_MAX];
	struct sf_topology topology;
	struct sf_lab_options options;
	bool *down; /* for each link: taken down by sf_lab_link_change() */
	int lock_fd;
	void (*say)(void *ctx, const char *line); /* progress */
	void *say_ctx;
};

/**
 * sf_lab_create - record a new lab and lock it.
 * @run: run directory; the lab goes to @run/lab/@name
 * @text: topology's text
 * @source: its name in messages
 * Returns 0, -EEXIST where a lab of that name is there, -EINVAL for bad names or topologies ...
 */
int sf_lab_create(struct sf_lab *lab, const char *run, const char *name, const char *text,
		  const char *source, const struct sf_lab_options *options, char *err,
		  size_t err_len);

/**
 * sf_lab_open - a recorded lab.
 * @lock: for changing it: -EBUSY while another process does
 * Returns 0, -ENOENT where there is none, -EBADMSG where its record is damaged.
 */
int sf_lab_open(struct sf_lab *lab, const char *run, const char *name, bool lock, char *err,
		size_t err_len);

/** sf_lab_close - free and unlock; the lab itself stays. Safe on a zeroed struct. */
void sf_lab_close(struct sf_lab *lab);

/** sf_lab_save - write the record anew. */
int sf_lab_save(const struct sf_lab *lab, char *err, size_t err_len);

/**
 * sf_lab_up - build what is recorded: namespaces, links, emulator, daemons; wait until every host
 * has joined.
 * @stop: set by a signal handler to give up; then -EINTR
 * On failure @err tells which part, with the end of its log; the caller decides on sf_lab_down().
 */
int sf_lab_up(struct sf_lab *lab, const volatile sig_atomic_t *stop, char *err, size_t err_len);

/**
 * sf_lab_down - end its processes, delete its namespaces, mounts and files. Whatever part of a lab
 * is there goes; the lab is closed afterwards.
 */
int sf_lab_down(struct sf_lab *lab, char *err, size_t err_len);

/**
 * sf_lab_sweep - the same for a lab whose record is damaged or lost, by its name alone: namespaces
 * "NAME-*" and the directory.
 */
int sf_lab_sweep(const char *run, const char *name, char *err, size_t err_len);

/** enum sf_lab_act - what to do to a node's daemon; see sf_lab_node(). */
enum sf_lab_act {
	SF_LAB_START,
	SF_LAB_STOP,	/* SIGTERM: it undoes its set-up */
	SF_LAB_KILL,	/* SIGKILL */
	SF_LAB_RESTART, /* as its unit would: flows go on */
};

/**
 * sf_lab_node - start, stop, kill or restart the daemon of one node, and wait until that is done:
 * until it is ready (within options.timeout_ms), or gone. Where all that it would wait for is dead
 * itself (the controller of a router, the routers of a host), its own answer will do. A daemon that
 * is not ready in time goes on trying. Programs of the node are left alone.
 * Returns 0, -ENOENT without such a node, -EALREADY where it runs (start) or does not (stop, kill),
 * -EOPNOTSUPP in a lab without daemons, -ETIMEDOUT, -ECHILD where it ended at once.
 */
int sf_lab_node(const struct sf_lab *lab, const char *node, enum sf_lab_act act,
		const volatile sig_atomic_t *stop, char *err, size_t err_len);

/**
 * sf_lab_enter - turn the calling process into one of @node: namespace, SCAFFOLD_RUN. For a process
 * that is about to exec.
 */
int sf_lab_enter(const struct sf_lab *lab, const char *node, char *err, size_t err_len);

/** struct sf_lab_change - what to do to a link; see sf_lab_link_change(). */
struct sf_lab_change {
	const char *link;	  /* "a-b" */
	const char *from;	  /* a node: only what it sends; NULL: both directions */
	const char *const *words; /* "key=value"; "up", "down", "clear" */
	size_t n_words;
};

/** sf_lab_link_change - change a link of a running lab. */
int sf_lab_link_change(struct sf_lab *lab, const struct sf_lab_change *change, char *err,
		       size_t err_len);

/**
 * struct sf_lab_move - a host changes networks; see sf_lab_move().
 * @node: the host
 * @to: the router to which its link comes up
 * @overlap: its other links stay up; else they go down before
 * @gap_ns: how long it is without any; its link to @to goes down, too, if it is up
 */
struct sf_lab_move {
	const char *node;
	const char *to;
	bool overlap;
	uint64_t gap_ns;
};

/** struct sf_lab_moved - when links went down, and up, by CLOCK_MONOTONIC; 0 where none did. */
struct sf_lab_moved {
	uint64_t broken_ns;
	uint64_t made_ns;
};

/**
 * sf_lab_move - take a host's links down, and its link to another router up.
 * Returns 0, -ENOENT without such a host or link, -EALREADY where that is up, and no other.
 */
int sf_lab_move(struct sf_lab *lab, const struct sf_lab_move *move, struct sf_lab_moved *moved,
		char *err, size_t err_len);

/**
 * sf_lab_status - everything as JSON: {"name", "nodes": [{"name", "kind", "namespace", "address",
 * "processes": [{"program", "pid", "running"}], "status"}], "links": [{"name", "up", "mtu",
 * "emulator", "settings", "counters"}]}.
 * Returns a new reference, or NULL without memory.
 */
json_t *sf_lab_status(const struct sf_lab *lab);

/** sf_lab_links - the parts "name", "links" and "emulator" of it, without asking any daemon. */
json_t *sf_lab_links(const struct sf_lab *lab);

/** sf_lab_list - call @fn with the name of each lab in @run; non-zero ends and is returned. */
int sf_lab_list(const char *run, int (*fn)(const char *name, void *ctx), void *ctx);

/** sf_lab_namespace - name of a node's namespace (NULL: the emulator's), in @buf of NAME_MAX. */
char *sf_lab_namespace(const struct sf_lab *lab, const char *node, char *buf);

/** sf_lab_path - @lab's directory / @fmt ..., in @buf. Returns 0 or -ENAMETOOLONG. */
int sf_lab_path(const struct sf_lab *lab, char buf[PATH_MAX], const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** sf_lab_say - a line of progress. */
void sf_lab_say(const struct sf_lab *lab, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
