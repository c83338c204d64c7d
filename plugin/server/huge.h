/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory in huge pages, a page at a time.
 */
#ifndef HUGE_H
#define HUGE_H

#include <stdatomic.h>
#include <stddef.h>
#include "plugin/server/worker.h"

#define HUGE_PAGE (2u << 20) /* bytes */

enum huge_state {
	HUGE_FREE,  /* no memory */
	HUGE_ASKED, /* a worker makes it ready */
	HUGE_READY,
};

/* One thread owns it; a worker, as long as it is HUGE_ASKED. */
struct huge {
	struct work work;
	char *memory;	  /* constant */
	atomic_int state; /* enum huge_state */
};

/* Addresses for so many pages, without memory; NULL: there are none.
   munmap() frees. */
char *huge_reserve(unsigned int pages);

/* One of them, free. */
void huge_init(struct huge *huge, char *memory);

/* Gives a free one to a worker; it will be ready. */
void huge_ask(struct huge *huge, struct workers *workers);

/* A ready one becomes free; its bytes are lost. */
void huge_give_back(struct huge *huge);

/* Gives the kernel memory back, of any pages; its bytes are zeros then. */
void memory_give_back(void *memory, size_t length);

static inline enum huge_state huge_state(const struct huge *huge)
{
	return atomic_load_explicit(&huge->state, memory_order_acquire);
}

#endif /* HUGE_H */
