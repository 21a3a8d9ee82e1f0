// SPDX-License-Identifier: Apache-2.0
/* setup.c - addresses, routes, rules and sysctls of a host. */
#include "agent/setup.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/host.h"
#include "util/file.h"
#include "util/log.h"

#define LO_INDEX     1
#define SPARE_LINK   "sf-spare"
#define STATE_LIMIT  65536
#define PLAIN_NUMBER 1 /* LOCATOR::1 is the plain address */

/* ---- prefixes and objects --------------------------------------------------------------- */

static struct in6_addr to_in6(const struct sf_addr *a)
{
	struct in6_addr out;

	memcpy(&out, a, sizeof(out));
	return out;
}

static struct sf_ip6_prefix service_prefix(const struct sf_net *net)
{
	struct sf_addr a = { .w = { net->service } };
	struct in6_addr in6 = to_in6(&a);

	return sf_ip6_prefix_make(&in6, 32);
}

/* All locators: fd5c::/16 covers every AS; another prefix is one AS's own /48, and no more is ours.
 */
static struct sf_ip6_prefix locator_prefix(const struct sf_net *net)
{
	struct sf_addr a = { .h = { net->as[0], net->as[1], net->as[2] } };
	struct in6_addr in6 = to_in6(&a);

	return sf_ip6_prefix_make(&in6, net->as[0] == sf_be16(SF_LOCATOR_PREFIX) ? 16 : 48);
}

static struct sf_nl_addr self_addr(const struct setup_made *m)
{
	return (struct sf_nl_addr){
		.ifindex = LO_INDEX, .addr = to_in6(&m->self), .len = 128, .flags = IFA_F_NODAD
	};
}

static struct sf_nl_addr plain_addr(const struct setup_made *m, int ifindex)
{
	struct sf_addr a = m->locator;

	sf_locator_set_sock(&a, PLAIN_NUMBER);
	return (struct sf_nl_addr){
		.ifindex = ifindex, .addr = to_in6(&a), .len = 128, .flags = IFA_F_NODAD
	};
}

static struct sf_nl_route local_route(const struct setup_made *m)
{
	return (struct sf_nl_route){ .dst = service_prefix(&m->net),
				     .oif = LO_INDEX,
				     .table = SETUP_TABLE,
				     .type = RTN_LOCAL };
}

static struct sf_nl_route spare_route(const struct setup_made *m, int ifindex)
{
	return (struct sf_nl_route){ .dst = service_prefix(&m->net),
				     .oif = ifindex,
				     .src = to_in6(&m->self),
				     .metric = SETUP_METRIC_SPARE };
}

static struct sf_nl_route service_route(const struct setup_made *m, int ifindex)
{
	return (struct sf_nl_route){ .dst = service_prefix(&m->net),
				     .via = m->router,
				     .oif = ifindex,
				     .src = to_in6(&m->self),
				     .metric = SETUP_METRIC_UPLINK };
}

static struct sf_nl_route locator_route(const struct setup_made *m, int ifindex)
{
	return (struct sf_nl_route){ .dst = locator_prefix(&m->net),
				     .via = m->router,
				     .oif = ifindex,
				     .src = plain_addr(m, ifindex).addr,
				     .metric = SETUP_METRIC_UPLINK };
}

static struct sf_nl_rule rule(const struct setup_made *m, const char *iif, const char *oif)
{
	struct sf_nl_rule r = { .to = service_prefix(&m->net),
				.table = SETUP_TABLE,
				.priority = SETUP_PRIORITY };

	snprintf(r.iif, sizeof(r.iif), "%s", iif);
	snprintf(r.oif, sizeof(r.oif), "%s", oif);
	return r;
}

/* ---- memory across crashes -------------------------------------------------------------- */

