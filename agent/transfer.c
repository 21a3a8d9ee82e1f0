// SPDX-License-Identifier: Apache-2.0
/* transfer.c - see transfer.h. */
#include "agent/transfer.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/host.h"
#include "agent/importer.h"
#include "agent/moves.h"
#include "agent/refuse.h"
#include "agent/tell.h"
#include "util/clock.h"
#include "util/errtext.h"
#include "util/log.h"

#define ROOM_SLACK 65536 /* a queue may grow until the program asks again */
#define TELL_MS	   50	 /* from the first word to the exporter to the second */

static uint64_t now_ns(void)
{
	return sf_now_ms() * 1000000;
}

/* ---- flows ------------------------------------------------------------------------------ */

/* Return: 0 with the entry that tuple @t has; -ENOENT. */
static int flow_find(const struct host *h, const struct sf_tuple *t, struct sf_flow *f)
{
	uint64_t hash = sf_flow_hash(&h->datapath.config.key, t);

	for (int other = 0; other < 2; other++) {
		uint64_t key = sf_flow_key(hash, other);

		if (!bpf_map_lookup_elem(datapath_map(h, "flows"), &key, f) &&
		    sf_tuple_eq(&f->tuple, t))
			return 0;
	}
	return -ENOENT;
}

/* A key for the flow that comes, what its own socketID is to be, and what was there. */
static int flow_place(const struct host *h, struct transfer_in *in)
{
	uint64_t hash = sf_flow_hash(&h->datapath.config.key, &in->e.tuple), free_key = 0;
	const struct sf_move *left;
	struct sf_flow old;
	uint8_t drawn;
	int ret;

	for (int other = 0; other < 2; other++) {
		uint64_t key = sf_flow_key(hash, other);

		if (bpf_map_lookup_elem(datapath_map(h, "flows"), &key, &old)) {
			free_key = free_key ? free_key : key;
			continue;
		}
		if (!sf_tuple_eq(&old.tuple, &in->e.tuple))
			continue;
		if (old.state != SF_FLOW_EXPORTED && old.state != SF_FLOW_CLOSING)
			return -EEXIST;
		in->id = sf_socket_id(key, (uint8_t)(sf_locator_sock(&old.own) + 1));
		in->has_tomb = old.state == SF_FLOW_EXPORTED;
		in->tomb = old;
		left = moves_find(h, key);
		in->has_left = in->has_tomb && left;
		if (in->has_left)
			in->left = *left;
		return 0;
	}
	if (!free_key)
		return -EBUSY;
	ret = sf_random(&drawn, sizeof(drawn));
	in->id = sf_socket_id(free_key, drawn);
	return ret;
}

/* What was made of a flow that does not come is taken back; what was there before is again, so that
 * the peer hears nothing from here that it would take for the end. */
static void flow_undo(struct host *h, const struct transfer_in *in)
{
	int flows = datapath_map(h, "flows");
	struct sf_flow f, gone;
	bool there = !bpf_map_lookup_elem(flows, &in->key, &f);

	moves_forget(h, in->key);
	/* The key may be another flow's by now. */
	if (there && (!sf_tuple_eq(&f.tuple, &in->e.tuple) || f.created != in->created))
		return;
	if (!in->has_tomb) {
		if (there)
			flows_take(flows, sf_locator_sock(&f.own), &gone);
		return;
	}
	/* At once: in between, whatever the peer sends would draw a FAIL. */
	if (bpf_map_update_elem(flows, &in->key, &in->tomb, BPF_ANY))
		sf_error("flow table: an exported flow cannot be kept: %s", strerror(errno));
	else if (in->has_left)
		mover_load(&h->moves.mover, in->key, &in->left);
	mover_flush(&h->moves.mover);
}

static void tell(struct host *h, enum sf_log_level level, const char *kind,
		 const struct sf_tuple *t, const char *text)
{
	char peer[SF_ADDR_STRLEN];
	struct sf_event e = { .kind = kind,
			      .service = sf_addr_sid(&t->local),
			      .has_port = true,
			      .proto = t->proto,
			      .port = t->lport };

	e.service_name = names_of(h, &e.service);
	host_tell(h, level, &e, "connection of [%s]:%u%s%s", sf_addr_print(&t->peer, peer),
		  ntohs(t->pport), *text ? ": " : "", text);
}

/* ---- out -------------------------------------------------------------------------------- */

