// SPDX-License-Identifier: Apache-2.0
/*
 * links_test.c - scaffold-router and its links: which are filtered, neighbours on one, how many
 * hosts and how many messages of each. Needs root (77 else).
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

#include "tests/router/fixture.h"

#define CONFIG "[router]\nname = r\nas = 7\nblock = 2a\n"

static struct guest *const a = &world.guests[0], *const b = &world.guests[1];

/* ---- links to hosts, links to routers ---- */

static json_int_t spoofed(void)
{
	return rest_number("/v1/counters", "reasons.spoofed-locator.packets");
}

static bool forwarded(void)
{
	return !shell(world.ns, "awk '/Ip6OutForwDatagrams/ { exit $2 == 0 }' /proc/net/snmp6");
}

/* A link where nobody has joined yet is no hole; one that leads to routers is let through. */
static void auto_links(void **state)
{
	struct sf_addr there, here;

	router_start(CONFIG);
	guest_join(b);
	there = sf_locator(&b->net, 0x00990001, 0x123456789abc);
	here = sf_locator(&b->net, sf_locator_host(&b->locator), 0x123456789abc);
	assert_true(rest_filtered("h0") && rest_filtered("h1"));
	guest_frame(a, NULL, &there, &b->locator);
	wait_for(spoofed() == 1);
	guest_frame(a, NULL, &here, &b->locator);
	wait_for(spoofed() == 2);
	assert_false(forwarded());

	/* a default route alone makes none of it */
	assert_int_equal(shell(world.ns, "ip -6 route add default via fe80::9 dev h0 && "
					 "ip -6 route add fd5c:0:7:99::/64 via fe80::9 dev h1"),
			 0);
	guest_frame(a, NULL, &there, &b->locator);
	wait_for(spoofed() == 3);
	assert_true(rest_filtered("h0"));
	assert_true(rest_filtered("h1")); /* a host is there: its neighbours are */

	assert_int_equal(shell(world.ns, "ip -6 route add fd5c:0:7:98::/64 via fe80::9 dev h0"), 0);
	wait_for(!rest_filtered("h0"));
	guest_frame(a, NULL, &there, &b->locator);
	wait_for(forwarded());
	/* while routes flap, and across restarts */
	assert_int_equal(shell(world.ns, "ip -6 route del fd5c:0:7:98::/64 && "
					 "ip -6 route add fd5c:0:7:97::/64 via fe80::9 dev h0"),
			 0);
	router_end(SIGKILL);
	router_start(CONFIG);
	assert_false(rest_filtered("h0"));
	assert_int_equal(spoofed(), 3);
	shell(world.ns, "ip -6 route del default; ip -6 route del fd5c:0:7:99::/64; "
			"ip -6 route del fd5c:0:7:97::/64");
}

/* Two hosts on one link: neither speaks as the other. */
static void neighbours(void **state)
{
	static const uint8_t fake[6] = { 2, 0, 0, 0, 0x0a, 1 }, moved[6] = { 2, 0, 0, 0, 0x0a, 2 };
	static const char counter[] = "reasons.spoofed-mac.packets";
	static struct guest beside;
	struct sf_addr here;

	router_start(CONFIG);
	guest_join(a);
	guest_join(b);
	here = sf_locator(&a->net, sf_locator_host(&a->locator), 0x123456789abc);
	guest_frame(a, fake, &here, &b->locator);
	guest_frame(a, NULL, &here, &b->locator);
	beside = *a; /* its sockets */
	beside.key = NULL;
	memset(&beside.session, 0, sizeof(beside.session));
	guest_key(&beside);
	guest_join(&beside);
	assert_int_equal(rest_number("/v1/counters", counter), 0); /* it was alone */
	guest_frame(a, NULL, &here, &b->locator);
	guest_frame(a, fake, &here, &b->locator);
	wait_for(rest_number("/v1/counters", counter) == 1);
	wait_for(rest_failures("spoofed-mac", "h0") == 1);

	/* known also to the next daemon, while it has not heard of the host */
	router_end(SIGKILL);
	router_start(CONFIG);
	guest_frame(a, fake, &here, &b->locator);
	wait_for(rest_number("/v1/counters", counter) == 2);
	guest_expect(a, SF_CTRL_REFRESH);
	guest_join(a);

	/* a host with another card is asked to join again, and goes on */
	assert_int_equal(shell(a->ns, "ip link set up0 address 02:00:00:00:0a:02"), 0);
	usleep(1100000); /* one REFRESH a second */
	guest_heartbeat(a, 0);
	guest_expect(a, SF_CTRL_REFRESH);
	guest_join(a);
	guest_frame(a, NULL, &here, &b->locator);
	wait_for(rest_number("/v1/counters", counter) == 3);
	guest_frame(a, moved, &here, &b->locator);
	guest_frame(a, fake, &here, &b->locator);
	wait_for(rest_number("/v1/counters", counter) == 4);
	assert_int_equal(shell(a->ns, "ip link set up0 address %02x:%02x:%02x:%02x:%02x:%02x",
			       a->mac[0], a->mac[1], a->mac[2], a->mac[3], a->mac[4], a->mac[5]),
			 0);
	sf_session_close(&beside.session);
	sf_sign_key_free(beside.key);
}

