// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Writing frozen assignments back to the tables in the file, slice by slice.
 *
 * A slice is loaded, a copy is changed and written, and then the cached one
 * is changed, too.  It stays pinned meanwhile, so that nobody reads the old
 * state from the file and keeps it.  Assignments come sorted: those of one
 * slice stand side by side.
 *
 * Scattered writes touch many slices, and a FLUSH waits for all of them.  So
 * those of a row of batches are read at once and written at once, and
 * neighbours in the file in one piece.  Between two syncs their order does not
 * matter (R5 to R7).
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
	uint64_t offset;     /* of the slice */
	struct slice *slice; /* is pinned */
};

/* Those that are written at once. */
struct row {
	unsigned int count;
	struct batch batches[CACHE_MOST_AHEAD];
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

/* Values that a slice has.  It is a power of two, and a slice begins where the
   index of an assignment is a multiple of it. */
static uint64_t values_in_slice(const struct qcow_image *image,
				enum slice_type type)
{
	return type == SLICE_L2 ? image->cache.slice_size / 8 :
				  refcounts_in_slice(image);
}

/* The slice of the table behind an assignment. */
static int locate(const struct qcow_image *image, const struct assignment *a,
		  uint64_t *offset)
{
	uint64_t i = key_index(a->key), table, in_slice;
	unsigned int word_bits = image->geometry.cluster_bits - 3;

	if (key_kind(a->key) == KEY_REFCOUNT)
		return refcount_locate(image, i, offset, &in_slice) ? -EIO : 0;
	/* The frozen L1 entry; once a table is there, it stays. */
	table = cluster_l1_entry(image, i >> word_bits) & ENTRY_OFFSET;
	if (!table)
		return -EIO;
	i &= (1ull << word_bits) - 1;
	*offset = table + round_down(i, values_in_slice(image, SLICE_L2)) * 8;
	return 0;
}

/* Changes a copy of a slice's values; false: there was nothing to change. */
static bool apply(struct qcow_image *image, const struct batch *batch,
		  enum phase phase, void *data)
{
	const uint64_t mask = values_in_slice(image, batch->type) - 1;
	bool changed = false;

	for (uint32_t i = 0; i < batch->count; i++) {
		const struct assignment *a = &batch->first[i];
		uint64_t index = key_index(a->key) & mask, old;

		old = get_value(image, batch->type, data, index);
		image->checkpoint.lowers |= phase == RAISE && a->value < old;
		if (!is_for_phase(phase, old, a->value))
			continue;
		put_value(image, batch->type, data, index, a->value);
		changed = true;
	}
	return changed;
}

static uint8_t *bounce_of(const struct qcow_image *image, unsigned int i)
{
	return (uint8_t *)image->checkpoint.bounce +
	       (size_t)i * image->cache.slice_size;
}

/* Most of them at once; the others are loaded when they are needed. */
static void load_row(struct qcow_image *image, const struct row *row)
{
	uint64_t offsets[CACHE_MOST_AHEAD];

	for (unsigned int i = 0; i < row->count; i++)
		offsets[i] = row->batches[i].offset;
	if (row->count > 1)
		cache_load_ahead(image, row->batches[0].type, offsets,
				 row->count, image->checkpoint.bounce);
}

/* The slices that the phase changes stay in the row, pinned, with their new
   contents in the bounce buffer. */
static int change_copies(struct qcow_image *image, struct row *row,
			 enum phase phase)
{
	unsigned int count = row->count;

	row->count = 0;
	for (unsigned int i = 0; i < count; i++) {
		struct batch batch = row->batches[i];
		uint8_t *copy = bounce_of(image, row->count);
		int ret = cache_load(image, batch.type, batch.offset,
				     &batch.slice);

		if (ret)
			return ret;
		memcpy(copy, batch.slice->data, image->cache.slice_size);
		if (!apply(image, &batch, phase, copy))
			continue;
		batch.slice->pins++;
		row->batches[row->count++] = batch;
	}
	return 0;
}

static int write_copies(struct qcow_image *image, const struct row *row)
{
	uint32_t size = image->cache.slice_size;
	struct piece pieces[CACHE_MOST_AHEAD];
	unsigned int n = 0;
	int ret;

	if (!row->count)
		return 0;
	for (unsigned int i = 0; i < row->count; i++)
		piece_add(pieces, &n, bounce_of(image, i),
			  row->batches[i].offset, size);
	image_io_begin(image);
	slice_swap(row->batches[0].type, image->geometry.refcount_order,
		   image->checkpoint.bounce, (size_t)row->count * size);
	ret = crew_write(&image->crew, &image->file, pieces, n);
	image_io_end(image);
	return ret;
}

/* The file has the contents of the copies, or unknown ones. */
static void change_slice(struct qcow_image *image, const struct batch *batch,
			 enum phase phase, bool written)
{
	batch->slice->pins--;
	if (!written) {
		cache_forget(image, batch->offset, image->cache.slice_size);
		return;
	}
	image_change_begin(image);
	apply(image, batch, phase, batch->slice->data);
	image_change_end(image);
}

/* The slices stay pinned, so nobody reads the file's old state meanwhile. */
static int write_row(struct qcow_image *image, struct row *row,
		     enum phase phase)
{
	int ret;

	load_row(image, row);
	ret = change_copies(image, row, phase);
	if (!ret)
		ret = write_copies(image, row);
	for (unsigned int i = 0; i < row->count; i++)
		change_slice(image, &row->batches[i], phase, !ret);
	return ret;
}

/* Collects the assignments from a on that share its slice. */
static int next_batch(const struct qcow_image *image,
		      const struct assignment *a, const struct assignment *end,
		      struct batch *batch)
{
	const enum slice_type type = key_kind(a->key) == KEY_L2 ?
					     SLICE_L2 :
					     SLICE_REFCOUNT;
	const uint64_t count = values_in_slice(image, type);
	const uint64_t first = round_down(a->key, count);

	*batch = (struct batch){ .first = a, .type = type };
	for (; a != end && round_down(a->key, count) == first; a++)
		batch->count++;
	return locate(image, batch->first, &batch->offset);
}

int writeback_slices(struct qcow_image *image, const struct assignment *a,
		     const struct assignment *end, enum phase phase)
{
	const unsigned int most = cache_most_ahead(&image->cache);
	int ret = 0;

	while (a != end && !ret) {
		struct row row;

		for (row.count = 0; a != end && row.count < most && !ret;) {
			struct batch *batch = &row.batches[row.count++];

			ret = next_batch(image, a, end, batch);
			a += batch->count;
		}
		if (!ret)
			ret = write_row(image, &row, phase);
	}
	return ret;
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
