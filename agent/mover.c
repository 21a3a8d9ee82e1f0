// SPDX-License-Identifier: Apache-2.0
/* mover.c - states of all flows that move, and what is done in which order; see mover.h. */
#include "agent/mover.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/sal.h"

/* Repetitions leave time to handle the answers of all others that are under way. */
#define PACE_NS	    50000ull
#define PACE_MAX_NS 500000000ull

/* Where no more flows than these move, their RSYNs are padded. */
#define PADDED_MAX 32

struct mover_entry {
	struct deadline timer; /* first: entry_of() */
	uint64_t key;
	struct sf_move move;
	UT_hash_handle hh;
	bool parked, queued, dead;
	bool behind;		    /* the flow's entry is: apply with the next event */
	bool own_moved, peer_moved; /* not told yet */
	enum mover_cause cause;	    /* of the own move */
	struct sf_addr from, peer_from;
	struct window_seat seat;
	struct kick kick; /* has the flow's tuple */
};

struct mover_item {
	struct mover_entry *e;
	struct sf_flow_change change;
	struct sf_move_out out;
	bool heard; /* @received is what the peer has of us */
	uint32_t received;
};

/* ---- timers ----------------------------------------------------------------------------- */

static struct mover_entry *entry_of(struct deadline *d)
{
	return (struct mover_entry *)d;
}

/* Bring timer and parking in line with the state. */
static void schedule(struct mover *m, struct mover_entry *e)
{
	bool parked = e->move.due && !m->ops->usable(m->ops->ctx, &e->move.at);

	m->parked += parked - e->parked;
	e->parked = parked;
	if (parked)
		window_leave(&m->window,
			     &e->seat); /* that nothing is heard says nothing of the way */
	if (!e->move.due || parked) {
		deadlines_drop(&m->timers, &e->timer);
		return;
	}
	deadlines_set(&m->timers, &e->timer, e->move.due);
}

/* ---- entries ---------------------------------------------------------------------------- */

static struct mover_entry *find(const struct mover *m, uint64_t key)
{
	struct mover_entry *e;

	HASH_FIND(hh, m->table, &key, sizeof(key), e);
	return e;
}

/* @e is the caller's until now. */
static int insert(struct mover *m, struct mover_entry *e)
{
	int ret = deadlines_reserve(&m->timers, HASH_COUNT(m->table) + 1);

	if (!ret)
		HASH_ADD(hh, m->table, key, sizeof(e->key), e);
	return ret;
}

static void drop(struct mover *m, struct mover_entry *e)
{
	deadlines_drop(&m->timers, &e->timer);
	window_leave(&m->window, &e->seat);
	kicks_drop(&m->kicks, &e->kick);
	m->parked -= e->parked;
	e->parked = false;
	HASH_DEL(m->table, e); /* NOLINT(clang-analyzer-core.NullDereference): it is in there */
	m->ops->forget(m->ops->ctx, e->key);
	free(e);
}

bool mover_is_of(const struct sf_move *s, const struct sf_flow *f)
{
	return sf_socket_key(sf_locator_sock(&f->own)) == sf_socket_key(sf_locator_sock(&s->at)) &&
	       (int32_t)(f->created - sf_used_of(s->heard)) <= 0;
}

static bool is_established(const struct sf_flow *f)
{
	return f->state == SF_FLOW_BOUND || f->state == SF_FLOW_CLOSING ||
	       f->state == SF_FLOW_OPENING;
}

bool mover_takes(const struct sf_flow *f)
{
	return is_established(f) && !sf_flow_is_over(f) &&
	       !(f->flags & (SF_FLOW_RST | SF_FLOW_OVER));
}

/*
 * The entry of flow @key as it is now, and its state.
 * @out: NULL inside where there is none, or none that is this flow's
 * Return: 0, -ENOENT (a state that there was is dropped), or -errno.
 */
static int look(struct mover *m, uint64_t key, struct sf_flow *f, struct mover_entry **out)
{
	struct mover_entry *e = find(m, key);
	int ret;

	*out = NULL;
	/* What waits for this flow has not changed its entry yet; and queue() needs room. */
	if ((e && e->queued) || m->n_batch == MOVER_BATCH)
		mover_flush(m);
	e = find(m, key);
	ret = m->ops->flow(m->ops->ctx, key, f);
	if (e && (ret == -ENOENT || (!ret && !mover_is_of(&e->move, f)))) {
		drop(m, e);
		e = NULL;
	}
	if (!ret)
		*out = e;
	return ret;
}

