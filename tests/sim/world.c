// SPDX-License-Identifier: Apache-2.0
/* world.c - a seed's world: who is there, which flows; its clock, and what waits for it. */
#include "tests/sim/sim.h"

#define AS_NUMBER 1

/* ---- places ----------------------------------------------------------------------------- */

struct sf_sid sim_sid(uint16_t identity)
{
	return sf_sid_make(SF_SSID_HOSTS, 0x1000ull + identity);
}

struct sf_addr sim_locator(const struct sim *s, uint16_t place)
{
	return sf_locator(&s->net, (uint32_t)(s->places[place].router + 1) << 16 | (place + 1u), 1);
}

uint16_t sim_place_of(const struct sim *s, const struct sf_addr *a)
{
	uint32_t host;

	if (!sf_addr_in_as(&s->net, a))
		return SIM_NONE;
	host = sf_locator_host(a);
	if (!(host & 0xffff) || (host & 0xffff) > s->n_places ||
	    host >> 16 != s->places[(host & 0xffff) - 1].router + 1u)
		return SIM_NONE;
	return (uint16_t)((host & 0xffff) - 1);
}

bool sim_is_at(const struct sim *s, uint16_t host, uint16_t place)
{
	const struct sim_host *h = &s->hosts[host];

	return place != SIM_NONE && h->alive && s->places[place].up &&
	       (h->slot[0] == place || h->slot[1] == place || h->slot[2] == place);
}

uint16_t sim_view_new(struct sim *s, uint16_t end, uint64_t name, uint16_t parent)
{
	uint16_t number = (uint16_t)s->n_views;
	struct sim_view *v = &s->views[number];

	if (s->n_views >= SIM_VIEWS - 1) {
		sim_fail(s, "more than %d views", SIM_VIEWS);
		return parent;
	}
	s->n_views++;
	v->name = name;
	v->parent = parent;
	v->end = end;
	v->depth = parent == SIM_NONE ? 0 : (uint16_t)(s->views[parent].depth + 1);
	return number;
}

/* ---- set-up ----------------------------------------------------------------------------- */

static uint16_t host_new(struct sim *s)
{
	uint16_t number = (uint16_t)s->n_hosts++;
	struct sim_host *h = &s->hosts[number];

	memset(h, 0, sizeof(*h));
	h->alive = h->agent = true;
	h->identity = (uint16_t)s->n_identities++;
	h->key.k0 = sim_random(&s->rnd);
	h->key.k1 = sim_random(&s->rnd);
	h->ahead = sim_between(&s->rnd, SIM_S, 1000000 * SIM_S);
	for (int i = 0; i < SIM_SLOTS; i++)
		h->slot[i] = SIM_NONE;
	for (uint32_t i = 0, n = 1 + sim_below(&s->rnd, SIM_SLOTS); i < n; i++)
		h->slot[i] = sim_place_new(s, number);
	h->primary = h->slot[0];
	s->registered[h->identity] = h->primary;
	return number;
}

static struct sim_end *end_new(struct sim *s, uint16_t flow, uint16_t side, uint16_t host)
{
	struct sim_end *e = &s->ends[s->n_ends++];

	memset(e, 0, sizeof(*e));
	e->flow = flow;
	e->side = side;
	e->host = host;
	e->heir = SIM_NONE;
	return e;
}

/* The socketID of a new flow at its host; the second choice of a key is for clashes. */
uint64_t sim_socket_of(struct sim *s, const struct sim_end *e, const struct sf_tuple *t,
		       const struct sf_addr *peer)
{
	const struct sf_hashkey *key = &s->hosts[e->host].key;
	uint64_t k = sf_flow_key(sf_flow_hash(key, t), false);
	uint8_t incarnation = peer ? sf_incarnation_of(key, peer) : (uint8_t)sim_random(&s->rnd);

	return sf_socket_id(k, incarnation);
}

static void must(struct sim *s, struct sf_verdict v, uint8_t act)
{
	if (v.act != act)
		sim_fail(s, "setting up a flow: action %u, not %u", v.act, act);
}

