/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Discard and write zeroes: taking clusters out of the mapping.
 *
 * Both go over the range cluster by cluster, under an exclusive guest range,
 * so that all I/O under the old mapping has ended (R9), and collect what
 * changes in one group at a time.  Long ones are many groups (R16): death
 * between two leaves a part done, which the reissued request does again.
 *
 * Without a backing file an unallocated cluster reads as zero in both
 * versions of the format; so that is what a cluster becomes.  Where space
 * must not be given back, version 3 keeps the cluster beside the zero flag,
 * and version 2, which has no such flag, gets zeros written.
 */
#include <errno.h>
#include <stdlib.h>
#include "internal.h"

/* Clusters that one group may change. */
#define MAX_CLUSTERS	1024u
/* Guest clusters that are looked at while a range is held. */
#define MAX_LOOKED_AT	8192u

/* A group under construction: runs grow while neighbours fit. */
struct unlink {
	struct group group;
	struct record entry;		/* the runs not in the group yet */
	struct record count;
	unsigned int clusters;
};

static void put_run(struct group *group, struct record *run)
{
	if (run->count)
		group_add(group, run);
	run->count = 0;
}

static void extend_run(struct group *group, struct record *run,
		       enum record_kind kind, uint64_t index, uint64_t value)
{
	if (run->count && run->index + run->count == index &&
	    run->value == value) {
		run->count++;
		return;
	}
	put_run(group, run);
	*run = (struct record){
		.kind = kind,
		.index = index,
		.count = 1,
		.value = value,
	};
}

/* A cluster may cost two records more, and the open runs as many. */
static bool is_full(const struct unlink *unlink)
{
	return unlink->clusters == MAX_CLUSTERS ||
	       unlink->group.words + 8 > GROUP_WORDS;
}

/* The count that the host cluster will have. */
static int lowered_count(struct qcow_image *image, const struct cluster *c,
			 uint64_t *count, struct need *need)
{
	int ret = 0;

	*count = 1;
	if (!c->copied)
		ret = refcount_get(image, c->host >> image->cluster_bits,
				   count, need);
	if (!ret && !*count)
		return -EIO;	/* in use, but counted as free: corrupt */
	--*count;
	return ret;
}

/* An entry in a table that others count, too, may not be changed. */
static int check_own_table(const struct cluster *c, uint64_t guest,
			   const struct qcow_image *image, struct need *need)
{
	if (c->own_table)
		return 0;
	*need = (struct need){
		.kind = NEED_COPIED,
		.l1 = true,
		.index = guest >> image->l2_bits,
	};
	return -EAGAIN;
}

/* What a pass over clusters does to one of them; keep says that it stays
   allocated. */
static int unlink_cluster(struct qcow_image *image, uint64_t guest, bool keep,
			  struct unlink *unlink, struct need *need)
{
	struct cluster c;
	uint64_t count;
	int ret = map_cluster(image, guest, &c, need);

	if (ret)
		return ret;
	if (c.kind == CLUSTER_COMPRESSED)
		return -ENOTSUP;
	if (!c.host || (keep && c.kind == CLUSTER_ZERO_ALLOCATED))
		return 0;
	ret = check_own_table(&c, guest, image, need);
	if (ret)
		return ret;
	unlink->clusters++;
	if (keep) {
		extend_run(&unlink->group, &unlink->entry, RECORD_L2, guest,
			   c.entry | ENTRY_ZERO);
		return 0;
	}
	ret = lowered_count(image, &c, &count, need);
	if (ret)
		return ret;
	extend_run(&unlink->group, &unlink->entry, RECORD_L2, guest, 0);
	extend_run(&unlink->group, &unlink->count, RECORD_REFCOUNT,
		   c.host >> image->cluster_bits, count);
	return 0;
}

static void append_unlink(struct qcow_image *image, struct unlink *unlink)
{
	put_run(&unlink->group, &unlink->entry);
	put_run(&unlink->group, &unlink->count);
	if (unlink->group.words)
		checkpoint_append(image, &unlink->group);
}

/* Unlinks from *guest on, as far as one group and the cache go. */
static int unlink_some(struct qcow_image *image, uint64_t *guest, uint64_t end,
		       bool keep, struct need *need)
{
	struct unlink unlink = { 0 };
	int ret = 0;

	while (*guest < end && !is_full(&unlink)) {
		ret = unlink_cluster(image, *guest, keep, &unlink, need);
		if (ret)
			break;
		++*guest;
	}
	append_unlink(image, &unlink);
	return ret;
}

/* Where a table is missing there is nothing to unlink. */
static uint64_t skip_holes(const struct qcow_image *image, uint64_t guest,
			   uint64_t end)
{
	while (guest < end && !map_l1_entry(image, guest >> image->l2_bits))
		guest = ((guest >> image->l2_bits) + 1) << image->l2_bits;
	return min_u64(guest, end);
}

