// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The sweep: after an open, a thread reads all counts of the file once, finds
 * the first cluster that is free, and the stretches that are full.
 *
 * Until it is over, clusters are taken behind the file's end, so nobody waits
 * for it.  It reads large pieces of the refcount blocks, past the cache, which
 * is for the guest's tables.
 *
 * It reads without the lock, and a checkpoint may change the counts meanwhile.
 * That does no harm.  A count that is not zero in the file keeps its cluster
 * from being taken; and if a cluster became free since the piece was begun,
 * which stretches.gains tells, then nothing of the piece is noted.
 *
 * Clusters that no block counts are passed at once: the file of a stranger may
 * have a hole of exabytes behind the last cluster in use (P6).
 *
 * The file system is asked whether free clusters are a hole, left by a discard
 * of an earlier life.  A write that takes a cluster there need not put
 * zeros around its bytes (R1).
 */
#include <errno.h>
#include <stdlib.h>
#include "qcow/refcount.h"
#include "qcow/sweep.h"

#define PIECE	  (64u << 10)
#define MOST_RUNS 8u /* of free clusters, for a slice */

/* The counts of a piece.  holes has a bit for each slice: its free
   clusters read as zero. */
struct counts {
	uint8_t *bytes;
	uint64_t holes;
};

void sweep_begin(struct qcow_image *image)
{
	image->allocator.sweep = (struct sweep){
		.end = image->allocator.high_water,
		.found = UINT64_MAX,
		.over = image->inline_checkpoint,
	};
}

/* Past the clusters from sweep->at on that no block counts. */
static void skip_uncounted(struct qcow_image *image)
{
	const struct allocator *allocator = &image->allocator;
	const unsigned int bits = image->geometry.block_bits;
	struct sweep *sweep = &image->allocator.sweep;
	uint64_t at = sweep->at, index = at >> bits;

	while (index < allocator->refcount_table_size &&
	       !allocator->refcount_table[index])
		index++;
	if (index >= allocator->refcount_table_size)
		at = sweep->end;
	else
		at = min_u64(max_u64(at, index << bits), sweep->end);
	if (at != sweep->at)
		sweep->at = sweep->run = at;
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

/* Do all clusters that a slice does not count read as zero? */
static bool is_hole(struct qcow_image *image, uint64_t first,
		    const uint8_t *slice)
{
	const uint64_t unit = refcounts_in_slice(image);
	const unsigned int bits = image->geometry.cluster_bits;
	unsigned int runs = 0;
	uint64_t end;

	for (uint64_t at = 0; at < unit; at = end + 1) {
		end = at;
		while (end < unit && !refcount_in_slice(image, slice, end))
			end++;
		if (at == end)
			continue;
		if (runs++ == MOST_RUNS ||
		    !file_is_hole(&image->file, (first + at) << bits,
				  (end - at) << bits))
			return false;
	}
	return runs;
}

/* Not under the lock. */
static void find_holes(struct qcow_image *image, uint64_t at, uint64_t end,
		       struct counts *counts)
{
	uint64_t unit = refcounts_in_slice(image);

	counts->holes = 0;
	for (uint64_t i = 0; at + (i + 1) * unit <= end; i++)
		if (is_hole(image, at + i * unit,
			    counts->bytes + i * image->cache.slice_size))
			counts->holes |= 1ull << i;
}

static int read_counts(struct qcow_image *image, uint64_t end,
		       struct counts *counts)
{
	uint64_t at = image->allocator.sweep.at, offset, index;
	size_t length = (piece_end(image) - at)
				<< image->geometry.refcount_order >>
			3;
	int ret = refcount_locate(image, at, &offset, &index);

	if (ret)
		return ret;
	image_io_begin(image);
	ret = file_read(&image->file, counts->bytes, offset, length);
	if (!ret) {
		slice_swap(SLICE_REFCOUNT, image->geometry.refcount_order,
			   counts->bytes, length);
		find_holes(image, at, end, counts);
	}
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

/* R1: no cluster was given back since, whose owner might have written to it. */
static void note_holes(struct qcow_image *image, uint64_t holes)
{
	uint64_t unit = refcounts_in_slice(image);

	for (uint64_t i = 0; holes >> i; i++)
		if (holes >> i & 1)
			stretches_punch(&image->allocator.stretches,
					image->allocator.sweep.at + i * unit,
					unit);
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

static int look_at_piece(struct qcow_image *image, struct counts *counts)
{
	struct sweep *sweep = &image->allocator.sweep;
	uint64_t gains = image->allocator.stretches.gains;
	uint64_t end = min_u64(piece_end(image), sweep->end);
	int ret;

	if (gains != sweep->gains)
		sweep->run = sweep->at;
	sweep->gains = gains;
	ret = read_counts(image, end, counts);
	if (!ret && gains == image->allocator.stretches.gains) {
		note_holes(image, counts->holes);
		note_counts(image, counts->bytes, end);
		return 0;
	}
	/* Any of them may be free. */
	if (!ret)
		sweep->found = min_u64(sweep->found, sweep->at);
	sweep->at = sweep->run = end;
	return ret;
}

static int look_at_next(struct qcow_image *image)
{
	struct counts counts = { .bytes = file_buffer(PIECE) };
	int ret = counts.bytes ? look_at_piece(image, &counts) : -ENOMEM;

	free(counts.bytes);
	return ret;
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
	int ret = 0;

	if (sweep->over)
		return false;
	skip_uncounted(image);
	if (sweep->at < sweep->end)
		ret = look_at_next(image);
	if (!ret && sweep->at < sweep->end)
		return true;
	sweep->over = true;
	/* Else a lack of space has all looked at (space.c). */
	if (!ret)
		end_sweep(image);
	return false;
}
