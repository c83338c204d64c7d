// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The repair, in an order in which a death or a power loss at any point
 * leaves the image no worse than it was (P3):
 *
 *	entries		that cannot mean anything become zero: they gave
 *			nothing to the guest but errors
 *	clear		COPIED flags where the count will not be one; sync
 *	raise		counts that are too low, in the blocks that stay and
 *			in new ones that nobody sees yet; sync
 *	link		the new blocks and the new table; sync
 *	lower		counts that are too high; sync
 *	set		COPIED flags where the count is one now; sync
 *
 * To raise a count is always safe, to lower one never until nothing relies
 * on it (R5 to R7).  After a walk that was incomplete nothing is lowered: a
 * cluster that seems to be free may be the only copy of something that a
 * better tool, or its owner, will find again.
 *
 * Flags are mended with leaks, too: they follow from the counts.
 *
 * Where two tables lie in the same cluster, no entry is written: what mends
 * one would break the other.
 *
 * No write here trusts what an earlier walk found; each phase counts anew.
 */
#include <errno.h>
#include <stdlib.h>
#include "check.h"

#define LOW_HALF	0xffffffffull	/* of a subcluster bitmap: allocated */

/* ---- the header's bits ---- */

static void put_bits(const struct check *check, uint8_t *bytes)
{
	store_be64(bytes + HEADER_INCOMPATIBLE, check->header.incompatible);
	store_be64(bytes + HEADER_AUTOCLEAR, check->header.autoclear);
}

int check_clear_bits(struct check *check, uint64_t incompatible,
		     uint64_t autoclear)
{
	struct header *h = &check->header;
	struct header_area *area = &check->header_area;
	int ret;

	if (h->version < 3 || !((h->incompatible & incompatible) ||
				(h->autoclear & autoclear)))
		return 0;
	h->incompatible &= ~incompatible;
	h->autoclear &= ~autoclear;
	put_bits(check, area->bytes);
	ret = file_sync(check->file);
	if (!ret)
		ret = file_write(check->file, area->bytes, 0, area->length);
	return ret ? ret : file_sync(check->file);
}

/* Autoclear bits are a promise of those who know them; the first write of
   somebody else breaks it.  A repair keeps bitmaps and raw data as they are. */
static int begin(struct check *check)
{
	uint64_t kept = AUTOCLEAR_BITMAPS | AUTOCLEAR_RAW_DATA;

	if (check->keep_mark)
		kept |= AUTOCLEAR_LIFE;
	return check_clear_bits(check, 0, ~kept);
}

/* ---- entries ---- */

static uint64_t mend_bitmap(enum entry_kind kind, uint64_t bitmap)
{
	/* Where both bits are set, zero: the guest had an error there. */
	if (kind == ENTRY_IS_DATA)
		return bitmap & ~(bitmap >> 32);
	/* Allocated, but nowhere. */
	return (bitmap >> 32 | (bitmap & LOW_HALF)) << 32;
}

/* Preallocated in a place that cannot be: nothing is stored there. */
static bool is_misplaced(const struct check *check, uint64_t entry,
			 uint64_t bitmap)
{
	if (is_aligned(entry & ENTRY_OFFSET, check_cluster_size(check)))
		return false;
	return check_has_subclusters(check) ? !(bitmap & LOW_HALF) :
					      entry & ENTRY_ZERO;
}

static void mend(const struct check *check, uint64_t *entry, uint64_t *bitmap)
{
	enum entry_kind kind = check_entry_kind(check, *entry);

	if (kind == ENTRY_IS_COMPRESSED) {
		*entry &= ~ENTRY_COPIED;
		return;
	}
	*bitmap = mend_bitmap(kind, *bitmap);
	if (kind == ENTRY_IS_DATA && is_misplaced(check, *entry, *bitmap))
		*entry = check_has_subclusters(check) ? 0 : ENTRY_ZERO;
}

static bool mend_at(const struct check *check, uint8_t *at)
{
	bool subclusters = check_has_subclusters(check);
	uint64_t was = load_be64(at), entry = was;
	uint64_t had = subclusters ? load_be64(at + 8) : 0, bitmap = had;

	if (!entry && !bitmap)
		return false;
	mend(check, &entry, &bitmap);
	store_be64(at, entry);
	if (subclusters)
		store_be64(at + 8, bitmap);
	return entry != was || bitmap != had;
}

static int mend_table(struct check *check, const struct table *table)
{
	bool changed = false;

	for (uint64_t at = 0; at < check_cluster_size(check);
	     at += check->entry_size)
		changed |= mend_at(check, check->table + at);
	return changed ? check_write_table(check, table) : 0;
}

/* ---- phases ---- */

static int do_copied(struct check *check, enum copied_task task)
{
	int ret;

	if (check->tangled)
		return 0;
	ret = check_copied(check, task);
	return ret ? ret : file_sync(check->file);
}

static int raise_window(struct check *check)
{
	int ret = check_compare(check, COUNTS_RAISED);

	if (!ret)
		ret = do_copied(check, COPIED_CLEAR);
	return ret ? ret : check_write_counts(check, COUNTS_RAISED);
}

static int raise_all(struct check *check)
{
	int ret = check_make_blocks(check);

	if (!ret)
		ret = check_each_window(check, raise_window);
	return ret ? ret : check_link_blocks(check);
}

static int lower_window(struct check *check)
{
	enum outcome outcome = check->incomplete ? COUNTS_STAY :
						   COUNTS_LOWERED;
	int ret = check_compare(check, outcome);

	if (!ret)
		ret = do_copied(check, COPIED_CLEAR);
	if (!ret)
		ret = check_write_counts(check, outcome);
	if (!ret)
		ret = file_sync(check->file);
	return ret ? ret : do_copied(check, COPIED_SET);
}

int check_repair(struct check *check)
{
	bool all = check->options->repair == QCOW_REPAIR_ALL;
	int ret = begin(check);

	check->reporting = false;
	if (!ret && all && check->mendable && !check->tangled)
		ret = check_each_table(check, mend_table);
	if (!ret && all && check->result.corruptions)
		ret = raise_all(check);
	return ret ? ret : check_each_window(check, lower_window);
}
