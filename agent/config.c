// SPDX-License-Identifier: Apache-2.0
/* config.c - options and the file of scaffoldd. Options win over the file. */
#include "agent/config.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <string.h>

#include "agent/grace.h"
#include "agent/trust.h"
#include "util/log.h"
#include "util/program.h"

#define KEY(name_, type_, field_, def_, help_, ...)                                        \
	{                                                                                  \
		.section = "host", .key = (name_), .type = SF_CONF_##type_,                \
		.offset = offsetof(struct config, field_), .def = (def_), .help = (help_), \
		__VA_ARGS__                                                                \
	}

/* Where a JOIN can go: JOIN is for routers on the link alone, which take it from its link-local
 * addresses and answer there, whatever the address that it was sent to. */
static bool is_router(const char *text)
{
	struct in6_addr a;

	return inet_pton(AF_INET6, text, &a) == 1 && !IN6_IS_ADDR_MULTICAST(&a) &&
	       !IN6_IS_ADDR_LOOPBACK(&a) && !IN6_IS_ADDR_V4MAPPED(&a) && !IN6_IS_ADDR_V4COMPAT(&a);
}

static bool is_link(const char *text)
{
	return *text && strlen(text) < IFNAMSIZ && !strchr(text, '/');
}

static const struct sf_conf_key keys[] = {
	KEY("name", STRING, name, "", "name shown to operators (default: the kernel's host name)"),
	KEY("uplink", LIST, uplink, "",
	    "links to access routers, the preferred one first (default: all on which one answers)",
	    .check = is_link,
	    .expects = "names of links, such as eth0 wlan0, each of at most 15 characters"),
	KEY("prefer_after", DURATION, prefer_after_ms, "5s",
	    "how long a preferred uplink is up before it is used again"),
	KEY("router", ADDRESS, router,
	    "::", "an address of the access router on its link (default: by multicast)",
	    .check = is_router,
	    .expects = "an IPv6 address of a router on the link, link-local or global, or :: for "
		       "any router"),
	KEY("router_key", LIST, router_key, "",
	    "public keys of the access routers that this host may join (default: any)",
	    .check = trust_is_key, .expects = TRUST_KEY_EXPECTED),
	KEY("prefixes", LIST, prefixes, "fd5c::/16, fd5e::/32",
	    "where the network's locators and service addresses must lie", .check = trust_is_prefix,
	    .expects = "IPv6 prefixes such as fd5c::/16, without bits behind their length"),
	KEY("allow_uid", LIST, allow_uid, "0-999",
	    "users that may register services: names, uids, ranges"),
	KEY("allow_gid", LIST, allow_gid, "",
	    "groups that may register services: names, gids, ranges"),
	KEY("allow_cgroup", LIST, allow_cgroup, "",
	    "control groups whose programs may register services (and below)"),
	KEY("deny_cgroup", LIST, deny_cgroup, "",
	    "control groups whose programs may not, whoever they run as"),
	KEY("socket_group", STRING, socket_group, "scaffold",
	    "group that may change things through the control socket"),
	KEY("heartbeat", DURATION, heartbeat_ms, "0",
	    "time between heartbeats (0: as the router says)", .max = 60000),
	KEY("probe_after", DURATION, probe_after_ms, "15s",
	    "silence of a peer host with open flows after which it is asked (0: never)",
	    .max = 86400000),
	KEY("move_grace", DURATION, move_grace_ms, "0",
	    "how long flows wait for a peer host that does not answer (0: as the network says)",
	    .max = 3600000),
	KEY("service_move_grace", LIST, service_move_grace, "", "the same for flows of a service",
	    .check = grace_is_text, .expects = "services with durations, such as web=2s, mail=1m"),
	KEY("flows_max", U32, flows_max, "262144", "size of the flow table", .min = 1024,
	    .max = 16777216),
	KEY("halfopen_max", U32, halfopen_max, "16384",
	    "size of the table of half-open inbound flows", .min = 256, .max = 4194304),
	KEY("runs_max", U32, runs_max, "64", "runs (scaffold run) that one user may have, but root",
	    .min = 1, .max = 4096),
	KEY("log", ENUM, log, "info", "least important messages shown", .choices = sf_log_names),
};

static const struct sf_conf_schema schema = { .keys = keys,
					      .n_keys = sizeof(keys) / sizeof(keys[0]) };

static const struct sf_option options[] = {
	SF_PROGRAM_OPTIONS(struct config),
	SF_PROGRAM_BPFFS(struct config),
	{ "keep", NULL, offsetof(struct config, keep), NULL,
	  "leave the datapath, routes and the join in place on SIGTERM" },
	{ "discard", NULL, offsetof(struct config, discard), NULL,
	  "drop the datapath that an earlier agent left, with its flows" },
};

static const struct sf_program program = {
	.name = "scaffoldd",
	.what = "The SCAFFOLD host agent: joins the network of an access router and registers the "
		"services\n"
		"whose sockets programs open on this host (network namespace).\n",
	.file = "/etc/scaffold/scaffoldd.conf",
	.file_offset = offsetof(struct config, file),
	.section = "host",
	.schema = &schema,
	.options = options,
	.n_options = sizeof(options) / sizeof(options[0]),
	.notes = "SIGTERM and SIGINT leave the network and undo the set-up. SIGUSR2 (and SIGKILL) "
		 "end the\n"
		 "agent alone: flows go on, new ones are made, and the next agent takes over.\n",
};

int config_load(struct config *c, int argc, char **argv, char *err, size_t errlen)
{
	return sf_program_load(&program, c, argc, argv, err, errlen);
}

void config_free(struct config *c)
{
	sf_conf_free(&schema, c);
	memset(c, 0, sizeof(*c));
}
