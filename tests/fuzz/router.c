// SPDX-License-Identifier: Apache-2.0
/*
 * Hosts and a controller say anything to a router, which must stay whole: every message that it
 * sends is well-formed, it holds as many hosts as it says, and when all have gone it knows nothing.
 * What needs a key is said with the right one, so that what lies behind signatures and MACs is
 * reached, too.
 * Input: pieces of 8 bits (what; the rest: who, or how), 16 bits of length, and as many bytes.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

ssize_t fuzz_sendto(int fd, const void *data, size_t len, int flags, const struct sockaddr *to,
		    socklen_t to_len);
#define sendto fuzz_sendto
#include "router/session.c" /* with what it keeps to itself */
#undef sendto
#include "router/controller_down.h"
#include "router/controller_link.h"
#include "router/events.h"
#include "router/heartbeat.h"
#include "router/links.h"
#include "router/routes.h"
#include "router/rules.h"
#include "router/store.h"
#include "util/channel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HOSTS  4
#define LINKS  2
#define PROBES 8

enum what { SAY_RAW, SAY_JOIN, SAY_SESSION, SAY_CONTROLLER, ANSWER, PASS_TIME, CLEAN_SYNC, WHATS };

static struct player {
	struct sf_sign_key *key;
	uint8_t pub[SF_SIGN_PUBLIC_LEN];
	struct sf_session session;
} players[HOSTS];

static struct router r;
static struct link links[LINKS];
static uint64_t now = 100000;
static struct {
	struct host *h; /* NULL: its entry was freed */
	heartbeat_fn told;
	void *ctx;
} asked[PROBES];
static unsigned int n_asked;
static uint8_t heard[SF_CTRL_MAX_UDP] __attribute__((aligned(8)));
static size_t heard_len; /* the last JOINED */

static void expect(bool truth)
{
	if (!truth)
		abort();
}

/* ---- the world around the handlers ---- */

uint64_t sf_now_ms(void)
{
	return now;
}

uint64_t sf_wall_ms(void)
{
	return 1790000000000ull + now;
}

/* The store's disk is not what is tried here. */
int fsync(int fd)
{
	return 0;
}

int fdatasync(int fd)
{
	return 0;
}

char *sf_time_print(uint64_t ms, char *buf)
{
	buf[0] = '\0';
	return buf;
}

ssize_t fuzz_sendto(int fd, const void *data, size_t len, int flags, const struct sockaddr *to,
		    socklen_t to_len)
{
	struct sf_ctrl_in in;
	const char *why;

	expect(len <= sizeof(heard));
	memcpy(heard, data, len);
	expect(sf_ctrl_open(heard, len, &in, &why) == 0);
	heard_len = in.type == SF_CTRL_JOINED ? len : 0;
	return (ssize_t)len;
}

void sf_events_add(struct sf_events *ev, const struct sf_event *e, const char *fmt, ...)
{
	expect(e->kind && e->reason < SF_REASON_MAX);
}

struct link *link_by_index(const struct router *router, int ifindex)
{
	return ifindex > 0 && ifindex <= LINKS ? &links[ifindex - 1] : NULL;
}

enum link_access link_access(const struct router *router, int ifindex)
{
	return LINK_ACCESS_AUTO;
}

const char *link_name(const struct router *router, int ifindex)
{
	return ifindex ? "lan" : "";
}

bool link_is_filtered(const struct router *router, const struct link *l)
{
	return true;
}

int sf_link_get(struct sf_nl *nl, const char *name, struct sf_nl_link *out)
{
	return -ENODEV;
}

int heartbeat_ask(struct router *router, struct host *h, heartbeat_fn told, void *ctx)
{
	if (n_asked == PROBES)
		return -ENOMEM;
	asked[n_asked].h = h;
	asked[n_asked].told = told;
	asked[n_asked++].ctx = ctx;
	return 0;
}

void heartbeat_orphan(struct router *router, const struct host *h)
{
	for (unsigned int i = 0; i < n_asked; i++)
		if (asked[i].h == h)
			asked[i].h = NULL;
}

void heartbeat_forget(struct router *router, struct host *h)
{
}

void heartbeat_retime(struct router *router)
{
}

int place_change(struct router *router, const struct place *to, char *err, size_t errlen)
{
	router->place.term = to->term;
	router->place.number = to->number;
	return 0;
}

int routes_host_add(struct router *router, const struct sf_addr *locator, int ifindex,
		    const struct in6_addr *via)
{
	expect(is_own(router, locator) && link_by_index(router, ifindex));
	return 0;
}

