/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A lock that is held for a few instructions, and seldom wanted by two threads.
 * A third of the cost of a pthread_mutex_t.
 */
#ifndef QCOW_LATCH_H
#define QCOW_LATCH_H

#include <stdatomic.h>
#include <stdint.h>

struct latch {
	_Atomic uint32_t state; /* 0: free; see latch.c */
};

void latch_take(struct latch *latch);
void latch_give(struct latch *latch);

#endif /* QCOW_LATCH_H */