/* ---- room ---- */

/* On g's link with a key that is not g's; not used. Return: the answer's type. */
static int join_stranger(struct guest *g)
{
	static struct guest stranger;
	struct sf_dh *dh;
	int type;

	guest_key(&stranger);
	dh = guest_build_join(&stranger);
	guest_say(g, NULL, stranger.join, (size_t)stranger.join_len);
	while ((type = guest_hear(g, WAIT_MS)) >= 0)
		if (type == SF_CTRL_JOINED || type == SF_CTRL_DENIED)
			break;
	sf_dh_free(dh);
	return type;
}

static json_int_t hosts(void)
{
	return rest_number("/v1/status", "hosts");
}

static void link_full(void **state)
{
	router_start(CONFIG "[link h0]\nhosts_max = 3\n[link h1]\nhosts_max = 1\n");
	guest_join(a);
	/* who only asks for addresses takes no place from who uses one */
	for (int i = 0; i < 5; i++)
		assert_int_equal(join_stranger(a), SF_CTRL_JOINED);
	assert_int_equal(hosts(), 3);
	assert_true(host_is(a, "joined"));
	guest_heartbeat(a, 0);
	guest_join(a); /* it is there already */
	/* all places are used */
	guest_join(b);
	assert_int_equal(join_stranger(b), SF_CTRL_DENIED);
	assert_int_equal(guest_reason(b), SF_LINK_FULL);
	assert_int_equal(join_stranger(b), SF_CTRL_DENIED);
	assert_true(rest_event("denied", "link-full"));
	assert_int_equal(rest_number("/v1/counters", "control.refused.link-full"), 2);
	wait_for(rest_failures("link-full", NULL) == 2);
	guest_heartbeat(b, 0);
}

/* The machine dies: what the disk has not heard of is lost, and given to nobody else. */
static void machine_dies(void **state)
{
	struct sf_addr first;

	router_start(CONFIG);
	guest_join(a);
	first = a->locator;
	router_end(SIGKILL);
	assert_int_equal(shell(world.ns,
			       "%s --flush --run %s/run --bpffs %s/bpf --state %s/state && "
			       "python3 -c 'import sqlite3; d = sqlite3.connect(\"%s/state/"
			       "router.db\"); d.execute(\"delete from hosts\"); d.commit()'",
			       world.program, world.dir, world.dir, world.dir, world.dir),
			 0);
	router_start(CONFIG);
	guest_join(b);
	assert_false(sf_addr_eq(&b->locator, &first));
	guest_join(a);
	assert_false(sf_addr_eq(&a->locator, &b->locator));
}

/* The daemon dies between an answer and its use: nothing is left of it. */
static void killed_before_proof(void **state)
{
	router_start(CONFIG);
	guest_join(b);
	assert_int_equal(join_stranger(a), SF_CTRL_JOINED);
	sf_ctrl_get(&a->in, SF_ITEM_LOCATOR, &a->locator, sizeof(a->locator));
	router_end(SIGKILL);
	assert_true(route_exists(&a->locator));
	router_start(CONFIG);
	assert_false(route_exists(&a->locator));
	assert_int_equal(hosts(), 1);
	guest_join(a);
	assert_true(host_is(b, "restored"));
}

/* ---- floods ---- */

static json_int_t policed(void)
{
	return rest_number("/v1/counters", "reasons.policed.packets");
}

/* Messages of a session that nobody has, as long as they may be. */
static void flood(struct guest *g, int n)
{
	uint8_t junk[SF_CTRL_MAX_UDP] __attribute__((aligned(8))) = { 0 };
	struct sf_ctrl_out o;

	sf_ctrl_begin(&o, junk, sizeof(junk), SF_CTRL_HEARTBEAT, 1, 0x1234567812345678);
	while (n--)
		guest_say(g, &g->router, junk, sizeof(junk));
}

