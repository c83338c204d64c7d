// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A larger L1 table, for a larger disk.
 *
 * The table has whole clusters to itself, so in most images it can get longer
 * where it is: the bytes behind its entries become zero, durably, and then the
 * header says how many entries there are.
 *
 * Otherwise the table moves.  The new table is written whole into clusters in a
 * row (R2).  One group says where it is, counts its clusters and frees the old
 * ones.  The checkpoint that writes the group raises the counts (R5), names the
 * new table in the header (R6), and lowers the others (R7); a replay does the
 * same (R11).  So death leaves the one or the other, and nothing leaks.
 *
 *	in place	| entries | zero ... | end of the cluster
 *	moved		| entries | zero ...        | zero ... |
 *
 * A thread that changes the table has the checkpoint's turn, with nothing
 * frozen: so the array in memory is that of the file, and no checkpoint is
 * between its phases.
 */
#include <errno.h>
#include <stdlib.h>
#include "qcow/append.h"
#include "qcow/checkpoint.h"
#include "qcow/l1.h"
#include "qcow/provide.h"
#include "qcow/space.h"

uint64_t l1_entries_for(const struct qcow_image *image, uint64_t size)
{
	unsigned int bits = image->geometry.l2_bits +
			    image->geometry.cluster_bits;

	return (size >> bits) + !is_aligned(size, 1ull << bits);
}

static uint64_t clusters_for(const struct qcow_image *image, uint64_t entries)
{
	return div_round_up(entries * 8, cluster_size(image));
}

/* Between two checkpoints, of which the first was complete. */
static int take_turn(struct qcow_image *image)
{
	for (;;) {
		int ret;

		turn_take(&image->checkpoint.turn, &image->lock);
		if (!image->dirty.freezing)
			return 0;
		turn_end(&image->checkpoint.turn);
		ret = checkpoint_wait(image);
		if (ret)
			return ret;
	}
}

/* The array for so many entries: those there are, and zeros. */
static uint64_t *longer_array(const struct qcow_image *image, uint64_t entries)
{
	uint64_t *l1 = calloc(entries, sizeof(*l1));

	if (l1)
		memcpy(l1, image->l1, image->geometry.l1_size * sizeof(*l1));
	return l1;
}

static void take_array(struct qcow_image *image, uint64_t *l1)
{
	free(image->l1);
	image->l1 = l1;
}

/* ---- in place ---- */

/* Behind the entries there may be anything; the header tells of it only when
   it is zero.  Everything is written in slices, as a checkpoint does. */
static int write_tail(struct qcow_image *image, const uint64_t *l1,
		      uint32_t entries)
{
	uint64_t unit = image->cache.slice_size;
	uint64_t first = round_down(image->geometry.l1_size * 8ull, unit);
	uint64_t end = round_up(entries * 8ull, unit);
	int ret;

	image_io_begin(image);
	ret = file_write_entries(&image->file, l1 + first / 8,
				 (end - first) / 8,
				 image->geometry.l1_offset + first);
	if (!ret)
		ret = file_sync(&image->file);
	image_io_end(image);
	return ret;
}

/* The caller has the checkpoint's turn. */
static int extend(struct qcow_image *image, uint32_t entries)
{
	uint32_t old = image->geometry.l1_size;
	uint64_t *l1 = longer_array(
		image, round_up(entries * 8ull, image->cache.slice_size) / 8);
	int ret;

	if (!l1)
		return -ENOMEM;
	ret = write_tail(image, l1, entries);
	if (ret) {
		free(l1);
		return ret;
	}
	image->header.l1_size = entries;
	ret = l1_write_header(image);
	if (ret) {
		image->header.l1_size = old;
		free(l1);
		return ret;
	}
	image->geometry.l1_size = entries;
	take_array(image, l1);
	return 0;
}

/* ---- to another place ---- */

/* The next so many free clusters in a row. */
static int find_run(struct qcow_image *image, uint64_t count, uint64_t *first)
{
	uint64_t end = image->allocator.cursor;
	struct need need;

	*first = end;
	while (end - *first < count) {
		uint64_t at = end;
		int ret = refcount_find_free_from(image, &at, &need);

		if (at != end)
			*first = at;
		end = at + !ret;
		if (ret == NEEDS_MORE)
			ret = provide(image, &need);
		if (ret)
			return ret;
	}
	return 0;
}

/* A refcount block stands at the beginning of its range, so a longer run needs
   the place behind a moved refcount table. */
static int find_place(struct qcow_image *image, uint64_t count, uint64_t *first)
{
	uint64_t gains;
	int ret;

	if (count >= 1ull << image->geometry.block_bits)
		return grow_run(image, count, first);
	do {
		gains = image->allocator.gains;
		ret = find_run(image, count, first);
		if (ret != -ENOSPC)
			return ret;
		ret = space_regain(image, gains);
	} while (!ret);
	return ret;
}

static int reserve_place(struct qcow_image *image, uint64_t count,
			 struct qcow_reservation *r)
{
	uint64_t cursor = image->allocator.cursor, first;
	int ret = find_place(image, count, &first);

	/* R1: death forgets it. */
	for (uint64_t i = 0; i < count && !ret; i++)
		refcount_reserve(image, r, first + i);
	/* Clusters in runs that were too short stay to be found. */
	image->allocator.cursor = min_u64(image->allocator.cursor, cursor);
	return ret;
}