/* The handshake, each step as the core decides it. */
static void connect(struct sim *s, struct sim_end *a, struct sim_end *b)
{
	struct sf_sid sid_a = sim_sid(s->hosts[a->host].identity), none = { 0 };
	struct sf_sid sid_b = sim_sid(s->hosts[b->host].identity);
	struct sf_segment syn = { .sport = sf_be16(40000 + a->flow),
				  .dport = sf_be16(80),
				  .seq = (uint32_t)sim_random(&s->rnd),
				  .flags = SF_TCP_SYN };
	struct sf_segment back = { .sport = syn.dport,
				   .dport = syn.sport,
				   .ack = syn.seq + 1,
				   .flags = SF_TCP_SYN | SF_TCP_ACK };
	struct sf_segment ack = { .sport = syn.sport, .dport = syn.dport, .flags = SF_TCP_ACK };
	struct sf_tuple ta = { .lport = syn.sport, .pport = syn.dport, .proto = SF_NEXTHDR_TCP };
	struct sf_tuple tb = { .lport = syn.dport, .pport = syn.sport, .proto = SF_NEXTHDR_TCP };
	struct sf_addr own_a = sim_locator(s, s->hosts[a->host].primary);
	struct sf_addr own_b = sim_locator(s, s->hosts[b->host].primary);

	ta.local = tb.peer = sf_service_addr(&s->net, &sid_a);
	ta.peer = tb.local = sf_service_addr(&s->net, &sid_b);
	sf_locator_set_sock(&own_a, sim_socket_of(s, a, &ta, NULL));
	sf_flow_open(&a->f, &s->net, &ta, &own_a, &syn, sim_time(s, a));
	must(s, sf_sal_out(&a->f, &syn), SF_ACT_SYN);

	sf_locator_set_sock(&own_b, sim_socket_of(s, b, &tb, &own_a));
	/* Who is anonymous cannot be found again; nor can who has a copy that was registered later:
	 * if both move at once, nobody can help. */
	if (!(s->features & SIM_COPY) && sim_chance(&s->rnd, 100))
		sid_a = none;
	sf_flow_accept(&b->f, &tb, &own_b, &own_a, &sid_a, syn.seq, sim_time(s, b));
	must(s, sf_sal_out(&b->f, &back), SF_ACT_SYN_ACK);

	must(s, sf_sal_in(&a->f, SF_KIND_SYN_ACK, &own_b, &back, sim_time(s, a)), SF_ACT_BIND);
	sf_flow_bind(&a->f, &own_b, &sid_b, sim_time(s, a));
	must(s, sf_sal_out(&a->f, &ack), SF_ACT_ACK);
	must(s, sf_sal_in(&b->f, SF_KIND_ACK, &own_a, &ack, sim_time(s, b)), SF_ACT_PROMOTE);
	b->f.state = SF_FLOW_BOUND;
	back.flags = SF_TCP_ACK;
	if (sim_chance(&s->rnd, 200))
		return; /* the first data confirms it */
	must(s, sf_sal_in(&a->f, SF_KIND_NONE, &own_b, &back, sim_time(s, a)), SF_ACT_CONFIRM);
	a->f.state = SF_FLOW_BOUND;
}

static void first_view(struct sim *s, struct sim_end *e, struct sim_end *peer)
{
	uint16_t from = sim_place_of(s, &peer->f.own);

	e->view = sim_view_new(s, (uint16_t)(e - s->ends), sf_locator_sock(&e->f.own), SIM_NONE);
	s->flows[e->flow].was_at[e->side][sim_place_of(s, &e->f.own)] = true;
	e->proven[from] = true;
}

static void flow_new(struct sim *s, uint16_t a_host, uint16_t b_host)
{
	uint16_t number = (uint16_t)s->n_flows++;
	struct sim_end *a, *b;

	memset(&s->flows[number], 0, sizeof(s->flows[number]));
	a = end_new(s, number, 0, a_host);
	b = end_new(s, number, 1, b_host);
	connect(s, a, b);
	first_view(s, a, b);
	first_view(s, b, a);
	a->taken = a->settled = a->applied = b->view;
	b->taken = b->settled = b->applied = a->view;
	sim_trace(s, "flow %u: %s and %s", number, sim_trace_end(s, a), sim_trace_end(s, b));
	for (int i = 0; i < 2; i++)
		sim_at(s, s->now + sim_between(&s->rnd, 0, s->data_gap), SIM_EV_DATA,
		       (uint16_t)((i ? b : a) - s->ends));
}

static uint32_t maybe(struct sim *s, uint32_t feature, uint32_t low, uint32_t high)
{
	return (s->features & feature) ? (uint32_t)sim_between(&s->rnd, low, high) : 0;
}

static void set_weather(struct sim *s)
{
	s->loss = maybe(s, SIM_LOSS, 1, 500);
	s->repeat = maybe(s, SIM_REPEAT, 1, 300);
	s->reorder = maybe(s, SIM_REORDER, 1, 300);
	s->corrupt = maybe(s, SIM_CORRUPT, 1, 200);
	s->kill = maybe(s, SIM_KILL, 1, 100);
	s->delay = sim_between(&s->rnd, SIM_MS / 10, 20 * SIM_MS);
	s->jitter = maybe(s, SIM_REORDER, 0, 100) * SIM_MS;
	s->calm_at = sim_between(&s->rnd, SIM_S / 2, 8 * SIM_S);
	if (s->features & SIM_LONG)
		s->calm_at += sim_between(&s->rnd, 0, 30 * SIM_S);
	s->action_gap = s->calm_at / sim_between(&s->rnd, 2, 24);
}

static void populate(struct sim *s)
{
	bool many = s->features & SIM_MANY;
	uint32_t hosts = many ? 2 + sim_below(&s->rnd, 7) : 2;
	uint32_t flows = many ? 1 + sim_below(&s->rnd, SIM_FLOWS) : 1;

	s->places[0] = (struct sim_place){ .host = SIM_NONE, .up = true }; /* the attacker's */
	s->n_places = 1;
	s->data_gap = s->calm_at * flows / 40 + SIM_MS;
	for (uint32_t i = 0; i < hosts; i++)
		host_new(s);
	for (uint32_t i = 0; i < flows; i++) {
		uint32_t half = hosts / 2;

		flow_new(s, (uint16_t)sim_below(&s->rnd, half),
			 (uint16_t)(half + sim_below(&s->rnd, hosts - half)));
	}
}

