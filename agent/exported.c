// SPDX-License-Identifier: Apache-2.0
/* exported.c - see exported.h. */
#include "agent/exported.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/compat.h"
#include "util/crypto.h"
#include "util/errtext.h"

#define MAGIC	   "SFEC"
#define DOMAIN	   "scaffold exported connection v1"
#define WSCALE_MAX 14 /* RFC 7323 */
#define MSS_MIN	   88 /* what Linux takes */
#define MOVE_FLAGS (SF_MOVE_CONFIRMED | SF_MOVE_EXPIRED)

struct wire_view {
	__be64 name;
	__be64 claim;
	__be32 epoch;
	__be32 closed;
} SF_WIRE;

struct wire_tcp {
	__be32 snd_seq;
	__be32 rcv_seq;
	__be32 timestamp;
	__be32 snd_wl1;
	__be32 snd_wnd;
	__be32 max_window;
	__be32 rcv_wnd;
	__be32 rcv_wup;
	__be16 mss;
	__be16 options;
	__u8 snd_wscale;
	__u8 rcv_wscale;
	__be16 reserved;
	__be32 received;
	__be32 sent;
	__be32 unsent;
} SF_WIRE;

struct wire {
	__u8 magic[4];
	__be16 version;
	__be16 head; /* bytes of this */
	__be64 total;
	__be64 made_ms;
	__be64 until_ms;
	struct sf_addr local;
	struct sf_addr peer;
	__be16 lport;
	__be16 pport;
	__u8 proto;
	__u8 flags;
	__be16 reserved;
	struct sf_sid peer_sid;
	struct sf_sid peer_host;
	__be32 isn;
	struct wire_view own;
	struct wire_view other;
	__be64 acked;
	__be64 former;
	struct sf_addr at;
	struct sf_addr valid;
	struct sf_addr cand;
	struct sf_sid found_by;
	__be32 move_flags;
	__be32 moves;
	__be32 peer_moves;
	struct wire_tcp tcp;
} SF_WIRE;

SF_STATIC_ASSERT(sizeof(struct wire) == 288, "exported connection");

void exported_free(struct exported *e)
{
	repair_free(&e->tcp);
	memset(e, 0, sizeof(*e));
}

void exported_take_move(struct exported *e, const struct sf_move *m)
{
	e->move = *m;
	e->move.flags &= MOVE_FLAGS;
	e->move.echo = 0;
	e->move.allow = e->move.tries = 0;
	e->move.began = e->move.heard = e->move.cand_since = e->move.due = e->move.wait = 0;
}

size_t exported_size(const struct exported *e)
{
	return sizeof(struct wire) + repair_size(&e->tcp) + SF_SHA256_LEN;
}

/* ---- out -------------------------------------------------------------------------------- */

static void put_view(struct wire_view *w, const struct sf_view *v)
{
	w->name = sf_be64(v->name);
	w->claim = sf_be64(v->claim);
	w->epoch = sf_be32(v->epoch);
	w->closed = sf_be32(v->closed);
}

static void put_tcp(struct wire_tcp *w, const struct repair *r)
{
	w->snd_seq = sf_be32(r->snd_seq);
	w->rcv_seq = sf_be32(r->rcv_seq);
	w->timestamp = sf_be32(r->timestamp);
	w->snd_wl1 = sf_be32(r->snd_wl1);
	w->snd_wnd = sf_be32(r->snd_wnd);
	w->max_window = sf_be32(r->max_window);
	w->rcv_wnd = sf_be32(r->rcv_wnd);
	w->rcv_wup = sf_be32(r->rcv_wup);
	w->mss = sf_be16(r->mss);
	w->options = sf_be16(r->options);
	w->snd_wscale = r->snd_wscale;
	w->rcv_wscale = r->rcv_wscale;
	w->received = sf_be32(r->received);
	w->sent = sf_be32(r->sent);
	w->unsent = sf_be32(r->unsent);
}

static void put_move(struct wire *w, const struct sf_move *m)
{
	put_view(&w->own, &m->own);
	put_view(&w->other, &m->peer);
	w->acked = sf_be64(m->acked);
	w->former = sf_be64(m->former);
	w->at = m->at;
	w->valid = m->valid;
	w->cand = m->cand;
	w->found_by = m->peer_host;
	w->move_flags = sf_be32(m->flags);
	w->moves = sf_be32(m->moves);
	w->peer_moves = sf_be32(m->peer_moves);
}

