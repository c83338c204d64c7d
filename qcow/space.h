/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What there is to do before a lack of space is admitted (R16). */
#ifndef QCOW_SPACE_H
#define QCOW_SPACE_H

#include "image.h"

/* Of one request; zeros at its beginning. */
struct space {
	bool tried;
	uint64_t checkpoints;		/* complete before the last attempt */
};

/* Under the lock, which is dropped meanwhile, and with no guest range, after
   -ENOSPC.  0: try once more. */
int space_regain(struct qcow_image *image, struct space *space);

#endif /* QCOW_SPACE_H */
