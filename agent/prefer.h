// SPDX-License-Identifier: Apache-2.0
/*
 * prefer.h - which of a host's uplinks is the primary one (attachment.h): by which new flows leave,
 * and at whose access router services are registered. Pure: time is an argument.
 *
 * What is usable stays; what is not is left at once for what is. A better one, by the order that
 * the configuration gives, is taken when it has been usable for a while: a link that comes and goes
 * moves nobody. Without an order nothing is better than what is.
 */
#ifndef SF_AGENT_PREFER_H
#define SF_AGENT_PREFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PREFER_NO_RANK UINT32_MAX /* not in the configured order */

/**
 * struct candidate - an uplink, as far as the choice is concerned.
 * @usable: joined, its link up, its router not silent
 * @primary: it is the one now
 * @rank: place in the configured order, 0 the best; PREFER_NO_RANK: there is none
 * @since_ms: since when it is usable without interruption, monotonic
 */
struct candidate {
	bool usable, primary;
	uint32_t rank;
	uint64_t since_ms;
};

/**
 * prefer() - choose.
 * @after_ms: how long a better one must have been usable to take over from a usable one
 * @again_ms: out: when to ask again, because a better one will have been usable for long enough
 *            then; 0: not before something changes
 * Return: index of the primary; -1: none is usable.
 */
int prefer(const struct candidate *list, size_t n, uint64_t now_ms, uint32_t after_ms,
	   uint64_t *again_ms);

#endif
