// SPDX-License-Identifier: Apache-2.0
/* window.c - slow start, avoidance and write-off of moves under way; see window.h. */
#include "agent/window.h"

#include <stdbool.h>

#include "core/renegotiate.h"

#define FIRST	256
#define LEAST	128
#define MOST	4096
#define IDLE_NS 1000000000ull /* what was learned before that is forgotten */

void window_init(struct window *w)
{
	*w = (struct window){ .size = FIRST, .flight = 1 };
}

static bool is_in(const struct window *w, const struct window_seat *s)
{
	return s->flight == w->flight;
}

void window_enter(struct window *w, struct window_seat *s, uint64_t now)
{
	if (!w->flying && now - w->progress > IDLE_NS) {
		w->size = FIRST;
		w->answers = 0;
		w->narrowed = w->rtt = 0;
	}
	if (!w->flying)
		w->progress = now;
	w->flying += !is_in(w, s);
	s->flight = w->flight;
}

void window_leave(struct window *w, struct window_seat *s)
{
	w->flying -= is_in(w, s);
	*s = (struct window_seat){ 0 };
}

void window_asked(struct window_seat *s, uint64_t now)
{
	if (!s->asked)
		s->asked = now;
}

static void widen(struct window *w)
{
	if (w->narrowed && ++w->answers < w->size)
		return;
	w->answers = 0;
	w->size += w->size < MOST;
}

/* Smoothed as RFC 6298, 2.3. Who was away for longer than we wait to ask again says nothing of how
 * long answers take. */
static void measure(struct window *w, uint64_t took)
{
	if (took <= SF_MOVE_LONGEST_NS)
		w->rtt = w->rtt ? (7 * w->rtt + took) / 8 : took;
}

void window_answered(struct window *w, struct window_seat *s, uint64_t now)
{
	bool in = is_in(w, s);

	if (s->asked)
		measure(w, now - s->asked);
	window_leave(w, s);
	if (!in)
		return;
	w->progress = now;
	widen(w);
}

void window_late(struct window *w, const struct window_seat *s, uint64_t now)
{
	if (!is_in(w, s) || (w->narrowed && now - w->narrowed < SF_MOVE_FIRST_NS + w->rtt))
		return;
	w->narrowed = now;
	w->size = w->size / 2 > LEAST ? w->size / 2 : LEAST;
}

size_t window_room(struct window *w, uint64_t now)
{
	/* Nobody answers: who is under way is not waited for. */
	if (w->flying && now - w->progress > SF_MOVE_FIRST_NS + 2 * w->rtt) {
		w->flight++;
		w->flying = 0;
		w->progress = now;
	}
	return w->size > w->flying ? w->size - w->flying : 0;
}
