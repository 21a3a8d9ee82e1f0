// SPDX-License-Identifier: Apache-2.0
/* Routers' messages in, rules and routes out: the whole controller but for sockets. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "controller/blocks.h"
#include "controller/events.h"
#include "controller/hosts.h"
#include "controller/metrics.h"
#include "controller/policies.h"
#include "controller/services.h"
#include "tests/controller/network.h"

static void up_synced(struct peer *p)
{
	struct draft d;

	draft_begin(&d, SF_CTRL_UP_SYNCED);
	peer_send(p, &d);
}

/* ---- HELLO --------------------------------------------------------------------------------- */

static void test_welcome(void **state)
{
	const struct sf_item_version *v;
	const struct sf_item_timers *t;
	const struct sf_item_block *b;
	const struct sf_ctrl_in *in;

	peer_hello(&r1, 0);
	in = message_last(&r1, SF_CTRL_WELCOME);
	assert_int_equal(in->seq, 7); /* answers HELLO */
	v = sf_ctrl_find(in, SF_ITEM_VERSION, NULL);
	assert_int_equal(sf_be32(v->term), 1);
	b = sf_ctrl_find(in, SF_ITEM_BLOCK, NULL);
	assert_int_equal(sf_be16(b->first), 1);
	assert_int_equal(sf_be16(b->count), 1);
	assert_memory_equal(sf_ctrl_find(in, SF_ITEM_NET, NULL), &config.net, sizeof(config.net));
	assert_memory_equal(sf_ctrl_find(in, SF_ITEM_HASHKEY, NULL), &c.hashkey, sizeof(c.hashkey));
	t = sf_ctrl_find(in, SF_ITEM_TIMERS, NULL);
	assert_int_equal(sf_be32(t->move_grace_ms), 5000);
	/* The whole state only when it has told its own. */
	assert_int_equal(messages_of(&r1, SF_CTRL_SYNC_BEGIN), 0);
	up_synced(&r1);
	assert_int_equal(messages_of(&r1, SF_CTRL_SYNC_BEGIN), 1);
	assert_int_equal(messages_of(&r1, SF_CTRL_SYNC_END), 1);
}

static void hello_version(struct peer *p, uint32_t term)
{
	struct sf_item_router r = { .addr = p->addr, .id = p->id, .roles = p->roles };
	struct sf_item_version v = { .term = sf_be32(term) };
	struct draft d;

	peer_connect(p);
	draft_begin(&d, SF_CTRL_HELLO);
	sf_ctrl_put(&d.out, SF_ITEM_ROUTER, &r, sizeof(r));
	sf_ctrl_put(&d.out, SF_ITEM_VERSION, &v, sizeof(v));
	peer_send(p, &d);
}

static void test_lower_term(void **state)
{
	hello_version(&r1, c.term + 1);
	assert_int_equal(reason_of(message_last(&r1, SF_CTRL_REJECTED)), SF_LOWER_TERM);
	assert_int_equal(messages_of(&r1, SF_CTRL_WELCOME), 0);
	/* What was said must go out before the connection ends. */
	r1.queued = 10;
	controller_flush(&c);
	controller_tick(&c);
	assert_null(r1.closed);
	r1.queued = 0;
	controller_tick(&c);
	assert_string_equal(r1.closed, "rejected");
	hello_version(&r1, c.term);
	assert_int_equal(messages_of(&r1, SF_CTRL_WELCOME), 1);
}

static void test_bad_hello(void **state)
{
	struct draft d;

	peer_connect(&r1);
	draft_begin(&d, SF_CTRL_HELLO);
	peer_send(&r1, &d);
	assert_int_equal(reason_of(message_last(&r1, SF_CTRL_REJECTED)), SF_BAD_MESSAGE);
	controller_tick(&c);
	assert_non_null(r1.closed);
	r1.roles = 0x80;
	hello_version(&r1, 0);
	assert_int_equal(messages_of(&r1, SF_CTRL_REJECTED), 2);
	controller_tick(&c);
	/* Anything before HELLO; and silence. */
	peer_connect(&r1);
	join(&r1, H3, 3, "h3");
	assert_int_equal(reason_of(message_last(&r1, SF_CTRL_REJECTED)), SF_NO_SESSION);
	assert_int_equal(HASH_COUNT(c.hosts), 0);
	controller_tick(&c);
	peer_connect(&r1);
	fake_now += HELLO_MS;
	controller_tick(&c);
	assert_string_equal(r1.closed, "no HELLO");
}

