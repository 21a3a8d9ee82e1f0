// SPDX-License-Identifier: Apache-2.0
/* status.c - a lab as JSON; see sf_lab_status(). */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lab/daemons.h"
#include "lab/lab.h"
#include "lab/linkemc.h"
#include "lab/net.h"
#include "lab/plan.h"
#include "lab/process.h"
#include "util/netlink.h"
#include "util/netns.h"

static json_t *process_json(const struct sf_lab *lab, const char *dir, const char *program)
{
	struct sf_record record;
	char path[PATH_MAX];
	int r = sf_lab_path(lab, path, "%s%s%s.proc", dir, *dir ? "/" : "", program);

	if (!r)
		r = sf_record_read(path, &record);
	if (r)
		return json_pack("{s:s, s:n, s:b}", "program", program, "pid", "running", 0);
	return json_pack("{s:s, s:i, s:b}", "program", program, "pid", (int)record.pid, "running",
			 sf_record_alive(&record));
}

static json_t *node_json(const struct sf_lab *lab, unsigned int node)
{
	const struct sf_lab_node *n = &lab->topology.nodes[node];
	struct in6_addr a = sf_plan_address(node);
	char address[INET6_ADDRSTRLEN], ns[NAME_MAX], run[PATH_MAX], why[512];
	json_t *out, *status = NULL;
	int fd = sf_netns_open(sf_lab_namespace(lab, n->name, ns));

	if (sf_lab_path(lab, run, "%s", n->name))
		return NULL;
	out = json_pack("{s:s, s:s, s:s, s:b, s:s, s:s}", "name", n->name, "kind",
			sf_node_kind_name(n->kind), "namespace", ns, "exists", fd >= 0, "address",
			inet_ntop(AF_INET6, &a, address, sizeof(address)), "run", run);
	if (fd >= 0)
		close(fd);
	if (!lab->options.daemons)
		return out;
	json_object_set_new(out, "process",
			    process_json(lab, n->name, sf_lab_daemon_of(n->kind)->program));
	if (sf_daemon_status(lab, node, &status, why, sizeof(why))) {
		json_object_set_new(out, "ready", json_false());
		json_object_set_new(out, "problem", json_string(why));
		return out;
	}
	json_object_set_new(out, "ready", json_boolean(sf_daemon_ready(n->kind, status)));
	json_object_set_new(out, "status", status);
	return out;
}

/* What the emulator says about a link, or NULL. */
static json_t *emulated_find(json_t *all, const char *name)
{
	json_t *l;
	size_t i;

	json_array_foreach (json_object_get(all, "links"), i, l) {
		const char *found = json_string_value(json_object_get(l, "name"));

		if (found && strcmp(found, name) == 0)
			return json_object_get(l, "directions");
	}
	return NULL;
}

/* Carrier as the first end sees it. */
static bool link_carrier(const struct sf_lab *lab, unsigned int link)
{
	const struct sf_topology *t = &lab->topology;
	struct sf_nl_link dev = { .carrier = false };
	struct sf_nl *nl = NULL;
	char ns[NAME_MAX];
	int fd = sf_netns_open(sf_lab_namespace(lab, t->nodes[t->links[link].node[0]].name, ns));

	if (fd < 0)
		return false;
	if (sf_nl_open_in(fd, &nl) == 0)
		(void)sf_link_get(nl, sf_plan_ifname(t, link, 0), &dev); /* absent: no carrier */
	sf_nl_close(nl);
	close(fd);
	return dev.carrier && (dev.flags & IFF_UP);
}

static json_t *link_json(const struct sf_lab *lab, unsigned int link, json_t *emulated)
{
	const struct sf_topology *t = &lab->topology;
	const struct sf_lab_link *l = &t->links[link];
	char name[SF_LINK_NAME], settings[SF_EMULATION_TEXT];
	json_t *out, *directions;

	sf_topology_link_name(t, link, name);
	out = json_pack("{s:s, s:b, s:i, s:b, s:s}", "name", name, "up", link_carrier(lab, link),
			"mtu", (int)l->mtu, "emulator", l->emulator, "settings",
			sf_emulation_print(&l->emulation, settings));
	directions = emulated_find(emulated, name);
	if (directions)
		json_object_set(out, "directions", directions);
	return out;
}

json_t *sf_lab_links(const struct sf_lab *lab)
{
	json_t *links = json_array(), *emulated = NULL;
	json_t *out = json_pack("{s:s, s:o}", "name", lab->name, "links", links);

	if (!out)
		return NULL;
	if (sf_net_has_emulator(lab)) {
		char why[512];

		json_object_set_new(out, "emulator", process_json(lab, "", "scaffold-linkem"));
		if (sf_linkem_call(lab, json_pack("{s:s}", "get", "links"), &emulated, why,
				   sizeof(why)))
			json_object_set_new(json_object_get(out, "emulator"), "problem",
					    json_string(why));
	}
	for (unsigned int i = 0; i < lab->topology.n_links; i++)
		json_array_append_new(links, link_json(lab, i, emulated));
	json_decref(emulated);
	return out;
}

json_t *sf_lab_status(const struct sf_lab *lab)
{
	json_t *out = sf_lab_links(lab), *nodes = json_array();

	if (!out ||
	    json_object_update_new(out, json_pack("{s:s, s:b, s:I, s:o}", "directory", lab->dir,
						  "daemons", lab->options.daemons, "seed",
						  (json_int_t)lab->options.seed, "nodes", nodes))) {
		json_decref(out);
		return NULL;
	}
	for (unsigned int i = 0; i < lab->topology.n_nodes; i++)
		json_array_append_new(nodes, node_json(lab, i));
	return out;
}
