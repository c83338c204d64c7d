/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Times, for the two sides of a lease: its owner's and its successor's. */
#ifndef QCOW_LEASE_TIMES_H
#define QCOW_LEASE_TIMES_H

#include <time.h>
#include "qcow/lease.h"

#define NS	 1000000000ull
#define LEASE_NS 300000000ull /* how far ahead it promises, at the least */
#define STEP_NS	 100000000ull /* of a clock that was set */

static inline uint64_t clock_ns(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return now.tv_sec * NS + now.tv_nsec;
}

static inline uint64_t distance(int64_t a, int64_t b)
{
	return a > b ? a - b : b - a;
}

/* lease-judge.c */

/* As the file system has them; 0 or -errno. */
int lease_take_times(const struct file *file, struct lease_times *times);

#endif /* QCOW_LEASE_TIMES_H */