static void test_second_hello(void **state)
{
	struct sf_item_router r = { .addr = r1.addr, .id = r1.id, .roles = r1.roles };
	struct draft d;

	peer_hello(&r1, 0);
	draft_begin(&d, SF_CTRL_HELLO);
	sf_ctrl_put(&d.out, SF_ITEM_ROUTER, &r, sizeof(r));
	peer_send(&r1, &d);
	assert_int_equal(reason_of(message_last(&r1, SF_CTRL_REJECTED)), SF_BAD_MESSAGE);
}

static void test_malformed(void **state)
{
	uint8_t junk[64];

	for (size_t len = 1; len <= sizeof(junk); len += 9) {
		peer_connect(&r2);
		memset(junk, 0xff, sizeof(junk));
		session_message(r2.s, junk, len);
		assert_int_equal(reason_of(message_last(&r2, SF_CTRL_REJECTED)), SF_BAD_MESSAGE);
		/* Nothing more is heard from it. */
		session_message(r2.s, junk, len);
		controller_tick(&c);
		assert_non_null(r2.closed);
	}
	assert_int_equal(c.stats.bad_messages, 8);
}

static void test_unknown_type(void **state)
{
	struct draft d;

	peer_up(&r1, 0);
	draft_begin(&d, 200);
	peer_send(&r1, &d);
	assert_int_equal(c.stats.unknown_messages, 1);
	assert_int_equal(messages_of(&r1, SF_CTRL_REJECTED), 0);
}

static void test_other_holds_block(void **state)
{
	const struct sf_item_block *b;

	peer_up(&r1, 5);
	peer_up(&r2, 5);
	b = sf_ctrl_find(message_last(&r2, SF_CTRL_WELCOME), SF_ITEM_BLOCK, NULL);
	assert_true(sf_be16(b->first) != 0 && sf_be16(b->first) != 5);
	assert_int_equal(c.stats.alarms[SF_ADDRESS_CLASH], 1);
}

static void test_same_underlay_address(void **state)
{
	peer_up(&r1, 0);
	r2.addr = r1.addr;
	hello_version(&r2, 0);
	assert_int_equal(reason_of(message_last(&r2, SF_CTRL_REJECTED)), SF_ADDRESS_CLASH);
	controller_tick(&c);
	peer_disconnect(&r1);
	hello_version(&r2, 0);
	assert_int_equal(messages_of(&r2, SF_CTRL_WELCOME), 1);
	assert_int_equal(HASH_COUNT(c.routers), 1);
}

/* ---- routes -------------------------------------------------------------------------------- */

static void test_routes(void **state)
{
	peer_up(&r1, 1);
	peer_up(&r2, 2);
	peer_up(&sr, 0);
	/* r1 was first: it hears of r2 and sr by deltas; sr was last: by its sync. */
	assert_true(route_in(&r1, SF_CTRL_ROUTES, 2, &r2.addr));
	assert_true(route_in(&r1, SF_CTRL_ROUTES, -1, &sr.addr));
	assert_true(route_in(&r1, SF_CTRL_ROUTES, 0, &sr.addr));
	assert_true(route_in(&sr, SF_CTRL_ROUTES, 1, &r1.addr));
	assert_true(route_in(&sr, SF_CTRL_ROUTES, 2, &r2.addr));
	assert_false(route_in(&sr, SF_CTRL_ROUTES, -1, &sr.addr));
	assert_false(route_in(&r1, SF_CTRL_ROUTES, 1, &r1.addr));
	/* Its datapath goes on for a lease; then it is gone. */
	peer_disconnect(&r2);
	controller_tick(&c);
	assert_false(route_in(&r1, SF_CTRL_ROUTES_GONE, 2, &r2.addr));
	fake_now += config.router_lease_ms;
	controller_tick(&c);
	assert_true(route_in(&r1, SF_CTRL_ROUTES_GONE, 2, &r2.addr));
	assert_true(route_in(&sr, SF_CTRL_ROUTES_GONE, 2, &r2.addr));
	assert_int_equal(HASH_COUNT(c.routers), 2);
	/* Its lease of the block is for ever. */
	assert_non_null(blocks_owner(c.blocks, 2));
}

