/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The present state of a guest cluster.  Under the lock. */
#ifndef QCOW_CLUSTER_H
#define QCOW_CLUSTER_H

#include "qcow/image.h"

enum cluster_kind {
	CLUSTER_UNALLOCATED,	/* reads as the backing */
	CLUSTER_ZERO,		/* reads as zero, no host cluster */
	CLUSTER_ZERO_ALLOCATED, /* reads as zero, keeps a host cluster */
	CLUSTER_DATA,
	CLUSTER_COMPRESSED,
};

struct cluster {
	enum cluster_kind kind;
	bool has_table; /* its L2 table exists */
	bool own_table; /* and its count is one */
	bool copied;	/* the host cluster's count is one */
	bool has_host;	/* a host cluster is allocated */
	bool beyond;	/* the end of the file: zeros, not to be
			   written to */
	uint64_t entry;
	uint64_t bitmap; /* of an extended one */
	uint64_t host;	 /* its offset */
};

/* Does this cluster belong to the header, the L1 or the refcount table? */
bool cluster_is_top_table(const struct qcow_image *image, uint64_t offset);
/* Or is it an L2 table, a refcount block or a table of internal snapshots or
   bitmaps that the open has found? */
bool cluster_is_table(const struct qcow_image *image, uint64_t offset);
uint64_t cluster_l1_entry(const struct qcow_image *image, uint64_t index);
/* The state of a guest cluster, or of its subcluster sub.  -EUCLEAN: the
   tables contradict themselves. */
int cluster_look_up(struct qcow_image *image, uint64_t guest, unsigned int sub,
		    struct cluster *cluster, struct need *need);
/* Does an unallocated guest cluster read as the backing? */
bool cluster_shows_under(const struct qcow_image *image, uint64_t guest);

#endif /* QCOW_CLUSTER_H */
