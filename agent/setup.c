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
#define IPV6_MIN_MTU 1280
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

static struct sf_ip6_prefix service_prefix(const struct setup_made *m)
{
	struct sf_addr a = { .w = { m->service } };
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

static struct sf_nl_addr plain_addr(const struct setup_place *p, int ifindex)
{
	struct sf_addr a = p->locator;

	sf_locator_set_sock(&a, PLAIN_NUMBER);
	return (struct sf_nl_addr){
		.ifindex = ifindex, .addr = to_in6(&a), .len = 128, .flags = IFA_F_NODAD
	};
}

static struct sf_nl_route local_route(const struct setup_made *m)
{
	return (struct sf_nl_route){
		.dst = service_prefix(m), .oif = LO_INDEX, .table = SETUP_TABLE, .type = RTN_LOCAL
	};
}

static struct sf_nl_route spare_route(const struct setup_made *m, int ifindex)
{
	return (struct sf_nl_route){ .dst = service_prefix(m),
				     .oif = ifindex,
				     .src = to_in6(&m->self),
				     .metric = SETUP_METRIC_SPARE };
}

/* The table of what is sent from a place: it leaves by that one's link. */
static uint32_t table_of(const struct setup_made *m, const struct setup_place *p)
{
	return SETUP_TABLE_PLACES + (uint32_t)(p - m->places);
}

/* @table: 0: main, for the primary uplink's */
static struct sf_nl_route service_route(const struct setup_made *m, const struct setup_place *p,
					int ifindex, uint32_t table)
{
	return (struct sf_nl_route){ .dst = service_prefix(m),
				     .via = p->router,
				     .oif = ifindex,
				     .src = to_in6(&m->self),
				     .table = table,
				     .metric = SETUP_METRIC_UPLINK,
				     .mtu = p->mtu };
}

static struct sf_nl_route locator_route(const struct setup_place *p, int ifindex, uint32_t table)
{
	return (struct sf_nl_route){ .dst = locator_prefix(&p->net),
				     .via = p->router,
				     .oif = ifindex,
				     .src = plain_addr(p, ifindex).addr,
				     .table = table,
				     .metric = SETUP_METRIC_UPLINK,
				     .mtu = p->mtu };
}

static struct sf_nl_rule rule(const struct setup_made *m, const char *iif, const char *oif)
{
	struct sf_nl_rule r = { .to = service_prefix(m),
				.table = SETUP_TABLE,
				.priority = SETUP_PRIORITY };

	snprintf(r.iif, sizeof(r.iif), "%s", iif);
	snprintf(r.oif, sizeof(r.oif), "%s", oif);
	return r;
}

static struct sf_nl_rule from_rule(const struct setup_made *m, const struct setup_place *p)
{
	struct in6_addr place = to_in6(&p->locator);

