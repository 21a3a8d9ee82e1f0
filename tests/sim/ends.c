// SPDX-License-Identifier: Apache-2.0
/*
 * ends.c - agent and datapath of an end, as the host has them: the agent asks the core, stores,
 * applies, sends; the datapath goes by the flow's entry alone.
 */
#include "tests/sim/sim.h"

#define DATA_LEN 400

uint64_t sim_time(const struct sim *s, const struct sim_end *e)
{
	return s->now + s->hosts[e->host].ahead;
}

static struct sf_move_env env_of(struct sim *s, const struct sim_end *e)
{
	struct sf_move_env env = { .now = sim_time(s, e) };

	env.random[0] = sim_random(&s->rnd);
	env.random[1] = sim_random(&s->rnd);
	env.key = &s->hosts[e->host].key;
	env.net = &s->net;
	env.self = sim_sid(s->hosts[e->host].identity);
	return env;
}

/* ---- the datapath ----------------------------------------------------------------------- */

bool sim_end_takes(const struct sim *s, const struct sim_end *e, const struct sf_addr *src,
		   const struct sf_addr *dst)
{
	uint64_t id = sf_locator_sock(dst);

	if (sf_socket_key(id) != sf_socket_key(sf_locator_sock(&e->f.own)))
		return false;
	if (!sf_flow_is_named(&e->f, id, sim_time(s, e)))
		return false;
	return SIM_BREAK(s, PEER) || sf_flow_is_peer(&e->f, src, sim_time(s, e));
}

/* What the datapath does with a bound segment that finds the flow by its key. */
static struct sf_verdict judge_data(const struct sim *s, const struct sim_end *e,
				    const struct sim_packet *p)
{
	struct sf_segment seg = { .sport = e->f.tuple.pport,
				  .dport = e->f.tuple.lport,
				  .flags = SF_TCP_ACK };
	uint64_t id = sf_locator_sock(&p->dst);

	if (sim_end_takes(s, e, &p->src, &p->dst) && SIM_BREAK(s, PEER))
		return sf_verdict(SF_ACT_DELIVER);
	if (sf_flow_is_named(&e->f, id, sim_time(s, e)))
		return sf_sal_in(&e->f, SF_KIND_NONE, &p->src, &seg, sim_time(s, e));
	if (sf_flow_has_keys(&e->f, id, &p->src))
		return sf_verdict_drop(SF_WRONG_PEER);
	return sf_verdict_fail(SF_UNKNOWN_SOCKET, SF_NO_SUCH_SOCKET);
}

void sim_end_data(struct sim *s, struct sim_end *e)
{
	struct sim_packet p = { .kind = SIM_DATA, .len = DATA_LEN };

	p.src = e->f.own;
	p.dst = e->f.peer;
	p.flow = e->flow;
	p.side = e->side;
	p.end = (uint16_t)(e - s->ends);
	p.view = e->view;
	p.seq = e->seq++;
	if (e->f.flags & SF_FLOW_BUDGET && !SIM_BREAK(s, BUDGET)) {
		if (e->f.budget < DATA_LEN)
			return;
		e->f.budget -= DATA_LEN;
	}
	s->totals->data++;
	sim_check_sent(s, e, &p.dst, p.len);
	sim_send(s, &p);
}

static void entry_change(struct sim *s, struct sim_end *e, uint32_t credit)
{
	struct sf_flow_change c;

	if (SIM_BREAK(s, APPLY) && sim_chance(&s->rnd, 100))
		return;
	sf_move_apply(&e->m, sf_locator_sock(&e->f.own), credit, &c);
	sf_flow_change(&e->f, &c, sim_time(s, e));
	e->applied = e->settled;
}

/* ---- the agent -------------------------------------------------------------------------- */

/* Timers rest while our place is away. */
static bool is_parked(const struct sim *s, const struct sim_end *e)
{
	return !sim_is_at(s, e->host, sim_place_of(s, &e->m.at));
}

void sim_end_arm(struct sim *s, struct sim_end *e)
{
	uint64_t now = sim_time(s, e), due = e->m.due;

	if (!e->has_move || !due || due == e->armed || is_parked(s, e))
		return;
	e->armed = due;
	sim_at(s, s->now + (due > now ? due - now : 0), SIM_EV_TIMER, (uint16_t)(e - s->ends));
}

