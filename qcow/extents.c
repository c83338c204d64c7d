// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The extents of a mapping: a list that grows at its end, where neighbours
 * become one.
 */
#include <errno.h>
#include "qcow/layers.h"
#include "qcow/map.h"

static bool is_continued(const struct qcow_extent *last,
			 const struct qcow_extent *extent, bool reserves)
{
	if (!last || last->kind != extent->kind)
		return false;
	if (extent->kind == QCOW_EXTENT_ZERO)
		return true;
	return extent->kind == QCOW_EXTENT_DATA && last->file == extent->file &&
	       last->fresh == extent->fresh &&
	       (last->reservation.count > 0) == reserves && !last->zero_after &&
	       !extent->zero_before &&
	       last->offset + last->length == extent->offset;
}

int map_add_extent(struct qcow_io *io, const struct qcow_extent *extent,
		   bool reserves)
{
	struct qcow_extent *last = map_last_extent(io);

	if (is_continued(last, extent, reserves)) {
		last->length += extent->length;
		last->zero_after = extent->zero_after;
	} else if (io->nr_extents < QCOW_IO_EXTENTS) {
		io->extents[io->nr_extents++] = *extent;
	} else {
		return -ENOBUFS;
	}
	io->length += extent->length;
	return 0;
}

bool map_is_plain(const struct qcow_image *image, const struct qcow_io *io)
{
	for (unsigned int i = 0; i < io->nr_extents; i++) {
		const struct qcow_extent *extent = &io->extents[i];

		if (extent->kind > QCOW_EXTENT_DATA)
			return false;
		if (!is_aligned(extent->offset | extent->length,
				image->alignment))
			return false;
	}
	return true;
}

int map_under(struct qcow_image *image, uint64_t offset,
	      struct qcow_extent *under, struct need *need)
{
	struct qcow_io io;
	int ret;

	io.unlocked = false;
	io.nr_extents = 0;
	io.length = 0;
	ret = backing_map(image->backing, &io, offset, cluster_size(image),
			  need);
	if (ret)
		return ret;
	*under = io.extents[0];
	if (io.nr_extents != 1 || io.length != cluster_size(image) ||
	    under->kind > QCOW_EXTENT_DATA ||
	    !is_aligned(under->offset, image->alignment))
		return -ENOBUFS;
	return 0;
}
