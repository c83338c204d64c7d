// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Opening and closing.  The order of an open matters:
 *
 *	fence and QEMU's locks	nobody else writes, a dead server's I/O has
 *				landed (R14); before that nothing is read
 *	header			judged; nothing is kept of an image that is
 *				not wholly understood (P6); of a dirty one the
 *				refcounts are rebuilt
 *	backing			opened, read-only
 *	journal			found and replayed in memory (R11, R12)
 *	top tables		L1 as the file has it, the refcount table as
 *				header or journal say; every entry checked
 *	checkpoint thread
 *
 * Nothing is written to the image before the first write of the guest: then
 * image_mark() puts our mark in (R12).  A clean close takes it out, so an
 * image that was not written to stays byte for byte as it was.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include "qcow/ahead.h"
#include "qcow/append.h"
#include "qcow/checkpoint.h"
#include "qcow/compress.h"
#include "qcow/error.h"
#include "qcow/layers.h"
#include "qcow/legacy/legacy.h"
#include "qcow/range.h"
#include "qcow/refcount.h"
#include "qcow/sweep.h"

#define MAX_DIRTY	131072u
#define MAX_HOST_OFFSET (1ull << 56) /* the format's */

/* ---- open ---- */

static struct qcow_image *new_image(const struct qcow_options *options)
{
	struct qcow_image *image = aligned_alloc(CACHE_LINE, sizeof(*image));
	pthread_condattr_t attributes;

	if (!image)
		return NULL;
	*image = (struct qcow_image){ .shards = range_create_shards() };
	if (!image->shards) {
		free(image);
		return NULL;
	}
	image->file.fd = image->data_file.fd = -1;
	lease_init(&image->lease);
	image->read_only = options->read_only;
	image->locking = options->locking;
	image->inline_checkpoint = options->inline_checkpoint;
	image->journal_stays = options->journal_stays;
	image->notice = options->notice;
	image->opaque = options->opaque;
	image->ranges.next = image->ranges.prev = &image->ranges;
	image->allocator.reservations.next = &image->allocator.reservations;
	image->allocator.reservations.prev = &image->allocator.reservations;
	pthread_mutex_init(&image->lock, NULL);
	pthread_cond_init(&image->changed, NULL);
	turn_create(&image->life.header_turn);
	turn_create(&image->allocator.grow_turn);
	turn_create(&image->table_turn);
	turn_create(&image->checkpoint.turn);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&image->checkpoint.work, &attributes);
	pthread_condattr_destroy(&attributes);
	return image;
}

static void free_image(struct qcow_image *image)
{
	dirty_destroy(&image->dirty.active);
	dirty_destroy(&image->dirty.frozen);
	range_destroy_shards(image->shards);
	cache_destroy(&image->cache);
	unpacker_destroy(image->unpacker);
	backing_close(image->backing);
	free(image->life.area.bytes);
	free(image->path);
	free(image->data_path);
	free(image->l1);
	free(image->allocator.refcount_table);
	free(image->allocator.tables);
	free(image->allocator.guarded);
	free(image->checkpoint.sorted);
	free(image->checkpoint.bounce);
	pthread_cond_destroy(&image->checkpoint.work);
	turn_destroy(&image->checkpoint.turn);
	turn_destroy(&image->table_turn);
	turn_destroy(&image->allocator.grow_turn);
	turn_destroy(&image->life.header_turn);
	pthread_cond_destroy(&image->changed);
	pthread_mutex_destroy(&image->lock);
	file_close(&image->data_file);
	/* Last: with the description goes the fence (R14). */
	file_close(&image->file);
	free(image);
}

static void set_geometry(struct qcow_image *image)
{
	const struct header *h = &image->header;
	uint64_t device_size;

	image->geometry.version = h->version;
	image->geometry.cluster_bits = h->cluster_bits;
	image->geometry.extended = h->incompatible & INCOMPATIBLE_EXTENDED_L2;
	image->geometry.part_bits =
		h->cluster_bits -
		(image->geometry.extended ? SUBCLUSTER_BITS : 0);
	image->geometry.l2_bits = h->cluster_bits - 3 -
				  image->geometry.extended;
	image->geometry.refcount_order = h->refcount_order;
	image->geometry.block_bits = h->cluster_bits + 3 - h->refcount_order;
	image->geometry.size = round_down(h->size, QCOW_SECTOR);
	image->geometry.clusters = div_round_up(image->geometry.size,
						cluster_size(image));
	image->geometry.l1_size = h->l1_size;
	image->geometry.l1_offset = h->l1_offset;
	image->alignment = image->file.alignment;
	if (!image->file.block_device || file_size(&image->file, &device_size))
		device_size = MAX_HOST_OFFSET;
	image->allocator.max_clusters = refcount_reach(image, device_size);
}

