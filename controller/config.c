// SPDX-License-Identifier: Apache-2.0
/* The controller's settings. Everything is checked here, so that the daemon starts whole or not. */
#include "controller/config.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/log.h"

#define DEFAULT_FILE "/etc/scaffold/scaffold-controller.conf"

static const char *const register_names[] = { "allow", "deny", NULL };

#define KEY(name, kind, default_, text, ...)                                               \
	{                                                                                  \
		.section = "controller", .key = #name, .type = (kind), .def = (default_),  \
		.offset = offsetof(struct ctl_config, name), .help = (text), ##__VA_ARGS__ \
	}
#define MS_KEY(name, default_, text, ...)                                            \
	{                                                                            \
		.section = "controller", .key = #name, .type = SF_CONF_DURATION,     \
		.def = (default_), .offset = offsetof(struct ctl_config, name##_ms), \
		.help = (text), ##__VA_ARGS__                                        \
	}

static const struct sf_conf_key keys[] = {
	KEY(listen, SF_CONF_LIST, NULL, "where routers connect: [addr]:port ... (port 24159)"),
	KEY(plain, SF_CONF_BOOL, "no", "routers connect without TLS"),
	KEY(tls_cert, SF_CONF_STRING, "", "own certificate, PEM, its chain behind it"),
	KEY(tls_key, SF_CONF_STRING, "", "its private key, PEM"),
	KEY(tls_ca, SF_CONF_STRING, "", "who signs the routers' certificates, PEM"),
	KEY(rest_group, SF_CONF_STRING, "", "group that may use RUN/controller.sock"),
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
	KEY(max_instances, SF_CONF_U32, "4000000", "registrations of all hosts", .min = 1,
	    .max = 100000000),
	KEY(max_instances_host, SF_CONF_U32, "1000000", "registrations of one host", .min = 1,
	    .max = 100000000),
	KEY(metrics_services, SF_CONF_U32, "1000", "services listed one by one in /metrics",
	    .min = 0, .max = 1000000),
};

const struct sf_conf_schema ctl_config_schema = {
	.keys = keys,
	.n_keys = sizeof(keys) / sizeof(*keys),
};

int ctl_config_endpoint(const char *text, char *out, size_t len)
{
	struct sockaddr_storage ss;
	const char *colon = strrchr(text, ':');
	bool has_port = text[0] == '[' ? strchr(text, ']') && strchr(text, ']')[1] == ':'
				       : colon && strchr(text, ':') == colon;
	int n = has_port ? snprintf(out, len, "%s", text)
			 : snprintf(out, len, "%s:%d", text, CTL_PORT);

	if (n < 0 || (size_t)n >= len)
		return -ENAMETOOLONG;
	return sf_endpoint_parse(out, &ss);
}

static int check_listen(const struct ctl_config *c, const char *file, char *err, size_t errlen)
{
	char endpoint[128];

	for (size_t i = 0; i < c->listen.count; i++) {
		if (ctl_config_endpoint(c->listen.items[i], endpoint, sizeof(endpoint))) {
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

static int check_rest(const struct ctl_config *c, const char *file, char *err, size_t errlen)
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

int ctl_config_load(struct ctl_config *c, char *err, size_t errlen)
{
	const char *file = c->file ? c->file : "defaults";
	const char *what = NULL;
	int ret;

	if (c->file)
		ret = sf_conf_load(c->file, &ctl_config_schema, c, err, errlen);
	else if ((ret = sf_conf_defaults(&ctl_config_schema, c)))
		snprintf(err, errlen, "built-in defaults are wrong");
	if (ret)
		return ret;
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

void ctl_config_free(struct ctl_config *c)
{
	sf_conf_free(&ctl_config_schema, c);
}

static void print_line(const char *line, void *ctx)
{
	fprintf(ctx, "%s\n", line);
}

static void usage(FILE *to)
{
	fputs("scaffold-controller: who serves what, and where; told to every router\n"
	      "\n"
	      "  --config FILE     settings, section [controller]; see --sample\n"
	      "                    (" DEFAULT_FILE " where it exists)\n"
	      "  --run DIR         controller.sock and lock (/run/scaffold)\n"
	      "  --state DIR       controller.db: address blocks, policies, events\n"
	      "                    (/var/lib/scaffold)\n"
	      "  --log LEVEL       error, warn, info or debug (info)\n"
	      "  --restore FILE    replace the store by this backup, and end\n"
	      "  --term N          start at term N at least (after the loss of a store)\n"
	      "  --check           check the configuration, and end\n"
	      "  --sample          print every setting with its default, and end\n"
	      "  --version, --help\n",
	      to);
}

static int log_level(const char *text)
{
	for (int i = 0; sf_log_names[i]; i++) {
		if (strcmp(sf_log_names[i], text) == 0)
			return i;
	}
	return -1;
}

static int parse_term(const char *text, uint32_t *term)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || n == 0 || n >= UINT32_MAX)
		return -EINVAL;
	*term = (uint32_t)n;
	return 0;
}

int ctl_config_args(struct ctl_config *c, int argc, char **argv, char *err, size_t errlen)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "run", required_argument, NULL, 'r' },
		{ "state", required_argument, NULL, 's' },
		{ "bpffs", required_argument, NULL, 'b' }, /* all programs take it; not needed */
		{ "log", required_argument, NULL, 'l' },
		{ "restore", required_argument, NULL, 'R' },
		{ "term", required_argument, NULL, 't' },
		{ "check", no_argument, NULL, 'C' },
		{ "sample", no_argument, NULL, 'p' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	bool check = false;
	int o, ret;

	*c = (struct ctl_config){ .run_dir = "/run/scaffold",
				  .state_dir = "/var/lib/scaffold",
				  .log_level = SF_LOG_INFO };
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 'c':
			c->file = optarg;
			break;
		case 'r':
			c->run_dir = optarg;
			break;
		case 's':
			c->state_dir = optarg;
			break;
		case 'b':
			break;
		case 'R':
			c->restore = optarg;
			break;
		case 'l':
			c->log_level = log_level(optarg);
			if (c->log_level < 0) {
				snprintf(err, errlen,
					 "--log: got '%s', expected error, warn, info or debug",
					 optarg);
				return -EINVAL;
			}
			break;
		case 't':
			if (parse_term(optarg, &c->term)) {
				snprintf(err, errlen, "--term: got '%s', expected a number above 0",
					 optarg);
				return -EINVAL;
			}
			break;
		case 'C':
			check = true;
			break;
		case 'p':
			sf_conf_describe(&ctl_config_schema, print_line, stdout);
			return 1;
		case 'v':
			printf("scaffold-controller %s\n", SF_VERSION);
			return 1;
		case 'h':
			usage(stdout);
			return 1;
		default:
			snprintf(err, errlen, "see --help");
			return -EINVAL;
		}
	}
	if (optind < argc) {
		snprintf(err, errlen, "got '%s', expected options only; see --help", argv[optind]);
		return -EINVAL;
	}
	if (!c->file && !access(DEFAULT_FILE, F_OK))
		c->file = DEFAULT_FILE;
	ret = ctl_config_load(c, err, errlen);
	return ret ? ret : check;
}