static const char *socket_why(int error)
{
	switch (-error) {
	case ENOTSOCK:
		return "descriptor: expected a socket";
	case EPROTOTYPE:
		return "socket: expected TCP over IPv6";
	case ENOTCONN:
		return "socket: it is not connected, or was exported before";
	case ESHUTDOWN:
		return "connection: one side has closed it";
	case EOPNOTSUPP:
		return "socket: its contents belong to a protocol on top of TCP";
	}
	return strerror(-error);
}

static int check_flow(const struct host *h, int fd, struct sf_tuple *t, struct sf_flow *f,
		      char *err, size_t errlen)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);
	int ret = repair_tuple(fd, t);

	if (ret)
		return sf_errtext(err, errlen, ret, "%s", socket_why(ret));
	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len) || cookie != h->cookie)
		return sf_errtext(err, errlen, -ENOTCONN, "socket: it is of another host");
	if (flow_find(h, t, f))
		return sf_errtext(err, errlen, -ENOTCONN,
				  "connection: expected one of a service, with another host");
	if (!sf_addr_is_service(&h->net, &t->local) || sf_addr_eq(&t->local, &h->self))
		return sf_errtext(err, errlen, -EADDRNOTAVAIL,
				  "connection: its address is this host's own, not a service's");
	/* EXPORTED, and there is the socket: an agent was killed on the way. */
	if (f->state != SF_FLOW_BOUND && f->state != SF_FLOW_EXPORTED)
		return sf_errtext(err, errlen, f->state == SF_FLOW_CLOSING ? -ESHUTDOWN : -EAGAIN,
				  "connection: it is %s", sf_flow_state_name(f->state));
	return 0;
}

/* What the moves of the flow have led to so far. */
static void fill_move(const struct host *h, const struct sf_flow *f, struct exported *e)
{
	const struct sf_move *m = moves_find(h, sf_socket_key(sf_locator_sock(&f->own)));
	struct sf_move none;

	if (!m)
		sf_move_init(&none, f, now_ns());
	exported_take_move(e, m ? m : &none);
}

static int write_state(const struct exported *e, struct transfer_out *out)
{
	int ret;

	out->len = exported_size(e);
	out->state = malloc(out->len);
	if (!out->state)
		return -ENOMEM;
	ret = exported_encode(e, out->state);
	if (ret) {
		free(out->state);
		out->state = NULL;
	}
	return ret;
}

static int dump(struct host *h, const struct sf_flow *f, size_t room, struct transfer_out *out,
		size_t *len)
{
	struct exported e = { .made_ms = sf_wall_ms(),
			      .tuple = f->tuple,
			      .peer_sid = f->peer_sid,
			      .peer_host = f->peer_host,
			      .isn = f->isn,
			      .flags = f->flags & SF_FLOW_INBOUND };
	int ret = repair_dump(out->fd, &e.tcp);

	if (ret)
		return ret;
	e.until_ms = e.made_ms + EXPORTED_LIFE_MS;
	fill_move(h, f, &e);
	*len = exported_size(&e);
	ret = *len > room ? -ENOBUFS : write_state(&e, out);
	if (ret == -ENOBUFS)
		*len += ROOM_SLACK;
	exported_free(&e);
	return ret;
}

static int check_room(int fd, size_t room, size_t *len)
{
	struct exported e = { .made_ms = 0 };
	size_t queued = 0;
	int ret = repair_queued(fd, &queued);

	*len = exported_size(&e) + queued;
	if (ret || *len <= room)
		return ret;
	*len += ROOM_SLACK;
	return -ENOBUFS;
}

int transfer_export(struct host *h, int fd, size_t room, struct transfer_out *out, size_t *len,
		    char *err, size_t errlen)
{
	struct sf_tuple t;
	struct sf_flow f = { 0 };
	int ret = check_flow(h, fd, &t, &f, err, errlen);

	if (ret)
		return ret;
	/* Who has too little room is told while the connection goes on. */
	ret = check_room(fd, room, len);
	if (ret == -ENOBUFS)
		return sf_errtext(err, errlen, ret, "room for the state: expected %zu bytes", *len);
	*out = (struct transfer_out){ .fd = fd, .id = sf_locator_sock(&f.own), .tuple = t };
	if (f.state == SF_FLOW_BOUND)
		ret = datapath_turn(h, out->id, SF_FLOW_BOUND, SF_FLOW_EXPORTED);
	if (ret)
		return sf_errtext(err, errlen, ret, "connection: it changes just now");
	ret = dump(h, &f, room, out, len);
	if (!ret)
		return 0;
	transfer_undo(h, out);
	if (ret == -ENOBUFS)
		return sf_errtext(err, errlen, ret, "room for the state: expected %zu bytes", *len);
	return sf_errtext(err, errlen, ret, "connection: %s", socket_why(ret));
}

