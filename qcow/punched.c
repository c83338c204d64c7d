// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Free host clusters that read as zero, because a hole was punched in them.  A
 * write that takes one of those need not put zeros around a guest's bytes (R1).
 *
 * Each cluster has one slot, which it shares with others: the slot knows the
 * last one.  To forget a cluster costs some zeros.  To keep a cluster that was
 * written to would show a guest bytes that were deleted; so a cluster is
 * removed when it is taken, and before it is punched again.
 *
 * It holds for this life of the image: the hole survives the process, but
 * another owner knows of none.
 */
#include "qcow/bits.h"
#include "qcow/punched.h"

void punched_add(struct punched *punched, uint64_t first, uint64_t count)
{
	/* Of more than there are slots, those that are taken first. */
	uint64_t end = first + min_u64(count, PUNCHED_SLOTS);

	for (uint64_t i = first; i < end; i++)
		punched->slots[i % PUNCHED_SLOTS] = i + 1;
}

void punched_remove(struct punched *punched, uint64_t first, uint64_t count)
{
	uint64_t end = first + min_u64(count, PUNCHED_SLOTS);

	for (uint64_t i = first; i < end; i++) {
		uint64_t *slot = &punched->slots[i % PUNCHED_SLOTS];

		if (*slot > first && *slot - 1 - first < count)
			*slot = 0;
	}
}

bool punched_has(const struct punched *punched, uint64_t cluster)
{
	return punched->slots[cluster % PUNCHED_SLOTS] == cluster + 1;
}