static const char *get_text(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

static void load(struct setup *s)
{
	struct setup_made m = { .base = true };
	char *text = NULL;
	json_t *o;

	s->sysctls = json_object();
	if (sf_file_read(s->path, STATE_LIMIT, &text, NULL))
		return;
	o = json_loads(text, 0, NULL);
	free(text);
	snprintf(m.uplink, sizeof(m.uplink), "%s", get_text(o, "uplink"));
	if (json_is_object(json_object_get(o, "sysctls")))
		json_object_update(s->sysctls, json_object_get(o, "sysctls"));
	if (!sf_addr_parse(get_text(o, "self"), &m.self) &&
	    !sf_addr_parse(get_text(o, "locator"), &m.locator) &&
	    !sf_addr_parse(get_text(o, "router"), (struct sf_addr *)&m.router)) {
		struct sf_addr net;

		if (!sf_addr_parse(get_text(o, "net"), &net)) {
			memcpy(m.net.as, net.h, sizeof(m.net.as));
			m.net.service = m.self.w[0];
			s->made = m;
		}
	}
	json_decref(o);
}

static int store(const struct setup *s)
{
	const struct setup_made *m = &s->made;
	struct sf_addr net = { .h = { m->net.as[0], m->net.as[1], m->net.as[2] } };
	struct sf_addr hop;
	char self[SF_ADDR_STRLEN], locator[SF_ADDR_STRLEN], router[SF_ADDR_STRLEN],
		as[SF_ADDR_STRLEN];
	json_t *o;
	char *text;
	int ret;

	memcpy(&hop, &m->router, sizeof(hop));
	o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:O}", "uplink", m->uplink, "self",
		      sf_addr_print(&m->self, self), "locator", sf_addr_print(&m->locator, locator),
		      "router", sf_addr_print(&hop, router), "net", sf_addr_print(&net, as),
		      "sysctls", s->sysctls);
	text = o ? json_dumps(o, JSON_INDENT(2)) : NULL;
	ret = text ? sf_file_write(s->path, text, strlen(text), 0644) : -ENOMEM;
	free(text);
	json_decref(o);
	return ret;
}

/* Set a sysctl and remember what it was, in the file before the kernel. */
static int sysctl(struct setup *s, const char *key, const char *value)
{
	char old[64];
	int ret = sf_sysctl_get(key, old, sizeof(old));

	if (ret || !strcmp(old, value))
		return ret;
	if (!json_object_get(s->sysctls, key)) {
		json_object_set_new(s->sysctls, key,
				    json_pack("{s:s, s:s}", "old", old, "new", value));
		ret = store(s);
		if (ret)
			return ret;
	}
	return sf_sysctl_set(key, value, NULL, 0);
}

static void restore_sysctls(struct setup *s)
{
	const char *key;
	json_t *value;

	json_object_foreach (s->sysctls, key, value) {
		const char *was = get_text(value, "old");
		char now[64];

		/* Somebody who changed it after us knows better. */
		if (sf_sysctl_get(key, now, sizeof(now)) || strcmp(now, get_text(value, "new")))
			continue;
		if (sf_sysctl_set(key, was, NULL, 0))
			sf_warn("sysctl %s: could not be put back to %s", key, was);
	}
	json_object_clear(s->sysctls);
}

/* ---- undoing ---------------------------------------------------------------------------- */

static void undo(struct host *h, int ret, const char *what)
{
	if (ret && ret != -ENODEV)
		sf_warn("%s: not removed: %s %s", what, strerror(-ret), sf_nl_error(h->nl));
}

static void remove_uplink(struct host *h)
{
	struct setup_made *m = &h->setup.made;
	struct sf_nl_rule r = rule(m, m->uplink, "");
	struct sf_nl_link link;

	if (!m->uplink[0])
		return;
	undo(h, sf_rule_del(h->nl, &r, SF_NL_ENSURE), "rule of the uplink");
	if (!sf_link_get(h->nl, m->uplink, &link)) {
		struct sf_nl_route to_services = service_route(m, link.ifindex);
		struct sf_nl_route to_locators = locator_route(m, link.ifindex);
		struct sf_nl_addr plain = plain_addr(m, link.ifindex);

		undo(h, sf_route_del(h->nl, &to_services, SF_NL_ENSURE), "route to services");
		undo(h, sf_route_del(h->nl, &to_locators, SF_NL_ENSURE), "route to locators");
		undo(h, sf_ifaddr_del(h->nl, &plain, SF_NL_ENSURE), "plain address");
	}
	m->uplink[0] = '\0';
}

