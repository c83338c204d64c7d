// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Chooses the next request.  The kind is random, by the weights of --mix.  The
 * blocks are random, or one after the other, and never blocks that another
 * request has under way.
 *
 * A run that goes on with a ledger chooses other blocks than the runs before
 * it: else it would write all of theirs again, and nobody could tell whether
 * those had been lost.
 */
#include "tests/load/load-inside.h"

#define TRIES 64u /* to find blocks that no request has */

static uint64_t state = 1;

void random_begin(uint64_t past)
{
	state = (options.geometry.seed + past) * 0x9e3779b97f4a7c15ULL | 1;
}

uint64_t random_below(uint64_t limit)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % limit;
}

enum kind random_kind(void)
{
	unsigned int sum = 0, i, pick;

	for (i = 0; i < KINDS; i++)
		sum += options.mix[i];
	pick = (unsigned int)random_below(sum);
	for (i = 0; pick >= options.mix[i]; i++)
		pick -= options.mix[i];
	return (enum kind)i;
}

static bool idle(uint64_t first, uint64_t count)
{
	uint64_t i;

	for (i = first; i < first + count; i++)
		if (busy[i])
			return false;
	return true;
}

/* Discards take whole units of the disk's discard granularity: only whole units
   are sure to read as zero afterwards. */
static uint64_t unit_of(enum kind kind)
{
	uint64_t align = options.discard_align;

	if (kind != DISCARD || align <= options.geometry.block)
		return 1;
	return align / options.geometry.block;
}

bool pick_blocks(struct op *op)
{
	uint64_t unit = unit_of(op->kind), units = ledger.blocks / unit;
	uint64_t count = 1, first, tries;

	if (options.max_blocks > 1)
		count += random_below(options.max_blocks);
	count = (count + unit - 1) / unit;
	if (count > units)
		count = units;
	for (tries = 0; tries < TRIES; tries++) {
		if (options.sequential) {
			first = position + count > units ? 0 : position;
			position = first + count;
		} else {
			first = random_below(units - count + 1);
		}
		op->first = first * unit;
		op->count = (uint32_t)(count * unit);
		if (idle(op->first, op->count))
			return true;
	}
	return false;
}

uint64_t run_length(const struct op *op)
{
	uint64_t last = op->first + op->count - 1;

	return (op->count - 1) * (uint64_t)options.geometry.block +
	       ledger_length(&ledger, last);
}
