/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Numbers among a disk's options: one table for the command line, disks.d and a
 * domain's metadata.
 */
#ifndef DISK_NUMBER_H
#define DISK_NUMBER_H

#include <stdbool.h>
#include <stddef.h>

#include "plugin/common/disk-options.h"

#define DISK_NUMBER_TEXT_MAX 80

struct disk_number;

/* Of an option, without the dashes, or a key; or of an attribute in a domain's
   metadata.  NULL: there is none of that name. */
const struct disk_number *disk_number_of_key(const char *key);
const struct disk_number *disk_number_of_attribute(const char *attribute);

/* Sets it from a text; false: the text is no value for it. */
bool disk_number_take(const struct disk_number *number, const char *text,
		      struct disk_options *options);

/* Which values are allowed, in words. */
void disk_number_describe(const struct disk_number *number,
			  char text[DISK_NUMBER_TEXT_MAX]);

/* Calls visit for each that is not as if an admin had said nothing, with a text
   that means the same value. */
void disk_number_each(const struct disk_options *options,
		      void (*visit)(const char *key, const char *text,
				    void *opaque),
		      void *opaque);

/* All attributes, with a comma behind each. */
const char *disk_number_attributes(void);

#endif /* DISK_NUMBER_H */
