// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where do the bytes of a guest range live?  The answer is a list of extents
 * under a guest range that stays entered until qcow_finish(), so nobody moves
 * or reuses them meanwhile (R9).
 *
 * Nothing here blocks.  If something is missing for an answer, a slice that is
 * not cached, an L2 table, room in the journal, a struct need names it; the
 * blocking calls provide it and ask again, so every write, however it came,
 * goes through the same few lines.
 *
 * A mapped write meets three kinds of clusters:
 *
 *	data, COPIED		written in place; nothing changes
 *	zero, keeps a cluster	written there, made data by qcow_finish()
 *	unallocated or zero	a fresh host cluster, reserved (R1), linked by
 *				qcow_finish() after the bytes are there (R2)
 *
 * and, if the caller can copy, a fourth: one that the backing has and the image
 * has not.  That is written as a fresh one with the backing's bytes around.
 *
 * The rest of a fresh cluster around the guest's bytes must read as zero: it is
 * written as zero, unless the cluster lies above the high-water mark and
 * was never used, or was punched when it was freed (R1).
 */
#include <errno.h>
#include "qcow/append.h"
#include "qcow/cluster.h"
#include "qcow/layers.h"
#include "qcow/link.h"
#include "qcow/map-parts.h"
#include "qcow/map.h"
#include "qcow/refcount.h"
#include "qcow/unlocked.h"
#include "qcow/written.h"

/* Of the file with the guest's bytes. */
static unsigned int data_index(const struct qcow_image *image)
{
	return image->file_index + image->external;
}

/* ---- reads ---- */

static int read_part(struct qcow_image *image, struct qcow_io *io,
		     const struct part *part, struct need *need)
{
	struct qcow_extent extent = {
		.length = part->length,
		.file = data_index(image),
		.source = image->data,
	};
	struct cluster c;
	int ret = cluster_look_up(image, part->guest, part->sub, &c, need);

	if (ret)
		return ret;
	if (c.kind == CLUSTER_UNALLOCATED && image->backing)
		return backing_map(image->backing, io, part->offset,
				   part->length, need);
	if (c.kind == CLUSTER_DATA && !c.beyond) {
		extent.kind = QCOW_EXTENT_DATA;
		extent.offset = c.host + part->in_cluster;
	} else if (c.kind == CLUSTER_COMPRESSED) {
		extent.kind = QCOW_EXTENT_PACKED;
		extent.source = image;
		extent.offset = c.entry;
		extent.skip = part->in_cluster;
	}
	return map_add_extent(io, &extent, false);
}

int map_continue(struct qcow_image *image, struct qcow_io *io, uint64_t offset,
		 uint32_t length, struct need *need)
{
	int ret;

	if (io->unlocked)
		return unlocked_continue(image, io, offset, length);
	LOCKED(image);
	ret = map_parts(image, io, offset, length, read_part, need);
	/* The image on top does not contradict itself; one below it does. */
	return ret == -EUCLEAN ? -EBADMSG : ret;
}

int map_read(struct qcow_image *image, struct qcow_io *io, uint64_t offset,
	     uint32_t length, struct need *need)
{
	int ret;

	map_begin(image, io, offset);
	ret = map_parts(image, io, offset, length, read_part, need);
	return io->length ? 0 : ret;
}

int map_whole(struct qcow_image *image, struct qcow_io *io, uint64_t offset,
	      uint32_t length, struct need *need)
{
	map_begin(image, io, offset);
	return map_parts(image, io, offset, length, read_part, need);
}

int map_onwards(struct qcow_image *image, struct qcow_io *io, uint64_t offset,
		uint32_t length)
{
	struct need need;

	return map_parts(image, io, offset, length, read_part, &need);
}

int map_plain_read(struct qcow_image *image, struct qcow_io *io,
		   uint64_t offset, uint32_t length)
{
	map_begin(image, io, offset);
	io->unlocked = true;
	return map_onwards(image, io, offset, length);
}

/* ---- writes ---- */

static int needs(struct qcow_image *image, struct need *need,
		 enum need_kind kind, uint64_t index)
{
	*need = (struct need){
		.kind = kind,
		.index = index,
		.image = image,
	};
	return NEEDS_MORE;
}

