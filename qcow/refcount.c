// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Refcounts: the present count of a host cluster, and which clusters are free
 * to be taken.
 *
 * A cluster is free if the file counts zero references to it, no dirty set
 * names it and no write in flight has reserved it.  The second condition is
 * R9: a cluster that was freed stands in a dirty set, with a count of zero,
 * until the checkpoint that made its unlinking durable is complete; before
 * that nobody may have it.  After a replay it stands there again.
 *
 * The search begins at the cursor, below which nothing free is known, and
 * goes upwards, past stretches that are known to be full (stretches.c).  It
 * starts out at the file's end, so that the first writes after an open need not
 * wait for a search through all blocks; a sweep (sweep.c) finds the first free
 * cluster meanwhile, and the checkpoint lowers the cursor to those that it
 * frees.
 */
#include <assert.h>
#include <errno.h>
#include "qcow/ahead.h"
#include "qcow/cluster.h"
#include "qcow/refcount.h"

/* How many counts one call looks at: it may be on a queue's thread.  To look
   closer at a cluster takes as long as LOOK counts do. */
#define SCAN_LIMIT 16384u
#define LOOK	   16u

uint64_t refcount_max(const struct qcow_image *image)
{
	unsigned int bits = 1u << image->geometry.refcount_order;

	return bits == 64 ? UINT64_MAX : (1ull << bits) - 1;
}

uint64_t refcount_in_slice(const struct qcow_image *image, const void *data,
			   uint64_t index)
{
	unsigned int order = image->geometry.refcount_order;

	switch (order) {
	case 6:
		return ((const uint64_t *)data)[index];
	case 5:
		return ((const uint32_t *)data)[index];
	case 4:
		return ((const uint16_t *)data)[index];
	}
	/* Several in a byte, the first in its lowest bits. */
	return ((const uint8_t *)data)[index >> (3 - order)] >>
		       ((index << order) & 7) &
	       refcount_max(image);
}

void refcount_put_in_slice(const struct qcow_image *image, void *data,
			   uint64_t index, uint64_t count)
{
	unsigned int order = image->geometry.refcount_order;
	unsigned int shift = (index << order) & 7;
	uint8_t *byte;

	assert(count <= refcount_max(image));
	switch (order) {
	case 6:
		shared_put(((uint64_t *)data)[index], count);
		return;
	case 5:
		shared_put(((uint32_t *)data)[index], count);
		return;
	case 4:
		shared_put(((uint16_t *)data)[index], count);
		return;
	}
	byte = (uint8_t *)data + (index >> (3 - order));
	shared_put(*byte,
		   (*byte & ~(refcount_max(image) << shift)) | count << shift);
}

int refcount_locate(const struct qcow_image *image, uint64_t cluster,
		    uint64_t *offset, uint64_t *index)
{
	uint64_t table_index = cluster >> image->geometry.block_bits;
	uint64_t in_block = cluster &
			    ((1ull << image->geometry.block_bits) - 1);
	uint64_t byte = in_block << image->geometry.refcount_order >> 3;
	uint64_t start = round_down(byte, image->cache.slice_size);

	if (table_index >= image->allocator.refcount_table_size ||
	    !image->allocator.refcount_table[table_index])
		return -ENOENT;
	*offset = image->allocator.refcount_table[table_index] + start;
	*index = in_block - (start << 3 >> image->geometry.refcount_order);
	return 0;
}

uint64_t refcounts_in_slice(const struct qcow_image *image)
{
	return (uint64_t)image->cache.slice_size << 3 >>
	       image->geometry.refcount_order;
}

uint64_t refcount_reach(const struct qcow_image *image, uint64_t size)
{
	const uint64_t blocks = MAX_REFCOUNT_TABLE_BYTES / sizeof(uint64_t);

	return min_u64(size >> image->geometry.cluster_bits,
		       blocks << image->geometry.block_bits);
}

void refcount_begin(struct qcow_image *image)
{
	image->allocator.stretches.bits = __builtin_ctzll(
		refcounts_in_slice(image));
}

/* The count in the dirty sets, if they have one. */
static bool dirty_count(const struct qcow_image *image, uint64_t cluster,
			uint64_t *count)
{
	uint64_t key = dirty_key(KEY_REFCOUNT, cluster);

	return dirty_get(&image->dirty.active, key, count) ||
	       (image->dirty.freezing &&
		dirty_get(&image->dirty.frozen, key, count));
}

static int needs_slice(struct qcow_image *image, uint64_t offset,
		       struct need *need)
{
	*need = (struct need){
		.kind = NEED_SLICE,
		.type = SLICE_REFCOUNT,
		.index = offset,
		.image = image,
	};
	return NEEDS_MORE;
}

/* The count in the file; 0 where the file has no block. */
static int file_count(struct qcow_image *image, uint64_t cluster,
		      uint64_t *count, struct need *need)
{
	uint64_t offset, index;
	struct slice *slice;

	*count = 0;
	if (refcount_locate(image, cluster, &offset, &index))
		return 0;
	slice = cache_find(&image->cache, SLICE_REFCOUNT, offset);
	if (!slice)
		return needs_slice(image, offset, need);
	*count = refcount_in_slice(image, slice->data, index);
	return 0;
}

