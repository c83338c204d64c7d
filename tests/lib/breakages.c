// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Each breakage finds its place from the header, as a reader would: the first
 * L1 entry, the first two entries of its L2 table, the first refcount block.
 */
#include "tests/lib/breakages.h"
#include "tests/lib/breakages-counts.h"
#include "tests/lib/places.h"
#include "qcow/bits.h"
#include "qcow/format.h"

/* ---- COPIED ---- */

static bool copied_flipped(uint8_t *bytes, size_t size)
{
	(void)size;
	store_be64(place_l2(bytes), load_be64(place_l2(bytes)) ^ ENTRY_COPIED);
	return true;
}

static bool table_copied_flipped(uint8_t *bytes, size_t size)
{
	(void)size;
	store_be64(place_l1(bytes), load_be64(place_l1(bytes)) ^ ENTRY_COPIED);
	return true;
}

/* ---- L2 entries ---- */

static bool entry_dropped(uint8_t *bytes, size_t size)
{
	(void)size;
	store_be64(place_l2(bytes), 0);
	if (place_has_subclusters(bytes))
		store_be64(place_bitmap(bytes), 0);
	return true;
}

static bool entry_unaligned(uint8_t *bytes, size_t size)
{
	(void)size;
	return place_cluster_size(bytes) > 512 &&
	       place_change(place_l2(bytes), 0, 512);
}

static bool entry_twice(uint8_t *bytes, size_t size)
{
	(void)size;
	if (place_has_subclusters(bytes))
		memcpy(place_l2(bytes) + 16, place_l2(bytes), 16);
	else
		store_be64(place_l2(bytes) + 8, load_be64(place_l2(bytes)));
	return true;
}

static bool entry_beyond_end(uint8_t *bytes, size_t size)
{
	store_be64(place_l2(bytes),
		   ENTRY_COPIED |
			   round_up(2 * size, place_cluster_size(bytes)));
	return true;
}

static bool entry_far_away(uint8_t *bytes, size_t size)
{
	(void)size;
	return place_change(place_l2(bytes), 0, 0x00f0000000000000ull);
}

static bool entry_into_l1(uint8_t *bytes, size_t size)
{
	(void)size;
	store_be64(place_l2(bytes),
		   load_be64(bytes + HEADER_L1_OFFSET) | ENTRY_COPIED);
	return true;
}

static bool entry_into_block(uint8_t *bytes, size_t size)
{
	(void)size;
	store_be64(place_l2(bytes),
		   load_be64(place_refcount_table(bytes)) | ENTRY_COPIED);
	return true;
}

static bool entry_into_its_table(uint8_t *bytes, size_t size)
{
	(void)size;
	store_be64(place_l2(bytes), load_be64(place_l1(bytes)) | ENTRY_COPIED);
	return true;
}

static bool entry_reserved_bits(uint8_t *bytes, size_t size)
{
	(void)size;
	return place_change(place_l2(bytes), 0, 1ull << 60);
}

static bool zero_unaligned(uint8_t *bytes, size_t size)
{
	(void)size;
	if (place_has_subclusters(bytes))
		store_be64(place_bitmap(bytes), ALL_ZERO);
	return place_version(bytes) >= 3 && place_cluster_size(bytes) > 512 &&
	       place_change(place_l2(bytes), 0,
			    place_has_subclusters(bytes) ? 512 :
							   512 | ENTRY_ZERO);
}

/* ---- snapshots ---- */

/* The only entry gets so much extra data. */
static bool set_extra(uint8_t *bytes, uint32_t extra)
{
	uint8_t *entry = bytes + load_be64(bytes + HEADER_SNAPSHOTS_OFFSET);
	uint32_t had = load_be32(entry + 36);
	uint32_t names = entry[13] + entry[15];

	if (!place_has_snapshots(bytes) || place_cluster_size(bytes) < 4096)
		return false;
	memmove(entry + 40 + extra, entry + 40 + had, names);
	store_be32(entry + 36, extra);
	return true;
}

static bool snapshot_incomplete(uint8_t *bytes, size_t size)
{
	(void)size;
	return place_version(bytes) >= 3 && set_extra(bytes, 8);
}

static bool snapshot_too_long(uint8_t *bytes, size_t size)
{
	(void)size;
	return set_extra(bytes, 2000);
}

/* ---- subclusters ---- */

static bool both_in_bitmap(uint8_t *bytes, size_t size)
{
	(void)size;
	return place_has_subclusters(bytes) &&
	       place_change(place_bitmap(bytes), 0, SUBCLUSTER_ZERO(0));
}

static bool last_both_in_bitmap(uint8_t *bytes, size_t size)
{
	(void)size;
	return place_has_subclusters(bytes) &&
	       place_change(place_bitmap(bytes), 0, SUBCLUSTER_ZERO(31));
}

static bool bitmap_without_cluster(uint8_t *bytes, size_t size)
{
	(void)size;
	return place_has_subclusters(bytes) &&
	       place_change(place_l2(bytes), -1ull, 0);
}

static bool last_without_cluster(uint8_t *bytes, size_t size)
{
	(void)size;
	if (!place_has_subclusters(bytes))
		return false;
	store_be64(place_l2(bytes) + 5 * 16 + 8, SUBCLUSTER_ALLOCATED(31));
	return true;
}

static bool zero_flag_with_bitmap(uint8_t *bytes, size_t size)
{
	(void)size;
	return place_has_subclusters(bytes) &&
	       place_change(place_l2(bytes), 0, ENTRY_ZERO);
}

