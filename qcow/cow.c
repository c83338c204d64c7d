// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Copy-on-write: a write into a guest cluster whose bytes must not be changed
 * in their place.  They are in the backing, or in a cluster that a snapshot
 * uses, too, or compressed.
 *
 * The steps, in order: read the cluster as the guest sees it (of an extended
 * entry, only the subclusters that are written to); lay the guest's new bytes
 * over it; reserve a fresh cluster (R1); write all of that in one go (R2); link
 * the fresh cluster, in one group with the counts of the clusters that it
 * replaces (R3).  Other users of those clusters keep them.
 *
 * A cluster may lack COPIED although it is not shared.  Such a cluster comes
 * here, too, and gets a new cluster like any other.
 */
#include <errno.h>
#include <stdlib.h>
#include "qcow/append.h"
#include "qcow/compress.h"
#include "qcow/cow.h"
#include "qcow/io.h"
#include "qcow/layers.h"
#include "qcow/provide.h"

/* The records of one copy's group: an entry of two words, the new count, old
   counts. */
#define MAX_OLD		 4
#define ROOM_WORDS	 (1 + 2 * (3 + MAX_OLD))
#define ROOM_ASSIGNMENTS (3 + MAX_OLD)

/* The host clusters that a guest cluster refers to now. */
static void old_clusters(const struct qcow_image *image,
			 const struct cluster *c, uint64_t *first,
			 uint64_t *count)
{
	struct compressed where;

	*first = c->host >> image->geometry.cluster_bits;
	*count = c->has_host && !image->external;
	if (c->kind != CLUSTER_COMPRESSED)
		return;
	compress_locate(c->entry, image->geometry.cluster_bits, &where);
	*first = where.first;
	*count = where.count;
}

int cow_add_released(struct qcow_image *image, const struct cluster *c,
		     struct group *group, struct need *need)
{
	uint64_t first, count, n;

	old_clusters(image, c, &first, &count);
	if (count > MAX_OLD)
		return -EUCLEAN;
	for (uint64_t i = first; i < first + count; i++) {
		int ret = refcount_get(image, i, &n, need);

		if (ret)
			return ret;
		/* Such a cluster has no count to lower. */
		if (i >= image->allocator.max_clusters || (!n && c->beyond))
			continue;
		if (!n)
			return -EUCLEAN; /* used, but counted as free */
		group_assign(group, RECORD_REFCOUNT, i, n - 1);
	}
	if (c->kind == CLUSTER_COMPRESSED)
		unpacker_forget(image->unpacker, first, count);
	return 0;
}

/* One copy: which bytes, and where they go. */
struct copy {
	uint64_t guest;	 /* cluster */
	uint64_t start;	 /* of the bytes, in the disk */
	uint32_t length; /* of a cluster, or of whole subclusters */
	bool whole;	 /* the former host clusters are released */
	bool uncounted;	 /* ... but the former one was beyond the end
			    of the file and free, and may be the new one */
	bool fresh;	 /* goes to a host cluster reserved for it */
	uint64_t host;	 /* offset of the host cluster */
	uint64_t bitmap; /* of an extended entry, afterwards */
	struct qcow_reservation reservation;
};

/* Adds the subclusters of the bytes to those that are allocated. */
static uint64_t add_subclusters(const struct qcow_image *image,
				const struct copy *copy, uint64_t bitmap)
{
	uint32_t in_cluster = copy->start & (cluster_size(image) - 1);
	unsigned int first = in_cluster >> image->geometry.part_bits;
	unsigned int count = copy->length >> image->geometry.part_bits;

	for (unsigned int i = first; i < first + count; i++) {
		bitmap |= SUBCLUSTER_ALLOCATED(i);
		bitmap &= ~SUBCLUSTER_ZERO(i);
	}
	return bitmap;
}

/* Chooses the bytes: the whole cluster, or only the subclusters that are
   written to if the host cluster is or can be this cluster's own. */
