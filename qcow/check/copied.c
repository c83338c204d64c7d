// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * COPIED flags: set in an entry of the active layer exactly if the count of
 * its cluster is one; then the cluster may be changed in place.
 *
 * Only entries that lead into the window can be judged, so every window
 * walks the tables again; but only if the comparison met a flag that is
 * wrong, which it knows from the references.
 *
 * A flag too many can cost data: a write in place changes the disk of a
 * snapshot, too.  A flag too few costs a copy.  So flags are cleared before
 * counts are lowered, and set after that; between the two there is a sync.
 */
#include "qcow/check/check.h"

/* Does an entry with COPIED lead to where nothing can be counted? */
static bool is_uncounted(const struct check *check, uint64_t entry)
{
	uint64_t offset = entry & ENTRY_OFFSET;

	return entry & ENTRY_COPIED &&
	       is_aligned(offset, check_cluster_size(check)) &&
	       offset >> check->header.cluster_bits >= check->clusters;
}

/* The count is one, and an entry has no flag: does the entry lack it?  Not if
   there are more references than the count says, or can say; but in a plain
   check it does, since then the count stays as it is. */
bool check_lacks_copied(const struct check *check, uint64_t references)
{
	if (check->options->repair != QCOW_REPAIR_NONE)
		return references == 1;
	return references <= check_max_count(check);
}

/* Is the flag other than it should be? */
static bool is_wrong(const struct check *check, uint64_t entry)
{
	uint64_t cluster = (entry & ENTRY_OFFSET) >> check->header.cluster_bits;
	unsigned int flags;
	uint64_t references;

	if (!check->counts.first && is_uncounted(check, entry))
		return true;
	if (cluster < check->counts.first || cluster >= check->counts.limit)
		return false;
	if (!is_aligned(entry & ENTRY_OFFSET, check_cluster_size(check)))
		return false;
	references = counts_get(&check->counts, cluster, &flags);
	if (entry & ENTRY_COPIED)
		return !(flags & COUNT_ONE);
	return flags & COUNT_ONE && check_lacks_copied(check, references);
}

/* Does the task with one entry; true: it has changed. */
static bool do_task(struct check *check, const char *what, uint8_t *at)
{
	uint64_t entry = load_be64(at);
	bool copied = entry & ENTRY_COPIED;

	if (!is_wrong(check, entry))
		return false;
	switch (check->copied_task) {
	case COPIED_TELL:
		check->copied_findings++;
		check_corrupt(check, "ERROR COPIED flag of %s: entry=%llx %s",
			      what, (unsigned long long)entry,
			      copied ? "has it, but refcount is not 1" :
				       "lacks it, but refcount is 1");
		return false;
	case COPIED_CLEAR:
		if (copied)
			store_be64(at, entry & ~ENTRY_COPIED);
		return copied;
	case COPIED_SET:
		if (!copied)
			store_be64(at, entry | ENTRY_COPIED);
		return !copied;
	}
	return false;
}

/* An L1 entry that has the flag and no table: readers differ in its meaning,
   and QEMU takes the header for a table.  It even writes there, when it deletes
   a snapshot with such an entry. */
static bool do_nowhere(struct check *check, const struct root *root,
		       uint32_t index, uint8_t *at)
{
	if (check->copied_task == COPIED_TELL) {
		check->copied_findings++;
		check_corrupt(
			check,
			"ERROR COPIED flag of L1 entry %u%s: there is no L2 table",
			index,
			root->kind == ROOT_SNAPSHOT ? " of a snapshot" : "");
	}
	if (check->copied_task != COPIED_CLEAR)
		return false;
	store_be64(at, load_be64(at) & ~ENTRY_COPIED);
	return true;
}

static int do_l1(struct check *check, const struct root *root, uint32_t index,
		 uint8_t *entries, uint32_t count)
{
	bool changed = false;

	for (uint32_t i = 0; i < count; i++) {
		uint8_t *at = entries + i * 8;
		uint64_t entry = load_be64(at);

		if (entry & ENTRY_OFFSET && root->kind == ROOT_ACTIVE)
			changed |= do_task(check, "an L2 table", at);
		if (!(entry & ENTRY_OFFSET) && entry & ENTRY_COPIED &&
		    !check->counts.first)
			changed |= do_nowhere(check, root, index + i, at);
	}
	if (!changed)
		return 0;
	return file_write(check->file, entries, root->offset + index * 8ull,
			  round_up(count * 8ull, check->file->alignment));
}

static int do_table(struct check *check, const struct table *table)
{
	bool changed = false;

	if (!table->active || check_has_data_file(check))
		return 0;
	for (uint64_t at = 0; at < check_cluster_size(check);
	     at += check->entry_size) {
		uint64_t entry = load_be64(check->table + at);

		if (check_entry_kind(check, entry) == ENTRY_IS_DATA)
			changed |= do_task(check, "a data cluster",
					   check->table + at);
	}
	return changed ? check_write_table(check, table) : 0;
}

int check_copied(struct check *check, enum copied_task task)
{
	int ret;

	if (!check->copied_wrong && !check->copied_nowhere)
		return 0;
	check->copied_task = task;
	ret = check_each_root(check, ROOT_ACTIVE, ROOT_SNAPSHOT, do_l1);
	return ret ? ret : check_each_table(check, do_table);
}
