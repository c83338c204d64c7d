/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest's writes during a merge.  Under the lock. */
#ifndef QCOW_WRITTEN_H
#define QCOW_WRITTEN_H

#include "qcow/image.h"

/* merge.c: the guest will change these clusters, so they are no longer equal
   below.  Called before the guest's range is left. */
void merge_note_write(struct qcow_merge *merge, uint64_t first, uint64_t last);

/* Likewise, whether there is a merge or not. */
static inline void merge_note(struct qcow_image *image, uint64_t first,
			      uint64_t last)
{
	if (image->merge)
		merge_note_write(image->merge, first, last);
}

#endif /* QCOW_WRITTEN_H */
