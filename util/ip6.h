// SPDX-License-Identifier: Apache-2.0
/* ip6.h - IPv6 prefixes as text and back: what configuration and netlink share. */
#ifndef SF_UTIL_IP6_H
#define SF_UTIL_IP6_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An IPv6 prefix; bits behind @len are zero. {::, 0} is the default route's. */
struct sf_ip6_prefix {
	struct in6_addr addr;
	uint8_t len; /* bits, 0..128 */
};

#define SF_IP6_PREFIX_LEN \
	50 /* bytes for the longest printed prefix with its NUL (INET6_ADDRSTRLEN + "/128") */

/**
 * sf_ip6_prefix_make - the prefix of @len bits that @addr lies in.
 */
struct sf_ip6_prefix sf_ip6_prefix_make(const struct in6_addr *addr, uint8_t len);

/**
 * sf_ip6_prefix_parse - read "fd5c::/16" (without "/n": /128).
 * Returns 0, or -EINVAL: no prefix, or bits set behind the length (a typing error more often than a
 * wish).
 */
int sf_ip6_prefix_parse(const char *text, struct sf_ip6_prefix *out);

/**
 * sf_ip6_prefix_print - write "addr/len" into @buf and return it.
 * @buf: at least SF_IP6_PREFIX_LEN bytes
 */
char *sf_ip6_prefix_print(const struct sf_ip6_prefix *p, char *buf);

/** sf_ip6_prefix_contains - whether @addr lies in the prefix. */
bool sf_ip6_prefix_contains(const struct sf_ip6_prefix *p, const struct in6_addr *addr);

/** sf_ip6_is_any - whether @addr is "::", which stands for "none" throughout util/. */
static inline bool sf_ip6_is_any(const struct in6_addr *addr)
{
	return IN6_IS_ADDR_UNSPECIFIED(addr);
}

#endif
