/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The end of a mapped write.  Under the lock. */
#ifndef QCOW_LINK_H
#define QCOW_LINK_H

#include "qcow/image.h"

/* Has the mapping extents that link_end() makes part of the disk? */
bool link_has_fresh(const struct qcow_io *io);
/* Reserves the room that linking takes (R16).  Returns:
     0           reserved, or there is nothing to link
     NEEDS_MORE  a checkpoint has to be made first */
int link_reserve(struct qcow_image *image, struct qcow_io *io,
		 struct need *need);
/* Gives the room and the reservations back; used: a group will count the
   reserved clusters. */
void link_release(struct qcow_image *image, struct qcow_io *io, bool used);
/* Ends a mapping.  moved: the bytes are in the file, so its fresh extents
   become part of the disk; else they are given back. */
void link_end(struct qcow_image *image, struct qcow_io *io, bool moved);

#endif /* QCOW_LINK_H */
