// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The checkpoint: brings the image's tables up to the journal, in an order that
 * leaves a valid image at every instant of a power loss, and drops the groups
 * that are no longer needed.
 *
 *	freeze	the active dirty set becomes the frozen one		(R4)
 *	raise	refcounts = max(file, frozen); sync			(R5)
 *	link	L2 and L1 entries = frozen; sync			(R6)
 *	lower	refcounts that go down; drop the groups, and with them
 *		the frozen set: freed clusters may be used again	(R7)
 *
 * So in the file a count is never behind an entry, and neither is the data,
 * which the first sync covers, too.  If no entry refers to a cluster, as after
 * discards, there is nothing that the first sync must come before, and the
 * second is the only one.
 *
 * An attempt that fails leaves the frozen set as it is (R17); the next one
 * does all phases again with the same values, which is harmless, and only
 * then may another freeze.
 *
 * A caller that waits for a checkpoint makes it.  A thread makes the others
 * (checkpoint-thread.c).
 */
#include <errno.h>
#include "qcow/checkpoint.h"
#include "qcow/l1.h"
#include "qcow/refcount.h"
#include "qcow/trace.h"

bool checkpoint_is_dirty(const struct qcow_image *image)
{
	return image->dirty.active.used || image->dirty.freezing;
}

/* ---- one checkpoint ---- */

/* The frozen set, sorted: L1, then L2, then refcounts. */
struct frozen {
	const struct assignment *l1, *l2, *counts, *end;
};

static const struct assignment *skip_kind(const struct assignment *a,
					  const struct assignment *end,
					  enum key_kind kind)
{
	while (a != end && key_kind(a->key) == kind)
		a++;
	return a;
}

static struct frozen sort_frozen(struct qcow_image *image)
{
	uint32_t count = dirty_sort(&image->dirty.frozen,
				    image->checkpoint.sorted);
	struct frozen f = {
		.l1 = image->checkpoint.sorted,
		.end = image->checkpoint.sorted + count,
	};

	f.l2 = skip_kind(f.l1, f.end, KEY_L1);
	f.counts = skip_kind(f.l2, f.end, KEY_L2);
	return f;
}

static int sync_image(struct qcow_image *image)
{
	int ret;

	image_io_begin(image);
	ret = image_sync(image);
	image_io_end(image);
	return ret;
}

/* May a word of an L2 table refer to a cluster, or to more of it than before?
 */
static bool word_refers(const struct qcow_image *image,
			const struct assignment *a)
{
	if (!image->geometry.extended)
		return a->value & ~ENTRY_ZERO;
	return key_index(a->key) % 2 ? (uint32_t)a->value : a->value;
}

/* Will the file refer to anything that it does not refer to yet? */
static bool is_linking(const struct qcow_image *image, const struct frozen *f)
{
	const struct assignment *a;

	if (f->l1 != f->l2 || image->l1_moved || image->allocator.table_moved)
		return true;
	for (a = f->l2; a != f->counts; a++)
		if (word_refers(image, a))
			return true;
	return false;
}

/* R5: counts that go up are durable before anything refers to their
   clusters. */
static int raise_counts(struct qcow_image *image, const struct frozen *f)
{
	const bool linking = is_linking(image, f);
	int ret = 0;

	TRACE(checkpoint_raise, (uintptr_t)image);
	image->checkpoint.lowers = false;
	if (image->allocator.table_moved)
		ret = grow_write_header(image);
	if (!ret)
		ret = writeback_slices(image, f->counts, f->end, RAISE);
	return ret || !linking ? ret : sync_image(image);
}

/* R6: entries are durable before the counts of the clusters that they no longer
   refer to go down. */
static int link_entries(struct qcow_image *image, const struct frozen *f)
{
	int ret;

	TRACE(checkpoint_link, (uintptr_t)image);
	ret = writeback_slices(image, f->l2, f->counts, LINK);
	if (!ret)
		ret = writeback_l1(image, f->l1, f->l2);
	if (!ret && image->l1_moved)
		ret = l1_write_header(image);
	if (!ret)
		ret = image_raise_generation(image);
	if (!ret)
		ret = sync_image(image);
	if (!ret)
		image_keep_generation(image);
	return ret;
}

static int lower_counts(struct qcow_image *image, const struct frozen *f)
{
	int ret = 0;

	TRACE(checkpoint_lower, (uintptr_t)image);
	/* The phase of raising has seen all counts. */
	if (image->checkpoint.lowers)
		ret = writeback_slices(image, f->counts, f->end, LOWER);
	if (!ret)
		writeback_punch(image, f->counts, f->end);
	return ret;
}

static int write_phases(struct qcow_image *image, const struct frozen *f)
{
	int ret = raise_counts(image, f);

	if (!ret)
		ret = link_entries(image, f);
	return ret ? ret : lower_counts(image, f);
}

static void freeze(struct qcow_image *image)
{
	image_change_begin(image);
	/* R4: in constant time; the other set is empty. */
	dirty_move(&image->dirty.active, &image->dirty.frozen);
	shared_put(image->dirty.freezing, true);
	image_change_end(image);
	image->checkpoint.frozen_end = image->journal.end;
	image->checkpoint.freezes++;
	TRACE(checkpoint_freeze, (uintptr_t)image, image->dirty.frozen.used,
	      image->checkpoint.frozen_end);
}

