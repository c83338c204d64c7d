// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One entry of an L2 table: its kind, its faults, its references.
 *
 * A compressed cluster refers to each host cluster that its sectors touch;
 * neighbours share those.  With an external data file, standard clusters are
 * not in this file and refer to nothing here.
 */
#include "qcow/check/check.h"

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

static int count_entry_run(struct check *check, const struct table *table,
			   uint64_t entry, uint64_t offset, uint64_t length,
			   unsigned int flags)
{
	if (check_is_inside(check, offset, length))
		return check_count_run(check, offset, length, table->references,
				       flags);
	check_lose_reference(check);
	check_corrupt(
		check,
		"ERROR L2 entry %#llx (table at %#llx): cluster at offset %#llx lies beyond the end of the file",
		(unsigned long long)entry, (unsigned long long)table->offset,
		(unsigned long long)offset);
	return check_count_behind(check, offset, length);
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
		check_lose_reference(check);
	else
		check->mendable = true;
	check_corrupt(
		check,
		"ERROR offset=%llx: %s cluster is not properly aligned; L2 entry corrupted",
		(unsigned long long)(entry & ENTRY_OFFSET),
		holds_data ? "Data" : "Preallocated");
}

/* In a data file each cluster has one place, and nobody shares it. */
static void judge_place(struct check *check, const struct table *table,
			uint64_t at, uint64_t entry)
{
	uint64_t size = check_cluster_size(check);
	uint64_t offset = entry & ENTRY_OFFSET;
	uint64_t per_table = size / check->entry_size;
	uint64_t place = (table->index * per_table + at / check->entry_size)
			 << check->header.cluster_bits;

	if (!(entry & ENTRY_COPIED)) {
		check->mendable = true;
		check_corrupt(
			check,
			"ERROR COPIED flag of a data cluster: entry=%llx lacks it, and the cluster is in the data file",
			(unsigned long long)entry);
	}
	if (is_aligned(offset, size) && offset != place)
		check_corrupt(
			check,
			"ERROR L2 entry %#llx: the place of its cluster in the data file is %#llx",
			(unsigned long long)entry, (unsigned long long)place);
}

/* Nothing is stored there, and a repair lets the entry go: so it does not lie
   over anything that a repair would have to leave alone. */
static bool is_to_go(const struct check *check, uint64_t entry, uint64_t bitmap)
{
	return check->options->repair == QCOW_REPAIR_ALL &&
	       !is_aligned(entry & ENTRY_OFFSET, check_cluster_size(check)) &&
	       !check_holds_data(check, entry, bitmap);
}

static int count_data(struct check *check, const struct table *table,
		      uint64_t at, uint64_t entry, uint64_t bitmap)
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
	if (check_has_data_file(check)) {
		judge_place(check, table, at, entry);
		return 0;
	}
	if (is_to_go(check, entry, bitmap)) {
		check_lose_reference(check);
		return 0;
	}
	if (table->active)
		flags |= entry & ENTRY_COPIED ? REFERENCE_COPIED :
						REFERENCE_PLAIN;
	check->copied_nowhere |= table->active && entry & ENTRY_COPIED &&
				 !check_is_there(check, entry & ENTRY_OFFSET);
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

/* With subclusters, only their bitmap tells which bytes are zero. */
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

int check_count_entry(struct check *check, const struct table *table,
		      uint64_t at, uint64_t entry, uint64_t bitmap)
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
		return count_data(check, table, at, entry, bitmap);
	case ENTRY_IS_UNALLOCATED:
		judge_unallocated(check, bitmap);
		break;
	case ENTRY_IS_ZERO:
		break;
	}
	return 0;
}
