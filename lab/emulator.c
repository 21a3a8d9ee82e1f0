// SPDX-License-Identifier: Apache-2.0
/*
 * emulator.c - packets between packet sockets (packet(7)) on pairs of veth ends.
 *
 * Theory of operation. Node a's interface is one end of a veth, the other end lies here; so a
 * packet that a sends arrives here, is read whole by a packet socket, is decided about by the
 * engine, waits in one heap of all links, and is sent out of the other veth's end towards b. The
 * namespace has no protocols of its own, so nothing else answers or forwards.
 *
 * PACKET_VNET_HDR hands along what the kernel knows about a packet: that its checksum is still to
 * be completed, and that it is a large one to be cut later. Given back on sending, a packet of
 * 64 KiB crosses as one. Only where each packet on the line must have a fate of its own (loss,
 * reordering, duplicates) it is cut into segments here. A VLAN tag arrives beside the packet and is
 * put back into it.
 */
#include "lab/emulator.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "lab/segment.h"
#include "util/errtext.h"

#define BATCH	     32
#define VLAN	     4u		      /* bytes of a tag */
#define MACS	     (2ul * ETH_ALEN) /* bytes of both addresses, which a tag follows */
#define FRAME_MAX    (65536 + 128)    /* largest GSO packet with its headers */
#define FLYING_MAX   (128ull << 20)   /* bytes in flight in one direction */
#define RECEIVE_ROOM (16 << 20)	      /* bytes that the kernel keeps for us */

struct packet {
	struct sf_flight flight;
	struct sf_direction *direction;
	struct virtio_net_hdr vh;
	uint32_t len;
	uint8_t data[];
};

struct sf_batch {
	struct mmsghdr msg[BATCH];
	struct iovec iov[BATCH][2];
	struct virtio_net_hdr vh[BATCH];
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	} control[BATCH];
	uint8_t frame[BATCH][VLAN + FRAME_MAX]; /* a tag's room in front */
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* ---- set-up ----------------------------------------------------------------------------- */

int sf_emulator_open(struct sf_emulator *em)
{
	*em = (struct sf_emulator){ .batch = malloc(sizeof(struct sf_batch)) };
	return em->batch ? 0 : -ENOMEM;
}

static int port_open(const char *ifname, char *err, size_t err_len)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int on = 1, room = RECEIVE_ROOM, r;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); /* 0: not yet */

	if (fd < 0)
		return sf_errtext(err, err_len, -errno, "packet socket: %s", strerror(errno));
	at.sll_ifindex = (int)if_nametoindex(ifname);
	if (!at.sll_ifindex || setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0 ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		r = -errno;
		close(fd);
		return sf_errtext(err, err_len, r, "interface %s: %s", ifname, strerror(-r));
	}
	return fd;
}

int sf_emulator_add(struct sf_emulator *em, const char *name, const char *ifname[2],
		    const struct sf_emulation *set, uint64_t seed, char *err, size_t err_len)
{
	const char *dash = strchr(name, '-');
	struct sf_emulated *grown, *l;
	int fd[2];

	if (!dash || dash == name || !dash[1] || strlen(name) >= SF_EMULATOR_NAME)
		return sf_errtext(err, err_len, -EINVAL, "'%s' is no link name, expected a-b",
				  name);
	grown = realloc(em->links, (em->n + 1) * sizeof(*em->links));
	if (!grown)
		return sf_errtext(err, err_len, -ENOMEM, "out of memory");
	em->links = grown;
	l = &em->links[em->n];
	*l = (struct sf_emulated){ 0 };
	memcpy(l->name, name, strlen(name) + 1); /* length checked above */
	for (int end = 0; end < 2; end++) {
		struct sf_direction *d = &l->direction[end];
		char random[2 * SF_EMULATOR_NAME];

		fd[end] = port_open(ifname[end], err, err_len);
		if (fd[end] < 0) {
			if (end)
				close(fd[0]);
			return fd[end];
		}
		if (end)
			memcpy(d->from, dash + 1, strlen(dash));
		else
			memcpy(d->from, name, (size_t)(dash - name));
		snprintf(random, sizeof(random), "%s>%d", name, end);
		sf_engine_init(&d->engine, seed, random);
		sf_engine_set(&d->engine, set);
	}
	for (int end = 0; end < 2; end++) {
		l->direction[end].in = fd[end];
		l->direction[end].out = fd[!end];
	}
	em->n++;
	return 0;
}

