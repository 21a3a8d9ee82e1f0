// SPDX-License-Identifier: Apache-2.0
/* topology.c - parser of topologies and their checks; see topology.h. */
#include "lab/topology.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/ctrl.h"

#define WORDS_MAX 256
#define LINE_MAX_ 4096

struct parser {
	struct sf_topology t;
	const char *path;
	unsigned int line;
	char *err;
	size_t err_len;
};

/* A line, cut into names and settings. */
struct words {
	char *name[WORDS_MAX];
	size_t n_names;
	char *key[WORDS_MAX];
	char *value[WORDS_MAX];
	size_t n_settings;
};

static int fail_at(const struct parser *p, unsigned int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int fail_at(const struct parser *p, unsigned int line, const char *fmt, ...)
{
	va_list args;
	int n = snprintf(p->err, p->err_len, "%s:%u: ", p->path, line);

	if (n < 0 || (size_t)n >= p->err_len)
		return -EINVAL;
	va_start(args, fmt);
	vsnprintf(p->err + n, p->err_len - (size_t)n, fmt, args);
	va_end(args);
	return -EINVAL;
}

#define fail(p, ...) fail_at((p), (p)->line, __VA_ARGS__)

static int fail_memory(const struct parser *p)
{
	snprintf(p->err, p->err_len, "%s: out of memory", p->path);
	return -ENOMEM;
}

/* Makes room for one element more in an array that doubles at powers of two. */
static void *array_grow(void *array, size_t n, size_t size)
{
	if (n & (n - 1))
		return array;
	return realloc(array, (n ? 2 * n : 1) * size);
}

const char *sf_node_kind_name(enum sf_node_kind kind)
{
	static const char *const names[] = { "host", "router", "controller" };

	return names[kind];
}

int sf_topology_node(const struct sf_topology *t, const char *name, size_t len)
{
	for (size_t i = 0; i < t->n_nodes; i++)
		if (strlen(t->nodes[i].name) == len && memcmp(t->nodes[i].name, name, len) == 0)
			return (int)i;
	return -1;
}

/* An interface has the name of the node at its other end, so NODE:INTERFACE is a link's name, too.
 */
int sf_topology_link(const struct sf_topology *t, const char *name)
{
	const char *dash = strpbrk(name, "-:");
	int a, b;

	if (!dash)
		return -1;
	a = sf_topology_node(t, name, (size_t)(dash - name));
	b = sf_topology_node(t, dash + 1, strlen(dash + 1));
	if (a < 0 || b < 0)
		return -1;
	for (size_t i = 0; i < t->n_links; i++) {
		const unsigned int *n = t->links[i].node;

		if ((n[0] == (unsigned int)a && n[1] == (unsigned int)b) ||
		    (n[0] == (unsigned int)b && n[1] == (unsigned int)a))
			return (int)i;
	}
	return -1;
}

char *sf_topology_link_name(const struct sf_topology *t, unsigned int link, char *buf)
{
	const unsigned int *end = t->links[link].node;

	snprintf(buf, SF_LINK_NAME, "%s-%s", t->nodes[end[0]].name, t->nodes[end[1]].name);
	return buf;
}

static bool node_name_ok(const char *name)
{
	if (!islower((unsigned char)*name) || strlen(name) >= SF_NODE_NAME)
		return false;
	for (const char *c = name; *c; c++)
		if (!islower((unsigned char)*c) && !isdigit((unsigned char)*c))
			return false;
	/* "lo" would clash with the loopback device; "linkem" is the emulator's namespace. */
	return strcmp(name, "lo") != 0 && strcmp(name, "linkem") != 0;
}

static int roles_parse(const struct parser *p, char *value, unsigned int *roles)
{
	char *save = NULL;
	unsigned int found = 0;

	for (char *word = strtok_r(value, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		if (strcmp(word, "access") == 0)
			found |= SF_ROLE_ACCESS;
		else if (strcmp(word, "service") == 0)
			found |= SF_ROLE_SERVICE;
		else
			return fail(p, "roles: got '%s', expected access, service or both", word);
	}
	if (!found)
		return fail(p, "roles: nothing given, expected access, service or both");
	*roles = found;
	return 0;
}

static int nodes_add(struct parser *p, enum sf_node_kind kind, struct words *w)
{
	unsigned int roles = kind == SF_NODE_ROUTER ? SF_ROLE_ACCESS | SF_ROLE_SERVICE : 0;

	for (size_t i = 0; i < w->n_settings; i++) {
		if (kind != SF_NODE_ROUTER || strcmp(w->key[i], "roles") != 0)
			return fail(p, "'%s' is no setting of a %s%s", w->key[i],
				    sf_node_kind_name(kind),
				    kind == SF_NODE_ROUTER ? " (there is: roles)" : "");
		if (roles_parse(p, w->value[i], &roles))
			return -EINVAL;
	}
	for (size_t i = 0; i < w->n_names; i++) {
		struct sf_topology *t = &p->t;
		const char *name = w->name[i];
		int same = sf_topology_node(t, name, strlen(name));
		void *grown;

		if (!node_name_ok(name))
			return fail(p,
				    "'%s' is no node name: expected a small letter, then small "
				    "letters and digits, %d at most (not lo, not linkem)",
				    name, SF_NODE_NAME - 1);
		if (same >= 0)
			return fail(p, "node %s is there already (line %u)", name,
				    t->nodes[same].line);
		if (t->n_nodes == SF_NODES_MAX)
			return fail(p, "more than %d nodes", SF_NODES_MAX);
		grown = array_grow(t->nodes, t->n_nodes, sizeof(*t->nodes));
		if (!grown)
			return fail_memory(p);
		t->nodes = grown;
		t->nodes[t->n_nodes] =
			(struct sf_lab_node){ .kind = kind, .roles = roles, .line = p->line };
		memcpy(t->nodes[t->n_nodes++].name, name, strlen(name) + 1); /* node_name_ok() */
	}
	return 0;
}

static int mtu_parse(const struct parser *p, const char *value, unsigned int *mtu)
{
	unsigned long n = 0;

	for (const char *c = value; *c; c++) {
		if (!isdigit((unsigned char)*c) || n > SF_MTU_MAX)
			goto bad;
		n = n * 10 + (unsigned long)(*c - '0');
	}
	if (n < SF_MTU_MIN || n > SF_MTU_MAX)
		goto bad;
	*mtu = (unsigned int)n;
	return 0;
bad:
	return fail(p, "mtu: got '%s', expected bytes from %d to %d", value, SF_MTU_MIN,
		    SF_MTU_MAX);
}

static int link_setting(const struct parser *p, struct sf_lab_link *l, const char *key,
			const char *value)
{
	const char *expected = NULL;
	int r;

	if (strcmp(key, "mtu") == 0)
		return mtu_parse(p, value, &l->mtu);
	if (strcmp(key, "emulator") == 0) {
		if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
			return fail(p, "emulator: got '%s', expected yes or no", value);
		l->emulator = value[0] == 'y';
		return 0;
	}
	if (strcmp(key, "state") == 0) {
		if (strcmp(value, "up") != 0 && strcmp(value, "down") != 0)
			return fail(p, "state: got '%s', expected up or down", value);
		l->down = value[0] == 'd';
		return 0;
	}
	r = sf_emulation_set(&l->emulation, key, value, &expected);
	if (r == -ENOENT)
		return fail(p, "'%s' is no setting of a link: expected mtu, emulator, state, %s",
			    key, sf_emulation_keys());
	if (r)
		return fail(p, "%s: got '%s', expected %s", key, value, expected);
	return 0;
}

static int link_ends(const struct parser *p, const char *name, struct sf_lab_link *l)
{
	const struct sf_topology *t = &p->t;
	const char *dash = strchr(name, '-');
	int a, b, same;

	if (!dash)
		return fail(p, "'%s' is no link: expected two nodes with a hyphen between, a-b",
			    name);
	a = sf_topology_node(t, name, (size_t)(dash - name));
	b = sf_topology_node(t, dash + 1, strlen(dash + 1));
	if (a < 0)
		return fail(p, "link %s: no node '%.*s' above this line", name, (int)(dash - name),
			    name);
	if (b < 0)
		return fail(p, "link %s: no node '%s' above this line", name, dash + 1);
	if (a == b)
		return fail(p, "link %s: both ends are the same node", name);
	if (t->nodes[a].kind != SF_NODE_ROUTER && t->nodes[b].kind != SF_NODE_ROUTER)
		return fail(p, "link %s: at least one end must be a router", name);
	same = sf_topology_link(t, name);
	if (same >= 0)
		return fail(p, "link %s is there already (line %u)", name, t->links[same].line);
	l->node[0] = (unsigned int)a;
	l->node[1] = (unsigned int)b;
	return 0;
}

static int links_add(struct parser *p, struct words *w)
{
	struct sf_lab_link model = { .mtu = SF_MTU_DEFAULT, .line = p->line };
	struct sf_topology *t = &p->t;
	void *grown;

	for (size_t i = 0; i < w->n_settings; i++)
		if (link_setting(p, &model, w->key[i], w->value[i]))
			return -EINVAL;
	if (!sf_emulation_is_rate_only(&model.emulation))
		model.emulator = true;
	for (size_t i = 0; i < w->n_names; i++) {
		if (link_ends(p, w->name[i], &model))
			return -EINVAL;
		if (t->n_links == SF_LINKS_MAX)
			return fail(p, "more than %d links", SF_LINKS_MAX);
		grown = array_grow(t->links, t->n_links, sizeof(*t->links));
		if (!grown)
			return fail_memory(p);
		t->links = grown;
		t->links[t->n_links++] = model;
	}
	return 0;
}

static int settings_add(struct parser *p, struct words *w)
{
	struct sf_topology *t = &p->t;

	for (size_t i = 0; i < w->n_names; i++) {
		struct sf_lab_setting s = { .node = sf_topology_node(t, w->name[i],
								     strlen(w->name[i])) };

		if (s.node >= 0)
			s.kind = t->nodes[s.node].kind;
		else if (strcmp(w->name[i], "host") == 0)
			s.kind = SF_NODE_HOST;
		else if (strcmp(w->name[i], "router") == 0)
			s.kind = SF_NODE_ROUTER;
		else if (strcmp(w->name[i], "controller") == 0)
			s.kind = SF_NODE_CONTROLLER;
		else
			return fail(p,
				    "daemon: got '%s', expected host, router, controller or a "
				    "node above this line",
				    w->name[i]);
		for (size_t k = 0; k < w->n_settings; k++) {
			void *grown = array_grow(t->settings, t->n_settings, sizeof(*t->settings));

			if (!grown)
				return fail_memory(p);
			t->settings = grown;
			if (asprintf(&s.text, "%s = %s", w->key[k], w->value[k]) < 0)
				return fail_memory(p);
			t->settings[t->n_settings++] = s;
		}
	}
	if (!w->n_settings)
		return fail(p, "daemon: no setting, expected key=value");
	return 0;
}

/* Cuts @line; its words stay in it. */
static int line_cut(const struct parser *p, char *line, struct words *w)
{
	char *save = NULL;

	w->n_names = w->n_settings = 0;
	for (char *word = strtok_r(line, " \t\r", &save); word;
	     word = strtok_r(NULL, " \t\r", &save)) {
		char *equals = strchr(word, '=');

		if (w->n_names == WORDS_MAX || w->n_settings == WORDS_MAX)
			return fail(p, "more than %d words", WORDS_MAX);
		if (equals) {
			*equals = 0;
			if (equals == word || !equals[1])
				return fail(p, "'%s=%s': expected key=value", word, equals + 1);
			w->key[w->n_settings] = word;
			w->value[w->n_settings++] = equals + 1;
		} else if (w->n_settings) {
			return fail(p, "'%s': names stand before settings", word);
		} else {
			w->name[w->n_names++] = word;
		}
	}
	return 0;
}

static int line_parse(struct parser *p, char *line)
{
	struct words w;
	const char *directive;

	for (const char *c = line; *c; c++) /* before strchr() looks for '#': comments count, too */
		if ((unsigned char)*c < ' ' && *c != '\t' && *c != '\r')
			return fail(p, "control character 0x%02x", (unsigned char)*c);
	line[strcspn(line, "#")] = 0;
	if (line_cut(p, line, &w))
		return -EINVAL;
	if (!w.n_names && !w.n_settings)
		return 0;
	if (!w.n_names)
		return fail(p, "'%s=': a line begins with host, router, controller, link or daemon",
			    w.key[0]);
	directive = w.name[0];
	memmove(w.name, w.name + 1, --w.n_names * sizeof(w.name[0]));
	if (!w.n_names)
		return fail(p, "%s: no name behind it", directive);
	if (strcmp(directive, "host") == 0)
		return nodes_add(p, SF_NODE_HOST, &w);
	if (strcmp(directive, "router") == 0)
		return nodes_add(p, SF_NODE_ROUTER, &w);
	if (strcmp(directive, "controller") == 0)
		return nodes_add(p, SF_NODE_CONTROLLER, &w);
	if (strcmp(directive, "link") == 0)
		return links_add(p, &w);
	if (strcmp(directive, "daemon") == 0)
		return settings_add(p, &w);
	return fail(p, "'%s': expected host, router, controller, link or daemon", directive);
}

/* Each host needs an access router, and all nodes one network. */
static int graph_check(const struct parser *p)
{
	const struct sf_topology *t = &p->t;
	bool *reached = calloc(t->n_nodes, sizeof(*reached));
	bool more = true;
	int r = 0;

	if (!reached)
		return fail_memory(p);
	reached[0] = true;
	while (more) {
		more = false;
		for (size_t i = 0; i < t->n_links; i++) {
			const unsigned int *n = t->links[i].node;

			if (reached[n[0]] != reached[n[1]])
				reached[n[0]] = reached[n[1]] = more = true;
		}
	}
	for (size_t i = 0; i < t->n_nodes && !r; i++)
		if (!reached[i])
			r = fail_at(p, t->nodes[i].line, "no way from %s to %s: add a link",
				    t->nodes[0].name, t->nodes[i].name);
	free(reached);
	return r;
}

static int access_check(const struct parser *p)
{
	const struct sf_topology *t = &p->t;

	for (size_t i = 0; i < t->n_links; i++)
		for (int end = 0; end < 2; end++) {
			const struct sf_lab_node *host = &t->nodes[t->links[i].node[end]];
			const struct sf_lab_node *router = &t->nodes[t->links[i].node[!end]];

			if (host->kind == SF_NODE_HOST && !(router->roles & SF_ROLE_ACCESS))
				return fail_at(p, t->links[i].line,
					       "link %s-%s: a host's link leads to an access "
					       "router, but %s (line %u) has no roles=access",
					       t->nodes[t->links[i].node[0]].name,
					       t->nodes[t->links[i].node[1]].name, router->name,
					       router->line);
		}
	return 0;
}

static int topology_check(const struct parser *p)
{
	const struct sf_topology *t = &p->t;
	unsigned int service_routers = 0, hosts = 0;
	const struct sf_lab_node *controller = NULL;

	for (size_t i = 0; i < t->n_nodes; i++) {
		const struct sf_lab_node *n = &t->nodes[i];

		hosts += n->kind == SF_NODE_HOST;
		service_routers += !!(n->roles & SF_ROLE_SERVICE);
		if (n->kind != SF_NODE_CONTROLLER)
			continue;
		if (controller)
			return fail_at(p, n->line,
				       "%s: there is a controller already (%s, line %u)", n->name,
				       controller->name, controller->line);
		controller = n;
	}
	if (!hosts)
		return fail(p, "no host: expected a line such as 'host h1 h2'");
	if (!service_routers)
		return fail(p, "no service router: expected a router with roles=service");
	return access_check(p) ? -EINVAL : graph_check(p);
}

int sf_topology_parse(const char *text, const char *path, struct sf_topology *out, char *err,
		      size_t err_len)
{
	struct parser p = { .path = path, .err = err, .err_len = err_len };
	char line[LINE_MAX_];
	int r = 0;

	while (*text && !r) {
		size_t len = strcspn(text, "\n");

		p.line++;
		if (len >= sizeof(line)) {
			r = fail(&p, "line longer than %d bytes", LINE_MAX_ - 1);
			break;
		}
		memcpy(line, text, len);
		line[len] = 0;
		text += len + (text[len] == '\n');
		r = line_parse(&p, line);
	}
	if (!r)
		r = topology_check(&p);
	if (r)
		sf_topology_free(&p.t);
	else
		*out = p.t;
	return r;
}

void sf_topology_free(struct sf_topology *t)
{
	for (size_t i = 0; i < t->n_settings; i++)
		free(t->settings[i].text);
	free(t->settings);
	free(t->nodes);
	free(t->links);
	*t = (struct sf_topology){ 0 };
}
