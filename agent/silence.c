// SPDX-License-Identifier: Apache-2.0
/* silence.c - see silence.h. */
#include "agent/silence.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/reason.h"

#define MS 1000000ull

static struct silence_key key_of(const struct sf_addr *own, const struct sf_addr *peer)
{
	struct silence_key key;

	memset(&key, 0, sizeof(key));
	key.own = sf_locator_place(own);
	key.peer = sf_locator_place(peer);
	return key;
}

struct silence_pair *silence_find(const struct silence *s, const struct sf_addr *own,
				  const struct sf_addr *peer)
{
	struct silence_key key = key_of(own, peer);
	struct silence_pair *p;

	HASH_FIND(hh, s->pairs, &key, sizeof(key), p);
	return p;
}

bool silence_watches(const struct sf_flow *f)
{
	if (f->flags & (SF_FLOW_OVER | SF_FLOW_RST))
		return false;
	return f->state == SF_FLOW_OPENING || f->state == SF_FLOW_BOUND ||
	       f->state == SF_FLOW_CLOSING;
}

bool silence_is_answered(const struct silence *s, const struct sf_flow *f)
{
	const struct silence_pair *p;

	if (!f->fail || !silence_watches(f) || sf_reason_is_hard(f->fail))
		return false;
	p = silence_find(s, &f->own, &f->peer);
	return p && p->answered;
}

bool silence_is_asked(const struct silence *s, const struct sf_flow *f)
{
	const struct silence_pair *p = silence_find(s, &f->own, &f->peer);

	return p && p->asked;
}

void silence_begin(struct silence *s, uint64_t now)
{
	struct silence_pair *p, *tmp;

	s->now = now;
	HASH_ITER (hh, s->pairs, p, tmp) {
		p->seen = false;
		p->flows = p->soft = p->at = 0;
		p->tx = 0;
		p->n_socks = 0;
		p->grace_ms = UINT32_MAX;
	}
}

/* Each walk names those that come after the ones of the last. */
static int name(struct silence_pair *p, const struct sf_flow *f)
{
	size_t most = p->many ? SILENCE_SOCKS_MANY : SILENCE_SOCKS;

	/* While the ends do not agree who they are, an answer would be about the past. */
	if ((f->flags & SF_FLOW_OPEN) || p->at++ < p->turn || p->n_socks == most)
		return 0;
	if (p->n_socks == p->room) {
		size_t room = p->room ? p->room * 4 : SILENCE_SOCKS;
		void *more = reallocarray(p->socks, room, sizeof(*p->socks));

		if (!more)
			return -ENOMEM;
		p->socks = more;
		p->room = room;
	}
	p->socks[p->n_socks++] = (struct silence_sock){ .peer = sf_locator_sock(&f->peer),
							.own = sf_locator_sock(&f->own) };
	return 0;
}

int silence_flow(struct silence *s, const struct sf_flow *f, uint32_t grace_ms)
{
	uint64_t since = sf_used_since(f->used, s->now);
	struct silence_pair *p;

	if (!silence_watches(f))
		return 0;
	p = silence_find(s, &f->own, &f->peer);
	if (!p) {
		p = calloc(1, sizeof(*p));
		if (!p)
			return -ENOMEM;
		p->key = key_of(&f->own, &f->peer);
		p->grace_ms = UINT32_MAX;
		HASH_ADD(hh, s->pairs, key, sizeof(p->key), p);
	}
	p->seen = true;
	p->flows++;
	p->soft += f->fail == SF_HOST_UNREACHABLE;
	p->tx += f->tx_packets;
	if (s->now - since > p->heard)
		p->heard = s->now - since;
	if (grace_ms < p->grace_ms)
		p->grace_ms = grace_ms;
	if (!sf_sid_is_zero(&f->peer_host))
		p->host = f->peer_host;
	return name(p, f);
}

void silence_end(struct silence *s)
{
	struct silence_pair *p, *tmp;

	HASH_ITER (hh, s->pairs, p, tmp) {
		if (!p->seen) {
			HASH_DEL(s->pairs, p);
			free(p->socks);
			free(p);
			continue;
		}
		p->answered = false;
		if (p->soft < p->soft_before)
			p->soft_before = p->soft;
		if (p->tx != p->tx_before && p->sent <= p->heard)
			p->sent = s->now;
		p->tx_before = p->tx;
	}
}

