/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A larger virtual disk. */
#ifndef QCOW_RESIZE_H
#define QCOW_RESIZE_H

#include "qcow/qcow.h"

/*
 * Makes the disk larger, durably; new space reads as zero.  The image is open
 * for writing, and no I/O is under way.  A death or power loss leaves the old
 * size or the new one, and a valid image (P3); a call for the size that the
 * disk has does nothing.  After an error the image goes on with its old size.
 *
 *   -EROFS    it was opened read-only
 *   -EINVAL   the size is not in sectors, or smaller than it was
 *   -ENOTSUP  version 2 with internal snapshots, whose sizes it does not know
 *   -EFBIG    the format has no tables for so large a disk
 *   -ENOSPC   the tables find no room, or the data file is a smaller device
 */
int qcow_grow(struct qcow_image *image, uint64_t size,
	      struct qcow_error *error);

#endif /* QCOW_RESIZE_H */
