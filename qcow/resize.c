// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A larger disk.  The header tells its size, in one sector and last of all:
 *
 *	mark		as before every first write (R12); bitmaps are in use
 *	data file	as long as the disk, if it alone is the disk, too
 *	L1 table	larger, if the disk needs more entries (l1.c)
 *	zeros		wherever the new space would read as anything else
 *	sync		a checkpoint: all of that is durable
 *	header		the new size, and a sync
 *
 * Until the header is written, all changes lie behind the disk's end.  A qcow2
 * image may have entries there, and no reader reads them.  So death at any step
 * leaves the old size or the new one; groups in the journal hold with either
 * (replay.c).
 *
 * The zeros are those of WRITE ZEROES.  They hide a backing file that is longer
 * than the disk was, the rest of a cluster at the old end, and entries that an
 * earlier user of the image left there.  Where there is no table there is
 * nothing to do, so mostly this costs nothing.
 */
#include <errno.h>
#include "qcow/checkpoint.h"
#include "qcow/error.h"
#include "qcow/l1.h"
#include "qcow/layers.h"
#include "qcow/resize.h"

static int judge(const struct qcow_image *image, uint64_t size,
		 struct qcow_error *error)
{
	if (image->read_only)
		return fail(error, -EROFS, "it is read-only");
	if (!is_aligned(size, QCOW_SECTOR))
		return fail(error, -EINVAL,
			    "a disk's size is a multiple of %u bytes",
			    QCOW_SECTOR);
	if (size < image->geometry.size)
		return fail(
			error, -EINVAL,
			"the disk has %llu bytes already, and cannot be made smaller: the guest would lose its end",
			(unsigned long long)image->geometry.size);
	/* Such a snapshot does not say how large the disk was. */
	if (image->geometry.version < 3 && image->header.nb_snapshots)
		return fail(
			error, -ENOTSUP,
			"an image of version 2 with internal snapshots cannot be made larger; delete them, or make it version 3 with 'qemu-img amend -o compat=1.1'");
	if (l1_entries_for(image, size) > MAX_L1_BYTES / 8)
		return fail(
			error, -EFBIG,
			"with clusters of %llu bytes a disk cannot have %llu",
			(unsigned long long)cluster_size(image),
			(unsigned long long)size);
	return 0;
}

static int enlarge_tables(struct qcow_image *image, uint64_t size)
{
	int ret = 0;

	LOCKED(image);
	if (image->health.corrupt)
		return -EIO;
	if (!image->life.marked)
		ret = image_mark(image);
	return ret ? ret : l1_enlarge(image, l1_entries_for(image, size));
}

static void set_size(struct qcow_image *image, uint64_t size)
{
	LOCKED(image);
	image->geometry.size = size;
	image->geometry.clusters = div_round_up(size, cluster_size(image));
}

static int write_size(struct qcow_image *image, uint64_t size)
{
	uint64_t old = image->header.size;
	int ret;

	LOCKED(image);
	image->header.size = size;
	ret = l1_write_header(image);
	if (ret)
		image->header.size = old;
	return ret;
}

/* The calls of a guest reach the new space from here on. */
static int make_zero(struct qcow_image *image, uint64_t old, uint64_t size)
{
	int ret = qcow_write_zeroes(image, old, size - old, true);

	/* R8: durable, before the header says that it can be read (P2). */
	return ret ? ret : qcow_flush(image);
}

static int grow(struct qcow_image *image, uint64_t size)
{
	uint64_t old = image->geometry.size;
	int ret = enlarge_tables(image, size);

	if (!ret)
		ret = data_extend(image, size);
	if (ret)
		return ret;
	set_size(image, size);
	ret = make_zero(image, old, size);
	if (!ret)
		ret = write_size(image, size);
	if (ret)
		set_size(image, old);
	return ret;
}

int qcow_grow(struct qcow_image *image, uint64_t size, struct qcow_error *error)
{
	int ret = judge(image, size, error);

	if (ret || size == image->geometry.size)
		return ret;
	ret = grow(image, size);
	if (ret == -ENOSPC)
		return fail(
			error, ret,
			"there is no room for the tables and data of a larger disk");
	return ret ? fail(error, ret, "making the disk larger: %s",
			  strerror(-ret)) :
		     0;
}
