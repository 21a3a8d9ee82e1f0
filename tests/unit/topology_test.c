// SPDX-License-Identifier: Apache-2.0
/* lab/topology: what a topology says, and every way to get one wrong, with line and words. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/ctrl.h"
#include "lab/topology.h"

#define SMALL "host a b\nrouter r\ncontroller c\n"

static void test_whole(void **state)
{
	static const char text[] = "# comment\n"
				   "host  h1 h2\t# two\r\n"
				   "\n"
				   "router r1 roles=access\n"
				   "router r2 roles=service,access\n"
				   "controller ctl\n"
				   "link h1-r1 h2-r2 rate=1gbit mtu=9000\n"
				   "link r1-r2 delay=5ms loss=1%\n"
				   "link ctl-r1 emulator=yes state=down\n"
				   "daemon host heartbeat=200ms\n"
				   "daemon r2 log=debug xdp=no";
	struct sf_topology t = { 0 };
	char err[512] = "", name[SF_LINK_NAME];

	(void)state;
	if (sf_topology_parse(text, "t", &t, err, sizeof(err)))
		fail_msg("%s", err);
	assert_int_equal(t.n_nodes, 5);
	assert_int_equal(t.n_links, 4);
	assert_int_equal(t.nodes[0].kind, SF_NODE_HOST);
	assert_int_equal(t.nodes[2].roles, SF_ROLE_ACCESS);
	assert_int_equal(t.nodes[3].roles, SF_ROLE_ACCESS | SF_ROLE_SERVICE);
	assert_int_equal(t.nodes[4].kind, SF_NODE_CONTROLLER);
	assert_int_equal(t.links[1].mtu, 9000);
	assert_true(t.links[1].emulation.rate == 1000000000);
	assert_false(t.links[1].emulator); /* rate alone: the kernel does it */
	assert_true(t.links[2].emulator);
	assert_int_equal(t.links[2].emulation.delay_us, 5000);
	assert_true(t.links[3].emulator);
	assert_true(t.links[3].down);
	assert_false(t.links[2].down);
	assert_int_equal(t.n_settings, 3);
	assert_int_equal(t.settings[0].node, -1);
	assert_string_equal(t.settings[0].text, "heartbeat = 200ms");
	assert_int_equal(t.settings[2].node, 3);
	assert_string_equal(t.settings[2].text, "xdp = no");
	assert_int_equal(sf_topology_link(&t, "r1-ctl"), 3); /* either order */
	assert_int_equal(sf_topology_link(&t, "h1-r2"), -1);
	assert_int_equal(sf_topology_link(&t, "h1"), -1);
	assert_int_equal(sf_topology_link(&t, "ctl:r1"), 3); /* node and interface */
	assert_int_equal(sf_topology_link(&t, "r1:ctl:"), -1);
	assert_string_equal(sf_topology_link_name(&t, 3, name), "ctl-r1");
	assert_int_equal(sf_topology_node(&t, "r2", 2), 3);
	sf_topology_free(&t);
}

