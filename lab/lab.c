// SPDX-License-Identifier: Apache-2.0
/* lab.c - up, down, enter, change; see lab.h. */
#include "lab/lab.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lab/certs.h"
#include "lab/daemons.h"
#include "lab/linkemc.h"
#include "lab/net.h"
#include "lab/process.h"
#include "util/errtext.h"
#include "util/file.h"
#include "util/netns.h"

#define LEAVE_MS 4000 /* for a daemon to leave and undo its set-up */

/* ---- up --------------------------------------------------------------------------------- */

static int directories(const struct sf_lab *lab, char *err, size_t err_len)
{
	char path[PATH_MAX];
	int r = sf_lab_path(lab, path, "bpf");

	if (!r)
		r = sf_mkdir_p(path, 0700);
	if (!r && mount("bpf", path, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") < 0)
		r = -errno;
	for (size_t i = 0; i < lab->topology.n_nodes && !r; i++) {
		r = sf_lab_path(lab, path, "%s", lab->topology.nodes[i].name);
		if (!r)
			r = sf_mkdir_p(path, 0755);
	}
	return r ? sf_errtext(err, err_len, r, "%s: %s", path, strerror(-r)) : 0;
}

int sf_lab_up(struct sf_lab *lab, const volatile sig_atomic_t *stop, char *err, size_t err_len)
{
	const struct sf_topology *t = &lab->topology;
	int r;

	if (geteuid() != 0)
		return sf_errtext(err, err_len, -EPERM,
				  "a lab makes network namespaces: run it as root");
	sf_lab_say(lab, "network: %zu nodes, %zu links", t->n_nodes, t->n_links);
	r = directories(lab, err, err_len);
	if (!r)
		r = sf_net_build(lab, err, err_len);
	if (!r && !*stop && sf_net_has_emulator(lab)) {
		sf_lab_say(lab, "link emulator");
		r = sf_linkem_start(lab, err, err_len);
	}
	if (!r && !*stop && lab->options.daemons)
		r = sf_daemons_up(lab, stop, err, err_len);
	if (!r && *stop)
		r = sf_errtext(err, err_len, -EINTR, "interrupted");
	return r;
}

/* ---- down ------------------------------------------------------------------------------- */

static int entry_remove(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path) < 0 && errno != ENOENT ? -errno : 0;
}

/* Without FTW_MOUNT: on an overlay, files are on another device than their directory and would be
 * left out. What was mounted below is unmounted before. */
static int tree_remove(const char *dir)
{
	int r = nftw(dir, entry_remove, 32, FTW_DEPTH | FTW_PHYS);

	return r == -1 ? (errno == ENOENT ? 0 : -errno) : r;
}

static int files_remove(const char *dir, char *err, size_t err_len)
{
	char path[PATH_MAX];
	int r;

	if (snprintf(path, sizeof(path), "%s/bpf", dir) >= PATH_MAX)
		return -ENAMETOOLONG;
	/* Lazily: `scaffold lab exec` copies the mount. As often as it was mounted. */
	for (int i = 0; i < 8 && umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0; i++)
		;
	r = tree_remove(dir);
	return r ? sf_errtext(err, err_len, r, "%s: %s", dir, strerror(-r)) : 0;
}

/* Ends the processes in the namespaces of all nodes of a kind, or of the emulator (@kind -1). */
static int kind_sweep(const struct sf_lab *lab, int kind, char *err, size_t err_len)
{
	const struct sf_topology *t = &lab->topology;
	char(*names)[NAME_MAX] = calloc(t->n_nodes + 1, sizeof(*names));
	const char **list = calloc(t->n_nodes + 1, sizeof(*list));
	size_t n = 0;
	int r = -ENOMEM;

	if (!names || !list)
		goto out;
	for (size_t i = 0; i < t->n_nodes; i++)
		if ((int)t->nodes[i].kind == kind) {
			sf_lab_namespace(lab, t->nodes[i].name, names[n]);
			list[n] = names[n];
			n++;
		}
	if (kind < 0)
		list[n++] = sf_lab_namespace(lab, NULL, names[0]);
	/* A host's programs end before its agent, as when a machine is shut down: what the agent
	 * keeps for them (control groups) can be removed. */
	r = 0;
	if (kind == SF_NODE_HOST)
		r = sf_process_sweep(list, n, sf_lab_daemon_of(SF_NODE_HOST)->program, LEAVE_MS,
				     err, err_len);
	if (r >= 0)
		r = sf_process_sweep(list, n, NULL, LEAVE_MS, err, err_len);
	if (r > 0)
		sf_lab_say(lab, "%d processes had to be killed", r);
out:
	free(list);
	free(names);
	return r < 0 ? r : 0;
}

/* Hosts leave while their routers still listen, routers while the controller does. */
int sf_lab_down(struct sf_lab *lab, char *err, size_t err_len)
{
	static const int order[] = { SF_NODE_HOST, SF_NODE_ROUTER, SF_NODE_CONTROLLER, -1 };
	int r;

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		r = kind_sweep(lab, order[i], err, err_len);
		if (r)
			return r; /* what lives in them is not to lose its network */
	}
	r = sf_net_remove(lab, err, err_len);
	if (!r)
		r = files_remove(lab->dir, err, err_len);
	sf_lab_close(lab);
	return r;
}

