// SPDX-License-Identifier: Apache-2.0
/* probes.c - PROBEs out, answers in, flows ended. */
#include "agent/probes.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/grace.h"
#include "agent/host.h"
#include "agent/refuse.h"
#include "agent/tell.h"
#include "core/wire.h"
#include "util/clock.h"
#include "util/crypto.h"
#include "util/log.h"

#define SCAN_MS	   1000
#define SCAN_SHARE 100 /* a scan may take one part in so many of the agent's time */
#define HOP_LIMIT  64
#define PLAIN_SOCK 1
#define SOCK_LEN   6
#define BATCH	   1024 /* flows ended at once, */
#define ROUNDS	   64	/* and so often in one scan */
#define READ_BURST 64
#define ROUSE_MS   20	/* for others that answer, too */
#define ASKED_MAX  4096 /* pairs in one scan; others are in the next, when these have answered */

static uint64_t now_ns(void)
{
	return sf_now_ms() * 1000000;
}

/* ---- what failed, told ------------------------------------------------------------------ */

static void group_add(struct probes *p, const struct sf_flow *f)
{
	bool inbound = f->flags & SF_FLOW_INBOUND;
	struct sf_sid service = inbound ? sf_addr_sid(&f->tuple.local) : f->peer_sid;
	struct sf_addr place = sf_locator_place(&f->peer);
	struct probes_group *g = NULL;

	for (size_t i = 0; !g && i < p->n_groups; i++)
		if (p->groups[i].reason == f->fail && p->groups[i].inbound == inbound &&
		    (sf_sid_eq(&p->groups[i].service, &service) || i == PROBES_GROUPS - 1))
			g = &p->groups[i];
	if (g) {
		g->count++;
		if (!sf_addr_eq(&g->peer, &place))
			memset(&g->peer, 0, sizeof(g->peer));
		return;
	}
	if (p->n_groups == PROBES_GROUPS)
		return; /* `scaffold flows` and the counters have it */
	p->groups[p->n_groups++] = (struct probes_group){ .reason = f->fail,
							  .count = 1,
							  .tuple = f->tuple,
							  .peer = place,
							  .service = service,
							  .inbound = inbound };
}

static void groups_tell(struct host *h)
{
	struct probes *p = &h->probes;

	for (size_t i = 0; i < p->n_groups; i++) {
		const struct probes_group *g = &p->groups[i];
		struct sf_event e = { .kind = "flow-failed",
				      .reason = g->reason,
				      .service = g->service,
				      .has_port = true,
				      .proto = g->tuple.proto,
				      .port = g->inbound ? g->tuple.lport : g->tuple.pport,
				      .locator = g->peer,
				      .count = g->count };
		bool one = !sf_addr_is_zero(&g->peer);
		char place[SF_ADDR_STRLEN];

		e.service_name = names_of(h, &e.service);
		host_tell(h, SF_LOG_INFO, &e, "%s (%llu flow%s with %s)", sf_reason_text(g->reason),
			  (unsigned long long)g->count, g->count == 1 ? "" : "s",
			  one ? sf_addr_print(&g->peer, place) : "several hosts");
	}
	p->n_groups = 0;
}

/* A flow that the datapath, or we, ended for a reason. Each is told once. */
static int look_failed(struct probes *p, const struct sf_flow *f)
{
	uint64_t id = sf_locator_sock(&f->own);

	if (!f->fail || !(f->flags & SF_FLOW_RST))
		return 0;
	if (f->fail == SF_SHED && (f->flags & SF_FLOW_INBOUND))
		return 0; /* told by whoever sheds */
	if (!gc_set_has(&p->told, id))
		group_add(p, f);
	return gc_set_add(&p->fresh, id);
}

/* ---- PROBE ------------------------------------------------------------------------------ */

/* TLVs: a target that holds the nonce, and socketIDs. Return: bytes. */
static size_t put_tlvs(uint8_t *out, const struct silence_pair *p, size_t from, size_t n)
{
	struct sf_tlv_target target = {
		.type = SF_TLV_TARGET,
		.len = sizeof(target) - 2,
		.port = sf_be16((uint16_t)(p->nonce >> 16)),
		.ident = sf_be16((uint16_t)(p->nonce + from / SILENCE_SOCKS)),
	};
	uint8_t *at = out + sizeof(target);

	memcpy(out, &target, sizeof(target));
	if (!n)
		return sizeof(target);
	*at++ = SF_TLV_SOCKS;
	*at++ = (uint8_t)(n * SOCK_LEN);
	for (size_t i = 0; i < n; i++)
		for (int k = SOCK_LEN - 1; k >= 0; k--)
			*at++ = (uint8_t)(p->socks[from + i].peer >> (8 * k));
	return (size_t)(at - out);
}

