// SPDX-License-Identifier: Apache-2.0
/* agent/rsyn: by which link messages leave, in a namespace with two uplinks:
 *
 *	a0 (primary, fd5c:0:1:2:1::)     its routes are in the main table
 *	b0 (standby, fd5c:0:1:1:1::)     its routes are in a table found by the source
 *
 * The peer's place, fd5c:0:1:3:1::, has more of its prefix in common with the primary's: an address
 * of the kernel's choice would be that one. Needs root.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/rsyn.h"

#define NONE_MS 100
#define SOME_MS 5000

static int set_up(void **state)
{
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	return system(
		"set -e; ip link set lo up;"
		"ip link add a0 type veth peer name a1; ip link add b0 type veth peer name b1;"
		"for l in a0 a1 b0 b1; do"
		"  echo 0 > /proc/sys/net/ipv6/conf/$l/accept_dad;"
		"  ip link set $l address 02:00:00:00:00:${l#?}${l%?} up; done;"
		"ip addr add fd5c:0:1:2:1::1/128 dev a0 nodad;"
		"ip addr add fd5c:0:1:1:1::1/128 dev b0 nodad;"
		"for l in a b; do"
		"  ip neigh add fe80::9 lladdr 02:00:00:00:00:1$l dev ${l}0; done;"
		"ip route add fd5c::/16 via fe80::9 dev a0;"
		"ip route add fd5c::/16 via fe80::9 dev b0 table 21301;"
		"ip -6 rule add from fd5c:0:1:1:1::/80 lookup 21301 priority 214");
}

static struct sf_addr addr(const char *text)
{
	struct sf_addr a;

	assert_int_equal(sf_addr_parse(text, &a), 0);
	return a;
}

static int watch(const char *name)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IPV6) };
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_IPV6));

	assert_true(fd >= 0);
	at.sll_ifindex = (int)if_nametoindex(name);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

/* Whether @m comes within @ms. What else is on the link (neighbours, groups) is passed over. */
static bool comes(int fd, const struct sf_move_msg *m, int ms)
{
	uint8_t packet[2048];
	struct rsyn_in in;
	uint8_t reason;

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		if (poll(&p, 1, ms) <= 0)
			return false;
		n = recv(fd, packet, sizeof(packet), 0);
		if (n > 0 && !rsyn_decode(packet, (size_t)n, &in, &reason) &&
		    in.msg.name == m->name && sf_addr_eq(&in.src, &m->src))
			return true;
	}
}

static int link_by_place(void *ctx, const struct sf_addr *place)
{
	struct sf_addr standby = addr("fd5c:0:1:1:1::");

	return (int)if_nametoindex(sf_locator_same_host(place, &standby) ? "b0" : "a0");
}

static int no_link(void *ctx, const struct sf_addr *place)
{
	return 0;
}

static void sends_by(const char *src, bool standby, rsyn_link_fn link)
{
	struct sf_move_msg m = { .src = addr(src),
				 .dst = addr("fd5c:0:1:3:1:cf7:af37:ddb"),
				 .host = { .b = { 0x80, 1, 2 } },
				 .peer = { .b = { 0x80, 3, 4 } },
				 .kind = SF_KIND_RSYN,
				 .name = 77 };
	int primary_fd = watch("a1"), standby_fd = watch("b1"), fd = rsyn_open(), err = 0;

	assert_true(fd >= 0);
	assert_int_equal(rsyn_send(fd, &m, 1, link, NULL, &err), 1);
	assert_int_equal(err, 0);
	assert_true(comes(standby ? standby_fd : primary_fd, &m, SOME_MS));
	assert_false(comes(standby ? primary_fd : standby_fd, &m, NONE_MS));
	close(fd);
	close(primary_fd);
	close(standby_fd);
}

static void each_place_has_its_link(void **state)
{
	sends_by("fd5c:0:1:2:1:29e0:6a1d:989f", false, link_by_place);
	sends_by("fd5c:0:1:1:1:29e0:6a1d:989f", true, link_by_place);
}

static void routes_know_the_source(void **state)
{
	sends_by("fd5c:0:1:2:1:29e0:6a1d:989f", false, no_link);
	sends_by("fd5c:0:1:1:1:29e0:6a1d:989f", true, no_link);
}

static void what_cannot_leave_is_told(void **state)
{
	struct sf_move_msg m = { .src = addr("fd5c:0:1:2:1:29e0:6a1d:989f"),
				 .dst = addr("fd99::1"),
				 .host = { .b = { 0x80, 1, 2 } },
				 .kind = SF_KIND_RSYN };
	int fd = rsyn_open(), err = 0;

	assert_int_equal(rsyn_send(fd, &m, 1, no_link, NULL, &err), 0);
	assert_int_equal(err, ENETUNREACH);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_place_has_its_link),
		cmocka_unit_test(routes_know_the_source),
		cmocka_unit_test(what_cannot_leave_is_told),
	};

	if (geteuid()) {
		print_message("SKIPPED: needs root, to make network namespaces\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, set_up, NULL);
}
