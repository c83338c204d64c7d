// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Guest ranges, the unit of exclusion.  I/O under a mapping enters the
 * clusters it touches shared; a change of a mapping enters exclusively.
 * A range is held from the mapping to the end of the I/O, so when somebody
 * has entered exclusively, all I/O under the old mapping has ended (R9).
 *
 * The ranges stand in one list in order of arrival, those that wait among
 * them.  A range may be entered if no earlier one conflicts with it: so a
 * waiter is overtaken by nobody, and a stream of shared I/O cannot starve
 * it.
 *
 * Most of the time all ranges are shared.  Then a thread that maps enters
 * without the lock, in its shard: a list of its own, with a latch.  Others lock
 * the shard only to enter exclusively, or to end a request of that thread.
 *
 *	enters a shard		locks it and finds exclusives to be zero
 *	enters exclusively	raises exclusives, then locks each shard and
 *				looks for conflicts
 *	leaves a shard		locks it; if exclusives is not zero, takes the
 *				image's lock and wakes
 *
 * While a range is exclusive, or waits to be, no range comes into a shard.  So
 * all ranges in shards came earlier, and none is overtaken.  Of two that
 * conflict, the later one to lock the shard sees the other.  A waiter keeps the
 * image's lock from this look to the wait, so the wake-up comes after.
 */
#include <assert.h>
#include <stdlib.h>
#include "qcow/image.h"
#include "qcow/range.h"

struct image_shard *range_create_shards(void)
{
	struct image_shard *shards = aligned_alloc(CACHE_LINE,
						   SHARDS * sizeof(*shards));

	for (unsigned int i = 0; shards && i < SHARDS; i++) {
		struct qcow_range *head = &shards[i].ranges;

		shards[i].allocates = false;
		atomic_init(&shards[i].latch.state, 0);
		head->prev = head->next = head;
	}
	return shards;
}

void range_destroy_shards(struct image_shard *shards)
{
	free(shards);
}

static void append(struct qcow_range *head, struct qcow_range *range)
{
	range->prev = head->prev;
	range->next = head;
	head->prev->next = range;
	head->prev = range;
}

static void take_out(struct qcow_range *range)
{
	range->prev->next = range->next;
	range->next->prev = range->prev;
}

static bool overlap(const struct qcow_range *a, uint64_t first, uint64_t last)
{
	return a->first <= last && first <= a->last;
}

static bool conflict(const struct qcow_range *a, uint64_t first, uint64_t last,
		     bool exclusive)
{
	return (a->exclusive || exclusive) && overlap(a, first, last);
}

static bool overlaps_in(struct image_shard *shard, uint64_t first,
			uint64_t last)
{
	const struct qcow_range *head = &shard->ranges, *r;

	latch_take(&shard->latch);
	for (r = head->next; r != head && !overlap(r, first, last);)
		r = r->next;
	latch_give(&shard->latch);
	return r != head;
}

/* For a range that exclusives counts. */
static bool overlaps_in_shards(const struct qcow_image *image, uint64_t first,
			       uint64_t last)
{
	for (unsigned int i = 0; i < image->shards_used; i++)
		if (overlaps_in(&image->shards[i], first, last))
			return true;
	return false;
}

static bool conflicts_before(const struct qcow_image *image,
			     const struct qcow_range *end, uint64_t first,
			     uint64_t last, bool exclusive)
{
	const struct qcow_range *r;

	if (!exclusive && !image->exclusives)
		return false;
	for (r = image->ranges.next; r != end; r = r->next)
		if (conflict(r, first, last, exclusive))
			return true;
	return exclusive && overlaps_in_shards(image, first, last);
}

bool range_conflicts(struct qcow_image *image, uint64_t first, uint64_t last)
{
	return conflicts_before(image, &image->ranges, first, last, false);
}

static void count_exclusive(struct qcow_image *image, int change)
{
	if (change)
		shared_put(image->exclusives, image->exclusives + change);
}

void range_enter(struct qcow_image *image, struct qcow_range *range,
		 uint64_t first, uint64_t last, bool exclusive)
{
	*range = (struct qcow_range){
		.first = first,
		.last = last,
		.exclusive = exclusive,
	};
	append(&image->ranges, range);
	count_exclusive(image, exclusive);
}

bool range_try(struct qcow_image *image, struct qcow_range *range,
	       uint64_t first, uint64_t last, bool exclusive)
{
	range_enter(image, range, first, last, exclusive);
	if (!conflicts_before(image, range, first, last, exclusive))
		return true;
	/* No other thread has seen it. */
	take_out(range);
	count_exclusive(image, -exclusive);
	return false;
}

void range_enter_wait(struct qcow_image *image, struct qcow_range *range,
		      uint64_t first, uint64_t last, bool exclusive)
{
	range_enter(image, range, first, last, exclusive);
	while (conflicts_before(image, range, first, last, exclusive)) {
		range->waits = true;
		image_wait(image);
	}
	range->waits = false;
}

static bool is_waited_for(const struct qcow_image *image,
			  const struct qcow_range *range)
{
	/* In the same list, only later ranges can wait for it. */
	const struct qcow_range *r = range->shard ? image->ranges.next :
						    range->next;

	if (!image->waiters)
		return false;
	for (; r != &image->ranges; r = r->next)
		if (r->waits &&
		    conflict(range, r->first, r->last, r->exclusive))
			return true;
	return false;
}

void range_leave(struct qcow_image *image, struct qcow_range *range)
{
	bool waited_for = is_waited_for(image, range);

	take_out(range);
	assert(image->exclusives >= range->exclusive);
	count_exclusive(image, -range->exclusive);
	if (waited_for)
		image_wake(image);
}

bool range_enter_shared(struct qcow_image *image, struct qcow_range *range,
			uint64_t first, uint64_t last)
{
	unsigned int number = shard_of_thread();
	struct image_shard *shard = &image->shards[number];
	bool alone;

	if (number >= shared_get(image->shards_used))
		return false;
	range->shard = shard;
	range->first = first;
	range->last = last;
	range->exclusive = range->waits = false;
	latch_take(&shard->latch);
	alone = shared_get(image->exclusives);
	if (!alone)
		append(&shard->ranges, range);
	latch_give(&shard->latch);
	return !alone;
}

void range_leave_shared(struct qcow_image *image, struct qcow_range *range)
{
	bool looked_for;

	latch_take(&range->shard->latch);
	take_out(range);
	looked_for = shared_get(image->exclusives);
	latch_give(&range->shard->latch);
	if (!looked_for)
		return;
	LOCKED(image);
	if (is_waited_for(image, range))
		image_wake(image);
}