static void ask(struct host *h, struct silence_pair *p)
{
	struct sf_addr src = p->key.own, dst = p->key.peer;
	uint8_t packet[SF_IPV6_LEN + SF_HDR_MAX];
	uint8_t tlvs[sizeof(struct sf_tlv_target) + 2 + (size_t)SILENCE_SOCKS * SOCK_LEN];
	uint32_t nonce;

	if (sf_random(&nonce, sizeof(nonce)))
		return;
	silence_asked(p, nonce, now_ns());
	sf_locator_set_sock(&src, PLAIN_SOCK);
	sf_locator_set_sock(&dst, PLAIN_SOCK);
	for (size_t at = 0; !at || at < p->n_socks; at += SILENCE_SOCKS) {
		size_t n = p->n_socks - at < SILENCE_SOCKS ? p->n_socks - at : SILENCE_SOCKS;
		size_t len = put_tlvs(tlvs, p, at, n);
		int whole = sf_alone_encode(packet, sizeof(packet), &src, &dst, HOP_LIMIT,
					    SF_KIND_PROBE, 0, &p->host, &h->identity, tlvs, len,
					    NULL, 0);

		if (whole > 0 && !refuse_send(h, packet, (size_t)whole, &src))
			h->probes.asked++;
	}
}

/* ---- flows that are over ---------------------------------------------------------------- */

/* An entry of datagrams is gone at once: the next walk would not find what to tell. */
static void end_flow(struct host *h, const struct sf_flow *f, uint8_t reason)
{
	struct sf_flow gone = *f;
	int ret = refuse_local(h, f, reason);

	gone.fail = reason;
	if (f->tuple.proto != IPPROTO_TCP && (!ret || ret == -EIO))
		group_add(&h->probes, &gone);
}

struct over {
	const struct host *h;
	uint64_t now;
	size_t n;
	struct sf_flow flows[BATCH];
};

static bool is_pair(const struct silence_pair *p, const struct sf_flow *f)
{
	return sf_locator_same_host(&f->own, &p->key.own) &&
	       sf_locator_same_host(&f->peer, &p->key.peer);
}

static int collect(const void *key, const void *value, void *ctx)
{
	const struct silence_pair *p;
	struct over *o = ctx;
	struct sf_flow f;

	memcpy(&f, value, sizeof(f));
	p = silence_watches(&f) ? silence_find(&o->h->probes.silence, &f.own, &f.peer) : NULL;
	if (p && p->over && silence_is_over(p, grace_of(o->h, &f), o->now))
		o->flows[o->n++] = f;
	return o->n == BATCH;
}

/* Of all pairs that are over: where a network is parted there are thousands at once. */
static void end_all(struct host *h)
{
	static struct over o;

	o.h = h;
	o.now = now_ns();
	/* Those that are ended are passed over by the next walk. */
	for (int rounds = 0; rounds < ROUNDS; rounds++) {
		o.n = 0;
		sf_bpf_map_walk(datapath_map(h, "flows"), sizeof(uint64_t), sizeof(struct sf_flow),
				collect, &o);
		for (size_t i = 0; i < o.n; i++)
			end_flow(h, &o.flows[i], SF_HOST_UNREACHABLE);
		if (o.n < BATCH)
			break;
	}
}

/* ---- PROBE-ACK -------------------------------------------------------------------------- */

/* One look at the flow table for all that have answered: where a network is whole again these are
 * thousands, one after the other. */
static void on_rouser(evutil_socket_t fd, short what, void *arg)
{
	struct silence_pair *pair, *tmp;
	struct host *h = arg;

	rouse_peers(h);
	HASH_ITER (hh, h->probes.silence.pairs, pair, tmp)
		pair->back = false;
}

static void rouse(struct host *h)
{
	struct timeval wait = sf_ms_timeval(ROUSE_MS);

	if (!evtimer_pending(h->probes.rouser, NULL))
		event_add(h->probes.rouser, &wait);
}

