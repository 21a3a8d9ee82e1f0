// SPDX-License-Identifier: Apache-2.0
/* config.c - options and the file of scaffold-router. Options win over the file. */
#include "router/config.h"

#include <errno.h>
#include <fnmatch.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/ctrl.h"
#include "util/errtext.h"
#include "util/log.h"

#define DEFAULT_FILE "/etc/scaffold/scaffold-router.conf"

#define KEY(name_, type_, field_, def_, help_, ...)                                        \
	{                                                                                  \
		.section = "router", .key = (name_), .type = SF_CONF_##type_,              \
		.offset = offsetof(struct config, field_), .def = (def_), .help = (help_), \
		__VA_ARGS__                                                                \
	}

static const char *const access_names[] = { "auto", "yes", "no", NULL };

static const struct sf_conf_key keys[] = {
	KEY("name", STRING, name, "", "name shown to operators (default: the kernel's host name)"),
	KEY("roles", LIST, roles_text, "access, service", "what this router is"),
	KEY("as", STRING, as_text, "",
	    "AS number, or its /48 of locators (default: the controller says)"),
	KEY("service_prefix", STRING, service_text, "fd5e::/32",
	    "first 32 bits of service addresses (with as=)"),
	KEY("block", STRING, block_text, "auto",
	    "upper 16 bits of the hostAddrs given to hosts, hexadecimal; auto: the controller "
	    "leases one"),
	KEY("controller", STRING, controller, "",
	    "[address]:24159 of the controller (default: none, this router stands alone)"),
	KEY("underlay", ADDRESS, underlay,
	    "::", "where other routers send to (default: the address that reaches the controller)"),
	KEY("tls_cert", STRING, tls_cert, "", "own certificate for the controller, PEM"),
	KEY("tls_key", STRING, tls_key, "", "its private key, PEM"),
	KEY("tls_ca", STRING, tls_ca, "", "who signs the controller's certificate, PEM"),
	KEY("plain", BOOL, plain, "no", "talk to the controller without TLS"),
	KEY("heartbeat", DURATION, heartbeat_ms, "1s", "between a host's heartbeats", .min = 50,
	    .max = 60000),
	KEY("move_grace", DURATION, move_grace_ms, "5s",
	    "silence after which a peer has not just moved", .min = 0, .max = 600000),
	KEY("lease", DURATION, lease_ms, "60s",
	    "a silent host's registrations live on while its datapath answers", .min = 1000,
	    .max = 3600000),
	KEY("services_max", U32, services_max, "262144", "size of the table of services", .min = 64,
	    .max = 16777216),
	KEY("slots_max", U32, slots_max, "1048576",
	    "16-byte slots for services with two or more instances", .min = 4096, .max = 67108864),
	KEY("socket_group", STRING, socket_group, "", "group that may use RUN/router.sock"),
	KEY("log", ENUM, log, "info", "least important messages shown", .choices = sf_log_names),
	{ .section = "link",
	  .key = "access",
	  .type = SF_CONF_ENUM,
	  .offset = offsetof(struct config_link, access),
	  .def = "auto",
	  .choices = access_names,
	  .help = "yes: hosts only, always filtered; no: routers only; auto: filtered while hosts "
		  "are joined" },
	{ .section = "link",
	  .key = "xdp",
	  .type = SF_CONF_BOOL,
	  .offset = offsetof(struct config_link, xdp),
	  .def = "no",
	  .help = "resolve in the driver, where it has native XDP (not on veth)" },
};

static void *link_object(void *out, const char *name, char *err, size_t errlen)
{
	struct config *c = out;
	struct config_link *l;

	if (c->n_links == CONFIG_LINKS_MAX) {
		sf_errtext(err, errlen, -E2BIG, "more than %d links", CONFIG_LINKS_MAX);
		return NULL;
	}
	l = &c->links[c->n_links];
	memset(l, 0, sizeof(*l));
	l->pattern = strdup(name);
	if (!l->pattern) {
		sf_errtext(err, errlen, -ENOMEM, "out of memory");
		return NULL;
	}
	c->n_links++;
	return l;
}

static const struct sf_conf_section sections[] = { { "link", link_object } };

static const struct sf_conf_schema schema = {
	.keys = keys,
	.n_keys = sizeof(keys) / sizeof(keys[0]),
	.sections = sections,
	.n_sections = 1,
};