int refcount_get(struct qcow_image *image, uint64_t cluster, uint64_t *count,
		 struct need *need)
{
	if (dirty_count(image, cluster, count))
		return 0;
	return file_count(image, cluster, count, need);
}

static bool is_reserved(const struct qcow_image *image, uint64_t cluster)
{
	const struct qcow_reservation *head = &image->allocator.reservations,
				      *r;

	/* Nothing beyond the mark was ever reserved. */
	if (cluster >= image->allocator.high_water)
		return false;
	for (r = head->next; r != head; r = r->next)
		if (cluster - r->first < r->count)
			return true;
	return false;
}

/* Of a cluster that the file does not count. */
static bool is_free(const struct qcow_image *image, uint64_t cluster)
{
	uint64_t count;

	if (dirty_count(image, cluster, &count))
		return false; /* R9: even if the count is zero */
	/* A count of zero for the header or a table is a lie. */
	return !is_reserved(image, cluster) &&
	       !cluster_is_table(image,
				 cluster << image->geometry.cluster_bits);
}

/* May the cluster be taken at all: does a block describe it? */
static int check_described(struct qcow_image *image, uint64_t cluster,
			   struct need *need)
{
	uint64_t offset, index;

	if (cluster >= image->allocator.max_clusters)
		return -ENOSPC;
	/* R10: a block's range is used only when the block is in place; a
	   moved table counts only when the header says so. */
	if (!refcount_locate(image, cluster, &offset, &index) &&
	    !image->allocator.table_moved)
		return 0;
	*need = (struct need){
		.kind = NEED_BLOCK,
		.index = cluster >> image->geometry.block_bits,
		.image = image,
	};
	return NEEDS_MORE;
}

/* The counts from *at on that are in one slice: moves *at to the first free
   cluster, or behind them. */
static int search_slice(struct qcow_image *image, uint64_t *at, bool *found,
			unsigned int *steps, struct need *need)
{
	uint64_t end = image->allocator.max_clusters, offset, index;
	struct slice *slice;

	if (refcount_locate(image, *at, &offset, &index))
		return -EIO;
	slice = cache_find(&image->cache, SLICE_REFCOUNT, offset);
	if (!slice)
		return needs_slice(image, offset, need);
	end = min_u64(end, *at + refcounts_in_slice(image) - index);
	for (; *at < end; ++*at, ++index, ++*steps) {
		if (refcount_in_slice(image, slice->data, index))
			continue;
		*found = is_free(image, *at);
		if (*found)
			break;
		*steps += LOOK;
	}
	return 0;
}

int refcount_find_free_from(struct qcow_image *image, uint64_t *at,
			    struct need *need)
{
	struct stretches *stretches = &image->allocator.stretches;
	unsigned int steps = 0;
	bool found = false;

	while (steps < SCAN_LIMIT) {
		uint64_t from = *at = stretches_skip(stretches, *at);
		int ret = check_described(image, from, need);

		if (!ret)
			ret = search_slice(image, at, &found, &steps, need);
		if (*at != from)
			stretches_pass(stretches, from, *at);
		if (ret || found)
			return ret;
	}
	*need = (struct need){ .kind = NEED_RETRY, .image = image };
	return NEEDS_MORE;
}

int refcount_find_free(struct qcow_image *image, uint64_t *cluster,
		       struct need *need)
{
	int ret = refcount_find_free_from(image, &image->allocator.cursor,
					  need);

	*cluster = image->allocator.cursor;
	return ret;
}

void refcount_reserve(struct qcow_image *image, struct qcow_reservation *r,
		      uint64_t cluster)
{
	struct qcow_reservation *head = &image->allocator.reservations;

	if (cluster >= image->allocator.ahead.ask_at)
		ahead_ask(image);
	/* R1: bytes may get there, and it may be given back. */
	punched_remove(&image->allocator.punched, cluster, 1);
	image->allocator.cursor = cluster + 1;
	stretches_pass(&image->allocator.stretches, cluster, cluster + 1);
	shared_put(image->allocator.high_water,
		   max_u64(image->allocator.high_water, cluster + 1));
	if (r->count++)
		return;
	r->first = cluster;
	r->prev = head->prev;
	r->next = head;
	head->prev->next = r;
	head->prev = r;
}

void refcount_release(struct qcow_image *image, struct qcow_reservation *r,
		      bool used)
{
	if (!r->count)
		return;
	r->prev->next = r->next;
	r->next->prev = r->prev;
	if (!used) {
		stretches_soil(&image->allocator.stretches, r->first, r->count);
		refcount_gain(image, r->first, r->count);
		r->count = 0;
	}
}

void refcount_gain(struct qcow_image *image, uint64_t first, uint64_t count)
{
	stretches_gain(&image->allocator.stretches, first, count);
	image->allocator.cursor = min_u64(image->allocator.cursor, first);
}
