// SPDX-License-Identifier: Apache-2.0
/* session.c - the socket that hosts talk to; see session.h. */
#include "router/session.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/wire.h"
#include "router/datapath.h"
#include "router/hosts.h"
#include "router/join.h"
#include "router/links.h"
#include "router/lookup.h"
#include "router/registry.h"
#include "router/router.h"
#include "util/clock.h"
#include "util/errtext.h"
#include "util/log.h"
#include "util/ndisc.h"

#define JOIN_GROUP   "ff02::5caf"
#define BURST	     256  /* messages in one turn of the loop */
#define DENY_PER_SEC 1000 /* to senders without a session */
#define SOCKET_BYTES (4 << 20)
#define REFRESH_MS   1000

struct session_server {
	int fd, ndisc_fd;
	struct event *readable;
	uint64_t deny_second;
	uint32_t denied;
};

/* ---- sending ---- */

void session_send(struct router *r, const struct sockaddr_in6 *to, int ifindex, const void *data,
		  size_t len)
{
	struct sockaddr_in6 dst = *to;
	char buf[INET6_ADDRSTRLEN];

	dst.sin6_scope_id = (uint32_t)ifindex;
	r->stats.answers++;
	if (sendto(r->sessions->fd, data, len, MSG_DONTWAIT, (struct sockaddr *)&dst, sizeof(dst)) <
	    0)
		sf_debug("host %s: send: %s", inet_ntop(AF_INET6, &dst.sin6_addr, buf, sizeof(buf)),
			 strerror(errno));
}

void session_solicit(struct router *r, const struct sockaddr_in6 *to, const struct link *by)
{
	int ret = sf_ndisc_solicit(r->sessions->ndisc_fd, by->ifindex, &to->sin6_addr, by->nl.mac);

	if (ret)
		sf_debug("link %s: neighbour solicitation: %s", by->nl.name, strerror(-ret));
}

static bool may_deny(struct session_server *s)
{
	uint64_t second = sf_now_ms() / 1000;

	if (s->deny_second != second) {
		s->deny_second = second;
		s->denied = 0;
	}
	return s->denied++ < DENY_PER_SEC;
}

static void put_reason(struct sf_ctrl_out *o, uint8_t reason, const char *text, uint64_t time)
{
	struct sf_item_reason item = { .reason = reason };
	__be64 when = sf_be64(time);

	text = text ? text : sf_reason_text(reason);
	sf_ctrl_put(o, SF_ITEM_REASON, &item, sizeof(item));
	sf_ctrl_put(o, SF_ITEM_TEXT, text, strlen(text));
	if (time)
		sf_ctrl_put(o, SF_ITEM_TIME, &when, sizeof(when));
}

void session_deny(struct router *r, const struct request *q, uint8_t reason, const char *text,
		  uint64_t time)
{
	struct sf_ctrl_out o;
	struct reply p;
	int len;

	r->stats.refused[reason]++;
	if (q->host && q->host->session.id) {
		reply_begin(&p, q->host, SF_CTRL_DENIED, q->in.seq);
		put_reason(&p.out, reason, text, time);
		reply_send(r, &p);
		return;
	}
	if (!may_deny(r->sessions))
		return;
	sf_ctrl_begin(&o, p.buf, sizeof(p.buf), SF_CTRL_DENIED, q->in.seq, q->in.session);
	put_reason(&o, reason, text, time);
	len = sf_ctrl_end(&o);
	if (len > 0)
		session_send(r, &q->from, q->ifindex, p.buf, (size_t)len);
}

void reply_begin(struct reply *p, struct host *h, uint8_t type, uint32_t seq)
{
	p->host = h;
	if (!seq)
		seq = sf_session_next(&h->session, SF_SESSION_ROUTER);
	sf_session_begin(&h->session, &p->out, p->buf, sizeof(p->buf), type, seq);
}

void reply_send(struct router *r, struct reply *p)
{
	int len = sf_session_seal(&p->host->session, &p->out);

	if (len < 0)
		sf_error("host %s: answer: %s", p->host->name, strerror(-len));
	else
		session_send(r, &p->host->peer, p->host->ifindex, p->buf, (size_t)len);
}

