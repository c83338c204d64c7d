// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reads and writes that block.  They enter their guest range, waiting in
 * line, map as much of it as can be mapped at once, provide anything that
 * the mapping lacks and try again, move the bytes and finish: the same mapping
 * and the same finish as those of the calls that never block.
 */
#include <errno.h>
#include <stdlib.h>
#include "qcow/ahead.h"
#include "qcow/compress.h"
#include "qcow/cow.h"
#include "qcow/io.h"
#include "qcow/legacy/legacy.h"
#include "qcow/map.h"
#include "qcow/provide.h"
#include "qcow/range.h"
#include "qcow/space.h"

/* A request is moved in pieces of at most this many bytes. */
#define PIECE (512u << 10)

typedef int map_function(struct qcow_image *image, struct qcow_io *io,
			 uint64_t offset, uint32_t length, struct need *need);

/* Maps the beginning of an entered range.  NEEDS_COW: its first cluster has to
   be copied, which is all that provide() does not do. */
static int map_entered(struct qcow_image *image, struct qcow_io *io,
		       uint64_t offset, uint32_t length, map_function *map)
{
	struct need need;
	int ret;

	while ((ret = map(image, io, offset, length, &need)) == NEEDS_MORE) {
		if (need.kind == NEED_COPY)
			return NEEDS_COW;
		ret = provide(image, &need);
		if (ret)
			return ret;
	}
	return ret;
}

static void enter(struct qcow_image *image, struct qcow_io *io, uint64_t offset,
		  uint32_t length, bool exclusive)
{
	range_enter_wait(image, &io->range,
			 offset >> image->geometry.cluster_bits,
			 (offset + length - 1) >> image->geometry.cluster_bits,
			 exclusive);
}

/* The range stays entered after 0. */
static int enter_and_map(struct qcow_image *image, struct qcow_io *io,
			 uint64_t offset, uint32_t length, map_function *map)
{
	int ret;

	LOCKED(image);
	enter(image, io, offset, length, false);
	ret = map_entered(image, io, offset, length, map);
	if (ret)
		range_leave(image, &io->range);
	return ret;
}

/* The range stays entered after 0 and NEEDS_COW. */
static int enter_and_map_write(struct qcow_image *image, struct qcow_io *io,
			       const struct io_units *units, uint64_t offset,
			       uint32_t length)
{
	int ret;

	{
		LOCKED(image);
		enter(image, io, offset, length, true);
		io->gains = image->allocator.gains;
	}
	ret = unaligned_fill(image, units, offset, length);
	LOCKED(image);
	if (!ret)
		ret = map_entered(image, io, offset, length, map_write);
	if (ret && ret != NEEDS_COW)
		range_leave(image, &io->range);
	return ret;
}

int io_explain(struct qcow_image *image, int ret)
{
	if (ret != -EUCLEAN)
		return io_explain_read(image, ret);
	image_set_corrupt(image);
	return -EIO;
}

/* Once is enough. */
static void tell_once(struct qcow_image *image, bool *flag, const char *line)
{
	bool told;

	{
		LOCKED(image);
		told = *flag;
		*flag = true;
	}
	if (!told)
		image_notice(image, "%s", line);
}

/* A read marks nothing: it asks for no change. */
int io_explain_read(struct qcow_image *image, int ret)
{
	if (ret == -EUCLEAN)
		tell_once(
			image, &image->health.told_corrupt,
			"its tables contradict themselves; reads that need them fail: check it with 'ublk-qcow2 check'");
	else if (ret == -EBADMSG)
		tell_once(
			image, &image->health.told_under,
			"the tables of an image under it contradict themselves; reads that need them fail");
	else
		return ret;
	return -EIO;
}

/* ---- extents ---- */

static int read_extent(const struct qcow_extent *extent, uint8_t *buffer)
{
	struct qcow_image *packed = extent->source;

	switch (extent->kind) {
	case QCOW_EXTENT_ZERO:
		memset(buffer, 0, extent->length);
		return 0;
	case QCOW_EXTENT_DATA:
		return file_read_loosely(extent->source, buffer, extent->offset,
					 extent->length);
	case QCOW_EXTENT_PACKED:
		return unpacker_read(packed->unpacker, &packed->file,
				     extent->offset, buffer, extent->skip,
				     extent->length);
	case QCOW_EXTENT_LEGACY:
		return legacy_read(extent->source, buffer, extent->offset,
				   extent->length);
	}
	return -EINVAL;
}

static int read_extents(const struct qcow_io *io, uint8_t *buffer)
{
	for (unsigned int i = 0; i < io->nr_extents; i++) {
		int ret = read_extent(&io->extents[i], buffer);

		if (ret)
			return ret;
		buffer += io->extents[i].length;
	}
	return 0;
}

/* The bytes, and the zeros that must lie around them. */
static int write_extent(const struct qcow_extent *extent, const uint8_t *buffer)
{
	struct file *file = extent->source;
	int ret = 0;

	if (extent->zero_before)
		ret = file_write_zeroes(file,
					extent->offset - extent->zero_before,
					extent->zero_before);
	if (!ret)
		ret = file_write(file, buffer, extent->offset, extent->length);
	if (!ret && extent->zero_after)
		ret = file_write_zeroes(file, extent->offset + extent->length,
					extent->zero_after);
	return ret;
}

