// SPDX-License-Identifier: Apache-2.0
/* listen.c - see listen.h. */
#include "util/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <event2/util.h>
#include <grp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/errtext.h"

#define BACKLOG 256

struct sf_listener {
	LIST_ENTRY(sf_listener) link;
	struct evconnlistener *ev;
	struct event *rest;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)]; /* "" for TCP */
	dev_t dev;
	ino_t ino;
};

/* libevent's error callback gets the ctx of the accept callback, which may be evhttp's: so the
 * object is found by the listener. */
static LIST_HEAD(sf_listener_list, sf_listener) listeners = LIST_HEAD_INITIALIZER(listeners);

static void rest_over(evutil_socket_t fd, short what, void *arg)
{
	struct sf_listener *listener = arg;

	(void)fd;
	(void)what;
	evconnlistener_enable(listener->ev);
}

static void accept_failed(struct evconnlistener *ev, void *arg)
{
	static const struct timeval pause = { .tv_usec = 200000 };
	struct sf_listener *listener;

	(void)arg;
	LIST_FOREACH(listener, &listeners, link)
	{
		if (listener->ev == ev) {
			evconnlistener_disable(ev);
			event_add(listener->rest, &pause);
		}
	}
}

/* Takes the bound descriptor, also when it fails. */
static int listener_new(struct event_base *base, int fd, struct sf_listener **out)
{
	struct sf_listener *listener = calloc(1, sizeof(*listener));
	int rc = -ENOMEM;

	if (!listener) {
		close(fd);
		return rc;
	}
	listener->rest = event_new(base, -1, 0, rest_over, listener);
	if (listener->rest) {
		errno = ENOMEM;
		listener->ev = evconnlistener_new(base, NULL, NULL,
						  LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC,
						  BACKLOG, fd);
		rc = listener->ev ? 0 : -errno;
	}
	if (rc) {
		if (listener->rest)
			event_free(listener->rest);
		free(listener);
		close(fd);
		return rc;
	}
	evconnlistener_set_error_cb(listener->ev, accept_failed);
	LIST_INSERT_HEAD(&listeners, listener, link);
	*out = listener;
	return 0;
}

struct evconnlistener *sf_listener_ev(const struct sf_listener *listener)
{
	return listener->ev;
}

void sf_listener_release(struct sf_listener *listener)
{
	struct stat st;

	if (!listener)
		return;
	/* Another process may have replaced it, because it could not connect to us. */
	if (listener->path[0] && !lstat(listener->path, &st) && st.st_dev == listener->dev &&
	    st.st_ino == listener->ino)
		unlink(listener->path);
	LIST_REMOVE(listener, link);
	event_free(listener->rest);
	free(listener);
}

void sf_listener_free(struct sf_listener *listener)
{
	struct evconnlistener *ev = listener ? listener->ev : NULL;

	sf_listener_release(listener);
	if (ev)
		evconnlistener_free(ev);
}

/* ---- TCP -------------------------------------------------------------------------------- */

int sf_hostport_split(const char *address, char *host, size_t len, uint16_t *port)
{
	const char *colon = strrchr(address, ':'), *begin = address, *end = colon;
	unsigned long number;
	char *rest;

	if (!colon || colon[1] < '0' || colon[1] > '9')
		return -EINVAL;
	number = strtoul(colon + 1, &rest, 10);
	if (*rest || number > 65535)
		return -EINVAL;
	if (*begin == '[') {
		if (end[-1] != ']')
			return -EINVAL;
		begin++;
		end--;
	}
	if (end <= begin || (size_t)(end - begin) >= len ||
	    (address[0] == '[') != !!memchr(begin, ':', (size_t)(end - begin)))
		return -EINVAL;
	memcpy(host, begin, (size_t)(end - begin));
	host[end - begin] = '\0';
	*port = (uint16_t)number;
	return 0;
}

int sf_sockaddr_parse(const char *host, uint16_t port, struct sockaddr_storage *out, socklen_t *len)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_storage ss = { 0 };

	if (inet_pton(AF_INET6, host, &in6.sin6_addr) == 1) {
		memcpy(&ss, &in6, sizeof(in6));
		*len = sizeof(in6);
	} else if (inet_pton(AF_INET, host, &in.sin_addr) == 1) {
		memcpy(&ss, &in, sizeof(in));
		*len = sizeof(in);
	} else {
		return -EINVAL;
	}
	*out = ss;
	return 0;
}

static int bound_port(int fd, uint16_t *port)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} at = { .in6 = { 0 } };
	socklen_t len = sizeof(at);

	if (getsockname(fd, &at.any, &len))
		return -errno;
	*port = ntohs(at.any.sa_family == AF_INET6 ? at.in6.sin6_port : at.in.sin_port);
	return 0;
}

