// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The refcount structures themselves: which blocks are of use, and new ones
 * for those that are not.
 *
 * A block is replaced if the table's entry leads nowhere (reserved bits, not
 * aligned, outside the file) or if something else lies in the same cluster;
 * and one is made where clusters are in use that no block counts; all of them
 * if the table itself is lost.  The new
 * ones are laid behind all that is in use (space.c), and so is a new table, if
 * the old one cannot name them all, or lies where something else is, too:
 *
 *	... | last cluster in use | new table, if needed | new blocks |
 *
 * The new area may itself need blocks to be counted in, so the plan is made
 * again until nothing is missing.
 *
 * Nobody sees the new blocks while they are filled.  Then there is a sync,
 * then the table names them, or the header a new table (R10).  A power loss
 * before that leaves the old structures as they were, one after it has them
 * replaced (P3); the clusters of the old ones have become leaks, which the
 * repair lowers next.
 */
#include <errno.h>
#include <stdlib.h>
#include "qcow/check/check.h"

#define MAX_ENTRIES    (MAX_REFCOUNT_TABLE_BYTES / 8)
#define BLOCK_RESERVED 0x1ffull

/* check->block_states */
enum {
	BLOCK_NEEDED = 1, /* there is none, and there are references */
	BLOCK_SHARED = 2, /* something else is there, too */
};

/* ---- the table and the blocks that there are ---- */

/* Without a table there are no blocks and no counts.  If the header gives it
   the place of the L1 table, either of the two may be there. */
static void lose_table(struct check *check, const char *why)
{
	const struct header *h = &check->header;

	if (overlaps(h->l1_offset, h->l1_size * 8ull, h->refcount_table_offset,
		     (uint64_t)h->refcount_table_clusters << h->cluster_bits))
		check->mixed = true;
	free(check->refcount_table);
	check->refcount_table = NULL;
	check->refcount_table_size = 0;
	check->miscounted = true;
	check_corrupt(check, "ERROR %s", why);
}

int check_load_refcount_table(struct check *check)
{
	const struct header *h = &check->header;
	uint64_t length = (uint64_t)h->refcount_table_clusters
			  << h->cluster_bits;
	struct qcow_error why;
	uint64_t *table;
	int ret;

	memset(check->block_states, 0, MAX_ENTRIES);
	check->refcount_table_shared = false;
	if (header_judge_refcount_table(check->file, h, &why)) {
		lose_table(check, why.text);
		return 0;
	}
	table = file_buffer(length);
	if (!table)
		return -ENOMEM;
	ret = file_read(check->file, table, h->refcount_table_offset, length);
	if (ret) {
		free(table);
		return ret;
	}
	for (uint64_t i = 0; i < length / 8; i++)
		table[i] = load_be64(&table[i]);
	free(check->refcount_table);
	check->refcount_table = table;
	check->refcount_table_size = length / 8;
	return 0;
}

static const char *judge_entry(const struct check *check, uint64_t entry)
{
	uint64_t size = check_cluster_size(check);

	if (entry & BLOCK_RESERVED)
		return "has reserved bits set";
	if (!is_aligned(entry, size))
		return "is not cluster aligned; refcount table entry corrupted";
	if (!check_is_inside(check, entry, size))
		return "is outside image";
	return NULL;
}

bool check_has_block(const struct check *check, uint64_t index)
{
	if (index >= check->refcount_table_size)
		return false;
	if (!check->refcount_table[index])
		return false;
	return !judge_entry(check, check->refcount_table[index]);
}

bool check_is_block_shared(const struct check *check, uint64_t index)
{
	return check->block_states[index] == BLOCK_SHARED;
}

static int count_block(struct check *check, uint32_t index)
{
	uint64_t entry = check->refcount_table[index];
	const char *why = judge_entry(check, entry);
	uint64_t cluster = entry >> check->header.cluster_bits;

	if (why) {
		check->miscounted = true;
		check_corrupt(check, "ERROR refcount block %u %s", index, why);
		return 0;
	}
	check->highest = max_u64(check->highest, cluster);
	return counts_add(&check->counts, cluster, 1,
			  REFERENCE_OWN | REFERENCE_BLOCK);
}

