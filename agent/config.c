// SPDX-License-Identifier: Apache-2.0
/* config.c - options and the file of scaffoldd. Options win over the file. */
#include "agent/config.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/log.h"

#define KEY(name_, type_, field_, def_, help_, ...)                                        \
	{                                                                                  \
		.section = "host", .key = (name_), .type = SF_CONF_##type_,                \
		.offset = offsetof(struct config, field_), .def = (def_), .help = (help_), \
		__VA_ARGS__                                                                \
	}

static const struct sf_conf_key keys[] = {
	KEY("name", STRING, name, "", "name shown to operators (default: the kernel's host name)"),
	KEY("uplink", STRING, uplink, "",
	    "link to the access router (default: whichever is answered)"),
	KEY("router", ADDRESS, router,
	    "::", "the access router's link-local address (default: by multicast)"),
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
	KEY("flows_max", U32, flows_max, "1048576", "size of the flow table", .min = 1024,
	    .max = 16777216),
	KEY("halfopen_max", U32, halfopen_max, "65536",
	    "size of the table of half-open inbound flows", .min = 256, .max = 4194304),
	KEY("headers", BOOL, headers, "no",
	    "a SCAFFOLD header on every packet (service-based QoS)"),
	KEY("log", ENUM, log, "info", "least important messages shown", .choices = sf_log_names),
};

static const struct sf_conf_schema schema = { .keys = keys,
					      .n_keys = sizeof(keys) / sizeof(keys[0]) };

static const char usage[] =
	"Usage: scaffoldd [OPTION]...\n"
	"The SCAFFOLD host agent: joins the network of an access router and registers the "
	"services\n"
	"whose sockets programs open on this host (network namespace).\n\n"
	"  --config FILE   configuration (default /etc/scaffold/scaffoldd.conf where it exists)\n"
	"  --run DIR       control socket, lock (default /run/scaffold)\n"
	"  --bpffs DIR     where the datapath is pinned (default /sys/fs/bpf/scaffold)\n"
	"  --state DIR     host key (default /var/lib/scaffold)\n"
	"  --log LEVEL     error, warn, info or debug\n"
	"  --keep          leave the datapath, routes and the join in place on SIGTERM\n"
	"  --discard       drop the datapath that an earlier agent left, with its flows\n"
	"  --check         check the configuration and exit\n"
	"  --sample        print every configuration key with its default\n"
	"  --version       print the version\n"
	"  --help          print this\n\n"
	"SIGTERM and SIGINT leave the network and undo the set-up. SIGUSR2 (and SIGKILL) end the\n"
	"agent alone: flows go on, new ones are made, and the next agent takes over.\n";

#define DEFAULT_FILE "/etc/scaffold/scaffoldd.conf"

enum {
	OPT_CONFIG = 256,
	OPT_RUN,
	OPT_BPFFS,
	OPT_STATE,
	OPT_LOG,
	OPT_KEEP,
	OPT_DISCARD,
	OPT_CHECK,
	OPT_SAMPLE,
	OPT_VERSION,
	OPT_HELP
};

static const struct option options[] = {
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "run", required_argument, NULL, OPT_RUN },
	{ "bpffs", required_argument, NULL, OPT_BPFFS },
	{ "state", required_argument, NULL, OPT_STATE },
	{ "log", required_argument, NULL, OPT_LOG },
	{ "keep", no_argument, NULL, OPT_KEEP },
	{ "discard", no_argument, NULL, OPT_DISCARD },
	{ "check", no_argument, NULL, OPT_CHECK },
	{ "sample", no_argument, NULL, OPT_SAMPLE },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, OPT_HELP },
	{ 0 },
};

static void print_line(const char *line, void *ctx)
{
	puts(line);
}

static int replace(char **field, const char *value)
{
	char *copy = strdup(value);

	if (!copy)
		return -ENOMEM;
	free(*field);
	*field = copy;
	return 0;
}

/* Options into @c; *@level points to what --log said. Return: 0, 1 (all done) or -errno. */
static int parse_options(struct config *c, int argc, char **argv, const char **level, char *err,
			 size_t errlen)
{
	int opt, ret = 0;

	optind = 0; /* tests parse more than once */
	opterr = 0;
	while (!ret && (opt = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		switch (opt) {
		case OPT_CONFIG:
			ret = replace(&c->file, optarg);
			break;
		case OPT_RUN:
			ret = replace(&c->run, optarg);
			break;
		case OPT_BPFFS:
			ret = replace(&c->bpffs, optarg);
			break;
		case OPT_STATE:
			ret = replace(&c->state, optarg);
			break;
		case OPT_LOG:
			*level = optarg;
			break;
		case OPT_KEEP:
			c->keep = true;
			break;
		case OPT_DISCARD:
			c->discard = true;
			break;
		case OPT_CHECK:
			c->check = true;
			break;
		case OPT_SAMPLE:
			sf_conf_describe(&schema, print_line, NULL);
			return 1;
		case OPT_VERSION:
			puts("scaffoldd " SF_VERSION);
			return 1;
		case OPT_HELP:
			fputs(usage, stdout);
			return 1;
		case ':':
			snprintf(err, errlen, "%s: expected a value (see --help)",
				 argv[optind - 1]);
			return -EINVAL;
		default:
			snprintf(err, errlen, "%s: unknown option (see --help)", argv[optind - 1]);
			return -EINVAL;
		}
	}
	if (!ret && optind < argc) {
		snprintf(err, errlen, "%s: unexpected argument (see --help)", argv[optind]);
		return -EINVAL;
	}
	return ret;
}

int config_load(struct config *c, int argc, char **argv, char *err, size_t errlen)
{
	const char *level = NULL;
	int ret;

	if (replace(&c->run, "/run/scaffold") || replace(&c->bpffs, "/sys/fs/bpf/scaffold") ||
	    replace(&c->state, "/var/lib/scaffold")) {
		snprintf(err, errlen, "no memory");
		return -ENOMEM;
	}
	ret = parse_options(c, argc, argv, &level, err, errlen);
	if (ret)
		return ret;
	if (c->file) {
		ret = sf_conf_load(c->file, &schema, c, err, errlen);
	} else {
		ret = sf_conf_load(DEFAULT_FILE, &schema, c, err, errlen);
		if (ret == -ENOENT) {
			sf_conf_free(&schema, c);
			ret = sf_conf_defaults(&schema, c);
		}
	}
	if (!ret && level) {
		ret = sf_conf_set(&schema, c, "host", "log", level, err, errlen);
		if (ret) /* name the option, not the key */
			snprintf(err, errlen, "--log %s: expected error, warn, info or debug",
				 level);
	}
	return ret;
}

void config_free(struct config *c)
{
	sf_conf_free(&schema, c);
	free(c->file);
	free(c->run);
	free(c->bpffs);
	free(c->state);
	memset(c, 0, sizeof(*c));
}
