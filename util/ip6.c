// SPDX-License-Identifier: Apache-2.0
/* ip6.c - IPv6 prefixes as text and back (RFC 4291 section 2.3, RFC 5952 as inet_ntop() prints). */
#include "util/ip6.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sf_ip6_prefix sf_ip6_prefix_make(const struct in6_addr *addr, uint8_t len)
{
	struct sf_ip6_prefix p = { .len = len > 128 ? 128 : len };
	unsigned int whole = p.len / 8, rest = p.len % 8;

	memcpy(p.addr.s6_addr, addr->s6_addr, whole);
	if (rest)
		p.addr.s6_addr[whole] = addr->s6_addr[whole] & (uint8_t)(0xff00 >> rest);
	return p;
}

int sf_ip6_prefix_parse(const char *text, struct sf_ip6_prefix *out)
{
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	char host[INET6_ADDRSTRLEN];
	struct sf_ip6_prefix p;
	struct in6_addr addr;
	unsigned long len = 128;
	char *end;

	if (n >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, n);
	host[n] = '\0';
	if (inet_pton(AF_INET6, host, &addr) != 1)
		return -EINVAL;
	if (slash) {
		if (slash[1] < '0' || slash[1] > '9')
			return -EINVAL;
		len = strtoul(slash + 1, &end, 10);
		if (*end || len > 128)
			return -EINVAL;
	}
	p = sf_ip6_prefix_make(&addr, (uint8_t)len);
	if (memcmp(&p.addr, &addr, sizeof(addr)) != 0)
		return -EINVAL;
	*out = p;
	return 0;
}

char *sf_ip6_prefix_print(const struct sf_ip6_prefix *p, char *buf)
{
	char host[INET6_ADDRSTRLEN];

	inet_ntop(AF_INET6, &p->addr, host, sizeof(host));
	snprintf(buf, SF_IP6_PREFIX_LEN, "%s/%u", host, p->len);
	return buf;
}

bool sf_ip6_prefix_contains(const struct sf_ip6_prefix *p, const struct in6_addr *addr)
{
	struct sf_ip6_prefix q = sf_ip6_prefix_make(addr, p->len);

	return memcmp(&p->addr, &q.addr, sizeof(q.addr)) == 0;
}
