/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes JSON: values one after the other, in arrays and objects.  key is
 * NULL inside an array.
 */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct json {
	FILE *file;
	int depth;
	bool comma; /* something stands before the next value */
};

/* bracket is '[' or '{'; closing the outermost one ends the line. */
void json_begin(struct json *json, const char *key, char bracket);
void json_end(struct json *json, char bracket);

void json_text(struct json *json, const char *key, const char *text);

/* Seconds since 1970, in UTC; null when no calendar has them. */
void json_time(struct json *json, const char *key, uint64_t seconds);
void json_number(struct json *json, const char *key, uint64_t number);
void json_flag(struct json *json, const char *key, bool flag);
void json_null(struct json *json, const char *key);

/* Null in place of an empty text, of NULL and of 0. */
void json_text_or_null(struct json *json, const char *key, const char *text);
void json_number_or_null(struct json *json, const char *key, uint64_t number);

#endif /* JSON_H */