int exported_encode(const struct exported *e, uint8_t *out)
{
	struct wire w = { .magic = MAGIC };
	size_t queues = repair_size(&e->tcp);

	if (e->tcp.received > EXPORTED_QUEUE_MAX || e->tcp.sent > EXPORTED_QUEUE_MAX ||
	    e->tcp.unsent > EXPORTED_QUEUE_MAX)
		return -EMSGSIZE;
	w.version = sf_be16(EXPORTED_VERSION);
	w.head = sf_be16(sizeof(w));
	w.total = sf_be64(exported_size(e));
	w.made_ms = sf_be64(e->made_ms);
	w.until_ms = sf_be64(e->until_ms);
	w.local = e->tuple.local;
	w.peer = e->tuple.peer;
	w.lport = e->tuple.lport;
	w.pport = e->tuple.pport;
	w.proto = e->tuple.proto;
	w.flags = e->flags;
	w.peer_sid = e->peer_sid;
	w.peer_host = e->peer_host;
	w.isn = sf_be32(e->isn);
	put_move(&w, &e->move);
	put_tcp(&w.tcp, &e->tcp);
	memcpy(out, &w, sizeof(w));
	if (queues)
		memcpy(out + sizeof(w), e->tcp.data, queues);
	return sf_sha256(DOMAIN, out, sizeof(w) + queues, out + sizeof(w) + queues);
}

/* ---- in --------------------------------------------------------------------------------- */

static void get_view(const struct wire_view *w, struct sf_view *v)
{
	v->name = sf_be64(w->name);
	v->claim = sf_be64(w->claim);
	v->epoch = sf_be32(w->epoch);
	v->closed = sf_be32(w->closed);
}

static void get_tcp(const struct wire_tcp *w, struct repair *r)
{
	r->snd_seq = sf_be32(w->snd_seq);
	r->rcv_seq = sf_be32(w->rcv_seq);
	r->timestamp = sf_be32(w->timestamp);
	r->snd_wl1 = sf_be32(w->snd_wl1);
	r->snd_wnd = sf_be32(w->snd_wnd);
	r->max_window = sf_be32(w->max_window);
	r->rcv_wnd = sf_be32(w->rcv_wnd);
	r->rcv_wup = sf_be32(w->rcv_wup);
	r->mss = sf_be16(w->mss);
	r->options = sf_be16(w->options);
	r->snd_wscale = w->snd_wscale;
	r->rcv_wscale = w->rcv_wscale;
	r->received = sf_be32(w->received);
	r->sent = sf_be32(w->sent);
	r->unsent = sf_be32(w->unsent);
}

static void get_move(const struct wire *w, struct sf_move *m)
{
	get_view(&w->own, &m->own);
	get_view(&w->other, &m->peer);
	m->acked = sf_be64(w->acked);
	m->former = sf_be64(w->former);
	m->at = w->at;
	m->valid = w->valid;
	m->cand = w->cand;
	m->peer_host = w->found_by;
	m->flags = sf_be32(w->move_flags);
	m->moves = sf_be32(w->moves);
	m->peer_moves = sf_be32(w->peer_moves);
}

static void get(const struct wire *w, struct exported *e)
{
	memset(e, 0, sizeof(*e));
	e->made_ms = sf_be64(w->made_ms);
	e->until_ms = sf_be64(w->until_ms);
	e->tuple.local = w->local;
	e->tuple.peer = w->peer;
	e->tuple.lport = w->lport;
	e->tuple.pport = w->pport;
	e->tuple.proto = w->proto;
	e->peer_sid = w->peer_sid;
	e->peer_host = w->peer_host;
	e->isn = sf_be32(w->isn);
	e->flags = w->flags;
	get_move(w, &e->move);
	get_tcp(&w->tcp, &e->tcp);
}

/* ---- what an agent never writes --------------------------------------------------------- */

static bool is_locator(const struct sf_addr *a)
{
	return sf_locator_host(a) && !sf_sock_is_unset(sf_locator_sock(a));
}

static const char *flow_wrong(const struct wire *w, const struct exported *e)
{
	if (e->tuple.proto != 6)
		return "protocol: expected TCP";
	if (sf_addr_is_zero(&e->tuple.local) || sf_addr_is_zero(&e->tuple.peer))
		return "address: expected one of each end";
	if (!e->tuple.lport || !e->tuple.pport)
		return "port: expected 1 to 65535";
	if (w->reserved || (e->flags & ~SF_FLOW_INBOUND))
		return "flags of the flow: expected known ones";
	return NULL;
}