static void remove_base(struct host *h)
{
	struct setup_made *m = &h->setup.made;
	struct sf_nl_route local = local_route(m);
	struct sf_nl_rule r = rule(m, "", "lo");
	struct sf_nl_addr self = self_addr(m);

	if (!m->base)
		return;
	undo(h, sf_rule_del(h->nl, &r, SF_NL_ENSURE), "rule of lo");
	undo(h, sf_link_del(h->nl, SPARE_LINK, SF_NL_ENSURE), "spare link");
	undo(h, sf_route_del(h->nl, &local, SF_NL_ENSURE), "local delivery of services");
	undo(h, sf_ifaddr_del(h->nl, &self, SF_NL_ENSURE), "own service address");
	m->base = false;
}

void setup_remove(struct host *h)
{
	if (!h->setup.sysctls)
		return;
	remove_uplink(h);
	remove_base(h);
	restore_sysctls(&h->setup);
	unlink(h->setup.path);
	setup_close(h);
}

void setup_close(struct host *h)
{
	json_decref(h->setup.sysctls);
	h->setup.sysctls = NULL;
}

/* ---- doing ------------------------------------------------------------------------------ */

static int failed(struct host *h, int ret, char *err, size_t errlen, const char *what)
{
	snprintf(err, errlen, "%s: %s%s%s", what, strerror(-ret), *sf_nl_error(h->nl) ? ": " : "",
		 sf_nl_error(h->nl));
	return ret;
}

static int ensure_lo(struct host *h)
{
	struct sf_nl_link lo;
	int ret = sf_link_get_index(h->nl, LO_INDEX, &lo);

	return ret || (lo.flags & IFF_UP) ? ret : sf_link_set_up(h->nl, LO_INDEX, true);
}

/* Without any route, connect() and send() fail at once; with one into the void, programs wait until
 * the uplink is back. The kernel takes a route by lo for a refusal, so it needs a link of its own.
 */
static void ensure_spare(struct host *h)
{
	const struct setup_made *m = &h->setup.made;
	struct sf_nl_link link;
	struct sf_nl_route spare;
	int ret = sf_link_get(h->nl, SPARE_LINK, &link);

	if (ret == -ENODEV) {
		ret = sf_link_add(h->nl, SPARE_LINK, "dummy", SF_NL_STRICT);
		if (ret == -EOPNOTSUPP) /* a kernel without it: this one drops what it gets, too */
			ret = sf_link_add(h->nl, SPARE_LINK, "ifb", SF_NL_STRICT);
		if (!ret)
			ret = sf_link_get(h->nl, SPARE_LINK, &link);
		sf_sysctl_set_if6(SPARE_LINK, "addr_gen_mode", "1", NULL, 0);
	}
	if (!ret && !(link.flags & IFF_UP))
		ret = sf_link_set_up(h->nl, link.ifindex, true);
	if (!ret) {
		spare = spare_route(m, link.ifindex);
		ret = sf_route_add(h->nl, &spare, SF_NL_ENSURE);
	}
	if (ret)
		sf_warn("link %s: %s; programs that connect while the uplink is down will fail "
			"instead of wait",
			SPARE_LINK, strerror(-ret));
}

/* A link that comes up again should carry a JOIN at once, not after duplicate address detection
 * (RFC 4429). Kernels without it just take that second. */