void routes_host_del(struct router *router, const struct sf_addr *locator, int ifindex,
		     const struct in6_addr *via)
{
	expect(link_by_index(router, ifindex) != NULL);
}

int routes_give(struct router *router, const struct sf_item_route *item, uint32_t generation)
{
	return item->len > 128 ? -EINVAL : 0;
}

void routes_take(struct router *router, const struct sf_item_route *item)
{
}

void routes_take_older(struct router *router, uint32_t generation)
{
}

/* ---- the kernel: everything fits, and what is taken away was there or not ---- */

int datapath_configure(struct router *r)
{
	return 0;
}

int datapath_link(struct datapath *dp, uint32_t ifindex, const struct sf_link *link)
{
	return 0;
}

int datapath_present(struct datapath *dp, uint32_t host, const struct sf_presence *here)
{
	expect(!here || (here->ifindex > 0 && here->ifindex <= LINKS));
	return 0;
}

int datapath_present_get(struct datapath *dp, uint32_t host, struct sf_presence *out)
{
	return -ENOENT;
}

int datapath_present_each(struct datapath *dp, sf_bpf_map_each each, void *ctx)
{
	return 0;
}

int datapath_source(struct datapath *dp, uint32_t host, const struct sf_sid *sid, bool allowed)
{
	return 0;
}

int datapath_rules_put(struct datapath *dp, const struct sf_service_key *keys,
		       const struct sf_rule *rules, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		expect(rules[i].at + rules[i].size <= r.config.slots_max);
	return 0;
}

int datapath_rules_del(struct datapath *dp, const struct sf_service_key *keys, uint32_t n)
{
	return 0;
}

int datapath_rules_each(struct datapath *dp, sf_bpf_map_each each, void *ctx)
{
	return 0;
}

uint32_t datapath_rules_max(const struct datapath *dp)
{
	return r.config.services_max;
}

int datapath_slots_put(struct datapath *dp, uint32_t at, const struct sf_addr *slots, uint32_t n)
{
	expect(at + n <= r.config.slots_max);
	return 0;
}

int datapath_slots_get(struct datapath *dp, uint32_t at, struct sf_addr *slots, uint32_t n)
{
	return -ENOENT;
}

uint32_t datapath_slots_max(const struct datapath *dp)
{
	return r.config.slots_max;
}

int datapath_police(struct datapath *dp, uint32_t link_rate, uint32_t session_rate)
{
	return 0;
}

int datapath_police_attach(struct datapath *dp, int fd)
{
	return 0;
}

int datapath_talk(struct datapath *dp, uint64_t session, const struct sf_link_address *from)
{
	return 0;
}

int datapath_joiner(struct datapath *dp, int ifindex, const struct in6_addr *addr,
		    const uint8_t *end, struct sf_link_address *out)
{
	memset(out, 0, sizeof(*out));
	return 0;
}

/* ---- the controller's connection: what goes up is built, and looked at ---- */

bool sf_channel_is_open(const struct sf_channel *ch)
{
	return true;
}

int sf_channel_send(struct sf_channel *ch, const void *data, size_t len)
{
	struct sf_ctrl_in in;
	const char *why;

	expect(sf_ctrl_open(data, len, &in, &why) == 0);
	return 0;
}

void sf_channel_close(struct sf_channel *ch, const char *reason)
{
	abort(); /* everything is taken */
}

const char *sf_channel_peer(const struct sf_channel *ch)
{
	return "";
}

void sf_channel_free(struct sf_channel *ch)
{
}

int sf_channel_connect(struct event_base *base, const char *address,
		       const struct sf_channel_opts *opts, const struct sf_channel_ops *ops,
		       void *ctx, struct sf_channel **out, char *err, size_t errlen)
{
	return -EINVAL;
}

int sf_tls_client(const struct sf_tls_files *files, SSL_CTX **out, char *err, size_t errlen)
{
	return -EINVAL;
}

void sf_tls_free(SSL_CTX *ctx)
{
}

/* ---- what is said ---- */

static struct request from(unsigned int who, const void *data, size_t len)
{
	struct request q = { .data = data, .len = len, .ifindex = 1 + (int)(who & 1) };

	q.from.sin6_family = AF_INET6;
	q.from.sin6_port = htons(SF_CTRL_PORT);
	q.from.sin6_addr.s6_addr[0] = 0xfe;
	q.from.sin6_addr.s6_addr[1] = 0x80;
	q.from.sin6_addr.s6_addr[15] = (uint8_t)(1 + (who >> 1));
	return q;
}

