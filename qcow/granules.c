// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The granules of a merge, and those that a dead server has merged.
 *
 * There are two bits for each.  One is this process's own: the layer has the
 * granule as the guest sees it.  The other one is in memory that outlives the
 * process.  The next server takes that for its own and does not copy the
 * granule again.  So it must be right after a death at any instant:
 *
 *	set	The copy was acknowledged by the layer, so the layer's journal
 *		has it after a death (P1); and a sync has succeeded that began
 *		later.  The kernel tells of a page that it could not write only
 *		once, and the dead server may have been the one that heard of
 *		that (R17): so bytes that no sync has vouched for are copied
 *		again.
 *	cleared	Before the guest's write is mapped, in its range: a death then
 *		finds the old bytes, and the bit is cleared for nothing, or some
 *		of the new ones, and the bit is cleared (R3: a process that is
 *		killed has made its stores in their order).
 *
 * Between two servers nobody writes (P4, R14).  The memory's owner sees to
 * that: the memory is gone as soon as the owner's locks are, and means nothing
 * as soon as a server serves without a merge.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "qcow/bits.h"
#include "qcow/granules.h"

#define PIECE 8192u /* words that are kept at once */

/* Words of the memory: how many granules, of which size, and a bit for each. */
enum { COUNT, BITS, EQUAL };

static uint64_t words(uint64_t granules)
{
	return div_round_up(granules, 64);
}

/* Is the memory of such granules?  If not, it becomes so: whoever dies in
   between leaves nothing that counts. */
static void begin_kept(struct granules *granules)
{
	uint64_t *kept = granules->kept;

	if (kept[COUNT] == granules->count && kept[BITS] == granules->bits)
		return;
	kept[COUNT] = 0;
	atomic_signal_fence(memory_order_seq_cst);
	memset(kept + EQUAL, 0, words(granules->count) * 8);
	kept[BITS] = granules->bits;
	atomic_signal_fence(memory_order_seq_cst);
	kept[COUNT] = granules->count;
}

static void take_kept(struct granules *granules)
{
	for (uint64_t i = 0; i < words(granules->count); i++) {
		granules->equal[i] = granules->kept[EQUAL + i];
		granules->nr_equal += __builtin_popcountll(granules->equal[i]);
	}
}

int granules_create(struct granules *granules,
		    const struct qcow_merge_kept *kept)
{
	granules->nr_equal = 0;
	granules->kept = NULL;
	granules->equal = calloc(words(granules->count), 8);
	if (!granules->equal)
		return -ENOMEM;
	if (!kept || kept->size / 8 < EQUAL + words(granules->count))
		return 0;
	granules->kept = kept->memory;
	begin_kept(granules);
	take_kept(granules);
	return 0;
}

void granules_destroy(struct granules *granules)
{
	free(granules->equal);
}

/* A bit that was set before is still right, so a death in the middle of a copy
   leaves bits that are. */
void granules_keep(struct granules *granules, pthread_mutex_t *lock)
{
	uint64_t end = words(granules->count);

	if (!granules->kept)
		return;
	for (uint64_t at = 0; at < end; at += PIECE) {
		uint64_t count = min_u64(PIECE, end - at);

		pthread_mutex_lock(lock);
		memcpy(granules->kept + EQUAL + at, granules->equal + at,
		       count * 8);
		pthread_mutex_unlock(lock);
	}
}

bool granules_is_equal(const struct granules *granules, uint64_t granule)
{
	return granules->equal[granule / 64] >> (granule & 63) & 1;
}

void granules_set_equal(struct granules *granules, uint64_t granule)
{
	if (granules_is_equal(granules, granule))
		return;
	granules->equal[granule / 64] |= 1ull << (granule & 63);
	granules->nr_equal++;
}

void granules_set_changed(struct granules *granules, uint64_t granule)
{
	uint64_t bit = 1ull << (granule & 63);

	if (!granules_is_equal(granules, granule))
		return;
	granules->equal[granule / 64] &= ~bit;
	granules->nr_equal--;
	if (granules->kept)
		granules->kept[EQUAL + granule / 64] &= ~bit;
}

/* ---- the memory ---- */

size_t qcow_merge_kept_size(uint64_t disk)
{
	uint64_t most = div_round_up(disk, QCOW_MERGE_GRANULE);

	return (EQUAL + words(min_u64(most, GRANULES_MAX))) * 8;
}

void qcow_merge_forget(const struct qcow_merge_kept *kept)
{
	if (kept->size)
		kept->memory[COUNT] = 0;
	atomic_signal_fence(memory_order_seq_cst);
}
