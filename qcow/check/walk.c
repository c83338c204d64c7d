// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every reference to a host cluster, counted: header, L1 tables of the disk
 * and of its snapshots, the L2 tables in them, data, compressed data, the
 * snapshot table, refcount table and blocks, bitmaps, the encryption header.
 *
 * Entries are judged on the way: reserved bits, alignment, the end of the
 * file, subcluster bitmaps.  entry.c has the entries of L2 tables,
 * reference.c the references that cannot be followed.
 */
#include "qcow/check/check.h"

#define L1_RESERVED	0x7f000000000001ffull
#define BITMAP_RESERVED 0xff000000000001feull
#define BITMAP_ALL_ONES 1ull

/* Roots and areas were judged when they were found. */
static int count_area(struct check *check, uint64_t offset, uint64_t length)
{
	if (!length)
		return 0;
	return check_count_run(check, offset, length, 1, REFERENCE_OWN);
}

/* Statistics, of the active layer only; a cluster is fragmented if it does not
   follow the cluster before it in the same table. */
static void note_allocated(struct check *check, uint64_t entry,
			   uint64_t *expected)
{
	enum entry_kind kind = check_entry_kind(check, entry);
	uint64_t offset = entry & ENTRY_OFFSET;

	if (!check->reporting || check->quiet)
		return;
	if (kind != ENTRY_IS_DATA && kind != ENTRY_IS_COMPRESSED)
		return;
	check->result.allocated_clusters++;
	if (kind == ENTRY_IS_COMPRESSED) {
		check->result.compressed_clusters++;
		check->result.fragmented_clusters++;
		return;
	}
	if (*expected && offset != *expected)
		check->result.fragmented_clusters++;
	*expected = offset + check_cluster_size(check);
}

static int count_table(struct check *check, const struct table *table)
{
	bool subclusters = check_has_subclusters(check);
	uint64_t expected = 0, told = check->result.corruptions;

	for (uint64_t at = 0; at < check_cluster_size(check);
	     at += check->entry_size) {
		uint64_t entry = load_be64(check->table + at);
		uint64_t bitmap = subclusters ?
					  load_be64(check->table + at + 8) :
					  0;
		int ret;

		if (!entry && !bitmap)
			continue;
		if (table->active)
			note_allocated(check, entry, &expected);
		ret = check_count_entry(check, table, at, entry, bitmap);
		if (ret)
			return ret;
	}
	check->malformed |= check->result.corruptions != told;
	return 0;
}

static int count_l1_entry(struct check *check, const struct root *root,
			  uint32_t index, uint64_t entry)
{
	uint64_t offset = entry & ENTRY_OFFSET;
	uint64_t size = check_cluster_size(check);
	unsigned int flags = REFERENCE_TABLE;
	const char *what = NULL;

	if (entry & L1_RESERVED)
		check_corrupt(check,
			      "ERROR L1 entry with reserved bits set: %llx",
			      (unsigned long long)entry);
	/* The entry leads nowhere; copied.c tells of its flag. */
	check->copied_nowhere |= !offset && entry & ENTRY_COPIED;
	if (!offset)
		return 0;
	if (!is_aligned(offset, size))
		what = "is not cluster aligned";
	else if (!check_is_inside(check, offset, size))
		what = "lies beyond the end of the file";
	if (what) {
		check_lose_reference(check);
		check_corrupt(
			check,
			"ERROR L1 entry %u: the L2 table at offset %#llx %s; L1 entry corrupted",
			index, (unsigned long long)offset, what);
	}
	check->copied_nowhere |= entry & ENTRY_COPIED &&
				 !check_is_there(check, offset);
	if (!check_is_inside(check, offset, size))
		return check_count_behind(check, offset, size);
	if (root->kind == ROOT_ACTIVE && !what)
		flags |= entry & ENTRY_COPIED ? REFERENCE_COPIED :
						REFERENCE_PLAIN;
	return check_count_run(check, offset, size, 1, flags);
}

static int count_l1(struct check *check, const struct root *root,
		    uint32_t index, uint8_t *entries, uint32_t count)
{
	uint64_t told = check->result.corruptions;

	for (uint32_t i = 0; i < count; i++) {
		uint64_t entry = load_be64(entries + i * 8);
		int ret;

		if (!entry)
			continue;
		ret = count_l1_entry(check, root, index + i, entry);
		if (ret)
			return ret;
	}
	check->malformed |= check->result.corruptions != told;
	return 0;
}

static int count_bitmap_entry(struct check *check, const struct root *root,
			      uint64_t entry)
{
	uint64_t offset = entry & ENTRY_OFFSET;
	uint64_t size = check_cluster_size(check);

	if (!(entry & BITMAP_RESERVED) && is_aligned(offset, size) &&
	    !(offset && entry & BITMAP_ALL_ONES) &&
	    check_is_inside(check, offset, size))
		return count_area(check, offset, offset ? size : 0);
	check_lose_reference(check);
	check->bitmaps_broken = true;
	check_corrupt(check, "ERROR bitmap %u: malformed table entry %llx",
		      root->number, (unsigned long long)entry);
	return 0;
}

static int count_bitmap(struct check *check, const struct root *root,
			uint32_t index, uint8_t *entries, uint32_t count)
{
	int ret = 0;

	(void)index;
	for (uint32_t i = 0; i < count && !ret; i++)
		ret = count_bitmap_entry(check, root,
					 load_be64(entries + i * 8));
	return ret;
}

static int count_areas(struct check *check)
{
	int ret = 0;

	for (unsigned int i = 0; i < check->nr_areas && !ret; i++)
		ret = count_area(check, check->areas[i].offset,
				 check->areas[i].length);
	for (uint32_t i = 0; i < check->nr_roots && !ret; i++)
		ret = count_area(check, check->roots[i].offset,
				 check->roots[i].entries * 8ull);
	return ret;
}

int check_count(struct check *check, uint64_t first)
{
	int ret;

	counts_begin(&check->counts, first);
	check->copied_nowhere = false;
	/* The walk finds the same in every window. */
	check->quiet = first;
	ret = count_areas(check);
	if (!ret)
		ret = check_count_blocks(check);
	if (!ret)
		ret = check_each_root(check, ROOT_ACTIVE, ROOT_SNAPSHOT,
				      count_l1);
	if (!ret)
		ret = check_each_root(check, ROOT_BITMAP, ROOT_BITMAP,
				      count_bitmap);
	if (!ret)
		ret = check_each_table(check, count_table);
	check->quiet = false;
	return ret;
}

int check_count_all_behind(struct check *check, uint64_t first)
{
	int ret;

	counts_begin(&check->counts, first);
	check->seeking = true;
	check->quiet = true;
	ret = check_each_root(check, ROOT_ACTIVE, ROOT_SNAPSHOT, count_l1);
	if (!ret)
		ret = check_each_table(check, count_table);
	check->seeking = false;
	check->quiet = false;
	return ret;
}
