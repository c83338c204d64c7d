/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DISCARD and WRITE ZEROES as the server makes them: at once, or by the
 * blocking call.  0 or -errno.
 */
#ifndef CLEAR_H
#define CLEAR_H

#include "qcow/qcow.h"

int clear_discard(struct qcow_image *image, uint64_t offset, uint64_t length);
int clear_zeroes(struct qcow_image *image, uint64_t offset, uint64_t length,
		 bool unmap);

#endif /* CLEAR_H */
