// SPDX-License-Identifier: Apache-2.0
/* daemons.c - the daemons of a lab's nodes; see daemons.h. */
#include "lab/daemons.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/ctrl.h"
#include "lab/certs.h"
#include "lab/linkemc.h"
#include "lab/plan.h"
#include "lab/process.h"
#include "util/clock.h"
#include "util/errtext.h"
#include "util/file.h"
#include "util/httpc.h"

#define POLL_MS		    20
#define ROUTER_SECTIONS_MAX 250 /* [link] sections that scaffold-router takes */

const struct sf_lab_daemon *sf_lab_daemon_of(enum sf_node_kind kind)
{
	static const struct sf_lab_daemon daemons[] = {
		[SF_NODE_HOST] = { "scaffoldd", "agent", "host", "agent.sock" },
		[SF_NODE_ROUTER] = { "scaffold-router", "router", "router", "router.sock" },
		[SF_NODE_CONTROLLER] = { "scaffold-controller", "controller", "controller",
					 "controller.sock" },
	};

	return &daemons[kind];
}

/* ---- configuration ---------------------------------------------------------------------- */

static int controller_index(const struct sf_topology *t)
{
	for (size_t i = 0; i < t->n_nodes; i++)
		if (t->nodes[i].kind == SF_NODE_CONTROLLER)
			return (int)i;
	return -1;
}

static void tls_write(const struct sf_lab *lab, const char *node, FILE *out)
{
	if (!lab->options.tls) {
		fputs("plain = yes\n", out);
		return;
	}
	fprintf(out, "tls_cert = %s/tls/%s.pem\n", lab->dir, node);
	fprintf(out, "tls_key = %s/tls/%s.key\n", lab->dir, node);
	fprintf(out, "tls_ca = %s/tls/ca.pem\n", lab->dir);
}

static void host_write(const struct sf_lab *lab, unsigned int node, FILE *out)
{
	const struct sf_topology *t = &lab->topology;
	unsigned int uplinks = 0, last = 0;

	for (unsigned int l = 0; l < t->n_links; l++)
		if (t->links[l].node[0] == node || t->links[l].node[1] == node) {
			uplinks++;
			last = l;
		}
	fprintf(out, "name = %s\n", t->nodes[node].name);
	if (uplinks == 1)
		fprintf(out, "uplink = %s\n",
			sf_plan_ifname(t, last, t->links[last].node[1] == node));
}

static void router_write(const struct sf_lab *lab, unsigned int node, FILE *out)
{
	const struct sf_topology *t = &lab->topology;
	unsigned int roles = t->nodes[node].roles;
	int controller = controller_index(t);
	char address[INET6_ADDRSTRLEN];
	struct in6_addr a = sf_plan_address(node);

	fprintf(out, "name = %s\n", t->nodes[node].name);
	fprintf(out, "roles = %s%s%s\n", roles & SF_ROLE_ACCESS ? "access" : "",
		roles == (SF_ROLE_ACCESS | SF_ROLE_SERVICE) ? "," : "",
		roles & SF_ROLE_SERVICE ? "service" : "");
	fprintf(out, "underlay = %s\n", inet_ntop(AF_INET6, &a, address, sizeof(address)));
	if (controller < 0) { /* nobody to ask: the only AS, and a block by its number */
		fprintf(out, "as = 1\nblock = %x\n", node + 1);
		return;
	}
	a = sf_plan_address((unsigned int)controller);
	fprintf(out, "controller = [%s]:%d\n", inet_ntop(AF_INET6, &a, address, sizeof(address)),
		SF_LAB_CONTROL_PORT);
	tls_write(lab, t->nodes[node].name, out);
}

