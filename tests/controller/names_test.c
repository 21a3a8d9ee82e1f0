// SPDX-License-Identifier: Apache-2.0
/* Names of services that hosts bring along: heard, checked, shown, stored, bounded. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "controller/events.h"
#include "controller/policies.h"
#include "controller/services.h"
#include "core/name.h"
#include "tests/controller/network.h"
#include "util/crypto.h"

static struct sf_sid sid_of(const char *text)
{
	struct sf_net net = sf_net_default(1);
	struct sf_sid sid;
	const char *why;

	assert_int_equal(sf_sid_parse(&net, text, sf_sha256, &sid, &why), 0);
	return sid;
}

static const char *name_of(const char *text)
{
	struct sf_sid sid = sid_of(text);

	return name_find(&c, &sid);
}

static void put_reg(struct draft *d, const char *service)
{
	struct sf_item_registration item = { .sid = sid_of(service),
					     .proto = 6,
					     .port = sf_be16(80) };

	sf_ctrl_put(&d->out, SF_ITEM_REGISTRATION, &item, sizeof(item));
}

static void put_name(struct draft *d, const char *name)
{
	sf_ctrl_put(&d->out, SF_ITEM_SERVICE_NAME, name, strlen(name));
}

/* HOST-REGISTERED of host 3 for @service (NULL: none) with SERVICE-NAME @name (NULL: none). */
static void tell(const char *service, const char *name)
{
	struct draft d;

	draft_begin(&d, SF_CTRL_HOST_REGISTERED);
	draft_host(&d, H3, 3, 0);
	if (service)
		put_reg(&d, service);
	if (name)
		put_name(&d, name);
	peer_send(&r1, &d);
	controller_flush(&c);
}

static int last_service_name(void *ctx, uint64_t id, json_t *e)
{
	const char *kind = json_string_value(json_object_get(e, "kind"));
	const char *name = json_string_value(json_object_get(e, "service_name"));

	if (!strcmp(kind, "registered"))
		snprintf(ctx, 64, "%s", name ? name : "-");
	return 0;
}

static void test_name_with_registration(void **state)
{
	char shown[64] = "";

	three_up();
	join(&r1, H3, 3, "h3");
	tell("web", "web");
	assert_string_equal(name_of("web"), "web");
	/* The event of the registration itself tells it already. */
	events_each(&c, 0, 1000, last_service_name, shown);
	assert_string_equal(shown, "web");
	assert_int_equal(events_of("name"), 1);
	tell("web", "web");
	assert_int_equal(events_of("name"), 1);
	tell("db@2a", "db@2a");
	assert_string_equal(name_of("db@2a"), "db@2a");
	assert_int_equal(c.stats.bad_names, 0);
}

static void test_wrong_names(void **state)
{
	static const char *const bad[] = { "mail", "Web", "web.scaffold", "two words", "web\n" };
	struct sf_sid web;

	three_up();
	join(&r1, H3, 3, "h3");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		tell("web", bad[i]);
		assert_int_equal(c.stats.bad_names, i + 1);
	}
	assert_null(name_of("web"));
	assert_null(name_of("mail"));
	assert_int_equal(HASH_COUNT(c.names), 0);
	/* The registration counts nevertheless. */
	web = sid_of("web");
	assert_non_null(service_find(&c, &web));
	assert_null(r1.closed);
}

static void test_name_alone(void **state)
{
	three_up();
	join(&r1, H3, 3, "h3");
	/* A host that uses a service knows what it is called; of what nobody serves none hears. */
	tell(NULL, "web");
	assert_null(name_of("web"));
	tell("web", NULL);
	tell(NULL, "web");
	assert_string_equal(name_of("web"), "web");
	tell(NULL, "Web");
	assert_int_equal(c.stats.bad_names, 1);
}

static void test_name_of_unknown_host(void **state)
{
	three_up();
	tell("web", "web");
	assert_null(name_of("web"));
}

static void test_names_survive(void **state)
{
	three_up();
	join(&r1, H3, 3, "h3");
	tell("web", "web");
	tell("mail", "mail");
	assert_int_equal(names_store(&c, 1), 1);
	assert_int_equal(names_store(&c, 100), 1);
	assert_int_equal(names_store(&c, 100), 0);
	fixture_restart(&c, &config);
	assert_string_equal(name_of("web"), "web");
	assert_string_equal(name_of("mail"), "mail");
}

