// SPDX-License-Identifier: Apache-2.0
/* config_test.c - what may stand in the router's file, and what is said of the rest. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/ctrl.h"
#include "router/config.h"

static char err[512];

static int load(struct config *c, const char *text)
{
	char path[] = "/tmp/sf-router-conf-XXXXXX";
	char *argv[] = { "scaffold-router", "--config", path, NULL };
	int fd = mkstemp(path), ret;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	memset(c, 0, sizeof(*c));
	ret = config_load(c, 3, argv, err, sizeof(err));
	unlink(path);
	return ret;
}

static void refused(const char *text, const char *needle)
{
	static struct config c;

	err[0] = '\0';
	assert_true(load(&c, text) < 0);
	if (!strstr(err, needle))
		fail_msg("'%s' does not say '%s'", err, needle);
	config_free(&c);
}

static void good(void **state)
{
	static struct config c;

	assert_int_equal(load(&c, "[router]\nas = 7\nblock = 1f\nroles = service\n"
				  "heartbeat = 250ms\n[link up*]\naccess = no\nxdp = yes\n"
				  "[link h*]\naccess = yes\n"),
			 0);
	assert_int_equal(c.block, 0x1f);
	assert_int_equal(c.roles, SF_ROLE_SERVICE);
	assert_int_equal(c.heartbeat_ms, 250);
	assert_int_equal(ntohs(c.net.as[2]), 7);
	assert_true(c.name[0]);
	assert_int_equal(config_link(&c, "up0")->access, LINK_ACCESS_NO);
	assert_true(config_link(&c, "up0")->xdp);
	assert_int_equal(config_link(&c, "up0")->hosts_max, HOSTS_MAX);
	assert_int_equal(config_link(&c, "h12")->access, LINK_ACCESS_YES);
	assert_null(config_link(&c, "eth0"));
	config_free(&c);

	assert_int_equal(load(&c, "[router]\ncontroller = [2001:db8::1]:24159\nplain = yes\n"), 0);
	assert_int_equal(c.block, 0);
	assert_int_equal(c.roles, SF_ROLE_ACCESS | SF_ROLE_SERVICE);
	assert_int_equal(config_link(&c, "anything")->access, LINK_ACCESS_AUTO);
	config_free(&c);
}

static void bad(void **state)
{
	refused("[router]\nblock = 1\n", "as:");
	refused("[router]\nas = 1\n", "block:");
	refused("[router]\nas = 1\nblock = 10000\n", "10000");
	refused("[router]\nas = 1\nblock = 0\n", "block");
	refused("[router]\nas = x\nblock = 1\n", "as");
	refused("[router]\nas = 1\nblock = 1\nroles = king\n", "king");
	refused("[router]\nas = 1\nblock = 1\nroles =\n", "roles");
	refused("[router]\nas = 1\nblock = 1\nheartbeat = 1\n", "heartbeat");
	refused("[router]\nas = 1\nblock = 1\ncolour = red\n", "colour");
	refused("[router]\nas = 1\nblock = 1\n[link a]\naccess = maybe\n", "maybe");
	refused("[router]\ncontroller = [2001:db8::1]:24159\n", "tls_cert");
	refused("[router]\ncontroller = [2001:db8::1]:24159\nplain = yes\ncontroller_name = c\n",
		"controller_name: got 'c', but with plain=yes");
	refused("[router]\ncontroller = [2001:db8::1]:24159\ntls_cert = a\ntls_key = b\n"
		"tls_ca = c\ncontroller_name = [2001:db8::1]:24159\n",
		"controller_name: got '[2001:db8::1]:24159', expected");
}

static void reload_changes_links_only(void **state)
{
	static struct config c;
	char path[] = "/tmp/sf-router-conf-XXXXXX";
	char *argv[] = { "scaffold-router", "--config", path, NULL };
	int fd = mkstemp(path);

	dprintf(fd, "[router]\nas = 1\nblock = 1\n[link a]\naccess = yes\n");
	memset(&c, 0, sizeof(c));
	assert_int_equal(config_load(&c, 3, argv, err, sizeof(err)), 0);
	assert_int_equal(ftruncate(fd, 0), 0);
	lseek(fd, 0, SEEK_SET);
	dprintf(fd, "[router]\nas = 2\nblock = 2\nlease = 9s\n[link b]\naccess = no\n");
	assert_int_equal(config_reload(&c, err, sizeof(err)), 0);
	assert_int_equal(c.block, 1);
	assert_int_equal(c.lease_ms, 9000);
	assert_null(config_link(&c, "a"));
	assert_int_equal(config_link(&c, "b")->access, LINK_ACCESS_NO);
	/* a bad file changes nothing */
	assert_int_equal(ftruncate(fd, 0), 0);
	lseek(fd, 0, SEEK_SET);
	dprintf(fd, "[router]\nas = 2\nblock = 2\nlease = soon\n");
	assert_true(config_reload(&c, err, sizeof(err)) < 0);
	assert_int_equal(c.lease_ms, 9000);
	assert_non_null(config_link(&c, "b"));
	close(fd);
	unlink(path);
	config_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),
		cmocka_unit_test(bad),
		cmocka_unit_test(reload_changes_links_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
