// SPDX-License-Identifier: Apache-2.0
/* sockdiag.h - the kernel's own list of TCP and UDP sockets (NETLINK_SOCK_DIAG), of the current
 * network namespace, AF_INET6.
 *
 * Used to find sockets that are older than the agent, and to free flows whose socket is gone
 * (TIME_WAIT included).
 */
#ifndef SF_UTIL_SOCKDIAG_H
#define SF_UTIL_SOCKDIAG_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

struct sf_sock {
	uint8_t protocol; /* IPPROTO_TCP, IPPROTO_UDP */
	uint8_t state;	  /* SF_TCP_*; UDP: ESTABLISHED where connected, else CLOSE */
	struct in6_addr local, remote;
	uint16_t local_port, remote_port; /* host order */
	uint32_t uid;
	uint32_t inode;	  /* 0: no process has it any more (TIME_WAIT, orphan, SYN_RECV) */
	uint32_t ifindex; /* SO_BINDTODEVICE, 0: none */
	uint64_t cookie;  /* as bpf_get_socket_cookie() gives */
	uint64_t cgroup;  /* id of its cgroup v2, 0: unknown */
	bool v6only;	  /* a wildcard listener without it takes IPv4, too */
};

/* TCP states as in the kernel's net/tcp_states.h. */
enum sf_tcp_state {
	SF_TCP_ESTABLISHED = 1,
	SF_TCP_SYN_SENT,
	SF_TCP_SYN_RECV,
	SF_TCP_FIN_WAIT1,
	SF_TCP_FIN_WAIT2,
	SF_TCP_TIME_WAIT,
	SF_TCP_CLOSE,
	SF_TCP_CLOSE_WAIT,
	SF_TCP_LAST_ACK,
	SF_TCP_LISTEN,
	SF_TCP_CLOSING,
	SF_TCP_NEW_SYN_RECV,
};

#define SF_TCP_BIT(state) (1u << (state))
#define SF_TCP_LISTENERS  SF_TCP_BIT(SF_TCP_LISTEN)
#define SF_TCP_ANY	  (0xfffu << 1) /* all of the above, SYN_RECV and TIME_WAIT too */

/* Non-zero ends the dump and is returned. */
typedef int (*sf_sock_fn)(const struct sf_sock *sock, void *ctx);

/**
 * sf_sockdiag_dump - call @fn for each socket.
 * @protocol: IPPROTO_TCP or IPPROTO_UDP
 * @states: SF_TCP_LISTENERS, SF_TCP_ANY or SF_TCP_BIT()s
 * Returns 0, what @fn returned, or a negative errno: -EINTR where the table changed so much
 * meanwhile that sockets may be missing: ask again before believing in an absence.
 */
int sf_sockdiag_dump(int protocol, uint32_t states, sf_sock_fn fn, void *ctx);

#endif