static void out_free(struct transfer_out *out)
{
	if (out->state)
		sf_cleanse(out->state, out->len);
	free(out->state);
	out->state = NULL;
}

void transfer_done(struct host *h, struct transfer_out *out)
{
	repair_end(out->fd);
	moves_leave(h, sf_socket_key(out->id));
	tell(h, SF_LOG_INFO, "exported", &out->tuple, "");
	out_free(out);
}

void transfer_undo(struct host *h, struct transfer_out *out)
{
	if (!datapath_turn(h, out->id, SF_FLOW_EXPORTED, SF_FLOW_BOUND))
		moves_stay(h, sf_socket_key(out->id));
	repair_thaw(out->fd, false);
	out_free(out);
}

/* ---- in --------------------------------------------------------------------------------- */

static bool is_place(const struct host *h, const struct sf_addr *a)
{
	return sf_addr_in_as(&h->net, a) || a->h[0] == sf_be16(SF_LOCATOR_PREFIX);
}

static int make_socket(const struct exported *e, char *err, size_t errlen)
{
	int fd;

	/* The program may, importer.h. */
	sf_priv_raise(SF_CAP(CAP_NET_BIND_SERVICE), true);
	fd = repair_restore(&e->tuple, &e->tcp);
	sf_priv_raise(SF_CAP(CAP_NET_BIND_SERVICE), false);
	if (fd == -EADDRINUSE)
		return sf_errtext(err, errlen, -EEXIST, "connection: it is on this host already");
	if (fd < 0)
		return sf_errtext(err, errlen, fd, "socket: %s", strerror(-fd));
	return fd;
}

static int make_flow(struct host *h, struct transfer_in *in, char *err, size_t errlen)
{
	const struct sf_host_config *cfg = &h->datapath.config;
	struct sf_move m = in->e.move;
	struct sf_flow f = { .tuple = in->e.tuple,
			     .peer_sid = in->e.peer_sid,
			     .peer_host = in->e.peer_host,
			     .isn = in->e.isn,
			     .flags = in->e.flags,
			     .epoch = 1,
			     .state = SF_FLOW_BOUND };
	uint64_t now = now_ns();
	int ret = flow_place(h, in);

	if (ret == -EEXIST)
		return sf_errtext(err, errlen, ret, "connection: it is on this host already");
	if (ret)
		return sf_errtext(err, errlen, ret, "flow: no key is free for it");
	in->key = sf_socket_key(in->id);
	f.own = sf_locator_place(&cfg->own);
	sf_locator_set_sock(&f.own, in->id);
	sf_move_rehome(&m, &f.own, now);
	f.peer = sf_move_peer(&m);
	f.csum_out = sf_csum_delta(&f.tuple.local, &f.tuple.peer, &f.own, &f.peer);
	f.created = f.used = in->created = sf_used_of(now);
	moves_forget(h, in->key);
	if (bpf_map_update_elem(datapath_map(h, "flows"), &in->key, &f, BPF_ANY)) {
		ret = -errno;
		flow_undo(h, in);
		return sf_errtext(err, errlen, ret, "flow table: %s", strerror(-ret));
	}
	ret = moves_import(h, &f, &m, &in->e.move.at);
	if (ret) {
		flow_undo(h, in);
		return sf_errtext(err, errlen, ret, "renegotiation: %s", strerror(-ret));
	}
	return 0;
}

int transfer_import(struct host *h, const struct sf_http_peer *who, const uint8_t *state,
		    size_t len, struct transfer_in *in, char *err, size_t errlen)
{
	struct transfer_in t = { .fd = -1, .began_ms = sf_now_ms() };
	int ret = exported_decode(state, len, sf_wall_ms(), &t.e, err, errlen);

	if (!ret)
		ret = importer_check(h, who, &t.e, err, errlen);
	if (!ret) {
		t.fd = make_socket(&t.e, err, errlen);
		ret = t.fd < 0 ? t.fd : make_flow(h, &t, err, errlen);
	}
	if (!ret) {
		*in = t;
		return 0;
	}
	if (t.fd >= 0)
		close(t.fd);
	exported_free(&t.e);
	return ret;
}

