// SPDX-License-Identifier: Apache-2.0
/* Addresses, prefixes and networks as text. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/addr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool truth)
{
	if (!truth)
		abort();
}

/* @text up to the first newline is the service prefix, what follows the AS. */
static void check_net(char *text)
{
	char *as = strchr(text, '\n');
	const char *what = NULL;
	struct sf_net net;
	struct sf_addr a;

	if (!as)
		return;
	*as++ = 0;
	if (sf_net_parse(text, as, &net, &what)) {
		expect(what && (!strcmp(what, "as") || !strcmp(what, "service")));
		return;
	}
	/* A locator is never mistaken for a service address, nor the reverse. */
	a = sf_locator(&net, 0xffffffff, SF_SOCK_MASK);
	expect(!what && sf_addr_in_as(&net, &a) && !sf_addr_is_service(&net, &a));
	a = sf_service_addr(&net, &(struct sf_sid){ .w = { ~0u, ~0u, ~0u } });
	expect(sf_addr_is_service(&net, &a) && !sf_addr_in_as(&net, &a));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), buf[SF_ADDR_STRLEN];
	struct sf_addr a, back;
	int len;

	memcpy(text, data, size);
	text[size] = 0;
	if (!sf_addr_parse(text, &a)) {
		expect(!sf_addr_parse(sf_addr_print(&a, buf), &back) && sf_addr_eq(&a, &back));
		expect(strlen(sf_locator_print(&a, buf)) < sizeof(buf));
	}
	if (!sf_prefix_parse(text, &a, &len))
		expect(len >= 0 && len <= 128);
	check_net(text);
	free(text);
	return 0;
}
