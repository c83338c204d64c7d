// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A reason is written where it is known, in words for the user; the code goes
 * up from there beside it.  A caller that does not want the words passes NULL.
 */
#include <stdarg.h>
#include <stdio.h>
#include "qcow/error.h"

int fail(struct qcow_error *error, int code, const char *format, ...)
{
	va_list args;

	if (!error)
		return code;
	va_start(args, format);
	vsnprintf(error->text, sizeof(error->text), format, args);
	va_end(args);
	return code;
}
