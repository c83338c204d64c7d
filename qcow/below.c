// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The layer that a merge writes to: a qcow2 image or a raw file, which
 * backing.c has opened for writing.
 *
 * An image takes the calls of a guest, and is made larger as for a guest
 * (resize.c).  A file has only its bytes: they are copied in the file's own
 * units.  The rest of such a unit comes from the disk, too; there the file
 * shows through, so its bytes stay the same.
 */
#include <errno.h>
#include <stdlib.h>
#include "qcow/below.h"
#include "qcow/error.h"
#include "qcow/io.h"
#include "qcow/layers.h"
#include "qcow/resize.h"

static struct backing *find_written(const struct qcow_image *image)
{
	while (image && image->backing && !backing_is_written(image->backing))
		image = backing_image(image->backing);
	return image ? image->backing : NULL;
}

static int enlarge_raw(struct below *below, uint64_t size,
		       struct qcow_error *error)
{
	int ret = file_size(below->raw, &below->raw_end);

	if (!ret && below->raw_end < size) {
		below->raw_end = size;
		ret = below->raw->block_device ?
			      -ENOSPC :
			      file_set_size(below->raw, size);
	}
	return ret ? fail(error, ret, "making the layer larger: %s",
			  strerror(-ret)) :
		     0;
}

static int fit_size(struct below *below, struct qcow_error *error)
{
	uint64_t disk = qcow_size(below->top);
	uint64_t layer = backing_size(below->backing);
	int ret;

	if (layer > disk)
		return fail(
			error, -EINVAL,
			"the layer has %llu bytes and the disk only %llu; a layer cannot be made smaller",
			(unsigned long long)layer, (unsigned long long)disk);
	ret = below->image ? qcow_grow(below->image, disk, error) :
			     enlarge_raw(below, disk, error);
	if (ret)
		return ret;
	/* From now on a cluster that is taken out of the image above shows the
	   bytes that the merge has written there, now and after each later
	   open. */
	LOCKED(below->top);
	backing_set_size(below->backing, disk);
	return 0;
}

/* The format is the one that the header above names (P6): a guest may have
   written any header into a raw file. */
int below_check(const struct qcow_image *top, struct qcow_error *error)
{
	const struct backing *backing = find_written(top);
	const struct qcow_image *image = backing ? backing_image(backing) :
						   NULL;

	if (!image)
		return fail(error, -ENOTSUP,
			    "the image below is no qcow2 image");
	if (image->external)
		return fail(error, -ENOTSUP, "the image below has a data file");
	return 0;
}

int below_open(struct below *below, struct qcow_image *top,
	       struct qcow_error *error)
{
	*below = (struct below){
		.top = top,
		.backing = find_written(top),
	};
	if (!below->backing)
		return fail(error, -EINVAL,
			    "no layer of it was opened to be merged into");
	below->image = backing_image(below->backing);
	below->raw = backing_raw(below->backing);
	if (!below->image && !below->raw)
		return fail(error, -EINVAL,
			    "nothing can be merged into a legacy image");
	/* A unit before, and one behind. */
	below->buffer = file_buffer(BELOW_MOST + 2 * top->alignment);
	if (!below->buffer)
		return fail(error, -ENOMEM, "out of memory");
	return fit_size(below, error);
}

void below_close(struct below *below)
{
	free(below->buffer);
}

/* Behind the disk's end, the last unit is zero. */
static int copy_units(struct below *below, uint64_t offset, uint64_t length)
{
	uint64_t unit = below->raw->alignment;
	uint64_t start = round_down(offset, unit);
	uint64_t end = round_up(offset + length, unit);
	uint64_t inside = min_u64(end, qcow_size(below->top)) - start;
	int ret;

	memset(below->buffer, 0, end - start);
	ret = io_read_entered(below->top, below->buffer, start, inside);
	return ret ? ret :
		     file_write(below->raw, below->buffer, start, end - start);
}

int below_copy(struct below *below, uint64_t offset, uint64_t length)
{
	int ret;

	if (below->raw)
		return copy_units(below, offset, length);
	ret = io_read_entered(below->top, below->buffer, offset, length);
	return ret ? ret :
		     qcow_write(below->image, below->buffer, offset, length);
}

int below_zero(struct below *below, uint64_t offset, uint64_t length)
{
	int ret = -EOPNOTSUPP;

	if (below->image)
		return qcow_write_zeroes(below->image, offset, length, true);
	if (is_aligned(offset | length, below->raw->alignment))
		ret = file_punch(below->raw, offset, length);
	return ret == -EOPNOTSUPP ? copy_units(below, offset, length) : ret;
}

int below_sync(struct below *below)
{
	uint64_t size;
	int ret;

	if (below->image)
		return qcow_flush(below->image);
	ret = file_size(below->raw, &size);
	/* The file's last unit was written whole. */
	if (!ret && size > below->raw_end && !below->raw->block_device)
		ret = file_set_size(below->raw, below->raw_end);
	return ret ? ret : file_sync(below->raw);
}
