// SPDX-License-Identifier: Apache-2.0
/* session.c - requests to the access router and their answers. */
#include "agent/session.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/wire.h"
#include "util/clock.h"
#include "util/log.h"

/* Leave a margin below the router's window: a repeat of the oldest must not fall out of it. */
#define SPAN_MAX   (SF_SESSION_WINDOW - 8)
#define READ_BURST 64 /* datagrams of one turn of the loop */

/* ---- requests --------------------------------------------------------------------------- */

static void unlink_request(struct session_request *q)
{
	struct session *s = q->session;

	for (struct session_request **at = &s->pending; *at; at = &(*at)->next) {
		if (*at != q)
			continue;
		*at = q->next;
		if (s->pending_end == &q->next)
			s->pending_end = at;
		return;
	}
}

void session_drop(struct session_request *q)
{
	if (!q)
		return;
	unlink_request(q);
	if (q->timer)
		event_free(q->timer);
	free(q);
}

bool session_up(const struct session *s)
{
	return s->keys.id != 0;
}

bool session_has_room(const struct session *s)
{
	if (!session_up(s))
		return false;
	return !s->pending || s->keys.sent + 1 - s->pending->seq < SPAN_MAX;
}

struct session_request *session_request(struct session *s, uint8_t type)
{
	struct session_request *q;

	if (!session_has_room(s))
		return NULL;
	q = calloc(1, sizeof(*q));
	if (!q)
		return NULL;
	q->session = s;
	q->seq = sf_session_next(&s->keys, SF_SESSION_HOST);
	sf_session_begin(&s->keys, &q->out, q->buf, sizeof(q->buf), type, q->seq);
	return q;
}

void session_retype(struct session_request *q, uint8_t type)
{
	((struct sf_ctrl_hdr *)q->buf)->type = type;
}

/* To the router of the session. */
static int say(struct session *s, const void *data, size_t len)
{
	const struct sockaddr_in6 *to = &s->router;

	if (sendto(s->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)to,
		   sizeof(*to)) < 0)
		return -errno;
	return 0;
}

static int transmit(struct session_request *q)
{
	q->session->sent++;
	return say(q->session, q->buf, q->len);
}

static void arm(struct session_request *q)
{
	struct timeval wait = sf_ms_timeval(q->wait_ms);

	event_add(q->timer, &wait);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct session_request *q = arg;
	uint8_t type = ((const struct sf_ctrl_hdr *)q->buf)->type;
	struct session *s = q->session;

	q->waited_ms += q->wait_ms;
	/* The answer is not the router's own: that it does not come says nothing about it. */
	if (type == SF_CTRL_LOOKUP && q->waited_ms >= SESSION_LOST_MS) {
		session_drop(q);
		return;
	}
	q->wait_ms = q->wait_ms * 2 < SF_CTRL_RETRY_CAP ? q->wait_ms * 2 : SF_CTRL_RETRY_CAP;
	s->repeated++;
	transmit(q); /* a failure (link down) is what repeating is for */
	arm(q);
	if (q->waited_ms >= SESSION_LOST_MS && !q->lost) {
		q->lost = true;
		s->ops->lost(s->ctx);
	}
}

int session_send(struct session_request *q, session_answer_fn answered)
{
	struct session *s = q->session;

	q->len = sf_session_seal(&s->keys, &q->out);
	if (q->len >= 0)
		q->timer = evtimer_new(s->base, on_timer, q);
	if (q->len < 0 || !q->timer) {
		int err = q->len < 0 ? q->len : -ENOMEM;

		session_drop(q);
		return err;
	}
	q->answered = answered;
	q->wait_ms = SF_CTRL_RETRY_MS;
	*s->pending_end = q;
	s->pending_end = &q->next;
	transmit(q);
	/* The loop's idea of now is as old as this turn, which may have done slow work before. */
	event_base_update_cache_time(s->base);
	arm(q);
	return 0;
}

/* ---- receiving -------------------------------------------------------------------------- */