static struct mover_entry *fresh(uint64_t key, const struct sf_flow *f, uint64_t now)
{
	struct mover_entry *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->key = key;
	e->kick.tuple = f->tuple;
	sf_move_init(&e->move, f, now);
	return e;
}

static int env_of(const struct mover *m, struct sf_move_env *env)
{
	uint64_t random[2];
	int ret;

	memset(env, 0, sizeof(*env));
	env->now = m->ops->now(m->ops->ctx);
	env->key = m->key;
	env->net = m->net;
	env->self = m->self;
	env->padded = m->timers.n < PADDED_MAX;
	ret = m->ops->random(m->ops->ctx, random);
	env->random[0] = random[0];
	env->random[1] = random[1];
	return ret;
}

/* ---- batch ------------------------------------------------------------------------------ */

/* Where many move, answers take their time. */
static bool is_crowded(const struct mover *m)
{
	return m->timers.n > PADDED_MAX;
}

static uint64_t pace(const struct mover *m)
{
	uint64_t ns = m->timers.n * PACE_NS;

	if (is_crowded(m) && ns < 2 * m->window.rtt)
		ns = 2 * m->window.rtt;
	return ns < PACE_MAX_NS ? ns : PACE_MAX_NS;
}

/* @e is in the table, not in the batch. @id: the own socketID that the flow's entry has. */
static void queue(struct mover *m, struct mover_entry *e, uint64_t id,
		  const struct sf_move_out *out)
{
	struct mover_item *item = &m->batch[m->n_batch++];

	*item = (struct mover_item){ .e = e, .out = *out };
	if (e->behind)
		item->out.acts |= SF_MOVE_APPLY;
	if (item->out.acts & SF_MOVE_APPLY)
		sf_move_apply(&e->move, id, out->credit, &item->change);
	e->queued = true;
	if (e->move.due && (out->acts & SF_MOVE_SEND)) {
		e->move.due += pace(m);
		window_asked(&e->seat, m->ops->now(m->ops->ctx));
	}
	schedule(m, e);
}

static int keep_batch(struct mover *m)
{
	static uint64_t keys[MOVER_BATCH];
	static struct sf_move moves[MOVER_BATCH];

	for (size_t i = 0; i < m->n_batch; i++) {
		keys[i] = m->batch[i].e->key;
		moves[i] = m->batch[i].e->move;
	}
	return m->ops->keep(m->ops->ctx, keys, moves, m->n_batch);
}

/* The peer's new place may be sent little before it is validated: of what the peer misses, not of
 * what a program writes next. */
static void hold(struct mover *m, struct mover_item *item)
{
	uint32_t lost = SF_MOVE_PEER | SF_MOVE_RESEND;
	bool holds = item->heard && (item->out.acts & lost) == lost &&
		     (item->change.flags & SF_FLOW_BUDGET);

	item->heard = holds && m->ops->hold &&
		      m->ops->hold(m->ops->ctx, &item->e->kick.tuple, item->received);
}

static void change_batch(struct mover *m, bool kept)
{
	for (size_t i = 0; i < m->n_batch; i++) {
		struct mover_item *item = &m->batch[i];
		int ret = -EAGAIN;

		if (!(item->out.acts & SF_MOVE_APPLY))
			continue;
		hold(m, item);
		if (kept)
			ret = m->ops->change(m->ops->ctx, &item->change);
		item->e->dead = ret == -ENOENT;
		item->e->behind = ret && ret != -ENOENT;
	}
}

/* Acknowledgements may have been lost with the place. What is not padded allows for no segment. */
static void say_received(struct mover *m, struct mover_item *item)
{
	struct sf_move_msg *msg = &item->out.msg;
	const struct sf_tuple *t = &item->e->kick.tuple;

	if (msg->kind == SF_KIND_RSYN && msg->len == SF_MOVE_PADDED &&
	    (msg->flags & SF_MOVE_LOST) && t->proto == SF_NEXTHDR_TCP && m->ops->received &&
	    !m->ops->received(m->ops->ctx, t, &msg->received))
		msg->flags |= SF_MOVE_HEARD;
}

