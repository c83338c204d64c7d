// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * References to host clusters, as the walk meets them: can one be followed, and
 * which clusters does it mean?
 *
 * One that cannot be followed makes the check incomplete: its cluster is not
 * known, so a repair must not take counts away.
 */
#include "qcow/check/check.h"

/* The last cluster may be cut by the end of the file, and a compressed
   cluster's last sectors may lie behind it. */
bool check_is_inside(const struct check *check, uint64_t offset,
		     uint64_t length)
{
	uint64_t end;

	if (__builtin_add_overflow(offset, length, &end))
		return false;
	return end <= check->file_size ||
	       end - check->file_size < check_cluster_size(check);
}

/* Every cluster that a run of bytes touches; false: it leaves the file. */
int check_count_run(struct check *check, uint64_t offset, uint64_t length,
		    uint64_t references, unsigned int flags)
{
	uint32_t bits = check->header.cluster_bits;
	uint64_t first = offset >> bits, last = (offset + length - 1) >> bits;

	check->clusters = max_u64(check->clusters, last + 1);
	check->highest = max_u64(check->highest, last);
	first = max_u64(first, check->counts.first);
	last = min_u64(last, check->counts.limit - 1);
	for (uint64_t cluster = first; cluster <= last; cluster++) {
		int ret = counts_add(&check->counts, cluster, references,
				     flags);

		if (ret)
			return ret;
	}
	return 0;
}

bool check_is_there(const struct check *check, uint64_t offset)
{
	return check_is_inside(check, offset, check_cluster_size(check));
}

void check_lose_reference(struct check *check)
{
	check->incomplete = true;
}
