// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An external data file: the guest's bytes lie in a file of their own, each
 * at its guest offset; the image only says which of them count.  They have no
 * refcounts, no reservations (R1) and are never moved.
 *
 * It is written like the image and locked like it.  A holder of the image's
 * locks has this file's, too, if it knows of it; else they are tested here.
 *
 * With the raw bit, the data file read by itself is the disk: a range that
 * becomes zero must become zero there, too.  Without it, a discarded range
 * gives its space back at once: nothing else will ever be in its place, and
 * until the image says durably that it is gone, it may be there or not.
 */
#include <errno.h>
#include <stdlib.h>
#include "qcow/error.h"
#include "qcow/layers.h"

int data_find_name(const struct header *header, const struct header_area *area,
		   char *name, size_t size, struct qcow_error *error)
{
	uint32_t at = header->length, type, length;
	const uint8_t *data;

	while (header_next_extension(header, area, &at, &type, &length,
				     &data)) {
		if (type != EXTENSION_DATA_FILE || !length || length >= size)
			continue;
		memcpy(name, data, length);
		name[length] = 0;
		return 0;
	}
	return fail(error, -EINVAL,
		    "its header does not name its external data file");
}

/* P6: no image is another image's data, even if a header says so. */
static int check_headless(struct file *file, struct qcow_error *error)
{
	uint8_t *bytes = file_buffer(file->alignment);
	int ret = bytes ? file_read(file, bytes, 0, file->alignment) : -ENOMEM;

	if (ret)
		fail(error, ret, "%s", strerror(-ret));
	else if (load_be32(bytes) == QCOW_MAGIC)
		ret = fail(
			error, -EACCES,
			"is a qcow2 image itself and no data file; writing to it would destroy it");
	free(bytes);
	return ret;
}

static int open_and_lock(struct qcow_image *image, const char *path,
			 const struct qcow_options *options,
			 struct qcow_error *error)
{
	struct qcow_error why = { "" };
	int ret = file_open(&image->data_file, path, options, &why);

	image->data_file.sync_lost = &image->health.sync_lost;
	if (!ret)
		ret = layers_check_file(options, image->file_index + 1,
					&image->data_file, &why);
	/* Of a disk that is there, the guest may have written one. */
	if (!ret && !options->layers)
		ret = check_headless(&image->data_file, &why);
	/* Waiting for our own fence would be in vain. */
	if (!ret)
		ret = backing_check_loop(image, &image->data_file, path, &why);
	if (!ret)
		ret = lock_image(&image->data_file, options, &why);
	if (ret)
		return fail(error, ret, "data file %.200s: %.240s", path,
			    why.text);
	return 0;
}

/* A device may end with the disk, in the middle of a cluster. */
static int look_at_end(struct qcow_image *image, struct qcow_error *error)
{
	int ret = 0;

	image->data_end = UINT64_MAX;
	if (image->data_file.block_device)
		ret = file_size(&image->data_file, &image->data_end);
	return ret ? fail(error, ret, "data file %.200s: %s", image->data_path,
			  strerror(-ret)) :
		     0;
}

int data_open(struct qcow_image *image, const struct qcow_options *options,
	      struct qcow_error *error)
{
	struct qcow_options own = *options;
	char name[MAX_BACKING_NAME + 1];
	char *path;
	int ret;

	image->data = &image->file;
	if (!(image->header.incompatible & INCOMPATIBLE_DATA_FILE))
		return 0;
	if (!options->layers)
		own.locking = QCOW_LOCK_TEST;
	own.test = options->test ? options->test->data : NULL;
	image->external = true;
	image->data = &image->data_file;
	image->raw_data = image->header.autoclear & AUTOCLEAR_RAW_DATA;
	ret = data_find_name(&image->header, &image->life.area, name,
			     sizeof(name), error);
	if (!ret)
		ret = reference_resolve(image,
					image->overlay && image->read_only ?
						QCOW_REFERS_TO_DATA_UNDER :
						QCOW_REFERS_TO_DATA,
					name, &own, &path, error);
	if (ret)
		return ret;
	image->data_path = path;
	ret = open_and_lock(image, path, &own, error);
	/* A unit of several clusters could not be written without mapping the
	   others, which may not even be part of the disk. */
	if (!ret && image->data_file.alignment > cluster_size(image)) {
		file_close(&image->data_file);
		own.cache = QCOW_CACHE_WRITEBACK;
		ret = open_and_lock(image, path, &own, error);
	}
	image->alignment = max_u64(image->alignment,
				   image->data_file.alignment);
	if (!ret)
		ret = look_at_end(image, error);
	return ret;
}

uint64_t data_clip(const struct qcow_image *image, uint64_t offset,
		   uint64_t length)
{
	/* Of the disk no byte is left out, even if the device is too small. */
	const uint64_t end = max_u64(image->data_end, image->geometry.size);

	if (!image->external || offset + length <= end)
		return length;
	return offset < end ? end - offset : 0;
}

int data_make_zero(struct qcow_image *image, uint64_t offset, uint64_t length)
{
	int ret;

	if (!image->raw_data)
		return 0;
	ret = file_punch(&image->data_file, offset, length);
	if (ret == -EOPNOTSUPP)
		ret = file_write_zeroes(&image->data_file, offset, length);
	return ret;
}

/* Behind the disk's end the file may hold anything. */
static int extend_raw(struct qcow_image *image, uint64_t size,
		      uint64_t file_end)
{
	uint64_t old = image->geometry.size;
	int ret = 0;

	if (file_end > old)
		ret = data_make_zero(image, old, min_u64(file_end, size) - old);
	if (!ret && file_end < size)
		ret = file_set_size(&image->data_file, size);
	return ret;
}

int data_extend(struct qcow_image *image, uint64_t size)
{
	uint64_t file_end;
	int ret;

	if (!image->external)
		return 0;
	ret = file_size(&image->data_file, &file_end);
	if (ret)
		return ret;
	if (image->data_file.block_device && file_end < size)
		return -ENOSPC;
	if (image->data_file.block_device)
		image->data_end = file_end;
	return image->raw_data ? extend_raw(image, size, file_end) : 0;
}

void data_give_back(struct qcow_image *image, uint64_t offset, uint64_t length)
{
	/* Readers of the image see no difference, so it may fail.  With the raw
	   bit, data_make_zero() has done it. */
	if (image->external && !image->raw_data)
		file_punch(&image->data_file, offset, length);
}