static const char usage[] =
	"Usage: scaffold-router [OPTION]...\n"
	"The SCAFFOLD router: gives hosts their locators, and resolves services to instances.\n\n"
	"  --config FILE   configuration (default " DEFAULT_FILE " where it exists)\n"
	"  --run DIR       control socket, lock (default /run/scaffold)\n"
	"  --bpffs DIR     where the datapath is pinned (default /sys/fs/bpf/scaffold)\n"
	"  --state DIR     key, addresses given to hosts (default /var/lib/scaffold)\n"
	"  --log LEVEL     error, warn, info or debug\n"
	"  --flush         remove all that a router set up in this network namespace, and exit\n"
	"  --check         check the configuration and exit\n"
	"  --sample        print every configuration key with its default\n"
	"  --version       print the version\n"
	"  --help          print this\n\n"
	"SIGTERM ends the daemon and leaves the datapath, so that an upgrade interrupts nobody:\n"
	"routes, rules and programs stay in the kernel, and the next scaffold-router takes over.\n"
	"To take a router out of service, end it and run `scaffold-router --flush`.\n"
	"SIGHUP reads the configuration again (links, timers, log).\n";

enum {
	OPT_CONFIG = 256,
	OPT_RUN,
	OPT_BPFFS,
	OPT_STATE,
	OPT_LOG,
	OPT_FLUSH,
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
	{ "flush", no_argument, NULL, OPT_FLUSH },
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

static int set_text(char **field, const char *value)
{
	char *copy = strdup(value);

	if (!copy)
		return -ENOMEM;
	free(*field);
	*field = copy;
	return 0;
}

static int take_option(struct config *c, int opt, const char **level)
{
	switch (opt) {
	case OPT_CONFIG:
		return set_text(&c->file, optarg);
	case OPT_RUN:
		return set_text(&c->run, optarg);
	case OPT_BPFFS:
		return set_text(&c->bpffs, optarg);
	case OPT_STATE:
		return set_text(&c->state, optarg);
	case OPT_LOG:
		*level = optarg;
		return 0;
	case OPT_FLUSH:
		c->flush = true;
		return 0;
	case OPT_CHECK:
		c->check = true;
		return 0;
	case OPT_SAMPLE:
		sf_conf_describe(&schema, print_line, NULL);
		return 1;
	case OPT_VERSION:
		puts("scaffold-router " SF_VERSION);
		return 1;
	case OPT_HELP:
		fputs(usage, stdout);
		return 1;
	default:
		return -EINVAL;
	}
}

static int parse_options(struct config *c, int argc, char **argv, const char **level, char *err,
			 size_t errlen)
{
	int opt, ret;

	optind = 0; /* tests parse more than once */
	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		ret = take_option(c, opt, level);
		if (ret == -EINVAL)
			return sf_errtext(err, errlen, ret, "%s: %s; see --help", argv[optind - 1],
					  opt == ':' ? "wants a value" : "unknown option");
		if (ret)
			return ret;
	}
	if (optind < argc)
		return sf_errtext(err, errlen, -EINVAL, "%s: no argument was expected; see --help",
				  argv[optind]);
	return 0;
}

static int parse_roles(struct config *c, char *err, size_t errlen)
{
	c->roles = 0;
	for (size_t i = 0; i < c->roles_text.count; i++) {
		const char *role = c->roles_text.items[i];

		if (!strcmp(role, "access"))
			c->roles |= SF_ROLE_ACCESS;
		else if (!strcmp(role, "service"))
			c->roles |= SF_ROLE_SERVICE;
		else
			return sf_errtext(err, errlen, -EINVAL,
					  "roles: got '%s', expected access, service or both",
					  role);
	}
	if (!c->roles)
		return sf_errtext(err, errlen, -EINVAL,
				  "roles: got none, expected access, service or both");
	return 0;
}

static int parse_block(struct config *c, char *err, size_t errlen)
{
	unsigned long value;
	char *end;

	c->block = 0;
	if (!strcmp(c->block_text, "auto"))
		return 0;
	errno = 0;
	value = strtoul(c->block_text, &end, 16);
	if (errno || end == c->block_text || *end || !value || value > 0xffff)
		return sf_errtext(err, errlen, -EINVAL,
				  "block: got '%s', expected auto or 1 to ffff (hexadecimal)",
				  c->block_text);
	c->block = value;
	return 0;
}