/* Namespaces of a lab by name: NAME-NODE, and node names have no hyphens. */
struct remains {
	char names[SF_NODES_MAX + 1][NAME_MAX];
	const char *list[SF_NODES_MAX + 1];
	size_t n;
	const char *lab;
};

static int remains_found(const char *name, void *ctx)
{
	struct remains *m = ctx;
	size_t len = strlen(m->lab);

	if (strncmp(name, m->lab, len) != 0 || name[len] != '-' || strchr(name + len + 1, '-') ||
	    m->n > SF_NODES_MAX || strlen(name) >= NAME_MAX)
		return 0;
	memcpy(m->names[m->n], name, strlen(name) + 1);
	m->list[m->n] = m->names[m->n];
	m->n++;
	return 0;
}

int sf_lab_sweep(const char *run, const char *name, char *err, size_t err_len)
{
	struct remains *m = calloc(1, sizeof(*m));
	char dir[PATH_MAX];
	int r;

	if (!m)
		return -ENOMEM;
	m->lab = name;
	r = sf_netns_list(remains_found, m);
	if (!r)
		r = sf_process_sweep(m->list, m->n, NULL, LEAVE_MS, err, err_len);
	for (size_t i = 0; i < m->n && r >= 0; i++)
		r = sf_net_delete(m->list[i]);
	if (r >= 0 && snprintf(dir, sizeof(dir), "%s/lab/%s", run, name) < PATH_MAX)
		r = files_remove(dir, err, err_len);
	free(m);
	return r < 0 ? r : 0;
}

/* ---- enter ------------------------------------------------------------------------------ */

int sf_lab_enter(const struct sf_lab *lab, const char *node, char *err, size_t err_len)
{
	char path[PATH_MAX], ns[NAME_MAX];
	int r;

	if (sf_topology_node(&lab->topology, node, strlen(node)) < 0)
		return sf_errtext(err, err_len, -ENOENT, "lab %s has no node '%s'", lab->name,
				  node);
	r = sf_netns_enter_named(sf_lab_namespace(lab, node, ns));
	if (r)
		return sf_errtext(err, err_len, r, "namespace %s: %s%s", ns, strerror(-r),
				  r == -EPERM ? " (run it as root)" : "");
	r = sf_lab_path(lab, path, "%s", node);
	if (!r && setenv("SCAFFOLD_RUN", path, 1) < 0)
		r = -errno;
	return r ? sf_errtext(err, err_len, r, "%s: %s", path, strerror(-r)) : 0;
}

/* ---- change a link ---------------------------------------------------------------------- */

/* What the words of a change ask for. */
struct wish {
	bool up, down, clear;
	json_t *settings;
	struct sf_emulation emulation; /* of a plain link */
};

