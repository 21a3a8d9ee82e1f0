// SPDX-License-Identifier: Apache-2.0
/* socket_senders_test.c - who may speak in a service's name: the socket hooks, as sockets.h has
 * them. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>

#include "tests/bpf/sockets.h"
#include "util/bpf.h"
#include "util/cgroup.h"
#include "util/netns.h"

/* ---- who may speak in a service's name ---------------------------------------------------- */

static void policy_set(uint32_t kind, uint64_t id, unsigned int bits, uint8_t verdict)
{
	struct sf_sender_key k = {
		.prefixlen = SF_SENDER_BITS - bits, .kind = kind, .host = cookie, .id = sf_be64(id)
	};
	int fd = bpf_map__fd(skel->maps.senders);

	if (verdict)
		assert_int_equal(bpf_map_update_elem(fd, &k, &verdict, BPF_ANY), 0);
	else
		assert_int_equal(bpf_map_delete_elem(fd, &k), 0);
}

static void flags_set(uint32_t flags)
{
	struct sf_hook_host host;

	memset(&host, 0, sizeof(host));
	host.net = net;
	host.flags = flags;
	assert_int_equal(
		bpf_map_update_elem(bpf_map__fd(skel->maps.hosts), &cookie, &host, BPF_ANY), 0);
}

static int sends_from(int fd, const struct sf_addr *src)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = htons(9) };
	struct in6_pktinfo info = { .ipi6_ifindex = 0 };
	union {
		char room[CMSG_SPACE(sizeof(info))];
		struct cmsghdr align;
	} control = { .room = { 0 } };
	struct iovec iov = { "x", 1 };
	struct msghdr msg = {
		.msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &iov, .msg_iovlen = 1
	};
	struct cmsghdr *c;

	memcpy(&to.sin6_addr, &service, 16);
	if (src) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		memcpy(&info.ipi6_addr, src, 16);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = IPPROTO_IPV6;
		c->cmsg_type = IPV6_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(c), &info, sizeof(info));
	}
	return sendmsg(fd, &msg, 0) < 0 ? -errno : 0;
}

static int connects_from(const struct sf_addr *src)
{
	int fd = bound(SOCK_STREAM, src, 0), ret = connect_to(fd, &service, 9);

	close(fd);
	return ret;
}

static void only_the_allowed_send_from_services(void **state)
{
	struct sf_sid own_sid = sf_sid_make(SF_SSID_HOSTS, 5);
	struct sf_addr own = sf_service_addr(&net, &own_sid), loopback = { .b = { [15] = 1 } };
	int udp, plain = bound(SOCK_DGRAM, &(struct sf_addr){ .w = { 0 } }, 0), tcp;
	struct sf_hook_counts c;

	assert_int_equal(lo_has(&other), 0);
	assert_int_equal(lo_has(&own), 0);
	counts_enter();
	assert_int_equal(connects_from(&other), -ECONNREFUSED); /* no policy yet */
	flags_set(SF_HOOK_SENDERS);
	policy_set(SF_SENDER_UID, 8, 3, SF_SENDER_ALLOWED); /* 8 to 15: not us */
	assert_int_equal(connects_from(&other), -EPERM);
	c = counted();
	assert_int_equal(c.denied, 1);
	assert_memory_equal(&c.addr, &other, 16);
	assert_int_equal(c.uid, 0);
	assert_true(c.comm[0] != 0);
	udp = bound(SOCK_DGRAM, &other, 0);
	assert_int_equal(sends_from(udp, NULL), -EPERM);
	assert_int_equal(connect_to(udp, &service, 9), -EPERM);
	close(udp);
	assert_int_equal(sends_from(plain, &other), -EPERM); /* IPV6_PKTINFO */
	assert_int_equal(counted().denied, 4);
	/* What is nobody's: the kernel's choice, the host's identity, other addresses. */
	assert_int_equal(sends_from(plain, NULL), 0);
	assert_int_equal(sends_from(plain, &own), 0);
	assert_int_equal(connects_from(&own), -ECONNREFUSED);
	assert_int_equal(connects_from(&loopback), -ECONNREFUSED);
	tcp = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect_to(tcp, &service, 9), -ECONNREFUSED);
	close(tcp);
	assert_int_equal(counted().denied, 4);
	/* Allowed by range, by group, by control group; denied by one. */
	policy_set(SF_SENDER_UID, 0, 3, SF_SENDER_ALLOWED);
	assert_int_equal(connects_from(&other), -ECONNREFUSED);
	policy_set(SF_SENDER_UID, 0, 3, 0);
	assert_int_equal(connects_from(&other), -EPERM);
	policy_set(SF_SENDER_GID, 0, 0, SF_SENDER_ALLOWED);
	flags_set(SF_HOOK_SENDERS | SF_HOOK_SENDER_GIDS);
	assert_int_equal(connects_from(&other), -ECONNREFUSED);
	policy_set(SF_SENDER_CGROUP, group_id(group), 0, SF_SENDER_DENIED);
	flags_set(SF_HOOK_SENDERS | SF_HOOK_SENDER_GIDS | SF_HOOK_SENDER_CGROUPS);
	assert_int_equal(connects_from(&other), -EPERM);
	assert_int_equal(counted().denied_cgroup, 1);
	policy_set(SF_SENDER_GID, 0, 0, 0);
	policy_set(SF_SENDER_CGROUP, group_id(group), 0, SF_SENDER_ALLOWED);
	assert_int_equal(connects_from(&other), -ECONNREFUSED);
	/* One that denied programs listen on is theirs as little as before, and they see it. */
	policy_set(SF_SENDER_CGROUP, group_id(group), 0, 0);
	tcp = listening(&other, 92);
	close(tcp);
	/* Registered by hand for a wildcard socket: it answers from the service's address. */
	judge_manual(&other, IPPROTO_UDP, 93);
	udp = bound(SOCK_DGRAM, &(struct sf_addr){ .w = { 0 } }, 93);
	assert_int_equal(sends_from(udp, &other), 0);
	assert_int_equal(sends_from(udp, &service), -EPERM);
	close(udp);
	close(plain);
	policy_set(SF_SENDER_UID, 8, 3, 0);
	flags_set(0);
}

#define T(f) cmocka_unit_test_setup(f, sockets_begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(only_the_allowed_send_from_services),
	};

	if (geteuid()) {
		fprintf(stderr, "SKIP: loading eBPF programs needs root\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, sockets_setup, sockets_teardown);
}
