// SPDX-License-Identifier: Apache-2.0
/* script.c - what befalls the hosts: moves, deaths, copies, hand-overs, and at last calm. */
#include "tests/sim/sim.h"

#define ROUTERS	   8
#define REST_NS	   (6 * SIM_S) /* before a hostAddr is given to another host */
#define SPARE_ENDS (SIM_ENDS - 2 * SIM_FLOWS)

/* ---- places ----------------------------------------------------------------------------- */

static uint16_t place_used(struct sim *s)
{
	for (uint32_t i = 1, at = sim_below(&s->rnd, s->n_places); i < s->n_places; i++) {
		uint16_t p = (uint16_t)((at + i) % s->n_places);

		if (!s->places[p].up && p && s->now - s->places[p].left > REST_NS)
			return p;
	}
	return SIM_NONE;
}

uint16_t sim_place_new(struct sim *s, uint16_t host)
{
	uint16_t place = SIM_NONE;

	if ((s->features & SIM_REUSE) && sim_chance(&s->rnd, 500))
		place = place_used(s);
	if (place != SIM_NONE)
		s->places[place].reused = true;
	if (place == SIM_NONE && s->n_places < SIM_PLACES) {
		place = (uint16_t)s->n_places++;
		s->places[place].reused = false;
		s->places[place].router = (uint16_t)sim_below(&s->rnd, ROUTERS);
	}
	if (place == SIM_NONE)
		return place;
	s->places[place].host = host;
	s->places[place].up = true;
	s->places[place].left = 0;
	return place;
}

static void place_leave(struct sim *s, uint16_t host, int slot)
{
	uint16_t place = s->hosts[host].slot[slot];

	if (place == SIM_NONE)
		return;
	s->places[place].up = false;
	s->places[place].left = s->now;
	s->hosts[host].slot[slot] = SIM_NONE;
	sim_trace(s, "h%u: left p%u", host, place);
}

/* Whether flows of this host move: without SIM_BOTH only the openers' do. */
static bool may_move(const struct sim *s, uint16_t host)
{
	for (uint32_t i = 0; i < s->n_ends; i++)
		if (s->ends[i].host == host && s->ends[i].side && !(s->features & SIM_BOTH))
			return false;
	return true;
}

/* Flows whose place is gone, or all, go to the primary one. */
static void move_flows(struct sim *s, uint16_t host, bool all)
{
	struct sim_host *h = &s->hosts[host];

	for (uint32_t i = 0; i < s->n_ends && h->agent && h->primary != SIM_NONE; i++) {
		struct sim_end *e = &s->ends[i];
		uint16_t at;

		if (e->host != host || e->fate != SIM_LIVES)
			continue;
		at = sim_place_of(s, e->has_move ? &e->m.at : &e->f.own);
		if (!sim_is_at(s, host, at) || (all && at != h->primary))
			sim_end_move(s, e, h->primary);
	}
}

void sim_primary(struct sim *s, uint16_t host, uint16_t place)
{
	s->hosts[host].primary = place;
	sim_trace(s, "h%u: p%u is primary", host, place);
	/* Flows that were there before it went wait for it. */
	for (uint32_t i = 0; i < s->n_ends && s->hosts[host].agent; i++)
		if (s->ends[i].host == host && sim_place_of(s, &s->ends[i].m.at) == place)
			sim_end_again(s, &s->ends[i]);
	sim_at(s, s->now + sim_between(&s->rnd, SIM_MS, s->calm ? 300 * SIM_MS : SIM_S),
	       SIM_EV_REGISTER, host);
	move_flows(s, host, sim_chance(&s->rnd, 700));
}

void sim_join(struct sim *s, uint16_t host)
{
	struct sim_host *h = &s->hosts[host];
	uint16_t place = SIM_NONE, last = h->primary;

	if (!h->alive || sim_is_at(s, host, last))
		return;
	/* At times it comes back to where it was. */
	if (last != SIM_NONE && !s->places[last].up && s->places[last].host == host &&
	    sim_chance(&s->rnd, 250)) {
		place = last;
		s->places[place].up = true;
	} else {
		place = sim_place_new(s, host);
	}
	if (place == SIM_NONE)
		return;
	h->slot[0] = place;
	sim_trace(s, "h%u: joined at p%u", host, place);
	sim_primary(s, host, place);
}