void sim_agent_kill(struct sim *s, uint16_t host)
{
	if (!s->hosts[host].agent)
		return;
	s->hosts[host].agent = false;
	s->totals->kills++;
	sim_trace(s, "h%u: agent killed", host);
	sim_at(s, s->now + sim_between(&s->rnd, SIM_MS, 2 * SIM_S), SIM_EV_AGENT, host);
}

/* Whether the agent is killed just here. */
static bool dies_here(struct sim *s, const struct sim_end *e, uint32_t permille)
{
	if (s->calm || !permille || !sim_chance(&s->rnd, permille))
		return false;
	sim_agent_kill(s, e->host);
	return true;
}

static void transmit(struct sim *s, struct sim_end *e, const struct sf_move_msg *msg, bool asked)
{
	struct sim_packet p = { .kind = SIM_MOVE };
	int len = sf_move_encode(p.bytes, sizeof(p.bytes), msg);

	if (len != SF_MOVE_LEN) {
		sim_fail(s, "a message was not encoded: %d", len);
		return;
	}
	p.len = (uint16_t)len;
	p.src = msg->src;
	p.dst = msg->dst;
	p.flow = e->flow;
	p.side = e->side;
	p.end = (uint16_t)(e - s->ends);
	p.view = e->view;
	/* What a REDIRECT suggests is asked once for each, whoever suggested it. */
	if (!asked)
		sim_check_sent(s, e, &p.dst, p.len);
	sim_send(s, &p);
}

/* @by: who says so */
static void end_over(struct sim *s, struct sim_end *e, uint8_t reason, const struct sf_addr *by)
{
	sim_check_over(s, e, reason, by);
	e->fate = reason == SF_SUPERSEDED ? SIM_SUPERSEDED : SIM_REFUSED;
	e->has_move = false;
	s->totals->superseded += reason == SF_SUPERSEDED;
}

static void store(struct sim *s, struct sim_end *e, const struct sf_move *m, uint16_t taken)
{
	struct sf_move was = e->m;

	if (m->own.name != was.own.name)
		e->view = sim_view_new(s, (uint16_t)(e - s->ends), m->own.name, e->view);
	e->m = *m;
	e->has_move = true;
	sim_check_views(s, e, &was, taken);
}

/* Store, apply, send; killed between any two. @taken: ghost, the view that came. @by: who sent it
 */
static void commit(struct sim *s, struct sim_end *e, const struct sf_move *m,
		   struct sf_move_out *out, uint16_t taken, bool asked, const struct sf_addr *by)
{
	if (SIM_BREAK(s, STORE) && (out->acts & SF_MOVE_SEND)) {
		uint16_t view = e->view;

		if (m->own.name != e->m.own.name)
			e->view = sim_view_new(s, (uint16_t)(e - s->ends), m->own.name, e->view);
		transmit(s, e, &out->msg, asked);
		e->view = view;
		if (dies_here(s, e, 200))
			return;
		out->acts &= ~(uint32_t)SF_MOVE_SEND;
	}
	if (dies_here(s, e, s->kill))
		return;
	store(s, e, m, taken);
	if (out->acts & SF_MOVE_OVER) {
		end_over(s, e, out->fail, by);
		return;
	}
	if (dies_here(s, e, s->kill))
		return;
	if (out->acts & SF_MOVE_APPLY)
		entry_change(s, e, out->credit);
	if (dies_here(s, e, s->kill))
		return;
	if (out->acts & SF_MOVE_SEND)
		transmit(s, e, &out->msg, asked);
	sim_end_arm(s, e);
}

static void first_use(struct sim *s, struct sim_end *e)
{
	if (!e->has_move)
		sf_move_init(&e->m, &e->f, sim_time(s, e));
}

void sim_end_move(struct sim *s, struct sim_end *e, uint16_t place)
{
	struct sf_addr at = sim_locator(s, place);
	struct sf_move_env env = env_of(s, e);
	struct sf_move_out out;
	struct sf_move m;

	if (s->n_views > SIM_VIEWS - 64)
		return;
	first_use(s, e);
	m = e->m;
	s->totals->moves++;
	sim_trace(s, "%s moves to p%u", sim_trace_end(s, e), place);
	sf_move_start(&m, &at, false, &env, &out);
	s->flows[e->flow].was_at[e->side][place] = true;
	sim_break_out(s, &m, &e->m, &out, false);
	commit(s, e, &m, &out, SIM_NONE, false, &e->m.at);
	sim_trace_move(s, e, "moved");
}

