// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Discard and write zeroes: taking clusters out of the mapping.
 *
 * Both go over the range cluster by cluster, and collect the changes in one
 * group at a time.  They hold an exclusive guest range, so all I/O under the
 * old mapping has ended (R9).  A long request is many groups (R16): death
 * between two of them leaves a part done, and the reissued request does that
 * part again.
 *
 * The cluster must read as zero afterwards.  With nothing under the image, an
 * unallocated cluster does so, in both versions of the format.  Otherwise it
 * takes the zero flag, which only version 3 has.  In version 2 a discard then
 * does nothing, and a write of zeroes writes them.  Where space must not be
 * given back, the cluster is kept beside the flag, or gets zeros written.
 */
#include <errno.h>
#include <stdlib.h>
#include "qcow/append.h"
#include "qcow/cow.h"
#include "qcow/layers.h"
#include "qcow/mapped.h"
#include "qcow/provide.h"
#include "qcow/range.h"
#include "qcow/space.h"
#include "qcow/unlink.h"
#include "qcow/written.h"

/* Clusters that one group may change. */
#define MAX_CLUSTERS 1024u
/* Guest clusters that are looked at while a range is held. */
#define MAX_LOOKED_AT 8192u

/* A group under construction: runs grow while neighbours fit. */
struct unlink {
	struct group group;
	struct record entry; /* the runs not in the group yet */
	struct record bitmap;
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

/* A cluster may cost three records more, and the open runs as many. */
static bool is_full(const struct unlink *unlink)
{
	return unlink->clusters == MAX_CLUSTERS ||
	       unlink->group.words + 12 > GROUP_WORDS;
}

/* The second word of an extended entry, afterwards. */
static uint64_t new_bitmap(const struct qcow_image *image, enum unlink_how how,
			   uint64_t guest, const struct cluster *c)
{
	if (how == UNLINK_ZERO_KEEP && c->has_host)
		return ALL_ZERO;
	return cluster_shows_under(image, guest) ? ALL_ZERO : 0;
}

/* Is there anything to do? */
static bool changes(const struct qcow_image *image, enum unlink_how how,
		    uint64_t guest, const struct cluster *c)
{
	if (image->geometry.extended && c->kind != CLUSTER_COMPRESSED)
		return (c->has_host && how != UNLINK_ZERO_KEEP) ||
		       c->bitmap != new_bitmap(image, how, guest, c);
	switch (c->kind) {
	case CLUSTER_UNALLOCATED:
		return cluster_shows_under(image, guest);
	case CLUSTER_ZERO:
		return false;
	case CLUSTER_ZERO_ALLOCATED:
		return how != UNLINK_ZERO_KEEP;
	case CLUSTER_DATA:
	case CLUSTER_COMPRESSED:
		return true;
	}
	return false;
}

static int needs_table(struct qcow_image *image, uint64_t guest,
		       enum need_kind kind, struct need *need)
{
	*need = (struct need){
		.kind = kind,
		.index = guest >> image->geometry.l2_bits,
		.image = image,
	};
	return NEEDS_MORE;
}

static void put_entry(const struct qcow_image *image, uint64_t guest,
		      uint64_t entry, uint64_t bitmap, struct unlink *unlink)
{
	extend_run(&unlink->group, &unlink->entry, RECORD_L2, guest, entry);
	if (image->geometry.extended)
		extend_run(&unlink->group, &unlink->bitmap, RECORD_L2_BITMAP,
			   guest, bitmap);
}

/* The new value of the entry, if nothing is kept. */
static uint64_t new_entry(const struct qcow_image *image, uint64_t guest)
{
	if (image->geometry.extended)
		return 0; /* the bitmap says the rest */
	return cluster_shows_under(image, guest) ? ENTRY_ZERO : 0;
}

/*
 * Other entries may refer to the same host clusters, perhaps the next one in
 * the range: the counts must be looked up, and the earlier collection must be
 * in them by then.  So it gets a group of its own.
 */
static int unlink_shared(struct qcow_image *image, uint64_t guest,
			 const struct cluster *c, uint64_t entry,
			 struct unlink *unlink, struct need *need)
{
	int ret;

	if (unlink->clusters) {
		*need = (struct need){ .kind = NEED_RETRY, .image = image };
		return NEEDS_MORE;
	}
	ret = cow_add_released(image, c, &unlink->group, need);
	if (ret) {
		unlink->group.words = 0;
		return ret;
	}
	put_entry(image, guest, entry,
		  new_bitmap(image, UNLINK_DISCARD, guest, c), unlink);
	unlink->clusters = MAX_CLUSTERS;
	return 0;
}

static int unlink_cluster(struct qcow_image *image, uint64_t guest,
			  enum unlink_how how, struct unlink *unlink,
			  struct need *need)
{
	uint64_t entry = new_entry(image, guest);
	struct cluster c;
	int ret = cluster_look_up(image, guest, 0, &c, need);

