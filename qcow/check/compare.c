// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The window's references against the counts in the refcount blocks.
 *
 *	count > references	a leak: space that nobody can use
 *	count < references	corruption: the cluster may be given away while
 *				it is in use
 *
 * Blocks that exist are read from their first count to their last; clusters
 * that have references but no block to be counted in are found in the leaves.
 * So the time follows from the blocks and leaves, not from the length of the
 * file.
 *
 * Neighbours with the same finding make one line.
 *
 * Counts are written by whole blocks, and only those that a phase is about:
 * raising and lowering are apart, with a sync between (R5 to R7).
 */
#include <errno.h>
#include <stdio.h>
#include "qcow/check/check.h"

/* ---- counts in a block, as they stand in the file ---- */

uint64_t check_max_count(const struct check *check)
{
	unsigned int bits = 1u << check->header.refcount_order;

	return bits == 64 ? UINT64_MAX : (1ull << bits) - 1;
}

static uint64_t get_count(const struct check *check, uint64_t index)
{
	unsigned int order = check->header.refcount_order;
	const uint8_t *at = check->block + (index << order >> 3);
	uint64_t count = 0;

	if (order < 3)
		return *at >> ((index << order) & 7) & check_max_count(check);
	for (unsigned int i = 0; i < 1u << (order - 3); i++)
		count = count << 8 | at[i];
	return count;
}

static void put_count(struct check *check, uint64_t index, uint64_t count)
{
	unsigned int order = check->header.refcount_order;
	uint8_t *at = check->block + (index << order >> 3);
	unsigned int shift = (index << order) & 7;

	if (order < 3) {
		*at = (*at & ~(check_max_count(check) << shift)) |
		      count << shift;
		return;
	}
	for (unsigned int i = 1u << (order - 3); i--; count >>= 8)
		at[i] = count;
}

/* ---- findings ---- */

static void tell_run(struct check *check)
{
	const struct run *run = &check->run;
	bool corrupt = run->count < run->references;
	char clusters[64];

	if (!run->length)
		return;
	if (run->length == 1)
		snprintf(clusters, sizeof(clusters), "cluster %llu",
			 (unsigned long long)run->first);
	else
		snprintf(clusters, sizeof(clusters), "clusters %llu to %llu",
			 (unsigned long long)run->first,
			 (unsigned long long)(run->first + run->length - 1));
	check_say(check, "%s %s refcount=%llu reference=%llu%s",
		  corrupt ? "ERROR" : "Leaked", clusters,
		  (unsigned long long)run->count,
		  (unsigned long long)run->references,
		  run->shared ? " (metadata overlaps something else)" : "");
	check->run.length = 0;
}

static void note_mismatch(struct check *check, uint64_t cluster, uint64_t count,
			  uint64_t references, bool shared)
{
	struct run *run = &check->run;

	if (!check->reporting)
		return;
	if (count < references)
		check->result.corruptions++;
	else
		check->result.leaks++;
	if (run->length && run->first + run->length == cluster &&
	    run->count == count && run->references == references &&
	    run->shared == shared) {
		run->length++;
		return;
	}
	tell_run(check);
	*run = (struct run){
		.first = cluster,
		.length = 1,
		.count = count,
		.references = references,
		.shared = shared,
	};
}

/* Metadata of which nobody else may have a part. */
static bool is_shared(uint64_t references, unsigned int flags)
{
	if (flags & REFERENCE_OWN)
		return references > 1;
	return flags & REFERENCE_TABLE && flags & REFERENCE_DATA;
}

static uint64_t foresee(const struct check *check, uint64_t count,
			uint64_t references, enum outcome outcome)
{
	uint64_t wanted = min_u64(references, check_max_count(check));

	switch (outcome) {
	case COUNTS_RAISED:
		return max_u64(count, wanted);
	case COUNTS_LOWERED:
		return min_u64(count, wanted);
	default:
		return count;
	}
}

/* A cluster has several uses, one of which cannot be shared: its content
   decides about the repair. */
static void note_shared(struct check *check, unsigned int flags)
{
	bool data = flags & REFERENCE_DATA;
	bool tables = flags & REFERENCE_OWN &&
		      (!data || flags & REFERENCE_TABLE);

	check->mixed |= data;
	/* Writing to one of two tables would change the other. */
	check->tangled |= tables;
	check->hopeless |= tables && !(flags & REFERENCE_BLOCK);
}

