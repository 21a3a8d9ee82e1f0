// SPDX-License-Identifier: Apache-2.0
/* config.h - what scaffoldd is told: command line and the section [host] of its file. */
#ifndef SF_AGENT_CONFIG_H
#define SF_AGENT_CONFIG_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/conf.h"

struct config {
	/* command line */
	const char *file; /* NULL: defaults alone */
	const char *run, *bpffs, *state;
	bool keep;    /* SIGTERM leaves everything in place, as SIGUSR2 does */
	bool discard; /* begin without the datapath that an earlier agent left */
	bool check;   /* only check the configuration */
	/* [host] */
	char *name;		    /* "": the kernel's host name */
	struct sf_conf_list uplink; /* in order of preference; empty: all with carrier */
	uint32_t prefer_after_ms;
	struct in6_addr router; /* ::: by multicast */
	struct sf_conf_list router_key, prefixes;
	struct sf_conf_list allow_uid, allow_gid, allow_cgroup, deny_cgroup;
	char *socket_group;
	struct sf_conf_list service_move_grace; /* "web=2s" */
	uint32_t move_grace_ms;			/* 0: as the router says */
	uint32_t probe_after_ms;		/* 0: silent peers are not asked */
	uint32_t heartbeat_ms;			/* 0: as the router says */
	uint32_t flows_max, halfopen_max, runs_max;
	int log;
};

/**
 * config_load() - fill @c from the command line, then the file that it names.
 * @c: zeroed
 *
 * Return: 0; 1 where all is done (--help, --version, --sample: printed on stdout); -EINVAL or other
 * -errno with a line in @err that names option, or file, line and key.
 */
int config_load(struct config *c, int argc, char **argv, char *err, size_t errlen);

/** config_free() - a zeroed one is fine. */
void config_free(struct config *c);

#endif
