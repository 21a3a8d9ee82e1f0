// SPDX-License-Identifier: Apache-2.0
/* node.c - the daemon of one node: ended, killed, started again; see sf_lab_node(). */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "lab/daemons.h"
#include "lab/lab.h"
#include "util/clock.h"
#include "util/errtext.h"

#define STOP_MS 15000 /* TimeoutStopSec= of the units */

static bool runs(const struct sf_lab *lab, unsigned int node, struct sf_record *record)
{
	return !sf_daemon_record(lab, node, record) && sf_record_alive(record);
}

/* Whether @other can give @node its place: a router to a host on its link, the controller to a
 * router. */
static bool places(const struct sf_lab *lab, unsigned int node, unsigned int other)
{
	const struct sf_topology *t = &lab->topology;

	if (t->nodes[node].kind == SF_NODE_ROUTER)
		return t->nodes[other].kind == SF_NODE_CONTROLLER;
	for (unsigned int l = 0; l < t->n_links; l++) {
		const unsigned int *end = t->links[l].node;

		if ((end[0] == node && end[1] == other) || (end[0] == other && end[1] == node))
			return true; /* a host's other ends are routers */
	}
	return false;
}

/* Whether all are dead that it would wait for; @name: one of them. */
static bool alone(const struct sf_lab *lab, unsigned int node, const char **name)
{
	struct sf_record record;

	*name = NULL;
	for (unsigned int i = 0; i < lab->topology.n_nodes; i++) {
		if (lab->topology.nodes[node].kind == SF_NODE_CONTROLLER || !places(lab, node, i))
			continue;
		if (runs(lab, i, &record))
			return false;
		*name = lab->topology.nodes[i].name;
	}
	return *name != NULL;
}

static int node_start(const struct sf_lab *lab, unsigned int node,
		      const volatile sig_atomic_t *stop, char *err, size_t err_len)
{
	const struct sf_lab_node *n = &lab->topology.nodes[node];
	const char *program = sf_lab_daemon_of(n->kind)->program, *dead;
	uint64_t deadline = sf_now_ms() + lab->options.timeout_ms;
	bool answer = alone(lab, node, &dead);
	pid_t pid;
	int r = sf_daemon_start(lab, node, &pid, err, err_len);

	if (!r)
		r = sf_daemon_wait(lab, node, pid, answer, deadline, stop, err, err_len);
	if (!r && *stop)
		r = sf_errtext(err, err_len, -EINTR, "interrupted; %s on %s goes on", program,
			       n->name);
	else if (!r)
		sf_lab_say(lab, "%s on %s runs (process %d)%s%s%s", program, n->name, (int)pid,
			   answer ? "; it waits for " : "", answer ? dead : "",
			   answer ? ", which is down" : "");
	return r;
}

static int node_end(const struct sf_lab *lab, unsigned int node, const struct sf_record *record,
		    int sig, char *err, size_t err_len)
{
	const struct sf_lab_node *n = &lab->topology.nodes[node];
	const char *program = sf_lab_daemon_of(n->kind)->program;
	int r = sf_record_end(record, sig, STOP_MS);

	if (r == -ETIMEDOUT)
		return sf_errtext(err, err_len, r,
				  "%s on %s (process %d) still runs after %d s: 'kill' ends it",
				  program, n->name, (int)record->pid, STOP_MS / 1000);
	if (r && r != -ESRCH) /* it ended by itself meanwhile */
		return sf_errtext(err, err_len, r, "%s on %s (process %d): %s", program, n->name,
				  (int)record->pid, strerror(-r));
	sf_lab_say(lab, "%s on %s %s", program, n->name,
		   sig == SIGKILL ? "is killed" : "has ended");
	return 0;
}

int sf_lab_node(const struct sf_lab *lab, const char *node, enum sf_lab_act act,
		const volatile sig_atomic_t *stop, char *err, size_t err_len)
{
	int i = sf_topology_node(&lab->topology, node, strlen(node)), sig, r = 0;
	struct sf_record record;
	const char *program;
	bool up;

	if (i < 0)
		return sf_errtext(err, err_len, -ENOENT, "lab %s has no node '%s'", lab->name,
				  node);
	if (!lab->options.daemons)
		return sf_errtext(err, err_len, -EOPNOTSUPP,
				  "lab %s was brought up without daemons", lab->name);
	program = sf_lab_daemon_of(lab->topology.nodes[i].kind)->program;
	up = runs(lab, (unsigned int)i, &record);
	if (up && act == SF_LAB_START)
		return sf_errtext(err, err_len, -EALREADY, "%s on %s runs already (process %d)",
				  program, node, (int)record.pid);
	if (!up && (act == SF_LAB_STOP || act == SF_LAB_KILL))
		return sf_errtext(err, err_len, -EALREADY, "%s on %s does not run", program, node);
	/* RestartKillSignal= of the agent's unit: what it set up stays. */
	sig = act == SF_LAB_RESTART && lab->topology.nodes[i].kind == SF_NODE_HOST ? SIGUSR2
										   : SIGTERM;
	if (up)
		r = node_end(lab, (unsigned int)i, &record, act == SF_LAB_KILL ? SIGKILL : sig, err,
			     err_len);
	if (!r && (act == SF_LAB_START || act == SF_LAB_RESTART))
		r = node_start(lab, (unsigned int)i, stop, err, err_len);
	return r;
}