static void test_route_changes(void **state)
{
	struct sf_addr old = r2.addr;

	peer_up(&r1, 1);
	peer_up(&r2, 2);
	peer_disconnect(&r2);
	peer_forget(&r1);
	peer_up(&r2, 2);
	assert_int_equal(messages_of(&r1, SF_CTRL_ROUTES), 0); /* nothing new */
	peer_disconnect(&r2);
	r2.addr.w[3] = sf_be32(77);
	peer_up(&r2, 2);
	assert_true(route_in(&r1, SF_CTRL_ROUTES_GONE, 2, &old));
	assert_true(route_in(&r1, SF_CTRL_ROUTES, 2, &r2.addr));
}

/* ---- rules --------------------------------------------------------------------------------- */

static void test_register(void **state)
{
	struct sf_sid sid = service_sid(50);
	unsigned int weight;

	three_up();
	join(&r1, H3, 3, "h3");
	join(&r1, H4, 4, "h4");
	reg(&r1, H3, 3, 50, 80, 0);
	reg(&r1, H4, 4, 50, 80, 7);
	assert_int_equal(rule_in(&sr, 50, 80, &weight), -1); /* not before the turn ends */
	controller_flush(&c);
	assert_int_equal(rule_in(&sr, 50, 80, &weight), 2);
	assert_int_equal(weight, 107);
	assert_int_equal(rule_in(&r1, 50, 80, &weight), -1); /* no service router */
	/* Repeats change nothing. */
	peer_forget(&sr);
	reg(&r1, H3, 3, 50, 80, 0);
	controller_flush(&c);
	assert_int_equal(messages_of(&sr, SF_CTRL_RULES), 0);
	assert_int_equal(c.stats.registrations, 4); /* with both identities */
	/* A new wish does. */
	reg(&r1, H4, 4, 50, 80, 8);
	unreg(&r1, H3, 3, 50, 80);
	controller_flush(&c);
	assert_int_equal(rule_in(&sr, 50, 80, &weight), 1);
	assert_int_equal(weight, 8);
	unreg(&r1, H4, 4, 50, 80);
	unreg(&r1, H4, 4, 50, 80);
	unreg(&r1, H4, 4, 51, 80);
	controller_flush(&c);
	assert_int_equal(messages_of(&sr, SF_CTRL_RULES_GONE), 1);
	assert_int_equal(rule_in(&sr, 50, 80, &weight), -1);
	assert_null(service_find(&c, &sid));
}

static void test_host_finds_itself(void **state)
{
	struct sf_sid id = host_sid(3);
	const struct service *s;

	three_up();
	join(&r1, H3, 3, "h3");
	controller_flush(&c);
	s = service_find(&c, &id);
	assert_non_null(s);
	assert_int_equal(s->endpoints->key.proto, 0);
	assert_int_equal(s->endpoints->n_instances, 1);
	assert_true(s->endpoints->published);
	/* Nobody else may. */
	join(&r1, H4, 4, "h4");
	{
		struct sf_item_registration r = { .sid = id };
		struct draft d;

		draft_begin(&d, SF_CTRL_HOST_REGISTERED);
		draft_host(&d, H4, 4, 1);
		sf_ctrl_put(&d.out, SF_ITEM_REGISTRATION, &r, sizeof(r));
		peer_send(&r1, &d);
	}
	assert_int_equal(c.stats.denials[SF_DENIED_KEYED], 1);
	assert_int_equal(messages_of(&r1, SF_CTRL_VERDICTS), 1);
}

static void test_coalesced(void **state)
{
	unsigned int weight;

	three_up();
	join(&r1, H3, 3, "h3");
	controller_flush(&c);
	peer_forget(&sr);
	/* Comes and goes within a turn: routers never hear of it. */
	reg(&r1, H3, 3, 60, 80, 0);
	unreg(&r1, H3, 3, 60, 80);
	for (uint64_t s = 100; s < 2100; s++)
		reg(&r1, H3, 3, s, 80, 0);
	controller_flush(&c);
	assert_int_equal(messages_of(&sr, SF_CTRL_RULES_GONE), 0);
	assert_int_equal(rule_in(&sr, 60, 80, &weight), -1);
	/* 2000 services in few messages, versions growing by one. */
	assert_in_range(messages_of(&sr, SF_CTRL_RULES), 1, 3);
	for (unsigned int i = 1; i < messages_of(&sr, SF_CTRL_RULES); i++)
		assert_int_equal(number_of(message_of(&sr, SF_CTRL_RULES, i)),
				 number_of(message_of(&sr, SF_CTRL_RULES, i - 1)) + 1);
	for (uint64_t s = 100; s < 2100; s += 333)
		assert_int_equal(rule_in(&sr, s, 80, &weight), 1);
}

