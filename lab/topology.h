// SPDX-License-Identifier: Apache-2.0
/*
 * topology.h - nodes and links of a lab, as a small text says them.
 *
 * One directive a line; names, then settings, which hold for all names of the line:
 *
 *	host       h1 h2
 *	router     r1       roles=access,service
 *	controller ctl
 *	link       h1-r1 h2-r1   rate=1gbit delay=5ms
 *	link       h1-r2         state=down
 *	daemon     router   heartbeat=200ms
 *
 * A graph reads better this way than as one INI section for each node and link, hence no use of
 * util/conf here. A comment runs from '#' to the end of the line. Errors name file, line, the word
 * that is wrong and what was expected. docs/man/scaffold-lab.1 has the whole language.
 */
#ifndef SF_LAB_TOPOLOGY_H
#define SF_LAB_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lab/emulation.h"

#define SF_NODE_NAME   13 /* bytes of a node's name with its NUL: interfaces are named after it */
#define SF_NODES_MAX   1000
#define SF_LINKS_MAX   4000
#define SF_MTU_MIN     1280 /* IPv6's least */
#define SF_MTU_MAX     65535
#define SF_MTU_DEFAULT 1500

enum sf_node_kind { SF_NODE_HOST, SF_NODE_ROUTER, SF_NODE_CONTROLLER };

/** struct sf_lab_node - a node. Its number is its index + 1. */
struct sf_lab_node {
	char name[SF_NODE_NAME];
	enum sf_node_kind kind;
	unsigned int roles; /* of a router: SF_ROLE_* of core/ctrl.h */
	unsigned int line;
};

/** struct sf_lab_link - a link between two nodes, by their indices. */
struct sf_lab_link {
	unsigned int node[2];
	struct sf_emulation emulation; /* alike in both directions */
	unsigned int mtu;
	bool emulator; /* through the emulator even while it does nothing: can be changed live */
	bool down;     /* to begin with */
	unsigned int line;
};

/** struct sf_lab_setting - a line of a daemon's configuration, of a kind of nodes or of one. */
struct sf_lab_setting {
	enum sf_node_kind kind;
	int node;   /* index, -1: all of that kind */
	char *text; /* "key = value" */
};

struct sf_topology {
	struct sf_lab_node *nodes;
	size_t n_nodes;
	struct sf_lab_link *links;
	size_t n_links;
	struct sf_lab_setting *settings;
	size_t n_settings;
};

/**
 * sf_topology_parse - read a topology's text.
 * @text: NUL-terminated
 * @path: its name in messages
 * @out: for sf_topology_free(); unchanged on failure
 * @err: on failure "path:line: what was found, what was expected"
 * Returns 0, -EINVAL or -ENOMEM.
 */
int sf_topology_parse(const char *text, const char *path, struct sf_topology *out, char *err,
		      size_t err_len);

/**
 * sf_topology_text - text of a topology by what a user calls it: the name of a built-in one
 * ("fig6"), "line:N" (two hosts with N routers between), "star:N" (N hosts at one router), or a
 * file.
 * @text: malloc'ed, for the caller to free
 * Returns 0; -ENOENT: neither built in nor a file, with both named in @err; other negative errno.
 */
int sf_topology_text(const char *what, char **text, char *err, size_t err_len);

/** sf_topology_free - free what the topology holds and zero it. Safe on a zeroed one. */
void sf_topology_free(struct sf_topology *t);

/** sf_topology_node - index of the node called @name (@len bytes of it), or -1. */
int sf_topology_node(const struct sf_topology *t, const char *name, size_t len);

/**
 * sf_topology_link - index of a link by its name "a-b", in either order, or by "a:b", which reads
 * as node and interface. Returns it, or -1.
 */
int sf_topology_link(const struct sf_topology *t, const char *name);

#define SF_LINK_NAME ((size_t)2 * SF_NODE_NAME)

/** sf_topology_link_name - name of the link with this index, in @buf of SF_LINK_NAME bytes. */
char *sf_topology_link_name(const struct sf_topology *t, unsigned int link, char *buf);

/** sf_node_kind_name - "host", "router", "controller". */
const char *sf_node_kind_name(enum sf_node_kind kind);

/** struct sf_builtin - a topology that is part of the program. */
struct sf_builtin {
	const char *name;
	const char *text;
};

/** sf_builtins - all of them; ends with a NULL name. */
extern const struct sf_builtin sf_builtins[];

#endif