void session_refresh(struct router *r, struct host *h, const char *why)
{
	uint64_t now = sf_now_ms();
	struct sf_ctrl_out o;
	struct reply p;
	int len;

	if (h->refreshed_ms && now - h->refreshed_ms < REFRESH_MS)
		return;
	h->refreshed_ms = now;
	sf_debug("host %s: asked to join again: %s", h->name, why);
	if (h->session.id) {
		reply_begin(&p, h, SF_CTRL_REFRESH, 0);
		sf_ctrl_put(&p.out, SF_ITEM_TEXT, why, strlen(why));
		reply_send(r, &p);
		return;
	}
	sf_ctrl_begin(&o, p.buf, sizeof(p.buf), SF_CTRL_REFRESH, 0, 0);
	sf_ctrl_put(&o, SF_ITEM_TEXT, why, strlen(why));
	len = sf_ctrl_end(&o);
	if (len > 0)
		session_send(r, &h->peer, h->ifindex, p.buf, (size_t)len);
}

/* ---- receiving ---- */

static void execute(struct router *r, struct request *q)
{
	switch (q->in.type) {
	case SF_CTRL_REGISTER:
		registry_register(r, q);
		break;
	case SF_CTRL_UNREGISTER:
		registry_unregister(r, q);
		break;
	case SF_CTRL_HEARTBEAT:
		registry_heartbeat(r, q);
		break;
	case SF_CTRL_LOOKUP:
		lookup_request(r, q);
		break;
	case SF_CTRL_LEAVE:
		registry_leave(r, q);
		break;
	default:
		session_deny(r, q, SF_BAD_MESSAGE, "a router takes no such message", 0);
	}
}

/* A message within a session: whose, authentic, new? */
static void handle_session(struct router *r, struct request *q)
{
	struct host *h = host_of_session(r, q->in.session);
	int ret;

	if (!h) {
		session_deny(r, q, SF_NO_SESSION, NULL, 0);
		return;
	}
	ret = sf_session_check(&h->session, &q->in);
	if (ret) {
		/* Not answered: who has no key learns nothing, and cannot speak for the host. */
		r->stats.refused[SF_BAD_MAC]++;
		return;
	}
	q->host = h;
	if (q->ifindex != h->ifindex ||
	    !IN6_ARE_ADDR_EQUAL(&q->from.sin6_addr, &h->peer.sin6_addr)) {
		/* It moved: only a JOIN makes routes. */
		r->stats.refused[SF_NO_SESSION]++;
		session_refresh(r, h, "you are on another link");
		return;
	}
	ret = q->in.seq < SF_SESSION_UNSOLICITED ? sf_seq_accept(&h->session.window, q->in.seq)
						 : -ESTALE;
	if (ret == -ESTALE) {
		session_deny(r, q, SF_REPLAYED, NULL, 0);
		return;
	}
	q->repeat = ret == -EALREADY;
	if (!q->repeat) {
		h->peer.sin6_port = q->from.sin6_port;
		h->seen_ms = sf_now_ms();
	}
	ret = host_prove(r, h);
	if (ret) {
		sf_error("host %s: JOIN: %s", h->name, strerror(-ret));
		session_deny(r, q, SF_INTERNAL, NULL, 0);
		return;
	}
	execute(r, q);
}

static void handle(struct router *r, struct request *q)
{
	const char *why;
	int ret;

	r->stats.messages++;
	if (!IN6_IS_ADDR_LINKLOCAL(&q->from.sin6_addr) ||
	    link_access(r, q->ifindex) == LINK_ACCESS_NO)
		return;
	ret = sf_ctrl_open(q->data, q->len, &q->in, &why);
	if (ret) {
		r->stats.refused[SF_BAD_MESSAGE]++;
		sf_debug("link %s: bad message: %s", link_name(r, q->ifindex), why);
		return;
	}
	if (q->in.type == SF_CTRL_JOIN)
		join_handle(r, q);
	else if (q->in.session)
		handle_session(r, q);
	else
		session_deny(r, q, SF_NO_SESSION, NULL, 0);
}

