// SPDX-License-Identifier: Apache-2.0
/* network.c - wires that lose, repeat, delay, part and corrupt; routers; and the attacker. */
#include "tests/sim/sim.h"

/* ---- wires ------------------------------------------------------------------------------ */

static bool is_parted(const struct sim *s, const struct sim_packet *p)
{
	uint16_t from = sim_place_of(s, &p->src), to = sim_place_of(s, &p->dst);

	if (!s->parted || from == SIM_NONE || to == SIM_NONE)
		return false;
	return (s->parted >> s->places[from].router & 1) != (s->parted >> s->places[to].router & 1);
}

/* A burst of up to 16 bits in a row: what a ones'-complement sum always sees. */
static void corrupt(struct sim *s, struct sim_packet *p)
{
	uint32_t at = sim_below(&s->rnd, SF_MOVE_LEN * 8 - 16);
	uint32_t bits = 1 + sim_below(&s->rnd, 15);

	p->corrupt = true;
	p->bytes[at / 8] ^= (uint8_t)(1u << at % 8);
	for (uint32_t i = 1; i < bits; i++)
		if (sim_chance(&s->rnd, 500))
			p->bytes[(at + i) / 8] ^= (uint8_t)(1u << (at + i) % 8);
}

static void launch(struct sim *s, const struct sim_packet *p)
{
	uint64_t delay = s->delay + sim_between(&s->rnd, 0, s->jitter);
	uint16_t number;

	if (sim_chance(&s->rnd, s->reorder))
		delay += sim_between(&s->rnd, 0, sim_chance(&s->rnd, 200) ? 4 * SIM_S : SIM_S / 2);
	if (!s->n_free) {
		sim_trace(s, "the network is full");
		return;
	}
	number = s->free[--s->n_free];
	s->packets[number] = *p;
	if (p->kind == SIM_MOVE && !p->corrupt && sim_chance(&s->rnd, s->corrupt))
		corrupt(s, &s->packets[number]);
	sim_at(s, s->now + delay, SIM_EV_PACKET, number);
}

static void carry(struct sim *s, const struct sim_packet *p)
{
	if (is_parted(s, p) || sim_chance(&s->rnd, s->loss)) {
		sim_trace_packet(s, "lost", p);
		return;
	}
	launch(s, p);
	while (sim_chance(&s->rnd, s->repeat))
		launch(s, p);
}

static void remember(struct sim *s, const struct sim_packet *p)
{
	if (!(s->features & (SIM_REPLAY | SIM_SPOOF)))
		return;
	if (s->n_tape < SIM_TAPE)
		s->tape[s->n_tape++] = *p;
	else if (sim_chance(&s->rnd, 300))
		s->tape[sim_below(&s->rnd, SIM_TAPE)] = *p;
}

void sim_send(struct sim *s, const struct sim_packet *p)
{
	uint16_t at = sim_place_of(s, &p->src);

	if (p->kind == SIM_MOVE) {
		s->totals->messages++;
		if (s->calm && !s->flows[p->flow].resumed)
			s->flows[p->flow].messages++;
	}
	sim_trace_packet(s, "send", p);
	if (at != SIM_NONE && !s->places[at].up) {
		sim_trace(s, "  no such uplink");
		return;
	}
	remember(s, p);
	carry(s, p);
}

/* ---- routers ---------------------------------------------------------------------------- */

static struct sf_addr router_of(const struct sim *s, uint16_t place)
{
	return sf_locator(&s->net, (uint32_t)(s->places[place].router + 1) << 16, 1);
}

void sim_refuse(struct sim *s, const struct sim_packet *p, uint8_t reason,
		const struct sf_addr *src, uint16_t identity)
{
	static const struct sf_sid router;
	struct sim_packet fail = *p;

	fail.kind = SIM_FAIL;
	fail.reason = reason;
	fail.host = identity == SIM_NONE ? router : sim_sid(identity);
	fail.of_data = p->kind == SIM_DATA;
	fail.quoted_src = p->src;
	fail.quoted_dst = p->dst;
	fail.src = *src;
	fail.dst = p->src;
	fail.len = (uint16_t)(SF_IPV6_LEN + SF_FAIL_LEN + (fail.of_data ? 60 : SF_MOVE_LEN));
	s->totals->fails++;
	sim_send(s, &fail);
}

