// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which bytes of a disk come from above a layer?  The images are asked from the
 * top down, as for a read (map.c), but only as far as that layer: the first one
 * that has the cluster, or subcluster, hides the others under it.  So does the
 * end of a layer that is shorter than the disk: behind it, zeros are read.
 *
 * Hidden bytes stay hidden.  A write hides.  A discard hides, too, since it
 * leaves a zero cluster, or discards nothing (unlink.c).
 */
#include "qcow/cluster.h"
#include "qcow/hidden.h"
#include "qcow/layers.h"
#include "qcow/provide.h"

static int look_up(struct qcow_image *image, uint64_t offset, struct cluster *c)
{
	uint64_t in_cluster = offset & (cluster_size(image) - 1);
	struct need need;
	int ret;

	LOCKED(image);
	while ((ret = cluster_look_up(image,
				      offset >> image->geometry.cluster_bits,
				      in_cluster >> image->geometry.part_bits,
				      c, &need)) == NEEDS_MORE) {
		ret = provide(image, &need);
		if (ret)
			return ret;
	}
	return ret;
}

static enum hidden_kind kind_of(const struct cluster *c)
{
	if (c->kind == CLUSTER_COMPRESSED ||
	    (c->kind == CLUSTER_DATA && !c->beyond))
		return HIDDEN_DATA;
	return HIDDEN_ZERO;
}

/* How far the answer holds: a cluster or subcluster, or all that a missing
   table would describe. */
static uint64_t reach_of(const struct qcow_image *image, uint64_t offset,
			 const struct cluster *c)
{
	unsigned int bits = image->geometry.part_bits;

	if (!c->has_table)
		bits = image->geometry.l2_bits + image->geometry.cluster_bits;
	return (1ull << bits) - (offset & ((1ull << bits) - 1));
}

int hidden_look(struct qcow_image *image, const struct backing *under,
		uint64_t offset, uint64_t length, struct hidden *hidden)
{
	hidden->length = length;
	for (;; image = backing_image(image->backing)) {
		struct cluster c;
		int ret = look_up(image, offset, &c);

		if (ret)
			return ret;
		hidden->length = min_u64(hidden->length,
					 reach_of(image, offset, &c));
		hidden->kind = kind_of(&c);
		if (c.kind != CLUSTER_UNALLOCATED ||
		    offset >= backing_size(image->backing))
			return 0;
		hidden->length = min_u64(hidden->length,
					 backing_size(image->backing) - offset);
		hidden->kind = HIDDEN_NOT;
		if (image->backing == under)
			return 0;
	}
}