	return (struct sf_nl_rule){ .from = sf_ip6_prefix_make(&place, 80),
				    .table = table_of(m, p),
				    .priority = SETUP_PRIORITY_FROM };
}

/* ---- memory across crashes -------------------------------------------------------------- */

static const char *get_text(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

static bool load_place(const json_t *o, struct setup_place *p)
{
	struct sf_addr net;

	if (!json_is_object(o) || sf_addr_parse(get_text(o, "locator"), &p->locator) ||
	    sf_addr_parse(get_text(o, "router"), (struct sf_addr *)&p->router) ||
	    sf_addr_parse(get_text(o, "net"), &net))
		return false;
	memcpy(p->net.as, net.h, sizeof(p->net.as));
	snprintf(p->uplink, sizeof(p->uplink), "%s", get_text(o, "uplink"));
	return true;
}

static void load(struct setup *s)
{
	struct setup_made m = { .base = true };
	const json_t *place;
	char *text = NULL;
	size_t i;
	json_t *o;

	s->sysctls = json_object();
	if (sf_file_read(s->path, STATE_LIMIT, &text, NULL))
		return;
	o = json_loads(text, 0, NULL);
	free(text);
	if (json_is_object(json_object_get(o, "sysctls")))
		json_object_update(s->sysctls, json_object_get(o, "sysctls"));
	json_array_foreach (json_object_get(o, "places"), i, place)
		if (i < SF_UPLINKS_MAX)
			load_place(place, &m.places[i]);
	if (!sf_addr_parse(get_text(o, "self"), &m.self)) {
		m.service = m.self.w[0];
		s->made = m;
	}
	json_decref(o);
}

static json_t *place_json(const struct setup_place *p)
{
	struct sf_addr net = { .h = { p->net.as[0], p->net.as[1], p->net.as[2] } }, hop;
	char locator[SF_ADDR_STRLEN], router[SF_ADDR_STRLEN], as[SF_ADDR_STRLEN];

	if (!p->uplink[0])
		return json_null();
	memcpy(&hop, &p->router, sizeof(hop));
	return json_pack("{s:s, s:s, s:s, s:s}", "uplink", p->uplink, "locator",
			 sf_addr_print(&p->locator, locator), "router", sf_addr_print(&hop, router),
			 "net", sf_addr_print(&net, as));
}

/* What it speaks of is in the kernel, and goes with it: a crash of ours is all that the file must
 * outlive, and no flow that moves waits for a disk. */
static int write_file(struct setup *s, char *text)
{
	int ret;

	if (s->written && !strcmp(s->written, text)) {
		free(text);
		return 0;
	}
	ret = sf_file_swap(s->path, text, strlen(text), 0644);
	free(s->written);
	s->written = NULL;
	if (ret)
		free(text);
	else
		s->written = text;
	return ret;
}

static int store(struct setup *s)
{
	const struct setup_made *m = &s->made;
	json_t *o, *places = json_array();
	char self[SF_ADDR_STRLEN];
	char *text;

	for (int i = 0; i < SF_UPLINKS_MAX; i++)
		json_array_append_new(places, place_json(&m->places[i]));
	o = json_pack("{s:s, s:o, s:O}", "self", sf_addr_print(&m->self, self), "places", places,
		      "sysctls", s->sysctls);
	text = o ? json_dumps(o, JSON_INDENT(2)) : NULL;
	json_decref(o);
	return text ? write_file(s, text) : -ENOMEM;
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

/* What an uplink has in a table. */
static void remove_routes(struct host *h, const struct setup_place *p, int ifindex, uint32_t table)
{
	struct sf_nl_route to_services = service_route(&h->setup.made, p, ifindex, table);
	struct sf_nl_route to_locators = locator_route(p, ifindex, table);

	undo(h, sf_route_del(h->nl, &to_services, SF_NL_ENSURE), "route to services");
	undo(h, sf_route_del(h->nl, &to_locators, SF_NL_ENSURE), "route to locators");
}

static void remove_place(struct host *h, struct setup_place *p)
{
	struct setup_made *m = &h->setup.made;
	struct sf_nl_rule in = rule(m, p->uplink, ""), from = from_rule(m, p);
	struct sf_nl_link link;

	if (!p->uplink[0])
		return;
	undo(h, sf_rule_del(h->nl, &in, SF_NL_ENSURE), "rule of the uplink");
	undo(h, sf_rule_del(h->nl, &from, SF_NL_ENSURE), "rule of what leaves the uplink");
	if (!sf_link_get(h->nl, p->uplink, &link)) {
		struct sf_nl_addr plain = plain_addr(p, link.ifindex);

		remove_routes(h, p, link.ifindex, 0);
		remove_routes(h, p, link.ifindex, table_of(m, p));
		undo(h, sf_ifaddr_del(h->nl, &plain, SF_NL_ENSURE), "plain address");
	}
	memset(p, 0, sizeof(*p));
}

static void remove_places(struct host *h)
{
	for (int i = 0; i < SF_UPLINKS_MAX; i++)
		remove_place(h, &h->setup.made.places[i]);
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
	remove_places(h);
	remove_base(h);
	restore_sysctls(&h->setup);
	unlink(h->setup.path);
	setup_close(h);
}

void setup_close(struct host *h)
{
	json_decref(h->setup.sysctls);
	h->setup.sysctls = NULL;
	free(h->setup.written);
	h->setup.written = NULL;
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

static bool base_fits(const struct host *h)
{
	const struct setup_made *m = &h->setup.made;

	return m->service == h->net.service && sf_addr_eq(&m->self, &h->self);
}

static int apply_base(struct host *h, char *err, size_t errlen)
{
	struct setup *s = &h->setup;
	struct setup_made *m = &s->made;
	struct sf_nl_route local;
	struct sf_nl_rule r;
	struct sf_nl_addr self;
	int ret;

	if (m->base && !base_fits(h)) {
		remove_places(h); /* another network, or another host key: nothing fits */
		remove_base(h);
	}
	m->service = h->net.service;
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
	for (size_t i = 0; i < h->config.uplink.count; i++)
		hurry_uplink(s, h->config.uplink.items[i]);
	return apply_base(h, err, errlen);
}

/* The one of an uplink's, or a free one; NULL: all are taken. */
static struct setup_place *place_of(struct setup_made *m, const char *uplink)
{
	struct setup_place *free = NULL;

	for (int i = 0; i < SF_UPLINKS_MAX; i++) {
		if (!strcmp(m->places[i].uplink, uplink))
			return &m->places[i];
		if (!m->places[i].uplink[0] && !free)
			free = &m->places[i];
	}
	return free;
}

/* Whether what was made for a link is what its attachment has. */
static bool fits(const struct setup_place *p, const struct attachment *a)
{
	return a && attachment_has_place(a) && sf_addr_eq(&p->locator, &a->join.locator) &&
	       !memcmp(p->net.as, a->join.net.as, sizeof(p->net.as));
}

static int apply_place(struct host *h, const struct setup_place *p, int ifindex, char *err,
		       size_t errlen)
{
	struct setup_made *m = &h->setup.made;
	struct sf_nl_addr plain = plain_addr(p, ifindex);
	struct sf_nl_rule in = rule(m, p->uplink, ""), from = from_rule(m, p);
	struct sf_nl_route to_locators = locator_route(p, ifindex, table_of(m, p));
	struct sf_nl_route to_services = service_route(m, p, ifindex, table_of(m, p));
	int ret;

	hurry_uplink(&h->setup, p->uplink);
	ret = sf_ifaddr_add(h->nl, &plain, SF_NL_ENSURE);
	if (ret)
		return failed(h, ret, err, errlen, "plain address on the uplink");
	ret = sf_rule_add(h->nl, &in, SF_NL_ENSURE);
	if (ret)
		return failed(h, ret, err, errlen, "rule iif uplink");
	ret = sf_route_replace(h->nl, &to_locators);
	if (!ret)
		ret = sf_route_replace(h->nl, &to_services);
	if (ret)
		return failed(h, ret, err, errlen, "routes of what leaves the uplink");
	ret = sf_rule_add(h->nl, &from, SF_NL_ENSURE);
	if (ret)
		return failed(h, ret, err, errlen, "rule of what leaves the uplink");
	return 0;
}

/* The main table's routes go by the primary's router. They take the place of those by another, so
 * there is no moment without. */
static int apply_primary(struct host *h, const struct setup_place *p, int ifindex, char *err,
			 size_t errlen)
{
	struct sf_nl_route to_locators = locator_route(p, ifindex, 0);
	struct sf_nl_route to_services = service_route(&h->setup.made, p, ifindex, 0);
	int ret = sf_route_replace(h->nl, &to_locators);

	if (ret)
		return failed(h, ret, err, errlen, "route to locators");
	ret = sf_route_replace(h->nl, &to_services);
	if (ret)
		return failed(h, ret, err, errlen, "route to services");
	return 0;
}

/* Named, though it is the link's. A socket that still holds a route that was taken away would else
 * take its MTU from the kernel's device for what is no more: 68 bytes. */
static uint32_t mtu_of(const struct sf_nl_link *link)
{
	char key[128], text[16];
	uint32_t mtu = link->mtu;
	unsigned long own;

	snprintf(key, sizeof(key), "net/ipv6/conf/%s/mtu", link->name);
	if (!sf_sysctl_get(key, text, sizeof(text))) {
		own = strtoul(text, NULL, 10);
		if (own >= IPV6_MIN_MTU && own < mtu)
			mtu = (uint32_t)own;
	}
	return mtu;
}

/* What is to be there from now on, before it is: what is in the file is undone one day. */
static void note_place(struct host *h, const struct attachment *a)
{
	struct setup_place *p = place_of(&h->setup.made, a->link.name);

	if (!p || !attachment_has_place(a))
		return;
	if (p->uplink[0] && !fits(p, a))
		remove_place(h, p);
	snprintf(p->uplink, sizeof(p->uplink), "%s", a->link.name);
	p->net = a->join.net;
	p->mtu = mtu_of(&a->link);
	p->locator = a->join.locator;
	p->router = a->join.router.sin6_addr;
}

/* Places that the host does not have any more, now that the routes lead elsewhere. */
static void remove_others(struct host *h)
{
	struct setup_made *m = &h->setup.made;

	for (int i = 0; i < SF_UPLINKS_MAX; i++)
		if (m->places[i].uplink[0] &&
		    !fits(&m->places[i], attachment_by_name(h, m->places[i].uplink)))
			remove_place(h, &m->places[i]);
}

static int apply_attachment(struct host *h, const struct attachment *a, char *err, size_t errlen)
{
	const struct setup_place *p = place_of(&h->setup.made, a->link.name);
	int ret;

	if (!p || !p->uplink[0] || !attachment_has_place(a))
		return 0;
	ret = apply_place(h, p, a->link.ifindex, err, errlen);
	if (!ret && a == attachment_primary(h))
		ret = apply_primary(h, p, a->link.ifindex, err, errlen);
	return ret;
}

static int lead(struct host *h, char *err, size_t errlen)
{
	int ret;

	attachment_foreach (h, a)
		note_place(h, a);
	ret = store(&h->setup);
	if (ret)
		return failed(h, ret, err, errlen, h->setup.path);
	return apply_attachment(h, attachment_primary(h), err, errlen);
}

int setup_lead(struct host *h, char *err, size_t errlen)
{
	return h->setup.made.base && base_fits(h) ? lead(h, err, errlen)
						  : setup_apply(h, err, errlen);
}

int setup_apply(struct host *h, char *err, size_t errlen)
{
	const struct attachment *primary = attachment_primary(h);
	int ret = apply_base(h, err, errlen);

	if (!ret)
		ret = lead(h, err, errlen);
	if (ret)
		return ret;
	attachment_foreach (h, a) {
		int now = a == primary ? 0 : apply_attachment(h, a, err, errlen);

		ret = ret ? ret : now;
	}
	remove_others(h);
	return ret;
}
