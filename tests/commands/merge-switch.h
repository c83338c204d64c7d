/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The world of `merge-switch`: its answers, and the calls that it has seen. */
#ifndef MERGE_SWITCH_H
#define MERGE_SWITCH_H

#include "plugin/common/state.h"
#include "plugin/supervisor/teardown.h"

#define IMAGE_LOCK ((struct qcow_lock *)1)
#define LAYER_LOCK ((struct qcow_lock *)2)
#define BASE_LOCK  ((struct qcow_lock *)3)
#define MID_LOCK   ((struct qcow_lock *)4)

extern struct played {
	/* its answers */
	int save_result;

	/* the calls */
	unsigned int saves, servers, lowered, unlocked, mid_unlocked;
	struct disk saved;
} played;

/* Of all processes: jobs are processes, too. */
extern struct shared {
	int mark_result; /* its answer */
	unsigned int marks, mid_marks;
} * shared;

#endif /* MERGE_SWITCH_H */
