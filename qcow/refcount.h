/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Refcounts, reservations, and the blocks that the counts are in.  Under the
 * lock, which calls that may block drop meanwhile.
 */
#ifndef QCOW_REFCOUNT_H
#define QCOW_REFCOUNT_H

#include "qcow/image.h"

/* refcount.c */

/* At open, when the cache is there. */
void refcount_begin(struct qcow_image *image);

/* The largest count that the width of the image's refcounts can hold. */
uint64_t refcount_max(const struct qcow_image *image);
uint64_t refcounts_in_slice(const struct qcow_image *image);
/* So many clusters of a file of that size, in bytes, may be taken: those that a
   table can count. */
uint64_t refcount_reach(const struct qcow_image *image, uint64_t size);
/* Counts in a slice of a block, in the host's byte order. */
uint64_t refcount_in_slice(const struct qcow_image *image, const void *data,
			   uint64_t index);
void refcount_put_in_slice(const struct qcow_image *image, void *data,
			   uint64_t index, uint64_t count);
/* The slice of the refcount block that holds a cluster's count, and the
   count's index in it; -ENOENT if there is no such block. */
int refcount_locate(const struct qcow_image *image, uint64_t cluster,
		    uint64_t *offset, uint64_t *index);
/* The count of a cluster now. */
int refcount_get(struct qcow_image *image, uint64_t cluster, uint64_t *count,
		 struct need *need);
/* The next free cluster from *at on; *at moves past those that are not. */
int refcount_find_free_from(struct qcow_image *image, uint64_t *at,
			    struct need *need);
/* Likewise from the cursor on. */
int refcount_find_free(struct qcow_image *image, uint64_t *cluster,
		       struct need *need);
/* Begins a reservation with a free cluster, or adds the next one to it.  It
   is in no refcount: a group will say so, or death forgets it (R1). */
void refcount_reserve(struct qcow_image *image,
		      struct qcow_reservation *reservation, uint64_t cluster);
/* Ends a reservation; used: a group has counted its clusters. */
void refcount_release(struct qcow_image *image,
		      struct qcow_reservation *reservation, bool used);

/* Clusters are free from now on, or nothing but a dirty set keeps them. */
void refcount_gain(struct qcow_image *image, uint64_t first, uint64_t count);

/* grow.c */

/* Names a moved refcount table in the header, if it is not named yet. */
int grow_write_header(struct qcow_image *image);
/* Makes the block for an entry of the refcount table, and a larger table if
   need be. */
int grow_refcounts(struct qcow_image *image, uint64_t table_index);

/* Moves the refcount table so that, behind all that it described, so many
   clusters in a row are free, from *first on. */
int grow_run(struct qcow_image *image, uint64_t clusters, uint64_t *first);

#endif /* QCOW_REFCOUNT_H */
