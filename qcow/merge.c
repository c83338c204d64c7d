// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Merging layers into one that lies under them, while the guest writes.
 *
 * Only bytes that the layers above hide are ever written below (hidden.c): to
 * the guest, a merge changes nothing, however far it came and wherever it ends.
 * Bytes that show are copied with those beside them where a cluster of the
 * layer has to be allocated, and are the same afterwards.
 *
 *	top	 -- AAAA -- 0000 --	the guest reads and writes
 *	between	 -- BB -------- CC	is only read
 *	layer	 -- AAAA -- 0000 CC	open for writing; the guest reads it
 *					where all above have "--"
 *
 * The layer is an image like any other, with a journal of its own: so it is
 * valid at every instant, and leaks nothing by a death (P3).  The image on top
 * reads it through the same struct qcow_image, so it never sees an old state.
 * A step enters the disk's range exclusively, in granules that are whole
 * clusters of the layer, too: I/O that was mapped to a cluster which the layer
 * frees has ended then, as R9 wants it, and no write of the guest's comes
 * between the reading and the writing of a copy.
 *
 * A bitmap says which granules are equal below (granules.c).  A step sets bits,
 * and a write of the guest's clears them as soon as it has its range.  Bits of
 * settled copies may be kept for the process after this one.  Nothing depends
 * on the layer until qcow_merge_finish() has made it durable, so a power loss
 * may take back any work of a step, for the bits go, too.  A step may have
 * copied unflushed writes of the guest's; where the image on top loses these,
 * the copy shows, as unflushed writes may.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include "qcow/below.h"
#include "qcow/error.h"
#include "qcow/granules.h"
#include "qcow/hidden.h"
#include "qcow/io.h"
#include "qcow/merge.h"
#include "qcow/range.h"
#include "qcow/written.h"

#define STRETCH	  (1u << 20)
#define SEARCH	  (64u << 10) /* granules */
#define STRETCHES 256u	      /* of a step that finds nothing to copy */

struct qcow_merge {
	struct qcow_image *image; /* on top */
	struct below below;	  /* the layer */
	uint64_t cursor;	  /* granule; the next step begins there */
	struct granules granules; /* their bits are under image->lock */
};

/* ---- beginning ---- */

static void choose_granule(struct qcow_merge *merge)
{
	const struct qcow_image *image = merge->image;
	uint64_t granule = max_u64(cluster_size(image), QCOW_MERGE_GRANULE);

	if (merge->below.image)
		granule = max_u64(granule, cluster_size(merge->below.image));
	while (div_round_up(image->geometry.size, granule) > GRANULES_MAX)
		granule *= 2;
	merge->granules.bits = __builtin_ctzll(granule);
	merge->granules.count = div_round_up(image->geometry.size, granule);
}

static void free_merge(struct qcow_merge *merge)
{
	below_close(&merge->below);
	granules_destroy(&merge->granules);
	free(merge);
}

static int prepare(struct qcow_merge *merge, const struct qcow_merge_kept *kept,
		   struct qcow_error *error)
{
	int ret = below_open(&merge->below, merge->image, error);

	if (ret)
		return ret;
	choose_granule(merge);
	ret = granules_create(&merge->granules, kept);
	return ret ? fail(error, ret, "out of memory") : 0;
}

int qcow_merge_check(const struct qcow_image *image, struct qcow_error *error)
{
	return below_check(image, error);
}

int qcow_merge_open(struct qcow_image *image,
		    const struct qcow_merge_kept *kept,
		    struct qcow_merge **result, struct qcow_error *error)
{
	struct qcow_merge *merge = calloc(1, sizeof(*merge));
	int ret;

	if (!merge)
		return fail(error, -ENOMEM, "out of memory");
	assert(!image->merge);
	merge->image = image;
	ret = prepare(merge, kept, error);
	if (ret) {
		free_merge(merge);
		return ret;
	}
	*result = merge;
	LOCKED(image);
	shared_put(image->merge, merge);
	return 0;
}

/* ---- equal granules ---- */

void merge_note_write(struct qcow_merge *merge, uint64_t first, uint64_t last)
{
	unsigned int shift = merge->granules.bits -
			     merge->image->geometry.cluster_bits;

	for (uint64_t i = first >> shift; i <= last >> shift; i++)
		granules_set_changed(&merge->granules, i);
}

/* ---- one stretch of granules ---- */

struct stretch {
	struct qcow_range range;
	uint64_t first, end; /* granules */
};

static uint64_t offset_of(const struct qcow_merge *merge, uint64_t granule)
{
	return min_u64(granule << merge->granules.bits,
		       merge->image->geometry.size);
}

/* From the cursor on, the first granule that is not equal; or how far the
   search came, for it is made under the lock. */
static uint64_t search(const struct qcow_merge *merge)
{
	uint64_t at = merge->cursor < merge->granules.count ? merge->cursor : 0;
	uint64_t end = min_u64(merge->granules.count, at + SEARCH);

	while (at < end && granules_is_equal(&merge->granules, at))
		at += ~merge->granules.equal[at / 64] || at & 63 ? 1 : 64;
	return min_u64(at, end);
}