/* Whether a message of type @answer ends a request of type @request: DENIED ends any. */
static bool is_answer(uint8_t request, uint8_t answer)
{
	static const struct {
		uint8_t request, answer;
	} pairs[] = {
		{ SF_CTRL_LEAVE, SF_CTRL_LEFT },
		{ SF_CTRL_REGISTER, SF_CTRL_REGISTERED },
		{ SF_CTRL_UNREGISTER, SF_CTRL_UNREGISTERED },
		{ SF_CTRL_HEARTBEAT, SF_CTRL_ALIVE },
		{ SF_CTRL_LOOKUP, SF_CTRL_FOUND },
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if (pairs[i].request == request)
			return answer == pairs[i].answer || answer == SF_CTRL_DENIED;
	return false;
}

static void handle_answer(struct session *s, const struct sf_ctrl_in *in)
{
	struct session_request *q = s->pending;
	struct sf_ctrl_in request;
	const char *why;
	uint8_t asked;

	while (q && q->seq != in->seq)
		q = q->next;
	if (!q)
		return; /* the answer to a repeat, after the answer; or a replay */
	asked = ((const struct sf_ctrl_hdr *)q->buf)->type;
	if (!is_answer(asked, in->type)) {
		s->bad++;
		sf_debug("%s answers %s: ignored", sf_ctrl_name(in->type), sf_ctrl_name(asked));
		return;
	}
	s->answered_ms = sf_now_ms();
	unlink_request(q);
	event_del(q->timer);
	if (!sf_ctrl_open(q->buf, q->len, &request, &why))
		q->answered(s->ctx, &request, in);
	session_drop(q);
	s->ops->room(s->ctx);
}

static void handle(struct session *s, const void *data, size_t len, const struct sockaddr_in6 *from)
{
	struct sf_ctrl_in in;
	const char *why = "";
	char text[INET6_ADDRSTRLEN];
	int err = sf_ctrl_open(data, len, &in, &why);

	if (err) {
		s->bad++;
		sf_debug("message from %s: %s",
			 inet_ntop(AF_INET6, &from->sin6_addr, text, sizeof(text)), why);
		return;
	}
	err = session_up(s) ? sf_session_check(&s->keys, &in) : -ENOENT;
	if (err == -EBADMSG && in.type != SF_CTRL_JOINED && in.type != SF_CTRL_DENIED &&
	    in.type != SF_CTRL_REFRESH) {
		s->bad++;
		sf_debug("%s from %s: wrong MAC", sf_ctrl_name(in.type),
			 inet_ntop(AF_INET6, &from->sin6_addr, text, sizeof(text)));
		return;
	}
	if (err) {
		s->ops->stranger(s->ctx, &in, from);
		return;
	}
	if (in.seq < SF_SESSION_UNSOLICITED) {
		handle_answer(s, &in);
	} else if (!sf_seq_accept(&s->keys.window, in.seq)) {
		s->answered_ms = sf_now_ms();
		s->ops->unasked(s->ctx, &in);
	}
}

/* One datagram. Return: bytes, or -errno. @from->sin6_scope_id is the link it came by. */
static ssize_t receive(int fd, void *buf, size_t room, struct sockaddr_in6 *from)
{
	union {
		char room[CMSG_SPACE(sizeof(struct in6_pktinfo))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { buf, room };
	struct msghdr msg = { .msg_name = from,
			      .msg_namelen = sizeof(*from),
			      .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT);

	if (n < 0)
		return -errno;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		struct in6_pktinfo info;

		if (c->cmsg_level != IPPROTO_IPV6 || c->cmsg_type != IPV6_PKTINFO)
			continue;
		memcpy(&info, CMSG_DATA(c), sizeof(info));
		from->sin6_scope_id = info.ipi6_ifindex;
	}
	return n;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct session *s = arg;
	uint8_t buf[2048] __attribute__((aligned(8)));

	for (int i = 0; i < READ_BURST; i++) {
		struct sockaddr_in6 from = { 0 };
		ssize_t n = receive(fd, buf, sizeof(buf), &from);

		if (n == -EAGAIN || n == -EINTR)
			return;
		if (n < 0)
			continue; /* a pending ICMPv6 error, taken off the socket by this */
		s->received++;
		handle(s, buf, n, &from);
	}
}

/* ---- the socket ------------------------------------------------------------------------- */

static int open_socket(struct session *s, int ifindex)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(SF_CTRL_PORT) };
	int on = 1, hops = 255, off = 0;
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	/* Each uplink has a socket of its own: so the same port serves all. */
	if ((ifindex && setsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &ifindex, sizeof(ifindex))) ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)) ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, &off, sizeof(off)) ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof(hops)) ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &hops, sizeof(hops)))
		goto fail;
	/* The known port lets a packet filter on this host name us; a router here may hold it. */
	s->fixed_port = !bind(fd, (struct sockaddr *)&any, sizeof(any));
	if (!s->fixed_port) {
		any.sin6_port = 0;
		if (errno != EADDRINUSE || bind(fd, (struct sockaddr *)&any, sizeof(any)))
			goto fail;
	}
	return fd;
