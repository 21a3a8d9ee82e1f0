// SPDX-License-Identifier: Apache-2.0
/* Hosts that move, clash, are cloned and start again; load, alarms, lag, events. */
#include <errno.h>
#include <string.h>
#include <utlist.h>

#include "controller/blocks.h"
#include "controller/events.h"
#include "controller/hostnames.h"
#include "controller/hosts.h"
#include "controller/metrics.h"
#include "controller/policies.h"
#include "controller/services.h"
#include "tests/controller/network.h"
#include "util/clock.h"

/* ---- hosts --------------------------------------------------------------------------------- */

static uint8_t alarm_of(const struct peer *p)
{
	return reason_of(message_last(p, SF_CTRL_ALARM));
}

static uint8_t reason_of_result(const struct sf_ctrl_in *in)
{
	return ((const struct sf_item_result *)sf_ctrl_find(in, SF_ITEM_RESULT, NULL))->reason;
}

static void test_address_clash(void **state)
{
	struct sf_net net = sf_net_default(1);
	struct sf_addr at = sf_locator(&net, H3, 0);
	struct sf_sid h3 = host_sid(3);

	three_up();
	join(&r1, H3, 3, "h3");
	join(&r1, H3, 4, "h4");
	assert_int_equal(alarm_of(&r1), SF_ADDRESS_CLASH);
	assert_int_equal(HASH_COUNT(c.hosts), 1);
	assert_true(sf_sid_eq(&host_find(&c, &at)->identity->sid, &h3));
	/* Not this router's block; no host; another AS. */
	join(&r2, H3, 5, "h5");
	assert_int_equal(alarm_of(&r2), SF_ADDRESS_CLASH);
	join(&r2, 0x20000u, 5, "h5");
	assert_int_equal(messages_of(&r2, SF_CTRL_ALARM), 2);
	assert_int_equal(HASH_COUNT(c.hosts), 1);
	assert_int_equal(events_of("alarm"), 3);
	/* Given on, after the first has left. */
	leave(&r1, H3, 3);
	join(&r1, H3, 4, "h4");
	assert_int_equal(messages_of(&r1, SF_CTRL_ALARM), 1);
	/* A host that is not where it says it is cannot be told to have left. */
	leave(&r1, H3, 3);
	assert_int_equal(HASH_COUNT(c.hosts), 1);
}

static void test_move(void **state)
{
	unsigned int weight;

	three_up();
	join(&r1, H3, 3, "h3");
	reg(&r1, H3, 3, 50, 80, 0);
	controller_flush(&c);
	join(&r2, 0x20003u, 3, "h3");
	controller_flush(&c);
	assert_int_equal(events_of("host-moved"), 1);
	assert_int_equal(HASH_COUNT(c.hosts), 1);
	assert_int_equal(rule_in(&sr, 50, 80, &weight), -1);
	reg(&r2, 0x20003u, 3, 50, 80, 0);
	leave(&r1, H3, 3); /* the old router notices later */
	controller_flush(&c);
	assert_int_equal(rule_in(&sr, 50, 80, &weight), 1);
}

static void stand_by(struct peer *p, uint32_t host, uint64_t identity, const char *name)
{
	struct draft d;

	draft_begin(&d, SF_CTRL_HOST_JOINED);
	draft_host(&d, host, identity, 1);
	draft_name(&d, name);
	sf_ctrl_put(&d.out, SF_ITEM_STANDBY, NULL, 0);
	peer_send(p, &d);
}

/* It registers its identity: it is there in the first place from now on. */
static void come_first(struct peer *p, uint32_t host, uint64_t identity)
{
	struct sf_item_registration self = { .sid = host_sid(identity) };
	struct draft d;

	draft_begin(&d, SF_CTRL_HOST_REGISTERED);
	draft_host(&d, host, identity, 1);
	sf_ctrl_put(&d.out, SF_ITEM_REGISTRATION, &self, sizeof(self));
	peer_send(p, &d);
}

static struct host *host_of(uint32_t host)
{
	struct sf_net net = sf_net_default(1);
	struct sf_addr at = sf_locator(&net, host, 0);

	return host_find(&c, &at);
}

