// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reads and writes that direct I/O cannot do as they are: offset, length or
 * memory of the caller lack the alignment that the image's files want.
 *
 * They go through a buffer of whole units.  The bytes around a write, in its
 * first and its last unit, are read once the write has its range for itself:
 * any other write to these units has then ended, or waits.
 */
#include <errno.h>
#include <stdlib.h>
#include "qcow/io.h"

static int get_units(const struct qcow_image *image, uint64_t offset,
		     size_t length, struct io_units *units)
{
	uint64_t unit = image->alignment;

	units->from = offset;
	units->to = offset + length;
	units->offset = round_down(units->from, unit);
	units->end = round_up(units->to, unit);
	units->own = file_buffer(units->end - units->offset + unit);
	units->bytes = units->own;
	return units->own ? 0 : -ENOMEM;
}

int unaligned_read(struct qcow_image *image, void *buffer, uint64_t offset,
		   size_t length)
{
	struct io_units units;
	int ret = get_units(image, offset, length, &units);

	if (ret)
		return ret;
	ret = io_read_aligned(image, units.own, units.offset,
			      units.end - units.offset);
	if (!ret)
		memcpy(buffer, units.own + (units.from - units.offset), length);
	free(units.own);
	return ret;
}

/* Some bytes of the unit that begins at an offset. */
static int fill(struct qcow_image *image, const struct io_units *units,
		uint64_t offset, uint64_t from, uint64_t to)
{
	uint8_t *unit = units->own + (units->end - units->offset);
	int ret = io_read_entered(image, unit, offset, image->alignment);

	if (!ret)
		memcpy(units->own + (from - units->offset),
		       unit + (from - offset), to - from);
	return ret;
}

int unaligned_fill(struct qcow_image *image, const struct io_units *units,
		   uint64_t offset, uint32_t length)
{
	const uint64_t end = offset + length;
	int ret = 0;

	if (offset < units->from)
		ret = fill(image, units, offset, offset, units->from);
	if (!ret && end > units->to)
		ret = fill(image, units, end - image->alignment, units->to,
			   end);
	return ret;
}

int unaligned_write(struct qcow_image *image, const void *buffer,
		    uint64_t offset, size_t length)
{
	struct io_units units;
	int ret = get_units(image, offset, length, &units);

	if (ret)
		return ret;
	memcpy(units.own + (units.from - units.offset), buffer, length);
	ret = io_write_units(image, &units);
	free(units.own);
	return ret;
}
