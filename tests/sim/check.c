// SPDX-License-Identifier: Apache-2.0
/* check.c - what must hold after each step, and when the network has become calm. */
#include <stdarg.h>
#include <stdio.h>

#include "tests/sim/sim.h"

#define RESUME_NS (10 * SIM_S)
/* Half of them answer what was still under way when it became calm. */
#define RESUME_MESSAGES 60

void sim_fail(struct sim *s, const char *format, ...)
{
	va_list args;

	if (s->failed)
		return;
	s->failed = true;
	va_start(args, format);
	vsnprintf(s->why, sizeof(s->why), format, args);
	va_end(args);
	sim_trace(s, "FAILED: %s", s->why);
}

/* Whether view @old is @new or lies before it. */
static bool leads_to(const struct sim *s, uint16_t old, uint16_t new)
{
	while (s->views[new].depth > s->views[old].depth)
		new = s->views[new].parent;
	return new == old;
}

/* ---- (1), (2): which view is taken after which ------------------------------------------ */

static void check_taken(struct sim *s, struct sim_end *e, uint16_t view)
{
	if (view == SIM_NONE || s->views[view].name != e->m.peer.name) {
		sim_fail(s, "%s took a view that is not of the message", sim_trace_end(s, e));
		return;
	}
	if (leads_to(s, view, e->taken))
		sim_fail(s, "%s took a view that is older than the one it had",
			 sim_trace_end(s, e));
	else if (!leads_to(s, e->settled, view))
		sim_fail(s, "%s took another claimant's view after it had settled with one",
			 sim_trace_end(s, e));
	else if (!s->flows[e->flow].branches[!e->side] && !leads_to(s, e->taken, view))
		sim_fail(s, "%s took a view that does not follow the one it had",
			 sim_trace_end(s, e));
	e->taken = view;
}

static void check_valid(struct sim *s, struct sim_end *e)
{
	uint16_t place = sim_place_of(s, &e->m.valid);

	if (place == SIM_NONE || !s->flows[e->flow].was_at[!e->side][place])
		sim_fail(s, "%s validated a place where the peer never was", sim_trace_end(s, e));
	else
		e->proven[place] = true;
}

void sim_check_views(struct sim *s, struct sim_end *e, const struct sf_move *was, uint16_t view)
{
	if (e->m.peer.name != was->peer.name)
		check_taken(s, e, view);
	if (!sf_locator_same_host(&e->m.valid, &was->valid))
		check_valid(s, e);
	/* While its series is open, a copy made meanwhile has the same claim. */
	if (sf_move_is_settled(&e->m) && e->m.peer.closed)
		e->settled = e->taken;
}

/* ---- (1): data -------------------------------------------------------------------------- */

void sim_check_data(struct sim *s, struct sim_end *e, const struct sim_packet *p)
{
	if (p->flow != e->flow || p->side == e->side) {
		sim_fail(s, "%s was given data of flow %u side %u", sim_trace_end(s, e), p->flow,
			 p->side);
		return;
	}
	if (sf_flow_in_grace(&e->f, sim_time(s, e)) || leads_to(s, e->applied, p->view))
		return;
	sim_fail(s, "%s took data of another claimant after it had settled with one",
		 sim_trace_end(s, e));
}

/* ---- (3): once is as often -------------------------------------------------------------- */

void sim_check_twice(struct sim *s, const struct sim_end *e, const struct sf_move *m,
		     const struct sf_move_msg *in, const struct sf_move_env *env,
		     const struct sf_move_out *out)
{
	struct sf_move again = *m;
	struct sf_move_env other = *env;
	struct sf_move_out out2;

	other.random[0] = ~env->random[0];
	other.random[1] = ~env->random[1];
	sf_move_in(&again, in, &other, &out2);
	again.heard = m->heard;
	again.allow = m->allow;
	if (memcmp(&again, m, sizeof(again)))
		sim_fail(s, "%s: the same message twice changed it twice", sim_trace_end(s, e));
	else if ((out->acts & SF_MOVE_SEND) &&
		 (!(out2.acts & SF_MOVE_SEND) || memcmp(&out->msg, &out2.msg, sizeof(out->msg))))
		sim_fail(s, "%s: the same message twice got two answers", sim_trace_end(s, e));
}

/* ---- (4): no bombing of third parties --------------------------------------------------- */

void sim_check_sent(struct sim *s, struct sim_end *e, const struct sf_addr *to, uint32_t len)
{
	uint16_t place = sim_place_of(s, to);

	if (place == SIM_NONE || e->proven[place])
		return;
	e->tx[place] += len;
	if (e->tx[place] > SF_MOVE_AMPLIFY * e->rx[place])
		sim_fail(s, "%s sent %u bytes to p%u, which is not validated and sent %u",
			 sim_trace_end(s, e), e->tx[place], place, e->rx[place]);
}

/* ---- (5): the end ----------------------------------------------------------------------- */

/* Whether no-such-socket comes from where more than one host has been, to who cannot tell the
 * peer's: it does not know it, or there are copies of it. */
static bool is_strangers(const struct sim *s, const struct sim_end *e, const struct sf_addr *by)
{
	uint16_t place = sim_place_of(s, by);

	return place != SIM_NONE && s->places[place].reused &&
	       (sf_sid_is_zero(&e->f.peer_host) || s->flows[e->flow].branches[!e->side]);
}

