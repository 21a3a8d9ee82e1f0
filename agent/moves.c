// SPDX-License-Identifier: Apache-2.0
/* moves.c - the mover's ties to kernel, network and loop; see moves.h. */
#include "agent/moves.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <event2/event.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/host.h"
#include "agent/refuse.h"
#include "agent/transfer.h"
#include "util/clock.h"
#include "util/log.h"

/* Timers that fire in one turn, and from turn to turn: what leaves at once must fit the queues on
 * the way, and leave room for others (32,000 messages a second). */
#define SLICE	      128
#define SLICE_MS      10
#define TURN_MS	      4
#define SWEEP_MS      10000
#define SWEEP	      4096
#define FAILS_PER_SEC 1000
#define NS_PER_MS     1000000ull

/** struct moves_job - flows that are to leave a place. @begun: @keys are known. */
struct moves_job {
	struct moves_job *next;
	struct sf_addr from, to;
	enum mover_cause cause;
	bool begun;
	uint64_t *keys, *ids; /* those to move; socketIDs of those to ask for anew */
	size_t n_keys, n_ids, room_keys, room_ids, at;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void add_ms(struct event *timer, uint64_t ms)
{
	struct timeval wait = sf_ms_timeval(ms);

	event_add(timer, &wait);
}

/* The timer of what is due next; to be called after whatever may have changed it. */
static void arm(struct host *h)
{
	uint64_t due = mover_due(&h->moves.mover), now = now_ns();

	if (due && due < h->moves.next_run)
		due = h->moves.next_run;
	if (due)
		add_ms(h->moves.timer, due > now ? (due - now + NS_PER_MS - 1) / NS_PER_MS : 0);
	else
		event_del(h->moves.timer);
}

/* ---- places ----------------------------------------------------------------------------- */

/* Index of the link of our place @place; 0: it is none of ours, or not usable. */
static int link_of(const struct host *h, const struct sf_addr *place)
{
	const struct attachment *a = attachment_of_place(h, place);

	return a && attachment_usable(a) ? a->link.ifindex : 0;
}

bool moves_usable(const struct host *h, const struct sf_addr *place)
{
	return link_of(h, place) > 0;
}

int moves_place_on(const struct host *h, const char *name, struct sf_addr *place, char *err,
		   size_t errlen)
{
	const struct attachment *a = attachment_by_name(h, name);
	const char *why = a ? attachment_why_not(a) : NULL;
	struct sf_nl_link link;

	if (sf_link_get(h->nl, name, &link)) {
		snprintf(err, errlen, "no such interface");
		return -ENODEV;
	}
	if (!a && (!(link.flags & IFF_UP) || !link.carrier))
		why = "the interface is down";
	else if (!a)
		why = "no router is looked for by this interface";
	if (why) {
		snprintf(err, errlen, "%s", why);
		return -ENETDOWN;
	}
	*place = sf_locator_place(&a->join.locator);
	return 0;
}

/* ---- what the mover asks for ------------------------------------------------------------ */

static uint64_t op_now(void *ctx)
{
	return now_ns();
}

static int op_random(void *ctx, uint64_t out[2])
{
	return sf_random(out, 2 * sizeof(*out));
}

static int op_flow(void *ctx, uint64_t key, struct sf_flow *out)
{
	struct host *h = ctx;

	if (!bpf_map_lookup_elem(datapath_map(h, "flows"), &key, out))
		return 0;
	if (errno != ENOENT)
		return -errno;
	/* Half open: it is no flow yet, but it is not gone either. */
	return bpf_map_lookup_elem(datapath_map(h, "halfopen"), &key, out) ? -ENOENT : -EAGAIN;
}

static bool op_usable(void *ctx, const struct sf_addr *place)
{
	return moves_usable(ctx, place);
}

static int op_keep(void *ctx, const uint64_t *keys, const struct sf_move *moves, size_t n)
{
	struct host *h = ctx;
	int ret = sf_bpf_map_put_batch(datapath_map(h, "moves"), keys, moves, (uint32_t)n, NULL);

	if (ret)
		sf_error("map moves: %s: nothing is said that is not kept", strerror(-ret));
	return ret;
}

static void op_forget(void *ctx, uint64_t key)
{
	bpf_map_delete_elem(datapath_map(ctx, "moves"), &key);
}

static int op_change(void *ctx, const struct sf_flow_change *c)
{
	int ret = datapath_change(ctx, c);

	if (ret && ret != -ENOENT)
		sf_error("a flow's locators cannot be changed: %s", strerror(-ret));
	return ret;
}

static int op_link(void *ctx, const struct sf_addr *place)
{
	return link_of(ctx, place);
}

/* What does not leave is repeated; where the cause lasts, it would be looked for in the network. */
static size_t op_send(void *ctx, const struct sf_move_msg *messages, size_t n)
{
	struct host *h = ctx;
	int err = 0;
	size_t sent = rsyn_send(h->moves.fd, messages, n, op_link, h, &err);
	uint64_t second = sf_now_ms() / 1000;

	if (err && second != h->moves.unsent_at) {
		sf_warn("moves: %zu of %zu messages did not leave: %s", n - sent, n, strerror(err));
		h->moves.unsent_at = second;
	}
	return sent;
}

/* As many as a flood of false RSYNs may cost others. */
static bool may_fail(struct moves *m)
{
	uint64_t second = sf_now_ms() / 1000;

	if (second != m->fails_at) {
		m->fails_at = second;
		m->fails = FAILS_PER_SEC;
	}
	return m->fails && m->fails--;
}

static void op_refuse(void *ctx, const struct rsyn_in *in, uint8_t reason)
{
	struct host *h = ctx;
	uint8_t packet[RSYN_QUOTING_MAX];
	int len = rsyn_fail_encode(packet, sizeof(packet), in, &h->identity, reason);

	if (len > 0 && may_fail(&h->moves))
		rsyn_send_packet(h->moves.fd, packet, (size_t)len, link_of(h, &in->msg.dst));
}

static void op_redirect(void *ctx, const struct rsyn_in *in, const struct sf_addr *place)
{
	struct host *h = ctx;
	uint8_t packet[RSYN_QUOTING_MAX];
	int len = rsyn_redirect_encode(packet, sizeof(packet), in, &h->identity, place);

	if (len > 0 && may_fail(&h->moves))
		rsyn_send_packet(h->moves.fd, packet, (size_t)len, link_of(h, &in->msg.dst));
}

/* ---- telling ---------------------------------------------------------------------------- */

/* The attachment that is, or was last, at @place. */
static const struct attachment *was_at(const struct host *h, const struct sf_addr *place)
{
	attachment_foreach (h, a)
		if (sf_locator_same_host(&a->join.locator, place))
			return a;
	return NULL;
}

/* Why flows leave @place of ours. */
static enum mover_cause why_leave(const struct host *h, const struct sf_addr *place)
{
	const struct attachment *a = was_at(h, place);