static void say_heartbeat(struct guest *g)
{
	uint8_t buf[64] __attribute__((aligned(8)));
	struct sf_ctrl_out o;

	sf_session_begin(&g->session, &o, buf, sizeof(buf), SF_CTRL_HEARTBEAT,
			 sf_session_next(&g->session, SF_SESSION_HOST));
	guest_say(g, &g->router, buf, (size_t)sf_session_seal(&g->session, &o));
}

/* One socket hears all links: what one says too much must not push out what another says, not even
 * while the daemon is busy. */
static void flood_of_one_link(void **state)
{
	router_start(CONFIG "heartbeat = 60s\n"); /* it is stopped for as long as it takes */
	guest_join(a);
	guest_join(b);
	kill(world.pid, SIGSTOP);
	flood(b, 20000);
	say_heartbeat(a);
	say_heartbeat(b); /* of its link, but with a session */
	kill(world.pid, SIGCONT);
	guest_expect(a, SF_CTRL_ALIVE);
	guest_expect(b, SF_CTRL_ALIVE);
	assert_true(policed() > 15000);
	wait_for(rest_failures("policed", "h1") > 15000);
	assert_int_equal(rest_failures("policed", "h0"), 0);
}

/* A host that is joined has a budget of its own, which ends, too. */
static void flood_of_one_session(void **state)
{
	router_start(CONFIG "message_rate = 10\n");
	guest_join(a);
	guest_join(b);
	for (int i = 0; i < 1000; i++)
		say_heartbeat(a);
	guest_heartbeat(b, 0);
	assert_true(policed() > 500);
}

static void say_last(struct guest *g, uint8_t *buf, size_t len, const char *mac)
{
	assert_int_equal(shell(g->ns, "ip link set up0 address %s", mac), 0);
	guest_say(g, &g->router, buf, len);
}

/* A neighbour who has overheard a session's id neither uses up its budget nor makes the router
 * believe that the host has another link address. */
static void flood_by_a_neighbour(void **state)
{
	uint8_t buf[64] __attribute__((aligned(8)));
	struct sf_ctrl_out o;
	uint32_t first;
	size_t len;
	char own[20];

	snprintf(own, sizeof(own), "%02x:%02x:%02x:%02x:%02x:%02x", a->mac[0], a->mac[1], a->mac[2],
		 a->mac[3], a->mac[4], a->mac[5]);
	router_start(CONFIG "message_rate = 10\nheartbeat = 60s\n");
	guest_join(a);
	kill(world.pid, SIGSTOP);
	first = sf_session_next(&a->session, SF_SESSION_HOST);
	sf_session_begin(&a->session, &o, buf, sizeof(buf), SF_CTRL_HEARTBEAT, first);
	len = (size_t)sf_session_seal(&a->session, &o);
	guest_say(a, &a->router, buf, len);
	say_last(a, buf, len, "02:00:00:00:0a:03"); /* the same again */
	buf[len - 1] ^= 1;			    /* and what nobody signed */
	for (int i = 0; i < 1000; i++)
		guest_say(a, &a->router, buf, len);
	assert_int_equal(shell(a->ns, "ip link set up0 address %s", own), 0);
	say_heartbeat(a); /* within its budget */
	kill(world.pid, SIGCONT);
	for (uint32_t answered = 0; answered != first + 1; answered = a->in.seq)
		assert_int_equal(guest_hear(a, WAIT_MS), SF_CTRL_ALIVE);
	assert_int_equal(guest_hear(a, 300), -1);
	assert_true(policed() > 100);
}

/* Signatures of a flood of JOINs are not even looked at. */
static void flood_of_joins(void **state)
{
	struct sf_dh *dh;

	router_start(CONFIG "join_rate = 5\n");
	guest_join(b);
	dh = guest_build_join(a);
	sf_dh_free(dh);
	a->join[a->join_len - 1] ^= 1;
	for (int i = 0; i < 2000; i++)
		guest_say(a, NULL, a->join, (size_t)a->join_len);
	guest_heartbeat(b, 0);
	assert_true(rest_number("/v1/counters", "control.refused.bad-signature") < 500);
	assert_true(policed() > 1000);
	guest_join(a); /* when it is over */
}

#define T(f) cmocka_unit_test_setup_teardown(f, test_setup, test_teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(auto_links),		 T(neighbours),		  T(link_full),
		T(machine_dies),	 T(killed_before_proof),  T(flood_of_one_link),
		T(flood_of_one_session), T(flood_by_a_neighbour), T(flood_of_joins),
	};

	return WORLD_MAIN(argc, argv, tests, NULL);
}
