// SPDX-License-Identifier: Apache-2.0
/* config.c - the controller's settings. Everything is checked here, so that the daemon starts whole
 * or not. */
#include "controller/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/http.h"
#include "util/log.h"
#include "util/program.h"

static const char *const register_names[] = { "allow", "deny", NULL };

#define KEY(name, kind, default_, text, ...)                                              \
	{                                                                                 \
		.section = "controller", .key = #name, .type = (kind), .def = (default_), \
		.offset = offsetof(struct config, name), .help = (text), ##__VA_ARGS__    \
	}
#define MS_KEY(name, default_, text, ...)                                                        \
	{                                                                                        \
		.section = "controller", .key = #name, .type = SF_CONF_DURATION,                 \
		.def = (default_), .offset = offsetof(struct config, name##_ms), .help = (text), \
		##__VA_ARGS__                                                                    \
	}

static const struct sf_conf_key keys[] = {
	KEY(listen, SF_CONF_LIST, NULL, "where routers connect: [addr]:port ... (port 24159)"),
	KEY(plain, SF_CONF_BOOL, "no", "routers connect without TLS"),
	KEY(tls_cert, SF_CONF_STRING, "", "own certificate, PEM, its chain behind it"),
	KEY(tls_key, SF_CONF_STRING, "", "its private key, PEM"),
	KEY(tls_ca, SF_CONF_STRING, "", "who signs the routers' certificates, PEM"),
	KEY(socket_group, SF_CONF_STRING, SF_SOCKET_GROUP,
	    "group that may use RUN/controller.sock, where it exists"),
	KEY(rest_listen, SF_CONF_STRING, "", "REST over TLS too: [addr]:port"),
	KEY(rest_token_file, SF_CONF_STRING, "", "bearer token for rest_listen, mode 0600"),
	KEY(backup_dir, SF_CONF_STRING, "", "where POST /v1/backup writes; default STATE/backup"),
	KEY(service_prefix, SF_CONF_STRING, "fd5e::/32", "first 32 bits of service addresses"),
	KEY(as, SF_CONF_STRING, "1", "AS number, or a /48 of locators"),
	KEY(block_first, SF_CONF_U16, "1", "first hostAddr block to lease", .min = 1, .max = 65535),
	KEY(block_last, SF_CONF_U16, "65535", "last hostAddr block to lease", .min = 1,
	    .max = 65535),
	KEY(register_default, SF_CONF_ENUM, "allow",
	    "may any host register a service without a policy", .choices = register_names),
	MS_KEY(heartbeat, "1s", "between a host's heartbeats", .min = 50, .max = 60000),
	MS_KEY(move_grace, "5s", "silence after which a peer has not just moved", .min = 0,
	       .max = 600000),
	MS_KEY(lease, "60s", "a silent host's registrations live on while its datapath answers",
	       .min = 1000, .max = 3600000),
	MS_KEY(router_lease, "60s", "a lost router's hosts and instances stay known", .min = 0,
	       .max = 86400000),
	MS_KEY(settle, "10s", "after a start, wait for the routers before any rule goes out",
	       .min = 0, .max = 600000),
	KEY(events_memory, SF_CONF_U32, "16384", "events kept in memory", .min = 16,
	    .max = 16777216),
	KEY(events_store, SF_CONF_U32, "100000", "events kept in the store", .min = 0,
	    .max = 100000000),
	KEY(instances_max, SF_CONF_U32, "4000000", "registrations of all hosts", .min = 1,
	    .max = 100000000),
	KEY(instances_host_max, SF_CONF_U32, "1000000", "registrations of one host", .min = 1,
	    .max = 100000000),
	KEY(names_max, SF_CONF_U32, "1000000", "names of services that are remembered", .min = 1,
	    .max = 100000000),
	KEY(log, SF_CONF_ENUM, "info", "least important messages shown", .choices = sf_log_names),
	KEY(metrics_services, SF_CONF_U32, "1000", "services listed one by one in /metrics",
	    .min = 0, .max = 1000000),
};

const struct sf_conf_schema config_schema = {
	.keys = keys,
	.n_keys = sizeof(keys) / sizeof(*keys),
};

int config_endpoint(const char *text, char *out, size_t len)
{
	struct sockaddr_storage ss;
	const char *colon = strrchr(text, ':');
	bool has_port = text[0] == '[' ? strchr(text, ']') && strchr(text, ']')[1] == ':'
				       : colon && strchr(text, ':') == colon;
	int n = has_port ? snprintf(out, len, "%s", text)
			 : snprintf(out, len, "%s:%d", text, ROUTERS_PORT);

	if (n < 0 || (size_t)n >= len)
		return -ENAMETOOLONG;
	return sf_endpoint_parse(out, &ss);
}

static int check_listen(const struct config *c, const char *file, char *err, size_t errlen)
{
	char endpoint[128];

	for (size_t i = 0; i < c->listen.count; i++) {
		if (config_endpoint(c->listen.items[i], endpoint, sizeof(endpoint))) {
			snprintf(err, errlen,
				 "%s: [controller] listen: got '%s', expected [addr]:port such as "
				 "[::1]:24159",
				 file, c->listen.items[i]);
			return -EINVAL;
		}
	}
	if (!c->listen.count || c->plain)
		return 0;
	if (!*c->tls_cert || !*c->tls_key || !*c->tls_ca) {
		snprintf(err, errlen,
			 "%s: [controller] listen: needs tls_cert, tls_key and tls_ca (or, on a "
			 "trusted wire, plain=yes)",
			 file);
		return -EINVAL;
	}
	return 0;
}

static int check_rest(const struct config *c, const char *file, char *err, size_t errlen)
{
	struct sockaddr_storage ss;

	if (!*c->rest_listen)
		return 0;
	if (sf_endpoint_parse(c->rest_listen, &ss)) {
		snprintf(err, errlen,
			 "%s: [controller] rest_listen: got '%s', expected [addr]:port such as "
			 "[::1]:8443",
			 file, c->rest_listen);
		return -EINVAL;
	}
	if (!*c->tls_cert || !*c->tls_key || !*c->rest_token_file) {
		snprintf(err, errlen,
			 "%s: [controller] rest_listen: needs tls_cert, tls_key and "
			 "rest_token_file",
			 file);
		return -EINVAL;
	}
	return 0;
}

static int config_check(struct config *c, char *err, size_t errlen)
{
	const char *file = c->file ? c->file : "defaults";
	const char *what = NULL;
	int ret;

	if (sf_net_parse(c->service_prefix, c->as, &c->net, &what)) {
		bool as = what && strcmp(what, "as") == 0;

		snprintf(err, errlen, "%s: [controller] %s: got '%s', expected %s", file,
			 as ? "as" : "service_prefix", as ? c->as : c->service_prefix,
			 as ? "an AS number or a /48 such as fd5c:0:1::/48"
			    : "a /32 such as fd5e::/32");
		return -EINVAL;
	}
	if (c->block_last < c->block_first) {
		snprintf(err, errlen,
			 "%s: [controller] block_last: got %u, expected at least block_first (%u)",
			 file, c->block_last, c->block_first);
		return -EINVAL;
	}
	ret = check_listen(c, file, err, errlen);
	return ret ? ret : check_rest(c, file, err, errlen);
}

void config_free(struct config *c)
{
	sf_conf_free(&config_schema, c);
}

static const struct sf_option options[] = {
	SF_PROGRAM_OPTIONS(struct config),
	/* All programs take it; the controller has no datapath. */
	SF_PROGRAM_BPFFS(struct config),
	{ "restore", "FILE", offsetof(struct config, restore), NULL,
	  "replace the store by this backup, and exit" },
	{ "term", "N", offsetof(struct config, term_text), NULL,
	  "start at term N at least (after the loss of a store)" },
};

static const struct sf_program program = {
	.name = "scaffold-controller",
	.what = "The SCAFFOLD controller: who serves what, and where; told to every router.\n",
	.file = "/etc/scaffold/scaffold-controller.conf",
	.file_offset = offsetof(struct config, file),
	.section = "controller",
	.schema = &config_schema,
	.options = options,
	.n_options = sizeof(options) / sizeof(options[0]),
};

static int parse_term(const char *text, uint32_t *term)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || n == 0 || n >= UINT32_MAX)
		return -EINVAL;
	*term = (uint32_t)n;
	return 0;
}

int config_load(struct config *c, char *err, size_t errlen)
{
	int ret = sf_program_file(&program, c, err, errlen);

	return ret ? ret : config_check(c, err, errlen);
}

int config_args(struct config *c, int argc, char **argv, char *err, size_t errlen)
{
	int ret = sf_program_load(&program, c, argc, argv, err, errlen);

	if (ret)
		return ret;
	if (c->term_text && parse_term(c->term_text, &c->term)) {
		snprintf(err, errlen, "--term: got '%s', expected a number above 0", c->term_text);
		return -EINVAL;
	}
	return config_check(c, err, errlen);
}