static void test_policy_in_force(void **state)
{
	unsigned int weight;

	three_up();
	join(&r1, H3, 3, "h3");
	join(&r1, H4, 4, "h4");
	policy(&c, 50, "{\"instances\": {\"h3\": {\"weight\": 1}, \"h4\": {\"weight\": 3}}}");
	reg(&r1, H3, 3, 50, 80, 0);
	reg(&r1, H4, 4, 50, 80, 0);
	controller_flush(&c);
	assert_int_equal(rule_in(&sr, 50, 80, &weight), 2);
	assert_int_equal(weight, 4);
	policy(&c, 50, "{\"instances\": {\"h3\": {\"draining\": true}}}");
	controller_flush(&c);
	assert_int_equal(rule_in(&sr, 50, 80, &weight), 1);
	assert_int_equal(weight, 100);
	/* Nobody takes flows, but the service is known: not RULES-GONE. */
	policy(&c, 50, "{\"enabled\": false}");
	controller_flush(&c);
	assert_int_equal(rule_in(&sr, 50, 80, &weight), 0);
	policy(&c, 50, "{\"sticky\": true, \"move_grace_ms\": 2510}");
	controller_flush(&c);
	{
		const struct sf_item_service *s =
			sf_ctrl_find(message_last(&sr, SF_CTRL_RULES), SF_ITEM_SERVICE, NULL);

		assert_int_equal(s->flags, SF_RULE_STICKY);
		assert_int_equal(sf_be16(s->move_grace), 26);
	}
}

static uint8_t verdict_of(const struct peer *p)
{
	const struct sf_ctrl_in *in = message_last(p, SF_CTRL_VERDICTS);
	const struct sf_item_result *r = sf_ctrl_find(in, SF_ITEM_RESULT, NULL);

	assert_non_null(r);
	assert_non_null(sf_ctrl_find(in, SF_ITEM_HOST, NULL));
	return r->reason;
}

static void test_denied(void **state)
{
	unsigned int weight;

	three_up();
	join(&r1, H3, 3, "h3");
	join(&r1, H4, 4, "h4");
	policy(&c, 50, "{\"allow\": [\"h3\"]}");
	reg(&r1, H3, 3, 50, 80, 0);
	assert_int_equal(messages_of(&r1, SF_CTRL_VERDICTS), 0);
	reg(&r1, H4, 4, 50, 80, 0);
	assert_int_equal(verdict_of(&r1), SF_DENIED_POLICY);
	controller_flush(&c);
	assert_int_equal(rule_in(&sr, 50, 80, &weight), 1);
	assert_int_equal(events_of("denied"), 1);
	/* The policy changes its mind, with no registration anew. */
	policy(&c, 50, "{\"allow\": [\"h4\"]}");
	controller_flush(&c);
	assert_int_equal(messages_of(&r1, SF_CTRL_VERDICTS), 3);
	assert_int_equal(rule_in(&sr, 50, 80, &weight), 1);
	policy(&c, 50, "{\"allow\": []}");
	controller_flush(&c);
	assert_int_equal(rule_in(&sr, 50, 80, &weight), -1); /* nobody: RULES-GONE */
	/* Of a host that the controller does not know. */
	reg(&r1, 0x10009u, 9, 50, 80, 0);
	assert_int_equal(verdict_of(&r1), SF_NO_SESSION);
}

static void test_denied_by_default(void **state)
{
	config.register_default = REGISTER_DENY;
	three_up();
	join(&r1, H3, 3, "h3");
	assert_int_equal(messages_of(&r1, SF_CTRL_VERDICTS), 0); /* itself it may be */
	reg(&r1, H3, 3, 50, 80, 0);
	assert_int_equal(verdict_of(&r1), SF_DENIED_POLICY);
	policy(&c, 51, "{\"allow\": [\"*\"]}");
	reg(&r1, H3, 3, 51, 80, 0);
	assert_int_equal(messages_of(&r1, SF_CTRL_VERDICTS), 1);
}

