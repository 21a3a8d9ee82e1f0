// SPDX-License-Identifier: Apache-2.0
/* netlink_internal.h - what the netlink_*.c files share; nobody else includes it. */
#ifndef SF_UTIL_NETLINK_INTERNAL_H
#define SF_UTIL_NETLINK_INTERNAL_H

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

#include "util/netlink.h"

#define NL_BUF 32768 /* what the kernel itself prefers for dumps; no single answer is larger */

struct sf_nl {
	struct mnl_socket *sock;
	uint32_t seq;
	char error[256];
	char request[8192];
	char answer[NL_BUF];
};

/* Starts a request in nl->request: header and @size zeroed bytes of family header, whose address
 * goes to @body. */
struct nlmsghdr *nl_begin(struct sf_nl *nl, uint16_t type, uint16_t flags, size_t size, void *body);

/*
 * Sends the request and waits. @fn (may be NULL) gets each answering message; when it returns
 * non-zero, the others are read but not handed over, and that is returned. Else 0 or negative
 * errno, with nl->error set.
 */
typedef int (*nl_answer_fn)(const struct nlmsghdr *nlh, void *ctx);
int nl_talk(struct sf_nl *nl, struct nlmsghdr *nlh, nl_answer_fn fn, void *ctx);

/* Flags of a request that makes something: an existing one is always reported, so that nl_ensure()
 * can judge. */
#define NL_ADD (NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK)

/* Makes @harmless (such as -EEXIST) a success where the caller asked for SF_NL_ENSURE. */
static inline int nl_ensure(int r, enum sf_nl_mode mode, int harmless)
{
	return mode == SF_NL_ENSURE && r == harmless ? 0 : r;
}

/* Read an object out of a message. False: of no concern here (another family, a cache entry). */
bool nl_read_link(const struct nlmsghdr *nlh, struct sf_nl_link *out);
bool nl_read_addr(const struct nlmsghdr *nlh, struct sf_nl_addr *out);
/* @hops gets the malloc'ed array that @out points to, for the caller to free, or NULL. */
bool nl_read_route(const struct nlmsghdr *nlh, struct sf_nl_route *out, struct sf_nl_hop **hops);
bool nl_read_rule(const struct nlmsghdr *nlh, struct sf_nl_rule *out);
bool nl_read_neigh(const struct nlmsghdr *nlh, struct sf_nl_neigh *out);

/* An address attribute's value, "::" where its length is wrong. */
struct in6_addr nl_attr_in6(const struct nlattr *attr);

/* A hardware address: true where the attribute has six bytes. */
bool nl_attr_mac(const struct nlattr *attr, uint8_t mac[6]);

#endif
