/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copy-on-write: a write into a guest cluster whose bytes live where they may
 * not be changed, in what lies under the image, in a cluster that a snapshot
 * uses, too, or compressed.
 *
 * In order: read the cluster as the guest sees it, lay the guest's new bytes
 * over it, reserve a fresh cluster (R1), write all of it in one go (R2), and
 * link it, in one group with the counts of what it replaces (R3).  Whoever
 * else uses those keeps them.
 *
 * A cluster that lacks COPIED although nobody shares it is found here, too:
 * then all it takes is a new cluster like any other.
 */
#include <errno.h>
#include <stdlib.h>
#include "compress.h"
#include "internal.h"

/* What the group of one copy can say: entry, new count, old counts. */
#define MAX_OLD			4
#define ROOM_WORDS		(1 + 2 * (2 + MAX_OLD))
#define ROOM_ASSIGNMENTS	(2 + MAX_OLD)

/* The host clusters that a guest cluster refers to now. */
static void old_clusters(const struct qcow_image *image,
			 const struct cluster *c, uint64_t *first,
			 uint64_t *count)
{
	struct compressed where;

	*first = c->host >> image->cluster_bits;
	*count = c->has_host && !image->external;
	if (c->kind != CLUSTER_COMPRESSED)
		return;
	compress_locate(c->entry, image->cluster_bits, &where);
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
		struct record record = {
			.kind = RECORD_REFCOUNT,
			.index = i,
			.count = 1,
		};
		int ret = refcount_get(image, i, &n, need);

		if (ret)
			return ret;
		if (!n)
			return -EUCLEAN;	/* used, but counted as free */
		record.value = n - 1;
		group_add(group, &record);
	}
	if (c->kind == CLUSTER_COMPRESSED)
		unpacker_forget(image->unpacker, first, count);
	return 0;
}

/* {L2[guest] = new, refcount[new] = 1, refcount[old ...] = n - 1}; in a
   data file there are no counts. */
static int append_copy(struct qcow_image *image, uint64_t guest,
		       uint64_t cluster, struct need *need)
{
	const struct record entry = {
		.kind = RECORD_L2,
		.index = guest,
		.count = 1,
		.value = cluster << image->cluster_bits | ENTRY_COPIED,
	};
	const struct record count = {
		.kind = RECORD_REFCOUNT,
		.index = cluster,
		.count = 1,
		.value = 1,
	};
	struct group group = { 0 };
	struct cluster c;
	int ret = cluster_look_up(image, guest, &c, need);

	if (ret)
		return ret;
	group_add(&group, &entry);
	if (!image->external)
		group_add(&group, &count);
	/* R3: the counts are those of now, under the same lock. */
	ret = cow_add_released(image, &c, &group, need);
	if (ret)
		return ret;
	append_group(image, &group);
	return 0;
}

/* The cluster is written: links it, or gives it back. */
static int link_copy(struct qcow_image *image, uint64_t guest,
		     struct qcow_reservation *r, int result)
{
	struct need need;
	int ret = result;

	LOCKED(image);
	while (!ret) {
		ret = append_copy(image, guest, r->first, &need);
		if (ret != -EAGAIN)
			break;
		ret = map_provide(image, &need);
	}
	refcount_release(image, r, !ret);
	append_release_room(image, ROOM_WORDS, ROOM_ASSIGNMENTS);
	return ret;
}

/* Room in the journal, and a cluster to copy to. */
static int reserve(struct qcow_image *image, uint64_t guest,
		   struct qcow_reservation *r)
{
	int ret;

	LOCKED(image);
	ret = append_wait_room(image, ROOM_WORDS, ROOM_ASSIGNMENTS);
	if (ret)
		return ret;
	/* In a data file every cluster has its place. */
	r->first = guest;
	if (!image->external)
		ret = refcount_reserve_wait(image, r);
	if (ret)
		append_release_room(image, ROOM_WORDS, ROOM_ASSIGNMENTS);
	return ret;
}

static int copy_and_link(struct qcow_image *image, uint64_t guest,
			 const void *bytes)
{
	struct qcow_reservation r = { 0 };
	int ret = reserve(image, guest, &r);

	if (ret)
		return ret;
	/* R2: all of the cluster, before anything names it. */
	ret = file_write(image->data, bytes, r.first << image->cluster_bits,
			 cluster_size(image));
	return link_copy(image, guest, &r, ret);
}

int cow_write(struct qcow_image *image, const void *buffer, uint64_t offset,
	      uint32_t length)
{
	uint64_t start = round_down(offset, cluster_size(image));
	uint8_t *bytes = file_buffer(cluster_size(image));
	int ret = 0;

	if (!bytes)
		return -ENOMEM;
	if (length < cluster_size(image))
		ret = io_read_entered(image, bytes, start,
				      cluster_size(image));
	if (!ret) {
		memcpy(bytes + (offset - start), buffer, length);
		ret = copy_and_link(image, start >> image->cluster_bits,
				    bytes);
	}
	free(bytes);
	return ret;
}
