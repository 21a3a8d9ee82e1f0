// SPDX-License-Identifier: Apache-2.0
/* text.c - see text.h. */
#include "util/text.h"

static size_t take(char *out, size_t size, const char *from, size_t len, char least)
{
	size_t n = 0;

	for (; n < len && n + 1 < size && from[n]; n++)
		out[n] = (char)(from[n] >= least && from[n] < 0x7f ? from[n] : '?');
	out[n] = '\0';
	return n;
}

size_t sf_text_take(char *out, size_t size, const char *from, size_t len)
{
	return take(out, size, from, len, ' ');
}

size_t sf_word_take(char *out, size_t size, const char *from, size_t len)
{
	return take(out, size, from, len, ' ' + 1);
}