static bool wants_to_ask(const struct silence_pair *p, uint32_t after_ms, uint64_t now)
{
	uint64_t silent = now > p->heard ? now - p->heard : 0;

	if (silent < SILENCE_EVERY_NS)
		return false;
	return silent >= after_ms * MS || p->soft > p->soft_before ||
	       (p->sent > p->heard && now - p->sent >= SILENCE_EVERY_NS / 2);
}

/* Where the first PROBE was answered nothing was cut off for long. */
static void heard_again(struct silence_pair *p)
{
	p->back |= p->asked && p->tries > 1;
	p->asked = 0;
}

enum silence_due silence_due(struct silence_pair *p, uint32_t after_ms, bool usable, uint64_t now)
{
	uint64_t silent = now > p->heard ? now - p->heard : 0;

	if (p->heard > p->asked)
		heard_again(p);
	if (!usable || !after_ms) {
		p->asked = 0;
		return SILENCE_NOTHING;
	}
	if (!p->asked && !p->many && !wants_to_ask(p, after_ms, now)) {
		if (silent < SILENCE_EVERY_NS)
			p->soft_before = p->soft;
		return SILENCE_NOTHING;
	}
	if (silence_is_over(p, p->grace_ms, now))
		return SILENCE_OVER;
	/* A little early: the timer's ticks are not ours. */
	if (p->asked && now - p->asked_last < SILENCE_EVERY_NS / 2)
		return SILENCE_NOTHING;
	return SILENCE_ASK;
}

bool silence_waits(struct silence_pair *p, bool usable, uint64_t now, enum silence_wait *was,
		   uint64_t *since)
{
	bool silent = p->asked && p->tries >= SILENCE_TRIES;
	enum silence_wait waits = !usable  ? SILENCE_NO_PLACE
				  : silent ? SILENCE_NO_PEER
					   : SILENCE_GOES;

	*was = p->waits;
	if (waits == p->waits)
		return false;
	if (waits != SILENCE_GOES)
		p->waits_since = silent ? p->asked : now;
	*since = p->waits_since;
	p->waits = waits;
	return true;
}

void silence_asked(struct silence_pair *p, uint32_t nonce, uint64_t now)
{
	if (!p->asked) {
		p->asked = now;
		p->tries = 0;
	}
	p->asked_last = now;
	p->tries++;
	p->nonce = nonce;
	/* The end was reached: from the first again. */
	p->turn = p->at > p->turn + p->n_socks ? p->turn + (uint32_t)p->n_socks : 0;
	if (p->many && !p->turn)
		p->many = false; /* unless another dead one is named */
}

bool silence_is_over(const struct silence_pair *p, uint32_t grace_ms, uint64_t now)
{
	return p->asked && p->tries >= SILENCE_TRIES && now - p->asked >= grace_ms * MS;
}

bool silence_answer(struct silence_pair *p, uint32_t nonce, uint64_t now)
{
	uint32_t number = (uint16_t)(nonce - p->nonce);

	/* The upper half is the round's, the lower counts its PROBEs. */
	if (!p->asked_last || nonce >> 16 != p->nonce >> 16 ||
	    number >= SILENCE_SOCKS_MANY / SILENCE_SOCKS)
		return false;
	p->heard = now;
	heard_again(p);
	p->answered = true;
	p->soft_before = p->soft;
	return true;
}

uint64_t silence_dead(struct silence_pair *p, uint64_t sock)
{
	for (size_t i = 0; i < p->n_socks; i++) {
		if (p->socks[i].peer != sock)
			continue;
		p->many = true;
		return p->socks[i].own;
	}
	return 0;
}

void silence_close(struct silence *s)
{
	struct silence_pair *p, *tmp;

	HASH_ITER (hh, s->pairs, p, tmp) {
		HASH_DEL(s->pairs, p);
		free(p->socks);
		free(p);
	}
	s->pairs = NULL;
}