int check_count_blocks(struct check *check)
{
	const struct header *h = &check->header;
	uint64_t cluster = h->refcount_table_offset >> h->cluster_bits;
	uint32_t clusters = check->refcount_table_size * 8ull >>
			    h->cluster_bits;
	int ret = 0;

	for (uint32_t i = 0; i < clusters && !ret; i++) {
		check->highest = max_u64(check->highest, cluster + i);
		ret = counts_add(&check->counts, cluster + i, 1, REFERENCE_OWN);
	}
	for (uint32_t i = 0; i < check->refcount_table_size && !ret; i++)
		if (check->refcount_table[i])
			ret = count_block(check, i);
	return ret;
}

/* The guest's bytes may be there: no table is ever written over them. */
static bool is_table_shared(const struct check *check)
{
	const struct header *h = &check->header;
	uint64_t first = h->refcount_table_offset >> h->cluster_bits;
	uint64_t end = first +
		       (check->refcount_table_size * 8ull >> h->cluster_bits);

	first = max_u64(first, check->counts.first);
	end = min_u64(end, check->counts.limit);
	for (uint64_t cluster = first; cluster < end; cluster++)
		if (counts_get(&check->counts, cluster, NULL) > 1)
			return true;
	return false;
}

void check_find_shared_blocks(struct check *check)
{
	if (!check->reporting)
		return;
	check->refcount_table_shared |= is_table_shared(check);
	for (uint32_t i = 0; i < check->refcount_table_size; i++) {
		uint64_t references, cluster = check->refcount_table[i] >>
					       check->header.cluster_bits;

		if (cluster < check->counts.first ||
		    cluster >= check->counts.limit ||
		    !check_has_block(check, i))
			continue;
		references = counts_get(&check->counts, cluster, NULL);
		if (references == 1)
			continue;
		check->block_states[i] = BLOCK_SHARED;
		check->miscounted = true;
		check_corrupt(check, "ERROR refcount block %u refcount=%llu", i,
			      (unsigned long long)references);
	}
}

void check_need_block(struct check *check, uint64_t cluster)
{
	uint64_t index = cluster >> check->block_bits;

	/* Clusters that no table can reach stay as corrupt as they are. */
	if (index < MAX_ENTRIES)
		check->block_states[index] = BLOCK_NEEDED;
}

/* ---- the plan ---- */

struct plan {
	uint64_t first;		 /* cluster of the new area */
	uint64_t table_clusters; /* 0: the old table does */
	uint64_t blocks;
	uint32_t size; /* entries of the table */
};

static uint32_t entries_needed(const struct check *check)
{
	uint32_t n = MAX_ENTRIES;

	while (n && !check->block_states[n - 1])
		n--;
	return n;
}

/* Does the new area need one more block? */
static bool extend_plan(struct check *check, struct plan *plan)
{
	uint64_t end = plan->first + plan->table_clusters + plan->blocks;
	uint64_t index = plan->first >> check->block_bits;
	uint64_t last = (end - 1) >> check->block_bits;

	for (; index <= last && index < MAX_ENTRIES; index++) {
		if (check->block_states[index] || check_has_block(check, index))
			continue;
		check->block_states[index] = BLOCK_NEEDED;
		plan->blocks++;
		return true;
	}
	return false;
}

/* Does it need a new table, or a larger one? */
static bool extend_table(struct check *check, struct plan *plan)
{
	uint32_t needed = entries_needed(check);
	uint64_t per_cluster = check_cluster_size(check) / 8;
	bool moves = check->refcount_table_shared && !plan->table_clusters;
	uint64_t clusters;

	if (needed <= plan->size && !moves)
		return false;
	/* The blocks that stay are named, too. */
	needed = max_u64(needed, plan->size);
	clusters = div_round_up(needed, per_cluster);
	/* Half as much again, so that it need not move soon. */
	clusters = min_u64(clusters + clusters / 2 + 1,
			   MAX_ENTRIES / per_cluster);
	plan->table_clusters = clusters;
	plan->size = clusters * per_cluster;
	return true;
}

static bool needs_plan(const struct check *check)
{
	return check->refcount_table_shared || entries_needed(check);
}

static uint64_t clusters_of(const struct plan *plan)
{
	return plan->table_clusters + plan->blocks;
}

