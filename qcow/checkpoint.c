/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The checkpoint: brings the image's tables up to what the journal says, in
 * an order that leaves a valid image at every instant of a power loss, and
 * drops what the journal no longer needs.
 *
 *	freeze	the active dirty set becomes the frozen one		(R4)
 *	raise	refcounts = max(file, frozen); sync			(R5)
 *	link	L2 and L1 entries = frozen; sync			(R6)
 *	lower	refcounts that go down; drop the groups, and with them
 *		the frozen set: what it freed may be used again		(R7)
 *
 * So in the file a count is never behind an entry, and neither is the data,
 * which the first sync covers, too.
 *
 * An attempt that fails leaves the frozen set as it is (R17); the next one
 * does all phases again with the same values, which is harmless, and only
 * then may another freeze.
 *
 * A thread of its own makes them: when somebody waits, when the journal or
 * the active set is half full (R16), and when a dirty image is idle.  Where
 * the tests want it, whoever waits makes the checkpoint himself instead.
 */
#include <errno.h>
#include <signal.h>
#include <time.h>
#include "internal.h"

/* The thread looks after an idle or failing image this often. */
#define TICK_NS		1000000000ll

/* ---- groups in ---- */

bool checkpoint_has_room(const struct qcow_image *image, uint64_t words,
			 uint64_t assignments)
{
	return journal_has_room(&image->journal, words) &&
	       image->active.used + image->reserved_dirty + assignments <=
		       image->max_dirty;
}

void checkpoint_reserve_room(struct qcow_image *image, uint64_t words,
			     uint64_t assignments)
{
	image->journal.reserved += words;
	image->reserved_dirty += assignments;
}

void checkpoint_release_room(struct qcow_image *image, uint64_t words,
			     uint64_t assignments)
{
	image->journal.reserved -= words;
	image->reserved_dirty -= assignments;
}

int checkpoint_wait_room(struct qcow_image *image, uint64_t words,
			 uint64_t assignments)
{
	while (!checkpoint_has_room(image, words, assignments)) {
		int ret = checkpoint_wait(image);

		if (ret)
			return ret;
	}
	checkpoint_reserve_room(image, words, assignments);
	return 0;
}

/* R16: in time, so that writers do not wait. */
static bool is_half_full(const struct qcow_image *image)
{
	return journal_used(&image->journal) > image->journal.words / 2 ||
	       image->active.used > image->max_dirty / 2;
}

bool checkpoint_is_dirty(const struct qcow_image *image)
{
	return image->active.used || image->freezing;
}

static void publish_counts(struct qcow_image *image, const struct record *r)
{
	for (uint64_t i = 0; i < r->count; i++)
		dirty_put(&image->active,
			  dirty_key(KEY_REFCOUNT, r->index + i), r->value);
}

static void publish_entries(struct qcow_image *image, const struct record *r)
{
	uint64_t step = r->kind == RECORD_L2_DATA ? cluster_size(image) : 0;

	for (uint64_t i = 0; i < r->count; i++)
		dirty_put(&image->active, dirty_key(KEY_L2, r->index + i),
			  r->value + i * step);
}

void checkpoint_publish(struct qcow_image *image, const struct record *r)
{
	switch (r->kind) {
	case RECORD_L1:
		dirty_put(&image->active, dirty_key(KEY_L1, r->index),
			  r->value);
		break;
	case RECORD_L2:
	case RECORD_L2_DATA:
		publish_entries(image, r);
		break;
	case RECORD_REFCOUNT:
		publish_counts(image, r);
		break;
	case RECORD_REFCOUNT_TABLE:
		image->header.refcount_table_offset = r->value;
		image->header.refcount_table_clusters = r->index;
		image->table_moved = true;
		break;
	}
}

void checkpoint_append(struct qcow_image *image, const struct group *group)
{
	struct record record;

	/* R3: first the journal, then the look-ups. */
	journal_append(&image->journal, group);
	for (unsigned int word = 0; word < group->words;) {
		group_next(group, &word, &record);
		checkpoint_publish(image, &record);
	}
	image->groups++;
	if (image->has_thread && is_half_full(image))
		pthread_cond_signal(&image->work);
}

/* ---- slices out ---- */

enum phase {
	RAISE,
	LINK,
	LOWER,
};

/* The frozen assignments that fall into one slice. */
struct batch {
	const struct assignment *first;
	uint32_t count;
	enum slice_type type;
	uint64_t offset;		/* of the slice */
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
		((uint64_t *)data)[index] = value;
	else
		refcount_put_in_slice(image, data, index, value);
}

static bool is_for_phase(enum phase phase, uint64_t old, uint64_t new)
{
	switch (phase) {
	case RAISE:
		return new > old;	/* R5 */
	case LINK:
		return new != old;	/* R6 */
	case LOWER:
		return new < old;	/* R7 */
	}
	return false;
}