static void send_batch(struct mover *m, bool kept)
{
	static struct sf_move_msg messages[MOVER_BATCH];
	size_t n = 0, left;

	for (size_t i = 0; kept && i < m->n_batch; i++) {
		struct mover_item *item = &m->batch[i];

		if (!(item->out.acts & SF_MOVE_SEND) || item->e->dead)
			continue;
		say_received(m, item);
		messages[n++] = item->out.msg;
	}
	left = n ? m->ops->send(m->ops->ctx, messages, n) : 0;
	m->counts.sent += left;
	m->counts.unsent += n - left;
}

static void tell(struct mover *m, struct mover_entry *e, uint64_t now)
{
	struct mover_report r = { .began = e->move.began, .ended = now, .tuple = e->kick.tuple };

	if (e->own_moved) {
		r.own = true;
		r.cause = e->cause;
		r.from = e->from;
		r.to = sf_locator_place(&e->move.at);
		m->ops->moved(m->ops->ctx, &r);
	}
	if (e->peer_moved) {
		r.own = false;
		r.cause = MOVER_UNSAID;
		r.from = e->peer_from;
		r.to = sf_locator_place(&e->move.valid);
		m->ops->moved(m->ops->ctx, &r);
	}
	e->own_moved = e->peer_moved = false;
}

static void finish(struct mover *m, struct mover_item *item, uint64_t now)
{
	struct mover_entry *e = item->e;

	if (e->dead)
		return;
	kicks_begin(&m->kicks, &e->kick, item->out.acts, item->heard, now);
	if (item->out.acts & SF_MOVE_SETTLED) {
		m->counts.settled++;
		tell(m, e, now);
	}
}

void mover_flush(struct mover *m)
{
	uint64_t now;
	bool kept;

	if (!m->n_batch)
		return;
	kept = !keep_batch(m);
	change_batch(m, kept);
	send_batch(m, kept);
	now = m->ops->now(m->ops->ctx);
	m->kicks.least = is_crowded(m) ? 2 * m->window.rtt : 0;
	for (size_t i = 0; i < m->n_batch; i++) {
		finish(m, &m->batch[i], now);
		m->batch[i].e->queued = false;
	}
	/* One is in the batch once: look() flushes before it takes another event. */
	for (size_t i = 0; i < m->n_batch; i++)
		if (m->batch[i].e->dead)
			drop(m, m->batch[i].e);
	m->n_batch = 0;
}

/* ---- events ----------------------------------------------------------------------------- */

/* What was under way begins anew: we, or our place, were away. */
static void again(struct mover *m, struct mover_entry *e, uint64_t now)
{
	if (sf_move_is_settled(&e->move)) {
		e->move.due = 0;
		return;
	}
	e->move.tries = 0;
	e->move.wait = SF_MOVE_FIRST_NS;
	e->move.due = now;
}

int mover_load(struct mover *m, uint64_t key, const struct sf_move *state)
{
	struct sf_move_out out = { 0 };
	struct mover_entry *e;
	struct sf_flow f;
	int ret;

	if (m->n_batch == MOVER_BATCH)
		mover_flush(m);
	ret = m->ops->flow(m->ops->ctx, key, &f);
	if (ret == -ENOENT || (!ret && !mover_is_of(state, &f))) {
		m->ops->forget(m->ops->ctx, key);
		return -ENOENT;
	}
	if (ret)
		return ret;
	e = fresh(key, &f, 0);
	if (!e)
		return -ENOMEM;
	e->move = *state;
	ret = insert(m, e);
	if (ret) {
		free(e);
		return ret;
	}
	again(m, e, m->ops->now(m->ops->ctx));
	/* Killed between the two, its agent left the entry behind the state. Of a flow that was
	 * handed over it stays as it was then: the peer's place is elsewhere in the state. */
	if (f.state != SF_FLOW_EXPORTED)
		out.acts = SF_MOVE_APPLY;
	queue(m, e, sf_locator_sock(&f.own), &out);
	return 0;
}

