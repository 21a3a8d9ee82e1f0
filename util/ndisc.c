// SPDX-License-Identifier: Apache-2.0
/* ndisc.c - see ndisc.h. */
#include "util/ndisc.h"

#include <errno.h>
#include <netinet/icmp6.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAC_LEN	  6
#define HOP_LIMIT 255 /* from the link itself, as receivers check (RFC 4861, 6.1.1 and 7.1.1) */

/* Source Link-Layer Address. */
struct source {
	struct nd_opt_hdr head;
	uint8_t mac[MAC_LEN];
};

struct to_router {
	struct nd_router_solicit head;
	struct source source;
};

struct to_neighbour {
	struct nd_neighbor_solicit head;
	struct source source;
};

static int set(int fd, int level, int option, const void *value, socklen_t len)
{
	return setsockopt(fd, level, option, value, len) ? -errno : 0;
}

int sf_ndisc_open(void)
{
	int fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMPV6);
	int hops = HOP_LIMIT, off = 0, ret;
	struct icmp6_filter none;

	if (fd < 0)
		return -errno;
	ICMP6_FILTER_SETBLOCKALL(&none);
	ret = set(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &none, sizeof(none));
	if (!ret)
		ret = set(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof(hops));
	if (!ret)
		ret = set(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &hops, sizeof(hops));
	if (!ret)
		ret = set(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, &off, sizeof(off));
	if (ret) {
		close(fd);
		return ret;
	}
	return fd;
}

static struct source source_of(const uint8_t *mac)
{
	struct source s = { .head = { ND_OPT_SOURCE_LINKADDR, sizeof(s) / 8 } };

	memcpy(s.mac, mac, MAC_LEN);
	return s;
}

static int send_to(int fd, int ifindex, const struct in6_addr *to, const void *data, size_t len)
{
	struct sockaddr_in6 sin = { .sin6_family = AF_INET6,
				    .sin6_addr = *to,
				    .sin6_scope_id = (uint32_t)ifindex };

	if (sendto(fd, data, len, MSG_DONTWAIT, (struct sockaddr *)&sin, sizeof(sin)) < 0)
		return -errno;
	return 0;
}

int sf_ndisc_solicit_router(int fd, int ifindex, const struct in6_addr *to, const uint8_t *mac)
{
	struct to_router s = { .head.nd_rs_type = ND_ROUTER_SOLICIT, .source = source_of(mac) };

	return send_to(fd, ifindex, to, &s, sizeof(s));
}

int sf_ndisc_solicit(int fd, int ifindex, const struct in6_addr *to, const uint8_t *mac)
{
	struct to_neighbour s = { .head.nd_ns_type = ND_NEIGHBOR_SOLICIT,
				  .head.nd_ns_target = *to,
				  .source = source_of(mac) };

	return send_to(fd, ifindex, to, &s, sizeof(s));
}
