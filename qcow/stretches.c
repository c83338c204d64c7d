// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The free clusters in each stretch of the file, as far as known.  A stretch is
 * a row of clusters, at first those that one slice counts.
 *
 * Full: nothing is free there, so a search goes past it without a look.  A
 * search that has passed a stretch as a whole finds that out, and so does the
 * sweep after an open (sweep.c).  Code that makes a cluster free says so first,
 * in the same hold of the lock.  So a full stretch has no free cluster, and
 * no space is lost; of one that is not marked nothing is known, which costs a
 * search some time.  Nothing is taken because of a mark: the search still looks
 * at the cluster itself (R1, R9).
 *
 * Zero: each free cluster there reads as zero, since all were punched at once,
 * or the sweep has found a hole (R1).  A cluster that is freed and not punched,
 * or that was reserved and may have been written to, ends that.
 *
 * The number of stretches is fixed.  If the file outgrows them, each becomes
 * twice as long, and knows only the facts that were true of both its halves.
 */
#include <string.h>
#include "qcow/bits.h"
#include "qcow/stretches.h"

static bool get(const uint64_t *bitmap, uint64_t i)
{
	return bitmap[i / 64] >> i % 64 & 1;
}

static void set(uint64_t *bitmap, uint64_t i)
{
	bitmap[i / 64] |= 1ull << i % 64;
}

static void clear(uint64_t *bitmap, uint64_t i)
{
	bitmap[i / 64] &= ~(1ull << i % 64);
}

static uint64_t covered(const struct stretches *s)
{
	return (uint64_t)STRETCHES_MAX << s->bits;
}

static void halve(uint64_t *bitmap)
{
	for (uint64_t i = 0; i < STRETCHES_MAX / 2; i++) {
		bool both = get(bitmap, 2 * i) && get(bitmap, 2 * i + 1);

		clear(bitmap, i);
		if (both)
			set(bitmap, i);
	}
	memset(bitmap + STRETCHES_MAX / 128, 0, STRETCHES_MAX / 16);
}

/* Sets the bit of each stretch that lies within a run of clusters. */
static void set_within(struct stretches *s, uint64_t *bitmap, uint64_t first,
		       uint64_t end)
{
	while (end > covered(s)) {
		halve(s->full);
		halve(s->zero);
		s->bits++;
	}
	for (uint64_t i = div_round_up(first, 1ull << s->bits);
	     (i + 1) << s->bits <= end; i++)
		set(bitmap, i);
}

/* Clears the bit of each stretch that the clusters touch. */
static void clear_touched(const struct stretches *s, uint64_t *bitmap,
			  uint64_t first, uint64_t count)
{
	uint64_t end = min_u64(first + count, covered(s));

	for (uint64_t i = first >> s->bits; i << s->bits < end; i++)
		clear(bitmap, i);
}

void stretches_pass(struct stretches *s, uint64_t first, uint64_t end)
{
	if (first != s->end)
		s->first = first;
	s->end = end;
	if (first >> s->bits == end >> s->bits)
		return;
	/* Those before are marked already. */
	set_within(s, s->full,
		   max_u64(s->first, round_down(first, 1ull << s->bits)), end);
}

void stretches_fill(struct stretches *s, uint64_t first, uint64_t end)
{
	set_within(s, s->full, first, end);
}

void stretches_gain(struct stretches *s, uint64_t first, uint64_t count)
{
	s->gains++;
	clear_touched(s, s->full, first, count);
	if (first < s->end && first + count > s->first)
		s->first = s->end = first + count;
}

uint64_t stretches_skip(const struct stretches *s, uint64_t cluster)
{
	uint64_t i = cluster >> s->bits;

	if (i >= STRETCHES_MAX || !get(s->full, i))
		return cluster;
	while (i < STRETCHES_MAX && get(s->full, i))
		i += i % 64 || ~s->full[i / 64] ? 1 : 64;
	return i << s->bits;
}

void stretches_punch(struct stretches *s, uint64_t first, uint64_t count)
{
	set_within(s, s->zero, first, first + count);
}

void stretches_soil(struct stretches *s, uint64_t first, uint64_t count)
{
	clear_touched(s, s->zero, first, count);
}

bool stretches_read_zero(const struct stretches *s, uint64_t cluster)
{
	uint64_t i = cluster >> s->bits;

	return i < STRETCHES_MAX && get(s->zero, i);
}
