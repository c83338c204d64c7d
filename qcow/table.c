// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * L2 tables: making one where the L1 table has none yet, and making one ours
 * that an internal snapshot uses, too.
 *
 * A new table or copy is written whole before the group that makes it reachable
 * is appended (R2).  No call enters anything into a table that is not there, or
 * that is shared.  So the contents do not change while the table is being made,
 * and the makers of tables only have to keep out of each other's way.  A table
 * that the active L1 table uses is never freed.
 */
#include <errno.h>
#include <stdlib.h>
#include "qcow/append.h"
#include "qcow/provide.h"
#include "qcow/table.h"

/* The costs of a new table: L1 entry, its count, the old one's count. */
#define ROOM_WORDS	 7
#define ROOM_ASSIGNMENTS 3

/* {L1[index] = table, refcount[table] = 1, refcount[old] = n - 1} */
static void append_table(struct qcow_image *image, uint64_t l1_index,
			 uint64_t cluster, const struct record *old)
{
	struct group group = { 0 };

	group_assign(&group, RECORD_L1, l1_index,
		     cluster << image->geometry.cluster_bits | ENTRY_COPIED);
	group_assign(&group, RECORD_REFCOUNT, cluster, 1);
	if (old->count)
		group_add(&group, old);
	/* R2: the table is completely written. */
	append_group(image, &group);
}

/* Drops the lock. */
static int write_table(struct qcow_image *image, uint64_t offset,
		       const void *entries)
{
	int ret;

	cache_forget(image, offset, cluster_size(image));
	image_io_begin(image);
	if (entries)
		ret = file_write(&image->file, entries, offset,
				 cluster_size(image));
	else
		ret = file_write_zeroes(&image->file, offset,
					cluster_size(image));
	image_io_end(image);
	return ret;
}

/* Writes a table, of zeros if entries is NULL, and makes it reachable in
   place of the old one, or gives its cluster back. */
static int place_table(struct qcow_image *image, uint64_t l1_index,
		       const void *entries, const struct record *old)
{
	struct qcow_reservation r = { 0 };
	int ret = append_wait_room(image, ROOM_WORDS, ROOM_ASSIGNMENTS);

	if (ret)
		return ret;
	ret = refcount_reserve_wait(image, &r);
	if (!ret) {
		ret = write_table(image,
				  r.first << image->geometry.cluster_bits,
				  entries);
		refcount_release(image, &r, !ret);
	}
	append_release_room(image, ROOM_WORDS, ROOM_ASSIGNMENTS);
	if (!ret)
		append_table(image, l1_index, r.first, old);
	return ret;
}

int table_create(struct qcow_image *image, uint64_t l1_index)
{
	const struct record none = { 0 };
	int ret = 0;

	turn_take(&image->table_turn, &image->lock);
	if (!(cluster_l1_entry(image, l1_index) & ENTRY_OFFSET))
		ret = place_table(image, l1_index, NULL, &none);
	turn_end(&image->table_turn);
	return ret;
}

/* The count is one already: the entry lacks only the flag. */
static int set_copied(struct qcow_image *image, uint64_t l1_index,
		      uint64_t entry)
{
	struct group group = { 0 };
	int ret = append_wait_room(image, 3, 1);

	if (ret)
		return ret;
	append_release_room(image, 3, 1);
	group_assign(&group, RECORD_L1, l1_index, entry | ENTRY_COPIED);
	append_group(image, &group);
	return 0;
}

static int copy_table(struct qcow_image *image, uint64_t l1_index,
		      uint64_t entry, uint64_t count)
{
	uint64_t offset = entry & ENTRY_OFFSET;
	const struct record old = {
		.kind = RECORD_REFCOUNT,
		.index = offset >> image->geometry.cluster_bits,
		.count = 1,
		.value = count - 1,
	};
	void *entries = file_buffer(cluster_size(image));
	int ret;

	if (!entries)
		return -ENOMEM;
	/* A shared table has no entries in a dirty set: the file's bytes are
	   all there is to it. */
	image_io_begin(image);
	ret = file_read(&image->file, entries, offset, cluster_size(image));
	image_io_end(image);
	if (!ret)
		ret = place_table(image, l1_index, entries, &old);
	free(entries);
	return ret;
}

static int make_own(struct qcow_image *image, uint64_t l1_index)
{
	uint64_t entry = cluster_l1_entry(image, l1_index);
	uint64_t count;
	int ret;

	if (entry & ENTRY_COPIED)
		return 0; /* somebody was faster */
	ret = refcount_get_wait(
		image, (entry & ENTRY_OFFSET) >> image->geometry.cluster_bits,
		&count);
	if (ret)
		return ret;
	if (!count)
		return -EUCLEAN;
	if (count == 1)
		return set_copied(image, l1_index, entry);
	return copy_table(image, l1_index, entry, count);
}

int table_own(struct qcow_image *image, uint64_t l1_index)
{
	int ret;

	turn_take(&image->table_turn, &image->lock);
	ret = make_own(image, l1_index);
	turn_end(&image->table_turn);
	return ret;
}