/* The bytes of the cluster around the part must be written as zero. */
static void zero_around(const struct qcow_image *image,
			struct qcow_extent *extent, const struct part *part)
{
	extent->zero_before = part->before;
	extent->zero_after = data_clip(image, part->offset + part->length,
				       part->after);
}

static int write_in_place(struct qcow_image *image, struct qcow_io *io,
			  const struct part *part, const struct cluster *c)
{
	struct qcow_extent extent = {
		.kind = QCOW_EXTENT_DATA,
		.length = part->length,
		.file = data_index(image),
		.source = image->data,
		.offset = c->host + part->in_cluster,
		.fresh = c->kind != CLUSTER_DATA,
	};

	if (extent.fresh)
		zero_around(image, &extent, part);
	return map_add_extent(io, &extent, false);
}

static int overwrite_part(struct qcow_image *image, struct qcow_io *io,
			  const struct part *part, struct need *need)
{
	struct cluster c;
	int ret = cluster_look_up(image, part->guest, part->sub, &c, need);

	if (ret)
		return ret;
	return c.kind == CLUSTER_DATA && c.copied ?
		       write_in_place(image, io, part, &c) :
		       NEEDS_MORE;
}

int map_overwrite(struct qcow_image *image, struct qcow_io *io, uint64_t offset,
		  uint32_t length)
{
	struct need need;

	map_begin(image, io, offset);
	io->unlocked = true;
	if (shared_get(image->health.corrupt) ||
	    !shared_get(image->life.marked) || shared_get(image->merge))
		return NEEDS_MORE;
	return map_parts(image, io, offset, length, overwrite_part, &need);
}

/* In a data file every cluster has its place. */
static int write_external(struct qcow_image *image, struct qcow_io *io,
			  const struct part *part)
{
	struct qcow_extent extent = {
		.kind = QCOW_EXTENT_DATA,
		.length = part->length,
		.file = data_index(image),
		.source = image->data,
		.offset = part->offset,
		.fresh = true,
	};

	zero_around(image, &extent, part);
	return map_add_extent(io, &extent, false);
}

/* The next subcluster of a cluster that this mapping has reserved. */
static bool continue_fresh(struct qcow_io *io, const struct part *part)
{
	struct qcow_extent *last = map_last_extent(io);

	if (!last || !last->reservation.count)
		return false;
	last->length += part->length;
	last->zero_after = io->zeroes ? part->after : 0;
	io->length += part->length;
	return true;
}

/* R1: is it known of a free cluster? */
static bool reads_as_zero(const struct qcow_image *image, uint64_t cluster)
{
	if (image->file.block_device)
		return false;
	return cluster >= image->allocator.high_water ||
	       punched_has(&image->allocator.punched, cluster) ||
	       stretches_read_zero(&image->allocator.stretches, cluster);
}

static int write_fresh(struct qcow_image *image, struct qcow_io *io,
		       const struct part *part, struct need *need)
{
	struct qcow_extent extent = {
		.kind = QCOW_EXTENT_DATA,
		.length = part->length,
		.file = data_index(image),
		.source = image->data,
		.fresh = true,
	};
	uint64_t cluster;
	int ret;

	if (part->sub && continue_fresh(io, part))
		return 0;
	ret = refcount_find_free(image, &cluster, need);
	if (ret)
		return ret;
	extent.offset = (cluster << image->geometry.cluster_bits) +
			part->in_cluster;
	io->zeroes = !reads_as_zero(image, cluster);
	extent.grows = cluster >= image->allocator.high_water &&
		       cluster >= image->allocator.ahead.end &&
		       !image->file.block_device;
	if (io->zeroes)
		zero_around(image, &extent, part);
	ret = map_add_extent(io, &extent, true);
	if (!ret)
		refcount_reserve(image, &map_last_extent(io)->reservation,
				 cluster);
	return ret;
}

/* The cluster gets bytes of the backing, which stays as it is as long as the
   caller is in its guest range; nothing else names them (R9). */
