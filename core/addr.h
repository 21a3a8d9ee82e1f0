// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * addr.h - who and where: serviceIDs, service addresses and locators (paper sections 3.1, 5.2).
 *
 * SCAFFOLD is a profile of IPv6. Two forms of address carry its fields:
 *
 *   service address  fd5e:0 (32) | ssID (32) | local (64)                     who
 *                                 `------ serviceID (96) -------'
 *   locator          fd5c (16) | ASAddr (32) | hostAddr (32) | socketID (48)  where, which one
 *                    `- the AS's /48 -------'  block:16 host:16
 *
 * The two prefixes are a setting of the network (struct sf_net): a deployment may bring any /32 for
 * services and any /48 of its own for an AS. Every multi-byte field is big-endian in memory.
 */
#ifndef SF_CORE_ADDR_H
#define SF_CORE_ADDR_H

#include "core/compat.h"

/** struct sf_addr - an IPv6 address, 16 bytes in network order, seen as bytes or as words. */
struct sf_addr {
	union {
		__u8 b[16];
		__be16 h[8];
		__be32 w[4];
	};
};

/** struct sf_sid - a serviceID: 96 bits, ssID (32) then the name local to the service system (64).
 */
struct sf_sid {
	union {
		__u8 b[12];
		__be32 w[3];
	};
};

/**
 * struct sf_net - the settings by which addresses of one network are told from all others.
 * @service: first 32 bits of every service address.
 * @as: first 48 bits of this AS's locators (fd5c : ASAddr by default).
 */
struct sf_net {
	__be32 service;
	__be16 as[3];
	__u16 reserved;
};

SF_STATIC_ASSERT(sizeof(struct sf_addr) == 16, "address");
SF_STATIC_ASSERT(sizeof(struct sf_sid) == 12, "serviceID");
SF_STATIC_ASSERT(sizeof(struct sf_net) == 12, "network");

#define SF_SERVICE_PREFIX 0xfd5e0000u /* fd5e:0000::/32, the default */
#define SF_LOCATOR_PREFIX 0xfd5cu     /* fd5c::/16, the default */
#define SF_SSID_KEYED	  0x80000000u /* ssID bit: local part is a hash of a public key */
#define SF_SSID_HOSTS	  0x80000000u /* ssID of host identities: keyed, service system 0 */
#define SF_SSID_DEFAULT	  1u	      /* ssID of names without an explicit one */
#define SF_SOCK_MASK	  0xffffffffffffull

/** sf_net_default() - the default prefixes, for AS number @as (host order). */
SF_INLINE struct sf_net sf_net_default(__u32 as)
{
	struct sf_net n = { .service = sf_be32(SF_SERVICE_PREFIX) };

	n.as[0] = sf_be16(SF_LOCATOR_PREFIX);
	n.as[1] = sf_be16(as >> 16);
	n.as[2] = sf_be16(as);
	return n;
}

SF_INLINE bool sf_addr_eq(const struct sf_addr *a, const struct sf_addr *b)
{
	return a->w[0] == b->w[0] && a->w[1] == b->w[1] && a->w[2] == b->w[2] && a->w[3] == b->w[3];
}

SF_INLINE bool sf_addr_is_zero(const struct sf_addr *a)
{
	return !(a->w[0] | a->w[1] | a->w[2] | a->w[3]);
}

SF_INLINE bool sf_sid_eq(const struct sf_sid *a, const struct sf_sid *b)
{
	return a->w[0] == b->w[0] && a->w[1] == b->w[1] && a->w[2] == b->w[2];
}

/** sf_sid_is_zero() - whether @s is the anonymous serviceID. */
SF_INLINE bool sf_sid_is_zero(const struct sf_sid *s)
{
	return !(s->w[0] | s->w[1] | s->w[2]);
}

/** sf_sid_make() - serviceID of @local (host order) in service system @ssid (host order). */
SF_INLINE struct sf_sid sf_sid_make(__u32 ssid, __u64 local)
{
	struct sf_sid s;

	s.w[0] = sf_be32(ssid);
	s.w[1] = sf_be32(local >> 32);
	s.w[2] = sf_be32(local);
	return s;
}

/** sf_addr_is_service() - whether @a is a service address of network @n. */
SF_INLINE bool sf_addr_is_service(const struct sf_net *n, const struct sf_addr *a)
{
	return a->w[0] == n->service;
}

/** sf_service_addr() - the service address of serviceID @s in network @n. */
SF_INLINE struct sf_addr sf_service_addr(const struct sf_net *n, const struct sf_sid *s)
{
	struct sf_addr a;

	a.w[0] = n->service;
	a.w[1] = s->w[0];
	a.w[2] = s->w[1];
	a.w[3] = s->w[2];
	return a;
}

