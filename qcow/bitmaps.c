// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Persistent dirty bitmaps.  They say which parts of the disk changed since
 * some backup; we do not keep them, so from our first write on they would lie.
 * Each is marked as in use before that write.  QEMU then takes the bitmap for
 * inconsistent: lists it so, never uses it, and `qemu-img bitmap --remove`
 * takes it away.  Its clusters stay counted: nothing leaks, as it would if the
 * extension were dropped.
 *
 * A count or an entry that lies must not lead the guest's data over the
 * directory or the bitmaps' tables, either: a program that removes a bitmap
 * would free the clusters that the data name.
 *
 * The autoclear bit of bitmaps says that the extension agrees with the image;
 * with all of them in use it does, so the bit may stay.
 *
 *	extension: count (32) | reserved (32) | directory size | offset
 *	directory: entries of 24 bytes, extra data and name, padded to 8
 */
#include <errno.h>
#include <stdlib.h>
#include "qcow/cluster.h"
#include "qcow/error.h"
#include "qcow/info.h"

#define EXTENSION_BITMAPS_SIZE 24u
#define MAX_DIRECTORY	       (64u << 20)
#define MAX_GUARDED_DIRECTORY \
	(1u << 20) /* some 20,000 bitmaps; of more \
		      an open takes no heed */
#define MAX_BITMAP_BYTES     (512u << 20)
#define ENTRY_SIZE	     24u
#define FLAG_IN_USE	     1u
#define FLAG_AUTO	     2u
#define MAX_GRANULARITY_BITS 63

/* Of an entry: byte offsets. */
enum {
	ENTRY_TABLE = 0,
	ENTRY_TABLE_SIZE = 8, /* entries */
	ENTRY_FLAGS = 12,
	ENTRY_GRANULARITY = 17, /* one byte: log2 */
	ENTRY_NAME_SIZE = 18,	/* two */
	ENTRY_EXTRA_SIZE = 20,
};

struct directory {
	uint32_t count;
	uint64_t offset;
	uint64_t size;
};

static bool find_directory(const struct header *h,
			   const struct header_area *area,
			   struct directory *directory)
{
	uint32_t at = h->length, type, length;
	const uint8_t *data;

	while (header_next_extension(h, area, &at, &type, &length, &data)) {
		if (type != EXTENSION_BITMAPS ||
		    length < EXTENSION_BITMAPS_SIZE)
			continue;
		directory->count = load_be32(data);
		directory->size = load_be64(data + 8);
		directory->offset = load_be64(data + 16);
		return true;
	}
	return false;
}

/* The size of an entry with its extra data, name and padding; 0 if it does not
   fit. */
static uint64_t entry_size(const uint8_t *entry, uint64_t left)
{
	uint64_t size;

	if (left < ENTRY_SIZE)
		return 0;
	size = round_up(ENTRY_SIZE +
				(uint64_t)load_be32(entry + ENTRY_EXTRA_SIZE) +
				load_be16(entry + ENTRY_NAME_SIZE),
			8);
	return size <= left ? size : 0;
}

static int mark_entries(uint8_t *bytes, uint64_t size)
{
	uint64_t at = 0;

	while (at < size) {
		uint8_t *entry = bytes + at;
		uint64_t length = entry_size(entry, size - at);

		if (!length)
			return -EUCLEAN;
		store_be32(entry + ENTRY_FLAGS,
			   load_be32(entry + ENTRY_FLAGS) | FLAG_IN_USE);
		at += length;
	}
	return 0;
}

static int mark_directory(struct file *file, const struct directory *directory)
{
	uint64_t length = round_up(directory->size, file->alignment);
	uint8_t *bytes = file_buffer(length);
	int ret;

	if (!bytes)
		return -ENOMEM;
	ret = file_read(file, bytes, directory->offset, length);
	if (!ret)
		ret = mark_entries(bytes, directory->size);
	if (!ret)
		ret = file_write(file, bytes, directory->offset, length);
	free(bytes);
	return ret ? ret : file_sync(file);
}

/* P6: may it lie there?  The flags that are written there are no data, but they
   could hit a table as well. */
static int judge_place(struct qcow_image *image,
		       const struct directory *directory)
{
	uint64_t end, file_end;
	int ret = file_size(&image->file, &file_end);

	if (ret)
		return ret;
	if (directory->size > MAX_DIRECTORY ||
	    !is_aligned(directory->offset, cluster_size(image)) ||
	    __builtin_add_overflow(directory->offset, directory->size, &end) ||
	    end > round_up(file_end, cluster_size(image)))
		return -EUCLEAN;
	for (uint64_t at = directory->offset; at < end;
	     at += cluster_size(image))
		if (cluster_is_table(image, at))
			return -EUCLEAN;
	return 0;
}

static bool has_directory(const struct qcow_image *image,
			  struct directory *directory)
{
	return image->header.autoclear & AUTOCLEAR_BITMAPS &&
	       find_directory(&image->header, &image->life.area, directory);
}

int bitmaps_set_in_use(struct qcow_image *image)
{
	struct directory directory;

	if (!has_directory(image, &directory))
		return 0;
	return image->life.bitmaps_misplaced ?
		       -EUCLEAN :
		       mark_directory(&image->file, &directory);
}

/* ---- where they lie ---- */

