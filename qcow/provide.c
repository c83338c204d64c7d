// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Providing: the step between a look-up that never blocks and its answer.
 *
 * A look-up (cluster.c, refcount.c, map.c) runs under the lock and does no
 * I/O.  If it lacks something, a slice of a table or room in the journal, it
 * names that in struct need.  provide() gets it: it drops the lock
 * for its I/O and takes the lock again.  Then the caller looks up once more,
 * from the start, for anything may have changed meanwhile.
 *
 * The calls that end in _wait do both in turn, until there is an answer.
 * The look-ups do not know this file, so that each of them can be read by
 * itself; only code that may block calls it.
 */
#include <errno.h>
#include "qcow/checkpoint.h"
#include "qcow/provide.h"
#include "qcow/table.h"

/* Slices are all that an image under another ever needs. */
static int load_under(struct qcow_image *image, const struct need *need)
{
	struct slice *slice;

	LOCKED(image);
	return cache_load(image, need->type, need->index, &slice);
}

static int load(struct qcow_image *image, const struct need *need)
{
	struct slice *slice;
	int ret;

	if (need->image == image)
		return cache_load(image, need->type, need->index, &slice);
	image_io_begin(image);
	ret = load_under(need->image, need);
	image_io_end(image);
	return ret;
}

int provide(struct qcow_image *image, const struct need *need)
{
	switch (need->kind) {
	case NEED_RETRY:
		return 0;
	case NEED_SLICE:
		return load(image, need);
	case NEED_TABLE:
		return table_create(image, need->index);
	case NEED_OWN_TABLE:
		return table_own(image, need->index);
	case NEED_COPY:
		break; /* the caller calls cow_write() */
	case NEED_BLOCK:
		return grow_refcounts(image, need->index);
	case NEED_ROOM:
		return checkpoint_wait_room(image);
	case NEED_MARK:
		return image_mark(image);
	}
	return -EINVAL;
}

int cluster_look_up_wait(struct qcow_image *image, uint64_t guest,
			 struct cluster *c)
{
	struct need need;
	int ret;

	while ((ret = cluster_look_up(image, guest, 0, c, &need)) ==
	       NEEDS_MORE) {
		ret = provide(image, &need);
		if (ret)
			return ret;
	}
	return ret;
}

int refcount_get_wait(struct qcow_image *image, uint64_t cluster,
		      uint64_t *count)
{
	struct need need;
	int ret;

	while ((ret = refcount_get(image, cluster, count, &need)) ==
	       NEEDS_MORE) {
		ret = provide(image, &need);
		if (ret)
			return ret;
	}
	return ret;
}

int refcount_reserve_wait(struct qcow_image *image, struct qcow_reservation *r)
{
	uint64_t cluster;
	struct need need;
	int ret;

	while ((ret = refcount_find_free(image, &cluster, &need)) ==
	       NEEDS_MORE) {
		ret = provide(image, &need);
		if (ret)
			return ret;
	}
	if (!ret)
		refcount_reserve(image, r, cluster);
	return ret;
}