/* A host with two uplinks, of which the second becomes the first. */
static void test_standby(void **state)
{
	const uint32_t second = 0x20003u;
	unsigned int weight, n;

	three_up();
	join(&r1, H3, 3, "h3");
	reg(&r1, H3, 3, 50, 80, 0);
	stand_by(&r2, second, 3, "h3");
	controller_flush(&c);
	assert_int_equal(events_of("host-moved"), 0);
	assert_int_equal(HASH_COUNT(c.hosts), 2);
	assert_int_equal(host_of(H3)->n_instances, 2);
	assert_int_equal(host_of(second)->n_instances, 0);
	assert_ptr_equal(host_lookup(&c, "h3", &n), host_of(H3));
	assert_int_equal(n, 1);
	/* Registered there as well: for a moment it is at both. */
	reg(&r2, second, 3, 50, 80, 0);
	controller_flush(&c);
	assert_int_equal(rule_in(&sr, 50, 80, &weight), 2);
	come_first(&r2, second, 3);
	controller_flush(&c);
	assert_int_equal(rule_in(&sr, 50, 80, &weight), 1);
	assert_int_equal(host_of(H3)->n_instances, 0);
	assert_int_equal(host_of(second)->n_instances, 2);
	assert_ptr_equal(host_lookup(&c, "h3", &n), host_of(second));
	/* What the first router says of it later changes nothing: that it is there, and what goes.
	 */
	join(&r1, H3, 3, "h3");
	unreg(&r1, H3, 3, 50, 80);
	reg(&r2, second, 3, 51, 80, 0);
	controller_flush(&c);
	assert_true(host_of(H3)->standby);
	assert_int_equal(host_of(H3)->n_instances, 0);
	assert_int_equal(host_of(second)->n_instances, 3);
	leave(&r1, H3, 3);
	controller_flush(&c);
	assert_int_equal(HASH_COUNT(c.hosts), 1);
	assert_int_equal(rule_in(&sr, 50, 80, &weight), 1);
	assert_int_equal(events_of("host-moved"), 0);
	assert_int_equal(events_of("alarm"), 0);
}

static void test_clone(void **state)
{
	three_up();
	join_boot(&r1, H3, 3, "h3", 1);
	join_boot(&r2, 0x20003u, 3, "h3", 2);
	assert_int_equal(HASH_COUNT(c.hosts), 2);
	assert_int_equal(HASH_COUNT(c.identities), 1);
	assert_int_equal(c.stats.alarms[SF_CLONED], 1);
}

static void test_reboot(void **state)
{
	three_up();
	join_boot(&r1, H3, 3, "h3", 1);
	reg(&r1, H3, 3, 50, 80, 0);
	assert_int_equal(HASH_COUNT(c.instances), 2);
	join_boot(&r1, H3, 3, "h3", 2);
	assert_int_equal(HASH_COUNT(c.instances), 1); /* what ran before the reboot is gone */
	assert_int_equal(c.stats.alarms[SF_CLONED], 0);
}

/* Whoever calls itself h3, too, is neither served as h3 nor let in as h3. */
static void test_same_name(void **state)
{
	struct naming naming = naming_of(&c);
	char identity[HOST_TEXT];
	unsigned int weight;

	three_up();
	join(&r1, H3, 3, "h3");
	policy(&c, 50, "{\"allow\": [\"h3\"], \"instances\": {\"h3\": {\"weight\": 7}}}");
	policy(&c, 51, "{\"instances\": {\"h3\": {\"weight\": 7}}}");
	assert_int_equal(events_of("same-name"), 0);
	join(&r2, 0x20004u, 4, "H3");
	assert_int_equal(events_saying("same-name", "2 hosts call themselves h3: "
						    "80000000:0000000000000003, "
						    "80000000:0000000000000004"),
			 1);
	reg(&r2, 0x20004u, 4, 50, 80, 0);
	assert_int_equal(reason_of_result(message_last(&r2, SF_CTRL_VERDICTS)), SF_DENIED_POLICY);
	reg(&r2, 0x20004u, 4, 51, 80, 0);
	controller_flush(&c);
	assert_int_equal(rule_in(&sr, 51, 80, &weight), 1);
	assert_int_equal(weight, 100);
	/* Nor when the first is away. */
	leave(&r1, H3, 3);
	reg(&r2, 0x20004u, 4, 50, 81, 0);
	assert_int_equal(messages_of(&r2, SF_CTRL_VERDICTS), 2);
	join(&r1, H3, 3, "h3");
	assert_int_equal(events_of("same-name"), 1); /* told */
	assert_int_equal(naming.identity_of(&c, "h3", identity), -ENOTUNIQ);
	leave(&r2, 0x20004u, 4);
	assert_int_equal(naming.identity_of(&c, "h3", identity), 0);
	assert_string_equal(identity, "80000000:0000000000000003");
}

