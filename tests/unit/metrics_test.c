// SPDX-License-Identifier: Apache-2.0
/* metrics_test.c - util/metrics.c: the text that Prometheus reads, and counters as JSON. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "util/metrics.h"

static struct sf_metrics m;

static void open_it(void)
{
	assert_int_equal(sf_metrics_open(&m, "x_"), 0);
}

static void is(const char *expected)
{
	size_t len = 0;
	char *text = sf_metrics_close(&m, &len);

	assert_string_equal(text, expected);
	assert_int_equal(len, strlen(expected));
	free(text);
}

static void samples(void **state)
{
	open_it();
	sf_metrics_one(&m, "hosts", "gauge", "Hosts.", 3);
	sf_metrics_head(&m, "flows_total", "counter", "Flows.");
	sf_metrics_sample(&m, "flows_total", UINT64_MAX, "service", "a:b", "name", "w\"e\\b\n",
			  NULL);
	is("# HELP x_hosts Hosts.\n# TYPE x_hosts gauge\nx_hosts 3\n"
	   "# HELP x_flows_total Flows.\n# TYPE x_flows_total counter\n"
	   "x_flows_total{service=\"a:b\",name=\"w\\\"e\\\\b \"} 18446744073709551615\n");
}

static void reasons(void **state)
{
	uint64_t counts[SF_REASON_MAX] = { [SF_BAD_MAC] = 2 };
	size_t len = 0;
	char *text;

	open_it();
	sf_metrics_reasons(&m, "bad", "Bad.", counts);
	text = sf_metrics_close(&m, &len);
	assert_non_null(text);
	assert_non_null(strstr(text, "# TYPE x_bad counter\n"));
	assert_non_null(strstr(text, "\nx_bad{reason=\"bad-mac\"} 2\n"));
	/* A denial that has never been is there, or its first one would be no increase. */
	assert_non_null(strstr(text, "\nx_bad{reason=\"denied-policy\"} 0\n"));
	assert_non_null(strstr(text, "\nx_bad{reason=\"cloned\"} 0\n"));
	assert_null(strstr(text, "reason-"));
	assert_null(strstr(text, "truncated"));
	free(text);
}

static int reason_count(void *ctx, unsigned int i, struct sf_count *out)
{
	*out = (struct sf_count){ i == SF_WRONG_PEER ? 7 : 0, 700 };
	return 0;
}

static int traffic_count(void *ctx, unsigned int i, struct sf_count *out)
{
	*out = (struct sf_count){ i, 100 * i };
	return i == SF_TRAFFIC_PROBED ? -ENOENT : 0;
}

static const struct sf_datapath_counts counts = {
	.reason = reason_count,
	.traffic = traffic_count,
	.kinds = 1u << SF_TRAFFIC_FAIL_SENT | 1u << SF_TRAFFIC_PROBED,
};

static void datapath(void **state)
{
	json_t *o = sf_datapath_json(&counts);
	char *text = json_dumps(o, JSON_COMPACT);

	assert_string_equal(text, "{\"reasons\":{\"wrong-peer\":{\"packets\":7,\"bytes\":700}},"
				  "\"traffic\":{\"fail-sent\":{\"packets\":6,\"bytes\":600}}}");
	free(text);
	json_decref(o);
	open_it();
	sf_metrics_datapath(&m, &counts);
	is("# HELP x_dropped_packets_total Packets dropped or refused, by reason.\n"
	   "# TYPE x_dropped_packets_total counter\n"
	   "x_dropped_packets_total{reason=\"wrong-peer\"} 7\n"
	   "# HELP x_traffic_packets_total Packets handled, by kind.\n"
	   "# TYPE x_traffic_packets_total counter\n"
	   "x_traffic_packets_total{kind=\"fail-sent\"} 6\n"
	   "# HELP x_traffic_bytes_total Bytes handled, by kind.\n"
	   "# TYPE x_traffic_bytes_total counter\n"
	   "x_traffic_bytes_total{kind=\"fail-sent\"} 600\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(samples),
		cmocka_unit_test(reasons),
		cmocka_unit_test(datapath),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
