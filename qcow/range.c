// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Guest ranges, the unit of exclusion.  I/O under a mapping enters the
 * clusters it touches shared; a change of a mapping enters exclusively.
 * A range is held from the mapping to the end of the I/O, so when somebody
 * has entered exclusively, all I/O under the old mapping has ended (R9).
 *
 * All ranges stand in one list in order of arrival, those that wait among
 * them.  A range may be entered if no earlier one conflicts with it: so a
 * waiter is overtaken by nobody, and a stream of shared I/O cannot starve
 * it.  The list is as long as the number of requests in flight; most of the
 * time all of these are shared, and then it need not be looked at.
 */
#include <assert.h>
#include "qcow/image.h"
#include "qcow/range.h"

static bool conflict(const struct qcow_range *a, uint64_t first, uint64_t last,
		     bool exclusive)
{
	return (a->exclusive || exclusive) && a->first <= last &&
	       first <= a->last;
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
	return false;
}

bool range_conflicts(struct qcow_image *image, uint64_t first, uint64_t last,
		     bool exclusive)
{
	return conflicts_before(image, &image->ranges, first, last, exclusive);
}

void range_enter(struct qcow_image *image, struct qcow_range *range,
		 uint64_t first, uint64_t last, bool exclusive)
{
	struct qcow_range *head = &image->ranges;

	*range = (struct qcow_range){
		.prev = head->prev,
		.next = head,
		.first = first,
		.last = last,
		.exclusive = exclusive,
	};
	head->prev->next = range;
	head->prev = range;
	image->exclusives += exclusive;
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

/* Only those that came later can wait for it. */
static bool is_waited_for(const struct qcow_image *image,
			  const struct qcow_range *range)
{
	const struct qcow_range *r;

	if (!image->waiters)
		return false;
	for (r = range->next; r != &image->ranges; r = r->next)
		if (r->waits &&
		    conflict(range, r->first, r->last, r->exclusive))
			return true;
	return false;
}

void range_leave(struct qcow_image *image, struct qcow_range *range)
{
	bool waited_for = is_waited_for(image, range);

	range->prev->next = range->next;
	range->next->prev = range->prev;
	assert(image->exclusives >= range->exclusive);
	image->exclusives -= range->exclusive;
	if (waited_for)
		image_wake(image);
}
