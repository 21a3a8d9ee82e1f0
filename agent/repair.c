// SPDX-License-Identifier: Apache-2.0
/* repair.c - see repair.h. */
#include "agent/repair.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/hooks.h"
#include "util/sockdiag.h"

#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72
#endif

#define OPT_MSS	       2 /* kinds of TCP's options, RFC 9293 and 7323 */
#define OPT_WINDOW     3
#define OPT_SACK       4
#define OPT_TIMESTAMPS 8

#define DUMP_TRIES 10
/* Bytes put into a queue at once: the kernel wants them in a piece. */
#define CHUNK	   ((size_t)64 * 1024)
#define SLACK	   4096
#define WINDOW_MAX ((size_t)64 * 1024 * 1024)
/* What TCP_MAXSEG takes. */
#define MSS_MIN	       88
#define MSS_MAX	       32767
#define TIMESTAMPS_LEN 12
#define FIRST_WINDOW   10 /* segments, RFC 6928 */

enum queue { NO_QUEUE = TCP_NO_QUEUE, RECEIVE = TCP_RECV_QUEUE, SEND = TCP_SEND_QUEUE };

void repair_free(struct repair *r)
{
	free(r->data);
	memset(r, 0, sizeof(*r));
}

size_t repair_size(const struct repair *r)
{
	return (size_t)r->received + r->sent + r->unsent;
}

/* ---- options ---------------------------------------------------------------------------- */

static int get(int fd, int level, int name, void *value, size_t size)
{
	socklen_t len = (socklen_t)size;

	if (getsockopt(fd, level, name, value, &len))
		return -errno;
	return len == size ? 0 : -EINVAL;
}

static int set(int fd, int level, int name, const void *value, size_t size)
{
	return setsockopt(fd, level, name, value, (socklen_t)size) ? -errno : 0;
}

static int set_int(int fd, int level, int name, int value)
{
	return set(fd, level, name, &value, sizeof(value));
}

static int tcp_state(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		return -errno;
	return info.tcpi_state;
}

/* ---- whose socket ----------------------------------------------------------------------- */

static int check_kind(int fd)
{
	int domain, protocol, ret;
	char ulp[16] = "";
	socklen_t len = sizeof(ulp);

	ret = get(fd, SOL_SOCKET, SO_DOMAIN, &domain, sizeof(domain));
	if (!ret)
		ret = get(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, sizeof(protocol));
	if (ret)
		return ret;
	if (domain != AF_INET6 || protocol != IPPROTO_TCP)
		return -EPROTOTYPE;
	if (!getsockopt(fd, IPPROTO_TCP, TCP_ULP, ulp, &len) && len && ulp[0])
		return -EOPNOTSUPP;
	return 0;
}

static int check_state(int fd)
{
	int state = tcp_state(fd);

	if (state < 0 || state == SF_TCP_ESTABLISHED)
		return state < 0 ? state : 0;
	switch (state) {
	case SF_TCP_CLOSE_WAIT:
	case SF_TCP_FIN_WAIT1:
	case SF_TCP_FIN_WAIT2:
	case SF_TCP_LAST_ACK:
	case SF_TCP_CLOSING:
		return -ESHUTDOWN;
	}
	return -ENOTCONN;
}

int repair_tuple(int fd, struct sf_tuple *out)
{
	struct sockaddr_in6 local = { 0 }, remote = { 0 };
	socklen_t len = sizeof(local);
	int ret = check_kind(fd);

	if (!ret)
		ret = check_state(fd);
	if (ret)
		return ret;
	if (getsockname(fd, (struct sockaddr *)&local, &len))
		return -errno;
	len = sizeof(remote);
	if (getpeername(fd, (struct sockaddr *)&remote, &len))
		return -errno;
	memset(out, 0, sizeof(*out));
	memcpy(&out->local, &local.sin6_addr, sizeof(out->local));
	memcpy(&out->peer, &remote.sin6_addr, sizeof(out->peer));
	out->lport = local.sin6_port;
	out->pport = remote.sin6_port;
	out->proto = IPPROTO_TCP;
	return 0;
}

bool repair_is_frozen(int fd)
{
	int on = 0;

	return !get(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)) && on;
}

/* ---- out -------------------------------------------------------------------------------- */

/* What tells whether a dump is of one moment. */
struct look {
	uint32_t written, acked, received, unread, unsent;
};

static int queue_seq(int fd, enum queue queue, uint32_t *seq)
{
	int ret = set_int(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, queue);

	return ret ? ret : get(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, seq, sizeof(*seq));
}

