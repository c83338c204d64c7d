// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Growth of the refcounts: new blocks, and a larger table for them.
 *
 * Growth is not journaled (R10).  A new block stands at the beginning of the
 * range that it describes, and counts itself.  Until its table entry is
 * written, the block and its range do not exist.  So death or power loss at any
 * point leaves the image as it was.
 *
 * A larger table is laid into the area behind all that the old one can
 * describe, together with the blocks for that area:
 *
 *	| old table's reach ... | new table | blocks for this area | free ...
 *
 * The new table is in force when the header names it.  Giving the old table's
 * clusters back is a change of refcounts, and goes through the journal.  The
 * same group has the header's new value, so that a replay finishes the move
 * before it writes anything that relies on the new table.
 *
 * With small clusters a block does not reach far: several blocks are made at
 * once, for one sync.
 */
#include <errno.h>
#include <stdlib.h>
#include "qcow/append.h"
#include "qcow/cluster.h"
#include "qcow/refcount.h"

/* Blocks are made for about this much of the file at once. */
#define REACH_AHEAD (4ull << 20)
#define MAX_BLOCKS  64u

/* R1: bytes may stay there even if the growth fails, and another one may be
   laid out otherwise. */
static void soil(struct qcow_image *image, uint64_t end)
{
	shared_put(image->allocator.high_water,
		   max_u64(image->allocator.high_water, end));
}

/* A refcount block that counts one for its first clusters. */
static int write_block(struct qcow_image *image, uint64_t offset, uint64_t ones)
{
	uint64_t size = cluster_size(image);
	void *block = file_buffer(size);
	int ret;

	if (!block)
		return -ENOMEM;
	memset(block, 0, size);
	for (uint64_t i = 0; i < ones; i++)
		refcount_put_in_slice(image, block, i, 1);
	slice_swap(SLICE_REFCOUNT, image->geometry.refcount_order, block, size);
	ret = file_write(&image->file, block, offset, size);
	free(block);
	return ret;
}

/* Where a block stands that describes its own range. */
static uint64_t block_offset(const struct qcow_image *image, uint64_t index)
{
	return index << (image->geometry.block_bits +
			 image->geometry.cluster_bits);
}

/* Writes the entries of new blocks, and the entries around them as memory has
   them. */
static int write_entries(struct qcow_image *image, uint64_t index,
			 unsigned int count)
{
	uint64_t unit = image->cache.slice_size;
	uint64_t start = round_down(index * 8, unit);
	uint64_t end = round_up((index + count) * 8, unit);
	uint8_t *bytes = file_buffer(end - start);
	int ret;

	if (!bytes)
		return -ENOMEM;
	for (uint64_t i = start / 8; i < end / 8; i++)
		store_be64(bytes + i * 8 - start,
			   i - index < count ?
				   block_offset(image, i) :
				   image->allocator.refcount_table[i]);
	ret = file_write(&image->file, bytes,
			 image->header.refcount_table_offset + start,
			 end - start);
	free(bytes);
	return ret;
}

/* How many blocks to make from this index on. */
static unsigned int blocks_ahead(const struct qcow_image *image, uint64_t index)
{
	uint64_t reach = block_offset(image, 1);
	uint64_t wanted = min_u64(MAX_BLOCKS, max_u64(1, REACH_AHEAD / reach));
	unsigned int n = 0;

	while (n < wanted && index + n < image->allocator.refcount_table_size &&
	       !image->allocator.refcount_table[index + n] &&
	       (index + n) << image->geometry.block_bits <
		       image->allocator.max_clusters)
		n++;
	return n;
}

/* R10: the blocks, a sync, their table entries. */
static int write_blocks(struct qcow_image *image, uint64_t index,
			unsigned int count)
{
	int ret;

	for (unsigned int i = 0; i < count; i++) {
		ret = write_block(image, block_offset(image, index + i), 1);
		if (ret)
			return ret;
	}
	ret = file_sync(&image->file);
	if (ret)
		return ret;
	return write_entries(image, index, count);
}

static int add_blocks(struct qcow_image *image, uint64_t index)
{
	unsigned int count = blocks_ahead(image, index);
	int ret;

	if (!count)
		return -ENOSPC;
	/* A block is missing that counted this table: the image is broken,
	   and the new block would overwrite it.  Place 0 has the header. */
	for (unsigned int i = 0; i < count; i++)
		if (cluster_is_table(image, block_offset(image, index + i)))
			return -EUCLEAN;
	soil(image, ((index + count - 1) << image->geometry.block_bits) + 1);
	image_io_begin(image);
	ret = write_blocks(image, index, count);
	image_io_end(image);
	if (ret)
		return ret;
	/* Only now are they used. */
	for (uint64_t i = index; i < index + count; i++) {
		cache_forget(image, block_offset(image, i),
			     cluster_size(image));
		image->allocator.refcount_table[i] = block_offset(image, i);
	}
	return 0;
}

/* ---- a larger table ---- */

struct move {
	uint64_t first; /* cluster of the new table */
	uint64_t table_clusters;
	uint64_t blocks; /* behind the table, for this area */
	uint64_t *table;
	uint64_t table_size; /* entries */
};

/* Twice the old table, or more where that is too small for the blocks. */
static void plan_size(const struct qcow_image *image, uint64_t spare,
		      struct move *move)
{
	uint64_t old_size = image->allocator.refcount_table_size;
	uint64_t reach = 1ull << image->geometry.block_bits;