void sim_end_timer(struct sim *s, struct sim_end *e)
{
	struct sf_move m = e->m;
	struct sf_move_out out;
	struct sf_move_env env;

	if (sim_time(s, e) >= e->armed)
		e->armed = 0;
	if (e->fate != SIM_LIVES || !e->has_move || !s->hosts[e->host].agent || is_parked(s, e))
		return;
	env = env_of(s, e);
	sf_move_timer(&m, &env, &out);
	sim_break_out(s, &m, &e->m, &out, false);
	commit(s, e, &m, &out, SIM_NONE, false, &e->m.at);
}

/* What was under way begins anew: the agent, or our place, was away. */
void sim_end_again(struct sim *s, struct sim_end *e)
{
	if (!e->has_move || e->fate != SIM_LIVES || sf_move_is_settled(&e->m))
		return;
	e->m.tries = 0;
	e->m.wait = SF_MOVE_FIRST_NS;
	e->m.due = sim_time(s, e);
	sim_end_arm(s, e);
}

void sim_agent_start(struct sim *s, uint16_t host)
{
	struct sim_host *h = &s->hosts[host];

	if (!h->alive || h->agent)
		return;
	h->agent = true;
	sim_trace(s, "h%u: agent starts", host);
	for (uint32_t i = 0; i < s->n_ends && h->agent; i++) {
		struct sim_end *e = &s->ends[i];
		uint16_t at;

		if (e->host != host || e->fate != SIM_LIVES)
			continue;
		if (SIM_BREAK(s, FORGET))
			e->has_move = false;
		if (e->has_move) {
			entry_change(s, e, 0);
			sim_end_again(s, e);
		}
		at = sim_place_of(s, e->has_move ? &e->m.at : &e->f.own);
		if (!sim_is_at(s, host, at) && h->primary != SIM_NONE)
			sim_end_move(s, e, h->primary);
	}
}

/* ---- what comes ------------------------------------------------------------------------- */

/* The end of the flow that socketID @id names, or the one that it was handed over to. */
static struct sim_end *find(struct sim *s, uint16_t host, uint64_t id)
{
	struct sim_end *heir = NULL;
	uint64_t mask = SIM_BREAK(s, NAMED) ? 3 : ~0ull;

	for (uint32_t i = 0; i < s->n_ends; i++) {
		struct sim_end *e = &s->ends[i];
		uint64_t own = sf_locator_sock(&e->f.own);

		if (e->host != host || ((sf_socket_key(own) ^ sf_socket_key(id)) & mask))
			continue;
		if (e->fate == SIM_LIVES)
			return e;
		if (e->fate == SIM_EXPORTED)
			heir = e;
	}
	return heir;
}

static void not_here(struct sim *s, uint16_t host, const struct sim_end *e,
		     const struct sim_packet *p, bool rsyn)
{
	if (!rsyn && p->kind != SIM_DATA)
		return;
	/* The importer tells it where it is. */
	if (e && rsyn && e->heir != SIM_NONE)
		sim_redirect(s, p, &p->dst, &s->ends[e->heir].f.own);
	else if (!e)
		sim_refuse(s, p, SF_NO_SUCH_SOCKET, &p->dst, s->hosts[host].identity);
}

static void in_message(struct sim *s, struct sim_end *e, const struct sim_packet *p,
		       const struct sf_move_msg *msg)
{
	struct sf_move_msg in = *msg;
	struct sf_move_env env = env_of(s, e);
	struct sf_move_out out;
	struct sf_move m;

	first_use(s, e);
	m = e->m;
	if (sim_break_in(s, e, &m, &in, &env))
		return;
	sf_move_in(&m, &in, &env, &out);
	if (!(out.acts & SF_MOVE_STALE))
		sim_check_twice(s, e, &m, &in, &env, &out);
	sim_break_out(s, &m, &e->m, &out, true);
	if (out.fail) {
		sim_check_sent(s, e, &p->src, 256);
		sim_refuse(s, p, out.fail, &p->dst, s->hosts[e->host].identity);
	}
	if (out.acts & SF_MOVE_STALE) {
		sim_trace(s, "  %s: stale", sim_trace_end(s, e));
		return;
	}
	commit(s, e, &m, &out, p->view, false, &p->src);
	sim_trace_move(s, e, "heard");
}

