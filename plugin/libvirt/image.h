/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An image, as the hook sees it before it is served.
 */
#ifndef IMAGE_H
#define IMAGE_H

#include <limits.h>
#include <stdbool.h>

#include "plugin/common/state.h"

struct image {
	char path[PATH_MAX]; /* absolute, no symbolic links */
	struct qcow_identity identity;
	/* The storage, if another host may have the image open there without a
	   lock that we see: "an NFS file system", "a block device"; or "". */
	char shared[48];
};

/* Looks at an image, for a bounded time.  Returns:
   0		*image is filled in
   -ETIMEDOUT	the file system of the image does not answer
   or another -errno. */
int image_look(const char *path, struct image *image);

/* Does the disk serve this image? */
bool image_is_of(const struct image *image, const struct disk *disk);

#endif /* IMAGE_H */