/* Up to where the socket has sent. While its send queue is chosen the kernel marks as sent whatever
 * a timer or an acknowledgement would let go, and sends nothing: so this is asked before. */
static int look_sent(int fd, uint32_t *next)
{
	int unsent = 0, ret;

	if (ioctl(fd, SIOCOUTQNSD, &unsent))
		return -errno;
	ret = queue_seq(fd, SEND, next);
	*next -= (uint32_t)unsent;
	return ret;
}

/* @next: look_sent() */
static int look(int fd, uint32_t next, struct look *out)
{
	int outq = 0, inq = 0;
	int ret = queue_seq(fd, RECEIVE, &out->received);

	if (!ret)
		ret = queue_seq(fd, SEND, &out->written);
	if (!ret && (ioctl(fd, SIOCOUTQ, &outq) || ioctl(fd, SIOCINQ, &inq)))
		ret = -errno;
	if (ret)
		return ret;
	out->acked = out->written - (uint32_t)outq;
	out->unread = (uint32_t)inq;
	out->unsent = out->written - next;
	if (out->unsent > (uint32_t)outq)
		out->unsent = (uint32_t)outq;
	return outq >= 0 && inq >= 0 ? 0 : -EPROTO;
}

/* The last @n bytes of a queue: the first segment of a send queue may be acknowledged in part. */
static int peek(int fd, enum queue queue, uint8_t *out, size_t n)
{
	size_t room = n + SLACK;
	uint8_t *all;
	ssize_t got;
	int ret;

	if (!n)
		return 0;
	ret = set_int(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, queue);
	if (ret)
		return ret;
	for (;; room *= 2) {
		all = malloc(room);
		if (!all)
			return -ENOMEM;
		got = recv(fd, all, room, MSG_PEEK | MSG_DONTWAIT);
		ret = got < 0 ? -errno : 0;
		if (ret || (size_t)got < room)
			break;
		free(all);
	}
	if (!ret && (size_t)got < n)
		ret = -EAGAIN; /* it changed since it was counted */
	if (!ret)
		memcpy(out, all + (queue == SEND ? (size_t)got - n : 0), n);
	free(all);
	return ret;
}

static int dump_options(int fd, struct repair *r)
{
	struct tcp_repair_window w;
	struct tcp_info info;
	socklen_t len = sizeof(info);
	int mss, ret;

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		return -errno;
	ret = get(fd, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof(mss));
	if (!ret)
		ret = get(fd, IPPROTO_TCP, TCP_TIMESTAMP, &r->timestamp, sizeof(r->timestamp));
	if (!ret)
		ret = get(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &w, sizeof(w));
	if (ret)
		return ret;
	r->mss = (uint16_t)mss;
	r->options = (info.tcpi_options & TCPI_OPT_SACK ? REPAIR_SACK : 0) |
		     (info.tcpi_options & TCPI_OPT_TIMESTAMPS ? REPAIR_TIMESTAMPS : 0) |
		     (info.tcpi_options & TCPI_OPT_WSCALE ? REPAIR_WSCALE : 0);
	if (r->options & REPAIR_WSCALE) {
		r->snd_wscale = info.tcpi_snd_wscale;
		r->rcv_wscale = info.tcpi_rcv_wscale;
	}
	r->snd_wl1 = w.snd_wl1;
	r->snd_wnd = w.snd_wnd;
	r->max_window = w.max_window;
	r->rcv_wnd = w.rcv_wnd;
	r->rcv_wup = w.rcv_wup;
	return 0;
}

/* Return: 0; -EAGAIN where the socket changed meanwhile. */
static int dump_once(int fd, uint32_t next, struct repair *r)
{
	struct look before, after;
	size_t queued;
	int ret = look(fd, next, &before);

	if (ret)
		return ret;
	queued = before.written - before.acked;
	r->snd_seq = before.acked;
	r->rcv_seq = before.received - before.unread;
	r->received = before.unread;
	r->unsent = before.unsent;
	r->sent = (uint32_t)(queued - before.unsent);
	r->data = malloc(repair_size(r) + 1);
	if (!r->data)
		return -ENOMEM;
	ret = dump_options(fd, r);
	if (!ret)
		ret = peek(fd, RECEIVE, r->data, r->received);
	if (!ret)
		ret = peek(fd, SEND, r->data + r->received, queued);
	if (!ret)
		ret = look(fd, next, &after);
	if (!ret && memcmp(&before, &after, sizeof(before)))
		ret = -EAGAIN;
	return ret;
}

