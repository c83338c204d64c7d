// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Writing frozen assignments back to the tables in the file, slice by slice.
 *
 * A slice is loaded, a copy is changed and written, and then the cached one
 * is changed, too.  It stays pinned meanwhile, so that nobody reads the old
 * state from the file and keeps it.  Assignments come sorted: those of one
 * slice stand side by side.
 *
 * The L1 table is not cached but held as an array; the array is changed when
 * the whole checkpoint is complete.
 */
#include <errno.h>
#include "qcow/checkpoint.h"
#include "qcow/cluster.h"
#include "qcow/refcount.h"

/* The frozen assignments that fall into one slice. */
struct batch {
	const struct assignment *first;
	uint32_t count;
	enum slice_type type;
	uint64_t offset; /* of the slice */
};

static uint64_t get_value(const struct qcow_image *image, enum slice_type type,
			  const void *data, uint64_t index)
{
	if (type == SLICE_L2)
		return ((const uint64_t *)data)[index];
	return refcount_in_slice(image, data, index);
}

static void put_value(const struct qcow_image *image, enum slice_type type,
		      void *data, uint64_t index, uint64_t value)
{
	if (type == SLICE_L2)
		shared_put(((uint64_t *)data)[index], value);
	else
		refcount_put_in_slice(image, data, index, value);
}

static bool is_for_phase(enum phase phase, uint64_t old, uint64_t new)
{
	switch (phase) {
	case RAISE:
		return new > old; /* R5 */
	case LINK:
		return new != old; /* R6 */
	case LOWER:
		return new < old; /* R7 */
	}
	return false;
}

/* The slice of the table behind an assignment, and its place therein. */
static int locate(const struct qcow_image *image, const struct assignment *a,
		  uint64_t *offset, uint64_t *index)
{
	uint64_t i = key_index(a->key), table;
	unsigned int word_bits = image->geometry.cluster_bits - 3;
	uint32_t per_slice = image->cache.slice_size / 8;

	if (key_kind(a->key) == KEY_REFCOUNT)
		return refcount_locate(image, i, offset, index) ? -EIO : 0;
	/* The frozen L1 entry; once a table is there, it stays. */
	table = cluster_l1_entry(image, i >> word_bits) & ENTRY_OFFSET;
	if (!table)
		return -EIO;
	i &= (1ull << word_bits) - 1;
	*offset = table + round_down(i, per_slice) * 8;
	*index = i & (per_slice - 1);
	return 0;
}

/* Changes a copy of a slice's values; false: there was nothing to change. */
static bool apply(const struct qcow_image *image, const struct batch *batch,
		  enum phase phase, void *data)
{
	bool changed = false;

	for (uint32_t i = 0; i < batch->count; i++) {
		const struct assignment *a = &batch->first[i];
		uint64_t offset, index;

		locate(image, a, &offset, &index);
		if (!is_for_phase(phase,
				  get_value(image, batch->type, data, index),
				  a->value))
			continue;
		put_value(image, batch->type, data, index, a->value);
		changed = true;
	}
	return changed;
}

static int write_bounce(struct qcow_image *image, const struct batch *batch)
{
	uint32_t size = image->cache.slice_size;
	int ret;

	image_io_begin(image);
	slice_swap(batch->type, image->geometry.refcount_order,
		   image->checkpoint.bounce, size);
	ret = file_write(&image->file, image->checkpoint.bounce, batch->offset,
			 size);
	image_io_end(image);
	return ret;
}

/* The slice stays pinned, so nobody reads the file's old state meanwhile. */
static int write_batch(struct qcow_image *image, const struct batch *batch,
		       enum phase phase)
{
	struct slice *slice;
	int ret = cache_load(image, batch->type, batch->offset, &slice);

	if (ret)
		return ret;
	memcpy(image->checkpoint.bounce, slice->data, image->cache.slice_size);
	if (!apply(image, batch, phase, image->checkpoint.bounce))
		return 0;
	slice->pins++;
	ret = write_bounce(image, batch);
	slice->pins--;
	if (ret) {
		/* The present content of the file is unknown. */
		cache_forget(image, batch->offset, image->cache.slice_size);
		return ret;
	}
	image_change_begin(image);
	apply(image, batch, phase, slice->data);
	image_change_end(image);
	return 0;
}