/* Return: 0, or -errno when there is no more. */
static int receive(struct router *r, uint8_t *buf, size_t room)
{
	struct request q = { .data = buf };
	union {
		struct cmsghdr align;
		char b[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	} control;
	struct iovec iov = { buf, room };
	struct msghdr m = { .msg_name = &q.from,
			    .msg_namelen = sizeof(q.from),
			    .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(r->sessions->fd, &m, MSG_DONTWAIT);

	if (n < 0)
		return -errno;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			q.ifindex = (int)info.ipi6_ifindex;
		}
	q.len = (size_t)n;
	if (m.msg_flags & MSG_TRUNC)
		r->stats.refused[SF_BAD_MESSAGE]++;
	else if (q.ifindex)
		handle(r, &q);
	return 0;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	uint8_t buf[SF_CTRL_MAX_UDP] __attribute__((aligned(8)));
	struct router *r = arg;
	int ret;

	for (int i = 0; i < BURST; i++) {
		ret = receive(r, buf, sizeof(buf));
		if (ret == -EAGAIN || ret == -EINTR)
			break;
		if (ret)
			sf_debug("control socket: %s", strerror(-ret));
	}
}

/* ---- the socket ---- */

int session_open(struct router *r, char *err, size_t errlen)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(SF_CTRL_PORT) };
	struct session_server *s = calloc(1, sizeof(*s));
	int on = 1, off = 0, hops = 1, bytes = SOCKET_BYTES, ret;

	if (!s)
		return sf_errtext(err, errlen, -ENOMEM, "out of memory");
	r->sessions = s;
	s->fd = -1;
	s->ndisc_fd = sf_ndisc_open();
	if (s->ndisc_fd < 0)
		return sf_errtext(err, errlen, s->ndisc_fd, "raw socket: %s",
				  strerror(-s->ndisc_fd));
	s->fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0 || setsockopt(s->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) ||
	    setsockopt(s->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)) ||
	    setsockopt(s->fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof(hops)) ||
	    setsockopt(s->fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, &off, sizeof(off)))
		return sf_errtext(err, errlen, -errno, "control socket: %s", strerror(errno));
	if (setsockopt(s->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)))
		setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if (bind(s->fd, (struct sockaddr *)&any, sizeof(any)))
		return sf_errtext(err, errlen, -errno, "control socket: UDP port %d: %s",
				  SF_CTRL_PORT, strerror(errno));
	ret = datapath_police(r->datapath, r->config.join_rate, r->config.message_rate);
	if (!ret)
		ret = datapath_police_attach(r->datapath, s->fd);
	if (ret)
		return sf_errtext(err, errlen, ret, "control socket: filter: %s", strerror(-ret));
	s->readable = event_new(r->base, s->fd, EV_READ | EV_PERSIST, on_readable, r);
	if (!s->readable || event_add(s->readable, NULL))
		return sf_errtext(err, errlen, -ENOMEM, "control socket: out of memory");
	return 0;
}

void session_close(struct router *r)
{
	struct session_server *s = r->sessions;

	if (!s)
		return;
	if (s->readable)
		event_free(s->readable);
	if (s->fd >= 0)
		close(s->fd);
	if (s->ndisc_fd >= 0)
		close(s->ndisc_fd);
	free(s);
	r->sessions = NULL;
}

static int membership(struct router *r, int ifindex, int option)
{
	struct ipv6_mreq m = { .ipv6mr_interface = (unsigned int)ifindex };

	inet_pton(AF_INET6, JOIN_GROUP, &m.ipv6mr_multiaddr);
	return setsockopt(r->sessions->fd, IPPROTO_IPV6, option, &m, sizeof(m)) ? -errno : 0;
}

void session_listen(struct router *r, int ifindex)
{
	int ret = membership(r, ifindex, IPV6_JOIN_GROUP);

	if (ret && ret != -EADDRINUSE)
		sf_warn("link %s: group " JOIN_GROUP ": %s", link_name(r, ifindex), strerror(-ret));
}

void session_unlisten(struct router *r, int ifindex)
{
	membership(r, ifindex, IPV6_LEAVE_GROUP);
}
