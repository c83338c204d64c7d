// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Look-ups without the lock, for plain reads and for writes in place: most
 * requests are such.  A plain request writes to no cache line that another
 * thread's plain requests write to, so queues do not slow each other down.
 *
 *	range	Each thread that maps has a shard: a list of shared ranges, with
 *		a lock of its own (range.c).  While a range is entered
 *		exclusively, no range enters a shard.
 *	tables	A look-up reads the dirty sets, the cached slices and the L1
 *		table.  image->changes counts each change of these twice, so an
 *		odd count is a change under way.  A look-up that has found one
 *		even count before and after has read one state.
 *	lease	Writes are counted by shards, too (lease.c).
 *
 * During a change a look-up may read a mixture of all values that the fields
 * ever held.  Their memory stays, and each index in them is one of that memory.
 * So the worst that can happen is a wrong answer, and that is dropped.  A
 * search that would not end gives up.
 *
 * The range comes first.  The mapping of its clusters stays until the request
 * has ended, and so does the answer (R9).  The count is for changes of other
 * clusters in the same slice.
 *
 * If anything is in the way, the request is mapped once more, under the lock: a
 * slice that is not cached, a cluster to allocate, a change under way, an
 * exclusive range, a merge, a mark to set.
 */
#include <assert.h>
#include <errno.h>
#include "qcow/map.h"
#include "qcow/range.h"
#include "qcow/unlocked.h"

/* ---- changes ---- */

/* shared_put() writes each field after the odd count and before the even
   one. */
void image_change_begin(struct qcow_image *image)
{
	assert(!(image->changes & 1));
	shared_put(image->changes, image->changes + 1);
}

void image_change_end(struct qcow_image *image)
{
	assert(image->changes & 1);
	shared_put(image->changes, image->changes + 1);
}

/* ---- look-ups ---- */

static bool is_unchanged(const struct qcow_image *image, uint32_t changes)
{
	return !(changes & 1) && shared_get(image->changes) == changes;
}

int unlocked_continue(struct qcow_image *image, struct qcow_io *io,
		      uint64_t offset, uint32_t length)
{
	uint32_t changes = shared_get(image->changes);
	int ret = map_onwards(image, io, offset, length);

	return ret || !is_unchanged(image, changes) ? -EAGAIN : 0;
}

typedef int map_function(struct qcow_image *image, struct qcow_io *io,
			 uint64_t offset, uint32_t length);

static inline bool map_unlocked(struct qcow_image *image, struct qcow_io *io,
				uint64_t offset, uint32_t length,
				map_function *map)
{
	uint64_t first = offset >> image->geometry.cluster_bits;
	uint64_t last = (offset + length - 1) >> image->geometry.cluster_bits;
	uint32_t changes;

	if (!range_enter_shared(image, &io->range, first, last))
		return false;
	changes = shared_get(image->changes);
	if (!map(image, io, offset, length) && io->length == length &&
	    map_is_plain(image, io) && is_unchanged(image, changes))
		return true;
	range_leave_shared(image, &io->range);
	return false;
}

bool unlocked_read(struct qcow_image *image, struct qcow_io *io,
		   uint64_t offset, uint32_t length)
{
	return map_unlocked(image, io, offset, length, map_plain_read);
}

bool unlocked_write(struct qcow_image *image, struct qcow_io *io,
		    uint64_t offset, uint32_t length)
{
	struct image_shard *shard = &image->shards[shard_of_thread()];

	/* Writes that allocate come in rows.  Each would be looked up twice. */
	if (shared_get(shard->allocates) ||
	    !map_unlocked(image, io, offset, length, map_overwrite))
		return false;
	/* R12: the I/O that the caller begins now ends in unlocked_end(). */
	lease_begin(&image->lease);
	io->writes = true;
	return true;
}

void unlocked_end(struct qcow_image *image, struct qcow_io *io)
{
	if (io->writes)
		lease_end(&image->lease);
	io->writes = false;
	range_leave_shared(image, &io->range);
}

void unlocked_allow(struct qcow_image *image)
{
	unsigned int number = shard_of_thread();

	if (number >= image->shards_used)
		shared_put(image->shards_used, number + 1);
}

void unlocked_expect(struct qcow_image *image, bool allocates)
{
	shared_put(image->shards[shard_of_thread()].allocates, allocates);
}