void sim_redirect(struct sim *s, const struct sim_packet *p, const struct sf_addr *src,
		  const struct sf_addr *place)
{
	struct sim_packet r = *p;

	r.kind = SIM_REDIR;
	r.place = *place;
	r.src = *src;
	r.dst = p->src;
	r.len = SF_IPV6_LEN + SF_FAIL_LEN + 16 + SF_MOVE_LEN;
	s->totals->redirects++;
	sim_send(s, &r);
}

static bool draws_fail(const struct sim_packet *p)
{
	return p->kind == SIM_DATA ||
	       (p->kind == SIM_MOVE && (p->bytes[SF_IPV6_LEN + 4] & 0x0f) == SF_KIND_RSYN);
}

/* A service router makes a locator of a serviceID; the message's checksum stays as it is. */
static void resolve(struct sim *s, struct sim_packet *p)
{
	struct sf_sid sid = sf_addr_sid(&p->dst);
	struct sf_addr to, router = sf_locator(&s->net, 1u << 16, 1);
	uint16_t place = SIM_NONE;

	for (uint16_t i = 0; i < s->n_identities; i++) {
		struct sf_sid known = sim_sid(i);

		if (sf_sid_eq(&known, &sid))
			place = s->registered[i];
	}
	if (place == SIM_NONE) {
		sim_refuse(s, p, SF_NO_SUCH_SERVICE, &router, SIM_NONE);
		return;
	}
	to = sim_locator(s, place);
	sf_csum_neutral(&p->dst, &to);
	p->dst = to;
	memcpy(p->bytes + 24, &to, sizeof(to));
	sim_trace_packet(s, "resolved", p);
	carry(s, p);
}

/* The access router answers for a host that is not there. */
static void absent(struct sim *s, const struct sim_packet *p, uint16_t place)
{
	struct sf_addr router = router_of(s, place);
	uint16_t host = s->places[place].host, now;
	struct sf_addr there;

	sim_trace_packet(s, "absent", p);
	if (!draws_fail(p))
		return;
	now = host == SIM_NONE ? SIM_NONE : s->registered[s->hosts[host].identity];
	if (p->kind == SIM_MOVE && (s->features & SIM_REDIRECT) && now != SIM_NONE &&
	    now != place && sim_chance(&s->rnd, 500)) {
		there = sim_locator(s, now);
		sim_redirect(s, p, &router, &there);
		return;
	}
	sim_refuse(s, p, SF_HOST_UNREACHABLE, &router, SIM_NONE);
}

void sim_arrive(struct sim *s, uint16_t number)
{
	struct sim_packet p = s->packets[number];
	uint16_t place;

	s->free[s->n_free++] = number;
	if (sf_addr_is_service(&s->net, &p.dst)) {
		resolve(s, &p);
		return;
	}
	place = sim_place_of(s, &p.dst);
	if (place == SIM_NONE)
		return;
	if (s->places[place].up && s->places[place].host == SIM_NONE)
		sim_trace_packet(s, "at the attacker's", &p);
	else if (!s->places[place].up || !sim_is_at(s, s->places[place].host, place))
		absent(s, &p, place);
	else
		sim_end_receive(s, s->places[place].host, &p);
}

/* ---- the attacker ----------------------------------------------------------------------- */

/* The same message, from @place: who spoofs makes the checksum fit. */
static void spoof(struct sim *s, struct sim_packet *p, uint16_t place)
{
	struct sf_addr src = sim_locator(s, place);
	struct sf_move_msg msg;
	uint8_t reason;

	if (sf_move_decode(p->bytes, sizeof(p->bytes), &msg, &reason))
		return;
	sf_locator_set_sock(&src, sf_locator_sock(&msg.src));
	msg.src = p->src = src;
	sf_move_encode(p->bytes, sizeof(p->bytes), &msg);
}

void sim_replay(struct sim *s)
{
	struct sim_packet p;
	uint16_t place = (uint16_t)sim_below(&s->rnd, s->n_places);

	if (!s->n_tape || s->calm)
		return;
	p = s->tape[sim_below(&s->rnd, s->n_tape)];
	if ((s->features & SIM_SPOOF) && sim_chance(&s->rnd, 500)) {
		if (p.kind == SIM_MOVE)
			spoof(s, &p, place);
		else if (p.kind == SIM_REDIR)
			p.place = sim_locator(s, place);
		else if (p.kind == SIM_DATA)
			p.src = sim_locator(s, place);
	}
	s->totals->replays++;
	sim_trace_packet(s, "replay", &p);
	carry(s, &p);
}
