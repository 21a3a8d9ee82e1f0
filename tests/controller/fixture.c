// SPDX-License-Identifier: Apache-2.0
#include "tests/controller/fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controller/config.h"
#include "controller/hostnames.h"
#include "controller/policies.h"

uint64_t fake_now;
static char state_dir[64];

static uint64_t fake_clock(void)
{
	return fake_now;
}

static void open_on(struct controller *c, struct config *config)
{
	char err[512] = "";

	memset(c, 0, sizeof(*c));
	c->clock = fake_clock;
	if (controller_open(c, config, err, sizeof(err)))
		fail_msg("%s", err);
}

void fixture_open(struct controller *c, struct config *config)
{
	char err[512] = "";

	fake_now = 1000000;
	strcpy(state_dir, "/tmp/controller-test-XXXXXX");
	assert_non_null(mkdtemp(state_dir));
	memset(config, 0, sizeof(*config));
	if (config_load(config, err, sizeof(err)))
		fail_msg("%s", err);
	config->state = state_dir;
	config->run = state_dir;
	config->events_memory = 1024;
	open_on(c, config);
}

void fixture_close(struct controller *c, struct config *config)
{
	char command[128];

	while (c->sessions)
		c->sessions->ops->close(c->sessions->io, "end of test");
	controller_close(c);
	config_free(config);
	snprintf(command, sizeof(command), "rm -rf %s", state_dir);
	assert_int_equal(system(command), 0);
}

void fixture_restart(struct controller *c, struct config *config)
{
	while (c->sessions)
		c->sessions->ops->close(c->sessions->io, "killed");
	controller_close(c);
	open_on(c, config);
}

/* ---- the transport ------------------------------------------------------------------------- */

static int take(void *io, const void *msg, size_t len)
{
	struct peer *p = io;
	struct message *m = &p->got[p->n];
	const char *why;

	if (p->fail)
		return p->fail;
	assert_true(p->n < MESSAGES_MAX);
	assert_in_range(len, sizeof(struct sf_ctrl_hdr), SF_CTRL_MAX);
	m->data = malloc(len);
	memcpy(m->data, msg, len);
	m->len = len;
	/* Whatever the controller says must be well-formed. */
	assert_int_equal(sf_ctrl_open(m->data, len, &m->in, &why), 0);
	p->n++;
	return 0;
}

static void closed(void *io, const char *reason)
{
	struct peer *p = io;
	struct session *s = p->s;

	p->closed = reason;
	p->s = NULL;
	session_closed(s, reason);
}

static size_t queued(void *io)
{
	return ((struct peer *)io)->queued;
}

static const struct session_ops ops = { take, closed, queued };

void peer_init(struct peer *p, struct controller *c, unsigned int number, uint8_t roles,
	       const char *name)
{
	memset(p, 0, sizeof(*p));
	p->c = c;
	p->id = host_sid(0x10000 + number);
	p->addr.w[0] = sf_be32(0x20010db8);
	p->addr.w[3] = sf_be32(number);
	p->roles = roles;
	p->name = name;
}

void peer_connect(struct peer *p)
{
	assert_null(p->s);
	p->closed = NULL;
	assert_int_equal(session_open(p->c, &ops, p, "[::1]:1000", "", &p->s), 0);
}

void peer_disconnect(struct peer *p)
{
	if (p->s)
		closed(p, "lost");
}

void peer_forget(struct peer *p)
{
	for (unsigned int i = 0; i < p->n; i++)
		free(p->got[i].data);
	p->n = 0;
}

void peer_send(struct peer *p, struct draft *d)
{
	int len = sf_ctrl_end(&d->out);

	assert_true(len > 0);
	assert_non_null(p->s);
	session_message(p->s, d->buf, (size_t)len);
}

