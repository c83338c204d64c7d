/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The layer that a merge writes to. */
#ifndef QCOW_BELOW_H
#define QCOW_BELOW_H

#include "qcow/image.h"

#define BELOW_MOST (512u << 10) /* bytes that are copied at once */

struct below {
	struct qcow_image *top;	  /* of the disk */
	struct backing *backing;  /* has the layer: */
	struct qcow_image *image; /* an image, or */
	struct file *raw;	  /* a file, */
	uint64_t raw_end;	  /* which is to end there */
	uint8_t *buffer;
};

/* Is the layer that was opened for writing an image that can be served? */
int below_check(const struct qcow_image *top, struct qcow_error *error);
/* Finds the layer that was opened for writing, and makes it as large as the
   disk.  On failure, too, below_close() is due. */
int below_open(struct below *below, struct qcow_image *top,
	       struct qcow_error *error);
void below_close(struct below *below);
/* Gives the layer the disk's bytes, or zeros.  The caller has
   entered the disk's range. */
int below_copy(struct below *below, uint64_t offset, uint64_t length);
int below_zero(struct below *below, uint64_t offset, uint64_t length);
/* Makes it durable. */
int below_sync(struct below *below);

#endif /* QCOW_BELOW_H */