/* By runs: a discard may have freed tens of thousands, and others wait. */
static void release_freed(struct qcow_image *image, const struct frozen *f)
{
	const struct assignment *a = f->counts;

	while (a != f->end) {
		uint64_t first = key_index(a->key), count = 0;

		for (; a != f->end && !a->value &&
		       key_index(a->key) == first + count;
		     a++)
			count++;
		if (count)
			refcount_gain(image, first, count);
		else
			a++;
	}
}

static void thaw(struct qcow_image *image, const struct frozen *f)
{
	const struct assignment *a;

	image_change_begin(image);
	for (a = f->l1; a != f->l2; a++)
		shared_put(image->l1[key_index(a->key)], a->value);
	/* R9: from here on the freed clusters may be used again. */
	shared_put(image->dirty.freezing, false);
	image_change_end(image);
	release_freed(image, f);
	journal_drop(&image->journal, image->checkpoint.frozen_end);
	image->l1_moved = false;
	image->checkpoint.complete++;
	shared_put(image->allocator.gains,
		   image->allocator.gains + image->dirty.frozen.frees);
	image_io_begin(image);
	dirty_clear(&image->dirty.frozen);
	image_io_end(image);
}

/* Completes the frozen set of an attempt that failed, or freezes and
   completes a new one.  The caller has the checkpoint's turn. */
static int make_checkpoint(struct qcow_image *image)
{
	struct frozen frozen;
	int ret = image->health.sync_lost ? -EIO : 0;

	if (!image->dirty.freezing)
		freeze(image);
	if (!ret) {
		image_io_begin(image);
		frozen = sort_frozen(image);
		image_io_end(image);
		ret = write_phases(image, &frozen);
	}
	/* R17: after a failure nothing is dropped, everything stays dirty. */
	if (!ret)
		thaw(image, &frozen);
	TRACE(checkpoint_end, (uintptr_t)image, ret);
	return ret;
}

/* ---- calls that wait for it ---- */

static void tell_outcome(struct qcow_image *image, int ret)
{
	if (ret == image->checkpoint.told)
		return;
	image->checkpoint.told = ret;
	image_io_begin(image);
	if (ret)
		image_notice(
			image,
			"writing its tables fails (%s); flushes fail until it succeeds, and nothing acknowledged is dropped",
			strerror(-ret));
	else
		image_notice(image, "its tables can be written again");
	image_io_end(image);
}

/* A caller that waits makes it itself: to wake the thread, and to be woken by
   it, takes longer than a small checkpoint does. */
static int wait_for(struct qcow_image *image, uint64_t needed)
{
	uint64_t failures = image->checkpoint.failures;
	int ret = 0;

	image->checkpoint.wanted = max_u64(image->checkpoint.wanted, needed);
	turn_take(&image->checkpoint.turn, &image->lock);
	/* Another caller may have made it meanwhile, or failed.  Then all who
	   waited fail with it: a broken disk may take its time, so the callers
	   do not ask it one after the other. */
	if (failures != image->checkpoint.failures)
		ret = image->checkpoint.told;
	if (image->checkpoint.complete >= needed)
		ret = 0;
	while (!ret && image->checkpoint.complete < needed) {
		ret = make_checkpoint(image);
		if (ret)
			image->checkpoint.failures++;
		tell_outcome(image, ret);
	}
	turn_end(&image->checkpoint.turn);
	return ret;
}

int checkpoint_make(struct qcow_image *image)
{
	return wait_for(image, image->checkpoint.complete + 1);
}

int checkpoint_wait(struct qcow_image *image)
{
	/* R8: one that freezes after now; callers that come in time share it.
	 */
	return wait_for(image, image->checkpoint.freezes + 1);
}

int checkpoint_wait_room(struct qcow_image *image)
{
	/* The frozen groups take room until the checkpoint under way is
	   complete. */
	return wait_for(image,
			image->checkpoint.freezes + !image->dirty.freezing);
}

int qcow_flush(struct qcow_image *image)
{
	int ret;

	if (image->read_only)
		return 0;
	LOCKED(image);
	if (image->health.sync_lost)
		return -EIO;
	/* R8: with nothing dirty, a sync begun now. */
	if (!checkpoint_is_dirty(image))
		return sync_image(image);
	ret = checkpoint_wait(image);
	return ret;
}

/* R17: a failed sync of the page cache must be remembered, so file_sync() has
   to make it. */
static bool is_direct(const struct qcow_image *image)
{
	return image->file.direct && image->data->direct;
}

int qcow_map_flush(struct qcow_image *image, unsigned int *files)
{
	*files = 0;
	if (image->read_only)
		return 0;
	LOCKED(image);
	if (image->health.sync_lost)
		return -EIO;
	if (checkpoint_is_dirty(image) || !is_direct(image))
		return QCOW_MUST_BLOCK;
	/* R8: the caller begins the syncs after now. */
	*files = 1 + image->external;
	return 0;
}