/* One identity at two places is one; many of a name are told when their number has doubled. */
static void test_same_name_aggregated(void **state)
{
	three_up();
	join_boot(&r1, H3, 3, "h3", 1);
	join_boot(&r2, 0x20003u, 3, "h3", 2); /* a clone: has an alarm of its own */
	assert_int_equal(events_of("same-name"), 0);
	for (uint32_t h = 100; h < 164; h++)
		join(&r1, 0x10000u + h, h, "localhost");
	assert_int_equal(events_of("same-name"), 6); /* 2, 4, 8, 16, 32, 64 */
	assert_int_equal(events_saying("same-name", "64 hosts call themselves localhost"), 1);
	join(&r1, H4, 4, "localhost");
	join(&r1, H4, 4, "h4"); /* it is renamed */
	assert_int_equal(hostname_find(&c, "localhost")->n, 64);
	assert_int_equal(hostname_find(&c, "h3")->n, 2);
}

static void draft_time(struct draft *d, uint64_t ms)
{
	__be64 time = sf_be64(ms);

	sf_ctrl_put(&d->out, SF_ITEM_TIME, &time, sizeof(time));
}

static const struct host *h3_is(void)
{
	unsigned int n;
	const struct host *h = host_lookup(&c, "h3", &n);

	assert_int_equal(n, 1);
	return h;
}

/* A router tells that a host has become silent, and that it is back; it may do so in its first
 * list. */
static void test_silent(void **state)
{
	struct sf_item_reason silent = { .reason = SF_SILENT };
	uint64_t now = sf_wall_ms();

	three_up();
	join(&r1, H3, 3, "h3");
	assert_false(h3_is()->silent);
	for (int i = 0; i < 2; i++) { /* a repeat tells nothing new */
		struct draft d;

		draft_begin(&d, SF_CTRL_HOST_JOINED);
		draft_host(&d, H4, 4, 1);
		draft_host(&d, H3, 3, 1);
		draft_name(&d, "h3");
		draft_time(&d, now - 60000);
		sf_ctrl_put(&d.out, SF_ITEM_REASON, &silent, sizeof(silent));
		draft_time(&d, now - 5000);
		draft_host(&d, 0x10005u, 5, 1);
		draft_name(&d, "h5");
		peer_send(&r1, &d);
	}
	assert_true(h3_is()->silent);
	assert_true(h3_is()->heard_ms == now - 5000);
	assert_int_equal(events_of("host-silent"), 1);
	assert_int_equal(HASH_COUNT(c.hosts), 3);
	join(&r1, H3, 3, "h3");
	assert_false(h3_is()->silent);
	assert_int_equal(events_of("host-back"), 1);
	assert_int_equal(events_of("host-joined"), 3);
}

/* What was there before we were did not begin with us. A clock that is ahead of ours is not ours.
 */
static void test_since(void **state)
{
	uint64_t now = sf_wall_ms();
	struct sf_sid fifty = service_sid(50);
	const struct instance *in;
	struct draft d;

	three_up();
	draft_begin(&d, SF_CTRL_HOST_JOINED);
	draft_host(&d, H3, 3, 1);
	draft_name(&d, "h3");
	draft_time(&d, now - 7200000);
	draft_host(&d, H4, 4, 1);
	draft_name(&d, "h4");
	draft_time(&d, now + 7200000);
	peer_send(&r1, &d);
	draft_begin(&d, SF_CTRL_HOST_REGISTERED);
	draft_host(&d, H3, 3, 1);
	draft_reg(&d, 50, 80, 0);
	draft_time(&d, now - 3600000);
	draft_reg(&d, 51, 80, 0);
	draft_reg(&d, 52, 80, 0);
	draft_time(&d, now + 3600000);
	peer_send(&r1, &d);
	assert_true(h3_is()->joined_ms == now - 7200000);
	DL_FOREACH2(h3_is()->instances, in, host_next)
	{
		if (sf_sid_eq(&in->key.endpoint->key.sid, &h3_is()->identity->sid))
			assert_true(in->since_ms == now - 7200000);
		else if (sf_sid_eq(&in->key.endpoint->key.sid, &fifty))
			assert_true(in->since_ms == now - 3600000);
		else
			assert_true(in->since_ms >= now && in->since_ms < now + 3600000);
	}
	for (const struct host *h = c.hosts; h; h = h->hh.next)
		assert_true(h->joined_ms < now + 3600000);
	assert_int_equal(HASH_COUNT(c.instances), 5);
}