/* Which links lead to hosts. Routers with very many links find out by themselves. */
static void router_links_write(const struct sf_lab *lab, unsigned int node, FILE *out)
{
	const struct sf_topology *t = &lab->topology;
	unsigned int n = 0;

	for (int pass = 0; pass < 2 && n <= ROUTER_SECTIONS_MAX; pass++)
		for (unsigned int l = 0; l < t->n_links; l++) {
			unsigned int end = t->links[l].node[1] == node;

			if (t->links[l].node[end] != node)
				continue;
			if (pass == 0)
				n++;
			else
				fprintf(out, "\n[link %s]\naccess = %s\n",
					sf_plan_ifname(t, l, end),
					t->nodes[t->links[l].node[!end]].kind == SF_NODE_HOST
						? "yes"
						: "no");
		}
}

static void controller_write(const struct sf_lab *lab, unsigned int node, FILE *out)
{
	char address[INET6_ADDRSTRLEN];
	struct in6_addr a = sf_plan_address(node);

	fprintf(out, "listen = [%s]:%d\n", inet_ntop(AF_INET6, &a, address, sizeof(address)),
		SF_LAB_CONTROL_PORT);
	tls_write(lab, lab->topology.nodes[node].name, out);
}

static int config_write(const struct sf_lab *lab, unsigned int node, const char *path, char *err,
			size_t err_len)
{
	static void (*const write[])(const struct sf_lab *lab, unsigned int node, FILE *out) = {
		[SF_NODE_HOST] = host_write,
		[SF_NODE_ROUTER] = router_write,
		[SF_NODE_CONTROLLER] = controller_write,
	};
	const struct sf_topology *t = &lab->topology;
	enum sf_node_kind kind = t->nodes[node].kind;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	int r = -ENOMEM;

	if (!out)
		return sf_errtext(err, err_len, -ENOMEM, "out of memory");
	fprintf(out, "# written by 'scaffold lab up'\n[%s]\n", sf_lab_daemon_of(kind)->section);
	write[kind](lab, node, out);
	for (size_t i = 0; i < t->n_settings; i++) {
		const struct sf_lab_setting *s = &t->settings[i];

		if (s->kind == kind && (s->node < 0 || (unsigned int)s->node == node))
			fprintf(out, "%s\n", s->text);
	}
	if (kind == SF_NODE_ROUTER)
		router_links_write(lab, node, out);
	if (fclose(out) == 0)
		r = sf_file_write(path, text, len, 0600);
	free(text);
	return r ? sf_errtext(err, err_len, r, "%s: %s", path, strerror(-r)) : 0;
}

static int certificates(const struct sf_lab *lab, char *err, size_t err_len)
{
	const struct sf_topology *t = &lab->topology;
	struct sf_cert_name *names = calloc(t->n_nodes, sizeof(*names));
	char dir[PATH_MAX];
	size_t n = 0;
	int r;

	if (!names)
		return sf_errtext(err, err_len, -ENOMEM, "out of memory");
	for (size_t i = 0; i < t->n_nodes; i++)
		if (t->nodes[i].kind != SF_NODE_HOST)
			names[n++] = (struct sf_cert_name){
				.name = t->nodes[i].name,
				.address = sf_plan_address((unsigned int)i),
			};
	r = sf_lab_path(lab, dir, "tls");
	if (!r)
		r = sf_certs_make(dir, names, n, err, err_len);
	free(names);
	return r;
}

/* ---- start ------------------------------------------------------------------------------ */