/* ---- the clock -------------------------------------------------------------------------- */

static bool is_before(const struct sim_event *a, const struct sim_event *b)
{
	return a->at < b->at || (a->at == b->at && a->order < b->order);
}

void sim_at(struct sim *s, uint64_t at, uint16_t kind, uint16_t arg)
{
	struct sim_event e = { .at = at, .order = s->order++, .kind = kind, .arg = arg };
	uint32_t i = s->n_events;

	if (i >= SIM_EVENTS) {
		sim_fail(s, "more than %d events wait", SIM_EVENTS);
		return;
	}
	s->n_events++;
	for (; i && is_before(&e, &s->events[(i - 1) / 2]); i = (i - 1) / 2)
		s->events[i] = s->events[(i - 1) / 2];
	s->events[i] = e;
}

static struct sim_event next(struct sim *s)
{
	struct sim_event first = s->events[0], last = s->events[--s->n_events];
	uint32_t i = 0, child;

	while ((child = 2 * i + 1) < s->n_events) {
		if (child + 1 < s->n_events && is_before(&s->events[child + 1], &s->events[child]))
			child++;
		if (!is_before(&s->events[child], &last))
			break;
		s->events[i] = s->events[child];
		i = child;
	}
	s->events[i] = last;
	return first;
}

static void data_due(struct sim *s, uint16_t end)
{
	struct sim_end *e = &s->ends[end];

	if (s->calm || e->fate != SIM_LIVES || !s->hosts[e->host].alive)
		return;
	sim_end_data(s, e);
	sim_at(s, s->now + sim_between(&s->rnd, SIM_MS, 2 * s->data_gap), SIM_EV_DATA, end);
}

static void register_host(struct sim *s, uint16_t host)
{
	struct sim_host *h = &s->hosts[host];

	if (!h->alive || !sim_is_at(s, host, h->primary))
		return;
	s->registered[h->identity] = h->primary;
	sim_trace(s, "h%u: registered at p%u", host, h->primary);
}

static void happen(struct sim *s, const struct sim_event *ev)
{
	uint16_t flow = SIM_NONE;

	switch (ev->kind) {
	case SIM_EV_PACKET:
		flow = s->packets[ev->arg].flow;
		sim_arrive(s, ev->arg);
		break;
	case SIM_EV_TIMER:
		flow = s->ends[ev->arg].flow;
		sim_end_timer(s, &s->ends[ev->arg]);
		break;
	case SIM_EV_DATA:
		data_due(s, ev->arg);
		break;
	case SIM_EV_ACTION:
		sim_action(s);
		break;
	case SIM_EV_REGISTER:
		register_host(s, ev->arg);
		break;
	case SIM_EV_AGENT:
		sim_agent_start(s, ev->arg);
		break;
	case SIM_EV_JOIN:
		sim_join(s, ev->arg);
		break;
	case SIM_EV_IMPORT:
		sim_import(s, ev->arg);
		break;
	case SIM_EV_HEAL:
		s->parted = 0;
		break;
	default:
		sim_calm(s);
		break;
	}
	if (s->calm && flow != SIM_NONE)
		sim_check_resumed(s, flow);
}

static void world_init(struct sim *s, uint64_t seed, uint32_t features)
{
	sim_random_seed(&s->rnd, seed);
	s->seed = seed;
	s->features = features;
	s->net = sf_net_default(AS_NUMBER);
	s->calm = s->failed = false;
	s->why[0] = 0;
	s->now = SIM_S;
	s->step = s->order = s->parted = 0;
	s->n_hosts = s->n_flows = s->n_ends = s->n_views = 0;
	s->n_identities = s->n_tape = s->n_events = 0;
	s->n_free = SIM_PACKETS;
	for (uint16_t i = 0; i < SIM_PACKETS; i++)
		s->free[i] = (uint16_t)(SIM_PACKETS - 1 - i);
}

int sim_run(struct sim *s, uint64_t seed, uint32_t features)
{
	world_init(s, seed, features);
	set_weather(s);
	populate(s);
	s->calm_at += s->now;
	s->end_at = s->calm_at + 16 * SIM_S;
	sim_at(s, s->now + sim_between(&s->rnd, 0, s->action_gap), SIM_EV_ACTION, 0);
	sim_at(s, s->calm_at, SIM_EV_CALM, 0);
	while (s->n_events && !s->failed) {
		struct sim_event ev = next(s);

		if (ev.at > s->end_at)
			break;
		s->now = ev.at;
		s->step++;
		happen(s, &ev);
	}
	s->now = s->end_at;
	if (!s->failed)
		sim_check_end(s);
	s->totals->runs++;
	s->totals->steps += s->step;
	s->totals->flows += s->n_flows;
	s->totals->virtual_ns += s->now;
	return s->failed ? -1 : 0;
}
