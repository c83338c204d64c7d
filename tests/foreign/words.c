// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Numbers and sizes as QEMU reads and prints them, for the expected outputs of
 * its iotests are compared letter by letter.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/foreign/stand-in.h"

static const char units[] = "BKMGTPE";

/* How often 1024 a suffix stands for; -1: it is none. */
static int unit_of(char suffix)
{
	const char *at = strchr(units, toupper((unsigned char)suffix));

	return suffix && at ? (int)(at - units) : -1;
}

static int parse_number(const char *text, int64_t *number)
{
	bool hexadecimal = !strncasecmp(text, "0x", 2);
	char *end;
	long double value;
	int unit = 0;

	text += strspn(text, " \t");
	if (!isdigit((unsigned char)*text) && *text != '-')
		return -EINVAL;
	value = hexadecimal ? strtoull(text, &end, 16) : strtold(text, &end);
	if (*end) {
		unit = hexadecimal ? -1 : unit_of(*end);
		if (unit < 0 || end[1])
			return -EINVAL;
	}
	value *= (long double)(1ull << 10 * unit);
	if (value < 0 || value > (long double)INT64_MAX)
		return -ERANGE;
	*number = (int64_t)value;
	return 0;
}

int64_t words_number(const char *text)
{
	int64_t number;
	int ret = parse_number(text, &number);

	if (ret == -EINVAL)
		printf("Parsing error: non-numeric argument,"
		       " or extraneous/unrecognized suffix -- %s\n",
		       text);
	else if (ret)
		printf("Parsing error: argument too large -- %s\n", text);
	return ret ? ret : number;
}

int words_pattern(const char *text)
{
	char *end;
	long pattern = strtol(text, &end, 0);

	if (pattern >= 0 && pattern <= UINT8_MAX && !*end)
		return (int)pattern;
	printf("%s is not a valid pattern byte\n", text);
	return -EINVAL;
}

void words_size(double value, char *text, size_t size)
{
	unsigned int unit = 0;
	char number[32], *zeros;

	for (; value >= 1024 && unit < sizeof(units) - 2; unit++)
		value /= 1024;
	snprintf(number, sizeof(number), unit ? "%.3f" : "%f", value);
	zeros = strstr(number, ".000");
	if (zeros)
		*zeros = 0;
	if (unit)
		snprintf(text, size, "%s %ciB", number, units[unit]);
	else
		snprintf(text, size, "%s bytes", number);
}

void words_report(const char *what, uint64_t offset, uint64_t length,
		  bool machine)
{
	char size[64];

	if (machine) {
		printf("%" PRIu64 ",1,0:00:00.01,1.000,1.000\n", length);
		return;
	}
	words_size((double)length, size, sizeof(size));
	printf("%s %" PRIu64 "/%" PRIu64 " bytes at offset %" PRIu64 "\n", what,
	       length, length, offset);
	printf("%s, 1 ops; 00.01 sec (1 bytes/sec and 1.0000 ops/sec)\n", size);
}

static void dump_line(const uint8_t *bytes, unsigned int length)
{
	for (unsigned int i = 0; i < length; i++)
		printf("%02x ", bytes[i]);
	putchar(' ');
	for (unsigned int i = 0; i < length; i++)
		putchar(isalnum(bytes[i]) ? bytes[i] : '.');
	putchar('\n');
}

void words_dump(const uint8_t *bytes, uint64_t offset, uint64_t length)
{
	for (uint64_t at = 0; at < length; at += 16) {
		printf("%08" PRIx64 ":  ", offset + at);
		dump_line(bytes + at, length - at < 16 ? length - at : 16);
	}
}
