// SPDX-License-Identifier: Apache-2.0
/* netlink.c - the netlink socket: one request, its answers, its verdict (rtnetlink(7), libmnl). */
#include "util/netlink.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "util/netlink_internal.h"
#include "util/netns.h"

int sf_nl_open(struct sf_nl **out)
{
	struct sf_nl *nl = calloc(1, sizeof(*nl));
	int on = 1, r;

	if (!nl)
		return -ENOMEM;
	nl->sock = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!nl->sock || mnl_socket_bind(nl->sock, 0, MNL_SOCKET_AUTOPID) < 0) {
		r = -errno;
		sf_nl_close(nl);
		return r;
	}
	/* Only for better words in sf_nl_error(); kernels without it do as well. */
	mnl_socket_setsockopt(nl->sock, NETLINK_EXT_ACK, &on, sizeof(on));
	*out = nl;
	return 0;
}

static int open_here(void *ctx)
{
	return sf_nl_open(ctx);
}

int sf_nl_open_in(int netns_fd, struct sf_nl **out)
{
	return sf_netns_run(netns_fd, open_here, out);
}

void sf_nl_close(struct sf_nl *nl)
{
	if (!nl)
		return;
	if (nl->sock)
		mnl_socket_close(nl->sock);
	free(nl);
}

const char *sf_nl_error(const struct sf_nl *nl)
{
	return nl->error;
}

struct nlmsghdr *nl_begin(struct sf_nl *nl, uint16_t type, uint16_t flags, size_t size, void *body)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(nl->request);

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nlh->nlmsg_seq = ++nl->seq;
	*(void **)body = mnl_nlmsg_put_extra_header(nlh, size);
	return nlh;
}

/* Keeps the kernel's words, which follow the code and the (perhaps whole) request that they are
 * about. */
static void keep_words(struct sf_nl *nl, const struct nlmsghdr *nlh, const struct nlmsgerr *e)
{
	size_t skip = sizeof(*e);
	const struct nlattr *attr;

	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(nlh->nlmsg_flags & NLM_F_CAPPED))
		skip += e->msg.nlmsg_len - sizeof(e->msg);
	mnl_attr_for_each(attr, nlh, skip)
	{
		if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG)
			snprintf(nl->error, sizeof(nl->error), "%.*s",
				 (int)mnl_attr_get_payload_len(attr), mnl_attr_get_str(attr));
	}
}

/* A verdict: 0 for "done", or the negative errno that the kernel sent. */
static int read_verdict(struct sf_nl *nl, const struct nlmsghdr *nlh)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);

	if (nlh->nlmsg_len < mnl_nlmsg_size(sizeof(*e)))
		return -EBADMSG;
	if (e->error)
		keep_words(nl, nlh, e);
	return e->error;
}

/* The end of a dump carries a code of its own. */
static int read_done(const struct nlmsghdr *nlh)
{
	const int *code = mnl_nlmsg_get_payload(nlh);

	return nlh->nlmsg_len >= mnl_nlmsg_size(sizeof(*code)) && *code < 0 ? *code : 0;
}

/*
 * One request and all of its answers. mnl_cb_run() would do but for one thing: it gives up on a
 * dump whose table changed meanwhile, and the unread rest then answers the next request.
 */
int nl_talk(struct sf_nl *nl, struct nlmsghdr *nlh, nl_answer_fn fn, void *ctx)
{
	unsigned int port = mnl_socket_get_portid(nl->sock);
	bool many = nlh->nlmsg_flags & (NLM_F_DUMP | NLM_F_ACK), over = false, interrupted = false;
	int r = 0;

	nl->error[0] = '\0';
	if (mnl_socket_sendto(nl->sock, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	while (!over) {
		ssize_t n = mnl_socket_recvfrom(nl->sock, nl->answer, sizeof(nl->answer));
		const struct nlmsghdr *m = (const void *)nl->answer;
		int left = (int)n;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		for (; !over && mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left)) {
			if (m->nlmsg_seq != nlh->nlmsg_seq || m->nlmsg_pid != port)
				continue; /* of a request that was given up */
			interrupted |= !!(m->nlmsg_flags & NLM_F_DUMP_INTR);
			over = !many || m->nlmsg_type == NLMSG_ERROR || m->nlmsg_type == NLMSG_DONE;
			if (m->nlmsg_type == NLMSG_ERROR)
				r = r ? r : read_verdict(nl, m);
			else if (m->nlmsg_type == NLMSG_DONE)
				r = r ? r : read_done(m);
			else if (m->nlmsg_type >= NLMSG_MIN_TYPE && fn && !r)
				r = fn(m, ctx);
		}
	}
	return !r && interrupted ? -EINTR : r;
}

struct in6_addr nl_attr_in6(const struct nlattr *attr)
{
	struct in6_addr addr = { 0 };

	if (mnl_attr_get_payload_len(attr) == sizeof(addr))
		memcpy(&addr, mnl_attr_get_payload(attr), sizeof(addr));
	return addr;
}

bool nl_attr_mac(const struct nlattr *attr, uint8_t mac[6])
{
	if (mnl_attr_get_payload_len(attr) != 6)
		return false;
	memcpy(mac, mnl_attr_get_payload(attr), 6);
	return true;
}
