// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The meaning of a disk's figures: percentiles, differences, the last stalls.
 *
 * Latencies are counted in buckets.  The first eight are of one UNIT each; from
 * there on every doubling of the latency has eight buckets of one size.  The
 * last bucket ends at 37 minutes and takes longer latencies, too.  A percentile
 * is the end of the bucket in which it lies, but no more than the longest
 * latency.
 */
#include <stddef.h>

#include "plugin/common/stats.h"

#define UNIT_BITS 7 /* log2 ns */
#define STEP_BITS 3 /* log2 of the buckets of a doubling */
#define STEPS	  (1u << STEP_BITS)

const char *stats_kind_name(enum stats_kind kind)
{
	static const char *const names[STATS_KINDS] = {
		[STATS_READ] = "read",
		[STATS_WRITE] = "write",
		[STATS_FLUSH] = "flush",
		[STATS_DISCARD] = "discard",
		[STATS_WRITE_ZEROES] = "write-zeroes",
	};

	return names[kind];
}

unsigned int stats_bucket(uint64_t latency)
{
	uint64_t units = latency >> UNIT_BITS;
	unsigned int log, bucket;

	if (units < STEPS)
		return units;
	log = 63 - __builtin_clzll(units);
	bucket = (log - STEP_BITS + 1) * STEPS +
		 (units >> (log - STEP_BITS)) % STEPS;
	return bucket < STATS_BUCKETS ? bucket : STATS_BUCKETS - 1;
}

uint64_t stats_bucket_end(unsigned int bucket)
{
	uint64_t units = bucket + 1;

	if (bucket >= STEPS)
		units = (uint64_t)(STEPS + bucket % STEPS + 1)
			<< (bucket / STEPS - 1);
	return units << UNIT_BITS;
}

static uint64_t sum(const struct stats_io *io)
{
	uint64_t count = 0;
	unsigned int i;

	for (i = 0; i < STATS_BUCKETS; i++)
		count += io->buckets[i];
	return count;
}

static uint64_t bound(const struct stats_io *io, unsigned int bucket)
{
	uint64_t end = stats_bucket_end(bucket);

	return end < io->longest ? end : io->longest;
}

uint64_t stats_percentile(const struct stats_io *io, unsigned int per_mille)
{
	uint64_t count = sum(io);
	/* Rounded up, and without an overflow. */
	uint64_t rank = count / 1000 * per_mille +
			(count % 1000 * per_mille + 999) / 1000;
	uint64_t seen = 0;
	unsigned int i;

	if (!count)
		return 0;
	for (i = 0; i < STATS_BUCKETS - 1; i++) {
		seen += io->buckets[i];
		if (seen >= rank)
			return bound(io, i);
	}
	return io->longest;
}

/* The figures of a new disk under an old name begin at 0. */
static uint64_t grown(uint64_t now, uint64_t before)
{
	return now >= before ? now - before : now;
}

void stats_difference(const struct stats_io *now, const struct stats_io *before,
		      struct stats_io *difference)
{
	unsigned int i, last = 0;

	difference->count = grown(now->count, before->count);
	difference->bytes = grown(now->bytes, before->bytes);
	difference->errors = grown(now->errors, before->errors);
	difference->time = grown(now->time, before->time);
	for (i = 0; i < STATS_BUCKETS; i++) {
		difference->buckets[i] = grown(now->buckets[i],
					       before->buckets[i]);
		if (difference->buckets[i])
			last = i;
	}
	difference->longest = bound(now, last);
}

const struct stats_stall *stats_stall(const struct stats *stats,
				      unsigned int age)
{
	if (age >= STATS_STALLS || age >= stats->nr_stalls)
		return NULL;
	return &stats->stalls[(stats->nr_stalls - 1 - age) % STATS_STALLS];
}

const struct stats_stall *stats_last_stall(const struct stats *stats)
{
	const struct stats_stall *stall;
	unsigned int age = 0;

	do
		stall = stats_stall(stats, age++);
	while (stall && !stall->ended);
	return stall;
}
