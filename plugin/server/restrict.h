/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The operations that the queues' ring may do.
 */
#ifndef RESTRICT_H
#define RESTRICT_H

#include <stdbool.h>

struct io_uring;

/* Restricts a ring that is still disabled to the operations of the queues;
   fixed: and to its registered files.  0 or -errno. */
int restrict_ring(struct io_uring *ring, bool fixed);

#endif /* RESTRICT_H */
