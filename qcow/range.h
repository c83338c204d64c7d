/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guest ranges: a thread that enters one exclusively is alone in it. */
#ifndef QCOW_RANGE_H
#define QCOW_RANGE_H

#include "qcow/mapped.h"

/* Under the lock: is anything in the way of a shared range? */
bool range_conflicts(struct qcow_image *image, uint64_t first, uint64_t last);
void range_enter(struct qcow_image *image, struct qcow_range *range,
		 uint64_t first, uint64_t last, bool exclusive);
/* False: another range is in the way, and this one is not entered. */
bool range_try(struct qcow_image *image, struct qcow_range *range,
	       uint64_t first, uint64_t last, bool exclusive);
void range_enter_wait(struct qcow_image *image, struct qcow_range *range,
		      uint64_t first, uint64_t last, bool exclusive);
void range_leave(struct qcow_image *image, struct qcow_range *range);
/* Without the lock.  False: there is an exclusive range, or one may be
   coming. */
bool range_enter_shared(struct qcow_image *image, struct qcow_range *range,
			uint64_t first, uint64_t last);
void range_leave_shared(struct qcow_image *image, struct qcow_range *range);

/* Lists of ranges that take no lock of the image's; for open.c. */
struct image_shard *range_create_shards(void);
void range_destroy_shards(struct image_shard *shards);

#endif /* QCOW_RANGE_H */