/* Of the time before policies went by identities: what a stored one says of names is void. */
static void test_stored_names_are_void(void **state)
{
	struct sf_sid sid = service_sid(50);
	const struct policy *p;

	assert_int_equal(store_policy_put(c.store, &sid,
					  "{\"allow\": [\"h3\", \"80000000:0000000000000004\"], "
					  "\"instances\": {\"h3\": {\"weight\": 5, \"draining\": "
					  "false}, \"80000000:0000000000000004\": {\"weight\": 6, "
					  "\"draining\": false}}}"),
			 0);
	fixture_restart(&c, &config);
	p = policy_of(&c, &sid);
	assert_non_null(p);
	assert_int_equal(HASH_COUNT(p->allow), 1);
	assert_int_equal(HASH_COUNT(p->hosts), 1);
	assert_int_equal(policy_weight(p, "80000000:0000000000000004", 0), 6);
	assert_int_equal(events_saying("alarm", "knows host h3 by name alone"), 2);
}

static void test_many_in_one_message(void **state)
{
	struct draft d;
	unsigned int weight;

	three_up();
	draft_begin(&d, SF_CTRL_HOST_JOINED);
	draft_host(&d, H3, 3, 1);
	draft_name(&d, "H3");
	draft_host(&d, H4, 4, 1);
	draft_host(&d, 0x10005u, 5, 1);
	draft_name(&d, "evil\nname");
	peer_send(&r1, &d);
	assert_int_equal(HASH_COUNT(c.hosts), 3);
	draft_begin(&d, SF_CTRL_HOST_REGISTERED);
	draft_host(&d, H3, 3, 1);
	draft_reg(&d, 50, 80, 0);
	draft_reg(&d, 51, 80, 0);
	draft_host(&d, H4, 4, 1);
	draft_reg(&d, 50, 80, 0);
	peer_send(&r1, &d);
	controller_flush(&c);
	assert_int_equal(rule_in(&sr, 50, 80, &weight), 2);
	assert_int_equal(rule_in(&sr, 51, 80, &weight), 1);
	{
		unsigned int n;

		assert_string_equal(host_lookup(&c, "h3", &n)->name, "h3");
		assert_null(host_lookup(&c, "h4", &n)); /* it has no name */
		assert_non_null(host_lookup(&c, "80000000:0000000000000004", &n));
		assert_string_equal(host_lookup(&c, "80000000:0000000000000005", &n)->name,
				    "evil?name");
	}
}

/* ---- the rest ------------------------------------------------------------------------------ */

static void send_load(uint64_t flows, uint64_t bytes)
{
	struct sf_item_load l = { .sid = service_sid(50),
				  .proto = 6,
				  .port = sf_be16(80),
				  .flows = sf_be64(flows),
				  .bytes = sf_be64(bytes),
				  .open = sf_be32(3) };
	struct draft d;

	draft_begin(&d, SF_CTRL_LOAD);
	draft_host(&d, H3, 3, 1);
	sf_ctrl_put(&d.out, SF_ITEM_SERVICE_LOAD, &l, sizeof(l));
	peer_send(&r1, &d);
}

static void test_load(void **state)
{
	struct sf_sid sid = service_sid(50);

	three_up();
	join(&r1, H3, 3, "h3");
	reg(&r1, H3, 3, 50, 80, 0);
	send_load(10, 1000);
	send_load(15, 5000);
	send_load(2, 10); /* began anew */
	assert_int_equal(service_find(&c, &sid)->load.flows, 17);
	assert_int_equal(service_find(&c, &sid)->load.bytes, 5010);
	assert_int_equal(service_find(&c, &sid)->endpoints->instances->open, 3);
}

/* The number after a metric's line @start; -1 if there is none. */
static long metric(const char *start)
{
	size_t len = 0;
	char *text = metrics_text(&c, &len);
	const char *at = text ? strstr(text, start) : NULL;
	long value = at ? strtol(at + strlen(start), NULL, 10) : -1;

	free(text);
	return value;
}