static int wish_read(const struct sf_lab_change *c, struct wish *w, char *err, size_t err_len)
{
	for (size_t i = 0; i < c->n_words; i++) {
		const char *word = c->words[i], *equals = strchr(word, '=');
		const char *expected = NULL;
		char key[32];
		int r;

		if (strcmp(word, "up") == 0)
			w->up = true;
		else if (strcmp(word, "down") == 0)
			w->down = true;
		else if (strcmp(word, "clear") == 0)
			w->clear = true;
		if (w->up || w->down || (w->clear && !equals))
			continue;
		if (!equals || (size_t)(equals - word) >= sizeof(key))
			return sf_errtext(
				err, err_len, -EINVAL,
				"'%s': expected up, down, clear or KEY=VALUE with KEY one "
				"of %s",
				word, sf_emulation_keys());
		snprintf(key, sizeof(key), "%.*s", (int)(equals - word), word);
		r = sf_emulation_set(&w->emulation, key, equals + 1, &expected);
		if (r)
			return sf_errtext(err, err_len, r, "%s: got '%s', expected %s", key,
					  equals + 1, expected ? expected : sf_emulation_keys());
		json_object_set_new(w->settings, key, json_string(equals + 1));
	}
	if (w->up && w->down)
		return sf_errtext(err, err_len, -EINVAL, "up and down at once");
	if (!c->n_words)
		return sf_errtext(err, err_len, -EINVAL,
				  "nothing to change: expected up, down, clear or KEY=VALUE");
	return 0;
}

static int plain_change(struct sf_lab *lab, unsigned int link, const struct sf_lab_change *c,
			const struct wish *w, char *err, size_t err_len)
{
	const struct sf_topology *t = &lab->topology;
	const struct sf_lab_link *l = &t->links[link];

	if (!sf_emulation_is_rate_only(&w->emulation))
		return sf_errtext(err, err_len, -EOPNOTSUPP,
				  "link %s is a plain veth pair, which knows rate and queue alone: "
				  "give it emulator=yes in the topology, or use 'lab up --emulate'",
				  c->link);
	for (unsigned int end = 0; end < 2; end++) {
		int r;

		if (c->from && strcmp(t->nodes[l->node[end]].name, c->from) != 0)
			continue;
		r = sf_net_rate(lab, link, end, &w->emulation, err, err_len);
		if (r)
			return r;
	}
	return 0;
}

static int emulated_change(const struct sf_lab *lab, unsigned int link,
			   const struct sf_lab_change *c, const struct wish *w, char *err,
			   size_t err_len)
{
	char name[SF_LINK_NAME];
	json_t *request = json_pack("{s:s, s:O, s:b}", "set",
				    sf_topology_link_name(&lab->topology, link, name), "settings",
				    w->settings, "clear", w->clear);

	if (c->from)
		json_object_set_new(request, "from", json_string(c->from));
	return sf_linkem_call(lab, request, NULL, err, err_len);
}

/* From links that were down as @was says, to what @lab says; else @was is what it says again. */
static int carriers_change(struct sf_lab *lab, const bool *was, uint64_t gap_ns,
			   struct sf_lab_moved *moved, char *err, size_t err_len)
{
	int r = sf_net_carriers(lab, was, gap_ns, moved, err, err_len);

	if (r)
		memcpy(lab->down, was, lab->topology.n_links * sizeof(*was));
	return r ? r : sf_lab_save(lab, err, err_len);
}

static bool *down_copy(const struct sf_lab *lab, char *err, size_t err_len)
{
	size_t bytes = (lab->topology.n_links + 1) * sizeof(bool);
	bool *copy = malloc(bytes);

	if (copy)
		memcpy(copy, lab->down, bytes);
	else
		sf_errtext(err, err_len, -ENOMEM, "out of memory");
	return copy;
}

static int updown_change(struct sf_lab *lab, unsigned int link, bool up, char *err, size_t err_len)
{
	bool *was = down_copy(lab, err, err_len);
	int r;

	if (!was)
		return -ENOMEM;
	was[link] = up; /* whatever it is: somebody may have changed it by hand */
	lab->down[link] = !up;
	r = carriers_change(lab, was, 0, NULL, err, err_len);
	free(was);
	return r;
}

