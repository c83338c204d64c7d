// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The sweep: after an open, a thread reads all counts of the file once, finds
 * the first cluster that is free, and the stretches that are full.
 *
 * Until it is over, clusters are taken behind the file's end, so nobody waits
 * for it.  It reads large pieces of the refcount blocks, past the cache, which
 * is for what the guest uses.
 *
 * It reads without the lock, and a checkpoint may change the counts meanwhile.
 * That does no harm.  A count that is not zero in the file keeps its cluster
 * from being taken; and if a cluster became free since the piece was begun,
 * which stretches.gains tells, then nothing of the piece is noted.
 */
#include <errno.h>
#include <stdlib.h>
#include "qcow/refcount.h"
#include "qcow/sweep.h"

#define PIECE (64u << 10)

void sweep_begin(struct qcow_image *image)
{
	image->allocator.sweep = (struct sweep){
		.end = image->allocator.high_water,
		.found = UINT64_MAX,
		.over = image->inline_checkpoint,
	};
}

/* The clusters from sweep->at on whose counts are read at once. */
static uint64_t piece_end(const struct qcow_image *image)
{
	uint64_t at = image->allocator.sweep.at;
	uint64_t block = 1ull << image->geometry.block_bits;
	uint64_t counts = (uint64_t)PIECE << 3 >>
			  image->geometry.refcount_order;

	return round_down(at, min_u64(block, counts)) + min_u64(block, counts);
}

static int read_counts(struct qcow_image *image, void *counts)
{
	uint64_t at = image->allocator.sweep.at, offset, index;
	size_t length = (piece_end(image) - at)
				<< image->geometry.refcount_order >>
			3;
	int ret = refcount_locate(image, at, &offset, &index);

	if (ret)
		return ret;
	image_io_begin(image);
	ret = file_read(&image->file, counts, offset, length);
	if (!ret)
		slice_swap(SLICE_REFCOUNT, image->geometry.refcount_order,
			   counts, length);
	image_io_end(image);
	return ret;
}

/* No cluster from sweep->run up to end is free. */
static void end_run(struct qcow_image *image, uint64_t end)
{
	const struct sweep *sweep = &image->allocator.sweep;

	if (sweep->run < end)
		stretches_fill(&image->allocator.stretches, sweep->run, end);
}

static void note_counts(struct qcow_image *image, const void *counts,
			uint64_t end)
{
	struct sweep *sweep = &image->allocator.sweep;

	for (uint64_t i = sweep->at; i < end; i++) {
		if (refcount_in_slice(image, counts, i - sweep->at))
			continue;
		end_run(image, i);
		sweep->run = i + 1;
		sweep->found = min_u64(sweep->found, i);
	}
	end_run(image, end);
	sweep->at = end;
}

static int look_at_piece(struct qcow_image *image, void *counts)
{
	struct sweep *sweep = &image->allocator.sweep;
	uint64_t gains = image->allocator.stretches.gains;
	uint64_t end = min_u64(piece_end(image), sweep->end);
	int ret;

	if (gains != sweep->gains)
		sweep->run = sweep->at;
	sweep->gains = gains;
	ret = read_counts(image, counts);
	if (!ret && gains == image->allocator.stretches.gains) {
		note_counts(image, counts, end);
		return 0;
	}
	/* Any of them may be free; where there is no block, none is. */
	if (!ret)
		sweep->found = min_u64(sweep->found, sweep->at);
	sweep->at = sweep->run = end;
	return ret == -ENOENT ? 0 : ret;
}

static void end_sweep(struct qcow_image *image)
{
	image->allocator.cursor = min_u64(image->allocator.cursor,
					  image->allocator.sweep.found);
	image->allocator.swept = true;
	shared_put(image->allocator.gains, image->allocator.gains + 1);
}

bool sweep_some(struct qcow_image *image)
{
	struct sweep *sweep = &image->allocator.sweep;
	void *counts;
	int ret = 0;

	if (sweep->over)
		return false;
	counts = file_buffer(PIECE);
	if (!counts)
		ret = -ENOMEM;
	else if (sweep->at < sweep->end)
		ret = look_at_piece(image, counts);
	free(counts);
	if (!ret && sweep->at < sweep->end)
		return true;
	sweep->over = true;
	/* Else a lack of space has all looked at (space.c). */
	if (!ret)
		end_sweep(image);
	return false;
}