/* A table that cannot be is nobody's. */
static int guard_table(struct qcow_image *image, const uint8_t *entry)
{
	uint64_t offset = load_be64(entry + ENTRY_TABLE);
	uint64_t entries = load_be32(entry + ENTRY_TABLE_SIZE);
	uint64_t end = image->allocator.high_water
		       << image->geometry.cluster_bits;

	if (!offset || !is_aligned(offset, cluster_size(image)) ||
	    entries << image->geometry.cluster_bits > MAX_BITMAP_BYTES ||
	    offset > end || entries * 8 > end - offset)
		return 0;
	return guard_add(image, offset, entries * 8);
}

static int guard_entries(struct qcow_image *image, const uint8_t *bytes,
			 uint64_t size)
{
	uint64_t at = 0, length;
	int ret = 0;

	for (; at < size && !ret; at += length) {
		length = entry_size(bytes + at, size - at);
		if (!length)
			return 0;
		ret = guard_table(image, bytes + at);
	}
	return ret;
}

static int read_and_guard(struct qcow_image *image,
			  const struct directory *directory)
{
	uint8_t *bytes = malloc(directory->size + 1);
	int ret;

	if (!bytes)
		return -ENOMEM;
	ret = file_read_loosely(&image->file, bytes, directory->offset,
				directory->size);
	if (!ret)
		ret = guard_entries(image, bytes, directory->size);
	free(bytes);
	return ret;
}

int bitmaps_guard(struct qcow_image *image)
{
	struct directory directory;
	int ret;

	if (!has_directory(image, &directory))
		return 0;
	ret = judge_place(image, &directory);
	image->life.bitmaps_misplaced = ret;
	if (!ret)
		ret = guard_add(image, directory.offset, directory.size);
	if (ret || directory.size > MAX_GUARDED_DIRECTORY)
		return ret;
	return read_and_guard(image, &directory);
}

/* ---- telling of them ---- */

unsigned int bitmaps_count(const struct header *header,
			   const struct header_area *area)
{
	struct directory directory;

	/* Without its bit the extension is of the past. */
	if (!(header->autoclear & AUTOCLEAR_BITMAPS) ||
	    !find_directory(header, area, &directory))
		return 0;
	return directory.count;
}

static int visit_entry(const uint8_t *entry,
		       void (*visit)(void *opaque,
				     const struct qcow_bitmap *bitmap),
		       void *opaque)
{
	uint32_t length = load_be16(entry + ENTRY_NAME_SIZE);
	uint32_t extra = load_be32(entry + ENTRY_EXTRA_SIZE);
	uint32_t flags = load_be32(entry + ENTRY_FLAGS);
	struct qcow_bitmap bitmap = {
		.in_use = flags & FLAG_IN_USE,
		.automatic = flags & FLAG_AUTO,
	};
	char *name;

	if (entry[ENTRY_GRANULARITY] > MAX_GRANULARITY_BITS)
		return -EUCLEAN;
	bitmap.granularity = 1ull << entry[ENTRY_GRANULARITY];
	name = strndup((const char *)entry + ENTRY_SIZE + extra, length);
	if (!name)
		return -ENOMEM;
	bitmap.name = name;
	visit(opaque, &bitmap);
	free(name);
	return 0;
}

static int visit_entries(const uint8_t *bytes,
			 const struct directory *directory,
			 void (*visit)(void *opaque,
				       const struct qcow_bitmap *bitmap),
			 void *opaque)
{
	uint64_t at = 0;
	int ret = 0;

	for (uint32_t i = 0; i < directory->count && !ret; i++) {
		uint64_t length = entry_size(bytes + at, directory->size - at);

		if (!length)
			return -EUCLEAN;
		ret = visit_entry(bytes + at, visit, opaque);
		at += length;
	}
	return ret;
}

static int list(struct file *file, const struct directory *directory,
		void (*visit)(void *opaque, const struct qcow_bitmap *bitmap),
		void *opaque)
{
	uint8_t *bytes;
	uint64_t size;
	int ret = file_size(file, &size);

	if (ret)
		return ret;
	if (directory->size > MAX_DIRECTORY || directory->offset > size ||
	    directory->size > size - directory->offset)
		return -EUCLEAN;
	bytes = malloc(directory->size + 1);
	if (!bytes)
		return -ENOMEM;
	ret = file_read_loosely(file, bytes, directory->offset,
				directory->size);
	if (!ret)
		ret = visit_entries(bytes, directory, visit, opaque);
	free(bytes);
	return ret;
}

int qcow_list_bitmaps(const char *path,
		      void (*visit)(void *opaque,
				    const struct qcow_bitmap *bitmap),
		      void *opaque, struct qcow_error *error)
{
	struct header_area area = { 0 };
	struct directory directory;
	struct header header;
	struct file file;
	int ret = info_open(path, &file, &header, &area, error);

	if (ret)
		return ret;
	if (bitmaps_count(&header, &area) &&
	    find_directory(&header, &area, &directory))
		ret = list(&file, &directory, visit, opaque);
	if (ret)
		fail(error, ret, "its bitmap directory %s",
		     ret == -EUCLEAN ? "is malformed, too large or cut off" :
				       strerror(-ret));
	free(area.bytes);
	file_close(&file);
	return ret;
}
