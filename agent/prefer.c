// SPDX-License-Identifier: Apache-2.0
/* prefer.c - see prefer.h. */
#include "agent/prefer.h"

/* By the configured order; of equals who is usable for longest; of those the first. */
static bool is_better(const struct candidate *a, const struct candidate *b)
{
	if (a->rank != b->rank)
		return a->rank < b->rank;
	return a->since_ms < b->since_ms;
}

int prefer(const struct candidate *list, size_t n, uint64_t now_ms, uint32_t after_ms,
	   uint64_t *again_ms)
{
	const struct candidate *primary = NULL, *best = NULL;

	*again_ms = 0;
	for (size_t i = 0; i < n; i++)
		if (list[i].usable && list[i].primary)
			primary = &list[i];
	for (size_t i = 0; i < n; i++) {
		const struct candidate *c = &list[i];
		uint64_t ripe = c->since_ms + after_ms;

		if (!c->usable || (primary && c != primary && c->rank >= primary->rank))
			continue;
		if (primary && c != primary && ripe > now_ms) {
			if (!*again_ms || ripe < *again_ms)
				*again_ms = ripe;
			continue;
		}
		if (!best || is_better(c, best))
			best = c;
	}
	return best ? (int)(best - list) : -1;
}
