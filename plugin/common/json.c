// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A writer of JSON: one value a line, two spaces a level.
 *
 * The names of files are bytes, not text.  JSON cannot hold a byte that is not
 * UTF-8; each such byte becomes the replacement character, so the output is
 * always valid.
 */
#include <inttypes.h>
#include <time.h>

#include "plugin/common/json.h"
#include "plugin/common/text.h"

#define REPLACEMENT "\xef\xbf\xbd"

static void put_quoted(FILE *file, const char *string)
{
	const unsigned char *text = (const unsigned char *)string;
	int length;

	putc('"', file);
	for (; *text; text += length ? length : 1) {
		length = text_sequence(text);
		if (!length)
			fputs(REPLACEMENT, file);
		else if (*text == '"' || *text == '\\')
			fprintf(file, "\\%c", *text);
		else if (*text < 0x20)
			fprintf(file, "\\u%04x", *text);
		else
			fwrite(text, 1, length, file);
	}
	putc('"', file);
}

static void new_line(struct json *json)
{
	fprintf(json->file, "\n%*s", 2 * json->depth, "");
}

static void put_key(struct json *json, const char *key)
{
	if (json->comma)
		putc(',', json->file);
	if (json->depth)
		new_line(json);
	json->comma = true;
	if (!key)
		return;
	put_quoted(json->file, key);
	fputs(": ", json->file);
}

void json_begin(struct json *json, const char *key, char bracket)
{
	put_key(json, key);
	putc(bracket, json->file);
	json->depth++;
	json->comma = false;
}

void json_end(struct json *json, char bracket)
{
	json->depth--;
	if (json->comma)
		new_line(json);
	putc(bracket, json->file);
	json->comma = true;
	if (!json->depth)
		putc('\n', json->file);
}

void json_text(struct json *json, const char *key, const char *text)
{
	put_key(json, key);
	put_quoted(json->file, text);
}

void json_time(struct json *json, const char *key, uint64_t seconds)
{
	const time_t when = seconds;
	char text[32];
	struct tm tm;

	if (!gmtime_r(&when, &tm)) {
		json_null(json, key);
		return;
	}
	strftime(text, sizeof(text), "%FT%TZ", &tm);
	json_text(json, key, text);
}

void json_number(struct json *json, const char *key, uint64_t number)
{
	put_key(json, key);
	fprintf(json->file, "%" PRIu64, number);
}

void json_flag(struct json *json, const char *key, bool flag)
{
	put_key(json, key);
	fputs(flag ? "true" : "false", json->file);
}

void json_null(struct json *json, const char *key)
{
	put_key(json, key);
	fputs("null", json->file);
}

void json_text_or_null(struct json *json, const char *key, const char *text)
{
	if (text && *text)
		json_text(json, key, text);
	else
		json_null(json, key);
}

void json_number_or_null(struct json *json, const char *key, uint64_t number)
{
	if (number)
		json_number(json, key, number);
	else
		json_null(json, key);
}