static const char *move_wrong(const struct sf_move *m)
{
	if (!is_locator(&m->at) || !is_locator(&m->valid) ||
	    (!sf_addr_is_zero(&m->cand) && !is_locator(&m->cand)))
		return "locator: expected one with host and socketID";
	if (m->own.closed > 1 || m->peer.closed > 1 || (m->flags & ~(__u32)MOVE_FLAGS))
		return "flags of the move: expected known ones";
	return NULL;
}

static const char *tcp_wrong(const struct wire_tcp *w, const struct repair *r)
{
	if (w->reserved || (r->options & ~REPAIR_OPTIONS))
		return "TCP options: expected known ones";
	if (r->snd_wscale > WSCALE_MAX || r->rcv_wscale > WSCALE_MAX)
		return "window scale: expected 0 to 14";
	if (r->mss < MSS_MIN)
		return "segment size: expected 88 or more";
	return NULL;
}

/* Lengths alone; nothing is believed before the digest. */
static int check_frame(const uint8_t *data, size_t len, struct wire *w, char *err, size_t errlen)
{
	uint8_t digest[SF_SHA256_LEN];
	uint64_t queues;

	if (len < sizeof(*w) + SF_SHA256_LEN)
		return sf_errtext(err, errlen, -EBADMSG,
				  "state of %zu bytes: expected an exported connection", len);
	memcpy(w, data, sizeof(*w));
	if (memcmp(w->magic, MAGIC, sizeof(w->magic)))
		return sf_errtext(err, errlen, -EBADMSG,
				  "state begins with something else: expected " MAGIC);
	if (w->version != sf_be16(EXPORTED_VERSION))
		return sf_errtext(err, errlen, -EPROTONOSUPPORT, "state of version %u: expected %u",
				  sf_be16(w->version), EXPORTED_VERSION);
	if (sf_be16(w->head) != sizeof(*w) || sf_be64(w->total) != len)
		return sf_errtext(err, errlen, -EBADMSG,
				  "state of %zu bytes: it says that it has %llu", len,
				  (unsigned long long)sf_be64(w->total));
	queues = (uint64_t)sf_be32(w->tcp.received) + sf_be32(w->tcp.sent) + sf_be32(w->tcp.unsent);
	if (queues != len - sizeof(*w) - SF_SHA256_LEN)
		return sf_errtext(err, errlen, -EBADMSG,
				  "queues of the state: expected %zu bytes in all, not %llu",
				  len - sizeof(*w) - SF_SHA256_LEN, (unsigned long long)queues);
	if (sf_sha256(DOMAIN, data, len - SF_SHA256_LEN, digest))
		return sf_errtext(err, errlen, -ENOMEM, "no memory");
	if (memcmp(digest, data + len - SF_SHA256_LEN, SF_SHA256_LEN))
		return sf_errtext(err, errlen, -EBADMSG, "state: its digest is wrong");
	return 0;
}

static int check_time(const struct exported *e, uint64_t now_ms, char *err, size_t errlen)
{
	if (e->until_ms < e->made_ms || e->until_ms - e->made_ms > EXPORTED_LIFE_MS)
		return sf_errtext(err, errlen, -EBADMSG, "times of the state: expected %u ms",
				  EXPORTED_LIFE_MS);
	if (now_ms >= e->until_ms)
		return sf_errtext(err, errlen, -ESTALE, "state: it expired %llu ms ago",
				  (unsigned long long)(now_ms - e->until_ms));
	return 0;
}

int exported_decode(const uint8_t *data, size_t len, uint64_t now_ms, struct exported *out,
		    char *err, size_t errlen)
{
	struct exported e;
	const char *wrong;
	struct wire w = { 0 };
	size_t queues;
	int ret = check_frame(data, len, &w, err, errlen);

	if (ret)
		return ret;
	get(&w, &e);
	wrong = flow_wrong(&w, &e);
	if (!wrong)
		wrong = move_wrong(&e.move);
	if (!wrong)
		wrong = tcp_wrong(&w.tcp, &e.tcp);
	if (wrong)
		return sf_errtext(err, errlen, -EBADMSG, "state: %s", wrong);
	ret = check_time(&e, now_ms, err, errlen);
	if (ret)
		return ret;
	queues = repair_size(&e.tcp);
	e.tcp.data = malloc(queues + 1);
	if (!e.tcp.data)
		return sf_errtext(err, errlen, -ENOMEM, "no memory");
	memcpy(e.tcp.data, data + sizeof(w), queues);
	*out = e;
	return 0;
}