/* The peer says that it has no such flow. It must still be the one that was asked about. */
static void end_dead(struct host *h, struct silence_pair *p, uint64_t sock)
{
	uint64_t own = silence_dead(p, sock), key = sf_socket_key(own);
	struct sf_flow f;

	if (!own || bpf_map_lookup_elem(datapath_map(h, "flows"), &key, &f))
		return;
	if (sf_locator_sock(&f.own) != own || sf_locator_sock(&f.peer) != sock || !is_pair(p, &f) ||
	    !silence_watches(&f) || (f.flags & SF_FLOW_OPEN))
		return;
	end_flow(h, &f, SF_NO_SUCH_SOCKET);
}

static void take_answer(struct host *h, const struct sf_packet *packet)
{
	struct silence_pair *p = silence_find(&h->probes.silence, &packet->dst, &packet->src);
	const uint8_t *target, *socks;
	uint64_t sock;
	int n;

	if (!p || sf_tlv_find(packet->tlvs, packet->tlvs_len, SF_TLV_TARGET, &target) !=
			  sizeof(struct sf_tlv_target) - 2)
		return;
	if (!sf_sid_is_zero(&p->host) && !sf_sid_eq(&p->host, &packet->hdr.src))
		return;
	/* Behind protocol and a zero: port and ident, which are the nonce. */
	if (!silence_answer(p,
			    (uint32_t)target[2] << 24 | (uint32_t)target[3] << 16 |
				    (uint32_t)target[4] << 8 | target[5],
			    now_ns()))
		return;
	h->probes.answered++;
	if (p->back)
		rouse(h);
	n = sf_tlv_find(packet->tlvs, packet->tlvs_len, SF_TLV_SOCKS, &socks);
	for (int i = 0; i + SOCK_LEN <= n; i += SOCK_LEN) {
		sock = 0;
		for (int k = 0; k < SOCK_LEN; k++)
			sock = sock << 8 | socks[i + k];
		end_dead(h, p, sock);
	}
}

/* What comes begins behind the IPv6 header, which the decoder's checksum needs. */
static ssize_t receive(int fd, uint8_t *buf, size_t room)
{
	union {
		char room[CMSG_SPACE(sizeof(struct in6_pktinfo))];
		struct cmsghdr align;
	} control;
	struct sockaddr_in6 from;
	struct iovec iov = { buf + SF_IPV6_LEN, room - SF_IPV6_LEN };
	struct msghdr msg = { .msg_name = &from,
			      .msg_namelen = sizeof(from),
			      .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT);

	if (n < 0)
		return -errno;
	memset(buf, 0, SF_IPV6_LEN);
	buf[0] = 0x60;
	buf[4] = (uint8_t)(n >> 8);
	buf[5] = (uint8_t)n;
	buf[6] = SF_NEXTHDR_DSTOPTS;
	memcpy(buf + 8, &from.sin6_addr, sizeof(from.sin6_addr));
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		struct in6_pktinfo info;

		if (c->cmsg_level != IPPROTO_IPV6 || c->cmsg_type != IPV6_PKTINFO)
			continue;
		memcpy(&info, CMSG_DATA(c), sizeof(info));
		memcpy(buf + 24, &info.ipi6_addr, sizeof(info.ipi6_addr));
	}
	return n + SF_IPV6_LEN;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	uint8_t buf[2048] __attribute__((aligned(8)));
	struct sf_packet packet;
	struct host *h = arg;
	uint8_t reason;

	for (int i = 0; i < READ_BURST; i++) {
		ssize_t n = receive(fd, buf, sizeof(buf));

		if (n == -EAGAIN || n == -EINTR)
			return;
		if (n > 0 && !sf_packet_decode(buf, (size_t)n, &packet, &reason) &&
		    sf_hdr_kind(&packet.hdr) == SF_KIND_PROBE_ACK)
			take_answer(h, &packet);
	}
}

/* ---- the scan --------------------------------------------------------------------------- */

static int look(const void *key, const void *value, void *ctx)
{
	struct host *h = ctx;
	struct sf_flow f;
	int ret;

	memcpy(&f, value, sizeof(f));
	ret = look_failed(&h->probes, &f);
	if (ret || !silence_watches(&f))
		return ret;
	if (silence_is_answered(&h->probes.silence, &f) &&
	    !datapath_answered(h, sf_locator_sock(&f.own)))
		f.fail = 0;
	ret = silence_flow(&h->probes.silence, &f, grace_of(h, &f));
	if (!ret && silence_is_asked(&h->probes.silence, &f))
		grace_ask(h, &f);
	return ret;
}

