// SPDX-License-Identifier: Apache-2.0
/* cli/shape, cli/names and the sorting of rows: replies of all daemons in one shape. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "cli/shape.h"

static struct sf_names names;

static int setup(void **state)
{
	(void)state;
	names.net = sf_net_default(1);
	names.table = json_object();
	sf_names_put(&names, "80000000:00000000000000aa", "h1");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	sf_names_free(&names);
	return 0;
}

static void learning(void **state)
{
	struct sf_sid sid = sf_sid_make(1, 0x52ac1db85f5ecb14);
	char text[SF_ADDR_STRLEN];

	(void)state;
	sf_names_learn(&names, &sid, "fd5e::1:52ac:1db8:5f5e:cb14"); /* no name */
	assert_null(sf_names_of(&names, "00000001:52ac1db85f5ecb14"));
	sf_names_learn(&names, &sid, "WEB.scaffold");
	assert_string_equal(sf_names_of(&names, "00000001:52ac1db85f5ecb14"), "web");
	sf_names_learn(&names, &sid, "web2"); /* the first one stays */
	assert_string_equal(sf_names_of(&names, "00000001:52ac1db85f5ecb14"), "web");
	sid = sf_sid_make(0x2a, 7);
	sf_names_learn(&names, &sid, "db@2a");
	assert_string_equal(sf_names_of_addr(&names, "fd5e::2a:0:0:0:7", text), "db@2a");
	assert_string_equal(text, "0000002a:0000000000000007");
	assert_null(sf_names_of_addr(&names, "2001:db8::1", text));
	assert_string_equal(text, "");
	assert_null(sf_names_of_addr(&names, "nonsense", text));
	assert_null(sf_names_of_addr(&names, NULL, text));
	assert_null(sf_names_of(&names, NULL));
}

/* Whatever comes: rows that can be shown, or none. */
static void replies_without_sense(void **state)
{
	static const char *const texts[] = {
		"null",
		"[]",
		"{}",
		"7",
		"{\"services\":7}",
		"{\"services\":[7,null,{}]}",
		"{\"services\":[{\"id\":7,\"service\":[],\"endpoints\":{}}]}",
		("{\"services\":[{\"id\":\"x\",\"service\":\"x\",\"endpoints\":[7,{\"instances\":["
		 "7,"
		 "{}]}],\"instances\":[7,{}]}]}"),
		"{\"hosts\":[7,{}],\"flows\":[7,{}]}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		json_t *v = json_loads(texts[i], JSON_DECODE_ANY, NULL), *row;

		assert_non_null(v);
		for (int who = SF_AGENT; who <= SF_CONTROLLER; who++) {
			json_t *rows = json_array();
			size_t k;

			sf_shape_services((enum sf_daemon_kind)who, v, &names, true, rows);
			json_array_foreach (rows, k, row)
				assert_string_equal(json_string_value(json_object_get(row, "sid")),
						    "x");
			sf_shape_hosts((enum sf_daemon_kind)who, v, rows);
			json_decref(rows);
		}
		row = sf_shape_event(v, &names);
		assert_true(json_object_get(row, "time"));
		json_decref(row);
		row = sf_shape_flow(v, &names);
		assert_true(json_is_null(json_object_get(row, "local_name")));
		json_decref(row);
		json_decref(v);
	}
}

static void events_name_things(void **state)
{
	json_t *event = json_loads(
		"{\"id\":3,\"time\":\"2026-11-22T04:30:22.398Z\",\"kind\":\"registered\","
		"\"service\":\"80000000:00000000000000aa\",\"proto\":\"any\","
		"\"router\":\"80000000:1\",\"router_name\":\"r1\"}",
		0, NULL);
	json_t *row = sf_shape_event(event, &names);

	(void)state;
	assert_string_equal(json_string_value(json_object_get(row, "service")), "h1");
	assert_string_equal(json_string_value(json_object_get(row, "time")),
			    "2026-11-22T04:30:22.398Z");
	assert_int_equal(json_integer_value(json_object_get(row, "id")), 3);
	assert_string_equal(json_string_value(json_object_get(row, "router")), "r1");
	assert_true(json_is_null(json_object_get(row, "host")));
	json_decref(row);
	json_decref(event);
}

/* A router's counters that moved: with how many, in which time, on which link. */
static void events_of_failures(void **state)
{
	json_t *event = json_loads(
		"{\"id\":9,\"time\":\"2026-11-22T04:30:22.398Z\",\"kind\":\"failures\",\"reason\":"
		"\"spoofed-locator\",\"count\":1200,\"interval_ms\":10000,\"link\":\"lan0\","
		"\"text\":"
		"\"1200 in 10 s on link lan0\"}",
		0, NULL);
	json_t *row = sf_shape_event(event, &names);

	(void)state;
	assert_int_equal(json_integer_value(json_object_get(row, "count")), 1200);
	assert_int_equal(json_integer_value(json_object_get(row, "interval_ms")), 10000);
	assert_string_equal(json_string_value(json_object_get(row, "link")), "lan0");
	assert_string_equal(json_string_value(json_object_get(row, "reason")), "spoofed-locator");
	json_decref(row);
	json_decref(event);
}

/* A router tells slots, the controller shares; names that a daemon tells win over those asked. */
static void shares_and_names(void **state)
{
	json_t *reply = json_loads(
		"{\"services\":[{\"service\":\"00000001:0000000000000007\",\"name\":\"told\","
		"\"proto\":"
		"\"tcp\",\"port\":80,\"slots\":211,\"instances\":[{\"locator\":\"fd5c::1\","
		"\"weight\":1,"
		"\"slots\":1},{\"locator\":\"fd5c::2\",\"weight\":1000,\"slots\":210}]}]}",
		0, NULL);
	json_t *rows = json_array();
	double share;

	(void)state;
	sf_shape_services(SF_ROUTER, reply, &names, false, rows);
	assert_int_equal(json_array_size(rows), 2);
	assert_string_equal(json_string_value(json_object_get(json_array_get(rows, 0), "service")),
			    "told");
	share = json_real_value(json_object_get(json_array_get(rows, 0), "share"));
	assert_true(share > 0.0047 && share < 0.0048);
	json_decref(rows);
	json_decref(reply);
}

static void sorts(void **state)
{
	static const char *const keys[] = { "a", "b" };
	json_t *rows =
		json_loads("[{\"a\":\"y\",\"b\":1},{\"a\":\"x\",\"b\":10},{\"a\":\"x\",\"b\":"
			   "9,\"n\":1},{\"a\":\"x\",\"b\":9,\"n\":2},{\"b\":0}]",
			   0, NULL);
	json_t *sorted = sf_cli_sort(rows, keys, 2);
	char *text = json_dumps(sorted, JSON_COMPACT | JSON_SORT_KEYS);

	(void)state;
	assert_string_equal(text, "[{\"b\":0},{\"a\":\"x\",\"b\":9,\"n\":1},{\"a\":\"x\",\"b\":9,"
				  "\"n\":2},{\"a\":\"x\",\"b\":10},{\"a\":\"y\",\"b\":1}]");
	free(text);
	json_decref(sorted);
	json_decref(rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(learning),	      cmocka_unit_test(replies_without_sense),
		cmocka_unit_test(events_name_things), cmocka_unit_test(events_of_failures),
		cmocka_unit_test(shares_and_names),   cmocka_unit_test(sorts),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
