/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copy-on-write. */
#ifndef QCOW_COW_H
#define QCOW_COW_H

#include "qcow/cluster.h"
#include "qcow/journal.h"

/* Under the lock: adds to a group the lowered counts of the host clusters that
   a guest cluster refers to. */
int cow_add_released(struct qcow_image *image, const struct cluster *cluster,
		     struct group *group, struct need *need);
/* A write into a guest cluster that needs its bytes around copied, or its
   host cluster replaced.  The range is entered; not under the lock. */
int cow_write(struct qcow_image *image, const void *buffer, uint64_t offset,
	      uint32_t length);

#endif /* QCOW_COW_H */