void peer_hello(struct peer *p, uint16_t block)
{
	struct sf_item_router r = { .addr = p->addr, .id = p->id, .roles = p->roles };
	struct sf_item_block b = { .first = sf_be16(block), .count = sf_be16(1) };
	struct draft d;

	if (!p->s)
		peer_connect(p);
	draft_begin(&d, SF_CTRL_HELLO);
	sf_ctrl_put(&d.out, SF_ITEM_ROUTER, &r, sizeof(r));
	if (p->roles & SF_ROLE_ACCESS)
		sf_ctrl_put(&d.out, SF_ITEM_BLOCK, &b, sizeof(b));
	draft_name(&d, p->name);
	peer_send(p, &d);
	controller_flush(p->c);
	assert_non_null(message_of(p, SF_CTRL_WELCOME, 0));
}

void peer_up(struct peer *p, uint16_t block)
{
	struct draft d;

	peer_hello(p, block);
	draft_begin(&d, SF_CTRL_UP_SYNCED);
	peer_send(p, &d);
	controller_flush(p->c);
}

/* ---- what came ----------------------------------------------------------------------------- */

const struct sf_ctrl_in *message_of(const struct peer *p, uint8_t type, unsigned int nth)
{
	for (unsigned int i = 0; i < p->n; i++) {
		if (p->got[i].in.type == type && nth-- == 0)
			return &p->got[i].in;
	}
	return NULL;
}

unsigned int messages_of(const struct peer *p, uint8_t type)
{
	unsigned int n = 0;

	while (message_of(p, type, n))
		n++;
	return n;
}

const struct sf_ctrl_in *message_last(const struct peer *p, uint8_t type)
{
	unsigned int n = messages_of(p, type);

	if (!n)
		fail_msg("%s got no %s", p->name, sf_ctrl_name(type));
	return message_of(p, type, n - 1);
}

uint32_t number_of(const struct sf_ctrl_in *in)
{
	const struct sf_item_version *v = sf_ctrl_find(in, SF_ITEM_VERSION, NULL);

	assert_non_null(v);
	return sf_be32(v->number);
}

uint8_t reason_of(const struct sf_ctrl_in *in)
{
	const struct sf_item_reason *r = sf_ctrl_find(in, SF_ITEM_REASON, NULL);

	assert_non_null(r);
	return r->reason;
}

static int instances_after(const struct sf_ctrl_in *in, const struct sf_item_service *s,
			   unsigned int *weight)
{
	bool here = false;
	int n = 0;

	*weight = 0;
	sf_ctrl_foreach (in, it) {
		const struct sf_item_instance *item = it.value;

		if (it.type == SF_ITEM_SERVICE)
			here = it.value == s;
		if (it.type != SF_ITEM_INSTANCE || !here)
			continue;
		*weight += sf_be16(item->weight);
		n++;
	}
	assert_int_equal(n, sf_be16(s->instances));
	return n;
}

int rule_in(const struct peer *p, uint64_t service, uint16_t port, unsigned int *weight)
{
	struct sf_sid sid = service_sid(service);

	for (unsigned int i = p->n; i-- > 0;) {
		const struct sf_ctrl_in *in = &p->got[i].in;

		if (in->type != SF_CTRL_RULES && in->type != SF_CTRL_RULES_GONE)
			continue;
		sf_ctrl_foreach (in, it) {
			const struct sf_item_service *s = it.value;

			if (it.type != SF_ITEM_SERVICE || !sf_sid_eq(&s->sid, &sid) ||
			    s->port != sf_be16(port))
				continue;
			return in->type == SF_CTRL_RULES ? instances_after(in, s, weight) : -1;
		}
	}
	return -1;
}

bool route_in(const struct peer *p, uint8_t type, int block, const struct sf_addr *via)
{
	struct sf_addr prefix = { 0 };

	if (block < 0)
		prefix.w[0] = p->c->config->net.service;
	else
		prefix = sf_locator(&p->c->config->net, (uint32_t)block << 16, 0);
	for (unsigned int i = 0; i < p->n; i++) {
		if (p->got[i].in.type != type)
			continue;
		sf_ctrl_foreach (&p->got[i].in, it) {
			const struct sf_item_route *r = it.value;

			if (it.type == SF_ITEM_ROUTE && sf_addr_eq(&r->prefix, &prefix) &&
			    sf_addr_eq(&r->via, via) && r->len == (block < 0 ? 32 : 64))
				return true;
		}
	}
	return false;
}