int sf_listener_tcp(struct event_base *base, const char *address, struct sf_listener **out,
		    uint16_t *port, char *err, size_t errlen)
{
	int fd, rc, one = 1, zero = 0;
	char host[INET6_ADDRSTRLEN];
	struct sockaddr_storage ss;
	uint16_t bound = 0;
	socklen_t len;

	if (sf_hostport_split(address, host, sizeof(host), &bound) ||
	    sf_sockaddr_parse(host, bound, &ss, &len))
		return sf_errtext(err, errlen, -EINVAL,
				  "address \"%s\": expected [IPv6]:port or IPv4:port", address);
	fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return sf_errtext(err, errlen, -errno, "%s: %s", address, strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (ss.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	rc = bind(fd, (struct sockaddr *)&ss, len) ? -errno : bound_port(fd, &bound);
	if (rc) {
		close(fd);
		return sf_errtext(err, errlen, rc, "%s: cannot listen: %s", address, strerror(-rc));
	}
	rc = listener_new(base, fd, out);
	if (rc)
		return sf_errtext(err, errlen, rc, "%s: cannot listen: %s", address, strerror(-rc));
	*port = bound;
	return 0;
}

/* ---- Unix ------------------------------------------------------------------------------- */

/* Makes room for a socket file: removes one that nobody listens on. */
static int path_clear(const char *path, const struct sockaddr_un *sun, int type, char *err,
		      size_t errlen)
{
	struct stat st;
	int fd, rc;

	if (lstat(path, &st))
		return errno == ENOENT
			       ? 0
			       : sf_errtext(err, errlen, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return sf_errtext(err, errlen, -EEXIST, "%s: exists and is not a socket", path);
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return sf_errtext(err, errlen, -errno, "%s: %s", path, strerror(errno));
	rc = connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) ? -errno : 0;
	close(fd);
	if (rc == -ECONNREFUSED || rc == -ENOENT) {
		if (unlink(path) && errno != ENOENT)
			return sf_errtext(err, errlen, -errno, "%s: cannot remove stale socket: %s",
					  path, strerror(errno));
		return 0;
	}
	if (!rc || rc == -EAGAIN) /* -EAGAIN: its queue is full, so there is a listener */
		return sf_errtext(err, errlen, -EADDRINUSE,
				  "%s: another process serves this socket", path);
	return sf_errtext(err, errlen, rc, "%s: cannot tell whether it is in use: %s", path,
			  strerror(-rc));
}

static int unix_listener(struct event_base *base, const char *path, int type, mode_t mode,
			 const char *group, struct sf_listener **out, char *err, size_t errlen)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct sf_listener *listener = NULL;
	struct group *gr = NULL;
	struct stat st;
	int fd, rc;

	if (!*path || strlen(path) >= sizeof(sun.sun_path))
		return sf_errtext(err, errlen, *path ? -ENAMETOOLONG : -EINVAL,
				  "socket path \"%.120s\": expected 1 to %zu characters", path,
				  sizeof(sun.sun_path) - 1);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	if (group && !(gr = getgrnam(group)))
		return sf_errtext(err, errlen, -EINVAL, "%s: no such group: %s", path, group);
	rc = path_clear(path, &sun, type, err, errlen);
	if (rc)
		return rc;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sun, sizeof(sun))) {
		rc = -errno;
		if (fd >= 0)
			close(fd);
		return sf_errtext(err, errlen, rc, "%s: cannot listen: %s", path, strerror(-rc));
	}
	/* Nobody can connect before listen(), so the file has its mode in time. */
	if ((gr && chown(path, (uid_t)-1, gr->gr_gid)) || chmod(path, mode) || lstat(path, &st)) {
		rc = -errno;
		close(fd);
	} else {
		rc = listener_new(base, fd, &listener);
	}
	if (!listener) {
		unlink(path);
		return sf_errtext(err, errlen, rc, "%s: cannot listen: %s", path, strerror(-rc));
	}
	snprintf(listener->path, sizeof(listener->path), "%s", path);
	listener->dev = st.st_dev;
	listener->ino = st.st_ino;
	*out = listener;
	return 0;
}

int sf_listener_unix(struct event_base *base, const char *path, mode_t mode, const char *group,
		     struct sf_listener **out, char *err, size_t errlen)
{
	return unix_listener(base, path, SOCK_STREAM, mode, group, out, err, errlen);
}

int sf_listener_packets(struct event_base *base, const char *path, mode_t mode,
			struct sf_listener **out, char *err, size_t errlen)
{
	return unix_listener(base, path, SOCK_SEQPACKET, mode, NULL, out, err, errlen);
}