/* Where the flow was left somebody may look for it: its peer, if that moves meanwhile. */
static void tell_exporter(struct host *h, const struct transfer_in *in)
{
	const struct sf_addr *where = &in->e.move.at;

	if (is_place(h, where) && !attachment_of_place(h, where))
		moves_tell(h, in->key, where);
}

int transfer_state(struct host *h, struct transfer_in *in, char *err, size_t errlen)
{
	const struct sf_move *m = moves_find(h, in->key);

	if (!m)
		return sf_errtext(err, errlen, -ECONNRESET,
				  "connection: its peer does not have it any more, or it was "
				  "imported at another host before");
	if (!sf_move_is_open(m))
		return 0;
	/* At once, then less and less often: either message may be lost. */
	if (sf_now_ms() >= in->tell_ms) {
		tell_exporter(h, in);
		in->tell_ms = 2 * sf_now_ms() - in->began_ms + TELL_MS;
	}
	if (sf_now_ms() - in->began_ms >= TRANSFER_WAIT_MS)
		return sf_errtext(err, errlen, -ETIMEDOUT,
				  "connection: its peer has not answered for %u s",
				  TRANSFER_WAIT_MS / 1000);
	return -EINPROGRESS;
}

static void in_free(struct transfer_in *in)
{
	if (in->fd >= 0)
		repair_drop(in->fd);
	in->fd = -1;
	if (in->e.tcp.data)
		sf_cleanse(in->e.tcp.data, repair_size(&in->e.tcp));
	exported_free(&in->e);
}

int transfer_speak(struct transfer_in *in)
{
	int ret = in->speaks ? 0 : repair_thaw(in->fd, true);

	in->speaks |= !ret;
	return ret ? ret : repair_say(in->fd, &in->e.tcp, &in->said);
}

int transfer_finish(struct host *h, struct transfer_in *in)
{
	int fd = in->fd, ret = transfer_speak(in);

	if (!ret)
		ret = repair_finish(fd, &in->e.tcp, in->said);
	if (ret) {
		transfer_abandon(h, in);
		return ret;
	}
	in->fd = -1;
	tell_exporter(h, in);
	tell(h, SF_LOG_INFO, "imported", &in->e.tuple, "");
	in_free(in);
	return fd;
}

void transfer_abandon(struct host *h, struct transfer_in *in)
{
	tell(h, SF_LOG_WARN, "import-failed", &in->e.tuple, "");
	/* The socket is silent before the entry is another's; in_free() forgets whose it was. */
	if (in->fd >= 0)
		repair_drop(in->fd);
	in->fd = -1;
	flow_undo(h, in);
	in_free(in);
}

void transfer_recover(struct host *h, uint64_t key, struct sf_move *m)
{
	struct sf_flow f;

	if (!(m->flags & SF_MOVE_BROUGHT) || !sf_move_is_open(m) ||
	    bpf_map_lookup_elem(datapath_map(h, "flows"), &key, &f) || !mover_is_of(m, &f))
		return;
	sf_info("a connection that was on its way in was not taken");
	sf_move_leave(m);
	/* Where it had been exported, the peer still uses the socketID from before. */
	f.state = SF_FLOW_EXPORTED;
	f.flags = (f.flags & ~(SF_FLOW_RST | SF_FLOW_OVER)) | SF_FLOW_MOVED | SF_FLOW_OPEN;
	f.formers = SF_GRACE_FORMERS;
	f.moved = f.created;
	if (bpf_map_update_elem(datapath_map(h, "flows"), &key, &f, BPF_EXIST))
		sf_error("flow table: %s", strerror(errno));
}

void transfer_expired(struct host *h, const struct sf_flow *f)
{
	const struct sf_move *m = moves_find(h, sf_socket_key(sf_locator_sock(&f->own)));

	if (m && !sf_addr_is_zero(&m->valid))
		return;
	tell(h, SF_LOG_WARN, "export-expired", &f->tuple, "nobody has told of importing it");
	/* A peer that has heard of an importer does not believe it: we are not its peer's place. */
	refuse_peer(h, f, SF_NO_SUCH_SOCKET);
}