static int create_memory(struct qcow_image *image,
			 const struct qcow_options *options)
{
	uint32_t slice = min_u64(cluster_size(image), MAX_SLICE_SIZE);
	int ret = cache_create(&image->cache, image_cache_bytes(image, options),
			       slice);

	if (!ret) {
		refcount_begin(image);
		ret = append_create_sets(image, MAX_DIRTY);
	}
	image->checkpoint.bounce = file_buffer(cache_most_ahead(&image->cache) *
					       slice);
	if (!image->checkpoint.bounce)
		ret = -ENOMEM;
	if (!ret)
		ret = unpacker_create(image->header.compression_type,
				      image->geometry.cluster_bits,
				      &image->unpacker);
	return ret;
}

static int find_end(struct qcow_image *image, struct qcow_error *error)
{
	uint64_t size;
	int ret = file_size(&image->file, &size);

	if (ret)
		return fail(error, ret, "finding its size: %s", strerror(-ret));
	/* R1: a cluster that the file's end cuts was used, too. */
	image->allocator.high_water = (size + cluster_size(image) - 1) >>
				      image->geometry.cluster_bits;
	/* Without a thread nobody sweeps; a block device has no space behind
	   its end. */
	image->allocator.swept = image->inline_checkpoint ||
				 image->file.block_device;
	if (!image->allocator.swept)
		image->allocator.cursor = image->allocator.high_water;
	sweep_begin(image);
	return 0;
}

static int load_image(struct qcow_image *image,
		      const struct qcow_options *options,
		      struct qcow_error *error)
{
	int ret = create_memory(image, options);

	if (ret)
		return fail(error, ret, "out of memory");
	ret = find_end(image, error);
	if (!ret)
		ret = load_l1(image, error);
	if (!ret)
		ret = journal_open(image, options, error);
	if (!ret && image->journal.header)
		ahead_begin(image);
	if (!ret)
		ret = journal_replay(image, error);
	if (!ret)
		ret = load_refcount_table(image, error);
	if (!ret)
		ret = load_check(image, error);
	if (!ret && guard_tables(image))
		ret = fail(error, -ENOMEM, "out of memory");
	return ret;
}

/* The header; before that, stale refcounts are put right. */
static int read_header(struct qcow_image *image,
		       const struct qcow_options *options,
		       struct qcow_error *error)
{
	int ret = header_read(&image->file, &image->header, &image->life.area,
			      error);

	if (ret)
		return ret;
	ret = support_check(
		&image->header, &image->life.area,
		image->read_only && options->look != QCOW_LOOK_WRITER, error);
	if (ret || image->read_only ||
	    !(image->header.incompatible & INCOMPATIBLE_DIRTY))
		return ret;
	ret = check_rebuild(&image->file, options, error);
	if (ret)
		return ret;
	free(image->life.area.bytes);
	return header_read(&image->file, &image->header, &image->life.area,
			   error);
}

/* A name may have got another file since the image was first opened. */
static int check_identity(const struct qcow_image *image,
			  const struct qcow_options *options,
			  struct qcow_error *error)
{
	if (image->overlay)
		return layers_check_file(options, image->file_index,
					 &image->file, error);
	return file_check(&image->file, &options->identity, error);
}

/* A shell around a legacy image: nothing is allocated in the shell, so all of
   it shows the legacy image. */
static int open_shell(struct qcow_image *image,
		      const struct qcow_options *options,
		      struct qcow_error *error)
{
	int ret;

	if (!image->read_only || options->look == QCOW_LOOK_WRITER)
		return fail(
			error, -EROFS,
			"legacy images (QCOW version 1, AES) are served with --read-only; convert it, or put an overlay on it, to write");
	ret = backing_open_legacy(image, options, error);
	if (!ret)
		ret = layers_check_all(image, options, error);
	if (ret)
		return ret;
	image->header = (struct header){
		.version = 3,
		.cluster_bits = 16,
		.size = backing_size(image->backing),
		.refcount_order = 4,
	};
	image->header.l1_size = (image->header.size >> 29) + 1;
	image->data = &image->file;
	set_geometry(image);
	image->l1 = calloc(image->geometry.l1_size, sizeof(*image->l1));
	if (!image->l1)
		return fail(error, -ENOMEM, "out of memory");
	return create_memory(image, options);
}