/* The next granules that are not equal, as many as one step takes; perhaps
   none.  Under the lock. */
static void choose(const struct qcow_merge *merge, struct stretch *stretch)
{
	uint64_t most = max_u64(STRETCH >> merge->granules.bits, 1);
	uint64_t first = search(merge), end = first;

	while (end < merge->granules.count && end - first < most &&
	       !granules_is_equal(&merge->granules, end))
		end++;
	stretch->first = first;
	stretch->end = end;
}

static void enter(struct qcow_merge *merge, struct stretch *stretch)
{
	struct qcow_image *image = merge->image;
	unsigned int bits = image->geometry.cluster_bits;

	range_enter_wait(image, &stretch->range,
			 offset_of(merge, stretch->first) >> bits,
			 (offset_of(merge, stretch->end) - 1) >> bits, true);
}

static void leave(struct qcow_merge *merge, struct stretch *stretch, bool equal)
{
	LOCKED(merge->image);
	for (uint64_t i = stretch->first; i < stretch->end && equal; i++)
		granules_set_equal(&merge->granules, i);
	range_leave(merge->image, &stretch->range);
}

static int copy_piece(struct qcow_merge *merge, uint64_t offset,
		      uint64_t length, enum hidden_kind kind)
{
	switch (kind) {
	case HIDDEN_NOT:
		return 0;
	case HIDDEN_ZERO:
		return below_zero(&merge->below, offset, length);
	case HIDDEN_DATA:
		return below_copy(&merge->below, offset, length);
	}
	return -EINVAL;
}

/* The next bytes of one kind, as far as the buffer goes. */
static int look(const struct qcow_merge *merge, uint64_t offset, uint64_t end,
		struct hidden *run)
{
	uint64_t most = min_u64(end - offset, BELOW_MOST);
	int ret = hidden_look(merge->image, merge->below.backing, offset, most,
			      run);

	while (!ret && run->length < most) {
		struct hidden next;

		ret = hidden_look(merge->image, merge->below.backing,
				  offset + run->length, most - run->length,
				  &next);
		if (ret || next.kind != run->kind)
			break;
		run->length += next.length;
	}
	return ret;
}

static int copy_stretch(struct qcow_merge *merge, const struct stretch *stretch,
			uint64_t *moved)
{
	uint64_t end = offset_of(merge, stretch->end);
	uint64_t at = offset_of(merge, stretch->first);

	while (at < end) {
		struct hidden run;
		int ret = look(merge, at, end, &run);

		if (!ret)
			ret = copy_piece(merge, at, run.length, run.kind);
		if (ret)
			return ret;
		if (run.kind == HIDDEN_DATA)
			*moved += run.length;
		at += run.length;
	}
	return 0;
}

static int copy_next(struct qcow_merge *merge, uint64_t *moved)
{
	struct stretch stretch;
	int ret;

	{
		LOCKED(merge->image);
		choose(merge, &stretch);
		merge->cursor = stretch.end;
		if (stretch.first == stretch.end)
			return 0;
		enter(merge, &stretch);
	}
	ret = copy_stretch(merge, &stretch, moved);
	leave(merge, &stretch, !ret);
	return ret;
}

static void tell(struct qcow_merge *merge, struct qcow_merge_progress *progress)
{
	uint64_t size = merge->image->geometry.size;

	LOCKED(merge->image);
	progress->total = size;
	progress->done = merge->granules.nr_equal == merge->granules.count ?
				 size :
				 merge->granules.nr_equal
					 << merge->granules.bits;
}

int qcow_merge_step(struct qcow_merge *merge,
		    struct qcow_merge_progress *progress)
{
	int ret = 0;

	progress->moved = 0;
	/* Most of most disks is empty. */
	for (unsigned int i = 0; i < STRETCHES && !ret && !progress->moved; i++)
		ret = copy_next(merge, &progress->moved);
	tell(merge, progress);
	return ret ? io_explain_read(merge->image, ret) : 0;
}

int qcow_merge_settle(struct qcow_merge *merge)
{
	int ret = below_sync(&merge->below);

	if (!ret)
		granules_keep(&merge->granules, &merge->image->lock);
	return ret;
}

int qcow_merge_finish(struct qcow_merge *merge, struct qcow_error *error)
{
	struct qcow_merge_progress progress;
	int ret;

	do {
		ret = qcow_merge_step(merge, &progress);
	} while (!ret && progress.done < progress.total);
	/* P2: before anybody serves the layer in place of the image. */
	if (!ret)
		ret = below_sync(&merge->below);
	return ret ? fail(error, ret, "merging: %s", strerror(-ret)) : 0;
}

/* ---- end ---- */

void qcow_merge_close(struct qcow_merge *merge)
{
	{
		LOCKED(merge->image);
		shared_put(merge->image->merge, NULL);
	}
	free_merge(merge);
}
