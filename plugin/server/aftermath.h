/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The driver's work after the death of a server, for older drivers.
 */
#ifndef AFTERMATH_H
#define AFTERMATH_H

#include <stdbool.h>
#include <stdint.h>

/* A file of the kernel: to read it waits for the work of all processors. */
#define AFTERMATH_FILE "/proc/sys/vm/stat_refresh"

struct aftermath {
	int helper; /* a socket; -1: there is none */
};

/* Does a driver with these features need the functions below? */
bool aftermath_matters(uint64_t features);

/* Starts a helper that will read file, and that ends after this process, or
   when its socket is closed.  Where none can be started, the wait is shorter
   than it should be. */
void aftermath_begin(struct aftermath *aftermath, const char *file);

/* After START_USER_RECOVERY, and before the first FETCH: returns when the
   driver has done all that it began to do before, or after two seconds. */
void aftermath_await(struct aftermath *aftermath);

#endif /* AFTERMATH_H */
