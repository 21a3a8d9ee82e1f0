// SPDX-License-Identifier: Apache-2.0
/*
 * id.c - scaffold id: the serviceID and service address of a name, or the name of either. The first
 * needs nobody but the hash; the second, somebody here who has heard it.
 */
#include <stdio.h>
#include <string.h>

#include "cli/names.h"

int cmd_id(struct sf_cli *cli, int argc, char **argv)
{
	bool address_only = argc > 1 && !strcmp(argv[1], "--address");
	char address[SF_ADDR_STRLEN], sid_text[SF_ADDR_STRLEN];
	struct sf_names names = { 0 };
	const char *called;
	struct sf_addr addr;
	struct sf_net net;
	struct sf_sid sid;
	json_t *out;
	int ret;

	if (argc != 2 + address_only || argv[1 + address_only][0] == '-')
		return sf_cli_usage(cli);
	if (sf_cli_sid(cli, argv[1 + address_only], &sid))
		return SF_EXIT_FAILED;
	net = sf_cli_net(cli);
	addr = sf_service_addr(&net, &sid);
	sf_addr_print(&addr, address);
	sf_sid_print(&sid, sid_text);
	if (address_only) {
		puts(address);
		return 0;
	}
	sf_names_load(cli, &names);
	sf_names_learn(&names, &sid, argv[1]);
	called = sf_names_of(&names, sid_text);
	if (!cli->json) {
		printf("name       %s\nserviceID  %s\naddress    %s\n", called ? called : "-",
		       sid_text, address);
		sf_names_free(&names);
		return 0;
	}
	out = json_pack("{s:s, s:s, s:s?}", "sid", sid_text, "address", address, "name", called);
	ret = sf_cli_value(out);
	json_decref(out);
	sf_names_free(&names);
	return ret;
}