int sf_daemon_start(const struct sf_lab *lab, unsigned int node, pid_t *pid, char *err,
		    size_t err_len)
{
	const struct sf_lab_node *n = &lab->topology.nodes[node];
	const struct sf_lab_daemon *d = sf_lab_daemon_of(n->kind);
	char path[PATH_MAX], config[PATH_MAX], run[PATH_MAX], bpffs[PATH_MAX], state[PATH_MAX];
	char log[PATH_MAX], record[PATH_MAX], ns[NAME_MAX];
	char *argv[] = { path,	 (char *)"--config",
			 config, (char *)"--run",
			 run,	 (char *)"--bpffs",
			 bpffs,	 (char *)"--state",
			 state,	 NULL };
	struct sf_process p = { .ns = sf_lab_namespace(lab, n->name, ns),
				.path = path,
				.argv = argv,
				.log = log,
				.record = record };
	int r;

	if (sf_lab_path(lab, config, "%s/%s.conf", n->name, d->program) ||
	    sf_lab_path(lab, run, "%s", n->name) || sf_lab_path(lab, bpffs, "bpf") ||
	    sf_lab_path(lab, state, "%s/state", n->name) ||
	    sf_lab_path(lab, log, "%s/%s.log", n->name, d->program) ||
	    sf_lab_path(lab, record, "%s/%s.proc", n->name, d->program))
		return sf_errtext(err, err_len, -ENAMETOOLONG, "%s: path too long", lab->dir);
	r = sf_mkdir_p(state, 0700);
	if (r)
		return sf_errtext(err, err_len, r, "%s: %s", state, strerror(-r));
	r = sf_lab_program(d->room, d->program, path, err, err_len);
	if (!r && access(config, F_OK) < 0) /* one that is there may have been changed by hand */
		r = config_write(lab, node, config, err, err_len);
	return r ? r : sf_process_start(&p, pid, err, err_len);
}

/* ---- waiting ---------------------------------------------------------------------------- */

int sf_daemon_record(const struct sf_lab *lab, unsigned int node, struct sf_record *out)
{
	const struct sf_lab_node *n = &lab->topology.nodes[node];
	char path[PATH_MAX];
	int r = sf_lab_path(lab, path, "%s/%s.proc", n->name, sf_lab_daemon_of(n->kind)->program);

	return r ? r : sf_record_read(path, out);
}

int sf_daemon_status(const struct sf_lab *lab, unsigned int node, json_t **status, char *err,
		     size_t err_len)
{
	const struct sf_lab_node *n = &lab->topology.nodes[node];
	char endpoint[PATH_MAX + 8] = "unix:";
	struct sf_httpc_opts opts = { .endpoint = endpoint,
				      .connect_ms = 1000,
				      .timeout_ms = 3000 };
	struct sf_httpc *client = NULL;
	int r = sf_lab_path(lab, endpoint + 5, "%s/%s", n->name, sf_lab_daemon_of(n->kind)->socket);

	if (!r)
		r = sf_httpc_new(&opts, &client, err, err_len);
	if (!r)
		r = sf_httpc_call(client, "GET", "/v1/status", NULL, status, err, err_len);
	sf_httpc_free(client);
	return r;
}

bool sf_daemon_ready(enum sf_node_kind kind, const json_t *status)
{
	const json_t *controller = json_object_get(status, "controller");

	switch (kind) {
	case SF_NODE_HOST:
		return json_is_true(json_object_get(status, "joined"));
	case SF_NODE_ROUTER: /* with a controller: has its state; alone: has its block */
		return json_is_true(json_is_object(controller)
					    ? json_object_get(controller, "synced")
					    : json_object_get(status, "joined"));
	case SF_NODE_CONTROLLER:
		return true; /* it answers */
	}
	return false;
}

/* Says what is known of a daemon that did not become ready. */
static int daemon_failed(const struct sf_lab *lab, unsigned int node, int code, const char *what,
			 char *err, size_t err_len)
{
	const struct sf_lab_node *n = &lab->topology.nodes[node];
	const char *program = sf_lab_daemon_of(n->kind)->program;
	char log[PATH_MAX], tail[4096];

	if (sf_lab_path(lab, log, "%s/%s.log", n->name, program))
		return -ENAMETOOLONG;
	return sf_errtext(err, err_len, code, "%s on %s %s; the end of its log:\n%s", program,
			  n->name, what, sf_log_tail(log, 15, "  ", tail, sizeof(tail)));
}