struct sf_emulated *sf_emulator_find(struct sf_emulator *em, const char *name)
{
	const char *dash = strchr(name, '-');

	for (size_t i = 0; dash && i < em->n; i++) {
		const struct sf_direction *d = em->links[i].direction;
		size_t len = (size_t)(dash - name);

		for (int end = 0; end < 2; end++)
			if (strlen(d[end].from) == len && memcmp(d[end].from, name, len) == 0 &&
			    strcmp(d[!end].from, dash + 1) == 0)
				return &em->links[i];
	}
	return NULL;
}

void sf_emulator_close(struct sf_emulator *em)
{
	struct sf_flight *f;

	while ((f = sf_heap_take(&em->queue)))
		free(f);
	sf_heap_free(&em->queue);
	for (size_t i = 0; i < em->n; i++)
		for (int end = 0; end < 2; end++)
			close(em->links[i].direction[end].in);
	free(em->links);
	free(em->batch);
	*em = (struct sf_emulator){ 0 };
}

/* ---- sending ---------------------------------------------------------------------------- */

static void send_now(struct sf_direction *d, const struct virtio_net_hdr *vh, const void *data,
		     size_t len)
{
	struct iovec iov[2] = { { (void *)vh, sizeof(*vh) }, { (void *)data, len } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

	if (sendmsg(d->out, &msg, 0) < 0)
		d->engine.counts.send_failed++;
	else
		d->engine.counts.sent++;
}

/* Where the packet cannot leave at once, a place for it in the queue; NULL: dropped and counted. */
static struct packet *packet_new(struct sf_direction *d, size_t len)
{
	struct packet *p = NULL;

	if (d->bytes + len <= FLYING_MAX)
		p = malloc(sizeof(*p) + len);
	if (!p) {
		d->engine.counts.no_memory++;
		return NULL;
	}
	p->direction = d;
	p->len = (uint32_t)len;
	return p;
}

static void packet_fly(struct sf_emulator *em, struct packet *p, uint64_t due)
{
	struct sf_direction *d = p->direction;

	p->flight.due = due;
	if (sf_heap_put(&em->queue, &p->flight)) {
		d->engine.counts.no_memory++;
		free(p);
		return;
	}
	d->flying++;
	d->bytes += p->len;
}

uint64_t sf_emulator_flush(struct sf_emulator *em)
{
	uint64_t now = now_ns();
	struct sf_flight *f;

	while ((f = sf_heap_first(&em->queue)) && f->due <= now) {
		struct packet *p = (struct packet *)sf_heap_take(&em->queue);

		p->direction->flying--;
		p->direction->bytes -= p->len;
		send_now(p->direction, &p->vh, p->data, p->len);
		free(p);
	}
	return f ? f->due : 0;
}

/* ---- receiving -------------------------------------------------------------------------- */

/* One packet that is whole: its fate. */
static void packet_whole(struct sf_emulator *em, struct sf_direction *d, uint64_t now,
			 const struct virtio_net_hdr *vh, const uint8_t *data, size_t len,
			 size_t wire_len)
{
	struct sf_fate fate = sf_engine_packet(&d->engine, now, wire_len);

	while (fate.copies--) {
		struct packet *p;

		/* Not past one that waits, even if that is due now. */
		if (fate.due <= now && !d->flying) {
			send_now(d, vh, data, len);
			continue;
		}
		p = packet_new(d, len);
		if (!p)
			return;
		p->vh = *vh;
		memcpy(p->data, data, len);
		packet_fly(em, p, fate.due);
	}
}

static void packet_cut(struct sf_emulator *em, struct sf_direction *d, uint64_t now,
		       const struct sf_segments *s)
{
	uint8_t *data = malloc(s->head + s->mss);

	if (!data) {
		d->engine.counts.no_memory++;
		return;
	}
	d->engine.counts.cut++;
	for (size_t i = 0; i < s->count; i++) {
		size_t size = sf_segments_size(s, i);
		struct virtio_net_hdr vh;

		sf_segments_make(s, i, data, &vh);
		packet_whole(em, d, now, &vh, data, size, size);
	}
	free(data);
}

static void packet_in(struct sf_emulator *em, struct sf_direction *d, uint64_t now,
		      const struct virtio_net_hdr *vh, const uint8_t *data, size_t len)
{
	struct sf_segments s;

	if (sf_segments_begin(&s, data, len, vh))
		packet_whole(em, d, now, vh, data, len, len);
	else if (sf_engine_per_packet(&d->engine))
		packet_cut(em, d, now, &s);
	else /* crosses as one, but takes the line for as long as its segments would */
		packet_whole(em, d, now, vh, data, len, len + (s.count - 1) * s.head);
}

/* Puts a VLAN tag, which the kernel took out of the packet, back. Returns where the packet begins.
 */
static uint8_t *tag_restore(struct msghdr *msg, uint8_t *data, size_t *len,
			    struct virtio_net_hdr *vh)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		struct tpacket_auxdata aux;
		uint16_t tag[2];

		if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
			continue;
		memcpy(&aux, CMSG_DATA(c), sizeof(aux));
		if (!(aux.tp_status & TP_STATUS_VLAN_VALID))
			break;
		tag[0] = htons(aux.tp_status & TP_STATUS_VLAN_TPID_VALID ? aux.tp_vlan_tpid
									 : ETH_P_8021Q);
		tag[1] = htons(aux.tp_vlan_tci);
		memmove(data - VLAN, data, MACS);
		memcpy(data - VLAN + MACS, tag, VLAN);
		*len += VLAN;
		if (vh->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
			vh->csum_start = (uint16_t)(vh->csum_start + VLAN);
		if (vh->gso_type != VIRTIO_NET_HDR_GSO_NONE)
			vh->hdr_len = (uint16_t)(vh->hdr_len + VLAN);
		return data - VLAN;
	}
	return data;
}

