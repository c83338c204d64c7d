/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether the host's storage does as the disk's requests ask: noted on the
 * I/O threads, told by the main thread.
 */
#ifndef HEALTH_H
#define HEALTH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "plugin/common/trouble.h"

struct health {
	int fd; /* an eventfd: there is something to look at; constant */
	/* The I/O threads write, the main thread reads. */
	atomic_bool ended;
	/* Such requests went well since the last one that failed. */
	atomic_bool reads;
	atomic_bool writes; /* and all else */
	atomic_uint_fast64_t failures[NR_HOST_TROUBLES];
	atomic_int errors[NR_HOST_TROUBLES]; /* the last of each, -errno */
};

/* 0 or -errno. */
int health_create(struct health *health);
void health_destroy(struct health *health);

/* I/O thread: a request of that sort has ended so, 0 or -errno. */
void health_note(struct health *health, bool writes, int result);

/* The last I/O thread: no request comes any more. */
void health_end(struct health *health);

/* Main thread: until health_end(), tells the supervisor when trouble begins,
   once a minute how much there is of it, and when it is over.  known: the
   trouble that an earlier server told the supervisor, and that is not over
   yet. */
void health_watch(struct health *health, enum host_trouble known, int channel);

#endif /* HEALTH_H */
