// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The present state of a guest cluster: the entry that the dirty sets or the
 * cached slice of its L2 table hold, decoded and checked.
 *
 * Nothing in an image is trusted (P6).  An offset must be aligned and lie
 * outside the header and the tables; reserved bits must be zero.  Anything
 * else is -EUCLEAN: an error for a read; for a write, a reason to mark the
 * image as corrupt.
 *
 * Data beyond the end of the file reads as zero, as a file does there; QEMU
 * takes it so, too.  It is never written to, though: its count may be zero,
 * and another would get the cluster.  A write goes elsewhere, as if the
 * cluster was shared.
 */
#include <errno.h>
#include "qcow/cluster.h"
#include "qcow/compress.h"
#include "qcow/layers.h"

bool cluster_is_top_table(const struct qcow_image *image, uint64_t offset)
{
	const uint64_t size = cluster_size(image);

	return offset < size ||
	       overlaps(offset, size, image->geometry.l1_offset,
			image->geometry.l1_size * 8ull) ||
	       overlaps(offset, size,
			shared_get(image->header.refcount_table_offset),
			shared_get(image->allocator.refcount_table_size) *
				8ull);
}

/* Do internal snapshots or bitmaps have a table of theirs in the cluster? */
static bool is_guarded(const struct qcow_image *image, uint64_t offset)
{
	uint32_t low = 0, high = image->allocator.nr_guarded;

	while (low < high) {
		uint32_t middle = (low + high) / 2;
		const struct guarded *g = &image->allocator.guarded[middle];

		if (overlaps(offset, cluster_size(image), g->first,
			     g->end - g->first))
			return true;
		if (g->end <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

bool cluster_is_table(const struct qcow_image *image, uint64_t offset)
{
	uint64_t low = 0, high = image->allocator.nr_tables;

	while (low < high) {
		uint64_t middle = (low + high) / 2;

		if (image->allocator.tables[middle] == offset)
			return true;
		if (image->allocator.tables[middle] < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return cluster_is_top_table(image, offset) || is_guarded(image, offset);
}

/* Behind all that the file has and will have, as far as reservations go. */
static bool is_beyond(const struct qcow_image *image, uint64_t offset)
{
	return offset >> image->geometry.cluster_bits >=
	       shared_get(image->allocator.high_water);
}

/* A host offset out of an L1 entry: where a table may be. */
static bool is_sound(const struct qcow_image *image, uint64_t offset)
{
	return is_aligned(offset, cluster_size(image)) &&
	       !is_beyond(image, offset) &&
	       !cluster_is_top_table(image, offset);
}

static bool look_up_sets(const struct qcow_image *image, enum key_kind kind,
			 uint64_t index, uint64_t *value)
{
	uint64_t key = dirty_key(kind, index);

	return dirty_get(&image->dirty.active, key, value) ||
	       (shared_get(image->dirty.freezing) &&
		dirty_get(&image->dirty.frozen, key, value));
}

/* Most often the sets are empty, and then no call is made. */
static inline bool look_up_dirty(const struct qcow_image *image,
				 enum key_kind kind, uint64_t index,
				 uint64_t *value)
{
	return (shared_get(image->dirty.active.used) ||
		shared_get(image->dirty.freezing)) &&
	       look_up_sets(image, kind, index, value);
}

uint64_t cluster_l1_entry(const struct qcow_image *image, uint64_t index)
{
	uint64_t entry;

	/* Most often no table is new. */
	if ((shared_get(image->dirty.active.tops) ||
	     shared_get(image->dirty.frozen.tops)) &&
	    look_up_sets(image, KEY_L1, index, &entry))
		return entry;
	return shared_get(image->l1[index]);
}

/* The entry as the file has it, one word or two. */
static int file_entry(struct qcow_image *image, uint64_t table, uint64_t guest,
		      struct cluster *c, struct need *need)
{
	uint64_t index = (guest & ((1ull << image->geometry.l2_bits) - 1))
			 << image->geometry.extended;
	uint32_t per_slice = image->cache.slice_size / 8;
	const uint64_t *words;
	uint64_t offset = table + round_down(index, per_slice) * 8;
	struct slice *slice = cache_find(&image->cache, SLICE_L2, offset);

	if (!slice) {
		*need = (struct need){
			.kind = NEED_SLICE,
			.type = SLICE_L2,
			.index = offset,
			.image = image,
		};
		return NEEDS_MORE;
	}
	words = (const uint64_t *)slice->data + (index & (per_slice - 1));
	c->entry = shared_get(words[0]);
	c->bitmap = image->geometry.extended ? shared_get(words[1]) : 0;
	return 0;
}

/* As a dirty set has it; a group says both words or none. */
static bool dirty_entry(const struct qcow_image *image, uint64_t guest,
			struct cluster *c)
{
	uint64_t word = guest << image->geometry.extended;

	if (!look_up_dirty(image, KEY_L2, word, &c->entry))
		return false;
	if (image->geometry.extended)
		look_up_dirty(image, KEY_L2, word + 1, &c->bitmap);
	return true;
}

/* May the guest cluster's bytes be where the entry says? */
static bool is_host_sound(const struct qcow_image *image, uint64_t guest,
			  const struct cluster *c)
{
	if (image->external)
		return c->host == guest << image->geometry.cluster_bits &&
		       c->copied;
	return is_aligned(c->host, cluster_size(image)) &&
	       !cluster_is_table(image, c->host);
}

/* May a stream lie there?  Perhaps nothing ever unpacks it: a write over the
   whole cluster gives the clusters of the stream back.  Where they end is not
   judged; the file may be short. */
static bool is_stream_sound(const struct qcow_image *image, uint64_t entry)
{
	struct compressed where;

	if (image->external)
		return false;
	compress_locate(entry, image->geometry.cluster_bits, &where);
	for (uint64_t i = where.first; i < where.first + where.count; i++)
		if (cluster_is_table(image, i << image->geometry.cluster_bits))
			return false;
	return true;
}

static int decode_extended(unsigned int sub, struct cluster *c)
{
	uint64_t allocated = c->bitmap & ALL_SUBCLUSTERS;
	uint64_t zero = c->bitmap >> 32;

	if (c->entry & ENTRY_ZERO || allocated & zero ||
	    (allocated && !c->has_host))
		return -EUCLEAN;
	if (c->bitmap & SUBCLUSTER_ALLOCATED(sub))
		c->kind = CLUSTER_DATA;
	else if (!(c->bitmap & SUBCLUSTER_ZERO(sub)))
		c->kind = CLUSTER_UNALLOCATED;
	else
		c->kind = c->has_host ? CLUSTER_ZERO_ALLOCATED : CLUSTER_ZERO;
	return 0;
}

static int decode(const struct qcow_image *image, uint64_t guest,
		  unsigned int sub, struct cluster *c)
{
	uint64_t entry = c->entry;

	c->host = entry & ENTRY_OFFSET;
	c->copied = entry & ENTRY_COPIED;
	/* In a data file, zero is an offset like any other. */
	c->has_host = c->host || (image->external && c->copied);
	if (entry & ENTRY_COMPRESSED) {
		c->kind = CLUSTER_COMPRESSED;
		c->has_host = false;
		return is_stream_sound(image, entry) ? 0 : -EUCLEAN;
	}
	if (entry & ~(ENTRY_OFFSET | ENTRY_COPIED | ENTRY_ZERO))
		return -EUCLEAN;
	if (entry & ENTRY_ZERO && image->geometry.version < 3)
		return -EUCLEAN;
	if (c->has_host && !is_host_sound(image, guest, c))
		return -EUCLEAN;
	c->beyond = c->has_host && !image->external &&
		    is_beyond(image, c->host);
	c->copied = c->copied && !c->beyond;
	if (image->geometry.extended)
		return decode_extended(sub, c);
	if (entry & ENTRY_ZERO)
		c->kind = c->has_host ? CLUSTER_ZERO_ALLOCATED : CLUSTER_ZERO;
	else
		c->kind = c->has_host ? CLUSTER_DATA : CLUSTER_UNALLOCATED;
	return 0;
}

int cluster_look_up(struct qcow_image *image, uint64_t guest, unsigned int sub,
		    struct cluster *c, struct need *need)
{
	uint64_t l1_entry = cluster_l1_entry(image,
					     guest >> image->geometry.l2_bits);
	uint64_t table = l1_entry & ENTRY_OFFSET;
	int ret;

	*c = (struct cluster){
		.has_table = table,
		.own_table = l1_entry & ENTRY_COPIED,
	};
	if (!table)
		return 0;
	if (!is_sound(image, table))
		return -EUCLEAN;
	if (!dirty_entry(image, guest, c)) {
		ret = file_entry(image, table, guest, c, need);
		if (ret)
			return ret;
	}
	return decode(image, guest, sub, c);
}

bool cluster_shows_under(const struct qcow_image *image, uint64_t guest)
{
	return image->backing && guest << image->geometry.cluster_bits <
					 backing_size(image->backing);
}