/* What flows wait for, or that they go on. */
static void tell_wait(struct host *h, struct silence_pair *pair, bool usable)
{
	const struct attachment *a = attachment_of_place(h, &pair->key.own);
	enum silence_wait was;
	uint64_t now = now_ns(), since;
	struct moved g = { .kind = "flow-waits",
			   .from = pair->key.own,
			   .to = pair->key.peer,
			   .grace_ms = pair->grace_ms,
			   .count = pair->flows };

	if (!silence_waits(pair, usable, now, &was, &since))
		return;
	if (pair->waits == SILENCE_GOES)
		g.kind = "flow-resumes";
	g.own = (pair->waits == SILENCE_GOES ? was : pair->waits) == SILENCE_NO_PLACE;
	if (a)
		snprintf(g.link, sizeof(g.link), "%s", a->link.name);
	g.began = since;
	g.ended = now;
	moved_add(h, &g);
}

static void scan(struct host *h)
{
	struct probes *p = &h->probes;
	struct silence_pair *pair, *tmp;
	unsigned int asked = 0;
	bool over = false, back = false;
	int ret;

	silence_begin(&p->silence, now_ns());
	ret = sf_bpf_map_walk(datapath_map(h, "flows"), sizeof(uint64_t), sizeof(struct sf_flow),
			      look, h);
	if (ret) {
		sf_debug("probes: the flow table: %s", strerror(-ret));
		gc_set_clear(&p->fresh);
		p->n_groups = 0;
		return;
	}
	silence_end(&p->silence);
	gc_set_clear(&p->told);
	p->told = p->fresh;
	memset(&p->fresh, 0, sizeof(p->fresh));
	groups_tell(h);
	HASH_ITER (hh, p->silence.pairs, pair, tmp) {
		bool usable = moves_usable(h, &pair->key.own);
		enum silence_due due =
			silence_due(pair, h->config.probe_after_ms, usable, now_ns());

		if (due == SILENCE_ASK && asked++ < ASKED_MAX)
			ask(h, pair);
		pair->over = due == SILENCE_OVER;
		over |= pair->over;
		tell_wait(h, pair, usable);
		back |= pair->back;
	}
	if (over)
		end_all(h);
	if (back)
		rouse(h);
}

static void arm(struct host *h, uint64_t ms)
{
	struct timeval wait = sf_ms_timeval((unsigned int)ms);

	event_add(h->probes.timer, &wait);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct host *h = arg;
	uint64_t began = sf_now_ms(), least;

	scan(h);
	least = (sf_now_ms() - began) * SCAN_SHARE;
	arm(h, least > SCAN_MS ? least : SCAN_MS);
}

/* ---- life ------------------------------------------------------------------------------- */

static int open_socket(void)
{
	int fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_DSTOPTS);
	int on = 1, ret;

	if (fd < 0)
		return -errno;
	if (!setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)))
		return fd;
	ret = -errno;
	close(fd);
	return ret;
}

int probes_open(struct host *h, char *err, size_t errlen)
{
	struct probes *p = &h->probes;

	p->in = open_socket();
	if (p->in < 0) {
		snprintf(err, errlen, "raw socket for answers to probes: %s", strerror(-p->in));
		return p->in;
	}
	p->timer = evtimer_new(h->daemon.base, on_timer, h);
	p->readable = event_new(h->daemon.base, p->in, EV_READ | EV_PERSIST, on_readable, h);
	p->rouser = evtimer_new(h->daemon.base, on_rouser, h);
	if (!p->timer || !p->rouser || !p->readable || event_add(p->readable, NULL)) {
		snprintf(err, errlen, "no memory");
		return -ENOMEM;
	}
	arm(h, SCAN_MS);
	return 0;
}

void probes_close(struct host *h)
{
	struct probes *p = &h->probes;

	if (p->timer)
		event_free(p->timer);
	if (p->rouser)
		event_free(p->rouser);
	if (p->readable)
		event_free(p->readable);
	if (p->in > 0)
		close(p->in);
	gc_set_clear(&p->told);
	gc_set_clear(&p->fresh);
	silence_close(&p->silence);
	memset(p, 0, sizeof(*p));
}
