// SPDX-License-Identifier: Apache-2.0
/* config.h - settings of scaffold-router: options, and the sections [router] and [link NAME]. */
#ifndef SF_ROUTER_CONFIG_H
#define SF_ROUTER_CONFIG_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "util/conf.h"

#define CONFIG_LINKS_MAX 256
#define HOSTS_MAX	 1024 /* on a link, unless the file says otherwise */

/* What a link is to us. */
enum link_access {
	LINK_ACCESS_AUTO, /* hosts may join; filtered unless it leads to other routers */
	LINK_ACCESS_YES,  /* hosts only: filtered always */
	LINK_ACCESS_NO,	  /* routers only: nobody joins, nothing is filtered */
};

/** struct config_link - a section [link NAME]; @pattern may hold shell wildcards. */
struct config_link {
	char *pattern;
	int access; /* enum link_access */
	bool xdp;
	uint32_t hosts_max;
};

struct config {
	/* options */
	const char *file, *run, *bpffs, *state;
	bool flush; /* remove all that routers set up here, and exit */
	bool check; /* check the configuration and exit */
	int log;    /* enum sf_log_level */

	/* [router] as it stands in the file */
	char *name;
	char *as_text, *service_text, *block_text;
	struct sf_conf_list roles_text;
	char *controller, *controller_name;
	struct in6_addr underlay;
	char *tls_cert, *tls_key, *tls_ca;
	bool plain;
	uint32_t heartbeat_ms, move_grace_ms, lease_ms;
	uint32_t services_max, slots_max;
	uint32_t join_rate, message_rate;
	char *socket_group;

	/* and what follows from it */
	uint8_t roles; /* SF_ROLE_* */
	bool has_net;  /* as= was given */
	struct sf_net net;
	uint16_t block; /* 0: auto */

	struct config_link links[CONFIG_LINKS_MAX];
	size_t n_links;
};

/**
 * config_load() - options, then the file they name, then the checks that need both.
 * @c: zeroed; config_free() it whatever is returned
 * Return: 0; 1 where an option asked for no more (--help); -errno with one line in @err.
 */
int config_load(struct config *c, int argc, char **argv, char *err, size_t errlen);

/**
 * config_reload() - read the file again; only what may change while running is taken: links,
 * timers, rates, log level. Return: 0 or -errno with @err, and @c unchanged then.
 */
int config_reload(struct config *c, char *err, size_t errlen);

void config_free(struct config *c);

/**
 * config_link() - the section for a link: the first whose pattern matches.
 * Return: it; where the file has no [link] at all, the default for every link; NULL: not ours.
 */
const struct config_link *config_link(const struct config *c, const char *ifname);

#endif
