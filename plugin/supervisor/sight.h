/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Looks at a server from outside, in /proc and /sys.
 *
 * Functions return 0 or -errno.
 */
#ifndef SIGHT_H
#define SIGHT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "plugin/supervisor/suspicion.h"

/* Has somebody a request under way on /dev/ublkb<id>? */
int sight_pending(int id, bool *pending);

/* In place of the number of an I/O thread. */
#define SIGHT_ALL (-1)

/* Fills in the evidence that the kernel shows of the server's threads: all but
   transfers, cpu and elapsed.  Of the I/O threads, all count, or only the one
   with that number. */
int sight_threads(pid_t server, int number, struct evidence *evidence);

/* The processor time that these threads have used, in ms; all: also that of
   threads that have ended. */
int sight_cpu(pid_t server, int number, uint64_t *cpu);

#endif /* SIGHT_H */
