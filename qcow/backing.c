// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The backing of an image: another qcow2 image, a raw file or a legacy image.
 * It is read-only and locked, and never changes while it is open.
 *
 * A range of an image may reach past the end of its backing: that part reads as
 * zero.
 *
 * Mapping goes down the chain by recursion, each image under its own lock;
 * the locks are taken from the top down.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "qcow/cluster.h"
#include "qcow/error.h"
#include "qcow/layers.h"
#include "qcow/legacy/legacy.h"
#include "qcow/map.h"

struct backing {
	enum backing_kind {
		BACKING_RAW,
		BACKING_QCOW,
		BACKING_LEGACY,
	} kind;
	struct file file;	  /* of a raw or legacy one */
	char *path;		  /* likewise, resolved */
	unsigned int file_index;  /* of a raw one */
	struct qcow_image *image; /* of a qcow2 image */
	struct legacy *legacy;
	uint64_t size; /* bytes that can be read */
	bool written;  /* a merge writes to it */
};

static unsigned int depth_of(const struct qcow_image *image)
{
	unsigned int depth = 0;

	for (; image->overlay; image = image->overlay)
		depth++;
	return depth;
}

/* ---- opening ---- */

static int open_file(struct backing *backing, const struct qcow_image *image,
		     const char *path, const struct qcow_options *options,
		     struct qcow_error *error)
{
	int ret = file_open(&backing->file, path, options, error);

	if (ret)
		return ret;
	ret = layers_check_file(options, image_next_index(image),
				&backing->file, error);
	if (!ret)
		ret = backing_check_loop(image, &backing->file, path, error);
	if (!ret)
		ret = lock_image(&backing->file, options, error);
	if (ret)
		return ret;
	backing->path = strdup(path);
	return backing->path ? 0 : fail(error, -ENOMEM, "out of memory");
}

static int open_raw(struct backing *backing, const struct qcow_image *image,
		    const char *path, const struct qcow_options *options,
		    struct qcow_error *error)
{
	int ret = open_file(backing, image, path, options, error);

	if (!ret)
		ret = file_size(&backing->file, &backing->size);
	/* The missing part of its last sector reads as zero. */
	backing->size = round_up(backing->size, QCOW_SECTOR);
	backing->file_index = image_next_index(image);
	return ret;
}

static int start_legacy(struct backing *backing, struct file *file,
			const struct qcow_options *options,
			struct qcow_error *error)
{
	int ret = legacy_open(file, options->key_file, &backing->legacy, error);

	backing->kind = BACKING_LEGACY;
	if (!ret)
		backing->size = legacy_size(backing->legacy);
	return ret;
}

static int open_legacy(struct backing *backing, const struct qcow_image *image,
		       const char *path, const struct qcow_options *options,
		       struct qcow_error *error)
{
	int ret = open_file(backing, image, path, options, error);

	return ret ? ret :
		     start_legacy(backing, &backing->file, options, error);
}

static int open_qcow(struct backing *backing, struct qcow_image *image,
		     const char *path, const struct qcow_options *options,
		     struct qcow_error *error)
{
	int ret = image_open_under(image, path, options, &backing->image,
				   error);

	if (ret)
		return ret;
	backing->size = backing->image->geometry.size;
	return 0;
}

static int open_format(struct backing *backing, struct qcow_image *image,
		       const char *path, const char *format,
		       const struct qcow_options *options,
		       struct qcow_error *error)
{
	int ret = backing_check_format(format, path, error);

	if (ret)
		return ret;
	if (backing_is_raw(format))
		return open_raw(backing, image, path, options, error);
	if (!strcmp(format, "qcow"))
		return open_legacy(backing, image, path, options, error);
	backing->kind = BACKING_QCOW;
	return open_qcow(backing, image, path, options, error);
}

static uint32_t alignment_of(const struct backing *backing)
{
	return backing->kind == BACKING_QCOW ? backing->image->alignment :
					       backing->file.alignment;
}

