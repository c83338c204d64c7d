/* SPDX-License-Identifier: GPL-2.0-or-later */
/* L2 tables.  Under the lock, which is dropped meanwhile. */
#ifndef QCOW_TABLE_H
#define QCOW_TABLE_H

#include "qcow/image.h"

/* Makes one, if there is none. */
int table_create(struct qcow_image *image, uint64_t l1_index);
/* Makes the table ours alone, so that its entries may be changed. */
int table_own(struct qcow_image *image, uint64_t l1_index);

#endif /* QCOW_TABLE_H */
