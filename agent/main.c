// SPDX-License-Identifier: Apache-2.0
/* main.c - scaffoldd, the SCAFFOLD host agent: one per host (network namespace). */
#include <stdio.h>
#include <stdlib.h>

#include "agent/host.h"
#include "util/log.h"

/* Static: the state holds buffers that have no place on a stack. */
static struct host host;

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
		ret = policy_parse(&host.config.allow_uid, &host.config.allow_gid,
				   &host.config.allow_cgroup, &host.config.deny_cgroup,
				   &host.policy, err, sizeof(err));
		if (ret)
			sf_error("%s", err);
		policy_free(&host.policy);
		config_free(&host.config);
		return ret ? 2 : EXIT_SUCCESS;
	}
	ret = host_open(&host, err, sizeof(err));
	if (ret)
		sf_error("%s", err);
	else
		ret = host_run(&host);
	host_close(&host);
	return ret ? EXIT_FAILURE : EXIT_SUCCESS;
}
