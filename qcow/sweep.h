/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The search for free clusters below the end that the file had at the open.
   Under the lock, which is dropped meanwhile. */
#ifndef QCOW_SWEEP_H
#define QCOW_SWEEP_H

#include "qcow/image.h"

/* At open, when the file's end is known. */
void sweep_begin(struct qcow_image *image);
/* Reads some of the counts; false: there are none left to read. */
bool sweep_some(struct qcow_image *image);

#endif /* QCOW_SWEEP_H */
