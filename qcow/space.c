// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Before a lack of space is admitted (R16).
 *
 * No free cluster is not the same as no space.  A cluster that was freed
 * lately waits for a checkpoint (R9): one is made.  A device may have been made
 * larger under us: its size is asked for.  The search for free clusters of a
 * file may have begun at its end: the part before is searched.  Room that was
 * set aside for clusters to come is given back, for others lack it.
 *
 * A caller that lacks space leaves its range, comes here and tries again, until
 * there is nothing left that could help.  A counter shows space that others
 * gained between the attempt and the look.
 */
#include <errno.h>
#include "qcow/ahead.h"
#include "qcow/checkpoint.h"
#include "qcow/refcount.h"
#include "qcow/space.h"

static bool is_anything_freed(const struct qcow_image *image)
{
	return image->dirty.active.frees ||
	       (image->dirty.freezing && image->dirty.frozen.frees);
}

bool space_may_be_found(const struct qcow_image *image, uint64_t gains)
{
	return is_anything_freed(image) || !image->allocator.swept ||
	       image->file.block_device || ahead_has_room(image) ||
	       image->allocator.gains != gains;
}

static void look_at_size(struct qcow_image *image)
{
	uint64_t size, clusters;
	int ret;

	if (!image->file.block_device)
		return;
	image_io_begin(image);
	ret = file_size(&image->file, &size);
	image_io_end(image);
	clusters = refcount_reach(image, size);
	if (ret || clusters <= image->allocator.max_clusters)
		return;
	image->allocator.max_clusters = clusters;
	shared_put(image->allocator.gains, image->allocator.gains + 1);
}

static void search_from_start(struct qcow_image *image)
{
	if (image->allocator.swept)
		return;
	image->allocator.swept = true;
	image->allocator.cursor = 0;
	shared_put(image->allocator.gains, image->allocator.gains + 1);
}

int space_regain(struct qcow_image *image, uint64_t gains)
{
	look_at_size(image);
	search_from_start(image);
	if (image->allocator.gains == gains && ahead_has_room(image))
		ahead_give_back(image);
	if (image->allocator.gains != gains)
		return 0;
	return is_anything_freed(image) ? checkpoint_wait(image) : -ENOSPC;
}
