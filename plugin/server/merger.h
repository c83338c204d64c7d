/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The merger: the thread that merges the image into the one below, while the
 * disk is served.
 */
#ifndef MERGER_H
#define MERGER_H

#include "qcow/merge.h"

struct merger;
struct queues;

/* Makes the thread of an image that was opened with merge_into; the thread
   waits.  rate: bytes in a second that it copies at most; 0: no limit.  kept:
   the merged bytes of the servers before.  0 or -errno. */
int merger_create(struct qcow_image *image, int channel, uint64_t rate,
		  const struct qcow_merge_kept *kept, struct merger **merger,
		  struct qcow_error *error);

/* The disk is live: merges, and when little is left, has the queues leave. */
void merger_begin(struct merger *merger, struct queues *queues);

/* The queues have left: copies the rest and makes it durable.  0: the layer
   holds the disk. */
int merger_finish(struct merger *merger, struct qcow_error *error);

/* Ends it, finished or not; before the queues and the image are gone.  NULL
   does no harm. */
void merger_end(struct merger *merger);

#endif /* MERGER_H */
