// SPDX-License-Identifier: Apache-2.0
/* errtext.c - see errtext.h. */
#include "util/errtext.h"

#include <stdarg.h>
#include <stdio.h>

int sf_errtext(char *err, size_t errlen, int code, const char *format, ...)
{
	va_list args;

	if (!err || !errlen)
		return code;
	va_start(args, format);
	vsnprintf(err, errlen, format, args);
	va_end(args);
	return code;
}
