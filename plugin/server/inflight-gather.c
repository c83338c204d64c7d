// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Copies of neighbouring clusters, written together.
 *
 * The engine gives new clusters out in order, so those that are copied at one
 * time lie side by side in the file.  For a file system a new cluster costs
 * more than its bytes: an extent to split, a change of the journal.  One write
 * of ten neighbours costs that once.
 *
 * A copy that is whole waits for the others of its batch of completions, and no
 * longer; they are kept in the order of their places.  A run of neighbours is
 * one write, which belongs to its first request; the others hang on that one.
 * All bytes or nothing: after an error or a short write each request of the run
 * writes its own cluster, and has an error of its own.
 */
#include <assert.h>
#include "plugin/server/dying.h"
#include "plugin/server/inflight-inside.h"
#include "plugin/server/inflight.h"
#include "plugin/server/queue.h"

static const struct qcow_extent *extent_of(const struct request *request)
{
	return &request->io.extents[0];
}

static uint64_t start_of(const struct request *request)
{
	return extent_of(request)->offset - request->io.copy.before;
}

static uint32_t length_of(const struct request *request)
{
	return inflight_whole(request, 0);
}

static bool is_before(const struct request *a, const struct request *b)
{
	if (extent_of(a)->file != extent_of(b)->file)
		return extent_of(a)->file < extent_of(b)->file;
	return start_of(a) < start_of(b);
}

/* Is the second the neighbour of the first, and may direct I/O take them as
   parts of one vector? */
static bool is_next(const struct request *a, const struct request *b)
{
	return extent_of(a)->file == extent_of(b)->file &&
	       start_of(a) + length_of(a) == start_of(b) &&
	       length_of(a) % a->all->alignment == 0 &&
	       length_of(b) % b->all->alignment == 0;
}

void gather_add(struct request *request)
{
	struct gather *gather = &request->all->gather;
	unsigned int at;

	assert(is_copy(request) && !request->copying);
	if (gather->count == REQUEST_PARTS)
		gather_start(request->all);
	for (at = gather->count++; at; at--) {
		if (is_before(gather->waiting[at - 1], request))
			break;
		gather->waiting[at] = gather->waiting[at - 1];
	}
	gather->waiting[at] = request;
}

/* How many of these are neighbours of each other, from the first on? */
static unsigned int length_of_run(struct request *const *run,
				  unsigned int count)
{
	unsigned int nr = 1;

	while (nr < count && is_next(run[nr - 1], run[nr]))
		nr++;
	return nr;
}

static void write_run(struct request *const *run, unsigned int count)
{
	struct request *first = run[0];
	bool grows = false;

	for (unsigned int nr = 0; nr < count; nr++) {
		first->parts[nr].iov_base = run[nr]->copied;
		first->parts[nr].iov_len = length_of(run[nr]);
		run[nr]->next = nr + 1 < count ? run[nr + 1] : NULL;
		grows |= extent_of(run[nr])->grows;
	}
	queue_write_gathered(first, count, start_of(first), grows);
}

void gather_start(struct requests *all)
{
	struct request *const *run = all->gather.waiting;
	unsigned int left = all->gather.count, count;

	for (; left; run += count, left -= count) {
		count = length_of_run(run, left);
		if (count == 1)
			inflight_write(run[0]);
		else
			write_run(run, count);
	}
	all->gather.count = 0;
}

static bool is_complete(const struct request *first, int res)
{
	uint64_t length = 0;

	for (; first; first = first->next)
		length += length_of(first);
	assert(res < 0 || (uint64_t)res <= length);
	return res >= 0 && (uint64_t)res == length;
}

void inflight_gathered(struct request *first, int res)
{
	const bool complete = is_complete(first, res);
	struct request *request, *next;

	for (request = first; request; request = next) {
		next = request->next;
		request->next = NULL;
		dying_of(request);
		if (complete)
			inflight_transferred(request, 0, length_of(request));
		else
			inflight_write(request);
	}
}