static void receive_message(struct sim *s, uint16_t host, struct sim_packet *p)
{
	struct sf_move_msg msg;
	struct sim_end *e;
	uint8_t reason;
	uint64_t id;

	if (sf_move_decode(p->bytes, p->len, &msg, &reason))
		return;
	if (p->corrupt && (!sf_addr_eq(&msg.src, &p->src) || !sf_addr_eq(&msg.dst, &p->dst))) {
		sim_fail(s, "a corrupted message was taken for sound");
		return;
	}
	id = sf_locator_sock(&msg.dst);
	e = find(s, host, sf_sock_is_unset(id) ? msg.you_sock : id);
	if (!e || e->fate != SIM_LIVES) {
		not_here(s, host, e, p, msg.kind == SF_KIND_RSYN);
		return;
	}
	if (sim_place_of(s, &p->src) != SIM_NONE)
		e->rx[sim_place_of(s, &p->src)] += p->len;
	if (s->hosts[host].agent)
		in_message(s, e, p, &msg);
}

static void receive_data(struct sim *s, uint16_t host, const struct sim_packet *p)
{
	struct sim_end *e = find(s, host, sf_locator_sock(&p->dst));
	struct sf_verdict v;

	if (!e || e->fate != SIM_LIVES) {
		not_here(s, host, e, p, false);
		return;
	}
	if (sim_place_of(s, &p->src) != SIM_NONE)
		e->rx[sim_place_of(s, &p->src)] += p->len;
	v = judge_data(s, e, p);
	if (v.act == SF_ACT_FAIL) {
		sim_check_sent(s, e, &p->src, 128);
		sim_refuse(s, p, v.fail, &p->dst, s->hosts[host].identity);
	}
	if (v.act == SF_ACT_CONFIRM) {
		e->f.state = SF_FLOW_BOUND;
		v.act = SF_ACT_DELIVER;
	}
	if (v.act != SF_ACT_DELIVER) {
		sim_trace(s, "  %s: %s", sim_trace_end(s, e), sf_reason_name(v.reason));
		return;
	}
	s->totals->delivered++;
	if ((e->f.flags & SF_FLOW_BUDGET) && sf_locator_same_host(&e->f.peer, &p->src))
		e->f.budget += p->len * SF_MOVE_AMPLIFY;
	sim_check_data(s, e, p);
}

static void receive_fail(struct sim *s, uint16_t host, const struct sim_packet *p)
{
	struct sim_end *e = find(s, host, sf_locator_sock(&p->quoted_src));
	struct sf_move_msg quoted;
	struct sf_move_out out;
	struct sf_move m;
	uint8_t reason = p->reason, why;

	if (!e || e->fate != SIM_LIVES)
		return;
	if (SIM_BREAK(s, SOFT) && reason == SF_HOST_UNREACHABLE) {
		end_over(s, e, reason, &p->src);
		return;
	}
	if (p->of_data) {
		if (sf_reason_is_hard(reason) &&
		    sim_end_takes(s, e, &p->quoted_dst, &p->quoted_src) &&
		    sf_flow_may_refuse(&e->f, &p->src, &p->host, &p->quoted_src, &p->quoted_dst,
				       reason == SF_NO_SUCH_SOCKET))
			end_over(s, e, reason, &p->src);
		return;
	}
	if (!e->has_move || !s->hosts[host].agent ||
	    sf_move_decode(p->bytes, sizeof(p->bytes), &quoted, &why))
		return;
	m = e->m;
	sf_move_failed(&m, reason, &quoted, &p->src, &p->host, &out);
	if (out.acts)
		commit(s, e, &m, &out, SIM_NONE, false, &p->src);
}

static void receive_redirect(struct sim *s, uint16_t host, const struct sim_packet *p)
{
	struct sf_move_msg quoted;
	struct sf_move_out out;
	struct sf_move_env env;
	struct sim_end *e;
	struct sf_move m;
	uint8_t why;

	if (sf_move_decode(p->bytes, sizeof(p->bytes), &quoted, &why))
		return;
	e = find(s, host, sf_locator_sock(&quoted.src));
	if (!e || e->fate != SIM_LIVES || !e->has_move || !s->hosts[host].agent)
		return;
	m = e->m;
	env = env_of(s, e);
	sf_move_redirected(&m, &quoted, &p->place, &env, &out);
	if (out.acts)
		commit(s, e, &m, &out, SIM_NONE, true, &p->src);
}

void sim_end_receive(struct sim *s, uint16_t host, struct sim_packet *p)
{
	sim_trace_packet(s, "come", p);
	switch (p->kind) {
	case SIM_MOVE:
		receive_message(s, host, p);
		break;
	case SIM_DATA:
		receive_data(s, host, p);
		break;
	case SIM_FAIL:
		receive_fail(s, host, p);
		break;
	default:
		receive_redirect(s, host, p);
		break;
	}
}