static int open_image(struct qcow_image *image, const char *path,
		      const struct qcow_options *options,
		      struct qcow_error *error)
{
	int ret = file_open(&image->file, path, options, error);
	bool is_legacy;

	if (ret)
		return ret;
	image->file.sync_lost = &image->health.sync_lost;
	ret = check_identity(image, options, error);
	if (ret)
		return ret;
	ret = image->file.names->settle(image->file.names->opaque, path,
					&image->path);
	if (ret)
		return fail(error, ret, "%s", strerror(-ret));
	/* Before our own locks tell us that it is in use. */
	ret = backing_check_loop(image->overlay, &image->file, path, error);
	if (!ret)
		ret = lock_image(&image->file, options, error);
	if (ret)
		return ret;
	ret = legacy_probe(&image->file, &is_legacy);
	if (ret)
		return fail(error, ret, "reading the header: %s",
			    strerror(-ret));
	if (is_legacy)
		return open_shell(image, options, error);
	ret = read_header(image, options, error);
	if (ret)
		return ret;
	set_geometry(image);
	ret = data_open(image, options, error);
	if (!ret)
		ret = backing_open(image, options, error);
	if (!ret)
		ret = layers_check_all(image, options, error);
	/* A file that somebody writes to at this moment shows no consistent
	   state. */
	if (!ret && !(options->look && lock_is_written(&image->file)))
		ret = load_image(image, options, error);
	if (ret || image->read_only || image->inline_checkpoint)
		return ret;
	ret = checkpoint_start_thread(image);
	return ret ? fail(error, ret, "cannot start a thread") : 0;
}

static int open_new(const char *path, const struct qcow_options *options,
		    const struct qcow_image *overlay,
		    struct qcow_image **result, struct qcow_error *error)
{
	struct qcow_image *image = new_image(options);
	int ret;

	if (!image)
		return fail(error, -ENOMEM, "out of memory");
	image->overlay = overlay;
	image->file_index = overlay ? image_next_index(overlay) : 0;
	ret = open_image(image, path, options, error);
	if (ret) {
		lease_stop(&image->lease);
		/* An older journal stays for an open that can use it. */
		journal_close(&image->journal, image->journal.created);
		free_image(image);
		return ret;
	}
	*result = image;
	return 0;
}

int qcow_open(const char *path, const struct qcow_options *options,
	      struct qcow_image **image, struct qcow_error *error)
{
	static const struct qcow_options defaults;

	return open_new(path, options ? options : &defaults, NULL, image,
			error);
}

int image_open_under(struct qcow_image *overlay, const char *path,
		     const struct qcow_options *options,
		     struct qcow_image **image, struct qcow_error *error)
{
	return open_new(path, options, overlay, image, error);
}

/* ---- close ---- */

static int write_all(struct qcow_image *image)
{
	LOCKED(image);
	while (checkpoint_is_dirty(image)) {
		int ret = checkpoint_wait(image);

		if (ret)
			return ret;
	}
	return image->health.sync_lost ? -EIO : 0;
}

/* R13: checkpoint, sync, clear the mark, sync; then the journal may go. */
static int close_cleanly(struct qcow_image *image)
{
	bool has_mark = image->life.marked || image->life.given_up;
	int ret = write_all(image);

	/* Writes in place leave no metadata, and data may be elsewhere. */
	if (!ret && has_mark)
		ret = image_sync(image);
	if (!ret && has_mark)
		journal_set_state(&image->journal, LIFE_CLOSING);
	if (!ret && has_mark)
		ret = header_clear_life(&image->file, &image->header,
					&image->life.area);
	return ret;
}

int qcow_close(struct qcow_image *image)
{
	int ret = image->read_only ? 0 : close_cleanly(image);
	int below;

	checkpoint_stop_thread(image);
	lease_stop(&image->lease);
	/* Nothing is judged by the file's size any more (R12). */
	if (!ret)
		ahead_end(image);
	journal_close(&image->journal,
		      !image->read_only && !image->journal_stays && !ret);
	below = backing_close(image->backing);
	image->backing = NULL;
	free_image(image);
	return ret ? ret : below;
}