/* @exporter: NULL: the flow is ours all along. */
static int begin(struct mover *m, uint64_t key, const struct sf_addr *to, enum mover_cause cause,
		 const struct sf_addr *exporter)
{
	struct sf_move_out out;
	struct sf_move_env env;
	struct mover_entry *e;
	struct sf_flow f;
	bool added;
	int ret = look(m, key, &f, &e);

	if (ret)
		return ret;
	if (!mover_takes(&f))
		return -EAGAIN;
	ret = env_of(m, &env);
	if (ret)
		return ret;
	added = !e;
	if (added)
		e = fresh(key, &f, env.now);
	if (!e)
		return -ENOMEM;
	if (added && (ret = insert(m, e))) {
		free(e);
		return ret;
	}
	/* A move before the last one is over is told with it: from where that began. One that was
	 * handed over was not ours until it is over. */
	if (!e->own_moved || e->cause != MOVER_HANDOVER) {
		if (!e->own_moved || exporter)
			e->from = sf_locator_place(exporter ? exporter : &e->move.at);
		e->cause = cause;
	}
	e->own_moved = true;
	sf_move_start(&e->move, to, !m->ops->usable(m->ops->ctx, &e->move.at), &env, &out);
	m->counts.begun++;
	window_enter(&m->window, &e->seat, env.now);
	queue(m, e, sf_locator_sock(&f.own), &out);
	return 0;
}

int mover_start(struct mover *m, uint64_t key, const struct sf_addr *to, enum mover_cause cause)
{
	return begin(m, key, to, cause, NULL);
}

int mover_take_over(struct mover *m, uint64_t key, const struct sf_addr *to,
		    const struct sf_addr *exporter)
{
	return begin(m, key, to, MOVER_HANDOVER, exporter);
}

int mover_leave(struct mover *m, uint64_t key)
{
	struct sf_move_out out = { 0 };
	struct mover_entry *e;
	struct sf_flow f;
	bool added;
	int ret = look(m, key, &f, &e);

	if (ret)
		return ret;
	if (f.state != SF_FLOW_EXPORTED)
		return -EINVAL;
	added = !e;
	if (added)
		e = fresh(key, &f, m->ops->now(m->ops->ctx));
	if (!e)
		return -ENOMEM;
	if (added && (ret = insert(m, e))) {
		free(e);
		return ret;
	}
	sf_move_leave(&e->move);
	window_leave(&m->window, &e->seat);
	e->behind = e->own_moved = e->peer_moved = false;
	kicks_drop(&m->kicks, &e->kick);
	queue(m, e, sf_locator_sock(&f.own), &out);
	return 0;
}

void mover_stay(struct mover *m, uint64_t key)
{
	struct mover_entry *e = find(m, key);

	if (e && e->queued)
		mover_flush(m);
	e = find(m, key);
	if (!e)
		return;
	again(m, e, m->ops->now(m->ops->ctx));
	schedule(m, e);
}

void mover_tell(struct mover *m, uint64_t key, const struct sf_addr *where)
{
	const struct mover_entry *e = find(m, key);
	struct sf_move_out out;
	struct sf_move_env env;

	if (!e || env_of(m, &env) || !m->ops->usable(m->ops->ctx, &e->move.at))
		return;
	/* What it says was kept. */
	if (e->queued)
		mover_flush(m);
	e = find(m, key);
	if (!e)
		return;
	sf_move_tell(&e->move, where, &env, &out);
	m->counts.sent += m->ops->send(m->ops->ctx, &out.msg, 1);
}

/* What comes for a flow that was handed over: from who has it now, or from the peer. */
static void take_late(struct mover *m, const struct rsyn_in *in, struct mover_entry *e,
		      const struct sf_flow *f)
{
	struct sf_move_out out = { 0 };

	if (in->kind == SF_KIND_RSYN && e && sf_move_follow(&e->move, &in->msg)) {
		m->counts.taken++;
		queue(m, e, sf_locator_sock(&f->own), &out);
	} else if (in->kind == SF_KIND_RSYN && e && sf_move_is_asked(&e->move, &in->msg)) {
		m->counts.sent_on++;
		m->ops->redirect(m->ops->ctx, in, &e->move.valid);
	} else {
		m->counts.unknown++;
		m->counts.ignored[SF_HANDED_OVER]++;
	}
}