	move->table_clusters = old_size * 8 >> image->geometry.cluster_bits;
	do {
		move->table_clusters *= 2;
		move->table_size = move->table_clusters
					   << image->geometry.cluster_bits >>
				   3;
		move->blocks = 1;
		while (move->blocks * reach <
		       move->table_clusters + move->blocks + spare)
			move->blocks++;
	} while (move->table_size < old_size + move->blocks);
}

/* The blocks describe so many spare clusters behind them, too. */
static int plan_move(const struct qcow_image *image, uint64_t spare,
		     struct move *move)
{
	uint64_t old_size = image->allocator.refcount_table_size;

	*move = (struct move){
		.first = old_size << image->geometry.block_bits,
	};
	plan_size(image, spare, move);
	if (move->table_size * 8ull > MAX_REFCOUNT_TABLE_BYTES)
		return -EFBIG;
	if (move->first + move->table_clusters + move->blocks + spare >
	    image->allocator.max_clusters)
		return -ENOSPC;
	move->table = calloc(move->table_size, sizeof(uint64_t));
	if (!move->table)
		return -ENOMEM;
	memcpy(move->table, image->allocator.refcount_table, old_size * 8);
	for (uint64_t i = 0; i < move->blocks; i++)
		move->table[old_size + i] =
			(move->first + move->table_clusters + i)
			<< image->geometry.cluster_bits;
	return 0;
}

static int write_new_blocks(struct qcow_image *image, const struct move *move)
{
	uint64_t reach = 1ull << image->geometry.block_bits;
	uint64_t used = move->table_clusters + move->blocks;
	int ret = 0;

	for (uint64_t i = 0; i < move->blocks && !ret; i++) {
		uint64_t ones = min_u64(reach, used - min_u64(used, i * reach));

		ret = write_block(
			image,
			move->table[image->allocator.refcount_table_size + i],
			ones);
	}
	return ret;
}

/* Everything that only the new table describes; nobody sees it yet. */
static int write_area(struct qcow_image *image, const struct move *move)
{
	int ret;

	ret = file_write_entries(&image->file, move->table, move->table_size,
				 move->first << image->geometry.cluster_bits);
	if (!ret)
		ret = write_new_blocks(image, move);
	return ret ? ret : file_sync(&image->file);
}

/* {header = new table, refcount[old table] = 0} */
static void append_move(struct qcow_image *image, const struct move *move)
{
	struct record table = {
		.kind = RECORD_REFCOUNT_TABLE,
		.index = move->table_clusters,
		.count = 1,
		.value = move->first << image->geometry.cluster_bits,
	};
	struct record old = {
		.kind = RECORD_REFCOUNT,
		.index = image->header.refcount_table_offset >>
			 image->geometry.cluster_bits,
	};
	uint64_t left = image->header.refcount_table_clusters;
	struct group group = { 0 };

	group_add(&group, &table);
	for (; left; left -= old.count, old.index += old.count) {
		old.count = min_u64(left, GROUP_RUN);
		group_add(&group, &old);
	}
	append_group(image, &group);
}

static void switch_table(struct qcow_image *image, struct move *move)
{
	uint64_t end = move->first + move->table_clusters + move->blocks;

	append_move(image, move);
	cache_forget(image, move->first << image->geometry.cluster_bits,
		     (end - move->first) << image->geometry.cluster_bits);
	free(image->allocator.refcount_table);
	image->allocator.refcount_table = move->table;
	shared_put(image->allocator.refcount_table_size, move->table_size);
	move->table = NULL;
}

/* Where the spare clusters begin is stored in *end. */
static int move_table(struct qcow_image *image, uint64_t spare, uint64_t *end)
{
	uint64_t old_clusters = image->header.refcount_table_clusters;
	uint64_t words = 3 + 2 * div_round_up(old_clusters, GROUP_RUN);
	struct move move;
	int ret = append_wait_room(image, words, old_clusters);

	if (ret)
		return ret;
	ret = plan_move(image, spare, &move);
	if (!ret) {
		soil(image, move.first + move.table_clusters + move.blocks);
		image_io_begin(image);
		ret = write_area(image, &move);
		image_io_end(image);
	} else {
		move.table = NULL;
	}
	append_release_room(image, words, old_clusters);
	if (!ret)
		switch_table(image, &move);
	free(move.table);
	*end = move.first + move.table_clusters + move.blocks;
	return ret ? ret : grow_write_header(image);
}

int grow_write_header(struct qcow_image *image)
{
	int ret = 0;

	image_take_header(image);
	if (image->allocator.table_moved) {
		image_io_begin(image);
		ret = header_write_refcount_table(&image->file, &image->header,
						  &image->life.area);
		image_io_end(image);
		if (!ret)
			image->allocator.table_moved = false;
	}
	image_release_header(image);
	return ret;
}

static int grow(struct qcow_image *image, uint64_t index)
{
	uint64_t end;

	if (image->allocator.table_moved)
		return grow_write_header(image);
	if (index >= image->allocator.refcount_table_size)
		return move_table(image, 0, &end);
	if (!image->allocator.refcount_table[index])
		return add_blocks(image, index);
	return 0;
}

int grow_refcounts(struct qcow_image *image, uint64_t index)
{
	int ret;

	turn_take(&image->allocator.grow_turn, &image->lock);
	ret = grow(image, index);
	turn_end(&image->allocator.grow_turn);
	return ret;
}

int grow_run(struct qcow_image *image, uint64_t clusters, uint64_t *first)
{
	int ret = 0;

	turn_take(&image->allocator.grow_turn, &image->lock);
	if (image->allocator.table_moved)
		ret = grow_write_header(image);
	if (!ret)
		ret = move_table(image, clusters, first);
	turn_end(&image->allocator.grow_turn);
	return ret;
}
