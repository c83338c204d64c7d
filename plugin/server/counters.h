/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Counts the requests of a device in its figures, which outlive us.
 */
#ifndef COUNTERS_H
#define COUNTERS_H

#include <stdint.h>
#include "plugin/common/stats.h"

struct qcow_image;
struct request;

/* Of one I/O thread. */
struct counters {
	struct stats *stats; /* constant; each field has one kind of writer */
	struct stats_thread own; /* constant; this thread alone writes to it */
	/* The counts of earlier servers; constant. */
	uint64_t cache_hits, cache_misses, checkpoints;
	uint64_t now; /* ns; I/O thread */
};

/* Before the first request of any thread: nothing is in flight. */
void counters_begin_server(struct stats *stats, unsigned int queues);

/* For the I/O thread with that number. */
void counters_init(struct counters *counters, struct stats *stats,
		   unsigned int thread);

/* I/O thread: takes the time of the requests that begin or end next. */
void counters_tick(struct counters *counters);

/* I/O thread: something has ended; a transfer has begun (1), or ended (-1). */
void counters_step(struct counters *counters);
void counters_transfer(struct counters *counters, int change);

/* Any worker: one more part of a long request is done. */
void counters_part(struct counters *counters);

/* I/O thread: the driver has given us the request; it has ended so, bytes or
   -errno. */
void counters_begin(struct counters *counters, struct request *request);
void counters_end(struct counters *counters, const struct request *request,
		  int result);

/* A worker: the engine's own figures. */
void counters_look(const struct counters *counters, struct qcow_image *image);

#endif /* COUNTERS_H */
