// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A lock of one word.  The kernel is asked only if a thread waits for it, or
 * has waited while it was held last.
 */
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "qcow/latch.h"

enum {
	FREE,
	TAKEN,
	WANTED, /* taken, and perhaps somebody waits */
};

static void __attribute__((noinline)) wait_for(struct latch *latch)
{
	/* A signal, or a change meanwhile, is a reason to look again. */
	while (atomic_exchange_explicit(&latch->state, WANTED,
					memory_order_acquire) != FREE)
		syscall(SYS_futex, &latch->state, FUTEX_WAIT_PRIVATE, WANTED,
			NULL, NULL, 0);
}

static void __attribute__((noinline)) wake_one(struct latch *latch)
{
	syscall(SYS_futex, &latch->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void latch_take(struct latch *latch)
{
	uint32_t state = FREE;

	if (!atomic_compare_exchange_strong_explicit(
		    &latch->state, &state, TAKEN, memory_order_acquire,
		    memory_order_relaxed))
		wait_for(latch);
}

void latch_give(struct latch *latch)
{
	if (atomic_exchange_explicit(&latch->state, FREE,
				     memory_order_release) == WANTED)
		wake_one(latch);
}
