// SPDX-License-Identifier: Apache-2.0
/* errtext.h - how functions of this room put a failure into words for their caller. */
#ifndef SF_UTIL_ERRTEXT_H
#define SF_UTIL_ERRTEXT_H

#include <stddef.h>

/**
 * sf_errtext() - Format one line into the caller's error buffer and hand back the code.
 * @err: buffer, may be NULL with @errlen 0; the text is cut to fit.
 * @code: negative errno.
 *
 * Return: @code, so that `return sf_errtext(err, errlen, -EINVAL, "...")` ends a function.
 */
int sf_errtext(char *err, size_t errlen, int code, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#endif