/* Whether the child has ended; then it is told as failure. */
static int child_check(const struct sf_lab *lab, unsigned int node, pid_t pid, char *err,
		       size_t err_len)
{
	char what[96];
	int status;

	if (pid <= 0 || waitpid(pid, &status, WNOHANG) != pid)
		return 0;
	if (WIFSIGNALED(status))
		snprintf(what, sizeof(what), "was killed by signal %d", WTERMSIG(status));
	else
		snprintf(what, sizeof(what), "ended with status %d", WEXITSTATUS(status));
	return daemon_failed(lab, node, -ECHILD, what, err, err_len);
}

/* What a daemon that answers may be waiting for. */
static const char *kind_lacks(enum sf_node_kind kind)
{
	return kind == SF_NODE_HOST ? "it has not joined"
				    : "it has not got its state from the controller";
}

int sf_daemon_wait(const struct sf_lab *lab, unsigned int node, pid_t pid, bool answer,
		   uint64_t deadline, const volatile sig_atomic_t *stop, char *err, size_t err_len)
{
	const struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };
	enum sf_node_kind kind = lab->topology.nodes[node].kind;
	char why[512] = "", what[700];

	for (;;) {
		json_t *status = NULL;
		int r = child_check(lab, node, pid, err, err_len);
		bool ready;

		if (r || *stop)
			return r;
		r = sf_daemon_status(lab, node, &status, why, sizeof(why));
		ready = !r && (answer || sf_daemon_ready(kind, status));
		json_decref(status);
		if (ready)
			return 0;
		if (sf_now_ms() > deadline) {
			snprintf(what, sizeof(what), "is not ready after %u s (%s)",
				 lab->options.timeout_ms / 1000, r ? why : kind_lacks(kind));
			return daemon_failed(lab, node, -ETIMEDOUT, what, err, err_len);
		}
		nanosleep(&pause, NULL);
	}
}

/* Waits for the daemons of a kind. */
static int kind_wait(const struct sf_lab *lab, enum sf_node_kind kind, const pid_t *pids,
		     uint64_t deadline, const volatile sig_atomic_t *stop, char *err,
		     size_t err_len)
{
	const struct sf_topology *t = &lab->topology;
	int r = 0;

	for (unsigned int i = 0; i < t->n_nodes && !r && !*stop; i++)
		if (t->nodes[i].kind == kind)
			r = sf_daemon_wait(lab, i, pids[i], false, deadline, stop, err, err_len);
	return r;
}

static int kind_up(const struct sf_lab *lab, enum sf_node_kind kind, pid_t *pids, uint64_t deadline,
		   const volatile sig_atomic_t *stop, char *err, size_t err_len)
{
	const struct sf_topology *t = &lab->topology;
	unsigned int n = 0;
	int r = 0;

	for (unsigned int i = 0; i < t->n_nodes && !r; i++)
		n += t->nodes[i].kind == kind;
	if (!n)
		return 0;
	sf_lab_say(lab, "%s%s: %u", sf_node_kind_name(kind), n > 1 ? "s" : "", n);
	for (unsigned int i = 0; i < t->n_nodes && !r && !*stop; i++)
		if (t->nodes[i].kind == kind)
			r = sf_daemon_start(lab, i, &pids[i], err, err_len);
	return r ? r : kind_wait(lab, kind, pids, deadline, stop, err, err_len);
}

int sf_daemons_up(const struct sf_lab *lab, const volatile sig_atomic_t *stop, char *err,
		  size_t err_len)
{
	static const enum sf_node_kind order[] = { SF_NODE_CONTROLLER, SF_NODE_ROUTER,
						   SF_NODE_HOST };
	uint64_t deadline = sf_now_ms() + lab->options.timeout_ms;
	pid_t *pids = calloc(lab->topology.n_nodes, sizeof(*pids));
	int r = 0;

	if (!pids)
		return sf_errtext(err, err_len, -ENOMEM, "out of memory");
	if (lab->options.tls)
		r = certificates(lab, err, err_len);
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]) && !r && !*stop; i++)
		r = kind_up(lab, order[i], pids, deadline, stop, err, err_len);
	free(pids);
	return r;
}
