/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whole guest clusters become unallocated or zero. */
#ifndef QCOW_UNLINK_H
#define QCOW_UNLINK_H

#include "qcow/image.h"

/* How the clusters of a range read afterwards, and where their space goes. */
enum unlink_how {
	UNLINK_DISCARD,	  /* as zero; the space is given back */
	UNLINK_ZERO,	  /* the same, of a request to write zeros */
	UNLINK_ZERO_KEEP, /* as zero; the space is kept */
};

/* Unlinks the guest clusters [first, end).  Not under the lock; may block.
   Returns:
     0         done
     -EIO      the image takes no more writes
     -ENOSPC   a table found no place
     -EUCLEAN  the tables contradict themselves
     -errno    another error; a part of the range may be unlinked */
int unlink_clusters(struct qcow_image *image, uint64_t first, uint64_t end,
		    enum unlink_how how);

/* Past the guest clusters from guest on that read as zero because no table is
   there, and that are not in the image's backing either; end if all are such.
   Under the lock. */
uint64_t unlink_skip_holes(const struct qcow_image *image, uint64_t guest,
			   uint64_t end);

/* So many, and no more, are unlinked at once. */
#define UNLINK_AT_ONCE 64u

/* The same, but never blocks.  QCOW_MUST_BLOCK: some of them, or all, are left
   for unlink_clusters(). */
int unlink_at_once(struct qcow_image *image, uint64_t first, uint64_t end,
		   enum unlink_how how);

#endif /* QCOW_UNLINK_H */