/* ---- moves ------------------------------------------------------------------------------ */

static uint64_t outage(struct sim *s)
{
	if ((s->features & SIM_LONG) && sim_chance(&s->rnd, 300))
		return sim_between(&s->rnd, SIM_S, 20 * SIM_S);
	return sim_between(&s->rnd, 0, sim_chance(&s->rnd, 500) ? 20 * SIM_MS : 2 * SIM_S);
}

static int slot_of(const struct sim_host *h, uint16_t place)
{
	for (int i = 0; i < SIM_SLOTS; i++)
		if (h->slot[i] == place)
			return i;
	return 0;
}

/* The primary uplink goes; another one takes over, or there is none for a while. */
static void link_down(struct sim *s, uint16_t host)
{
	struct sim_host *h = &s->hosts[host];

	place_leave(s, host, slot_of(h, h->primary));
	for (int i = 0; i < SIM_SLOTS; i++)
		if (h->slot[i] != SIM_NONE) {
			sim_primary(s, host, h->slot[i]);
			return;
		}
	sim_at(s, s->now + outage(s), SIM_EV_JOIN, host);
}

/* Another uplink comes, and is the primary one; the old one stays, or goes at once. */
static void link_up(struct sim *s, uint16_t host)
{
	struct sim_host *h = &s->hosts[host];
	int old = slot_of(h, h->primary), slot = (old + 1) % SIM_SLOTS;
	uint16_t place = sim_place_new(s, host);

	if (place == SIM_NONE)
		return;
	place_leave(s, host, slot);
	h->slot[slot] = place;
	if (sim_chance(&s->rnd, 300))
		place_leave(s, host, old);
	sim_primary(s, host, place);
}

static void migrate(struct sim *s, uint16_t host)
{
	struct sim_host *h = &s->hosts[host];
	uint32_t at = sim_below(&s->rnd, s->n_ends);
	uint16_t place = h->slot[sim_below(&s->rnd, SIM_SLOTS)];

	for (uint32_t i = 0; i < s->n_ends && place != SIM_NONE && h->agent; i++) {
		struct sim_end *e = &s->ends[(at + i) % s->n_ends];

		if (e->host == host && e->fate == SIM_LIVES) {
			sim_end_move(s, e, place);
			return;
		}
	}
}

static void move(struct sim *s, uint16_t host)
{
	if (!may_move(s, host) || !sim_is_at(s, host, s->hosts[host].primary))
		return;
	switch (sim_below(&s->rnd, 4)) {
	case 0:
	case 1:
		link_down(s, host);
		break;
	case 2:
		link_up(s, host);
		break;
	default:
		migrate(s, host);
		break;
	}
}

/* ---- copies and hand-overs -------------------------------------------------------------- */

/* Whether each flow at @host may get another end on its side. */
static bool may_branch(const struct sim *s, uint16_t host)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n_ends; i++) {
		const struct sim_end *e = &s->ends[i];

		if (e->host != host || e->fate == SIM_CLOSED)
			continue;
		n++;
		if (s->flows[e->flow].branches[!e->side] && !(s->features & SIM_BOTHCOPY))
			return false;
	}
	return s->n_ends + n <= SIM_ENDS;
}

/* A snapshot of the host wakes somewhere else, and both run on. */
static void copy_host(struct sim *s, uint16_t host)
{
	uint16_t number = (uint16_t)s->n_hosts;
	struct sim_host *h = &s->hosts[number];
	uint32_t ends = s->n_ends;

	if (s->n_hosts >= SIM_HOSTS || !may_branch(s, host))
		return;
	s->n_hosts++;
	*h = s->hosts[host];
	for (int i = 0; i < SIM_SLOTS; i++)
		h->slot[i] = SIM_NONE;
	h->primary = SIM_NONE;
	h->agent = true;
	h->ahead -= sim_between(&s->rnd, 0, SIM_S); /* it stood still meanwhile */
	s->totals->copies++;
	sim_trace(s, "h%u: copied to h%u", host, number);
	for (uint32_t i = 0; i < ends; i++) {
		if (s->ends[i].host != host)
			continue;
		s->ends[s->n_ends] = s->ends[i];
		s->ends[s->n_ends].host = number;
		s->ends[s->n_ends].armed = 0;
		/* Also where it is handed over just now: it may be given back. */
		if (s->ends[i].fate == SIM_LIVES || s->ends[i].fate == SIM_EXPORTED)
			s->flows[s->ends[i].flow].branches[s->ends[i].side]++;
		if (s->ends[i].fate == SIM_LIVES) {
			sim_end_arm(s, &s->ends[s->n_ends]);
			sim_at(s, s->now, SIM_EV_DATA, (uint16_t)s->n_ends);
		}
		s->n_ends++;
	}
	sim_at(s, s->now + outage(s), SIM_EV_JOIN, number);
}

