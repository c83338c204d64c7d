/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory for copy-on-write: the bytes of whole clusters on their way.
 */
#ifndef COPIES_H
#define COPIES_H

#include <stdint.h>
#include "plugin/server/huge.h"

/* The I/O thread's. */
struct copies {
	struct huge page;
	struct workers *workers;
	uint32_t size; /* of a cluster, bytes */
	uint64_t all;  /* a bit for each that has room */
	uint64_t used;
};

/* For clusters of that size, at most a huge page.  If there is no memory, no
   cluster has room here.  Zero is an end that needs no copies_close(). */
void copies_open(struct copies *copies, uint32_t size, struct workers *workers);
void copies_close(struct copies *copies);

/* Room for a cluster, or NULL. */
char *copies_take(struct copies *copies);

/* The cluster has been written.  Memory that is not from here is ignored. */
void copies_put(struct copies *copies, const char *memory);

#endif /* COPIES_H */
