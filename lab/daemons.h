// SPDX-License-Identifier: Apache-2.0
/* daemons.h - the daemons of a lab's nodes: configured, started, waited for. */
#ifndef SF_LAB_DAEMONS_H
#define SF_LAB_DAEMONS_H

#include <signal.h>

#include "lab/lab.h"
#include "lab/process.h"

/** struct sf_lab_daemon - which program runs on a kind of node. */
struct sf_lab_daemon {
	const char *program; /* "scaffoldd" */
	const char *room;    /* where the build tree has it */
	const char *section; /* of its configuration */
	const char *socket;  /* REST, in the node's run directory */
};

/** sf_lab_daemon_of - the daemon of a kind of node. */
const struct sf_lab_daemon *sf_lab_daemon_of(enum sf_node_kind kind);

/**
 * sf_daemons_up - write configurations and certificates, start controller, routers and hosts in
 * this order, and wait until all are ready: routers know the controller, hosts have joined.
 * @stop: set by a signal handler to give up; then 0, the caller looks at it
 */
int sf_daemons_up(const struct sf_lab *lab, const volatile sig_atomic_t *stop, char *err,
		  size_t err_len);

/**
 * sf_daemon_start - start the daemon of one node, with the configuration that is there, or else
 * with one that is written.
 * @pid: the child's
 */
int sf_daemon_start(const struct sf_lab *lab, unsigned int node, pid_t *pid, char *err,
		    size_t err_len);

/**
 * sf_daemon_wait - wait until a node's daemon is ready.
 * @pid: of a child, whose end is told; else 0
 * @answer: its answer is enough; else it must have its place in the network
 * @deadline: sf_now_ms()
 * @stop: set by a signal handler to give up; then 0, the caller looks at it
 * Returns -ECHILD where the child has ended, -ETIMEDOUT, each with the end of its log.
 */
int sf_daemon_wait(const struct sf_lab *lab, unsigned int node, pid_t pid, bool answer,
		   uint64_t deadline, const volatile sig_atomic_t *stop, char *err, size_t err_len);

/** sf_daemon_record - the recorded process of a node's daemon. Returns as sf_record_read(). */
int sf_daemon_record(const struct sf_lab *lab, unsigned int node, struct sf_record *out);

/**
 * sf_daemon_status - what a node's daemon says about itself (GET /v1/status).
 * @status: new reference
 * Returns 0, or negative errno as sf_httpc_call() (-ECONNREFUSED: it does not run).
 */
int sf_daemon_status(const struct sf_lab *lab, unsigned int node, json_t **status, char *err,
		     size_t err_len);

/** sf_daemon_ready - whether a status says that the node has its place in the network. */
bool sf_daemon_ready(enum sf_node_kind kind, const json_t *status);

#endif