static void test_full_table(void **state)
{
	struct sf_sid kept = sid_of("kept");
	struct draft d;
	char name[32];

	config.names_max = 20;
	three_up();
	join(&r1, H3, 3, "h3");
	tell("web", "web");
	assert_int_equal(name_learn(&c, &kept, "kept"), 0);
	assert_int_equal(policy_put(&c, policy_new(&kept)), 0);
	/* A host that registers ever new services, as many as it likes. */
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		tell(name, name);
		draft_begin(&d, SF_CTRL_HOST_UNREGISTERED);
		draft_host(&d, H3, 3, 0);
		put_reg(&d, name);
		peer_send(&r1, &d);
		controller_flush(&c);
		if (i % 3 == 0)
			assert_true(names_store(&c, 100) > 0);
	}
	assert_int_equal(HASH_COUNT(c.names), 20);
	assert_string_equal(name_of("web"), "web");
	assert_string_equal(name_of("kept"), "kept");
	assert_string_equal(name_of("n199"), "n199");
	assert_null(name_of("n0"));
	while (names_store(&c, 100) > 0)
		;
	fixture_restart(&c, &config);
	assert_int_equal(HASH_COUNT(c.names), 20);
}

static int count_row(void *ctx, const struct sf_sid *sid, const char *text)
{
	const char **wanted = ctx;

	if (*wanted && strcmp(text, *wanted) == 0)
		*wanted = NULL;
	return 0;
}

static bool stored(const char *text)
{
	assert_int_equal(store_names(c.store, count_row, &text), 0);
	return !text;
}

/* What makes room for a host's name waits for the next batch as the name does. */
static void test_room_is_made_in_a_batch(void **state)
{
	struct sf_sid old = sid_of("old");

	config.names_max = 2;
	three_up();
	join(&r1, H3, 3, "h3");
	assert_int_equal(name_learn(&c, &old, "old"), 0);
	tell("web", "web");
	tell("mail", "mail");
	assert_null(name_of("old"));
	assert_true(stored("old"));
	assert_int_equal(names_store(&c, 100), 3);
	assert_false(stored("old"));
	assert_true(stored("web") && stored("mail"));
	/* One that is told again meanwhile stays. */
	config.names_max = 3;
	assert_int_equal(name_learn(&c, &old, "old"), 0);
	tell("news", "news");
	assert_null(name_of("old"));
	config.names_max = 4;
	assert_int_equal(name_learn(&c, &old, "old"), 0);
	assert_true(names_store(&c, 100) > 0);
	assert_true(stored("old") && stored("news"));
	fixture_restart(&c, &config);
	assert_string_equal(name_of("old"), "old");
}

/* ---- look-ups ---- */

static const struct sf_ctrl_in *look_up_sid(const struct sf_sid *sid)
{
	struct sf_item_registration item = { .sid = *sid };
	struct draft d;

	draft_begin(&d, SF_CTRL_LOOKUP);
	draft_host(&d, H3, 3, 0);
	sf_ctrl_put(&d.out, SF_ITEM_REGISTRATION, &item, sizeof(item));
	peer_send(&r1, &d);
	return message_last(&r1, SF_CTRL_FOUND);
}

static const struct sf_ctrl_in *look_up(const char *service)
{
	struct sf_sid sid = sid_of(service);

	return look_up_sid(&sid);
}

static unsigned int items_of(const struct sf_ctrl_in *in, uint16_t type)
{
	unsigned int n = 0;

	sf_ctrl_foreach (in, it)
		n += it.type == type;
	return n;
}

/* What FOUND says of the policy, always: hosts keep what they have where nothing is said. */
static uint32_t grace_found(const char *service)
{
	const struct sf_item_timers *t = sf_ctrl_find(look_up(service), SF_ITEM_TIMERS, NULL);

	assert_non_null(t);
	assert_int_equal(t->heartbeat_ms, 0);
	assert_int_equal(t->lease_ms, 0);
	return sf_be32(t->move_grace_ms);
}

static void test_grace(void **state)
{
	struct sf_sid web = sid_of("web");

	three_up();
	join(&r1, H3, 3, "h3");
	assert_int_equal(grace_found("web"), SF_GRACE_UNSET);
	assert_int_equal(policy_put(&c, policy_new(&web)), 0);
	assert_int_equal(grace_found("web"), SF_GRACE_UNSET);
	policy_of(&c, &web)->move_grace_ms = 2510;
	assert_int_equal(grace_found("web"), 2510);
	policy_of(&c, &web)->move_grace_ms = 0;
	assert_int_equal(grace_found("web"), 0);
}