/* Of a chain, the file that it is about is named, and no other: the names of
   all of them could leave no room for the reason. */
static int explain(struct qcow_error *error, int ret, const char *path,
		   const struct qcow_error *why)
{
	if (!strncmp(why->text, "backing file ", strlen("backing file ")))
		return fail(error, ret, "%s", why->text);
	return fail(error, ret, "backing file %.200s: %.240s", path, why->text);
}

static int open_named(struct qcow_image *image, const char *path,
		      const char *format, const struct qcow_options *options,
		      struct qcow_error *error)
{
	struct backing *backing = calloc(1, sizeof(*backing));
	struct qcow_error why = { "" };
	int ret;

	if (!backing)
		return fail(error, -ENOMEM, "out of memory");
	backing->file.fd = -1;
	backing->written = !options->read_only;
	ret = open_format(backing, image, path, format, options, &why);
	if (ret) {
		backing_close(backing);
		return explain(error, ret, path, &why);
	}
	image->backing = backing;
	image->alignment = max_u64(image->alignment, alignment_of(backing));
	return 0;
}

/* The supervisor locks the layers that are written, or cannot be after all.
   Only the image on top says which lock its caller wants. */
static enum qcow_locking locking_under(const struct qcow_image *image,
				       const struct qcow_options *options,
				       bool read_only)
{
	if (!options->layers ||
	    (read_only && !layers_is_written(options, image_next_index(image))))
		return QCOW_LOCK_TEST;
	while (image->overlay)
		image = image->overlay;
	return image->locking;
}

/* For the open of the layer under the image. */
static struct qcow_options options_under(const struct qcow_image *image,
					 const struct qcow_options *options)
{
	struct qcow_options under = *options;

	under.read_only = options->look ||
			  options->merge_into != image_next_index(image);
	if (under.look)
		under.look = QCOW_LOOK_READER;
	under.locking = locking_under(image, options, under.read_only);
	under.test = options->test ? options->test->under : NULL;
	return under;
}

int backing_open(struct qcow_image *image, const struct qcow_options *options,
		 struct qcow_error *error)
{
	struct qcow_options under = options_under(image, options);
	char name[MAX_BACKING_NAME + 1], format[64];
	char *path;
	int ret;

	if (!image->header.backing_offset)
		return 0;
	ret = header_read_backing(&image->file, &image->header, name);
	if (ret)
		return fail(error, ret, "reading its backing file's name: %s",
			    strerror(-ret));
	ret = backing_check_depth(depth_of(image), error);
	if (!ret)
		ret = reference_resolve(image, QCOW_REFERS_TO_BACKING, name,
					options, &path, error);
	if (ret)
		return ret;
	header_backing_format(&image->header, &image->life.area, format);
	ret = open_named(image, path, format, &under, error);
	/* The image's own unit is a cluster at most; so is that of the files
	   that are read with it. */
	if (!ret && alignment_of(image->backing) > cluster_size(image)) {
		backing_close(image->backing);
		image->backing = NULL;
		under.cache = QCOW_CACHE_WRITEBACK;
		ret = open_named(image, path, format, &under, error);
	}
	free(path);
	return ret;
}

int backing_open_legacy(struct qcow_image *image,
			const struct qcow_options *options,
			struct qcow_error *error)
{
	image->backing = calloc(1, sizeof(*image->backing));
	if (!image->backing)
		return fail(error, -ENOMEM, "out of memory");
	image->backing->file.fd = -1;
	return start_legacy(image->backing, &image->file, options, error);
}

int backing_close(struct backing *backing)
{
	int ret = backing && backing->image ? qcow_close(backing->image) : 0;

	if (!backing)
		return 0;
	legacy_close(backing->legacy);
	file_close(&backing->file);
	free(backing->path);
	free(backing);
	return ret;
}

struct qcow_image *backing_image(const struct backing *backing)
{
	return backing->image;
}

struct file *backing_raw(struct backing *backing)
{
	return backing->kind == BACKING_RAW ? &backing->file : NULL;
}

