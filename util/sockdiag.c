// SPDX-License-Identifier: Apache-2.0
/* sockdiag.c - socket lists over NETLINK_SOCK_DIAG (sock_diag(7)). */
#include "util/sockdiag.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#define DIAG_BUF 32768

struct diag {
	struct mnl_socket *sock;
	unsigned int port;
	char buf[DIAG_BUF];
};

static int diag_open(struct diag *d)
{
	int r;

	d->sock = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	if (!d->sock)
		return -errno;
	if (mnl_socket_bind(d->sock, 0, MNL_SOCKET_AUTOPID) < 0) {
		r = -errno;
		mnl_socket_close(d->sock);
		return r;
	}
	d->port = mnl_socket_get_portid(d->sock);
	return 0;
}

static struct nlmsghdr *diag_begin(struct diag *d, uint16_t type, uint16_t flags,
				   struct inet_diag_req_v2 **req)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(d->buf);

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nlh->nlmsg_seq = 1;
	*req = mnl_nlmsg_put_extra_header(nlh, sizeof(**req));
	(*req)->sdiag_family = AF_INET6;
	return nlh;
}

static void sock_read(const struct nlmsghdr *nlh, uint8_t protocol, struct sf_sock *out)
{
	const struct inet_diag_msg *m = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;

	*out = (struct sf_sock){ .protocol = protocol,
				 .state = m->idiag_state,
				 .local_port = ntohs(m->id.idiag_sport),
				 .remote_port = ntohs(m->id.idiag_dport),
				 .uid = m->idiag_uid,
				 .inode = m->idiag_inode,
				 .ifindex = m->id.idiag_if,
				 .cookie = (uint64_t)m->id.idiag_cookie[1] << 32 |
					   m->id.idiag_cookie[0] };
	memcpy(&out->local, m->id.idiag_src, sizeof(out->local));
	memcpy(&out->remote, m->id.idiag_dst, sizeof(out->remote));
	mnl_attr_for_each(attr, nlh, sizeof(*m))
	{
		switch (mnl_attr_get_type(attr)) {
		case INET_DIAG_SKV6ONLY:
			out->v6only = mnl_attr_get_u8(attr);
			break;
		case INET_DIAG_CGROUP_ID:
			if (mnl_attr_get_payload_len(attr) == sizeof(uint64_t))
				memcpy(&out->cgroup, mnl_attr_get_payload(attr), sizeof(uint64_t));
			break;
		}
	}
}

static int read_error(const struct nlmsghdr *nlh)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);

	return nlh->nlmsg_len < mnl_nlmsg_size(sizeof(*e)) ? -EBADMSG : e->error;
}

int sf_sockdiag_dump(int protocol, uint32_t states, sf_sock_fn fn, void *ctx)
{
	bool over = false, interrupted = false;
	struct inet_diag_req_v2 *req;
	struct nlmsghdr *nlh;
	struct sf_sock sock;
	struct diag d;
	int r;

	r = diag_open(&d);
	if (r)
		return r;
	nlh = diag_begin(&d, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &req);
	req->sdiag_protocol = (uint8_t)protocol;
	req->idiag_states = states;
	if (mnl_socket_sendto(d.sock, nlh, nlh->nlmsg_len) < 0)
		r = -errno;
	while (!r && !over) {
		ssize_t n = mnl_socket_recvfrom(d.sock, d.buf, sizeof(d.buf));
		int left = (int)n;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			r = -errno;
		for (nlh = (void *)d.buf; !r && !over && mnl_nlmsg_ok(nlh, left);
		     nlh = mnl_nlmsg_next(nlh, &left)) {
			interrupted |= !!(nlh->nlmsg_flags & NLM_F_DUMP_INTR);
			if (nlh->nlmsg_type == NLMSG_ERROR) {
				r = read_error(nlh);
			} else if (nlh->nlmsg_type == NLMSG_DONE) {
				over = true;
			} else if (nlh->nlmsg_len >= mnl_nlmsg_size(sizeof(struct inet_diag_msg))) {
				sock_read(nlh, (uint8_t)protocol, &sock);
				r = fn(&sock, ctx);
			}
		}
	}
	mnl_socket_close(d.sock);
	return !r && interrupted ? -EINTR : r;
}
