// SPDX-License-Identifier: Apache-2.0
/* rsyn.c - packets of renegotiations: read, made, sent. */
#include "agent/rsyn.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HOP_LIMIT  64
#define NEXTHDR_AT 6
#define SRC_AT	   8
#define DST_AT	   24
#define SEND_BATCH 64

/* ---- in --------------------------------------------------------------------------------- */

static int read_message(struct rsyn_in *in, uint8_t *reason)
{
	return sf_move_decode(in->packet, in->len, &in->msg, reason);
}

/* What is quoted must be a message of whoever this goes to. */
static int read_quoted(const struct sf_packet *p, struct rsyn_in *in, uint8_t *reason)
{
	int ret = sf_move_decode(p->rest, p->rest_len, &in->msg, reason);

	if (!ret && !sf_locator_same_host(&in->msg.src, &p->dst)) {
		*reason = SF_WRONG_ACK;
		ret = -EBADMSG;
	}
	return ret;
}

static int read_fail(const struct sf_packet *p, struct rsyn_in *in, uint8_t *reason)
{
	const uint8_t *value;

	if (sf_tlv_find(p->tlvs, p->tlvs_len, SF_TLV_REASON, &value) !=
	    sizeof(struct sf_tlv_reason) - 2)
		return -EBADMSG;
	in->reason = value[0];
	return read_quoted(p, in, reason);
}

static int read_redirect(const struct sf_packet *p, struct rsyn_in *in, uint8_t *reason)
{
	const uint8_t *value;

	if (sf_tlv_find(p->tlvs, p->tlvs_len, SF_TLV_PLACE, &value) != sizeof(in->place))
		return -EBADMSG;
	memcpy(&in->place, value, sizeof(in->place));
	/* Where the flow has another key, the place comes with it. */
	if (sf_sock_is_unset(sf_locator_sock(&in->place)))
		in->place = sf_locator_place(&in->place);
	if (!sf_locator_host(&in->place))
		return -EBADMSG;
	return read_quoted(p, in, reason);
}

int rsyn_decode(const void *packet, size_t len, struct rsyn_in *in, uint8_t *reason)
{
	const uint8_t *bytes = packet;
	struct sf_packet p;
	int ret;

	memset(in, 0, sizeof(*in));
	in->packet = packet;
	in->len = len;
	*reason = SF_NONE;
	if (len > NEXTHDR_AT && bytes[NEXTHDR_AT] == SF_NEXTHDR_ICMPV6)
		return -ENOMSG;
	ret = sf_packet_decode(packet, len, &p, reason);
	if (!ret) {
		in->kind = sf_hdr_kind(&p.hdr);
		in->src = p.src;
		in->host = p.hdr.src;
		if (in->kind == SF_KIND_FAIL)
			ret = read_fail(&p, in, reason);
		else if (in->kind == SF_KIND_REDIRECT)
			ret = read_redirect(&p, in, reason);
		else
			ret = read_message(in, reason);
	}
	if (!ret)
		return 0;
	if (!*reason)
		*reason = SF_BAD_HEADER;
	return -EBADMSG;
}

uint64_t rsyn_id(const struct sf_move_msg *msg)
{
	uint64_t id = sf_locator_sock(&msg->dst);

	/* A service router knows the host alone. */
	return sf_sock_is_unset(id) ? msg->you_sock : id;
}

/* ---- out -------------------------------------------------------------------------------- */

/* Padding is not quoted. */
static size_t quoted_len(const struct rsyn_in *in)
{
	return in->msg.len <= SF_QUOTE_MAX ? in->msg.len : SF_MOVE_LEN;
}

static bool may_be_answered(const struct rsyn_in *in)
{
	return in->kind == SF_KIND_RSYN && in->len >= quoted_len(in) && sf_locator_host(&in->src) &&
	       !sf_sock_is_unset(sf_locator_sock(&in->src));
}

static int quoting_encode(void *out, size_t room, const struct rsyn_in *in,
			  const struct sf_sid *self, uint8_t kind, const void *tlv, size_t tlv_len)
{
	if (!may_be_answered(in))
		return -EINVAL;
	return sf_alone_encode(out, room, &in->msg.dst, &in->src, HOP_LIMIT, kind, 0, &in->msg.host,
			       self, tlv, tlv_len, in->packet, quoted_len(in));
}

int rsyn_fail_encode(void *out, size_t room, const struct rsyn_in *in, const struct sf_sid *self,
		     uint8_t reason)
{
	struct sf_tlv_reason tlv = { .type = SF_TLV_REASON,
				     .len = sizeof(tlv) - 2,
				     .reason = reason,
				     .kind = in->kind,
				     .quoted = sf_be16((uint16_t)quoted_len(in)) };

	return quoting_encode(out, room, in, self, SF_KIND_FAIL, &tlv, sizeof(tlv));
}

