// SPDX-License-Identifier: Apache-2.0
/* Tests of cli/absent.c: what is said of a machine without daemons. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/absent.h"
#include "util/file.h"

static char root[] = "/tmp/scaffold-absent-test.XXXXXX";

/* Puts a file below the root. */
static void put(const char *path, const char *text)
{
	char name[512], *slash;

	snprintf(name, sizeof(name), "%s%s", root, path);
	slash = strrchr(name, '/');
	*slash = '\0';
	assert_int_equal(sf_mkdir_p(name, 0755), 0);
	*slash = '/';
	assert_int_equal(sf_file_write(name, text, strlen(text), 0644), 0);
}

/* "who: what" of each finding of a kind, one a line. */
static const char *found(bool problems)
{
	struct sf_findings f = { json_array(), json_array() };
	static char text[8192];
	const json_t *one;
	size_t i, at = 0;

	text[0] = '\0';
	sf_absent_look(root, &f);
	json_array_foreach (problems ? f.problems : f.notes, i, one)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s: %s -> %s\n",
				       json_string_value(json_object_get(one, "daemon")),
				       json_string_value(json_object_get(one, "what")),
				       json_string_value(json_object_get(one, "do")));
	json_decref(f.problems);
	json_decref(f.notes);
	return text;
}

#define SAYS(text, part)     assert_non_null(strstr(text, part))
#define SAYS_NOT(text, part) assert_null(strstr(text, part))

static void test_programs(void **state)
{
	SAYS(found(true), "no daemon is in /usr/sbin");
	put("/usr/local/sbin/scaffoldd", "");
	SAYS(found(true), "daemons are installed, but none runs -> on a host: systemctl enable");
	put("/etc/scaffold/scaffold-router.conf", "");
	SAYS(found(true), "scaffold-router: has a configuration "
			  "(/etc/scaffold/scaffold-router.conf), but is not installed");
	SAYS_NOT(found(true), "none runs");
	put("/usr/sbin/scaffold-router", "");
	SAYS(found(true), "but does not run -> systemctl enable --now scaffold-router");
	SAYS_NOT(found(true), "scaffoldd:");
}

static void test_machine(void **state)
{
	SAYS(found(true), "kernel: no bpffs is mounted at /sys/fs/bpf");
	SAYS(found(true), "IPv6 turned off -> boot without");
	put("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1\n");
	SAYS(found(true), "IPv6 turned off -> sysctl");
	put("/proc/sys/net/ipv6/conf/all/disable_ipv6", "0\n");
	SAYS_NOT(found(true), "IPv6");
	put("/sys/class/net/lo/carrier", "1\n");
	put("/sys/class/net/eth0/carrier", "0\n");
	SAYS(found(false), "network: no link has carrier");
	put("/sys/class/net/eth1/carrier", "1\n");
	SAYS_NOT(found(false), "carrier");
}

/* Of the real kernel: probed, or it says why not. */
static void test_kernel(void **state)
{
	const char *notes = found(false);

	if (geteuid())
		SAYS(notes, "kernel: was not probed");
	else
		SAYS_NOT(notes, "was not probed");
	if (!geteuid() && !strstr(found(true), "kernel lacks"))
		SAYS(found(false), "kernel: has all that is required");
}

static int setup(void **state)
{
	return mkdtemp(root) ? 0 : -1;
}

static int teardown(void **state)
{
	char cmd[64];

	snprintf(cmd, sizeof(cmd), "rm -r %s", root);
	return system(cmd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_programs),
		cmocka_unit_test(test_machine),
		cmocka_unit_test(test_kernel),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