static bool compressed_with_bitmap(uint8_t *bytes, size_t size)
{
	(void)size;
	return place_has_subclusters(bytes) &&
	       place_change(place_l2(bytes), ENTRY_COPIED, ENTRY_COMPRESSED);
}

/* ---- L1 entries ---- */

static bool table_unaligned(uint8_t *bytes, size_t size)
{
	(void)size;
	return place_cluster_size(bytes) > 512 &&
	       place_change(place_l1(bytes), 0, 512);
}

static bool table_beyond_end(uint8_t *bytes, size_t size)
{
	store_be64(place_l1(bytes),
		   ENTRY_COPIED |
			   round_up(2 * size, place_cluster_size(bytes)));
	return true;
}

static bool table_reserved_bits(uint8_t *bytes, size_t size)
{
	(void)size;
	return place_change(place_l1(bytes), 0, 1);
}

static bool table_twice(uint8_t *bytes, size_t size)
{
	(void)size;
	if (load_be32(bytes + HEADER_L1_SIZE) < 2)
		return false;
	store_be64(place_l1(bytes) + 8, load_be64(place_l1(bytes)));
	return true;
}

/* ---- the header ---- */

static bool marked_dirty(uint8_t *bytes, size_t size)
{
	return place_version(bytes) >= 3 && nothing_counted(bytes, size) &&
	       place_change(bytes + HEADER_INCOMPATIBLE, 0, INCOMPATIBLE_DIRTY);
}

static bool marked_corrupt(uint8_t *bytes, size_t size)
{
	(void)size;
	return place_version(bytes) >= 3 &&
	       place_change(bytes + HEADER_INCOMPATIBLE, 0,
			    INCOMPATIBLE_CORRUPT);
}

const struct breakage breakages[] = {
	{ "count too high", count_too_high, CONTENT_SOUND, false },
	{ "count zero", count_zero, CONTENT_SOUND, false },
	{ "count too low", count_too_low, CONTENT_SOUND, false },
	{ "header not counted", header_not_counted, CONTENT_SOUND, false },
	{ "table not counted", table_not_counted, CONTENT_SOUND, false },
	{ "nothing counted", nothing_counted, CONTENT_SOUND, false },
	{ "COPIED flipped", copied_flipped, CONTENT_SOUND, false },
	{ "table's COPIED flipped", table_copied_flipped, CONTENT_SOUND,
	  false },
	{ "entry dropped", entry_dropped, CONTENT_BROKEN, false },
	{ "entry unaligned", entry_unaligned, CONTENT_BROKEN, false },
	{ "entry twice", entry_twice, CONTENT_BROKEN, false },
	{ "entry beyond the end", entry_beyond_end, CONTENT_BROKEN, false },
	{ "entry far away", entry_far_away, CONTENT_BROKEN, false },
	{ "entry into the L1 table", entry_into_l1, CONTENT_METADATA, false },
	{ "entry into a refcount block", entry_into_block, CONTENT_METADATA,
	  false },
	{ "entry into its table", entry_into_its_table, CONTENT_METADATA,
	  false },
	{ "entry with reserved bits", entry_reserved_bits, CONTENT_SOUND,
	  false },
	{ "zero cluster unaligned", zero_unaligned, CONTENT_BROKEN, false },
	{ "table unaligned", table_unaligned, CONTENT_BROKEN, false },
	{ "table beyond the end", table_beyond_end, CONTENT_BROKEN, false },
	{ "table with reserved bits", table_reserved_bits, CONTENT_SOUND,
	  false },
	{ "table twice", table_twice, CONTENT_BROKEN, false },
	{ "block unaligned", block_unaligned, CONTENT_SOUND, false },
	{ "block beyond the end", block_beyond_end, CONTENT_SOUND, false },
	{ "block far away", block_far_away, CONTENT_SOUND, false },
	{ "block with reserved bits", block_reserved_bits, CONTENT_SOUND,
	  false },
	{ "block missing", block_missing, CONTENT_SOUND, false },
	{ "block in the refcount table", block_in_header, CONTENT_SOUND,
	  false },
	{ "refcount table beyond the end", counts_beyond_end, CONTENT_SOUND,
	  false },
	{ "refcount table far away", counts_far_away, CONTENT_SOUND, false },
	{ "refcount table in the header", counts_in_header, CONTENT_SOUND,
	  false },
	{ "refcount table in the L1 table", counts_in_l1, CONTENT_SOUND,
	  false },
	/* qemu-img cannot read the image as it was. */
	{ "no refcount table", no_refcount_table, CONTENT_BROKEN, false },
	{ "dirty, nothing counted", marked_dirty, CONTENT_SOUND, false },
	{ "marked corrupt", marked_corrupt, CONTENT_SOUND, false },
	{ "snapshot entry incomplete", snapshot_incomplete, CONTENT_SOUND,
	  false },
	{ "snapshot entry too long", snapshot_too_long, CONTENT_BROKEN, false },
	{ "subcluster allocated and zero", both_in_bitmap, CONTENT_BROKEN,
	  false },
	{ "last subcluster allocated and zero", last_both_in_bitmap,
	  CONTENT_BROKEN, false },
	{ "subclusters without a cluster", bitmap_without_cluster,
	  CONTENT_BROKEN, false },
	{ "last subcluster without a cluster", last_without_cluster,
	  CONTENT_BROKEN, false },
	{ "zero flag with subclusters", zero_flag_with_bitmap, CONTENT_SOUND,
	  true },
	{ "compressed cluster with subclusters", compressed_with_bitmap,
	  CONTENT_BROKEN, false },
};
const unsigned int nr_breakages = ARRAY_SIZE(breakages);