static void export_flow(struct sim *s, uint16_t number)
{
	struct sim_end *e = &s->ends[number];
	bool twice = (s->features & SIM_TWICE) && sim_chance(&s->rnd, 300);

	if (e->fate != SIM_LIVES || !s->hosts[e->host].agent || s->n_ends + 2 > SIM_ENDS)
		return;
	if (twice && s->flows[e->flow].branches[!e->side] && !(s->features & SIM_BOTHCOPY))
		return;
	if (!e->has_move)
		sf_move_init(&e->m, &e->f, sim_time(s, e));
	e->has_move = true;
	e->fate = SIM_EXPORTED;
	sim_trace(s, "%s: handed over%s", sim_trace_end(s, e), twice ? " twice" : "");
	s->totals->handovers++;
	if (twice)
		s->flows[e->flow].branches[e->side]++;
	for (int i = 0; i < (twice ? 2 : 1); i++)
		sim_at(s, s->now + sim_between(&s->rnd, 0, SIM_S), SIM_EV_IMPORT, number);
}

/* Whether @host can take the flow of @e: nothing of it is there, nor of what looks like it. */
static bool can_import(const struct sim *s, uint16_t host, const struct sim_end *e)
{
	if (!s->hosts[host].alive || !s->hosts[host].agent || s->hosts[host].primary == SIM_NONE)
		return false;
	for (uint32_t i = 0; i < s->n_ends; i++)
		if (s->ends[i].host == host && s->ends[i].flow == e->flow)
			return false;
	return true;
}

/* Another host, another key: the flow has another socketID there. Nothing comes between, for if the
 * agent dies now its new socket does, and the flow was not handed over. */
static void rehome(struct sim *s, struct sim_end *e)
{
	uint16_t place = s->hosts[e->host].primary;
	struct sf_addr own = sim_locator(s, place);
	uint32_t kill = s->kill;

	struct sf_flow was = e->f;

	sf_locator_set_sock(&own, sim_socket_of(s, e, &was.tuple, NULL));
	sf_move_rehome(&e->m, &own, sim_time(s, e));
	memset(&e->f, 0, sizeof(e->f));
	e->f.tuple = was.tuple;
	e->f.peer_sid = was.peer_sid;
	e->f.peer_host = was.peer_host;
	e->f.isn = was.isn;
	e->f.flags = was.flags & SF_FLOW_INBOUND;
	e->f.state = SF_FLOW_BOUND;
	e->f.own = own;
	e->f.peer = sf_move_peer(&e->m);
	e->f.created = e->f.used = sf_used_of(sim_time(s, e));
	s->kill = 0;
	sim_end_move(s, e, place);
	s->kill = kill;
}

void sim_import(struct sim *s, uint16_t number)
{
	struct sim_end *from = &s->ends[number], *e = &s->ends[s->n_ends];
	uint32_t at = sim_below(&s->rnd, s->n_hosts);
	uint16_t host = SIM_NONE;

	for (uint32_t i = 0; i < s->n_hosts && host == SIM_NONE; i++)
		if (can_import(s, (uint16_t)((at + i) % s->n_hosts), from))
			host = (uint16_t)((at + i) % s->n_hosts);
	if (host == SIM_NONE) {
		/* Nobody takes it: it is given back, and goes on where it was. */
		if (from->heir == SIM_NONE && from->fate == SIM_EXPORTED)
			from->fate = SIM_LIVES;
		if (from->fate == SIM_LIVES && s->hosts[from->host].primary != SIM_NONE)
			sim_end_move(s, from, s->hosts[from->host].primary);
		return;
	}
	*e = *from;
	e->host = host;
	e->has_move = true;
	e->heir = SIM_NONE;
	e->fate = SIM_LIVES;
	e->armed = 0;
	if (from->heir == SIM_NONE)
		from->heir = (uint16_t)s->n_ends;
	sim_at(s, s->now, SIM_EV_DATA, (uint16_t)s->n_ends++);
	sim_trace(s, "%s: taken over", sim_trace_end(s, e));
	rehome(s, e);
}

