// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Counting references in bounded memory.
 *
 * A file may have 2^54 clusters, most of which do not exist.  Memory is
 * spent in leaves of 16384 clusters each, and only where something is
 * referred to.  When the budget is spent, the leaf with the highest clusters
 * is given up and the window ends before it: the caller that counts learns that
 * from window and limit, deals with the leaves that are there, and counts again
 * from the limit on.  So a budget of any size does, and an image that is mostly
 * empty needs one pass however large it is.
 *
 * A cell holds flags in its low bits and references above them: 16 bits as a
 * rule, 64 bits in a leaf where that was not enough.
 */
#include <errno.h>
#include <stdlib.h>
#include "qcow/check/check.h"

#define LEAF_CELLS (1u << LEAF_BITS)
#define FLAG_BITS  7
#define FLAGS	   ((1u << FLAG_BITS) - 1)
#define NARROW_MAX (UINT16_MAX >> FLAG_BITS)
#define WIDE_MAX   (UINT64_MAX >> FLAG_BITS)

static size_t leaf_bytes(const struct leaf *leaf)
{
	return LEAF_CELLS * (leaf->wide ? sizeof(uint64_t) : sizeof(uint16_t));
}

static uint64_t cell_get(const struct leaf *leaf, uint64_t cluster)
{
	uint64_t at = cluster & (LEAF_CELLS - 1);

	return leaf->wide ? ((const uint64_t *)leaf->cells)[at] :
			    ((const uint16_t *)leaf->cells)[at];
}

static void cell_set(struct leaf *leaf, uint64_t cluster, uint64_t cell)
{
	uint64_t at = cluster & (LEAF_CELLS - 1);

	if (leaf->wide)
		((uint64_t *)leaf->cells)[at] = cell;
	else
		((uint16_t *)leaf->cells)[at] = cell;
}

void counts_begin(struct counts *counts, uint64_t first)
{
	for (uint32_t i = 0; i < counts->used; i++)
		free(counts->leaves[i].cells);
	counts->used = 0;
	counts->bytes = 0;
	counts->first = first;
	counts->limit = UINT64_MAX;
}

void counts_destroy(struct counts *counts)
{
	counts_begin(counts, 0);
	free(counts->leaves);
	counts->leaves = NULL;
}

/* Where the leaf is, or belongs. */
static uint32_t find_place(const struct counts *counts, uint64_t index)
{
	uint32_t low = 0, high = counts->used;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (counts->leaves[middle].index < index)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct leaf *find_leaf(const struct counts *counts, uint64_t cluster)
{
	uint64_t index = cluster >> LEAF_BITS;
	uint32_t place = find_place(counts, index);

	if (place < counts->used && counts->leaves[place].index == index)
		return &counts->leaves[place];
	return NULL;
}

/* The highest leaf goes, and the window ends there; never the last one, or
   no window would ever hold anything. */
static void keep_budget(struct counts *counts)
{
	while (counts->bytes > counts->budget && counts->used > 1) {
		struct leaf *last = &counts->leaves[--counts->used];

		counts->limit = last->index << LEAF_BITS;
		counts->bytes -= leaf_bytes(last);
		free(last->cells);
	}
}

static int make_room(struct counts *counts)
{
	uint32_t capacity = counts->capacity ? 2 * counts->capacity : 64;
	struct leaf *leaves;

	if (counts->used < counts->capacity)
		return 0;
	leaves = reallocarray(counts->leaves, capacity, sizeof(*leaves));
	if (!leaves)
		return -ENOMEM;
	counts->leaves = leaves;
	counts->capacity = capacity;
	return 0;
}

static int add_leaf(struct counts *counts, uint64_t index)
{
	uint32_t place = find_place(counts, index);
	struct leaf leaf = { .index = index };
	int ret = make_room(counts);

	if (ret)
		return ret;
	leaf.cells = calloc(1, leaf_bytes(&leaf));
	if (!leaf.cells)
		return -ENOMEM;
	memmove(&counts->leaves[place + 1], &counts->leaves[place],
		(counts->used - place) * sizeof(leaf));
	counts->leaves[place] = leaf;
	counts->used++;
	counts->bytes += leaf_bytes(&leaf);
	keep_budget(counts);
	return 0;
}

static int widen(struct counts *counts, struct leaf *leaf)
{
	struct leaf wide = { .index = leaf->index, .wide = true };

	wide.cells = calloc(1, leaf_bytes(&wide));
	if (!wide.cells)
		return -ENOMEM;
	for (uint64_t i = 0; i < LEAF_CELLS; i++)
		cell_set(&wide, i, cell_get(leaf, i));
	counts->bytes += leaf_bytes(&wide) - leaf_bytes(leaf);
	free(leaf->cells);
	*leaf = wide;
	keep_budget(counts);
	return 0;
}

static bool in_window(const struct counts *counts, uint64_t cluster)
{
	return cluster >= counts->first && cluster < counts->limit;
}

int counts_add(struct counts *counts, uint64_t cluster, uint64_t references,
	       unsigned int flags)
{
	struct leaf *leaf;
	uint64_t cell, sum;
	int ret;

	if (!in_window(counts, cluster))
		return 0;
	leaf = find_leaf(counts, cluster);
	if (!leaf) {
		ret = add_leaf(counts, cluster >> LEAF_BITS);
		return ret ? ret :
			     counts_add(counts, cluster, references, flags);
	}
	cell = cell_get(leaf, cluster);
	sum = (cell >> FLAG_BITS) + min_u64(references, WIDE_MAX / 2);
	if (sum > NARROW_MAX && !leaf->wide) {
		ret = widen(counts, leaf);
		return ret ? ret :
			     counts_add(counts, cluster, references, flags);
	}
	cell_set(leaf, cluster,
		 min_u64(sum, WIDE_MAX / 2) << FLAG_BITS | (cell & FLAGS) |
			 flags);
	return 0;
}

uint64_t counts_get(const struct counts *counts, uint64_t cluster,
		    unsigned int *flags)
{
	const struct leaf *leaf = find_leaf(counts, cluster);
	uint64_t cell = leaf ? cell_get(leaf, cluster) : 0;

	if (flags)
		*flags = cell & FLAGS;
	return cell >> FLAG_BITS;
}

void counts_set_one(struct counts *counts, uint64_t cluster)
{
	struct leaf *leaf = find_leaf(counts, cluster);

	if (leaf)
		cell_set(leaf, cluster, cell_get(leaf, cluster) | COUNT_ONE);
}