static void test_lookup(void **state)
{
	const struct sf_item_registration *found;
	const struct sf_ctrl_in *in;
	struct sf_sid web = sid_of("web");
	struct draft d;

	three_up();
	join(&r1, H3, 3, "h3");
	in = look_up("web");
	assert_int_equal(items_of(in, SF_ITEM_REGISTRATION), 0);
	assert_int_equal(items_of(in, SF_ITEM_HOST), 1);
	tell("web", "web");
	in = look_up("web");
	found = sf_ctrl_find(in, SF_ITEM_REGISTRATION, NULL);
	assert_int_equal(items_of(in, SF_ITEM_REGISTRATION), 1);
	assert_true(sf_sid_eq(&found->sid, &web));
	assert_int_equal(found->proto, 6);
	assert_int_equal(sf_be16(found->port), 80);
	assert_int_equal(sf_be16(found->weight), 1);
	assert_memory_equal(sf_ctrl_find(in, SF_ITEM_SERVICE_NAME, NULL), "web", 3);
	/* More than the item holds. */
	service_find(&c, &web)->endpoints->n_serving += 65536;
	found = sf_ctrl_find(look_up("web"), SF_ITEM_REGISTRATION, NULL);
	assert_int_equal(sf_be16(found->weight), 0xffff);
	service_find(&c, &web)->endpoints->n_serving -= 65536;
	/* Drained: still registered, taking no flows. A hundred ports: not all of them. */
	assert_int_equal(policy_put(&c, policy_new(&web)), 0);
	policy_of(&c, &web)->enabled = false;
	service_judge(&c, &web);
	found = sf_ctrl_find(look_up("web"), SF_ITEM_REGISTRATION, NULL);
	assert_int_equal(sf_be16(found->weight), 0);
	policy_of(&c, &web)->enabled = true;
	policy_of(&c, &web)->listed = true; /* allowed to nobody */
	service_judge(&c, &web);
	assert_int_equal(items_of(look_up("web"), SF_ITEM_REGISTRATION), 0);
	assert_int_equal(service_find(&c, &web)->endpoints->n_serving, 0);
	policy_of(&c, &web)->listed = false;
	service_judge(&c, &web);
	service_judge(&c, &web);
	found = sf_ctrl_find(look_up("web"), SF_ITEM_REGISTRATION, NULL);
	assert_int_equal(sf_be16(found->weight), 1);
	for (int port = 1; port <= 100; port++) {
		struct sf_item_registration item = { .sid = web,
						     .proto = 17,
						     .port = sf_be16((uint16_t)port) };

		draft_begin(&d, SF_CTRL_HOST_REGISTERED);
		draft_host(&d, H3, 3, 0);
		sf_ctrl_put(&d.out, SF_ITEM_REGISTRATION, &item, sizeof(item));
		peer_send(&r1, &d);
	}
	assert_int_equal(items_of(look_up("web"), SF_ITEM_REGISTRATION), 32);
	/* Without what is asked for, it is no question. */
	draft_begin(&d, SF_CTRL_LOOKUP);
	draft_host(&d, H3, 3, 0);
	peer_send(&r1, &d);
	assert_int_equal(reason_of(message_last(&r1, SF_CTRL_REJECTED)), SF_BAD_MESSAGE);
}

/* What a host or a router is called; not what several are. */
static void test_lookup_of_hosts(void **state)
{
	struct sf_sid h3 = host_sid(3), nobody = host_sid(99);
	uint16_t len = 0;
	const char *name;

	three_up();
	join(&r1, H3, 3, "h3");
	name = sf_ctrl_find(look_up_sid(&h3), SF_ITEM_NAME, &len);
	assert_int_equal(len, 2);
	assert_memory_equal(name, "h3", 2);
	assert_null(sf_ctrl_find(look_up_sid(&nobody), SF_ITEM_NAME, NULL));
	assert_memory_equal(sf_ctrl_find(look_up_sid(&sr.id), SF_ITEM_NAME, NULL), "sr", 2);
	join(&r1, H3 + 1, 4, "h3");
	assert_null(sf_ctrl_find(look_up_sid(&h3), SF_ITEM_NAME, NULL));
}

#define T(f) cmocka_unit_test_setup_teardown(f, network_setup, network_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_name_with_registration),
		T(test_wrong_names),
		T(test_name_alone),
		T(test_name_of_unknown_host),
		T(test_names_survive),
		T(test_full_table),
		T(test_room_is_made_in_a_batch),
		T(test_lookup),
		T(test_lookup_of_hosts),
		T(test_grace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
