// SPDX-License-Identifier: Apache-2.0
/* trace.c - a run as people read it: one line for each thing that happens. */
#include <stdarg.h>
#include <stdio.h>

#include "tests/sim/sim.h"

#define KEPT 70
#define LINE 320

static char kept[KEPT][LINE];
static unsigned int lines;
static bool keeping;

void sim_trace_keep(void)
{
	keeping = true;
	lines = 0;
}

void sim_trace_print(void)
{
	for (unsigned int i = lines > KEPT ? lines - KEPT : 0; i < lines; i++)
		puts(kept[i % KEPT]);
	keeping = false;
}

void sim_trace_line(const struct sim *s, const char *format, ...)
{
	char line[LINE];
	va_list args;
	int n = snprintf(line, sizeof(line), "%5u %10.3f ms  ", s->step,
			 (double)(s->now - SIM_S) / 1e6);

	va_start(args, format);
	vsnprintf(line + n, sizeof(line) - (size_t)n, format, args);
	va_end(args);
	if (keeping)
		memcpy(kept[lines++ % KEPT], line, sizeof(line));
	else
		puts(line);
}

/* Several may be in one line. */
static char *room(void)
{
	static char rooms[8][64];
	static unsigned int used;

	return rooms[used++ % 8];
}

const char *sim_trace_place(const struct sim *s, const struct sf_addr *a)
{
	uint16_t place = sim_place_of(s, a);
	char *out = room();

	if (place != SIM_NONE)
		snprintf(out, 64, "p%u/%02x", place, (unsigned int)(sf_locator_sock(a) & 0xff));
	else if (sf_addr_is_service(&s->net, a))
		snprintf(out, 64, "id%u", sf_be32(a->w[3]) & 0xfff);
	else if (sf_addr_is_zero(a))
		snprintf(out, 64, "-");
	else
		snprintf(out, 64, "router");
	return out;
}

const char *sim_trace_end(const struct sim *s, const struct sim_end *e)
{
	char *out = room();

	snprintf(out, 64, "f%u%c.h%u", e->flow, e->side ? 'B' : 'A', e->host);
	return out;
}

static unsigned int shorter(uint64_t token)
{
	return (unsigned int)(token & 0xffff);
}

void sim_trace_move(const struct sim *s, const struct sim_end *e, const char *what)
{
	const struct sf_move *m = &e->m;

	if (!s->trace || !e->has_move)
		return;
	sim_trace_line(s,
		       "  %s %s: %s at %s valid %s cand %s own %u:%04x(%04x) acked %04x peer "
		       "%u:%04x(%04x)%s%s allow %u budget %lld",
		       sim_trace_end(s, e), what, sf_move_state_name(m), sim_trace_place(s, &m->at),
		       sim_trace_place(s, &m->valid), sim_trace_place(s, &m->cand), m->own.epoch,
		       shorter(m->own.name), shorter(m->own.claim), shorter(m->acked),
		       m->peer.epoch, shorter(m->peer.name), shorter(m->peer.claim),
		       m->peer.closed ? "closed" : "", m->flags & SF_MOVE_EXPIRED ? " expired" : "",
		       m->allow, e->f.flags & SF_FLOW_BUDGET ? (long long)e->f.budget : -1);
}

static void trace_message(const struct sim *s, const char *what, const struct sim_packet *p)
{
	static const char *const kinds[] = { "RSYN", "RSYN-ACK", "RACK" };
	struct sf_move_msg m;
	uint8_t reason;

	if (sf_move_decode(p->bytes, sizeof(p->bytes), &m, &reason)) {
		sim_trace_line(s, "%s: %s, %s", what, p->corrupt ? "corrupt" : "not a message",
			       sf_reason_name(reason));
		return;
	}
	sim_trace_line(s,
		       "%s f%u%c.h%u %s %s > %s: %u:%04x was %04x claim %04x you %04x/%04x%s%s%s%s",
		       what, p->flow, p->side ? 'B' : 'A', s->ends[p->end].host,
		       kinds[m.kind - SF_KIND_RSYN], sim_trace_place(s, &p->src),
		       sim_trace_place(s, &p->dst), m.epoch, shorter(m.name), shorter(m.was),
		       shorter(m.claim), shorter(m.you), shorter(m.your_claim),
		       m.flags & SF_MOVE_ASK ? " ask" : "", m.flags & SF_MOVE_VALID ? " valid" : "",
		       m.challenge ? " challenge" : "", m.echo ? " echo" : "");
}

void sim_trace_packet(const struct sim *s, const char *what, const struct sim_packet *p)
{
	if (!s->trace)
		return;
	if (p->kind == SIM_MOVE) {
		trace_message(s, what, p);
		return;
	}
	sim_trace_line(s, "%s f%u%c.h%u %s %s > %s%s%s", what, p->flow, p->side ? 'B' : 'A',
		       s->ends[p->end].host,
		       p->kind == SIM_DATA   ? "data"
		       : p->kind == SIM_FAIL ? sf_reason_name(p->reason)
					     : "REDIRECT to",
		       sim_trace_place(s, &p->src), sim_trace_place(s, &p->dst),
		       p->kind == SIM_REDIR ? " try " : "",
		       p->kind == SIM_REDIR ? sim_trace_place(s, &p->place) : "");
}
