/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What becomes of the extended L2 entries of an image, and of what its guest
 * sees, by each change; the rules stand in subclusters.c.
 */
#ifndef L2_PREDICTION_H
#define L2_PREDICTION_H

#include <stdbool.h>
#include "tests/lib/operations.h"

/* A guest cluster's L2 entry, as it is or has to be. */
struct entry {
	bool has_host, own, packed;
	bool moved;    /* the host cluster is another */
	uint64_t host; /* offset */
	uint64_t bitmap;
};

struct prediction {
	uint64_t size;	    /* of the disk, bytes */
	uint32_t cluster;   /* bytes */
	uint64_t base_size; /* of what lies under it; 0: nothing */
	bool data_file;
	struct entry *entries; /* one for each guest cluster */
	uint8_t *bytes;	       /* what the guest sees */
};

/* Reads the first entries of the image's first L2 table. */
void entries_read(const char *path, struct entry *entries, uint64_t count);
/* Does an operation to what is predicted. */
void predict(struct prediction *predicted, const struct operation *operation);

#endif /* L2_PREDICTION_H */
