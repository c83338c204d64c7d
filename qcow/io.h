/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads and writes that block. */
#ifndef QCOW_IO_H
#define QCOW_IO_H

#include "qcow/image.h"

/* Turns an error into the one that the guest is told, and tells the host's log
   of its cause. */
int io_explain(struct qcow_image *image, int ret);
/* Reads; the caller has entered the range. */
int io_read_entered(struct qcow_image *image, void *buffer, uint64_t offset,
		    size_t length);
/* -EINVAL: the range is not in sectors, or not inside the disk. */
int io_check_range(const struct qcow_image *image, uint64_t offset,
		   uint64_t length);

#endif /* QCOW_IO_H */
