/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A request part by part: each is in one guest cluster, and in one subcluster
 * where there are such.  All is inline, for most requests are one part.
 */
#ifndef QCOW_MAP_PARTS_H
#define QCOW_MAP_PARTS_H

#include "qcow/image.h"

/* One guest cluster's or subcluster's part of a request. */
struct part {
	uint64_t guest;	     /* cluster */
	unsigned int sub;    /* its subcluster, if it has such */
	uint64_t offset;     /* of the part, in the disk */
	uint32_t in_cluster; /* likewise, in the cluster */
	uint32_t before;     /* bytes of the (sub)cluster in front of it */
	uint32_t length;
	uint32_t after; /* bytes of the (sub)cluster behind it */
};

static inline struct part part_at(const struct qcow_image *image,
				  uint64_t offset, uint64_t left)
{
	uint64_t size = 1ull << image->geometry.part_bits;
	uint32_t in_cluster = offset & (cluster_size(image) - 1);
	uint32_t before = offset & (size - 1);
	uint32_t length = min_u64(left, size - before);

	return (struct part){
		.guest = offset >> image->geometry.cluster_bits,
		.sub = in_cluster >> image->geometry.part_bits,
		.offset = offset,
		.in_cluster = in_cluster,
		.before = before,
		.length = length,
		.after = size - before - length,
	};
}

typedef int map_part(struct qcow_image *image, struct qcow_io *io,
		     const struct part *part, struct need *need);

/* Maps part after part until one cannot be. */
static inline int map_parts(struct qcow_image *image, struct qcow_io *io,
			    uint64_t offset, uint32_t length, map_part *map,
			    struct need *need)
{
	uint32_t end = io->length + length;
	int ret = 0;

	offset -= io->length;
	for (unsigned int i = 0; io->length < end && i < GROUP_RUN; i++) {
		struct part part = part_at(image, offset + io->length,
					   end - io->length);

		ret = map(image, io, &part, need);
		if (ret)
			break;
	}
	return ret;
}

/* Nothing is mapped yet. */
static inline void map_begin(const struct qcow_image *image, struct qcow_io *io,
			     uint64_t offset)
{
	io->gains = shared_get(image->allocator.gains);
	io->nr_extents = 0;
	io->offset = offset;
	io->length = 0;
	io->unlocked = false;
	io->copies = false;
	io->copy.before = io->copy.after = 0;
	io->writes = false;
	io->room_words = 0;
	io->room_assignments = 0;
}

#endif /* QCOW_MAP_PARTS_H */
