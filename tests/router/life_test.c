// SPDX-License-Identifier: Apache-2.0
/*
 * life_test.c - hosts that fall silent, leave, reboot, move, are cloned; a router that is killed.
 * Needs root (77 else).
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>
#include <sqlite3.h>

#include "tests/router/fixture.h"

#define CONFIG	     "[router]\nname = r\nas = 7\nblock = 2a\n"
#define CONFIG_QUICK CONFIG "heartbeat = 100ms\nlease = 1s\n"

static const struct sf_sid web = { .w = { 0x01000000, 0x11223344, 0x55667788 } };
static const struct sf_sid mail = { .w = { 0x01000000, 0x99aabbcc, 0xddeeff00 } };
static struct guest *const a = &world.guests[0], *const b = &world.guests[1];

/* ---- silence ---- */

static void silent_and_dead(void **state)
{
	router_start(CONFIG_QUICK);
	guest_join(a);
	assert_int_equal(guest_register(a, SF_CTRL_REGISTER, &web, 6, 80), SF_NONE);
	wait_for(host_is(a, "absent"));
	assert_true(rest_event("host-left", "silent"));
	assert_false(route_exists(&a->locator));
	assert_null(rest_service(&web, 80));
	assert_null(rest_service(&a->identity, 0));
}

/* The agent is dead, the datapath lives: routes stay, registrations for a lease. */
static void silent_but_alive(void **state)
{
	router_start(CONFIG_QUICK);
	guest_join(a);
	guest_configure(a);
	assert_int_equal(guest_register(a, SF_CTRL_REGISTER, &web, 6, 80), SF_NONE);
	assert_true(guest_answer_probes(a, WAIT_MS));
	wait_for(rest_event("host-silent", "silent"));
	assert_int_equal(rest_instances(&web, 80), 1);
	for (int i = 0; i < 100 && !rest_event("lease-ended", NULL); i++)
		guest_answer_probes(a, 500);
	assert_true(rest_event("lease-ended", NULL));
	assert_null(rest_service(&web, 80));
	assert_int_equal(rest_instances(&a->identity, 0), 1);
	assert_true(route_exists(&a->locator));
	assert_true(host_is(a, "joined"));
	/* and its agent may come back to its session */
	assert_int_equal(guest_register(a, SF_CTRL_REGISTER, &web, 6, 80), SF_NONE);
	assert_int_equal(rest_instances(&web, 80), 1);
}

/* What answers no PROBE of ours is no sign of life, be it from the right place; a FAIL of one is.
 */
static void silent_and_guessing(void **state)
{
	router_start(CONFIG_QUICK);
	guest_join(a);
	guest_configure(a);
	guest_answer = ANSWER_FAIL;
	assert_true(guest_answer_probes(a, WAIT_MS));
	wait_for(rest_event("host-silent", "silent"));
	guest_answer = ANSWER_OTHER_IDENT;
	for (int i = 0; i < 100 && !host_is(a, "absent"); i++)
		guest_answer_probes(a, 100);
	guest_answer = ANSWER_ACK;
	assert_true(host_is(a, "absent"));
}

static void carrier(void **state)
{
	router_start(CONFIG);
	guest_join(a);
	assert_int_equal(guest_register(a, SF_CTRL_REGISTER, &web, 6, 80), SF_NONE);
	assert_int_equal(shell(a->ns, "ip link set up0 down"), 0);
	wait_for(host_is(a, "absent"));
	assert_true(rest_event("host-left", "link-down"));
	assert_false(route_exists(&a->locator));
	assert_null(rest_service(&web, 80));
	assert_int_equal(shell(a->ns, "ip link set up0 up"), 0);
	guest_join(a);
	assert_true(route_exists(&a->locator));
}

static void leave(void **state)
{
	uint8_t buf[256] __attribute__((aligned(8)));
	struct sf_ctrl_out o;
	int len;

	router_start(CONFIG);
	guest_join(a);
	sf_session_begin(&a->session, &o, buf, sizeof(buf), SF_CTRL_LEAVE,
			 sf_session_next(&a->session, SF_SESSION_HOST));
	len = sf_session_seal(&a->session, &o);
	guest_say(a, &a->router, buf, (size_t)len);
	guest_expect(a, SF_CTRL_LEFT);
	wait_for(host_is(a, "absent"));
	assert_false(route_exists(&a->locator));
	guest_say(a, &a->router, buf, (size_t)len); /* again: there is no session any more */
	guest_expect(a, SF_CTRL_DENIED);
	assert_int_equal(guest_reason(a), SF_NO_SESSION);
}

/* ---- several uplinks ---- */

/* A host that is somewhere else in the first place has a place here, and no services, until it
 * registers its identity. What it had registered before goes with its first heartbeat. */
