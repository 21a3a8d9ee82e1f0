// SPDX-License-Identifier: Apache-2.0
/*
 * text.h - text that somebody else wrote (a program, a router, a certificate), on its way to logs,
 * lists and terminals: it must not break their lines, nor steer them.
 */
#ifndef SF_UTIL_TEXT_H
#define SF_UTIL_TEXT_H

#include <stddef.h>

/**
 * sf_text_take() - a copy in printable ASCII; each byte that is none becomes '?'.
 * @out: room for @size bytes with the NUL; may be @from, to change it in place
 * @from: need not end with a NUL: what is behind one, or behind @len bytes, does not count
 * Return: length of @out.
 */
size_t sf_text_take(char *out, size_t size, const char *from, size_t len);

/** sf_word_take() - the same, for what stands for one thing: a blank becomes '?', too. */
size_t sf_word_take(char *out, size_t size, const char *from, size_t len);

#endif