static int unlink_range(struct qcow_image *image, uint64_t guest, uint64_t end,
			bool keep)
{
	while (guest < end) {
		struct need need = { .kind = NEED_RETRY };
		int ret = checkpoint_wait_room(image, GROUP_WORDS + 1,
					       2 * MAX_CLUSTERS);

		if (ret)
			return ret;
		checkpoint_release_room(image, GROUP_WORDS + 1,
					2 * MAX_CLUSTERS);
		ret = unlink_some(image, &guest, end, keep, &need);
		if (ret == -EAGAIN)
			ret = map_provide(image, &need);
		if (ret)
			return ret;
	}
	return 0;
}

/* Whole guest clusters; keep: they stay allocated. */
static int zero_clusters(struct qcow_image *image, uint64_t first,
			 uint64_t end, bool keep)
{
	LOCKED(image);
	while (!image->marked) {
		int ret = image_mark(image);

		if (ret)
			return ret;
	}
	while ((first = skip_holes(image, first, end)) < end) {
		uint64_t stop = min_u64(end, first + MAX_LOOKED_AT);
		struct qcow_range range;
		int ret;

		range_enter_wait(image, &range, first, stop - 1, true);
		ret = unlink_range(image, first, stop, keep);
		range_leave(image, &range);
		if (ret)
			return ret;
		first = stop;
	}
	return 0;
}

/* ---- ranges in bytes ---- */

/* The whole clusters in a range; the last one may be cut by the disk's end. */
static void whole_clusters(const struct qcow_image *image, uint64_t offset,
			   uint64_t length, uint64_t *first, uint64_t *end)
{
	uint64_t stop = offset + length;

	*first = (offset + cluster_size(image) - 1) >> image->cluster_bits;
	*end = stop >> image->cluster_bits;
	if (stop == image->size)
		*end = image->clusters;
	if (*end < *first)
		*end = *first;
}

static int check_change(const struct qcow_image *image, uint64_t offset,
			uint64_t length)
{
	if (image->read_only)
		return -EROFS;
	return io_check_range(image, offset, length);
}

int qcow_discard(struct qcow_image *image, uint64_t offset, uint64_t length)
{
	uint64_t first, end;
	int ret = check_change(image, offset, length);

	if (ret)
		return ret;
	whole_clusters(image, offset, length, &first, &end);
	return io_explain(image, zero_clusters(image, first, end, false));
}

/* Does the guest cluster hold bytes that may not be zero? */
static int has_data(struct qcow_image *image, uint64_t guest, bool *data)
{
	struct need need;
	struct cluster c;
	int ret;

	LOCKED(image);
	while ((ret = map_cluster(image, guest, &c, &need)) == -EAGAIN) {
		ret = map_provide(image, &need);
		if (ret)
			return ret;
	}
	*data = c.kind == CLUSTER_DATA || c.kind == CLUSTER_COMPRESSED;
	return ret;
}

/* Part of a cluster, or all of it. */
static int write_zero_bytes(struct qcow_image *image, uint64_t offset,
			    uint64_t length)
{
	static const char zeroes[64u << 10] __attribute__((aligned(4096)));

	while (length) {
		size_t n = min_u64(length, sizeof(zeroes));
		int ret = qcow_write(image, zeroes, offset, n);

		if (ret)
			return ret;
		offset += n;
		length -= n;
	}
	return 0;
}

/* Writes zeros where there is something else; allocates nothing. */
static int zero_bytes(struct qcow_image *image, uint64_t offset,
		      uint64_t length)
{
	while (length) {
		uint64_t guest = offset >> image->cluster_bits;
		uint64_t end = (guest + 1) << image->cluster_bits;
		uint64_t n = min_u64(length, end - offset);
		bool data;
		int ret = has_data(image, guest, &data);

		if (!ret && data)
			ret = write_zero_bytes(image, offset, n);
		if (ret)
			return ret;
		offset += n;
		length -= n;
	}
	return 0;
}

/* Head, whole clusters, tail. */
int qcow_write_zeroes(struct qcow_image *image, uint64_t offset,
		      uint64_t length, bool unmap)
{
	uint64_t stop = offset + length;
	uint64_t first, end, head_end, tail;
	int ret = check_change(image, offset, length);

	if (ret)
		return ret;
	whole_clusters(image, offset, length, &first, &end);
	if (first == end || (!unmap && image->version < 3))
		return io_explain(image, zero_bytes(image, offset, length));
	head_end = first << image->cluster_bits;
	tail = min_u64(end << image->cluster_bits, stop);
	ret = zero_bytes(image, offset, head_end - offset);
	if (!ret)
		ret = zero_clusters(image, first, end, !unmap);
	if (!ret)
		ret = zero_bytes(image, tail, stop - tail);
	return io_explain(image, ret);
}
