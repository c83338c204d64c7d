/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Room that is set aside in the file for clusters to come. */
#ifndef QCOW_AHEAD_H
#define QCOW_AHEAD_H

#include "qcow/image.h"

/* At open, when the journal is there. */
void ahead_begin(struct qcow_image *image);
/* Under the lock, with no I/O: has more set aside by a thread that may block.
 */
void ahead_ask(struct qcow_image *image);
/* Under the lock, which is dropped meanwhile: does so, if it was asked for. */
void ahead_make(struct qcow_image *image);
/* The same by a caller without the lock, if the image has no thread for it. */
void ahead_make_inline(struct qcow_image *image);
/* Is anything set aside? */
bool ahead_has_room(const struct qcow_image *image);
/* Under the lock, which is dropped meanwhile, with no guest range and no turn:
   gives the room back to the file system.  The file stays as long as it is. */
void ahead_give_back(struct qcow_image *image);
/* After a clean close, when no thread and no I/O is left: the file ends behind
   its last cluster again. */
void ahead_end(struct qcow_image *image);

#endif /* QCOW_AHEAD_H */
