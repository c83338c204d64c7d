// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Before a lack of space is admitted (R16).
 *
 * No free cluster is not the same as no space.  What was freed lately waits
 * for a checkpoint (R9): one is made.  A device may have been made larger
 * under us: its size is asked for.  The search for free clusters of a file
 * may have begun at its end: what lies before is searched.
 *
 * Whoever lacked space leaves everything, comes here and tries again, until
 * there is nothing left that could help.  A checkpoint may have ended between
 * the failure and the look at it, so one more attempt is always made.
 */
#include <errno.h>
#include "checkpoint.h"
#include "space.h"

static bool is_anything_freed(const struct qcow_image *image)
{
	return image->active.frees ||
	       (image->freezing && image->frozen.frees);
}

static bool has_grown(struct qcow_image *image)
{
	uint64_t size, clusters;
	int ret;

	if (!image->file.block_device)
		return false;
	image_io_begin(image);
	ret = file_size(&image->file, &size);
	image_io_end(image);
	clusters = size >> image->cluster_bits;
	if (ret || clusters <= image->max_clusters)
		return false;
	image->max_clusters = clusters;
	return true;
}

int space_regain(struct qcow_image *image, struct space *space)
{
	if (has_grown(image))
		return 0;
	if (!image->swept) {
		image->swept = true;
		image->cursor = 0;
		return 0;
	}
	if (is_anything_freed(image))
		return checkpoint_wait(image);
	if (space->tried && space->checkpoints == image->checkpoints)
		return -ENOSPC;
	space->tried = true;
	space->checkpoints = image->checkpoints;
	return 0;
}