static void take_message(struct mover *m, const struct rsyn_in *in, struct mover_entry *e,
			 const struct sf_flow *f)
{
	struct mover_entry *made = NULL;
	struct sf_addr was;
	struct sf_move_env env;
	struct sf_move_out out;

	if (env_of(m, &env))
		return;
	if (!e)
		e = made = fresh(sf_socket_key(rsyn_id(&in->msg)), f, env.now);
	if (!e)
		return;
	was = sf_move_peer(&e->move);
	sf_move_in(&e->move, &in->msg, &env, &out);
	if (out.fail) {
		m->counts.refused++;
		m->ops->refuse(m->ops->ctx, in, out.fail);
	}
	m->counts.stale += !!(out.acts & SF_MOVE_STALE);
	m->counts.taken += !(out.acts & SF_MOVE_STALE);
	if (out.acts & SF_MOVE_STALE)
		m->counts.ignored[out.fail ? out.fail : SF_DUPLICATE]++;
	/* Strangers must not make us keep anything. */
	if (made && ((out.acts & SF_MOVE_STALE) || insert(m, made))) {
		free(made);
		return;
	}
	if (out.acts & SF_MOVE_STALE)
		return;
	if ((out.acts & SF_MOVE_PEER) && !e->peer_moved) {
		m->counts.peer++;
		e->peer_moved = true;
		e->peer_from = sf_locator_place(&was);
	}
	if (out.acts & (SF_MOVE_ARRIVED | SF_MOVE_SETTLED))
		window_answered(&m->window, &e->seat, env.now);
	queue(m, e, sf_locator_sock(&f->own), &out);
	m->batch[m->n_batch - 1].heard = in->msg.flags & SF_MOVE_HEARD;
	m->batch[m->n_batch - 1].received = in->msg.received;
}

static void take_refusal(struct mover *m, const struct rsyn_in *in, struct mover_entry *e,
			 const struct sf_flow *f)
{
	struct sf_move_out out;

	sf_move_failed(&e->move, in->reason, &in->msg, &in->src, &in->host, &out);
	if (!(out.acts & SF_MOVE_OVER)) {
		/* A soft one says what may be so, and ends nothing. */
		m->counts.ignored[SF_WRONG_STATE] += sf_reason_is_hard(in->reason);
		return;
	}
	m->counts.over++;
	m->ops->over(m->ops->ctx, f, out.fail);
	drop(m, e);
}

static void take_redirect(struct mover *m, const struct rsyn_in *in, struct mover_entry *e,
			  const struct sf_flow *f)
{
	struct sf_move_out out;
	struct sf_move_env env;

	if (env_of(m, &env))
		return;
	sf_move_redirected(&e->move, &in->msg, &in->place, &env, &out);
	if (!out.acts) {
		m->counts.ignored[SF_WRONG_STATE]++;
		return;
	}
	m->counts.redirected++;
	queue(m, e, sf_locator_sock(&f->own), &out);
}

void mover_in(struct mover *m, const struct rsyn_in *in)
{
	bool about_ours = in->kind == SF_KIND_FAIL || in->kind == SF_KIND_REDIRECT;
	uint64_t id = about_ours ? sf_locator_sock(&in->msg.src) : rsyn_id(&in->msg);
	struct mover_entry *e;
	struct sf_flow f;
	int ret = look(m, sf_socket_key(id), &f, &e);

	if (!ret && f.state == SF_FLOW_EXPORTED) {
		take_late(m, in, e, &f);
		return;
	}
	if (ret || (about_ours ? !e : !e && !is_established(&f))) {
		m->counts.unknown++;
		m->counts.ignored[ret == -ENOENT ? SF_UNKNOWN_SOCKET : SF_WRONG_STATE]++;
		if (ret == -ENOENT && in->kind == SF_KIND_RSYN) {
			m->counts.refused++;
			m->ops->refuse(m->ops->ctx, in, SF_NO_SUCH_SOCKET);
		}
		return;
	}
	if (in->kind == SF_KIND_FAIL)
		take_refusal(m, in, e, &f);
	else if (in->kind == SF_KIND_REDIRECT)
		take_redirect(m, in, e, &f);
	else
		take_message(m, in, e, &f);
}