	if (sf_addr_is_zero(place))
		return MOVER_AWAY;
	if (!a)
		return MOVER_ADDRESS;
	if (!uplink_usable(h, &a->link))
		return MOVER_LINK;
	return a->join.state == JOIN_LOST ? MOVER_ROUTER : MOVER_PREFERRED;
}

static void op_moved(void *ctx, const struct mover_report *r)
{
	const struct attachment *was = was_at(ctx, &r->from);
	struct moved g = { .kind = "flow-moved",
			   .cause = r->cause,
			   .from = r->from,
			   .to = r->to,
			   .tuple = r->tuple,
			   .count = 1,
			   .began = r->began,
			   .ended = r->ended,
			   .own = r->own };

	if (r->own && was)
		snprintf(g.link, sizeof(g.link), "%s", was->link.name);
	moved_add(ctx, &g);
}

static void op_over(void *ctx, const struct sf_flow *f, uint8_t reason)
{
	struct host *h = ctx;
	uint64_t now = now_ns();
	struct moved g = { .kind = reason == SF_SUPERSEDED ? "flow-superseded" : "flow-over",
			   .tuple = f->tuple,
			   .count = 1,
			   .began = now,
			   .ended = now,
			   .own = true,
			   .reason = reason };
	int ret;

	if (!mover_takes(f))
		return; /* both ends were through with it */
	ret = refuse_local(h, f, reason);
	if (ret && ret != -ENOENT)
		sf_warn("the socket of a flow that is over cannot be told: %s", strerror(-ret));
	moved_add(h, &g);
}

static bool op_kick(void *ctx, const struct sf_tuple *t, enum sf_kick_how how)
{
	int ret;

	/* What the exporter had sent was not lost, but its acknowledgements, which the peer
	 * repeats. */
	if (how == SF_KICK_RESEND && handover_brings(ctx, t))
		how = SF_KICK_TIMER;
	ret = datapath_kick(ctx, t, how);

	if (ret && ret != -ENOENT)
		sf_warn("a socket whose segments arrive again cannot be told: %s", strerror(-ret));
	return ret != -ENOENT;
}

static int op_received(void *ctx, const struct sf_tuple *t, uint32_t *seq)
{
	return datapath_received(ctx, t, seq);
}

static bool op_hold(void *ctx, const struct sf_tuple *t, uint32_t received)
{
	return !datapath_hold(ctx, t, received);
}

static const struct mover_ops ops_template = { .now = op_now,
					       .random = op_random,
					       .flow = op_flow,
					       .usable = op_usable,
					       .keep = op_keep,
					       .forget = op_forget,
					       .change = op_change,
					       .send = op_send,
					       .refuse = op_refuse,
					       .redirect = op_redirect,
					       .over = op_over,
					       .moved = op_moved,
					       .kick = op_kick,
					       .received = op_received,
					       .hold = op_hold };

/* ---- flows that leave a place ----------------------------------------------------------- */

static int put(uint64_t **list, size_t *n, size_t *room, uint64_t value)
{
	if (*n == *room) {
		size_t more = *room ? *room * 2 : 256;
		uint64_t *p = reallocarray(*list, more, sizeof(*p));

		if (!p)
			return -ENOMEM;
		*list = p;
		*room = more;
	}
	(*list)[(*n)++] = value;
	return 0;
}

struct choosing {
	const struct host *h;
	struct moves_job *job;
};

static int choose(const void *key, const void *value, void *ctx)
{
	struct choosing *c = ctx;
	struct moves_job *j = c->job;
	struct sf_flow f;
	uint64_t k;

	memcpy(&k, key, sizeof(k));
	memcpy(&f, value, sizeof(f));
	if (sf_locator_same_host(&f.own, &j->to))
		return 0;
	if (sf_addr_is_zero(&j->from) ? moves_usable(c->h, &f.own)
				      : !sf_locator_same_host(&f.own, &j->from))
		return 0;
	if (f.state != SF_FLOW_CONNECTING && !mover_takes(&f))
		return 0;
	if (f.state == SF_FLOW_CONNECTING)
		return put(&j->ids, &j->n_ids, &j->room_ids, sf_locator_sock(&f.own));
	return put(&j->keys, &j->n_keys, &j->room_keys, k);
}

/* Looked for when its turn has come: those before it may have moved flows to where this begins. */
static void job_begin(struct host *h, struct moves_job *j)
{
	struct choosing c = { .h = h, .job = j };
	char to[SF_ADDR_STRLEN];
	struct sf_flow f;
	int ret = sf_bpf_map_walk(datapath_map(h, "flows"), sizeof(uint64_t),
				  sizeof(struct sf_flow), choose, &c);

	j->begun = true;
	if (ret)
		sf_error("flows that are to move to %s: %s", sf_addr_print(&j->to, to),
			 strerror(-ret));
	/* The next SYN finds no entry, and opens the flow from where we are now. */
	for (size_t i = 0; i < j->n_ids; i++)
		flows_take(datapath_map(h, "flows"), j->ids[i], &f);
	if (j->n_keys)
		sf_info("%zu flow%s begin%s to move to %s", j->n_keys, j->n_keys == 1 ? "" : "s",
			j->n_keys == 1 ? "s" : "", sf_addr_print(&j->to, to));
}

static void job_end(struct host *h, struct moves_job *j)
{
	h->moves.jobs = j->next;
	free(j->keys);
	free(j->ids);
	free(j);
}

/* A slice of the first job. */
static void work(struct host *h)
{
	struct moves_job *j = h->moves.jobs;
	uint64_t began = sf_now_ms();

	if (j && !j->begun)
		job_begin(h, j);
	while (j && j->at < j->n_keys && mover_room(&h->moves.mover) &&
	       sf_now_ms() - began < SLICE_MS) {
		int ret = mover_start(&h->moves.mover, j->keys[j->at++], &j->to, j->cause);

		if (ret && ret != -ENOENT && ret != -EAGAIN)
			sf_warn("a flow cannot move: %s", strerror(-ret));
	}
	mover_flush(&h->moves.mover);
	if (j && j->at == j->n_keys)
		job_end(h, j);
	if (h->moves.jobs)
		add_ms(h->moves.work, TURN_MS);
	arm(h);
}

static void on_work(evutil_socket_t fd, short what, void *arg)
{
	work(arg);
}

static struct moves_job *job_new(struct host *h, const struct sf_addr *to)
{
	struct moves_job *j = calloc(1, sizeof(*j)), **at = &h->moves.jobs;