fail:
	hops = -errno;
	close(fd);
	return hops;
}

int session_open(struct session *s, struct event_base *base, const struct session_ops *ops,
		 void *ctx, int ifindex, char *err, size_t errlen)
{
	memset(s, 0, sizeof(*s));
	s->pending_end = &s->pending;
	s->ops = ops;
	s->ctx = ctx;
	s->base = base;
	s->fd = open_socket(s, ifindex);
	if (s->fd < 0) {
		snprintf(err, errlen, "control socket (UDP %d): %s", SF_CTRL_PORT,
			 strerror(-s->fd));
		return s->fd;
	}
	s->readable = event_new(base, s->fd, EV_READ | EV_PERSIST, on_readable, s);
	if (!s->readable || event_add(s->readable, NULL)) {
		session_close(s);
		snprintf(err, errlen, "control socket: no memory");
		return -ENOMEM;
	}
	return 0;
}

/* Forgets keys and requests. */
static void session_end(struct session *s)
{
	while (s->pending)
		session_drop(s->pending);
	sf_session_close(&s->keys);
}

void session_close(struct session *s)
{
	if (!s->base)
		return;
	session_end(s);
	if (s->readable)
		event_free(s->readable);
	if (s->fd >= 0)
		close(s->fd);
	memset(s, 0, sizeof(*s));
	s->fd = -1;
}

int session_start(struct session *s, const uint8_t shared[SF_DH_LEN],
		  const struct sf_session_terms *terms, const struct sockaddr_in6 *router)
{
	struct sf_session fresh;
	int err = sf_session_open(&fresh, SF_SESSION_HOST, shared, terms);

	if (err)
		return err;
	session_end(s);
	s->keys = fresh;
	s->router = *router;
	s->answered_ms = sf_now_ms();
	return 0;
}

int session_say_by(struct session *s, const struct sockaddr_in6 *to, const struct in6_pktinfo *by,
		   const void *data, size_t len)
{
	union {
		char room[CMSG_SPACE(sizeof(*by))];
		struct cmsghdr align;
	} control = { .room = { 0 } };
	struct iovec iov = { (void *)data, len };
	struct msghdr msg = { .msg_name = (void *)to,
			      .msg_namelen = sizeof(*to),
			      .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = IPPROTO_IPV6;
	c->cmsg_type = IPV6_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof(*by));
	memcpy(CMSG_DATA(c), by, sizeof(*by));
	return sendmsg(s->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Wait until @until for the answer to @seq, with the event loop gone. */
static bool await(struct session *s, uint32_t seq, uint64_t until)
{
	uint8_t got[2048] __attribute__((aligned(8)));
	struct pollfd p = { .fd = s->fd, .events = POLLIN };

	for (;;) {
		int64_t left = (int64_t)(until - sf_now_ms());
		struct sockaddr_in6 from = { 0 };
		struct sf_ctrl_in in;
		const char *why;
		ssize_t n;

		if (left <= 0 || poll(&p, 1, (int)left) <= 0)
			return false;
		n = receive(s->fd, got, sizeof(got), &from);
		if (n > 0 && !sf_ctrl_open(got, n, &in, &why) && in.seq == seq &&
		    is_answer(SF_CTRL_LEAVE, in.type) && !sf_session_check(&s->keys, &in))
			return true;
	}
}

int session_leave(struct session *s, unsigned int wait_ms)
{
	uint8_t buf[SF_CTRL_MAX_UDP] __attribute__((aligned(8)));
	struct sf_ctrl_out out;
	uint64_t end = sf_now_ms() + wait_ms;
	uint32_t seq;
	int len;

	if (!session_up(s))
		return -ENOTCONN;
	seq = sf_session_next(&s->keys, SF_SESSION_HOST);
	sf_session_begin(&s->keys, &out, buf, sizeof(buf), SF_CTRL_LEAVE, seq);
	len = sf_session_seal(&s->keys, &out);
	if (len < 0)
		return len;
	for (unsigned int wait = SF_CTRL_RETRY_MS; sf_now_ms() < end; wait *= 2) {
		say(s, buf, len);
		if (await(s, seq, sf_now_ms() + wait))
			return 0;
	}
	return -ETIMEDOUT;
}