/** sf_addr_sid() - the serviceID inside service address @a. */
SF_INLINE struct sf_sid sf_addr_sid(const struct sf_addr *a)
{
	struct sf_sid s;

	s.w[0] = a->w[1];
	s.w[1] = a->w[2];
	s.w[2] = a->w[3];
	return s;
}

/**
 * sf_locator() - compose a locator.
 * @n: network (gives the AS)
 * @host: hostAddr, host order, 0 = unset
 * @sock: socketID in the low 48 bits, host order
 */
SF_INLINE struct sf_addr sf_locator(const struct sf_net *n, __u32 host, __u64 sock)
{
	struct sf_addr a;

	a.h[0] = n->as[0];
	a.h[1] = n->as[1];
	a.h[2] = n->as[2];
	a.h[3] = sf_be16(host >> 16);
	a.h[4] = sf_be16(host);
	a.h[5] = sf_be16(sock >> 32);
	a.h[6] = sf_be16(sock >> 16);
	a.h[7] = sf_be16(sock);
	return a;
}

/** sf_addr_in_as() - whether @a is a locator of this AS. */
SF_INLINE bool sf_addr_in_as(const struct sf_net *n, const struct sf_addr *a)
{
	return a->h[0] == n->as[0] && a->h[1] == n->as[1] && a->h[2] == n->as[2];
}

/** sf_locator_host() - hostAddr of locator @a, host order; 0 when only the AS is resolved. */
SF_INLINE __u32 sf_locator_host(const struct sf_addr *a)
{
	return ((__u32)sf_be16(a->h[3]) << 16) | sf_be16(a->h[4]);
}

/** sf_locator_sock() - socketID of locator @a, host order, 48 bits. */
SF_INLINE __u64 sf_locator_sock(const struct sf_addr *a)
{
	return ((__u64)sf_be16(a->h[5]) << 32) | ((__u64)sf_be16(a->h[6]) << 16) | sf_be16(a->h[7]);
}

/** sf_locator_set_sock() - replace the socketID of @a, keeping AS and host. */
SF_INLINE void sf_locator_set_sock(struct sf_addr *a, __u64 sock)
{
	a->h[5] = sf_be16(sock >> 32);
	a->h[6] = sf_be16(sock >> 16);
	a->h[7] = sf_be16(sock);
}

/**
 * sf_sock_is_unset() - whether a socketID stands for "no socket yet".
 *
 * The low 16 bits are free then: they hold the checksum adjustment of a resolved destination
 * (core/csum.h), or the number of a plain address of the host.
 */
SF_INLINE bool sf_sock_is_unset(__u64 sock)
{
	return (sock >> 16) == 0;
}

/** sf_locator_same_host() - whether two locators name one host (first 80 bits alike). */
SF_INLINE bool sf_locator_same_host(const struct sf_addr *a, const struct sf_addr *b)
{
	return a->w[0] == b->w[0] && a->w[1] == b->w[1] && a->h[4] == b->h[4];
}

#if SF_NATIVE
#define SF_ADDR_STRLEN 48

/** sf_addr_parse() - parse an IPv6 address. Return: 0, or -EINVAL when @text is none. */
int sf_addr_parse(const char *text, struct sf_addr *out);

/** sf_addr_print() - print @a (RFC 5952) into @buf of SF_ADDR_STRLEN bytes. Return: @buf. */
char *sf_addr_print(const struct sf_addr *a, char *buf);

/**
 * sf_locator_print() - print a locator with its socketID shortened to the first 16 bits and an
 * ellipsis, for logs: a whole socketID is what protects a flow from attackers off its path. An
 * unset one is printed as it is. Return: @buf, of SF_ADDR_STRLEN bytes.
 */
char *sf_locator_print(const struct sf_addr *a, char *buf);

/** sf_sid_print() - print @s as "ssid:local" in hexadecimal (8 and 16 digits). Return: @buf. */
char *sf_sid_print(const struct sf_sid *s, char *buf);

/** sf_prefix_parse() - parse "address/len", keeping bits behind the prefix. Return: 0, -EINVAL. */
int sf_prefix_parse(const char *text, struct sf_addr *addr, int *len);

/**
 * sf_net_parse() - settings from text.
 * @service: a /32 as "fd5e::/32"
 * @as: a /48 as "fd5c:0:1::/48", or a decimal AS number, which means fd5c:ASAddr::/48
 * Return: 0, or -EINVAL with *@what naming the argument that is wrong: one that does not parse, is
 * zero, has bits behind its prefix, or (service) holds the AS's locators.
 */
int sf_net_parse(const char *service, const char *as, struct sf_net *out, const char **what);
#endif

#endif