static int write_copied(struct qcow_image *image, struct qcow_io *io,
			const struct part *part, struct need *need)
{
	struct qcow_extent under;
	int ret = map_under(image, part->offset - part->before, &under, need);

	if (ret == -ENOBUFS)
		return needs(image, need, NEED_COPY, part->guest);
	if (!ret)
		ret = write_fresh(image, io, part, need);
	if (ret || under.kind == QCOW_EXTENT_ZERO)
		return ret;
	/* R2: they are there, too, before the cluster is linked. */
	io->copy = (struct qcow_copy){
		.file = under.file,
		.offset = under.offset,
		.before = part->before,
		.after = part->after,
	};
	io->extents[0].zero_before = io->extents[0].zero_after = 0;
	return 0;
}

/* Does the cluster hold bytes around the part that must be kept? */
static bool has_bytes_around(const struct qcow_image *image,
			     const struct part *part, const struct cluster *c)
{
	return c->kind == CLUSTER_UNALLOCATED &&
	       (part->before || part->after) &&
	       cluster_shows_under(image, part->guest);
}

static int write_cluster(struct qcow_image *image, struct qcow_io *io,
			 const struct part *part, const struct cluster *found,
			 struct need *need)
{
	uint64_t l1_index = part->guest >> image->geometry.l2_bits;
	const struct cluster c = *found;

	if (c.kind == CLUSTER_DATA && c.copied)
		return write_in_place(image, io, part, &c);
	if (!c.has_table)
		return needs(image, need, NEED_TABLE, l1_index);
	if (!c.own_table)
		return needs(image, need, NEED_OWN_TABLE, l1_index);
	if (c.kind == CLUSTER_COMPRESSED || (c.has_host && !c.copied))
		return needs(image, need, NEED_COPY, part->guest);
	if (has_bytes_around(image, part, &c))
		return io->copies ? write_copied(image, io, part, need) :
				    needs(image, need, NEED_COPY, part->guest);
	if (c.has_host)
		return write_in_place(image, io, part, &c);
	if (image->external)
		return write_external(image, io, part);
	return write_fresh(image, io, part, need);
}

static int write_part(struct qcow_image *image, struct qcow_io *io,
		      const struct part *part, struct need *need)
{
	struct cluster c;
	int ret;

	/* An extended entry's second word is kept here until it is linked:
	   there is room for one. */
	if (image->geometry.extended && io->length &&
	    part->guest != io->offset >> image->geometry.cluster_bits)
		return -ENOBUFS;
	ret = cluster_look_up(image, part->guest, part->sub, &c, need);
	if (ret)
		return ret;
	if (!io->length)
		io->bitmap = c.bitmap;
	ret = write_cluster(image, io, part, &c, need);
	if (ret)
		return ret;
	io->bitmap |= SUBCLUSTER_ALLOCATED(part->sub);
	io->bitmap &= ~SUBCLUSTER_ZERO(part->sub);
	return 0;
}

static int map_begun(struct qcow_image *image, struct qcow_io *io,
		     uint64_t offset, uint32_t length, struct need *need)
{
	int ret;

	if (image->health.corrupt)
		return -EIO;
	if (!image->life.marked)
		return needs(image, need, NEED_MARK, 0);
	merge_note(image, offset >> image->geometry.cluster_bits,
		   (offset + length - 1) >> image->geometry.cluster_bits);
	ret = map_parts(image, io, offset, length, write_part, need);
	if (io->length)
		ret = link_reserve(image, io, need);
	if (ret) {
		link_release(image, io, false);
		return ret;
	}
	/* R12: the I/O that the caller begins now ends in link_end(). */
	lease_begin(&image->lease);
	io->writes = true;
	return 0;
}

int map_write(struct qcow_image *image, struct qcow_io *io, uint64_t offset,
	      uint32_t length, struct need *need)
{
	map_begin(image, io, offset);
	return map_begun(image, io, offset, length, need);
}

int map_copy(struct qcow_image *image, struct qcow_io *io, uint64_t offset,
	     uint32_t length, struct need *need)
{
	map_begin(image, io, offset);
	/* Of an extended entry's cluster the other subclusters stay. */
	io->copies = !image->external && !image->geometry.extended;
	return map_begun(image, io, offset, length, need);
}
