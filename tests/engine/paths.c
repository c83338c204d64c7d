// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two states of an image, one sync apart, show how the engine has changed each
 * entry between them.
 */
#include <stdio.h>
#include <string.h>
#include "tests/engine/paths.h"
#include "tests/lib/sectors.h"

static const char *const names[NR_PATHS] = {
	[PATH_BLOCK] = "refcount block",
	[PATH_MOVED_TABLE] = "moved refcount table",
	[PATH_TABLE] = "L2 table",
	[PATH_SHARED_TABLE] = "shared table",
	[PATH_SHARED_DATA] = "shared data",
	[PATH_UNDER] = "copy from below",
	[PATH_COMPRESSED] = "compressed",
	[PATH_SUBCLUSTERS] = "subclusters",
	[PATH_UNLINKED] = "unlinked",
	[PATH_ZEROES] = "zeroes",
	[PATH_KEPT] = "zeroes in place",
	[PATH_REUSED] = "reused",
	[PATH_HOLE] = "hole",
	[PATH_WRAP] = "journal wrapped",
	[PATH_REPLAY] = "replay",
	[PATH_AFTER_LOSS] = "life after a loss",
};

static bool is_data(const struct sectors_entry *entry)
{
	return entry->l2 & ENTRY_OFFSET && !(entry->l2 & ENTRY_COMPRESSED);
}

static bool is_zero(const struct sectors *image,
		    const struct sectors_entry *entry)
{
	return image->extended ? entry->bitmap >> 32 : entry->l2 & ENTRY_ZERO;
}

static bool is_partial(const struct sectors_entry *entry)
{
	uint32_t allocated = entry->bitmap;

	return allocated && ~allocated;
}

static void compare_data(struct paths *paths, const struct script *script,
			 const struct sectors_entry *old,
			 const struct sectors_entry *new)
{
	bool moved = is_data(new) &&
		     (old->l2 ^ new->l2) & (ENTRY_OFFSET | ENTRY_COMPRESSED);

	paths->seen[PATH_COMPRESSED] += old->l2 & ENTRY_COMPRESSED && moved;
	paths->seen[PATH_UNLINKED] += is_data(old) && !new->l2;
	if (!moved)
		return;
	paths->seen[PATH_SHARED_DATA] += is_data(old) &&
					 !(old->l2 & ENTRY_COPIED);
	paths->seen[PATH_UNDER] += !old->l2 &&
				   script->geometry->base == OVERLAY;
}

static void compare_entries(struct paths *paths, const struct script *script,
			    const struct sectors *image,
			    const struct sectors_entry *old,
			    const struct sectors_entry *new)
{
	paths->seen[PATH_TABLE] += !old->l1 && new->l1;
	paths->seen[PATH_SHARED_TABLE] += old->l1 &&
					  (old->l1 ^ new->l1) & ENTRY_OFFSET;
	if (old->l2 == new->l2 && old->bitmap == new->bitmap)
		return;
	compare_data(paths, script, old, new);
	paths->seen[PATH_SUBCLUSTERS] += is_partial(new);
	paths->seen[PATH_ZEROES] += is_zero(image, new) && !is_data(new);
	paths->seen[PATH_KEPT] += is_zero(image, new) && is_data(new);
}

/* A freed cluster becomes another guest cluster's after some syncs. */
static void note_owner(struct paths *paths, const struct sectors *image,
		       const struct sectors_entry *entry, uint64_t guest)
{
	uint64_t host = (entry->l2 & ENTRY_OFFSET) >> image->cluster_bits;
	uint32_t *owner = &paths->owners[host % PATHS_CLUSTERS];

	if (!is_data(entry))
		return;
	paths->seen[PATH_REUSED] += *owner && *owner != guest + 1;
	*owner = guest + 1;
}

static unsigned int count_blocks(const struct disk *disk)
{
	uint64_t at = load_be64(disk->bytes + HEADER_REFCOUNT_TABLE_OFFSET);
	uint64_t length = (uint64_t)load_be32(disk->bytes +
					      HEADER_REFCOUNT_TABLE_CLUSTERS)
			  << load_be32(disk->bytes + HEADER_CLUSTER_BITS);
	unsigned int count = 0;

	for (uint64_t i = 0; i < length && at + i + 8 <= disk->size; i += 8)
		count += load_be64(disk->bytes + at + i) != 0;
	return count;
}

static void compare_counts(struct paths *paths, const struct disk *before,
			   const struct disk *after)
{
	if (load_be64(before->bytes + HEADER_REFCOUNT_TABLE_OFFSET) !=
	    load_be64(after->bytes + HEADER_REFCOUNT_TABLE_OFFSET))
		paths->seen[PATH_MOVED_TABLE]++;
	else if (count_blocks(after) > count_blocks(before))
		paths->seen[PATH_BLOCK]++;
}

void paths_begin(struct paths *paths)
{
	memset(paths->owners, 0, sizeof(paths->owners));
}

void paths_compare(struct paths *paths, const struct script *script,
		   const struct disk *before, const struct disk *after)
{
	uint64_t cluster = script->geometry->cluster;
	uint64_t clusters = (script->size + cluster - 1) / cluster;
	static struct sectors old, new;

	sectors_open(&old, before->bytes, before->size);
	sectors_open(&new, after->bytes, after->size);
	for (uint64_t guest = 0; guest < clusters; guest++) {
		struct sectors_entry a, b;

		sectors_look_up(&old, guest, &a);
		sectors_look_up(&new, guest, &b);
		compare_entries(paths, script, &new, &a, &b);
		note_owner(paths, &new, &b, guest);
	}
	compare_counts(paths, before, after);
}

void paths_report(const struct paths *paths)
{
	for (unsigned int i = 0; i < NR_PATHS; i++) {
		printf("%8u  %s\n", paths->seen[i], names[i]);
		if (!paths->seen[i])
			die("no script goes by: %s", names[i]);
	}
}
