/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads and writes that block. */
#ifndef QCOW_IO_H
#define QCOW_IO_H

#include "qcow/image.h"

/* io.c */

/* Turns an error into the guest's error, and tells the host's log of the
   cause. */
int io_explain(struct qcow_image *image, int ret);
/* The same for a read. */
int io_explain_read(struct qcow_image *image, int ret);
/* Reads; the caller has entered the range. */
int io_read_entered(struct qcow_image *image, void *buffer, uint64_t offset,
		    size_t length);
/* Bytes that are aligned to image->alignment, and so is the memory. */
struct io_units {
	const uint8_t *bytes;
	uint64_t offset, end;
	uint64_t from, to; /* the caller's bytes among them */
	uint8_t *own;	   /* the bytes, and room for one unit; or NULL if all
			      the bytes are the caller's */
};

/* Move whole units. */
int io_read_aligned(struct qcow_image *image, uint8_t *buffer, uint64_t offset,
		    size_t length);
int io_write_units(struct qcow_image *image, const struct io_units *units);

/* -EINVAL: the range is not in sectors, or not inside the disk. */
int io_check_range(const struct qcow_image *image, uint64_t offset,
		   uint64_t length);

/* unaligned.c: the same for any multiple of QCOW_SECTOR and any memory */

/* Reads into a piece of the units the bytes that are not the caller's; the
   range is entered exclusively. */
int unaligned_fill(struct qcow_image *image, const struct io_units *units,
		   uint64_t offset, uint32_t length);
int unaligned_read(struct qcow_image *image, void *buffer, uint64_t offset,
		   size_t length);
int unaligned_write(struct qcow_image *image, const void *buffer,
		    uint64_t offset, size_t length);

#endif /* QCOW_IO_H */