static void say_raw(unsigned int who, const uint8_t *data, size_t len)
{
	uint8_t buf[SF_CTRL_MAX_UDP] __attribute__((aligned(8)));
	struct request q = from(who, buf, len < sizeof(buf) ? len : sizeof(buf));

	memcpy(buf, data, q.len);
	handle(&r, &q);
}

/* JOINED: the session from the host's side. */
static void finish_join(struct player *p, struct sf_dh *dh, uint64_t boot)
{
	struct sf_session_terms terms = { .boot = boot };
	uint8_t secret[SF_DH_LEN];
	struct sf_ctrl_in in;
	const char *why;

	expect(sf_ctrl_open(heard, heard_len, &in, &why) == 0);
	expect(!sf_ctrl_get(&in, SF_ITEM_NONCE, terms.nonce, sizeof(terms.nonce)) &&
	       !sf_ctrl_get(&in, SF_ITEM_SHARE, terms.router_share, SF_DH_LEN));
	sf_dh_public(dh, terms.host_share);
	expect(sf_dh_shared(dh, terms.router_share, secret) == 0);
	sf_session_close(&p->session);
	expect(sf_session_open(&p->session, SF_SESSION_HOST, secret, &terms) == 0);
}

/* A JOIN as it should be. @data: boot, what is added to the time, name. */
static void say_join(unsigned int who, const uint8_t *data, size_t len)
{
	struct player *p = &players[who % HOSTS];
	uint8_t buf[SF_CTRL_MAX_UDP] __attribute__((aligned(8))), share[SF_DH_LEN];
	uint64_t boot = len > 0 ? data[0] & 3 : 0;
	__be64 boot_be = sf_be64(boot), time = sf_be64(now + (len > 1 ? data[1] : 0));
	struct sf_ctrl_out o;
	struct request q;
	struct sf_dh *dh;

	expect(sf_dh_make(&dh) == 0);
	sf_dh_public(dh, share);
	sf_ctrl_begin(&o, buf, sizeof(buf), SF_CTRL_JOIN, (uint32_t)now, 0);
	sf_ctrl_put(&o, SF_ITEM_HOST_KEY, p->pub, sizeof(p->pub));
	sf_ctrl_put(&o, SF_ITEM_SHARE, share, sizeof(share));
	sf_ctrl_put(&o, SF_ITEM_BOOT, &boot_be, sizeof(boot_be));
	sf_ctrl_put(&o, SF_ITEM_TIME, &time, sizeof(time));
	if (len > 2)
		sf_ctrl_put(&o, SF_ITEM_NAME, data + 2, len - 2 < 200 ? len - 2 : 200);
	q = from(who, buf, (size_t)sf_join_sign(&o, p->key));
	heard_len = 0;
	handle(&r, &q);
	if (heard_len)
		finish_join(p, dh, boot);
	sf_dh_free(dh);
}

/* Within a session. @data: type, sequence number's difference, items. */
static void say_session(unsigned int who, const uint8_t *data, size_t len)
{
	struct player *p = &players[who % HOSTS];
	uint8_t buf[SF_CTRL_MAX_UDP] __attribute__((aligned(8)));
	struct sf_ctrl_out o;
	struct request q;
	size_t room;
	int n;

	if (len < 2 || !p->session.id)
		return;
	sf_session_begin(&p->session, &o, buf, sizeof(buf), data[0],
			 sf_session_next(&p->session, SF_SESSION_HOST) + data[1] % 4);
	room = sf_ctrl_room(&o);
	len = (len - 2) & ~(size_t)3;
	len = len < room ? len : room & ~(size_t)3;
	memcpy(o.at, data + 2, len);
	o.at += len;
	n = sf_session_seal(&p->session, &o);
	if (n < 0)
		return;
	q = from(who, buf, (size_t)n);
	handle(&r, &q);
}

static void say_controller(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1); /* as long as it is, and aligned */
	struct sf_ctrl_in in;
	const char *why;

	expect(copy != NULL);
	memcpy(copy, data, len);
	if (!sf_ctrl_open(copy, len, &in, &why) && controller_down_handle(&r, &in, copy, len))
		controller_down_drop(&r); /* it would be closed */
	r.uplink->welcomed = true;
	free(copy);
}

