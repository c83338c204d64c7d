/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The checkpoint.  Under the lock unless said otherwise, which is dropped
 * meanwhile.
 */
#ifndef QCOW_CHECKPOINT_H
#define QCOW_CHECKPOINT_H

#include "qcow/image.h"

/* writeback.c: for the checkpoint; may block */

enum phase {
	RAISE, /* refcounts that go up (R5) */
	LINK,  /* L2 entries (R6) */
	LOWER, /* refcounts that go down (R7) */
};

int writeback_slices(struct qcow_image *image, const struct assignment *from,
		     const struct assignment *end, enum phase phase);
int writeback_l1(struct qcow_image *image, const struct assignment *from,
		 const struct assignment *end);
/* Punches holes where counts became zero. */
void writeback_punch(struct qcow_image *image, const struct assignment *from,
		     const struct assignment *end);

/* checkpoint.c */

bool checkpoint_is_dirty(const struct qcow_image *image);
/* Blocks until a checkpoint that freezes after now is complete. */
int checkpoint_wait(struct qcow_image *image);
/* Blocks until the dirty assignments take less room. */
int checkpoint_wait_room(struct qcow_image *image);
/* The same of one more checkpoint, whenever it froze. */
int checkpoint_make(struct qcow_image *image);

/* checkpoint-thread.c */

int checkpoint_start_thread(struct qcow_image *image);
/* Not under the lock. */
void checkpoint_stop_thread(struct qcow_image *image);

#endif /* QCOW_CHECKPOINT_H */
