// SPDX-License-Identifier: Apache-2.0
/* event_test.c - util/event.c and util/json.c: what operators read, in the words of docs/api.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/reason.h"
#include "util/event.h"
#include "util/json.h"

static void is(json_t *v, const char *text)
{
	char *got = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);

	assert_string_equal(got, text);
	free(got);
	json_decref(v);
}

static void whole(void **state)
{
	struct sf_event e = { .id = 40,
			      .time_ms = 1795321822398,
			      .kind = "denied",
			      .reason = SF_DENIED_POLICY,
			      .router = sf_sid_make(0x80000000, 1),
			      .router_name = "r1",
			      .host = sf_sid_make(0x80000000, 2),
			      .host_name = "h3",
			      .service = sf_sid_make(1, 3),
			      .service_name = "web",
			      .has_port = true,
			      .proto = 6,
			      .port = sf_be16(80),
			      .text = "no" };

	assert_int_equal(sf_addr_parse("fd5c:0:1:1:5::", &e.locator), 0);
	is(sf_event_json(&e),
	   "{\"id\":40,\"time\":\"2026-11-22T04:30:22.398Z\",\"kind\":\"denied\","
	   "\"reason\":\"denied-policy\",\"router\":\"80000000:0000000000000001\","
	   "\"router_name\":\"r1\",\"host\":\"80000000:0000000000000002\",\"host_name\":\"h3\","
	   "\"locator\":\"fd5c:0:1:1:5::\",\"service\":\"00000001:0000000000000003\","
	   "\"service_name\":\"web\",\"proto\":\"tcp\",\"port\":80,\"text\":\"no\"}");
}

static void line(void **state)
{
	struct sf_event e = {
		.id = 40, .time_ms = 1795321822398, .kind = "left", .text = "two\nlines"
	};
	char *text = sf_event_line(&e);

	assert_non_null(strstr(text, "{\"kind\":\"left\",\"text\":\"two"));
	assert_null(strchr(text, '\n'));
	free(text);
}

static void counted(void **state)
{
	struct sf_event e = { .id = 2,
			      .kind = "failures",
			      .reason = SF_SPOOFED_LOCATOR,
			      .link = "lan0",
			      .count = 12,
			      .interval_ms = 10000 };

	is(sf_event_json(&e),
	   "{\"id\":2,\"time\":\"1970-01-01T00:00:00.000Z\",\"kind\":\"failures\","
	   "\"reason\":\"spoofed-locator\",\"link\":\"lan0\",\"count\":12,"
	   "\"interval_ms\":10000}");
}

static void what_does_not_apply_is_absent(void **state)
{
	struct sf_event e = { .id = 1, .kind = "started", .host_name = "", .text = "" };

	is(sf_event_json(&e),
	   "{\"id\":1,\"time\":\"1970-01-01T00:00:00.000Z\",\"kind\":\"started\"}");
}

static void text_of_the_network(void **state)
{
	is(sf_json_text("h\xc3\xa9"), "\"h\xc3\xa9\"");
	is(sf_json_text("\xff\xfe"), "\"?\""); /* no UTF-8 */
	is(sf_json_name(""), "null");
	is(sf_json_name(NULL), "null");
	is(sf_json_name("h1"), "\"h1\"");
}

static void prefixes(void **state)
{
	struct sf_net net = sf_net_default(1);
	json_t *o = json_object();

	sf_json_set_net(o, &net);
	is(o, "{\"as_prefix\":\"fd5c:0:1::/48\",\"service_prefix\":\"fd5e::/32\"}");
	net = (struct sf_net){ .service = net.service };
	o = json_object();
	sf_json_set_net(o, &net);
	is(o, "{\"as_prefix\":null,\"service_prefix\":\"fd5e::/32\"}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole),
		cmocka_unit_test(line),
		cmocka_unit_test(counted),
		cmocka_unit_test(what_does_not_apply_is_absent),
		cmocka_unit_test(text_of_the_network),
		cmocka_unit_test(prefixes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