	if (!j)
		return NULL;
	j->to = sf_locator_place(to);
	while (*at)
		at = &(*at)->next;
	*at = j;
	add_ms(h->moves.work, 0);
	return j;
}

void moves_place(struct host *h, const struct sf_addr *from, const struct sf_addr *to)
{
	struct moves_job *j = job_new(h, to);

	if (!j) {
		sf_error("flows cannot move: no memory");
		return;
	}
	j->from = sf_locator_place(from);
	j->cause = why_leave(h, &j->from);
	if (j == h->moves.jobs)
		work(h);
}

int moves_list(struct host *h, uint64_t *keys, size_t n, const struct sf_addr *to)
{
	struct moves_job *j = job_new(h, to);

	if (!j) {
		free(keys);
		return -ENOMEM;
	}
	j->begun = true;
	j->cause = MOVER_ORDERED;
	j->keys = keys;
	j->n_keys = n;
	return 0;
}

int moves_import(struct host *h, const struct sf_flow *f, const struct sf_move *m,
		 const struct sf_addr *exporter)
{
	uint64_t key = sf_socket_key(sf_locator_sock(&f->own));
	struct sf_addr place = sf_locator_place(&f->own);
	int ret = mover_load(&h->moves.mover, key, m);

	if (!ret)
		ret = mover_take_over(&h->moves.mover, key, &place, exporter);
	mover_flush(&h->moves.mover);
	arm(h);
	if (ret)
		moves_forget(h, key);
	return ret;
}

void moves_leave(struct host *h, uint64_t key)
{
	if (mover_leave(&h->moves.mover, key))
		moves_forget(h, key);
	mover_flush(&h->moves.mover);
	arm(h);
}

void moves_stay(struct host *h, uint64_t key)
{
	const struct attachment *primary = attachment_primary(h);
	const struct sf_addr any = { 0 };
	struct sf_flow f;

	mover_stay(&h->moves.mover, key);
	if (primary && !op_flow(h, key, &f) && !moves_usable(h, &f.own))
		moves_place(h, &any, &primary->join.locator);
	arm(h);
}

void moves_tell(struct host *h, uint64_t key, const struct sf_addr *where)
{
	mover_tell(&h->moves.mover, key, where);
	arm(h);
}

const struct sf_move *moves_find(const struct host *h, uint64_t key)
{
	return mover_find(&h->moves.mover, key);
}

size_t moves_pending(const struct host *h)
{
	size_t n = 0;

	for (const struct moves_job *j = h->moves.jobs; j; j = j->next)
		n += j->n_keys - j->at;
	return n;
}

/* ---- events ----------------------------------------------------------------------------- */

static void count_bad(struct mover_counts *c, uint8_t reason)
{
	c->bad++;
	c->ignored[reason < SF_REASON_MAX ? reason : SF_BAD_HEADER]++;
}

static int on_control(void *ctx, void *data, size_t size)
{
	struct host *h = ctx;
	const struct sf_control_event *e = data;
	size_t head = offsetof(struct sf_control_event, packet);
	struct rsyn_in in;
	uint8_t reason;
	int ret;

	if (size < head || e->len > size - head)
		return 0;
	ret = rsyn_decode(e->packet, e->len, &in, &reason);
	if (!ret)
		mover_in(&h->moves.mover, &in);
	else if (ret == -EBADMSG)
		count_bad(&h->moves.mover.counts, reason);
	return 0;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct host *h = arg;

	ring_buffer__consume(h->moves.ring);
	mover_flush(&h->moves.mover);
	handover_look(h);
	if (h->moves.jobs && mover_room(&h->moves.mover))
		add_ms(h->moves.work, 0);
	arm(h);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct host *h = arg;

	/* What has come already need not be asked for again. */
	ring_buffer__consume(h->moves.ring);
	mover_run(&h->moves.mover, SLICE);
	h->moves.next_run = now_ns() + TURN_MS * NS_PER_MS;
	arm(h);
}

void moves_resume(struct host *h)
{
	mover_resume(&h->moves.mover);
	arm(h);
}

void moves_forget(struct host *h, uint64_t key)
{
	mover_forget(&h->moves.mover, key);
}

/* Places that come back, for flows that wait; flows that are gone, for states that are left. */
static void on_look(evutil_socket_t fd, short what, void *arg)
{
	struct host *h = arg;
	struct mover *m = &h->moves.mover;

	mover_resume(m);
	h->moves.swept = mover_sweep(m, h->moves.swept, SWEEP);
	add_ms(h->moves.look, SWEEP_MS);
	arm(h);
}

/* ---- showing ---------------------------------------------------------------------------- */

json_t *moves_json(const struct host *h, uint64_t key)
{
	const struct sf_move *m = mover_find(&h->moves.mover, key);
	uint64_t now = now_ns();

	if (!m)
		return json_null();
	return json_pack(
		"{s:s, s:i, s:i, s:i, s:o, s:I}", "state", sf_move_state_name(m), "own",
		(int)m->moves, "peer", (int)m->peer_moves, "tries", (int)m->tries, "since_ms",
		sf_move_is_settled(m) ? json_null()
				      : json_integer((json_int_t)((now - m->began) / NS_PER_MS)),
		"heard_ms", (json_int_t)((now - m->heard) / NS_PER_MS));
}

/* ---- life ------------------------------------------------------------------------------- */

struct kept {
	uint64_t key;
	struct sf_move move;
};

struct keeping {
	struct kept *list;
	size_t n, room;
};

static int collect(const void *key, const void *value, void *ctx)
{
	struct keeping *k = ctx;

	if (k->n == k->room) {
		size_t room = k->room ? k->room * 2 : 256;
		struct kept *more = reallocarray(k->list, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		k->list = more;
		k->room = room;
	}
	memcpy(&k->list[k->n].key, key, sizeof(k->list[k->n].key));
	memcpy(&k->list[k->n].move, value, sizeof(k->list[k->n].move));
	k->n++;
	return 0;
}

/* First all, then one by one: loading changes the map. */
static int load(struct host *h)
{
	struct keeping k = { .n = 0 };
	size_t loaded = 0;
	int ret = sf_bpf_map_walk(datapath_map(h, "moves"), sizeof(uint64_t),
				  sizeof(struct sf_move), collect, &k);

	for (size_t i = 0; !ret && i < k.n; i++) {
		if (mover_find(&h->moves.mover, k.list[i].key))
			continue; /* seen twice, where the table changed meanwhile */
		transfer_recover(h, k.list[i].key, &k.list[i].move);
		loaded += !mover_load(&h->moves.mover, k.list[i].key, &k.list[i].move);
	}
	free(k.list);
	mover_flush(&h->moves.mover);
	if (loaded)
		sf_info("%zu flows that have moved: taken over", loaded);
	return ret;
}

static int listen_ring(struct host *h)
{
	struct moves *m = &h->moves;
	int fd = datapath_map(h, "control");

	if (fd < 0)
		return fd;
	m->ring = ring_buffer__new(fd, on_control, h, NULL);
	if (!m->ring)
		return -errno;
	m->readable = event_new(h->daemon.base, ring_buffer__epoll_fd(m->ring),
				EV_READ | EV_PERSIST, on_readable, h);
	if (!m->readable || event_add(m->readable, NULL))
		return -ENOMEM;
	event_active(m->readable, EV_READ, 0); /* what came before we looked */
	return 0;
}

int moves_open(struct host *h, char *err, size_t errlen)
{
	struct moves *m = &h->moves;
	int ret;

	m->ops = ops_template;
	m->ops.ctx = h;
	m->timer = evtimer_new(h->daemon.base, on_timer, h);
	m->work = evtimer_new(h->daemon.base, on_work, h);
	m->look = evtimer_new(h->daemon.base, on_look, h);
	ret = m->timer && m->work && m->look ? moved_open(h) : -ENOMEM;
	if (!ret)
		ret = mover_open(&m->mover, &m->ops, &h->datapath.config.key, &h->net,
				 &h->identity);
	if (!ret) {
		m->fd = rsyn_open();
		ret = m->fd < 0 ? m->fd : 0;
	}
	if (!ret)
		ret = load(h);
	if (!ret)
		ret = listen_ring(h);
	if (ret) {
		snprintf(err, errlen, "moves: %s", strerror(-ret));
		return ret;
	}
	add_ms(m->look, SWEEP_MS);
	arm(h);
	return 0;
}

static void event_done(struct event **e)
{
	if (*e)
		event_free(*e);
	*e = NULL;
}

void moves_close(struct host *h)
{
	struct moves *m = &h->moves;

	event_done(&m->readable);
	event_done(&m->timer);
	event_done(&m->work);
	event_done(&m->look);
	moved_close(h);
	ring_buffer__free(m->ring);
	m->ring = NULL;
	while (m->jobs)
		job_end(h, m->jobs);
	if (m->fd > 0)
		close(m->fd);
	m->fd = 0;
	mover_close(&m->mover);
}