static void hurry_uplink(struct setup *s, const char *name)
{
	char key[128];

	snprintf(key, sizeof(key), "net/ipv6/conf/%s/optimistic_dad", name);
	sysctl(s, key, "1");
	snprintf(key, sizeof(key), "net/ipv6/conf/%s/use_optimistic", name);
	sysctl(s, key, "1");
}

static int apply_base(struct host *h, char *err, size_t errlen)
{
	struct setup *s = &h->setup;
	struct setup_made *m = &s->made;
	struct sf_nl_route local;
	struct sf_nl_rule r;
	struct sf_nl_addr self;
	int ret;

	if (m->base &&
	    (memcmp(&m->net, &h->net, sizeof(m->net)) || !sf_addr_eq(&m->self, &h->self))) {
		remove_uplink(h); /* another network, or another host key: nothing fits */
		remove_base(h);
	}
	m->net = h->net;
	m->self = h->self;
	m->base = true;
	ret = store(s);
	if (ret)
		return failed(h, ret, err, errlen, s->path);
	ret = sysctl(s, "net/ipv6/ip_nonlocal_bind", "1");
	if (ret)
		return failed(h, ret, err, errlen, "sysctl net.ipv6.ip_nonlocal_bind");
	ret = ensure_lo(h);
	if (ret)
		return failed(h, ret, err, errlen, "link lo");
	self = self_addr(m);
	ret = sf_ifaddr_add(h->nl, &self, SF_NL_ENSURE);
	if (ret)
		return failed(h, ret, err, errlen, "own service address on lo");
	local = local_route(m);
	ret = sf_route_add(h->nl, &local, SF_NL_ENSURE);
	if (ret)
		return failed(h, ret, err, errlen, "local delivery of services (table 213)");
	r = rule(m, "", "lo");
	ret = sf_rule_add(h->nl, &r, SF_NL_ENSURE);
	if (ret)
		return failed(h, ret, err, errlen, "rule oif lo");
	ensure_spare(h);
	return 0;
}

int setup_open(struct host *h, char *err, size_t errlen)
{
	struct setup *s = &h->setup;

	snprintf(s->path, sizeof(s->path), "%s/setup.json", h->config.run);
	load(s);
	if (h->config.uplink[0])
		hurry_uplink(s, h->config.uplink);
	return apply_base(h, err, errlen);
}

int setup_apply(struct host *h, char *err, size_t errlen)
{
	struct setup_made *m = &h->setup.made;
	const struct sf_nl_link *link = &h->uplink.link;
	struct sf_nl_route to_services, to_locators;
	struct sf_nl_addr plain;
	struct sf_nl_rule r;
	int ret = apply_base(h, err, errlen);

	if (ret)
		return ret;
	if (m->uplink[0] &&
	    (strcmp(m->uplink, link->name) || !sf_addr_eq(&m->locator, &h->join.locator)))
		remove_uplink(h); /* moved: the spare route holds meanwhile */
	snprintf(m->uplink, sizeof(m->uplink), "%s", link->name);
	m->locator = h->join.locator;
	m->router = h->join.router.sin6_addr;
	ret = store(&h->setup);
	if (ret)
		return failed(h, ret, err, errlen, h->setup.path);
	hurry_uplink(&h->setup, link->name);
	plain = plain_addr(m, link->ifindex);
	ret = sf_ifaddr_add(h->nl, &plain, SF_NL_ENSURE);
	if (ret)
		return failed(h, ret, err, errlen, "plain address on the uplink");
	r = rule(m, link->name, "");
	ret = sf_rule_add(h->nl, &r, SF_NL_ENSURE);
	if (ret)
		return failed(h, ret, err, errlen, "rule iif uplink");
	to_locators = locator_route(m, link->ifindex);
	ret = sf_route_replace(h->nl, &to_locators);
	if (ret)
		return failed(h, ret, err, errlen, "route to locators");
	to_services = service_route(m, link->ifindex);
	ret = sf_route_replace(h->nl, &to_services);
	if (ret)
		return failed(h, ret, err, errlen, "route to services");
	return 0;
}
