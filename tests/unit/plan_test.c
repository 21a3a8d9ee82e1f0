// SPDX-License-Identifier: Apache-2.0
/* lab/plan: addresses, names and shortest ways. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lab/plan.h"

static void parse(struct sf_topology *t, const char *what)
{
	char err[512] = "", *text;

	if (sf_topology_text(what, &text, err, sizeof(err)) ||
	    sf_topology_parse(text, what, t, err, sizeof(err)))
		fail_msg("%s", err);
	free(text);
}

static int node(const struct sf_topology *t, const char *name)
{
	int i = sf_topology_node(t, name, strlen(name));

	assert_true(i >= 0);
	return i;
}

static void test_numbers(void **state)
{
	struct in6_addr a = sf_plan_address(299);
	uint8_t mac[6], want[6] = { 0x02, 0x5c, 0xaf, 0x01, 0x02, 0x01 };
	char text[INET6_ADDRSTRLEN];
	struct sf_ip6_prefix all;
	struct sf_topology t;

	(void)state;
	assert_string_equal(inet_ntop(AF_INET6, &a, text, sizeof(text)), "fd00:5caf::12c");
	all = sf_plan_prefix();
	assert_true(sf_ip6_prefix_contains(&all, &a));
	a = sf_plan_link_local(0);
	assert_string_equal(inet_ntop(AF_INET6, &a, text, sizeof(text)), "fe80::1");
	sf_plan_mac(0x102, 1, mac);
	assert_memory_equal(mac, want, 6);
	parse(&t, "pair");
	assert_string_equal(sf_plan_ifname(&t, 0, 0), "r"); /* link client-r, at the client */
	assert_string_equal(sf_plan_ifname(&t, 0, 1), "client");
	sf_topology_free(&t);
}

/* Follows the ways from node to node; returns the number of links, -1 for no way or a loop. */
static int walk(const struct sf_topology *t, int from, int to, const bool *down)
{
	int hops = 0, *ways = calloc(t->n_nodes, sizeof(*ways));

	while (from != to && hops >= 0) {
		assert_int_equal(sf_plan_ways(t, (unsigned int)from, down, ways), 0);
		if (ways[to] < 0 || hops > (int)t->n_nodes) {
			hops = -1;
			break;
		}
		assert_true(!down || !down[ways[to]]);
		from = (int)t->links[ways[to]]
			       .node[t->links[ways[to]].node[0] == (unsigned int)from];
		hops++;
	}
	free(ways);
	return hops;
}

static void test_ways(void **state)
{
	struct sf_topology t;
	bool down[16] = { false };

	(void)state;
	parse(&t, "fig6");
	assert_int_equal(walk(&t, node(&t, "h1"), node(&t, "h2"), NULL), 2);
	assert_int_equal(walk(&t, node(&t, "h1"), node(&t, "h5"), NULL), 3);
	assert_int_equal(walk(&t, node(&t, "r1"), node(&t, "ctl"), NULL), 2);
	assert_int_equal(walk(&t, node(&t, "ctl"), node(&t, "h3"), NULL), 3);
	down[sf_topology_link(&t, "r1-r2")] = true; /* around, by the service router */
	assert_int_equal(walk(&t, node(&t, "h1"), node(&t, "h5"), down), 4);
	down[sf_topology_link(&t, "r1-sr")] = true;
	assert_int_equal(walk(&t, node(&t, "h1"), node(&t, "h5"), down), -1);
	assert_int_equal(walk(&t, node(&t, "h1"), node(&t, "h2"), down), 2);
	sf_topology_free(&t);
}

/* Hosts and controllers do not forward, even where the way through them would be the only one. */
static void test_no_transit(void **state)
{
	struct sf_topology t;
	bool down[16] = { false };

	(void)state;
	parse(&t, "multihomed");
	assert_int_equal(walk(&t, node(&t, "r1"), node(&t, "r2"), NULL), 2); /* by sr, not mobile */
	down[sf_topology_link(&t, "r1-sr")] = true;
	assert_int_equal(walk(&t, node(&t, "r1"), node(&t, "r2"), down), -1);
	assert_int_equal(walk(&t, node(&t, "mobile"), node(&t, "server"), down), 3);
	sf_topology_free(&t);
}

static void test_all_pairs(void **state)
{
	struct sf_topology t;

	(void)state;
	parse(&t, "replicas");
	for (size_t a = 0; a < t.n_nodes; a++)
		for (size_t b = 0; b < t.n_nodes; b++)
			assert_int_equal(walk(&t, (int)a, (int)b, NULL),
					 walk(&t, (int)b, (int)a, NULL));
	sf_topology_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_ways),
		cmocka_unit_test(test_no_transit),
		cmocka_unit_test(test_all_pairs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
