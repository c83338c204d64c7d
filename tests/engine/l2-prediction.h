/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Predicts the extended L2 entries of an image, and the bytes that its guest
 * sees, after each change.  The rules stand in subclusters.c.
 */
#ifndef L2_PREDICTION_H
#define L2_PREDICTION_H

#include <stdbool.h>
#include "tests/lib/operations.h"

/* A guest cluster's L2 entry, as it is or as it must be. */
struct entry {
	bool has_host, own, packed;
	bool moved;    /* the host cluster is another */
	uint64_t host; /* offset */
	uint64_t bitmap;
};

struct prediction {
	uint64_t size;	    /* of the disk, bytes */
	uint32_t cluster;   /* bytes */
	uint64_t base_size; /* of the layer below; 0: there is none */
	bool data_file;
	struct entry *entries; /* one for each guest cluster */
	uint8_t *bytes;	       /* as the guest sees them */
};

/* Reads the first entries of the image's first L2 table. */
void entries_read(const char *path, struct entry *entries, uint64_t count);
/* Applies an operation to the prediction. */
void predict(struct prediction *predicted, const struct operation *operation);

#endif /* L2_PREDICTION_H */