/* ---- ends ------------------------------------------------------------------------------- */

static void die(struct sim *s, uint16_t host)
{
	sim_trace(s, "h%u: died", host);
	for (int i = 0; i < SIM_SLOTS; i++)
		place_leave(s, host, i);
	s->hosts[host].alive = s->hosts[host].agent = false;
	for (uint32_t i = 0; i < s->n_ends; i++)
		if (s->ends[i].host == host) {
			s->flows[s->ends[i].flow].ended = true;
			s->ends[i].fate = SIM_DIED;
			s->ends[i].has_move = false;
		}
}

static void close_flow(struct sim *s, uint16_t number)
{
	struct sim_end *e = &s->ends[number];

	if (e->fate != SIM_LIVES)
		return;
	sim_trace(s, "%s: closed", sim_trace_end(s, e));
	s->flows[e->flow].ended = true;
	e->fate = SIM_CLOSED;
	e->has_move = false;
}

static void part(struct sim *s)
{
	s->parted = sim_below(&s->rnd, 1 << ROUTERS);
	sim_trace(s, "parted: %02x", s->parted);
	sim_at(s, s->now + outage(s), SIM_EV_HEAL, 0);
}

/* ---- what comes next -------------------------------------------------------------------- */

static void act(struct sim *s, uint32_t feature, uint16_t host, uint16_t end)
{
	switch (feature) {
	case SIM_PART:
		part(s);
		break;
	case SIM_REPLAY:
	case SIM_SPOOF:
		for (int i = 0; i < 4; i++)
			sim_replay(s);
		break;
	case SIM_KILL:
		sim_agent_kill(s, host);
		break;
	case SIM_COPY:
		copy_host(s, host);
		break;
	case SIM_HANDOVER:
		export_flow(s, end);
		break;
	case SIM_DEATH:
		die(s, host);
		break;
	case SIM_CLOSE:
		close_flow(s, end);
		break;
	default:
		move(s, host);
		break;
	}
}

void sim_action(struct sim *s)
{
	static const uint32_t rare[] = { SIM_PART, SIM_REPLAY,	 SIM_SPOOF, SIM_REPLAY, SIM_KILL,
					 SIM_COPY, SIM_HANDOVER, SIM_DEATH, SIM_CLOSE };
	uint32_t feature = rare[sim_below(&s->rnd, sizeof(rare) / sizeof(rare[0]))];
	uint16_t host = (uint16_t)sim_below(&s->rnd, s->n_hosts);
	uint16_t end = (uint16_t)sim_below(&s->rnd, s->n_ends);

	if (s->calm)
		return;
	if (sim_chance(&s->rnd, 600) || !(s->features & feature))
		feature = 0;
	if (s->hosts[host].alive && s->hosts[s->ends[end].host].alive)
		act(s, feature, host, end);
	sim_at(s, s->now + sim_between(&s->rnd, 0, 2 * s->action_gap), SIM_EV_ACTION, 0);
}

void sim_calm(struct sim *s)
{
	sim_trace(s, "calm");
	s->calm = true;
	s->loss = s->repeat = s->reorder = s->corrupt = s->kill = s->parted = 0;
	for (uint16_t i = 0; i < s->n_hosts; i++) {
		sim_join(s, i);
		sim_agent_start(s, i);
		if (s->hosts[i].alive)
			sim_at(s, s->now + 300 * SIM_MS, SIM_EV_REGISTER, i);
	}
	for (uint16_t i = 0; i < s->n_flows; i++)
		sim_check_resumed(s, i);
}
