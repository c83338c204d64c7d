/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All queues of a device: an I/O thread for each, where the driver allows it,
 * or one for all.
 */
#ifndef QUEUES_H
#define QUEUES_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>
#include "plugin/server/device.h"
#include "plugin/server/request.h"

struct culprit;
struct disk_options;
struct queue;

/* The main thread's.  The threads read it. */
struct queues {
	unsigned int count; /* of I/O threads; each has: */
	struct io_uring rings[STATS_THREADS];
	struct queue *queue[STATS_THREADS];
	struct shared shared;
};

/* How many I/O threads a disk gets: features are those of the driver; recovers:
   the device has had a server before. */
unsigned int queues_threads(const struct disk_options *options,
			    uint64_t features, bool recovers);

/* Makes the rings of so many I/O threads: see queue_ring().  Closes those that
   there are; after a failure there are none. */
int queues_rings(struct queues *queues, const struct disk_options *options,
		 unsigned int count);

/* The descriptor of the first ring. */
int queues_ring(const struct queues *queues);

/* All that needs no image: workers, and queue_create() of each. */
int queues_create(struct queues *queues,
		  const struct ublksrv_ctrl_dev_info *info,
		  struct health *health, struct stats *stats,
		  const struct disk_options *options);

/* The rest: queue_open() of each. */
int queues_open(struct queues *queues, struct qcow_image *image);

/* Returns when the kernel has closed the files of the rings, or after some
   seconds. */
void queues_destroy(struct queues *queues);

/* Each does that for all queues. */
void queues_expect(struct queues *queues, const struct culprit *culprit,
		   unsigned int deaths);
void queues_live(const struct queues *queues);
int queues_attach(struct queues *queues, const struct device *device);
void queues_leave(struct queues *queues);

/* Any thread: have users requests under way? */
bool queues_busy(const struct queues *queues);

#endif /* QUEUES_H */