static void standby(void **state)
{
	json_t *known;

	router_start(CONFIG);
	guest_join(a);
	assert_int_equal(guest_register(a, SF_CTRL_REGISTER, &a->identity, 0, 0), SF_NONE);
	assert_int_equal(guest_register(a, SF_CTRL_REGISTER, &web, 6, 80), SF_NONE);
	known = rest_service(&a->identity, 0);
	assert_non_null(known);
	json_decref(known);
	a->standby = true;
	guest_join(a);
	known = rest_service(&web, 80);
	assert_non_null(known); /* not by the JOIN, which anybody can repeat */
	json_decref(known);
	guest_heartbeat(a, 0);
	wait_for(!rest_service(&web, 80));
	assert_null(rest_service(&a->identity, 0));
	assert_true(route_exists(&a->locator));
	assert_int_equal(guest_register(a, SF_CTRL_REGISTER, &a->identity, 0, 0), SF_NONE);
	known = rest_service(&a->identity, 0);
	assert_non_null(known);
	json_decref(known);
}

/* Two links of a host to one router: it is by the first, until that has gone. */
static void second_link(void **state)
{
	struct sf_addr first;
	struct sf_dh *dh;

	router_start(CONFIG);
	guest_join(a);
	first = a->locator;
	guest_become(b, a);
	b->boot = a->boot;
	b->standby = true;
	dh = guest_build_join(b);
	guest_say(b, NULL, b->join, (size_t)b->join_len);
	guest_expect(b, SF_CTRL_DENIED);
	assert_int_equal(guest_reason(b), SF_HERE_ALREADY);
	sf_dh_free(dh);
	guest_heartbeat(a, 0); /* is not disturbed by it */
	assert_int_equal(shell(a->ns, "ip link set up0 down"), 0);
	wait_for(host_is(a, "absent"));
	guest_join(b);
	assert_true(sf_addr_eq(&b->locator, &first));
	assert_null(rest_service(&b->identity, 0));
	/* As its only place it is taken at any link, as ever. */
	assert_int_equal(shell(a->ns, "ip link set up0 up"), 0);
	guest_join(a);
	assert_true(sf_addr_eq(&a->locator, &first));
	assert_true(host_is(a, "joined"));
}

/* ---- one key twice ---- */

/* The same machine after a reboot, on another link: its old self is dead. */
static void reboot_elsewhere(void **state)
{
	struct sf_addr first;

	router_start(CONFIG);
	guest_join(a);
	assert_int_equal(guest_register(a, SF_CTRL_REGISTER, &web, 6, 80), SF_NONE);
	first = a->locator;
	guest_become(b, a);
	guest_join(b);
	assert_true(sf_addr_eq(&b->locator, &first));
	assert_null(rest_service(&web, 80)); /* sockets do not survive a reboot */
	assert_false(rest_event("alarm", NULL));
	guest_heartbeat(b, 0);
}

static void reboot_in_place(void **state)
{
	struct sf_addr first;

	router_start(CONFIG);
	guest_join(a);
	assert_int_equal(guest_register(a, SF_CTRL_REGISTER, &web, 6, 80), SF_NONE);
	first = a->locator;
	a->boot++;
	guest_join(a);
	assert_true(sf_addr_eq(&a->locator, &first));
	assert_null(rest_service(&web, 80));
	assert_true(rest_event("host-rebooted", NULL));
}

/* A clone: the first keeps the address, the second gets another, and there is an alarm. */
static void clone(void **state)
{
	struct sf_addr first;
	struct sf_dh *dh;

	router_start(CONFIG);
	guest_join(a);
	first = a->locator;
	guest_configure(a);
	guest_become(b, a);
	dh = guest_build_join(b);
	guest_say(b, NULL, b->join, (size_t)b->join_len);
	assert_true(guest_answer_probes(a, WAIT_MS));
	guest_expect(b, SF_CTRL_JOINED);
	guest_finish_join(b, dh);
	assert_false(sf_addr_eq(&b->locator, &first));
	assert_true(rest_event("alarm", "cloned"));
	assert_true(route_exists(&first));
	assert_true(route_exists(&b->locator));
	guest_heartbeat(a, 0);
	guest_heartbeat(b, 0);
}

/* The same life, another link: a move, not a clone. */
static void move(void **state)
{
	struct sf_addr first;

	router_start(CONFIG);
	guest_join(a);
	assert_int_equal(guest_register(a, SF_CTRL_REGISTER, &web, 6, 80), SF_NONE);
	first = a->locator;
	guest_become(b, a);
	b->boot = a->boot;
	guest_join(b);
	assert_true(sf_addr_eq(&b->locator, &first));
	assert_int_equal(rest_instances(&web, 80), 1);
	assert_int_equal(shell(world.ns, "ip -6 route show %s/80 | grep -q 'dev h1'",
			       sf_addr_print(&first, (char[SF_ADDR_STRLEN]){ 0 })),
			 0);
	guest_heartbeat(b, sf_registration_digest(&web, 6, htons(80)));
}

/* ---- restarts ---- */

