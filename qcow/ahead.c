// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Room for clusters to come, set aside behind those in use.
 *
 * A write to a cluster behind the file's end makes the file longer, and the
 * file system finds a place for it.  Both happen under the file's one lock, so
 * such writes wait for one another, on threads of the kernel.  A write to a
 * place that was set aside waits for nothing.  So while clusters are taken at
 * the file's end, room for more is set aside there: never more than was taken
 * since the open, and never more than MOST.
 *
 * To set room aside changes no byte, and all of it reads as zero.  No table
 * names it and its counts are zero, as those of any free cluster.  So nothing
 * else has to know: R1's words about clusters above the high-water mark are
 * true of them, and the file is a valid image at every instant.
 *
 * If there is no room, or the file system is not one of those in file-space.c,
 * the file grows as it would without all this.  A write that lacks space
 * elsewhere in the file has the room given back first (space.c): the clusters
 * are reserved meanwhile, so nobody writes there.
 *
 * A clean close cuts the file off behind its last cluster.  It cuts off nothing
 * that was there before: the journal remembers where the file ended, also for a
 * successor.  A loss of power leaves free clusters, and they are used later.
 */
#include <errno.h>
#include "qcow/ahead.h"
#include "qcow/cluster.h"
#include "qcow/layers.h"
#include "qcow/provide.h"

#define LEAST (1u << 20)  /* is taken before any room is set aside */
#define MOST  (16u << 20) /* is set aside */

/* A death between two of them may leave so much, as several in a row may. */
#define MOST_LEFT (4ull * MOST)

static uint64_t clusters_in(const struct qcow_image *image, uint64_t bytes)
{
	return div_round_up(bytes, cluster_size(image));
}

static uint64_t bytes_of(const struct qcow_image *image, uint64_t clusters)
{
	return clusters << image->geometry.cluster_bits;
}

/* Tests want it soon. */
static uint64_t least(const struct qcow_image *image)
{
	const struct qcow_test_hooks *test = image->file.test;

	return clusters_in(image, test && test->ahead ? test->ahead : LEAST);
}

static uint64_t most(const struct qcow_image *image)
{
	const struct qcow_test_hooks *test = image->file.test;

	return clusters_in(image, test && test->ahead ? test->ahead : MOST);
}

/* With a data file, the image has tables only. */
static bool is_fit(const struct qcow_image *image)
{
	return !image->read_only && !image->external &&
	       !image->file.block_device && file_can_set_aside(&image->file);
}

void ahead_begin(struct qcow_image *image)
{
	struct ahead *ahead = &image->allocator.ahead;
	uint64_t mark = image->allocator.high_water;

	ahead->ask_at = UINT64_MAX;
	if (!is_fit(image))
		return;
	ahead->opened = ahead->end = mark;
	ahead->ask_at = mark + least(image);
	ahead->start = atomic_load(&image->journal.header->ahead_start);
	ahead->made = ahead->start;
}

void ahead_ask(struct qcow_image *image)
{
	image->allocator.ahead.ask_at = UINT64_MAX;
	image->allocator.ahead.asked = true;
	if (image->checkpoint.has_thread)
		pthread_cond_signal(&image->checkpoint.work);
}

/* Before the file gets longer. */
static void remember_start(struct qcow_image *image)
{
	struct ahead *ahead = &image->allocator.ahead;

	if (ahead->made)
		return;
	ahead->made = true;
	ahead->start = ahead->opened;
	atomic_store(&image->journal.header->ahead_start, ahead->start);
}

static int set_aside(struct qcow_image *image, uint64_t from, uint64_t to)
{
	int ret;

	image_io_begin(image);
	ret = file_set_aside(&image->file, bytes_of(image, from),
			     bytes_of(image, to - from));
	image_io_end(image);
	return ret;
}

void ahead_make(struct qcow_image *image)
{
	struct ahead *ahead = &image->allocator.ahead;
	uint64_t mark = image->allocator.high_water;
	uint64_t from = max_u64(mark, ahead->end);
	uint64_t step = min_u64(mark - ahead->opened, most(image));
	uint64_t to = min_u64(mark + step, image->allocator.max_clusters);
	int ret;

	if (!ahead->asked)
		return;
	ahead->asked = false;
	/* Refcount blocks lie far ahead of the clusters, if those are small. */
	if (image->allocator.cursor + step < mark) {
		ahead->ask_at = mark;
		return;
	}
	if (from >= to) {
		ahead->ask_at = from;
		return;
	}
	remember_start(image);
	ret = set_aside(image, from, to);
	/* Else never again. */
	if (!ret || ret == -ENOSPC || ret == -EDQUOT) {
		ahead->end = to;
		ahead->ask_at = ret ? to + most(image) : to - step / 2;
	}
	/* Some file systems keep the part that they had room for. */
	if (ret)
		ahead_give_back(image);
}

void ahead_make_inline(struct qcow_image *image)
{
	if (!image->inline_checkpoint)
		return;
	LOCKED(image);
	ahead_make(image);
}

bool ahead_has_room(const struct qcow_image *image)
{
	return image->allocator.ahead.end > image->allocator.high_water;
}

/* R1: nobody gets them meanwhile, and they are free afterwards. */
static void punch_reserved(struct qcow_image *image, uint64_t first,
			   uint64_t count)
{
	struct qcow_reservation reservation = { .count = 0 };
	uint64_t cursor = image->allocator.cursor;

	for (uint64_t i = first; i < first + count; i++)
		refcount_reserve(image, &reservation, i);
	image->allocator.cursor = cursor;
	image_io_begin(image);
	file_punch(&image->file, bytes_of(image, first),
		   bytes_of(image, count));
	image_io_end(image);
	refcount_release(image, &reservation, false);
	/* With or without a hole, nobody has ever written there. */
	punched_add(&image->allocator.punched, first, count);
	shared_put(image->allocator.gains, image->allocator.gains + 1);
}

void ahead_give_back(struct qcow_image *image)
{
	struct ahead *ahead = &image->allocator.ahead;
	uint64_t first;

	/* A refcount block is written to a place that nobody has reserved. */
	turn_take(&image->allocator.grow_turn, &image->lock);
	first = image->allocator.high_water;
	/* A write that lacks it has it first. */
	if (ahead->ask_at != UINT64_MAX)
		ahead->ask_at = max_u64(ahead->ask_at,
					ahead->end + most(image));
	if (ahead->end > first)
		punch_reserved(image, first, ahead->end - first);
	turn_end(&image->allocator.grow_turn);
}

/* ---- the close ---- */

static bool is_unused(struct qcow_image *image, uint64_t cluster)
{
	uint64_t count;

	return !refcount_get_wait(image, cluster, &count) && !count &&
	       !cluster_is_table(image, bytes_of(image, cluster));
}

/* The end of the last cluster below end that is used, or was there before. */
static uint64_t last_used(struct qcow_image *image, uint64_t end)
{
	uint64_t left = clusters_in(image, MOST_LEFT);

	LOCKED(image);
	while (end > image->allocator.ahead.start && left-- &&
	       is_unused(image, end - 1))
		end--;
	return end;
}

void ahead_end(struct qcow_image *image)
{
	const struct ahead *ahead = &image->allocator.ahead;
	uint64_t size, end;

	if (!ahead->made || image->health.corrupt ||
	    file_size(&image->file, &size))
		return;
	end = last_used(image, clusters_in(image, size));
	/* If it fails, free clusters stay. */
	if (bytes_of(image, end) < size)
		file_cut(&image->file, bytes_of(image, end));
}
