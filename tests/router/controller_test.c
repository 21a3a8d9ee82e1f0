// SPDX-License-Identifier: Apache-2.0
/*
 * controller_test.c - scaffold-router and a controller that the test plays, over plain TCP
 * (util/channel.h has the framing). Needs root (77 else).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "router/rules.h"
#include "tests/router/fixture.h"
#include "util/clock.h"
#include "util/netns.h"

#define ADDRESS "2001:db8::1"
#define CONFIG	"[router]\nname = r\ncontroller = [" ADDRESS "]:24159\nplain = yes\n"
#define BLOCK	0x30
#define TERM	5

static const struct sf_sid web = { .w = { 0x01000000, 0x11223344, 0x55667788 } };
static const struct sf_sid mail = { .w = { 0x01000000, 0x99aabbcc, 0xddeeff00 } };
static struct guest *const a = &world.guests[0];

/* The controller. */
static int listener = -1, conn = -1;
static uint8_t frame[SF_CTRL_MAX] __attribute__((aligned(8)));
static struct sf_ctrl_in in;
static struct sf_net net;
static uint32_t number;

static int open_listener(void *ctx)
{
	struct sockaddr_in6 at = { .sin6_family = AF_INET6, .sin6_port = htons(24159) };
	int on = 1;

	inet_pton(AF_INET6, ADDRESS, &at.sin6_addr);
	listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (listener < 0 || bind(listener, (struct sockaddr *)&at, sizeof(at)) ||
	    listen(listener, 4))
		return -errno;
	return 0;
}