/* Checks that need more than one key. */
static int config_finish(struct config *c, char *err, size_t errlen)
{
	const char *what;
	char host[65];
	int ret;

	ret = parse_roles(c, err, errlen);
	if (!ret)
		ret = parse_block(c, err, errlen);
	if (ret)
		return ret;
	c->has_net = c->as_text[0];
	if (c->has_net && sf_net_parse(c->service_text, c->as_text, &c->net, &what))
		return sf_errtext(err, errlen, -EINVAL,
				  "as, service_prefix: got '%s', '%s': bad %s; expected an AS "
				  "number or a /48, and a /32",
				  c->as_text, c->service_text, what);
	if (!c->controller[0] && (!c->has_net || !c->block))
		return sf_errtext(err, errlen, -EINVAL,
				  "%s: a router without controller= needs as= and block=",
				  c->has_net ? "block" : "as");
	if (c->controller[0] && !c->plain && (!c->tls_cert[0] || !c->tls_key[0] || !c->tls_ca[0]))
		return sf_errtext(
			err, errlen, -EINVAL,
			"controller: needs tls_cert=, tls_key= and tls_ca=, or plain=yes");
	if (!c->name[0]) {
		if (gethostname(host, sizeof(host)))
			strcpy(host, "router");
		host[sizeof(host) - 1] = '\0';
		return set_text(&c->name, host);
	}
	return 0;
}

static int load_file(struct config *c, char *err, size_t errlen)
{
	if (!c->file && !access(DEFAULT_FILE, F_OK) && set_text(&c->file, DEFAULT_FILE))
		return -ENOMEM;
	if (!c->file)
		return sf_conf_defaults(&schema, c);
	return sf_conf_load(c->file, &schema, c, err, errlen);
}

static int default_texts(struct config *c)
{
	int ret = 0;

	if (!c->run)
		ret = set_text(&c->run, "/run/scaffold");
	if (!ret && !c->bpffs)
		ret = set_text(&c->bpffs, "/sys/fs/bpf/scaffold");
	if (!ret && !c->state)
		ret = set_text(&c->state, "/var/lib/scaffold");
	return ret;
}

int config_load(struct config *c, int argc, char **argv, char *err, size_t errlen)
{
	const char *level = NULL;
	int ret;

	sf_errtext(err, errlen, 0, "out of memory");
	ret = parse_options(c, argc, argv, &level, err, errlen);
	if (!ret)
		ret = default_texts(c);
	if (!ret)
		ret = load_file(c, err, errlen);
	if (!ret && level)
		ret = sf_conf_set(&schema, c, "router", "log", level, err, errlen);
	/* Flushing needs no settings: it removes whatever is there. */
	if (!ret && !c->flush)
		ret = config_finish(c, err, errlen);
	return ret;
}

static void links_free(struct config *c)
{
	for (size_t i = 0; i < c->n_links; i++) {
		sf_conf_free_object(&schema, "link", &c->links[i]);
		free(c->links[i].pattern);
	}
	c->n_links = 0;
}

int config_reload(struct config *c, char *err, size_t errlen)
{
	struct config *fresh = calloc(1, sizeof(*fresh));
	int ret = -ENOMEM;

	if (!fresh)
		return sf_errtext(err, errlen, -ENOMEM, "out of memory");
	if (c->file && set_text(&fresh->file, c->file))
		goto out;
	ret = load_file(fresh, err, errlen);
	if (!ret)
		ret = config_finish(fresh, err, errlen);
	if (ret)
		goto out;
	links_free(c);
	memcpy(c->links, fresh->links, sizeof(c->links));
	c->n_links = fresh->n_links;
	fresh->n_links = 0;
	c->log = fresh->log;
	c->heartbeat_ms = fresh->heartbeat_ms;
	c->move_grace_ms = fresh->move_grace_ms;
	c->lease_ms = fresh->lease_ms;
out:
	config_free(fresh);
	free(fresh);
	return ret;
}

void config_free(struct config *c)
{
	links_free(c);
	sf_conf_free(&schema, c);
	free(c->file);
	free(c->run);
	free(c->bpffs);
	free(c->state);
	c->file = c->run = c->bpffs = c->state = NULL;
}

const struct config_link *config_link(const struct config *c, const char *ifname)
{
	static const struct config_link any = { .access = LINK_ACCESS_AUTO };

	if (!c->n_links)
		return &any;
	for (size_t i = 0; i < c->n_links; i++)
		if (!fnmatch(c->links[i].pattern, ifname, 0))
			return &c->links[i];
	return NULL;
}
