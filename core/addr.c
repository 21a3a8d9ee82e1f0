// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * addr.c - addresses as text: what tools print and what configurations say.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#include "core/addr.h"

int sf_addr_parse(const char *text, struct sf_addr *out)
{
	struct sf_addr a;

	if (inet_pton(AF_INET6, text, a.b) != 1)
		return -EINVAL;
	*out = a;
	return 0;
}

char *sf_addr_print(const struct sf_addr *a, char *buf)
{
	/* Cannot fail: the family is known, the buffer is larger than INET6_ADDRSTRLEN. */
	inet_ntop(AF_INET6, a->b, buf, SF_ADDR_STRLEN);
	return buf;
}

char *sf_locator_print(const struct sf_addr *a, char *buf)
{
	if (sf_sock_is_unset(sf_locator_sock(a)))
		return sf_addr_print(a, buf);
	snprintf(buf, SF_ADDR_STRLEN, "%x:%x:%x:%x:%x:%x\u2026", sf_be16(a->h[0]), sf_be16(a->h[1]),
		 sf_be16(a->h[2]), sf_be16(a->h[3]), sf_be16(a->h[4]), sf_be16(a->h[5]));
	return buf;
}

char *sf_sid_print(const struct sf_sid *s, char *buf)
{
	snprintf(buf, SF_ADDR_STRLEN, "%08x:%08x%08x", sf_be32(s->w[0]), sf_be32(s->w[1]),
		 sf_be32(s->w[2]));
	return buf;
}

/* A decimal number and nothing else: no sign, no blanks, at most @max. */
static int decimal_parse(const char *text, __u64 max, __u64 *out)
{
	__u64 n = 0;

	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		n = n * 10 + (__u64)(*text - '0');
		if (n > max)
			return -EINVAL;
	}
	*out = n;
	return 0;
}

int sf_prefix_parse(const char *text, struct sf_addr *addr, int *len)
{
	const char *slash = strchr(text, '/');
	char buf[SF_ADDR_STRLEN];
	struct sf_addr a;
	__u64 bits;

	if (!slash || (size_t)(slash - text) >= sizeof(buf))
		return -EINVAL;
	memcpy(buf, text, (size_t)(slash - text));
	buf[slash - text] = 0;
	if (sf_addr_parse(buf, &a) || decimal_parse(slash + 1, 128, &bits))
		return -EINVAL;
	*addr = a;
	*len = (int)bits;
	return 0;
}

/* A prefix of just @len bits, a multiple of 16, with nothing set behind them. */
static int exact_prefix_parse(const char *text, int len, struct sf_addr *out)
{
	struct sf_addr a;
	int bits;

	if (sf_prefix_parse(text, &a, &bits) || bits != len)
		return -EINVAL;
	for (int i = len / 8; i < 16; i++)
		if (a.b[i])
			return -EINVAL;
	*out = a;
	return 0;
}

static int as_parse(const char *text, struct sf_net *out)
{
	struct sf_addr a;
	__u64 number;

	if (!strchr(text, ':')) {
		if (decimal_parse(text, 0xffffffffu, &number) || !number)
			return -EINVAL;
		*out = sf_net_default((__u32)number);
		return 0;
	}
	if (exact_prefix_parse(text, 48, &a) || !a.w[0])
		return -EINVAL;
	/* Below our own prefix the rest is an ASAddr, and 0 means that it is unset. */
	if (a.h[0] == sf_be16(SF_LOCATOR_PREFIX) && !a.h[1] && !a.h[2])
		return -EINVAL;
	memcpy(out->as, a.h, sizeof(out->as));
	return 0;
}

int sf_net_parse(const char *service, const char *as, struct sf_net *out, const char **what)
{
	struct sf_net net = { 0 };
	struct sf_addr a;

	*what = "as";
	if (as_parse(as, &net))
		return -EINVAL;
	*what = "service";
	if (exact_prefix_parse(service, 32, &a) || !a.w[0])
		return -EINVAL;
	/* A locator that looked like a service address would be resolved for ever. */
	if (a.h[0] == net.as[0] && a.h[1] == net.as[1])
		return -EINVAL;
	net.service = a.w[0];
	*out = net;
	*what = NULL;
	return 0;
}
