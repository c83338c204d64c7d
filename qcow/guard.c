// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where the tables lie that the engine itself has no use for: those of the
 * internal snapshots and of the persistent bitmaps.  Counts keep others away
 * from there as a rule; but where a count or an entry lies, a snapshot or a
 * bitmap would be lost by a write of the guest's.
 */
#include <errno.h>
#include <stdlib.h>
#include "qcow/image.h"

#define FIRST_CAPACITY 64u

int guard_add(struct qcow_image *image, uint64_t offset, uint64_t length)
{
	uint32_t n = image->allocator.nr_guarded;
	struct guarded *list = image->allocator.guarded;

	/* Full: as large again. */
	if (n >= FIRST_CAPACITY ? is_power_of_2(n) : !list) {
		list = realloc(list, max_u64(2ull * n, FIRST_CAPACITY) *
					     sizeof(*list));
		if (!list)
			return -ENOMEM;
		image->allocator.guarded = list;
	}
	list[n] = (struct guarded){
		.first = offset,
		.end = offset + length,
	};
	image->allocator.nr_guarded++;
	return 0;
}

static int compare_guarded(const void *a, const void *b)
{
	const struct guarded *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* In order, and none over another. */
static void merge_guarded(struct qcow_image *image)
{
	struct guarded *list = image->allocator.guarded;
	uint32_t used = 0;

	qsort(list, image->allocator.nr_guarded, sizeof(*list),
	      compare_guarded);
	for (uint32_t i = 0; i < image->allocator.nr_guarded; i++) {
		if (used && list[i].first <= list[used - 1].end)
			list[used - 1].end = max_u64(list[used - 1].end,
						     list[i].end);
		else
			list[used++] = list[i];
	}
	image->allocator.nr_guarded = used;
}

/* A file that cannot be read tells nothing. */
static int collect(struct qcow_image *image,
		   int (*guard)(struct qcow_image *image))
{
	uint32_t before = image->allocator.nr_guarded;
	int ret = guard(image);

	if (ret)
		image->allocator.nr_guarded = before;
	else if (image->allocator.nr_guarded)
		merge_guarded(image);
	return ret == -ENOMEM ? ret : 0;
}

int guard_tables(struct qcow_image *image)
{
	int ret = collect(image, snapshots_guard);

	return ret ? ret : collect(image, bitmaps_guard);
}
