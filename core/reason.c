// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * reason.c - names and texts of reasons.
 */
#include "core/reason.h"

/* A reason travels in a byte, and a newer peer may send one that has no name here yet. */
#define TEN(d)                                                                                    \
	"reason-" #d "0", "reason-" #d "1", "reason-" #d "2", "reason-" #d "3", "reason-" #d "4", \
		"reason-" #d "5", "reason-" #d "6", "reason-" #d "7", "reason-" #d "8",           \
		"reason-" #d "9"

static const char *const numbers[] = {
	TEN(),	 TEN(1),  TEN(2),  TEN(3),  TEN(4),  TEN(5),  TEN(6),  TEN(7),	TEN(8),
	TEN(9),	 TEN(10), TEN(11), TEN(12), TEN(13), TEN(14), TEN(15), TEN(16), TEN(17),
	TEN(18), TEN(19), TEN(20), TEN(21), TEN(22), TEN(23), TEN(24), TEN(25),
};

const char *sf_reason_name(unsigned int r)
{
	static const char *const names[SF_REASON_MAX] = {
#define X(n, sym, name, text) [n] = name,
		SF_REASONS(X)
#undef X
	};

	if (r < SF_REASON_MAX && names[r])
		return names[r];
	return r < sizeof(numbers) / sizeof(numbers[0]) ? numbers[r] : "reason-?";
}

const char *sf_reason_text(unsigned int r)
{
	static const char *const texts[SF_REASON_MAX] = {
#define X(n, sym, name, text) [n] = text,
		SF_REASONS(X)
#undef X
	};

	return r < SF_REASON_MAX && texts[r] ? texts[r] : "unknown reason";
}