static void killed(void **state)
{
	struct sf_addr la, lb;

	router_start(CONFIG);
	guest_join(a);
	guest_join(b);
	la = a->locator;
	lb = b->locator;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(guest_register(a, SF_CTRL_REGISTER, &web, 6, 80 + i), SF_NONE);
		assert_int_equal(guest_register(b, SF_CTRL_REGISTER, &web, 6, 80 + i), SF_NONE);
	}
	assert_int_equal(guest_register(a, SF_CTRL_REGISTER, &mail, 6, 25), SF_NONE);
	router_end(SIGKILL);
	assert_true(route_exists(&la));
	assert_int_equal(shell(world.ns, "ls %s/bpf/router-*/rules >/dev/null", world.dir), 0);
	router_start(CONFIG);
	assert_true(host_is(a, "restored"));
	assert_true(route_exists(&la));
	assert_int_equal(rest_instances(&web, 81), 2);
	assert_int_equal(rest_instances(&mail, 25), 1);
	guest_expect(a, SF_CTRL_REFRESH);
	guest_join(a);
	assert_true(sf_addr_eq(&a->locator, &la));
	assert_int_equal(rest_instances(&web, 81), 2);
	/* only one of its services is still there when it has told everything */
	assert_int_equal(guest_register(a, SF_CTRL_REGISTER, &web, 6, 80), SF_NONE);
	assert_int_equal(rest_instances(&web, 81), 2);
	guest_heartbeat(a, a->digest);
	wait_for(rest_instances(&web, 81) == 1);
	assert_int_equal(rest_instances(&web, 80), 2);
	assert_null(rest_service(&mail, 25));
	/* the other host has rebooted meanwhile */
	b->boot++;
	guest_join(b);
	assert_true(sf_addr_eq(&b->locator, &lb));
	wait_for(rest_instances(&web, 80) == 1);
	assert_null(rest_service(&web, 81));
}

/* Something is done to the router's store while it runs. Return: the number that it gives. */
static int store_do(const char *sql)
{
	char path[128];
	sqlite3_stmt *st;
	sqlite3 *db;
	int n = -1;

	snprintf(path, sizeof(path), "%s/state/router.db", world.dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_busy_timeout(db, 2000), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	if (sqlite3_step(st) == SQLITE_ROW)
		n = sqlite3_column_int(st, 0);
	assert_int_equal(sqlite3_finalize(st), SQLITE_OK);
	sqlite3_close(db);
	return n;
}

/* The next daemon knows in which place a host is: a standby is not taken for the host itself,
 * before it has said so again. */
static void killed_standby(void **state)
{
	json_t *known;

	router_start(CONFIG);
	a->standby = true;
	guest_join(a);
	guest_heartbeat(a, 0);
	wait_for(host_is(a, "joined"));
	assert_null(rest_service(&a->identity, 0));
	router_end(SIGKILL);
	router_start(CONFIG);
	assert_true(host_is(a, "restored"));
	assert_true(route_exists(&a->locator));
	assert_null(rest_service(&a->identity, 0));
	guest_join(a);
	assert_int_equal(guest_register(a, SF_CTRL_REGISTER, &a->identity, 0, 0), SF_NONE);
	router_end(SIGKILL);
	router_start(CONFIG);
	assert_true(host_is(a, "restored"));
	known = rest_service(&a->identity, 0);
	assert_non_null(known);
	json_decref(known);
}

/* What the store does not take at first it gets by a heartbeat: a full disk stops no host, and who
 * watches hears of it. */
static void kept_when_possible(void **state)
{
	json_t *known;

	router_start(CONFIG);
	a->standby = true;
	guest_join(a);
	guest_heartbeat(a, 0);
	store_do("CREATE TRIGGER full BEFORE INSERT ON hosts BEGIN "
		 "SELECT RAISE(ABORT, 'disk full'); END");
	assert_int_equal(guest_register(a, SF_CTRL_REGISTER, &a->identity, 0, 0), SF_NONE);
	known = rest_service(&a->identity, 0);
	assert_non_null(known);
	json_decref(known);
	assert_true(rest_event("alarm", "internal"));
	guest_heartbeat(a, a->digest);
	assert_int_equal(store_do("SELECT standby FROM hosts"), 1);
	store_do("DROP TRIGGER full");
	guest_heartbeat(a, a->digest);
	assert_int_equal(store_do("SELECT standby FROM hosts"), 0);
}

/* While the daemon is down a host vanishes: the next daemon finds out. */
static void killed_and_host_gone(void **state)
{
	router_start(CONFIG_QUICK);
	guest_join(a);
	assert_int_equal(guest_register(a, SF_CTRL_REGISTER, &web, 6, 80), SF_NONE);
	router_end(SIGKILL);
	assert_int_equal(shell(a->ns, "ip link set up0 down"), 0);
	router_start(CONFIG_QUICK);
	wait_for(host_is(a, "absent"));
	assert_null(rest_service(&web, 80));
	assert_false(route_exists(&a->locator));
}

#define T(f) cmocka_unit_test_setup_teardown(f, test_setup, test_teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(silent_and_dead),
		T(silent_but_alive),
		T(silent_and_guessing),
		T(carrier),
		T(leave),
		T(standby),
		T(second_link),
		T(reboot_elsewhere),
		T(reboot_in_place),
		T(clone),
		T(move),
		T(killed),
		T(killed_standby),
		T(kept_when_possible),
		T(killed_and_host_gone),
	};

	return WORLD_MAIN(argc, argv, tests, NULL);
}
