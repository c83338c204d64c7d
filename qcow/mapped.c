// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The calls that never block, for queues: a mapping under a guest range,
 * entered if nothing is in its way, and left by qcow_finish().
 */
#include <errno.h>
#include "qcow/link.h"
#include "qcow/map.h"
#include "qcow/range.h"
#include "qcow/space.h"
#include "qcow/unlocked.h"

static uint64_t last_cluster(const struct qcow_image *image, uint64_t offset,
			     uint32_t length)
{
	return (offset + length - 1) >> image->geometry.cluster_bits;
}

/* Direct I/O on less than the file system's unit needs a read first. */
static bool can_map(const struct qcow_image *image, uint64_t offset,
		    uint32_t length)
{
	return is_aligned(offset | length, image->alignment);
}

int qcow_map_read(struct qcow_image *image, struct qcow_io *io, uint64_t offset,
		  uint32_t length)
{
	uint64_t first = offset >> image->geometry.cluster_bits;
	uint64_t last = last_cluster(image, offset, length);
	struct need need;

	if (!can_map(image, offset, length))
		return QCOW_MUST_BLOCK;
	if (unlocked_read(image, io, offset, length))
		return 0;
	LOCKED(image);
	unlocked_allow(image);
	if (range_conflicts(image, first, last))
		return -EBUSY;
	if (map_read(image, io, offset, length, &need) || io->length < length ||
	    !map_is_plain(image, io))
		return QCOW_MUST_BLOCK;
	range_enter(image, &io->range, first, last, false);
	return 0;
}

typedef int map_function(struct qcow_image *image, struct qcow_io *io,
			 uint64_t offset, uint32_t length, struct need *need);

static inline int map_and_enter(struct qcow_image *image, struct qcow_io *io,
				uint64_t offset, uint32_t length,
				map_function *map)
{
	uint64_t first = offset >> image->geometry.cluster_bits;
	uint64_t last = last_cluster(image, offset, length);
	struct need need;
	int ret = QCOW_MUST_BLOCK;

	LOCKED(image);
	unlocked_allow(image);
	if (range_conflicts(image, first, last))
		return -EBUSY;
	if (map(image, io, offset, length, &need))
		return QCOW_MUST_BLOCK;
	unlocked_expect(image, link_has_fresh(io));
	if (io->length == length) {
		ret = -EBUSY;
		if (range_try(image, &io->range, first, last,
			      link_has_fresh(io)))
			return 0;
	}
	link_end(image, io, false);
	return ret;
}

int qcow_map_write(struct qcow_image *image, struct qcow_io *io,
		   uint64_t offset, uint32_t length)
{
	if (image->read_only)
		return -EROFS;
	if (!can_map(image, offset, length))
		return QCOW_MUST_BLOCK;
	if (unlocked_write(image, io, offset, length))
		return 0;
	return map_and_enter(image, io, offset, length, map_write);
}

int qcow_map_copy(struct qcow_image *image, struct qcow_io *io, uint64_t offset,
		  uint32_t length)
{
	if (image->read_only)
		return -EROFS;
	if (!can_map(image, offset, length) || !image->backing ||
	    last_cluster(image, offset, length) !=
		    offset >> image->geometry.cluster_bits)
		return QCOW_MUST_BLOCK;
	return map_and_enter(image, io, offset, length, map_copy);
}

static int finish_locked(struct qcow_image *image, struct qcow_io *io,
			 int result)
{
	LOCKED(image);
	link_end(image, io, !result);
	/* R3: the range is left after the change is published. */
	range_leave(image, &io->range);
	if (space_is_lacked(result) && space_may_be_found(image, io->gains))
		return QCOW_NO_SPACE_YET;
	return result;
}

int qcow_finish(struct qcow_image *image, struct qcow_io *io, int result)
{
	if (!io->unlocked)
		return finish_locked(image, io, result);
	/* Nothing is to be published.  A write in place can lack space, too,
	   where the file has a hole. */
	unlocked_end(image, io);
	if (!space_is_lacked(result))
		return result;
	LOCKED(image);
	return space_may_be_found(image, io->gains) ? QCOW_NO_SPACE_YET :
						      result;
}
