// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The repair, in an order in which a death or a power loss at any point
 * leaves the image no worse than it was (P3):
 *
 *	entries		that cannot mean anything become zero: they gave
 *			the guest only errors.  Not in a table with other bad
 *			entries that cannot be mended so, since that may be no
 *			table at all
 *	clear		COPIED flags where the count will not be one; sync
 *	raise		counts that are too low, in the blocks that stay and
 *			in new ones that nobody sees yet; sync
 *	link		the new blocks and the new tables; sync
 *	lower		counts that are too high; sync
 *	set		COPIED flags where the count is one now; sync
 *
 * To raise a count is always safe.  To lower one is safe only when nothing
 * relies on it any more (R5 to R7).  After an incomplete walk nothing is
 * lowered: a cluster that seems to be free may be the only copy of something
 * that a better tool, or its owner, will find again.  So it is if the file was
 * cut off, even where it has become long enough again: a table there is empty.
 *
 * Without the L1 table nothing at all is repaired.  New tables would make the
 * file longer, and an empty L1 table of it.
 *
 * Flags are mended with leaks, too: they follow from the counts.
 *
 * Where two tables lie in the same cluster, no entry is written: to mend
 * one would break the other.  If one of them is a refcount block, a new one
 * takes its place, and the next repair can write entries; if none is, the
 * entries cannot be trusted, and nothing at all is written.  So it is
 * where a table lies in the same cluster as data and entries are malformed:
 * a seeming table may be the guest's bytes.
 *
 * No write here trusts the findings of an earlier walk; each phase counts anew.
 */
#include <errno.h>
#include <stdlib.h>
#include "qcow/check/check.h"

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

	if (h->version < 3 ||
	    !((h->incompatible & incompatible) || (h->autoclear & autoclear)))
		return 0;
	h->incompatible &= ~incompatible;
	h->autoclear &= ~autoclear;
	put_bits(check, area->bytes);
	ret = file_sync(check->file);
	if (!ret)
		ret = file_write(check->file, area->bytes, 0, area->length);
	return ret ? ret : file_sync(check->file);
}

/* Autoclear bits are a promise of the programs that know them; the first write
   of another program breaks it.  A repair keeps bitmaps and raw data as they
   are. */
static int begin(struct check *check)
{
	uint64_t kept = AUTOCLEAR_BITMAPS | AUTOCLEAR_RAW_DATA;

	if (check->keep_mark)
		kept |= AUTOCLEAR_LIFE;
	return check_clear_bits(check, 0, ~kept);
}

/* Where one cannot be read, QEMU does not open the image at all. */
static int give_bitmaps_up(struct check *check)
{
	int ret;

	check_say(
		check,
		"the persistent bitmaps cannot be read: all of them are given up");
	/* First the bit: the extension may be there without it. */
	ret = check_clear_bits(check, 0, AUTOCLEAR_BITMAPS);
	if (ret)
		return ret;
	return header_void_extensions(check->file, &check->header,
				      &check->header_area, EXTENSION_BITMAPS);
}

/* ---- entries ---- */

static uint64_t mend_bitmap(enum entry_kind kind, uint64_t bitmap)
{
	/* Where both bits are set, zero: the guest had an error there. */
	if (kind == ENTRY_IS_DATA)
		return bitmap & ~(bitmap >> 32);
	/* Allocated, but nowhere. */
	return (bitmap >> 32 | (bitmap & ALL_SUBCLUSTERS)) << 32;
}

/* Preallocated in a place that cannot be: nothing is stored there. */
static bool is_misplaced(const struct check *check, uint64_t entry,
			 uint64_t bitmap)
{
	return !is_aligned(entry & ENTRY_OFFSET, check_cluster_size(check)) &&
	       !check_holds_data(check, entry, bitmap);
}

static void mend(const struct check *check, uint64_t *entry, uint64_t *bitmap)
{
	enum entry_kind kind = check_entry_kind(check, *entry);

	if (kind == ENTRY_IS_COMPRESSED) {
		*entry &= ~ENTRY_COPIED;
		return;
	}
	if (check_has_subclusters(check))
		*entry &= ~ENTRY_ZERO;
	*bitmap = mend_bitmap(kind, *bitmap);
	if (kind == ENTRY_IS_DATA && is_misplaced(check, *entry, *bitmap))
		*entry = check_has_subclusters(check) ? 0 : ENTRY_ZERO;
	else if (kind == ENTRY_IS_DATA && check_has_data_file(check))
		*entry |= ENTRY_COPIED;
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

/* Nothing can be made of it. */
static bool is_lost(const struct check *check, uint64_t entry, uint64_t bitmap)
{
	uint64_t offset = entry & ENTRY_OFFSET;

	switch (check_entry_kind(check, entry)) {
	case ENTRY_IS_UNALLOCATED:
	case ENTRY_IS_ZERO:
		return entry & L2_RESERVED;
	case ENTRY_IS_DATA:
		if (!is_aligned(offset, check_cluster_size(check)))
			return check_holds_data(check, entry, bitmap);
		return entry & L2_RESERVED ||
		       (!check_has_data_file(check) &&
			!check_is_inside(check, offset,
					 check_cluster_size(check)));
	case ENTRY_IS_COMPRESSED:
		break;
	}
	return false;
}

/* The table may be no table at all, but the guest's bytes. */
static bool has_lost_entries(const struct check *check)
{
	bool subclusters = check_has_subclusters(check);

	for (uint64_t at = 0; at < check_cluster_size(check);
	     at += check->entry_size)
		if (is_lost(check, load_be64(check->table + at),
			    subclusters ? load_be64(check->table + at + 8) : 0))
			return true;
	return false;
}

static int mend_table(struct check *check, const struct table *table)
{
	bool changed = false;

	if (has_lost_entries(check))
		return 0;
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
	int ret = 0;

	if (check->snapshots.mendable)
		ret = check_make_snapshots(check);
	if (!ret)
		ret = check_make_blocks(check);
	if (!ret)
		ret = check_each_window(check, raise_window);
	if (!ret)
		ret = check_link_blocks(check);
	if (!ret && check->snapshots.mendable)
		ret = check_link_snapshots(check);
	return ret;
}

static int lower_window(struct check *check)
{
	bool unsure = check->incomplete || check->cut;
	enum outcome outcome = unsure ? COUNTS_STAY : COUNTS_LOWERED;
	int ret = check_compare(check, outcome);

	if (!ret)
		ret = do_copied(check, COPIED_CLEAR);
	if (!ret)
		ret = check_write_counts(check, outcome);
	if (!ret)
		ret = file_sync(check->file);
	return ret ? ret : do_copied(check, COPIED_SET);
}

/* NULL: it can be. */
static const char *why_no_repair(const struct check *check)
{
	if (check->headless)
		return "the L1 table is lost";
	if (check->hopeless || (check->mixed && check->malformed))
		return "a table lies where another one or data are";
	return NULL;
}

int check_repair(struct check *check)
{
	bool all = check->options->repair == QCOW_REPAIR_ALL;
	const char *why = why_no_repair(check);
	int ret;

	if (why) {
		check_say(
			check,
			"%s: nothing is repaired; take the image from a backup",
			why);
		return 0;
	}
	ret = begin(check);
	check->reporting = false;
	if (!ret && all && check->bitmaps_broken)
		ret = give_bitmaps_up(check);
	if (!ret && all && check->mendable && !check->tangled)
		ret = check_each_table(check, mend_table);
	if (!ret && all && check->result.corruptions)
		ret = raise_all(check);
	return ret ? ret : check_each_window(check, lower_window);
}