int repair_dump(int fd, struct repair *out)
{
	struct repair r = { 0 };
	uint32_t next = 0;
	int ret = set_int(fd, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON);

	if (!ret)
		ret = look_sent(fd, &next);
	if (ret)
		return ret;
	for (int i = 0; i < DUMP_TRIES; i++) {
		ret = dump_once(fd, next, &r);
		if (ret != -EAGAIN)
			break;
		repair_free(&r);
	}
	if (!ret)
		ret = set_int(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, NO_QUEUE);
	if (!ret)
		ret = check_state(fd);
	if (ret)
		repair_free(&r);
	else
		*out = r;
	return ret;
}

int repair_thaw(int fd, bool probe)
{
	int ret =
		set_int(fd, IPPROTO_TCP, TCP_REPAIR, probe ? TCP_REPAIR_OFF : TCP_REPAIR_OFF_NO_WP);

	/* Repair mode takes it away; without it no listener could begin at this port while the
	 * connection is there, or in TIME_WAIT. */
	return ret ? ret : set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
}

int repair_queued(int fd, size_t *bytes)
{
	int outq = 0, inq = 0;

	if (ioctl(fd, SIOCOUTQ, &outq) || ioctl(fd, SIOCINQ, &inq))
		return -errno;
	*bytes = (size_t)outq + (size_t)inq;
	return 0;
}

void repair_drop(int fd)
{
	set_int(fd, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON);
	close(fd);
}

void repair_end(int fd)
{
	const struct sockaddr none = { .sa_family = AF_UNSPEC };

	/* Where it fails the socket is closed as it is. */
	(void)connect(fd, &none, sizeof(none));
	repair_thaw(fd, false);
	if (tcp_state(fd) != SF_TCP_CLOSE)
		(void)connect(fd, &none, sizeof(none));
}

/* ---- in --------------------------------------------------------------------------------- */

static int put_seq(int fd, enum queue queue, uint32_t seq)
{
	int ret = set_int(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, queue);

	return ret ? ret : set(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &seq, sizeof(seq));
}

static int put_pieces(int fd, const uint8_t *data, size_t n, size_t piece, int flags)
{
	while (n) {
		ssize_t done =
			send(fd, data, n < piece ? n : piece, MSG_DONTWAIT | MSG_NOSIGNAL | flags);

		if (done <= 0)
			return done ? -errno : -EIO;
		data += done;
		n -= (size_t)done;
	}
	return 0;
}

static int put_bytes(int fd, const uint8_t *data, size_t n)
{
	return put_pieces(fd, data, n, CHUNK, 0);
}

static int put_queue(int fd, enum queue queue, const uint8_t *data, size_t n)
{
	int ret;

	if (!n)
		return 0;
	ret = set_int(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, queue);
	return ret ? ret : put_bytes(fd, data, n);
}

static int put_options(int fd, const struct repair *r)
{
	struct tcp_repair_opt o[4];
	size_t n = 0;

	o[n++] = (struct tcp_repair_opt){ OPT_MSS, r->mss };
	if (r->options & REPAIR_WSCALE)
		o[n++] = (struct tcp_repair_opt){ OPT_WINDOW,
						  (uint32_t)r->rcv_wscale << 16 | r->snd_wscale };
	if (r->options & REPAIR_SACK)
		o[n++] = (struct tcp_repair_opt){ OPT_SACK, 0 };
	if (r->options & REPAIR_TIMESTAMPS)
		o[n++] = (struct tcp_repair_opt){ OPT_TIMESTAMPS, 0 };
	return set(fd, IPPROTO_TCP, TCP_REPAIR_OPTIONS, o, n * sizeof(o[0]));
}

static int join_ends(int fd, const struct sf_tuple *t)
{
	struct sockaddr_in6 local = { .sin6_family = AF_INET6, .sin6_port = t->lport };
	struct sockaddr_in6 peer = { .sin6_family = AF_INET6, .sin6_port = t->pport };

	memcpy(&local.sin6_addr, &t->local, sizeof(t->local));
	memcpy(&peer.sin6_addr, &t->peer, sizeof(t->peer));
	if (bind(fd, (struct sockaddr *)&local, sizeof(local)) ||
	    connect(fd, (struct sockaddr *)&peer, sizeof(peer)))
		return errno == EADDRNOTAVAIL ? -EADDRINUSE : -errno;
	return 0;
}

/* Bytes of a full segment. */
static uint32_t segment_len(const struct repair *r)
{
	uint32_t mss = r->mss > MSS_MIN ? r->mss : MSS_MIN;

	return r->options & REPAIR_TIMESTAMPS ? mss - TIMESTAMPS_LEN : mss;
}