static void test_full(void **state)
{
	config.instances_host_max = 3; /* itself, and two */
	three_up();
	join(&r1, H3, 3, "h3");
	reg(&r1, H3, 3, 50, 80, 0);
	reg(&r1, H3, 3, 51, 80, 0);
	reg(&r1, H3, 3, 52, 80, 0);
	assert_int_equal(verdict_of(&r1), SF_DENIED_FULL);
	controller_flush(&c);
	assert_int_equal(HASH_COUNT(c.instances), 3);
	assert_int_equal(HASH_COUNT(c.endpoints), 3);
}

static void test_many_instances(void **state)
{
	unsigned int weight;

	three_up();
	for (uint32_t h = 1; h <= ENDPOINT_INSTANCES + 1; h++) {
		join(&r1, 0x10000u + h, h, NULL);
		reg(&r1, 0x10000u + h, h, 50, 80, 0);
	}
	controller_flush(&c);
	assert_int_equal(rule_in(&sr, 50, 80, &weight), ENDPOINT_INSTANCES);
	assert_int_equal(verdict_of(&r1), SF_DENIED_FULL);
}

static void test_registration_without_host(void **state)
{
	struct draft d;

	peer_up(&r1, 1);
	draft_begin(&d, SF_CTRL_HOST_REGISTERED);
	draft_reg(&d, 50, 80, 0);
	peer_send(&r1, &d);
	assert_int_equal(reason_of(message_last(&r1, SF_CTRL_REJECTED)), SF_BAD_MESSAGE);
}

/* ---- reconnecting -------------------------------------------------------------------------- */

static void test_reconnect(void **state)
{
	unsigned int weight;

	three_up();
	join(&r1, H3, 3, "h3");
	join(&r1, H4, 4, "h4");
	reg(&r1, H3, 3, 50, 80, 0);
	reg(&r1, H3, 3, 51, 80, 0);
	reg(&r1, H4, 4, 50, 80, 0);
	controller_flush(&c);
	peer_disconnect(&r1);
	peer_forget(&sr);
	fake_now += config.router_lease_ms - 1;
	controller_tick(&c);
	controller_flush(&c);
	assert_int_equal(messages_of(&sr, SF_CTRL_RULES), 0); /* its hosts serve on */
	/* It comes back, with h3 and one service less. */
	peer_hello(&r1, 1);
	join(&r1, H3, 3, "h3");
	reg(&r1, H3, 3, 50, 80, 0);
	controller_flush(&c);
	assert_int_equal(messages_of(&sr, SF_CTRL_RULES), 0);
	up_synced(&r1);
	controller_flush(&c);
	assert_int_equal(rule_in(&sr, 50, 80, &weight), 1);
	assert_int_equal(rule_in(&sr, 51, 80, &weight), -1);
	assert_int_equal(messages_of(&sr, SF_CTRL_RULES_GONE), 1);
	assert_int_equal(HASH_COUNT(c.hosts), 1);
	assert_int_equal(HASH_COUNT(c.instances), 2);  /* itself and 50 */
	assert_int_equal(events_of("host-joined"), 2); /* and none for what it confirmed */
	/* A sync names the version that it brings one to. */
	assert_int_equal(messages_of(&r1, SF_CTRL_SYNC_BEGIN), 2);
	assert_int_equal(number_of(message_last(&r1, SF_CTRL_SYNC_BEGIN)),
			 number_of(message_last(&r1, SF_CTRL_SYNC_END)));
}

static void test_lease_ends(void **state)
{
	unsigned int weight;

	three_up();
	join(&r1, H3, 3, "h3");
	reg(&r1, H3, 3, 50, 80, 0);
	controller_flush(&c);
	peer_disconnect(&r1);
	fake_now += config.router_lease_ms;
	controller_tick(&c);
	controller_flush(&c);
	assert_int_equal(rule_in(&sr, 50, 80, &weight), -1);
	assert_int_equal(HASH_COUNT(c.hosts), 0);
	assert_int_equal(HASH_COUNT(c.identities), 0);
	assert_int_equal(HASH_COUNT(c.instances), 0);
	assert_int_equal(HASH_COUNT(c.services), 0);
	assert_int_equal(events_of("router-gone"), 1);
	assert_int_equal(events_of("host-left"), 1);
}

static void test_replaced_connection(void **state)
{
	struct peer again;

	peer_up(&r1, 1);
	join(&r1, H3, 3, "h3");
	peer_init(&again, &c, 1, SF_ROLE_ACCESS, "r1");
	peer_hello(&again, 1);
	assert_string_equal(r1.closed, "replaced by a newer connection");
	assert_int_equal(HASH_COUNT(c.routers), 1);
	assert_int_equal(HASH_COUNT(c.hosts), 1);
	up_synced(&again);
	assert_int_equal(HASH_COUNT(c.hosts), 0);
	peer_disconnect(&again);
	peer_forget(&again);
}

