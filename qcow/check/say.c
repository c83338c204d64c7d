// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The findings of a check, as lines and as numbers.
 *
 * A walk meets a finding once in every window of every round; it is told and
 * counted in one of them.  An image may have any number of faults (P6), so the
 * lines have a bound; the counts go on.
 */
#include <stdarg.h>
#include <stdio.h>
#include "qcow/check/check.h"

#define MAX_LINES 10000u

static void say(struct check *check, const char *format, va_list args)
{
	char line[512];

	if (!check->options->line || check->lines > MAX_LINES)
		return;
	if (check->lines++ == MAX_LINES) {
		check->options->line(
			check->options->opaque,
			"further findings are counted, but not told");
		return;
	}
	vsnprintf(line, sizeof(line), format, args);
	check->options->line(check->options->opaque, line);
}

void check_say(struct check *check, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(check, format, args);
	va_end(args);
}

void check_corrupt(struct check *check, const char *format, ...)
{
	va_list args;

	if (!check->reporting || check->quiet)
		return;
	check->result.corruptions++;
	va_start(args, format);
	say(check, format, args);
	va_end(args);
}

void check_failed(struct check *check, const char *format, ...)
{
	va_list args;

	check->incomplete = true;
	check->result.check_errors++;
	if (!check->reporting || check->quiet)
		return;
	va_start(args, format);
	say(check, format, args);
	va_end(args);
}

void check_progress(struct check *check, uint64_t done, uint64_t total)
{
	if (check->options->progress)
		check->options->progress(check->options->opaque, done, total);
}
