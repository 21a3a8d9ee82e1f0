// SPDX-License-Identifier: Apache-2.0
/* trust.c - pinned keys and prefixes; see trust.h. */
#include "agent/trust.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "util/ip6.h"

bool trust_is_key(const char *text)
{
	return strlen(text) == TRUST_KEY_STRLEN - 1 &&
	       strspn(text, "0123456789abcdefABCDEF") == TRUST_KEY_STRLEN - 1;
}

bool trust_is_prefix(const char *text)
{
	struct sf_ip6_prefix prefix;

	return !sf_ip6_prefix_parse(text, &prefix);
}

char *trust_key_print(const uint8_t key[SF_SIGN_PUBLIC_LEN], char buf[TRUST_KEY_STRLEN])
{
	for (size_t i = 0; i < SF_SIGN_PUBLIC_LEN; i++)
		snprintf(buf + 2 * i, 3, "%02x", key[i]);
	return buf;
}

int trust_key(const struct config *c, const uint8_t key[SF_SIGN_PUBLIC_LEN], char *why, size_t len)
{
	const struct sf_conf_list *pins = &c->router_key;
	char got[TRUST_KEY_STRLEN];

	trust_key_print(key, got);
	for (size_t i = 0; i < pins->count; i++)
		if (!strcasecmp(pins->items[i], got))
			return 0;
	if (!pins->count)
		return 0;
	snprintf(why, len, "its key is %s, router_key= names %s%s", got, pins->items[0],
		 pins->count > 1 ? " and others" : "");
	return -EKEYREJECTED;
}

/* Whether the first @bits of @addr are inside of one of the configured prefixes. */
static bool is_inside(const struct config *c, const struct sf_addr *addr, uint8_t bits)
{
	struct sf_ip6_prefix allowed;
	struct in6_addr in6;

	memcpy(&in6, addr, sizeof(in6));
	for (size_t i = 0; i < c->prefixes.count; i++)
		if (!sf_ip6_prefix_parse(c->prefixes.items[i], &allowed) && allowed.len <= bits &&
		    sf_ip6_prefix_contains(&allowed, &in6))
			return true;
	return false;
}

static int outside(const char *what, const struct sf_addr *addr, uint8_t bits, char *why,
		   size_t len)
{
	char text[SF_IP6_PREFIX_LEN];
	struct sf_ip6_prefix prefix;
	struct in6_addr in6;

	memcpy(&in6, addr, sizeof(in6));
	prefix = sf_ip6_prefix_make(&in6, bits);
	snprintf(why, len, "its network's %s %s lie outside of prefixes=", what,
		 sf_ip6_prefix_print(&prefix, text));
	return -EPERM;
}

int trust_net(const struct config *c, const struct sf_net *net, char *why, size_t len)
{
	struct sf_addr locators = { .h = { net->as[0], net->as[1], net->as[2] } };
	struct sf_addr services = { .w = { net->service } };

	if (!is_inside(c, &locators, 48))
		return outside("locators", &locators, 48, why, len);
	if (!is_inside(c, &services, 32))
		return outside("service addresses", &services, 32, why, len);
	return 0;
}

bool trust_is_blind(const struct config *c)
{
	return !c->uplink.count && !c->router_key.count;
}