int sf_lab_link_change(struct sf_lab *lab, const struct sf_lab_change *c, char *err, size_t err_len)
{
	int link = sf_topology_link(&lab->topology, c->link), r;
	struct wish w = { .up = false };

	if (link < 0)
		return sf_errtext(err, err_len, -ENOENT, "lab %s has no link '%s'", lab->name,
				  c->link);
	if (c->from) {
		int node = sf_topology_node(&lab->topology, c->from, strlen(c->from));
		const unsigned int *ends = lab->topology.links[link].node;

		if (node < 0 || ((unsigned int)node != ends[0] && (unsigned int)node != ends[1]))
			return sf_errtext(err, err_len, -EINVAL, "'%s' is no end of link %s",
					  c->from, c->link);
	}
	w.settings = json_object();
	r = wish_read(c, &w, err, err_len);
	if (!r && (w.clear || json_object_size(w.settings)))
		r = lab->topology.links[link].emulator
			    ? emulated_change(lab, (unsigned int)link, c, &w, err, err_len)
			    : plain_change(lab, (unsigned int)link, c, &w, err, err_len);
	if (!r && (w.up || w.down))
		r = updown_change(lab, (unsigned int)link, w.up, err, err_len);
	json_decref(w.settings);
	return r;
}

/* ---- move a host ------------------------------------------------------------------------ */

/* Writes into @lab which links of @node are to be up; @change: whether any is not as it was. */
static int move_plan(struct sf_lab *lab, const struct sf_lab_move *m, bool *change, char *err,
		     size_t err_len)
{
	const struct sf_topology *t = &lab->topology;
	int node = sf_topology_node(t, m->node, strlen(m->node));
	int to = sf_topology_node(t, m->to, strlen(m->to));
	bool found = false;

	*change = false;
	if (node < 0 || t->nodes[node].kind != SF_NODE_HOST)
		return sf_errtext(err, err_len, -ENOENT, "lab %s has no host '%s'", lab->name,
				  m->node);
	for (unsigned int l = 0; l < t->n_links; l++) {
		const unsigned int *end = t->links[l].node;
		unsigned int other = end[end[0] == (unsigned int)node];
		bool down;

		if (end[0] != (unsigned int)node && end[1] != (unsigned int)node)
			continue;
		down = (int)other != to && (!m->overlap || lab->down[l]);
		found |= (int)other == to;
		*change |= down != lab->down[l];
		lab->down[l] = down;
	}
	return found ? 0
		     : sf_errtext(err, err_len, -ENOENT, "lab %s: %s has no link to '%s'",
				  lab->name, m->node, m->to);
}

/*
 * Whoever wants a gap gets one, also where the link that is to be up is up already: it goes down,
 * too. @was follows.
 */
static int gap_begin(struct sf_lab *lab, const struct sf_lab_move *m, bool *was,
		     struct sf_lab_moved *moved, char *err, size_t err_len)
{
	const struct sf_topology *t = &lab->topology;
	int node = sf_topology_node(t, m->node, strlen(m->node)), r;
	bool *want = down_copy(lab, err, err_len);

	if (!want)
		return -ENOMEM;
	for (unsigned int l = 0; l < t->n_links; l++)
		if (t->links[l].node[0] == (unsigned int)node ||
		    t->links[l].node[1] == (unsigned int)node)
			lab->down[l] = true;
	r = carriers_change(lab, was, 0, moved, err, err_len);
	if (!r) {
		memcpy(was, lab->down, t->n_links * sizeof(*was));
		memcpy(lab->down, want, t->n_links * sizeof(*was));
	}
	free(want);
	return r;
}

int sf_lab_move(struct sf_lab *lab, const struct sf_lab_move *m, struct sf_lab_moved *moved,
		char *err, size_t err_len)
{
	bool *was = down_copy(lab, err, err_len), change;
	struct sf_lab_moved at, first = { 0 };
	int r;

	if (!was)
		return -ENOMEM;
	r = move_plan(lab, m, &change, err, err_len);
	if (!r && !change)
		r = sf_errtext(err, err_len, -EALREADY, "%s is at %s already%s", m->node, m->to,
			       m->overlap ? "" : ", and nowhere else");
	if (r)
		memcpy(lab->down, was, lab->topology.n_links * sizeof(*was));
	else if (m->gap_ns && !m->overlap)
		r = gap_begin(lab, m, was, &first, err, err_len);
	if (!r)
		r = carriers_change(lab, was, m->overlap ? 0 : m->gap_ns, &at, err, err_len);
	if (!r && first.broken_ns)
		at.broken_ns = first.broken_ns;
	if (!r)
		*moved = at;
	free(was);
	return r;
}
