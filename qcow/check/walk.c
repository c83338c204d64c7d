// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every reference to a host cluster, counted: header, L1 tables of the disk
 * and of its snapshots, the L2 tables in them, data, compressed data, the
 * snapshot table, refcount table and blocks, bitmaps, the encryption header.
 *
 * Entries are judged on the way: reserved bits, alignment, the end of the
 * file, subcluster bitmaps.  An entry that cannot be followed makes the walk
 * incomplete: what it once referred to is not known, so a repair must not
 * take counts away.
 *
 * A compressed cluster refers to each host cluster that its sectors touch;
 * neighbours share those.  With an external data file, standard clusters are
 * not in this file and refer to nothing here.
 */
#include "qcow/check/check.h"

#define L1_RESERVED	0x7f000000000001ffull
#define BITMAP_RESERVED 0xff000000000001feull
#define BITMAP_ALL_ONES 1ull

/* The last cluster may be cut by the end of the file, and a compressed
   cluster's last sectors may lie behind it. */
bool check_is_inside(const struct check *check, uint64_t offset,
		     uint64_t length)
{
	uint64_t end;

	if (__builtin_add_overflow(offset, length, &end))
		return false;
	return end <= check->file_size ||
	       end - check->file_size < check_cluster_size(check);
}

/* Every cluster that a run of bytes touches; false: it leaves the file. */
static int count_run(struct check *check, uint64_t offset, uint64_t length,
		     uint64_t references, unsigned int flags)
{
	uint32_t bits = check->header.cluster_bits;
	uint64_t first = offset >> bits, last = (offset + length - 1) >> bits;

	check->clusters = max_u64(check->clusters, last + 1);
	check->highest = max_u64(check->highest, last);
	first = max_u64(first, check->counts.first);
	last = min_u64(last, check->counts.limit - 1);
	for (uint64_t cluster = first; cluster <= last; cluster++) {
		int ret = counts_add(&check->counts, cluster, references,
				     flags);

		if (ret)
			return ret;
	}
	return 0;
}

/* Roots and areas were judged when they were found. */
static int count_area(struct check *check, uint64_t offset, uint64_t length)
{
	if (!length)
		return 0;
	return count_run(check, offset, length, 1, REFERENCE_OWN);
}

/* ---- L2 entries ---- */

enum entry_kind check_entry_kind(const struct check *check, uint64_t entry)
{
	bool has_offset = entry & ENTRY_OFFSET;

	if (entry & ENTRY_COMPRESSED)
		return ENTRY_IS_COMPRESSED;
	if (!check_has_subclusters(check) && entry & ENTRY_ZERO)
		return has_offset ? ENTRY_IS_DATA : ENTRY_IS_ZERO;
	/* In an external file, offset 0 is an offset. */
	if (check_has_data_file(check) && entry & ENTRY_COPIED)
		has_offset = true;
	return has_offset ? ENTRY_IS_DATA : ENTRY_IS_UNALLOCATED;
}

/* Where it lies is unknown: what it refers to cannot be counted. */
static void lost_reference(struct check *check)
{
	check->incomplete = true;
}

static int count_entry_run(struct check *check, const struct table *table,
			   uint64_t entry, uint64_t offset, uint64_t length,
			   unsigned int flags)
{
	if (check_is_inside(check, offset, length))
		return count_run(check, offset, length, table->references,
				 flags);
	lost_reference(check);
	check_corrupt(
		check,
		"ERROR L2 entry %#llx (table at %#llx): cluster at offset %#llx lies beyond the end of the file",
		(unsigned long long)entry, (unsigned long long)table->offset,
		(unsigned long long)offset);
	return 0;
}

static int count_compressed(struct check *check, const struct table *table,
			    uint64_t entry, uint64_t bitmap)
{
	unsigned int size_bits = check->header.cluster_bits - 8;
	unsigned int shift = 62 - size_bits;
	uint64_t offset = entry & ((1ull << shift) - 1);
	uint64_t sectors = (entry >> shift & ((1ull << size_bits) - 1)) + 1;
	uint64_t length = sectors * QCOW_SECTOR - offset % QCOW_SECTOR;

	if (entry & ENTRY_COPIED) {
		check->mendable = true;
		check_corrupt(
			check,
			"ERROR L2 entry %#llx: a compressed cluster must not have COPIED set",
			(unsigned long long)entry);
	}
	if (bitmap)
		check_corrupt(
			check,
			"ERROR L2 entry %#llx: a compressed cluster with a subcluster bitmap",
			(unsigned long long)entry);
	if (check_has_data_file(check)) {
		check_corrupt(
			check,
			"ERROR L2 entry %#llx: a compressed cluster in an image with a data file",
			(unsigned long long)entry);
		return 0;
	}
	return count_entry_run(check, table, entry, offset, length,
			       REFERENCE_DATA);
}