static void plan_copy(const struct qcow_image *image, const struct cluster *c,
		      uint64_t offset, uint32_t length, struct copy *copy)
{
	uint64_t unit;

	copy->guest = offset >> image->geometry.cluster_bits;
	copy->whole = !image->geometry.extended ||
		      c->kind == CLUSTER_COMPRESSED ||
		      (c->has_host && !c->copied);
	unit = copy->whole ? cluster_size(image) :
			     1ull << image->geometry.part_bits;
	copy->start = round_down(offset, unit);
	copy->length = round_up(offset + length, unit) - copy->start;
	/* In a data file every cluster has its place. */
	copy->fresh = !image->external && (copy->whole || !c->has_host);
	copy->host = image->external ?
			     copy->guest << image->geometry.cluster_bits :
			     c->host;
	copy->bitmap = add_subclusters(image, copy,
				       copy->whole ? 0 : c->bitmap);
}

/* {L2[guest] = host, refcount[host] = 1, refcount[old ...] = n - 1} */
static int append_copy(struct qcow_image *image, const struct copy *copy,
		       struct need *need)
{
	struct group group = { 0 };
	struct cluster c;
	int ret = cluster_look_up(image, copy->guest, 0, &c, need);

	if (ret)
		return ret;
	group_assign(&group, RECORD_L2, copy->guest, copy->host | ENTRY_COPIED);
	if (image->geometry.extended)
		group_assign(&group, RECORD_L2_BITMAP, copy->guest,
			     copy->bitmap);
	if (copy->fresh)
		group_assign(&group, RECORD_REFCOUNT,
			     copy->host >> image->geometry.cluster_bits, 1);
	/* R3: the counts are those of now, under the same lock. */
	if (copy->whole && !copy->uncounted)
		ret = cow_add_released(image, &c, &group, need);
	if (ret)
		return ret;
	append_group(image, &group);
	return 0;
}

/* The bytes are written: links them, or gives their cluster back. */
static int link_copy(struct qcow_image *image, struct copy *copy, int result)
{
	struct need need;
	int ret = result;

	LOCKED(image);
	while (!ret) {
		ret = append_copy(image, copy, &need);
		if (ret != NEEDS_MORE)
			break;
		ret = provide(image, &need);
	}
	refcount_release(image, &copy->reservation, !ret);
	append_release_room(image, ROOM_WORDS, ROOM_ASSIGNMENTS);
	return ret;
}

/* Room in the journal, and a cluster to copy to. */
static int reserve(struct qcow_image *image, struct copy *copy)
{
	int ret = append_wait_room(image, ROOM_WORDS, ROOM_ASSIGNMENTS);

	if (ret || !copy->fresh)
		return ret;
	ret = refcount_reserve_wait(image, &copy->reservation);
	if (ret)
		append_release_room(image, ROOM_WORDS, ROOM_ASSIGNMENTS);
	copy->host = copy->reservation.first << image->geometry.cluster_bits;
	return ret;
}

static int plan_and_reserve(struct qcow_image *image, uint64_t offset,
			    uint32_t length, struct copy *copy)
{
	struct cluster c;
	uint64_t count;
	int ret;

	LOCKED(image);
	ret = cluster_look_up_wait(image,
				   offset >> image->geometry.cluster_bits, &c);
	if (!ret && c.beyond) {
		ret = refcount_get_wait(
			image, c.host >> image->geometry.cluster_bits, &count);
		copy->uncounted = !ret && !count;
	}
	if (ret)
		return ret;
	plan_copy(image, &c, offset, length, copy);
	return reserve(image, copy);
}

/* The bytes as the guest sees them, with the new ones over them. */
static int compose(struct qcow_image *image, const struct copy *copy,
		   uint8_t *bytes, const void *buffer, uint64_t offset,
		   uint32_t length)
{
	int ret = 0;

	if (length < copy->length)
		ret = io_read_entered(image, bytes, copy->start, copy->length);
	memcpy(bytes + (offset - copy->start), buffer, length);
	return ret;
}

int cow_write(struct qcow_image *image, const void *buffer, uint64_t offset,
	      uint32_t length)
{
	struct copy copy = { 0 };
	uint8_t *bytes = file_buffer(cluster_size(image));
	int ret;

	if (!bytes)
		return -ENOMEM;
	ret = plan_and_reserve(image, offset, length, &copy);
	if (!ret) {
		uint64_t host = copy.host +
				(copy.start & (cluster_size(image) - 1));

		ret = compose(image, &copy, bytes, buffer, offset, length);
		/* R2: the whole copy, before anything names it. */
		if (!ret)
			ret = file_write(image->data, bytes, host,
					 data_clip(image, host, copy.length));
		ret = link_copy(image, &copy, ret);
	}
	free(bytes);
	return ret;
}
