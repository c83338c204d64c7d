// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Texts for a line of ours, and texts from outside that are in it.
 *
 * A line that gets too long loses its middle: its beginning names the subject,
 * its end the cause and the remedy.  If memory is short the line loses its
 * end.
 *
 * Terminals obey two sets of control characters: those below the space, and
 * those from 0x80 to 0x9f, which they take as UTF-8 or, some, as single bytes.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/common/text.h"

int text_sequence(const unsigned char *text)
{
	int i, length;

	if (*text < 0x80)
		return 1;
	if (*text < 0xc2 || *text > 0xf4)
		return 0;
	length = *text < 0xe0 ? 2 : *text < 0xf0 ? 3 : 4;
	for (i = 1; i < length; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	/* Longer than needed, a surrogate, or beyond the last character. */
	if ((*text == 0xe0 && text[1] < 0xa0) ||
	    (*text == 0xed && text[1] > 0x9f) ||
	    (*text == 0xf0 && text[1] < 0x90) ||
	    (*text == 0xf4 && text[1] > 0x8f))
		return 0;
	return length;
}

static bool continues(char byte)
{
	return (byte & 0xc0) == 0x80;
}

void text_format(char *text, size_t size, const char *format, va_list args)
{
	static const char gap[] = " [...] ";
	const size_t room = size - sizeof(gap);
	size_t head = room / 2;
	char *whole, *tail;
	va_list again;
	int length;

	va_copy(again, args);
	length = vasprintf(&whole, format, args);
	if (length < 0)
		vsnprintf(text, size, format, again);
	va_end(again);
	if (length < 0)
		return;
	if ((size_t)length < size) {
		memcpy(text, whole, length + 1);
	} else {
		tail = whole + length - (room - head);
		while (head && continues(whole[head]))
			head--;
		while (continues(*tail))
			tail++;
		snprintf(text, size, "%.*s%s%s", (int)head, whole, gap, tail);
	}
	free(whole);
}

/* Is the sequence, or the byte that is none, a control character? */
static int is_control(const unsigned char *text, int length)
{
	if (length == 2)
		return text[0] == 0xc2 && text[1] < 0xa0;
	if (length > 2)
		return 0;
	return *text < ' ' || *text == 0x7f || (*text >= 0x80 && *text < 0xa0);
}

void text_tame(char *string)
{
	unsigned char *text = (unsigned char *)string;
	int length;

	for (; *text; text += length ? length : 1) {
		length = text_sequence(text);
		if (is_control(text, length))
			memset(text, '?', length ? length : 1);
	}
}

void text_quote(char *word, size_t size, const char *text)
{
	static const char quote[] = "'\\''";
	char *end = word + size - sizeof(quote) - 1;

	*word++ = '\'';
	for (; *text && word < end; text++) {
		if (*text == '\'')
			word = stpcpy(word, quote);
		else
			*word++ = *text;
	}
	strcpy(word, "'");
}

void text_size(uint64_t bytes, char text[TEXT_SIZE_MAX])
{
	static const char units[] = "BKMGTPE";
	const char *unit = units;
	double size = bytes;

	while (size >= 1024 && unit[1]) {
		size /= 1024;
		unit++;
	}
	snprintf(text, TEXT_SIZE_MAX, "%.4g%c", size, *unit);
}

int text_to_size(const char *text, uint64_t *bytes)
{
	static const char units[] = "BKMGTP";
	const char *unit = units;
	double size;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	size = strtod(text, &end);
	if (*end)
		unit = strchr(units, *end++);
	if (!unit || *end)
		return -EINVAL;
	for (; unit > units; unit--)
		size *= 1024;
	if (size >= 0x1p63)
		return -EINVAL;
	/* Whole sectors below 2^62 bytes are exact in a double. */
	*bytes = size;
	return 0;
}

void text_time(uint64_t ns, char text[TEXT_TIME_MAX])
{
	static const char *const units[] = { "ns", "us", "ms", "s" };
	unsigned int unit = 0;
	double time = ns;

	while (time >= 999.5 && unit < 3) {
		time /= 1000;
		unit++;
	}
	snprintf(text, TEXT_TIME_MAX, "%.3g%s", time, units[unit]);
}