static void test_lag(void **state)
{
	struct sf_item_version v = { .term = sf_be32(1) };
	struct draft d;

	three_up();
	assert_int_equal(metric("router_connected{router=\"sr\"} "), 1);
	join(&r1, H3, 3, "h3");
	controller_flush(&c);
	assert_int_equal(metric("router_lag{router=\"sr\"} "), c.number);
	v.number = sf_be32(c.number);
	draft_begin(&d, SF_CTRL_PONG);
	sf_ctrl_put(&d.out, SF_ITEM_VERSION, &v, sizeof(v));
	peer_send(&sr, &d);
	assert_int_equal(metric("router_lag{router=\"sr\"} "), 0);
	session_pressure(sr.s, true);
	reg(&r1, H3, 3, 50, 80, 0);
	controller_flush(&c);
	assert_int_equal(metric("router_lag{router=\"sr\"} "), 1);
	assert_int_equal(metric("router_synced{router=\"sr\"} "), 0);
}

static void test_alarm_and_ping(void **state)
{
	struct sf_item_reason why = { .reason = SF_NO_SUCH_SOCKET };
	struct sf_item_failure counted = { SF_SPOOFED_LOCATOR, { 0 }, sf_be32(10000), sf_be64(3) };
	struct sf_item_version v = { sf_be32(1), sf_be32(42) };
	struct draft d;

	three_up();
	draft_begin(&d, SF_CTRL_ALARM);
	sf_ctrl_put(&d.out, SF_ITEM_REASON, &why, sizeof(why));
	sf_ctrl_put(&d.out, SF_ITEM_TEXT, "FAIL \xff\xfe", 7);
	peer_send(&r1, &d);
	assert_int_equal(events_of("alarm"), 1);
	assert_int_equal(events_saying("alarm", "FAIL ??"), 1);
	assert_int_equal(c.stats.alarms[SF_NO_SUCH_SOCKET], 1);
	draft_begin(&d, SF_CTRL_FAILURES);
	sf_ctrl_put(&d.out, SF_ITEM_NAME, "l\033[2J\n0", 7);
	sf_ctrl_put(&d.out, SF_ITEM_FAILURE, &counted, sizeof(counted));
	counted.reason = SF_BAD_MAC;
	sf_ctrl_put(&d.out, SF_ITEM_FAILURE, &counted, sizeof(counted));
	peer_send(&r1, &d);
	assert_int_equal(events_of("failures"), 2);
	assert_int_equal(events_saying("failures", " on link l?[2J?0"), 2);
	assert_int_equal(events_of("alarm"), 1);
	draft_begin(&d, SF_CTRL_PING);
	sf_ctrl_put(&d.out, SF_ITEM_VERSION, &v, sizeof(v));
	peer_send(&r1, &d);
	assert_int_equal(message_last(&r1, SF_CTRL_PONG)->seq, 7);
	assert_int_equal(sf_be32(router_find(&c, &r1.id)->applied.number), 42);
	fake_now += PING_MS;
	controller_tick(&c);
	assert_true(messages_of(&r1, SF_CTRL_PING) >= 1);
}

static void test_events_reach_the_store(void **state)
{
	three_up();
	for (uint32_t h = 1; h < 3000; h++) /* more than the ring of 1024 holds */
		join(&r1, 0x10000u + h, h, NULL);
	assert_true(events_lost(c.events) > 0);
	while (events_store(&c, 100) > 0)
		;
	join(&r1, 0x10000u + 3000, 3000, NULL);
	fixture_restart(&c, &config);
	assert_true(events_of("host-joined") > 1000);
	assert_int_equal(events_of("stopped"), 1);
	assert_int_equal(events_of("started"), 1); /* the first was overwritten before its turn */
}

static void test_forget(void **state)
{
	unsigned int n;

	three_up();
	assert_int_equal(router_forget(&c, router_lookup(&c, "r2", &n)), -EBUSY);
	peer_disconnect(&r2);
	assert_int_equal(router_forget(&c, router_lookup(&c, "r2", &n)), 0);
	assert_null(router_lookup(&c, "r2", &n));
	assert_null(blocks_owner(c.blocks, 2));
}

#define T(f) cmocka_unit_test_setup_teardown(f, network_setup, network_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_address_clash),
		T(test_move),
		T(test_standby),
		T(test_clone),
		T(test_reboot),
		T(test_same_name),
		T(test_same_name_aggregated),
		T(test_silent),
		T(test_since),
		T(test_stored_names_are_void),
		T(test_many_in_one_message),
		T(test_load),
		T(test_lag),
		T(test_alarm_and_ping),
		T(test_events_reach_the_store),
		T(test_forget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
