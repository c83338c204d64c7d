// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Space for new tables: behind everything that is in use.
 *
 * In a file that was cut off, entries name clusters behind its end.  Nothing is
 * there, so these read as zero.  A new table in such a cluster would be read as
 * the guest's data, or as the table that was lost, and the guest could write
 * over it.  So new tables are laid behind such references, in the first gap
 * between them that is wide enough.
 *
 * An entry that is damaged may name a cluster anywhere, so not all of them can
 * be remembered.  They are counted window by window, as those in the file
 * are, and each window is searched for the gap.  Tables that are lost are few,
 * and long; they stay a list.
 */
#include <errno.h>
#include <stdlib.h>
#include "qcow/check/check.h"

int check_count_behind(struct check *check, uint64_t offset, uint64_t length)
{
	uint32_t bits = check->header.cluster_bits;
	uint64_t last = (offset + length - 1) >> bits;
	uint64_t cluster = offset >> bits;
	int ret = 0;

	check->behind = true;
	check->cut = true;
	if (!check->seeking)
		return 0;
	cluster = max_u64(cluster, check->counts.first);
	for (; cluster <= last && !ret; cluster++)
		ret = counts_add(&check->counts, cluster, 1, 0);
	return ret;
}

int check_lose_area(struct check *check, uint64_t offset, uint64_t length)
{
	uint32_t n = check->nr_lost;
	struct area *lost;
	uint64_t end;

	check->behind = true;
	check->cut = true;
	if (!length || __builtin_add_overflow(offset, length, &end))
		return 0;
	lost = reallocarray(check->lost, n + 1, sizeof(*lost));
	if (!lost)
		return -ENOMEM;
	lost[n] = (struct area){ .offset = offset, .length = length };
	check->lost = lost;
	check->nr_lost++;
	return 0;
}

/* ---- the gap ---- */

static int compare_areas(const void *a, const void *b)
{
	const struct area *x = a, *y = b;

	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* In order, and none in another. */
static void sort_lost(struct check *check)
{
	struct area *lost = check->lost;
	uint32_t used = 0;
	uint64_t end = 0;

	if (!check->nr_lost)
		return;
	qsort(lost, check->nr_lost, sizeof(*lost), compare_areas);
	for (uint32_t i = 0; i < check->nr_lost; i++) {
		if (lost[i].offset + lost[i].length <= end)
			continue;
		end = lost[i].offset + lost[i].length;
		lost[used++] = lost[i];
	}
	check->nr_lost = used;
}

/* The first of these that ends behind the cluster. */
static uint32_t find_lost(const struct check *check, uint64_t cluster)
{
	uint64_t offset = cluster << check->header.cluster_bits;
	uint32_t low = 0, high = check->nr_lost;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct area *area = &check->lost[middle];

		if (area->offset + area->length <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The first cluster, from this one on, behind which so many have nothing to do
   with a lost table. */
static uint64_t pass_lost(const struct check *check, uint64_t cluster,
			  uint64_t wanted)
{
	uint32_t bits = check->header.cluster_bits;

	for (uint32_t i = find_lost(check, cluster); i < check->nr_lost; i++) {
		const struct area *area = &check->lost[i];

		if (area->offset >> bits >= cluster + wanted)
			break;
		cluster = (area->offset + area->length - 1) >> bits;
		cluster++;
	}
	return cluster;
}

/* The same with all references of the window. */
static uint64_t pass_all(const struct check *check, uint64_t wanted)
{
	const struct counts *counts = &check->counts;
	uint64_t first = pass_lost(check, counts->first, wanted);

	for (uint32_t i = 0; i < counts->used; i++) {
		uint64_t start = counts->leaves[i].index << LEAF_BITS;

		for (uint64_t c = start; c < start + (1u << LEAF_BITS); c++) {
			if (c < first || !counts_get(counts, c, NULL))
				continue;
			if (c - first >= wanted)
				return first;
			first = pass_lost(check, c + 1, wanted);
		}
	}
	return first;
}

static int find_gap(struct check *check, uint64_t wanted, uint64_t *first)
{
	const struct counts *counts = &check->counts;
	uint64_t found = *first, from;

	sort_lost(check);
	do {
		int ret;

		from = found;
		ret = check_count_all_behind(check, from);
		if (ret)
			return ret;
		found = pass_all(check, wanted);
		*first = found;
		/* It goes on in the next window. */
		if (found == from)
			found = counts->limit;
	} while (*first >= counts->limit || wanted > counts->limit - *first);
	return 0;
}

int check_find_space(struct check *check, uint64_t wanted, uint64_t *first)
{
	bool is_device = check->file->block_device;

	*first = check->highest + 1;
	/* Clusters that the walk did not find may be anywhere in the file. */
	if (check->incomplete || !is_device)
		*first = max_u64(*first, check->clusters);
	/* Behind the end of a device there is no space. */
	if (!check->behind || is_device)
		return 0;
	return find_gap(check, wanted, first);
}

void check_take_space(struct check *check, uint64_t first, uint64_t clusters)
{
	uint64_t end = first + clusters;

	check->highest = max_u64(check->highest, end - 1);
	check->clusters = max_u64(check->clusters, end);
	check->file_size = max_u64(check->file_size,
				   check->clusters
					   << check->header.cluster_bits);
	for (uint64_t cluster = first; cluster < end; cluster++)
		if (!check_has_block(check, cluster >> check->block_bits))
			check_need_block(check, cluster);
}
