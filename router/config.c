// SPDX-License-Identifier: Apache-2.0
/* config.c - options and the file of scaffold-router. Options win over the file. */
#include "router/config.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/ctrl.h"
#include "util/crypto.h"
#include "util/errtext.h"
#include "util/http.h"
#include "util/log.h"
#include "util/program.h"

#define KEY(name_, type_, field_, def_, help_, ...)                                        \
	{                                                                                  \
		.section = "router", .key = (name_), .type = SF_CONF_##type_,              \
		.offset = offsetof(struct config, field_), .def = (def_), .help = (help_), \
		__VA_ARGS__                                                                \
	}

#define TEXT_(x)       #x
#define TEXT(x)	       TEXT_(x)
#define HOSTS_MAX_TEXT TEXT(HOSTS_MAX)

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
	KEY("controller_name", STRING, controller_name, "",
	    "DNS name or address that the controller's certificate is for (default: that of "
	    "controller=)"),
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
	KEY("services_max", U32, services_max, "131072", "size of the table of services", .min = 64,
	    .max = 16777216),
	KEY("slots_max", U32, slots_max, "1048576",
	    "16-byte slots for services with two or more instances", .min = 4096, .max = 67108864),
	KEY("join_rate", U32, join_rate, "200",
	    "JOINs, and messages without a session, heard from each link in a second", .min = 1,
	    .max = 100000),
	KEY("message_rate", U32, message_rate, "5000", "messages heard of each session in a second",
	    .min = 10, .max = 1000000),
	KEY("socket_group", STRING, socket_group, SF_SOCKET_GROUP,
	    "group that may use RUN/router.sock, where it exists"),
	KEY("log", ENUM, log, "info", "least important messages shown", .choices = sf_log_names),
	{ .section = "link",
	  .key = "access",
	  .type = SF_CONF_ENUM,
	  .offset = offsetof(struct config_link, access),
	  .def = "auto",
	  .choices = access_names,
	  .help = "yes: hosts only, always filtered; no: routers only; auto: filtered unless it "
		  "leads "
		  "to other routers" },
	{ .section = "link",
	  .key = "xdp",
	  .type = SF_CONF_BOOL,
	  .offset = offsetof(struct config_link, xdp),
	  .def = "no",
	  .help = "resolve in the driver, where it has native XDP" },
	{ .section = "link",
	  .key = "hosts_max",
	  .type = SF_CONF_U32,
	  .offset = offsetof(struct config_link, hosts_max),
	  .def = HOSTS_MAX_TEXT,
	  .min = 1,
	  .max = 65535,
	  .help = "hosts that may be joined on the link at once" },
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

static const struct sf_option options[] = {
	SF_PROGRAM_OPTIONS(struct config),
	SF_PROGRAM_BPFFS(struct config),
	{ "flush", NULL, offsetof(struct config, flush), NULL,
	  "remove all that a router set up in this network namespace, and exit" },
};

static const struct sf_program program = {
	.name = "scaffold-router",
	.what = "The SCAFFOLD router: gives hosts their locators, and resolves services to "
		"instances.\n",
	.file = "/etc/scaffold/scaffold-router.conf",
	.file_offset = offsetof(struct config, file),
	.section = "router",
	.schema = &schema,
	.options = options,
	.n_options = sizeof(options) / sizeof(options[0]),
	.notes =
		"SIGTERM ends the daemon and leaves the datapath, so that an upgrade interrupts "
		"nobody:\n"
		"routes, rules and programs stay in the kernel, and the next scaffold-router takes "
		"over.\n"
		"To take a router out of service, end it and run `scaffold-router --flush`.\n"
		"SIGHUP reads the configuration again (links, timers, rates, log).\n",
};

static int set_text(char **field, const char *value)
{
	char *copy = strdup(value);

	if (!copy)
		return -ENOMEM;
	free(*field);
	*field = copy;
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
	if (c->controller_name[0] && (c->plain || !sf_tls_is_name(c->controller_name)))
		return sf_errtext(err, errlen, -EINVAL,
				  c->plain ? "controller_name: got '%s', but with plain=yes "
					     "there is no certificate that could say it"
					   : "controller_name: got '%s', expected a DNS name or "
					     "an IP address, without a port",
				  c->controller_name);
	if (!c->name[0]) {
		if (gethostname(host, sizeof(host)))
			strcpy(host, "router");
		host[sizeof(host) - 1] = '\0';
		return set_text(&c->name, host);
	}
	return 0;
}

int config_load(struct config *c, int argc, char **argv, char *err, size_t errlen)
{
	int ret = sf_program_load(&program, c, argc, argv, err, errlen);

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
	fresh->file = c->file;
	ret = sf_program_file(&program, fresh, err, errlen);
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
	c->join_rate = fresh->join_rate;
	c->message_rate = fresh->message_rate;
out:
	config_free(fresh);
	free(fresh);
	return ret;
}

void config_free(struct config *c)
{
	links_free(c);
	sf_conf_free(&schema, c);
	c->file = c->run = c->bpffs = c->state = NULL;
}

const struct config_link *config_link(const struct config *c, const char *ifname)
{
	static const struct config_link any = { .access = LINK_ACCESS_AUTO,
						.hosts_max = HOSTS_MAX };

	if (!c->n_links)
		return &any;
	for (size_t i = 0; i < c->n_links; i++)
		if (!fnmatch(c->links[i].pattern, ifname, 0))
			return &c->links[i];
	return NULL;
}