bool backing_is_written(const struct backing *backing)
{
	return backing->written;
}

unsigned int backing_fds(const struct backing *backing, int *fds,
			 unsigned int max, unsigned int count)
{
	if (!backing)
		return count;
	if (backing->kind == BACKING_QCOW)
		return image_fds(backing->image, fds, max, count);
	if (backing->kind == BACKING_LEGACY)
		return count;
	if (count < max)
		fds[count] = backing->file.fd;
	return count + 1;
}

unsigned int backing_layers(const struct backing *backing,
			    struct qcow_layer *layers, unsigned int max,
			    unsigned int count)
{
	struct qcow_layer layer;

	if (!backing)
		return count;
	if (backing->kind == BACKING_QCOW) {
		layer = (struct qcow_layer){
			.path = backing->image->path,
			.identity = backing->image->file.identity,
			.written = backing->written,
		};
		count = layers_add(layers, max, count, &layer);
		return layers_of_image(backing->image, layers, max, count);
	}
	/* A legacy image on top is the image itself. */
	if (!backing->path)
		return count;
	layer = (struct qcow_layer){
		.path = backing->path,
		.identity = backing->file.identity,
		.written = backing->written,
	};
	return layers_add(layers, max, count, &layer);
}

uint64_t backing_size(const struct backing *backing)
{
	return backing->size;
}

void backing_set_size(struct backing *backing, uint64_t size)
{
	backing->size = size;
}

static bool image_is_empty(const struct qcow_image *image, uint64_t offset,
			   uint64_t length)
{
	const unsigned int bits = image->geometry.cluster_bits +
				  image->geometry.l2_bits;
	const uint64_t end = min_u64(offset + length, image->geometry.size);
	uint64_t index;

	for (index = offset >> bits; index << bits < end; index++)
		if (cluster_l1_entry(image, index))
			return false;
	return backing_is_empty(image->backing, offset, length);
}

/* A table without an entry in use is taken for data: to find out would be
   I/O.  No lock is needed, for an image that only lies under others never
   changes. */
bool backing_is_empty(const struct backing *backing, uint64_t offset,
		      uint64_t length)
{
	if (!backing || offset >= backing->size)
		return true;
	return backing->kind == BACKING_QCOW && !backing->written &&
	       image_is_empty(backing->image, offset, length);
}

bool backing_is_encrypted(const struct backing *backing)
{
	if (!backing)
		return false;
	if (backing->kind == BACKING_QCOW)
		return backing_is_encrypted(backing->image->backing);
	return backing->legacy && legacy_is_encrypted(backing->legacy);
}

/* ---- reading ---- */

static int map_inside(struct backing *backing, struct qcow_io *io,
		      uint64_t offset, uint32_t length, struct need *need)
{
	struct qcow_extent extent = {
		.kind = QCOW_EXTENT_DATA,
		.file = backing->file_index,
		.source = &backing->file,
		.offset = offset,
		.length = length,
	};

	if (backing->kind == BACKING_QCOW)
		return map_continue(backing->image, io, offset, length, need);
	if (backing->kind == BACKING_LEGACY) {
		extent.kind = QCOW_EXTENT_LEGACY;
		extent.source = backing->legacy;
	}
	return map_add_extent(io, &extent, false);
}

int backing_map(struct backing *backing, struct qcow_io *io, uint64_t offset,
		uint32_t length, struct need *need)
{
	struct qcow_extent zeroes = { .kind = QCOW_EXTENT_ZERO };
	uint64_t inside;
	int ret = 0;

	/* A layer that is merged into may grow. */
	if (io->unlocked && backing->written)
		return -EAGAIN;
	inside = offset < backing->size ? backing->size - offset : 0;
	inside = min_u64(inside, length);
	if (inside)
		ret = map_inside(backing, io, offset, inside, need);
	if (ret || inside == length)
		return ret;
	zeroes.length = length - inside;
	return map_add_extent(io, &zeroes, false);
}
