/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Merging: the layer that qcow_options.merge_into names gets all the bytes that
 * the layers above it hide of it, while the guest goes on writing to the image.
 * Once it holds all that the guest sees, it can be served in their place.
 */
#ifndef QCOW_MERGE_H
#define QCOW_MERGE_H

#include "qcow/qcow.h"

struct qcow_merge;

/* Memory that outlives a process which merges: the next one does not copy the
   granules again that are done there.  Zeros at first.  It is right as long as
   nobody writes to the disk without that merge. */
struct qcow_merge_kept {
	uint64_t *memory;
	size_t size; /* bytes; 0: there is none */
};

#define QCOW_MERGE_GRANULE (64u << 10) /* bytes of the disk, at least */

/* How many bytes suffice for a disk of that size. */
size_t qcow_merge_kept_size(uint64_t disk);

/* From now on it says that nothing is done. */
void qcow_merge_forget(const struct qcow_merge_kept *kept);

/* Bytes of the disk. */
struct qcow_merge_progress {
	uint64_t done;	/* that the layer has as the guest sees them; writes
			   of the guest take some back */
	uint64_t total; /* of the disk */
	uint64_t moved; /* written by this step */
};

/* Could the layer be served in place of the image, once it is merged into?
   -ENOTSUP: it is no qcow2 image, or has a data file. */
int qcow_merge_check(const struct qcow_image *image, struct qcow_error *error);

/*
 * Begins a merge; no I/O is under way yet.  A layer that is smaller than the
 * disk gets larger.  -EINVAL: no layer was opened for that, or the layer is
 * larger than the disk.  After a death a merge begins again, from an open with
 * the same merge_into, and goes on from kept; kept may be NULL.
 */
int qcow_merge_open(struct qcow_image *image,
		    const struct qcow_merge_kept *kept,
		    struct qcow_merge **merge, struct qcow_error *error);

/* Copies some bytes that the layer lacks.  Blocks, as qcow_write() does; one
   thread at a time.  The guest's requests wait if they touch the same.
   done == total: at this moment, it lacks nothing. */
int qcow_merge_step(struct qcow_merge *merge,
		    struct qcow_merge_progress *progress);

/* Makes the bytes durable that were copied so far, so that a death does not
   undo them, and qcow_merge_finish() has less to wait for.  Likewise blocks,
   while the guest goes on. */
int qcow_merge_settle(struct qcow_merge *merge);

/* All I/O has ended, and none follows: copies the rest, and makes the layer
   durable.  0: it holds the disk; close the image. */
int qcow_merge_finish(struct qcow_merge *merge, struct qcow_error *error);

/* Ends it, whether it is finished or not; before qcow_close(). */
void qcow_merge_close(struct qcow_merge *merge);

/* merged.c: the mark of an image that was merged into another one */

/* Has the image the mark?  A file that cannot be read has none. */
bool qcow_is_merged(const char *path);

/* Marks an image that was merged into another one, durably: from now on no open
   takes the image, or an overlay of it.  -EBUSY: somebody else uses the image.
   An image that has the mark keeps it. */
int qcow_mark_merged(const char *path, const struct qcow_identity *identity,
		     const char *into, struct qcow_error *error);

#endif /* QCOW_MERGE_H */