static void draw_plan(struct check *check, struct plan *plan, uint64_t first)
{
	*plan = (struct plan){
		.first = first,
		.size = check->refcount_table_size,
	};
	for (uint32_t i = 0; i < MAX_ENTRIES; i++)
		plan->blocks += check->block_states[i] != 0;
	while (extend_table(check, plan) || extend_plan(check, plan))
		;
}

static int make_plan(struct check *check, struct plan *plan)
{
	uint64_t end, first, room, wanted = 2 * entries_needed(check);

	/* In another place the plan may need more. */
	do {
		int ret;

		room = wanted;
		ret = check_find_space(check, room, &first);
		if (ret)
			return ret;
		draw_plan(check, plan, first);
		wanted = 2 * clusters_of(plan);
	} while (clusters_of(plan) > room);
	end = plan->first + clusters_of(plan);
	if ((end - 1) >> check->block_bits >= MAX_ENTRIES)
		return -EFBIG;
	if (check->file->block_device &&
	    end > check->file_size >> check->header.cluster_bits)
		return -ENOSPC;
	return 0;
}

/* ---- making it ---- */

/* An old block's counts are not given up lightly: tables that the walk could
   not find may use its clusters. */
static int write_new_block(struct check *check, uint32_t index, uint64_t offset)
{
	uint64_t size = check_cluster_size(check);
	int ret;

	if (check->block_states[index] != BLOCK_SHARED)
		return file_write_zeroes(check->file, offset, size);
	ret = file_read(check->file, check->block, check->refcount_table[index],
			size);
	return ret ? ret : file_write(check->file, check->block, offset, size);
}

static int write_new_blocks(struct check *check, const struct plan *plan,
			    uint64_t *table)
{
	uint64_t cluster = plan->first + plan->table_clusters;

	for (uint32_t i = 0; i < MAX_ENTRIES; i++) {
		uint64_t offset = cluster << check->header.cluster_bits;
		int ret;

		if (!check->block_states[i])
			continue;
		ret = write_new_block(check, i, offset);
		if (ret)
			return ret;
		table[i] = offset;
		cluster++;
	}
	return 0;
}

/* From now on, memory has the new structures and the file the old ones. */
static void adopt(struct check *check, const struct plan *plan, uint64_t *table)
{
	struct header *h = &check->header;

	check->relink = plan->table_clusters ||
			memcmp(table, check->refcount_table, plan->size * 8ull);
	free(check->refcount_table);
	check->refcount_table = table;
	check->refcount_table_size = plan->size;
	/* No block lacks anything now. */
	memset(check->block_states, 0, MAX_ENTRIES);
	if (plan->table_clusters) {
		h->refcount_table_offset = plan->first << h->cluster_bits;
		h->refcount_table_clusters = plan->table_clusters;
	}
	if (plan->blocks || plan->table_clusters)
		check_take_space(check, plan->first,
				 plan->table_clusters + plan->blocks);
}

int check_make_blocks(struct check *check)
{
	struct plan plan = { .size = check->refcount_table_size };
	uint64_t *table;
	int ret = needs_plan(check) ? make_plan(check, &plan) : 0;

	if (ret)
		return ret;
	table = file_buffer(plan.size * 8ull);
	if (!table)
		return -ENOMEM;
	memset(table, 0, plan.size * 8ull);
	for (uint32_t i = 0; i < check->refcount_table_size; i++)
		if (check_has_block(check, i))
			table[i] = check->refcount_table[i];
	ret = write_new_blocks(check, &plan, table);
	if (ret) {
		free(table);
		return ret;
	}
	adopt(check, &plan, table);
	return 0;
}

/* R10: the blocks, a sync, the entries that name them, a sync. */
int check_link_blocks(struct check *check)
{
	int ret = file_sync(check->file);

	if (ret || !check->relink)
		return ret;
	ret = file_write_entries(check->file, check->refcount_table,
				 check->refcount_table_size,
				 check->header.refcount_table_offset);
	if (!ret)
		ret = file_sync(check->file);
	/* The same as before, if the table did not move. */
	if (!ret)
		ret = header_write_refcount_table(check->file, &check->header,
						  &check->header_area);
	return ret;
}