/* The slice of the table behind an assignment, and its place therein. */
static int locate(const struct qcow_image *image, const struct assignment *a,
		  uint64_t *offset, uint64_t *index)
{
	uint64_t i = key_index(a->key), table;
	uint32_t per_slice = image->cache.slice_size / 8;

	if (key_kind(a->key) == KEY_REFCOUNT)
		return refcount_locate(image, i, offset, index) ? -EIO : 0;
	/* The frozen L1 entry; once a table is there, it stays. */
	table = map_l1_entry(image, i >> image->l2_bits) & ENTRY_OFFSET;
	if (!table)
		return -EIO;
	i &= (1ull << image->l2_bits) - 1;
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
		if (!is_for_phase(phase, get_value(image, batch->type, data,
						   index), a->value))
			continue;
		put_value(image, batch->type, data, index, a->value);
		changed = true;
	}
	return changed;
}

/* R12's second way: who writes says so before. */
static void beat(struct qcow_image *image)
{
	if (image->heartbeat)
		journal_heartbeat(&image->journal);
}

static int write_bounce(struct qcow_image *image, const struct batch *batch)
{
	uint32_t size = image->cache.slice_size;
	int ret;

	beat(image);
	image_io_begin(image);
	slice_swap(batch->type, image->refcount_order, image->bounce, size);
	ret = file_write(&image->file, image->bounce, batch->offset, size);
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
	memcpy(image->bounce, slice->data, image->cache.slice_size);
	if (!apply(image, batch, phase, image->bounce))
		return 0;
	slice->pins++;
	ret = write_bounce(image, batch);
	slice->pins--;
	if (!ret)
		apply(image, batch, phase, slice->data);
	else	/* what the file says now is unknown */
		cache_forget(&image->cache, batch->offset,
			     image->cache.slice_size);
	return ret;
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

static int write_slices(struct qcow_image *image, const struct assignment *a,
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
	uint64_t *bounce = image->bounce;
	int ret;

	for (uint64_t i = 0; i < per_slice; i++)
		bounce[i] = first + i < image->l1_size ? image->l1[first + i] :
							 0;
	for (; a != end && key_index(a->key) < first + per_slice; a++)
		bounce[key_index(a->key) - first] = a->value;
	*next = a;
	beat(image);
	image_io_begin(image);
	slice_swap(SLICE_L2, 0, bounce, image->cache.slice_size);
	ret = file_write(&image->file, bounce, image->l1_offset + first * 8,
			 image->cache.slice_size);
	image_io_end(image);
	return ret;
}

static int write_l1(struct qcow_image *image, const struct assignment *a,
		    const struct assignment *end)
{
	int ret = 0;

	while (a != end && !ret)
		ret = write_l1_slice(image, a, end, &a);
	return ret;
}

/* ---- one checkpoint ---- */

/* The frozen set, sorted: L1, then L2, then refcounts. */
struct frozen {
	const struct assignment *l1, *l2, *counts, *end;
};

static const struct assignment *skip_kind(const struct assignment *a,
					  const struct assignment *end,
					  enum key_kind kind)
{
	while (a != end && key_kind(a->key) == kind)
		a++;
	return a;
}

static struct frozen sort_frozen(struct qcow_image *image)
{
	uint32_t count = dirty_sort(&image->frozen, image->sorted);
	struct frozen f = {
		.l1 = image->sorted,
		.end = image->sorted + count,
	};

	f.l2 = skip_kind(f.l1, f.end, KEY_L1);
	f.counts = skip_kind(f.l2, f.end, KEY_L2);
	return f;
}

static int sync_image(struct qcow_image *image)
{
	int ret;

	image_io_begin(image);
	ret = image->external ? file_sync(image->data) : 0;
	if (!ret)
		ret = file_sync(&image->file);
	image_io_end(image);
	/* R17: the kernel may have marked the failed pages clean; then a
	   second attempt would succeed and mean nothing. */
	if (ret && (!image->file.direct || !image->data->direct))
		image->sync_lost = true;
	return ret;
}

/* R7: the clusters that were freed, from a on; returns the next one. */
static const struct assignment *
freed_run(const struct assignment *a, const struct assignment *end,
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

/* Gives the space of what was freed back to the file system.  Nothing
   depends on it, so a failure is not one of the checkpoint. */
static void punch_freed(struct qcow_image *image, const struct assignment *a,
			const struct assignment *end)
{
	image_io_begin(image);
	while (a != end && !image->punch_unsupported) {
		uint64_t first, count;

		a = freed_run(a, end, &first, &count);
		beat(image);
		if (count &&
		    file_punch(&image->file, first << image->cluster_bits,
			       count << image->cluster_bits) == -EOPNOTSUPP)
			image->punch_unsupported = true;
	}
	image_io_end(image);
}

static int write_phases(struct qcow_image *image, const struct frozen *f)
{
	int ret = 0;

	if (image->table_moved)
		ret = grow_write_header(image);
	if (!ret)
		ret = write_slices(image, f->counts, f->end, RAISE);
	if (!ret)
		ret = sync_image(image);
	if (!ret)
		ret = write_slices(image, f->l2, f->counts, LINK);
	if (!ret)
		ret = write_l1(image, f->l1, f->l2);
	if (!ret)
		ret = sync_image(image);
	if (!ret)
		ret = write_slices(image, f->counts, f->end, LOWER);
	if (!ret)
		punch_freed(image, f->counts, f->end);
	return ret;
}

static void freeze(struct qcow_image *image)
{
	/* R4: in constant time; the other set is empty. */
	struct dirty_set empty = image->frozen;

	image->frozen = image->active;
	image->active = empty;
	image->frozen_end = image->journal.end;
	image->freezing = true;
	image->freezes++;
}

static void thaw(struct qcow_image *image, const struct frozen *f)
{
	const struct assignment *a;

	for (a = f->l1; a != f->l2; a++)
		image->l1[key_index(a->key)] = a->value;
	for (a = f->counts; a != f->end; a++)
		if (!a->value)
			image->cursor = min_u64(image->cursor,
						key_index(a->key));
	journal_drop(&image->journal, image->frozen_end);
	/* R9: from here on the freed clusters may be used again. */
	image->freezing = false;
	image->checkpoints++;
	image_io_begin(image);
	dirty_clear(&image->frozen);
	image_io_end(image);
}

/* Completes the frozen set of an attempt that failed, or freezes and
   completes a new one. */
static int make_checkpoint(struct qcow_image *image)
{
	struct frozen frozen;
	int ret = image->sync_lost ? -EIO : 0;

	image->checkpoint_busy = true;
	if (!image->freezing)
		freeze(image);
	if (!ret) {
		image_io_begin(image);
		frozen = sort_frozen(image);
		image_io_end(image);
		ret = write_phases(image, &frozen);
	}
	if (!ret) {
		thaw(image, &frozen);
	} else {
		/* R17: nothing is dropped, everything stays dirty. */
		image->failures++;
		image->last_error = ret;
	}
	image->checkpoint_busy = false;
	image_wake(image);
	return ret;
}

/* ---- who makes it ---- */

static int wait_inline(struct qcow_image *image, uint64_t needed)
{
	while (image->checkpoints < needed) {
		int ret = 0;

		if (image->checkpoint_busy)
			image_wait(image);
		else
			ret = make_checkpoint(image);
		if (ret)
			return ret;
	}
	return 0;
}

int checkpoint_wait(struct qcow_image *image)
{
	/* R8: one that freezes after now; those who come in time share it. */
	uint64_t needed = image->freezes + 1;
	uint64_t failures = image->failures;

	if (!image->has_thread)
		return wait_inline(image, needed);
	image->wanted = max_u64(image->wanted, needed);
	pthread_cond_signal(&image->work);
	while (image->checkpoints < needed && image->failures == failures)
		image_wait(image);
	return image->checkpoints < needed ? image->last_error : 0;
}

int qcow_flush(struct qcow_image *image)
{
	int ret;

	if (image->read_only)
		return 0;
	LOCKED(image);
	if (image->sync_lost)
		return -EIO;
	/* R8: with nothing dirty, a sync begun now. */
	if (!checkpoint_is_dirty(image))
		return sync_image(image);
	ret = checkpoint_wait(image);
	return ret;
}

static void tick(struct qcow_image *image)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += TICK_NS / 1000000000;
	pthread_cond_timedwait(&image->work, &image->lock, &until);
}

static bool is_due(const struct qcow_image *image)
{
	return image->wanted > image->checkpoints || is_half_full(image);
}

static void tell_outcome(struct qcow_image *image, int ret, int *last)
{
	if (ret == *last)
		return;
	image_io_begin(image);
	if (ret)
		image_notice(image,
			     "writing its tables fails (%s); flushes fail until it succeeds, and nothing acknowledged is dropped",
			     strerror(-ret));
	else
		image_notice(image, "its tables can be written again");
	image_io_end(image);
	*last = ret;
}

static void *checkpoint_thread(void *argument)
{
	struct qcow_image *image = argument;
	uint64_t groups = 0;
	int last = 0;

	LOCKED(image);
	refcount_sweep(image, image->high_water);
	while (!image->stopping) {
		bool idle = groups == image->groups;
		bool dirty = checkpoint_is_dirty(image);
		int ret;

		groups = image->groups;
		if (!is_due(image) && !(dirty && idle)) {
			tick(image);
			continue;
		}
		ret = make_checkpoint(image);
		tell_outcome(image, ret, &last);
		if (!ret)
			continue;
		/* Who waited has been told; do not spin on a broken disk. */
		image->wanted = image->checkpoints;
		tick(image);
	}
	return NULL;
}

int checkpoint_start_thread(struct qcow_image *image)
{
	sigset_t all, old;
	int ret;

	/* Signals are for the program's own threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = -pthread_create(&image->thread, NULL, checkpoint_thread, image);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	image->has_thread = !ret;
	return ret;
}

void checkpoint_stop_thread(struct qcow_image *image)
{
	if (!image->has_thread)
		return;
	{
		LOCKED(image);
		image->stopping = true;
		pthread_cond_signal(&image->work);
	}
	pthread_join(image->thread, NULL);
	image->has_thread = false;
}
