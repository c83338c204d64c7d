// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reads and writes that direct I/O cannot do as they are: offset, length or
 * memory of the caller lack the alignment that the image's files want.
 *
 * They go through a buffer of whole units.  A write of less than a unit first
 * reads the bytes around it.  Two such writes to one unit would undo each
 * other, so they take turns.
 */
#include <errno.h>
#include <stdlib.h>
#include "qcow/io.h"

/* The units that a range touches, in a buffer of our own. */
struct units {
	uint64_t offset;
	size_t length;
	size_t skip; /* from its beginning to the range */
	uint8_t *bytes;
};

static int get_units(const struct qcow_image *image, uint64_t offset,
		     size_t length, struct units *units)
{
	uint64_t unit = image->alignment;

	units->offset = round_down(offset, unit);
	units->length = round_up(offset + length, unit) - units->offset;
	units->skip = offset - units->offset;
	units->bytes = file_buffer(units->length);
	return units->bytes ? 0 : -ENOMEM;
}

int unaligned_read(struct qcow_image *image, void *buffer, uint64_t offset,
		   size_t length)
{
	struct units units;
	int ret = get_units(image, offset, length, &units);

	if (ret)
		return ret;
	ret = io_read_aligned(image, units.bytes, units.offset, units.length);
	if (!ret)
		memcpy(buffer, units.bytes + units.skip, length);
	free(units.bytes);
	return ret;
}

static void take_turn(struct qcow_image *image)
{
	LOCKED(image);
	turn_take(&image->unaligned_turn, &image->lock);
}

static void end_turn(struct qcow_image *image)
{
	LOCKED(image);
	turn_end(&image->unaligned_turn);
}

static int write_units(struct qcow_image *image, const void *buffer,
		       struct units *units, size_t length)
{
	int ret = 0;

	if (units->length != length)
		ret = io_read_aligned(image, units->bytes, units->offset,
				      units->length);
	if (ret)
		return ret;
	memcpy(units->bytes + units->skip, buffer, length);
	return io_write_aligned(image, units->bytes, units->offset,
				units->length);
}

int unaligned_write(struct qcow_image *image, const void *buffer,
		    uint64_t offset, size_t length)
{
	struct units units;
	int ret = get_units(image, offset, length, &units);

	if (ret)
		return ret;
	take_turn(image);
	ret = write_units(image, buffer, &units, length);
	end_turn(image);
	free(units.bytes);
	return ret;
}