static void test_settling(void **state)
{
	unsigned int weight;
	uint32_t term = c.term;

	three_up();
	join(&r1, H3, 3, "h3");
	reg(&r1, H3, 3, 50, 80, 0);
	controller_flush(&c);
	fixture_restart(&c, &config);
	assert_int_equal(c.term, term + 1);
	assert_int_equal(c.awaited, 3);
	/* The service router is first: nothing for it yet, or it would lose good rules. */
	peer_forget(&sr);
	peer_up(&sr, 0);
	peer_up(&r2, 2);
	assert_int_equal(messages_of(&sr, SF_CTRL_SYNC_BEGIN), 0);
	peer_hello(&r1, 1);
	join(&r1, H3, 3, "h3");
	reg(&r1, H3, 3, 50, 80, 0);
	up_synced(&r1);
	assert_int_equal(messages_of(&sr, SF_CTRL_SYNC_BEGIN), 1);
	assert_int_equal(rule_in(&sr, 50, 80, &weight), 1);
	assert_true(route_in(&sr, SF_CTRL_ROUTES, 1, &r1.addr));
}

static void test_settling_without_one(void **state)
{
	three_up();
	fixture_restart(&c, &config);
	peer_forget(&sr);
	peer_forget(&r1);
	peer_up(&sr, 0);
	fake_now += config.settle_ms - 1;
	controller_tick(&c);
	assert_int_equal(messages_of(&sr, SF_CTRL_SYNC_BEGIN), 0);
	fake_now += 1;
	controller_tick(&c);
	assert_int_equal(messages_of(&sr, SF_CTRL_SYNC_BEGIN), 1);
	/* Those that did not come back may still forward: their routes stay for the lease. */
	assert_true(route_in(&sr, SF_CTRL_ROUTES, 1, &r1.addr));
	fake_now += config.router_lease_ms;
	controller_tick(&c);
	assert_true(route_in(&sr, SF_CTRL_ROUTES_GONE, 1, &r1.addr));
	/* The same block for the same router, when it comes at last. */
	peer_up(&r1, 0);
	assert_int_equal(sf_be16(((const struct sf_item_block *)sf_ctrl_find(
					  message_last(&r1, SF_CTRL_WELCOME), SF_ITEM_BLOCK, NULL))
					 ->first),
			 1);
}

static void test_too_slow(void **state)
{
	unsigned int weight;

	three_up();
	join(&r1, H3, 3, "h3");
	controller_flush(&c);
	peer_forget(&sr);
	session_pressure(sr.s, true);
	session_pressure(sr.s, false);
	assert_int_equal(sr.n, 0); /* nothing was missed */
	session_pressure(sr.s, true);
	reg(&r1, H3, 3, 50, 80, 0);
	controller_flush(&c);
	assert_int_equal(sr.n, 0);
	session_pressure(sr.s, false);
	assert_int_equal(messages_of(&sr, SF_CTRL_SYNC_BEGIN), 1);
	assert_int_equal(rule_in(&sr, 50, 80, &weight), 1);
	/* And one whose queue is full is cut off. */
	sr.fail = -ENOBUFS;
	reg(&r1, H3, 3, 51, 80, 0);
	controller_flush(&c);
	assert_string_equal(sr.closed, "cannot send");
	sr.fail = 0;
	peer_forget(&sr);
	peer_up(&sr, 0);
	assert_int_equal(rule_in(&sr, 51, 80, &weight), 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, network_setup, network_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_welcome),
		T(test_lower_term),
		T(test_bad_hello),
		T(test_second_hello),
		T(test_malformed),
		T(test_unknown_type),
		T(test_other_holds_block),
		T(test_same_underlay_address),
		T(test_routes),
		T(test_route_changes),
		T(test_register),
		T(test_host_finds_itself),
		T(test_coalesced),
		T(test_policy_in_force),
		T(test_denied),
		T(test_denied_by_default),
		T(test_full),
		T(test_many_instances),
		T(test_registration_without_host),
		T(test_reconnect),
		T(test_lease_ends),
		T(test_replaced_connection),
		T(test_settling),
		T(test_settling_without_one),
		T(test_too_slow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
