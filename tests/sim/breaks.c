// SPDX-License-Identifier: Apache-2.0
/*
 * breaks.c - faults put in on purpose around the core, each of which the checks must find: a check
 * that cannot fail says nothing.
 */
#include "tests/sim/sim.h"

static const char *const names[] = {
#define X(sym, name, text) name,
	SIM_BREAKS(X)
#undef X
};

static const char *const texts[] = {
#define X(sym, name, text) text,
	SIM_BREAKS(X)
#undef X
};

int sim_break_number(const char *name)
{
	for (int i = 0; i < SIM_BREAK_COUNT; i++)
		if (!strcmp(names[i], name))
			return i;
	return -1;
}

const char *sim_break_name(int number)
{
	return names[number];
}

const char *sim_break_text(int number)
{
	return texts[number];
}

/* What the core would have sent to that place, by the right key. */
static uint64_t forged_echo(const struct sf_hashkey *key, const struct sf_move_msg *in)
{
	struct sf_addr p = sf_locator_place(&in->src);
	__u64 words[3] = { (__u64)p.w[0] << 32 | p.w[1], (__u64)p.w[2] << 32 | p.w[3], in->name };

	return sf_siphash24(key, words, 3);
}

bool sim_break_in(struct sim *s, struct sim_end *e, struct sf_move *m, struct sf_move_msg *in,
		  const struct sf_move_env *env)
{
	bool repeat = in->epoch == m->peer.epoch && in->name == m->peer.name;

	if (!s->broken)
		return false;
	if (SIM_BREAK(s, REPEATS) && repeat)
		return true;
	if (SIM_BREAK(s, CHALLENGE))
		in->echo = forged_echo(env->key, in);
	if (SIM_BREAK(s, EPOCH) && !repeat)
		m->peer.epoch = in->epoch - 1;
	if (SIM_BREAK(s, CLAIM)) {
		m->peer.closed = 1;
		in->your_claim = 0;
	}
	return false;
}

static void undo_draw(struct sf_move *m, const struct sf_move *was, struct sf_move_out *out)
{
	m->own = was->own;
	sf_locator_set_sock(&m->at, sf_locator_sock(&was->at));
	out->msg.src = m->at;
	out->msg.name = m->own.name;
	out->msg.claim = m->own.claim;
	out->msg.epoch = m->own.epoch;
}

void sim_break_out(struct sim *s, struct sf_move *m, const struct sf_move *was,
		   struct sf_move_out *out, bool in)
{
	if (!s->broken)
		return;
	if (SIM_BREAK(s, STATIONARY) && in && m->own.name != was->own.name)
		undo_draw(m, was, out);
	if (!(out->acts & SF_MOVE_SEND))
		return;
	if (SIM_BREAK(s, RENDEZVOUS) && sf_addr_is_service(&s->net, &out->msg.dst))
		out->msg.dst = sf_move_peer(m);
	if (SIM_BREAK(s, RACK) && !in && was->due && !sf_move_is_open(m))
		out->acts &= ~(uint32_t)SF_MOVE_SEND;
}
