/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which granules of a disk the layer of a merge has as the guest sees them.
 * Under the image's lock, but for the first three calls.
 */
#ifndef QCOW_GRANULES_H
#define QCOW_GRANULES_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "qcow/merge.h"

#define GRANULES_MAX (64ull << 20) /* 8 MiB of bits */

struct granules {
	unsigned int bits; /* of a granule's size */
	uint64_t count;
	uint64_t nr_equal;
	uint64_t *equal; /* bits */
	uint64_t *kept;	 /* the memory that outlives us; NULL: there is none */
};

/* Both are filled in: bits and count.  Begins with the memory's bits for such
   granules, or with none.  kept may be NULL.  0 or -ENOMEM. */
int granules_create(struct granules *granules,
		    const struct qcow_merge_kept *kept);
void granules_destroy(struct granules *granules);
/* All that is equal is durable, too: a process after this one may count on it.
   Takes the lock by itself, for a while at a time. */
void granules_keep(struct granules *granules, pthread_mutex_t *lock);

bool granules_is_equal(const struct granules *granules, uint64_t granule);
void granules_set_equal(struct granules *granules, uint64_t granule);
/* From here on the guest may change it. */
void granules_set_changed(struct granules *granules, uint64_t granule);

#endif /* QCOW_GRANULES_H */