int rsyn_redirect_encode(void *out, size_t room, const struct rsyn_in *in,
			 const struct sf_sid *self, const struct sf_addr *place)
{
	uint8_t tlv[2 + sizeof(*place)] = { SF_TLV_PLACE, sizeof(*place) };

	memcpy(tlv + 2, place, sizeof(*place));
	return quoting_encode(out, room, in, self, SF_KIND_REDIRECT, tlv, sizeof(tlv));
}

int rsyn_open(void)
{
	int fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW);
	int on = 1, room = 4 << 20;
	int ret;

	if (fd < 0)
		return -errno;
	/* A locator with a socketID is nobody's address, but what routes by the source must know
	 * it. */
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_HDRINCL, &on, sizeof(on)) ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof(on))) {
		ret = -errno;
		close(fd);
		return ret;
	}
	/* Thousands may leave at once. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)))
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	return fd;
}

/* Room for what tells the kernel how to route. */
union way_cmsg {
	struct cmsghdr hdr;
	uint8_t room[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

static void address(struct msghdr *m, struct sockaddr_in6 *to, const void *packet)
{
	memset(to, 0, sizeof(*to));
	to->sin6_family = AF_INET6;
	memcpy(&to->sin6_addr, (const uint8_t *)packet + DST_AT, sizeof(to->sin6_addr));
	m->msg_name = to;
	m->msg_namelen = sizeof(*to);
}

/* The link, and the packet's own source: a standby's routes are in a table that is found by source
 * alone, and the kernel does not look into a header that it was given. */
static void by_way(struct msghdr *m, union way_cmsg *c, const void *packet, int ifindex)
{
	struct in6_pktinfo info = { .ipi6_ifindex = (unsigned int)ifindex };

	memcpy(&info.ipi6_addr, (const uint8_t *)packet + SRC_AT, sizeof(info.ipi6_addr));
	memset(c, 0, sizeof(*c));
	c->hdr.cmsg_level = IPPROTO_IPV6;
	c->hdr.cmsg_type = IPV6_PKTINFO;
	c->hdr.cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(&c->hdr), &info, sizeof(info));
	m->msg_control = c;
	m->msg_controllen = sizeof(*c);
}

int rsyn_send_packet(int fd, const void *packet, size_t len, int ifindex)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)packet, .iov_len = len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct sockaddr_in6 to;
	union way_cmsg way;

	address(&m, &to, packet);
	by_way(&m, &way, packet, ifindex);
	return sendmsg(fd, &m, 0) < 0 ? -errno : 0;
}

/* One system call for each SEND_BATCH; whatever one message cannot do is no other's affair. */
static size_t send_some(int fd, struct mmsghdr *list, unsigned int n, int *err)
{
	unsigned int at = 0;
	size_t sent = 0;

	while (at < n) {
		int done = sendmmsg(fd, list + at, n - at, 0);

		if (done > 0) {
			sent += (size_t)done;
			at += (unsigned int)done;
		} else if (errno != EINTR) {
			*err = errno;
			at++;
		}
	}
	return sent;
}

size_t rsyn_send(int fd, const struct sf_move_msg *messages, size_t n, rsyn_link_fn link, void *ctx,
		 int *err)
{
	static uint8_t packets[SEND_BATCH][SF_MOVE_PADDED] __attribute__((aligned(8)));
	struct mmsghdr list[SEND_BATCH];
	struct sockaddr_in6 to[SEND_BATCH];
	union way_cmsg ways[SEND_BATCH];
	struct iovec iov[SEND_BATCH];
	unsigned int room = 0;
	size_t sent = 0;

	for (size_t i = 0; i < n; i++) {
		int len = sf_move_encode(packets[room], SF_MOVE_PADDED, &messages[i]);
		struct msghdr *m = &list[room].msg_hdr;

		if (len > 0) {
			memset(&list[room], 0, sizeof(list[room]));
			iov[room].iov_base = packets[room];
			iov[room].iov_len = (size_t)len;
			m->msg_iov = &iov[room];
			m->msg_iovlen = 1;
			address(m, &to[room], packets[room]);
			by_way(m, &ways[room], packets[room],
			       link ? link(ctx, &messages[i].src) : 0);
			room++;
		}
		if (room == SEND_BATCH || (room && i + 1 == n)) {
			sent += send_some(fd, list, room, err);
			room = 0;
		}
	}
	return sent;
}
