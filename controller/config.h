// SPDX-License-Identifier: Apache-2.0
/* config.h - the controller's settings: section [controller] of its file, and the command line. */
#ifndef SF_CONTROLLER_CONFIG_H
#define SF_CONTROLLER_CONFIG_H

#include "core/addr.h"
#include "core/ctrl.h"
#include "util/conf.h"

#define ROUTERS_PORT 24159 /* TCP, routers */

struct config {
	/* [controller] */
	struct sf_conf_list listen; /* "[addr]:port" or "[addr]" each, for routers */
	bool plain;		    /* no TLS towards routers */
	char *tls_cert, *tls_key, *tls_ca;
	char *socket_group;    /* owner group of the Unix socket; "": as the process */
	char *rest_listen;     /* "[addr]:port" of REST over TLS; "": none */
	char *rest_token_file; /* bearer token of rest_listen */
	char *backup_dir;      /* "": STATE/backup */
	char *service_prefix;  /* /32 */
	char *as;	       /* AS number or /48 */
	uint16_t block_first, block_last;
	int register_default;				/* enum register_default */
	uint32_t heartbeat_ms, move_grace_ms, lease_ms; /* told to routers (TIMERS) */
	uint32_t router_lease_ms;
	uint32_t settle_ms;
	uint32_t events_memory, events_store;
	uint32_t instances_max, instances_host_max, names_max;
	uint32_t metrics_services;
	int log; /* enum sf_log_level */

	/* made from the above */
	struct sf_net net;

	/* command line */
	const char *file; /* NULL: defaults only */
	const char *run, *state, *bpffs;
	bool check;
	const char *restore; /* file to restore from, then end */
	const char *term_text;
	uint32_t term; /* start at this term at least; 0: whichever the store says */
};

enum register_default { REGISTER_ALLOW, REGISTER_DENY };

/** config_schema - the keys of the file, with their defaults. */
extern const struct sf_conf_schema config_schema;

/**
 * config_load() - defaults, the file if one is named, then what follows from both.
 * @config: @file set, the rest zeroed; free with config_free() whatever is returned
 * @err: one line that names the file, line, key and what was expected
 * Return: 0 or a negative errno.
 */
int config_load(struct config *config, char *err, size_t errlen);

/**
 * config_args() - read the command line into @config, load the file, check everything.
 * Return: 0: go on; 1: all is done (--help, --version, --sample), exit 0; negative: exit 2, @err
 * says why.
 */
int config_args(struct config *config, int argc, char **argv, char *err, size_t errlen);

/** config_free() - free what loading allocated. */
void config_free(struct config *config);

/**
 * config_endpoint() - an item of `listen` with its port: "[::1]" gives "[::1]:24159".
 * Return: 0, -EINVAL not an address, -ENAMETOOLONG.
 */
int config_endpoint(const char *text, char *out, size_t len);

#endif
