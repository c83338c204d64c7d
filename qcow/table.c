/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * L2 tables: making one where the L1 table has none yet, and setting COPIED
 * where an entry lacks it though its count is one.
 *
 * A new table is written whole before the group that makes it reachable is
 * appended (R2); entries follow in groups of their own.  Nobody can enter
 * anything into a table that is not there, so makers of tables only have to
 * keep out of each other's way.
 */
#include <errno.h>
#include "internal.h"

/* Writes the table and makes it reachable, or gives its cluster back. */
static int fill_and_link(struct qcow_image *image, uint64_t l1_index,
			 struct qcow_reservation *r)
{
	uint64_t offset = r->first << image->cluster_bits;
	struct record entry = {
		.kind = RECORD_L1,
		.index = l1_index,
		.count = 1,
		.value = offset | ENTRY_COPIED,
	};
	struct record count = {
		.kind = RECORD_REFCOUNT,
		.index = r->first,
		.count = 1,
		.value = 1,
	};
	struct group group = { 0 };
	int ret;

	cache_forget(&image->cache, offset, cluster_size(image));
	image_io_begin(image);
	ret = file_write_zeroes(&image->file, offset, cluster_size(image));
	image_io_end(image);
	refcount_release(image, r, !ret);
	if (ret)
		return ret;
	group_add(&group, &entry);
	group_add(&group, &count);
	/* R2: the table is completely written. */
	checkpoint_append(image, &group);
	return 0;
}

static int reserve_cluster(struct qcow_image *image,
			   struct qcow_reservation *r)
{
	uint64_t cluster;
	struct need need;
	int ret;

	while ((ret = refcount_find_free(image, &cluster, &need)) == -EAGAIN) {
		ret = map_provide(image, &need);
		if (ret)
			return ret;
	}
	if (!ret)
		refcount_reserve(image, r, cluster);
	return ret;
}

static int create(struct qcow_image *image, uint64_t l1_index)
{
	struct qcow_reservation r = { 0 };
	int ret = checkpoint_wait_room(image, 5, 2);

	if (ret)
		return ret;
	ret = reserve_cluster(image, &r);
	checkpoint_release_room(image, 5, 2);
	if (ret)
		return ret;
	return fill_and_link(image, l1_index, &r);
}

int table_create(struct qcow_image *image, uint64_t l1_index)
{
	int ret = 0;

	while (image->table_busy)
		image_wait(image);
	if (map_l1_entry(image, l1_index))
		return 0;
	image->table_busy = true;
	ret = create(image, l1_index);
	image->table_busy = false;
	image_wake(image);
	return ret;
}

/* The count of what an entry points to, waiting for its slice. */
static int count_of(struct qcow_image *image, uint64_t entry, uint64_t *count)
{
	uint64_t cluster = (entry & ENTRY_OFFSET) >> image->cluster_bits;
	struct need need;
	int ret;

	while ((ret = refcount_get(image, cluster, count, &need)) == -EAGAIN) {
		ret = map_provide(image, &need);
		if (ret)
			return ret;
	}
	return ret;
}

static int entry_of(struct qcow_image *image, const struct need *need,
		    uint64_t *entry)
{
	struct cluster c;
	struct need more;
	int ret;

	if (need->l1) {
		*entry = map_l1_entry(image, need->index);
		return 0;
	}
	while ((ret = map_cluster(image, need->index, &c, &more)) == -EAGAIN) {
		ret = map_provide(image, &more);
		if (ret)
			return ret;
	}
	*entry = c.entry;
	return ret;
}

int table_set_copied(struct qcow_image *image, const struct need *need)
{
	struct record record = {
		.kind = need->l1 ? RECORD_L1 : RECORD_L2,
		.index = need->index,
		.count = 1,
	};
	struct group group = { 0 };
	uint64_t entry, count;
	int ret = checkpoint_wait_room(image, 3, 1);

	if (ret)
		return ret;
	ret = entry_of(image, need, &entry);
	if (!ret)
		ret = count_of(image, entry, &count);
	checkpoint_release_room(image, 3, 1);
	if (ret)
		return ret;
	if (!(entry & ENTRY_OFFSET) || entry & ENTRY_COPIED)
		return 0;	/* somebody was faster */
	/* Without snapshots nothing is shared. */
	if (count != 1)
		return -EIO;
	record.value = entry | ENTRY_COPIED;
	group_add(&group, &record);
	checkpoint_append(image, &group);
	return 0;
}