static void test_wrong(void **state)
{
	static const struct {
		const char *text, *err; /* what the message begins with */
	} wrong[] = {
		{ "", "t:0: no host: expected a line" },
		{ "\n\nhots h1\n", "t:3: 'hots': expected host, router" },
		{ "host H1\n", "t:1: 'H1' is no node name" },
		{ "host abcdefghijklm\n", "t:1: 'abcdefghijklm' is no node name" },
		{ "host lo\n", "t:1: 'lo' is no node name" },
		{ "host linkem\n", "t:1: 'linkem' is no node name" },
		{ "host a-b\n", "t:1: 'a-b' is no node name" },
		{ "host ../x\n", "t:1: '../x' is no node name" },
		{ "host a\nrouter a\n", "t:2: node a is there already (line 1)" },
		{ "host\n", "t:1: host: no name behind it" },
		{ "host a roles=access\n", "t:1: 'roles' is no setting of a host" },
		{ "router r roles=acess\n", "t:1: roles: got 'acess', expected access" },
		{ "router r roles=,\n", "t:1: roles: nothing given" },
		{ "router r rank=1\n", "t:1: 'rank' is no setting of a router (there is: roles)" },
		{ "=x\n", "t:1: '=x': expected key=value" },
		{ "host a x=\n", "t:1: 'x=': expected key=value" },
		{ "x=y\n", "t:1: 'x=': a line begins with" },
		{ SMALL "link a-b\n", "t:4: link a-b: at least one end must be a router" },
		{ SMALL "link a-r x\n", "t:4: 'x' is no link" },
		{ SMALL "link a-x\n", "t:4: link a-x: no node 'x' above" },
		{ SMALL "link x-a\n", "t:4: link x-a: no node 'x' above" },
		{ SMALL "link r-r\n", "t:4: link r-r: both ends" },
		{ SMALL "link a-r\nlink r-a\n", "t:5: link r-a is there already (line 4)" },
		{ SMALL "link a-r delay=1\n", "t:4: delay: got '1', expected a time" },
		{ SMALL "link a-r dealy=1ms\n", "t:4: 'dealy' is no setting of a link" },
		{ SMALL "link a-r mtu=1279\n", "t:4: mtu: got '1279', expected bytes" },
		{ SMALL "link a-r mtu=99999999999\n", "t:4: mtu: got" },
		{ SMALL "link a-r emulator=maybe\n", "t:4: emulator: got 'maybe'" },
		{ SMALL "link a-r state=off\n", "t:4: state: got 'off', expected up or down" },
		{ SMALL "link delay=1ms a-r\n", "t:4: 'a-r': names stand before settings" },
		{ SMALL "link a-r\nlink r-c\n", "t:1: no way from a to b: add a link" },
		{ SMALL "link a-r b-r\n", "t:3: no way from a to c" },
		{ SMALL "controller d\nlink a-r b-r r-c r-d\n", "t:4: d: there is a controller" },
		{ "host a\nrouter r roles=access\nlink a-r\n", "t:3: no service router" },
		{ "host a\nrouter r roles=service\nlink a-r\n",
		  "t:3: link a-r: a host's link leads" },
		{ SMALL "link a-r b-r r-c\ndaemon x log=debug\n", "t:5: daemon: got 'x'" },
		{ SMALL "link a-r b-r r-c\ndaemon host\n", "t:5: daemon: no setting" },
		{ "host a\001\n", "t:1: control character 0x01" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct sf_topology t = { 0 };
		char err[512] = "";
		int r = sf_topology_parse(wrong[i].text, "t", &t, err, sizeof(err));

		if (r != -EINVAL || strncmp(err, wrong[i].err, strlen(wrong[i].err)) != 0)
			fail_msg("'%s' gave %d '%s', not '%s'", wrong[i].text, r, err,
				 wrong[i].err);
		assert_null(t.nodes);
	}
}

static void test_limits(void **state)
{
	char *text = malloc(100000), err[512] = "";
	struct sf_topology t = { 0 };
	size_t n = 0;

	(void)state;
	memset(text, 'a', 5000);
	text[5000] = 0;
	assert_int_equal(sf_topology_parse(text, "t", &t, err, sizeof(err)), -EINVAL);
	assert_string_equal(err, "t:1: line longer than 4095 bytes");
	for (int i = 0; i < 300; i++)
		n += (size_t)sprintf(text + n, "h%d ", i);
	assert_int_equal(sf_topology_parse(text, "t", &t, err, sizeof(err)), -EINVAL);
	assert_string_equal(err, "t:1: more than 256 words");
	n = 0;
	for (int i = 0; i <= SF_NODES_MAX; i++)
		n += (size_t)sprintf(text + n, "host h%d\n", i);
	assert_int_equal(sf_topology_parse(text, "t", &t, err, sizeof(err)), -EINVAL);
	assert_string_equal(err, "t:1001: more than 1000 nodes");
	free(text);
}

/* Every built-in topology, and the families, are right by the same parser. */
static void test_builtins(void **state)
{
	static const char *const more[] = { "line:1", "line:250", "star:1", "star:900", NULL };
	static const char *const wrong[] = { "line:0", "line:", "line:251", "line:x", "star:901" };
	char err[2048] = "", *text;
	struct sf_topology t;

	(void)state;
	for (size_t i = 0; sf_builtins[i].name; i++) {
		assert_int_equal(sf_topology_text(sf_builtins[i].name, &text, err, sizeof(err)), 0);
		if (sf_topology_parse(text, sf_builtins[i].name, &t, err, sizeof(err)))
			fail_msg("%s", err);
		if (strcmp(sf_builtins[i].name, "fig6") == 0) {
			assert_int_equal(t.n_nodes, 9); /* "a nine-node topology", section 7.2 */
			assert_int_equal(t.n_links, 9);
		}
		sf_topology_free(&t);
		free(text);
	}
	for (size_t i = 0; more[i]; i++) {
		assert_int_equal(sf_topology_text(more[i], &text, err, sizeof(err)), 0);
		if (sf_topology_parse(text, more[i], &t, err, sizeof(err)))
			fail_msg("%s", err);
		sf_topology_free(&t);
		free(text);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(sf_topology_text(wrong[i], &text, err, sizeof(err)), -EINVAL);
		assert_non_null(strstr(err, "with N from 1 to"));
	}
	assert_int_equal(sf_topology_text("/nonexistent", &text, err, sizeof(err)), -ENOENT);
	assert_non_null(strstr(err, "fig6"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_builtins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