static void overruns_count(struct sf_direction *d)
{
	struct tpacket_stats stats;
	socklen_t len = sizeof(stats);

	/* Reading resets it. */
	if (getsockopt(d->in, SOL_PACKET, PACKET_STATISTICS, &stats, &len) == 0)
		d->engine.counts.overrun += stats.tp_drops;
}

void sf_emulator_receive(struct sf_emulator *em, struct sf_direction *d)
{
	struct sf_batch *b = em->batch;
	uint64_t now;
	int n;

	for (int i = 0; i < BATCH; i++) {
		b->iov[i][0] = (struct iovec){ &b->vh[i], sizeof(b->vh[i]) };
		b->iov[i][1] = (struct iovec){ b->frame[i] + VLAN, FRAME_MAX };
		b->msg[i].msg_hdr = (struct msghdr){ .msg_iov = b->iov[i],
						     .msg_iovlen = 2,
						     .msg_control = &b->control[i],
						     .msg_controllen = sizeof(b->control[i]) };
	}
	n = recvmmsg(d->in, b->msg, BATCH, MSG_DONTWAIT, NULL);
	/* After, never before: a packet's delay must not be shorter than asked for. */
	now = now_ns();
	overruns_count(d);
	for (int i = 0; i < n; i++) {
		struct msghdr *msg = &b->msg[i].msg_hdr;
		size_t len = b->msg[i].msg_len;
		uint8_t *data = b->frame[i] + VLAN;

		if (len < sizeof(b->vh[i]) + ETH_HLEN || msg->msg_flags & MSG_TRUNC) {
			d->engine.counts.unreadable++;
			continue;
		}
		len -= sizeof(b->vh[i]);
		data = tag_restore(msg, data, &len, &b->vh[i]);
		packet_in(em, d, now, &b->vh[i], data, len);
	}
}