/* R2: the whole of it, and nothing else will be read from its place. */
static int write_table(struct qcow_image *image, uint64_t offset,
		       const uint64_t *l1, uint64_t length)
{
	int ret;

	cache_forget(image, offset, length);
	image_io_begin(image);
	ret = file_write_entries(&image->file, l1, length / 8, offset);
	image_io_end(image);
	return ret;
}

static void add_counts(struct group *group, uint64_t first, uint64_t left,
		       uint64_t value)
{
	struct record run = {
		.kind = RECORD_REFCOUNT,
		.index = first,
		.value = value,
	};

	for (; left; left -= run.count, run.index += run.count) {
		run.count = min_u64(left, GROUP_RUN);
		group_add(group, &run);
	}
}

struct move {
	uint32_t entries;
	uint64_t count; /* clusters */
	uint64_t old;
	struct qcow_reservation reservation;
	uint64_t words; /* room in the journal */
};

/* {header = new table, refcount[new] = 1 ..., refcount[old] = 0 ...} */
static void append_move(struct qcow_image *image, const struct move *move)
{
	const struct record table = {
		.kind = RECORD_L1_TABLE,
		.index = move->entries,
		.count = 1,
		.value = move->reservation.first
			 << image->geometry.cluster_bits,
	};
	struct group group = { 0 };

	group_add(&group, &table);
	add_counts(&group, move->reservation.first, move->count, 1);
	add_counts(&group,
		   image->geometry.l1_offset >> image->geometry.cluster_bits,
		   move->old, 0);
	append_group(image, &group);
}

/* The place is reserved, and so is room for the group.  The caller has the
   checkpoint's turn. */
static int write_and_append(struct qcow_image *image, struct move *move)
{
	uint64_t length = move->count << image->geometry.cluster_bits;
	uint64_t *l1 = longer_array(image, length / 8);
	int ret = -ENOMEM;

	if (l1)
		ret = write_table(image,
				  move->reservation.first
					  << image->geometry.cluster_bits,
				  l1, length);
	refcount_release(image, &move->reservation, !ret);
	append_release_room(image, move->words, move->count + move->old);
	if (ret) {
		free(l1);
		return ret;
	}
	append_move(image, move);
	take_array(image, l1);
	return 0;
}

/* A place, the checkpoint's turn, and room in the journal.  The last comes
   before the turn, for a checkpoint may have to make it; and after the place,
   for which the refcounts may have to grow. */
static int prepare(struct qcow_image *image, struct move *move)
{
	uint64_t assignments = move->count + move->old;
	int ret = reserve_place(image, move->count, &move->reservation);

	if (ret)
		return ret;
	ret = append_wait_room(image, move->words, assignments);
	if (!ret) {
		ret = take_turn(image);
		if (!ret)
			return 0;
		append_release_room(image, move->words, assignments);
	}
	refcount_release(image, &move->reservation, false);
	return ret;
}

static int move_table(struct qcow_image *image, uint32_t entries)
{
	struct move move = {
		.entries = entries,
		.count = clusters_for(image, entries),
		.old = clusters_for(image, image->geometry.l1_size),
	};
	int ret;

	move.words = 3 + 2 * (div_round_up(move.count, GROUP_RUN) +
			      div_round_up(move.old, GROUP_RUN));
	ret = prepare(image, &move);
	if (ret)
		return ret;
	ret = write_and_append(image, &move);
	turn_end(&image->checkpoint.turn);
	return ret ? ret : checkpoint_wait(image);
}

int l1_enlarge(struct qcow_image *image, uint32_t entries)
{
	uint64_t room = clusters_for(image, image->geometry.l1_size) *
			(cluster_size(image) / 8);
	int ret;

	if (entries <= image->geometry.l1_size)
		return 0;
	if (entries > room)
		return move_table(image, entries);
	ret = take_turn(image);
	if (ret)
		return ret;
	ret = extend(image, entries);
	turn_end(&image->checkpoint.turn);
	return ret;
}

/* ---- replay ---- */

/* The table is in the file as a whole, for R2. */
static bool is_sound(const struct qcow_image *image, const struct record *r)
{
	uint64_t count = clusters_for(image, r->index);
	uint64_t end = (r->value >> image->geometry.cluster_bits) + count;
	uint64_t length = count << image->geometry.cluster_bits;
	uint64_t refcounts = (uint64_t)image->header.refcount_table_clusters
			     << image->geometry.cluster_bits;

	return r->count == 1 && r->index >= image->geometry.l1_size &&
	       r->index <= MAX_L1_BYTES / 8 &&
	       r->value >= cluster_size(image) &&
	       is_aligned(r->value, cluster_size(image)) &&
	       end <= image->allocator.high_water &&
	       !overlaps(r->value, length, image->header.refcount_table_offset,
			 refcounts);
}

int l1_replay(struct qcow_image *image, const struct record *r)
{
	if (!is_sound(image, r))
		return -EINVAL;
	append_publish(image, r);
	take_array(image, NULL);
	return load_l1(image, NULL);
}

int l1_write_header(struct qcow_image *image)
{
	int ret;

	image_take_header(image);
	image_io_begin(image);
	ret = header_write_size(&image->file, &image->header,
				&image->life.area);
	image_io_end(image);
	image_release_header(image);
	return ret;
}