static void compare_cluster(struct check *check, uint64_t cluster,
			    uint64_t count, enum outcome outcome)
{
	unsigned int flags;
	uint64_t references = counts_get(&check->counts, cluster, &flags);
	bool shared = is_shared(references, flags);

	if (!count && !references)
		return;
	check->highest_used = max_u64(check->highest_used, cluster);
	if (shared)
		note_shared(check, flags);
	check->miscounted |= !count;
	count = foresee(check, count, references, outcome);
	if (count == 1)
		counts_set_one(&check->counts, cluster);
	if (flags & REFERENCE_COPIED && count != 1)
		check->copied_wrong = true;
	if (flags & REFERENCE_PLAIN && count == 1 &&
	    check_lacks_copied(check, references))
		check->copied_wrong = true;
	if (count != references)
		note_mismatch(check, cluster, count, references, shared);
	else if (shared && flags & REFERENCE_OWN && flags & REFERENCE_TABLE)
		check_corrupt(
			check,
			"ERROR cluster %llu: an L2 table lies in other metadata",
			(unsigned long long)cluster);
}

/* ---- blocks and leaves ---- */

/* The clusters of the window that a block counts. */
static void window_of_block(const struct check *check, uint64_t index,
			    uint64_t *first, uint64_t *last)
{
	uint64_t start = index << check->block_bits;
	uint64_t end = start + (1ull << check->block_bits);

	*first = max_u64(start, check->counts.first);
	*last = min_u64(min_u64(end, check->counts.limit), check->clusters);
}

static int load_block(struct check *check, uint64_t index)
{
	uint64_t offset = check->refcount_table[index];
	int ret = file_read(check->file, check->block, offset,
			    check_cluster_size(check));

	if (ret)
		check_failed(
			check,
			"cannot read the refcount block at offset %#llx: %s",
			(unsigned long long)offset, strerror(-ret));
	return ret;
}

static void compare_block(struct check *check, uint64_t index,
			  enum outcome outcome)
{
	uint64_t mask = (1ull << check->block_bits) - 1;
	uint64_t cluster, last;

	window_of_block(check, index, &cluster, &last);
	if (cluster >= last || load_block(check, index))
		return;
	for (; cluster < last; cluster++)
		compare_cluster(check, cluster,
				get_count(check, cluster & mask), outcome);
}

/* The blocks that count clusters of the window. */
static uint64_t first_block(const struct check *check)
{
	return check->counts.first >> check->block_bits;
}

static uint64_t end_of_blocks(const struct check *check)
{
	uint64_t limit = min_u64(check->counts.limit, check->clusters);

	return min_u64(check->refcount_table_size,
		       div_round_up(limit, 1ull << check->block_bits));
}

static void compare_leaf(struct check *check, uint64_t first,
			 enum outcome outcome)
{
	uint64_t end = first + (1u << LEAF_BITS);

	for (uint64_t cluster = first; cluster < end; cluster++) {
		if (!counts_get(&check->counts, cluster, NULL) ||
		    check_has_block(check, cluster >> check->block_bits))
			continue;
		check_need_block(check, cluster);
		compare_cluster(check, cluster, 0, outcome);
	}
}

int check_compare(struct check *check, enum outcome outcome)
{
	check->copied_wrong = false;
	for (uint64_t i = first_block(check); i < end_of_blocks(check); i++)
		if (check_has_block(check, i))
			compare_block(check, i, outcome);
	for (uint32_t i = 0; i < check->counts.used; i++)
		compare_leaf(check, check->counts.leaves[i].index << LEAF_BITS,
			     outcome);
	tell_run(check);
	check_find_shared_blocks(check);
	return 0;
}

/* ---- writing ---- */

static bool change_count(struct check *check, uint64_t cluster,
			 enum outcome outcome)
{
	uint64_t index = cluster & ((1ull << check->block_bits) - 1);
	uint64_t references = counts_get(&check->counts, cluster, NULL);
	uint64_t count = get_count(check, index);
	uint64_t wanted = foresee(check, count, references, outcome);

	if (wanted == count)
		return false;
	put_count(check, index, wanted);
	return true;
}

static int write_block(struct check *check, uint64_t index,
		       enum outcome outcome)
{
	uint64_t cluster, last;
	bool changed = false;
	int ret;

	window_of_block(check, index, &cluster, &last);
	if (cluster >= last)
		return 0;
	ret = load_block(check, index);
	if (ret)
		return ret;
	for (; cluster < last; cluster++)
		changed |= change_count(check, cluster, outcome);
	if (!changed)
		return 0;
	return file_write(check->file, check->block,
			  check->refcount_table[index],
			  check_cluster_size(check));
}

int check_write_counts(struct check *check, enum outcome outcome)
{
	int ret = 0;

	for (uint64_t i = first_block(check); i < end_of_blocks(check); i++) {
		if (check_has_block(check, i) &&
		    !check_is_block_shared(check, i))
			ret = write_block(check, i, outcome);
		if (ret)
			return ret;
	}
	return 0;
}
