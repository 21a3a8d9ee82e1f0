// SPDX-License-Identifier: Apache-2.0
/*
 * listen.h - listening sockets on libevent that survive running out of descriptors.
 *
 * Where accept() fails for lack of descriptors or memory the socket stays readable, and a plain
 * listener would spin; these rest for 200 ms instead.
 */
#ifndef SF_UTIL_LISTEN_H
#define SF_UTIL_LISTEN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

struct event_base;
struct evconnlistener;
struct sf_listener;

/**
 * sf_hostport_split() - Take "[2001:db8::1]:80", "192.0.2.1:80" or "name:80" apart.
 * @host: out: without brackets.
 * @len: size of @host.
 *
 * Return: 0 or -EINVAL (an IPv6 address needs its brackets, and every address its port).
 */
int sf_hostport_split(const char *address, char *host, size_t len, uint16_t *port);

/**
 * sf_sockaddr_parse() - The socket address of a numeric IPv6 or IPv4 address.
 * @host: without brackets.
 * @port: host order.
 * @len: out: bytes of @out that count.
 *
 * Return: 0 or -EINVAL (a name, or nonsense).
 */
int sf_sockaddr_parse(const char *host, uint16_t port, struct sockaddr_storage *out,
		      socklen_t *len);

/**
 * sf_listener_tcp() - Listen on a TCP address.
 * @address: "[::]:80" (IPv4 too), "192.0.2.1:80"; port 0 picks one.
 * @port: out: the port listened on.
 *
 * Return: 0; -EINVAL bad address; -EADDRINUSE; other -errno.
 */
int sf_listener_tcp(struct event_base *base, const char *address, struct sf_listener **out,
		    uint16_t *port, char *err, size_t errlen);

/**
 * sf_listener_unix() - Listen on a Unix stream socket.
 * @path: its file, of which a stale one (nobody listens any more) is replaced.
 * @mode: permission bits.
 * @group: owner group, NULL to leave it.
 *
 * Return: 0; -EADDRINUSE a live process serves it; -EEXIST the file is no socket; -EINVAL unknown
 * group; -ENAMETOOLONG; other -errno.
 */
int sf_listener_unix(struct event_base *base, const char *path, mode_t mode, const char *group,
		     struct sf_listener **out, char *err, size_t errlen);

/** sf_listener_packets() - The same with a Unix socket of type SOCK_SEQPACKET. */
int sf_listener_packets(struct event_base *base, const char *path, mode_t mode,
			struct sf_listener **out, char *err, size_t errlen);

/**
 * sf_listener_ev() - libevent's listener: set its callback (evconnlistener_set_cb()), or hand it
 * to evhttp_bind_listener().
 */
struct evconnlistener *sf_listener_ev(const struct sf_listener *listener);

/**
 * sf_listener_free() - Close, and remove the Unix socket's file if it is still ours. NULL is fine.
 */
void sf_listener_free(struct sf_listener *listener);

/**
 * sf_listener_release() - The same, but leave libevent's listener to who has it now (evhttp).
 */
void sf_listener_release(struct sf_listener *listener);

#endif