static void answer(bool alive)
{
	struct host *h = asked[0].h;
	heartbeat_fn told = asked[0].told;
	void *ctx = asked[0].ctx;

	if (!n_asked)
		return;
	memmove(asked, asked + 1, --n_asked * sizeof(asked[0]));
	told(&r, h, alive && h, ctx);
}

static void pass_time(unsigned int how)
{
	struct host *h, *tmp;

	now += 1u << how;
	HASH_ITER (hh, r.hosts->by_addr, h, tmp)
		if (h->state != HOST_ABSENT && now - h->seen_ms > 100000)
			host_dismiss(&r, h, SF_SILENT);
	rules_age(&r, now);
	rules_flush(&r);
}

static void clean_sync(void)
{
	controller_down_drop(&r);
	rules_take_older(&r, ++r.uplink->generation);
	rules_flush(&r);
}

/* ---- a run ---- */

static void start(void)
{
	static char dir[] = "/tmp/fuzz-router-XXXXXX";
	char err[256], command[64];

	expect(mkdtemp(dir) != NULL);
	expect(store_open(dir, &r.store, err, sizeof(err)) == 0);
	/* SQLite goes on with its open files, and nothing is left behind. */
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	expect(system(command) == 0);
	sf_log_set_level(SF_LOG_ERROR);
	r.config.roles = SF_ROLE_ACCESS | SF_ROLE_SERVICE;
	r.config.name = "r";
	r.config.services_max = 64;
	r.config.slots_max = 4096;
	r.place = (struct place){ .net = sf_net_default(1),
				  .block = 7,
				  .blocks = 1,
				  .heartbeat_ms = 1000,
				  .lease_ms = 60000 };
	r.own = sf_locator(&r.place.net, 7 << 16, 1);
	r.names.max = 256;
	expect(sf_sign_key_make(&r.key) == 0);
	sf_sign_key_public(r.key, r.public_key);
	for (int i = 0; i < HOSTS; i++) {
		expect(sf_sign_key_make(&players[i].key) == 0);
		sf_sign_key_public(players[i].key, players[i].pub);
	}
	for (int i = 0; i < LINKS; i++) {
		links[i].ifindex = i + 1;
		links[i].hosts_max = 3;
	}
	r.sessions = calloc(1, sizeof(*r.sessions));
	r.uplink = calloc(1, sizeof(*r.uplink));
	expect(r.sessions && r.uplink && rules_new(&r) == 0);
	r.uplink->channel = (struct sf_channel *)&r; /* anything but NULL */
	r.uplink->kept_end = &r.uplink->kept;
	r.uplink->welcomed = true;
	expect(hosts_load(&r, err, sizeof(err)) == 0);
}

static void check(void)
{
	uint32_t here = 0, on = 0;

	for (struct host *h = r.hosts->by_addr; h; h = h->hh.next) {
		here += h->state != HOST_ABSENT;
		expect((h->state != HOST_ABSENT) == (h->on != NULL));
	}
	for (int i = 1; i <= LINKS; i++) {
		expect(hosts_on(&r, i, NULL) <= links[i - 1].hosts_max);
		on += hosts_on(&r, i, NULL);
	}
	expect(here == r.hosts->here && on == here);
}

static void finish(void)
{
	hosts_forget(&r); /* also those whose twins wait to be let in */
	while (n_asked)
		answer(false);
	join_forget(&r);
	hosts_forget(&r);
	clean_sync();
	expect(!rules_count(&r) && !r.hosts->here && !r.hosts->by_addr && !r.hosts->by_key &&
	       !r.hosts->by_session && !r.hosts->by_link);
	for (int i = 0; i < HOSTS; i++)
		sf_session_close(&players[i].session);
	r.uplink->synced = false;
	r.place.term = r.place.number = 0;
	now += 100000; /* every extent has rested */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!r.store)
		start();
	while (size >= 3) {
		unsigned int what = data[0] % WHATS, how = data[0] / WHATS;
		size_t len = (size_t)data[1] << 8 | data[2];

		data += 3;
		size -= 3;
		len = len < size ? len : size;
		now++;
		if (what == SAY_RAW)
			say_raw(how, data, len);
		else if (what == SAY_JOIN)
			say_join(how, data, len);
		else if (what == SAY_SESSION)
			say_session(how, data, len);
		else if (what == SAY_CONTROLLER)
			say_controller(data, len);
		else if (what == ANSWER)
			answer(how & 1);
		else if (what == PASS_TIME)
			pass_time(how % 18);
		else
			clean_sync();
		check();
		data += len;
		size -= len;
	}
	finish();
	return 0;
}
