// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Replay: the assignments in the journal that an earlier process left go into
 * the active dirty set, as if this process had made them (R11).
 *
 * The journal is only read.  So death during a replay changes nothing, and
 * the next open replays the same groups.  The sealed prefix counts: the first
 * group whose seal does not fit was being written when the process died, and
 * was not acknowledged.
 *
 * A journal is input like an image.  A record must speak of clusters that the
 * image has; one that does not fails the open.
 */
#include <errno.h>
#include "qcow/append.h"
#include "qcow/error.h"
#include "qcow/l1.h"
#include "qcow/refcount.h"

/* Does a record speak of things that this image has? */
static bool fits(const struct qcow_image *image, const struct record *record)
{
	uint64_t end = record->index + record->count;
	uint64_t tables = image->geometry.l1_size;

	switch (record->kind) {
	case RECORD_L1:
		return end <= tables;
	case RECORD_L2_BITMAP:
		if (!image->geometry.extended)
			return false;
		/* fall through */
	case RECORD_L2:
	case RECORD_L2_DATA:
		/* A growth first puts zeros behind the end of the disk. */
		return end <= tables << image->geometry.l2_bits;
	case RECORD_REFCOUNT:
		return end <= image->allocator.max_clusters &&
		       record->value <= refcount_max(image);
	case RECORD_REFCOUNT_TABLE:
		return record->count == 1 && record->index;
	case RECORD_L1_TABLE:
		return true; /* l1_replay() judges it */
	}
	return false;
}

static int replay_group(struct qcow_image *image, const struct group *group)
{
	struct record record;
	int ret;

	for (unsigned int word = 0; word < group->words;) {
		group_next(group, &word, &record);
		if (!fits(image, &record))
			return -EINVAL;
		/* R16: all that the ring holds can be replayed. */
		while (image->dirty.active.used + record.count >
		       image->dirty.active.max_used) {
			ret = append_enlarge_sets(image);
			if (ret)
				return ret;
		}
		if (record.kind != RECORD_L1_TABLE) {
			append_publish(image, &record);
			continue;
		}
		ret = l1_replay(image, &record);
		if (ret)
			return ret;
	}
	return 0;
}

int journal_replay(struct qcow_image *image, struct qcow_error *error)
{
	struct journal *journal = &image->journal;
	struct group group;

	/* R11: the sealed prefix; the journal stays as it is. */
	while (journal->header &&
	       journal_read_group(journal, journal->end, &group)) {
		int ret = replay_group(image, &group);

		if (ret == -ENOMEM)
			return fail(error, ret, "out of memory");
		if (ret == -E2BIG)
			return fail(
				error, ret,
				"its journal %s speaks of more clusters than any program of ours; recover the disk with the program that wrote it",
				journal->path);
		if (ret)
			return fail(
				error, ret,
				"its journal %s does not fit it: a group at %llu speaks of clusters that it does not have",
				journal->path,
				(unsigned long long)journal->end);
		journal->end += 1 + group.words;
	}
	return 0;
}
