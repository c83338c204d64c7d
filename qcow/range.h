/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guest ranges: a thread that enters one exclusively is alone in it. */
#ifndef QCOW_RANGE_H
#define QCOW_RANGE_H

#include "qcow/mapped.h"

bool range_conflicts(struct qcow_image *image, uint64_t first, uint64_t last,
		     bool exclusive);
void range_enter(struct qcow_image *image, struct qcow_range *range,
		 uint64_t first, uint64_t last, bool exclusive);
void range_enter_wait(struct qcow_image *image, struct qcow_range *range,
		      uint64_t first, uint64_t last, bool exclusive);
void range_leave(struct qcow_image *image, struct qcow_range *range);

#endif /* QCOW_RANGE_H */
