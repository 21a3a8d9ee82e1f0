// SPDX-License-Identifier: Apache-2.0
/* main.c - scaffoldd, the SCAFFOLD host agent: one per host (network namespace). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/host.h"
#include "util/check.h"
#include "util/log.h"

/* Static: the state holds buffers that have no place on a stack. */
static struct host host;

static void say(const char *finding)
{
	sf_error("%s", finding);
}

/* --check: what the configuration names. */
static int check(const struct config *c)
{
	struct sf_check k = { .file = c->file, .section = "host", .say = say };
	struct policy policy = { 0 };
	char err[512] = "", *rest;

	if (policy_parse(&c->allow_uid, &c->allow_gid, &c->allow_cgroup, &c->deny_cgroup, &policy,
			 err, sizeof(err))) {
		rest = strstr(err, ": "); /* it begins with the key */
		if (rest)
			*rest = '\0';
		sf_check_say(&k, rest ? err : NULL, "%s", rest ? rest + 2 : err);
	}
	policy_free(&policy);
	sf_check_group(&k, c->socket_group);
	sf_check_identity(&k, c->state, "host.key");
	return k.findings ? 2 : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	char err[1024] = "";
	int ret;

	sf_close_stray();
	sf_log_open("scaffoldd", SF_LOG_INFO);
	ret = config_load(&host.config, argc, argv, err, sizeof(err));
	if (ret > 0) {
		config_free(&host.config);
		return EXIT_SUCCESS;
	}
	if (ret) {
		sf_error("%s", err);
		config_free(&host.config);
		return 2;
	}
	sf_log_set_level((enum sf_log_level)host.config.log);
	if (host.config.check) {
		ret = check(&host.config);
		config_free(&host.config);
		return ret;
	}
	ret = host_open(&host, err, sizeof(err));
	if (ret)
		sf_error("%s", err);
	else
		ret = host_run(&host);
	host_close(&host);
	return ret ? EXIT_FAILURE : EXIT_SUCCESS;
}