void sim_check_over(struct sim *s, struct sim_end *e, uint8_t reason, const struct sf_addr *by)
{
	struct sim_flow *f = &s->flows[e->flow];

	sim_trace(s, "%s is over: %s", sim_trace_end(s, e), sf_reason_name(reason));
	/* Known limit: a hostAddr rests for some time only before another host has it. */
	if (reason == SF_NO_SUCH_SOCKET && is_strangers(s, e, by))
		f->ended = true;
	if (f->ended)
		return;
	if (!f->branches[0] && !f->branches[1]) {
		sim_fail(s, "%s is over (%s), and nothing had happened that ends it",
			 sim_trace_end(s, e), sf_reason_name(reason));
		return;
	}
	/* Known limit: of two ends and two copies each may have the other's peer superseded. */
	if (f->branches[0] && f->branches[1])
		return;
	for (uint32_t i = 0; i < s->n_ends; i++) {
		const struct sim_end *o = &s->ends[i];
		bool under_way = o->fate == SIM_EXPORTED && o->heir == SIM_NONE;

		if (o != e && o->flow == e->flow && o->side == e->side &&
		    (o->fate == SIM_LIVES || under_way))
			return;
	}
	sim_fail(s, "%s, the last of its side, is over (%s)", sim_trace_end(s, e),
		 sf_reason_name(reason));
}

static bool is_settled(const struct sim_end *e)
{
	return !e->has_move || sf_move_is_settled(&e->m);
}

static bool reaches(const struct sim *s, const struct sim_end *a, const struct sim_end *b)
{
	uint16_t from = sim_place_of(s, &a->f.own), to = sim_place_of(s, &a->f.peer);

	return sim_is_at(s, a->host, from) && sim_is_at(s, b->host, to) &&
	       sim_end_takes(s, b, &a->f.own, &a->f.peer);
}

static bool are_pair(const struct sim *s, const struct sim_end *a, const struct sim_end *b)
{
	if (a->fate != SIM_LIVES || b->fate != SIM_LIVES || a->side == b->side)
		return false;
	if (!is_settled(a) || !is_settled(b) || (a->f.flags | b->f.flags) & SF_FLOW_BUDGET)
		return false;
	return reaches(s, a, b) && reaches(s, b, a);
}

void sim_check_resumed(struct sim *s, uint16_t number)
{
	struct sim_flow *f = &s->flows[number];

	if (f->resumed)
		return;
	for (uint32_t i = 0; i < s->n_ends; i++) {
		if (s->ends[i].flow != number || s->ends[i].side)
			continue;
		for (uint32_t j = 0; j < s->n_ends; j++)
			if (s->ends[j].flow == number && are_pair(s, &s->ends[i], &s->ends[j]))
				f->resumed = true;
	}
	if (!f->resumed)
		return;
	f->resumed_at = s->now;
	sim_trace(s, "flow %u has resumed, %u messages", number, f->messages);
	if (s->now - s->calm_at > RESUME_NS)
		sim_fail(s, "flow %u resumed late: %llu ms", number,
			 (unsigned long long)((s->now - s->calm_at) / SIM_MS));
	if (f->messages > RESUME_MESSAGES && !f->branches[0] && !f->branches[1])
		sim_fail(s, "flow %u resumed after %u messages", number, f->messages);
}

struct ends_of {
	uint32_t live[2], pairs, most;
	bool rival;
};

static void count_ends(const struct sim *s, uint16_t flow, struct ends_of *n)
{
	memset(n, 0, sizeof(*n));
	for (uint32_t i = 0; i < s->n_ends; i++) {
		const struct sim_end *a = &s->ends[i];
		uint32_t pairs = 0, heard = 0;

		if (a->flow != flow || a->fate != SIM_LIVES)
			continue;
		n->live[a->side]++;
		for (uint32_t j = 0; j < s->n_ends; j++) {
			const struct sim_end *b = &s->ends[j];

			if (b->flow != flow || b->side == a->side || b->fate != SIM_LIVES)
				continue;
			pairs += are_pair(s, a, b);
			heard += reaches(s, b, a);
		}
		n->pairs += a->side ? 0 : pairs;
		n->most = pairs > n->most ? pairs : n->most;
		n->rival |= pairs && heard > 1;
	}
}

static void check_flow(struct sim *s, uint16_t number)
{
	const struct sim_flow *f = &s->flows[number];
	struct ends_of n;

	count_ends(s, number, &n);
	if (n.most > 1 || (n.pairs > 1 && !(f->branches[0] && f->branches[1])))
		sim_fail(s, "flow %u: %u pairs of ends", number, n.pairs);
	else if (n.rival)
		sim_fail(s, "flow %u: an end takes data of two claimants", number);
	else if (!f->ended && !n.pairs && !(f->branches[0] && f->branches[1]))
		sim_fail(s, "flow %u did not resume (%u and %u ends live)", number, n.live[0],
			 n.live[1]);
	else if (!f->ended && n.pairs && !f->resumed)
		sim_fail(s, "flow %u resumed unseen", number);
}

/* (6): what is kept is what is of flows that live. */
static void check_memory(struct sim *s)
{
	for (uint32_t i = 0; i < s->n_ends; i++)
		if (s->ends[i].has_move && s->ends[i].fate != SIM_LIVES &&
		    s->ends[i].fate != SIM_EXPORTED)
			sim_fail(s, "%s is over and its state is kept",
				 sim_trace_end(s, &s->ends[i]));
	if (s->n_free != SIM_PACKETS && !s->n_events)
		sim_fail(s, "packets were lost count of");
}

void sim_check_end(struct sim *s)
{
	for (uint16_t i = 0; i < s->n_flows && !s->failed; i++)
		check_flow(s, i);
	if (!s->failed)
		check_memory(s);
}
