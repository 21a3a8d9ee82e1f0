// SPDX-License-Identifier: Apache-2.0
/*
 * engine.c - fates of packets on an emulated link; see engine.h.
 *
 * Bursty loss is Gilbert's two-state chain: in the bad state every packet is lost. A mean share
 * p of lost packets in bursts of mean length b asks for leaving the bad state with 1/b, and
 * entering it with p / (b (1 - p)). (E. N. Gilbert, Capacity of a burst-noise channel, 1960.)
 */
#include "lab/engine.h"

#include <errno.h>
#include <stdlib.h>

#define NS_PER_US  1000ull
#define NS_PER_SEC 1000000000ull

/* ---- randomness: splitmix64 to seed, xoshiro256** to draw (Blackman and Vigna) ---- */

static uint64_t splitmix(uint64_t *x)
{
	uint64_t z = (*x += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static uint64_t rotl(uint64_t x, int k)
{
	return (x << k) | (x >> (64 - k));
}

static uint64_t draw(struct sf_engine *e)
{
	uint64_t *s = e->random, result = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotl(s[3], 45);
	return result;
}

/* Evenly from 0 to @below - 1; the bias of 2^-32 does not matter here. */
static uint64_t draw_below(struct sf_engine *e, uint64_t below)
{
	return (uint64_t)(((unsigned __int128)draw(e) * below) >> 64);
}

/* True with probability @ppm. Draws nothing for never and always: settings that do nothing change
 * nothing. */
static bool chance(struct sf_engine *e, uint64_t ppm)
{
	if (!ppm)
		return false;
	return ppm >= SF_PPM || draw_below(e, SF_PPM) < ppm;
}

void sf_engine_init(struct sf_engine *e, uint64_t seed, const char *name)
{
	*e = (struct sf_engine){ 0 };
	for (const char *c = name; *c; c++)
		seed = (seed ^ (unsigned char)*c) * 0x100000001b3ull; /* FNV-1a */
	for (int i = 0; i < 4; i++)
		e->random[i] = splitmix(&seed);
}

void sf_engine_set(struct sf_engine *e, const struct sf_emulation *set)
{
	e->set = *set;
	e->losing = false;
}

bool sf_engine_per_packet(const struct sf_engine *e)
{
	return e->set.loss_ppm | e->set.reorder_ppm | e->set.duplicate_ppm;
}

static bool is_lost(struct sf_engine *e)
{
	const struct sf_emulation *s = &e->set;

	if (s->burst <= 1 || s->loss_ppm >= SF_PPM)
		return chance(e, s->loss_ppm);
	if (!s->loss_ppm)
		return false;
	if (e->losing)
		e->losing = !chance(e, SF_PPM / s->burst);
	else
		e->losing = chance(e, (uint64_t)s->loss_ppm * SF_PPM /
					      (s->burst * (uint64_t)(SF_PPM - s->loss_ppm)));
	return e->losing;
}

struct sf_fate sf_engine_packet(struct sf_engine *e, uint64_t now, size_t len)
{
	const struct sf_emulation *s = &e->set;
	struct sf_fate fate = { .due = now, .copies = 1 };
	uint64_t queue = (s->queue_us ? s->queue_us : SF_QUEUE_US) * NS_PER_US, delay;

	e->counts.received++;
	e->counts.bytes += len;
	if (is_lost(e)) {
		e->counts.lost++;
		return (struct sf_fate){ .due = now };
	}
	if (s->rate) {
		if (e->line_free < now)
			e->line_free = now;
		if (e->line_free - now > queue) {
			e->counts.queue_full++;
			return (struct sf_fate){ .due = now };
		}
		e->line_free += len * 8 * NS_PER_SEC / s->rate;
		fate.due = e->line_free;
	}
	delay = s->delay_us * NS_PER_US;
	if (s->jitter_us) {
		uint64_t spread = s->jitter_us * NS_PER_US;

		delay += draw_below(e, 2 * spread + 1);
		delay = delay > spread ? delay - spread : 0;
	}
	fate.due += delay;
	if (chance(e, s->reorder_ppm)) {
		e->counts.reordered++;
		fate.due += (s->hold_us ? s->hold_us : SF_HOLD_US) * NS_PER_US;
	} else {
		if (fate.due < e->last_due)
			fate.due = e->last_due;
		e->last_due = fate.due;
	}
	if (chance(e, s->duplicate_ppm)) {
		e->counts.duplicated++;
		fate.copies = 2;
	}
	return fate;
}

/* ---- heap ------------------------------------------------------------------------------- */

static bool before(const struct sf_flight *a, const struct sf_flight *b)
{
	return a->due != b->due ? a->due < b->due : a->order < b->order;
}

int sf_heap_put(struct sf_heap *h, struct sf_flight *f)
{
	size_t at = h->n;

	if (h->n == h->room) {
		size_t room = h->room ? 2 * h->room : 256;
		void *grown = realloc(h->items, room * sizeof(*h->items));

		if (!grown)
			return -ENOMEM;
		h->items = grown;
		h->room = room;
	}
	f->order = h->next_order++;
	h->n++;
	while (at && before(f, h->items[(at - 1) / 2])) {
		h->items[at] = h->items[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	h->items[at] = f;
	return 0;
}

struct sf_flight *sf_heap_first(const struct sf_heap *h)
{
	return h->n ? h->items[0] : NULL;
}

struct sf_flight *sf_heap_take(struct sf_heap *h)
{
	struct sf_flight *first = sf_heap_first(h), *last;
	size_t at = 0;

	if (!first)
		return NULL;
	last = h->items[--h->n];
	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= h->n)
			break;
		if (child + 1 < h->n && before(h->items[child + 1], h->items[child]))
			child++;
		if (!before(h->items[child], last))
			break;
		h->items[at] = h->items[child];
		at = child;
	}
	if (h->n)
		h->items[at] = last;
	return first;
}

void sf_heap_free(struct sf_heap *h)
{
	free(h->items);
	*h = (struct sf_heap){ 0 };
}
