// SPDX-License-Identifier: Apache-2.0
/*
 * silence.h - which peer hosts have fallen silent, when they are asked, and when flows with
 * them are over (docs/protocol.md, "Silence").
 *
 * Theory of operation
 *
 * What is watched is a pair of places: one of ours and one of a peer's, with all flows between the
 * two. Anything that comes from there on any of them is a sign of life. The flow table is walked
 * about once a second; between silence_begin() and silence_end() each flow is entered, then each
 * pair is asked for what is due:
 *
 *	heard lately                               nothing
 *	silent for probe_after                     ask: those who only receive learn by nothing else
 *	silent, and something was sent since       ask: the answer is overdue
 *	silent, and a soft FAIL or ICMPv6 error    ask
 *	asked without answer for move_grace        over, where the service waits no longer
 *
 * A peer that has moved is another pair; so is a move of our own. While ours is not usable nothing
 * is asked and no time counts. Pure but for memory: time is an argument.
 */
#ifndef SF_AGENT_SILENCE_H
#define SF_AGENT_SILENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "core/flow.h"

#define SILENCE_SOCKS	   16	/* asked for in one PROBE */
#define SILENCE_SOCKS_MANY 1024 /* in a round, once one was found dead */
#define SILENCE_EVERY_NS   1000000000ull
#define SILENCE_TRIES	   3 /* PROBEs at least, before anything is over */

/** struct silence_sock - a flow, as the peer names its end and as we name ours. */
struct silence_sock {
	uint64_t peer, own;
};

struct silence_key {
	struct sf_addr own, peer; /* locators without socketID */
};

/** enum silence_wait - why flows of a pair do not go on: our place is not usable, or the peer does
 * not answer. */
enum silence_wait { SILENCE_GOES, SILENCE_NO_PLACE, SILENCE_NO_PEER };

/**
 * struct silence_pair - a place of ours and one of a peer's.
 * @host: the peer's host serviceID where known, else 0
 * @flows: between them; @soft of them have had a soft FAIL
 * @tx: packets sent on them; @sent: when that was seen to grow first since @heard
 * @heard: when anything last came from there; all times in nanoseconds
 * @grace_ms: the least move_grace of its flows
 * @asked: since when it is asked without an answer; 0: it is not
 * @asked_last, @tries: the last PROBE, how many
 * @nonce: what the PROBEs of this round carry in target's port and, by number, ident
 * @turn: which flow is named first
 * @many: one of them was dead, so all are asked for
 * @answered: since the last walk: what soft FAILs said of its flows is over
 * @over: silence_due() says so, as the caller notes
 * @back: it is heard again, after PROBEs that were not answered; the caller takes note
 * @waits, @waits_since: what silence_waits() said last, and since when
 */
struct silence_pair {
	struct silence_key key;
	struct sf_sid host;
	uint32_t flows, soft, soft_before;
	uint64_t tx, tx_before, sent, heard;
	uint32_t grace_ms;
	uint64_t asked, asked_last;
	uint32_t tries, nonce, turn, at;
	bool seen, many, answered, over, back;
	enum silence_wait waits;
	uint64_t waits_since;
	struct silence_sock *socks;
	size_t n_socks, room;
	UT_hash_handle hh;
};

struct silence {
	struct silence_pair *pairs;
	uint64_t now;
};

enum silence_due { SILENCE_NOTHING, SILENCE_ASK, SILENCE_OVER };

/** silence_begin() - a walk over the flow table begins. @now: nanoseconds of CLOCK_MONOTONIC. */
void silence_begin(struct silence *s, uint64_t now);

/**
 * silence_flow() - a flow of the table; those that concern no peer yet, or no more, are passed
 * over.
 * @grace_ms: of its service
 * Return: 0 or -ENOMEM.
 */
int silence_flow(struct silence *s, const struct sf_flow *f, uint32_t grace_ms);

/** silence_is_answered() - whether @f has a soft FAIL that an answer since the last walk belies. */
bool silence_is_answered(const struct silence *s, const struct sf_flow *f);

/** silence_is_asked() - whether the peer of @f is asked, and has not answered yet. */
bool silence_is_asked(const struct silence *s, const struct sf_flow *f);

/** silence_watches() - whether a flow is one that is watched. */
bool silence_watches(const struct sf_flow *f);

/** silence_end() - forget pairs without flows. */
void silence_end(struct silence *s);

/**
 * silence_due() - what is due for a pair.
 * @after_ms: probe_after; 0: never ask
 * @usable: packets can leave from our place, and answers come to it
 */
enum silence_due silence_due(struct silence_pair *p, uint32_t after_ms, bool usable, uint64_t now);

/**
 * silence_waits() - whether the flows of a pair wait; to be asked after silence_due(), and after
 * what was due.
 * @was: what they waited for before
 * @since: when they began to wait for what they wait for, or did
 * Return: whether that has changed since it was asked last.
 */
bool silence_waits(struct silence_pair *p, bool usable, uint64_t now, enum silence_wait *was,
		   uint64_t *since);

/** silence_asked() - PROBEs leave, one for each SILENCE_SOCKS. @nonce: random. */
void silence_asked(struct silence_pair *p, uint32_t nonce, uint64_t now);

/** silence_is_over() - whether a flow with this @grace_ms is over: the pair is silent for longer.
 */
bool silence_is_over(const struct silence_pair *p, uint32_t grace_ms, uint64_t now);

/** silence_answer() - an answer came from there. @nonce: echoed. Return: whether it is one. */
bool silence_answer(struct silence_pair *p, uint32_t nonce, uint64_t now);

/** silence_dead() - the answer names @sock dead. Return: our socketID of that flow, 0: it was not
 * asked for. */
uint64_t silence_dead(struct silence_pair *p, uint64_t sock);

/** silence_find() - NULL: no such pair. */
struct silence_pair *silence_find(const struct silence *s, const struct sf_addr *own,
				  const struct sf_addr *peer);

/** silence_close() - forget all. */
void silence_close(struct silence *s);

#endif
