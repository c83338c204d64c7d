/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Look-ups without the lock; unlocked.c has the design. */
#ifndef QCOW_UNLOCKED_H
#define QCOW_UNLOCKED_H

#include "qcow/image.h"

/* Map a request of whole units and enter its range shared, without the lock.
   False: something is in the way.  Nothing has changed, and the caller maps
   under the lock. */
bool unlocked_read(struct qcow_image *image, struct qcow_io *io,
		   uint64_t offset, uint32_t length);
/* Only a write in place. */
bool unlocked_write(struct qcow_image *image, struct qcow_io *io,
		    uint64_t offset, uint32_t length);
/* The I/O of a request that one of these has mapped has ended. */
void unlocked_end(struct qcow_image *image, struct qcow_io *io);
/* Goes on with a mapped read in an image that lies under another; -EAGAIN:
   something is in the way. */
int unlocked_continue(struct qcow_image *image, struct qcow_io *io,
		      uint64_t offset, uint32_t length);
/* Under the lock: the next calls of this thread may map without. */
void unlocked_allow(struct qcow_image *image);
/* Its next write will be like this one. */
void unlocked_expect(struct qcow_image *image, bool allocates);

#endif /* QCOW_UNLOCKED_H */
