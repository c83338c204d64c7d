// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The table of the numbers among a disk's options.
 *
 * A value is a number, or the word for 0: "no", which is none, or "auto".  A
 * number of bytes may have K, M, G or T behind it, for powers of 1024.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/common/disk-number.h"
#include "plugin/common/text.h"

struct disk_number {
	const char *key;
	const char *attribute;
	size_t offset;
	uint64_t min, max;
	bool bytes;
	const char *none; /* the word for 0; NULL: it has none */
};

#define FIELD(name) offsetof(struct disk_options, name)

static const struct disk_number table[] = {
	{ .key = "watchdog",
	  .attribute = "watchdog",
	  .offset = FIELD(watchdog),
	  .min = DISK_WATCHDOG_MIN,
	  .max = DISK_WATCHDOG_MAX,
	  .none = "no" },
	{ .key = "iops",
	  .attribute = "iops",
	  .offset = FIELD(iops),
	  .min = 1,
	  .max = 1000000000,
	  .none = "no" },
	{ .key = "bandwidth",
	  .attribute = "bandwidth",
	  .offset = FIELD(bandwidth),
	  .min = 64 << 10,
	  .max = 1ull << 40,
	  .bytes = true,
	  .none = "no" },
	{ .key = "cache-size",
	  .attribute = "cachesize",
	  .offset = FIELD(cache_size),
	  .min = 1 << 20,
	  .max = 16ull << 30,
	  .bytes = true,
	  .none = "auto" },
	{ .key = "workers",
	  .attribute = "workers",
	  .offset = FIELD(workers),
	  .min = 1,
	  .max = DISK_WORKERS_MAX },
};

#define NR_NUMBERS (sizeof(table) / sizeof(table[0]))

static uint64_t *field_of(const struct disk_number *number,
			  struct disk_options *options)
{
	return (uint64_t *)((char *)options + number->offset);
}

static uint64_t value_of(const struct disk_number *number,
			 const struct disk_options *options)
{
	return *(const uint64_t *)((const char *)options + number->offset);
}

const struct disk_number *disk_number_of_key(const char *key)
{
	size_t i;

	for (i = 0; i < NR_NUMBERS; i++)
		if (!strcmp(key, table[i].key))
			return &table[i];
	return NULL;
}

const struct disk_number *disk_number_of_attribute(const char *attribute)
{
	size_t i;

	for (i = 0; i < NR_NUMBERS; i++)
		if (!strcmp(attribute, table[i].attribute))
			return &table[i];
	return NULL;
}

static bool take(const struct disk_number *number, const char *text,
		 uint64_t *value)
{
	char *end;

	if (number->bytes) {
		if (text_to_size(text, value))
			return false;
	} else {
		if (*text < '0' || *text > '9')
			return false;
		errno = 0;
		*value = strtoull(text, &end, 10);
		if (errno || *end)
			return false;
	}
	return *value >= number->min && *value <= number->max;
}

bool disk_number_take(const struct disk_number *number, const char *text,
		      struct disk_options *options)
{
	uint64_t value = 0;

	if (!(number->none && !strcmp(text, number->none)) &&
	    !take(number, text, &value))
		return false;
	*field_of(number, options) = value;
	return true;
}

/* As short as it gets. */
static void print(const struct disk_number *number, uint64_t value,
		  char text[24])
{
	static const char units[] = " KMGT";
	const char *unit = units;

	if (!value && number->none) {
		strcpy(text, number->none);
		return;
	}
	while (number->bytes && value && !(value % 1024) && unit[1]) {
		value /= 1024;
		unit++;
	}
	if (unit == units)
		snprintf(text, 24, "%" PRIu64, value);
	else
		snprintf(text, 24, "%" PRIu64 "%c", value, *unit);
}

void disk_number_describe(const struct disk_number *number,
			  char text[DISK_NUMBER_TEXT_MAX])
{
	char min[24], max[24];

	print(number, number->min, min);
	print(number, number->max, max);
	snprintf(text, DISK_NUMBER_TEXT_MAX, "%s%sa number from %s to %s",
		 number->none ?: "", number->none ? ", " : "", min, max);
}

void disk_number_each(const struct disk_options *options,
		      void (*visit)(const char *key, const char *text,
				    void *opaque),
		      void *opaque)
{
	static const struct disk_options defaults = DISK_OPTIONS_DEFAULT;
	uint64_t value;
	char text[24];
	size_t i;

	for (i = 0; i < NR_NUMBERS; i++) {
		value = value_of(&table[i], options);
		if (value == value_of(&table[i], &defaults))
			continue;
		print(&table[i], value, text);
		visit(table[i].key, text, opaque);
	}
}

const char *disk_number_attributes(void)
{
	static char list[NR_NUMBERS * 16];
	size_t i, length = 0;

	for (i = 0; i < NR_NUMBERS; i++)
		length += snprintf(list + length, sizeof(list) - length, "%s, ",
				   table[i].attribute);
	return list;
}