bool check_holds_data(const struct check *check, uint64_t entry,
		      uint64_t bitmap)
{
	return check_has_subclusters(check) ? bitmap & ALL_SUBCLUSTERS :
					      !(entry & ENTRY_ZERO);
}

static void judge_alignment(struct check *check, uint64_t entry,
			    uint64_t bitmap)
{
	bool holds_data = check_holds_data(check, entry, bitmap);

	if (is_aligned(entry & ENTRY_OFFSET, check_cluster_size(check)))
		return;
	if (holds_data)
		lost_reference(check);
	else
		check->mendable = true;
	check_corrupt(
		check,
		"ERROR offset=%llx: %s cluster is not properly aligned; L2 entry corrupted",
		(unsigned long long)(entry & ENTRY_OFFSET),
		holds_data ? "Data" : "Preallocated");
}

static bool is_there(const struct check *check, uint64_t offset)
{
	return check_is_inside(check, offset, check_cluster_size(check));
}

static int count_data(struct check *check, const struct table *table,
		      uint64_t entry, uint64_t bitmap)
{
	unsigned int flags = REFERENCE_DATA;

	if (bitmap >> 32 & bitmap) {
		check->mendable = true;
		check_corrupt(
			check,
			"ERROR offset=%llx: allocated cluster with corrupted subcluster allocation bitmap",
			(unsigned long long)(entry & ENTRY_OFFSET));
	}
	judge_alignment(check, entry, bitmap);
	if (check_has_data_file(check))
		return 0;
	if (table->active)
		flags |= entry & ENTRY_COPIED ? REFERENCE_COPIED :
						REFERENCE_PLAIN;
	check->copied_nowhere |= table->active && entry & ENTRY_COPIED &&
				 !is_there(check, entry & ENTRY_OFFSET);
	return count_entry_run(check, table, entry, entry & ENTRY_OFFSET,
			       check_cluster_size(check), flags);
}

static void judge_unallocated(struct check *check, uint64_t bitmap)
{
	if (!(bitmap & ALL_SUBCLUSTERS))
		return;
	check->mendable = true;
	check_corrupt(
		check,
		"ERROR unallocated cluster has a non-zero subcluster allocation map");
}

/* With subclusters, their bitmap alone says what is zero. */
static void judge_zero_flag(struct check *check, enum entry_kind kind,
			    uint64_t entry)
{
	if (!check_has_subclusters(check) || kind == ENTRY_IS_COMPRESSED ||
	    !(entry & ENTRY_ZERO))
		return;
	check->mendable = true;
	check_corrupt(
		check,
		"ERROR L2 entry %#llx: the flag of a zero cluster beside a subcluster bitmap",
		(unsigned long long)entry);
}

static int count_entry(struct check *check, const struct table *table,
		       uint64_t entry, uint64_t bitmap)
{
	enum entry_kind kind = check_entry_kind(check, entry);

	if (kind != ENTRY_IS_COMPRESSED && entry & L2_RESERVED)
		check_corrupt(check,
			      "ERROR L2 entry with reserved bits set: %llx",
			      (unsigned long long)entry);
	judge_zero_flag(check, kind, entry);
	switch (kind) {
	case ENTRY_IS_COMPRESSED:
		return count_compressed(check, table, entry, bitmap);
	case ENTRY_IS_DATA:
		return count_data(check, table, entry, bitmap);
	case ENTRY_IS_UNALLOCATED:
		judge_unallocated(check, bitmap);
		break;
	case ENTRY_IS_ZERO:
		break;
	}
	return 0;
}

/* Statistics, of the active layer only; fragmented is what does not follow
   the cluster before it in the same table. */
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
		ret = count_entry(check, table, entry, bitmap);
		if (ret)
			return ret;
	}
	check->malformed |= check->result.corruptions != told;
	return 0;
}

/* ---- roots ---- */

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
	/* It leads nowhere; copied.c tells of its flag. */
	check->copied_nowhere |= !offset && entry & ENTRY_COPIED;
	if (!offset)
		return 0;
	if (!is_aligned(offset, size))
		what = "is not cluster aligned";
	else if (!check_is_inside(check, offset, size))
		what = "lies beyond the end of the file";
	if (what) {
		lost_reference(check);
		check_corrupt(
			check,
			"ERROR L1 entry %u: the L2 table at offset %#llx %s; L1 entry corrupted",
			index, (unsigned long long)offset, what);
	}
	check->copied_nowhere |= entry & ENTRY_COPIED &&
				 !is_there(check, offset);
	if (!check_is_inside(check, offset, size))
		return 0;
	if (root->kind == ROOT_ACTIVE && !what)
		flags |= entry & ENTRY_COPIED ? REFERENCE_COPIED :
						REFERENCE_PLAIN;
	return count_run(check, offset, size, 1, flags);
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
	lost_reference(check);
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
	/* What the walk finds, it finds in every window. */
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