static int write_extents(const struct qcow_io *io, const uint8_t *buffer)
{
	for (unsigned int i = 0; i < io->nr_extents; i++) {
		int ret = write_extent(&io->extents[i], buffer);

		if (ret)
			return ret;
		buffer += io->extents[i].length;
	}
	return 0;
}

/* ---- pieces; everything is aligned ---- */

int io_read_entered(struct qcow_image *image, void *buffer, uint64_t offset,
		    size_t length)
{
	uint8_t *to = buffer;

	while (length) {
		struct qcow_io io;
		int ret;

		{
			LOCKED(image);
			ret = map_entered(image, &io, offset, length, map_read);
		}
		if (!ret)
			ret = read_extents(&io, to);
		if (ret)
			return ret;
		to += io.length;
		offset += io.length;
		length -= io.length;
	}
	return 0;
}

bool qcow_load(struct qcow_image *image, bool writes, uint64_t offset,
	       uint32_t length)
{
	struct qcow_io io;

	if (!is_aligned(offset | length, image->alignment) ||
	    enter_and_map(image, &io, offset, length, map_whole))
		return false;
	LOCKED(image);
	range_leave(image, &io.range);
	return io.length == length && map_is_plain(image, &io) &&
	       (!writes || !map_overwrite(image, &io, offset, length));
}

static int read_piece(struct qcow_image *image, uint8_t *buffer,
		      uint64_t offset, uint32_t length, uint32_t *done)
{
	struct qcow_io io;
	int ret = enter_and_map(image, &io, offset, length, map_read);

	if (ret)
		return ret;
	*done = io.length;
	return qcow_finish(image, &io, read_extents(&io, buffer));
}

static int copy_piece(struct qcow_image *image, struct qcow_io *io,
		      const uint8_t *buffer, uint64_t offset, uint32_t length)
{
	int ret = cow_write(image, buffer, offset, length);

	LOCKED(image);
	range_leave(image, &io->range);
	return ret;
}

/* space_is_lacked(), or QCOW_NO_SPACE_YET: there was no space. */
static int write_piece(struct qcow_image *image, struct qcow_io *io,
		       const struct io_units *units, uint64_t offset,
		       uint32_t length, uint32_t *done)
{
	const uint8_t *bytes = units->bytes + (offset - units->offset);
	int ret = enter_and_map_write(image, io, units, offset, length);

	if (ret == NEEDS_COW) {
		uint64_t left = cluster_size(image) -
				(offset & (cluster_size(image) - 1));

		*done = min_u64(length, left);
		return copy_piece(image, io, bytes, offset, *done);
	}
	if (ret)
		return ret;
	*done = io->length;
	return qcow_finish(image, io, write_extents(io, bytes));
}

int io_read_aligned(struct qcow_image *image, uint8_t *buffer, uint64_t offset,
		    size_t length)
{
	while (length) {
		uint32_t done;
		int ret = read_piece(image, buffer, offset,
				     min_u64(length, PIECE), &done);

		if (ret)
			return io_explain_read(image, ret);
		buffer += done;
		offset += done;
		length -= done;
	}
	return 0;
}

static int regain_space(struct qcow_image *image, uint64_t gains)
{
	LOCKED(image);
	return space_regain(image, gains);
}

int io_write_units(struct qcow_image *image, const struct io_units *units)
{
	uint64_t offset = units->offset;

	while (offset < units->end) {
		struct qcow_io io;
		uint32_t done = 0;
		int ret;

		ahead_make_inline(image);
		ret = write_piece(image, &io, units, offset,
				  min_u64(units->end - offset, PIECE), &done);

		if (space_is_lacked(ret) || ret == QCOW_NO_SPACE_YET) {
			ret = regain_space(image, io.gains);
			if (!ret)
				continue;
		}
		if (ret)
			return io_explain(image, ret);
		offset += done;
	}
	return 0;
}

static bool is_direct_fit(const struct qcow_image *image, const void *buffer,
			  uint64_t offset, size_t length)
{
	return is_aligned((uintptr_t)buffer | offset | length,
			  image->alignment);
}

/* ---- the interface ---- */

int io_check_range(const struct qcow_image *image, uint64_t offset,
		   uint64_t length)
{
	if (!is_aligned(offset | length, QCOW_SECTOR))
		return -EINVAL;
	if (offset > image->geometry.size ||
	    length > image->geometry.size - offset)
		return -EINVAL;
	return 0;
}

int qcow_read(struct qcow_image *image, void *buffer, uint64_t offset,
	      size_t length)
{
	int ret = io_check_range(image, offset, length);

	if (ret || !length)
		return ret;
	if (is_direct_fit(image, buffer, offset, length))
		return io_read_aligned(image, buffer, offset, length);
	return unaligned_read(image, buffer, offset, length);
}

int qcow_write(struct qcow_image *image, const void *buffer, uint64_t offset,
	       size_t length)
{
	const struct io_units units = {
		.bytes = buffer,
		.offset = offset,
		.end = offset + length,
		.from = offset,
		.to = offset + length,
	};
	int ret = io_check_range(image, offset, length);

	if (image->read_only)
		return -EROFS;
	if (ret || !length)
		return ret;
	if (is_direct_fit(image, buffer, offset, length))
		return io_write_units(image, &units);
	return unaligned_write(image, buffer, offset, length);
}