/* Collects the assignments from a on that share its slice. */
static int next_batch(const struct qcow_image *image,
		      const struct assignment *a, const struct assignment *end,
		      struct batch *batch)
{
	uint64_t offset, index;
	int ret = locate(image, a, &offset, &index);

	*batch = (struct batch){
		.first = a,
		.type = key_kind(a->key) == KEY_L2 ? SLICE_L2 : SLICE_REFCOUNT,
		.offset = offset,
	};
	while (!ret && a != end && offset == batch->offset) {
		batch->count++;
		a++;
		if (a != end)
			ret = locate(image, a, &offset, &index);
	}
	return ret;
}

int writeback_slices(struct qcow_image *image, const struct assignment *a,
		     const struct assignment *end, enum phase phase)
{
	while (a != end) {
		struct batch batch;
		int ret = next_batch(image, a, end, &batch);

		if (!ret)
			ret = write_batch(image, &batch, phase);
		if (ret)
			return ret;
		a += batch.count;
	}
	return 0;
}

/* The slice of the L1 table that the assignments from a on change; the array
   takes their values when all is done.  Returns through next how far. */
static int write_l1_slice(struct qcow_image *image, const struct assignment *a,
			  const struct assignment *end,
			  const struct assignment **next)
{
	uint32_t per_slice = image->cache.slice_size / 8;
	uint64_t first = round_down(key_index(a->key), per_slice);
	uint64_t *bounce = image->checkpoint.bounce;
	int ret;

	for (uint64_t i = 0; i < per_slice; i++)
		bounce[i] = first + i < image->geometry.l1_size ?
				    image->l1[first + i] :
				    0;
	for (; a != end && key_index(a->key) < first + per_slice; a++)
		bounce[key_index(a->key) - first] = a->value;
	*next = a;
	image_io_begin(image);
	slice_swap(SLICE_L2, 0, bounce, image->cache.slice_size);
	ret = file_write(&image->file, bounce,
			 image->geometry.l1_offset + first * 8,
			 image->cache.slice_size);
	image_io_end(image);
	return ret;
}

int writeback_l1(struct qcow_image *image, const struct assignment *a,
		 const struct assignment *end)
{
	int ret = 0;

	while (a != end && !ret)
		ret = write_l1_slice(image, a, end, &a);
	return ret;
}

/* R7: the clusters that were freed, from a on; returns the next one. */
static const struct assignment *freed_run(const struct assignment *a,
					  const struct assignment *end,
					  uint64_t *first, uint64_t *count)
{
	while (a != end && a->value)
		a++;
	*count = 0;
	if (a == end)
		return a;
	*first = key_index(a->key);
	for (; a != end && !a->value && key_index(a->key) == *first + *count;
	     a++)
		++*count;
	return a;
}

/* Gives the space of freed clusters back to the file system.  Nothing depends
   on it, so a failure is not one of the checkpoint. */
static void punch_run(struct qcow_image *image, uint64_t first, uint64_t count)
{
	struct punched *punched = &image->allocator.punched;
	struct stretches *stretches = &image->allocator.stretches;
	int ret;

	punched_remove(punched, first, count);
	if (image->health.punch_unsupported) {
		stretches_soil(stretches, first, count);
		return;
	}
	image_io_begin(image);
	ret = file_punch(&image->file, first << image->geometry.cluster_bits,
			 count << image->geometry.cluster_bits);
	image_io_end(image);
	if (!ret) {
		punched_add(punched, first, count);
		stretches_punch(stretches, first, count);
	} else {
		stretches_soil(stretches, first, count);
	}
	if (ret == -EOPNOTSUPP)
		image->health.punch_unsupported = true;
}

void writeback_punch(struct qcow_image *image, const struct assignment *a,
		     const struct assignment *end)
{
	while (a != end) {
		uint64_t first, count;

		a = freed_run(a, end, &first, &count);
		if (count)
			punch_run(image, first, count);
	}
}