/* A socket that connects believes in the smallest segment size there is until it hears the peer's,
 * and does not ask again when that is set later: so it is told before. */
static int connect_with(int fd, const struct sf_tuple *t, const struct repair *r)
{
	uint32_t segments = r->sent / segment_len(r) + 1 + FIRST_WINDOW;
	int ret;

	if (segments > SF_HOOK_IMPORTED_SEGS)
		segments = SF_HOOK_IMPORTED_SEGS;
	ret = set_int(fd, SOL_SOCKET, SO_MARK, (int)(SF_HOOK_IMPORTED | segments));

	if (!ret && r->mss >= MSS_MIN)
		ret = set_int(fd, IPPROTO_TCP, TCP_MAXSEG, r->mss < MSS_MAX ? r->mss : MSS_MAX);
	if (!ret)
		ret = join_ends(fd, t);
	if (!ret)
		ret = set_int(fd, SOL_SOCKET, SO_MARK, 0);
	return ret ? ret : set_int(fd, IPPROTO_TCP, TCP_MAXSEG, 0);
}

/* The kernel counts a queue with its administration, and doubles what is set here for that; the
 * window that the peer was promised must fit besides. */
static int size_buffers(int fd, const struct repair *r)
{
	/* No window that a kernel grants is larger; the state may say anything. */
	size_t window = r->rcv_wnd < WINDOW_MAX ? r->rcv_wnd : WINDOW_MAX;
	size_t in = (size_t)r->received + window + 2 * CHUNK;
	size_t out = (size_t)r->sent + r->unsent + 2 * CHUNK;
	int ret = set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE,
			  in > INT32_MAX / 2 ? INT32_MAX / 2 : (int)in);

	if (!ret)
		ret = set_int(fd, SOL_SOCKET, SO_SNDBUFFORCE,
			      out > INT32_MAX / 2 ? INT32_MAX / 2 : (int)out);
	/* The sizes are a start: the kernel may tune them as any other socket's. */
	return ret ? ret : set_int(fd, SOL_SOCKET, SO_BUF_LOCK, 0);
}

static int restore(int fd, const struct sf_tuple *t, const struct repair *r)
{
	struct tcp_repair_window w = { .snd_wl1 = r->snd_wl1,
				       .snd_wnd = r->snd_wnd,
				       .max_window = r->max_window,
				       .rcv_wnd = r->rcv_wnd,
				       .rcv_wup = r->rcv_wup };
	int ret = set_int(fd, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON);

	if (!ret)
		ret = size_buffers(fd, r);
	if (!ret)
		ret = put_seq(fd, SEND, r->snd_seq);
	if (!ret)
		ret = put_seq(fd, RECEIVE, r->rcv_seq);
	if (!ret)
		ret = connect_with(fd, t, r);
	if (!ret)
		ret = put_options(fd, r);
	if (!ret && (r->options & REPAIR_TIMESTAMPS))
		ret = set(fd, IPPROTO_TCP, TCP_TIMESTAMP, &r->timestamp, sizeof(r->timestamp));
	if (!ret)
		ret = put_queue(fd, RECEIVE, r->data, r->received);
	if (!ret)
		ret = put_queue(fd, SEND, r->data + r->received, r->sent);
	if (!ret)
		ret = set(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &w, sizeof(w));
	if (!ret)
		ret = set_int(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, NO_QUEUE);
	return ret;
}

int repair_restore(const struct sf_tuple *t, const struct repair *r)
{
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP), ret;

	if (fd < 0)
		return -errno;
	ret = restore(fd, t, r);
	if (!ret)
		return fd;
	close(fd); /* silently, in repair mode; before there is no connection */
	return ret;
}

int repair_say(int fd, const struct repair *r, size_t *said)
{
	size_t piece = 2 * (size_t)segment_len(r), first = FIRST_WINDOW / 2 * piece;
	int ret;

	if (first > r->unsent)
		first = r->unsent;
	if (*said >= first)
		return 0;
	if (piece > first - *said)
		piece = first - *said;
	/* What may leave now does: in a piece with the rest it would wait for more window. */
	ret = put_pieces(fd, r->data + r->received + r->sent + *said, piece, piece, MSG_EOR);
	if (!ret)
		*said += piece;
	return ret;
}

int repair_finish(int fd, const struct repair *r, size_t said)
{
	return put_bytes(fd, r->data + r->received + r->sent + said, r->unsent - said);
}
