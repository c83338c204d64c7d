// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Appending groups.  The code that may link reserves room for them before
 * (R16).  A group goes into the journal first.  Then its assignments go into
 * the active dirty set, where look-ups find them (R3).
 *
 * A replay brings the active and the frozen set of the dead owner back as one.
 * So the two together stay below the size of one: however many owners die in a
 * row, with no checkpoint completed, the groups in the ring fit.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include "qcow/append.h"
#include "qcow/checkpoint.h"

/* Of another program's making the ring may say more than we ever would. */
#define LARGEST_SET (1u << 22)

int append_create_sets(struct qcow_image *image, uint32_t max_dirty)
{
	int ret = dirty_create(&image->dirty.active, max_dirty);

	if (!ret)
		ret = dirty_create(&image->dirty.frozen, max_dirty);
	/* As dirty_sort() wants it. */
	image->checkpoint.sorted = malloc(2 * max_dirty *
					  sizeof(*image->checkpoint.sorted));
	if (!image->checkpoint.sorted)
		ret = -ENOMEM;
	image->dirty.max = max_dirty;
	return ret;
}

int append_enlarge_sets(struct qcow_image *image)
{
	uint32_t max_dirty = image->dirty.max;
	struct dirty_set old = image->dirty.active;
	int ret;

	if (old.max_used >= LARGEST_SET)
		return -E2BIG;
	dirty_destroy(&image->dirty.frozen);
	free(image->checkpoint.sorted);
	ret = append_create_sets(image, 2 * old.max_used);
	for (uint32_t i = 0; i < old.used && !ret; i++)
		dirty_put(&image->dirty.active, old.list[i].key,
			  old.list[i].value);
	dirty_destroy(&old);
	/* There is no room for more until a checkpoint is complete. */
	image->dirty.max = max_dirty;
	return ret;
}

bool append_has_room(const struct qcow_image *image, uint64_t words,
		     uint64_t assignments)
{
	uint64_t used = image->dirty.active.used + image->dirty.reserved;

	/* R16: the frozen groups are in the ring, too. */
	if (image->dirty.freezing)
		used += image->dirty.frozen.used;
	return journal_has_room(&image->journal, words) &&
	       used + assignments <= image->dirty.max;
}

void append_reserve_room(struct qcow_image *image, uint64_t words,
			 uint64_t assignments)
{
	image->journal.reserved += words;
	image->dirty.reserved += assignments;
}

void append_release_room(struct qcow_image *image, uint64_t words,
			 uint64_t assignments)
{
	assert(image->journal.reserved >= words);
	assert(image->dirty.reserved >= assignments);
	image->journal.reserved -= words;
	image->dirty.reserved -= assignments;
}

int append_wait_room(struct qcow_image *image, uint64_t words,
		     uint64_t assignments)
{
	while (!append_has_room(image, words, assignments)) {
		int ret = checkpoint_wait_room(image);

		if (ret)
			return ret;
	}
	append_reserve_room(image, words, assignments);
	return 0;
}

/* A FLUSH writes so many slices, and those of a checkpoint under way. */
#define MOST_SLICES 1024u

/* R16: in time, so that writers do not wait; while one half of the set is
   written, the other fills. */
bool append_is_half_full(const struct qcow_image *image)
{
	return image->dirty.active.slices > MOST_SLICES ||
	       journal_used(&image->journal) > image->journal.words / 2 ||
	       image->dirty.active.used > image->dirty.max / 4;
}

static void publish_counts(struct qcow_image *image, const struct record *r)
{
	for (uint64_t i = 0; i < r->count; i++)
		dirty_put(&image->dirty.active,
			  dirty_key(KEY_REFCOUNT, r->index + i), r->value);
}

static void publish_entries(struct qcow_image *image, const struct record *r)
{
	uint64_t step = r->kind == RECORD_L2_DATA ? cluster_size(image) : 0;
	unsigned int second = r->kind == RECORD_L2_BITMAP;

	for (uint64_t i = 0; i < r->count; i++) {
		uint64_t word = ((r->index + i) << image->geometry.extended) +
				second;

		dirty_put(&image->dirty.active, dirty_key(KEY_L2, word),
			  r->value + i * step);
	}
}

void append_publish(struct qcow_image *image, const struct record *r)
{
	switch (r->kind) {
	case RECORD_L1:
		dirty_put(&image->dirty.active, dirty_key(KEY_L1, r->index),
			  r->value);
		break;
	case RECORD_L2:
	case RECORD_L2_DATA:
	case RECORD_L2_BITMAP:
		publish_entries(image, r);
		break;
	case RECORD_REFCOUNT:
		publish_counts(image, r);
		break;
	case RECORD_REFCOUNT_TABLE:
		shared_put(image->header.refcount_table_offset, r->value);
		image->header.refcount_table_clusters = r->index;
		image->allocator.table_moved = true;
		break;
	case RECORD_L1_TABLE:
		image->header.l1_offset = image->geometry.l1_offset = r->value;
		image->header.l1_size = image->geometry.l1_size = r->index;
		image->l1_moved = true;
		break;
	}
}

void append_group(struct qcow_image *image, const struct group *group)
{
	struct record record;

	/* R3: first the journal, then the look-ups. */
	journal_append(&image->journal, group);
	image_change_begin(image);
	for (unsigned int word = 0; word < group->words;) {
		group_next(group, &word, &record);
		append_publish(image, &record);
	}
	image_change_end(image);
	image->groups++;
	if (image->checkpoint.has_thread &&
	    (image->checkpoint.asleep || append_is_half_full(image)))
		pthread_cond_signal(&image->checkpoint.work);
}