static void send_all(const void *data, size_t len)
{
	assert_int_equal(send(conn, data, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* Exactly @len bytes. Return: false at the end of the connection or after WAIT_MS. */
static bool receive_all(void *data, size_t len)
{
	struct pollfd p = { .fd = conn, .events = POLLIN };
	uint8_t *at = data;

	while (len) {
		ssize_t n = poll(&p, 1, WAIT_MS) == 1 ? recv(conn, at, len, 0) : -1;

		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

/* The next message. Return: its type, -1: none, or the connection ended. */
static int hear(void)
{
	const char *why;
	__be32 len;

	do {
		if (!receive_all(&len, sizeof(len)))
			return -1;
	} while (!len);
	assert_true(ntohl(len) <= sizeof(frame));
	if (!receive_all(frame, ntohl(len)))
		return -1;
	assert_int_equal(sf_ctrl_open(frame, ntohl(len), &in, &why), 0);
	return in.type;
}

static void expect(int type)
{
	int got;

	while ((got = hear()) != type)
		if (got < 0)
			fail_msg("no %s came", sf_ctrl_name((unsigned int)type));
}

static uint32_t heartbeat_ms;

static void begin(struct sf_ctrl_out *o, uint8_t *buf, uint8_t type, uint32_t term)
{
	struct sf_item_version v = { sf_be32(term), sf_be32(++number) };

	sf_ctrl_begin(o, buf, 4096, type, number, 0);
	sf_ctrl_put(o, SF_ITEM_VERSION, &v, sizeof(v));
}

static void end(struct sf_ctrl_out *o)
{
	int len = sf_ctrl_end(o);
	__be32 head = htonl((uint32_t)len);

	assert_true(len > 0);
	send_all(&head, sizeof(head));
	send_all(o->start, (size_t)len);
}

static void say(uint8_t type, uint32_t term)
{
	uint8_t buf[4096] __attribute__((aligned(8)));
	struct sf_ctrl_out o;

	begin(&o, buf, type, term);
	end(&o);
}

static void welcome(uint16_t block, uint32_t term)
{
	struct sf_item_block b = { .first = htons(block), .count = htons(1) };
	struct sf_item_timers t = { htonl(heartbeat_ms), htonl(5000), htonl(60000) };
	uint8_t buf[4096] __attribute__((aligned(8)));
	struct sf_hashkey key = { 3, 4 };
	struct sf_ctrl_out o;

	net = sf_net_default(9);
	begin(&o, buf, SF_CTRL_WELCOME, term);
	sf_ctrl_put(&o, SF_ITEM_BLOCK, &b, sizeof(b));
	sf_ctrl_put(&o, SF_ITEM_NET, &net, sizeof(net));
	sf_ctrl_put(&o, SF_ITEM_HASHKEY, &key, sizeof(key));
	sf_ctrl_put(&o, SF_ITEM_TIMERS, &t, sizeof(t));
	end(&o);
}

/* Up to and including WELCOME; HELLO is in @in meanwhile checked. */
static void accept_router(uint16_t block, uint32_t term)
{
	struct pollfd p = { .fd = listener, .events = POLLIN };
	const struct sf_item_router *r;
	__be32 zero = 0;

	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	conn = accept(listener, NULL, NULL);
	assert_true(conn >= 0);
	send_all(&zero, sizeof(zero));
	expect(SF_CTRL_HELLO);
	r = sf_ctrl_find(&in, SF_ITEM_ROUTER, NULL);
	assert_non_null(r);
	assert_false(sf_sid_is_zero(&r->id));
	assert_false(sf_addr_is_zero(&r->addr));
	assert_int_equal(r->roles, SF_ROLE_ACCESS | SF_ROLE_SERVICE);
	assert_non_null(sf_ctrl_find(&in, SF_ITEM_BLOCK, NULL));
	assert_non_null(sf_ctrl_find(&in, SF_ITEM_NAME, NULL));
	welcome(block, term);
}

static void hang_up(void)
{
	close(conn);
	conn = -1;
}

static uint16_t move_grace; /* of the services in RULES, tenths of a second */

/* RULES for a service's TCP port 80 with @n instances, hosts first..., of @weight. */
static void rules(const struct sf_sid *sid, const struct sf_addr *list, unsigned int n,
		  uint16_t weight)
{
	struct sf_item_service s = { .sid = *sid,
				     .proto = 6,
				     .port = htons(80),
				     .instances = htons((uint16_t)n),
				     .move_grace = htons(move_grace) };
	uint8_t buf[4096] __attribute__((aligned(8)));
	struct sf_ctrl_out o;

	begin(&o, buf, SF_CTRL_RULES, TERM);
	sf_ctrl_put(&o, SF_ITEM_SERVICE, &s, sizeof(s));
	for (unsigned int i = 0; i < n; i++) {
		struct sf_item_instance item = { .locator = list[i], .weight = htons(weight) };

		sf_ctrl_put(&o, SF_ITEM_INSTANCE, &item, sizeof(item));
	}
	end(&o);
}

static size_t instances(const struct sf_sid *sid)
{
	return rest_instances(sid, 80);
}

static bool is_known(const struct sf_sid *sid)
{
	json_t *list = rest_service(sid, 80);
	bool known = list;

	json_decref(list);
	return known;
}

static int setup(void **state)
{
	router_fresh();
	guest_key(a);
	number = 0;
	heartbeat_ms = 1000;
	move_grace = 0;
	return 0;
}

static int teardown(void **state)
{
	if (conn >= 0)
		hang_up();
	if (world.pid)
		router_end(SIGTERM);
	return 0;
}

static void synced(void)
{
	router_start(CONFIG);
	accept_router(BLOCK, TERM);
	expect(SF_CTRL_UP_SYNCED);
	say(SF_CTRL_SYNC_BEGIN, TERM);
	say(SF_CTRL_SYNC_END, TERM);
	wait_for(rest_event("controller-synced", NULL));
}

/* ---- tests ---- */

/* The place comes from the controller; what hosts do goes up. */
static void place_and_events(void **state)
{
	const struct sf_item_registration *reg;
	const struct sf_item_host *host;

	synced();
	guest_join(a);
	assert_int_equal(ntohs(a->net.as[2]), 9);
	assert_int_equal(sf_locator_host(&a->locator) >> 16, BLOCK);
	expect(SF_CTRL_HOST_JOINED);
	host = sf_ctrl_find(&in, SF_ITEM_HOST, NULL);
	assert_non_null(host);
	assert_true(sf_addr_eq(&host->locator, &a->locator));
	assert_true(sf_sid_eq(&host->identity, &a->identity));
	assert_true(sf_be64(host->boot) == a->boot);
	assert_int_equal(guest_register(a, SF_CTRL_REGISTER, &web, 6, 80), SF_NONE);
	expect(SF_CTRL_HOST_REGISTERED);
	reg = sf_ctrl_find(&in, SF_ITEM_REGISTRATION, NULL);
	assert_non_null(reg);
	assert_true(sf_sid_eq(&reg->sid, &web) && reg->proto == 6 && reg->port == htons(80));
	assert_int_equal(guest_register(a, SF_CTRL_UNREGISTER, &web, 6, 80), SF_NONE);
	expect(SF_CTRL_HOST_UNREGISTERED);
	say(SF_CTRL_PING, TERM);
	expect(SF_CTRL_PONG);
	assert_non_null(sf_ctrl_find(&in, SF_ITEM_VERSION, NULL));
	assert_int_equal(shell(a->ns, "ip link set up0 down"), 0);
	expect(SF_CTRL_HOST_LEFT);
	assert_int_equal(
		((const struct sf_item_reason *)sf_ctrl_find(&in, SF_ITEM_REASON, NULL))->reason,
		SF_LINK_DOWN);
}

/* What the router drops is the controller's news, too. */
static void failures(void **state)
{
	const struct sf_item_failure *f;
	struct sf_addr other;
	uint16_t len;

	synced();
	guest_join(a);
	other = sf_locator(&net, 0x00770001, 0x123456789abcull);
	guest_frame(a, NULL, &other, &a->locator);
	expect(SF_CTRL_FAILURES);
	f = sf_ctrl_find(&in, SF_ITEM_FAILURE, NULL);
	assert_non_null(f);
	assert_int_equal(f->reason, SF_SPOOFED_LOCATOR);
	assert_int_equal(sf_be64(f->count), 1);
	assert_true(sf_be32(f->interval_ms) > 0 && sf_be32(f->interval_ms) < 60000);
	assert_memory_equal(sf_ctrl_find(&in, SF_ITEM_NAME, &len), "h0", 2);
	assert_int_equal(len, 2);
}

/* The controller's list, our own knowledge, and which counts when. */
static void who_serves(void **state)
{
	struct sf_addr list[3];

	synced();
	guest_join(a);
	list[0] = sf_locator(&net, 0x990001, 0);
	list[1] = sf_locator(&net, 0x990002, 0);
	list[2] = a->locator;
	/* ours alone, before the controller says a word */
	assert_int_equal(guest_register(a, SF_CTRL_REGISTER, &web, 6, 80), SF_NONE);
	assert_int_equal(instances(&web), 1);
	rules(&web, list, 3, 100);
	wait_for(instances(&web) == 3);
	/* it leaves ours out, of which it has heard: its word counts at once */
	rules(&web, list, 2, 100);
	say(SF_CTRL_PING, TERM);
	expect(SF_CTRL_PONG);
	assert_int_equal(instances(&web), 2);
	rules(&web, list, 3, 100);
	wait_for(instances(&web) == 3);
	/* it has not heard of ours: that takes a moment, then its word counts */
	assert_int_equal(guest_register(a, SF_CTRL_UNREGISTER, &web, 6, 80), SF_NONE);
	rules(&web, list, 2, 100);
	wait_for(instances(&web) == 2);
	assert_int_equal(guest_register(a, SF_CTRL_REGISTER, &web, 6, 80), SF_NONE);
	rules(&web, list, 2, 10);
	say(SF_CTRL_PING, TERM);
	expect(SF_CTRL_PONG);
	assert_int_equal(instances(&web), 3);
	wait_for(instances(&web) == 2);
	rules(&web, list, 3, 100);
	wait_for(instances(&web) == 3);
	/* ours goes: at once, whatever the list says */
	assert_int_equal(guest_register(a, SF_CTRL_UNREGISTER, &web, 6, 80), SF_NONE);
	assert_int_equal(instances(&web), 2);
	/* known, but nobody takes flows */
	rules(&mail, NULL, 0, 0);
	wait_for(is_known(&mail));
	assert_int_equal(instances(&mail), 0);
}

static void sync_at_once(void **state)
{
	struct sf_addr list[2];

	synced();
	list[0] = sf_locator(&net, 0x990001, 0);
	list[1] = sf_locator(&net, 0x990002, 0);
	rules(&web, list, 2, 100);
	wait_for(instances(&web) == 2);
	say(SF_CTRL_SYNC_BEGIN, TERM);
	rules(&mail, list, 1, 100);
	say(SF_CTRL_PING, TERM); /* when it is answered, all before it was heard */
	expect(SF_CTRL_PONG);
	assert_int_equal(instances(&web), 2);
	assert_false(is_known(&mail));
	say(SF_CTRL_SYNC_END, TERM);
	say(SF_CTRL_PING, TERM);
	expect(SF_CTRL_PONG);
	assert_false(is_known(&web));
	assert_int_equal(instances(&mail), 1);
	/* a sync that is cut off changes nothing */
	say(SF_CTRL_SYNC_BEGIN, TERM);
	hang_up();
	accept_router(BLOCK, TERM);
	expect(SF_CTRL_UP_SYNCED);
	assert_int_equal(instances(&mail), 1);
}

static void put_route(uint8_t type, const char *prefix, uint8_t len, const char *via)
{
	struct sf_item_route route = { .len = len };
	uint8_t buf[4096] __attribute__((aligned(8)));
	struct sf_ctrl_out o;

	assert_int_equal(sf_addr_parse(prefix, &route.prefix), 0);
	assert_int_equal(sf_addr_parse(via, &route.via), 0);
	begin(&o, buf, type, TERM);
	sf_ctrl_put(&o, SF_ITEM_ROUTE, &route, sizeof(route));
	end(&o);
}

static bool route_by(const char *prefix, const char *dev)
{
	return !shell(world.ns, "ip -6 route show %s proto 213 | grep -q 'dev %s'", prefix, dev);
}

static bool no_route(const char *prefix)
{
	return shell(world.ns, "ip -6 route show %s proto 213 | grep -q .", prefix);
}

/* Next hops follow the underlay's FIB, whoever fills it. */
static void routes(void **state)
{
	synced();
	put_route(SF_CTRL_ROUTES, "fd5c:0:9:99::", 64, "2001:db8:5::1");
	say(SF_CTRL_PING, TERM);
	expect(SF_CTRL_PONG);
	assert_true(no_route("fd5c:0:9:99::/64"));
	assert_int_equal(shell(world.ns, "ip -6 route add 2001:db8:5::/64 via fe80::5 dev h1"), 0);
	wait_for(route_by("fd5c:0:9:99::/64", "h1"));
	/* that link leads to another router: its hosts come in by it */
	wait_for(!rest_filtered("h1"));
	assert_true(rest_filtered("h0"));
	assert_int_equal(shell(world.ns, "ip -6 route replace 2001:db8:5::/64 via fe80::6 dev h0"),
			 0);
	wait_for(route_by("fd5c:0:9:99::/64", "h0"));
	/* two ways */
	assert_int_equal(shell(world.ns, "ip -6 route add 2001:db8:6::/64 via fe80::7 dev h1"), 0);
	put_route(SF_CTRL_ROUTES, "fd5c:0:9:99::", 64, "2001:db8:6::1");
	wait_for(!shell(world.ns, "ip -6 route show fd5c:0:9:99::/64 proto 213 | grep -c fe80 | "
				  "grep -q 2"));
	put_route(SF_CTRL_ROUTES_GONE, "fd5c:0:9:99::", 64, "2001:db8:5::1");
	wait_for(!shell(world.ns, "ip -6 route show fd5c:0:9:99::/64 proto 213 | grep -c fe80 | "
				  "grep -q 1"));
	put_route(SF_CTRL_ROUTES_GONE, "fd5c:0:9:99::", 64, "2001:db8:6::1");
	wait_for(no_route("fd5c:0:9:99::/64"));
	/* what an earlier daemon left goes with the first sync of the next */
	put_route(SF_CTRL_ROUTES, "fd5c:0:9:98::", 64, "2001:db8:6::1");
	wait_for(route_by("fd5c:0:9:98::/64", "h1"));
	router_end(SIGKILL);
	hang_up();
	router_start(CONFIG);
	assert_true(route_by("fd5c:0:9:98::/64", "h1"));
	accept_router(BLOCK, TERM);
	say(SF_CTRL_SYNC_BEGIN, TERM);
	say(SF_CTRL_SYNC_END, TERM);
	wait_for(no_route("fd5c:0:9:98::/64"));
	shell(world.ns, "ip -6 route del 2001:db8:5::/64; ip -6 route del 2001:db8:6::/64");
}

static void verdict(uint8_t reason)
{
	struct sf_item_host host = { .locator = a->locator, .identity = a->identity };
	struct sf_item_result result = {
		.sid = web, .proto = 6, .port = htons(80), .reason = reason
	};
	uint8_t buf[4096] __attribute__((aligned(8)));
	struct sf_ctrl_out o;

	begin(&o, buf, SF_CTRL_VERDICTS, TERM);
	sf_ctrl_put(&o, SF_ITEM_HOST, &host, sizeof(host));
	sf_ctrl_put(&o, SF_ITEM_RESULT, &result, sizeof(result));
	end(&o);
}

static void verdicts(void **state)
{
	const struct sf_item_result *result;

	synced();
	guest_join(a);
	assert_int_equal(guest_register(a, SF_CTRL_REGISTER, &web, 6, 80), SF_NONE);
	verdict(SF_DENIED_POLICY);
	guest_expect(a, SF_CTRL_REGISTERED);
	assert_true(a->in.seq > SF_SESSION_UNSOLICITED);
	result = sf_ctrl_find(&a->in, SF_ITEM_RESULT, NULL);
	assert_int_equal(result->reason, SF_DENIED_POLICY);
	assert_int_equal(instances(&web), 0);
	/* the digest is without it, and asking again does not help */
	guest_heartbeat(a, 0);
	result = sf_ctrl_find(&a->in, SF_ITEM_RESULT, NULL);
	assert_non_null(result);
	assert_int_equal(guest_register(a, SF_CTRL_REGISTER, &web, 6, 80), SF_DENIED_POLICY);
	verdict(SF_NONE);
	guest_expect(a, SF_CTRL_REGISTERED);
	wait_for(instances(&web) == 1);
}

static uint32_t shed_number(const struct sf_ctrl_in *told)
{
	const struct sf_item_shed *item = sf_ctrl_find(told, SF_ITEM_SHED, NULL);

	return item ? sf_be32(item->number) : 0;
}

static void shed(const struct sf_sid *identity)
{
	struct sf_item_host host = { .locator = a->locator, .identity = *identity };
	struct sf_item_shed item = { .sid = web, .proto = 6, .port = htons(80) };
	uint8_t buf[4096] __attribute__((aligned(8)));
	struct sf_ctrl_out o;

	begin(&o, buf, SF_CTRL_SHED, TERM);
	sf_ctrl_put(&o, SF_ITEM_HOST, &host, sizeof(host));
	sf_ctrl_put(&o, SF_ITEM_SHED, &item, sizeof(item));
	end(&o);
}

/* The host is told at once, and with each heartbeat until it says that it is done. */
static void sheds(void **state)
{
	uint32_t first;

	synced();
	guest_join(a);
	assert_int_equal(guest_register(a, SF_CTRL_REGISTER, &web, 6, 80), SF_NONE);
	shed(&mail); /* another host than is there now */
	shed(&a->identity);
	guest_expect(a, SF_CTRL_SHED);
	assert_true(a->in.seq > SF_SESSION_UNSOLICITED);
	first = shed_number(&a->in);
	assert_int_not_equal(first, 0);
	guest_heartbeat(a, 0);
	assert_int_equal(shed_number(&a->in), first);
	guest_heartbeat_shed(a, first);
	guest_heartbeat(a, 0);
	assert_int_equal(shed_number(&a->in), 0);
	/* Once more is another time. */
	shed(&a->identity);
	guest_expect(a, SF_CTRL_SHED);
	assert_int_equal(shed_number(&a->in), first + 1);
	guest_heartbeat_shed(a, first);
	guest_heartbeat(a, 0);
	assert_int_equal(shed_number(&a->in), first + 1);
}

static void lower_term(void **state)
{
	struct sf_addr list[1];

	synced();
	list[0] = sf_locator(&net, 0x990001, 0);
	rules(&web, list, 1, 100);
	wait_for(instances(&web) == 1);
	say(SF_CTRL_SYNC_BEGIN, TERM - 1);
	assert_int_equal(hear(), -1);
	hang_up();
	/* the same after a restart: the term is kept */
	router_end(SIGKILL);
	router_start(CONFIG);
	accept_router(BLOCK, TERM - 1);
	assert_int_equal(hear(), -1);
	hang_up();
	assert_int_equal(instances(&web), 1);
	accept_router(BLOCK, TERM + 1);
	expect(SF_CTRL_UP_SYNCED);
}

/* The @n-th TIME of what came, milliseconds since 1970; 0: there is none. */
static uint64_t time_told(unsigned int n)
{
	__be64 time;

	sf_ctrl_foreach (&in, it) {
		if (it.type != SF_ITEM_TIME || n--)
			continue;
		memcpy(&time, it.value, sizeof(time));
		return sf_be64(time);
	}
	return 0;
}

/* A host whose agent is silent while its datapath answers: the controller hears so, also one that
 * comes later, and since when the host and its registrations are here. */
static void silence_is_told(void **state)
{
	const struct sf_item_reason *why;
	uint64_t joined, later;
	char text[SF_ADDR_STRLEN];

	heartbeat_ms = 100;
	synced();
	guest_join(a);
	expect(SF_CTRL_HOST_JOINED);
	joined = time_told(0);
	assert_true(joined && joined <= sf_wall_ms());
	assert_null(sf_ctrl_find(&in, SF_ITEM_REASON, NULL));
	assert_int_equal(guest_register(a, SF_CTRL_REGISTER, &web, 6, 80), SF_NONE);
	assert_int_equal(shell(a->ns,
			       "ip -6 addr add %s/128 dev lo && ip -6 route replace default "
			       "via $(ip -6 neigh show dev up0 | grep -o 'fe80[^ ]*' | head "
			       "-1) dev up0",
			       sf_addr_print(&a->locator, text)),
			 0);
	assert_true(guest_answer_probes(a, WAIT_MS));
	expect(SF_CTRL_HOST_JOINED);
	why = sf_ctrl_find(&in, SF_ITEM_REASON, NULL);
	assert_non_null(why);
	assert_int_equal(why->reason, SF_SILENT);
	assert_true(time_told(1) >= joined && time_told(1) < sf_wall_ms());
	later = sf_wall_ms();
	hang_up();
	accept_router(BLOCK, TERM + 1);
	expect(SF_CTRL_HOST_JOINED);
	assert_non_null(sf_ctrl_find(&in, SF_ITEM_REASON, NULL));
	assert_true(time_told(0) && time_told(0) < later);
	expect(SF_CTRL_HOST_REGISTERED);
	assert_true(time_told(0) && time_told(0) < later);
	expect(SF_CTRL_UP_SYNCED);
	guest_heartbeat(a, 0);
	expect(SF_CTRL_HOST_JOINED);
	assert_null(sf_ctrl_find(&in, SF_ITEM_REASON, NULL));
}

/* Without a controller all goes on, and own hosts are served at once. */
static void controller_gone(void **state)
{
	struct sf_addr list[1];

	synced();
	list[0] = sf_locator(&net, 0x990001, 0);
	rules(&web, list, 1, 100);
	wait_for(instances(&web) == 1);
	hang_up();
	wait_for(rest_event("controller-lost", NULL));
	router_end(SIGKILL);
	close(listener);
	router_start(CONFIG);
	assert_int_equal(instances(&web), 1);
	guest_join(a);
	assert_int_equal(sf_locator_host(&a->locator) >> 16, BLOCK);
	assert_int_equal(guest_register(a, SF_CTRL_REGISTER, &web, 6, 80), SF_NONE);
	assert_int_equal(instances(&web), 2);
	usleep((FRESH_MS + 500) * 1000);
	assert_int_equal(instances(&web), 2);
	/* it comes back, and hears of everything */
	assert_int_equal(sf_netns_run(world.ns, open_listener, NULL), 0);
	accept_router(BLOCK, TERM + 1);
	expect(SF_CTRL_HOST_JOINED);
	expect(SF_CTRL_HOST_REGISTERED);
	expect(SF_CTRL_UP_SYNCED);
}

/* What the router says by itself of a service's move_grace; -1: nothing. */
static int64_t grace_found(const struct sf_sid *sid)
{
	const struct sf_item_timers *t;

	guest_look_up(a, sid);
	guest_expect(a, SF_CTRL_FOUND);
	t = sf_ctrl_find(&a->in, SF_ITEM_TIMERS, NULL);
	return t ? (int64_t)ntohl(t->move_grace_ms) : -1;
}

/* A policy outlives its controller, and nothing is said by who does not know it. */
static void policy_without_controller(void **state)
{
	struct sf_item_timers t = { 0, htonl(1234), 0 };
	uint8_t buf[4096] __attribute__((aligned(8)));
	struct sf_addr list[1];
	struct sf_ctrl_out o;

	synced();
	guest_join(a);
	list[0] = sf_locator(&net, 0x990001, 0);
	rules(&mail, list, 1, 100);
	move_grace = 25;
	rules(&web, list, 1, 100);
	wait_for(instances(&web) == 1);
	/* The controller's word goes through as it is. */
	guest_look_up(a, &web);
	expect(SF_CTRL_LOOKUP);
	sf_ctrl_begin(&o, buf, sizeof(buf), SF_CTRL_FOUND, in.seq, 0);
	sf_ctrl_put(&o, SF_ITEM_HOST, sf_ctrl_find(&in, SF_ITEM_HOST, NULL),
		    sizeof(struct sf_item_host));
	sf_ctrl_put(&o, SF_ITEM_TIMERS, &t, sizeof(t));
	end(&o);
	guest_expect(a, SF_CTRL_FOUND);
	assert_memory_equal(sf_ctrl_find(&a->in, SF_ITEM_TIMERS, NULL), &t, sizeof(t));
	hang_up();
	close(listener);
	wait_for(rest_event("controller-lost", NULL));
	assert_int_equal(grace_found(&web), 2500);
	assert_int_equal(grace_found(&mail), SF_GRACE_UNSET);
	router_end(SIGKILL);
	router_start(CONFIG);
	guest_join(a);
	assert_int_equal(instances(&web), 1);
	assert_int_equal(grace_found(&web), -1);
	assert_int_equal(sf_netns_run(world.ns, open_listener, NULL), 0);
}

/* Another block: everybody gets a new address. */
static void renumbered(void **state)
{
	synced();
	guest_join(a);
	hang_up();
	accept_router(BLOCK + 1, TERM);
	wait_for(rest_number("/v1/status", "hosts") == 0);
	assert_false(route_exists(&a->locator));
	guest_join(a);
	assert_int_equal(sf_locator_host(&a->locator) >> 16, BLOCK + 1);
}

/* A JOIN waits until it is known whether its key's other host lives. That one's entry goes. */
static void twin_is_forgotten(void **state)
{
	struct guest *b = &world.guests[1];
	json_int_t heard;
	struct sf_dh *dh;

	synced();
	guest_join(a);
	guest_become(b, a);
	b->boot = a->boot + 1;
	heard = rest_number("/v1/counters", "control.messages");
	dh = guest_build_join(b);
	guest_say(b, NULL, b->join, (size_t)b->join_len);
	wait_for(rest_number("/v1/counters", "control.messages") > heard);
	welcome(BLOCK + 1, TERM);
	guest_expect(b, SF_CTRL_JOINED); /* it was said once */
	sf_dh_free(dh);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* The controller's address, and its port. */
static int controller_place(void **state)
{
	return shell(world.ns, "ip -6 addr add " ADDRESS "/128 dev lo nodad") ||
	       sf_netns_run(world.ns, open_listener, NULL);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(place_and_events),
		T(failures),
		T(who_serves),
		T(sync_at_once),
		T(routes),
		T(verdicts),
		T(sheds),
		T(lower_term),
		T(controller_gone),
		T(policy_without_controller),
		T(renumbered),
		T(twin_is_forgotten),
		T(silence_is_told),
	};

	return WORLD_MAIN(argc, argv, tests, controller_place);
}