	if (ret || !changes(image, how, guest, &c))
		return ret;
	if (!c.has_table)
		return needs_table(image, guest, NEED_TABLE, need);
	if (!c.own_table)
		return needs_table(image, guest, NEED_OWN_TABLE, need);
	if (c.kind == CLUSTER_COMPRESSED || (c.has_host && !c.copied))
		return unlink_shared(image, guest, &c, entry, unlink, need);
	if (how == UNLINK_ZERO_KEEP && c.has_host)
		entry = image->geometry.extended ? c.entry :
						   c.entry | ENTRY_ZERO;
	else if (c.has_host && !image->external)
		extend_run(&unlink->group, &unlink->count, RECORD_REFCOUNT,
			   c.host >> image->geometry.cluster_bits, 0);
	put_entry(image, guest, entry, new_bitmap(image, how, guest, &c),
		  unlink);
	unlink->clusters++;
	return 0;
}

static void append_unlink(struct qcow_image *image, struct unlink *unlink)
{
	put_run(&unlink->group, &unlink->entry);
	put_run(&unlink->group, &unlink->bitmap);
	put_run(&unlink->group, &unlink->count);
	if (unlink->group.words)
		append_group(image, &unlink->group);
}

/* Unlinks from *guest on, as far as one group and the cache go. */
static int unlink_some(struct qcow_image *image, uint64_t *guest, uint64_t end,
		       enum unlink_how how, struct need *need)
{
	struct unlink unlink = { 0 };
	int ret = 0;

	while (*guest < end && !is_full(&unlink)) {
		ret = unlink_cluster(image, *guest, how, &unlink, need);
		if (ret)
			break;
		++*guest;
	}
	append_unlink(image, &unlink);
	return ret;
}

/* The first guest cluster behind the table of this one. */
static uint64_t table_end(const struct qcow_image *image, uint64_t guest)
{
	const unsigned int bits = image->geometry.l2_bits;

	return ((guest >> bits) + 1) << bits;
}

/* Where a table is missing, and nothing shows, there is nothing to unlink. */
static bool is_hole(const struct qcow_image *image, uint64_t guest,
		    uint64_t stop)
{
	const unsigned int bits = image->geometry.cluster_bits;

	return !cluster_l1_entry(image, guest >> image->geometry.l2_bits) &&
	       backing_is_empty(image->backing, guest << bits,
				(stop - guest) << bits);
}

/* A table's range at a time. */
uint64_t unlink_skip_holes(const struct qcow_image *image, uint64_t guest,
			   uint64_t end)
{
	while (guest < end) {
		uint64_t stop = min_u64(table_end(image, guest), end);

		if (!is_hole(image, guest, stop))
			break;
		guest = stop;
	}
	return guest;
}

static int unlink_range(struct qcow_image *image, uint64_t guest, uint64_t end,
			enum unlink_how how)
{
	while (guest < end) {
		struct need need = { .kind = NEED_RETRY };
		int ret = append_wait_room(image, GROUP_WORDS + 1,
					   3 * MAX_CLUSTERS);

		if (ret)
			return ret;
		append_release_room(image, GROUP_WORDS + 1, 3 * MAX_CLUSTERS);
		ret = unlink_some(image, &guest, end, how, &need);
		if (ret == NEEDS_MORE)
			ret = provide(image, &need);
		if (ret)
			return ret;
	}
	return 0;
}

/* In a data file that is the disk by itself, too. */
static int make_data_zero(struct qcow_image *image, uint64_t first,
			  uint64_t end)
{
	const uint64_t offset = first << image->geometry.cluster_bits;
	const uint64_t length = (end - first) << image->geometry.cluster_bits;
	int ret;

	image_io_begin(image);
	ret = data_make_zero(image, offset, data_clip(image, offset, length));
	image_io_end(image);
	return ret;
}

static void give_data_back(struct qcow_image *image, uint64_t first,
			   uint64_t end)
{
	const uint64_t offset = first << image->geometry.cluster_bits;
	const uint64_t length = (end - first) << image->geometry.cluster_bits;

	image_io_begin(image);
	data_give_back(image, offset, data_clip(image, offset, length));
	image_io_end(image);
}

int unlink_clusters(struct qcow_image *image, uint64_t first, uint64_t end,
		    enum unlink_how how)
{
	LOCKED(image);
	if (image->health.corrupt)
		return -EIO;
	while (!image->life.marked) {
		int ret = image_mark(image);

		if (ret)
			return ret;
	}
	while ((first = unlink_skip_holes(image, first, end)) < end) {
		uint64_t stop = min_u64(end, first + MAX_LOOKED_AT);
		uint64_t gains = image->allocator.gains;
		struct qcow_range range;
		int ret;

		/* The next table may be missing: a hole need not get one. */
		stop = min_u64(stop, table_end(image, first));
		range_enter_wait(image, &range, first, stop - 1, true);
		merge_note(image, first, stop - 1);
		ret = make_data_zero(image, first, stop);
		if (!ret)
			ret = unlink_range(image, first, stop, how);
		if (!ret && how != UNLINK_ZERO_KEEP)
			give_data_back(image, first, stop);
		range_leave(image, &range);
		/* A table may have found no place. */
		if (space_is_lacked(ret)) {
			ret = space_regain(image, gains);
			stop = first;
		}
		if (ret)
			return ret;
		first = stop;
	}
	return 0;
}

int unlink_at_once(struct qcow_image *image, uint64_t first, uint64_t end,
		   enum unlink_how how)
{
	struct qcow_range range;
	struct need need;
	int ret;

	LOCKED(image);
	if (image->health.corrupt)
		return -EIO;
	if (!image->life.marked || image->external ||
	    end - first > UNLINK_AT_ONCE ||
	    !append_has_room(image, GROUP_WORDS + 1, 3 * MAX_CLUSTERS) ||
	    !range_try(image, &range, first, end - 1, true))
		return QCOW_MUST_BLOCK;
	merge_note(image, first, end - 1);
	ret = unlink_some(image, &first, end, how, &need);
	range_leave(image, &range);
	/* To find the image corrupt is a write to its header. */
	return ret == 0 && first == end ? 0 : QCOW_MUST_BLOCK;
}