static void fire(struct mover *m, uint64_t key)
{
	struct sf_move_out out;
	struct sf_move_env env;
	struct mover_entry *e;
	struct sf_flow f;
	int ret = look(m, key, &f, &e);

	if (!ret)
		ret = env_of(m, &env);
	e = find(m, key);
	if (!e)
		return;
	/* Nothing can be concluded, or it is being handed over: later. */
	if (ret || f.state == SF_FLOW_EXPORTED) {
		e->move.due = m->ops->now(m->ops->ctx) + SF_MOVE_LONGEST_NS;
		schedule(m, e);
		return;
	}
	if (!m->ops->usable(m->ops->ctx, &e->move.at)) {
		schedule(m, e);
		return;
	}
	window_late(&m->window, &e->seat, env.now);
	sf_move_timer(&e->move, &env, &out);
	m->counts.repeated += !!(out.acts & SF_MOVE_SEND);
	queue(m, e, sf_locator_sock(&f.own), &out);
}

uint64_t mover_due(const struct mover *m)
{
	const struct deadline *first = deadlines_first(&m->timers);
	uint64_t due = first ? first->due : 0, kick = kicks_due(&m->kicks);

	return kick && (!due || kick < due) ? kick : due;
}

uint64_t mover_run(struct mover *m, size_t max)
{
	uint64_t now = m->ops->now(m->ops->ctx);
	struct deadline *first;

	kicks_run(&m->kicks, now, max);
	for (size_t n = 0; n < max && (first = deadlines_first(&m->timers)) && first->due <= now;
	     n++)
		fire(m, entry_of(first)->key);
	mover_flush(m);
	return mover_due(m);
}

void mover_resume(struct mover *m)
{
	uint64_t now = m->ops->now(m->ops->ctx);
	struct mover_entry *e, *next;

	if (!m->parked)
		return;
	HASH_ITER (hh, m->table, e, next) {
		if (!e->parked || !m->ops->usable(m->ops->ctx, &e->move.at))
			continue;
		again(m, e, now);
		schedule(m, e);
	}
}

size_t mover_room(struct mover *m)
{
	return window_room(&m->window, m->ops->now(m->ops->ctx));
}

/* ---- the rest --------------------------------------------------------------------------- */

const struct sf_move *mover_find(const struct mover *m, uint64_t key)
{
	const struct mover_entry *e = find(m, key);

	return e ? &e->move : NULL;
}

void mover_forget(struct mover *m, uint64_t key)
{
	struct mover_entry *e = find(m, key);

	if (!e)
		return;
	if (e->queued)
		mover_flush(m);
	e = find(m, key);
	if (e)
		drop(m, e);
}

uint64_t mover_sweep(struct mover *m, uint64_t after, size_t max)
{
	struct mover_entry *e, *next;
	uint64_t last = 0;
	struct sf_flow f;

	/* It may drop some. */
	mover_flush(m);
	e = after ? find(m, after) : m->table;
	for (size_t n = 0; e && n < max; n++, e = next) {
		struct mover_entry *same;

		next = e->hh.next;
		look(m, e->key, &f, &same);
		last = next ? next->key : 0;
	}
	return last;
}

size_t mover_size(const struct mover *m, size_t *open)
{
	const struct mover_entry *e;

	if (open) {
		*open = 0;
		for (e = m->table; e; e = e->hh.next)
			*open += !sf_move_is_settled(&e->move);
	}
	return HASH_COUNT(m->table);
}

int mover_open(struct mover *m, const struct mover_ops *ops, const struct sf_hashkey *key,
	       const struct sf_net *net, const struct sf_sid *self)
{
	memset(m, 0, sizeof(*m));
	m->batch = calloc(MOVER_BATCH, sizeof(*m->batch));
	if (!m->batch)
		return -ENOMEM;
	m->ops = ops;
	window_init(&m->window);
	m->kicks.tell = ops->kick;
	m->kicks.ctx = ops->ctx;
	m->key = key;
	m->net = net;
	m->self = *self;
	return 0;
}

void mover_close(struct mover *m)
{
	struct mover_entry *e, *next;

	HASH_ITER (hh, m->table, e, next) {
		HASH_DEL(m->table, e);
		free(e);
	}
	deadlines_free(&m->timers);
	free(m->batch);
	memset(m, 0, sizeof(*m));
}
