/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The steps before a lack of space is admitted (R16).  Under the
   lock. */
#ifndef QCOW_SPACE_H
#define QCOW_SPACE_H

#include <errno.h>
#include "qcow/image.h"

/* Of the file system, of its owner's share of that, or of a file, which can be
   no longer. */
static inline bool space_is_lacked(int ret)
{
	return ret == -ENOSPC || ret == -EDQUOT || ret == -EFBIG;
}

/* After -ENOSPC: is there a chance?  gains: image->allocator.gains at the
 * attempt. */
bool space_may_be_found(const struct qcow_image *image, uint64_t gains);
/* Likewise, with no guest range entered; drops the lock meanwhile.  0: try
   once more. */
int space_regain(struct qcow_image *image, uint64_t gains);

#endif /* QCOW_SPACE_H */
