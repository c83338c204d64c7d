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

/* Fills in the evidence that the kernel shows of the server's threads: all but
   transfers, cpu and elapsed. */
int sight_threads(pid_t server, struct evidence *evidence);

/* All processor time that the server has used, in ms. */
int sight_cpu(pid_t server, uint64_t *cpu);

#endif /* SIGHT_H */
