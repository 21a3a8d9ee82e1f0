// SPDX-License-Identifier: Apache-2.0
/*
 * window.h - how many flows may begin to move at once.
 *
 * What thousands of moves bring about at once does not fit the queues on the way; so as many begin
 * as are answered, and one more for each answer while all come in time, as TCP does it (RFC 5681).
 * How long answers take is measured, too: before that, repeating makes it worse.
 *
 * Pure: the caller brings the clock, in nanoseconds.
 */
#ifndef SF_AGENT_WINDOW_H
#define SF_AGENT_WINDOW_H

#include <stddef.h>
#include <stdint.h>

/** struct window_seat - of a flow; zeroed at first. */
struct window_seat {
	uint32_t flight; /* with which it began to move, and nothing is heard yet; 0: none */
	uint64_t asked;	 /* since when an answer is waited for; 0: it is not */
};

/**
 * struct window
 * @flying: how many are under way, of flight @flight; those of earlier ones are not counted any
 * more
 * @size: how many may be
 * @answers: since @size grew
 * @narrowed: when @size shrank, 0: it did not
 * @progress: when the last was answered
 * @rtt: how long answers take; 0: not known
 */
struct window {
	size_t flying, size, answers;
	uint32_t flight;
	uint64_t narrowed, progress, rtt;
};

void window_init(struct window *w);

/** window_enter() - the flow of @s begins to move. */
void window_enter(struct window *w, struct window_seat *s, uint64_t now);

/** window_asked() - its peer is to answer something. */
void window_asked(struct window_seat *s, uint64_t now);

/** window_answered() - it has. */
void window_answered(struct window *w, struct window_seat *s, uint64_t now);

/** window_late() - it has not, in time: fewer fit, counted once for all that are under way. */
void window_late(struct window *w, const struct window_seat *s, uint64_t now);

/** window_leave() - the flow is no matter of ours any more. Harmless where it is none. */
void window_leave(struct window *w, struct window_seat *s);

/** window_room() - how many more may begin. Peers that are dead do not hold up the others. */
size_t window_room(struct window *w, uint64_t now);

#endif