/* ---- what goes ----------------------------------------------------------------------------- */

struct sf_sid service_sid(uint64_t service)
{
	return sf_sid_make(SF_SSID_DEFAULT, service);
}

struct sf_sid host_sid(uint64_t identity)
{
	return sf_sid_make(SF_SSID_HOSTS, identity);
}

struct sf_service_key service_key(uint64_t service, uint16_t port)
{
	return (struct sf_service_key){ .sid = service_sid(service),
					.port = sf_be16(port),
					.proto = 6 };
}

void draft_begin(struct draft *d, uint8_t type)
{
	sf_ctrl_begin(&d->out, d->buf, sizeof(d->buf), type, 7, 0);
}

void draft_host(struct draft *d, uint32_t host, uint64_t identity, uint64_t boot)
{
	struct sf_net net = sf_net_default(1);
	struct sf_item_host h = { .locator = sf_locator(&net, host, 0),
				  .identity = host_sid(identity),
				  .boot = sf_be64(boot) };

	sf_ctrl_put(&d->out, SF_ITEM_HOST, &h, sizeof(h));
}

void draft_name(struct draft *d, const char *name)
{
	sf_ctrl_put(&d->out, SF_ITEM_NAME, name, strlen(name));
}

void draft_reg(struct draft *d, uint64_t service, uint16_t port, uint16_t weight)
{
	struct sf_item_registration r = { .sid = service_sid(service),
					  .proto = 6,
					  .port = sf_be16(port),
					  .weight = sf_be16(weight) };

	sf_ctrl_put(&d->out, SF_ITEM_REGISTRATION, &r, sizeof(r));
}

void join_boot(struct peer *p, uint32_t host, uint64_t identity, const char *name, uint64_t boot)
{
	struct draft d;

	draft_begin(&d, SF_CTRL_HOST_JOINED);
	draft_host(&d, host, identity, boot);
	if (name)
		draft_name(&d, name);
	peer_send(p, &d);
}

void join(struct peer *p, uint32_t host, uint64_t identity, const char *name)
{
	join_boot(p, host, identity, name, 1);
}

void leave(struct peer *p, uint32_t host, uint64_t identity)
{
	struct sf_item_reason r = { .reason = SF_SILENT };
	struct draft d;

	draft_begin(&d, SF_CTRL_HOST_LEFT);
	draft_host(&d, host, identity, 1);
	sf_ctrl_put(&d.out, SF_ITEM_REASON, &r, sizeof(r));
	peer_send(p, &d);
}

static void change(struct peer *p, uint8_t type, uint32_t host, uint64_t identity, uint64_t service,
		   uint16_t port, uint16_t weight)
{
	struct draft d;

	draft_begin(&d, type);
	draft_host(&d, host, identity, 1);
	draft_reg(&d, service, port, weight);
	peer_send(p, &d);
}

void reg(struct peer *p, uint32_t host, uint64_t identity, uint64_t service, uint16_t port,
	 uint16_t weight)
{
	change(p, SF_CTRL_HOST_REGISTERED, host, identity, service, port, weight);
}

void unreg(struct peer *p, uint32_t host, uint64_t identity, uint64_t service, uint16_t port)
{
	change(p, SF_CTRL_HOST_UNREGISTERED, host, identity, service, port, 0);
}

void policy(struct controller *c, uint64_t service, const char *json)
{
	struct sf_sid sid = service_sid(service);
	struct naming naming = naming_of(c);
	struct policy_error e;
	struct policy *p;
	json_t *o = json_loads(json, 0, NULL);

	assert_non_null(o);
	assert_int_equal(policy_parse(&sid, o, NULL, &naming, &p, &e), 0);
	json_decref(o);
	assert_int_equal(policy_put(c, p), 0);
}
