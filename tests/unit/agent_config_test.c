// SPDX-License-Identifier: Apache-2.0
/* scaffoldd's options and file: defaults, precedence, and errors that name place and expectation.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/config.h"
#include "util/log.h"

static char path[] = "/tmp/agent_config_XXXXXX";

static int setup(void **state)
{
	int fd = mkstemp(path);

	close(fd);
	return fd < 0;
}

static int teardown(void **state)
{
	return unlink(path);
}

static void write_file(const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static int load(struct config *c, char *err, size_t len, char *option, char *value)
{
	char *argv[] = { "scaffoldd", "--config", path, option, value, NULL };
	int argc = 3 + (option != NULL) + (value != NULL);

	memset(c, 0, sizeof(*c));
	return config_load(c, argc, argv, err, len);
}

static void defaults(void **state)
{
	struct config c;
	char err[512];

	write_file("");
	assert_int_equal(load(&c, err, sizeof(err), NULL, NULL), 0);
	assert_string_equal(c.run, "/run/scaffold");
	assert_string_equal(c.bpffs, "/sys/fs/bpf/scaffold");
	assert_string_equal(c.state, "/var/lib/scaffold");
	assert_int_equal(c.allow_uid.count, 1);
	assert_string_equal(c.allow_uid.items[0], "0-999");
	assert_int_equal(c.log, SF_LOG_INFO);
	assert_int_equal(c.heartbeat_ms, 0);
	assert_int_equal(c.uplink.count, 0);
	assert_int_equal(c.prefer_after_ms, 5000);
	assert_true(sf_ip6_is_any(&c.router));
	assert_int_equal(c.router_key.count, 0);
	assert_int_equal(c.prefixes.count, 2);
	assert_false(c.keep);
	config_free(&c);
}

static void file_and_options(void **state)
{
	struct config c;
	char err[512];

	write_file("[host]\nname = web1\nuplink = eth0 wlan0\nprefer_after = 2s\nallow_uid = root "
		   "www-data 2000-2010\n"
		   "log = warn\nheartbeat = 250ms\n");
	assert_int_equal(load(&c, err, sizeof(err), "--log", "debug"), 0);
	assert_string_equal(c.name, "web1");
	assert_int_equal(c.uplink.count, 2); /* in this order */
	assert_string_equal(c.uplink.items[0], "eth0");
	assert_string_equal(c.uplink.items[1], "wlan0");
	assert_int_equal(c.prefer_after_ms, 2000);
	assert_int_equal(c.allow_uid.count, 3);
	assert_int_equal(c.log, SF_LOG_DEBUG);
	assert_int_equal(c.heartbeat_ms, 250);
	config_free(&c);
}

static void bad(const char *text, char *option, char *value, const char *place,
		const char *expected)
{
	struct config c;
	char err[512] = "";

	write_file(text);
	assert_int_equal(load(&c, err, sizeof(err), option, value), -EINVAL);
	assert_non_null(strstr(err, place));
	assert_non_null(strstr(err, expected));
	config_free(&c);
}

static void errors_name_place_and_expectation(void **state)
{
	char place[64];

	snprintf(place, sizeof(place), "%s:3", path);
	bad("[host]\nname=x\nuplnk = eth0\n", NULL, NULL, place, "uplnk");
	bad("[host]\nname=x\nheartbeat = 5\n", NULL, NULL, place, "heartbeat");
	bad("[host]\nname=x\nflows_max = many\n", NULL, NULL, place, "expected");
	bad("[host]\nname=x\nflows_max = 12\n", NULL, NULL, place, "1024");
	bad("[host]\nname=x\nuplink = eth0 eth0/1\n", NULL, NULL, place, "names of links");
	bad("[host]\nname=x\nrouter = nowhere\n", NULL, NULL, place, "expected");
	bad("[host]\nname=x\nrouter = ff02::1\n", NULL, NULL, place, "a router on the link");
	bad("[host]\nname=x\nrouter = ::1\n", NULL, NULL, place, "link-local or global");
	bad("[host]\nname=x\nrouter_key = 12ab\n", NULL, NULL, place, "64 hexadecimal digits");
	bad("[host]\nname=x\nprefixes = fd5c::/16 fd5e::1/32\n", NULL, NULL, place, "prefixes");
	bad("[host]\nname=x\nlog = loud\n", NULL, NULL, place, "debug");
	bad("", "--log", "loud", "--log loud", "expected error, warn, info or debug");
	bad("", "--frobnicate", NULL, "--frobnicate", "--help");
	bad("", "--run", NULL, "--run", "expected a value");
	bad("", "stray", NULL, "stray", "unexpected");
}

static void absent_file_is_an_error_where_it_was_named(void **state)
{
	char *argv[] = { "scaffoldd", "--config", "/nonexistent/agent.conf", NULL };
	struct config c = { 0 };
	char err[512] = "";

	assert_int_equal(config_load(&c, 3, argv, err, sizeof(err)), -ENOENT);
	assert_non_null(strstr(err, "/nonexistent/agent.conf"));
	config_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(file_and_options),
		cmocka_unit_test(errors_name_place_and_expectation),
		cmocka_unit_test(absent_file_is_an_error_where_it_was_named),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
